//! The JSON Schema of the deploy file, made from the types that read it.

use schemars::{JsonSchema, schema_for};
use serde_json::{Map, Value, json};

use crate::config::{Common, Environment, Notify};
use crate::image::Build;
use crate::targets::{appconfig, argocd, ecs};

/// The schema, pretty-printed; the file `schema/roadstead.schema.json` is this text.
pub fn schema() -> String {
    let mut definitions = Map::new();
    let environment = part::<Environment>(&mut definitions);
    let mut service = part::<Common>(&mut definitions);
    let notify = part::<Notify>(&mut definitions);
    let build = part::<Build>(&mut definitions);
    let ecs = part::<ecs::Settings>(&mut definitions);
    let argocd = part::<argocd::Settings>(&mut definitions);
    let appconfig = part::<appconfig::Settings>(&mut definitions);
    if let Some(properties) = service.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("build".into(), build);
        properties.insert("ecs".into(), ecs);
        properties.insert("argocd".into(), argocd);
        properties.insert("appconfig".into(), appconfig);
        properties.insert(
            "environments".into(),
            json!({
                "type": "object",
                "description": "Overrides by environment, merged over the rest of the service.",
                "additionalProperties": { "type": "object" },
            }),
        );
    }
    let whole = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Roadstead deploy file",
        "type": "object",
        "additionalProperties": false,
        "required": ["environments", "services"],
        "properties": {
            "environments": {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": { "anyOf": [environment, { "type": "null" }] },
            },
            "atomic": {
                "type": "boolean",
                "default": false,
                "description": "Whether the services of a run belong together: when one fails, what was moved of the others is taken back, and nothing more is started.",
            },
            "services": { "type": "object", "minProperties": 1, "additionalProperties": service },
            "notify": notify,
        },
        "$defs": definitions,
    });
    serde_json::to_string_pretty(&whole).unwrap_or_default()
}

fn part<T: JsonSchema>(definitions: &mut Map<String, Value>) -> Value {
    let mut schema = serde_json::to_value(schema_for!(T)).unwrap_or_default();
    if let Some(object) = schema.as_object_mut() {
        object.remove("$schema");
        if let Some(Value::Object(more)) = object.remove("$defs") {
            definitions.extend(more);
        }
    }
    schema
}
