//! What AWS demands of a configuration of the type `AWS.AppConfig.FeatureFlags`, and what it writes into it
//! (<https://docs.aws.amazon.com/appconfig/latest/userguide/appconfig-type-reference-feature-flags.html>). Pure.

use serde_json::{Value, json};

use super::super::time::iso8601;

/// The type of such profiles.
pub const FEATURE_FLAGS_TYPE: &str = "AWS.AppConfig.FeatureFlags";

/// What is wrong with it: the place and the reason of each.
pub fn schema_violations(content: &str) -> Vec<(String, String)> {
    let Ok(Value::Object(root)) = serde_json::from_str::<Value>(content) else {
        return vec![("$".into(), "is not a JSON object".into())];
    };
    let mut found = Vec::new();
    for key in root.keys().filter(|key| !["version", "flags", "values"].contains(&key.as_str())) {
        found.push((format!("$.{key}"), "is not defined in the schema".into()));
    }
    if root.get("version") != Some(&json!("1")) {
        found.push(("$.version".into(), "must be the constant value '1'".into()));
    }
    let flags = root.get("flags").and_then(Value::as_object).cloned().unwrap_or_default();
    let values = root.get("values").and_then(Value::as_object).cloned().unwrap_or_default();
    for name in flags.keys().filter(|name| !is_flag_name(name)) {
        found.push((format!("$.flags.{name}"), "does not match the regex pattern".into()));
    }
    for (name, value) in &values {
        if !flags.contains_key(name) {
            found.push((format!("$.values.{name}"), "is not defined in flags".into()));
        } else if !value["enabled"].is_boolean() && value.get("_variants").is_none() {
            found.push((format!("$.values.{name}.enabled"), "is missing but it is required".into()));
        }
    }
    found
}

/// `^[a-z][a-zA-Z\d_-]{0,63}$`
fn is_flag_name(name: &str) -> bool {
    let rest = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    name.len() <= 64 && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(rest)
}

/// The content with the times that AppConfig keeps in each flag and value.
pub fn with_timestamps(content: &str, now: f64) -> String {
    let Ok(mut root) = serde_json::from_str::<Value>(content) else { return content.to_owned() };
    for part in ["flags", "values"] {
        let Some(all) = root.get_mut(part).and_then(Value::as_object_mut) else { continue };
        for one in all.values_mut().filter_map(Value::as_object_mut) {
            for key in ["_createdAt", "_updatedAt"] {
                one.entry(key).or_insert_with(|| iso8601(now).into());
            }
        }
    }
    root.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn violations_are_reported_with_their_location() {
        let good = r#"{"version":"1","flags":{"beta":{"name":"Beta"}},"values":{"beta":{"enabled":true}}}"#;
        assert_eq!(schema_violations(good), []);
        let bad = r#"{"version":"2","flags":{"Beta":{}},"values":{"x":{"enabled":true}},"more":1}"#;
        let places: Vec<String> = schema_violations(bad).into_iter().map(|(place, _)| place).collect();
        assert_eq!(places, ["$.more", "$.version", "$.flags.Beta", "$.values.x"]);
        assert_eq!(schema_violations("[]").len(), 1);
    }

    #[test]
    fn timestamps_are_written_into_flags_and_values() {
        let stamped =
            with_timestamps(r#"{"version":"1","flags":{"a":{}},"values":{"a":{"enabled":true}}}"#, 0.0);
        let stamped: Value = serde_json::from_str(&stamped).unwrap();
        assert_eq!(stamped["values"]["a"]["_updatedAt"], stamped["flags"]["a"]["_createdAt"]);
        assert!(stamped["flags"]["a"]["_createdAt"].is_string());
    }
}
