//! Whole runs of workloads in a cluster on the emulator: several images of one template, what is found before the first change, what
//! only events tell, and which version a rollback returns to.

use roadstead::release::Outcome;
use roadstead::report::RunReport;
use roadstead_cloud::cloud::Cloud;
use serde_json::Value;

use crate::support::recorded_deployments::{HISTORY, MultiRunHarness};
use crate::support::{RunResult, TestRun, run_in_virtual_time};

const CONFIG: &str = "environments:
  production: { branches: [main], aws: { region: eu-west-1 } }
services:
  api:
    repository: acme/api
    kubernetes: { cluster: { eks: acme }, namespace: shop, workload: deployment/api, container: app }
";

/// A run in a cluster with one workload.
fn run(cluster: &str, workload: &str, faults: &str, config: &str) -> RunResult {
    let mut trial = TestRun::custom(&scenario(cluster, workload, faults));
    trial.config = config.into();
    trial.run()
}

fn scenario(cluster: &str, workload: &str, faults: &str) -> String {
    format!(
        "faults: {faults}\nkubernetes: {{ clusters: [{{ {cluster} workloads: [{{ namespace: shop, name: api, {workload} }}] }}] }}"
    )
}

const APP: &str = "containers: [{ name: app, image: \"x/api:v1\" }]";

fn with_kind(kind: &str) -> String {
    CONFIG.replace("deployment/api", &format!("{kind}/api"))
}

fn template(cloud: &Cloud) -> Value {
    cloud.read(|world| world.kubernetes.clusters[0].workloads[0].template().clone())
}

fn image(cloud: &Cloud, list: &str, place: usize) -> String {
    template(cloud)["spec"][list][place]["image"].as_str().unwrap().to_owned()
}

fn changes(cloud: &Cloud) -> Vec<String> {
    let calls = cloud.calls();
    let own =
        calls.iter().filter(|call| call.service == "kubernetes" && call.is_mutating && call.took_effect);
    own.map(|call| call.operation.clone()).collect()
}

fn problems(report: &RunReport) -> String {
    report.all_problems().iter().map(|problem| format!("{problem}\n")).collect()
}

#[test]
fn images_of_several_containers_are_released_in_one_template() {
    let workload = "containers: [{ name: migrate, image: \"x/api:v1\", init: true }, { name: app, image: \"x/api:v1\" }, \
                    { name: nginx, image: \"x/nginx:v1\" }, { name: log, image: \"log:1\" }]";
    let images = "images: { nginx: { build: { context: nginx }, repository: acme/nginx }, migrate: { repository: acme/api } }";
    let config = CONFIG.replace("container: app", &format!("container: app, {images}"));
    let ran = run("", workload, "[]", &config);
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert_eq!(changes(&ran.cloud), ["patch/deployments"], "one patch for all images");
    let app = image(&ran.cloud, "containers", 0);
    assert!(app.contains("/acme/api@sha256:"), "{app}");
    assert_eq!(image(&ran.cloud, "initContainers", 0), app, "the container with the same repository");
    let nginx = image(&ran.cloud, "containers", 1);
    assert!(nginx.contains("/acme/nginx@sha256:"), "{nginx}");
    assert_eq!(image(&ran.cloud, "containers", 2), "log:1");
    let reported = &ran.report.services[0].container_images;
    assert_eq!(reported.keys().collect::<Vec<_>>(), ["migrate", "nginx"]);
}

#[test]
fn failed_release_of_several_images_restores_all_of_them() {
    let workload = "containers: [{ name: app, image: \"x/api:v1\" }, { name: nginx, image: \"x/nginx:v1\" }]";
    let config =
        CONFIG.replace("container: app", "container: app, images: { nginx: { repository: acme/nginx } }");
    let ran = run("", workload, "[crash-on-start: {}]", &config);
    assert_eq!(ran.report.outcome, Outcome::Failed, "{:#?}", ran.lines);
    let restored = [image(&ran.cloud, "containers", 0), image(&ran.cloud, "containers", 1)];
    assert_eq!(restored, ["x/api:v1", "x/nginx:v1"]);
}

