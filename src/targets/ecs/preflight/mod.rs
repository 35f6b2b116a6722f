//! Every problem that is known before the first change: the sequence of reads. All of them are made, so that all
//! problems are reported at once. `rules` interprets the responses.

pub mod compatibility;
#[cfg(test)]
mod preflight_tests;
pub mod rules;

use futures::future::join_all;
use serde_json::Value;

use super::asked_ahead::ImageAnswer;
use super::aws_clients::EcrManifest;
use super::ecr_image::{self, EcrImage};
use super::error::AwsError;
use super::history;
use super::image_config;
use super::permissions::{self, PlannedActions};
use super::read::{EcsService, str_field};
use super::reader::ServiceReader;
use super::rollout::mutations::COMPARED_REVISIONS;
use super::settings::ExpectedAccount;
use super::task_definition::{definition, equality};
use crate::problem::{Code, Problem, Severity};
use crate::release::{Observed, Proof, RollbackTarget, RolloutStatus, Version};

/// The input of the pre-flight.
#[derive(Debug)]
pub struct PreflightInput<'a> {
    /// The expected account and region.
    pub expected_account: &'a ExpectedAccount,
    /// The definition that would be registered, or exists already.
    pub definition: &'a Value,
    /// The earlier version to roll back to, if it is a rollback.
    pub rollback_to: Option<&'a RollbackTarget>,
    /// The observed state.
    pub observed: &'a Observed,
    /// Whether traffic is shifted by weight.
    pub shifts_traffic: bool,
    /// Whether a command runs once before.
    pub runs_command: bool,
}

/// All problems found by reading, except those of the images.
pub async fn check(reader: &ServiceReader, intent: &PreflightInput<'_>) -> Vec<Problem> {
    let service = EcsService::from_json(&intent.observed.raw);
    let region = reader.loader.client().region();
    let mut found = rules::check_region(intent.expected_account, region);
    found.extend(rules::check_service(&service, &reader.settings.service));
    if !intent.shifts_traffic {
        found.extend(rules::own_strategy_notice(&service, &reader.settings.service));
        found.extend(rules::check_percentages(&service));
    }
    found.extend(rules::check_traffic_container(&service, intent.definition));
    found.extend(compatibility::check(&service, intent.definition));
    let (caller, alarms, last_known_good, reads, rules) = tokio::join!(
        check_caller(reader, intent, &service),
        check_alarms(reader, &service, &reader.alarms),
        check_last_known_good(reader, intent),
        check_read_access(reader, intent, &service),
        check_listener_rules(reader, intent, &service),
    );
    found.extend([caller, alarms, last_known_good, reads, rules].into_iter().flatten());
    found
}

/// The caller's account and permissions.
async fn check_caller(
    reader: &ServiceReader,
    intent: &PreflightInput<'_>,
    service: &EcsService,
) -> Vec<Problem> {
    match reader.support.caller_identity().await {
        Ok((account, arn)) => {
            let permissions = check_permissions(reader, &arn, intent, service).await;
            rules::check_account(intent.expected_account, &account).into_iter().chain(permissions).collect()
        }
        Err(refusal) => vec![refusal.problem],
    }
}

async fn check_permissions(
    reader: &ServiceReader,
    caller: &str,
    intent: &PreflightInput<'_>,
    service: &EcsService,
) -> Vec<Problem> {
    let Some(principal) = permissions::principal(caller) else {
        return vec![permissions::unchecked_notice(None)];
    };
    let doing = PlannedActions {
        registers_definition: intent.rollback_to.is_none(),
        shifts_traffic: intent.shifts_traffic,
        runs_command: intent.runs_command,
    };
    match reader
        .support
        .simulate_permissions(
            &principal,
            permissions::required_permissions(service, intent.definition, doing),
        )
        .await
    {
        Ok(results) => permissions::missing_permissions(&results),
        Err(refusal) => vec![permissions::unchecked_notice(Some(&refusal))],
    }
}

async fn check_alarms(reader: &ServiceReader, service: &EcsService, declared: &[String]) -> Vec<Problem> {
    let names = rules::alarm_names(service, declared);
    if names.is_empty() {
        return Vec::new();
    }
    let passes = reader.passes_firing_alarms;
    match reader.support.alarm_states(names.clone()).await {
        Ok(states) => rules::check_alarms(&names, &states, passes),
        Err(refusal) if passes => vec![rules::alarms_unread(refusal.problem)],
        Err(refusal) => vec![refusal.problem],
    }
}

