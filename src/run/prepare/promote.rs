//! Promotion: each service gets the image that another environment proved, by digest. Nothing is built and no tag is
//! resolved. The core selects; `image_copy` brings the image into the registry.

use std::rc::Rc;

use aws_config::SdkConfig;

use crate::action::Operation;
use crate::config::Environment;
use crate::image::Registry;
use crate::problem::{Code, Problem, Severity};
use crate::run::context::RunContext;
use crate::run::event::operation;
use crate::run::prepare::image_copy::{self, PromotedImage, ProvenImage};
use crate::run::prepare::proven_releases::ProvenReleases;
use crate::run::prepare::service_image;
use crate::run::refusal;
use crate::run::run_config::RunConfig;
use crate::run::service_run::ServiceRun;

/// What cannot be asked for: a promotion where none is declared, an image where one is.
pub(in crate::run) fn invalid_inputs(
    ctx: &RunContext,
    name: &str,
    environment: &Environment,
) -> Option<Problem> {
    let inputs = &ctx.inputs;
    match (&environment.promote_from, inputs.operation) {
        (None, Operation::Promote) => Some(
            Problem::error(
                Code::InputInvalid,
                format!("`{name}` has no `promote-from`, so nothing can be promoted into it."),
            )
            .help(
                "Say in the deploy file which environment proves its versions, or use `operation: deploy`.",
            ),
        ),
        (Some(source), Operation::Deploy | Operation::Plan) if !inputs.images.is_empty() => {
            let sentence =
                format!("`{name}` takes only what `{source}` has proven, so no image can be named.");
            let help = "Leave out the input `image`. `operation: promote` with `to` takes a proven commit or digest.";
            Some(Problem::error(Code::InputInvalid, sentence).help(help))
        }
        _ => None,
    }
}

/// The environment that this run promotes from; `None` where it builds or takes images otherwise.
pub(in crate::run) fn source_environment<'d>(ctx: &RunContext, declared: &'d RunConfig) -> Option<&'d str> {
    let promotes = matches!(ctx.inputs.operation, Operation::Deploy | Operation::Plan | Operation::Promote);
    declared.environment.promote_from.as_deref().filter(|_| promotes)
}

/// Gives each service the image that `source` proved for it, in the registry of this environment; in a dry run,
/// describes it. A service without proven image is refused before the first copy.
pub(in crate::run) async fn promote_images(
    ctx: &RunContext,
    declared: &RunConfig,
    source: &str,
    session: Option<&SdkConfig>,
    mut services: Vec<ServiceRun>,
) -> Result<(Vec<ServiceRun>, Option<Rc<dyn Registry>>), Vec<Problem>> {
    let planning = operation(ctx) == Operation::Plan;
    service_image::resolve_fixed_images(ctx, session, &mut services).await?;
    let mut chosen = Vec::new();
    let mut evidence = ProvenReleases::load(ctx, declared, source, session).await;
    for service in refusal::open_mut(&mut services) {
        let found = match &mut evidence {
            Ok(evidence) => evidence.select(service.name(), &promoted_containers(service)).await,
            Err(problem) => Err(problem.clone()),
        };
        match found.map_err(|problem| problem.for_service(service.name())) {
            Ok(promoted) => {
                log_promotion(ctx, service, &promoted);
                chosen.push(promoted);
            }
            Err(problem) if planning => {
                service.report.problems.push(Problem { severity: Severity::Warning, ..problem });
            }
            Err(problem) => refusal::refuse(ctx, service, problem),
        }
    }
    let mut services = refusal::unless_all_end(services)?;
    if planning {
        return Ok((services, None));
    }
    let registry = image_copy::copy_all(ctx, declared, source, session, &mut services, &chosen).await?;
    Ok((refusal::unless_all_end(services)?, registry))
}

/// The further containers whose images are promoted: all but those with a fixed image, which is part of the deploy file.
fn promoted_containers(service: &ServiceRun) -> Vec<String> {
    let promoted = service.containers.iter().filter(|container| container.repository.is_some());
    promoted.map(|container| container.name.clone()).collect()
}

/// Logs and reports where the images come from.
fn log_promotion(ctx: &RunContext, service: &mut ServiceRun, promoted: &PromotedImage) {
    let of =
        promoted.commit.as_deref().map_or("an unknown commit", |commit| commit.get(..7).unwrap_or(commit));
    let words = format!("{of} ({}…), {}", promoted.own.digest.short(), promoted.origin);
    ctx.log.info(Some(service.name()), &format!("promotes {words}"));
    service.report.add_timeline_entry(ctx.io.clock.now(), format!("promotes {words}"));
    service.build_preview = (operation(ctx) == Operation::Plan).then_some(words);
    if operation(ctx) == Operation::Plan {
        let preview = |(name, proven): (&String, &ProvenImage)| {
            (name.clone(), format!("{of} ({}…), {}", proven.digest.short(), promoted.origin))
        };
        service.container_previews = promoted.containers.iter().map(preview).collect();
    }
    service.report.origin = Some(promoted.origin.clone());
    service.report.commit = promoted.commit.clone();
    service.report.digest = Some(promoted.own.digest.clone());
    service.release.commit = promoted.commit.clone();
}
