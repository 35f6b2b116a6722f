//! Plans: event, configuration and observed state in; steps and reasons out. Pure: the same plan is printed, put in the
//! summary and executed.

pub mod affected;
mod event;
pub mod last_release;
mod merged;
pub mod promotion;
pub mod proof;
mod stale_run;

use serde::Serialize;

pub use event::{Allowed, EventDecision, Trigger, UpstreamRun, allow};
pub use merged::{MergeFacts, MergeProof, merge_proof, not_merged_reason};

use crate::config::{Check, Strategy};
use crate::problem::Problem;
use crate::release::{
    Changes, HumanDuration, Observed, Resume, Rollout, RolloutStatus, TrafficPlan, TrafficSupport, Version,
};
use crate::strategy::{self, Step};

pub use stale_run::{
    RecordedCommit, RecordedRelease, ServingCommits, provider_commit, serving_commits, stale_run,
};

/// What will be done for one service, and the reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServicePlan {
    /// The service.
    pub service: String,
    /// How it starts.
    pub start: Start,
    /// What would change, field by field.
    pub changes: Changes,
    /// The steps, in order; empty if there is nothing to do.
    pub steps: Vec<Step>,
    /// The traffic plan.
    pub traffic_plan: TrafficPlan,
    /// The reason, in one clause.
    pub reason: String,
    /// The version that a rollback returns to.
    pub rollback_to: Option<Version>,
    /// Desired copies when the plan was made.
    pub desired_count: u32,
    /// The command that runs once before the traffic shift, for display.
    pub command: Option<String>,
}

/// How a rollout starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// The requested version already serves.
    NoOp,
    /// A rollout of the same version is in progress, from an earlier attempt: watch it.
    Resume(Rollout),
    /// A new rollout. `force` if the same version was requested before and failed.
    New {
        /// Start again although the provider already has this version.
        force: bool,
    },
}

/// Decides what to do for one service. `traffic_limits` is what its target can do.
pub fn plan_release(
    name: &str,
    strategy: &Strategy,
    support: &TrafficSupport,
    changes: Changes,
    observed: &Observed,
) -> Result<ServicePlan, Problem> {
    if let Some(problem) = strategy::unsupported_problem(name, strategy, support) {
        return Err(problem);
    }
    let (start, mut why) = decide_start(&changes, observed);
    let alone = missing_baseline(strategy, observed);
    let traffic_plan =
        if alone.is_some() { TrafficPlan::in_place() } else { strategy::traffic_plan(strategy) };
    let all = if alone.is_some() { strategy::steps(&Strategy::default()) } else { strategy::steps(strategy) };
    why.extend(alone.filter(|_| start != Start::NoOp).map(|alone| format!("; {alone}")));
    let steps = if start == Start::NoOp { Vec::new() } else { all };
    let back_to = crate::rollback::last_known_good(observed);
    Ok(ServicePlan {
        service: name.into(),
        start,
        changes,
        steps,
        traffic_plan,
        reason: why,
        rollback_to: back_to,
        desired_count: observed.desired_count,
        command: None,
    })
}

/// Decides how one service returns to `to`, which ran before. The provider's own replacement is used, because every
/// target supports it.
pub fn plan_rollback(name: &str, to: &Version, changes: Changes, observed: &Observed) -> ServicePlan {
    let is_requested = observed.version.as_ref() == Some(to);
    let (start, why) = match (&observed.in_flight, &observed.status) {
        (None, RolloutStatus::Healthy(_)) if is_requested => {
            (Start::NoOp, format!("{} already serves", to.label))
        }
        (None, RolloutStatus::HandedOff(_)) if is_requested => {
            (Start::NoOp, format!("{} is already requested", to.label))
        }
        (Some(flight), _) if is_requested && !flight.rolling_back => (
            Start::Resume(flight.rollout.clone()),
            format!("a rollout of {} is already in progress", to.label),
        ),
        // A rollback of the provider is watched, not started a second time.
        (flight, _) => {
            let again = is_requested && flight.is_none();
            (Start::New { force: again }, format!("roll back to {}", to.label))
        }
    };
    let steps = if start == Start::NoOp { Vec::new() } else { vec![Step::SetWeight(100), Step::WaitHealthy] };
    let back_to = crate::rollback::last_known_good(observed);
    let traffic_plan = TrafficPlan::in_place();
    let (service, desired) = (name.into(), observed.desired_count);
    ServicePlan {
        service,
        start,
        changes,
        steps,
        traffic_plan,
        reason: why,
        rollback_to: back_to,
        desired_count: desired,
        command: None,
    }
}

