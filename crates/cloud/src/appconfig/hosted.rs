//! Versions of hosted configuration: made, read, listed. A version never changes and its number never comes again.

use serde_json::{Value, json};

use super::super::input::{count_field, str_field};
use super::super::request::{ErrorDetails, ServiceError, ServiceResult};
use super::super::world::World;
use super::resources::{find_application, find_profile};
use super::state::{AppConfigApplication, AppConfigProfile, HostedVersion};
use super::{bad_request, conflict, flag_schema, list_page, not_found};

/// `AWS AppConfig hosted configuration store`: the largest size in kilobytes, by default.
const MAX_KILOBYTES: usize = 1024;

/// CreateHostedConfigurationVersion.
pub(super) fn create_version(world: &mut World, input: &Value, now: f64) -> ServiceResult {
    let at = find_application(&world.appconfig, input)?;
    let application = &mut world.appconfig.applications[at];
    let place = find_profile(application, input)?;
    let profile = &mut application.profiles[place];
    validate_version(profile, input)?;
    let content = str_field(input, "Content");
    let is_flags = profile.profile_type == flag_schema::FEATURE_FLAGS_TYPE;
    profile.versions.push(HostedVersion {
        content: if is_flags { flag_schema::with_timestamps(content, now) } else { content.to_owned() },
        content_type: str_field(input, "ContentType").to_owned(),
        description: input["Description"].as_str().map(str::to_owned),
        label: input["VersionLabel"].as_str().map(str::to_owned),
    });
    let number = profile.versions.len();
    Ok(version_json(application, place, number, true))
}

fn validate_version(profile: &AppConfigProfile, input: &Value) -> Result<(), ServiceError> {
    let (content, latest) = (str_field(input, "Content"), input["LatestVersionNumber"].as_u64());
    if profile.location != "hosted" {
        return Err(bad_request("The configuration profile is not of the type hosted"));
    }
    if content.is_empty() || str_field(input, "ContentType").is_empty() {
        return Err(bad_request("Content and Content-Type are required"));
    }
    if latest.is_some_and(|latest| latest != profile.versions.len() as u64) {
        return Err(conflict("The latest version number does not match"));
    }
    if content.len() > MAX_KILOBYTES * 1024 {
        return Err(payload_too_large(content.len()));
    }
    let found = if profile.profile_type == flag_schema::FEATURE_FLAGS_TYPE {
        flag_schema::schema_violations(content)
    } else {
        Vec::new()
    };
    if found.is_empty() { Ok(()) } else { Err(invalid_configuration(&found)) }
}

fn payload_too_large(size: usize) -> ServiceError {
    let refusal =
        ServiceError::with_status(413, "PayloadTooLargeException", "The configuration size is too large");
    let kilobytes = size as f64 / 1024.0;
    with_members(refusal, json!({ "Measure": "KILOBYTES", "Limit": MAX_KILOBYTES as f64, "Size": kilobytes }))
}

fn invalid_configuration(found: &[(String, String)]) -> ServiceError {
    let each = found.iter().map(|(place, reason)| {
        json!({ "Type": "JSON_SCHEMA", "Location": place, "Constraint": reason, "Reason": format!("{place}: {reason}") })
    });
    let details = json!({ "InvalidConfiguration": each.collect::<Vec<_>>() });
    let refusal =
        bad_request("Error validating the configuration: it does not fit the schema of feature flags");
    with_members(refusal, json!({ "Reason": "InvalidConfiguration", "Details": details }))
}

fn with_members(mut refusal: ServiceError, members: Value) -> ServiceError {
    let members = members.as_object().cloned().unwrap_or_default();
    refusal.details = Some(Box::new(ErrorDetails { members, ..ErrorDetails::default() }));
    refusal
}

/// GetHostedConfigurationVersion.
pub(super) fn get_version(world: &World, input: &Value) -> ServiceResult {
    let application = &world.appconfig.applications[find_application(&world.appconfig, input)?];
    let place = find_profile(application, input)?;
    let number = count_field(input, "VersionNumber").unwrap_or_default();
    if number == 0 || number > application.profiles[place].versions.len() {
        return Err(not_found("HostedConfigurationVersion", &number.to_string()));
    }
    Ok(version_json(application, place, number, true))
}

/// ListHostedConfigurationVersions, newest first.
pub(super) fn list_versions(world: &World, input: &Value) -> ServiceResult {
    let application = &world.appconfig.applications[find_application(&world.appconfig, input)?];
    let place = find_profile(application, input)?;
    let label = str_field(input, "VersionLabel");
    let fits = |it: &HostedVersion| label.is_empty() || it.label.as_deref() == Some(label);
    let all = application.profiles[place].versions.iter().enumerate().filter(|(_, it)| fits(it));
    let items = all.map(|(at, _)| version_json(application, place, at + 1, false)).rev().collect();
    list_page(input, items)
}

fn version_json(application: &AppConfigApplication, place: usize, number: usize, whole: bool) -> Value {
    let profile = &application.profiles[place];
    let it = &profile.versions[number - 1];
    json!({
        "ApplicationId": application.id, "ConfigurationProfileId": profile.id, "VersionNumber": number,
        "Description": it.description, "ContentType": it.content_type, "VersionLabel": it.label,
        "Content": whole.then_some(&it.content),
    })
}
