//! Canaries of a Deployment behind an HTTPRoute, on the emulator: weights, promotion, rollback, what is left afterwards, runs that are
//! lost, and what is refused.

use roadstead::release::Outcome;
use roadstead::report::RunReport;
use roadstead_cloud::call_log::{CallHook, HookPhase};
use roadstead_cloud::cloud::Cloud;
use serde_json::{Value, json};

use crate::support::{RunResult, TestRun, run_in_virtual_time};

const CONFIG: &str = "environments:
  production: { branches: [main], aws: { region: eu-west-1 } }
services:
  api:
    repository: acme/api
    kubernetes:
      cluster: { eks: acme }
      namespace: shop
      workload: deployment/api
      container: app
      traffic: { httproute: public }
    strategy: { linear: { step: 40, bake: 2m } }
";

/// A run in a cluster with one Deployment of four copies, its Service and its route.
fn trial(more: &str, faults: &str, config: &str) -> TestRun {
    let mut trial = TestRun::custom(&format!(
        "faults: {faults}\nkubernetes: {{ clusters: [{{ {more} services: [{{ namespace: shop, name: api, selector: {{ app: api }} }}], \
         routes: [{{ namespace: shop, name: public, service: api }}], \
         workloads: [{{ namespace: shop, name: api, replicas: 4, containers: [{{ name: app, image: \"x/api:v1\" }}] }}] }}] }}"
    ));
    trial.config = config.into();
    trial
}

fn run(faults: &str) -> RunResult {
    trial("", faults, CONFIG).run()
}

fn changes(cloud: &Cloud) -> Vec<String> {
    let calls = cloud.calls();
    let own =
        calls.iter().filter(|call| call.service == "kubernetes" && call.is_mutating && call.took_effect);
    own.map(|call| call.operation.clone()).collect()
}

/// The rules of the route.
fn rules(cloud: &Cloud) -> Value {
    cloud.read(|world| world.kubernetes.clusters[0].routes[0].object["spec"]["rules"].clone())
}

/// The weights that the patches of the route set, in their order.
fn weights(cloud: &Cloud) -> Vec<Vec<u64>> {
    let calls = cloud.calls();
    let patches = calls.iter().filter(|call| call.operation == "patch/httproutes" && call.took_effect);
    let read = |call: &roadstead_cloud::call_log::LoggedCall| {
        let operations = call.input["body"].as_array().unwrap().clone();
        let rules = operations.iter().find(|one| one["op"] == "replace").unwrap()["value"].clone();
        let backends = rules[0]["backendRefs"].as_array().unwrap().clone();
        backends.iter().map(|one| one["weight"].as_u64().unwrap()).collect()
    };
    patches.map(read).collect()
}

/// What is left of a rollout: the names of Deployments and of Services.
fn left(cloud: &Cloud) -> (Vec<String>, Vec<String>) {
    cloud.read(|world| {
        let cluster = &world.kubernetes.clusters[0];
        let workloads = cluster.workloads.iter().filter(|work| !work.is_deleted);
        let services = cluster.services.iter().map(|service| service.name.clone());
        (workloads.map(|work| work.setting.name.clone()).collect(), services.collect())
    })
}

fn image(cloud: &Cloud) -> String {
    let template = cloud.read(|world| world.kubernetes.clusters[0].workloads[0].template().clone());
    template["spec"]["containers"][0]["image"].as_str().unwrap().to_owned()
}

fn problems(report: &RunReport) -> String {
    report.all_problems().iter().map(|problem| format!("{problem}\n")).collect()
}

fn nothing_left() -> (Vec<String>, Vec<String>) {
    (vec!["api".into()], vec!["api".into()])
}

fn untouched_rules() -> Value {
    json!([{
        "matches": [{ "path": { "type": "PathPrefix", "value": "/" } }],
        "backendRefs": [{ "group": "", "kind": "Service", "name": "api", "port": 80, "weight": 1 }],
    }])
}

#[test]
fn canary_gets_its_weights_and_the_workload_gets_the_version_at_the_end() {
    let ran = run("[]");
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert_eq!(weights(&ran.cloud), [vec![60, 40], vec![20, 80], vec![1]]);
    assert_eq!(
        changes(&ran.cloud),
        [
            "create/services",
            "create/deployments",
            "patch/httproutes",
            "patch/httproutes",
            "patch/deployments",
            "patch/httproutes",
            "delete/services",
            "delete/deployments"
        ]
    );
    assert_eq!((rules(&ran.cloud), left(&ran.cloud)), (untouched_rules(), nothing_left()));
    assert!(image(&ran.cloud).contains("/acme/api@sha256:"), "{}", image(&ran.cloud));
    assert_eq!(problems(&ran.report), "");
}

