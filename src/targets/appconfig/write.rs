//! What is asked of AppConfig to bring a version into service or to take it back, by what was deployed so far. Pure.

use super::read::{Deployment, History, Place, number};
use crate::release::{Rollout, Version};
use crate::targets::Origin;

/// What there is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Movement {
    /// Nothing: this deployment leads there already.
    Nothing(i32),
    /// Stop this deployment: AppConfig returns to what served before it.
    Stop(i32),
    /// Stop this one, which does not lead there, and look again.
    Clear(i32),
    /// Revert this completed deployment: AppConfig returns to what served before it.
    Revert(i32),
    /// Start a deployment.
    Start,
    /// A newer deployment, in words, took over.
    Superseded(String),
}

/// How to bring in `version`. An earlier one (`back`) is brought back the quickest way that there is.
pub fn forward(history: &History, version: &str, back: bool) -> Movement {
    let wanted = number(version);
    let serves = |one: Option<&Deployment>| one.is_some_and(|one| one.version == wanted);
    match (history.flying(), history.serves()) {
        (Some(flying), _) if flying.advances() && flying.version == wanted => {
            Movement::Nothing(flying.number)
        }
        (Some(flying), now) if back && flying.advances() && serves(now) => Movement::Stop(flying.number),
        (Some(flying), _) if back && flying.advances() => Movement::Clear(flying.number),
        (None, Some(now)) if back && now.version == wanted => Movement::Nothing(now.number),
        (None, Some(now)) if back && serves(history.before()) => Movement::Revert(now.number),
        _ => Movement::Start,
    }
}

/// How to take `moved` back, so that `version` serves; `None` where it was never found to have begun.
pub fn backward(history: &History, version: &str, moved: Option<&Deployment>) -> Movement {
    let wanted = number(version);
    let Some(newest) = history.newest() else { return Movement::Start };
    let Some(moved) = moved else {
        let there = history.flying().is_none() && history.serves().is_some_and(|now| now.version == wanted);
        return if there { Movement::Nothing(newest.number) } else { Movement::Superseded(words(newest)) };
    };
    if let Some(newer) = history.newer_than(moved.number) {
        let ours = newer.version == wanted;
        return if ours { Movement::Nothing(newer.number) } else { Movement::Superseded(words(newer)) };
    }
    match moved.state.as_str() {
        "COMPLETE" if moved.version == wanted => Movement::Nothing(moved.number),
        "COMPLETE" => Movement::Revert(moved.number),
        // It was reverted to bring an earlier version back, and that is taken back now.
        "REVERTED" if moved.version == wanted => Movement::Start,
        _ if moved.advances() => Movement::Stop(moved.number),
        _ => Movement::Nothing(moved.number),
    }
}

/// A deployment for people.
pub fn words(one: &Deployment) -> String {
    format!("deployment {} of {}, version {}", one.number, one.name, one.version)
}

/// A movement to `version` by the deployment with this number.
pub fn rollout(version: &Version, number: i32) -> Rollout {
    Rollout { version: version.id.clone(), label: version.label.clone(), ids: vec![number.to_string()] }
}

/// The number of the deployment that a movement is.
pub fn deployment_of(rollout: &Rollout) -> Option<i32> {
    rollout.ids.first()?.parse().ok()
}

/// The words by which this run's deployments are known; `None` on a laptop.
pub fn mark(origin: &Origin) -> Option<String> {
    origin.run.map(|run| format!("run {}.{}", run.id, run.attempt))
}

/// What is written beside a deployment: which service and commit, and which run. Plain words: people read them in the
/// console.
pub fn description(origin: &Origin, service: &str, commit: Option<&str>) -> String {
    let commit = commit.map(|commit| format!(" at {}", commit.get(..7).unwrap_or(commit)));
    let run = mark(origin).map(|mark| format!(", {mark}"));
    let all = format!(
        "roadstead: {service} in {}{}{}",
        origin.environment,
        commit.unwrap_or_default(),
        run.unwrap_or_default()
    );
    all.chars().map(|c| if c.is_control() { ' ' } else { c }).take(1024).collect()
}

/// The console page of an environment.
pub fn url(region: &str, place: &Place) -> String {
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
    fn a_new_version_is_started_and_an_earlier_one_comes_back_the_quick_way() {
        let table = [
            ("1C", "f:2", false, Movement::Start),
            ("1C 2D", "f:2", false, Movement::Nothing(2)),
            ("1C 2b", "f:2", false, Movement::Start),
            ("1C 2D", "f:3", false, Movement::Start),
            ("1C 2C", "f:1", true, Movement::Revert(2)),
            ("1C 2C 3D", "f:2", true, Movement::Stop(3)),
            ("1C 2C 3D", "f:1", true, Movement::Clear(3)),
            ("1C 2C 3C", "f:1", true, Movement::Start),
            ("1C 2C 1C", "f:2", true, Movement::Revert(3)),
            ("1C 2R", "f:1", true, Movement::Nothing(1)),
            ("1C 2C 9Cx", "f:1", true, Movement::Revert(2)),
        ];
        for (text, version, back, expected) in table {
            assert_eq!(forward(&history(text), version, back), expected, "{text} to {version}");
        }
    }

    #[test]
    fn only_what_was_moved_is_taken_back() {
        let newer = |number, version| {
            Movement::Superseded(format!("deployment {number} of flags, version {version}"))
        };
        let table = [
            ("1C 2D", Some(2), Movement::Stop(2)),
            ("1C 2b", Some(2), Movement::Nothing(2)),
            ("1C 2B", Some(2), Movement::Nothing(2)),
            ("1C 2C", Some(2), Movement::Revert(2)),
            ("1C 2R", Some(2), Movement::Nothing(2)),
            ("1C 2C 1C", Some(3), Movement::Nothing(3)),
            ("1C 2C 1D", Some(2), Movement::Nothing(3)),
            ("1C 2D 9Dx", Some(2), Movement::Stop(2)),
            ("1C 2C 3B", Some(2), Movement::Revert(2)),
            ("1C 2C 3D", Some(2), newer(3, 3)),
            ("1R 2C", Some(1), newer(2, 2)),
            ("1R", Some(1), Movement::Start),
            ("1C", None, Movement::Nothing(1)),
            ("1C 2D", None, newer(2, 2)),
            ("2C", None, newer(1, 2)),
            ("", None, Movement::Start),
        ];
        for (text, moved, expected) in table {
            let history = history(text);
            let moved = moved.and_then(|number| history.find(number).cloned());
            assert_eq!(backward(&history, "f:1", moved.as_ref()), expected, "{text}");
        }
    }
}
