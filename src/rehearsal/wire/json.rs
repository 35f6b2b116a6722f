//! AWS JSON 1.0 and 1.1: the operation in `X-Amz-Target`, members as a JSON object both ways.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

use super::{Named, header, malformed};
use crate::rehearsal::call::Refusal;

/// Target prefixes (botocore, `targetPrefix`) and the signing names they stand for.
const TARGETS: [(&str, &str); 4] = [
    ("AmazonEC2ContainerServiceV20141113", "ecs"),
    ("AmazonEC2ContainerRegistry_V20150921", "ecr"),
    ("Logs_20140328", "logs"),
    ("GraniteServiceVersion20100801", "monitoring"),
];

/// Reads target and body. An empty body is an empty input, as AWS takes it.
pub(super) fn read(headers: &HeaderMap, body: &Bytes) -> Result<Named, Refusal> {
    let target = header(headers, "x-amz-target");
    let (prefix, operation) = target.split_once('.').ok_or_else(|| {
        Refusal::new("UnknownOperationException", format!("X-Amz-Target '{target}' names no operation"))
    })?;
    let service = TARGETS.iter().find(|(known, _)| *known == prefix).map_or("", |(_, service)| service);
    Ok(Named { service: service.into(), operation: operation.into(), input: input(body)? })
}

fn input(body: &Bytes) -> Result<Value, Refusal> {
    if body.is_empty() {
        return Ok(json!({}));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(Value::Object(members)),
        Ok(_) => Err(malformed("Start of structure or map found where not expected.")),
        Err(error) => Err(malformed(error)),
    }
}

/// The members of an answer.
pub(super) fn write(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// An error: the code in `__type`, as every SDK reads it.
pub(super) fn refuse(refusal: &Refusal) -> Vec<u8> {
    json!({ "__type": refusal.code, "message": refusal.message }).to_string().into_bytes()
}
