//! Whole runs of workloads in a cluster on the emulator: patches, verdicts, rollbacks, bad input.

use roadstead::action::inputs::RawInputs;
use roadstead::release::Outcome;
use roadstead::report::RunReport;
use roadstead_cloud::cloud::Cloud;
use serde_json::{Value, json};

use crate::support::{RunHarness, RunResult, TestRun, run_in_virtual_time};

/// One Deployment of an EKS cluster.
const EKS: &str = "environments:
  production: { branches: [main], aws: { region: eu-west-1 } }
services:
  api:
    repository: acme/api
    kubernetes: { cluster: { eks: acme }, namespace: shop, workload: deployment/api, container: app }
";

/// The same in a cluster of which only the address is known, without anything of AWS.
const SERVER: &str = "environments:
  production: { branches: [main] }
services:
  api:
    repository: ghcr.io/acme/api
    kubernetes:
      cluster: { server: \"https://k8s.acme.example:6443\", token: KUBERNETES_TOKEN }
      workload: deployment/api
      container: app
";

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn test_run(scenario: &str, config: &str) -> TestRun {
    let mut trial = TestRun::builtin(scenario);
    trial.config = config.into();
    trial
}

/// A run with these faults.
fn faulty(faults: &str, config: &str) -> TestRun {
    let mut trial = TestRun::custom(&format!("faults: {faults}"));
    trial.config = config.into();
    trial
}

fn with_kind(kind: &str) -> String {
    EKS.replace("deployment/api", &format!("{kind}/api"))
}

/// The template of the only workload.
fn template(cloud: &Cloud) -> Value {
    cloud.read(|world| world.kubernetes.clusters[0].workloads[0].template().clone())
}

fn image(cloud: &Cloud) -> String {
    template(cloud)["spec"]["containers"][0]["image"].as_str().unwrap().to_owned()
}

/// The changes of the cluster that took effect.
fn changes(cloud: &Cloud) -> Vec<String> {
    let calls = cloud.calls();
    let own =
        calls.iter().filter(|call| call.service == "kubernetes" && call.is_mutating && call.took_effect);
    own.map(|call| call.operation.clone()).collect()
}

fn problem_text(report: &RunReport) -> String {
    report.all_problems().iter().map(|problem| format!("{problem}\n")).collect()
}

fn failed_codes(ran: &RunResult) -> Vec<&'static str> {
    let failure = ran.report.services[0].failure.as_ref();
    failure.map(|failure| failure.problem.code.name()).into_iter().collect()
}

#[test]
fn release_is_one_patch_and_is_proven_by_its_pods() {
    for kind in ["deployment", "statefulset", "daemonset"] {
        let ran = test_run("kubernetes-happy", &with_kind(kind)).run();
        assert_eq!(ran.report.outcome, Outcome::Deployed, "{kind}: {:#?}", ran.lines);
        assert_eq!(changes(&ran.cloud), [format!("patch/{kind}s")]);
        let service = &ran.report.services[0];
        let digest = service.serving_digest.as_ref().unwrap().as_str();
        assert!(image(&ran.cloud).ends_with(&format!("/acme/api@{digest}")), "{}", image(&ran.cloud));
        assert!(service.evidence.contains("2 of 2 pods"), "{}", service.evidence);
    }
}

#[test]
fn same_release_again_changes_nothing() {
    run_in_virtual_time(async {
        let stage = test_run("kubernetes-happy", EKS).set_up();
        assert_eq!(stage.run().await.outcome, Outcome::Deployed);
        let before = template(&stage.cloud);
        assert_eq!(stage.run().await.outcome, Outcome::Unchanged);
        assert_eq!((changes(&stage.cloud).len(), template(&stage.cloud)), (1, before));
    });
}

/// A version that fails is rolled back to the template that served, byte for byte, by one patch.
#[test]
fn failed_version_is_rolled_back_with_its_cause() {
    let table = [
        ("crash-on-start", "container-exited"),
        ("out-of-memory", "out-of-memory"),
        ("image-not-found", "image-pull-failed"),
        ("secret-missing", "resource-setup-failed"),
        ("failing-health-check", "health-check-failed"),
        ("no-capacity", "no-capacity"),
        ("kubernetes-quota", "no-capacity"),
    ];
    for (scenario, code) in table {
        let trial = test_run(scenario, EKS);
        let ran = run_in_virtual_time(async {
            let stage = trial.set_up();
            let before = template(&stage.cloud);
            let report = stage.run().await;
            assert_eq!(template(&stage.cloud), before, "{scenario}");
            stage.collect_result(report)
        });
        assert_eq!(ran.report.outcome, Outcome::Failed, "{scenario}: {:#?}", ran.lines);
        assert_eq!(failed_codes(&ran), [code], "{scenario}: {:#?}", ran.lines);
        assert_eq!(changes(&ran.cloud), ["patch/deployments", "patch/deployments"], "{scenario}");
    }
}

