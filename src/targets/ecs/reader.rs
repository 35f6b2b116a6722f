//! One poll of a rollout: the sequence of calls. `status` and `causes` interpret the responses.

use std::rc::Rc;

use futures::future::{join_all, try_join_all};
use tokio::time::Instant;

use super::asked_ahead::AskedAhead;
use super::aws_clients::SupportClients;
use super::batch_loader::BatchLoader;
use super::ecr_image;
use super::error::AwsError;
use super::read::{EcsService, EcsTask, ServiceDeployment, ServiceRevision, list_field, optional_str};
use super::rollout::causes::FailureCause;
use super::rollout::ecs_strategy::{self, PauseState};
use super::rollout::mutations::none_if_denied;
use super::rollout::parallel_version::{self, ParallelVersion};
use super::rollout::rollout_memory::RolloutMemory;
use super::rollout::serving_proof::ServingEvidence;
use super::rollout::snapshot::{NewerDeployment, Snapshot};
use super::serving::{self, GroupTargets, TargetCounts};
use super::settings::Settings;
use super::task_definition::definition;
use crate::problem::{Code, Problem};
use crate::release::{LogLine, Rollout, Variant};

/// The most log lines of a failed container.
const MAX_LOG_LINES: i32 = 20;
/// The most pages of stopped tasks that are read: 2,000 tasks.
const MAX_TASK_PAGES: usize = 20;

/// The reads of one service.
#[derive(Debug, Clone)]
pub struct ServiceReader {
    /// Batched reads that services share.
    pub loader: Rc<BatchLoader>,
    /// Reads of the APIs around ECS.
    pub support: SupportClients,
    /// The service's block in the deploy file.
    pub settings: Settings,
    /// Alarms of the deploy file, in addition to those that ECS monitors.
    pub alarms: Vec<String>,
    /// Whether alarms that fired before the rollout neither stop nor fail it.
    pub passes_firing_alarms: bool,
    /// What is known of its next reads.
    pub ahead: Rc<AskedAhead>,
}

impl ServiceReader {
    /// The service; a problem if AWS does not return it.
    pub async fn service(&self) -> Result<EcsService, Problem> {
        let (cluster, name) = (&self.settings.cluster, &self.settings.service);
        let found = self.loader.service(cluster, name).await;
        found.map_err(|error| self.with_cluster_name(error.problem))?.ok_or_else(|| self.missing_service())
    }

    /// AWS's refusal names neither the cluster nor the region.
    fn with_cluster_name(&self, problem: Problem) -> Problem {
        if problem.code != Code::ClusterMissing {
            return problem;
        }
        let (cluster, region) = (&self.settings.cluster, self.loader.client().region());
        let is_elsewhere = problem.cause.as_deref().is_some_and(|cause| cause.contains("Identifier is for"));
        let sentence = match is_elsewhere {
            true => format!("The cluster `{cluster}` is not in {region} in the account of the role."),
            false => {
                format!("The cluster `{cluster}` does not exist in {region} in the account of the role.")
            }
        };
        Problem { sentence, ..problem }
    }

    fn missing_service(&self) -> Problem {
        let (cluster, name) = (&self.settings.cluster, &self.settings.service);
        let sentence = format!("The service `{name}` does not exist in the cluster `{cluster}`.");
        Problem::error(Code::ServiceMissing, sentence)
            .help("Check `ecs.service` and `ecs.cluster`; create the service before the first deployment.")
    }

    /// A revision; if AWS knows none, the definition alone.
    async fn revision(&self, arn: Option<&String>, definition: &str) -> Result<ServiceRevision, Problem> {
        let bare = || ServiceRevision { definition: definition.to_owned(), ..ServiceRevision::default() };
        match arn {
            Some(arn) => Ok(self.loader.revision(arn).await?.unwrap_or_else(bare)),
            None => Ok(bare()),
        }
    }

