//! What Argo CD would make of the files of a source: their documents, and the images that end up in containers.
//! A reader of its own: the engine's edits are judged by it, so it shares nothing with them.

use std::collections::BTreeMap;

use serde_json::Value;

/// Documents and images of an application.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RenderedManifests {
    /// Documents by path: two renderings with the same documents are in sync, whatever their comments.
    pub documents: BTreeMap<String, Vec<Value>>,
    /// Image references in order of their first appearance.
    pub images: Vec<String>,
}

/// How deep kustomizations may name others.
const MAX_DEPTH: usize = 8;

/// Render `paths`; `file` gives the text of a path. The error is what a manifest generation would say.
pub fn render(paths: &[String], file: &dyn Fn(&str) -> Option<String>) -> Result<RenderedManifests, String> {
    let mut rendered = RenderedManifests::default();
    for path in paths {
        // Each file is a root of its own: entries of one kustomization do not touch what another file makes.
        let mut part = BTreeMap::new();
        add_path(path, file, MAX_DEPTH, &mut part)?;
        let new: Vec<String> =
            collect_images(&part).into_iter().filter(|image| !rendered.images.contains(image)).collect();
        rendered.images.extend(new);
        rendered.documents.extend(part);
    }
    Ok(rendered)
}

/// Add a path, and what a kustomization there names.
fn add_path(
    path: &str,
    file: &dyn Fn(&str) -> Option<String>,
    depth: usize,
    into: &mut BTreeMap<String, Vec<Value>>,
) -> Result<(), String> {
    if into.contains_key(path) {
        return Ok(());
    }
    let text = file(path).ok_or_else(|| format!("{path}: app path does not exist"))?;
    let documents = parse_documents(path, &text)?;
    let named: Vec<String> = documents.iter().flat_map(kustomization_resources).collect();
    into.insert(path.to_owned(), documents);
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    for name in named.iter().filter(|name| depth > 0 && !name.contains("://")) {
        if let Some(found) = resource_paths(folder, name).into_iter().find(|path| file(path).is_some()) {
            add_path(&found, file, depth - 1, into)?;
        }
    }
    Ok(())
}

fn parse_documents(path: &str, text: &str) -> Result<Vec<Value>, String> {
    serde_saphyr::from_multiple::<Value>(text.trim_start_matches('\u{feff}'))
        .map_err(|error| format!("{path}: {error}"))
}

/// What a kustomization names: files and folders of its repository.
fn kustomization_resources(document: &Value) -> Vec<String> {
    let lists = ["resources", "bases", "components"];
    let is = document.get("images").is_some() || document["kind"] == "Kustomization";
    let lists = lists.iter().filter(|_| is).filter_map(|key| document.get(key)?.as_array());
    lists.flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

/// Where a named resource may be: the file itself, or the kustomization of a folder.
fn resource_paths(folder: &str, name: &str) -> Vec<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let at = parts.join("/");
    let inside = ["kustomization.yaml", "kustomization.yml"].map(|file| format!("{at}/{file}"));
    std::iter::once(at).chain(inside).collect()
}

/// Images of all documents: containers of manifests, changed by the entries of kustomizations; without any manifest
/// the entries themselves; and those of values.
fn collect_images(documents: &BTreeMap<String, Vec<Value>>) -> Vec<String> {
    let all = || documents.values().flatten();
    let entries: Vec<&Value> = all()
        .filter(|it| it.get("kind").is_none_or(|kind| kind == "Kustomization"))
        .filter_map(|it| it.get("images")?.as_array())
        .flatten()
        .collect();
    let mut containers = Vec::new();
    for document in all().filter(|it| it.get("apiVersion").is_some() && it["kind"] != "Kustomization") {
        collect_container_images(document, &mut containers);
    }
    let mut found: Vec<String> = if containers.is_empty() {
        entries.iter().filter_map(|entry| transform_image(entry, entry["name"].as_str()?)).collect()
    } else {
        containers.iter().map(|image| apply_image_entries(&entries, image)).collect()
    };
    for document in all().filter(|it| it.get("kind").is_none()) {
        collect_value_images(document, &mut found);
    }
    let mut unique = Vec::new();
    found.into_iter().for_each(|image| {
        if !unique.contains(&image) {
            unique.push(image)
        }
    });
    unique
}

