//! One look at a rollout: which calls, in which order. What they mean is said by `verdict` and `causes`.

use std::rc::Rc;

use tokio::time::Instant;

use super::beside::{self, Beside};
use super::causes::Cause;
use super::definition;
use super::image;
use super::loader::Loader;
use super::native::{self, Pause};
use super::neighbours::Neighbours;
use super::read::{Revision, Service, ServiceDeployment, Task, list};
use super::refusal::Refusal;
use super::settings::Settings;
use super::verdict::{Evidence, Look, Targets};
use super::watch::Watch;
use crate::problem::{Code, Problem};
use crate::release::{Arm, LogLine, Rollout};

/// At most so many lines of a failed container.
const LOG_LINES: i32 = 20;

/// The reads of one service.
#[derive(Debug, Clone)]
pub struct Eyes {
    /// Reads that services share.
    pub loader: Rc<Loader>,
    /// Reads of the services around ECS.
    pub around: Neighbours,
    /// Which service.
    pub settings: Settings,
    /// Alarms of the deploy file, watched beside those that ECS watches.
    pub alarms: Vec<String>,
}

impl Eyes {
    /// The service; a problem when AWS does not show it.
    pub async fn service(&self) -> Result<Service, Problem> {
        let (cluster, name) = (&self.settings.cluster, &self.settings.service);
        self.loader.service(cluster, name).await?.ok_or_else(|| self.missing())
    }

    fn missing(&self) -> Problem {
        let (cluster, name) = (&self.settings.cluster, &self.settings.service);
        let sentence = format!("The cluster `{cluster}` has no service `{name}`.");
        Problem::error(Code::ServiceMissing, sentence)
            .help("Check `ecs.service` and `ecs.cluster`; create the service before the first deployment.")
    }

    /// A revision; where AWS knows none, the bare definition.
    async fn revision(&self, arn: Option<&String>, definition: &str) -> Result<Revision, Problem> {
        let bare = || Revision { definition: definition.to_owned(), ..Revision::default() };
        match arn {
            Some(arn) => Ok(self.loader.revision(arn).await?.unwrap_or_else(bare)),
            None => Ok(bare()),
        }
    }

    /// Everything that a verdict needs, in as few reads as it needs.
    pub async fn look(&self, rollout: &Rollout, watch: &mut Watch) -> Result<Look, Problem> {
        let (cluster, name) = (&self.settings.cluster, &self.settings.service);
        let service = self.loader.glance(cluster, name).await?.ok_or_else(|| self.missing())?;
        let now = Instant::now();
        watch.take_service(&service, rollout, now);
        if watch.wants_deployment(&service, rollout) {
            let read = match watch.learn(&service, rollout) {
                Some(arn) => self.deployment(&arn).await?,
                None if watch.may_search(&service, rollout) => self.history().await?.into_iter().next(),
                None => None,
            };
            watch.keep(&service, rollout, read);
        }
        if watch.wants_tasks(rollout, now, || self.loader.may_guess()) {
            self.tasks(rollout, watch).await?;
        }
        if watch.wants_alarms(rollout, now) {
            self.alarms(watch).await?;
        }
        let ours = watch.last.clone();
        let newer = self.newer(ours.as_ref()).await?;
        let evidence = self.evidence(&service, ours.as_ref(), rollout).await?;
        let beside = match &ours {
            Some(ours) => self.beside(&service, ours, rollout, watch).await?,
            None => None,
        };
        let cause = watch.cause(&service);
        let events = watch.story.clone();
        Ok(Look { service, ours, newer, evidence, beside, cause, young: watch.young(now), events })
    }

    /// A service deployment; without the permission to read it the service alone has to speak.
    async fn deployment(&self, arn: &str) -> Result<Option<ServiceDeployment>, Problem> {
        match self.loader.deployment(arn).await {
            Err(refusal) if refusal.denied() => Ok(None),
            other => Ok(other?),
        }
    }

