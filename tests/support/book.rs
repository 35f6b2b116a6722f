//! What runs keep in their repository at the embedded GitHub, as tests look at it: deployments, leases, who is at work.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use roadstead::github::{Addresses, Project, Proven};
use roadstead::rehearsal::client::http_client;
use roadstead::rehearsal::cloud::Cloud;
use roadstead::rehearsal::record::{Interrupt, Phase};
use roadstead::sys::clock::Clock;
use serde_json::Value;
use tokio::sync::Notify;

use super::github::{Asker, faults};
use super::runner::{Runner, Step};

/// The repository with three commits, one after the other, and one beside them.
pub(crate) const PAST: &str = "github:
  repositories:
    - name: acme/shop
      private: true
      history: [{ id: c1 }, { id: c2 }, { id: c3 }, { id: d2, branch: topic, parent: c1 }]
";

/// The name of a commit of [`PAST`] in full.
pub(crate) fn sha(short: &str) -> String {
    format!("{short:0<40}")
}

/// A world in which runs follow one another or meet.
pub(crate) struct World {
    pub(crate) cloud: Cloud,
    clock: Clock,
    scenario: String,
}

impl World {
    /// Inside a runtime.
    pub(crate) fn of(scenario: &str) -> Self {
        let (cloud, clock) = Runner::told(scenario).cloud();
        Self { cloud, clock, scenario: scenario.into() }
    }

    /// A runner of this world for run `id` of a commit, pushed to `main`.
    pub(crate) fn runner(&self, id: u64, commit: &str) -> Runner {
        Runner::told(&self.scenario).with("GITHUB_RUN_ID", &id.to_string()).with("GITHUB_SHA", &sha(commit))
    }

    /// The main step, and GitHub learns that the run has ended.
    pub(crate) async fn run(&self, runner: &Runner) -> Step {
        let step = self.main(runner).await;
        self.end(runner);
        step
    }

    /// The main step.
    pub(crate) async fn main(&self, runner: &Runner) -> Step {
        runner.main_on(&self.cloud, Clock::starting_at(self.clock.now())).await
    }

    /// The post step, and GitHub learns that the run has ended.
    pub(crate) async fn post(&self, runner: &Runner) -> Step {
        let step = runner.post_on(&self.cloud, Clock::starting_at(self.clock.now())).await;
        self.end(runner);
        step
    }

    pub(crate) fn end(&self, runner: &Runner) {
        self.cloud.end("acme/shop", runner.variables["GITHUB_RUN_ID"].parse().unwrap(), "success");
    }

    /// The main step until the `count`th call from now is done; then the runner is lost. `None`: it was.
    pub(crate) async fn cut_off(&self, runner: &Runner, count: usize) -> Option<Step> {
        let lost = Arc::new(Notify::new());
        let (tell, mut left) = (lost.clone(), count);
        self.cloud.on_call(Box::new(move |moment| {
            if moment.phase == Phase::After && left > 0 {
                left -= 1;
                if left == 0 {
                    tell.notify_one();
                    return Interrupt::Silence;
                }
            }
            Interrupt::Pass
        }));
        let step = tokio::select! {
            biased;
            () = lost.notified() => None,
            step = self.main(runner) => Some(step),
        };
        self.cloud.on_call(Box::new(|_| Interrupt::Pass));
        step
    }

    async fn get(&self, path: &str) -> Value {
        Asker::of(&self.cloud).rest("GET", &format!("/repos/acme/shop{path}"), Value::Null).await.body
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
    pub(crate) async fn newest(&self) -> Value {
        self.get("/deployments").await[0].clone()
    }

    /// The refs of leases.
    pub(crate) async fn leases(&self) -> Vec<String> {
        let all = self.get("/git/matching-refs/roadstead/").await;
        all.as_array().unwrap().iter().map(|one| one["ref"].as_str().unwrap().to_owned()).collect()
    }

    /// What counts as proven.
    pub(crate) async fn proven(&self, environment: &str) -> Vec<Proven> {
        let addresses = Addresses::of("https://api.github.com");
        let project = Project::new(http_client(self.cloud.clone()), &addresses, "t", "acme/shop").unwrap();
        project.proven(environment).await.unwrap()
    }

    /// Commits of what counts as proven, newest first.
    pub(crate) async fn proven_commits(&self, environment: &str) -> Vec<String> {
        self.proven(environment).await.into_iter().map(|one| one.record.commit[..2].to_owned()).collect()
    }

    /// How often the service was moved.
    pub(crate) fn moves(&self) -> usize {
        self.cloud.calls().iter().filter(|call| call.operation == "UpdateService" && call.effective).count()
    }

    /// Nothing that was asked of GitHub breaks its own description.
    pub(crate) fn judged(&self) {
        assert_eq!(faults(&self.cloud.calls()), Vec::<String>::new());
    }
}

/// Several runs at once on one thread; their steps in this order.
pub(crate) async fn together(world: &Rc<World>, runners: Vec<(Duration, Runner)>) -> Vec<Step> {
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
