//! JSON Patch (RFC 6902), and what the API server refuses in a workload.

use serde_json::Value;

use super::responses::{invalid_object, invalid_patch};
use crate::request::ServiceError;

/// The object after a JSON Patch. A `test` that fails is `Invalid`, and nothing is changed.
pub fn apply_json_patch(object: &Value, operations: &Value) -> Result<Value, ServiceError> {
    let operations = operations.as_array().ok_or_else(invalid_patch)?;
    operations.iter().try_fold(object.clone(), apply_operation)
}

fn apply_operation(mut object: Value, operation: &Value) -> Result<Value, ServiceError> {
    let path = operation["path"].as_str().ok_or_else(invalid_patch)?;
    let value = operation.get("value").cloned();
    match operation["op"].as_str() {
        Some("test") => {
            let is_same = object.pointer(path).unwrap_or(&Value::Null) == &value.unwrap_or_default();
            if is_same { Ok(object) } else { Err(invalid_patch()) }
        }
        Some("replace") => {
            let place = object.pointer_mut(path).ok_or_else(invalid_patch)?;
            *place = value.ok_or_else(invalid_patch)?;
            Ok(object)
        }
        Some("add") => {
            let (parent, name) = path.rsplit_once('/').ok_or_else(invalid_patch)?;
            let place =
                object.pointer_mut(parent).and_then(Value::as_object_mut).ok_or_else(invalid_patch)?;
            place.insert(name.replace("~1", "/").replace("~0", "~"), value.ok_or_else(invalid_patch)?);
            Ok(object)
        }
        _ => Err(invalid_patch()),
    }
}

/// What is wrong with a workload's template.
pub fn validate_template(kind: &str, object: &Value) -> Result<(), ServiceError> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let containers = object["spec"]["template"]["spec"]["containers"].as_array().cloned().unwrap_or_default();
    let place = |at: usize, field: &str| format!("spec.template.spec.containers[{at}].{field}");
    if containers.is_empty() {
        return Err(invalid_object(kind, name, "spec.template.spec.containers: Required value"));
    }
    for (at, container) in containers.iter().enumerate() {
        let text = |field: &str| container[field].as_str().unwrap_or_default();
        if text("image").is_empty() {
            return Err(invalid_object(kind, name, &format!("{}: Required value", place(at, "image"))));
        }
        if containers[..at].iter().any(|other| other["name"] == container["name"]) {
            let words = format!("{}: Duplicate value: \"{}\"", place(at, "name"), text("name"));
            return Err(invalid_object(kind, name, &words));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn failed_test_of_a_patch_is_invalid_and_changes_nothing() {
        let object = json!({ "metadata": { "uid": "u" }, "spec": { "template": { "a": 1 } } });
        let patch = |uid: &str| {
            json!([
                { "op": "test", "path": "/metadata/uid", "value": uid },
                { "op": "replace", "path": "/spec/template", "value": { "a": 2 } },
            ])
        };
        let after = apply_json_patch(&object, &patch("u")).unwrap();
        assert_eq!(after["spec"]["template"], json!({ "a": 2 }));
        let refused = apply_json_patch(&object, &patch("v")).unwrap_err();
        assert_eq!((refused.status, refused.code.as_str()), (422, "Invalid"));
    }
}
