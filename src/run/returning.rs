//! Which version each service returns to: what completed here is read, the core chooses. All of them, or none.

use std::rc::Rc;

use aws_config::SdkConfig;

use crate::image::{Registry, tags};
use crate::problem::{Code, Problem};
use crate::release::{Digest, Former, ImageRef, Past};
use crate::rollback;

use super::build::{self, Place};
use super::{Job, Unit};

/// Images whose tags are asked for at most, when a commit is looked for.
const LOOKED_UP: usize = 30;

/// Gives every unit the version that it returns to. Errors when one of them has none: then nothing is begun for any.
pub(super) async fn choose(
    job: &Job,
    session: Option<&SdkConfig>,
    mut units: Vec<Unit>,
) -> Result<Vec<Unit>, Vec<Problem>> {
    let mut problems = Vec::new();
    for unit in &mut units {
        if let Err(problem) = choose_one(job, session, unit).await {
            problems.push(problem.of(unit.name()));
        }
    }
    if problems.is_empty() { Ok(units) } else { Err(problems) }
}

/// Gives one unit the version that it returns to.
pub(super) async fn choose_one(
    job: &Job,
    session: Option<&SdkConfig>,
    unit: &mut Unit,
) -> Result<(), Problem> {
    let to = job.inputs.to.as_deref();
    let mut past = unit.target.versions().await?;
    let commit = to.filter(|to| rollback::asks_for_commit(to, &past));
    // A place that keeps the commits itself need not be helped by the tags of the images.
    let untold = past.iter().all(|one| one.commits.is_empty());
    if let Some((commit, session)) = commit.zip(session).filter(|_| untold) {
        find_commits(job, session, commit, &mut past).await?;
    }
    let chosen = rollback::choose(to, &past, &unit.seen)?;
    let former = unit.target.recall(&chosen.version).await?;
    unit.release.former = Some(Former { digest: chosen.digest.clone(), ..former });
    unit.release.image = pinned(&chosen);
    unit.release.commit = commit.map(str::to_owned);
    unit.report.commit = unit.release.commit.clone();
    unit.report.image = unit.release.image.clone();
    unit.report.digest = chosen.digest;
    unit.report.version = Some(chosen.version);
    Ok(())
}

fn pinned(past: &Past) -> Option<ImageRef> {
    let image = past.image.as_ref()?;
    Some(past.digest.as_ref().map_or_else(|| image.clone(), |digest| image.pinned(digest.clone())))
}

/// The commits of the images that ran here, which their tags in the registry tell.
async fn find_commits(
    job: &Job,
    session: &SdkConfig,
    commit: &str,
    past: &mut [Past],
) -> Result<(), Problem> {
    let unreadable = |problem: Problem| {
        let sentence = format!("The commit `{commit}` cannot be looked up in the tags of the images.");
        let cause = problem.cause.clone().unwrap_or(problem.sentence);
        Problem::error(Code::VersionUnknown, sentence).cause(cause).help(
            "Name the version or the digest instead, or allow ecr:GetAuthorizationToken and ecr:DescribeImages.",
        )
    };
    let Place { registry, host } = build::place(job, session).await.map_err(unreadable)?;
    let mut known: Vec<(Digest, Vec<String>)> = Vec::new();
    for one in past.iter_mut() {
        let Some(image) = pinned(one).filter(|image| image.registry == host) else { continue };
        let Some(digest) = image.digest.clone() else { continue };
        let found = known.iter().find(|(other, _)| *other == digest).map(|(_, commits)| commits.clone());
        one.commits = match found {
            Some(commits) => commits,
            None if known.len() >= LOOKED_UP => Vec::new(),
            None => {
                let commits = of_image(&registry, &image).await.map_err(unreadable)?;
                known.push((digest, commits.clone()));
                commits
            }
        };
    }
    Ok(())
}

async fn of_image(registry: &Rc<dyn Registry>, image: &ImageRef) -> Result<Vec<String>, Problem> {
    let all = registry.tags(image).await?;
    Ok(all.iter().filter_map(|tag| tags::commit_of(tag)).map(str::to_owned).collect())
}
