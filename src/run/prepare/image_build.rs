//! Builds the image of one service: what is checked before, how long it may take, and how it ends early.

use std::rc::Rc;
use std::time::Duration;

use crate::image;
use crate::image::{BuildRequest, ImageBuilder, Registry, RegistryAccess, build_check};
use crate::problem::{Code, Problem, Severity};
use crate::release::HumanDuration;
use crate::run::context::RunContext;
use crate::sys::disk;
use crate::sys::signal::CancelLevel;

/// How long the removal of what a build created may take.
const CLEAN_UP_LIMIT: Duration = Duration::from_secs(30);

/// An image that is to be built, where it is pushed to, and the time for that.
pub(super) struct PreparedBuild {
    /// The image.
    pub(super) request: BuildRequest,
    /// Its registry.
    pub(super) registry: Rc<dyn Registry>,
    /// The registries of its base images.
    pub(super) access: RegistryAccess,
    /// What the rollout of the service needs after the build.
    pub(super) rollout_time: Duration,
}

/// What would make the build fail for certain. A rehearsal, and a run of a fork, have no secrets: a warning says which ones
/// a deployment needs. A rehearsal without files has no build to check.
pub(super) fn build_problems(ctx: &RunContext, request: &BuildRequest) -> Vec<Problem> {
    if ctx.rehearsal && !disk::is_folder(&ctx.workspace) {
        return Vec::new();
    }
    let mut problems = build_check::check_files(request);
    let secrets = build_check::check_secrets(request, &ctx.io.variables);
    let lacks_secrets = ctx.rehearsal || ctx.context.lacks_secrets();
    problems.extend(secrets.into_iter().map(|problem| match lacks_secrets {
        true => Problem { severity: Severity::Warning, ..problem },
        false => problem,
    }));
    problems
}

/// Builds and pushes, within the time that neither the rollout nor a rollback needs.
pub(super) async fn run_builder(
    ctx: &RunContext,
    build: &PreparedBuild,
    alone: bool,
) -> Result<image::BuildOutput, Problem> {
    let PreparedBuild { request, rollout_time, .. } = build;
    // Read when the build begins: it may have waited for others.
    let left = ctx.time_left().saturating_sub(*rollout_time);
    if left.is_zero() {
        return Err(overdue_problem(ctx, build, "not begun"));
    }
    let builder: Rc<dyn ImageBuilder> = match &ctx.builder {
        Some(builder) => builder.clone(),
        None => buildx_builder(ctx, build),
    };
    // Log groups do not nest, and lines of several builds mix: each line names its service.
    let title = format!("build {} → {}", request.service, request.repository);
    if alone {
        ctx.log.group(&title)
    } else {
        ctx.log.info(Some(&request.service), &title)
    }
    let mut log = |line: &str| ctx.log.untrusted(&request.service, line);
    let result = tokio::select! {
        result = builder.build(request, &mut log) => result,
        () = ctx.cancel.wait_for(CancelLevel::Cancel) => Err(cancelled_problem()),
        () = tokio::time::sleep(left) => Err(overdue_problem(ctx, build, "stopped")),
    };
    // What cannot be removed in this time does not affect the image.
    let _ = tokio::time::timeout(CLEAN_UP_LIMIT, builder.clean_up()).await;
    if alone {
        ctx.log.end_group();
    }
    result
}

fn buildx_builder(ctx: &RunContext, build: &PreparedBuild) -> Rc<dyn ImageBuilder> {
    let (registry, access) = (build.registry.clone(), build.access.clone());
    Rc::new(image::Buildx::new(ctx.io.variables.clone(), registry, access, ctx.secret_masker()))
}

/// The problem of a build that was stopped, or not begun, so that the rollout and a rollback still fit.
fn overdue_problem(ctx: &RunContext, build: &PreparedBuild, what_happened: &str) -> Problem {
    let timeout = ctx.inputs.timeout;
    let sentence = format!(
        "The build of `{}` was {what_happened} after {} of the {} of this run: its rollout needs {}, and {} are reserved for \
         a rollback. Nothing was changed.",
        build.request.service,
        HumanDuration(ctx.io.clock.elapsed()),
        HumanDuration(timeout),
        HumanDuration(build.rollout_time),
        HumanDuration(ctx.rollback_reserve())
    );
    Problem::error(Code::TimedOut, sentence)
        .help("Give the input `timeout` more, or cache the layers: `build: { cache: registry }`.")
}

fn cancelled_problem() -> Problem {
    Problem::error(Code::Cancelled, "The run was cancelled while the image was built; nothing was released.")
}
