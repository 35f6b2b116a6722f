//! The next call that brings a version into service or rolls it back, given the deployments so far. Pure.

use super::read::{AppConfigLocation, Deployment, EnvironmentHistory, version_number};
use crate::release::{Rollout, Version};
use crate::targets::RunInfo;

/// The next action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeploymentAction {
    /// None: this deployment already leads to the version.
    NoOp(i32),
    /// Stop this deployment: AppConfig returns to the version before it.
    Stop(i32),
    /// Stop this deployment, which does not lead to the version, and read again.
    StopAndRetry(i32),
    /// Revert this completed deployment: AppConfig returns to the version before it.
    Revert(i32),
    /// Start a deployment.
    Start,
    /// A newer deployment, described here, took over.
    Superseded(String),
}

/// How to shift to `version`. An earlier one (`back`) is restored the fastest way.
pub fn start_action(history: &EnvironmentHistory, version: &str, back: bool) -> DeploymentAction {
    let wanted = version_number(version);
    let serves = |one: Option<&Deployment>| one.is_some_and(|one| one.version == wanted);
    match (history.in_progress(), history.serving()) {
        (Some(flying), _) if flying.is_advancing() && flying.version == wanted => {
            DeploymentAction::NoOp(flying.number)
        }
        (Some(flying), now) if back && flying.is_advancing() && serves(now) => {
            DeploymentAction::Stop(flying.number)
        }
        (Some(flying), _) if back && flying.is_advancing() => DeploymentAction::StopAndRetry(flying.number),
        (None, Some(now)) if back && now.version == wanted => DeploymentAction::NoOp(now.number),
        (None, Some(now)) if back && serves(history.previous()) => DeploymentAction::Revert(now.number),
        _ => DeploymentAction::Start,
    }
}

/// How to roll back `moved`, so that `version` serves; `None` if it is not known to have started.
pub fn rollback_action(
    history: &EnvironmentHistory,
    version: &str,
    moved: Option<&Deployment>,
) -> DeploymentAction {
    let wanted = version_number(version);
    let Some(newest) = history.newest() else { return DeploymentAction::Start };
    let Some(moved) = moved else {
        let there =
            history.in_progress().is_none() && history.serving().is_some_and(|now| now.version == wanted);
        return if there {
            DeploymentAction::NoOp(newest.number)
        } else {
            DeploymentAction::Superseded(describe_deployment(newest))
        };
    };
    if let Some(newer) = history.newer_than(moved.number) {
        let ours = newer.version == wanted;
        return if ours {
            DeploymentAction::NoOp(newer.number)
        } else {
            DeploymentAction::Superseded(describe_deployment(newer))
        };
    }
    match moved.state.as_str() {
        "COMPLETE" if moved.version == wanted => DeploymentAction::NoOp(moved.number),
        "COMPLETE" => DeploymentAction::Revert(moved.number),
        // It was reverted to restore an earlier version, and that is rolled back now.
        "REVERTED" if moved.version == wanted => DeploymentAction::Start,
        _ if moved.is_advancing() => DeploymentAction::Stop(moved.number),
        _ => DeploymentAction::NoOp(moved.number),
    }
}

/// A deployment for display.
pub fn describe_deployment(one: &Deployment) -> String {
    format!("deployment {} of {}, version {}", one.number, one.name, one.version)
}

/// A rollout to `version` by the deployment with this number.
pub fn new_rollout(version: &Version, number: i32) -> Rollout {
    Rollout { version: version.id.clone(), label: version.label.clone(), ids: vec![number.to_string()] }
}

/// The number of a rollout's deployment.
pub fn deployment_number(rollout: &Rollout) -> Option<i32> {
    rollout.ids.first()?.parse().ok()
}

/// The text that identifies this run's deployments; `None` on a laptop.
pub fn run_marker(origin: &RunInfo) -> Option<String> {
    origin.number.map(|run| format!("run {}.{}", run.id, run.attempt))
}

