//! The observed state, from as few reads as possible: the service, its definition, its last deployments and their
//! revisions.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use serde_json::Value;

use super::container_images;
use super::error::AwsError;
use super::history;
use super::read::{EcsDeployment, EcsService, ServiceDeployment, ServiceRevision, version_from_arn};
use super::reader::ServiceReader;
use super::rollout::status;
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
    definition: Value,
    history: Vec<ServiceDeployment>,
    current: Option<ServiceDeployment>,
    revisions: BTreeMap<String, ServiceRevision>,
    targets: TargetReads,
}

/// The targets of a service.
enum TargetReads {
    /// Something moves, or no task is desired: they say nothing about it at rest.
    NotRead,
    /// By target group.
    Read(BTreeMap<String, GroupTargets>),
    /// The role may not read them.
    Denied(Problem),
}

/// Reads the service. `previous` is the newest service deployment that ended SUCCESSFUL with another definition
/// than the current one.
pub async fn observe(reader: &ServiceReader) -> Result<Observed, Problem> {
    let service = reader.service().await?;
    if service.status == "INACTIVE" {
        let sentence = format!("The service `{}` is INACTIVE (it was deleted).", reader.settings.service);
        return Err(Problem::error(Code::ServiceMissing, sentence).help("Create the service again."));
    }
    let client = reader.loader.client();
    let current = async {
        match &service.service_deployment_arn {
            Some(arn) => reader.loader.deployment(arn).await,
            None => Ok(None),
        }
    };
    let definition = client.describe_task_definition(&service.definition);
    let targets = read_targets(reader, &service);
    let (definition, history, current, targets) =
        tokio::try_join!(definition, reader.recent_deployments(), current, targets)?;
    let definition = definition::with_tags(&definition);
    let mut reads =
        ServiceReads { service, definition, history, current, revisions: BTreeMap::new(), targets };
    let revisions = reader.loader.revisions(&reads.wanted_revisions()).await?;
    reads.revisions = revisions.into_iter().map(|revision| (revision.arn.clone(), revision)).collect();
    Ok(reads.into_observed(reader))
}

/// The targets of a service in which nothing moves, in all groups that its tasks can be in.
async fn read_targets(reader: &ServiceReader, service: &EcsService) -> Result<TargetReads, AwsError> {
    let is_at_rest = service.primary().is_some_and(|primary| primary.rollout_state == "COMPLETED");
    if !is_at_rest || service.desired == 0 {
        return Ok(TargetReads::NotRead);
    }
    let groups = parallel_version::target_groups(service, &ServiceRevision::default());
    let groups = groups.into_iter().filter(|group| !group.is_empty());
    let reads = groups.map(|group| async move {
        let targets = reader.group_targets(&group).await?;
        Ok::<_, AwsError>((group, targets))
    });
    match try_join_all(reads).await {
        Err(error) if error.is_denied() => Ok(TargetReads::Denied(error.problem)),
        other => Ok(TargetReads::Read(other?.into_iter().collect())),
    }
}

impl ServiceReads {
    /// The revisions of the running, the rolling and the previous version.
    fn wanted_revisions(&self) -> Vec<String> {
        let flying = self.current.iter().filter_map(|deployment| deployment.target_revision.clone());
        let good = self.history.iter().filter(|deployment| deployment.status == "SUCCESSFUL");
        let good = good.filter_map(|deployment| deployment.target_revision.clone());
        let mut all: Vec<String> = Vec::new();
        for arn in self.service.revision_arns.iter().cloned().chain(flying).chain(good) {
            if !all.contains(&arn) && all.len() < MAX_REVISIONS {
                all.push(arn);
            }
        }
        all
    }

    fn revision_definition(&self, revision: Option<&String>) -> Option<&str> {
        Some(self.revisions.get(revision?)?.definition.as_str())
    }

    fn into_observed(self, reader: &ServiceReader) -> Observed {
        let container = definition::container_name(&self.definition, reader.settings.container.as_deref());
        let container = container.unwrap_or_default();
        let image = definition::image(&self.definition, &container);
        let digest =
            self.serving_revision().and_then(|revision| status::container_digest(revision, &container));
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
                remarks.push(Problem { severity: Severity::Notice, ..refusal.clone() });
                format!("{running} of {desired} tasks running, targets not readable")
            }
            TargetReads::Read(_) | TargetReads::NotRead => {
                serving::describe(desired, running, targets.as_ref())
            }
        };
        let revision = self.serving_revision();
        RolloutStatus::Healthy(Proof {
            version: version_from_arn(&primary.definition),
            digest: revision.and_then(|revision| status::container_digest(revision, names.container)),
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
