//! Runs of workflows: what GitHub says of them, and how they begin and end.

use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::{not_found, reply};
use super::commits;
use super::links::{api, date, node, repository, site, user};
use super::objects::Oid;
use super::refs::readable;
use super::state::Repository;
use crate::rehearsal::call::{Answer, Call};
use crate::rehearsal::world::World;

/// A run, as a scenario says that there was or is one.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Setting {
    /// `GITHUB_RUN_ID`.
    pub id: u64,
    /// `GITHUB_RUN_ATTEMPT` of its last attempt.
    #[serde(default = "first")]
    pub attempt: usize,
    /// `queued`, `in_progress`, `completed` and the like.
    #[serde(default = "completed")]
    pub status: String,
    /// How it ended: `success`, `failure`, `cancelled` and the like.
    #[serde(default = "success")]
    pub conclusion: String,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Run {
    /// `GITHUB_RUN_ID`.
    pub id: u64,
    /// The commit that it runs for.
    pub sha: Oid,
    /// Its branch, when it has one.
    pub branch: Option<String>,
    /// Its attempts, the first one first. There is always one.
    pub attempts: Vec<Attempt>,
    /// The deployment that GitHub made for its job, where the job has an `environment`.
    pub deployment: Option<u64>,
}

/// One attempt of a run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Attempt {
    /// `queued`, `in_progress`, `completed` and the like.
    pub status: String,
    /// How it ended, once it has.
    pub conclusion: Option<String>,
    /// When it began, epoch seconds.
    pub began: f64,
    /// When it last changed, epoch seconds.
    pub updated: f64,
}

impl Attempt {
    /// One that runs since `now`, epoch seconds.
    pub fn running(now: f64) -> Self {
        Self { status: "in_progress".into(), conclusion: None, began: now, updated: now }
    }

    /// It ended in this way.
    pub fn end(&mut self, conclusion: &str, now: f64) {
        (self.status, self.conclusion, self.updated) = ("completed".into(), Some(conclusion.into()), now);
    }
}

impl Setting {
    /// The run that this describes.
    pub fn run(&self, sha: Oid, branch: &str, began: f64) -> Run {
        let mut attempts = vec![Attempt::running(began); self.attempt.max(1)];
        for attempt in &mut attempts {
            attempt.end(&self.conclusion, began);
        }
        if let Some(last) = attempts.last_mut().filter(|_| self.status != "completed") {
            (last.status, last.conclusion) = (self.status.clone(), None);
        }
        Run { id: self.id, sha, branch: Some(branch.into()), attempts, deployment: None }
    }
}

impl Repository {
    /// The run with this number.
    pub fn run(&self, id: u64) -> Option<&Run> {
        self.runs.iter().find(|run| run.id == id)
    }

    /// A run begins, or is started again as this attempt.
    pub fn begin(&mut self, id: u64, attempt: usize, sha: &str, branch: Option<&str>, now: f64) -> &mut Run {
        let place = self.runs.iter().position(|run| run.id == id).unwrap_or_else(|| {
            let run = Run { id, sha: sha.into(), branch: branch.map(str::to_owned), ..Run::default() };
            self.runs.push(run);
            self.runs.len() - 1
        });
        let run = &mut self.runs[place];
        while run.attempts.len() < attempt.max(1) {
            if let Some(last) = run.attempts.last_mut().filter(|last| last.conclusion.is_none()) {
                last.end("failure", now);
            }
            run.attempts.push(Attempt::running(now));
        }
        run
    }
}

/// `actions/get-workflow-run`.
pub fn get(world: &World, call: &Call) -> Answer {
    let it = readable(world, call)?;
    let run = found(it, call).ok_or_else(not_found)?;
    Ok(reply(200, view(it, run, run.attempts.len()).ok_or_else(not_found)?))
}

/// `actions/get-workflow-run-attempt`.
pub fn attempt(world: &World, call: &Call) -> Answer {
    let it = readable(world, call)?;
    let run = found(it, call).ok_or_else(not_found)?;
    let number = call.input["attempt_number"].as_u64().unwrap_or_default() as usize;
    Ok(reply(200, view(it, run, number).ok_or_else(not_found)?))
}

fn found<'a>(it: &'a Repository, call: &Call) -> Option<&'a Run> {
    it.run(call.input["run_id"].as_u64()?)
}

/// An attempt of a run, by its number.
fn view(it: &Repository, run: &Run, number: usize) -> Option<Value> {
    let attempt = run.attempts.get(number.checked_sub(1)?)?;
    let address = api(it, &format!("/actions/runs/{}", run.id));
    let home = Value::Object(repository(it));
    let mut view = json!({
        "id": run.id, "node_id": node("WFR", it, &run.id.to_string()), "name": "deploy", "display_title": "deploy",
        "head_branch": run.branch, "head_sha": run.sha, "path": ".github/workflows/deploy.yml", "event": "push",
        "run_number": run.id, "run_attempt": number, "status": attempt.status, "conclusion": attempt.conclusion,
        "workflow_id": 1, "url": address, "html_url": site(it, &format!("/actions/runs/{}", run.id)),
        "pull_requests": [], "created_at": date(run.attempts[0].began), "updated_at": date(attempt.updated),
        "run_started_at": date(attempt.began), "actor": user("ann"), "triggering_actor": user("ann"),
        "check_suite_id": run.id, "check_suite_url": api(it, &format!("/check-suites/{}", run.id)),
        "workflow_url": api(it, "/actions/workflows/1"), "head_commit": head(it, &run.sha),
        "repository": home, "head_repository": home,
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

fn head(it: &Repository, sha: &str) -> Value {
    let Some(commit) = commits::read(&it.objects, sha) else { return Value::Null };
    let person = |it: &commits::Person| json!({ "name": it.name, "email": it.email });
    json!({
        "id": sha, "tree_id": commit.tree, "message": commit.message, "timestamp": date(commit.committer.at as f64),
        "author": person(&commit.author), "committer": person(&commit.committer),
    })
}

fn first() -> usize {
    1
}

fn completed() -> String {
    "completed".into()
}

fn success() -> String {
    "success".into()
}
