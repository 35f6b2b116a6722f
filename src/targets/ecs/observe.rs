//! The observed state, in as few reads and round trips as possible: the service beside its last deployments, then
//! everything that they name, together.

use std::collections::BTreeMap;

use futures::future::{join_all, try_join_all};
use serde_json::Value;

use super::container_images;
use super::error::AwsError;
use super::history;
use super::read::{EcsDeployment, EcsService, ServiceDeployment, ServiceRevision, version_from_arn};
use super::reader::ServiceReader;
use super::rollout::mutations::COMPARED_REVISIONS;
use super::rollout::serving_proof;
use super::rollout::{deployment_configuration, parallel_version};
use super::serving::{self, GroupTargets, TargetCounts};
use super::task_definition::definition;
use super::write;
use crate::problem::{Code, Problem, Severity};
use crate::release::{Failure, InFlight, Observed, Progress, Proof, Rollout, RolloutStatus};

/// The most revisions that are read (one call).
const MAX_REVISIONS: usize = 20;

/// The responses.
struct ServiceReads {
    service: EcsService,
    history: Vec<ServiceDeployment>,
    definition: Value,
    current: Option<ServiceDeployment>,
    revisions: BTreeMap<String, ServiceRevision>,
    targets: TargetReads,
}

/// What a service and its list of deployments name, and what is read of it.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedResources {
    /// The desired task definition.
    definition: String,
    /// The service deployment in progress, or the last one.
    deployment: Option<String>,
    /// The revisions of the running, the rolling and the completed versions, as far as one call describes them.
    revisions: Vec<String>,
    /// The target groups of a service in which nothing moves: all that its tasks can be in.
    target_groups: Vec<String>,
}

/// What was read of the resources that a service names.
struct NamedReads {
    definition: Value,
    current: Option<ServiceDeployment>,
    revisions: Vec<ServiceRevision>,
    targets: TargetReads,
}

/// The targets of a service.
enum TargetReads {
    /// Something moves, no task is desired, or there is no load balancer: they say nothing about the service at rest.
    NotRead,
    /// By target group.
    Read(BTreeMap<String, GroupTargets>),
    /// The role may not read them.
    Denied(Problem),
}

/// Reads the service. `previous` is the newest service deployment that ended SUCCESSFUL with another definition than the
/// current one. A service that was observed before names the same resources most of the time: they are read together
/// with it, and again if it names others.
pub async fn observe(reader: &ServiceReader) -> Result<Observed, Problem> {
    let expected = reader.ahead.named();
    let ahead = async {
        let names = expected.as_ref()?;
        let (named, ()) = tokio::join!(read_named(reader, names), read_revisions(reader, names));
        Some(named)
    };
    let (service, history, ahead) = tokio::join!(reader.service(), reader.recent_deployments(), ahead);
    let service = service?;
    if service.status == "INACTIVE" {
        let sentence = format!("The service `{}` is INACTIVE (it was deleted).", reader.settings.service);
        return Err(Problem::error(Code::ServiceMissing, sentence).help("Create the service again."));
    }
    let history = history?;
    let names = NamedResources::of(&service, &history);
    let named = match ahead {
        Some(Ok(named)) if expected.as_ref() == Some(&names) => named,
        _ => read_named(reader, &names).await?,
    };
    let NamedReads { definition, current, revisions, targets } = named;
    let mut revisions = by_arn(revisions);
    // A deployment that began between the two answers.
    let unlisted = current.iter().filter_map(|deployment| deployment.target_revision.clone());
    let unlisted: Vec<String> = unlisted.filter(|arn| !names.revisions.contains(arn)).collect();
    revisions.extend(by_arn(reader.loader.revisions(&unlisted).await?));
    reader.ahead.set_named(names);
    Ok(ServiceReads { service, history, definition, current, revisions, targets }.into_observed(reader))
}

impl NamedResources {
    fn of(service: &EcsService, history: &[ServiceDeployment]) -> Self {
        Self {
            definition: service.definition.clone(),
            deployment: service.service_deployment_arn.clone(),
            revisions: named_revisions(service, history),
            target_groups: named_groups(service),
        }
    }
}

fn named_revisions(service: &EcsService, history: &[ServiceDeployment]) -> Vec<String> {
    let current = service.service_deployment_arn.as_ref();
    let flying = history.iter().filter(|deployment| Some(&deployment.arn) == current);
    let good = history.iter().filter(|deployment| deployment.status == "SUCCESSFUL");
    let targets = flying.chain(good).filter_map(|deployment| deployment.target_revision.clone());
    let mut all: Vec<String> = Vec::new();
    for arn in service.revision_arns.iter().cloned().chain(targets) {
        if !all.contains(&arn) && all.len() < MAX_REVISIONS {
            all.push(arn);
        }
    }
    all
}

