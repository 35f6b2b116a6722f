//! Templates with another image or other variables, and the patch that brings one into service. Pure. Nothing but the template is
//! ever changed: no copies, no annotations.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::template::{container_image, template_containers};
use crate::problem::list::name_list;
use crate::problem::{Code, Problem};
use crate::release::{Change, Changes, ContainerImages, HiddenChange, ImageRef};

/// What `stage` records: the template that serves and the one that will.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StagedTemplate {
    /// Identity of the workload.
    pub uid: String,
    /// The template that serves.
    pub before: Value,
    /// The new template.
    pub after: Value,
}

/// What changes in a template.
#[derive(Debug, Clone, Default)]
pub struct TemplateChange<'c> {
    /// The image of the deployed container.
    pub image: Option<&'c ImageRef>,
    /// Images of further containers.
    pub further_images: Option<&'c ContainerImages>,
    /// Variables to set.
    pub variables: BTreeMap<&'c str, &'c str>,
    /// Variables to remove.
    pub removed: Vec<&'c str>,
}

/// The name of the container that is deployed: the named one, else the only one. Errors list the containers that exist.
pub fn find_container(template: &Value, named: Option<&str>) -> Result<String, Problem> {
    let names: Vec<&str> = template_containers(template).filter_map(|one| one["name"].as_str()).collect();
    let list = || name_list(names.iter().copied());
    if let Some(named) = named {
        let near = || crate::problem::suggest(named, names.iter().copied());
        return names.contains(&named).then(|| named.to_owned()).ok_or_else(|| {
            let sentence = format!("The pods have no container `{named}`. Nothing was changed.");
            let help = match near() {
                Some(near) => format!("Did you mean `{near}`? The containers are {}.", list()),
                None => format!("The containers are {}.", list()),
            };
            Problem::error(Code::ContainerAmbiguous, sentence).help(help)
        });
    }
    let regular: Vec<&str> = template["spec"]["containers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one["name"].as_str())
        .collect();
    match regular.as_slice() {
        [one] => Ok((*one).to_owned()),
        _ => {
            let sentence = "The pods have several containers, and it is not said which one gets the image.";
            let help = format!("Set `container`. The containers are {}.", list());
            Err(Problem::error(Code::ContainerAmbiguous, sentence).help(help))
        }
    }
}

/// The template with a change; everything else is as it was.
pub fn changed_template(
    template: &Value,
    container: &str,
    change: &TemplateChange<'_>,
) -> Result<Value, Vec<Problem>> {
    let mut changed = template.clone();
    if let Some(image) = change.image {
        set_image(&mut changed, container, image);
    }
    for (name, image) in change.further_images.into_iter().flatten() {
        find_container(template, Some(name)).map_err(|problem| vec![problem])?;
        set_image(&mut changed, name, image);
    }
    let clashes: Vec<Problem> =
        change.variables.keys().filter_map(|name| reference_clash(template, container, name)).collect();
    if !clashes.is_empty() {
        return Err(clashes);
    }
    if let Some(one) = container_mut(&mut changed, container) {
        change.variables.iter().for_each(|(name, value)| set_variable(one, name, value));
        remove_variables(one, &change.removed);
    }
    Ok(changed)
}

fn container_mut<'t>(template: &'t mut Value, name: &str) -> Option<&'t mut Value> {
    let spec = template.get_mut("spec").and_then(Value::as_object_mut)?;
    let lists = spec.iter_mut().filter(|(key, _)| matches!(key.as_str(), "containers" | "initContainers"));
    lists.filter_map(|(_, list)| list.as_array_mut()).flatten().find(|one| one["name"] == name)
}

fn set_image(template: &mut Value, container: &str, image: &ImageRef) {
    if let Some(members) = container_mut(template, container).and_then(Value::as_object_mut) {
        members.insert("image".into(), json!(pinned(image)));
    }
}