/// The same plan with a command that runs once between the creation of the new version and its first traffic. Only a
/// new
/// rollout has it: a version that serves or is rolling out has run it already.
pub fn with_command(mut plan: ServicePlan, words: &str) -> ServicePlan {
    let staged = plan.steps.iter().position(|step| *step == Step::Stage);
    if let (Start::New { .. }, Some(at)) = (&plan.start, staged) {
        plan.steps.insert(at + 1, Step::RunCommand);
        plan.command = Some(words.to_owned());
    }
    plan
}

/// The same plan for a rollout in progress that may have been started with another strategy, for example after a run
/// was
/// lost and the deploy file was changed. A rollout that needs no continue is watched; one that would pause for a weight
/// of another plan is rolled back and started again.
pub fn resume_in_flight(plan: ServicePlan, flight: Resume) -> ServicePlan {
    if !matches!(plan.start, Start::Resume(_)) {
        return plan;
    }
    match flight {
        Resume::Continue => plan,
        Resume::WatchOnly => ServicePlan {
            steps: strategy::steps(&Strategy::default()),
            traffic_plan: TrafficPlan::in_place(),
            reason: format!(
                "{}, which was started as a rolling update and cannot split traffic",
                plan.reason
            ),
            ..plan
        },
        Resume::Restart(how) => ServicePlan {
            start: Start::New { force: true },
            reason: format!(
                "a rollout of this version is in progress as {how}; it is rolled back and started again"
            ),
            ..plan
        },
    }
}

/// The same plan with the checks of the service as its last step. After a rollback the checks only report, because
/// there
/// is nothing to roll back to.
pub fn with_checks(plan: ServicePlan, checks: &[Check], returns: bool) -> ServicePlan {
    if checks.is_empty() {
        return plan;
    }
    let step = if returns { Step::VerifyReportOnly } else { Step::Verify };
    ServicePlan { steps: strategy::with_checks(plan.steps, step), ..plan }
}

/// Why there is no baseline to compare the new version with, so that it gets all traffic at once.
fn missing_baseline(strategy: &Strategy, observed: &Observed) -> Option<&'static str> {
    match strategy {
        Strategy::Rolling(_) => None,
        _ if observed.desired_count == 0 => Some("the desired count is 0, so there is no traffic to shift"),
        _ if observed.last_known_good().is_none() => {
            Some("no earlier version has completed, so there is nothing to shift traffic from")
        }
        _ => None,
    }
}

fn decide_start(changes: &Changes, observed: &Observed) -> (Start, String) {
    if !changes.is_empty() {
        let fields = changes.0.iter().map(|change| change.field.as_str()).collect::<Vec<_>>().join(", ");
        return (Start::New { force: false }, format!("changes: {fields}"));
    }
    match (&observed.in_flight, &observed.status) {
        (Some(flight), _) if !flight.rolling_back => {
            (Start::Resume(flight.rollout.clone()), "a rollout of this version is already in progress".into())
        }
        (None, RolloutStatus::Healthy(proof)) if proof.nothing_runs() => {
            (Start::NoOp, "the same definition and image are deployed already, and nothing runs".into())
        }
        (None, RolloutStatus::Healthy(_)) => {
            (Start::NoOp, "the same definition and image already serve".into())
        }
        // Another deployment of the same would start what cannot run: the provider starts it again all the time.
        (None, RolloutStatus::NotServing(_)) => {
            (Start::NoOp, "the same definition and image are deployed already, and do not serve".into())
        }
        (None, RolloutStatus::HandedOff(_)) => (Start::NoOp, "the same image is already requested".into()),
        _ => (Start::New { force: true }, "this version was requested before and does not serve".into()),
    }
}