fn named_groups(service: &EcsService) -> Vec<String> {
    let is_at_rest = service.primary().is_some_and(|primary| primary.rollout_state == "COMPLETED");
    if !is_at_rest || service.desired == 0 {
        return Vec::new();
    }
    let groups = parallel_version::target_groups(service, &ServiceRevision::default());
    groups.into_iter().filter(|group| !group.is_empty()).collect()
}

fn by_arn(revisions: Vec<ServiceRevision>) -> BTreeMap<String, ServiceRevision> {
    revisions.into_iter().map(|revision| (revision.arn.clone(), revision)).collect()
}

/// Reads all of them together.
async fn read_named(reader: &ServiceReader, names: &NamedResources) -> Result<NamedReads, AwsError> {
    let current = async {
        match &names.deployment {
            Some(arn) => reader.loader.deployment(arn).await,
            None => Ok(None),
        }
    };
    let (definition, current, revisions, targets) = tokio::try_join!(
        reader.loader.client().describe_task_definition(&names.definition),
        current,
        reader.loader.revisions(&names.revisions),
        read_targets(reader, &names.target_groups),
    )?;
    Ok(NamedReads { definition: definition::with_tags(&definition), current, revisions, targets })
}

/// Lists the revisions among which a version to stage is looked for once more, and reads those that were listed: a run observes
/// a service again before it stages a version.
async fn read_revisions(reader: &ServiceReader, names: &NamedResources) {
    let Some(family) = reader.ahead.listed_family() else { return };
    let client = reader.loader.client();
    let unread = reader.ahead.unread_revisions();
    let reading = unread.iter().filter(|arn| **arn != names.definition).map(async |arn| {
        if let Ok(answer) = client.describe_task_definition(arn).await {
            reader.ahead.keep_definition(arn, definition::with_tags(&answer));
        }
    });
    let (listed, _) =
        tokio::join!(client.list_task_definitions(&family, COMPARED_REVISIONS), join_all(reading));
    reader.ahead.keep_revisions(&family, listed.ok());
}

async fn read_targets(reader: &ServiceReader, groups: &[String]) -> Result<TargetReads, AwsError> {
    if groups.is_empty() {
        return Ok(TargetReads::NotRead);
    }
    let reads = groups.iter().map(async |group| {
        let targets = reader.group_targets(group).await?;
        Ok::<_, AwsError>((group.clone(), targets))
    });
    match try_join_all(reads).await {
        Err(error) if error.is_denied() => Ok(TargetReads::Denied(error.problem)),
        other => Ok(TargetReads::Read(other?.into_iter().collect())),
    }
}

impl ServiceReads {
    fn revision_definition(&self, revision: Option<&String>) -> Option<&str> {
        Some(self.revisions.get(revision?)?.definition.as_str())
    }

    fn into_observed(self, reader: &ServiceReader) -> Observed {
        let container = definition::container_name(&self.definition, reader.settings.container.as_deref());
        let container = container.unwrap_or_default();
        let image = definition::image(&self.definition, &container);
        let digest = self
            .serving_revision()
            .and_then(|revision| serving_proof::container_digest(revision, &container));
        Observed {
            version: Some(version_from_arn(&self.service.definition)),
            digest: digest.or_else(|| image.as_ref().and_then(|image| image.digest.clone())),
            image,
            container_images: container_images::running_images(
                &self.definition,
                self.serving_revision(),
                reader.settings.images.keys(),
            ),
            status: self.rollout_status(&reader.settings.service, &container),
            previous: self.previous_version(),
            history: history::completed_versions(
                &self.history,
                &self.revisions,
                &container,
                &reader.settings,
            ),
            in_flight: self.in_flight(),
            desired_count: self.service.desired,
            needs_cleanup: deployment_configuration::our_hook(&self.service.raw["deploymentConfiguration"])
                .is_some(),
            url: Some(super::console_url(reader.loader.client().region(), &reader.settings)),
            raw: self.service.raw,
            definition: self.definition,
        }
    }

    /// The revision of the desired definition.
    fn serving_revision(&self) -> Option<&ServiceRevision> {
        let current = self.service.revision_arns.iter().filter_map(|arn| self.revisions.get(arn));
        let flying = self.current.iter().filter_map(|d| self.revisions.get(d.target_revision.as_ref()?));
        current.chain(flying).find(|revision| revision.definition == self.service.definition)
    }