/// Containers that cannot be released: one sentence, and nothing is changed.
#[test]
fn wrong_images_are_refused_before_any_change() {
    let table = [
        ("ngnix: { repository: acme/nginx }", "The pods have no container `ngnix`"),
        (
            "app: { repository: acme/other }",
            "gets the image of the service and is in `kubernetes.images`, too",
        ),
        ("nginx: {}", "in `kubernetes.images` has neither `build` nor `repository` nor `image`"),
        ("nginx: { image: \"a b\" }", "The `image` of the container `nginx` cannot be used"),
    ];
    let workload = "containers: [{ name: app, image: \"x/api:v1\" }, { name: nginx, image: \"x/nginx:v1\" }]";
    for (images, expected) in table {
        let config = CONFIG.replace("container: app", &format!("container: app, images: {{ {images} }}"));
        let ran = run("", workload, "[]", &config);
        assert_eq!(ran.report.outcome, Outcome::Invalid, "{images}: {:#?}", ran.lines);
        let text = problems(&ran.report);
        assert!(text.contains(expected), "{expected} in {text}");
        assert_eq!(changes(&ran.cloud), Vec::<String>::new(), "{images}");
    }
}

#[test]
fn missing_secret_of_the_template_is_found_before_any_change() {
    let workload = "containers: [{ name: app, image: \"x/api:v1\", secrets: [tls, database] }]";
    let ran = run("missing: [\"secret database\"],", workload, "[]", CONFIG);
    assert_eq!(ran.report.outcome, Outcome::Invalid, "{:#?}", ran.lines);
    let text = problems(&ran.report);
    assert!(text.contains("the Secret `database`, which does not exist in the namespace `shop`"), "{text}");
    assert!(!text.contains("`tls`"), "{text}");
    assert_eq!(changes(&ran.cloud), Vec::<String>::new());
    let blind = run("missing: [\"secret database\"], denied: [\"get secrets\"],", workload, "[]", CONFIG);
    assert_eq!(blind.report.outcome, Outcome::Deployed, "{:#?}", blind.lines);
}

#[test]
fn quota_without_room_is_said_before_and_ends_the_rollout() {
    let ran = run("pod-quota: 2,", APP, "[]", CONFIG);
    assert_eq!(ran.report.outcome, Outcome::Failed, "{:#?}", ran.lines);
    let text = problems(&ran.report);
    assert!(
        text.contains(
            "The quota `compute` has no room for one more pod of `deployment/api` (pods: 2 of 2 used)"
        ),
        "{text}"
    );
    let room = run("pod-quota: 3,", APP, "[]", CONFIG);
    assert_eq!((room.report.outcome, problems(&room.report)), (Outcome::Deployed, String::new()));
}

/// A StatefulSet and a DaemonSet have no condition for pods that cannot be made.
#[test]
fn cause_that_only_events_tell_is_named() {
    for kind in ["StatefulSet", "DaemonSet"] {
        let workload = format!("kind: {kind}, {APP}");
        let ran = run("", &workload, "[kubernetes-quota: {}]", &with_kind(&kind.to_lowercase()));
        let failure = ran.report.services[0].failure.as_ref();
        let code = failure.map(|failure| failure.problem.code.name());
        assert_eq!(code, Some("no-capacity"), "{kind}: {:#?}", ran.lines);
        let cause = failure.and_then(|failure| failure.problem.cause.clone()).unwrap_or_default();
        assert!(cause.contains("exceeded quota: compute"), "{kind}: {cause}");
    }
    let ran = run("", APP, "[failing-health-check: {}]", CONFIG);
    let cause = ran.report.services[0].failure.as_ref().unwrap().problem.cause.clone().unwrap();
    assert!(cause.contains("Readiness probe failed: HTTP probe failed with statuscode: 503"), "{cause}");
    let blind = run("denied: [\"list events\"],", APP, "[failing-health-check: {}]", CONFIG);
    assert_eq!(blind.report.outcome, Outcome::Failed, "{:#?}", blind.lines);
}

