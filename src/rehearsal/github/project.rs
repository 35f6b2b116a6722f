//! The repository that runs of the action belong to: it is in every world, with the commits that runs are for.

use std::collections::BTreeMap;

use super::deployments::{Deployment, Status};
use super::history::Step;
use super::objects::Kind;
use super::runs::Run;
use super::settings::{Repository as Setting, bot};
use super::state::{Repository, State, branch_ref};
use super::trees::Changes;

/// A run of a workflow begins.
#[derive(Debug, Clone, Copy, Default)]
pub struct Start<'a> {
    /// `GITHUB_REPOSITORY`.
    pub repository: &'a str,
    /// `GITHUB_SHA`.
    pub sha: &'a str,
    /// `GITHUB_REF`, such as `refs/heads/main`.
    pub reference: &'a str,
    /// `GITHUB_RUN_ID`; a run without one is not known.
    pub run: Option<u64>,
    /// `GITHUB_RUN_ATTEMPT`.
    pub attempt: usize,
    /// The job's `environment`: GitHub makes a deployment for it.
    pub environment: Option<&'a str>,
}

impl State {
    /// The repository is there, if need be a private one with one commit.
    pub fn ensure(&mut self, name: &str, began: f64) -> Option<&mut Repository> {
        if !self.repositories.contains_key(name) {
            let id = self.repositories.values().map(|it| it.id).max().unwrap_or_default() + 1;
            let setting = Setting { private: true, ..Setting::named(name) };
            self.repositories.insert(name.to_owned(), Repository::founded(&setting, id, began));
        }
        self.repositories.get_mut(name)
    }

    /// Somebody pushes the commit, where it is not there yet, and the run begins.
    pub fn start(&mut self, start: Start<'_>, now: f64) {
        let Some(it) = self.ensure(start.repository, now) else { return };
        it.arrive(start.sha, start.reference, now);
        let branch = start.reference.strip_prefix("refs/heads/");
        let Some(id) = start.run else { return };
        let known = it.run(id).is_some_and(|run| run.attempts.len() >= start.attempt.max(1));
        it.begin(id, start.attempt, start.sha, branch, now);
        if let Some(environment) = start.environment.filter(|_| !known) {
            it.announce(id, environment, now);
        }
    }

    /// A run ends: `success`, `failure`, `cancelled` and the like.
    pub fn end(&mut self, repository: &str, run: u64, conclusion: &str, now: f64) {
        let Some(it) = self.repositories.get_mut(repository) else { return };
        let Some(run) = it.runs.iter_mut().find(|it| it.id == run) else { return };
        if let Some(attempt) = run.attempts.last_mut() {
            attempt.end(conclusion, now);
        }
        if let Some(deployment) = run.deployment {
            let state = if conclusion == "success" { "success" } else { "failure" };
            let status = Status { state: state.into(), creator: bot(), created: now, ..Status::default() };
            it.say(deployment, status, true);
        }
    }
}

impl Repository {
    fn arrive(&mut self, sha: &str, reference: &str, now: f64) {
        if self.objects.kind(sha) == Some(Kind::Commit) {
            return;
        }
        let default = branch_ref(&self.default_branch);
        let parent =
            self.refs.get(reference).or_else(|| self.refs.get(&default)).cloned().unwrap_or_default();
        let message = format!("Commit {sha}\n");
        let step = Step { id: sha, parent: &parent, merges: None, reference, message: &message };
        self.follow(step, &Changes::new(), now);
    }

    /// The deployment that GitHub makes for a job with an `environment`.
    fn announce(&mut self, run: u64, environment: &str, now: f64) {
        let Some(sha) = self.run(run).map(|run| run.sha.clone()) else { return };
        let id = self.deploy(Deployment {
            reference: sha.clone(),
            sha,
            task: "deploy".into(),
            environment: environment.into(),
            payload: serde_json::json!({}),
            production: environment == "production",
            creator: bot(),
            created: now,
            ..Deployment::default()
        });
        let log_url = super::links::site(self, &format!("/actions/runs/{run}/job/{}", run + 1));
        let state = "in_progress".into();
        self.say(id, Status { state, log_url, creator: bot(), created: now, ..Status::default() }, true);
        if let Some(run) = self.runs.iter_mut().find(|it| it.id == run) {
            run.deployment = Some(id);
        }
    }

    /// What must be well before a commit is deployed, with its state: the jobs of its runs, and check runs.
    pub(super) fn contexts(&self, sha: &str) -> BTreeMap<String, &'static str> {
        let state = |conclusion: Option<&str>| match conclusion {
            None => "pending",
            Some("success" | "skipped" | "neutral") => "success",
            Some(_) => "failure",
        };
        let runs = self.runs.iter().filter(|run| run.sha == sha);
        let last = |run: &Run| state(run.attempts.last().and_then(|it| it.conclusion.as_deref()));
        let checks = self.checks.iter().filter(|check| check.sha == sha);
        let runs = runs.map(|run| (format!("deploy ({})", run.id), last(run)));
        runs.chain(checks.map(|check| (check.name.clone(), state(check.conclusion.as_deref())))).collect()
    }
}
