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
    3:8 `esc` is not a key of service `a`. Did you mean `ecs`? Known: `paths`, `repository`, `strategy`, `show-env`, `before`, `alarms`, `verify`, `build`, `environments`, `ecs`.
    4:17 Service `b` has two targets, `ecs` and `lambda`. Split it into two services.
    5:8 `argocd` is not a key of service `c`. Known: `paths`, `repository`, `strategy`, `show-env`, `before`, `alarms`, `verify`, `build`, `environments`, `ecs`.
    6:27 `canarry` is not a value of `strategy` of service `d`. Did you mean `canary`? Known: `rolling`, `blue-green`, `linear`, `canary`.
    7:52 There is no environment `stagin` in the deploy file. Did you mean `staging`? Known: `staging`.
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
    3:74 `errors` is not a value of `strategy.canary.metrics.0` of service `a`. Known: `5xx`, `latency`, `prometheus`, `probe`.
    4:45 `strategy.linear.step` of service `b`: 2 is not between 3 and 50 percent.
    4:54 `strategy.linear.bake` of service `b`: `5` has no unit: write `5m` or `5s`.
    5:43 `percent` is not a key of service `c` (in `strategy.blue-green`). Known: `bake`, `test`.
    6:59 `strategy.canary.analysis.margin` of service `d`: 0 is not between 0.05 and 50 percentage points.
    ");
}

