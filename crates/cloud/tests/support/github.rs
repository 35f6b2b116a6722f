//! GitHub's API descriptions as a check of recorded requests and of the emulated GitHub's responses.

use std::sync::LazyLock;

use apollo_compiler::request::coerce_variable_values;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};
use bytes::Bytes;
use roadstead_cloud::call_log::LoggedCall;
use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::wire::{self, RequestIds, TransportReply};
use serde_json::{Map, Value, json};

/// The part of GitHub's GraphQL schema that is used.
static SCHEMA: LazyLock<Valid<Schema>> = LazyLock::new(|| {
    Schema::parse_and_validate(include_str!("../fixtures/github/schema.graphql"), "schema.graphql").unwrap()
});

/// The part of GitHub's OpenAPI description that is used.
static OPENAPI: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../fixtures/github/openapi.json")).unwrap());

/// Violations of the descriptions by the requests to GitHub among these calls. Pass the calls of a whole run.
pub(crate) fn request_violations(calls: &[LoggedCall]) -> Vec<String> {
    let ours =
        calls.iter().filter(|call| call.service == "github" && !call.operation.starts_with("upload-pack/"));
    ours.filter_map(|call| {
        Some(format!("{}: {}", call.operation, request_violation(&call.operation, &call.input)?))
    })
    .collect()
}

/// Violations of the descriptions by a request.
fn request_violation(operation: &str, input: &Value) -> Option<String> {
    match input["query"].as_str() {
        Some(document) => graphql_violation(document, input),
        None => rest_violation(operation, input),
    }
}

fn graphql_violation(document: &str, input: &Value) -> Option<String> {
    let parsed = match ExecutableDocument::parse_and_validate(&SCHEMA, document, "request.graphql") {
        Ok(parsed) => parsed,
        Err(errors) => return Some(errors.errors.to_string()),
    };
    let operation = parsed.operations.get(input["operationName"].as_str()).err();
    if operation.is_some() {
        return Some("no such operation in the document".into());
    }
    let operation = parsed.operations.get(input["operationName"].as_str()).ok()?;
    let variables = match &input["variables"] {
        Value::Null => json!({}),
        given => given.clone(),
    };
    let variables = to_json_map(&variables)?;
    coerce_variable_values(&SCHEMA, operation, &variables)
        .err()
        .map(|error| error.to_graphql_error(&parsed.sources).message)
}

/// Variables in the compiler's own kind of JSON.
fn to_json_map(value: &Value) -> Option<apollo_compiler::response::JsonMap> {
    serde_json::from_value(value.clone()).ok()
}

fn rest_violation(operation: &str, input: &Value) -> Option<String> {
    let described = &OPENAPI["operations"][operation];
    if described.is_null() {
        return Some("is not in crates/cloud/tests/fixtures/github/openapi.json".into());
    }
    let mut body: Map<String, Value> = input.as_object()?.clone();
    for parameter in described["parameters"].as_array()? {
        let name = parameter["name"].as_str()?;
        match body.remove(name) {
            None if parameter["required"] == true => return Some(format!("{name} is missing")),
            None => {}
            Some(value) => {
                if let Some(wrong) = schema_violation(&parameter["schema"], &value) {
                    return Some(format!("{name}: {wrong}"));
                }
            }
        }
    }
    let known = body_properties(&described["body"]);
    if let Some(name) = body.keys().find(|name| !known.contains(name)) {
        return Some(format!("{name} is neither a parameter nor a member of the body"));
    }
    if described["body"].is_null() {
        None
    } else {
        schema_violation(&described["body"], &Value::Object(body))
    }
}

/// Allowed names of a body.
fn body_properties(schema: &Value) -> Vec<String> {
    let own = schema["properties"].as_object().into_iter().flat_map(|own| own.keys().cloned());
    let others = ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|name| schema[name].as_array()).flatten();
    own.chain(others.flat_map(body_properties)).collect()
}

/// Violations of a schema of the description by a value.
fn schema_violation(schema: &Value, value: &Value) -> Option<String> {
    let mut root = json!({ "allOf": [schema] });
    root["components"] = OPENAPI["components"].clone();
    let validator = jsonschema::validator_for(&root).unwrap();
    validator.iter_errors(value).next().map(|error| format!("{error} at {}", error.instance_path()))
}

/// A client of an emulated GitHub; requests and responses are checked, unless they are wrong on purpose.
pub(crate) struct GitHubTestClient {
    pub(crate) cloud: Cloud,
    pub(crate) token: Option<String>,
    pub(crate) ids: RequestIds,
}

/// A response.
#[derive(Debug, Clone)]
pub(crate) struct TestResponse {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Value,
}

impl GitHubTestClient {
    pub(crate) fn new(cloud: &Cloud) -> Self {
        Self { cloud: cloud.clone(), token: Some("t".into()), ids: RequestIds::default() }
    }

    /// Sends a request without a check. `None` when there is no response.
    pub(crate) async fn send_unchecked(&self, method: &str, uri: &str, body: &str) -> Option<TestResponse> {
        let mut request = http::Request::builder().method(method).uri(uri);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Bytes::copy_from_slice(body.as_bytes())).unwrap();
        match wire::handle_request(&self.cloud, &self.ids, &request).await {
            TransportReply::Respond(response) => {
                let (parts, bytes) = response.into_parts();
                let body = serde_json::from_slice(&bytes).unwrap_or_default();
                Some(TestResponse { status: parts.status.as_u16(), headers: parts.headers, body })
            }
            _ => None,
        }
    }

    /// Sends a REST request; the description must allow it and its response.
    pub(crate) async fn call_rest(&self, method: &str, path: &str, body: Value) -> TestResponse {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let uri = format!("https://api.github.com{path}");
        let answered = self.send_unchecked(method, &uri, &text).await.unwrap();
        let call = self.cloud.calls().pop().unwrap();
        assert_eq!(request_violations(std::slice::from_ref(&call)), Vec::<String>::new(), "{method} {path}");
        let status = answered.status.to_string();
        let described = &OPENAPI["operations"][&call.operation]["responses"];
        let schema = &described[&status];
        // Rights and rates are refused by everything, whether its description says so or not.
        let everywhere = ["401", "403", "404", "405", "422", "429", "502"].contains(&status.as_str());
        assert!(described.get(&status).is_some() || everywhere, "{method} {path}: {status} is not described");
        let wrong = if schema.is_null() { None } else { schema_violation(schema, &answered.body) };
        assert_eq!(wrong, None, "{method} {path}: {:#}", answered.body);
        answered
    }

    /// Sends a GraphQL request that the schema must allow; returns the body of the response.
    pub(crate) async fn call_graphql(&self, document: &str, variables: Value) -> Value {
        let body = json!({ "query": document, "variables": variables });
        let answered =
            self.send_unchecked("POST", "https://api.github.com/graphql", &body.to_string()).await.unwrap();
        let call = self.cloud.calls().pop().unwrap();
        assert_eq!(request_violations(&[call]), Vec::<String>::new());
        assert_eq!(answered.status, 200, "{}", answered.body);
        answered.body
    }
}
