//! A command that runs once beside a service: what is asked for, what was started, and how it ended. Values only.

use serde::{Deserialize, Serialize};

use super::{Failure, LogLine};

/// A command that is to run once with a version, without traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOff {
    /// Its words; no shell reads them.
    pub command: Vec<String>,
    /// The same for people.
    pub words: String,
    /// The container that it runs in; `None` means the one whose image is deployed.
    pub container: Option<String>,
    /// Who starts it: the run, whatever its attempt, and the service. What an earlier attempt started is found by it.
    pub owner: String,
    /// The same for one attempt: asked for twice with the same key, it runs once.
    pub key: String,
}

/// What was started for a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRun {
    /// The provider's own identifier, such as a task ARN.
    pub id: String,
    /// The short form for people.
    pub label: String,
    /// The container that it runs in.
    pub container: String,
    /// Identifier of the version that it runs with.
    pub version: String,
    /// The command for people.
    pub words: String,
}

/// One look at a command that was started.
#[derive(Debug, Clone, PartialEq)]
pub enum OneOffState {
    /// It has not ended; the provider's own words for how far it is.
    Open(String),
    /// It ended well. The last lines that it wrote, oldest first (untrusted text).
    Done(Vec<LogLine>),
    /// It did not start, or ended otherwise.
    Failed(Box<Failure>),
}

/// A variable that is to be set, or taken away, in the environment of a version that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvChange {
    /// Its name.
    pub name: String,
    /// Its value; `None` takes it away.
    pub value: Option<String>,
}

impl EnvChange {
    /// Whether the value says where a secret is kept, by its form. A variable would show the container that text and not
    /// the secret: only an entry of `secrets` is resolved.
    pub fn is_reference(&self) -> bool {
        let Some(value) = &self.value else { return false };
        let parts: Vec<&str> = value.splitn(6, ':').collect();
        let by_arn = match parts[..] {
            ["arn", _, "secretsmanager", _, _, rest] => rest.starts_with("secret:"),
            ["arn", _, "ssm", _, _, rest] => rest.starts_with("parameter"),
            _ => false,
        };
        by_arn || ["{{resolve:secretsmanager:", "{{resolve:ssm"].iter().any(|form| value.starts_with(form))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_to_a_secret_is_known_by_its_form() {
        let table = [
            (Some("arn:aws:secretsmanager:eu-west-1:1:secret:db-AbCdEf"), true),
            (Some("arn:aws-cn:secretsmanager:cn-north-1:1:secret:db:key::"), true),
            (Some("arn:aws:ssm:eu-west-1:1:parameter/db"), true),
            (Some("{{resolve:ssm-secure:db:1}}"), true),
            (Some("{{resolve:secretsmanager:db}}"), true),
            (Some("arn:aws:sns:eu-west-1:1:topic"), false),
            (Some("arn:aws:ssm"), false),
            (Some("1"), false),
            (Some(""), false),
            (None, false),
        ];
        for (value, expected) in table {
            let change = EnvChange { name: "A".into(), value: value.map(str::to_owned) };
            assert_eq!(change.is_reference(), expected, "{value:?}");
        }
    }
}
