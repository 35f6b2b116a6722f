//! What can be checked without an image is checked before one is built: the builds of these runs fail, and nobody is told.

use std::time::Duration;

use crate::support::runner::{CONFIG, Runner, StepResult};

/// The alarm that the deploy file of these runs names.
const GREEN: &str = "alarms: [{ name: backend-5xx }]";

fn config(more: &str) -> String {
    format!("{CONFIG}    build: {{ context: . }}\n{more}")
}

fn run_with_broken_build(scenario: &str, more: &str) -> StepResult {
    // What the emulator has is not made from this file: it would have the alarm that is missing.
    let runner = Runner::custom(scenario).with_file("workspace/.github/roadstead.yml", &config(more));
    runner.with_broken_builds(&["backend"]).run_main()
}

#[test]
fn what_needs_no_image_is_told_instead_of_a_broken_build() {
    let named = "    alarms: [backend-5xx]\n";
    let canary = "    strategy: { canary: { percent: 10, bake: 5m, metrics: [5xx] } }\n";
    for (scenario, more, title) in [
        (GREEN, "    alarms: [backend-4xx]\n", "alarm missing"),
        ("alarms: [{ name: backend-5xx, state: ALARM }]", named, "alarm already firing"),
        ("policy: { deny: ['ecs:UpdateService'] }", "", "permission missing"),
        (
            "policy: { deny: ['cloudwatch:DescribeAlarms'] }\nalarms: [{ name: backend-5xx }]",
            named,
            "permission missing",
        ),
        (GREEN, canary, "unsupported"),
    ] {
        let step = run_with_broken_build(scenario, more);
        let told = step.annotation_lines();
        assert_eq!((step.exit_code, step.output("outcome")), (2, "invalid"), "{told}");
        assert!(told.contains(title), "{title} is not in {told}");
        assert!(!told.contains("build"), "{told}");
        assert_eq!(step.count_changes(), 0, "{told}");
    }
}

#[test]
fn broken_build_is_told_where_nothing_else_is_wrong() {
    let step = run_with_broken_build(GREEN, "    alarms: [backend-5xx]\n");
    assert!(step.annotation_lines().contains("could not be built"), "{}", step.annotation_lines());
    assert_eq!(step.count_calls("DescribeAlarms"), 1);
}

#[test]
fn checks_are_made_again_after_a_long_build() {
    for (seconds, checks) in [(0, 1), (50, 1), (70, 2)] {
        let runner = Runner::custom(GREEN).with_config(&config("    alarms: [backend-5xx]\n"));
        let step = runner.with_build_time(Duration::from_secs(seconds)).run_main();
        assert_eq!(step.output("outcome"), "deployed", "{:#?}", step.lines);
        assert_eq!(step.count_calls("SimulatePrincipalPolicy"), checks, "a build of {seconds} s");
    }
}

#[test]
fn image_for_another_platform_is_told_after_the_build() {
    let arm = config("").replace("context: .", "context: ., platforms: [linux/arm64]");
    let step = Runner::builtin("happy").with_config(&arm).run_main();
    assert!(step.annotation_lines().contains("arm64"), "{}", step.annotation_lines());
    assert_eq!((step.exit_code, step.count_calls("UpdateService")), (2, 0));
}
