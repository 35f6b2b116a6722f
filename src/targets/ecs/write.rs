//! Which movement leads from what is seen to what is wanted. Pure: nothing here is sent.
//!
//! A rollout's `ids` on ECS are `[deployment id ecs-svc/…, service deployment ARN]`, the second absent while AWS has
//! not told it; `["rollback", ARN]` for a service deployment that is taken back; empty where nothing had to move.

use serde_json::{Map, Value, json};

use super::read::{Deployment, Service, ServiceDeployment, version};
use super::{configuration, native};
use crate::release::{Course, Rollout, Split, Way};

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
    Update(Update),
    /// StopServiceDeployment with a rollback.
    StopAndRollBack {
        /// The service deployment.
        arn: String,
    },
    /// Nothing: a newer deployment took over, and it is not ours to touch.
    Superseded(String),
    /// Nothing: ECS has no strategy for such a course.
    NoSuchCourse,
}

/// An UpdateService that starts a service deployment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Update {
    /// Task definition ARN.
    pub definition: String,
    /// With a new deployment even of the same definition.
    pub force: bool,
    /// What it sets of the deployment configuration: what the course needs, or what an earlier one had changed.
    pub configuration: Option<Value>,
}

impl Update {
    /// The members to send.
    pub fn members(&self) -> Map<String, Value> {
        let mut all = Map::from_iter([("taskDefinition".to_owned(), json!(self.definition))]);
        all.extend(self.force.then(|| ("forceNewDeployment".to_owned(), json!(true))));
        all.extend(self.configuration.clone().map(|set| ("deploymentConfiguration".to_owned(), set)));
        all
    }
}

/// An update to `definition` in the service's own way: what an earlier course of ours left behind is put back in the
/// same call, or the deployment would pause at our hook with nobody to continue it.
pub fn plainly(service: &Service, definition: &str, force: bool) -> Update {
    let configuration = configuration::put_back(&service.raw["deploymentConfiguration"]);
    Update { definition: definition.to_owned(), force, configuration }
}

/// The deployment that somebody started after the plan was made (for `since`), when a new movement would overrun it.
pub fn overtaken(seen: &Situation, split: &Split, since: Option<&Deployment>) -> Option<String> {
    let (Way::Start { .. }, Some(since), Some(primary)) = (&split.way, since, seen.service.primary()) else {
        return None;
    };
    let newer = primary.id != since.id && primary.created > since.created;
    (newer && primary.definition != split.version.id).then(|| primary.id.clone())
}

/// Decides how `split` comes about.
pub fn movement(seen: &Situation, split: &Split) -> Movement {
    match &split.way {
        Way::Back(Some(ours)) => taking_back(seen, ours, split),
        Way::Start { course, again } => match update(seen, &split.version.id, course, *again) {
            Some(update) if *again => Movement::Update(update),
            Some(update) => forward(seen, split, update),
            None => Movement::NoSuchCourse,
        },
        Way::Back(None) | Way::Onward(_) => {
            forward(seen, split, plainly(&seen.service, &split.version.id, false))
        }
    }
}

/// The update that starts a course; `None` for one that ECS cannot do.
fn update(seen: &Situation, wanted: &str, course: &Course, force: bool) -> Option<Update> {
    if course.is_whole() {
        return Some(plainly(&seen.service, wanted, force));
    }
    let configuration = configuration::start(&seen.service.raw["deploymentConfiguration"], course, wanted)?;
    Some(Update { definition: wanted.to_owned(), force, configuration: Some(configuration) })
}

fn forward(seen: &Situation, split: &Split, update: Update) -> Movement {
    let wanted = &split.version.id;
    match &seen.current {
        Some(current) if current.rolling_back() && seen.source.as_ref() == Some(wanted) => {
            Movement::Nothing(returning(split, &current.arn))
        }
        Some(current) if current.in_flight() && seen.source.as_ref() == Some(wanted) => {
            Movement::StopAndRollBack { arn: current.arn.clone() }
        }
        _ if seen.service.definition == *wanted => Movement::Nothing(standing(seen, split)),
        _ => Movement::Update(update),
    }
}

fn taking_back(seen: &Situation, ours: &Rollout, split: &Split) -> Movement {
    let wanted = &split.version.id;
    let update = |force| Movement::Update(plainly(&seen.service, wanted, force));
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
        // A deployment in stages keeps all of the old version until its end: nothing is faster than going back in it.
        Some(current) if current.in_flight() && native::is_native(current, &seen.service) => {
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
    use crate::release::Span;

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
            Movement::Update(Update { definition, force, configuration }) => {
                let with =
                    configuration.as_ref().map(|set| format!(" {}", set["strategy"].as_str().unwrap()));
                format!("update {definition} {force}{}", with.unwrap_or_default())
            }
            Movement::NoSuchCourse => "no such course".into(),
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
    fn a_course_is_one_update_and_a_plain_way_puts_back_what_it_left() {
        let course = |shares: &[u8]| Course {
            shares: shares.to_vec(),
            bake: Span::minutes(5),
            patience: Span::minutes(30),
        };
        let start = |seen: &Situation, shares: &[u8]| {
            let way = Way::Start { course: course(shares), again: false };
            movement(seen, &Split { way, ..split("new", None) })
        };
        let mut seen = seen("SUCCESSFUL", None, "old", "COMPLETED");
        assert_eq!(word(&start(&seen, &[0, 10, 100])), "update new false CANARY");
        assert_eq!(word(&start(&seen, &[0, 7, 9, 100])), "no such course");
        let Movement::Update(update) = start(&seen, &[0, 100]) else { panic!() };
        let members = update.members();
        assert_eq!((&members["taskDefinition"], members.get("forceNewDeployment")), (&json!("new"), None));
        assert_eq!(members["deploymentConfiguration"]["strategy"], "BLUE_GREEN");

        seen.service.raw = json!({"deploymentConfiguration": members["deploymentConfiguration"]});
        assert_eq!(word(&start(&seen, &[100])), "update new false ROLLING");
        assert_eq!(word(&start(&seen, &[0, 10, 100])), "update new false CANARY");
        let back = Split { way: Way::Back(None), ..split("new", None) };
        assert_eq!(word(&movement(&seen, &back)), "update new false ROLLING");
    }

    #[test]
    fn a_deployment_in_stages_is_always_taken_back_in_itself() {
        let ours: &[&str] = &["ecs-svc/1", "sd"];
        for source in [None, Some("old"), Some("older")] {
            let mut flying = seen("IN_PROGRESS", source, "new", "IN_PROGRESS");
            flying.current.as_mut().unwrap().configuration = json!({"strategy":"CANARY"});
            assert_eq!(word(&movement(&flying, &split("old", Some(ours)))), "stop sd");
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
