//! The permission matrix: with the generated policy and nothing else everything works, and without any one of its
//! actions a run either stops before its first change or ends in the truth.

use std::collections::BTreeMap;
use std::path::Path;

use roadstead::action::inputs::RawInputs;
use roadstead::cli::policy::policy_json;
use roadstead::cli::rehearse::ScenarioSource;
use roadstead::release::Outcome;
use roadstead::report::{RunReport, terminal};
use roadstead_cloud::policy::CallerPolicy;
use roadstead_cloud::scenario::Scenario;

use crate::support::{RunHarness, TestRun, run_in_virtual_time};

const HOST: &str = "111111111111.dkr.ecr.eu-west-1.amazonaws.com";
const SIMULATE: &str = "iam:SimulatePrincipalPolicy";

/// What each strategy writes into the deploy file. The last is a canary over two services behind one rule.
pub(crate) const STRATEGIES: [(&str, &str); 5] = [
    ("rolling", "rolling"),
    ("blue-green", "{ blue-green: { bake: 1m } }"),
    ("linear", "{ linear: { step: 50, bake: 1m, final-bake: 1m } }"),
    ("canary", "{ canary: { percent: 10, bake: 1m, final-bake: 1m } }"),
    (PAIR, "{ canary: { percent: 10, bake: 2m, final-bake: 1m } }"),
];

pub(crate) const PAIR: &str = "pair";
/// A command that runs once before any traffic moves, whatever the strategy.
pub(crate) const BEFORE: &str = "before";
const RULE: &str = "arn:aws:elasticloadbalancing:eu-west-1:111111111111:listener-rule/app/web/0123456789abcdef/fedcba9876543210/1";

pub(crate) fn config(name: &str, strategy: &str) -> String {
    let pair = match name == PAIR {
        true => format!(", pair: {{ service: backend-green, rule: \"{RULE}\" }}"),
        false => String::new(),
    };
    let before = if name == BEFORE { "    before: { run: [./migrate, up] }\n" } else { "" };
    format!(
        "environments:\n  production: {{ branches: [main], aws: {{ region: eu-west-1 }} }}\nservices:\n  backend:\n    repository: acme/backend\n    strategy: {strategy}\n    ecs: {{ cluster: acme, service: backend, container: app{pair} }}\n{before}"
    )
}

fn config_for(name: &str) -> String {
    if name == BEFORE {
        return config(name, "rolling");
    }
    let (_, strategy) = STRATEGIES.iter().find(|(known, _)| *known == name).unwrap();
    config(name, strategy)
}

/// The actions of the policy that is printed for a deploy file.
pub(crate) fn policy_actions(config: &str) -> Vec<String> {
    let text = policy_json(Path::new("/nonexistent"), "roadstead.yml", config, "production").unwrap();
    let policy: serde_json::Value = serde_json::from_str(&text).unwrap();
    let statements = policy["Statement"].as_array().unwrap().iter();
    let of = |statement: &serde_json::Value| statement["Action"].as_array().unwrap().clone();
    let mut all: Vec<String> = statements.flat_map(of).map(|it| it.as_str().unwrap().to_owned()).collect();
    all.sort();
    all.dedup();
    all
}

/// A world that allows these actions and no others.
fn harness_allowing(name: &str, allow: Vec<String>, faults: &str) -> RunHarness {
    let mut scenario = Scenario::default_for([("acme", "backend")]);
    if name != PAIR {
        scenario = scenario.with_target_group_pairs();
    }
    scenario.policy = CallerPolicy { allow, deny: Vec::new() };
    scenario.faults = serde_saphyr::from_str(faults).unwrap();
    let mut trial = TestRun::builtin("happy");
    trial.scenario = ScenarioSource::Custom(Box::new(scenario));
    trial.config = config_for(name);
    trial.set_up()
}

/// The next version, which crashes where the world's faults say so.
async fn deploy_content(stage: &mut RunHarness, content: &str) -> RunReport {
    let digest = stage.cloud.push_image("acme/backend", &[content], "linux/amd64", content);
    let image = Some(format!("{HOST}/acme/backend@{digest}"));
    stage.rehearsal.inputs = RawInputs { image, ..RawInputs::default() };
    stage.run_again().await
}

async fn run_rollback(stage: &mut RunHarness) -> RunReport {
    stage.rehearsal.inputs = RawInputs { operation: Some("rollback".into()), ..RawInputs::default() };
    stage.run_again().await
}

