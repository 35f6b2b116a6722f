//! What `roadstead rehearse` makes of the files in a folder, and that every scenario shows something in the example.

use super::*;

fn options(scenario: &str) -> RehearseOptions {
    RehearseOptions {
        scenario: scenario.to_owned(),
        operation: "deploy".into(),
        seed: 1,
        ..RehearseOptions::default()
    }
}

fn choose(options: &RehearseOptions, folder: &Path) -> Result<ChosenFiles, String> {
    choose_files(options, &find_source(&options.scenario)?, folder)
}

fn announcement(options: &RehearseOptions, folder: &Path) -> String {
    choose(options, folder).map_or_else(|error| format!("error: {error}"), |chosen| chosen.announcement)
}

const ROLLING: &str = "environments:
  staging: { branches: [develop], aws: { region: eu-west-1 } }
  production: { branches: [main], aws: { region: eu-west-1 } }
services:
  backend:
    ecs: { cluster: acme, service: backend, container: app }
";

/// A folder with this file in it.
fn folder_with(path: &str, text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    crate::sys::disk::write(&folder.path().join(path), text.as_bytes()).unwrap();
    folder
}

#[test]
fn first_line_names_file_and_environment() {
    let folder = folder_with(".github/roadstead.yml", ROLLING);
    let named = RehearseOptions { environment: Some("staging".into()), ..options("happy") };
    let below = folder.path().join("web");
    std::fs::create_dir(&below).unwrap();
    let yaml = folder_with(".github/roadstead.yaml", ROLLING);
    let empty = tempfile::tempdir().unwrap();
    insta::assert_snapshot!([
        announcement(&options("happy"), folder.path()),
        announcement(&named, folder.path()),
        announcement(&options("happy"), &below),
        announcement(&options("happy"), yaml.path()),
        announcement(&options("canary-5xx"), empty.path()),
    ].join("\n"), @"
    Rehearsing `happy`: environment `production` of .github/roadstead.yml. `--environment` selects another one: `staging`.
    Rehearsing `happy`: environment `staging` of .github/roadstead.yml.
    Rehearsing `happy`: environment `production` of ../.github/roadstead.yml. `--environment` selects another one: `staging`.
    Rehearsing `happy`: environment `production` of the built-in example, because this folder has no .github/roadstead.yml.
    To rehearse .github/roadstead.yaml, name it with `--config`. `--environment` selects another one: `staging`.
    Rehearsing `canary-5xx`: environment `production` of the built-in example, because this folder has no .github/roadstead.yml.
    To rehearse your own file, run this in the root of your repository, or name it with `--config`. `--environment` selects another one: `staging`.
    ");
}

#[test]
fn file_without_what_the_scenario_needs_is_an_error() {
    let folder = folder_with(".github/roadstead.yml", ROLLING);
    let scenarios =
        ["canary-5xx", "blue-green", "hook-timeout", "two-services", "bad-answers", "git-protected"];
    insta::assert_snapshot!(scenarios.map(|name| announcement(&options(name), folder.path())).join("\n"), @"
    error: The scenario `canary-5xx` needs a service with the strategy `canary` or `linear` and with `metrics`, and `production` in .github/roadstead.yml has none. Add one, rehearse another environment with `--environment`, or choose another scenario: `roadstead rehearse --list` prints them.
    error: The scenario `blue-green` needs a service with the strategy `blue-green`, `linear` or `canary`, and `production` in .github/roadstead.yml has none. Add one, rehearse another environment with `--environment`, or choose another scenario: `roadstead rehearse --list` prints them.
    error: The scenario `hook-timeout` needs a service with the strategy `canary` or `linear`, and `production` in .github/roadstead.yml has none. Add one, rehearse another environment with `--environment`, or choose another scenario: `roadstead rehearse --list` prints them.
    error: The scenario `two-services` needs a service of ECS with `pair`, and `production` in .github/roadstead.yml has none. Add one, rehearse another environment with `--environment`, or choose another scenario: `roadstead rehearse --list` prints them.
    error: The scenario `bad-answers` needs a service with `verify`, and `production` in .github/roadstead.yml has none. Add one, rehearse another environment with `--environment`, or choose another scenario: `roadstead rehearse --list` prints them.
    error: The scenario `git-protected` needs a service with the target `argocd`, and `production` in .github/roadstead.yml has none. Add one, rehearse another environment with `--environment`, or choose another scenario: `roadstead rehearse --list` prints them.
    ");
}

#[test]
fn file_with_what_the_scenario_needs_is_rehearsed() {
    let canary = format!("{ROLLING}    strategy: {{ canary: {{ metrics: [5xx] }} }}\n");
    let folder = folder_with(".github/roadstead.yml", &canary);
    for scenario in ["canary-5xx", "blue-green", "hook-timeout", "happy"] {
        assert!(choose(&options(scenario), folder.path()).is_ok(), "{scenario}");
    }
}

fn rehearse_example(scenario: &str, folder: &Path) -> RunReport {
    let chosen = choose(&options(scenario), folder).unwrap();
    rehearse_files(&chosen, find_source(scenario).unwrap(), &options(scenario), |_| {}).unwrap()
}

/// How an operation ends in the example: outcome, and the codes of its problems.
fn operate(scenario: &str, change: impl FnOnce(&mut RehearseOptions)) -> String {
    let empty = tempfile::tempdir().unwrap();
    let mut options = options(scenario);
    change(&mut options);
    let chosen = choose(&options, empty.path()).unwrap();
    match rehearse_files(&chosen, find_source(scenario).unwrap(), &options, |_| {}) {
        Ok(report) => {
            let codes: Vec<&str> = report.all_problems().iter().map(|problem| problem.code.name()).collect();
            format!("{} {}", report.outcome, codes.join(" ")).trim_end().to_owned()
        }
        Err(words) => format!("error: {words}"),
    }
}

#[test]
fn every_operation_is_rehearsed() {
    let operation = |name: &str, scenario: &str| operate(scenario, |options| options.operation = name.into());
    assert_eq!(operation("rollback", "happy"), "rolled-back");
    assert_eq!(operation("plan rollback", "happy"), "planned");
    assert_eq!(operation("verify", "happy"), "verified");
    assert_eq!(operation("plan", "happy"), "planned");
    let set_env = |line: &str| {
        let line = line.to_owned();
        operate("happy", |options| (options.operation, options.set) = ("set-env".into(), vec![line]))
    };
    assert!(set_env("backend.FLAG=on").starts_with("deployed"), "{}", set_env("backend.FLAG=on"));
    let image = "111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/backend:mine";
    assert_eq!(operate("happy", |options| options.image = Some(image.into())), "deployed");
    let cancelled = operate("slow-start", |options| options.cancel_at = Some(60));
    assert_eq!(cancelled, "cancelled cancelled");
}

/// Without `env-file` a Compose service has no variables that make another version of it.
#[test]
fn rollback_of_a_service_without_variables_is_rehearsed_after_a_deploy() {
    let file = "environments: { production: { branches: [main] } }
services:
  shop:
    build: { context: . }
    repository: ghcr.io/acme/shop
    compose: { hosts: [{ ssh: deploy@app1 }], directory: /srv/shop, service: web }
";
    let folder = folder_with(".github/roadstead.yml", file);
    for (name, text) in
        [("compose.yaml", "services: { web: { image: x } }\n"), ("Dockerfile", "FROM scratch\n")]
    {
        crate::sys::disk::write(&folder.path().join(name), text.as_bytes()).unwrap();
    }
    let options = RehearseOptions { operation: "rollback".into(), ..options("happy") };
    let chosen = choose(&options, folder.path()).unwrap();
    let report = rehearse_files(&chosen, find_source("happy").unwrap(), &options, |_| {}).unwrap();
    assert_eq!(report.outcome.to_string(), "rolled-back");
}

/// Two environments in one account, and in two.
#[test]
fn promotion_is_rehearsed_after_a_release_in_its_source() {
    for account in ["111111111111", "222222222222"] {
        let file = format!(
            "environments:
  staging: {{ branches: [develop], aws: {{ region: eu-west-1, account: \"111111111111\", role: \"arn:aws:iam::111111111111:role/staging\" }} }}
  production: {{ promote-from: staging, aws: {{ region: eu-west-1, account: \"{account}\", role: \"arn:aws:iam::{account}:role/production\" }} }}
services:
  backend: {{ repository: acme/backend, ecs: {{ cluster: \"acme-${{environment}}\", service: backend, container: app }} }}
"
        );
        let folder = folder_with(".github/roadstead.yml", &file);
        let ends = ["promote", "plan promote", "deploy", "rollback"].map(|operation| {
            let mut options = options("happy");
            (options.operation, options.environment) = (operation.into(), Some("production".into()));
            let chosen = choose(&options, folder.path()).unwrap();
            let ended = rehearse_files(&chosen, find_source("happy").unwrap(), &options, |_| {});
            ended.map_or_else(|words| words, |report| report.outcome.to_string())
        });
        assert_eq!(ends, ["deployed", "planned", "deployed", "rolled-back"], "{account}");
    }
}

/// How each of them ends in the example; none for want of something that the example lacks.
#[test]
fn every_scenario_with_needs_happens_in_the_example() {
    let empty = tempfile::tempdir().unwrap();
    let needing = builtin_scenarios().filter(|scenario| !scenario.needs.is_empty());
    let ends = needing.map(|scenario| {
        let report = rehearse_example(scenario.name, empty.path());
        let codes: Vec<&str> = report.all_problems().iter().map(|problem| problem.code.name()).collect();
        assert!(!codes.contains(&"unsupported") && !codes.contains(&"config-invalid"), "{codes:?}");
        format!("{}: {} {}", scenario.name, report.outcome, codes.join(" ")).trim_end().to_owned()
    });
    insta::assert_snapshot!(ends.collect::<Vec<_>>().join("\n"), @r"
    kubernetes-happy: deployed
    kubernetes-quota: failed no-capacity
    kubernetes-quota-later: deployed
    kubernetes-image-set: superseded superseded
    kubernetes-paused: stranded deployment-stopped rollback-failed rollback-failed rollback-failed
    kubernetes-scaled: deployed
    server-killed: failed deployment-stopped
    gitops-happy: deployed
    argocd-degraded: failed health-check-failed
    argocd-image-pull: failed image-pull-failed
    argocd-sync-failed: failed sync-failed
    argocd-operation-error: failed sync-failed
    argocd-comparison-error: deployed
    argocd-never-syncs: failed timed-out
    argocd-stale: deployed
    argocd-busy: deployed
    argocd-missing: failed sync-failed
    argocd-suspended: failed timed-out
    argocd-drift: deployed
    argocd-token-expires: deployed
    argocd-outage: deployed
    argocd-others-unwell: deployed application-not-healthy
    argocd-cron-job: deployed
    argocd-canary: deployed
    argocd-analysis-failed: failed health-check-failed
    flags-alarm: failed alarm-triggered
    flags-stopped: failed deployment-stopped
    canary-unhealthy: failed health-check-failed
    canary-superseded: superseded superseded cleanup-incomplete
    hook-timeout: invalid permission-missing
    blue-green: deployed
    linear: deployed
    canary-healthy: deployed
    canary-5xx: failed canary-failed
    canary-slow: failed canary-failed
    canary-total-failure: failed canary-failed
    canary-warm-up: deployed
    canary-shared-outage: inconclusive inconclusive
    canary-idle: inconclusive inconclusive
    two-services: deployed
    bad-answers: failed check-failed
    bad-answers-at-first: deployed
    canary-no-metrics: inconclusive inconclusive
    canary-late-metrics: deployed
    canary-partial-metrics: inconclusive inconclusive
    canary-swapped-metrics: inconclusive inconclusive
    canary-forbidden-metrics: invalid permission-missing
    canary-alarm: failed alarm-triggered
    git-moved-head: deployed
    git-protected: invalid permission-missing
    git-rate-limited: deployed
    git-lost-answer: deployed
    git-bad-gateway: deployed
    git-replica-lag: deployed
    ");
}
