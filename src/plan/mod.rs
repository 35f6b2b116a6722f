//! Event, configuration and observed state in; steps, and why, out. Pure: the same plan is printed, put in the
//! summary and walked.

pub mod changed;
mod newest;
mod occasion;
pub mod promotion;

use serde::Serialize;

pub use occasion::{Earlier, May, Occasion, Ruling, decide};

use crate::config::{Check, Strategy};
use crate::problem::Problem;
use crate::release::{Ability, Changes, Course, Flight, Health, Observed, Rollout, Span, Version};
use crate::strategy::{self, Step};

pub use newest::{Known, overtaken, serving};

/// What will be done for one service, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServicePlan {
    /// The service.
    pub service: String,
    /// The way it starts.
    pub start: Start,
    /// What would change, field by field.
    pub changes: Changes,
    /// The steps, in order; empty when nothing is to be done.
    pub steps: Vec<Step>,
    /// The way to all traffic.
    pub course: Course,
    /// The reason in one clause.
    pub why: String,
    /// Where a rollback would go.
    pub back_to: Option<Version>,
    /// Copies asked for when the plan was made.
    pub desired: u32,
    /// The command that runs once before any traffic moves, in words.
    pub before: Option<String>,
}

/// How a walk starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// What is asked for already serves.
    Unchanged,
    /// A rollout of the same version is under way, from an earlier try: watch that one.
    Adopt(Rollout),
    /// A new rollout. `again` where the same version was asked for before and failed.
    Fresh {
        /// Start again although the provider already has this version as its wish.
        again: bool,
    },
}

/// Decides what to do for one service. `ability` is what its place can do.
pub fn service(
    name: &str,
    strategy: &Strategy,
    ability: &Ability,
    changes: Changes,
    seen: &Observed,
) -> Result<ServicePlan, Problem> {
    if let Some(problem) = strategy::ability_missing(name, strategy, ability) {
        return Err(problem);
    }
    let (start, mut why) = start(&changes, seen);
    let alone = alone(strategy, seen);
    let course = if alone.is_some() { Course::whole() } else { strategy::course(strategy) };
    let all = if alone.is_some() { strategy::steps(&Strategy::default()) } else { strategy::steps(strategy) };
    why.extend(alone.filter(|_| start != Start::Unchanged).map(|alone| format!("; {alone}")));
    let steps = if start == Start::Unchanged { Vec::new() } else { all };
    let back_to = crate::rollback::target(seen);
    Ok(ServicePlan {
        service: name.into(),
        start,
        changes,
        steps,
        course,
        why,
        back_to,
        desired: seen.desired,
        before: None,
    })
}

/// Decides how one service returns to `to`, which ran before: by the provider's own replacement, since that is what its
/// place can always do.
pub fn back(name: &str, to: &Version, changes: Changes, seen: &Observed) -> ServicePlan {
    let wished = seen.version.as_ref() == Some(to);
    let (start, why) = match (&seen.in_flight, &seen.health) {
        (None, Health::Healthy(_)) if wished => (Start::Unchanged, format!("{} already serves", to.label)),
        (None, Health::Handed(_)) if wished => {
            (Start::Unchanged, format!("{} is asked for already", to.label))
        }
        (Some(flight), _) if wished && !flight.rolling_back => {
            (Start::Adopt(flight.rollout.clone()), format!("{} is on its way already", to.label))
        }
        // What the provider takes back by itself is not started once more, but watched.
        (flight, _) => {
            let again = wished && flight.is_none();
            (Start::Fresh { again }, format!("return to {}", to.label))
        }
    };
    let steps = if start == Start::Unchanged { Vec::new() } else { vec![Step::Route(100), Step::Verify] };
    let back_to = crate::rollback::target(seen);
    let course = Course::whole();
    let (service, desired) = (name.into(), seen.desired);
    ServicePlan { service, start, changes, steps, course, why, back_to, desired, before: None }
}

