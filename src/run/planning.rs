//! The plan of a service, made once, from what was last observed. The core decides; this file asks the target.

use std::time::Duration;

use crate::plan;
use crate::plan::{ServicePlan, Start};
use crate::problem::Problem;
use crate::release::{Change, Changes, Outcome};
use crate::run::context::RunContext;
use crate::run::rollout_state::Phase;
use crate::run::service_run::ServiceRun;
use crate::strategy::Step;

/// Makes the plan of every service that has not ended. A service that cannot be planned ends here.
pub(in crate::run) fn plan_all(ctx: &RunContext, services: &mut [ServiceRun]) {
    for service in services.iter_mut().filter(|service| service.rollout.phase == Phase::Pending) {
        match make_plan(service) {
            Ok(plan) => accept_plan(ctx, service, plan),
            Err(problems) => {
                service.finish(ctx.io.clock.now(), Outcome::Invalid, "stopped before any change");
                service.report.problems.extend(problems);
            }
        }
    }
}

/// What would change. In a dry run nothing is built, so the image that would be built is described.
fn changes(service: &ServiceRun) -> Result<Changes, Vec<Problem>> {
    let mut changes = service.target.diff(&service.release, &service.observed)?;
    changes.0.extend(image_preview(service));
    changes.0.extend(container_previews(service));
    Ok(changes)
}

/// How the service would start, from what was observed. `None` if it cannot be planned.
pub(in crate::run) fn expected_start(service: &ServiceRun) -> Option<Start> {
    make_plan(service).ok().map(|plan| plan.start)
}

/// Why the service cannot be planned, whatever image it gets.
pub(in crate::run) fn plan_problems(service: &ServiceRun) -> Vec<Problem> {
    make_plan(service).err().unwrap_or_default()
}

fn make_plan(service: &ServiceRun) -> Result<ServicePlan, Vec<Problem>> {
    let changes = changes(service)?;
    let plan = match &service.release.rollback_to {
        Some(target) => plan::plan_rollback(service.name(), &target.version, changes, &service.observed),
        None => plan_release(service, changes).map_err(|problem| vec![problem])?,
    };
    let is_rollback = service.release.rollback_to.is_some();
    Ok(plan::with_checks(plan, &service.declared.config.verify, is_rollback))
}

fn plan_release(service: &ServiceRun, changes: Changes) -> Result<ServicePlan, Problem> {
    let (target, observed) = (&service.target, &service.observed);
    let strategy = &service.declared.config.strategy;
    let support = target.limits(observed).traffic;
    let plan = plan::plan_release(service.name(), strategy, &support, changes, observed)?;
    let resume = target.resume(observed, &plan.traffic_plan);
    Ok(with_command(service, plan::resume_in_flight(plan, resume)))
}

/// The command of the deploy file runs before a version that is new, and before no other.
fn with_command(service: &ServiceRun, plan: ServicePlan) -> ServicePlan {
    match service.declared.config.before.as_ref().filter(|_| service.release.creates_version()) {
        Some(before) => plan::with_command(plan, &before.run.display()),
        None => plan,
    }
}

fn accept_plan(ctx: &RunContext, service: &mut ServiceRun, plan: ServicePlan) {
    ctx.log.info(Some(service.name()), &plan::describe(&plan));
    service.report.changes = plan.changes.clone();
    service.report.expected_duration = expected_duration(&plan, service);
    service.report.strategy = service.rollout_description(plan.command.as_deref());
    let is_redeploy = plan.changes.is_empty() && !plan.steps.is_empty();
    service.report.redeploy_reason = is_redeploy.then(|| plan.reason.clone());
    service.rollout.plan = Some(plan);
}

/// How long the rollout takes: the sum of its bakes, or what the target says if it replaces in place. `None` if nothing
/// is known.
fn expected_duration(plan: &ServicePlan, service: &ServiceRun) -> Option<Duration> {
    if plan.steps.is_empty() || service.release.rollback_to.is_some() {
        return None;
    }
    let bake = |step: &Step| if let Step::Bake(span) = step { span.0 } else { Duration::ZERO };
    let bakes = plan.steps.iter().map(bake).sum::<Duration>() + plan.traffic_plan.bake.0;
    let bakes = Some(bakes).filter(|bakes| !bakes.is_zero());
    match plan.traffic_plan.is_in_place() {
        true => service.target.limits(&service.observed).rollout_duration.or(bakes),
        false => bakes,
    }
}

fn image_preview(service: &ServiceRun) -> Option<Change> {
    let to = service.build_preview.clone()?;
    let from = service.observed.image.as_ref().map(ToString::to_string);
    Some(Change::shown("image", from, Some(to)))
}

/// The same of further containers.
fn container_previews(service: &ServiceRun) -> impl Iterator<Item = Change> {
    service.container_previews.iter().map(|(name, to)| {
        let from = service.observed.container_images.get(name).map(ToString::to_string);
        Change::shown(format!("{name}: image"), from, Some(to.clone()))
    })
}
