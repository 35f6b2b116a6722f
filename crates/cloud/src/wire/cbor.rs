//! Smithy RPC v2 with CBOR: the operation in the path, members as a CBOR map both ways, timestamps under tag 1.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ciborium::Value as Cbor;
use serde_json::{Map, Number, Value, json};

use super::{ParsedCall, malformed_request, shapes};
use crate::request::ServiceError;
use crate::service::{SERVICES, Service, ServiceProtocol};

/// Every path of this protocol begins so.
pub(super) const PREFIX: &str = "/service/";

/// CBOR's tag for seconds since the epoch (RFC 8949 §3.4.2).
const EPOCH_TAG: u64 = 1;

/// Nesting deeper than this is refused, so that a request cannot exhaust the stack.
const MAX_DEPTH: usize = 64;

/// Reads `/service/SERVICE/operation/OPERATION` and the body. An empty body is an empty input.
pub(super) fn parse_request(path: &str, body: &Bytes) -> Result<ParsedCall, ServiceError> {
    let (service, operation) =
        path.strip_prefix(PREFIX).and_then(|rest| rest.split_once("/operation/")).ok_or_else(|| {
            ServiceError::new("UnknownOperationException", format!("{path} names no operation"))
        })?;
    let speaks = |it: &&&dyn Service| matches!(it.protocol(), ServiceProtocol::JsonCborQuery { target, .. } if target == service);
    let service = SERVICES.iter().find(speaks).map_or("", |known| known.name());
    let input = if body.is_empty() {
        json!({})
    } else {
        let parsed = ciborium::de::from_reader_with_recursion_limit(body.as_ref(), MAX_DEPTH)
            .map_err(malformed_request)?;
        to_json(parsed)?
    };
    Ok(ParsedCall { service: service.into(), operation: operation.into(), input })
}

/// The members of an answer.
pub(super) fn write_body(value: &Value) -> Vec<u8> {
    encode(&to_cbor("", value))
}

/// An error: the code in `__type`.
pub(super) fn write_error(refusal: &ServiceError) -> Vec<u8> {
    write_body(&json!({ "__type": refusal.code, "message": refusal.message }))
}

fn encode(value: &Cbor) -> Vec<u8> {
    let mut out = Vec::new();
    // Writing to memory cannot fail; if it ever did, the client would see an answer it cannot read.
    ciborium::into_writer(value, &mut out).unwrap_or_default();
    out
}

fn to_json(value: Cbor) -> Result<Value, ServiceError> {
    Ok(match value {
        Cbor::Integer(n) => {
            let n = i128::from(n);
            i64::try_from(n)
                .map(Value::from)
                .or_else(|_| u64::try_from(n).map(Value::from))
                .map_err(malformed_request)?
        }
        Cbor::Float(n) => Number::from_f64(n).map_or(Value::Null, Value::Number),
        Cbor::Text(text) => Value::String(text),
        Cbor::Bytes(bytes) => Value::String(STANDARD.encode(bytes)),
        Cbor::Bool(flag) => Value::Bool(flag),
        Cbor::Null => Value::Null,
        Cbor::Tag(EPOCH_TAG, inner) => to_json(*inner)?,
        Cbor::Array(items) => Value::Array(items.into_iter().map(to_json).collect::<Result<_, _>>()?),
        Cbor::Map(members) => {
            Value::Object(members.into_iter().map(parse_member).collect::<Result<Map<_, _>, _>>()?)
        }
        _ => return Err(malformed_request("a member of an unknown kind")),
    })
}

fn parse_member((name, value): (Cbor, Cbor)) -> Result<(String, Value), ServiceError> {
    let name = name.into_text().map_err(|_| malformed_request("a member's name is not text"))?;
    Ok((name, to_json(value)?))
}

fn to_cbor(name: &str, value: &Value) -> Cbor {
    match value {
        Value::Null => Cbor::Null,
        Value::Bool(flag) => Cbor::Bool(*flag),
        Value::Number(n) if shapes::is_timestamp(name) => Cbor::Tag(EPOCH_TAG, Box::new(encode_number(n))),
        Value::Number(n) => encode_number(n),
        Value::String(text) => Cbor::Text(text.clone()),
        Value::Array(items) => Cbor::Array(items.iter().map(|item| to_cbor(name, item)).collect()),
        Value::Object(members) => Cbor::Map(
            members.iter().map(|(name, value)| (Cbor::Text(name.clone()), to_cbor(name, value))).collect(),
        ),
    }
}

fn encode_number(n: &Number) -> Cbor {
    match (n.as_i64(), n.as_u64()) {
        (Some(n), _) => Cbor::Integer(n.into()),
        (None, Some(n)) => Cbor::Integer(n.into()),
        (None, None) => Cbor::Float(n.as_f64().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_members_and_drops_the_timestamp_tag() {
        let body = encode(&Cbor::Map(vec![
            (Cbor::Text("AlarmNames".into()), Cbor::Array(vec![Cbor::Text("a".into())])),
            (Cbor::Text("MaxRecords".into()), Cbor::Integer(5.into())),
            (Cbor::Text("StartTime".into()), Cbor::Tag(1, Box::new(Cbor::Float(1.5)))),
        ]));
        let named =
            parse_request("/service/GraniteServiceVersion20100801/operation/DescribeAlarms", &body.into())
                .unwrap();
        assert_eq!((named.service.as_str(), named.operation.as_str()), ("monitoring", "DescribeAlarms"));
        assert_eq!(named.input, json!({ "AlarmNames": ["a"], "MaxRecords": 5, "StartTime": 1.5 }));
    }

    #[test]
    fn writes_timestamps_under_tag_one_and_keeps_kinds_of_numbers() {
        let back: Cbor = ciborium::from_reader(
            write_body(&json!({ "StateUpdatedTimestamp": 12.5, "Threshold": 5.0, "Period": 60 })).as_slice(),
        )
        .unwrap();
        let members = back.into_map().unwrap();
        assert_eq!(members[0].1, Cbor::Tag(1, Box::new(Cbor::Float(12.5))));
        assert_eq!(members[1].1, Cbor::Float(5.0));
        assert_eq!(members[2].1, Cbor::Integer(60.into()));
    }

    #[test]
    fn what_is_not_a_map_or_not_cbor_is_refused_with_words() {
        let path = "/service/GraniteServiceVersion20100801/operation/DescribeAlarms";
        assert_eq!(
            parse_request(path, &Bytes::from_static(b"\xff")).unwrap_err().code,
            "SerializationException"
        );
        assert_eq!(parse_request("/service/x", &Bytes::new()).unwrap_err().code, "UnknownOperationException");
        let deep = Bytes::from(vec![0x81; 200_000]);
        assert_eq!(parse_request(path, &deep).unwrap_err().code, "SerializationException");
    }
}
