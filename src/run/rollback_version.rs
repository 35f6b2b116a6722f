//! The version that each service rolls back to. The target lists what completed, the core selects. A service without one
//! stays as it is.

use std::rc::Rc;

use aws_config::SdkConfig;
use futures::future::join_all;

use crate::image::{Registry, tags};
use crate::problem::{Code, Problem};
use crate::release::{CompletedVersion, Digest, ImageRef, RollbackTarget};
use crate::rollback::{self, RecordedVersion};
use crate::run::cancel;
use crate::run::context::RunContext;
use crate::run::coordination::Coordinator;
use crate::run::refusal;
use crate::run::registry;
use crate::run::registry::EnvironmentRegistry;
use crate::run::service_run::ServiceRun;

/// Number of images whose tags are read at most to find a commit.
const MAX_LOOKUPS: usize = 30;

/// The services that are rolled back, and notices about those that are not.
pub(in crate::run) struct SelectedServices {
    pub(in crate::run) services: Vec<ServiceRun>,
    pub(in crate::run) notices: Vec<Problem>,
}

/// Selects the version that each service rolls back to. A service without one is left out, with a notice: it keeps no other
/// from being rolled back. If all are, there is nothing to do but to say so.
pub(in crate::run) async fn select_versions(
    ctx: &RunContext,
    session: Option<&SdkConfig>,
    coordinator: Option<&Coordinator>,
    mut services: Vec<ServiceRun>,
) -> Result<SelectedServices, Vec<Problem>> {
    let mut unselected = Vec::new();
    let selecting =
        refusal::open_mut(&mut services).map(|service| select_version(ctx, session, coordinator, service));
    let selected = join_all(selecting).await;
    for (service, selected) in refusal::open_mut(&mut services).zip(selected) {
        match selected {
            Ok(()) => {}
            Err(problem) if problem.code == Code::VersionUnknown => {
                unselected.push(problem.for_service(service.name()));
            }
            Err(problem) => refusal::refuse(ctx, service, problem),
        }
    }
    let mut notices: Vec<Problem> = unselected.iter().map(left_out_notice).collect();
    let is_unselected = |service: &ServiceRun| {
        unselected.iter().any(|problem| problem.service.as_deref() == Some(service.name()))
    };
    let meant = named_service(ctx, &services);
    let is_meant = |name: &str| meant.as_deref().is_none_or(|meant| meant == name);
    let has_meant = services.iter().any(|service| is_meant(service.name()) && !is_unselected(service));
    if let Some(meant) = meant.as_deref().filter(|_| has_meant) {
        notices.clear();
        ctx.log.info(Some(meant), "`to` is about this service; others stay as they are");
    }
    services.retain(|service| !is_unselected(service) && (!has_meant || is_meant(service.name())));
    if refusal::open(&services).next().is_none() {
        let refused = services.into_iter().flat_map(|service| service.report.problems);
        let told = refused.chain(unselected);
        return Err(told.filter(|problem| problem.service.as_deref().is_none_or(is_meant)).collect());
    }
    match ambiguous_number(ctx, &services) {
        Some(problem) => Err(vec![problem]),
        None => Ok(SelectedServices { services, notices }),
    }
}

/// The service that `to` names before a colon, as in `api:4`.
fn named_service(ctx: &RunContext, services: &[ServiceRun]) -> Option<String> {
    let (name, _) = ctx.inputs.to.as_deref()?.split_once(':')?;
    services.iter().map(ServiceRun::name).find(|known| *known == name).map(str::to_owned)
}

/// A bare number is that of one service: each counts its own versions.
fn ambiguous_number(ctx: &RunContext, services: &[ServiceRun]) -> Option<Problem> {
    let to = ctx.inputs.to.as_deref().filter(|to| to.bytes().all(|byte| byte.is_ascii_digit()))?;
    let names: Vec<String> =
        refusal::open(services).map(|service| format!("`{}:{to}`", service.name())).collect();
    (names.len() > 1).then(|| {
        let sentence = format!("`{to}` is the number of a version of several services. Nothing was changed.");
        Problem::error(Code::VersionUnknown, sentence).help(format!("Write one of {}.", names.join(", ")))
    })
}

fn left_out_notice(problem: &Problem) -> Problem {
    let name = problem.service.as_deref().unwrap_or_default();
    let sentence = format!("`{name}` stays as it is. {}", problem.sentence);
    Problem::notice(Code::NotRolledBack, sentence).help(problem.help.clone()).for_service(name)
}