/// The plan as one line for logs.
pub fn describe(plan: &ServicePlan) -> String {
    let adopted = matches!(plan.start, Start::Resume(_));
    let taken =
        if adopted { plan.steps.iter().position(|step| *step == Step::WaitHealthy).unwrap_or(0) } else { 0 };
    let steps = plan.steps.iter().skip(taken).map(|step| match step {
        Step::Stage => "stage the new version".to_owned(),
        Step::RunCommand => format!("run `{}` once", plan.command.as_deref().unwrap_or_default()),
        Step::SetWeight(0) => "start it without traffic".to_owned(),
        Step::SetWeight(percent) => format!("shift {percent} %"),
        Step::WaitHealthy => "verify".to_owned(),
        Step::TestListener => "check the test listener".to_owned(),
        Step::Bake(span) => format!("bake for {span}"),
        Step::Verify => "run the checks".to_owned(),
        Step::VerifyReportOnly => "run the checks (report only)".to_owned(),
        Step::CleanUp => "clean up".to_owned(),
    });
    let mut steps = steps.collect::<Vec<_>>().join(" → ");
    if plan.traffic_plan.bake > HumanDuration::default() && !steps.is_empty() {
        steps.push_str(&format!(", with a final bake of {}", plan.traffic_plan.bake));
    }
    if steps.is_empty() {
        format!("nothing to do: {}", plan.reason)
    } else {
        format!("{steps} ({})", plan.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Code;
    use crate::release::{Change, Failure, InFlight, Proof, TrafficControl};

    const IN_PLACE_ONLY: TrafficSupport = TrafficSupport { control: TrafficControl::InPlace, missing: None };

    fn version() -> Version {
        Version { id: "arn:app:1".into(), label: "app:1".into() }
    }

    fn healthy() -> RolloutStatus {
        RolloutStatus::Healthy(Proof {
            version: version(),
            digest: None,
            evidence: String::new(),
            remarks: Vec::new(),
        })
    }

    fn failed() -> RolloutStatus {
        let problem = Problem::error(Code::ContainerExited, "It exits.");
        RolloutStatus::Failed(Failure { problem, exit_code: None, logs: Vec::new(), permanent: true })
    }

    fn not_serving() -> RolloutStatus {
        let problem = Problem::error(Code::NotHealthy, "0 of 2 tasks run.");
        RolloutStatus::NotServing(Failure::permanent(problem))
    }

    fn observed(health: RolloutStatus, in_flight: Option<bool>) -> Observed {
        let rollout =
            Rollout { version: "arn:app:1".into(), label: "app:1".into(), ids: vec!["ecs-svc/1".into()] };
        Observed {
            version: Some(version()),
            image: None,
            container_images: Default::default(),
            digest: None,
            status: health,
            previous: Some(version()),
            history: Vec::new(),
            in_flight: in_flight.map(|rolling_back| InFlight { rollout, rolling_back }),
            desired_count: 2,
            needs_cleanup: false,
            definition: serde_json::Value::Null,
            raw: serde_json::Value::Null,
            url: None,
        }
    }

    fn image_change() -> Changes {
        Changes(vec![Change::shown("image", Some("a".into()), Some("b".into()))])
    }

    fn describe_plan(changes: Changes, observed: &Observed) -> String {
        describe(&plan_release("app", &Strategy::default(), &IN_PLACE_ONLY, changes, observed).unwrap())
    }

    #[test]
    fn command_runs_before_the_first_traffic_of_a_new_rollout_only() {
        let planned = |changes, observed: &Observed| {
            let plan = plan_release("app", &Strategy::default(), &IN_PLACE_ONLY, changes, observed).unwrap();
            describe(&with_command(plan, "./migrate up"))
        };
        insta::assert_snapshot!([
            planned(image_change(), &observed(healthy(), None)),
            planned(Changes::default(), &observed(failed(), None)),
            planned(Changes::default(), &observed(healthy(), None)),
            planned(Changes::default(), &observed(RolloutStatus::Unknown("?".into()), Some(false))),
            describe(&with_command(plan_rollback("app", &version(), image_change(), &observed(failed(), None)), "./migrate up")),
        ].join("\n"), @r"
        stage the new version → run `./migrate up` once → shift 100 % → verify (changes: image)
        stage the new version → run `./migrate up` once → shift 100 % → verify (this version was requested before and does not serve)
        nothing to do: the same definition and image already serve
        verify (a rollout of this version is already in progress)
        shift 100 % → verify (roll back to app:1)
        ");
    }

    #[test]
    fn observed_state_decides_the_start() {
        insta::assert_snapshot!([
            describe_plan(image_change(), &observed(healthy(), None)),
            describe_plan(Changes::default(), &observed(healthy(), None)),
            describe_plan(Changes::default(), &observed(RolloutStatus::Unknown("?".into()), Some(false))),
            describe_plan(Changes::default(), &observed(healthy(), Some(true))),
            describe_plan(Changes::default(), &observed(failed(), None)),
            describe_plan(Changes::default(), &observed(not_serving(), None)),
            describe_plan(image_change(), &observed(not_serving(), None)),
        ].join("\n"), @r"
        stage the new version → shift 100 % → verify (changes: image)
        nothing to do: the same definition and image already serve
        verify (a rollout of this version is already in progress)
        stage the new version → shift 100 % → verify (this version was requested before and does not serve)
        stage the new version → shift 100 % → verify (this version was requested before and does not serve)
        nothing to do: the same definition and image are deployed already, and do not serve
        stage the new version → shift 100 % → verify (changes: image)
        ");
    }
}
