//! The pages of permissions list what the printed policy has.

use std::path::Path;

use roadstead::cli::policy::policy_json;

use crate::permissions::{BEFORE, PAIR, STRATEGIES, config, policy_actions};

const PAGE_RULE: &str = "arn:aws:elasticloadbalancing:eu-west-1:222222222222:listener-rule/app/web/50dc6c495c0c9188/f2f7dc8efc522ab2/9683b2d02a6cabee";

/// The page shows a deploy file and, under each strategy, the policy that is printed for it.
#[test]
fn page_shows_the_printed_policy() {
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
            policy_json(root, "roadstead.yml", &file.replace("STRATEGY", strategy), "production").unwrap();
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
    assert_eq!(listed, policy_actions(&config(BEFORE, "{ canary: { percent: 10, metrics: [5xx] } }")));
}
