//! A repository with two environments, where production deploys only releases that are proven in staging.

use std::cell::Cell;

use roadstead::github::{Addresses, RecordedDeployment, RunRepository};
use roadstead::release::RecordedService;
use roadstead::sys::clock::Clock;
use roadstead_cloud::client::http_client;
use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::github::run::RunStart;
use roadstead_cloud::github::workflow_runs::WorkflowRun;
use serde_json::{Value, json};

use super::github::{GitHubTestClient, request_violations};
use super::runner::{Runner, StepResult};

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
pub(crate) const HISTORY: &str = "github:
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
pub(crate) fn full_sha(short: &str) -> String {
    format!("{short:0<40}")
}

/// A world in which runs follow one another.
pub(crate) struct PromotionHarness {
    pub(crate) cloud: Cloud,
    clock: Clock,
    config: String,
    scenario: String,
    runs: Cell<u64>,
}

impl PromotionHarness {
    /// Must be called in a runtime. The services of the first environment by name exist.
    pub(crate) fn new(config: &str, scenario: &str) -> Self {
        let (cloud, clock) = Runner::custom(scenario).with_config(config).start_cloud();
        Self { cloud, clock, config: config.into(), scenario: scenario.into(), runs: Cell::new(100) }
    }

    /// A runner for a push of a commit to a branch.
    pub(crate) fn push_runner(&self, branch: &str, commit: &str) -> Runner {
        self.runs.set(self.runs.get() + 1);
        Runner::custom(&self.scenario)
            .with_config(&self.config)
            .with_variable("GITHUB_RUN_ID", &self.runs.get().to_string())
            .with_variable("GITHUB_REF", &format!("refs/heads/{branch}"))
            .with_variable("GITHUB_REF_NAME", branch)
            .with_variable("GITHUB_SHA", &full_sha(commit))
    }

    /// A runner that a person started on `main`.
    pub(crate) fn dispatch_runner(&self, commit: &str) -> Runner {
        self.push_runner("main", commit)
            .with_variable("GITHUB_EVENT_NAME", "workflow_dispatch")
            .with_variable("INPUT_OPERATION", "promote")
    }

    /// The main step. No request of it violates GitHub's API description.
    pub(crate) async fn run(&self, runner: &Runner) -> StepResult {
        let step = runner.run_main_on(&self.cloud, Clock::starting_at(self.clock.now())).await;
        assert_eq!(request_violations(&self.cloud.calls()), Vec::<String>::new());
        let run = runner.variables["GITHUB_RUN_ID"].parse().unwrap();
        self.cloud.end_run("acme/shop", run, if step.exit_code == 0 { "success" } else { "failure" });
        step
    }

    /// The post step.
    pub(crate) async fn run_post(&self, runner: &Runner) -> StepResult {
        runner.run_post_on(&self.cloud, Clock::starting_at(self.clock.now())).await
    }

    /// The image of a build of the commit.
    pub(crate) fn push_image(&self, repository: &str, commit: &str) -> String {
        let tag = format!("sha-{}", &full_sha(commit)[..7]);
        let digest = self.cloud.push_image(repository, &[tag.as_str()], "linux/amd64,linux/arm64", commit);
        format!("{HOST}/{repository}@{digest}")
    }

    /// What a run of `develop` recorded in an environment about a commit, and proved.
    pub(crate) async fn record_proven(
        &self,
        environment: &str,
        commit: &str,
        images: &[(&str, &str)],
    ) -> u64 {
        let reference = if environment == "production" { "refs/heads/main" } else { "refs/heads/develop" };
        let run = self.start_run(reference, commit, "push");
        let number = self.claim_proven(environment, commit, images, run).await;
        self.cloud.end_run("acme/shop", run, "success");
        number
    }

    /// The same with the services as the record has them.
    pub(crate) async fn record_proven_services(
        &self,
        environment: &str,
        commit: &str,
        services: Value,
    ) -> u64 {
        let reference = if environment == "production" { "refs/heads/main" } else { "refs/heads/develop" };
        let run = self.start_run(reference, commit, "push");
        let number = self.claim_services(environment, commit, services, run).await;
        self.say(number, "success", "Roadstead: deployed").await;
        self.cloud.end_run("acme/shop", run, "success");
        number
    }

