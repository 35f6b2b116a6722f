//! A repository with two environments, where production takes only what staging has proven; and what staging proved.

use std::cell::Cell;

use roadstead::github::{Addresses, Project};
use roadstead::rehearsal::client::http_client;
use roadstead::rehearsal::cloud::Cloud;
use roadstead::sys::clock::Clock;
use serde_json::{Value, json};

use super::github::{Asker, faults};
use super::runner::{Runner, Step};

pub(crate) const HOST: &str = "111111111111.dkr.ecr.eu-west-1.amazonaws.com";

/// Both in one account.
pub(crate) const CONFIG: &str = "environments:
  staging: { branches: [develop], aws: { region: eu-west-1, role: \"arn:aws:iam::111111111111:role/staging\" } }
  production: { branches: [main], promote-from: staging, aws: { region: eu-west-1, role: \"arn:aws:iam::111111111111:role/production\" } }
services:
  backend:
    repository: acme/backend
    ecs: { cluster: \"acme-${environment}\", service: backend, container: app }
";

/// `develop` is two commits ahead of `main`, which then merges the first of them; a third lies on a branch of its own.
pub(crate) const PAST: &str = "github:
  repositories:
    - name: acme/shop
      private: true
      history:
        - { id: d1, branch: develop }
        - { id: d2, branch: develop }
        - { id: aa, merges: d1 }
        - { id: bb, branch: topic, parent: d1 }
services: [{ cluster: acme-staging, name: backend }]
";

/// The name of a commit in full.
pub(crate) fn sha(short: &str) -> String {
    format!("{short:0<40}")
}

/// A world in which runs follow one another.
pub(crate) struct World {
    pub(crate) cloud: Cloud,
    clock: Clock,
    config: String,
    scenario: String,
    runs: Cell<u64>,
}

impl World {
    /// Inside a runtime. The services of the first environment by name are founded.
    pub(crate) fn of(config: &str, scenario: &str) -> Self {
        let (cloud, clock) = Runner::told(scenario).config(config).cloud();
        Self { cloud, clock, config: config.into(), scenario: scenario.into(), runs: Cell::new(100) }
    }

    /// A runner for a push of a commit to a branch.
    pub(crate) fn push(&self, branch: &str, commit: &str) -> Runner {
        self.runs.set(self.runs.get() + 1);
        Runner::told(&self.scenario)
            .config(&self.config)
            .with("GITHUB_RUN_ID", &self.runs.get().to_string())
            .with("GITHUB_REF", &format!("refs/heads/{branch}"))
            .with("GITHUB_REF_NAME", branch)
            .with("GITHUB_SHA", &sha(commit))
    }

    /// A runner that a person started on `main`.
    pub(crate) fn by_hand(&self, commit: &str) -> Runner {
        self.push("main", commit)
            .with("GITHUB_EVENT_NAME", "workflow_dispatch")
            .with("INPUT_OPERATION", "promote")
    }

    /// The main step. Nothing that it asks of GitHub breaks GitHub's own description.
    pub(crate) async fn run(&self, runner: &Runner) -> Step {
        let step = runner.main_on(&self.cloud, Clock::starting_at(self.clock.now())).await;
        assert_eq!(faults(&self.cloud.calls()), Vec::<String>::new());
        let run = runner.variables["GITHUB_RUN_ID"].parse().unwrap();
        self.cloud.end("acme/shop", run, if step.code == 0 { "success" } else { "failure" });
        step
    }

    /// An image as a build of the commit leaves it.
    pub(crate) fn image(&self, repository: &str, commit: &str) -> String {
        let tag = format!("sha-{}", &sha(commit)[..7]);
        let digest = self.cloud.push(repository, &[tag.as_str()], "linux/amd64,linux/arm64", commit);
        format!("{HOST}/{repository}@{digest}")
    }

    /// What a run in `staging` recorded about a commit, and proved.
    pub(crate) async fn proved(&self, environment: &str, commit: &str, images: &[(&str, &str)]) -> u64 {
        let services: Value =
            images.iter().map(|(name, image)| ((*name).to_owned(), json!({ "image": image }))).collect();
        let record = json!({ "environment": environment, "commit": sha(commit), "services": services });
        let body = json!({
            "ref": sha(commit), "task": "deploy", "auto_merge": false, "required_contexts": [], "environment": environment,
            "payload": { "roadstead": record, "run": "1/1" },
        });
        let asker = Asker::of(&self.cloud);
        let made = asker.rest("POST", "/repos/acme/shop/deployments", body).await;
        let number = made.body["id"].as_u64().unwrap();
        let path = format!("/repos/acme/shop/deployments/{number}/statuses");
        let said = json!({ "state": "success", "description": "Roadstead: deployed" });
        assert_eq!(asker.rest("POST", &path, said).await.status, 201);
        number
    }

    /// The digest that serves in a cluster, and nothing beside it.
    pub(crate) fn serves(&self, cluster: &str) -> String {
        let serving = self.cloud.serving(cluster, "backend").unwrap();
        let running = serving.versions.values().filter(|version| version.running > 0);
        let digests: Vec<String> = running.flat_map(|version| version.digests.iter().cloned()).collect();
        digests.join(" and ")
    }

    /// Changes of ECS since the call `from`.
    pub(crate) fn moved(&self, from: usize) -> usize {
        let calls = self.cloud.calls();
        calls[from..].iter().filter(|call| call.service == "ecs" && call.mutating && call.effective).count()
    }

    /// Commits of what counts as proven in an environment, newest first.
    pub(crate) async fn proven_commits(&self, environment: &str) -> Vec<String> {
        let addresses = Addresses::of("https://api.github.com");
        let project = Project::new(http_client(self.cloud.clone()), &addresses, "t", "acme/shop").unwrap();
        project.proven(environment).await.unwrap().into_iter().map(|one| one.record.commit).collect()
    }
}