/// Selects the version that one service rolls back to.
pub(in crate::run) async fn select_version(
    ctx: &RunContext,
    session: Option<&SdkConfig>,
    coordinator: Option<&Coordinator>,
    service: &mut ServiceRun,
) -> Result<(), Problem> {
    let mut history = service.target.history().list().await?;
    let to = ctx.inputs.to.as_deref().map(|to| rollback::selector_for(to, service.name(), &history));
    let commit = to.filter(|to| rollback::names_commit(to, &history));
    // A target that knows the commits needs no tags of images.
    let untold = history.iter().all(|one| one.commits.is_empty());
    if let Some((commit, session)) = commit.zip(session).filter(|_| untold) {
        find_commits(ctx, session, commit, &mut history).await?;
    }
    if to.is_none() && !service.target.history().knows_completion() {
        history = weigh_records(ctx, coordinator, service, history).await;
    }
    let chosen = rollback::select(to, &history, &service.observed)?;
    let target_version = service.target.history().load(&chosen.version).await?;
    service.release.rollback_to = Some(RollbackTarget { digest: chosen.digest.clone(), ..target_version });
    service.release.image = pinned_image(&chosen);
    service.release.container_images = chosen.container_images;
    service.release.commit = commit.map(str::to_owned);
    service.report.commit = service.release.commit.clone();
    service.report.image = service.release.image.clone();
    service.report.container_images = service.release.container_images.clone();
    service.report.digest = chosen.digest;
    service.report.version = Some(chosen.version);
    Ok(())
}

/// The versions that may be chosen by default, of a target that does not know which of them was healthy.
async fn weigh_records(
    ctx: &RunContext,
    coordinator: Option<&Coordinator>,
    service: &ServiceRun,
    history: Vec<CompletedVersion>,
) -> Vec<CompletedVersion> {
    let Some(coordinator) = coordinator else { return history };
    let weighing = join_all(history.iter().map(|one| coordinator.recorded_result(service.name(), one)));
    let Some(results) = cancel::until_cancelled(ctx, weighing).await else { return history };
    let versions = history.into_iter().zip(results);
    let versions = versions.map(|(version, result)| RecordedVersion { version, result }).collect();
    rollback::without_recorded_failures(versions, service.observed.version.as_ref())
}

fn pinned_image(history: &CompletedVersion) -> Option<ImageRef> {
    let image = history.image.as_ref()?;
    Some(history.digest.as_ref().map_or_else(|| image.clone(), |digest| image.with_digest(digest.clone())))
}

/// Reads the commits of earlier images from their tags in the registry.
async fn find_commits(
    ctx: &RunContext,
    session: &SdkConfig,
    commit: &str,
    history: &mut [CompletedVersion],
) -> Result<(), Problem> {
    let unreadable = |problem: Problem| {
        let sentence = format!("The commit `{commit}` cannot be looked up in the tags of the images.");
        let cause = problem.cause.clone().unwrap_or(problem.sentence);
        Problem::error(Code::VersionUnknown, sentence).cause(cause).help(
            "Name the version or the digest instead, or allow ecr:GetAuthorizationToken and ecr:DescribeImages.",
        )
    };
    let EnvironmentRegistry { client: registry, host } =
        registry::open_registry(ctx, session).await.map_err(unreadable)?;
    let mut known: Vec<(Digest, Vec<String>)> = Vec::new();
    for one in history.iter_mut() {
        let Some(image) = pinned_image(one).filter(|image| image.registry == host) else { continue };
        let Some(digest) = image.digest.clone() else { continue };
        let found = known.iter().find(|(other, _)| *other == digest).map(|(_, commits)| commits.clone());
        one.commits = match found {
            Some(commits) => commits,
            None if known.len() >= MAX_LOOKUPS => Vec::new(),
            None => {
                let commits = commits_of_image(&registry, &image).await.map_err(unreadable)?;
                known.push((digest, commits.clone()));
                commits
            }
        };
    }
    Ok(())
}

async fn commits_of_image(registry: &Rc<dyn Registry>, image: &ImageRef) -> Result<Vec<String>, Problem> {
    let all = registry.tags(image).await?;
    Ok(all.iter().filter_map(|tag| tags::parse_commit(tag)).map(str::to_owned).collect())
}