fn count_changes(stage: &RunHarness) -> usize {
    stage.cloud.calls().iter().filter(|call| call.is_mutating && call.took_effect).count()
}

/// What gets all the traffic.
fn serving_version(stage: &RunHarness) -> String {
    let services =
        ["backend", "backend-green"].iter().filter_map(|name| stage.cloud.serving_state("acme", name));
    let mut busy = services.filter(|serving| serving.traffic.values().any(|share| *share > 99.9));
    let whole = busy.next().and_then(|serving| serving.only_version().map(str::to_owned));
    whole.and_then(|arn| arn.rsplit('/').next().map(str::to_owned)).unwrap_or_default()
}

#[test]
fn the_policy_is_enough_for_a_deploy_a_failure_and_a_rollback() {
    for (name, _) in STRATEGIES {
        let allow = policy_actions(&config_for(name));
        let bad = run_in_virtual_time(async {
            let mut stage = harness_allowing(name, allow.clone(), "[crash-on-start: {}]");
            (deploy_content(&mut stage, "b").await, serving_version(&stage))
        });
        assert_eq!(
            (bad.0.outcome, bad.1.as_str()),
            (Outcome::Failed, "backend:1"),
            "{name}: {}",
            terminal_text(&bad.0)
        );
        let (good, back, serves) = run_in_virtual_time(async {
            let mut stage = harness_allowing(name, allow.clone(), "[]");
            let built = stage.run().await;
            assert_eq!(built.outcome, Outcome::Deployed, "{name}: {}", terminal_text(&built));
            (deploy_content(&mut stage, "b").await, run_rollback(&mut stage).await, serving_version(&stage))
        });
        assert_eq!(good.outcome, Outcome::Deployed, "{name}: {}", terminal_text(&good));
        assert_eq!(
            (back.outcome, serves.as_str()),
            (Outcome::RolledBack, "backend:2"),
            "{name}: {}",
            terminal_text(&back)
        );
    }
}

/// Without one action: `stopped` is before any change; otherwise the outcome, which must be the truth.
fn deploy_without(name: &str, action: &str, simulated: bool, faults: &str) -> String {
    let (report, changed, serves) = run_in_virtual_time(async {
        let mut stage = harness_allowing(name, actions_without(name, action, simulated), faults);
        (deploy_content(&mut stage, "b").await, count_changes(&stage), serving_version(&stage))
    });
    describe_end(&format!("{name} without {action}"), &report, changed, &serves, ["backend:1", "backend:2"])
}

/// A rollback without one action, after a deploy that had all of them.
fn rollback_without(name: &str, action: &str, simulated: bool) -> String {
    let (report, changed, serves) = run_in_virtual_time(async {
        let mut stage = harness_allowing(name, policy_actions(&config_for(name)), "[]");
        assert_eq!(deploy_content(&mut stage, "b").await.outcome, Outcome::Deployed);
        let allow = actions_without(name, action, simulated);
        stage.cloud.change(|world, _| world.policy = CallerPolicy { allow, deny: Vec::new() });
        let before = count_changes(&stage);
        let report = run_rollback(&mut stage).await;
        (report, count_changes(&stage) - before, serving_version(&stage))
    });
    describe_end(
        &format!("rollback of {name} without {action}"),
        &report,
        changed,
        &serves,
        ["backend:2", "backend:1"],
    )
}

fn actions_without(name: &str, action: &str, simulated: bool) -> Vec<String> {
    let mut allow = policy_actions(&config_for(name));
    allow.retain(|it| it != action && (simulated || it != SIMULATE));
    allow
}

/// The ending in a word, which is the truth: what serves is `before` or `after`, and the run says so.
fn describe_end(
    tale: &str,
    report: &RunReport,
    changed: usize,
    serves: &str,
    [before, after]: [&str; 2],
) -> String {
    let service = report.services.first();
    let reported = service.and_then(|it| it.serving_version.as_ref()).map(|it| it.label.clone());
    let tale = format!("{tale}: {}", terminal_text(report));
    match report.outcome {
        Outcome::Invalid => {
            assert!(changed == 0 || service.is_some_and(|it| it.evidence == "nothing was moved"), "{tale}");
            assert_eq!(serves, before, "{tale}");
            if changed == 0 { "stopped".into() } else { "refused, nothing moved".into() }
        }
        Outcome::Deployed | Outcome::RolledBack => {
            assert_eq!((serves, reported.as_deref()), (after, Some(after)), "{tale}");
            report.outcome.to_string()
        }
        other => {
            assert!(reported.is_none() || reported.as_deref() == Some(serves), "{tale}");
            assert_eq!(serves, before, "{tale}");
            other.to_string()
        }
    }
}

