//! Runs of workflows: what GitHub says of them, and how they begin and end.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::commits;
use super::git_objects::Oid;
use super::refs::readable_repository;
use super::responses::{not_found, response};
use super::state::GitHubRepository;
use super::urls::{api_url, format_date, html_url, node_id, repository_json, user_json};
use crate::request::{ServiceCall, ServiceResult};
use crate::world::World;

/// A run, as a scenario says that there was or is one.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WorkflowRunSetting {
    /// `GITHUB_RUN_ID`.
    pub id: u64,
    /// `GITHUB_RUN_ATTEMPT` of its last attempt.
    #[serde(default = "default_attempt")]
    pub attempt: usize,
    /// `queued`, `in_progress`, `completed` and the like.
    #[serde(default = "default_status")]
    pub status: String,
    /// How it ended: `success`, `failure`, `cancelled` and the like.
    #[serde(default = "success")]
    pub conclusion: String,
    /// What started it.
    #[serde(default = "push")]
    pub event: String,
    /// Its branch; the default branch when absent.
    #[serde(default)]
    pub branch: Option<String>,
    /// Its commit, as `history` names it; the newest of its branch when absent.
    #[serde(default)]
    pub commit: Option<String>,
    /// The file of its workflow.
    #[serde(default = "workflow_path")]
    pub path: String,
    /// The repository that its code comes from; this one when absent.
    #[serde(default)]
    pub head_repository: Option<String>,
    /// Whether a job of it ends well as soon as it records a success, and the next job begins: for runs whose jobs are
    /// steps of somebody who cannot tell this GitHub that a job ended.
    #[serde(default)]
    pub success_ends_job: bool,
}

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowRun {
    /// `GITHUB_RUN_ID`.
    pub id: u64,
    /// The commit that it runs for.
    pub sha: Oid,
    /// Its branch, or its tag.
    pub branch: Option<String>,
    /// What started it, such as `push`.
    pub event: String,
    /// The file of its workflow.
    pub path: String,
    /// The repository that its code comes from, where that is another one: a fork.
    pub head_repository: Option<String>,
    /// Its attempts, the first one first. There is always one.
    pub attempts: Vec<RunAttempt>,
    /// The deployment that GitHub made for its job, where the job has an `environment`.
    pub deployment: Option<u64>,
    /// Whether a job of it ends well as soon as it records a success, and the next job begins.
    pub success_ends_job: bool,
}

impl Default for WorkflowRun {
    fn default() -> Self {
        Self {
            id: 0,
            sha: Oid::default(),
            branch: None,
            event: push(),
            path: workflow_path(),
            head_repository: None,
            attempts: Vec::new(),
            deployment: None,
            success_ends_job: false,
        }
    }
}

/// One attempt of a run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunAttempt {
    /// `queued`, `in_progress`, `completed` and the like.
    pub status: String,
    /// How it ended, once it has.
    pub conclusion: Option<String>,
    /// When it began, epoch seconds.
    pub started_at: f64,
    /// When it last changed, epoch seconds.
    pub updated_at: f64,
    /// Its jobs; when there is none, it is one job that lasts as long as the attempt.
    pub jobs: Vec<RunJob>,
}

/// One job of an attempt.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunJob {
    /// Its name.
    pub name: String,
    /// How it ended, once it has.
    pub conclusion: Option<String>,
    /// When it began, epoch seconds.
    pub started_at: f64,
    /// When it ended, epoch seconds.
    pub completed_at: Option<f64>,
}

impl RunAttempt {
    /// One that runs since `now`, epoch seconds.
    pub fn new_running(now: f64) -> Self {
        Self { status: "in_progress".into(), started_at: now, updated_at: now, ..Self::default() }
    }

    /// Its jobs.
    pub fn all_jobs(&self) -> Vec<RunJob> {
        if !self.jobs.is_empty() {
            return self.jobs.clone();
        }
        let ended = self.conclusion.as_ref().map(|_| self.updated_at);
        let (name, conclusion) = ("deploy".into(), self.conclusion.clone());
        vec![RunJob { name, conclusion, started_at: self.started_at, completed_at: ended }]
    }

    /// The job that runs ended well, and the next one begins.
    fn next_job(&mut self, now: f64) {
        let mut jobs = self.all_jobs();
        if let Some(last) = jobs.last_mut() {
            (last.conclusion, last.completed_at) = (Some("success".into()), Some(now));
        }
        jobs.push(RunJob { name: format!("job {}", jobs.len() + 1), started_at: now, ..RunJob::default() });
        self.jobs = jobs;
    }