#[test]
fn crash_shows_its_exit_code_and_its_last_lines_within_half_a_minute() {
    let ran = test_run("crash-on-start", EKS).run();
    let failure = ran.report.services[0].failure.as_ref().unwrap();
    assert_eq!(failure.exit_code, Some(1));
    let lines: Vec<&str> = failure.logs.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(lines, ["starting", "panic: DATABASE_URL is not set"]);
    assert!(ran.report.services[0].elapsed.as_secs() < 90, "{:?}", ran.report.services[0].elapsed);
}

#[test]
fn cause_that_passes_is_waited_for() {
    for scenario in ["capacity-later", "kubernetes-quota-later", "slow-start", "kubernetes-scaled"] {
        let ran = test_run(scenario, EKS).run();
        assert_eq!(ran.report.outcome, Outcome::Deployed, "{scenario}: {:#?}", ran.lines);
    }
}

/// A pod of a StatefulSet that never becomes ready is not replaced by its controller, also not for the earlier template.
#[test]
fn broken_pod_of_a_stateful_set_is_replaced_by_the_rollback() {
    let ran = test_run("crash-on-start", &with_kind("statefulset")).run();
    assert_eq!(ran.report.outcome, Outcome::Failed, "{:#?}", ran.lines);
    assert_eq!(changes(&ran.cloud), ["patch/statefulsets", "patch/statefulsets", "delete/pods"]);
    let daemon_set = test_run("crash-on-start", &with_kind("daemonset")).run();
    assert_eq!(daemon_set.report.outcome, Outcome::Failed, "{:#?}", daemon_set.lines);
    assert_eq!(changes(&daemon_set.cloud), ["patch/daemonsets", "patch/daemonsets"], "it repairs itself");
}

/// The condition `Progressing` says `NewReplicaSetAvailable` of a template that served before: only the own deadline ends that.
#[test]
fn rollback_whose_pods_cannot_be_made_is_not_taken_for_done() {
    let trial = faulty(
        "[crash-on-start: {}, kubernetes-quota: { old: true }]\nkubernetes: { clusters: [{ workloads: [{ namespace: shop, name: api, \
         strategy: Recreate, progress-deadline: 60, containers: [{ name: app, image: \"x/api:v1\" }] }] }] }",
        EKS,
    );
    let ran = trial.run();
    assert_eq!(ran.report.outcome, Outcome::Stranded, "{:#?}", ran.lines);
    assert_eq!(image(&ran.cloud), "x/api:v1");
}

#[test]
fn newer_change_of_somebody_else_is_left_alone() {
    let ran = test_run("kubernetes-image-set", EKS).run();
    assert_eq!(ran.report.outcome, Outcome::Superseded, "{:#?}", ran.lines);
    assert_eq!(image(&ran.cloud), "public.ecr.aws/somebody/else:v0");
    assert!(
        problem_text(&ran.report).contains("kubectl-edit") || ran.lines.join("\n").contains("kubectl-edit")
    );
}

#[test]
fn rollback_on_demand_returns_to_the_template_before() {
    run_in_virtual_time(async {
        let trial = test_run("kubernetes-happy", EKS);
        let stage = trial.set_up();
        let before = template(&stage.cloud);
        assert_eq!(stage.run().await.outcome, Outcome::Deployed);
        let back = run_operation(&stage, "rollback", None).await;
        assert_eq!(back.outcome, Outcome::RolledBack, "{:#?}", stage.lines.borrow());
        assert_eq!(template(&stage.cloud), before);
    });
}

async fn run_operation(stage: &RunHarness, operation: &str, set: Option<&str>) -> RunReport {
    let mut trial = TestRun::builtin("kubernetes-happy");
    trial.config = stage.rehearsal.config.1.clone();
    trial.inputs =
        RawInputs { operation: Some(operation.into()), set: set.map(str::to_owned), ..RawInputs::default() };
    let next = stage.with_test_run(&trial);
    let report = next.run().await;
    stage.lines.borrow_mut().extend(next.lines.borrow().iter().cloned());
    report
}