/// Every new image of the definition must exist for the task's platform. An earlier version ran already: it must still
/// be able to start.
pub async fn check_images(reader: &ServiceReader, intent: &PreflightInput<'_>) -> Vec<Problem> {
    let (wanted, observed) = (intent.definition, intent.observed);
    if let Some(target) = intent.rollback_to {
        let label = &target.version.label;
        let gone = missing_images(reader, &target.definition);
        let (gone, moved) = tokio::join!(gone, check_tag_moved(reader, target));
        let gone: Vec<Problem> = gone.iter().map(|why| rules::rollback_version_broken(label, why)).collect();
        return history::can_start(target).into_iter().chain(gone).chain(moved).collect();
    }
    let running = rules::image_references(&observed.definition);
    let platform = ecr_image::required_platform(wanted);
    // Without a change no task is started by this run.
    let starts_tasks = !equality::is_equal(&observed.definition, wanted);
    let checking = rules::image_references(wanted).into_iter().map(|reference| {
        let fresh = !running.contains(&reference);
        let platform = &platform;
        async move {
            match ecr_image::parse_ecr_image(&reference) {
                Some(ecr) if fresh => check_image(reader, &reference, &ecr, platform).await,
                Some(ecr) if starts_tasks => check_known_image(reader, &reference, &ecr).await,
                None if fresh => Some(rules::image_unchecked(&reference)),
                _ => None,
            }
        }
    });
    let found = join_all(checking).await.into_iter().flatten();
    rules::check_pull_role(wanted).into_iter().filter(|_| starts_tasks).chain(found).collect()
}

async fn check_image(
    reader: &ServiceReader,
    reference: &str,
    ecr: &EcrImage,
    platform: &str,
) -> Option<Problem> {
    if ecr.region != reader.loader.client().region() {
        return Some(rules::image_unchecked(reference));
    }
    let answer = match reader.ahead.take_image(reference) {
        Some(answer) => answer,
        None => read_image(reader, ecr).await,
    };
    match answer {
        Ok(None) => Some(rules::image_missing(reference)),
        Ok(Some(platforms)) => rules::check_platform(reference, platform, &platforms),
        Err(refusal) => Some(unreadable_image(reference, &refusal)),
    }
}

async fn read_image(reader: &ServiceReader, ecr: &EcrImage) -> ImageAnswer {
    match reader.support.manifest(&ecr.account, &ecr.repository, ecr.image_id()).await? {
        Some(manifest) => Ok(Some(image_platforms(reader, ecr, &manifest).await)),
        None => Ok(None),
    }
}

/// Reads an image that the release will most probably have, and keeps the answer for its check.
pub async fn read_image_ahead(reader: &ServiceReader, reference: &str) {
    let region = reader.loader.client().region();
    if let Some(ecr) = ecr_image::parse_ecr_image(reference).filter(|ecr| ecr.region == region) {
        reader.ahead.keep_image(reference, read_image(reader, &ecr).await);
    }
}

/// An image that runs already has the right platform. It can have left ECR since its tasks were started.
async fn check_known_image(reader: &ServiceReader, reference: &str, ecr: &EcrImage) -> Option<Problem> {
    if ecr.region != reader.loader.client().region() {
        return None;
    }
    let read = reader.support.manifest(&ecr.account, &ecr.repository, ecr.image_id()).await;
    read.is_ok_and(|manifest| manifest.is_none()).then(|| rules::image_missing(reference))
}

fn unreadable_image(reference: &str, refusal: &AwsError) -> Problem {
    let unchecked = rules::image_unchecked(reference);
    Problem { cause: refusal.problem.cause.clone(), ..unchecked }
}

/// The platforms of an image: those of the index, or the one in its config; empty if unreadable.
async fn image_platforms(reader: &ServiceReader, ecr: &EcrImage, manifest: &EcrManifest) -> Vec<String> {
    if let Some(platforms) = ecr_image::platforms(&manifest.text) {
        return platforms;
    }
    let Some(digest) = ecr_image::config_digest(&manifest.text) else { return Vec::new() };
    let config = image_config::fetch_blob(&reader.support, ecr, &digest).await;
    config.and_then(|config| ecr_image::config_platform(&config)).into_iter().collect()
}

/// The last known good version should be able to start: its definition is ACTIVE and its image exists. Going forward is
/// never refused because going back is impossible.
async fn check_last_known_good(reader: &ServiceReader, intent: &PreflightInput<'_>) -> Vec<Problem> {
    let Some(last_known_good) = intent.observed.last_known_good() else {
        return vec![rules::no_rollback_version()];
    };
    let target = intent.rollback_to.map(|target| &target.version);
    if target == Some(last_known_good) {
        return Vec::new();
    }
    let label = &last_known_good.label;
    let found = start_obstacles(reader, last_known_good, intent.observed).await;
    found.iter().map(|why| rules::last_known_good_broken(label, why)).collect()
}