fn terminal_text(report: &RunReport) -> String {
    terminal::terminal(report)
}

/// Actions of pushing an image: the builder of a rehearsal pushes nothing, so nobody can miss them here.
const PUSH_ACTIONS: [&str; 5] = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:CompleteLayerUpload",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
];

/// What becomes of a good deploy and of a bad one, or of a rollback, without each action: one line for each ending.
fn permission_matrix(name: &str, simulated: bool, back: bool) -> String {
    let mut endings: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for action in policy_actions(&config_for(name)) {
        if PUSH_ACTIONS.contains(&action.as_str()) || (!simulated && action == SIMULATE) {
            continue;
        }
        let good = if back {
            rollback_without(name, &action, simulated)
        } else {
            deploy_without(name, &action, simulated, "[]")
        };
        let ending = if back || good == "stopped" {
            good
        } else {
            let bad = deploy_without(name, &action, simulated, "[crash-on-start: {}]");
            format!("{good}; the bad one: {bad}")
        };
        endings.entry(ending).or_default().push(action);
    }
    endings
        .into_iter()
        .map(|(ending, actions)| format!("  {ending}: {}", actions.join(" ")))
        .collect::<Vec<_>>()
        .join("\n")
}

fn deploy_matrices(simulated: bool) -> String {
    let all =
        STRATEGIES.iter().map(|(name, _)| format!("{name}\n{}", permission_matrix(name, simulated, false)));
    all.collect::<Vec<_>>().join("\n")
}

/// Rollbacks: of a service that stands alone, whatever its strategy, and of a pair.
fn rollback_matrices(simulated: bool) -> String {
    let all = ["rolling", "canary", PAIR]
        .map(|name| format!("{name}\n{}", permission_matrix(name, simulated, true)));
    all.join("\n")
}

