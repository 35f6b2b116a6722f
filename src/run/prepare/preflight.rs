//! The pre-flight checks of a run: what needs no image is checked before anything is built, the rest once the images are
//! known. A check that was made long ago is made again.

use std::time::Duration;

use futures::future::{join, join_all};

use crate::action::Operation;
use crate::problem::{Code, Problem};
use crate::rollback;
use crate::run::context::RunContext;
use crate::run::event::operation;
use crate::run::prepare::image_source;
use crate::run::service_run::ServiceRun;
use crate::run::{planning, refusal};

/// How long the checks before a build count: an alarm can fire while an image is built.
const VALIDITY: Duration = Duration::from_secs(60);

/// Services, and when they were checked.
pub(super) struct CheckedServices {
    pub(super) services: Vec<ServiceRun>,
    /// When what needs no image was checked; `None` if it was not.
    checked_at: Option<Duration>,
}

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CheckScope {
    WithoutImage,
    Image,
    All,
}

/// Checks what needs no image, if an image is going to be built: a build takes minutes.
pub(super) async fn check_before_build(
    ctx: &RunContext,
    mut services: Vec<ServiceRun>,
) -> Result<CheckedServices, Vec<Problem>> {
    let builds = refusal::open(&services).any(|service| image_source::will_build(ctx, service));
    if !builds || operation(ctx) == Operation::Plan {
        return Ok(CheckedServices { services, checked_at: None });
    }
    check_all(ctx, &mut services, CheckScope::WithoutImage).await;
    for service in refusal::open_mut(&mut services) {
        for problem in planning::plan_problems(service) {
            refusal::refuse(ctx, service, problem);
        }
    }
    let services = refusal::unless_all_end(services)?;
    Ok(CheckedServices { services, checked_at: Some(ctx.io.clock.elapsed()) })
}

/// Checks the images, and whatever was not checked within the last minute.
pub(super) async fn check_with_image(
    ctx: &RunContext,
    mut services: Vec<ServiceRun>,
    checked_at: Option<Duration>,
) -> Result<Vec<ServiceRun>, Vec<Problem>> {
    let is_recent = checked_at.is_some_and(|at| ctx.io.clock.elapsed() < at + VALIDITY);
    let scope = if is_recent { CheckScope::Image } else { CheckScope::All };
    check_all(ctx, &mut services, scope).await;
    refusal::unless_all_end(services)
}

impl CheckedServices {
    /// The services, and when they were checked.
    pub(super) fn into_parts(self) -> (Vec<ServiceRun>, Option<Duration>) {
        (self.services, self.checked_at)
    }
}

async fn check_all(ctx: &RunContext, services: &mut [ServiceRun], scope: CheckScope) {
    if scope != CheckScope::Image {
        ctx.log.info(None, "Running pre-flight checks");
    }
    let found = join_all(refusal::open(services).map(|service| check_one(ctx, service, scope))).await;
    for (service, problems) in refusal::open_mut(services).zip(found) {
        for problem in problems {
            let is_passable = ctx.is_rollback() && !rollback::is_obstacle(problem.code);
            let problem = if is_passable { problem.into_warning() } else { problem };
            let problem = problem.for_service(service.name());
            match problem.is_error() {
                _ if service.report.problems.contains(&problem) => {}
                true => refusal::refuse(ctx, service, problem),
                false => service.report.problems.push(problem),
            }
        }
    }
}

/// What the target says of a service, within the time that its rollout leaves. A rollback is not bounded by more than the run.
async fn check_one(ctx: &RunContext, service: &ServiceRun, scope: CheckScope) -> Vec<Problem> {
    let of_run = ctx.inputs.timeout.saturating_sub(ctx.io.clock.elapsed());
    let before_rollout = service.time_before_rollout(ctx);
    // Where no rollout fits at all, the guard says so, with the time that it takes.
    let is_unbound = service.release.rollback_to.is_some() || before_rollout.is_zero();
    let left = if is_unbound { of_run } else { before_rollout };
    match tokio::time::timeout(left, ask_target(service, scope)).await {
        Ok(problems) => problems,
        Err(_) => {
            let sentence = format!(
                "The pre-flight checks of `{}` did not end in the time that its rollout leaves. Nothing was changed.",
                service.name()
            );
            let help = "Give the input `timeout` more, and run the job again.";
            vec![Problem::error(Code::TimedOut, sentence).help(help)]
        }
    }
}

async fn ask_target(service: &ServiceRun, scope: CheckScope) -> Vec<Problem> {
    let (target, release, observed) = (&service.target, &service.release, &service.observed);
    match scope {
        CheckScope::WithoutImage => target.preflight(release, observed).await,
        CheckScope::Image => target.preflight_image(release, observed).await,
        CheckScope::All => {
            let checks = join(target.preflight(release, observed), target.preflight_image(release, observed));
            let (general, image) = checks.await;
            general.into_iter().chain(image).collect()
        }
    }
}