    /// The new version beside the old one, while our word is awaited: read then only, and its targets once in a while.
    async fn beside(
        &self,
        service: &Service,
        ours: &ServiceDeployment,
        rollout: &Rollout,
        watch: &mut Watch,
    ) -> Result<Option<Beside>, Problem> {
        if !matches!(native::pause(ours, service), Pause::Ours(_)) || native::returning(rollout) {
            return Ok(None);
        }
        if watch.beside.is_none() {
            watch.beside = self.sides(service, ours).await?;
        }
        let Some(groups) = watch.beside.as_ref().map(|beside| beside.groups.clone()) else { return Ok(None) };
        let now = Instant::now();
        if watch.wants_targets(now) {
            let targets = self.targets(service, &groups).await?;
            watch.take_targets(targets, ours.tasks[0], now);
        }
        Ok(watch.beside.clone())
    }

    /// What the traffic of a service is known by in CloudWatch: its target groups, whichever version is behind them.
    pub async fn arms(&self, service: &Service) -> Result<Vec<Arm>, Problem> {
        let groups = beside::groups(service, &Revision::default());
        let balancers = match groups.first() {
            Some(group) => self.around.load_balancers(group).await?,
            None => Vec::new(),
        };
        Ok(balancers.first().map(|balancer| beside::traffic(service, balancer)).unwrap_or_default())
    }

    /// Where the tasks of the new version are, and what tells its traffic from that of the version before.
    async fn sides(&self, service: &Service, ours: &ServiceDeployment) -> Result<Option<Beside>, Problem> {
        let arns: Vec<String> = ours.target.iter().chain(&ours.sources).cloned().collect();
        let revisions = self.loader.revisions(&arns).await?;
        let of = |arn: &String| revisions.iter().find(|revision| revision.arn == *arn);
        let Some(new) = ours.target.as_ref().and_then(of) else { return Ok(None) };
        let old = ours.sources.iter().find_map(of);
        let groups = beside::groups(service, new);
        let balancers = match groups.first() {
            Some(group) => self.around.load_balancers(group).await?,
            None => Vec::new(),
        };
        let arms = old.and_then(|old| beside::arms(service, new, old, balancers.first()));
        Ok(Some(Beside { groups, arms, targets: None }))
    }

    async fn tasks(&self, rollout: &Rollout, watch: &mut Watch) -> Result<(), Problem> {
        let (cluster, service) = (&self.settings.cluster, &self.settings.service);
        let client = self.loader.client();
        let listed = client.list_tasks(cluster, service, true).await?;
        let arns = list(&listed, "taskArns").iter().filter_map(|arn| arn.as_str().map(Into::into)).collect();
        let arns = watch.unknown_tasks(arns);
        if !arns.is_empty() {
            let tasks = client.describe_tasks(cluster, arns).await?;
            let tasks: Vec<Task> = list(&tasks, "tasks").iter().map(Task::read).collect();
            watch.take_tasks(&tasks, rollout);
        }
        Ok(())
    }

    /// The deploy file's alarms: a red one ends the wait, and so does one that is gone (nobody would notice).
    async fn alarms(&self, watch: &mut Watch) -> Result<(), Problem> {
        for name in &self.alarms {
            let state = self.loader.alarm(name).await?;
            watch.take_alarm(name, state.as_deref());
        }
        Ok(())
    }

    /// A service deployment that began after ours; asked only when ours was stopped.
    async fn newer(&self, ours: Option<&ServiceDeployment>) -> Result<Option<String>, Problem> {
        let stopped = |d: &&ServiceDeployment| matches!(d.status.as_str(), "STOP_REQUESTED" | "STOPPED");
        let Some(ours) = ours.filter(stopped) else { return Ok(None) };
        let all = self.history().await?;
        let later = all.into_iter().filter(|other| other.arn != ours.arn && other.created > ours.created);
        Ok(later.max_by(|a, b| a.created.total_cmp(&b.created)).map(|other| other.arn))
    }

    /// The last service deployments, newest first.
    pub async fn history(&self) -> Result<Vec<ServiceDeployment>, Refusal> {
        let (cluster, service) = (&self.settings.cluster, &self.settings.service);
        let answer = self.loader.client().list_service_deployments(cluster, service).await?;
        let mut all: Vec<_> =
            list(&answer, "serviceDeployments").iter().map(ServiceDeployment::read).collect();
        all.sort_by(|a, b| b.created.total_cmp(&a.created));
        Ok(all)
    }