#[test]
fn missing_top_level_keys_are_reported() {
    insta::assert_snapshot!(problems("enviroments: {}\nnotify: {}\n"), @"
    1:1 `enviroments` is not a key of the deploy file. Did you mean `environments`? Known: `environments`, `services`, `notify`, `atomic`, `registries`.
    1:1 Missing key `services` in the deploy file.
    ");
}

/// One mistake, one error, at the line of the key that stands at the wrong level.
#[test]
fn key_at_the_wrong_level_is_one_error() {
    let file =
        |environments: &str, services: &str| format!("environments:\n{environments}services:\n{services}");
    let good = "  staging:\n    branches: [develop]\n";
    let all = [
        // `services` inside `environments`.
        "environments:\n  staging: {}\n  services:\n    a:\n      ecs: {}\n".to_owned(),
        "services:\n  a: { ecs: {} }\n  environments:\n    staging: {}\n".to_owned(),
        // Keys of a service where names are expected.
        file(good, "  a:\n    repository: a/b\n  ecs:\n    cluster: x\n"),
        file(good, "  a:\n  repository: a/b\n  ecs:\n    cluster: x\n"),
        file(good, "  repository: a/b\n  ecs:\n    cluster: x\n"),
        // Keys of an environment where names are expected.
        file("  staging:\n  branches: [develop]\n  aws: { region: eu-west-1 }\n", "  a: { ecs: {} }\n"),
        // Keys of a block beside it.
        file(
            "  staging:\n    aws:\n    region: eu-west-1\n    account: \"111111111111\"\n",
            "  a: { ecs: {} }\n",
        ),
        file(
            "  staging:\n    region: eu-west-1\n    aws: { account: \"111111111111\" }\n",
            "  a: { ecs: {} }\n",
        ),
        file(good, "  a:\n    ecs:\n    cluster: x\n    service: y\n"),
        file(good, "  a:\n    ecs: {}\n    strategy:\n      canary:\n      percent: 5\n      bake: 5m\n"),
        // Names at the top level.
        "environments:\n  staging: {}\nservices:\na:\n  ecs: {}\nb:\n  ecs: {}\n".to_owned(),
        "environments:\n  staging: {}\nservices:\n  a: { ecs: {} }\nb:\n  repository: x/y\n  ecs: {}\n"
            .to_owned(),
        "environments:\n  staging: {}\nproduction:\n  branches: [main]\nservices:\n  a: { ecs: {} }\n"
            .to_owned(),
        // A block inside its neighbor.
        file(good, "  a:\n    ecs: {}\n    b:\n      repository: x/y\n      ecs: {}\n"),
        file(
            "  staging:\n    branches: [develop]\n    production:\n      branches: [main]\n",
            "  a: { ecs: {} }\n",
        ),
        file(good, "  a:\n    ecs: {}\n    before:\n      run: [x]\n      alarms: [y]\n"),
    ];
    insta::assert_snapshot!(all.map(|text| problems(&text)).join("\n"), @r#"
    3:3 `services` stands inside `environments`. It is a key of the deploy file: indent it, and all that is below it, as `environments` is.
    3:3 `environments` stands inside `services`. It is a key of the deploy file: indent it, and all that is below it, as `services` is.
    7:3 `ecs` stands where the name of a service is expected. If it is a key of `a` (line 5), indent it below that.
    6:3 `repository`, `ecs` stand where the name of a service is expected. If they are keys of `a` (line 5), indent them below that.
    5:3 `repository`, `ecs` stand where the name of a service is expected. Write the name of the service above, and indent them below it.
    3:3 `branches`, `aws` stand where the name of an environment is expected. If they are keys of `staging` (line 2), indent them below that.
    4:5 `region`, `account` stand beside `aws`, which has no value. Indent them below `aws` (line 3).
    3:5 `region` is not a key of environment `staging`. It is a key of `aws`: indent it below that.
    7:5 `cluster`, `service` stand beside `ecs`, which has no value. Indent them below `ecs` (line 6).
    9:7 `percent`, `bake` stand beside `canary`, which has no value. Indent them below `canary` (line 8).
    4:1 `a`, `b` stand beside `services`, which has no value. Indent them below `services` (line 3).
    5:1 `b` is not a key of the deploy file. It looks like a service: indent it below `services`.
    3:1 `production` is not a key of the deploy file. It looks like an environment: indent it below `environments`.
    7:5 `b` is not a key of service `a`. It looks like a service of its own: indent it as the other services are.
    4:5 `production` is not a key of environment `staging`. It looks like a block beside environment `staging`: indent it less.
    9:7 `alarms` is not a key of service `a` (in `before`). It is a key of a service: indent it less.
    "#);
}

#[test]
fn value_of_another_form_is_one_error() {
    let file = |service: &str| format!("environments: {{ staging: {{}} }}\nservices:\n  a: {service}\n");
    let all = [
        "environments: [staging]\nservices: { a: { ecs: {} } }\n".to_owned(),
        "environments: { staging: {} }\nservices: [a]\n".to_owned(),
        "environments: { staging: {} }\nservices:\n".to_owned(),
        "- a\n".to_owned(),
        String::new(),
        "environments: { staging: text }\nservices: { a: { ecs: {} } }\n".to_owned(),
        "environments: { staging: { branches: main } }\nservices: { a: { ecs: {} } }\n".to_owned(),
        "environments: { staging: { aws: eu-west-1 } }\nservices: { a: { ecs: {} } }\n".to_owned(),
        "environments: { staging: { promote-from: } }\nservices: { a: { ecs: {} } }\n".to_owned(),
        file(""),
        file("text"),
        file("{ ecs: {}, paths: api/** }"),
        file("{ ecs: {}, verify: { http: \"https://x.example\" } }"),
        file("{ ecs: {}, verify: [\"https://x.example\"] }"),
        file("{ ecs: {}, alarms: [5] }"),
        file("{ ecs: {}, before: [./migrate] }"),
        file("{ ecs: {}, strategy: [canary] }"),
        file("{ ecs: {}, strategy: { canary: { bake: 15, percent: 10% } } }"),
        file("{ ecs: {}, strategy: { canary: {}, rolling: {} } }"),
        file("{ ecs: {}, strategy: { canary: [] } }"),
        file("{ ecs: {}, environments: [staging] }"),
        file("{ ecs: {}, environments: { staging: } }"),
        file("{ ecs: { cluster: acme-${environment}, service: x } }"),
        "environments:\n\tstaging: {}\n".to_owned(),
    ];
    insta::assert_snapshot!(all.map(|text| problems(&text)).join("\n"), @r#"
    1:15 `environments` is a list, but must be a block of keys. Write `name:` for each, without `- `.
    2:11 `services` is a list, but must be a block of keys. Write `name:` for each, without `- `.
    2:9 `services` has no value. Write its keys below it, indented further, or remove it.
    1:1 The deploy file is a list, but must be a block of keys. Write `name:` for each, without `- `.
    1:1 The deploy file is empty. It needs the keys `environments` and `services`.
    1:26 Environment `staging` is the text `text`, but must be a block of keys. Known: `branches`, `aws`, `promote-from`, `workflows`, `image-repositories`, `notify`.
    1:38 `branches` of environment `staging` is the text `main`, but must be a list. Write `[main]`.
    1:33 `aws` of environment `staging` is the text `eu-west-1`, but must be a block of keys. Did you mean `{ region: eu-west-1 }`? Known: `region`, `account`, `role`.
    1:40 `promote-from` of environment `staging` has no value. Give it a value, or remove the key.
    3:3 Service `a` has no value. Write its keys below it, indented further, or remove it.
    3:3 Service `a` is the text `text`, but must be a block of keys. Write its keys below it, indented further.
    3:24 `paths` of service `a` is the text `api/**`, but must be a list. Write `[api/**]`.
    3:25 `verify` of service `a` is a block of keys, but must be a list. Put `- ` in front of it: it is a list, also with one item.
    3:26 `verify.0` of service `a` is text, but must be a block of keys. Did you mean `{ http: … }`? Known: `http`, `status`, `body`, `latency`, `certificate-days`, `redirects`, `headers`, `within`.
    3:26 `alarms.0` of service `a` is `5`, but must be text. Put the value in quotes: `"5"`.
    3:25 `before` of service `a` is a list, but must be a block of keys. Known: `run`, `timeout`, `container`.
    3:27 `strategy` of service `a` is a list, but must be one of the names that are known here. Known: `rolling`, `blue-green`, `linear`, `canary`.
    3:45 `strategy.canary.bake` of service `a`: `15` has no unit: write `15m` or `15s`.
    3:58 `strategy.canary.percent` of service `a` is the text `10%`, but must be a whole number. Write `10`, without quotes or unit.
    3:27 `strategy` of service `a` has 2 keys, but must have one. Keep one of: `rolling`, `blue-green`, `linear`, `canary`.
    3:37 `strategy.canary` of service `a` is a list, but must be a block of keys. Known: `percent`, `bake`, `final-bake`, `test`, `metrics`, `analysis`.
    3:31 `environments` of service `a` is a list, but must be a block of keys. Write `name:` for each, without `- `.
    3:40 `environments.staging` of service `a` has no value. Write its keys below it, indented further, or remove it.
    3:30 f.yml is not valid YAML: while parsing a flow mapping, did not find expected ',' or '}'. Put the value in quotes: inside `{ }`, the `{` and `}` of a placeholder belong to YAML.
    2:2 f.yml is not valid YAML: a tab indents this line. Indent with spaces.
    "#);
}

#[test]
fn aws_values_that_no_account_has_are_reported_on_their_line() {
    let aws = |block: &str| {
        let text = format!(
            "environments:\n  staging:\n    aws: {{ {block} }}\nservices: {{ a: {{ ecs: {{}} }} }}\n"
        );
        problems(&text)
    };
    let all = [
        "region: eu-west",
        "region: eu-west-1a",
        "region: eu-west-9",
        "account: 11111111111",
        "role: deploy",
        "role: \"arn:aws:iam::11111111111:role/x\"",
        "account: 222222222222, role: \"arn:aws:iam::111111111111:role/x\"",
        "region: cn-north-1, role: \"arn:aws:iam::111111111111:role/x\"",
        "region: eu-west-1, account: 111111111111, role: \"arn:aws:iam::111111111111:role/x\"",
    ];
    insta::assert_snapshot!(all.map(aws).join("\n"), @r#"
    3:20 `aws.region` of environment `staging`: `eu-west` is not a region such as `eu-west-1`; did you mean `eu-west-1`.
    3:20 `aws.region` of environment `staging`: `eu-west-1a` is not a region such as `eu-west-1`; did you mean `eu-west-1`.
    3:20 The region `eu-west-9` is not known to this version of Roadstead. Did you mean `eu-west-1`? If the region is new, nothing has to be done.
    3:21 `aws.account` of environment `staging`: `11111111111` has 11 digits, and the id of an AWS account has 12.
    3:18 `aws.role` of environment `staging`: `deploy` is not a role such as `arn:aws:iam::111111111111:role/deploy`.
    3:18 `aws.role` of environment `staging`: in the role `arn:aws:iam::11111111111:role/x`, `11111111111` has 11 digits, and the id of an AWS account has 12.
    3:41 The role of `staging` is in account 111111111111, and its `account` is 222222222222. Name a role of that account, or correct `account`.
    3:38 The role of `staging` is in the partition `aws`, and the region `cn-north-1` is in `aws-cn`. Name a role that begins with `arn:aws-cn:`, or correct `region`.
    "#);
}

/// The list of keys that a misplaced one is compared with is the one that is read.
#[test]
fn keys_of_an_environment_are_all_known() {
    let text = "environments: { staging: { x: 1 } }\nservices: { a: { ecs: {} } }\n";
    let known = super::super::blocks::ENVIRONMENT_KEYS.map(|key| format!("`{key}`")).join(", ");
    assert!(problems(text).ends_with(&format!("Known: {known}.")), "{}", problems(text));
}
