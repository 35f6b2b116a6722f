//! Records of runs in their repository of the emulated GitHub, for tests: deployments, leases, holders.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use roadstead::github::{Addresses, RecordedDeployment, RunRepository};
use roadstead::sys::clock::Clock;
use roadstead_cloud::call_log::{HookPhase, Override};
use roadstead_cloud::client::http_client;
use roadstead_cloud::cloud::Cloud;
use serde_json::Value;
use tokio::sync::Notify;

use super::github::{GitHubTestClient, request_violations};
use super::runner::{Runner, StepResult};

/// The repository with three commits in a row, and one on a branch.
pub(crate) const HISTORY: &str = "github:
  repositories:
    - name: acme/shop
      private: true
      history: [{ id: c1 }, { id: c2 }, { id: c3 }, { id: d2, branch: topic, parent: c1 }]
";

/// The name of a commit of [`PAST`] in full.
pub(crate) fn full_sha(short: &str) -> String {
    format!("{short:0<40}")
}

/// A world with several runs, one after the other or at once.
pub(crate) struct MultiRunHarness {
    pub(crate) cloud: Cloud,
    clock: Clock,
    scenario: String,
}

impl MultiRunHarness {
    /// Must be called in a runtime.
    pub(crate) fn new(scenario: &str) -> Self {
        let (cloud, clock) = Runner::custom(scenario).start_cloud();
        Self { cloud, clock, scenario: scenario.into() }
    }

    /// A runner of this world for run `id` of a commit, pushed to `main`.
    pub(crate) fn runner(&self, id: u64, commit: &str) -> Runner {
        Runner::custom(&self.scenario)
            .with_variable("GITHUB_RUN_ID", &id.to_string())
            .with_variable("GITHUB_SHA", &full_sha(commit))
    }

    /// The main step, and GitHub learns that the run has ended.
    pub(crate) async fn run(&self, runner: &Runner) -> StepResult {
        let step = self.run_main(runner).await;
        self.end_run(runner);
        step
    }

    /// The main step.
    pub(crate) async fn run_main(&self, runner: &Runner) -> StepResult {
        runner.run_main_on(&self.cloud, Clock::starting_at(self.clock.now())).await
    }

    /// The post step, and GitHub learns that the run has ended.
    pub(crate) async fn run_post(&self, runner: &Runner) -> StepResult {
        let step = runner.run_post_on(&self.cloud, Clock::starting_at(self.clock.now())).await;
        self.end_run(runner);
        step
    }

    pub(crate) fn end_run(&self, runner: &Runner) {
        self.cloud.end_run("acme/shop", runner.variables["GITHUB_RUN_ID"].parse().unwrap(), "success");
    }

    /// The main step until the `count`th call from now is done; then the runner is lost. `None`: it was.
    pub(crate) async fn run_until_lost(&self, runner: &Runner, count: usize) -> Option<StepResult> {
        let lost = Arc::new(Notify::new());
        let (tell, mut left) = (lost.clone(), count);
        self.cloud.on_call(Box::new(move |moment| {
            if moment.phase == HookPhase::After && left > 0 {
                left -= 1;
                if left == 0 {
                    tell.notify_one();
                    return Override::NoReply;
                }
            }
            Override::Pass
        }));
        let step = tokio::select! {
            biased;
            () = lost.notified() => None,
            step = self.run_main(runner) => Some(step),
        };
        self.cloud.on_call(Box::new(|_| Override::Pass));
        step
    }

    async fn get(&self, path: &str) -> Value {
        GitHubTestClient::new(&self.cloud)
            .call_rest("GET", &format!("/repos/acme/shop{path}"), Value::Null)
            .await
            .body
    }

    /// Deployments, the oldest first: environment and commit, then each status with its description.
    pub(crate) async fn deployments(&self) -> String {
        let mut lines = Vec::new();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        for one in self.get("/deployments").await.as_array().unwrap().iter().rev() {
            lines.push(format!("{} {}", text(&one["environment"]), &text(&one["sha"])[..2]));
            let statuses = self.get(&format!("/deployments/{}/statuses", one["id"])).await;
            for status in statuses.as_array().unwrap().iter().rev() {
                lines.push(
                    format!("  {}: {}", text(&status["state"]), text(&status["description"]))
                        .trim_end()
                        .into(),
                );
            }
        }
        lines.join("\n")
    }

    /// The newest deployment, as GitHub shows it.
    pub(crate) async fn newest_deployment(&self) -> Value {
        self.get("/deployments").await[0].clone()
    }

    /// The refs of leases.
    pub(crate) async fn lease_refs(&self) -> Vec<String> {
        let all = self.get("/git/matching-refs/roadstead/").await;
        all.as_array().unwrap().iter().map(|one| one["ref"].as_str().unwrap().to_owned()).collect()
    }

    /// The releases that are recorded as proven.
    pub(crate) async fn proven_deployments(&self, environment: &str) -> Vec<RecordedDeployment> {
        let addresses = Addresses::from_api_url("https://api.github.com");
        let project =
            RunRepository::new(http_client(self.cloud.clone()), &addresses, "t", "acme/shop").unwrap();
        project.proven_deployments(environment).await.unwrap()
    }

    /// Commits of the proven releases, newest first.
    pub(crate) async fn proven_commits(&self, environment: &str) -> Vec<String> {
        self.proven_deployments(environment)
            .await
            .into_iter()
            .map(|one| one.record.commit[..2].to_owned())
            .collect()
    }

    /// The number of rollouts of the service.
    pub(crate) fn count_service_updates(&self) -> usize {
        self.cloud.calls().iter().filter(|call| call.operation == "UpdateService" && call.took_effect).count()
    }

    /// No request to GitHub violates its API description.
    pub(crate) fn assert_valid_requests(&self) {
        assert_eq!(request_violations(&self.cloud.calls()), Vec::<String>::new());
    }
}

/// Several runs at once on one thread; returns their steps in this order.
pub(crate) async fn run_concurrently(
    world: &Rc<MultiRunHarness>,
    runners: Vec<(Duration, Runner)>,
) -> Vec<StepResult> {
    let begun = runners.into_iter().map(|(after, runner)| {
        let world = world.clone();
        tokio::task::spawn_local(async move {
            tokio::time::sleep(after).await;
            world.run(&runner).await
        })
    });
    let begun: Vec<_> = begun.collect();
    let mut steps = Vec::new();
    for one in begun {
        steps.push(one.await.unwrap());
    }
    steps
}
