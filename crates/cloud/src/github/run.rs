//! The repository that runs of the action belong to: it is in every world, with the commits that runs are for.

use std::collections::BTreeMap;

use super::deployments::{ForeignDeploymentsSetting, GitHubDeployment, GitHubDeploymentStatus};
use super::git_objects::ObjectKind;
use super::ref_updates;
use super::scenario::{GitRepositorySetting, bot};
use super::seed::NamedCommit;
use super::state::{GitHubRepository, GitHubState, branch_ref};
use super::trees::TreeChanges;
use super::workflow_runs::WorkflowRun;
use crate::cloud::Cloud;

/// A run of a workflow begins.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunStart<'a> {
    /// `GITHUB_REPOSITORY`.
    pub repository: &'a str,
    /// `GITHUB_SHA`.
    pub sha: &'a str,
    /// `GITHUB_REF`, such as `refs/heads/main`.
    pub reference: &'a str,
    /// `GITHUB_RUN_ID`; a run without one is not known.
    pub run_id: Option<u64>,
    /// `GITHUB_RUN_ATTEMPT`.
    pub attempt: usize,
    /// `GITHUB_EVENT_NAME`; `push` when empty.
    pub event: &'a str,
    /// The job's `environment`: GitHub makes a deployment for it.
    pub environment: Option<&'a str>,
}

impl RunStart<'_> {
    /// The run, without an attempt. A run of a tag has its name where others have a branch.
    fn workflow_run(&self, id: u64) -> WorkflowRun {
        let name = ["refs/heads/", "refs/tags/"].iter().find_map(|start| self.reference.strip_prefix(start));
        let usual = WorkflowRun::default();
        let event = if self.event.is_empty() { usual.event.clone() } else { self.event.to_owned() };
        WorkflowRun { id, sha: self.sha.into(), branch: name.map(str::to_owned), event, ..usual }
    }
}

impl GitHubState {
    /// The repository is there, if need be a private one with one commit.
    pub fn ensure_repository(&mut self, name: &str, began: f64) -> Option<&mut GitHubRepository> {
        if !self.repositories.contains_key(name) {
            let id = self.repositories.values().map(|it| it.id).max().unwrap_or_default() + 1;
            let setting = GitRepositorySetting { private: true, ..GitRepositorySetting::new(name) };
            self.repositories.insert(name.to_owned(), GitHubRepository::from_seed(&setting, id, began));
        }
        self.repositories.get_mut(name)
    }

    /// Somebody pushes the commit, where it is not there yet, and the run begins.
    pub fn start_run(&mut self, start: RunStart<'_>, now: f64) {
        let Some(it) = self.ensure_repository(start.repository, now) else { return };
        it.ensure_commit(start.sha, start.reference, now);
        let Some(id) = start.run_id else { return };
        let known = it.workflow_run(id).is_some_and(|run| run.attempts.len() >= start.attempt.max(1));
        it.start_attempt(start.workflow_run(id), start.attempt, now);
        if let Some(environment) = start.environment.filter(|_| !known) {
            it.create_job_deployment(id, environment, now);
        }
    }

    /// A run ends: `success`, `failure`, `cancelled` and the like.
    pub fn end_run(&mut self, repository: &str, run: u64, conclusion: &str, now: f64) {
        let Some(it) = self.repositories.get_mut(repository) else { return };
        let Some(run) = it.workflow_runs.iter_mut().find(|it| it.id == run) else { return };
        if let Some(attempt) = run.attempts.last_mut() {
            attempt.complete(conclusion, now);
        }
        if let Some(deployment) = run.deployment {
            let state = if conclusion == "success" { "success" } else { "failure" };
            let status = GitHubDeploymentStatus {
                state: state.into(),
                creator: bot(),
                created_at: now,
                ..GitHubDeploymentStatus::default()
            };
            it.add_status(deployment, status, true);
        }
    }
}

