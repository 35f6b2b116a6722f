//! Variables of the running definition that are to be set or taken away: what is made of it, and what is wrong or worth
//! knowing. Pure.

use serde_json::{Value, json};

use super::definition::{self, containers, find_container};
use super::lint_container;
use super::read::list;
use super::settings::Settings;
use crate::problem::{Code, Problem};
use crate::release::{EnvChange, ImageRef, Observed};

/// The running definition with these variables; the same where nothing of them changes anything. What runs by a tag is
/// pinned to the digest that runs, so that nothing else changes with the variables.
pub fn applied(
    seen: &Observed,
    container: Option<&str>,
    changes: &[EnvChange],
) -> Result<Value, Vec<Problem>> {
    let base = definition::prepare(&seen.definition, container, None, &Default::default())?;
    let index = find_container(&base, container).map_err(|problem| vec![problem])?;
    let clashes: Vec<Problem> =
        changes.iter().filter_map(|change| clash(&containers(&base)[index], change)).collect();
    if !clashes.is_empty() {
        return Err(clashes);
    }
    let mut wanted = base.clone();
    changes.iter().for_each(|change| apply(&mut wanted["containerDefinitions"][index], change));
    if wanted == base {
        return Ok(base);
    }
    if let Some(pinned) = pinned(seen) {
        wanted["containerDefinitions"][index]["image"] = json!(pinned.to_string());
    }
    Ok(wanted)
}

fn pinned(seen: &Observed) -> Option<ImageRef> {
    let image = seen.image.as_ref().filter(|image| image.digest.is_none())?;
    Some(image.pinned(seen.digest.clone()?))
}

fn clash(container: &Value, change: &EnvChange) -> Option<Problem> {
    let name = &change.name;
    list(container, "secrets").iter().any(|secret| secret["name"] == *name).then(|| {
        let sentence = format!("`{name}` is a secret of the container, and `set-env` sets plain variables only.");
        let help = "It is set in `secrets` of the task definition: change the secret itself, or that entry, and deploy.";
        Problem::error(Code::InputInvalid, sentence).help(help)
    })
}

fn apply(container: &mut Value, change: &EnvChange) {
    let name = change.name.as_str();
    let Some(value) = &change.value else {
        if let Some(all) = container["environment"].as_array_mut() {
            all.retain(|variable| variable["name"] != name);
        }
        return;
    };
    definition::set_variable(container, name, value);
}

/// What is worth knowing of these changes: what is not there to be taken away, what looks like a secret, and what the next
/// deploy will set again.
pub fn notices(changes: &[EnvChange], running: &Value, settings: &Settings) -> Vec<Problem> {
    if changes.is_empty() {
        return Vec::new();
    }
    let Ok(index) = find_container(running, settings.container.as_deref()) else { return Vec::new() };
    let there =
        |name: &str| list(&containers(running)[index], "environment").iter().any(|v| v["name"] == name);
    let absent =
        changes.iter().filter(|change| change.value.is_none() && !there(&change.name)).map(|change| {
            let sentence = format!("`{}` is not set, so there is nothing to take away.", change.name);
            Problem::notice(Code::SettingPassing, sentence)
        });
    let plain = changes.iter().filter_map(|change| {
        let value = change.value.as_deref()?;
        lint_container::looks_secret(&change.name, value).then(|| lint_container::in_plain_text(&change.name))
    });
    absent.chain(plain).chain(passing(changes, settings)).collect()
}

/// A deploy sets what its files say, so these variables last until then.
fn passing(changes: &[EnvChange], settings: &Settings) -> Option<Problem> {
    let help = "To keep them, write them there too.";
    if let Some(path) = &settings.task_definition {
        let sentence = format!(
            "The next deploy sets the variables that `{path}` has, and takes away what it does not have."
        );
        return Some(Problem::notice(Code::SettingPassing, sentence).help(help));
    }
    let declared = changes.iter().filter(|change| settings.environment.contains_key(&change.name));
    let names: Vec<String> = declared.map(|change| format!("`{}`", change.name)).collect();
    let sentence =
        format!("The next deploy sets {} as `ecs.environment` of the deploy file says.", names.join(", "));
    (!names.is_empty()).then(|| Problem::notice(Code::SettingPassing, sentence).help(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pairs: &[(&str, Option<&str>)]) -> Vec<EnvChange> {
        let change = |(name, value): &(&str, Option<&str>)| EnvChange {
            name: (*name).to_owned(),
            value: value.map(str::to_owned),
        };
        pairs.iter().map(change).collect()
    }

    fn seen(image: &str, digest: Option<&str>) -> Observed {
        let container = json!({"name":"app","image":image,"environment":[{"name":"A","value":"1"}],
            "secrets":[{"name":"DB","valueFrom":"arn"}]});
        Observed {
            image: image.parse().ok(),
            digest: digest.map(|digest| digest.parse().unwrap()),
            definition: json!({"family":"f","revision":4,"status":"ACTIVE","containerDefinitions":[container]}),
            ..Observed::blank()
        }
    }

    const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    #[test]
    fn variables_are_set_and_taken_away_and_nothing_else_changes() {
        let tell = |image: &str, pairs: &[(&str, Option<&str>)]| {
            let made = applied(&seen(image, Some(DIGEST)), None, &set(pairs));
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
        `DB` is a secret of the container, and `set-env` sets plain variables only. It is set in `secrets` of the task definition: change the secret itself, or that entry, and deploy.
        `DB` is a secret of the container, and `set-env` sets plain variables only. It is set in `secrets` of the task definition: change the secret itself, or that entry, and deploy.
        "#);
    }

    #[test]
    fn what_does_not_last_is_said() {
        let running = seen("web:v1", None).definition;
        let tell = |settings: &Settings, pairs: &[(&str, Option<&str>)]| {
            let all = notices(&set(pairs), &running, settings);
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
        `Z` is not set, so there is nothing to take away.
        `API_TOKEN` looks like a secret and stands in plain text. Move it to `secrets` with a Secrets Manager or Parameter Store ARN.
        The next deploy sets the variables that `deploy/web.json` has, and takes away what it does not have. To keep them, write them there too.
        The next deploy sets `A` as `ecs.environment` of the deploy file says. To keep them, write them there too.
        nothing
        ");
    }
}
