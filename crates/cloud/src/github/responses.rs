//! Answers and refusals in GitHub's words. An answer is an envelope of status, headers and body, which the wire opens.

use serde_json::{Map, Value, json};

use crate::request::{ErrorDetails, ServiceError};

/// An answer with a status of its own.
pub fn response(status: u16, body: Value) -> Value {
    json!({ "status": status, "headers": {}, "body": body })
}

/// A page of a list, with links to the others. `path` is the address without its query.
pub fn list_page(items: Vec<Value>, input: &Value, path: &str, usual: u64) -> Value {
    let number = |name: &str, usual: u64| input[name].as_u64().unwrap_or(usual).max(1) as usize;
    let (size, page) = (number("per_page", usual).min(100), number("page", 1));
    let last = items.len().div_ceil(size).max(1);
    let link = |page: usize, rel: &str| {
        format!("<https://api.github.com{path}?per_page={size}&page={page}>; rel=\"{rel}\"")
    };
    let mut links = Vec::new();
    if page < last {
        links.extend([link(page + 1, "next"), link(last, "last")]);
    }
    if page > 1 {
        links.extend([link(1, "first"), link(page - 1, "prev")]);
    }
    let shown: Vec<Value> = items.into_iter().skip((page - 1) * size).take(size).collect();
    let mut answer = response(200, shown.into());
    if !links.is_empty() {
        answer["headers"]["link"] = links.join(", ").into();
    }
    answer
}

/// There is no such thing, or not for this token.
pub fn not_found() -> ServiceError {
    ServiceError::with_status(404, "NotFound", "Not Found")
}

/// 422 with this message.
pub fn unprocessable(message: impl Into<String>) -> ServiceError {
    ServiceError::with_status(422, "UnprocessableEntity", message)
}

/// 422 with the errors one by one.
pub fn validation_failed(errors: Value) -> ServiceError {
    with_members(unprocessable("Validation Failed"), [("errors", errors)])
}

/// A pull request cannot be: 422 with a sentence of its own.
pub fn invalid_pull_request(message: &str) -> ServiceError {
    validation_failed(json!([{ "resource": "PullRequest", "code": "custom", "message": message }]))
}

/// A GraphQL error: HTTP 200 with a type.
pub fn graphql_error(kind: &str, message: impl Into<String>) -> ServiceError {
    ServiceError::with_status(200, kind, message)
}

/// The refusal with more members in its body.
pub fn with_members<'a>(
    mut refusal: ServiceError,
    members: impl IntoIterator<Item = (&'a str, Value)>,
) -> ServiceError {
    let more = refusal.details.get_or_insert_with(Box::default);
    more.members.extend(members.into_iter().map(|(name, value)| (name.to_owned(), value)));
    refusal
}

/// The answer with these headers.
pub fn with_headers(
    answer: Result<Value, ServiceError>,
    headers: Vec<(String, String)>,
) -> Result<Value, ServiceError> {
    match answer {
        Ok(mut value) => {
            if let Some(own) = value.get_mut("headers").and_then(Value::as_object_mut) {
                own.extend(headers.into_iter().map(|(name, value)| (name, Value::String(value))));
            }
            Ok(value)
        }
        Err(mut refusal) => {
            let more: &mut ErrorDetails = refusal.details.get_or_insert_with(Box::default);
            more.headers.extend(headers);
            Err(refusal)
        }
    }
}

/// A member that must be a text.
pub fn required_str<'a>(input: &'a Value, name: &str) -> Result<&'a str, ServiceError> {
    input[name]
        .as_str()
        .ok_or_else(|| unprocessable(format!("Invalid request.\n\n\"{name}\" wasn't supplied.")))
}

/// Members of an object.
pub fn into_members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
