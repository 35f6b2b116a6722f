//! The JSON Schemas of the deploy file and of scenario files, generated from the types that parse them.

use schemars::{JsonSchema, Schema, schema_for};
use serde_json::{Map, Value, json};

use crate::config::{Environment, NotifySettings, RegistryCredentials, ServiceConfig};
use crate::image::Build;
use crate::targets::KINDS;
use roadstead_cloud::scenario::Scenario;

/// The schema, pretty-printed; `schema/roadstead.schema.json` is this text.
pub fn schema() -> String {
    let mut definitions = Map::new();
    let environment = subschema::<Environment>(&mut definitions);
    let mut service = subschema::<ServiceConfig>(&mut definitions);
    let notify = subschema::<NotifySettings>(&mut definitions);
    let build = subschema::<Build>(&mut definitions);
    let credentials = subschema::<RegistryCredentials>(&mut definitions);
    let targets: Vec<_> =
        KINDS.iter().map(|kind| (kind.key(), embed(kind.schema(), &mut definitions))).collect();
    // Blocks of targets refer to it, too.
    definitions.insert("Build".into(), build);
    if let Some(properties) = service.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("build".into(), json!({ "$ref": "#/$defs/Build" }));
        properties.extend(targets.into_iter().map(|(key, block)| (key.to_owned(), block)));
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
                "description": "Whether the services of a run are released together: if one fails, the others are rolled back and no further rollout is started.",
            },
            "services": { "type": "object", "minProperties": 1, "additionalProperties": service },
            "notify": notify,
            "registries": {
                "type": "object",
                "description": "Logins for registries, by their host: to push images, and to pull base images. ECR needs none.",
                "additionalProperties": credentials,
            },
        },
        "$defs": definitions,
    });
    serde_json::to_string_pretty(&whole).unwrap_or_default()
}

/// The schema of scenario files, pretty-printed; `schema/scenario.schema.json` is this text.
pub fn scenario_schema() -> String {
    let mut whole = schema_for!(Scenario);
    whole.insert("title".into(), "Roadstead scenario file".into());
    serde_json::to_string_pretty(&whole).unwrap_or_default()
}

fn subschema<T: JsonSchema>(definitions: &mut Map<String, Value>) -> Value {
    embed(schema_for!(T), definitions)
}

/// A schema as a part of another: what it defines goes to the definitions of the whole.
fn embed(schema: Schema, definitions: &mut Map<String, Value>) -> Value {
    // Serialized, so that title and description come first: the file is compared byte by byte.
    let mut schema = serde_json::to_value(schema).unwrap_or_default();
    if let Some(object) = schema.as_object_mut() {
        object.remove("$schema");
        if let Some(Value::Object(more)) = object.remove("$defs") {
            definitions.extend(more);
        }
    }
    schema
}