#[test]
fn verify_reads_only_and_set_env_rolls_one_variable_out() {
    run_in_virtual_time(async {
        let stage = test_run("kubernetes-happy", EKS).set_up();
        let verified = run_operation(&stage, "verify", None).await;
        assert_eq!(verified.outcome, Outcome::Verified, "{:#?}", stage.lines.borrow());
        assert_eq!(changes(&stage.cloud), Vec::<String>::new());
        let image_before = image(&stage.cloud);
        let set = run_operation(&stage, "set-env", Some("api.FLAG=on")).await;
        assert_eq!(set.outcome, Outcome::Deployed, "{:#?}", stage.lines.borrow());
        assert_eq!(image(&stage.cloud), image_before);
        let env = template(&stage.cloud)["spec"]["containers"][0]["env"].clone();
        assert_eq!(env, json!([{ "name": "FLAG", "value": "on" }]));
    });
}

#[test]
fn cluster_without_aws_is_reached_with_a_token() {
    let mut trial = test_run("kubernetes-happy", SERVER);
    trial.variables.insert("KUBERNETES_TOKEN".into(), "token-of-a-service-account".into());
    trial.inputs.image = Some(format!("ghcr.io/acme/api@{DIGEST}"));
    let ran = trial.run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert_eq!(image(&ran.cloud), format!("ghcr.io/acme/api@{DIGEST}"));
    let of_aws = ["sts", "eks", "ecr"];
    let services: Vec<String> = ran.calls.iter().map(|call| call.service.clone()).collect();
    assert!(services.iter().all(|name| !of_aws.contains(&name.as_str())), "{services:?}");
}

