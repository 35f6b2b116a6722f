//! Why a rollout on ECS fails, and how long it may: whole runs on the emulator with every kind of stopped task.

use std::time::Duration;

use crate::support::{CONFIG, RunResult, TestRun};
use roadstead::cli::rehearse::ScenarioSource;
use roadstead::release::{Failure, Outcome};
use roadstead_cloud::scenario::Scenario;

/// A run of the small deploy file with these faults, on a service of `desired` tasks.
fn run(desired: u32, faults: &str) -> RunResult {
    test_run(CONFIG, desired, faults).run()
}

/// Without a circuit breaker: only the run itself ends the rollout.
fn test_run(config: &str, desired: u32, faults: &str) -> TestRun {
    let mut scenario = Scenario::default_for([("acme", "backend")]);
    scenario.services[0].desired = desired;
    scenario.services[0].deployment.circuit_breaker = None;
    scenario.faults = Scenario::parse(&format!("faults: [{faults}]")).unwrap().faults;
    TestRun { config: config.into(), ..TestRun::from_source(ScenarioSource::Custom(Box::new(scenario))) }
}

fn failure(ran: &RunResult) -> &Failure {
    ran.report.services[0].failure.as_ref().unwrap_or_else(|| panic!("{:#?}", ran.lines))
}

fn minutes(ran: &RunResult) -> u64 {
    ran.report.elapsed().as_secs() / 60
}

#[test]
fn two_bad_tasks_of_forty_do_not_fail_the_release() {
    for fault in [
        "crash-on-start: { tasks: 2 }",
        "out-of-memory: { tasks: 2 }",
        "failing-health-check: { tasks: 2 }",
        "task-stop: { cause: pull-rate-limit, tasks: 2 }",
        "task-stop: { cause: command-missing, tasks: 2 }",
        "task-stop: { reason: The ground moved., tasks: 2 }",
    ] {
        let ran = run(40, fault);
        assert_eq!(ran.report.outcome, Outcome::Deployed, "{fault}: {:#?}", ran.lines);
    }
}

#[test]
fn crash_loop_ends_within_seconds_at_any_size() {
    // The last has more stopped tasks than a page of ListTasks.
    for desired in [1, 2, 40, 500] {
        let ran = run(desired, "crash-on-start: {}");
        assert_eq!(ran.report.outcome, Outcome::Failed, "{desired}: {:#?}", ran.lines);
        let timeline = &ran.report.services[0].timeline;
        let rolled_back = timeline.iter().find(|entry| entry.text.starts_with("rolling back to")).unwrap();
        let seconds = rolled_back.at.as_second() - ran.report.started.as_second();
        assert!(seconds < 120, "{desired} tasks: {seconds} s");
    }
}

#[test]
fn what_passes_by_itself_is_waited_out() {
    for (fault, at_least) in [
        ("no-capacity: { for: 300 }", 5),
        ("no-capacity: { for: 590 }, slow-start: { seconds: 240 }", 14),
        ("task-stop: { cause: pull-timeout, tasks: 2 }", 1),
        ("task-stop: { cause: subnet-full, tasks: 2 }", 1),
        ("task-stop: { cause: network-interface-timeout, tasks: 2 }", 1),
        ("task-stop: { cause: fargate-capacity, tasks: 2 }", 1),
        ("task-stop: { cause: secrets-unreachable, tasks: 2 }", 1),
        ("task-stop: { cause: runtime-timeout, tasks: 2 }", 1),
        ("task-stop: { cause: person, tasks: 2 }", 1),
        ("task-stop: { cause: spot, tasks: 3 }", 1),
        ("task-stop: { cause: host-maintenance, tasks: 2 }", 1),
        ("task-stop: { cause: host-terminated, tasks: 2 }", 1),
    ] {
        let ran = run(2, fault);
        assert_eq!(ran.report.outcome, Outcome::Deployed, "{fault}: {:#?}", ran.lines);
        assert!(minutes(&ran) >= at_least, "{fault}");
    }
}

#[test]
fn what_does_not_pass_ends_with_the_words_of_aws() {
    let capacity = "was unable to place a task. Reason: Capacity is unavailable at this time.";
    for (fault, code, words, waits) in [
        (
            "task-stop: { cause: subnet-full }",
            "resource-setup-failed",
            "InsufficientFreeAddressesInSubnet",
            true,
        ),
        ("task-stop: { cause: pull-timeout }", "image-pull-failed", "i/o timeout", true),
        ("no-capacity: {}", "no-capacity", capacity, true),
        (
            "task-stop: { cause: efs-directory-missing }",
            "resource-setup-failed",
            "No such file or directory",
            false,
        ),
        ("task-stop: { cause: ebs-key }", "resource-setup-failed", "IdempotentParameterMismatch", false),
        (
            "task-stop: { cause: log-group-missing }",
            "resource-setup-failed",
            "log group does not exist",
            false,
        ),
        (
            "task-stop: { cause: role-not-assumable }",
            "task-role-not-assumable",
            "was unable to assume the role",
            false,
        ),
        (
            "task-stop: { cause: command-missing }",
            "container-exited",
            "executable file not found in $PATH",
            false,
        ),
        ("task-stop: { reason: The ground moved. }", "task-stopped", "The ground moved.", false),
        ("crash-on-start: { exit-code: 0 }", "container-exited", "Essential container in task exited", false),
    ] {
        let ran = run(2, fault);
        assert_eq!(ran.report.outcome, Outcome::Failed, "{fault}: {:#?}", ran.lines);
        let problem = &failure(&ran).problem;
        assert_eq!(problem.code.name(), code, "{fault}: {problem}");
        assert!(problem.cause.as_deref().is_some_and(|cause| cause.contains(words)), "{fault}: {problem}");
        assert_eq!(minutes(&ran) >= 10, waits, "{fault} took {} min", minutes(&ran));
    }
}