    fn previous_version(&self) -> Option<crate::release::Version> {
        let good = self.history.iter().filter(|deployment| deployment.status == "SUCCESSFUL");
        let mut definitions =
            good.filter_map(|deployment| self.revision_definition(deployment.target_revision.as_ref()));
        definitions.find(|definition| *definition != self.service.definition).map(version_from_arn)
    }

    fn deployment_in_flight(&self) -> Option<&ServiceDeployment> {
        self.current.as_ref().filter(|deployment| deployment.is_in_flight())
    }

    fn in_flight(&self) -> Option<InFlight> {
        let moving = self.service.primary().is_some_and(|primary| primary.rollout_state == "IN_PROGRESS");
        let Some(flying) = self.deployment_in_flight() else {
            let rollout = write::shown_rollout(&self.service, &self.service.definition);
            return moving.then_some(InFlight { rollout, rolling_back: false });
        };
        let target =
            self.revision_definition(flying.target_revision.as_ref()).unwrap_or(&self.service.definition);
        let mine = self.service.deployments.iter().find(|deployment| deployment.definition == target);
        let id = mine.map(|deployment| deployment.id.clone()).unwrap_or_default();
        let version = version_from_arn(target);
        let rollout =
            Rollout { version: version.id, label: version.label, ids: vec![id, flying.arn.clone()] };
        Some(InFlight { rollout, rolling_back: flying.is_rolling_back() })
    }

    /// The targets of the serving revision's groups.
    fn target_counts(&self) -> Option<TargetCounts> {
        let TargetReads::Read(known) = &self.targets else { return None };
        let resolved = self.serving_revision().map(|revision| &revision.target_groups);
        let groups = resolved.filter(|groups| !groups.is_empty()).unwrap_or(&self.service.target_groups);
        let groups: Vec<GroupTargets> = groups.iter().filter_map(|group| known.get(group).cloned()).collect();
        (!groups.is_empty()).then(|| serving::count_targets(&groups))
    }

    /// What serves of a version that completed, now.
    fn status_at_rest(&self, primary: &EcsDeployment, names: ServiceNames<'_>, says: &str) -> RolloutStatus {
        let desired = self.service.desired;
        let shown = self.service.raw["runningCount"].as_u64().and_then(|count| u32::try_from(count).ok());
        let running = shown.map_or(primary.running, |shown| shown.min(primary.running));
        let targets = self.target_counts();
        if let Some(failure) = serving::not_serving(&self.service, names.service, running, targets.as_ref()) {
            return RolloutStatus::NotServing(failure);
        }
        let mut remarks = serving::remarks(desired, running, targets.as_ref());
        let counted = match &self.targets {
            TargetReads::Denied(refusal) => {
                remarks.push(Problem { severity: Severity::Warning, ..refusal.clone() });
                format!("{running} of {desired} tasks running, targets not read")
            }
            TargetReads::Read(_) | TargetReads::NotRead => {
                serving::describe(desired, running, targets.as_ref())
            }
        };
        let revision = self.serving_revision();
        RolloutStatus::Healthy(Proof {
            version: version_from_arn(&primary.definition),
            digest: revision.and_then(|revision| serving_proof::container_digest(revision, names.container)),
            evidence: format!("{says}, {counted}"),
            remarks,
        })
    }

    /// The status of the desired version.
    fn rollout_status(&self, service: &str, container: &str) -> RolloutStatus {
        let Some(primary) = self.service.primary() else {
            return RolloutStatus::Unknown("the service shows no PRIMARY deployment".into());
        };
        let status = self.current.as_ref().map(|deployment| deployment.status.as_str()).unwrap_or_default();
        match (primary.rollout_state.as_str(), status) {
            ("COMPLETED", "" | "SUCCESSFUL" | "ROLLBACK_SUCCESSFUL") => {
                let says = format!("rollout COMPLETED {status}");
                self.status_at_rest(primary, ServiceNames { service, container }, says.trim_end())
            }
            ("FAILED", _) => RolloutStatus::Aborted(stopped_failure(&primary.reason)),
            ("IN_PROGRESS" | "COMPLETED", _) => RolloutStatus::Progressing(Progress {
                running: primary.running,
                pending: primary.pending,
                desired: primary.desired,
                failed: primary.failed,
                stage: status.to_owned(),
                ..Progress::default()
            }),
            (other, _) => RolloutStatus::Unknown(format!("rollout state `{other}`")),
        }
    }
}

/// The names of a service and of the container whose image is deployed.
#[derive(Debug, Clone, Copy)]
struct ServiceNames<'n> {
    service: &'n str,
    container: &'n str,
}

fn stopped_failure(words: &str) -> Failure {
    let sentence = "The last deployment failed and was not rolled back.";
    let problem = Problem::error(Code::DeploymentStopped, sentence).cause(words);
    Failure::permanent(problem)
}
