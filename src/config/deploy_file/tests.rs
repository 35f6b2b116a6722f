//! Deploy files merged for an environment, and the lines of their errors.

use super::*;
use crate::config::{BlueGreen, Strategy};

const FILE: &str = "environments:\n  staging: { branches: [develop] }\n  production: { branches: [main] }\nservices:\n  backend:\n    repository: acme/backend\n    ecs: { cluster: \"acme-${environment}\", service: backend }\n    environments:\n      staging: { ecs: { service: backend-next } }\n";

fn known() -> Placeholders {
    [("environment", "staging".to_owned())].into()
}

#[test]
fn service_is_merged_for_its_environment() {
    let document = DeployFile::parse("f.yml", FILE).unwrap();
    let services = document.services("staging", &[], &["ecs"], &known()).0;
    assert_eq!(
        services[0].settings.to_value(),
        serde_json::json!({"cluster": "acme-staging", "service": "backend-next"})
    );
    assert_eq!(services[0].config.repository.as_deref(), Some("acme/backend"));
}

fn problems(text: &str) -> String {
    let all = DeployFile::parse("f.yml", text).map_or_else(
        |problems| problems,
        |document| {
            let (_, mut problems) = document.environments();
            problems.extend(document.services("staging", &[], &["ecs"], &known()).1);
            problems
        },
    );
    let lines = all.into_iter().map(|p| {
        let at = p.location.clone().map(|at| format!("{}:{}", at.line, at.column)).unwrap_or_default();
        format!("{at} {p}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_error_is_reported_on_its_line() {
    insta::assert_snapshot!(problems("environments: { staging: {} }\nservices:\n  a: { esc: {} }\n  b: { ecs: {}, lambda: {} }\n  c: { argocd: {} }\n  d: { ecs: {}, strategy: canarry }\n  e: { ecs: { cluster: \"${env}\" }, environments: { stagin: {} } }\n"), @r"
    3:6 Service `a` has no target. Add exactly one target: `ecs`.
    3:8 `esc` is not a key of service `a`. Did you mean `ecs`? Known: `paths`, `repository`, `strategy`, `show-env`, `before`, `alarms`, `verify`, `build`, `environments`, `ecs`.
    4:17 Service `b` has two targets, `ecs` and `lambda`. Split it into two services.
    5:6 Service `c` has no target. Add exactly one target: `ecs`.
    5:8 `argocd` is not a key of service `c`. Known: `paths`, `repository`, `strategy`, `show-env`, `before`, `alarms`, `verify`, `build`, `environments`, `ecs`.
    6:27 `canarry` is not a key of service `d` (in `strategy`). Did you mean `canary`? Known: `rolling`, `blue-green`, `linear`, `canary`.
    7:52 There is no environment `stagin` in the deploy file. Did you mean `staging`?
    7:24 The placeholder `${env}` has no value in this run. Known: `${environment}`, `${service}`; `$${` writes `${`.
    ");
}

#[test]
fn branch_of_two_environments_is_reported_on_its_line() {
    let text = "environments:\n  a: { branches: [main, \"release/*\"] }\n  b:\n    branches:\n      - develop\n      - main\n      - release/1\n      - \"**/1\"\nservices: { x: { ecs: {} } }\n";
    let document = DeployFile::parse("f.yml", text).unwrap();
    let problems_for = |branch| {
        let describe = |problem: Problem| {
            let at = problem.location.clone().unwrap();
            format!("{}:{} {problem}", at.line, at.column)
        };
        document.ambiguous_branch(branch).into_iter().map(describe).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(problems_for(None), @"
    6:9 The branch `main` matches both `a` and `b`. Give each branch to one environment; the other one is in line 2.
    7:9 The branch `release/1` matches both `a` and `b`. Give each branch to one environment; the other one is in line 2.
    ");
    assert_eq!(problems_for(Some("release/2")), problems_for(None));
    let both = problems_for(Some("release/1"));
    assert!(both.contains("8:9 The branch `release/1` matches both `a` and `b`."), "{both}");
}

#[test]
fn branch_that_can_never_match_is_reported_on_its_line() {
    let text = "environments:\n  a:\n    branches:\n      - main\n      - refs/heads/develop\nservices: { x: { ecs: {} } }\n";
    let problems = DeployFile::parse("f.yml", text).unwrap().ambiguous_branch(None);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].location.as_ref().unwrap().line, 5);
    assert!(problems[0].to_string().ends_with("Did you mean `develop`?"), "{}", problems[0]);
}

#[test]
fn strategy_is_a_name_or_a_block_and_is_replaced_completely() {
    let text = "environments: { staging: {}, production: {} }\nservices:\n  a: { ecs: {}, strategy: { canary: { percent: 5, metrics: [5xx, latency: { over-ms: 300 }] } }, environments: { staging: { strategy: blue-green } } }\n";
    let document = DeployFile::parse("f.yml", text).unwrap();
    let strategy = |environment| {
        let (services, problems) = document.services(environment, &[], &["ecs"], &known());
        assert!(problems.is_empty(), "{problems:?}");
        services[0].config.strategy.clone()
    };
    assert_eq!(strategy("staging"), Strategy::BlueGreen(BlueGreen::default()));
    let Strategy::Canary(canary) = strategy("production") else { panic!("not a canary") };
    assert_eq!((canary.percent.0, canary.metrics.len()), (5, 2));
}

#[test]
fn invalid_strategy_values_are_reported_on_their_line() {
    insta::assert_snapshot!(problems("environments: { staging: {} }\nservices:\n  a: { ecs: {}, strategy: { canary: { percent: 100, bake: 25h, metrics: [errors] } } }\n  b: { ecs: {}, strategy: { linear: { step: 2, bake: 5 } } }\n  c: { ecs: {}, strategy: { blue-green: { percent: 5 } } }\n  d: { ecs: {}, strategy: { canary: { analysis: { margin: 0 } } } }\n"), @"
    3:48 `strategy.canary.percent` of service `a`: 100 is not between 1 and 99 percent.
    3:59 `strategy.canary.bake` of service `a`: 25h is longer than 24h.
    3:74 `errors` is not a key of service `a` (in `strategy.canary.metrics.0`). Known: `5xx`, `latency`, `prometheus`, `probe`.
    4:45 `strategy.linear.step` of service `b`: 2 is not between 3 and 50 percent.
    4:54 `strategy.linear.bake` of service `b`: integer `5`, expected a string. Put the value in quotes.
    5:43 `percent` is not a key of service `c` (in `strategy.blue-green`). Known: `bake`, `test`.
    6:59 `strategy.canary.analysis.margin` of service `d`: 0 is not between 0.05 and 50 percentage points.
    ");
}

#[test]
fn missing_top_level_keys_are_reported() {
    insta::assert_snapshot!(problems("enviroments: {}\nnotify: {}\n"), @"
    1:1 `enviroments` is not a key of the deploy file. Did you mean `environments`? Known: `environments`, `services`, `notify`, `atomic`, `registries`.
    1:1 Missing key `environments` in the deploy file.
    1:1 Missing key `services` in the deploy file.
    ");
}