/// The description of a deployment: service, commit and run. Plain text, because it is shown in the console.
pub fn deployment_description(origin: &RunInfo, service: &str, commit: Option<&str>) -> String {
    let commit = commit.map(|commit| format!(" at {}", commit.get(..7).unwrap_or(commit)));
    let run = run_marker(origin).map(|mark| format!(", {mark}"));
    let all = format!(
        "roadstead: {service} in {}{}{}",
        origin.environment,
        commit.unwrap_or_default(),
        run.unwrap_or_default()
    );
    all.chars().map(|c| if c.is_control() { ' ' } else { c }).take(1024).collect()
}

/// The console page of an environment.
pub fn console_url(region: &str, place: &AppConfigLocation) -> String {
    let host = if region.starts_with("cn-") { "console.amazonaws.cn" } else { "console.aws.amazon.com" };
    let (application, environment) = (&place.application.id, &place.environment.id);
    format!(
        "https://{region}.{host}/systems-manager/appconfig/applications/{application}/environments/{environment}?region={region}"
    )
}

#[cfg(test)]
mod tests {
    use super::super::read::tests::history;
    use super::*;

    #[test]
    fn start_action_starts_new_versions_and_reverts_to_earlier_ones() {
        let table = [
            ("1C", "f:2", false, DeploymentAction::Start),
            ("1C 2D", "f:2", false, DeploymentAction::NoOp(2)),
            ("1C 2b", "f:2", false, DeploymentAction::Start),
            ("1C 2D", "f:3", false, DeploymentAction::Start),
            ("1C 2C", "f:1", true, DeploymentAction::Revert(2)),
            ("1C 2C 3D", "f:2", true, DeploymentAction::Stop(3)),
            ("1C 2C 3D", "f:1", true, DeploymentAction::StopAndRetry(3)),
            ("1C 2C 3C", "f:1", true, DeploymentAction::Start),
            ("1C 2C 1C", "f:2", true, DeploymentAction::Revert(3)),
            ("1C 2R", "f:1", true, DeploymentAction::NoOp(1)),
            ("1C 2C 9Cx", "f:1", true, DeploymentAction::Revert(2)),
        ];
        for (text, version, back, expected) in table {
            assert_eq!(start_action(&history(text), version, back), expected, "{text} to {version}");
        }
    }

    #[test]
    fn rollback_action_touches_only_our_deployment() {
        let newer = |number, version| {
            DeploymentAction::Superseded(format!("deployment {number} of flags, version {version}"))
        };
        let table = [
            ("1C 2D", Some(2), DeploymentAction::Stop(2)),
            ("1C 2b", Some(2), DeploymentAction::NoOp(2)),
            ("1C 2B", Some(2), DeploymentAction::NoOp(2)),
            ("1C 2C", Some(2), DeploymentAction::Revert(2)),
            ("1C 2R", Some(2), DeploymentAction::NoOp(2)),
            ("1C 2C 1C", Some(3), DeploymentAction::NoOp(3)),
            ("1C 2C 1D", Some(2), DeploymentAction::NoOp(3)),
            ("1C 2D 9Dx", Some(2), DeploymentAction::Stop(2)),
            ("1C 2C 3B", Some(2), DeploymentAction::Revert(2)),
            ("1C 2C 3D", Some(2), newer(3, 3)),
            ("1R 2C", Some(1), newer(2, 2)),
            ("1R", Some(1), DeploymentAction::Start),
            ("1C", None, DeploymentAction::NoOp(1)),
            ("1C 2D", None, newer(2, 2)),
            ("2C", None, newer(1, 2)),
            ("", None, DeploymentAction::Start),
        ];
        for (text, moved, expected) in table {
            let history = history(text);
            let moved = moved.and_then(|number| history.find(number).cloned());
            assert_eq!(rollback_action(&history, "f:1", moved.as_ref()), expected, "{text}");
        }
    }
}