    async fn evidence(
        &self,
        service: &Service,
        ours: Option<&ServiceDeployment>,
        rollout: &Rollout,
    ) -> Result<Option<Evidence>, Problem> {
        let primary = service.primary();
        let arn = match ours.map(|deployment| (deployment.status.as_str(), deployment)) {
            Some(("SUCCESSFUL", deployment)) => deployment.target.as_ref(),
            Some(("ROLLBACK_SUCCESSFUL", deployment)) => deployment.rollback.as_ref(),
            None if primary.is_some_and(|primary| primary.rollout == "COMPLETED") => only(&service.revisions),
            _ => return Ok(None),
        };
        let serves = primary.map_or("", |primary| primary.definition.as_str());
        let revision = self.revision(arn, serves).await?;
        let container = self.container(&revision, rollout).await?;
        let parts = self.parts(&revision).await;
        let groups = if revision.groups.is_empty() { &service.target_groups } else { &revision.groups };
        let targets = self.targets(service, groups).await?;
        Ok(Some(Evidence { revision, container, parts, targets }))
    }

    /// The name of our container; read from the definition only where it matters.
    async fn container(&self, revision: &Revision, rollout: &Rollout) -> Result<String, Problem> {
        if let Some(name) = &self.settings.container {
            return Ok(name.clone());
        }
        if revision.images.len() < 2 {
            return Ok(String::new());
        }
        let answer = self.loader.client().describe_task_definition(&rollout.version).await?;
        Ok(definition::container_name(&definition::with_tags(&answer), None).unwrap_or_default())
    }

    /// The platform manifests of images that run by another digest than was asked for; best effort.
    async fn parts(&self, revision: &Revision) -> Vec<String> {
        let mut parts = Vec::new();
        for (_, reference, digest) in &revision.images {
            let asked = reference.split_once('@').map_or("", |(_, digest)| digest);
            let differs = !asked.is_empty() && !digest.is_empty() && asked != digest;
            if let (true, Some(ecr)) = (differs, image::ecr(reference)) {
                let manifest = self.around.manifest(&ecr.account, &ecr.repository, ecr.id()).await;
                parts.extend(manifest.ok().flatten().map(|m| image::children(&m.text)).unwrap_or_default());
            }
        }
        parts
    }

    /// The targets of the service, over the target groups that its tasks are in.
    pub async fn targets(&self, service: &Service, groups: &[String]) -> Result<Option<Targets>, Problem> {
        if groups.is_empty() || service.desired == 0 {
            return Ok(None);
        }
        let mut all = Targets { healthy: u32::MAX, others: Vec::new() };
        for group in groups {
            let targets = self.around.targets(group).await?;
            let (healthy, others): (Vec<_>, Vec<_>) = targets.into_iter().partition(|t| t.state == "healthy");
            all.healthy = all.healthy.min(u32::try_from(healthy.len()).unwrap_or(u32::MAX));
            let others = others.iter().filter(|t| !matches!(t.state.as_str(), "draining" | "unused"));
            all.others
                .extend(others.map(|t| format!("{} {} {}", t.id, t.state, t.reason).trim_end().to_owned()));
        }
        Ok(Some(all))
    }

    /// The last lines that the failed container wrote; best effort, empty when they cannot be had.
    pub async fn log_tail(&self, cause: &Cause, rollout: &Rollout) -> Vec<LogLine> {
        if cause.task.is_empty()
            || matches!(cause.problem.code, Code::ImagePullFailed | Code::ResourceSetupFailed)
        {
            return Vec::new();
        }
        let Ok(answer) = self.loader.client().describe_task_definition(&rollout.version).await else {
            return Vec::new();
        };
        let of = definition::with_tags(&answer);
        let ours = || definition::container_name(&of, self.settings.container.as_deref());
        let health = cause.problem.code == Code::HealthCheckFailed;
        let name =
            if health { ours().or(cause.container.clone()) } else { cause.container.clone().or_else(ours) };
        match definition::log_stream(&of, &name.unwrap_or_default(), &cause.task) {
            Some((group, stream)) => {
                self.around.log_tail(&group, &stream, LOG_LINES).await.unwrap_or_default()
            }
            None => Vec::new(),
        }
    }
}

fn only(arns: &[String]) -> Option<&String> {
    arns.first().filter(|_| arns.len() == 1)
}
