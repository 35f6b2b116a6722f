//! Which movement leads from what is seen to what is wanted. Pure: nothing here is sent.
//!
//! A rollout's `ids` on ECS are `[deployment id ecs-svc/…, service deployment ARN]`, the second absent while AWS has
//! not told it; `["rollback", ARN]` for a service deployment that is taken back; empty where nothing had to move.

use super::read::{Service, ServiceDeployment, version};
use crate::release::{Rollout, Split, Way};

/// First id of a rollout that consists of taking another one back.
pub const ROLLBACK: &str = "rollback";

/// A service, its last service deployment, and where that one leads.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Situation {
    /// The service.
    pub service: Service,
    /// Its service deployment in flight or last one, where AWS shows it.
    pub current: Option<ServiceDeployment>,
    /// The task definition that a rollback of it leads to, where that is sure.
    pub source: Option<String>,
}

/// What to ask of ECS.
#[derive(Debug, Clone, PartialEq)]
pub enum Movement {
    /// Nothing: it is so, or on its way in this rollout.
    Nothing(Rollout),
    /// UpdateService.
    Update {
        /// Task definition ARN.
        definition: String,
        /// With a new deployment even of the same definition.
        force: bool,
    },
    /// StopServiceDeployment with a rollback.
    StopAndRollBack {
        /// The service deployment.
        arn: String,
    },
    /// Nothing: a newer deployment took over, and it is not ours to touch.
    Superseded(String),
}

/// Decides how `split` comes about.
pub fn movement(seen: &Situation, split: &Split) -> Movement {
    match &split.way {
        Way::Back(Some(ours)) => taking_back(seen, ours, split),
        Way::Start { again: true, .. } => forward(seen, split, true),
        Way::Start { .. } | Way::Back(None) | Way::Onward(_) => forward(seen, split, false),
    }
}

fn forward(seen: &Situation, split: &Split, again: bool) -> Movement {
    let wanted = &split.version.id;
    if again {
        return Movement::Update { definition: wanted.clone(), force: true };
    }
    match &seen.current {
        Some(current) if current.rolling_back() && seen.source.as_ref() == Some(wanted) => {
            Movement::Nothing(returning(split, &current.arn))
        }
        Some(current) if current.in_flight() && seen.source.as_ref() == Some(wanted) => {
            Movement::StopAndRollBack { arn: current.arn.clone() }
        }
        _ if seen.service.definition == *wanted => Movement::Nothing(standing(seen, split)),
        _ => Movement::Update { definition: wanted.clone(), force: false },
    }
}

fn taking_back(seen: &Situation, ours: &Rollout, split: &Split) -> Movement {
    let wanted = &split.version.id;
    let update = |force| Movement::Update { definition: wanted.clone(), force };
    if !is_current(seen, ours) {
        return if seen.service.definition == *wanted {
            Movement::Nothing(standing(seen, split))
        } else {
            Movement::Superseded(newest(seen))
        };
    }
    match &seen.current {
        Some(current) if current.rolling_back() => Movement::Nothing(returning(split, &current.arn)),
        Some(current) if current.in_flight() && seen.source.as_ref() == Some(wanted) => {
            Movement::StopAndRollBack { arn: current.arn.clone() }
        }
        Some(current) if current.in_flight() => update(false),
        _ if seen.service.definition != *wanted => update(false),
        // The same definition was started again and gave up without going back: only a fresh start is left.
        Some(current) if current.status == "STOPPED" => update(true),
        _ => Movement::Nothing(standing(seen, split)),
    }
}

/// Whether the service's last movement is `ours` (by service deployment, else by deployment id).
fn is_current(seen: &Situation, ours: &Rollout) -> bool {
    let by_arn = match (&seen.current, ours.ids.get(1)) {
        (Some(current), Some(arn)) => Some(current.arn == *arn),
        _ => None,
    };
    let by_id = || seen.service.primary().is_some_and(|primary| ours.ids.first() == Some(&primary.id));
    by_arn.unwrap_or_else(by_id)
}

fn newest(seen: &Situation) -> String {
    let primary = || seen.service.primary().map(|primary| primary.id.clone()).unwrap_or_default();
    seen.current.as_ref().map_or_else(primary, |current| current.arn.clone())
}

/// The rollout that consists of taking `arn` back.
pub fn returning(split: &Split, arn: &str) -> Rollout {
    let ids = vec![ROLLBACK.to_owned(), arn.to_owned()];
    Rollout { version: split.version.id.clone(), label: split.version.label.clone(), ids }
}

/// The version is the service's wish already: in flight by the last deployment, or there.
fn standing(seen: &Situation, split: &Split) -> Rollout {
    let rollout = started(&seen.service, &split.version.id);
    let there = seen.service.primary().is_some_and(|primary| primary.rollout == "COMPLETED");
    if there { Rollout { ids: Vec::new(), ..rollout } } else { rollout }
}

/// The rollout that a service shows for `definition`: its PRIMARY deployment and its service deployment.
pub fn started(service: &Service, definition: &str) -> Rollout {
    let primary = service.primary().filter(|primary| primary.definition == definition);
    let ids = primary.map_or_else(Vec::new, |primary| {
        std::iter::once(primary.id.clone()).chain(service.current.clone()).collect()
    });
    let version = version(definition);
    Rollout { version: version.id, label: version.label, ids }
}

