//! A rollout of a routed workload as the ids of a `Rollout`: what is watched, and the rollout of the Deployment that is behind it. Pure.

use std::time::Duration;

use crate::release::{Rollout, Version};

/// The first id of every rollout of a routed workload.
const MARK: &str = "route";

/// What a rollout of a routed workload does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteOperation {
    /// The canary gets a weight. `bake`: the bake time once the workload has the version.
    Canary {
        /// Its weight in percent.
        percent: u8,
        /// The bake with all traffic.
        bake: Duration,
    },
    /// The workload itself gets the version, while the canary keeps its weight.
    Promotion {
        /// The bake with all traffic.
        bake: Duration,
    },
    /// The workload gets a version, and there is no canary.
    RollingUpdate,
    /// The traffic is given back to the workload, with its earlier version.
    RollBack,
}

/// A rollout of a routed workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteRollout {
    /// The version.
    pub version: Version,
    /// What it does.
    pub operation: RouteOperation,
    /// The rollout of the Deployment that is watched: the canary's, or the workload's.
    pub member: Rollout,
}

impl RouteRollout {
    /// With the rollout of a Deployment.
    pub fn new(version: &Version, operation: RouteOperation, member: Rollout) -> Self {
        Self { version: version.clone(), operation, member }
    }

    /// As a rollout.
    pub fn to_rollout(&self) -> Rollout {
        let operation = match self.operation {
            RouteOperation::Canary { percent, bake } => format!("canary:{percent}:{}", bake.as_secs()),
            RouteOperation::Promotion { bake } => format!("promotion:{}", bake.as_secs()),
            RouteOperation::RollingUpdate => "rolling".to_owned(),
            RouteOperation::RollBack => "rollback".to_owned(),
        };
        let ids = [MARK.to_owned(), operation].into_iter().chain(self.member.ids.iter().cloned());
        Rollout { version: self.version.id.clone(), label: self.version.label.clone(), ids: ids.collect() }
    }

    /// Reads one. A rollout of the workload alone is a rolling update.
    pub fn parse(rollout: &Rollout) -> Self {
        let version = Version { id: rollout.version.clone(), label: rollout.label.clone() };
        let known = match rollout.ids.as_slice() {
            [mark, operation, member @ ..] if mark == MARK => {
                parse_operation(operation).map(|one| (one, member))
            }
            _ => None,
        };
        let (operation, ids) = known.unwrap_or((RouteOperation::RollingUpdate, rollout.ids.as_slice()));
        let member = Rollout { ids: ids.to_vec(), ..rollout.clone() };
        Self { version, operation, member }
    }
}

fn parse_operation(text: &str) -> Option<RouteOperation> {
    let seconds = |text: &str| text.parse().ok().map(Duration::from_secs);
    let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
    match kind {
        "canary" => {
            let (percent, bake) = rest.split_once(':')?;
            Some(RouteOperation::Canary { percent: percent.parse().ok()?, bake: seconds(bake)? })
        }
        "promotion" => Some(RouteOperation::Promotion { bake: seconds(rest)? }),
        "rolling" => Some(RouteOperation::RollingUpdate),
        "rollback" => Some(RouteOperation::RollBack),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rollout_is_read_as_it_was_written() {
        let version = Version { id: "api:1".into(), label: "api:1".into() };
        let bake = Duration::from_secs(90);
        let operations = [
            RouteOperation::Canary { percent: 25, bake },
            RouteOperation::Promotion { bake },
            RouteOperation::RollingUpdate,
            RouteOperation::RollBack,
        ];
        let member =
            Rollout { version: "api:1".into(), label: "api:1".into(), ids: vec!["u".into(), "2".into()] };
        for operation in operations {
            let rollout = RouteRollout::new(&version, operation, member.clone());
            assert_eq!(RouteRollout::parse(&rollout.to_rollout()), rollout);
        }
        let plain = RouteRollout::parse(&member);
        assert_eq!((plain.operation, plain.member), (RouteOperation::RollingUpdate, member));
    }
}
