//! AWS REST-JSON, as AppConfig speaks it: method and path name the operation; members are in the path, the query string,
//! headers and the body (botocore's model `appconfig/2019-10-09`).

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use serde_json::{Map, Value};

use super::github_routes::match_path;
use super::{ParsedCall, header_text, malformed_request};
use crate::request::ServiceError;
use crate::service::{ServiceProtocol, find_service};
use crate::time::iso8601;

const APPLICATION_PATH: &str = "/applications/{ApplicationId}";

/// Method, path below an application (or from the root), operation.
const ROUTES: &[(&str, &str, &str)] = &[
    ("GET", "/applications", "ListApplications"),
    ("GET", "/deploymentstrategies", "ListDeploymentStrategies"),
    ("GET", "/deploymentstrategies/{DeploymentStrategyId}", "GetDeploymentStrategy"),
    ("GET", "", "GetApplication"),
    ("GET", "/environments", "ListEnvironments"),
    ("GET", "/environments/{EnvironmentId}", "GetEnvironment"),
    ("GET", "/configurationprofiles", "ListConfigurationProfiles"),
    ("GET", "/configurationprofiles/{ConfigurationProfileId}", "GetConfigurationProfile"),
    ("POST", VERSIONS_PATH, "CreateHostedConfigurationVersion"),
    ("GET", VERSIONS_PATH, "ListHostedConfigurationVersions"),
    ("GET", VERSION_PATH, "GetHostedConfigurationVersion"),
    ("POST", DEPLOYMENTS_PATH, "StartDeployment"),
    ("GET", DEPLOYMENTS_PATH, "ListDeployments"),
    ("GET", DEPLOYMENT_PATH, "GetDeployment"),
    ("DELETE", DEPLOYMENT_PATH, "StopDeployment"),
];
const VERSIONS_PATH: &str = "/configurationprofiles/{ConfigurationProfileId}/hostedconfigurationversions";
const VERSION_PATH: &str =
    "/configurationprofiles/{ConfigurationProfileId}/hostedconfigurationversions/{VersionNumber}";
const DEPLOYMENTS_PATH: &str = "/environments/{EnvironmentId}/deployments";
const DEPLOYMENT_PATH: &str = "/environments/{EnvironmentId}/deployments/{DeploymentNumber}";

/// Members in the query string, by their names there.
const QUERY_MEMBERS: [(&str, &str); 4] = [
    ("max_results", "MaxResults"),
    ("next_token", "NextToken"),
    ("type", "Type"),
    ("version_label", "VersionLabel"),
];
/// Members of hosted versions in headers, in requests and in answers.
const HEADER_MEMBERS: [(&str, &str); 7] = [
    ("application-id", "ApplicationId"),
    ("configuration-profile-id", "ConfigurationProfileId"),
    ("version-number", "VersionNumber"),
    ("description", "Description"),
    ("content-type", "ContentType"),
    ("versionlabel", "VersionLabel"),
    ("latest-version-number", "LatestVersionNumber"),
];
const NUMBER_MEMBERS: [&str; 4] = ["MaxResults", "VersionNumber", "DeploymentNumber", "LatestVersionNumber"];
const TIME_MEMBERS: [&str; 3] = ["StartedAt", "CompletedAt", "OccurredAt"];

/// Whether a request was signed for a service of this protocol.
pub(super) fn is_rest_service(service: &str) -> bool {
    find_service(service).protocol() == ServiceProtocol::RestJson
}

/// Reads a request.
pub(super) fn parse_request(request: &Request<Bytes>) -> Result<ParsedCall, ServiceError> {
    let (method, path) = (request.method().as_str(), request.uri().path());
    let (operation, mut input) = find_operation(method, path).ok_or_else(|| {
        ServiceError::with_status(
            404,
            "UnknownOperationException",
            format!("{method} {path} is no operation"),
        )
    })?;
    for (name, value) in form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()) {
        let member = QUERY_MEMBERS.iter().find(|(query, _)| *query == name).map(|(_, member)| *member);
        input.extend(member.map(|member| (member.to_owned(), Value::from(value.into_owned()))));
    }
    parse_body(operation, request, &mut input)?;
    for member in NUMBER_MEMBERS {
        if let Some(number) = input.get(member).and_then(|value| value.as_str()?.parse::<u64>().ok()) {
            input.insert(member.into(), number.into());
        }
    }
    Ok(ParsedCall { service: "appconfig".into(), operation: operation.into(), input: input.into() })
}

fn find_operation(method: &str, path: &str) -> Option<(&'static str, Map<String, Value>)> {
    let path = path.trim_end_matches('/');
    ROUTES.iter().filter(|(verb, ..)| *verb == method).find_map(|(_, template, operation)| {
        let rooted = ["/applications", "/deploymentstrategies"].iter().any(|root| template.starts_with(root));
        let template = if rooted { (*template).to_owned() } else { format!("{APPLICATION_PATH}{template}") };
        Some((*operation, match_path(&template, path)?))
    })
}