/// The reference as it is written: by digest, without a tag beside it.
fn pinned(image: &ImageRef) -> String {
    match &image.digest {
        Some(digest) => image.with_digest(digest.clone()).to_string(),
        None => image.to_string(),
    }
}

/// A variable that is taken from a Secret or a ConfigMap is not replaced by a plain one.
fn reference_clash(template: &Value, container: &str, name: &str) -> Option<Problem> {
    let one = template_containers(template).find(|one| one["name"] == container)?;
    let variable = one["env"].as_array()?.iter().find(|variable| variable["name"] == name)?;
    (!variable["valueFrom"].is_null()).then(|| {
        let sentence = format!(
            "`{name}` is taken from another object (`valueFrom`), and only plain variables can be set."
        );
        Problem::error(Code::InputInvalid, sentence)
            .help("Change that object, or the manifest of the workload.")
    })
}

fn set_variable(container: &mut Value, name: &str, value: &str) {
    let Some(members) = container.as_object_mut() else { return };
    let list = members.entry("env").or_insert_with(|| json!([]));
    let Some(variables) = list.as_array_mut() else { return };
    // The server leaves an empty value out.
    let entry = match value {
        "" => json!({ "name": name }),
        value => json!({ "name": name, "value": value }),
    };
    match variables.iter_mut().find(|variable| variable["name"] == name) {
        Some(known) if known["value"].as_str().unwrap_or_default() == value => {}
        Some(known) => *known = entry,
        None => variables.push(entry),
    }
}

fn remove_variables(container: &mut Value, names: &[&str]) {
    let Some(members) = container.as_object_mut() else { return };
    let Some(variables) = members.get_mut("env").and_then(Value::as_array_mut) else { return };
    variables.retain(|variable| !names.iter().any(|name| variable["name"] == *name));
    if variables.is_empty() {
        members.remove("env");
    }
}

/// The compare-and-swap: the workload is the same object and has the template that was seen, and gets the other one.
pub fn template_patch(uid: &str, before: &Value, after: &Value) -> Value {
    json!([
        { "op": "test", "path": "/metadata/uid", "value": uid },
        { "op": "test", "path": "/spec/template", "value": before },
        { "op": "replace", "path": "/spec/template", "value": after },
    ])
}

/// The changes between two templates, field by field. Values of variables are hidden unless they are named as shown.
pub fn diff(before: &Value, after: &Value, container: &str, shown: &[String]) -> Changes {
    let mut changes = Vec::new();
    for one in template_containers(after) {
        let name = one["name"].as_str().unwrap_or_default();
        let (from, to) = (container_image(before, name), one["image"].as_str());
        if from != to {
            let field = if name == container { "image".to_owned() } else { format!("{name}: image") };
            changes.push(Change::shown(field, from.map(str::to_owned), to.map(str::to_owned)));
        }
        changes.extend(variable_changes(before, one, name, name == container, shown));
    }
    if changes.is_empty() && before != after {
        changes.push(Change::hidden("pod template", HiddenChange::Changed));
    }
    Changes(changes)
}

fn variable_changes(
    before: &Value,
    after: &Value,
    container: &str,
    is_deployed: bool,
    shown: &[String],
) -> Vec<Change> {
    let old = template_containers(before).find(|one| one["name"] == container);
    let (old, new) = (old.map(variables).unwrap_or_default(), variables(after));
    let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let change = |name: &String| {
        let (from, to) = (old.get(name), new.get(name));
        if from == to {
            return None;
        }
        let of = if is_deployed { String::new() } else { format!("{container}: ") };
        let field = format!("{of}environment {name}");
        Some(match shown.contains(name) {
            true => Change::shown(field, from.cloned(), to.cloned()),
            false => Change::hidden(field, HiddenChange::between(from.is_some(), to.is_some())),
        })
    };
    names.into_iter().filter_map(change).collect()
}

