//! The errors of the API server, as `Status` objects say them, and lists.

use serde_json::{Value, json};

use crate::request::ServiceError;

/// A resource that does not exist.
pub fn not_found(resource: &str, name: &str) -> ServiceError {
    ServiceError::with_status(404, "NotFound", format!("{resource} \"{name}\" not found"))
}

/// An object that exists already.
pub fn already_exists(resource: &str, name: &str) -> ServiceError {
    ServiceError::with_status(409, "AlreadyExists", format!("{resource} \"{name}\" already exists"))
}

/// A path that no API group serves: a text, and no `Status`.
pub fn no_such_path() -> ServiceError {
    ServiceError::with_status(404, PLAIN_TEXT, "404 page not found\n")
}

/// The code of an error that is plain text.
pub const PLAIN_TEXT: &str = "Text";

/// A patch that cannot be applied, a failed `test` among them.
pub fn invalid_patch() -> ServiceError {
    let words = "the server rejected our request due to an error in our request";
    ServiceError::with_status(422, "Invalid", words)
}

/// An object that breaks a rule.
pub fn invalid_object(kind: &str, name: &str, words: &str) -> ServiceError {
    ServiceError::with_status(422, "Invalid", format!("{kind}.apps \"{name}\" is invalid: {words}"))
}

/// A token that is unknown or has expired.
pub fn unauthorized() -> ServiceError {
    ServiceError::with_status(401, "Unauthorized", "Unauthorized")
}

/// A right that is missing.
pub fn forbidden(resource: &str, group: &str, name: &str, verb: &str, namespace: &str) -> ServiceError {
    let qualified = if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") };
    let named = if name.is_empty() { String::new() } else { format!(" \"{name}\"") };
    let words = format!(
        "{qualified}{named} is forbidden: User \"roadstead\" cannot {verb} resource \"{resource}\" in API group \
         \"{group}\" in the namespace \"{namespace}\""
    );
    ServiceError::with_status(403, "Forbidden", words)
}

/// A list, whose items do not repeat their kind.
pub fn list(kind: &str, version: &str, items: Vec<Value>) -> Value {
    let bare = |mut item: Value| {
        if let Some(members) = item.as_object_mut() {
            members.retain(|name, _| name != "apiVersion" && name != "kind");
        }
        item
    };
    let items: Vec<Value> = items.into_iter().map(bare).collect();
    json!({ "kind": format!("{kind}List"), "apiVersion": version, "metadata": { "resourceVersion": "1" }, "items": items })
}