/// The version never gets traffic, or gives it back; the Deployment itself was not changed.
#[test]
fn canary_that_fails_leaves_nothing_behind() {
    for fault in
        ["crash-on-start: {}", "image-not-found: {}", "failing-health-check: {}", "secret-missing: {}"]
    {
        let ran = run(&format!("[{fault}]"));
        assert_eq!(ran.report.outcome, Outcome::Failed, "{fault}: {:#?}", ran.lines);
        assert_eq!(weights(&ran.cloud), Vec::<Vec<u64>>::new(), "{fault}");
        assert!(!changes(&ran.cloud).contains(&"patch/deployments".to_owned()), "{fault}");
        assert_eq!((rules(&ran.cloud), left(&ran.cloud)), (untouched_rules(), nothing_left()), "{fault}");
        assert_eq!(image(&ran.cloud), "x/api:v1");
    }
}

/// The quota has room for the canary, and not for the first new pod of the Deployment beside it.
#[test]
fn version_that_fails_with_all_traffic_is_rolled_back_in_route_and_workload() {
    let ran = trial("pod-quota: 8,", "[]", CONFIG).run();
    assert_eq!(ran.report.outcome, Outcome::Failed, "{:#?}", ran.lines);
    assert_eq!(weights(&ran.cloud), [vec![60, 40], vec![20, 80], vec![1]]);
    let patched = changes(&ran.cloud).iter().filter(|change| *change == "patch/deployments").count();
    assert_eq!(patched, 2, "there and back: {:?}", changes(&ran.cloud));
    assert_eq!((rules(&ran.cloud), left(&ran.cloud)), (untouched_rules(), nothing_left()));
    assert_eq!(image(&ran.cloud), "x/api:v1");
}

/// `Recreate` leaves no old copy: the Deployment gets its earlier version first, and the traffic once a copy of that is ready.
#[test]
fn workload_without_a_ready_copy_gets_its_earlier_version_before_the_traffic() {
    let mut trial = TestRun::custom(
        "faults: [kubernetes-quota: { workload: api }]\nkubernetes: { clusters: [{ \
         services: [{ namespace: shop, name: api, selector: { app: api } }], \
         routes: [{ namespace: shop, name: public, service: api }], \
         workloads: [{ namespace: shop, name: api, replicas: 4, strategy: Recreate, progress-deadline: 60, \
         containers: [{ name: app, image: \"x/api:v1\" }] }] }] }",
    );
    trial.config = CONFIG.into();
    let ran = trial.run();
    assert_eq!(ran.report.outcome, Outcome::Failed, "{:#?}", ran.lines);
    assert_eq!(weights(&ran.cloud), [vec![60, 40], vec![20, 80], vec![1]]);
    let order: Vec<String> =
        changes(&ran.cloud).into_iter().filter(|change| change.starts_with("patch/")).collect();
    assert_eq!(order[order.len() - 2..], ["patch/deployments", "patch/httproutes"], "{order:?}");
    assert_eq!((rules(&ran.cloud), left(&ran.cloud)), (untouched_rules(), nothing_left()));
    assert_eq!(image(&ran.cloud), "x/api:v1");
}

#[test]
fn rolling_update_and_rollback_on_demand_do_not_need_the_canary() {
    let config = CONFIG.replace("strategy: { linear: { step: 40, bake: 2m } }", "strategy: { rolling: {} }");
    let ran = trial("", "[]", &config).run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert_eq!(changes(&ran.cloud), ["patch/deployments"]);
}

/// Somebody changes the weights: they are left alone.
#[test]
fn weights_of_somebody_else_are_not_overwritten() {
    let result = run_in_virtual_time(async {
        let stage = trial("", "[]", CONFIG).set_up();
        let cloud = stage.cloud.clone();
        let meddling = async {
            for _ in 0..200 {
                tokio::time::sleep(std::time::Duration::from_secs(5)).await;
                if weights(&cloud).len() == 1 {
                    break;
                }
            }
            cloud.change(|world, _| {
                let route = &mut world.kubernetes.clusters[0].routes[0];
                route.object["spec"]["rules"][0]["backendRefs"][1]["weight"] = json!(1);
                route.generation += 1;
            });
        };
        let (report, ()) = tokio::join!(stage.run(), meddling);
        stage.collect_result(report)
    });
    assert_eq!(result.report.outcome, Outcome::Superseded, "{:#?}", result.lines);
    assert_eq!(weights(&result.cloud).len(), 1, "{:?}", weights(&result.cloud));
}