    /// It ended in this way.
    pub fn complete(&mut self, conclusion: &str, now: f64) {
        (self.status, self.conclusion, self.updated_at) = ("completed".into(), Some(conclusion.into()), now);
    }
}

impl WorkflowRunSetting {
    /// The run that this describes.
    pub fn to_workflow_run(&self, newest: impl Fn(&str) -> Oid, default: &str, began: f64) -> WorkflowRun {
        let branch = self.branch.as_deref().unwrap_or(default);
        let sha = self.commit.as_deref().map_or_else(|| newest(branch), super::seed::full_sha);
        let mut attempts = vec![RunAttempt::new_running(began); self.attempt.max(1)];
        for attempt in &mut attempts {
            attempt.complete(&self.conclusion, began);
        }
        if let Some(last) = attempts.last_mut().filter(|_| self.status != "completed") {
            (last.status, last.conclusion) = (self.status.clone(), None);
        }
        WorkflowRun {
            id: self.id,
            sha,
            branch: Some(branch.into()),
            event: self.event.clone(),
            path: self.path.clone(),
            head_repository: self.head_repository.clone(),
            attempts,
            deployment: None,
            success_ends_job: self.success_ends_job,
        }
    }
}

impl GitHubRepository {
    /// The run with this number.
    pub fn workflow_run(&self, id: u64) -> Option<&WorkflowRun> {
        self.workflow_runs.iter().find(|run| run.id == id)
    }

    /// A success is recorded: jobs that end with it do.
    pub fn end_successful_jobs(&mut self, now: f64) {
        for run in self.workflow_runs.iter_mut().filter(|run| run.success_ends_job) {
            if let Some(last) = run.attempts.last_mut().filter(|last| last.conclusion.is_none()) {
                last.next_job(now);
            }
        }
    }

    /// A run begins, or is started again as this attempt.
    pub fn start_attempt(&mut self, new: WorkflowRun, attempt: usize, now: f64) -> &mut WorkflowRun {
        let place = self.workflow_runs.iter().position(|run| run.id == new.id).unwrap_or_else(|| {
            self.workflow_runs.push(new);
            self.workflow_runs.len() - 1
        });
        let run = &mut self.workflow_runs[place];
        while run.attempts.len() < attempt.max(1) {
            if let Some(last) = run.attempts.last_mut().filter(|last| last.conclusion.is_none()) {
                last.complete("failure", now);
            }
            run.attempts.push(RunAttempt::new_running(now));
        }
        run
    }
}

/// `actions/get-workflow-run`.
pub fn get_run(world: &World, call: &ServiceCall) -> ServiceResult {
    let it = readable_repository(world, call)?;
    let run = find_run(it, call).ok_or_else(not_found)?;
    Ok(response(200, run_json(it, run, run.attempts.len()).ok_or_else(not_found)?))
}

/// `actions/get-workflow-run-attempt`.
pub fn get_attempt(world: &World, call: &ServiceCall) -> ServiceResult {
    let it = readable_repository(world, call)?;
    let run = find_run(it, call).ok_or_else(not_found)?;
    let number = call.input["attempt_number"].as_u64().unwrap_or_default() as usize;
    Ok(response(200, run_json(it, run, number).ok_or_else(not_found)?))
}

/// `actions/list-jobs-for-workflow-run-attempt`.
pub fn list_jobs(world: &World, call: &ServiceCall) -> ServiceResult {
    let it = readable_repository(world, call)?;
    let run = find_run(it, call).ok_or_else(not_found)?;
    let number = call.input["attempt_number"].as_u64().unwrap_or_default() as usize;
    let attempt = number.checked_sub(1).and_then(|at| run.attempts.get(at)).ok_or_else(not_found)?;
    let jobs = attempt.all_jobs();
    let size = call.input["per_page"].as_u64().unwrap_or(30).clamp(1, 100) as usize;
    let page = call.input["page"].as_u64().unwrap_or(1).max(1) as usize;
    let views = jobs.iter().enumerate().map(|(place, job)| job_json(it, run, (number, place), job));
    let shown: Vec<Value> = views.skip((page - 1).saturating_mul(size)).take(size).collect();
    Ok(response(200, json!({ "total_count": jobs.len(), "jobs": shown })))
}