    /// The snapshot for the rollout status, with as few reads as possible.
    pub async fn take_snapshot(
        &self,
        rollout: &Rollout,
        watch: &mut RolloutMemory,
    ) -> Result<Snapshot, Problem> {
        let (cluster, name) = (&self.settings.cluster, &self.settings.service);
        let first = watch.first_deployment_arn().cloned();
        let ahead = async { Some(self.service_deployment(first.as_ref()?).await) };
        let (service, ahead) = tokio::join!(self.loader.service_or_recent(cluster, name), ahead);
        let service = service?.ok_or_else(|| self.missing_service())?;
        let now = Instant::now();
        watch.record_service(&service, rollout, now);
        if watch.needs_deployment(&service, rollout) {
            let read = match (ahead, watch.remember_arn(&service, rollout)) {
                (Some(read), Some(_)) => read?,
                (None, Some(arn)) => self.service_deployment(&arn).await?,
                (_, None) if watch.can_search(&service, rollout) => {
                    self.recent_deployments().await?.into_iter().next()
                }
                (_, None) => None,
            };
            watch.remember_answer(&service, rollout, read);
        }
        if watch.needs_tasks(rollout, now, || self.loader.take_read_budget()) {
            self.read_stopped_tasks(rollout, watch, now).await?;
        }
        if watch.needs_alarms(rollout, now) {
            self.read_alarms(watch).await?;
        }
        let ours = watch.last_deployment.clone();
        let newer = self.newer_deployment(ours.as_ref()).await?;
        watch.follow_same_version(newer.as_ref(), &service, rollout);
        let evidence = self.serving_evidence(&service, ours.as_ref(), rollout).await?;
        let parallel = match &ours {
            Some(ours) => self.parallel_version(&service, ours, rollout, watch).await?,
            None => None,
        };
        let cause = watch.top_failure(&service, rollout, &self.settings.patience, now);
        let suspected_failure = watch.suspected_failure();
        let events = watch.new_events.clone();
        Ok(Snapshot {
            service,
            own_deployment: ours,
            newer_deployment: newer,
            evidence,
            parallel_version: parallel,
            top_failure: cause,
            suspected_failure,
            is_recent: watch.is_recent(now),
            events,
        })
    }

    /// A service deployment; without the permission to read it, only the service is used.
    async fn service_deployment(&self, arn: &str) -> Result<Option<ServiceDeployment>, Problem> {
        match self.loader.deployment(arn).await {
            Err(refusal) if refusal.is_denied() => Ok(None),
            other => Ok(other?),
        }
    }

    /// The new version in parallel to the old one, while the rollout is paused: read only then, its targets less often.
    async fn parallel_version(
        &self,
        service: &EcsService,
        ours: &ServiceDeployment,
        rollout: &Rollout,
        watch: &mut RolloutMemory,
    ) -> Result<Option<ParallelVersion>, Problem> {
        if !matches!(ecs_strategy::pause_state(ours, service), PauseState::AtOurHook(_))
            || ecs_strategy::is_rolling_back(rollout)
        {
            return Ok(None);
        }
        if watch.parallel_version.is_none() {
            watch.parallel_version = self.read_parallel_version(service, ours).await?;
        }
        let Some(groups) = watch.parallel_version.as_ref().map(|parallel| parallel.target_groups.clone())
        else {
            return Ok(None);
        };
        let now = Instant::now();
        if watch.needs_targets(now) {
            let targets = self.target_counts(service, &groups).await?;
            watch.record_targets(targets, ours.task_counts[0], now);
        }
        Ok(watch.parallel_version.clone())
    }

    /// The metric labels of a service in CloudWatch: its target groups, whichever version is behind them.
    pub async fn metric_labels(&self, service: &EcsService) -> Result<Vec<Variant>, Problem> {
        let groups = parallel_version::target_groups(service, &ServiceRevision::default());
        let balancers = match groups.first() {
            Some(group) => self.support.load_balancers(group).await?,
            None => Vec::new(),
        };
        Ok(balancers
            .first()
            .map(|balancer| parallel_version::service_labels(service, balancer))
            .unwrap_or_default())
    }

    /// The target groups of the new version, and the metric labels of both versions.
    async fn read_parallel_version(
        &self,
        service: &EcsService,
        ours: &ServiceDeployment,
    ) -> Result<Option<ParallelVersion>, Problem> {
        let arns: Vec<String> = ours.target_revision.iter().chain(&ours.source_revisions).cloned().collect();
        let revisions = self.loader.revisions(&arns).await?;
        let of = |arn: &String| revisions.iter().find(|revision| revision.arn == *arn);
        let Some(new) = ours.target_revision.as_ref().and_then(of) else { return Ok(None) };
        let old = ours.source_revisions.iter().find_map(of);
        let groups = parallel_version::target_groups(service, new);
        let balancers = match groups.first() {
            Some(group) => self.support.load_balancers(group).await?,
            None => Vec::new(),
        };
        let variants = old.and_then(|old| parallel_version::variants(service, new, old, balancers.first()));
        Ok(Some(ParallelVersion { target_groups: groups, variants, target_counts: None }))
    }

