//! Task definitions as values: our container, and the definition to register. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::schema::READ_ONLY_FIELDS;
use crate::problem::{Code, Problem, suggest};
use crate::release::ImageRef;

/// The definition in a response of DescribeTaskDefinition, with the tags next to it.
pub fn with_tags(answer: &Value) -> Value {
    let mut definition = answer["taskDefinition"].clone();
    let tags = answer.get("tags").filter(|tags| tags.as_array().is_some_and(|tags| !tags.is_empty()));
    if let (Value::Object(members), Some(tags)) = (&mut definition, tags) {
        members.insert("tags".into(), tags.clone());
    }
    definition
}

/// The container definitions; empty if there are none.
pub fn containers(definition: &Value) -> &[Value] {
    definition["containerDefinitions"].as_array().map_or(&[], Vec::as_slice)
}

fn name_of(container: &Value) -> &str {
    container["name"].as_str().unwrap_or_default()
}

/// Omitted means essential (RegisterTaskDefinition).
pub fn is_essential(container: &Value) -> bool {
    container["essential"].as_bool().unwrap_or(true)
}

/// The names of the essential containers, in their order.
pub fn essential_containers(definition: &Value) -> Vec<String> {
    let essential = containers(definition).iter().filter(|container| is_essential(container));
    essential.map(|container| name_of(container).to_owned()).collect()
}

/// Finds the container whose image is changed: the named one, the only one, or the only essential one.
pub fn find_container(definition: &Value, named: Option<&str>) -> Result<usize, Problem> {
    let all = containers(definition);
    let names = || all.iter().map(|c| format!("`{}`", name_of(c))).collect::<Vec<_>>().join(", ");
    let matching = |test: &dyn Fn(&Value) -> bool| {
        let found: Vec<usize> = (0..all.len()).filter(|i| test(&all[*i])).collect();
        found
    };
    let unclear =
        |sentence: String, help: String| Err(Problem::error(Code::ContainerAmbiguous, sentence).help(help));
    if all.is_empty() {
        let sentence = "No container can get the image: the task definition has none.";
        return unclear(sentence.into(), "Add `containerDefinitions`.".into());
    }
    let found = match named {
        Some(name) => matching(&|c| name_of(c) == name),
        None if all.len() == 1 => vec![0],
        None => matching(&is_essential),
    };
    match (found.as_slice(), named) {
        ([one], _) => Ok(*one),
        ([], Some(name)) => {
            let near = suggest(name, all.iter().map(name_of)).map(|near| format!("Did you mean `{near}`? "));
            let help = format!("{}The containers are {}.", near.unwrap_or_default(), names());
            unclear(format!("The task definition has no container `{name}`."), help)
        }
        (_, Some(name)) => {
            unclear(format!("Two containers are named `{name}`."), "Names must be unique.".into())
        }
        (_, None) => unclear(
            "The container for the image is ambiguous.".into(),
            format!("Set `ecs.container` to one of {}.", names()),
        ),
    }
}

/// The name of the container whose image is changed; `None` if that is ambiguous.
pub fn container_name(definition: &Value, named: Option<&str>) -> Option<String> {
    let index = find_container(definition, named).ok()?;
    Some(name_of(&containers(definition)[index]).to_owned())
}

/// The image of a container; `None` if it has none that can be parsed.
pub fn image(definition: &Value, container: &str) -> Option<ImageRef> {
    let found = containers(definition).iter().find(|c| name_of(c) == container)?;
    found["image"].as_str()?.parse().ok()
}

/// Log group and stream of a task's container, if it logs by awslogs with a prefix (prefix/container/task-id).
pub fn log_stream(definition: &Value, container: &str, task: &str) -> Option<(String, String)> {
    let found = containers(definition).iter().find(|c| name_of(c) == container)?;
    let logs = &found["logConfiguration"];
    let option = |key: &str| logs["options"][key].as_str();
    let (group, prefix) = (option("awslogs-group")?, option("awslogs-stream-prefix")?);
    (logs["logDriver"] == "awslogs").then(|| (group.to_owned(), format!("{prefix}/{container}/{task}")))
}