/// A run that is lost before or after any of its changes: the next run of the same release ends well, and nothing of the canary is
/// left.
#[test]
fn lost_run_is_mended_by_the_next_one() {
    for (nth, phase) in (1..=8).flat_map(|nth| [(nth, HookPhase::Before), (nth, HookPhase::After)]) {
        let (cloud, outcome) = run_in_virtual_time(async {
            let stage = trial("", "[]", CONFIG).set_up();
            let counts = move |moment: &CallHook<'_>| {
                moment.phase == phase && moment.is_mutating && moment.call.service == "kubernetes"
            };
            stage.run_until_killed(nth, counts).await;
            let report = stage.run_again().await;
            (stage.cloud.clone(), report.outcome)
        });
        assert!([Outcome::Deployed, Outcome::Unchanged].contains(&outcome), "{nth} {phase:?}: {outcome:?}");
        assert_eq!((rules(&cloud), left(&cloud)), (untouched_rules(), nothing_left()), "{nth} {phase:?}");
        assert!(image(&cloud).contains("/acme/api@sha256:"), "{nth} {phase:?}: {}", image(&cloud));
    }
}

#[test]
fn lost_answers_change_nothing_twice() {
    for operation in ["create/services", "create/deployments", "patch/httproutes", "patch/deployments"] {
        let ran = run(&format!("[response-lost: {{ operation: {operation} }}]"));
        assert_eq!(ran.report.outcome, Outcome::Deployed, "{operation}: {:#?}", ran.lines);
        assert_eq!(weights(&ran.cloud), [vec![60, 40], vec![20, 80], vec![1]], "{operation}");
        assert_eq!((rules(&ran.cloud), left(&ran.cloud)), (untouched_rules(), nothing_left()), "{operation}");
    }
}

/// Routes and blocks that cannot be used: one sentence, and nothing is changed.
#[test]
fn route_that_cannot_be_used_is_refused_before_any_change() {
    let traffic = |block: &str| CONFIG.replace("{ httproute: public }", block);
    let table = [
        (
            traffic("{ httproute: public, service: web }"),
            "",
            "No rule of the HTTPRoute `public` names the Service `web`",
        ),
        (traffic("{ app-mesh: x }"), "", "AWS App Mesh ended on 2026-09-30"),
        (traffic("{ smi: x }"), "", "the Service Mesh Interface was archived in 2023"),
        (traffic("{ service: api }"), "", "`traffic` needs `httproute`"),
        (
            CONFIG.replace("linear: { step: 40, bake: 2m }", "blue-green: {}"),
            "",
            "`blue-green` is not supported with",
        ),
        (
            CONFIG.replace("deployment/api", "statefulset/api"),
            "",
            "Only the traffic of a Deployment can be split",
        ),
        (CONFIG.into(), "denied: [\"patch httproutes\"],", "The token may not patch httproutes `public`"),
        (CONFIG.into(), "denied: [\"create deployments\"],", "The token may not create deployments"),
    ];
    for (config, more, expected) in table {
        let ran = trial(more, "[]", &config).run();
        assert_eq!(ran.report.outcome, Outcome::Invalid, "{expected}: {:#?}", ran.lines);
        let text = problems(&ran.report);
        assert!(text.contains(expected), "{expected} in {text}");
        assert_eq!(changes(&ran.cloud), Vec::<String>::new(), "{expected}");
    }
}

#[test]
fn route_that_does_not_exist_is_named_and_does_not_keep_a_rollback() {
    run_in_virtual_time(async {
        let stage = trial("", "[]", CONFIG).set_up();
        assert_eq!(stage.run().await.outcome, Outcome::Deployed, "{:#?}", stage.lines.borrow());
        stage.cloud.change(|world, _| world.kubernetes.clusters[0].routes.clear());
        let mut other = trial("", "[]", CONFIG);
        other.inputs.image = Some(format!("public.ecr.aws/acme/api@sha256:{}", "b".repeat(64)));
        let refused = stage.with_test_run(&other).run().await;
        assert_eq!(refused.outcome, Outcome::Invalid);
        let text = problems(&refused);
        assert!(text.contains("There is no HTTPRoute `public` in the namespace `shop`"), "{text}");
        let mut back = trial("", "[]", CONFIG);
        back.inputs.operation = Some("rollback".into());
        let back = stage.with_test_run(&back).run().await;
        assert_eq!((back.outcome, image(&stage.cloud).as_str()), (Outcome::RolledBack, "x/api:v1"));
    });
}
