//! Runs of workflows and their jobs: reads. A run is written by GitHub alone, so it is evidence where a deployment is
//! only a claim. <https://docs.github.com/rest/actions/workflow-runs>

use serde_json::Value;

use super::client::ApiRequest;
use super::error::ApiError;
use super::repository::RunRepository;
use super::validate;
use crate::release::{RunNumber, WorkflowJob, WorkflowRun};
use crate::retry::RetryPolicy;

/// Jobs on a page; GitHub's maximum.
const JOBS_PER_PAGE: usize = 100;
/// Pages of jobs that are read: an attempt of a workflow has a few hundred jobs at most.
const MAX_JOB_PAGES: usize = 3;

impl RunRepository {
    /// A run of this repository. [`ApiError::NotFound`] if there is none, or the token cannot read runs.
    pub async fn workflow_run(&self, run: u64) -> Result<WorkflowRun, ApiError> {
        let request = ApiRequest::get(self.route(&format!("/actions/runs/{run}")));
        self.client.get(&request, RetryPolicy::SHORT).await.map(|response| parse_run(&response))
    }

    /// The jobs of one attempt of a run.
    pub async fn attempt_jobs(&self, run: RunNumber) -> Result<Vec<WorkflowJob>, ApiError> {
        let RunNumber { id, attempt } = run;
        let mut jobs = Vec::new();
        for page in 1..=MAX_JOB_PAGES {
            let rest =
                format!("/actions/runs/{id}/attempts/{attempt}/jobs?per_page={JOBS_PER_PAGE}&page={page}");
            let response = self.client.get(&ApiRequest::get(self.route(&rest)), RetryPolicy::SHORT).await?;
            let listed = response["jobs"].as_array().map(Vec::as_slice).unwrap_or_default();
            jobs.extend(listed.iter().map(parse_job));
            if listed.len() < JOBS_PER_PAGE {
                break;
            }
        }
        Ok(jobs)
    }

    /// The commit that a branch points to; `None` if there is no such branch.
    pub async fn branch_head(&self, branch: &str) -> Result<Option<String>, ApiError> {
        let branch = validate::branch(branch).map_err(ApiError::Rejected)?;
        self.ref_target(&format!("refs/heads/{branch}")).await
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn parse_run(run: &Value) -> WorkflowRun {
    let path = run["path"].as_str().unwrap_or_default();
    WorkflowRun {
        event: text(&run["event"]).unwrap_or_default(),
        branch: text(&run["head_branch"]),
        commit: text(&run["head_sha"]).unwrap_or_default(),
        // The path of some runs ends with the ref of the workflow: `deploy.yml@main`.
        workflow: path.split('@').next().unwrap_or_default().to_owned(),
        head_repository: text(&run["head_repository"]["full_name"]),
        has_ended: run["status"].as_str().map(|status| status == "completed"),
        last_attempt: run["run_attempt"].as_u64(),
    }
}

fn parse_job(job: &Value) -> WorkflowJob {
    let time = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
    WorkflowJob {
        started_at: time(&job["started_at"]),
        completed_at: time(&job["completed_at"]),
        conclusion: text(&job["conclusion"]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::mock::{MockGitHub, rest_reply};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn run_is_parsed_and_nothing_is_guessed() {
        let full = json!({"event": "push", "head_branch": "main", "head_sha": "c0ffee1", "path": ".github/workflows/a.yml@main",
            "head_repository": {"full_name": "acme/shop"}, "status": "completed", "run_attempt": 2});
        let replies = vec![rest_reply(200, full), rest_reply(200, json!({"event": 1, "path": []}))];
        let (project, script) = MockGitHub::run_repository(replies);
        let run = project.workflow_run(5).await.unwrap();
        assert_eq!(
            run,
            WorkflowRun {
                event: "push".into(),
                branch: Some("main".into()),
                commit: "c0ffee1".into(),
                workflow: ".github/workflows/a.yml".into(),
                head_repository: Some("acme/shop".into()),
                has_ended: Some(true),
                last_attempt: Some(2),
            }
        );
        assert_eq!(project.workflow_run(6).await, Ok(WorkflowRun::default()));
        assert_eq!(
            script.calls(),
            ["GET /repos/acme/shop/actions/runs/5", "GET /repos/acme/shop/actions/runs/6"]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn jobs_are_read_page_by_page_up_to_a_limit() {
        let job = json!({"started_at": "2026-03-02T09:00:00Z", "completed_at": null, "conclusion": null});
        let page =
            |count: usize| rest_reply(200, json!({"total_count": 999, "jobs": vec![job.clone(); count]}));
        for (pages, expected) in [(vec![2], 2), (vec![100, 1], 101), (vec![100, 100, 100], 300)] {
            let count = pages.len();
            let (project, script) = MockGitHub::run_repository(pages.into_iter().map(page).collect());
            let jobs = project.attempt_jobs(RunNumber { id: 5, attempt: 2 }).await.unwrap();
            assert_eq!((jobs.len(), script.calls().len()), (expected, count));
            assert!(jobs[0].started_at.is_some() && jobs[0].completed_at.is_none());
        }
    }
}