/// The definition to register: `base` without the fields of Describe, with `image` and `environment` set on one
/// container. Everything else stays unchanged: unknown keys, empty strings, order.
pub fn with_image(
    base: &Value,
    container: Option<&str>,
    image: Option<&str>,
    environment: &BTreeMap<String, String>,
) -> Result<Value, Vec<Problem>> {
    let index = find_container(base, container).map_err(|problem| vec![problem])?;
    let mut wanted = base.clone();
    if let Value::Object(members) = &mut wanted {
        members.retain(|key, value| !READ_ONLY_FIELDS.contains(&key.as_str()) && !is_empty_tags(key, value));
    }
    let ours = wanted.get_mut("containerDefinitions").and_then(|all| all.get_mut(index));
    let Some(ours) = ours.filter(|ours| ours.is_object()) else { return Err(vec![malformed_container()]) };
    let clashes: Vec<Problem> = environment.keys().filter_map(|name| secret_clash(ours, name)).collect();
    if !clashes.is_empty() {
        return Err(clashes);
    }
    if let Some(image) = image {
        set_field(ours, "image", Value::String(image.to_owned()));
    }
    for (name, value) in environment {
        set_variable(ours, name, value);
    }
    Ok(wanted)
}

/// Sets a member of an object; anything else stays as it is, because it comes from a file or from AWS.
pub fn set_field(object: &mut Value, key: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(key.to_owned(), value);
    }
}

fn malformed_container() -> Problem {
    Problem::error(Code::TaskDefinitionInvalid, "A container of the task definition is not an object.")
        .help("Correct `containerDefinitions`.")
}

/// AWS rejects `tags: []` (`Tags can not be empty.`).
fn is_empty_tags(key: &str, value: &Value) -> bool {
    key == "tags" && (value.is_null() || value.as_array().is_some_and(Vec::is_empty))
}

fn secret_clash(container: &Value, name: &str) -> Option<Problem> {
    let secrets = container["secrets"].as_array().map_or(&[][..], Vec::as_slice);
    secrets.iter().any(|secret| secret["name"] == name).then(|| {
        let sentence =
            format!("`{name}` is already a secret of the container and cannot also be set in plain text.");
        Problem::error(Code::TaskDefinitionInvalid, sentence).help("Remove one of the two.")
    })
}

/// Sets a plain variable of a container, in its position or at the end.
pub fn set_variable(container: &mut Value, name: &str, value: &str) {
    if !container["environment"].is_array() {
        set_field(container, "environment", json!([]));
    }
    let Some(list) = container.get_mut("environment").and_then(Value::as_array_mut) else { return };
    match list.iter_mut().find(|variable| variable["name"] == name) {
        Some(variable) => set_field(variable, "value", Value::String(value.to_owned())),
        None => list.push(json!({"name": name, "value": value})),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn only_image_and_declared_environment_change() {
        let base = json!({"family":"f","revision":3,"status":"ACTIVE","taskDefinitionArn":"x","tags":[],"newKey":{"a":""},
            "containerDefinitions":[
                {"name":"app","image":"old","environment":[{"name":"A","value":""},{"name":"B","value":"1"}],"odd":[]},
                {"name":"side","image":"s","essential":false}]});
        let wanted =
            with_image(&base, None, Some("new@sha256:1"), &environment(&[("B", "2"), ("C", "")])).unwrap();
        assert_eq!(
            wanted.to_string(),
            r#"{"family":"f","newKey":{"a":""},"containerDefinitions":[{"name":"app","image":"new@sha256:1","environment":[{"name":"A","value":""},{"name":"B","value":"2"},{"name":"C","value":""}],"odd":[]},{"name":"side","image":"s","essential":false}]}"#
        );
    }

    #[test]
    fn container_is_found_or_problem_lists_names() {
        let two = json!({"containerDefinitions":[{"name":"app"},{"name":"proxy"}]});
        assert_eq!(find_container(&two, Some("proxy")), Ok(1));
        assert!(find_container(&two, None).unwrap_err().help.contains("`app`, `proxy`"));
        assert!(find_container(&two, Some("ap")).unwrap_err().help.contains("Did you mean `app`"));
        let one = json!({"containerDefinitions":[{"name":"a","essential":false},{"name":"b"}]});
        assert_eq!(find_container(&one, None), Ok(1));
        let none = find_container(&json!({"family":"f"}), Some("a")).unwrap_err();
        assert_eq!(none.sentence, "No container can get the image: the task definition has none.");
        let twice = json!({"containerDefinitions":[{"name":"a"},{"name":"a"}]});
        assert!(find_container(&twice, Some("a")).unwrap_err().sentence.contains("Two containers"));
    }

    #[test]
    fn secret_is_not_overwritten_by_plain_text() {
        let base =
            json!({"containerDefinitions":[{"name":"a","secrets":[{"name":"KEY","valueFrom":"arn"}]}]});
        assert!(with_image(&base, None, None, &environment(&[("KEY", "x")])).is_err());
    }
}