#[test]
fn placement_and_failed_tasks_are_settings() {
    let with = |patience: &str| {
        CONFIG.replace("container: app }", &format!("container: app, patience: {patience} }}"))
    };
    let ran = test_run(&with("{ placement: 1m }"), 2, "no-capacity: { for: 300 }").run();
    assert_eq!((ran.report.outcome, minutes(&ran) < 5), (Outcome::Failed, true), "{:#?}", ran.lines);
    let ran = test_run(&with("{ failed-tasks: 4 }"), 2, "crash-on-start: { tasks: 3 }").run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    let ran = test_run(&with("{ failed-tasks: 1 }"), 40, "crash-on-start: { tasks: 1 }").run();
    assert_eq!(ran.report.outcome, Outcome::Failed, "{:#?}", ran.lines);
    let ran = test_run(&with("{ failed-tasks: 5% }"), 40, "crash-on-start: { tasks: 4 }").run();
    assert_eq!(ran.report.outcome, Outcome::Failed, "{:#?}", ran.lines);
}

#[test]
fn plan_shows_what_the_deploy_file_sets() {
    let plan = |patience: &str| {
        let config = CONFIG.replace("container: app }", &format!("container: app{patience} }}"));
        let mut trial = TestRun { config, ..TestRun::builtin("happy") };
        trial.inputs.operation = Some("plan".into());
        trial.run().report.services[0].strategy.clone()
    };
    assert_eq!(plan(""), "rolling");
    let set = plan(", patience: { failed-tasks: 3, placement: 20m }");
    assert_eq!(set, "rolling, fails after 3 failed tasks, waits 20m for placement");
}

/// Two essential containers: the one that fails is named, with its own lines, whichever is stopped in consequence.
#[test]
fn failed_container_takes_the_blame_with_its_own_lines() {
    let container = |name: &str| {
        format!(
            "{{ name: {name}, image: 111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/backend:v1, essential: true, \
             logConfiguration: {{ logDriver: awslogs, options: {{ awslogs-group: /ecs/backend, awslogs-region: eu-west-1, \
             awslogs-stream-prefix: ecs }} }} }}"
        )
    };
    let definition = format!(
        ", task-definition: {{ family: backend, networkMode: awsvpc, requiresCompatibilities: [FARGATE], cpu: '256', \
         memory: '512', executionRoleArn: 'arn:aws:iam::111111111111:role/exec', \
         containerDefinitions: [{}, {}] }}",
        container("app"),
        container("envoy")
    );
    let service = format!("{{ cluster: acme, name: backend, desired: 2{definition} }}");
    for (container, code, sentence) in [
        ("envoy", 1, "The container `envoy` exits with code 1."),
        ("app", 1, "The container `app` exits with code 1."),
        ("envoy", 0, "The container `envoy` ended by itself with exit code 0."),
    ] {
        let fault = format!(
            "crash-on-start: {{ container: {container}, exit-code: {code}, log: [\"{container} says why\"] }}"
        );
        let scenario = format!(
            "services: [{service}]\nrepositories: {{ acme/backend: {{ images: [{{ tags: [v1] }}] }} }}\nfaults: [{fault}]\n"
        );
        let ran = TestRun::custom(&scenario).run();
        let failure = failure(&ran);
        assert_eq!(
            (failure.problem.sentence.as_str(), failure.exit_code),
            (sentence, Some(code)),
            "{:#?}",
            ran.lines
        );
        let lines: Vec<&str> = failure.logs.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(lines, [format!("{container} says why")], "{fault}");
    }
}

/// A wait that ends without a verdict tells what failed in it, also if that alone would never have ended it.
#[test]
fn timeout_reports_what_failed_so_far() {
    let mut trial = test_run(CONFIG, 2, "task-stop: { cause: person, after: 1 }");
    trial.inputs.timeout = Some("10m".into());
    let ran = trial.run();
    assert_eq!(failure(&ran).problem.code.name(), "timed-out", "{:#?}", ran.lines);
    let problem = &failure(&ran).problem;
    let cause = problem.cause.clone().unwrap_or_default();
    assert!(cause.contains("A person or a tool stopped the task. | Task stopped by user"), "{cause}");
    assert!(problem.help.contains("CloudTrail"), "{problem}");
    assert!(ran.report.elapsed() < Duration::from_secs(15 * 60));
}
