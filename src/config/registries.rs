//! `registries:` of the deploy file: logins for the registries that images are pushed to and base images are pulled from.
//! Passwords are in variables of the step. Nothing is read or sent here.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::VariableName;
use super::parsed_string::parsed_string;
use super::tree::ConfigNode;
use crate::problem::list::for_first;
use crate::problem::{Code, Problem};
use crate::release::is_ecr_host;

/// Logins by the host of their registry, such as `docker.io`.
pub type Registries = BTreeMap<String, RegistryCredentials>;

/// The login of a registry.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RegistryCredentials {
    /// The user, or the name of a token.
    pub username: Username,
    /// The name of the environment variable that contains the password or the access token.
    pub password: VariableName,
}

parsed_string!(
    /// The user of a registry. A colon would end it in a login.
    Username, check_username
);

fn check_username(text: &str) -> Result<(), String> {
    match !text.is_empty() && text.len() <= 200 && !text.contains([':', '\n']) {
        true => Ok(()),
        false => Err("not the name of a user".into()),
    }
}

/// Keys that are not the host of a registry.
pub(super) fn problems(file: &str, block: &ConfigNode) -> Vec<Problem> {
    let wrong = block.entries().iter().filter_map(|entry| Some((entry, host_fault(&entry.key)?)));
    for_first(wrong, |(entry, help)| {
        let sentence = format!("`{}` is not the host of a registry that needs a login here.", entry.key);
        Problem::error(Code::ConfigInvalid, sentence).help(help).at_location(file, entry.line, entry.column)
    })
}

/// What to write in place of `key`; `None` if it is a host.
fn host_fault(key: &str) -> Option<String> {
    let without_scheme = key.split_once("://").map_or(key, |(_, rest)| rest);
    let host = without_scheme.split('/').next().unwrap_or_default();
    let is_host = host.contains(['.', ':']) || host == "localhost";
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-:_[]".contains(c);
    if is_ecr_host(host) {
        return Some("Leave it out: for ECR, the role of the environment logs in.".into());
    }
    match host == key && is_host && host.chars().all(plain) {
        true => None,
        false if is_host && host.chars().all(plain) => Some(format!("Write the host alone: `{host}`.")),
        false => {
            Some("Write the host as in image names, such as `docker.io` or `registry.gitlab.com`.".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DeployFile, Placeholders};

    fn read(registries: &str) -> (Registries, Vec<String>) {
        let text =
            format!("environments: {{ a: {{}} }}\nservices: {{ b: {{}} }}\nregistries: {registries}\n");
        let known: Placeholders = [("environment", "staging".to_owned())].into();
        let (found, problems) = DeployFile::parse("f.yml", &text).unwrap().registries(&known);
        (found, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn logins_are_read_by_host() {
        let (found, problems) =
            read("{ docker.io: { username: 'acme-${environment}', password: HUB_TOKEN } }");
        assert_eq!(problems, [""; 0]);
        let login = &found["docker.io"];
        assert_eq!((login.username.as_str(), login.password.as_str()), ("acme-staging", "HUB_TOKEN"));
        assert_eq!(read("{ localhost:5000: { username: a, password: B } }").1, [""; 0]);
        assert_eq!(read("{}"), (Registries::new(), Vec::new()));
    }

    #[test]
    fn wrong_hosts_and_logins_are_problems() {
        for (text, expected) in [
            ("{ https://ghcr.io: { username: a, password: B } }", "Write the host alone: `ghcr.io`."),
            ("{ ghcr.io/acme: { username: a, password: B } }", "Write the host alone: `ghcr.io`."),
            ("{ hub: { username: a, password: B } }", "such as `docker.io`"),
            (
                "{ 1.dkr.ecr.eu-west-1.amazonaws.com: { username: a, password: B } }",
                "the role of the environment",
            ),
            ("{ a.example: { username: a, password: 'my password' } }", "password"),
            ("{ a.example: { username: a } }", "password"),
            ("{ a.example: { username: a, password: B, token: C } }", "token"),
            ("{ a.example: { username: 'a:b', password: B } }", "user"),
        ] {
            let (found, problems) = read(text);
            assert!(
                found.is_empty() && problems.len() == 1 && problems[0].contains(expected),
                "{text}: {problems:?}"
            );
            assert!(!problems[0].contains("my password"), "{problems:?}");
        }
    }
}
