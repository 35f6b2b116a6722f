//! The record that ECS keeps of a service: which versions completed healthy here, and what one is made of.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::definition;
use super::look::Eyes;
use super::read::{Revision, ServiceDeployment, list, some_text, text, version};
use super::verdict;
use crate::problem::{Code, Problem};
use crate::release::{Former, Past, Version};

/// Pages of a hundred that are read at most: ECS keeps ninety days, and nobody returns further than that.
const PAGES: usize = 2;
/// Revisions that one call describes.
const AT_ONCE: usize = 20;

/// Completions, newest first: every service deployment that ended SUCCESSFUL, as far as its revision is known.
pub fn completions(
    history: &[ServiceDeployment],
    revisions: &BTreeMap<String, Revision>,
    container: &str,
) -> Vec<Past> {
    let mut good: Vec<_> = history.iter().filter(|deployment| deployment.status == "SUCCESSFUL").collect();
    good.sort_by(|a, b| b.ended().total_cmp(&a.ended()));
    let past = |deployment: &&ServiceDeployment| {
        let revision = revisions.get(deployment.target.as_ref()?)?;
        let named = revision.images.iter().find(|(name, _, _)| name == container);
        let image = named.or_else(|| revision.images.first().filter(|_| revision.images.len() == 1));
        Some(Past {
            version: version(&revision.definition),
            image: image.and_then(|(_, image, _)| image.parse().ok()),
            digest: verdict::digest(revision, container),
            completed: Timestamp::from_millisecond((deployment.ended() * 1000.0) as i64).ok(),
            commits: Vec::new(),
        })
    };
    good.iter().filter_map(past).collect()
}

/// Everything that completed healthy here, newest first.
pub async fn versions(eyes: &Eyes) -> Result<Vec<Past>, Problem> {
    let (cluster, service) = (&eyes.settings.cluster, &eyes.settings.service);
    let (mut history, mut next) = (Vec::new(), None);
    for _ in 0..PAGES {
        let answer = eyes.loader.client().list_completed(cluster, service, next).await?;
        history.extend(list(&answer, "serviceDeployments").iter().map(ServiceDeployment::read));
        next = some_text(&answer, "nextToken");
        if next.is_none() {
            break;
        }
    }
    let mut arns: Vec<String> = history.iter().filter_map(|deployment| deployment.target.clone()).collect();
    arns.sort();
    arns.dedup();
    let mut revisions = BTreeMap::new();
    for some in arns.chunks(AT_ONCE) {
        let read = eyes.loader.revisions(some).await?;
        revisions.extend(read.into_iter().map(|revision| (revision.arn.clone(), revision)));
    }
    let container = eyes.settings.container.clone().unwrap_or_default();
    Ok(completions(&history, &revisions, &container))
}

/// A version with its definition.
pub async fn recall(eyes: &Eyes, wanted: &Version) -> Result<Former, Problem> {
    match eyes.loader.client().describe_task_definition(&wanted.id).await {
        Ok(answer) => Ok(Former { version: wanted.clone(), definition: definition::with_tags(&answer) }),
        Err(refusal) if refusal.is(&["ClientException"]) => {
            let sentence =
                format!("{} cannot start any more: its task definition does not exist.", wanted.label);
            let problem = Problem::error(Code::RollbackTargetBroken, sentence);
            Err(Problem { cause: refusal.problem.cause, ..problem })
        }
        Err(refusal) => Err(refusal.problem),
    }
}

/// AWS starts nothing from a definition that is not ACTIVE.
pub fn startable(former: &Former) -> Option<Problem> {
    let status = text(&former.definition, "status");
    (!matches!(status.as_str(), "" | "ACTIVE")).then(|| {
        let label = &former.version.label;
        let sentence = format!("{label} cannot start any more: its task definition is {status}.");
        Problem::error(Code::RollbackTargetBroken, sentence)
            .help("Return to another version, or deploy: a definition that was deregistered cannot be taken up again.")
    })
}
