//! The permission matrix: with the generated policy and nothing else everything works, and without any one of its
//! actions a run either stops before its first change or ends in the truth.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::{Stage, Trial, virtually};
use roadstead::action::inputs::RawInputs;
use roadstead::cli::policy::policy;
use roadstead::cli::rehearse::Story;
use roadstead::rehearsal::policy::Policy;
use roadstead::rehearsal::scenario::Scenario;
use roadstead::release::Outcome;
use roadstead::report::{RunReport, terminal};

const HOST: &str = "111111111111.dkr.ecr.eu-west-1.amazonaws.com";
const SIMULATE: &str = "iam:SimulatePrincipalPolicy";

/// What each strategy writes into the deploy file. The last is a canary over two services behind one rule.
const STRATEGIES: [(&str, &str); 5] = [
    ("rolling", "rolling"),
    ("blue-green", "{ blue-green: { bake: 1m } }"),
    ("linear", "{ linear: { step: 50, bake: 1m, final-bake: 1m } }"),
    ("canary", "{ canary: { percent: 10, bake: 1m, final-bake: 1m } }"),
    (PAIR, "{ canary: { percent: 10, bake: 2m, final-bake: 1m } }"),
];

const PAIR: &str = "pair";
/// A command that runs once before any traffic moves, whatever the strategy.
const BEFORE: &str = "before";
const RULE: &str = "arn:aws:elasticloadbalancing:eu-west-1:111111111111:listener-rule/app/web/0123456789abcdef/fedcba9876543210/1";

fn config(name: &str, strategy: &str) -> String {
    let pair = match name == PAIR {
        true => format!(", pair: {{ service: backend-green, rule: \"{RULE}\" }}"),
        false => String::new(),
    };
    let before = if name == BEFORE { "    before: { run: [./migrate, up] }\n" } else { "" };
    format!(
        "environments:\n  production: {{ branches: [main], aws: {{ region: eu-west-1 }} }}\nservices:\n  backend:\n    repository: acme/backend\n    strategy: {strategy}\n    ecs: {{ cluster: acme, service: backend, container: app{pair} }}\n{before}"
    )
}

fn of(name: &str) -> String {
    if name == BEFORE {
        return config(name, "rolling");
    }
    let (_, strategy) = STRATEGIES.iter().find(|(known, _)| *known == name).unwrap();
    config(name, strategy)
}

/// The actions of the policy that is printed for a deploy file.
fn actions(config: &str) -> Vec<String> {
    let text = policy(Path::new("/nonexistent"), "roadstead.yml", config, "production").unwrap();
    let policy: serde_json::Value = serde_json::from_str(&text).unwrap();
    let statements = policy["Statement"].as_array().unwrap().iter();
    let of = |statement: &serde_json::Value| statement["Action"].as_array().unwrap().clone();
    let mut all: Vec<String> = statements.flat_map(of).map(|it| it.as_str().unwrap().to_owned()).collect();
    all.sort();
    all.dedup();
    all
}

/// A world that allows these actions and no others.
fn world(name: &str, allow: Vec<String>, faults: &str) -> Stage {
    let mut scenario = Scenario::default_for([("acme", "backend")]);
    if name != PAIR {
        scenario = scenario.in_pairs();
    }
    scenario.policy = Policy { allow, deny: Vec::new() };
    scenario.faults = serde_saphyr::from_str(faults).unwrap();
    let mut trial = Trial::named("happy");
    trial.story = Story::Told(Box::new(scenario));
    trial.config = of(name);
    trial.stage()
}

/// The next version, which crashes where the world's faults say so.
async fn deploy(stage: &mut Stage, content: &str) -> RunReport {
    let digest = stage.cloud.push("acme/backend", &[content], "linux/amd64", content);
    let image = Some(format!("{HOST}/acme/backend@{digest}"));
    stage.rehearsal.inputs = RawInputs { image, ..RawInputs::default() };
    stage.run_again().await
}