fn parse_body(
    operation: &str,
    request: &Request<Bytes>,
    input: &mut Map<String, Value>,
) -> Result<(), ServiceError> {
    let headers = request.headers();
    match operation {
        "CreateHostedConfigurationVersion" => {
            for (name, member) in HEADER_MEMBERS.iter().filter(|(name, _)| headers.contains_key(*name)) {
                input.insert((*member).into(), header_text(headers, name).into());
            }
            let text = std::str::from_utf8(request.body());
            let text =
                text.map_err(|_| ServiceError::with_status(501, "NotModelled", "content that is not UTF-8"))?;
            input.insert("Content".into(), text.into());
        }
        "StopDeployment" => {
            input.insert("AllowRevert".into(), (header_text(headers, "allow-revert") == "true").into());
        }
        "StartDeployment" => match serde_json::from_slice(request.body()) {
            Ok(Value::Object(members)) => input.extend(members),
            Ok(_) => return Err(malformed_request("Start of structure or map found where not expected.")),
            Err(error) => return Err(malformed_request(error)),
        },
        _ => {}
    }
    Ok(())
}

/// Writes the answer of an operation: a hosted version as its content with the rest in headers, all else as JSON.
pub(super) fn write_response(
    operation: &str,
    mut value: Value,
    mut response: Response<Bytes>,
) -> Response<Bytes> {
    *response.status_mut() = match operation {
        "CreateHostedConfigurationVersion" | "StartDeployment" => StatusCode::CREATED,
        "StopDeployment" => StatusCode::ACCEPTED,
        _ => StatusCode::OK,
    };
    if operation.ends_with("HostedConfigurationVersion") {
        write_headers(&value, response.headers_mut());
        let content = value["Content"].as_str().unwrap_or_default().to_owned();
        *response.body_mut() = Bytes::from(content);
        return response;
    }
    format_times(&mut value);
    *response.body_mut() = Bytes::from(value.to_string());
    response
}

fn write_headers(value: &Value, headers: &mut HeaderMap) {
    for (name, member) in HEADER_MEMBERS {
        let text = match &value[member] {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => continue,
        };
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

fn format_times(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value.as_f64().filter(|_| TIME_MEMBERS.contains(&name.as_str())) {
                    Some(at) => *value = iso8601(at).into(),
                    None => format_times(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(format_times),
        _ => {}
    }
}

/// An error: the code is in a header, the message and what else there is in the body.
pub(super) fn write_error(refusal: &ServiceError) -> Vec<u8> {
    let mut members = refusal.details.as_ref().map(|more| more.members.clone()).unwrap_or_default();
    members.insert("Message".into(), refusal.message.clone().into());
    Value::Object(members).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(method: &str, uri: &str, headers: &[(&str, &str)], body: &str) -> (String, Value) {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let named = parse_request(&request.body(Bytes::from(body.to_owned())).unwrap()).unwrap();
        (named.operation, named.input)
    }

    #[test]
    fn members_come_from_path_query_headers_and_body() {
        let (operation, input) = parse("GET", "http://x/applications?max_results=5", &[], "");
        assert_eq!((operation.as_str(), input), ("ListApplications", json!({ "MaxResults": 5 })));
        let (operation, input) = parse(
            "POST",
            "http://x/applications/a1/configurationprofiles/p1/hostedconfigurationversions",
            &[("Content-Type", "application/json"), ("Latest-Version-Number", "3")],
            "{}",
        );
        assert_eq!(operation, "CreateHostedConfigurationVersion");
        assert_eq!(
            input,
            json!({ "ApplicationId": "a1", "ConfigurationProfileId": "p1", "ContentType": "application/json",
                    "LatestVersionNumber": 3, "Content": "{}" })
        );
        let (operation, input) = parse(
            "DELETE",
            "http://x/applications/a1/environments/e1/deployments/7",
            &[("Allow-Revert", "true")],
            "",
        );
        assert_eq!(operation, "StopDeployment");
        assert_eq!((&input["DeploymentNumber"], &input["AllowRevert"]), (&json!(7), &json!(true)));
        assert!(find_operation("PATCH", "/applications/a1").is_none());
    }

    #[test]
    fn a_hosted_version_is_its_content_and_headers() {
        let value = json!({ "VersionNumber": 4, "ContentType": "text/plain", "Content": "hello" });
        let response = write_response("GetHostedConfigurationVersion", value, Response::new(Bytes::new()));
        assert_eq!(response.body(), "hello");
        assert_eq!(response.headers()["version-number"], "4");
        assert_eq!(response.headers()["content-type"], "text/plain");
    }

    #[test]
    fn times_are_written_as_iso_8601() {
        let value = json!({ "EventLog": [{ "OccurredAt": 0.25 }], "PercentageComplete": 1.0 });
        let response = write_response("StartDeployment", value, Response::new(Bytes::new()));
        assert_eq!(response.status(), 201);
        assert_eq!(
            response.body(),
            r#"{"EventLog":[{"OccurredAt":"1970-01-01T00:00:00.25Z"}],"PercentageComplete":1.0}"#
        );
    }
}
