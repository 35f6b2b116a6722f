//! The permissions that AppConfig needs: the printed policy suffices, and the page lists every action.

use roadstead::release::Outcome;

use crate::appconfig::{AppConfigFixture, CONFIG};

/// The actions of the policy that is printed for the deploy file.
fn policy_actions() -> Vec<String> {
    let nowhere = std::path::Path::new("/nonexistent");
    let text = roadstead::cli::policy::policy_json(nowhere, "roadstead.yml", CONFIG, "production").unwrap();
    let policy: serde_json::Value = serde_json::from_str(&text).unwrap();
    let statements = policy["Statement"].as_array().unwrap().iter();
    let actions = statements.flat_map(|one| one["Action"].as_array().unwrap().clone());
    actions.map(|action| action.as_str().unwrap().to_owned()).collect()
}

#[test]
fn printed_policy_suffices_and_missing_action_stops_before_start() {
    let world =
        |allow: &[String], fault: &str| format!("policy: {{ allow: [{}] }}\n{fault}", allow.join(", "));
    let all = policy_actions();
    let ran = AppConfigFixture::new(&world(&all, "")).run();
    assert_eq!(
        (ran.report.outcome, ran.problem_codes()),
        (Outcome::Deployed, Vec::new()),
        "{:#?}",
        ran.lines
    );
    for without in &all {
        let rest: Vec<String> = all.iter().filter(|action| *action != without).cloned().collect();
        let ran = AppConfigFixture::new(&world(&rest, "")).run();
        let started = ran.change_operations().contains(&"StartDeployment");
        match without.as_str() {
            "cloudwatch:DescribeAlarms" | "iam:SimulatePrincipalPolicy" => {
                assert_eq!(ran.report.outcome, Outcome::Deployed, "without {without}: {:#?}", ran.lines);
                assert_eq!(ran.problem_codes(), ["permission-unchecked"], "without {without}");
            }
            _ => {
                assert_eq!((ran.report.outcome, started), (Outcome::Invalid, false), "without {without}");
                assert!(
                    ran.problem_codes().contains(&"permission-missing"),
                    "without {without}: {:?}",
                    ran.problem_codes()
                );
            }
        }
    }
}

#[test]
fn the_page_lists_every_action() {
    let page = include_str!("../docs/targets/appconfig.md");
    let (_, section) = page.split_once("\n## Permissions\n").unwrap();
    let rows = section.lines().filter(|line| line.starts_with('|'));
    let words = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).filter(|word| word.contains(':'));
    let mut listed: Vec<String> = words.map(str::to_owned).collect();
    listed.sort();
    listed.dedup();
    let mut real = policy_actions();
    real.sort();
    assert_eq!(listed, real);
}
