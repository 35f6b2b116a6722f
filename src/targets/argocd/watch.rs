//! Looks at an application while a rollout is on its way: which reads, how often, and what is remembered between looks.
//! What they mean is `verdict`.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::causes;
use super::client::Client;
use super::depots::Depot;
use super::read::{Application, Health as Fares, Resource};
use super::rollouts;
use super::verdict::{self, Look, Want};
use crate::problem::Problem;
use crate::release::{Failure, Health};

/// How often Argo CD is asked to look at Git while it has not seen our commit.
const REFRESH: Duration = Duration::from_secs(10);
/// How often pods and rollouts are looked at while the application makes progress.
const CLOSELY: Duration = Duration::from_secs(6);

/// What is remembered between looks.
#[derive(Default)]
pub struct Memory {
    /// Whether commits have ours in them: that never changes.
    contained: BTreeMap<String, bool>,
    refreshed: Option<Instant>,
    looked_closely: Option<Instant>,
    here: Option<Instant>,
    broken: Option<Instant>,
    astray: Option<Instant>,
    trouble: Option<(Instant, Failure)>,
    story: Option<String>,
    asked_to_sync: bool,
}

/// What is watched where.
pub struct Watch<'w> {
    /// The application.
    pub client: &'w Client,
    /// The branch of its manifests.
    pub depot: &'w Depot,
    /// Its name, for sentences.
    pub application: &'w str,
    /// Whether the sync is ours to start.
    pub sync: bool,
}

impl Watch<'_> {
    /// One look. `commit` is the commit that must be live; `None` where any may.
    pub async fn look(
        &self,
        want: Want<'_>,
        commit: Option<&str>,
        memory: &mut Memory,
    ) -> Result<Health, Problem> {
        let application = self.client.application(memory.refresh()).await?;
        let source = application.source_of(&self.depot.repository);
        let source = source.ok_or_else(|| verdict::foreign(self.application, &self.depot.repository))?;
        let compared = self.contains(commit, application.revision(source), memory).await?;
        let last = application.status.operation_state.as_ref().and_then(|state| state.revision(source));
        let synced = self.contains(commit, last, memory).await?;
        memory.remember(&application, compared, synced);
        self.look_closely(want, &application, compared, memory).await;
        self.start(commit, &application, compared, memory).await?;
        let look = Look {
            application: &application,
            source,
            compared,
            synced,
            here: memory.here.map_or(Duration::ZERO, |since| since.elapsed()),
            trouble: memory.trouble.as_ref().map(|(since, failure)| (since.elapsed(), failure)),
            broken: memory.broken.map(|since| since.elapsed()),
            astray: memory.astray.map(|since| since.elapsed()),
            story: memory.story.as_deref(),
        };
        Ok(self.explained(verdict::decide(want, &look), &application).await)
    }

    /// Whether `revision` has our commit in it.
    async fn contains(
        &self,
        commit: Option<&str>,
        revision: Option<&str>,
        memory: &mut Memory,
    ) -> Result<bool, Problem> {
        let (Some(commit), Some(revision)) = (commit, revision) else {
            return Ok(commit.is_none() && revision.is_some());
        };
        if commit == revision {
            return Ok(true);
        }
        if let Some(known) = memory.contained.get(revision) {
            return Ok(*known);
        }
        let contained = self.depot.hub.contains(&self.depot.repository, commit, revision).await;
        let contained = contained.map_err(|setback| setback.problem(&self.depot.repository))?;
        memory.contained.insert(revision.to_owned(), contained);
        Ok(contained)
    }

    /// Pods tell of trouble long before the application does, and rollouts say how far they are.
    async fn look_closely(
        &self,
        want: Want<'_>,
        application: &Application,
        compared: bool,
        memory: &mut Memory,
    ) {
        let due = memory.looked_closely.is_none_or(|at| at.elapsed() >= CLOSELY);
        let moves =
            ["Progressing", "Degraded", "Suspended"].contains(&application.status.health.status.as_str());
        if !(compared && due && moves) {
            return;
        }
        memory.looked_closely = Some(Instant::now());
        let tree = self.client.tree().await.map(|tree| tree.nodes).unwrap_or_default();
        memory.found(causes::of_pods(&tree, want.image));
        let rollout = application.status.resources.iter().find(|resource| resource.kind == "Rollout");
        if let Some(rollout) = rollout {
            let live = self.client.live(rollout).await.unwrap_or_default();
            memory.story = rollouts::words(&live);
        }
    }

    /// Starts the sync, once, where that is ours to do.
    async fn start(
        &self,
        commit: Option<&str>,
        application: &Application,
        compared: bool,
        memory: &mut Memory,
    ) -> Result<(), Problem> {
        let wanted = self.sync && compared && application.status.sync.status == "OutOfSync";
        let Some(commit) = commit.filter(|_| wanted && !memory.asked_to_sync) else { return Ok(()) };
        self.client.sync(commit).await?;
        memory.asked_to_sync = true;
        Ok(())
    }

    /// A failure with what the events of its resource say.
    async fn explained(&self, health: Health, application: &Application) -> Health {
        let Health::Failing(failure) = health else { return health };
        let degraded = |resource: &&Resource| {
            resource.health.as_ref().is_some_and(|Fares { status, .. }| status == "Degraded")
        };
        let events = match application.status.resources.iter().find(degraded) {
            Some(resource) => self.client.events(resource).await.unwrap_or_default(),
            None => Vec::new(),
        };
        Health::Failing(causes::with_events(failure, &events))
    }
}

impl Memory {
    /// Whether Argo CD should look at Git now.
    fn refresh(&mut self) -> bool {
        let due = self.here.is_none() && self.refreshed.is_none_or(|at| at.elapsed() >= REFRESH);
        if due {
            self.refreshed = Some(Instant::now());
        }
        due
    }

    fn remember(&mut self, application: &Application, compared: bool, synced: bool) {
        let (status, now) = (application.status.sync.status.as_str(), Instant::now());
        self.here = if compared && status == "Synced" { self.here.or(Some(now)) } else { None };
        let over = application.status.operation_state.as_ref().is_some_and(|last| last.phase == "Succeeded");
        let astray = compared && synced && over && status == "OutOfSync";
        self.astray = if astray { self.astray.or(Some(now)) } else { None };
        let broken = causes::of_conditions(&application.status.conditions).is_some();
        self.broken = if broken { self.broken.or(Some(now)) } else { None };
    }

    /// Trouble counts from when it was first seen, and is forgotten when it is gone.
    fn found(&mut self, trouble: Option<Failure>) {
        let since = self.trouble.take().map(|(since, _)| since);
        self.trouble = trouble.map(|failure| (since.unwrap_or_else(Instant::now), failure));
    }
}
