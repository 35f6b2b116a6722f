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

/// What each strategy writes into the deploy file.
const STRATEGIES: [(&str, &str); 4] = [
    ("rolling", "rolling"),
    ("blue-green", "{ blue-green: { bake: 1m } }"),
    ("linear", "{ linear: { step: 50, bake: 1m, final-bake: 1m } }"),
    ("canary", "{ canary: { percent: 10, bake: 1m, final-bake: 1m } }"),
];

fn config(strategy: &str) -> String {
    format!(
        "environments:\n  production: {{ branches: [main], aws: {{ region: eu-west-1 }} }}\nservices:\n  backend:\n    repository: acme/backend\n    strategy: {strategy}\n    ecs: {{ cluster: acme, service: backend, container: app }}\n"
    )
}

/// The actions of the policy that is printed for a deploy file.
fn actions(config: &str) -> Vec<String> {
    let text = policy(Path::new("/nonexistent"), "roadstead.yml", config, "production").unwrap();
    let policy: serde_json::Value = serde_json::from_str(&text).unwrap();
    let statements = policy["Statement"].as_array().unwrap().iter();
    let of = |statement: &serde_json::Value| statement["Action"].as_array().unwrap().clone();
    let mut all: Vec<String> = statements.flat_map(of).map(|it| it.as_str().unwrap().to_owned()).collect();
    all.sort();
    all
}

/// A world that allows these actions and no others.
fn world(strategy: &str, allow: Vec<String>, faults: &str) -> Stage {
    let mut scenario = Scenario::default_for([("acme", "backend")]).in_pairs();
    scenario.policy = Policy { allow, deny: Vec::new() };
    scenario.faults = serde_saphyr::from_str(faults).unwrap();
    let mut trial = Trial::named("happy");
    trial.story = Story::Told(Box::new(scenario));
    trial.config = config(strategy);
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

fn serves(stage: &Stage) -> String {
    let serving = stage.cloud.serving("acme", "backend").unwrap();
    serving.whole().map(|arn| arn.rsplit('/').next().unwrap_or_default().to_owned()).unwrap_or_default()
}

#[test]
fn the_policy_is_enough_for_a_deploy_a_failure_and_a_rollback() {
    for (name, strategy) in STRATEGIES {
        let allow = actions(&config(strategy));
        let bad = virtually(async {
            let mut stage = world(strategy, allow.clone(), "[crash-on-start: {}]");
            (deploy(&mut stage, "b").await, serves(&stage))
        });
        assert_eq!(
            (bad.0.outcome, bad.1.as_str()),
            (Outcome::Failed, "backend:1"),
            "{name}: {}",
            told(&bad.0)
        );
        let (good, back, serves) = virtually(async {
            let mut stage = world(strategy, allow.clone(), "[]");
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
fn without(strategy: &str, action: &str, simulated: bool, faults: &str) -> String {
    let mut allow = actions(&config(strategy));
    allow.retain(|it| it != action && (simulated || it != SIMULATE));
    let (report, changed, serves) = virtually(async {
        let mut stage = world(strategy, allow, faults);
        (deploy(&mut stage, "b").await, changes(&stage), serves(&stage))
    });
    let service = report.services.first();
    let said = service.and_then(|it| it.serves.as_ref()).map(|it| it.label.clone());
    let tale = format!("{strategy} without {action}: {}", told(&report));
    match report.outcome {
        Outcome::Invalid => {
            assert!(changed == 0 || service.is_some_and(|it| it.evidence == "nothing was moved"), "{tale}");
            assert_eq!(serves, "backend:1", "{tale}");
            if changed == 0 { "stopped".into() } else { "refused, nothing moved".into() }
        }
        Outcome::Deployed => {
            assert_eq!((serves.as_str(), said.as_deref()), ("backend:2", Some("backend:2")), "{tale}");
            "deployed".into()
        }
        other => {
            assert!(said.is_none() || said.as_deref() == Some(serves.as_str()), "{tale}");
            assert_ne!(serves, "backend:2", "{tale}");
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

/// What becomes of a good deploy, and of a bad one, without each action: one line for each pair of endings.
fn matrix(strategy: &str, simulated: bool) -> String {
    let mut endings: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for action in actions(&config(strategy)) {
        if PUSHING.contains(&action.as_str()) || (!simulated && action == SIMULATE) {
            continue;
        }
        let good = without(strategy, &action, simulated, "[]");
        let early = good == "stopped";
        let bad =
            if early { good.clone() } else { without(strategy, &action, simulated, "[crash-on-start: {}]") };
        let ending = if early { good } else { format!("{good}; the bad one: {bad}") };
        endings.entry(ending).or_default().push(action);
    }
    endings
        .into_iter()
        .map(|(ending, actions)| format!("  {ending}: {}", actions.join(" ")))
        .collect::<Vec<_>>()
        .join("\n")
}

fn matrices(simulated: bool) -> String {
    let all = STRATEGIES.iter().map(|(name, strategy)| format!("{name}\n{}", matrix(strategy, simulated)));
    all.collect::<Vec<_>>().join("\n")
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
    ");
}

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
    for (name, _) in STRATEGIES {
        let (_, section) = page.split_once(&format!("### {name}\n\n`strategy: ")).unwrap();
        let (strategy, rest) = section.split_once('`').unwrap();
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
    assert_eq!(listed, actions(&config("{ canary: { percent: 10, metrics: [5xx] } }")));
}