/// Why no task of a version could start.
async fn start_obstacles(
    reader: &ServiceReader,
    last_known_good: &Version,
    observed: &Observed,
) -> Vec<String> {
    let serves = observed.version.as_ref() == Some(last_known_good);
    let definition = if serves {
        observed.definition.clone()
    } else {
        match reader.loader.client().describe_task_definition(&last_known_good.id).await {
            Ok(answer) => definition::with_tags(&answer),
            Err(refusal) => return vec![format!("its task definition cannot be read ({})", refusal.problem)],
        }
    };
    let status = str_field(&definition, "status");
    if !matches!(status.as_str(), "" | "ACTIVE") {
        return vec![format!("its task definition is {status}")];
    }
    missing_images(reader, &definition).await
}

/// Whether the tag of our container's image, if its definition has only a tag, still names the completed image.
async fn check_tag_moved(reader: &ServiceReader, target: &RollbackTarget) -> Option<Problem> {
    let container = definition::container_name(&target.definition, reader.settings.container.as_deref())?;
    let reference = definition::image(&target.definition, &container)?.to_string();
    let ecr =
        ecr_image::parse_ecr_image(&reference).filter(|ecr| ecr.region == reader.loader.client().region())?;
    let manifest = reader.support.manifest(&ecr.account, &ecr.repository, ecr.image_id()).await.ok()??;
    history::tag_moved(target, &reference, &manifest.text)
}

/// Why an earlier version cannot start: its images that are not in ECR any more.
async fn missing_images(reader: &ServiceReader, definition: &Value) -> Vec<String> {
    let region = reader.loader.client().region();
    let looking = rules::image_references(definition).into_iter().map(async |reference| {
        let ecr = ecr_image::parse_ecr_image(&reference).filter(|ecr| ecr.region == region)?;
        let read = reader.support.manifest(&ecr.account, &ecr.repository, ecr.image_id()).await;
        matches!(read, Ok(None)).then(|| format!("its image {reference} is not in ECR any more"))
    });
    join_all(looking).await.into_iter().flatten().collect()
}

/// The production rules must forward to both groups of each pair, or ECS rolls the deployment back.
async fn check_listener_rules(
    reader: &ServiceReader,
    intent: &PreflightInput<'_>,
    service: &EcsService,
) -> Vec<Problem> {
    let pairs = if intent.shifts_traffic { rules::production_rules(service) } else { Vec::new() };
    let reading = pairs.iter().map(async |pair| match reader.support.forwarded_groups(&pair.arn).await {
        Ok(groups) => rules::serves_traffic(pair, groups.as_deref()),
        Err(refusal) => Some(refusal.problem),
    });
    let balancers = async {
        let pair = pairs.first()?;
        reader.support.load_balancers(&pair.target_groups[0]).await.err().map(Problem::from)
    };
    let (found, balancers) = tokio::join!(join_all(reading), balancers);
    found.into_iter().chain([balancers]).flatten().collect()
}

/// The reads that were denied when the service was observed: a release needs them.
fn denied_reads(proof: &Proof) -> Vec<Problem> {
    let denied = proof.remarks.iter().filter(|remark| remark.code == Code::PermissionMissing);
    denied.map(|remark| Problem { severity: Severity::Error, ..remark.clone() }).collect()
}

/// The reads of polling and verification are tried once, so that a missing permission is known now and not at the end.
async fn check_read_access(
    reader: &ServiceReader,
    intent: &PreflightInput<'_>,
    service: &EcsService,
) -> Vec<Problem> {
    let (cluster, name) = (&reader.settings.cluster, &reader.settings.service);
    let client = reader.loader.client();
    let family = str_field(intent.definition, "family");
    let (targets, tasks, definitions) = tokio::join!(
        check_target_access(reader, intent, service),
        client.list_stopped_tasks(cluster, name, None),
        client.list_task_definitions(&family, COMPARED_REVISIONS),
    );
    if intent.rollback_to.is_none() {
        // The version to stage is looked for among them.
        reader.ahead.keep_revisions(&family, definitions.as_ref().ok().cloned());
    }
    targets.into_iter().chain(denied(tasks)).chain(denied(definitions)).collect()
}

/// The same for the targets of the service, unless they were read with it.
async fn check_target_access(
    reader: &ServiceReader,
    intent: &PreflightInput<'_>,
    service: &EcsService,
) -> Vec<Problem> {
    match &intent.observed.status {
        RolloutStatus::Healthy(proof) if service.desired > 0 => denied_reads(proof),
        RolloutStatus::NotServing(_) => Vec::new(),
        _ => match service.target_groups.first() {
            Some(group) => denied(reader.support.target_health(group).await).into_iter().collect(),
            None => Vec::new(),
        },
    }
}

fn denied<T>(read: Result<T, AwsError>) -> Option<Problem> {
    read.err().filter(AwsError::is_denied).map(|refusal| refusal.problem)
}