/// A rollout that goes well reads no events.
#[test]
fn events_are_read_only_where_nothing_moves() {
    let ran = run("", APP, "[]", CONFIG);
    let reads = ran.calls.iter().filter(|call| call.operation == "list/events").count();
    assert_eq!((ran.report.outcome, reads), (Outcome::Deployed, 0), "{:#?}", ran.lines);
}

/// The images that were deployed one after the other, and the one that a rollback then returns to. `recorded` says of each
/// deployment whether GitHub has a record of it.
fn rolled_back_image(recorded: [bool; 3], has_token: bool) -> ([String; 3], String) {
    let role = "aws: { region: eu-west-1, role: \"arn:aws:iam::111111111111:role/deploy\" }";
    let config = CONFIG.replace("acme/api", "ghcr.io/acme/api").replace("aws: { region: eu-west-1 }", role);
    run_in_virtual_time(async {
        let world = MultiRunHarness::new(&format!("{HISTORY}{}", scenario("", APP, "[]")));
        let runner = |id: u64, has_token: bool| {
            let runner = world.runner(id, "c1").with_config(&config);
            if has_token { runner } else { runner.with_variable("INPUT_GITHUB-TOKEN", "") }
        };
        let images = ["a", "b", "c"].map(|digit| format!("ghcr.io/acme/api@sha256:{}", digit.repeat(64)));
        for (place, image) in images.iter().enumerate() {
            let id = 7 + place as u64;
            let step = world.run(&runner(id, recorded[place]).with_variable("INPUT_IMAGE", image)).await;
            assert_eq!(step.output("outcome"), "deployed", "{:#?}", step.lines);
        }
        let back = world.run(&runner(10, has_token).with_variable("INPUT_OPERATION", "rollback")).await;
        assert_eq!(back.output("outcome"), "rolled-back", "{:#?}", back.lines);
        (images, image(&world.cloud, "containers", 0))
    })
}

/// The cluster does not know which of its templates was ever healthy; the deployment records do.
#[test]
fn rollback_returns_to_the_newest_version_that_was_proven() {
    let table =
        [([true, false, false], true, 0), ([true, true, true], true, 1), ([true, false, false], false, 1)];
    for (recorded, has_token, expected) in table {
        let (images, now) = rolled_back_image(recorded, has_token);
        assert_eq!(now, images[expected], "{recorded:?} {has_token}");
    }
}

/// A cluster that trusts GitHub's own tokens, which live for five minutes.
#[test]
fn token_of_github_reaches_a_cluster_that_trusts_it_and_is_renewed() {
    let cluster = "{ server: \"https://k8s.acme.example:6443\", oidc: \"https://k8s.acme.example\" }";
    let config = CONFIG.replace("{ eks: acme }", cluster).replace("acme/api", "ghcr.io/acme/api");
    let run_with = |audience: &str| {
        let place = format!("server: \"k8s.acme.example:6443\", eks: false, audience: \"{audience}\",");
        let mut trial = TestRun::custom(&scenario(&place, APP, "[slow-start: { seconds: 500 }]"));
        trial.config = config.replace(", aws: { region: eu-west-1 }", "");
        trial.inputs.image = Some(format!("ghcr.io/acme/api@sha256:{}", "a".repeat(64)));
        trial.run()
    };
    let ran = run_with("https://k8s.acme.example");
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    let own = ran.calls.iter().filter(|call| call.service == "kubernetes");
    let tokens: std::collections::BTreeSet<&str> =
        own.filter_map(|call| call.input["bearer"].as_str()).collect();
    assert!(tokens.len() >= 3, "{}", tokens.len());
    let other = run_with("https://other.example");
    assert_eq!(other.report.outcome, Outcome::Invalid, "{:#?}", other.lines);
    assert!(problems(&other.report).contains("does not accept the token"), "{}", problems(&other.report));
}
