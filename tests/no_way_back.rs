//! Releases although the running version could not be restored: its revision is INACTIVE, or its image has left ECR.

use roadstead::action::inputs::RawInputs;
use roadstead::release::Outcome;

use crate::support::{RunResult, TestRun};

const INACTIVE: &str =
    "services: [{ cluster: acme, name: backend, deregistered: true, target-groups: [{ arn: backend }] }]
repositories: { backend: { images: [{ tags: [v1] }] } }
";
const IMAGE_GONE: &str = "services: [{ cluster: acme, name: backend, target-groups: [{ arn: backend }] }]
repositories: { backend: { images: [{ tags: [v9] }] } }
";

fn run(scenario: &str, operation: &str, image: Option<&str>) -> RunResult {
    let mut trial = TestRun::custom(scenario);
    trial.inputs =
        RawInputs { operation: Some(operation.into()), image: image.map(Into::into), ..RawInputs::default() };
    trial.run()
}

#[test]
fn release_goes_forward_with_a_warning_over_a_version_that_cannot_start_again() {
    for (scenario, why) in [
        (INACTIVE, "its task definition is INACTIVE"),
        (
            IMAGE_GONE,
            "its image 111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend:v1 is not in ECR any more",
        ),
    ] {
        for (operation, outcome) in [("plan", Outcome::Planned), ("deploy", Outcome::Deployed)] {
            let ran = run(scenario, operation, None);
            assert_eq!(
                (ran.report.outcome, ran.problem_codes()),
                (outcome, vec!["rollback-target-broken"]),
                "{operation} {why}: {:#?}",
                ran.lines
            );
            let warning = &ran.report.services[0].problems[0];
            assert!(!warning.is_error());
            assert_eq!(warning.sentence, format!("A failure could not be rolled back to backend:1: {why}."));
        }
    }
}

#[test]
fn unchanged_release_is_not_refused_for_the_way_back() {
    let image = "111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend@\
                 sha256:028817b3422c85b0ef01767ec229a0dde39ce7e73e0d052bfd7a9eb3b59a92b8";
    let scenario = INACTIVE.replace("deregistered: true", &format!("deregistered: true, image: '{image}'"));
    let ran = run(&scenario, "deploy", Some(image));
    assert_eq!(ran.report.outcome, Outcome::Unchanged, "{:#?}", ran.lines);
    assert_eq!(run(INACTIVE, "verify", None).report.outcome, Outcome::Verified);
}

#[test]
fn failed_release_over_an_inactive_revision_is_rolled_back_by_ecs() {
    let ran = run(&format!("{INACTIVE}faults: [crash-on-start: {{ exit-code: 3 }}]\n"), "deploy", None);
    assert_eq!(ran.report.outcome, Outcome::Failed, "{:#?}", ran.lines);
    assert_eq!(
        ran.cloud.serving_state("acme", "backend").unwrap().only_version().unwrap().rsplit('/').next(),
        Some("backend:1")
    );
}