/// `image` of every container below a node.
fn collect_container_images(node: &Value, found: &mut Vec<String>) {
    match node {
        Value::Object(members) => {
            for (key, value) in members {
                if ["containers", "initContainers"].contains(&key.as_str()) {
                    let list = value.as_array().map_or(&[][..], Vec::as_slice);
                    found.extend(list.iter().filter_map(|it| it["image"].as_str().map(str::to_owned)));
                } else {
                    collect_container_images(value, found);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_container_images(item, found)),
        _ => {}
    }
}

/// A container's image after the entry of its name, as Kustomize's image transformer has it.
fn apply_image_entries(entries: &[&Value], image: &str) -> String {
    let entry = entries.iter().find(|entry| entry["name"].as_str() == Some(image_name(image)));
    entry.and_then(|entry| transform_image(entry, image)).unwrap_or_else(|| image.to_owned())
}

/// The image that an entry makes of another: its name changes alone, tag and digest replace each other.
fn transform_image(entry: &Value, image: &str) -> Option<String> {
    let text = |key: &str| match entry.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let rest = image.get(image_name(image).len()..)?;
    let rest = match (text("newTag"), text("digest")) {
        (Some(tag), Some(digest)) => format!(":{tag}@{digest}"),
        (Some(tag), None) => format!(":{tag}"),
        (None, Some(digest)) => format!("@{digest}"),
        (None, None) => rest.to_owned(),
    };
    Some(text("newName").unwrap_or_else(|| image_name(image).to_owned()) + &rest)
}

/// A reference without tag and digest; a port of its registry is no tag.
pub(super) fn image_name(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    let slash = image.rfind('/').map_or(0, |at| at + 1);
    image[slash..].find(':').map_or(image, |at| &image[..slash + at])
}

/// Images of Helm values: maps with `repository`, and `image` as one text.
fn collect_value_images(node: &Value, found: &mut Vec<String>) {
    match node {
        Value::Object(members) => {
            let word = |key: &str| members.get(key).map(scalar_text).filter(|text| !text.is_empty());
            if let Some(repository) = word("repository") {
                let registry = word("registry").map_or(String::new(), |registry| registry + "/");
                // A digest wins over a tag, as in the templates that know both.
                let rest = word("digest")
                    .map(|digest| format!("@{digest}"))
                    .or_else(|| word("tag").map(|tag| format!(":{tag}")));
                found.push(registry + &repository + &rest.unwrap_or_default());
            } else if let Some(image) = members.get("image").and_then(Value::as_str) {
                found.push(image.to_owned());
            }
            members
                .iter()
                .filter(|(key, _)| *key != "images")
                .for_each(|(_, value)| collect_value_images(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_value_images(item, found)),
        _ => {}
    }
}

fn scalar_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render_images(files: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let first = vec![files[0].0.to_owned()];
        let file =
            |path: &str| files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned());
        render(&first, &file).map(|rendered| rendered.images)
    }

    #[test]
    fn entries_of_a_kustomization_without_its_manifests() {
        let text = "images:\n- name: web\n  newName: reg:5000/acme/web\n  digest: sha256:aa\n- { name: side, newTag: 1.10 }\n- { name: both, newTag: v1, digest: 'sha256:bb' }\n";
        let found = render_images(&[("a/kustomization.yaml", text)]).unwrap();
        assert_eq!(found[0], "reg:5000/acme/web@sha256:aa");
        assert!(found[1].starts_with("side:1.1"), "an unquoted 1.10 is a number: {}", found[1]);
        assert_eq!(found[2], "both:v1@sha256:bb");
    }

    #[test]
    fn a_kustomization_changes_the_containers_of_its_resources() {
        let base = "apiVersion: apps/v1\nkind: Deployment\nspec: { template: { spec: { containers: [{ image: 'web:v0' }, { image: 'reg:5000/db' }] } } }\n";
        let files = [
            (
                "over/prod/kustomization.yaml",
                "resources: [../../base]\nimages: [{ name: web, newTag: v2 }, { name: unused, newTag: v9 }]",
            ),
            ("base/kustomization.yaml", "kind: Kustomization\nresources: [deploy.yaml]"),
            ("base/deploy.yaml", base),
        ];
        assert_eq!(render_images(&files).unwrap(), ["web:v2", "reg:5000/db"]);
    }

    #[test]
    fn values_in_pairs_and_in_one_text() {
        let text = "backend:\n  image: { registry: reg.example, repository: acme/web, tag: \"1.10\", digest: '' }\nother: { image: 'x:1@sha256:cc' }\njob:\n  image: { repository: acme/job, tag: v1, digest: 'sha256:dd' }\n";
        let found = render_images(&[("values.yaml", text)]).unwrap();
        assert_eq!(found, ["reg.example/acme/web:1.10", "x:1@sha256:cc", "acme/job@sha256:dd"]);
    }

    #[test]
    fn manifests_of_several_documents_and_comments_that_change_nothing() {
        let text = "apiVersion: v1\nkind: Pod\nspec: { containers: [{ image: a }] }\n---\napiVersion: batch/v1\nkind: CronJob\nspec: { jobTemplate: { spec: { template: { spec: { initContainers: [{ image: b }], containers: [{ image: a }] } } } } }\n";
        assert_eq!(render_images(&[("x.yaml", text)]).unwrap(), ["a", "b"]);
        let once = render(&["x".into()], &|_| Some("a: 1 # old".into())).unwrap();
        let again = render(&["x".into()], &|_| Some("# new\na:   1".into())).unwrap();
        assert_eq!(once, again);
    }

    #[test]
    fn unreadable_file_is_an_error() {
        assert!(render_images(&[("x.yaml", "a: [")]).unwrap_err().starts_with("x.yaml: "));
        assert_eq!(render(&["none".into()], &|_| None).unwrap_err(), "none: app path does not exist");
    }
}