impl GitHubRepository {
    fn ensure_commit(&mut self, sha: &str, reference: &str, now: f64) {
        if self.objects.kind(sha) == Some(ObjectKind::Commit) {
            return;
        }
        let default = branch_ref(&self.default_branch);
        let parent =
            self.refs.get(reference).or_else(|| self.refs.get(&default)).cloned().unwrap_or_default();
        let message = format!("Commit {sha}\n");
        let step =
            NamedCommit { id: sha, parent: &parent, merged_parent: None, reference, message: &message };
        self.follow(step, &TreeChanges::new(), now);
    }

    /// The deployment that GitHub makes for a job with an `environment`.
    fn create_job_deployment(&mut self, run: u64, environment: &str, now: f64) {
        let Some(sha) = self.workflow_run(run).map(|run| run.sha.clone()) else { return };
        let id = self.deploy(GitHubDeployment {
            reference: sha.clone(),
            sha,
            task: "deploy".into(),
            environment: environment.into(),
            payload: serde_json::json!({}),
            is_production: environment == "production",
            creator: bot(),
            created_at: now,
            ..GitHubDeployment::default()
        });
        let log_url = super::urls::html_url(self, &format!("/actions/runs/{run}/job/{}", run + 1));
        let state = "in_progress".into();
        self.add_status(
            id,
            GitHubDeploymentStatus {
                state,
                log_url,
                creator: bot(),
                created_at: now,
                ..GitHubDeploymentStatus::default()
            },
            true,
        );
        if let Some(run) = self.workflow_runs.iter_mut().find(|it| it.id == run) {
            run.deployment = Some(id);
        }
    }

    /// What must be well before a commit is deployed, with its state: the jobs of its runs, and check runs.
    pub(super) fn status_contexts(&self, sha: &str) -> BTreeMap<String, &'static str> {
        let state = |conclusion: Option<&str>| match conclusion {
            None => "pending",
            Some("success" | "skipped" | "neutral") => "success",
            Some(_) => "failure",
        };
        let runs = self.workflow_runs.iter().filter(|run| run.sha == sha);
        let last = |run: &WorkflowRun| state(run.attempts.last().and_then(|it| it.conclusion.as_deref()));
        let checks = self.check_runs.iter().filter(|check| check.sha == sha);
        let runs = runs.map(|run| (format!("deploy ({})", run.id), last(run)));
        runs.chain(checks.map(|check| (check.name.clone(), state(check.conclusion.as_deref())))).collect()
    }
}

impl Cloud {
    /// A person pushes a commit to a branch of GitHub and gets its id; `None` where there is no such branch.
    pub fn push_commit(
        &self,
        repository: &str,
        branch: &str,
        author: &str,
        message: &str,
        changes: &[(&str, Option<&[u8]>)],
    ) -> Option<String> {
        self.change(|world, now| {
            let oid = world.github.push_commit(repository, branch, author, message, changes, now)?;
            ref_updates::update_ref(
                world,
                repository,
                &format!("refs/heads/{branch}"),
                Some(oid.clone()),
                now,
            );
            Some(oid)
        })
    }

    /// A run of the action begins: somebody pushed its commit, where it is not there yet, and GitHub knows the run.
    pub fn start_run(&self, start: RunStart<'_>) {
        self.change(|world, now| {
            let environment =
                start.environment.map(str::to_owned).or_else(|| world.workflow.environment.clone());
            let start = RunStart { environment: environment.as_deref(), ..start };
            world.github.start_run(start, now);
        });
    }

    /// Others deploy to an environment, `count` times.
    pub fn add_foreign_deployments(&self, repository: &str, environment: &str, count: usize) {
        let foreign = ForeignDeploymentsSetting { environment: environment.to_owned(), count };
        self.change(|world, now| {
            if let Some(it) = world.github.repositories.get_mut(repository) {
                it.add_foreign_deployments(&foreign, now);
            }
        });
    }

    /// A run ends, in one of GitHub's words such as `success` or `cancelled`: its runner may be long gone.
    pub fn end_run(&self, repository: &str, run: u64, conclusion: &str) {
        self.change(|world, now| world.github.end_run(repository, run, conclusion, now));
    }
}