/// The same plan with a command that runs once between the new version's making and its first traffic. Only a start from
/// fresh has it: what serves already, and what is under way, has it behind it.
pub fn with_before(mut plan: ServicePlan, words: &str) -> ServicePlan {
    let staged = plan.steps.iter().position(|step| *step == Step::Stage);
    if let (Start::Fresh { .. }, Some(at)) = (&plan.start, staged) {
        plan.steps.insert(at + 1, Step::Before);
        plan.before = Some(words.to_owned());
    }
    plan
}

/// The same plan over a rollout in flight that may have been started by another strategy, as when a run died and the
/// deploy file was changed: what goes on by itself is watched for what it is, and what would wait in vain for its own
/// next share is taken back and started over.
pub fn over(plan: ServicePlan, flight: Flight) -> ServicePlan {
    if !matches!(plan.start, Start::Adopt(_)) {
        return plan;
    }
    match flight {
        Flight::Along => plan,
        Flight::ByItself => ServicePlan {
            steps: strategy::steps(&Strategy::default()),
            course: Course::whole(),
            why: format!("{}, which was started as a rolling update and cannot be shared", plan.why),
            ..plan
        },
        Flight::Elsewhere(how) => ServicePlan {
            start: Start::Fresh { again: true },
            why: format!(
                "a rollout of this very version is under way as {how}; it is taken back and started over"
            ),
            ..plan
        },
    }
}

/// The same plan with the service's own checks as its last word; after a return they are only told, since there is no
/// way back from it.
pub fn checked(plan: ServicePlan, checks: &[Check], returns: bool) -> ServicePlan {
    if checks.is_empty() {
        return plan;
    }
    let step = if returns { Step::Look } else { Step::Check };
    ServicePlan { steps: strategy::checked(plan.steps, step), ..plan }
}

/// Why there is nothing to compare the new version with, so that it is brought in at once.
fn alone(strategy: &Strategy, seen: &Observed) -> Option<&'static str> {
    match strategy {
        Strategy::Rolling(_) => None,
        _ if seen.desired == 0 => Some("no copies are asked for, so there is no traffic to shift"),
        _ if seen.refuge().is_none() => {
            Some("no earlier version ever completed, so there is nothing to shift traffic from")
        }
        _ => None,
    }
}

fn start(changes: &Changes, seen: &Observed) -> (Start, String) {
    if !changes.is_empty() {
        let fields = changes.0.iter().map(|change| change.field.as_str()).collect::<Vec<_>>().join(", ");
        return (Start::Fresh { again: false }, format!("changes: {fields}"));
    }
    match (&seen.in_flight, &seen.health) {
        (Some(flight), _) if !flight.rolling_back => (
            Start::Adopt(flight.rollout.clone()),
            "a rollout of this very version is already under way".into(),
        ),
        (None, Health::Healthy(_)) => {
            (Start::Unchanged, "the same definition and image already serve".into())
        }
        (None, Health::Handed(_)) => (Start::Unchanged, "the same image is asked for already".into()),
        _ => (Start::Fresh { again: true }, "this version was asked for before and does not serve".into()),
    }
}