/// A rollout that takes longer than a token of EKS lives.
#[test]
fn token_of_eks_is_renewed() {
    let mut trial = faulty("[slow-start: { seconds: 1500 }]", EKS);
    trial.config = EKS.replace("container: app", "container: app, progress-deadline-seconds: 3000");
    trial.inputs.timeout = Some("3h".into());
    let ran = trial.run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    let tokens: std::collections::BTreeSet<String> = ran
        .calls
        .iter()
        .filter(|call| call.service == "kubernetes")
        .map(|call| call.input["bearer"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert!(tokens.len() >= 3, "{}", tokens.len());
}

/// A lost answer of the patch is looked for, and the patch is not sent twice.
#[test]
fn lost_answer_of_the_patch_is_looked_for() {
    let ran = faulty("[response-lost: { operation: patch/deployments }]", EKS).run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert_eq!(changes(&ran.cloud), ["patch/deployments"]);
}

#[test]
fn command_before_the_rollout_is_a_job_with_its_exit_code() {
    let config = format!("{EKS}    before: {{ run: [\"./migrate\", \"up\"] }}\n");
    let ran = test_run("kubernetes-happy", &config).run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert_eq!(changes(&ran.cloud), ["create/jobs", "patch/deployments"]);
    let mut trial = TestRun::custom("one-off: [{ contains: migrate, exit: 3, logs: [\"no such table\"] }]");
    trial.config = config;
    let ran = trial.run();
    assert_eq!(ran.report.outcome, Outcome::Failed, "{:#?}", ran.lines);
    assert_eq!(changes(&ran.cloud), ["create/jobs"], "nothing was rolled out");
    let failure = ran.report.services[0].failure.as_ref().unwrap();
    assert_eq!((failure.exit_code, failure.logs[0].text.as_str()), (Some(3), "no such table"));
}

/// Bad input and states that cannot be deployed to: one sentence, and nothing is changed.
#[test]
fn bad_input_is_refused_before_any_change() {
    let cluster = |workload: &str, more: &str| {
        format!(
            "kubernetes: {{ clusters: [{{ name: acme, {more} workloads: [{{ namespace: shop, name: api, {workload} \
             containers: [{{ name: app, image: \"x/api:v1\" }}, {{ name: proxy, image: \"envoy:1\" }}] }}] }}] }}"
        )
    };
    let table = [
        (cluster("", ""), EKS.replace("container: app", "container: ap"), "The pods have no container `ap`"),
        (cluster("paused: true,", ""), EKS.into(), "is paused"),
        (cluster("replicas: 0,", ""), EKS.into(), "has 0 copies"),
        (cluster("kind: StatefulSet, strategy: OnDelete,", ""), with_kind("statefulset"), "OnDelete"),
        (cluster("kind: StatefulSet, partition: 1,", ""), with_kind("statefulset"), "has the partition 1"),
        (cluster("controller: Canary/api,", ""), EKS.into(), "is controlled by Canary `api`"),
        (
            cluster("annotations: { argocd.argoproj.io/tracking-id: x },", ""),
            EKS.into(),
            "is synced by Argo CD",
        ),
        (
            cluster("", "denied: [\"patch deployments\"],"),
            EKS.into(),
            "The token may not patch deployments `api`",
        ),
        (cluster("", "denied: [\"list pods\"],"), EKS.into(), "A right is missing"),
        (cluster("", "public: false,"), EKS.into(), "has a private endpoint only"),
        (cluster("", "status: CREATING,"), EKS.into(), "is CREATING"),
        (
            cluster("", ""),
            EKS.replace(
                "container: app }",
                "container: app }\n    strategy: { canary: { percent: 10, bake: 5m } }",
            ),
            "traffic between two versions is not split here",
        ),
    ];
    for (scenario, config, expected) in table {
        let mut trial = TestRun::custom(&scenario);
        trial.config = config;
        let ran = trial.run();
        assert_eq!(ran.report.outcome, Outcome::Invalid, "{expected}: {:#?}", ran.lines);
        let text = problem_text(&ran.report);
        assert!(text.contains(expected), "{expected} in {text}");
        assert_eq!(changes(&ran.cloud), Vec::<String>::new(), "{expected}");
    }
}

#[test]
fn workload_or_cluster_that_does_not_exist_is_named() {
    run_in_virtual_time(async {
        let stage = test_run("kubernetes-happy", EKS).set_up();
        stage.cloud.change(|world, _| world.kubernetes.clusters[0].workloads.clear());
        let report = stage.run().await;
        assert_eq!(report.outcome, Outcome::Invalid);
        let text = problem_text(&report);
        assert!(
            text.contains("There is no deployment/api in the namespace `shop` of the EKS cluster `acme`."),
            "{text}"
        );
        stage.cloud.change(|world, _| world.kubernetes.clusters.clear());
        let text = problem_text(&stage.run().await);
        assert!(text.contains("There is no EKS cluster `acme` in this account and region."), "{text}");
    });
}

#[test]
fn token_that_is_refused_or_missing_is_named() {
    let mut trial = test_run("kubernetes-happy", SERVER);
    trial.inputs.image = Some(format!("ghcr.io/acme/api@{DIGEST}"));
    // What a workflow passes for a secret that does not exist.
    trial.variables.insert("KUBERNETES_TOKEN".into(), String::new());
    let ran = trial.run();
    assert_eq!(ran.report.outcome, Outcome::Invalid);
    assert!(
        problem_text(&ran.report).contains("The variable `KUBERNETES_TOKEN`"),
        "{}",
        problem_text(&ran.report)
    );
    let scenario = "kubernetes: { clusters: [{ name: \"k8s.acme.example:6443\", server: \"k8s.acme.example:6443\", eks: false, \
                    token: right, workloads: [] }] }";
    let mut trial = TestRun::custom(scenario);
    trial.config = SERVER.into();
    trial.inputs.image = Some(format!("ghcr.io/acme/api@{DIGEST}"));
    trial.variables.insert("KUBERNETES_TOKEN".into(), "wrong".into());
    let ran = trial.run();
    assert_eq!(ran.report.outcome, Outcome::Invalid);
    assert!(problem_text(&ran.report).contains("does not accept the token"), "{}", problem_text(&ran.report));
}

/// Nothing but the template is ever written.
#[test]
fn patches_name_identity_and_template_only() {
    for scenario in ["kubernetes-happy", "crash-on-start"] {
        let ran = test_run(scenario, EKS).run();
        let patches = ran.calls.iter().filter(|call| call.operation.starts_with("patch/"));
        let paths: std::collections::BTreeSet<String> = patches
            .flat_map(|call| call.input["body"].as_array().cloned().unwrap_or_default())
            .filter_map(|one| one["path"].as_str().map(str::to_owned))
            .collect();
        assert_eq!(paths.into_iter().collect::<Vec<_>>(), ["/metadata/uid", "/spec/template"]);
    }
}
