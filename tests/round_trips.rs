//! How many round trips a run makes one after the other. Every answer of the emulator takes a second here and everything
//! else no time, so a call that begins after another one has ended was not sent together with it.

use roadstead_cloud::call_log::LoggedCall;

use crate::support::recorded_deployments::MultiRunHarness;
use crate::support::runner::{Runner, StepResult};
use crate::support::{TestRun, run_in_virtual_time};

/// How long a call takes.
const ROUND_TRIP: f64 = 1.0;

/// A rollout is over before the first look at it; what is left is what the run waits for.
const FAR_AWAY: &str =
    "timings: { latency: 1, schedule: 0, provision: 0, pull: 0, start: 0, health: 0, settle: 0, \
                        deregistration: 0, stop: 0, deprovision: 0, complete: 0 }
github:
  repositories:
    - name: acme/shop
      private: true
      history: [{ id: c1 }, { id: c2 }, { id: c3 }]
";

/// Rounds: the operations that were on their way together, in the order of their first call.
fn rounds(calls: &[LoggedCall]) -> Vec<Vec<&str>> {
    let mut rounds: Vec<(f64, Vec<&str>)> = Vec::new();
    for call in calls {
        match rounds.last_mut() {
            // The runtime's timers count whole milliseconds.
            Some((began, together)) if call.at < *began + ROUND_TRIP - 0.01 => {
                together.push(&call.operation);
            }
            _ => rounds.push((call.at, vec![&call.operation])),
        }
    }
    rounds
        .into_iter()
        .map(|(_, mut together)| {
            together.sort_unstable();
            together
        })
        .collect()
}

fn describe(calls: &[LoggedCall]) -> String {
    let line = |(at, together): (usize, Vec<&str>)| format!("{}: {}", at + 1, together.join(" "));
    rounds(calls).into_iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
}

/// A job of run `id`, and the calls that it made.
async fn job(
    world: &MultiRunHarness,
    id: u64,
    commit: &str,
    prepare: impl FnOnce(Runner) -> Runner,
) -> (StepResult, Vec<LoggedCall>) {
    let before = world.cloud.calls().len();
    let step = world.run(&prepare(world.runner(id, commit))).await;
    let calls = world.cloud.calls().split_off(before);
    (step, calls)
}

#[test]
fn release_with_keys() {
    let ran = TestRun::custom(FAR_AWAY).run();
    assert_eq!(ran.report.outcome.as_str(), "deployed", "{:#?}", ran.lines);
    // Of an image without an index the platform is in another object. The rollout ends between two looks.
    insta::assert_snapshot!(describe(&ran.calls), @r"
    1: DescribeServices GetAuthorizationToken GetCallerIdentity ListServiceDeployments
    2: DescribeServiceDeployments DescribeServiceRevisions DescribeTargetHealth DescribeTaskDefinition
    3: BatchGetImage ListTaskDefinitions ListTasks SimulatePrincipalPolicy
    4: BatchGetImage
    5: GetDownloadUrlForLayer
    6: GetLayer
    7: RegisterTaskDefinition
    8: DescribeServiceDeployments DescribeServices
    9: UpdateService
    10: DescribeServiceDeployments DescribeServices
    11: DescribeServices
    12: DescribeServiceDeployments
    13: DescribeServiceRevisions DescribeTargetHealth
    ");
}

#[test]
fn release_of_a_job() {
    run_in_virtual_time(async {
        let world = MultiRunHarness::new(FAR_AWAY);
        let (first, _) = job(&world, 6, "c1", |runner| runner).await;
        let (step, calls) = job(&world, 7, "c2", |runner| runner).await;
        assert_eq!(step.output("outcome"), "deployed", "{:#?}", step.lines);
        insta::assert_snapshot!(describe(&calls), @r"
        1: GetIdToken git/get-commit graphql
        2: AssumeRoleWithWebIdentity actions/get-workflow-run actions/list-jobs-for-workflow-run-attempt git/get-ref repos/compare-commits
        3: DescribeServices GetAuthorizationToken GetCallerIdentity ListServiceDeployments repos/compare-commits
        4: DescribeServiceDeployments DescribeServiceRevisions DescribeTargetHealth DescribeTaskDefinition
        5: BatchGetImage ListTaskDefinitions ListTasks SimulatePrincipalPolicy
        6: BatchGetImage git/create-commit
        7: GetDownloadUrlForLayer
        8: GetLayer
        9: git/create-ref
        10: DescribeServiceDeployments DescribeServiceRevisions DescribeServices DescribeTargetHealth DescribeTaskDefinition DescribeTaskDefinition ListServiceDeployments ListTaskDefinitions graphql
        11: RegisterTaskDefinition repos/create-deployment
        12: DescribeServiceDeployments DescribeServices repos/create-deployment-status
        13: UpdateService
        14: DescribeServiceDeployments DescribeServices
        15: DescribeServices
        16: DescribeServiceDeployments
        17: DescribeServiceRevisions DescribeTargetHealth
        18: git/get-ref repos/create-deployment-status
        19: git/delete-ref
        ");
        // The image exists: what it is made of is read beside the service.
        let earlier = first.output("image").to_owned();
        let named = |runner: Runner| runner.with_variable("INPUT_IMAGE", &earlier);
        let (step, calls) = job(&world, 8, "c3", named).await;
        assert_eq!(step.output("outcome"), "deployed", "{:#?}", step.lines);
        let at =
            |operation: &str| rounds(&calls).iter().position(|round| round.contains(&operation)).unwrap() + 1;
        assert_eq!((at("git/create-ref"), at("UpdateService")), (6, 10), "{}", describe(&calls));
    });
}

#[test]
fn unchanged_and_plan_of_a_job() {
    run_in_virtual_time(async {
        let world = MultiRunHarness::new(FAR_AWAY);
        job(&world, 6, "c1", |runner| runner).await;
        let (step, calls) = job(&world, 7, "c1", |runner| runner).await;
        assert_eq!(step.output("outcome"), "unchanged", "{:#?}", step.lines);
        insta::assert_snapshot!(describe(&calls), @r"
        1: GetIdToken git/get-commit graphql
        2: AssumeRoleWithWebIdentity actions/get-workflow-run actions/list-jobs-for-workflow-run-attempt git/get-ref
        3: DescribeServices GetAuthorizationToken GetCallerIdentity ListServiceDeployments repos/compare-commits
        4: DescribeServiceDeployments DescribeServiceRevisions DescribeTargetHealth DescribeTaskDefinition
        5: BatchGetImage ListTaskDefinitions ListTasks SimulatePrincipalPolicy
        ");
        let plan = |runner: Runner| runner.with_variable("INPUT_OPERATION", "plan");
        let (step, calls) = job(&world, 8, "c2", plan).await;
        assert_eq!(step.output("outcome"), "planned", "{:#?}", step.lines);
        assert!(rounds(&calls).len() <= 6, "{}", describe(&calls));
    });
}
