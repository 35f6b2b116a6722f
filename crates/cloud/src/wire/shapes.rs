//! The little that the codecs must know about the service models, because plain JSON does not carry it:
//! which members are timestamps or numbers, and which hold links back to the cloud.

use serde_json::Value;

use crate::request::ServiceCall;

/// Timestamps of the query and CBOR services that are answered here (botocore's models).
pub(super) fn is_timestamp(member: &str) -> bool {
    member.ends_with("Timestamp")
        || ["Timestamps", "Expiration", "CreateDate", "CreatedTime"].contains(&member)
}

/// Members that are integers, in the inputs of the query services: a form carries text only.
pub(super) fn is_integer(member: &str) -> bool {
    [
        "DurationSeconds",
        "MaxItems",
        "MaxDatapoints",
        "Order",
        "Period",
        "MaxRecords",
        "PageSize",
        "Port",
        "Weight",
        "Priority",
    ]
    .contains(&member)
}

/// ECR's download links are made by the service as a path and get the address by which the client came,
/// which only the transport knows.
pub(super) fn with_links(call: &ServiceCall, origin: &str, mut value: Value) -> Value {
    if (call.service.as_str(), call.operation.as_str()) == ("ecr", "GetDownloadUrlForLayer")
        && let Some(Value::String(url)) = value.get_mut("downloadUrl")
        && url.starts_with('/')
    {
        url.insert_str(0, origin);
    }
    value
}

/// Members that are null are absent: AWS never sends them.
pub(super) fn without_nulls(mut value: Value) -> Value {
    drop_nulls(&mut value);
    value
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, value| !value.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nulls_are_absent_at_every_depth() {
        let value = json!({ "a": null, "b": [{ "c": null, "d": 1 }] });
        assert_eq!(without_nulls(value), json!({ "b": [{ "d": 1 }] }));
    }
}
