//! The rights in a cluster: the Role that is printed suffices, nothing in it is superfluous, and the page shows it.

use roadstead::cli::{self, Arguments, Command};
use roadstead::release::Outcome;
use serde_json::Value;

use crate::support::{RunResult, TestRun};
use clap::Parser as _;

const CONFIG: &str = "environments:
  production: { branches: [main], aws: { region: eu-west-1, role: \"arn:aws:iam::222222222222:role/deploy\" } }
services:
  api:
    repository: acme/api
    kubernetes: { cluster: { eks: acme }, namespace: shop, workload: deployment/api, container: app }
";

/// What `roadstead policy --rbac` prints.
fn printed(config: &str, more: &str) -> cli::policy::EnvironmentPolicy {
    let line = format!("roadstead policy --environment production --rbac {more}");
    let Command::Policy(options) = Arguments::try_parse_from(line.split_whitespace()).unwrap().command else {
        panic!("{line}")
    };
    cli::policy::environment_policy(std::path::Path::new("/nonexistent"), &options, config).unwrap()
}

/// The rules of the first Role, as the emulator's clusters read them, and whether a run can do without.
fn rules(text: &str) -> Vec<(String, bool)> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("  - "));
    let read = |line: &str| {
        let (rule, comment) = line.split_once('#').unwrap_or((line, ""));
        let rule: Value = serde_saphyr::from_str(rule).unwrap();
        let texts = |key: &str| -> Vec<String> {
            let all = rule[key].as_array().cloned().unwrap_or_default();
            all.iter().map(|one| one.as_str().unwrap().to_owned()).collect()
        };
        let resource = texts("resources").remove(0);
        let name = texts("resourceNames").first().map(|name| format!(" {name}")).unwrap_or_default();
        let rules = texts("verbs").into_iter().map(|verb| format!("{verb} {resource}{name}"));
        rules.map(|rule| (rule, comment.contains("optional"))).collect::<Vec<_>>()
    };
    lines.flat_map(read).collect()
}

/// A run in a cluster whose token has these rights.
fn run_with(config: &str, kind: &str, allowed: &[String], faults: &str) -> RunResult {
    trial_with(config, kind, allowed, faults).run()
}

fn trial_with(config: &str, kind: &str, allowed: &[String], faults: &str) -> TestRun {
    let allowed = serde_json::to_string(allowed).unwrap();
    let mut trial = TestRun::custom(&format!(
        "faults: {faults}\nkubernetes: {{ clusters: [{{ allowed: {allowed}, workloads: [{{ kind: {kind}, namespace: shop, name: api, \
         containers: [{{ name: app, image: \"x/api:v1\" }}] }}] }}] }}"
    ));
    trial.config = config.into();
    trial
}

const KINDS: [&str; 3] = ["Deployment", "StatefulSet", "DaemonSet"];

fn config_of(kind: &str) -> String {
    let workload = format!("{}/api", kind.to_lowercase());
    format!("{}    before: {{ run: [\"./migrate\"] }}\n", CONFIG.replace("deployment/api", &workload))
}

/// Each kind, and a canary.
fn configs() -> Vec<(&'static str, String)> {
    let canary = CONFIG.replace("container: app", "container: app, traffic: { httproute: public }");
    let canary = format!("{canary}    strategy: {{ canary: {{ percent: 10, bake: 2m }} }}\n");
    let kinds = KINDS.map(|kind| (kind, config_of(kind)));
    kinds.into_iter().chain([("Deployment", canary)]).collect()
}

#[test]
fn printed_role_suffices_for_a_release_and_a_rollback() {
    for (kind, config) in configs() {
        let all: Vec<String> = rules(&printed(&config, "").text).into_iter().map(|(rule, _)| rule).collect();
        let ran = run_with(&config, kind, &all, "[]");
        assert_eq!(ran.report.outcome, Outcome::Deployed, "{kind}: {:#?}", ran.lines);
        assert_eq!(ran.report.all_problems(), Vec::<&roadstead::problem::Problem>::new(), "{kind}");
        let failed = run_with(&config, kind, &all, "[crash-on-start: {}]");
        assert_eq!(failed.report.outcome, Outcome::Failed, "{kind}: {:#?}", failed.lines);
    }
}

/// What is missing for a release is said, and the plan is made.
#[test]
fn printed_read_only_role_suffices_for_a_plan() {
    for kind in KINDS {
        let config = config_of(kind);
        let rules = rules(&printed(&config, "--read-only").text);
        let allowed: Vec<String> = rules.into_iter().map(|(rule, _)| rule).collect();
        let mut trial = trial_with(&config, kind, &allowed, "[]");
        trial.inputs.operation = Some("plan".into());
        let ran = trial.run();
        assert_eq!(ran.report.outcome, Outcome::Planned, "{kind}: {:#?}", ran.lines);
        let problems = ran.report.all_problems();
        let told =
            problems.iter().any(|one| one.sentence.contains("so a release needs a token with more rights"));
        assert!(told && problems.iter().all(|one| !one.is_error()), "{kind}: {problems:?}");
    }
}

/// Without a right that a run needs, nothing is changed; without another one, something is left out and said.
#[test]
fn missing_right_stops_before_the_first_change_unless_it_is_optional() {
    for (kind, config) in configs() {
        let all = rules(&printed(&config, "").text);
        assert!(all.len() >= 10, "{all:?}");
        for (without, is_optional) in &all {
            let rest: Vec<String> =
                all.iter().map(|(rule, _)| rule.clone()).filter(|rule| rule != without).collect();
            let ran = run_with(&config, kind, &rest, "[]");
            let expected = if *is_optional { Outcome::Deployed } else { Outcome::Invalid };
            assert_eq!(ran.report.outcome, expected, "{kind} without {without}: {:#?}", ran.lines);
            let codes: Vec<&str> = ran.report.all_problems().iter().map(|one| one.code.name()).collect();
            assert_eq!(codes, ["permission-missing"], "{kind} without {without}");
            let changed = ran.calls.iter().any(|call| call.service == "kubernetes" && call.is_mutating);
            assert_eq!(changed, *is_optional, "{kind} without {without}");
        }
    }
}

#[test]
fn page_shows_the_role_that_is_printed() {
    let page = include_str!("../docs/targets/kubernetes.md");
    let text = printed(CONFIG, "").text;
    assert!(
        page.contains(&format!("```yaml\n{text}\n```")),
        "docs/targets/kubernetes.md does not show\n{text}"
    );
}

#[test]
fn read_only_role_changes_nothing_and_clusters_are_told_apart() {
    let read = printed(&config_of("StatefulSet"), "--read-only").text;
    for rule in rules(&read) {
        assert!(rule.0.starts_with("get ") || rule.0.starts_with("list "), "{rule:?}");
    }
    let other = "  web:\n    repository: ghcr.io/acme/web\n    kubernetes: { cluster: { kubeconfig: CONFIG }, workload: deployment/web }\n";
    let several = printed(&format!("{CONFIG}{other}"), "");
    assert_eq!(several.text.matches("kind: RoleBinding").count(), 2, "{}", several.text);
    assert!(several.text.contains("{ kind: ServiceAccount, name: roadstead, namespace: default }"));
    assert!(several.warnings[0].contains("several clusters"), "{:?}", several.warnings);
    let none = printed(
        "environments: { production: {} }\nservices:\n  web: { repository: acme/web, ecs: { cluster: a, service: web } }\n",
        "",
    );
    assert!(none.text.is_empty() && none.warnings[0].contains("no service"), "{:?}", none.warnings);
}