    /// A run of the workflow begins; gives its number.
    pub(crate) fn start_run(&self, reference: &str, commit: &str, event: &str) -> u64 {
        self.runs.set(self.runs.get() + 1);
        self.cloud.start_run(RunStart {
            repository: "acme/shop",
            sha: &full_sha(commit),
            reference,
            run_id: Some(self.runs.get()),
            attempt: 1,
            event,
            environment: None,
        });
        self.runs.get()
    }

    /// Changes what GitHub says of a run.
    pub(crate) fn change_run(&self, run: u64, change: impl FnOnce(&mut WorkflowRun)) {
        self.cloud.change(|world, _| {
            let it = world.github.repositories.get_mut("acme/shop").unwrap();
            change(it.workflow_runs.iter_mut().find(|one| one.id == run).unwrap());
        });
    }

    /// What anybody with `deployments: write` can say: that attempt 1 of a run proved these images.
    pub(crate) async fn claim_proven(
        &self,
        environment: &str,
        commit: &str,
        images: &[(&str, &str)],
        run: u64,
    ) -> u64 {
        let number = self.claim_open(environment, commit, images, run).await;
        self.say(number, "success", "Roadstead: deployed").await;
        number
    }

    /// As [`claim_proven`](Self::claim_proven), without an end.
    pub(crate) async fn claim_open(
        &self,
        environment: &str,
        commit: &str,
        images: &[(&str, &str)],
        run: u64,
    ) -> u64 {
        let services: Value =
            images.iter().map(|(name, image)| ((*name).to_owned(), json!({ "image": image }))).collect();
        self.claim_services(environment, commit, services, run).await
    }

    async fn claim_services(&self, environment: &str, commit: &str, services: Value, run: u64) -> u64 {
        let record = json!({ "environment": environment, "commit": full_sha(commit), "services": services });
        let body = json!({
            "ref": full_sha(commit), "task": "roadstead", "auto_merge": false, "required_contexts": [], "environment": environment,
            "payload": { "roadstead": record, "run": format!("{run}/1") },
        });
        let asker = GitHubTestClient::new(&self.cloud);
        asker.call_rest("POST", "/repos/acme/shop/deployments", body).await.body["id"].as_u64().unwrap()
    }

    /// A status of a deployment.
    pub(crate) async fn say(&self, deployment: u64, state: &str, description: &str) {
        let path = format!("/repos/acme/shop/deployments/{deployment}/statuses");
        let said = json!({ "state": state, "description": description });
        let asker = GitHubTestClient::new(&self.cloud);
        assert_eq!(asker.call_rest("POST", &path, said).await.status, 201);
    }

    /// The only digest that serves in a cluster.
    pub(crate) fn serving_digest(&self, cluster: &str) -> String {
        let serving = self.cloud.serving_state(cluster, "backend").unwrap();
        let running = serving.versions.values().filter(|version| version.running > 0);
        let digests: Vec<String> = running.flat_map(|version| version.digests.iter().cloned()).collect();
        digests.join(" and ")
    }

    /// Changes of ECS since the call `from`.
    pub(crate) fn count_ecs_changes(&self, from: usize) -> usize {
        let calls = self.cloud.calls();
        calls[from..]
            .iter()
            .filter(|call| call.service == "ecs" && call.is_mutating && call.took_effect)
            .count()
    }

    async fn proven_deployments(&self, environment: &str) -> Vec<RecordedDeployment> {
        let addresses = Addresses::from_api_url("https://api.github.com");
        let project =
            RunRepository::new(http_client(self.cloud.clone()), &addresses, "t", "acme/shop").unwrap();
        project.proven_deployments(environment).await.unwrap()
    }

    /// Commits of what is recorded as proven in an environment, newest first.
    pub(crate) async fn proven_commits(&self, environment: &str) -> Vec<String> {
        self.proven_deployments(environment).await.into_iter().map(|one| one.record.commit).collect()
    }

    /// What is recorded as proven of a service in an environment, newest first.
    pub(crate) async fn proven_services(&self, environment: &str, service: &str) -> Vec<RecordedService> {
        let proven = self.proven_deployments(environment).await;
        proven.iter().map(|one| one.record.services[service].clone()).collect()
    }

    /// Images of a service that are recorded as proven in an environment, newest first.
    pub(crate) async fn proven_images(&self, environment: &str, service: &str) -> Vec<String> {
        let proven = self.proven_deployments(environment).await;
        proven.iter().map(|one| one.record.services[service].image.to_string()).collect()
    }
}