async fn rollback(stage: &mut Stage) -> RunReport {
    stage.rehearsal.inputs = RawInputs { operation: Some("rollback".into()), ..RawInputs::default() };
    stage.run_again().await
}

fn changes(stage: &Stage) -> usize {
    stage.cloud.calls().iter().filter(|call| call.mutating && call.effective).count()
}

/// What gets all the traffic.
fn serves(stage: &Stage) -> String {
    let services = ["backend", "backend-green"].iter().filter_map(|name| stage.cloud.serving("acme", name));
    let mut busy = services.filter(|serving| serving.traffic.values().any(|share| *share > 99.9));
    let whole = busy.next().and_then(|serving| serving.whole().map(str::to_owned));
    whole.and_then(|arn| arn.rsplit('/').next().map(str::to_owned)).unwrap_or_default()
}

#[test]
fn the_policy_is_enough_for_a_deploy_a_failure_and_a_rollback() {
    for (name, _) in STRATEGIES {
        let allow = actions(&of(name));
        let bad = virtually(async {
            let mut stage = world(name, allow.clone(), "[crash-on-start: {}]");
            (deploy(&mut stage, "b").await, serves(&stage))
        });
        assert_eq!(
            (bad.0.outcome, bad.1.as_str()),
            (Outcome::Failed, "backend:1"),
            "{name}: {}",
            told(&bad.0)
        );
        let (good, back, serves) = virtually(async {
            let mut stage = world(name, allow.clone(), "[]");
            let built = stage.run().await;
            assert_eq!(built.outcome, Outcome::Deployed, "{name}: {}", told(&built));
            (deploy(&mut stage, "b").await, rollback(&mut stage).await, serves(&stage))
        });
        assert_eq!(good.outcome, Outcome::Deployed, "{name}: {}", told(&good));
        assert_eq!(
            (back.outcome, serves.as_str()),
            (Outcome::RolledBack, "backend:2"),
            "{name}: {}",
            told(&back)
        );
    }
}

/// Without one action: `stopped` is before any change; otherwise the outcome, which must be the truth.
fn without(name: &str, action: &str, simulated: bool, faults: &str) -> String {
    let (report, changed, serves) = virtually(async {
        let mut stage = world(name, all_but(name, action, simulated), faults);
        (deploy(&mut stage, "b").await, changes(&stage), serves(&stage))
    });
    ending(&format!("{name} without {action}"), &report, changed, &serves, ["backend:1", "backend:2"])
}

/// A rollback without one action, after a deploy that had all of them.
fn back_without(name: &str, action: &str, simulated: bool) -> String {
    let (report, changed, serves) = virtually(async {
        let mut stage = world(name, actions(&of(name)), "[]");
        assert_eq!(deploy(&mut stage, "b").await.outcome, Outcome::Deployed);
        let allow = all_but(name, action, simulated);
        stage.cloud.change(|world, _| world.policy = Policy { allow, deny: Vec::new() });
        let before = changes(&stage);
        let report = rollback(&mut stage).await;
        (report, changes(&stage) - before, serves(&stage))
    });
    ending(
        &format!("rollback of {name} without {action}"),
        &report,
        changed,
        &serves,
        ["backend:2", "backend:1"],
    )
}

fn all_but(name: &str, action: &str, simulated: bool) -> Vec<String> {
    let mut allow = actions(&of(name));
    allow.retain(|it| it != action && (simulated || it != SIMULATE));
    allow
}

/// The ending in a word, which is the truth: what serves is `before` or `after`, and the run says so.
fn ending(
    tale: &str,
    report: &RunReport,
    changed: usize,
    serves: &str,
    [before, after]: [&str; 2],
) -> String {
    let service = report.services.first();
    let said = service.and_then(|it| it.serves.as_ref()).map(|it| it.label.clone());
    let tale = format!("{tale}: {}", told(report));
    match report.outcome {
        Outcome::Invalid => {
            assert!(changed == 0 || service.is_some_and(|it| it.evidence == "nothing was moved"), "{tale}");
            assert_eq!(serves, before, "{tale}");
            if changed == 0 { "stopped".into() } else { "refused, nothing moved".into() }
        }
        Outcome::Deployed | Outcome::RolledBack => {
            assert_eq!((serves, said.as_deref()), (after, Some(after)), "{tale}");
            report.outcome.to_string()
        }
        other => {
            assert!(said.is_none() || said.as_deref() == Some(serves), "{tale}");
            assert_eq!(serves, before, "{tale}");
            other.to_string()
        }
    }
}