/// The plan as one line for logs.
pub fn explain(plan: &ServicePlan) -> String {
    let adopted = matches!(plan.start, Start::Adopt(_));
    let taken =
        if adopted { plan.steps.iter().position(|step| *step == Step::Verify).unwrap_or(0) } else { 0 };
    let steps = plan.steps.iter().skip(taken).map(|step| match step {
        Step::Stage => "stage the new version".to_owned(),
        Step::Before => format!("run `{}` once", plan.before.as_deref().unwrap_or_default()),
        Step::Route(0) => "bring it up without traffic".to_owned(),
        Step::Route(percent) => format!("route {percent} %"),
        Step::Verify => "verify".to_owned(),
        Step::Test => "check the test listener".to_owned(),
        Step::Bake(span) => format!("watch for {span}"),
        Step::Check => "check its addresses".to_owned(),
        Step::Look => "look at its addresses".to_owned(),
        Step::Retire => "put settings back".to_owned(),
    });
    let mut steps = steps.collect::<Vec<_>>().join(" → ");
    if plan.course.bake > Span::default() && !steps.is_empty() {
        steps.push_str(&format!(", with a last bake of {}", plan.course.bake));
    }
    if steps.is_empty() { format!("nothing to do: {}", plan.why) } else { format!("{steps} ({})", plan.why) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Code;
    use crate::release::{Change, Failure, InFlight, Proof, Traffic};

    const WHOLE: Ability = Ability { traffic: Traffic::Whole, lacks: None };

    fn version() -> Version {
        Version { id: "arn:app:1".into(), label: "app:1".into() }
    }

    fn healthy() -> Health {
        Health::Healthy(Proof { version: version(), digest: None, evidence: String::new() })
    }

    fn failing() -> Health {
        let problem = Problem::error(Code::ContainerExited, "It exits.");
        Health::Failing(Failure { problem, exit_code: None, logs: Vec::new(), permanent: true })
    }

    fn seen(health: Health, in_flight: Option<bool>) -> Observed {
        let rollout =
            Rollout { version: "arn:app:1".into(), label: "app:1".into(), ids: vec!["ecs-svc/1".into()] };
        Observed {
            version: Some(version()),
            image: None,
            digest: None,
            health,
            previous: Some(version()),
            history: Vec::new(),
            in_flight: in_flight.map(|rolling_back| InFlight { rollout, rolling_back }),
            desired: 2,
            leftover: false,
            definition: serde_json::Value::Null,
            raw: serde_json::Value::Null,
            url: None,
        }
    }

    fn changed() -> Changes {
        Changes(vec![Change { field: "image".into(), from: Some("a".into()), to: Some("b".into()) }])
    }

    fn plan(changes: Changes, seen: &Observed) -> String {
        explain(&service("app", &Strategy::default(), &WHOLE, changes, seen).unwrap())
    }

    #[test]
    fn a_command_comes_before_the_first_traffic_of_a_fresh_start_alone() {
        let planned = |changes, seen: &Observed| {
            let plan = service("app", &Strategy::default(), &WHOLE, changes, seen).unwrap();
            explain(&with_before(plan, "./migrate up"))
        };
        insta::assert_snapshot!([
            planned(changed(), &seen(healthy(), None)),
            planned(Changes::default(), &seen(failing(), None)),
            planned(Changes::default(), &seen(healthy(), None)),
            planned(Changes::default(), &seen(Health::Unknown("?".into()), Some(false))),
            explain(&with_before(back("app", &version(), changed(), &seen(failing(), None)), "./migrate up")),
        ].join("\n"), @"
        stage the new version → run `./migrate up` once → route 100 % → verify (changes: image)
        stage the new version → run `./migrate up` once → route 100 % → verify (this version was asked for before and does not serve)
        nothing to do: the same definition and image already serve
        verify (a rollout of this very version is already under way)
        route 100 % → verify (return to app:1)
        ");
    }

    #[test]
    fn what_is_seen_decides_how_the_walk_starts() {
        insta::assert_snapshot!([
            plan(changed(), &seen(healthy(), None)),
            plan(Changes::default(), &seen(healthy(), None)),
            plan(Changes::default(), &seen(Health::Unknown("?".into()), Some(false))),
            plan(Changes::default(), &seen(healthy(), Some(true))),
            plan(Changes::default(), &seen(failing(), None)),
        ].join("\n"), @r"
        stage the new version → route 100 % → verify (changes: image)
        nothing to do: the same definition and image already serve
        verify (a rollout of this very version is already under way)
        stage the new version → route 100 % → verify (this version was asked for before and does not serve)
        stage the new version → route 100 % → verify (this version was asked for before and does not serve)
        ");
    }
}
