//! ECS's history of a service: its completed versions, and the definition of one.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::container_images;
use super::ecr_image;
use super::read::{
    ServiceDeployment, ServiceRevision, list_field, optional_str, str_field, version_from_arn,
};
use super::reader::ServiceReader;
use super::rollout::serving_proof;
use super::settings::Settings;
use super::task_definition::definition;
use crate::problem::{Code, Problem};
use crate::release::{CompletedVersion, RollbackTarget, Version};

/// Pages of 100 that are read at most: ECS keeps ninety days, and nobody rolls back further.
const MAX_PAGES: usize = 2;
/// Revisions that one call describes.
const REVISIONS_PER_CALL: usize = 20;

/// Completed versions, newest first: every service deployment that ended SUCCESSFUL, if its revision is known.
pub fn completed_versions(
    history: &[ServiceDeployment],
    revisions: &BTreeMap<String, ServiceRevision>,
    container: &str,
    settings: &Settings,
) -> Vec<CompletedVersion> {
    let mut good: Vec<_> = history.iter().filter(|deployment| deployment.status == "SUCCESSFUL").collect();
    good.sort_by(|a, b| b.ended_at().total_cmp(&a.ended_at()));
    let past = |deployment: &&ServiceDeployment| {
        let revision = revisions.get(deployment.target_revision.as_ref()?)?;
        let named = revision.images.iter().find(|(name, _, _)| name == container);
        let image = named.or_else(|| revision.images.first().filter(|_| revision.images.len() == 1));
        Some(CompletedVersion {
            version: version_from_arn(&revision.definition),
            image: image.and_then(|(_, image, _)| image.parse().ok()),
            digest: serving_proof::container_digest(revision, container),
            container_images: container_images::revision_images(revision, settings.images.keys()),
            completed_at: Timestamp::from_millisecond((deployment.ended_at() * 1000.0) as i64).ok(),
            commits: Vec::new(),
        })
    };
    good.iter().filter_map(past).collect()
}

/// All completed versions, newest first.
pub async fn list_completed(eyes: &ServiceReader) -> Result<Vec<CompletedVersion>, Problem> {
    let (cluster, service) = (&eyes.settings.cluster, &eyes.settings.service);
    let (mut history, mut next) = (Vec::new(), None);
    for _ in 0..MAX_PAGES {
        let answer = eyes.loader.client().list_successful_deployments(cluster, service, next).await?;
        history.extend(list_field(&answer, "serviceDeployments").iter().map(ServiceDeployment::from_json));
        next = optional_str(&answer, "nextToken");
        if next.is_none() {
            break;
        }
    }
    let mut arns: Vec<String> =
        history.iter().filter_map(|deployment| deployment.target_revision.clone()).collect();
    arns.sort();
    arns.dedup();
    let mut revisions = BTreeMap::new();
    for some in arns.chunks(REVISIONS_PER_CALL) {
        let read = eyes.loader.revisions(some).await?;
        revisions.extend(read.into_iter().map(|revision| (revision.arn.clone(), revision)));
    }
    let container = eyes.settings.container.clone().unwrap_or_default();
    Ok(completed_versions(&history, &revisions, &container, &eyes.settings))
}

/// A version with its definition.
pub async fn load(eyes: &ServiceReader, wanted: &Version) -> Result<RollbackTarget, Problem> {
    match eyes.loader.client().describe_task_definition(&wanted.id).await {
        Ok(answer) => Ok(RollbackTarget {
            version: wanted.clone(),
            definition: definition::with_tags(&answer),
            digest: None,
        }),
        Err(refusal) if refusal.has_code(&["ClientException"]) => {
            let sentence = format!("{} cannot be started: its task definition does not exist.", wanted.label);
            let problem = Problem::error(Code::RollbackTargetBroken, sentence);
            Err(Problem { cause: refusal.problem.cause, ..problem })
        }
        Err(refusal) => Err(refusal.problem),
    }
}

/// The tag in a definition may have moved since: then another image would start than the one that completed. `text` is
/// the manifest of the tag now. A warning, since a registry may store the same image in another form.
pub fn tag_moved(target: &RollbackTarget, reference: &str, text: &str) -> Option<Problem> {
    let now = format!("sha256:{}", hex::encode(Sha256::digest(text)));
    let then = target.digest.as_ref()?.as_str();
    let same = now == then || ecr_image::platform_digests(text).iter().any(|child| child == then);
    (!same && !reference.contains('@')).then(|| {
        let label = &target.version.label;
        let sentence = format!("The image {reference} of {label} has changed since that version completed.");
        Problem::warning(Code::RollbackTargetBroken, sentence)
            .help("Its tag was moved. To restore that image, deploy it by its digest.")
    })
}

/// AWS starts no task from a definition that is not ACTIVE.
pub fn can_start(target: &RollbackTarget) -> Option<Problem> {
    let status = str_field(&target.definition, "status");
    (!matches!(status.as_str(), "" | "ACTIVE")).then(|| {
        let label = &target.version.label;
        let sentence = format!("{label} cannot be started: its task definition is {status}.");
        Problem::error(Code::RollbackTargetBroken, sentence)
            .help("Roll back to another version, or deploy: a deregistered task definition cannot be activated again.")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rollback_target(digest: &str) -> RollbackTarget {
        let definition = json!({"status": "ACTIVE"});
        RollbackTarget {
            version: version_from_arn("arn:aws:ecs:r:1:task-definition/app:1"),
            definition,
            digest: digest.parse().ok(),
        }
    }

    #[test]
    fn only_active_definitions_can_start() {
        let with =
            |status: &str| RollbackTarget { definition: json!({"status": status}), ..rollback_target("") };
        for (status, fine) in
            [("ACTIVE", true), ("", true), ("INACTIVE", false), ("DELETE_IN_PROGRESS", false)]
        {
            assert_eq!(can_start(&with(status)).is_none(), fine, "{status}");
        }
    }

    #[test]
    fn moved_tag_is_a_warning() {
        let manifest = "{}";
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(manifest)));
        let other = format!("sha256:{}", "0".repeat(64));
        assert_eq!(tag_moved(&rollback_target(&digest), "r/app:v1", manifest), None);
        assert_eq!(tag_moved(&rollback_target("unknown"), "r/app:v1", manifest), None);
        assert!(
            tag_moved(&rollback_target(&other), "r/app:v1", manifest)
                .is_some_and(|problem| !problem.is_error())
        );
        assert_eq!(tag_moved(&rollback_target(&other), &format!("r/app@{other}"), manifest), None);
    }

    #[test]
    fn completed_versions_are_newest_first_with_repetitions() {
        let deployment = |target: &str, status: &str, finished: f64| ServiceDeployment {
            status: status.into(),
            finished_at: finished,
            target_revision: Some(target.into()),
            ..ServiceDeployment::default()
        };
        let revision = |arn: &str, definition: &str| {
            let images =
                vec![("app".to_owned(), "r/app:v1".to_owned(), format!("sha256:{}", "a".repeat(64)))];
            (
                arn.to_owned(),
                ServiceRevision {
                    arn: arn.into(),
                    definition: definition.into(),
                    images,
                    ..ServiceRevision::default()
                },
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
        let found = completed_versions(&history, &revisions.into(), "app", &Settings::default());
        let labels: Vec<&str> = found.iter().map(|past| past.version.label.as_str()).collect();
        assert_eq!(labels, ["a:1", "a:2", "a:1"]);
        assert_eq!(found[0].completed_at.map(|at| at.as_second()), Some(40));
    }
}
