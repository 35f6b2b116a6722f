//! Versions of hosted configuration: made, read, listed. A version never changes and its number never comes again.

use serde_json::{Value, json};

use super::super::call::{Answer, More, Refusal};
use super::super::members::{count, text};
use super::super::world::World;
use super::resources::{find_application, find_profile};
use super::state::{Application, Hosted, Profile};
use super::{bad, conflict, flags, listed, missing};

/// `AWS AppConfig hosted configuration store`: the largest size in kilobytes, by default.
const LIMIT: usize = 1024;

/// CreateHostedConfigurationVersion.
pub(super) fn create(world: &mut World, input: &Value, now: f64) -> Answer {
    let at = find_application(&world.appconfig, input)?;
    let application = &mut world.appconfig.applications[at];
    let place = find_profile(application, input)?;
    let profile = &mut application.profiles[place];
    checked(profile, input)?;
    let content = text(input, "Content");
    let is_flags = profile.kind == flags::KIND;
    profile.versions.push(Hosted {
        content: if is_flags { flags::stamped(content, now) } else { content.to_owned() },
        content_type: text(input, "ContentType").to_owned(),
        description: input["Description"].as_str().map(str::to_owned),
        label: input["VersionLabel"].as_str().map(str::to_owned),
    });
    let number = profile.versions.len();
    Ok(shown(application, place, number, true))
}

fn checked(profile: &Profile, input: &Value) -> Result<(), Refusal> {
    let (content, latest) = (text(input, "Content"), input["LatestVersionNumber"].as_u64());
    if profile.location != "hosted" {
        return Err(bad("The configuration profile is not of the type hosted"));
    }
    if content.is_empty() || text(input, "ContentType").is_empty() {
        return Err(bad("Content and Content-Type are required"));
    }
    if latest.is_some_and(|latest| latest != profile.versions.len() as u64) {
        return Err(conflict("The latest version number does not match"));
    }
    if content.len() > LIMIT * 1024 {
        return Err(too_large(content.len()));
    }
    let found = if profile.kind == flags::KIND { flags::faults(content) } else { Vec::new() };
    if found.is_empty() { Ok(()) } else { Err(invalid(&found)) }
}

fn too_large(size: usize) -> Refusal {
    let refusal = Refusal::of(413, "PayloadTooLargeException", "The configuration size is too large");
    let kilobytes = size as f64 / 1024.0;
    with(refusal, json!({ "Measure": "KILOBYTES", "Limit": LIMIT as f64, "Size": kilobytes }))
}

fn invalid(found: &[(String, String)]) -> Refusal {
    let each = found.iter().map(|(place, reason)| {
        json!({ "Type": "JSON_SCHEMA", "Location": place, "Constraint": reason, "Reason": format!("{place}: {reason}") })
    });
    let details = json!({ "InvalidConfiguration": each.collect::<Vec<_>>() });
    let refusal = bad("Error validating the configuration: it does not fit the schema of feature flags");
    with(refusal, json!({ "Reason": "InvalidConfiguration", "Details": details }))
}

fn with(mut refusal: Refusal, members: Value) -> Refusal {
    let members = members.as_object().cloned().unwrap_or_default();
    refusal.more = Some(Box::new(More { members, ..More::default() }));
    refusal
}

/// GetHostedConfigurationVersion.
pub(super) fn get(world: &World, input: &Value) -> Answer {
    let application = &world.appconfig.applications[find_application(&world.appconfig, input)?];
    let place = find_profile(application, input)?;
    let number = count(input, "VersionNumber").unwrap_or_default();
    if number == 0 || number > application.profiles[place].versions.len() {
        return Err(missing("HostedConfigurationVersion", &number.to_string()));
    }
    Ok(shown(application, place, number, true))
}

/// ListHostedConfigurationVersions, newest first.
pub(super) fn list(world: &World, input: &Value) -> Answer {
    let application = &world.appconfig.applications[find_application(&world.appconfig, input)?];
    let place = find_profile(application, input)?;
    let label = text(input, "VersionLabel");
    let fits = |it: &Hosted| label.is_empty() || it.label.as_deref() == Some(label);
    let all = application.profiles[place].versions.iter().enumerate().filter(|(_, it)| fits(it));
    let items = all.map(|(at, _)| shown(application, place, at + 1, false)).rev().collect();
    listed(input, items)
}

fn shown(application: &Application, place: usize, number: usize, whole: bool) -> Value {
    let profile = &application.profiles[place];
    let it = &profile.versions[number - 1];
    json!({
        "ApplicationId": application.id, "ConfigurationProfileId": profile.id, "VersionNumber": number,
        "Description": it.description, "ContentType": it.content_type, "VersionLabel": it.label,
        "Content": whole.then_some(&it.content),
    })
}