fn told(report: &RunReport) -> String {
    terminal::terminal(report)
}

/// Actions of pushing an image: the builder of a rehearsal pushes nothing, so nobody can miss them here.
const PUSHING: [&str; 5] = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:CompleteLayerUpload",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
];

/// What becomes of a good deploy and of a bad one, or of a rollback, without each action: one line for each ending.
fn matrix(name: &str, simulated: bool, back: bool) -> String {
    let mut endings: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for action in actions(&of(name)) {
        if PUSHING.contains(&action.as_str()) || (!simulated && action == SIMULATE) {
            continue;
        }
        let good = if back {
            back_without(name, &action, simulated)
        } else {
            without(name, &action, simulated, "[]")
        };
        let ending = if back || good == "stopped" {
            good
        } else {
            let bad = without(name, &action, simulated, "[crash-on-start: {}]");
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

fn matrices(simulated: bool) -> String {
    let all = STRATEGIES.iter().map(|(name, _)| format!("{name}\n{}", matrix(name, simulated, false)));
    all.collect::<Vec<_>>().join("\n")
}

/// Rollbacks: of a service that stands alone, whatever its strategy, and of a pair.
fn ways_back(simulated: bool) -> String {
    let all = ["rolling", "canary", PAIR].map(|name| format!("{name}\n{}", matrix(name, simulated, true)));
    all.join("\n")
}

#[test]
fn a_rollback_without_an_action_stops_early_or_ends_in_the_truth() {
    insta::assert_snapshot!(ways_back(true), @"
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
fn a_rollback_where_nothing_can_be_simulated_ends_in_the_truth_as_well() {
    insta::assert_snapshot!(ways_back(false), @"
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
fn without_an_action_a_run_stops_early_or_ends_in_the_truth() {
    insta::assert_snapshot!(matrices(true), @"
    rolling
      deployed; the bad one: failed: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetDownloadUrlForLayer ecs:TagResource iam:SimulatePrincipalPolicy logs:GetLogEvents
      stopped: ecr:GetAuthorizationToken ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:DescribeTasks ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:RegisterTaskDefinition ecs:StopServiceDeployment ecs:UpdateService elasticloadbalancing:DescribeTargetHealth iam:PassRole
    blue-green
      deployed; the bad one: failed: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetDownloadUrlForLayer ecs:TagResource iam:SimulatePrincipalPolicy logs:GetLogEvents
      stopped: ecr:GetAuthorizationToken ecs:ContinueServiceDeployment ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:DescribeTasks ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:RegisterTaskDefinition ecs:StopServiceDeployment ecs:UpdateService elasticloadbalancing:DescribeRules elasticloadbalancing:DescribeTargetGroups elasticloadbalancing:DescribeTargetHealth iam:PassRole
    linear
      deployed; the bad one: failed: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetDownloadUrlForLayer ecs:TagResource iam:SimulatePrincipalPolicy logs:GetLogEvents
      stopped: ecr:GetAuthorizationToken ecs:ContinueServiceDeployment ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:DescribeTasks ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:RegisterTaskDefinition ecs:StopServiceDeployment ecs:UpdateService elasticloadbalancing:DescribeRules elasticloadbalancing:DescribeTargetGroups elasticloadbalancing:DescribeTargetHealth iam:PassRole
    canary
      deployed; the bad one: failed: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetDownloadUrlForLayer ecs:TagResource iam:SimulatePrincipalPolicy logs:GetLogEvents
      stopped: ecr:GetAuthorizationToken ecs:ContinueServiceDeployment ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:DescribeTasks ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:RegisterTaskDefinition ecs:StopServiceDeployment ecs:UpdateService elasticloadbalancing:DescribeRules elasticloadbalancing:DescribeTargetGroups elasticloadbalancing:DescribeTargetHealth iam:PassRole
    pair
      deployed; the bad one: failed: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetDownloadUrlForLayer ecs:TagResource iam:SimulatePrincipalPolicy logs:GetLogEvents
      stopped: ecr:GetAuthorizationToken ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:DescribeTasks ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:RegisterTaskDefinition ecs:StopServiceDeployment ecs:UpdateService elasticloadbalancing:DescribeRules elasticloadbalancing:DescribeTargetHealth elasticloadbalancing:ModifyRule iam:PassRole
    ");
}

#[test]
fn where_nothing_can_be_simulated_the_end_is_still_the_truth() {
    insta::assert_snapshot!(matrices(false), @"
    rolling
      deployed; the bad one: failed: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetDownloadUrlForLayer ecs:DescribeTasks ecs:StopServiceDeployment ecs:TagResource logs:GetLogEvents
      refused, nothing moved; the bad one: refused, nothing moved: ecs:UpdateService
      stopped: ecr:GetAuthorizationToken ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:RegisterTaskDefinition elasticloadbalancing:DescribeTargetHealth iam:PassRole
    blue-green
      deployed; the bad one: failed: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetDownloadUrlForLayer ecs:DescribeTasks ecs:StopServiceDeployment ecs:TagResource logs:GetLogEvents
      failed; the bad one: failed: ecs:ContinueServiceDeployment
      refused, nothing moved; the bad one: refused, nothing moved: ecs:UpdateService
      stopped: ecr:GetAuthorizationToken ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:RegisterTaskDefinition elasticloadbalancing:DescribeRules elasticloadbalancing:DescribeTargetGroups elasticloadbalancing:DescribeTargetHealth iam:PassRole
    linear
      deployed; the bad one: failed: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetDownloadUrlForLayer ecs:DescribeTasks ecs:StopServiceDeployment ecs:TagResource logs:GetLogEvents
      failed; the bad one: failed: ecs:ContinueServiceDeployment
      refused, nothing moved; the bad one: refused, nothing moved: ecs:UpdateService
      stopped: ecr:GetAuthorizationToken ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:RegisterTaskDefinition elasticloadbalancing:DescribeRules elasticloadbalancing:DescribeTargetGroups elasticloadbalancing:DescribeTargetHealth iam:PassRole
    canary
      deployed; the bad one: failed: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetDownloadUrlForLayer ecs:DescribeTasks ecs:StopServiceDeployment ecs:TagResource logs:GetLogEvents
      failed; the bad one: failed: ecs:ContinueServiceDeployment
      refused, nothing moved; the bad one: refused, nothing moved: ecs:UpdateService
      stopped: ecr:GetAuthorizationToken ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:RegisterTaskDefinition elasticloadbalancing:DescribeRules elasticloadbalancing:DescribeTargetGroups elasticloadbalancing:DescribeTargetHealth iam:PassRole
    pair
      deployed; the bad one: failed: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetDownloadUrlForLayer ecs:DescribeTasks ecs:StopServiceDeployment ecs:TagResource logs:GetLogEvents
      failed; the bad one: failed: elasticloadbalancing:ModifyRule
      refused, nothing moved; the bad one: refused, nothing moved: ecs:UpdateService
      stopped: ecr:GetAuthorizationToken ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:RegisterTaskDefinition elasticloadbalancing:DescribeRules elasticloadbalancing:DescribeTargetHealth iam:PassRole
    ");
}

const PAGE_RULE: &str = "arn:aws:elasticloadbalancing:eu-west-1:222222222222:listener-rule/app/web/50dc6c495c0c9188/f2f7dc8efc522ab2/9683b2d02a6cabee";

/// The page shows a deploy file and, under each strategy, the policy that is printed for it.
#[test]
fn the_page_shows_what_is_printed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/iam.md")).unwrap();
    let fence = |text: &str, kind: &str| {
        let (_, after) = text.split_once(&format!("```{kind}\n")).unwrap();
        after.split_once("\n```").unwrap().0.to_owned()
    };
    let file = fence(&page, "yaml");
    for name in STRATEGIES.map(|(name, _)| name) {
        let (_, section) = page.split_once(&format!("### {name}\n\n`strategy: ")).unwrap();
        let (strategy, rest) = section.split_once('`').unwrap();
        // The pair has its own block beside the strategy, as the page shows it.
        let pair = format!(
            ", task-definition: examples/hello/task-definition.json, pair: {{ service: hello-green, rule: \"{PAGE_RULE}\" }} }}"
        );
        let file = match name == PAIR {
            true => file.replace(", task-definition: examples/hello/task-definition.json }", &pair),
            false => file.clone(),
        };
        let printed =
            policy(root, "roadstead.yml", &file.replace("STRATEGY", strategy), "production").unwrap();
        assert_eq!(fence(rest, "json"), printed, "{name}");
    }
}

/// The table by strategy names every action, and no other.
#[test]
fn the_page_of_the_target_lists_every_action() {
    let page = include_str!("../docs/targets/ecs.md");
    let (_, section) = page.split_once("\n## Permissions\n").unwrap();
    let rows = section.lines().filter(|line| line.starts_with('|'));
    let words = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).filter(|word| word.contains(':'));
    let mut listed: Vec<String> = words.map(str::to_owned).collect();
    listed.push("ecs:TagResource".into());
    listed.sort();
    listed.dedup();
    assert_eq!(listed, actions(&config(BEFORE, "{ canary: { percent: 10, metrics: [5xx] } }")));
}

#[test]
fn a_command_before_needs_two_actions_more_and_without_one_ends_in_the_truth() {
    let (with, rolling) = (actions(&of(BEFORE)), actions(&of("rolling")));
    let more: Vec<_> = with.iter().filter(|action| !rolling.contains(action)).map(String::as_str).collect();
    assert_eq!(more, ["ecs:RunTask", "ecs:StopTask"]);
    let report = virtually(async { deploy(&mut world(BEFORE, with, "[]"), "b").await });
    assert_eq!(report.outcome, Outcome::Deployed, "{}", told(&report));
    let table = |(name, simulated)| format!("{name}\n{}", matrix(BEFORE, simulated, false));
    let tables = [("simulated", true), ("not simulated", false)].map(table);
    insta::assert_snapshot!(tables.join("\n"), @"
    simulated
      deployed; the bad one: failed: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetDownloadUrlForLayer ecs:TagResource iam:SimulatePrincipalPolicy logs:GetLogEvents
      stopped: ecr:GetAuthorizationToken ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:DescribeTasks ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:RegisterTaskDefinition ecs:RunTask ecs:StopServiceDeployment ecs:StopTask ecs:UpdateService elasticloadbalancing:DescribeTargetHealth iam:PassRole
    not simulated
      deployed; the bad one: failed: cloudwatch:DescribeAlarms ecr:BatchGetImage ecr:DescribeImages ecr:GetDownloadUrlForLayer ecs:StopServiceDeployment ecs:StopTask ecs:TagResource logs:GetLogEvents
      failed; the bad one: failed: ecs:DescribeTasks
      refused, nothing moved; the bad one: refused, nothing moved: ecs:RunTask ecs:UpdateService
      stopped: ecr:GetAuthorizationToken ecs:DescribeServiceDeployments ecs:DescribeServiceRevisions ecs:DescribeServices ecs:DescribeTaskDefinition ecs:ListServiceDeployments ecs:ListTaskDefinitions ecs:ListTasks ecs:RegisterTaskDefinition elasticloadbalancing:DescribeTargetHealth iam:PassRole
    ");
}

/// The page of the pair names what it needs beyond that, and what it does not need.
#[test]
fn a_pair_needs_what_its_page_says() {
    let file = |name: &str| actions(&config(name, "{ canary: { percent: 10, metrics: [5xx] } }"));
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