#[test]
fn rollback_without_an_action_stops_early_or_reports_actual_state() {
    insta::assert_snapshot!(rollback_matrices(true), @"
    rolling
      rolled-back: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetAuthorizationToken ecr:GetDownloadUrlForLayer ecs:RegisterTaskDefinition ecs:TagResource iam:SimulatePrincipalPolicy logs:GetLogEvents
      stopped: ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:DescribeTasks ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:StopServiceDeployment ecs:UpdateService elasticloadbalancing:DescribeTargetHealth iam:PassRole
    canary
      rolled-back: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetAuthorizationToken ecr:GetDownloadUrlForLayer ecs:ContinueServiceDeployment ecs:RegisterTaskDefinition ecs:TagResource elasticloadbalancing:DescribeRules elasticloadbalancing:DescribeTargetGroups iam:SimulatePrincipalPolicy logs:GetLogEvents
      stopped: ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:DescribeTasks ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:StopServiceDeployment ecs:UpdateService elasticloadbalancing:DescribeTargetHealth iam:PassRole
    pair
      rolled-back: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetAuthorizationToken ecr:GetDownloadUrlForLayer ecs:RegisterTaskDefinition ecs:TagResource iam:SimulatePrincipalPolicy logs:GetLogEvents
      stopped: ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:DescribeTasks ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:StopServiceDeployment ecs:UpdateService elasticloadbalancing:DescribeRules elasticloadbalancing:DescribeTargetHealth elasticloadbalancing:ModifyRule iam:PassRole
    ");
}

#[test]
fn rollback_without_simulation_reports_actual_state() {
    insta::assert_snapshot!(rollback_matrices(false), @"
    rolling
      rolled-back: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetAuthorizationToken ecr:GetDownloadUrlForLayer ecs:DescribeTasks ecs:RegisterTaskDefinition ecs:StopServiceDeployment ecs:TagResource iam:PassRole logs:GetLogEvents
      stopped: ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:UpdateService elasticloadbalancing:DescribeTargetHealth
    canary
      rolled-back: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetAuthorizationToken ecr:GetDownloadUrlForLayer ecs:ContinueServiceDeployment ecs:DescribeTasks ecs:RegisterTaskDefinition ecs:StopServiceDeployment ecs:TagResource elasticloadbalancing:DescribeRules elasticloadbalancing:DescribeTargetGroups iam:PassRole logs:GetLogEvents
      stopped: ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:UpdateService elasticloadbalancing:DescribeTargetHealth
    pair
      rolled-back: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetAuthorizationToken ecr:GetDownloadUrlForLayer ecs:DescribeTasks ecs:RegisterTaskDefinition ecs:StopServiceDeployment ecs:TagResource elasticloadbalancing:ModifyRule iam:PassRole logs:GetLogEvents
      stopped: ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:UpdateService elasticloadbalancing:DescribeRules elasticloadbalancing:DescribeTargetHealth
    ");
}

#[test]
fn deploy_without_an_action_stops_early_or_reports_actual_state() {
    insta::assert_snapshot!(deploy_matrices(true), @"
    rolling
      deployed; the bad one: failed: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetAuthorizationToken ecr:GetDownloadUrlForLayer ecs:TagResource iam:SimulatePrincipalPolicy logs:GetLogEvents
      stopped: ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:DescribeTasks ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:RegisterTaskDefinition ecs:StopServiceDeployment ecs:UpdateService elasticloadbalancing:DescribeTargetHealth iam:PassRole
    blue-green
      deployed; the bad one: failed: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetAuthorizationToken ecr:GetDownloadUrlForLayer ecs:TagResource iam:SimulatePrincipalPolicy logs:GetLogEvents
      stopped: ecs:ContinueServiceDeployment ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:DescribeTasks ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:RegisterTaskDefinition ecs:StopServiceDeployment ecs:UpdateService elasticloadbalancing:DescribeRules elasticloadbalancing:DescribeTargetGroups elasticloadbalancing:DescribeTargetHealth iam:PassRole
    linear
      deployed; the bad one: failed: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetAuthorizationToken ecr:GetDownloadUrlForLayer ecs:TagResource iam:SimulatePrincipalPolicy logs:GetLogEvents
      stopped: ecs:ContinueServiceDeployment ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:DescribeTasks ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:RegisterTaskDefinition ecs:StopServiceDeployment ecs:UpdateService elasticloadbalancing:DescribeRules elasticloadbalancing:DescribeTargetGroups elasticloadbalancing:DescribeTargetHealth iam:PassRole
    canary
      deployed; the bad one: failed: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetAuthorizationToken ecr:GetDownloadUrlForLayer ecs:TagResource iam:SimulatePrincipalPolicy logs:GetLogEvents
      stopped: ecs:ContinueServiceDeployment ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:DescribeTasks ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:RegisterTaskDefinition ecs:StopServiceDeployment ecs:UpdateService elasticloadbalancing:DescribeRules elasticloadbalancing:DescribeTargetGroups elasticloadbalancing:DescribeTargetHealth iam:PassRole
    pair
      deployed; the bad one: failed: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetAuthorizationToken ecr:GetDownloadUrlForLayer ecs:TagResource iam:SimulatePrincipalPolicy logs:GetLogEvents
      stopped: ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:DescribeTasks ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:RegisterTaskDefinition ecs:StopServiceDeployment ecs:UpdateService elasticloadbalancing:DescribeRules elasticloadbalancing:DescribeTargetHealth elasticloadbalancing:ModifyRule iam:PassRole
    ");
}

#[test]
fn deploy_without_simulation_reports_actual_state() {
    insta::assert_snapshot!(deploy_matrices(false), @"
    rolling
      deployed; the bad one: failed: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetAuthorizationToken ecr:GetDownloadUrlForLayer ecs:DescribeTasks ecs:StopServiceDeployment ecs:TagResource logs:GetLogEvents
      refused, nothing moved; the bad one: refused, nothing moved: ecs:UpdateService
      stopped: ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:RegisterTaskDefinition elasticloadbalancing:DescribeTargetHealth iam:PassRole
    blue-green
      deployed; the bad one: failed: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetAuthorizationToken ecr:GetDownloadUrlForLayer ecs:DescribeTasks ecs:StopServiceDeployment ecs:TagResource logs:GetLogEvents
      failed; the bad one: failed: ecs:ContinueServiceDeployment
      refused, nothing moved; the bad one: refused, nothing moved: ecs:UpdateService
      stopped: ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:RegisterTaskDefinition elasticloadbalancing:DescribeRules elasticloadbalancing:DescribeTargetGroups elasticloadbalancing:DescribeTargetHealth iam:PassRole
    linear
      deployed; the bad one: failed: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetAuthorizationToken ecr:GetDownloadUrlForLayer ecs:DescribeTasks ecs:StopServiceDeployment ecs:TagResource logs:GetLogEvents
      failed; the bad one: failed: ecs:ContinueServiceDeployment
      refused, nothing moved; the bad one: refused, nothing moved: ecs:UpdateService
      stopped: ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:RegisterTaskDefinition elasticloadbalancing:DescribeRules elasticloadbalancing:DescribeTargetGroups elasticloadbalancing:DescribeTargetHealth iam:PassRole
    canary
      deployed; the bad one: failed: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetAuthorizationToken ecr:GetDownloadUrlForLayer ecs:DescribeTasks ecs:StopServiceDeployment ecs:TagResource logs:GetLogEvents
      failed; the bad one: failed: ecs:ContinueServiceDeployment
      refused, nothing moved; the bad one: refused, nothing moved: ecs:UpdateService
      stopped: ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:RegisterTaskDefinition elasticloadbalancing:DescribeRules elasticloadbalancing:DescribeTargetGroups elasticloadbalancing:DescribeTargetHealth iam:PassRole
    pair
      deployed; the bad one: failed: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetAuthorizationToken ecr:GetDownloadUrlForLayer ecs:DescribeTasks ecs:StopServiceDeployment ecs:TagResource logs:GetLogEvents
      failed; the bad one: failed: elasticloadbalancing:ModifyRule
      refused, nothing moved; the bad one: refused, nothing moved: ecs:UpdateService
      stopped: ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:RegisterTaskDefinition elasticloadbalancing:DescribeRules elasticloadbalancing:DescribeTargetHealth iam:PassRole
    ");
}

#[test]
fn before_command_needs_two_more_actions() {
    let (with, rolling) = (policy_actions(&config_for(BEFORE)), policy_actions(&config_for("rolling")));
    let more: Vec<_> = with.iter().filter(|action| !rolling.contains(action)).map(String::as_str).collect();
    assert_eq!(more, ["ecs:RunTask", "ecs:StopTask"]);
    let report =
        run_in_virtual_time(async { deploy_content(&mut harness_allowing(BEFORE, with, "[]"), "b").await });
    assert_eq!(report.outcome, Outcome::Deployed, "{}", terminal_text(&report));
    let table = |(name, simulated)| format!("{name}\n{}", permission_matrix(BEFORE, simulated, false));
    let tables = [("simulated", true), ("not simulated", false)].map(table);
    insta::assert_snapshot!(tables.join("\n"), @"
    simulated
      deployed; the bad one: failed: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetAuthorizationToken ecr:GetDownloadUrlForLayer ecs:TagResource iam:SimulatePrincipalPolicy logs:GetLogEvents
      stopped: ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:DescribeTasks ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:RegisterTaskDefinition ecs:RunTask ecs:StopServiceDeployment ecs:StopTask ecs:UpdateService elasticloadbalancing:DescribeTargetHealth iam:PassRole
    not simulated
      deployed; the bad one: failed: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetAuthorizationToken ecr:GetDownloadUrlForLayer ecs:StopServiceDeployment ecs:StopTask ecs:TagResource logs:GetLogEvents
      failed; the bad one: failed: ecs:DescribeTasks ecs:UpdateService
      refused, nothing moved; the bad one: refused, nothing moved: ecs:RunTask
      stopped: ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:RegisterTaskDefinition elasticloadbalancing:DescribeTargetHealth iam:PassRole
    ");
}

/// The page of the pair names what it needs beyond that, and what it does not need.
#[test]
fn a_pair_needs_what_its_page_says() {
    let file = |name: &str| policy_actions(&config(name, "{ canary: { percent: 10, metrics: [5xx] } }"));
    let (alone, pair) = (file("canary"), file(PAIR));
    let more: Vec<_> = pair.iter().filter(|action| !alone.contains(action)).map(String::as_str).collect();
    let less: Vec<_> = alone.iter().filter(|action| !pair.contains(action)).map(String::as_str).collect();
    assert_eq!(
        (more, less),
        (vec!["elasticloadbalancing:ModifyRule"], vec!["ecs:ContinueServiceDeployment"])
    );
    let page = include_str!("../docs/targets/ecs-pair.md");
    let (_, section) = page.split_once("\n## Permissions\n").unwrap();
    assert!(
        section.contains("elasticloadbalancing:ModifyRule")
            && section.contains("ecs:ContinueServiceDeployment")
    );
}
