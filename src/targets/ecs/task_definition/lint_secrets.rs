//! Rules for the places that secrets are read from: Secrets Manager, Parameter Store. Pure.

use serde_json::Value;

use super::super::read::{list_field, str_field};
use super::lint::{Findings, LintedContainer};

/// What is wrong with a place, and what to write instead.
struct PlaceFault {
    sentence: String,
    help: &'static str,
}

const ARN_HELP: &str =
    "Write arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME, or arn:aws:ssm:REGION:ACCOUNT:parameter/NAME.";

/// Checks the secrets of a container, of its log driver, and its credentials of a registry.
pub fn check(linted: &LintedContainer<'_>, findings: &mut Findings<'_>) {
    let container = linted.container;
    check_list(&linted.pointer("secrets"), list_field(container, "secrets"), findings);
    let options = list_field(&container["logConfiguration"], "secretOptions");
    check_list(&linted.pointer("logConfiguration/secretOptions"), options, findings);
    let credentials = str_field(&container["repositoryCredentials"], "credentialsParameter");
    if credentials.starts_with("arn:") && !is_secret_arn(&credentials) {
        let sentence = format!("`{credentials}` is not the ARN of a secret of Secrets Manager.");
        let pointer = linted.pointer("repositoryCredentials/credentialsParameter");
        findings.error(&pointer, sentence, "Write arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME.");
    }
}

fn check_list(at: &str, secrets: &[Value], findings: &mut Findings<'_>) {
    for (index, secret) in secrets.iter().enumerate() {
        let place = str_field(secret, "valueFrom");
        if let Some(fault) = find_fault(&place) {
            findings.error(&format!("{at}/{index}/valueFrom"), fault.sentence, fault.help);
        }
    }
}

/// API Secret: the ARN of a secret or of a parameter, or the name of a parameter. Without a place nothing is wrong here.
fn find_fault(place: &str) -> Option<PlaceFault> {
    if place.is_empty() || is_secret_arn(place) || is_parameter_arn(place) {
        return None;
    }
    if place.starts_with("arn:") {
        let sentence = format!("`{place}` is not the ARN of a secret or of a parameter.");
        return Some(PlaceFault { sentence, help: ARN_HELP });
    }
    // copilot-cli#3446 has AWS's words.
    let is_name =
        place.len() <= 2048 && place.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-/".contains(&b));
    (!is_name).then(|| PlaceFault {
        sentence: format!(
            "`{place}` is neither an ARN nor the name of a parameter (letters, digits, _ . - /)."
        ),
        help: ARN_HELP,
    })
}

fn is_secret_arn(place: &str) -> bool {
    match arn_parts(place) {
        Some(("secretsmanager", resource)) => {
            resource.strip_prefix("secret:").is_some_and(|it| !it.is_empty())
        }
        _ => false,
    }
}

fn is_parameter_arn(place: &str) -> bool {
    match arn_parts(place) {
        Some(("ssm", resource)) => resource.strip_prefix("parameter/").is_some_and(|it| !it.is_empty()),
        _ => false,
    }
}

/// Service and resource of an ARN with a region and an account.
fn arn_parts(place: &str) -> Option<(&str, &str)> {
    let parts: Vec<&str> = place.splitn(6, ':').collect();
    let ["arn", partition, service, region, account, resource] = parts[..] else { return None };
    let is_whole = [partition, region, account].iter().all(|part| !part.is_empty());
    (is_whole && !place.contains(char::is_whitespace)).then_some((service, resource))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_of_a_secret_is_an_arn_or_a_name() {
        let good = [
            "",
            "DB_PASSWORD",
            "/acme/api/db.password-1",
            "arn:aws:ssm:eu-west-1:111111111111:parameter/acme/api",
            "arn:aws:secretsmanager:eu-west-1:111111111111:secret:acme-AbCdEf",
            "arn:aws-us-gov:secretsmanager:us-gov-west-1:111111111111:secret:acme:key:AWSCURRENT:",
        ];
        for place in good {
            assert!(find_fault(place).is_none(), "{place}");
        }
        let bad = [
            "db password",
            "acme:key",
            "${DB_PASSWORD}",
            "https://example.com/secret",
            "arn:aws:s3:::bucket/key",
            "arn:aws:ssm:eu-west-1:111111111111:acme",
            "arn:aws:ssm::111111111111:parameter/a",
            "arn:aws:secretsmanager:eu-west-1::secret:acme",
            "arn:aws:secretsmanager:eu-west-1:111111111111:acme",
            "arn:aws:secretsmanager:eu-west-1:111111111111:secret:",
        ];
        for place in bad {
            assert!(find_fault(place).is_some(), "{place}");
        }
    }
}
