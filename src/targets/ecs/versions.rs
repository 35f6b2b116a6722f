//! The record that ECS keeps of a service: which versions completed healthy here, and what one is made of.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::definition;
use super::image;
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
        Ok(answer) => {
            Ok(Former { version: wanted.clone(), definition: definition::with_tags(&answer), digest: None })
        }
        Err(refusal) if refusal.is(&["ClientException"]) => {
            let sentence =
                format!("{} cannot start any more: its task definition does not exist.", wanted.label);
            let problem = Problem::error(Code::RollbackTargetBroken, sentence);
            Err(Problem { cause: refusal.problem.cause, ..problem })
        }
        Err(refusal) => Err(refusal.problem),
    }
}

/// The tag in a definition can have moved since: then another image would start than the one that completed. `text` is
/// the manifest that the tag names now. A warning, since a registry may keep the same image in another form.
pub fn moved(former: &Former, reference: &str, text: &str) -> Option<Problem> {
    let now = format!("sha256:{}", hex::encode(Sha256::digest(text)));
    let then = former.digest.as_ref()?.as_str();
    let same = now == then || image::children(text).iter().any(|child| child == then);
    (!same && !reference.contains('@')).then(|| {
        let label = &former.version.label;
        let sentence = format!("The image {reference} of {label} is another one now than when it completed.");
        Problem::warning(Code::RollbackTargetBroken, sentence).help(
            "Its tag was moved. Deploy the image by its digest instead, if what ran then is what is meant.",
        )
    })
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn former(digest: &str) -> Former {
        let definition = json!({"status": "ACTIVE"});
        Former {
            version: version("arn:aws:ecs:r:1:task-definition/app:1"),
            definition,
            digest: digest.parse().ok(),
        }
    }

    #[test]
    fn only_what_is_active_can_start() {
        let with = |status: &str| Former { definition: json!({"status": status}), ..former("") };
        for (status, fine) in
            [("ACTIVE", true), ("", true), ("INACTIVE", false), ("DELETE_IN_PROGRESS", false)]
        {
            assert_eq!(startable(&with(status)).is_none(), fine, "{status}");
        }
    }

    #[test]
    fn a_tag_that_moved_is_noticed() {
        let manifest = "{}";
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(manifest)));
        let other = format!("sha256:{}", "0".repeat(64));
        assert_eq!(moved(&former(&digest), "r/app:v1", manifest), None);
        assert_eq!(moved(&former("unknown"), "r/app:v1", manifest), None);
        assert!(moved(&former(&other), "r/app:v1", manifest).is_some_and(|problem| !problem.is_error()));
        assert_eq!(moved(&former(&other), &format!("r/app@{other}"), manifest), None);
    }

    #[test]
    fn completions_come_newest_first_with_repetitions() {
        let deployment = |target: &str, status: &str, finished: f64| ServiceDeployment {
            status: status.into(),
            finished,
            target: Some(target.into()),
            ..ServiceDeployment::default()
        };
        let revision = |arn: &str, definition: &str| {
            let images =
                vec![("app".to_owned(), "r/app:v1".to_owned(), format!("sha256:{}", "a".repeat(64)))];
            (
                arn.to_owned(),
                Revision { arn: arn.into(), definition: definition.into(), images, ..Revision::default() },
            )
        };
        let history = [
            deployment("r1", "SUCCESSFUL", 10.0),
            deployment("r2", "SUCCESSFUL", 20.0),
            deployment("r3", "ROLLBACK_SUCCESSFUL", 30.0),
            deployment("r1b", "SUCCESSFUL", 40.0),
            deployment("gone", "SUCCESSFUL", 50.0),
        ];
        let revisions = [
            revision("r1", "task-definition/a:1"),
            revision("r2", "task-definition/a:2"),
            revision("r3", "task-definition/a:3"),
            revision("r1b", "task-definition/a:1"),
        ];
        let found = completions(&history, &revisions.into(), "app");
        let labels: Vec<&str> = found.iter().map(|past| past.version.label.as_str()).collect();
        assert_eq!(labels, ["a:1", "a:2", "a:1"]);
        assert_eq!(found[0].completed.map(|at| at.as_second()), Some(40));
    }
}
