//! AWS JSON 1.0 and 1.1: the operation in `X-Amz-Target`, members as a JSON object both ways.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

use super::{ParsedCall, header_text, malformed_request};
use crate::request::ServiceError;
use crate::service::SERVICES;

/// Reads target and body. An empty body is an empty input, as AWS takes it.
pub(super) fn parse_request(headers: &HeaderMap, body: &Bytes) -> Result<ParsedCall, ServiceError> {
    let target = header_text(headers, "x-amz-target");
    let (prefix, operation) = target.split_once('.').ok_or_else(|| {
        ServiceError::new("UnknownOperationException", format!("X-Amz-Target '{target}' names no operation"))
    })?;
    let known = SERVICES.iter().find(|service| service.protocol().target() == Some(prefix));
    let service = known.map_or("", |service| service.name());
    Ok(ParsedCall { service: service.into(), operation: operation.into(), input: parse_input(body)? })
}

fn parse_input(body: &Bytes) -> Result<Value, ServiceError> {
    if body.is_empty() {
        return Ok(json!({}));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(Value::Object(members)),
        Ok(_) => Err(malformed_request("Start of structure or map found where not expected.")),
        Err(error) => Err(malformed_request(error)),
    }
}

/// The members of an answer.
pub(super) fn write_body(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// An error: the code in `__type`, as every SDK reads it.
pub(super) fn write_error(refusal: &ServiceError) -> Vec<u8> {
    json!({ "__type": refusal.code, "message": refusal.message }).to_string().into_bytes()
}
