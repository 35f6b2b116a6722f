//! Changes of variables of the running definition: the new definition, its problems and its notices. Pure.

use serde_json::{Value, json};

use super::super::read::list_field;
use super::super::settings::Settings;
use super::definition::{self, containers, find_container};
use super::lint_container;
use crate::problem::{Code, Problem};
use crate::release::{EnvChange, ImageRef, Observed};

/// The running definition with these variables; unchanged if nothing differs. An image that runs by a tag is pinned to
/// its running digest, so that nothing else changes with the variables.
pub fn with_changes(
    observed: &Observed,
    container: Option<&str>,
    changes: &[EnvChange],
) -> Result<Value, Vec<Problem>> {
    let base = definition::with_image(&observed.definition, container, None, &Default::default())?;
    let index = find_container(&base, container).map_err(|problem| vec![problem])?;
    let clashes: Vec<Problem> =
        changes.iter().filter_map(|change| secret_clash(&containers(&base)[index], change)).collect();
    if !clashes.is_empty() {
        return Err(clashes);
    }
    let mut wanted = base.clone();
    if let Some(ours) = wanted.get_mut("containerDefinitions").and_then(|all| all.get_mut(index)) {
        changes.iter().for_each(|change| apply_change(ours, change));
        if let Some(pinned) = pinned_image(observed).filter(|_| *ours != base["containerDefinitions"][index])
        {
            definition::set_field(ours, "image", json!(pinned.to_string()));
        }
    }
    if wanted != base {
        pin_further_images(&mut wanted, observed);
    }
    Ok(wanted)
}

/// Further containers that run by a tag are pinned, too.
fn pin_further_images(wanted: &mut Value, observed: &Observed) {
    let pinned = observed.container_images.iter().filter(|(_, image)| image.digest.is_some());
    for (name, image) in pinned {
        let containers = wanted.get_mut("containerDefinitions").and_then(Value::as_array_mut);
        let own = containers.into_iter().flatten().find(|container| container["name"] == name.as_str());
        if let Some(container) = own.filter(|own| !own["image"].as_str().unwrap_or_default().contains('@')) {
            definition::set_field(container, "image", json!(image.to_string()));
        }
    }
}

fn pinned_image(observed: &Observed) -> Option<ImageRef> {
    let image = observed.image.as_ref().filter(|image| image.digest.is_none())?;
    Some(image.with_digest(observed.digest.clone()?))
}

fn secret_clash(container: &Value, change: &EnvChange) -> Option<Problem> {
    let name = &change.name;
    list_field(container, "secrets").iter().any(|secret| secret["name"] == *name).then(|| {
        let sentence =
            format!("`{name}` is a secret of the container, and `set-env` sets plain variables only.");
        let help = "Change the secret itself, or its entry in `secrets` of the task definition, and deploy.";
        Problem::error(Code::InputInvalid, sentence).help(help)
    })
}

fn apply_change(container: &mut Value, change: &EnvChange) {
    let name = change.name.as_str();
    let Some(value) = &change.value else {
        if let Some(all) = container.get_mut("environment").and_then(Value::as_array_mut) {
            all.retain(|variable| variable["name"] != name);
        }
        return;
    };
    definition::set_variable(container, name, value);
}

/// Notices about these changes: variables that do not exist, values that look like secrets, and variables that the next
/// deploy sets again.
pub fn notices(changes: &[EnvChange], running: &Value, settings: &Settings) -> Vec<Problem> {
    if changes.is_empty() {
        return Vec::new();
    }
    let Ok(index) = find_container(running, settings.container.as_deref()) else { return Vec::new() };
    let there =
        |name: &str| list_field(&containers(running)[index], "environment").iter().any(|v| v["name"] == name);
    let absent =
        changes.iter().filter(|change| change.value.is_none() && !there(&change.name)).map(|change| {
            let sentence = format!("`{}` is not set, so it was not removed.", change.name);
            Problem::notice(Code::EnvChangeTemporary, sentence)
        });
    let plain = changes.iter().filter_map(|change| {
        let value = change.value.as_deref()?;
        lint_container::looks_like_secret(&change.name, value)
            .then(|| lint_container::plain_text_secret(&change.name))
    });
    absent.chain(plain).chain(temporary_notice(changes, settings)).collect()
}