    async fn read_stopped_tasks(
        &self,
        rollout: &Rollout,
        watch: &mut RolloutMemory,
        now: Instant,
    ) -> Result<(), Problem> {
        let tasks = self.stopped_tasks(|arn| watch.knows_task(arn)).await?;
        let ours = tasks.iter().any(|task| rollout.ids.first() == Some(&task.started_by));
        if ours && watch.essential_containers.is_none() {
            watch.essential_containers = Some(self.essential_containers(&rollout.version).await);
        }
        watch.record_tasks(&tasks, rollout, now);
        Ok(())
    }

    /// The stopped tasks of the service, of every deployment, without those that are known already.
    pub async fn stopped_tasks(&self, is_known: impl Fn(&str) -> bool) -> Result<Vec<EcsTask>, Problem> {
        let client = self.loader.client();
        let unknown: Vec<String> =
            self.stopped_task_arns().await?.into_iter().filter(|arn| !is_known(arn)).collect();
        let mut tasks = Vec::with_capacity(unknown.len());
        // DescribeTasks takes a hundred.
        for hundred in unknown.chunks(100) {
            let answer = client.describe_tasks(&self.settings.cluster, hundred.to_vec()).await?;
            tasks.extend(list_field(&answer, "tasks").iter().map(EcsTask::from_json));
        }
        Ok(tasks)
    }

    /// ListTasks has pages of 100 in no order: the first page of a large service can have tasks of the old version only.
    async fn stopped_task_arns(&self) -> Result<Vec<String>, Problem> {
        let (cluster, service) = (&self.settings.cluster, &self.settings.service);
        let (mut all, mut next) = (Vec::new(), None);
        for _ in 0..MAX_TASK_PAGES {
            let answer = self.loader.client().list_stopped_tasks(cluster, service, next).await?;
            let arns = list_field(&answer, "taskArns").iter();
            all.extend(arns.filter_map(|arn| arn.as_str().map(str::to_owned)));
            next = optional_str(&answer, "nextToken");
            if next.is_none() {
                break;
            }
        }
        Ok(all)
    }

    /// The deploy file's alarms: a firing one fails the rollout, and so does a missing one. Where a firing one stops nothing,
    /// ECS's rule holds for them too: an alarm that fired before the deployment is ignored for all of it.
    async fn read_alarms(&self, watch: &mut RolloutMemory) -> Result<(), Problem> {
        for name in &self.alarms {
            let reading = match self.loader.alarm(name).await {
                Err(refusal) if self.passes_firing_alarms && refusal.is_denied() => continue,
                read => read?,
            };
            if self.passes_firing_alarms {
                watch.record_alarm_unless_ignored(name, reading.as_ref());
            } else {
                watch.record_alarm(name, reading.as_ref());
            }
        }
        Ok(())
    }

    /// The newest service deployment that started after ours; read only if ours was stopped.
    async fn newer_deployment(
        &self,
        ours: Option<&ServiceDeployment>,
    ) -> Result<Option<NewerDeployment>, Problem> {
        let stopped = |d: &&ServiceDeployment| matches!(d.status.as_str(), "STOP_REQUESTED" | "STOPPED");
        let Some(ours) = ours.filter(stopped) else { return Ok(None) };
        let all = self.recent_deployments().await?;
        let later =
            all.into_iter().filter(|other| other.arn != ours.arn && other.created_at > ours.created_at);
        let Some(newest) = later.max_by(|a, b| a.created_at.total_cmp(&b.created_at)) else {
            return Ok(None);
        };
        let definition = match &newest.target_revision {
            Some(revision) => none_if_denied(self.loader.revision(revision).await)?.map(|it| it.definition),
            None => None,
        };
        Ok(Some(NewerDeployment { arn: newest.arn, definition }))
    }

    /// The last service deployments, newest first.
    pub async fn recent_deployments(&self) -> Result<Vec<ServiceDeployment>, AwsError> {
        let (cluster, service) = (&self.settings.cluster, &self.settings.service);
        let answer = self.loader.client().list_service_deployments(cluster, service).await?;
        let mut all: Vec<_> =
            list_field(&answer, "serviceDeployments").iter().map(ServiceDeployment::from_json).collect();
        all.sort_by(|a, b| b.created_at.total_cmp(&a.created_at));
        Ok(all)
    }