fn job_json(it: &GitHubRepository, run: &WorkflowRun, at: (usize, usize), job: &RunJob) -> Value {
    let (attempt, place) = at;
    let id = run.id + 1 + place as u64;
    let status = if job.conclusion.is_some() { "completed" } else { "in_progress" };
    json!({
        "id": id, "run_id": run.id, "run_url": api_url(it, &format!("/actions/runs/{}", run.id)), "run_attempt": attempt,
        "node_id": node_id("CR", it, &id.to_string()), "head_sha": run.sha, "url": api_url(it, &format!("/actions/jobs/{id}")),
        "html_url": html_url(it, &format!("/actions/runs/{}/job/{id}", run.id)), "status": status, "conclusion": job.conclusion,
        "created_at": format_date(job.started_at), "started_at": format_date(job.started_at),
        "completed_at": job.completed_at.map(format_date), "name": job.name, "steps": [],
        "check_run_url": api_url(it, &format!("/check-runs/{id}")), "labels": ["ubuntu-latest"], "runner_id": 1,
        "runner_name": "GitHub Actions 1", "runner_group_id": 1, "runner_group_name": "GitHub Actions", "workflow_name": "deploy",
        "head_branch": run.branch,
    })
}

fn find_run<'a>(it: &'a GitHubRepository, call: &ServiceCall) -> Option<&'a WorkflowRun> {
    it.workflow_run(call.input["run_id"].as_u64()?)
}

/// An attempt of a run, by its number.
fn run_json(it: &GitHubRepository, run: &WorkflowRun, number: usize) -> Option<Value> {
    let attempt = run.attempts.get(number.checked_sub(1)?)?;
    let address = api_url(it, &format!("/actions/runs/{}", run.id));
    let home = Value::Object(repository_json(it));
    let head = head_repository_json(it, run.head_repository.as_deref());
    let mut view = json!({
        "id": run.id, "node_id": node_id("WFR", it, &run.id.to_string()), "name": "deploy", "display_title": "deploy",
        "head_branch": run.branch, "head_sha": run.sha, "path": run.path, "event": run.event,
        "run_number": run.id, "run_attempt": number, "status": attempt.status, "conclusion": attempt.conclusion,
        "workflow_id": 1, "url": address, "html_url": html_url(it, &format!("/actions/runs/{}", run.id)),
        "pull_requests": [], "created_at": format_date(run.attempts[0].started_at), "updated_at": format_date(attempt.updated_at),
        "run_started_at": format_date(attempt.started_at), "actor": user_json("ann"), "triggering_actor": user_json("ann"),
        "check_suite_id": run.id, "check_suite_url": api_url(it, &format!("/check-suites/{}", run.id)),
        "workflow_url": api_url(it, "/actions/workflows/1"), "head_commit": head_commit_json(it, &run.sha),
        "repository": home, "head_repository": head,
    });
    for (name, rest) in [
        ("jobs_url", "/jobs"),
        ("logs_url", "/logs"),
        ("artifacts_url", "/artifacts"),
        ("cancel_url", "/cancel"),
        ("rerun_url", "/rerun"),
    ] {
        view[name] = format!("{address}{rest}").into();
    }
    Some(view)
}

/// The repository that the code of a run comes from: of a fork, name and number.
fn head_repository_json(it: &GitHubRepository, fork: Option<&str>) -> Value {
    let mut view = repository_json(it);
    if let Some(fork) = fork {
        view.insert("full_name".into(), fork.into());
        view.insert("id".into(), (it.id + 1000).into());
        view.insert("fork".into(), true.into());
    }
    Value::Object(view)
}

fn head_commit_json(it: &GitHubRepository, sha: &str) -> Value {
    let Some(commit) = commits::read_commit(&it.objects, sha) else { return Value::Null };
    let person = |it: &commits::GitSignature| json!({ "name": it.name, "email": it.email });
    json!({
        "id": sha, "tree_id": commit.tree, "message": commit.message, "timestamp": format_date(commit.committer.timestamp as f64),
        "author": person(&commit.author), "committer": person(&commit.committer),
    })
}

fn default_attempt() -> usize {
    1
}

fn default_status() -> String {
    "completed".into()
}

fn success() -> String {
    "success".into()
}

fn push() -> String {
    "push".into()
}

fn workflow_path() -> String {
    ".github/workflows/deploy.yml".into()
}