/// What UpdateService answered as a rollout; the service deployment is left out while the answer still shows the
/// one from `before`.
pub fn started_after(before: &Service, after: &Service, definition: &str) -> Rollout {
    let moved = before.primary().map(|p| &p.id) != after.primary().map(|p| &p.id);
    let lags = moved && before.current == after.current;
    let shown = if lags { Service { current: None, ..after.clone() } } else { after.clone() };
    started(&shown, definition)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::Course;
    use crate::targets::ecs::read::Deployment;

    fn split(to: &str, instead_of: Option<&[&str]>) -> Split {
        let instead_of = instead_of.map(|ids| Rollout {
            version: "new".into(),
            label: "new".into(),
            ids: ids.iter().map(ToString::to_string).collect(),
        });
        let start = Way::Start { course: Course::whole(), again: false };
        let way = instead_of.map_or(start, |rollout| Way::Back(Some(rollout)));
        Split { version: version(to), percent: 100, way }
    }

    /// A service whose last service deployment `sd` over `source` has `status`.
    fn seen(status: &str, source: Option<&str>, wish: &str, rollout: &str) -> Situation {
        let primary = Deployment {
            id: "ecs-svc/1".into(),
            status: "PRIMARY".into(),
            definition: wish.into(),
            rollout: rollout.into(),
            ..Deployment::default()
        };
        Situation {
            service: Service {
                definition: wish.into(),
                current: Some("sd".into()),
                deployments: vec![primary],
                ..Service::default()
            },
            current: Some(ServiceDeployment {
                arn: "sd".into(),
                status: status.into(),
                ..Default::default()
            }),
            source: source.map(Into::into),
        }
    }

    fn word(movement: &Movement) -> String {
        match movement {
            Movement::Nothing(rollout) => format!("nothing {:?}", rollout.ids),
            Movement::Update { definition, force } => format!("update {definition} {force}"),
            Movement::StopAndRollBack { arn } => format!("stop {arn}"),
            Movement::Superseded(by) => format!("superseded {by}"),
        }
    }

    #[test]
    fn going_forward() {
        let flying = || seen("IN_PROGRESS", Some("old"), "new", "IN_PROGRESS");
        let table = [
            (seen("SUCCESSFUL", None, "old", "COMPLETED"), "new", "update new false"),
            (seen("SUCCESSFUL", Some("old"), "new", "COMPLETED"), "new", "nothing []"),
            (flying(), "new", r#"nothing ["ecs-svc/1", "sd"]"#),
            (flying(), "old", "stop sd"),
            (flying(), "third", "update third false"),
            (seen("IN_PROGRESS", None, "new", "IN_PROGRESS"), "old", "update old false"),
            (
                seen("ROLLBACK_IN_PROGRESS", Some("old"), "old", "IN_PROGRESS"),
                "old",
                r#"nothing ["rollback", "sd"]"#,
            ),
            (seen("ROLLBACK_IN_PROGRESS", Some("old"), "old", "IN_PROGRESS"), "new", "update new false"),
            (seen("ROLLBACK_SUCCESSFUL", Some("old"), "old", "COMPLETED"), "new", "update new false"),
        ];
        for (situation, to, expected) in table {
            assert_eq!(word(&movement(&situation, &split(to, None))), expected, "{to} {situation:?}");
        }
        let way = Way::Start { course: Course::whole(), again: true };
        let forced = Split { way, ..split("new", None) };
        assert_eq!(word(&movement(&flying(), &forced)), "update new true");
    }

    #[test]
    fn taking_back_touches_nothing_newer() {
        let ours: &[&str] = &["ecs-svc/1", "sd"];
        let older: &[&str] = &["ecs-svc/0", "sd-0"];
        let by_id: &[&str] = &["ecs-svc/1"];
        let flying = || seen("IN_PROGRESS", Some("old"), "new", "IN_PROGRESS");
        let table = [
            (flying(), ours, "stop sd"),
            (flying(), by_id, "stop sd"),
            (flying(), older, "superseded sd"),
            (seen("IN_PROGRESS", None, "new", "IN_PROGRESS"), ours, "update old false"),
            (
                seen("ROLLBACK_REQUESTED", Some("old"), "new", "IN_PROGRESS"),
                ours,
                r#"nothing ["rollback", "sd"]"#,
            ),
            (seen("SUCCESSFUL", Some("old"), "new", "COMPLETED"), ours, "update old false"),
            (seen("STOPPED", Some("old"), "new", "FAILED"), ours, "update old false"),
            (seen("ROLLBACK_SUCCESSFUL", Some("old"), "old", "COMPLETED"), ours, "nothing []"),
            (seen("STOPPED", Some("old"), "old", "FAILED"), ours, "update old true"),
            (seen("SUCCESSFUL", Some("new"), "old", "COMPLETED"), older, "nothing []"),
        ];
        for (situation, ids, expected) in table {
            assert_eq!(
                word(&movement(&situation, &split("old", Some(ids)))),
                expected,
                "{ids:?} {situation:?}"
            );
        }
    }

    #[test]
    fn a_lagging_answer_does_not_name_the_deployment_before() {
        let before = seen("SUCCESSFUL", None, "old", "COMPLETED").service;
        let mut after = seen("x", None, "new", "IN_PROGRESS").service;
        after.deployments[0].id = "ecs-svc/2".into();
        assert_eq!(started_after(&before, &after, "new").ids, ["ecs-svc/2"]);
        after.current = Some("sd-2".into());
        assert_eq!(started_after(&before, &after, "new").ids, ["ecs-svc/2", "sd-2"]);
    }
}