    async fn serving_evidence(
        &self,
        service: &EcsService,
        ours: Option<&ServiceDeployment>,
        rollout: &Rollout,
    ) -> Result<Option<ServingEvidence>, Problem> {
        let primary = service.primary();
        let arn = match ours.map(|deployment| (deployment.status.as_str(), deployment)) {
            Some(("SUCCESSFUL", deployment)) => deployment.target_revision.as_ref(),
            Some(("ROLLBACK_SUCCESSFUL", deployment)) => deployment.rollback_revision.as_ref(),
            None if primary.is_some_and(|primary| primary.rollout_state == "COMPLETED") => {
                sole_element(&service.revision_arns)
            }
            _ => return Ok(None),
        };
        let serves = primary.map_or("", |primary| primary.definition.as_str());
        let (revision, targets) =
            tokio::join!(self.revision(arn, serves), self.target_counts(service, &service.target_groups));
        let revision = revision?;
        let other_groups = Some(&revision.target_groups)
            .filter(|groups| !groups.is_empty() && **groups != service.target_groups);
        let targets = async {
            match other_groups {
                Some(groups) => self.target_counts(service, groups).await,
                None => targets,
            }
        };
        let container = self.container_name(&revision, rollout);
        let (container, targets, parts) = tokio::join!(container, targets, self.platform_digests(&revision));
        let (container, targets) = (container?, targets?);
        Ok(Some(ServingEvidence { revision, container, platform_digests: parts, target_counts: targets }))
    }

    /// The name of our container; read from the definition only if needed.
    async fn container_name(&self, revision: &ServiceRevision, rollout: &Rollout) -> Result<String, Problem> {
        if let Some(name) = &self.settings.container {
            return Ok(name.clone());
        }
        if revision.images.len() < 2 {
            return Ok(String::new());
        }
        let answer = self.loader.client().describe_task_definition(&rollout.version).await?;
        Ok(definition::container_name(&definition::with_tags(&answer), None).unwrap_or_default())
    }

    /// The platform manifests of images that run with another digest than requested; best effort.
    async fn platform_digests(&self, revision: &ServiceRevision) -> Vec<String> {
        let reading = revision.images.iter().map(async |(_, reference, digest)| {
            let asked = reference.split_once('@').map_or("", |(_, digest)| digest);
            let differs = !asked.is_empty() && !digest.is_empty() && asked != digest;
            let ecr = ecr_image::parse_ecr_image(reference).filter(|_| differs)?;
            let manifest = self.support.manifest(&ecr.account, &ecr.repository, ecr.image_id()).await;
            Some(ecr_image::platform_digests(&manifest.ok().flatten()?.text))
        });
        join_all(reading).await.into_iter().flatten().flatten().collect()
    }

    /// The targets of the service, over the target groups of its tasks.
    pub async fn target_counts(
        &self,
        service: &EcsService,
        groups: &[String],
    ) -> Result<Option<TargetCounts>, Problem> {
        if groups.is_empty() || service.desired == 0 {
            return Ok(None);
        }
        let read = try_join_all(groups.iter().map(|group| self.group_targets(group))).await?;
        Ok(Some(serving::count_targets(&read)))
    }

    /// The targets of one group. A group that does not exist any more has none.
    pub async fn group_targets(&self, group: &str) -> Result<GroupTargets, AwsError> {
        let targets = match self.support.target_health(group).await {
            Err(error) if error.has_code(&["TargetGroupNotFound", "TargetGroupNotFoundException"]) => {
                Vec::new()
            }
            other => other?,
        };
        // Where that cannot be read, nothing excuses an unused target.
        let is_attached = !serving::needs_attachment(&targets)
            || self.support.load_balancers(group).await.map_or(true, |all| !all.is_empty());
        Ok(GroupTargets { targets, is_attached })
    }

    /// The essential containers of a definition; best effort, empty if it cannot be read.
    pub async fn essential_containers(&self, definition: &str) -> Vec<String> {
        match self.loader.client().describe_task_definition(definition).await {
            Ok(answer) => definition::essential_containers(&answer["taskDefinition"]),
            Err(_) => Vec::new(),
        }
    }

    /// The last log lines of the failed container; best effort, empty if they cannot be read.
    pub async fn log_tail(&self, cause: &FailureCause, rollout: &Rollout) -> Vec<LogLine> {
        if cause.task_id.is_empty() {
            return Vec::new();
        }
        let Ok(answer) = self.loader.client().describe_task_definition(&rollout.version).await else {
            return Vec::new();
        };
        let of = definition::with_tags(&answer);
        let ours = || definition::container_name(&of, self.settings.container.as_deref());
        let name = cause.container.clone().or_else(ours);
        match definition::log_stream(&of, &name.unwrap_or_default(), &cause.task_id) {
            Some((group, stream)) => {
                self.support.log_tail(&group, &stream, MAX_LOG_LINES).await.unwrap_or_default()
            }
            None => Vec::new(),
        }
    }
}

fn sole_element(arns: &[String]) -> Option<&String> {
    arns.first().filter(|_| arns.len() == 1)
}
