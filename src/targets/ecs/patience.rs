//! The setting `patience` of an ECS service: how many failed tasks, and how much waiting for capacity, a rollout may have.
//! Values and their bounds; `rollout::verdict` applies them.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::Bake;
use crate::release::HumanDuration;

/// What a rollout survives before it is rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Patience {
    /// Failed tasks that end the rollout: a number such as `3`, or a share such as `25%`. A share is of the desired count,
    /// or of the running and failed tasks of the new version if they are more; it is never less than 2 tasks.
    pub failed_tasks: FailedTasks,
    /// How long a rollout waits for what can pass by itself while no further task starts: capacity, IP addresses, a
    /// registry that does not answer or limits pulls, a host that fails.
    pub placement: Bake,
}

impl Default for Patience {
    fn default() -> Self {
        Self { failed_tasks: FailedTasks::Share(25), placement: Bake(HumanDuration::from_minutes(10)) }
    }
}

impl Patience {
    /// What the deploy file changes, in words; `None` where it changes nothing.
    pub fn describe(&self) -> Option<String> {
        let unset = Self::default();
        let failed = (self.failed_tasks != unset.failed_tasks).then(|| self.failed_tasks.describe());
        let placement =
            (self.placement != unset.placement).then(|| format!("waits {} for placement", self.placement.0));
        let words: Vec<String> = failed.into_iter().chain(placement).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

/// Failed tasks that end a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailedTasks {
    /// This number, however large the service is.
    Count(u32),
    /// This share in percent, and at least two: a single one may be an accident.
    Share(u8),
}

/// A share never ends a rollout for a single task.
const LEAST_OF_SHARE: u32 = 2;

impl FailedTasks {
    /// The number that ends a rollout, for a desired count and the tasks that ran or failed.
    pub fn limit(self, desired: u32, started: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Share(percent) => {
                let share = u64::from(desired.max(started)) * u64::from(percent);
                u32::try_from(share.div_ceil(100)).unwrap_or(u32::MAX).max(LEAST_OF_SHARE)
            }
        }
    }

    fn describe(self) -> String {
        match self {
            Self::Count(1) => "fails after 1 failed task".into(),
            Self::Count(count) => format!("fails after {count} failed tasks"),
            Self::Share(percent) => format!("fails after {percent} % failed tasks"),
        }
    }
}

impl TryFrom<u64> for FailedTasks {
    type Error = String;

    fn try_from(count: u64) -> Result<Self, String> {
        let count = u32::try_from(count).ok().filter(|count| (1..=10_000).contains(count));
        count.map(Self::Count).ok_or_else(|| "expected 1 to 10000 tasks".into())
    }
}

impl std::str::FromStr for FailedTasks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(share) = text.strip_suffix('%') else {
            let count = text.parse::<u64>().map_err(|_| expected(text))?;
            return Self::try_from(count);
        };
        let is_plain = share.bytes().all(|byte| byte.is_ascii_digit());
        let percent = share.parse::<u8>().ok().filter(|percent| is_plain && (1..=100).contains(percent));
        percent.map(Self::Share).ok_or_else(|| expected(text))
    }
}

fn expected(text: &str) -> String {
    format!("`{text}` is not a number of tasks such as `3`, or a share such as `25%`")
}

impl fmt::Display for FailedTasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Share(percent) => write!(f, "{percent}%"),
        }
    }
}

impl Serialize for FailedTasks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u32(*count),
            Self::Share(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for FailedTasks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FailedTasksVisitor)
    }
}

struct FailedTasksVisitor;

impl Visitor<'_> for FailedTasksVisitor {
    type Value = FailedTasks;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of tasks such as `3`, or a share such as `25%`")
    }

    fn visit_u64<E: Error>(self, count: u64) -> Result<FailedTasks, E> {
        FailedTasks::try_from(count).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, count: i64) -> Result<FailedTasks, E> {
        u64::try_from(count)
            .map_err(|_| E::invalid_value(Unexpected::Signed(count), &self))
            .and_then(|count| self.visit_u64(count))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<FailedTasks, E> {
        text.parse().map_err(E::custom)
    }
}

impl JsonSchema for FailedTasks {
    fn schema_name() -> Cow<'static, str> {
        "FailedTasks".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of tasks such as `3`, or a share such as `25%`.",
            "anyOf": [
                { "type": "integer", "minimum": 1, "maximum": 10_000 },
                { "type": "string", "pattern": "^([1-9][0-9]?|100)%$" },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_tasks_are_a_number_or_a_share() {
        let read = |text: &str| serde_json::from_str::<FailedTasks>(text).ok();
        assert_eq!(read("3"), Some(FailedTasks::Count(3)));
        assert_eq!(read("\"25%\""), Some(FailedTasks::Share(25)));
        assert_eq!(read("\"100%\""), Some(FailedTasks::Share(100)));
        assert_eq!(read("\"4\""), Some(FailedTasks::Count(4)));
        for wrong in [
            "0", "-1", "1.5", "\"\"", "\"0%\"", "\"101%\"", "\"+5%\"", "\"%\"", "\"5 %\"", "true", "[]",
            "null",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        for text in ["3", "\"25%\""] {
            assert_eq!(serde_json::to_string(&read(text).unwrap()).unwrap(), text);
        }
    }

    #[test]
    fn share_grows_with_the_service_and_is_never_one_task() {
        let limit = |desired, started| FailedTasks::Share(25).limit(desired, started);
        let table = [
            (0, 0, 2),
            (1, 1, 2),
            (2, 4, 2),
            (8, 8, 2),
            (9, 0, 3),
            (40, 2, 10),
            (40, 50, 13),
            (1000, 0, 250),
        ];
        for (desired, started, expected) in table {
            assert_eq!(limit(desired, started), expected, "{desired} {started}");
        }
        assert_eq!(FailedTasks::Count(1).limit(40, 80), 1);
    }

    #[test]
    fn only_what_is_set_is_described() {
        let set = |text: &str| serde_json::from_str::<Patience>(text).unwrap().describe();
        assert_eq!(set("{}"), None);
        assert_eq!(set(r#"{"failed-tasks":1}"#).as_deref(), Some("fails after 1 failed task"));
        let both = set(r#"{"failed-tasks":"50%","placement":"20m"}"#);
        assert_eq!(both.as_deref(), Some("fails after 50 % failed tasks, waits 20m for placement"));
        assert!(serde_json::from_str::<Patience>(r#"{"placement":"25h"}"#).is_err());
        assert!(serde_json::from_str::<Patience>(r#"{"tasks":3}"#).is_err());
    }
}