/// A deploy sets the variables of its files, so these changes last until then.
fn temporary_notice(changes: &[EnvChange], settings: &Settings) -> Option<Problem> {
    let help = "To keep the changes, add them there.";
    if let Some(path) = &settings.task_definition {
        let sentence = format!("The next deploy sets the variables of `{path}` and removes all others.");
        return Some(Problem::notice(Code::EnvChangeTemporary, sentence).help(help));
    }
    let declared = changes.iter().filter(|change| settings.environment.contains_key(&change.name));
    let names: Vec<String> = declared.map(|change| format!("`{}`", change.name)).collect();
    let sentence =
        format!("The next deploy sets {} from `ecs.environment` of the deploy file.", names.join(", "));
    (!names.is_empty()).then(|| Problem::notice(Code::EnvChangeTemporary, sentence).help(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env_changes(pairs: &[(&str, Option<&str>)]) -> Vec<EnvChange> {
        let change = |(name, value): &(&str, Option<&str>)| EnvChange {
            name: (*name).to_owned(),
            value: value.map(str::to_owned),
        };
        pairs.iter().map(change).collect()
    }

    fn observed(image: &str, digest: Option<&str>) -> Observed {
        let container = json!({"name":"app","image":image,"environment":[{"name":"A","value":"1"}],
            "secrets":[{"name":"DB","valueFrom":"arn"}]});
        Observed {
            image: image.parse().ok(),
            digest: digest.map(|digest| digest.parse().unwrap()),
            definition: json!({"family":"f","revision":4,"status":"ACTIVE","containerDefinitions":[container]}),
            ..Observed::for_tests()
        }
    }

    const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    #[test]
    fn variables_are_set_and_removed_and_nothing_else_changes() {
        let tell = |image: &str, pairs: &[(&str, Option<&str>)]| {
            let made = with_changes(&observed(image, Some(DIGEST)), None, &env_changes(pairs));
            made.map_or_else(|p| p[0].to_string(), |value| value["containerDefinitions"][0].to_string())
        };
        let pinned = format!("web@{DIGEST}");
        insta::assert_snapshot!([
            tell(&pinned, &[("A", Some("2")), ("B", Some(""))]),
            tell(&pinned, &[("A", None), ("Z", None)]),
            tell("web:v1", &[("A", Some("1")), ("Z", None)]),
            tell("web:v1", &[("A", Some("2"))]),
            tell("web:v1", &[("DB", Some("2"))]),
            tell("web:v1", &[("DB", None)]),
        ].join("\n"), @r#"
        {"name":"app","image":"web@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","environment":[{"name":"A","value":"2"},{"name":"B","value":""}],"secrets":[{"name":"DB","valueFrom":"arn"}]}
        {"name":"app","image":"web@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","environment":[],"secrets":[{"name":"DB","valueFrom":"arn"}]}
        {"name":"app","image":"web:v1","environment":[{"name":"A","value":"1"}],"secrets":[{"name":"DB","valueFrom":"arn"}]}
        {"name":"app","image":"web@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","environment":[{"name":"A","value":"2"}],"secrets":[{"name":"DB","valueFrom":"arn"}]}
        `DB` is a secret of the container, and `set-env` sets plain variables only. Change the secret itself, or its entry in `secrets` of the task definition, and deploy.
        `DB` is a secret of the container, and `set-env` sets plain variables only. Change the secret itself, or its entry in `secrets` of the task definition, and deploy.
        "#);
    }

    #[test]
    fn temporary_changes_are_noticed() {
        let running = observed("web:v1", None).definition;
        let tell = |settings: &Settings, pairs: &[(&str, Option<&str>)]| {
            let all = notices(&env_changes(pairs), &running, settings);
            let all: Vec<String> = all.iter().map(ToString::to_string).collect();
            if all.is_empty() { "nothing".to_owned() } else { all.join(" | ") }
        };
        let bare = Settings::default();
        let file = Settings { task_definition: Some("deploy/web.json".into()), ..Settings::default() };
        let declared =
            Settings { environment: [("A".to_owned(), "1".to_owned())].into(), ..Settings::default() };
        insta::assert_snapshot!([
            tell(&bare, &[("A", Some("2"))]),
            tell(&bare, &[("Z", None)]),
            tell(&bare, &[("API_TOKEN", Some("abcdefghijklmnop1234"))]),
            tell(&file, &[("A", Some("2"))]),
            tell(&declared, &[("A", Some("2")), ("B", Some("2"))]),
            tell(&file, &[]),
        ].join("\n"), @"
        nothing
        `Z` is not set, so it was not removed.
        `API_TOKEN` looks like a secret in plain text. Move it to `secrets` with a Secrets Manager or Parameter Store ARN.
        The next deploy sets the variables of `deploy/web.json` and removes all others. To keep the changes, add them there.
        The next deploy sets `A` from `ecs.environment` of the deploy file. To keep the changes, add them there.
        nothing
        ");
    }
}