fn variables(container: &Value) -> BTreeMap<String, String> {
    let all = container["env"].as_array().map_or(&[][..], Vec::as_slice);
    let read = |one: &Value| {
        let reference = Some(&one["valueFrom"]).filter(|reference| !reference.is_null());
        let value = one["value"].as_str().map(str::to_owned);
        let value = value.or_else(|| reference.map(Value::to_string)).unwrap_or_default();
        Some((one["name"].as_str()?.to_owned(), value))
    };
    all.iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> Value {
        json!({ "metadata": { "labels": { "app": "api" } }, "spec": {
            "containers": [
                { "name": "app", "image": "r/api:v1", "env": [
                    { "name": "A", "value": "1" },
                    { "name": "S", "valueFrom": { "secretKeyRef": { "name": "s", "key": "k" } } },
                ] },
                { "name": "proxy", "image": "envoy:1" },
            ],
            "initContainers": [{ "name": "migrate", "image": "r/api:v1" }],
        } })
    }

    fn image(text: &str) -> ImageRef {
        text.parse().unwrap()
    }

    #[test]
    fn container_is_named_or_the_only_one() {
        assert_eq!(find_container(&template(), Some("migrate")).unwrap(), "migrate");
        let misspelled = find_container(&template(), Some("ap")).unwrap_err();
        assert!(
            misspelled.help.contains("The containers are `app`, `proxy`, `migrate`."),
            "{}",
            misspelled.help
        );
        assert_eq!(find_container(&template(), None).unwrap_err().code, Code::ContainerAmbiguous);
        let single = json!({ "spec": { "containers": [{ "name": "app" }] } });
        assert_eq!(find_container(&single, None).unwrap(), "app");
    }

    #[test]
    fn only_what_is_meant_changes() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let new = image(&format!("r/api:v2@{digest}"));
        let further: ContainerImages = [("migrate".to_owned(), new.clone())].into();
        let change = TemplateChange {
            image: Some(&new),
            further_images: Some(&further),
            variables: [("A", "2"), ("B", "")].into(),
            removed: Vec::new(),
        };
        let after = changed_template(&template(), "app", &change).unwrap();
        let mut expected = template();
        expected["spec"]["containers"][0]["image"] = json!(format!("r/api@{digest}"));
        expected["spec"]["initContainers"][0]["image"] = json!(format!("r/api@{digest}"));
        expected["spec"]["containers"][0]["env"][0]["value"] = json!("2");
        expected["spec"]["containers"][0]["env"].as_array_mut().unwrap().push(json!({ "name": "B" }));
        assert_eq!(after, expected);
        let fields: Vec<String> = diff(&template(), &after, "app", &["A".into()])
            .0
            .into_iter()
            .map(|change| change.field)
            .collect();
        assert_eq!(fields, ["image", "environment A", "environment B", "migrate: image"]);
    }

    #[test]
    fn variable_of_another_object_is_not_replaced() {
        let change = TemplateChange { variables: [("S", "x")].into(), ..TemplateChange::default() };
        let refused = changed_template(&template(), "app", &change).unwrap_err();
        assert!(refused[0].sentence.contains("`valueFrom`"), "{}", refused[0].sentence);
    }

    #[test]
    fn removed_variables_leave_no_trace() {
        let mut single = template();
        single["spec"]["containers"][0]["env"] = json!([{ "name": "A", "value": "1" }]);
        let change = TemplateChange { removed: vec!["A"], ..TemplateChange::default() };
        let after = changed_template(&single, "app", &change).unwrap();
        assert!(after["spec"]["containers"][0].get("env").is_none());
    }

    #[test]
    fn patch_tests_identity_and_template_and_names_nothing_else() {
        let patch = template_patch("u", &template(), &template());
        let paths: Vec<&str> =
            patch.as_array().unwrap().iter().filter_map(|one| one["path"].as_str()).collect();
        assert_eq!(paths, ["/metadata/uid", "/spec/template", "/spec/template"]);
    }
}
