//! What lies between the commit that served before and the one that was released, for the summary. Best effort: it
//! never changes a result, and takes no more than a few seconds.

use std::time::Duration;

use futures::future::join_all;

use crate::github::{Commits, History};
use crate::image::{Registry, tags};
use crate::problem::{Code, Problem};
use crate::release::{ImageRef, Outcome, Past};
use crate::report::CommitLine;

use super::{Job, Unit, undo};

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(6);
/// An image that was built once for several commits has a tag of each; so many of them are tried.
const CANDIDATES: usize = 3;

/// What was found out about one service.
struct Learnt {
    from: String,
    to: String,
    history: History,
}

/// Finds out what each service that was released, or tried to be, got. The images' own tags say of which commit they are.
pub(super) async fn learn(job: &Job, registry: Option<&dyn Registry>, units: &mut [Unit]) {
    let (Some(commits), Some(repository)) = (job.commits.as_deref(), job.context.repository.as_deref())
    else {
        return;
    };
    let asks = units.iter().map(|unit| async move {
        if !matches!(unit.report.outcome, Outcome::Deployed | Outcome::Failed) {
            return Ok(None);
        }
        learn_one(unit, registry, commits, repository).await
    });
    let work = tokio::time::timeout(PATIENCE, join_all(asks));
    let Some(Ok(answers)) = undo::or_cancel(job, work).await else { return };
    for (unit, answer) in units.iter_mut().zip(answers) {
        match answer {
            Ok(Some(learnt)) => keep(unit, learnt),
            Ok(None) => {}
            Err(problem) => unit.report.problems.push(problem.of(&unit.service.name)),
        }
    }
}

fn keep(unit: &mut Unit, learnt: Learnt) {
    let line = |commit: crate::github::Commit| CommitLine {
        sha: commit.sha,
        subject: commit.subject,
        author: commit.author,
    };
    unit.report.commit = Some(learnt.to);
    unit.report.previous_commit = Some(learnt.from);
    unit.report.commits_total = learnt.history.total;
    unit.report.commits = learnt.history.commits.into_iter().map(line).collect();
}

async fn learn_one(
    unit: &Unit,
    registry: Option<&dyn Registry>,
    commits: &dyn Commits,
    repository: &str,
) -> Result<Option<Learnt>, Problem> {
    let (before, now) = (served_before(unit), unit.release.image.as_ref());
    if before.as_ref().zip(now).is_some_and(|(before, now)| before.digest == now.digest) {
        return Ok(None);
    }
    let from = match (recorded(unit), registry, before) {
        (known, ..) if !known.is_empty() => known,
        (_, Some(registry), Some(before)) => of_image(registry, &before).await?,
        _ => return Ok(None),
    };
    let to = match (&unit.release.commit, registry, now) {
        (Some(commit), ..) if unit.built => Some(commit.clone()),
        (_, Some(registry), Some(now)) => of_image(registry, now).await?.into_iter().next(),
        _ => None,
    };
    let Some(to) = to else { return Ok(None) };
    let from = from.into_iter().filter(|sha| !to.starts_with(sha.as_str())).take(CANDIDATES);
    nearest(commits, repository, from.collect(), to).await
}

/// The image that served before, by the digest under which it was deployed, or else the one that the provider names.
fn served_before(unit: &Unit) -> Option<ImageRef> {
    let image = unit.seen.image.as_ref()?;
    let digest = image.digest.clone().or_else(|| unit.seen.digest.clone())?;
    Some(image.pinned(digest))
}

/// The commits that the provider's own record names for what served before.
fn recorded(unit: &Unit) -> Vec<String> {
    let same = |past: &&Past| Some(&past.version) == unit.seen.version.as_ref();
    unit.seen.history.iter().find(same).map(|past| past.commits.clone()).unwrap_or_default()
}

/// The commits whose tags an image has.
async fn of_image(registry: &dyn Registry, image: &ImageRef) -> Result<Vec<String>, Problem> {
    let all = registry.tags(image).await.map_err(|problem| {
        let sentence = format!("The tags of the image `{image}` could not be read.");
        let help = "The role needs ecr:DescribeImages. The release itself is not affected.";
        Problem::notice(Code::HistoryUnknown, sentence).cause(problem.to_string()).help(help)
    })?;
    Ok(all.iter().filter_map(|tag| tags::commit_of(tag)).map(str::to_owned).collect())
}

/// Of several commits that may have been served before, the one from which the way is shortest.
async fn nearest(
    commits: &dyn Commits,
    repository: &str,
    from: Vec<String>,
    to: String,
) -> Result<Option<Learnt>, Problem> {
    let ways = join_all(from.iter().map(|from| commits.between(repository, from, &to))).await;
    let mut failure = None;
    let mut found = Vec::new();
    for (from, way) in from.into_iter().zip(ways) {
        match way {
            Ok(history) => found.push(Learnt { from, to: to.clone(), history }),
            Err(problem) => failure = Some(problem),
        }
    }
    let shortest = found.into_iter().min_by_key(|learnt| learnt.history.total);
    match (shortest, failure) {
        (None, Some(problem)) => Err(problem),
        (shortest, _) => Ok(shortest),
    }
}
