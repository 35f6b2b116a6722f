//! One-off commands of a service: the request, the started task and its result. Values only.

use serde::{Deserialize, Serialize};

use super::{Failure, LogLine};

/// A command to run once with a version, without traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskCommand {
    /// Its arguments; no shell interprets them.
    pub command: Vec<String>,
    /// The command line for display.
    pub display: String,
    /// The container that it runs in; `None` means the container whose image is deployed.
    pub container: Option<String>,
    /// Identifies the run, independent of its attempt, and the service. Tasks of earlier attempts are found by it.
    pub owner: String,
    /// Identifies one attempt: two requests with the same key start one task.
    pub idempotency_key: String,
}

/// The task that was started for a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartedTask {
    /// The provider's own identifier, such as a task ARN.
    pub id: String,
    /// The short form for display.
    pub label: String,
    /// The container that it runs in.
    pub container: String,
    /// Identifier of the version that it uses.
    pub version: String,
    /// The command line for display.
    pub display: String,
}

/// The observed state of a started command.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskStatus {
    /// It is running; the provider's status text.
    InProgress(String),
    /// It succeeded. Its last log lines, oldest first (untrusted text).
    Succeeded(Vec<LogLine>),
    /// It did not start, or failed.
    Failed(Box<Failure>),
}

/// A variable to set or remove in the environment of a running version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvChange {
    /// Its name.
    pub name: String,
    /// Its value; `None` removes it.
    pub value: Option<String>,
}

impl EnvChange {
    /// Whether the value has the form of a reference to a secret. As a variable, the container would get that text
    /// and not
    /// the secret: only entries of `secrets` are resolved.
    pub fn is_secret_reference(&self) -> bool {
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
    fn secret_reference_is_recognized_by_its_form() {
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
            assert_eq!(change.is_secret_reference(), expected, "{value:?}");
        }
    }
}
