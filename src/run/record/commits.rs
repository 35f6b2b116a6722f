//! What lies between the commit that served before and the one that was released, for the summary. Best effort: it
//! never changes a result, and takes no more than a few seconds.

use std::time::Duration;

use futures::future::join_all;

use crate::github::{CommitHistory, ComparedCommits};
use crate::image::{Registry, tags};
use crate::problem::{Code, Problem};
use crate::release::{CompletedVersion, ImageRef, Outcome, digests_agree};
use crate::report::CommitLine;
use crate::run::cancel;
use crate::run::context::RunContext;
use crate::run::service_run::ServiceRun;

/// How long all of it may take.
const LOAD_TIMEOUT: Duration = Duration::from_secs(6);
/// An image that was built once for several commits has a tag of each; so many of them are tried.
const MAX_CANDIDATES: usize = 3;

/// What was found out about one service.
struct CommitRange {
    from: String,
    to: String,
    history: ComparedCommits,
}

/// Finds out what each service that was released, or tried to be, got. The images' own tags say of which commit they are.
pub(in crate::run) async fn load_commits(
    ctx: &RunContext,
    registry: Option<&dyn Registry>,
    services: &mut [ServiceRun],
) {
    let (Some(commits), Some(repository)) =
        (ctx.commit_history.as_deref(), ctx.context.repository.as_deref())
    else {
        return;
    };
    let asks = services.iter().map(|service| async move {
        if !matches!(service.report.outcome, Outcome::Deployed | Outcome::Failed) {
            return Ok(None);
        }
        load_range(service, registry, commits, repository).await
    });
    let work = tokio::time::timeout(LOAD_TIMEOUT, join_all(asks));
    let Some(Ok(answers)) = cancel::until_cancelled(ctx, work).await else { return };
    for (service, answer) in services.iter_mut().zip(answers) {
        match answer {
            Ok(Some(range)) => set_commits(service, range),
            Ok(None) => {}
            Err(problem) => service.report.problems.push(problem.for_service(&service.declared.name)),
        }
    }
}

fn set_commits(service: &mut ServiceRun, range: CommitRange) {
    let line = |commit: crate::github::CommitSummary| CommitLine {
        sha: commit.sha,
        subject: commit.subject,
        author: commit.author,
    };
    service.report.commit = Some(range.to);
    service.report.previous_commit = Some(range.from);
    service.report.commits_total = range.history.total;
    service.report.commits = range.history.commits.into_iter().map(line).collect();
}

async fn load_range(
    service: &ServiceRun,
    registry: Option<&dyn Registry>,
    commits: &dyn CommitHistory,
    repository: &str,
) -> Result<Option<CommitRange>, Problem> {
    let (before, now) = (previous_image(service), service.release.image.as_ref());
    let (release, observed) = (&service.release, &service.observed);
    let is_same = before.as_ref().zip(now).is_some_and(|(before, now)| before.digest == now.digest);
    if is_same && digests_agree(&release.container_images, &observed.container_images) {
        return Ok(None);
    }
    let from = async {
        match (recorded_commits(service), registry, before) {
            (known, ..) if !known.is_empty() => Ok(known),
            (_, Some(registry), Some(before)) => commits_of_image(registry, &before).await,
            _ => Ok(Vec::new()),
        }
    };
    let to = async {
        match (&service.release.commit, registry, now) {
            (Some(commit), ..) if service.image_of_commit => Ok(Some(commit.clone())),
            (_, Some(registry), Some(now)) => {
                commits_of_image(registry, now).await.map(|all| all.into_iter().next())
            }
            _ => Ok(None),
        }
    };
    let (from, to) = tokio::try_join!(from, to)?;
    let Some(to) = to else { return Ok(None) };
    let from = from.into_iter().filter(|sha| !to.starts_with(sha.as_str())).take(MAX_CANDIDATES);
    nearest_range(commits, repository, from.collect(), to).await
}

/// The image that served before, by the digest under which it was deployed, or else the one that the provider names.
fn previous_image(service: &ServiceRun) -> Option<ImageRef> {
    let image = service.observed.image.as_ref()?;
    let digest = image.digest.clone().or_else(|| service.observed.digest.clone())?;
    Some(image.with_digest(digest))
}

/// The commits that the provider's own record names for what served before.
fn recorded_commits(service: &ServiceRun) -> Vec<String> {
    let same = |past: &&CompletedVersion| Some(&past.version) == service.observed.version.as_ref();
    service.observed.history.iter().find(same).map(|past| past.commits.clone()).unwrap_or_default()
}

/// The commits whose tags an image has.
async fn commits_of_image(registry: &dyn Registry, image: &ImageRef) -> Result<Vec<String>, Problem> {
    let all = registry.tags(image).await.map_err(|problem| {
        let sentence = format!("The tags of the image `{image}` could not be read.");
        let help = "The role needs ecr:DescribeImages. The release itself is not affected.";
        Problem::notice(Code::HistoryUnknown, sentence).cause(problem.to_string()).help(help)
    })?;
    Ok(all.iter().filter_map(|tag| tags::parse_commit(tag)).map(str::to_owned).collect())
}

/// Of several commits that may have been served before, the one from which the way is shortest.
async fn nearest_range(
    commits: &dyn CommitHistory,
    repository: &str,
    from: Vec<String>,
    to: String,
) -> Result<Option<CommitRange>, Problem> {
    let ranges = join_all(from.iter().map(|from| commits.commits_between(repository, from, &to))).await;
    let mut failure = None;
    let mut found = Vec::new();
    for (from, range) in from.into_iter().zip(ranges) {
        match range {
            Ok(history) => found.push(CommitRange { from, to: to.clone(), history }),
            Err(problem) => failure = Some(problem),
        }
    }
    let shortest = found.into_iter().min_by_key(|range| range.history.total);
    match (shortest, failure) {
        (None, Some(problem)) => Err(problem),
        (shortest, _) => Ok(shortest),
    }
}
