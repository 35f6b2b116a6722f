//! Updates that AWS refuses: foreseen in pre-flight where the service says so, and reported as what they are.

use roadstead::release::Outcome;
use roadstead_cloud::call_log::{CallHook, HookPhase, Override};
use roadstead_cloud::request::ServiceError;

use crate::support::{RunResult, TestRun, run_in_virtual_time};

/// A run in which UpdateService is refused with this message.
fn run_refused(code: &'static str, message: &'static str) -> RunResult {
    refuse_update_of(TestRun::builtin("happy"), code, message)
}

fn refuse_update_of(trial: TestRun, code: &'static str, message: &'static str) -> RunResult {
    run_in_virtual_time(async {
        let stage = trial.set_up();
        stage.cloud.on_call(Box::new(move |moment: &CallHook<'_>| {
            match moment.call.operation == "UpdateService" && moment.phase == HookPhase::Before {
                true => Override::Fail(ServiceError::new(code, message)),
                false => Override::Pass,
            }
        }));
        let report = stage.run().await;
        stage.collect_result(report)
    })
}

#[test]
fn refused_update_moves_nothing_and_says_what_to_do() {
    let ran = run_refused("InvalidParameterException", "Volume configuration data is missing.");
    assert_eq!(
        (ran.report.outcome, ran.problem_codes()),
        (Outcome::Invalid, vec!["update-refused"]),
        "{:#?}",
        ran.lines
    );
    let service = &ran.report.services[0];
    assert_eq!(service.serving_version.as_ref().unwrap().label, "backend:1");
    assert_eq!(service.evidence, "nothing was moved");
    let problem = &service.problems[0];
    assert_eq!(
        problem.sentence,
        "AWS refused the update of the service `backend`, so nothing was moved by it."
    );
    assert!(
        problem.help.contains("`volumes`")
            && problem.cause.as_ref().unwrap().contains("Volume configuration")
    );
    assert!(!ran.change_operations().contains(&"StopServiceDeployment"));
}

/// A migration has run, so the run cannot say that nothing was changed.
#[test]
fn refused_update_after_a_command_is_a_failure() {
    let mut trial = TestRun::builtin("happy");
    trial.config.push_str("    before: { run: [./migrate, up], timeout: 5m }\n");
    let ran = refuse_update_of(trial, "InvalidParameterException", "Volume configuration data is missing.");
    assert_eq!(ran.report.outcome, Outcome::Failed, "{:#?}", ran.lines);
    assert_eq!(ran.report.services[0].evidence, "nothing was moved; `./migrate up` has run");
}

#[test]
fn requirements_of_the_service_are_checked_before_the_first_change() {
    let bridge = r#"{"family":"backend","networkMode":"bridge","containerDefinitions":[{"name":"app","image":"x","memory":128}]}"#;
    let table = [
        ("service-connect: [grpc]", "Service Connect"),
        ("launch-type: FARGATE", "cannot run there"),
        ("capacity-providers: [FARGATE_SPOT]", "the capacity provider FARGATE_SPOT"),
    ];
    for (members, words) in table {
        let definition =
            if members.contains("connect") { String::new() } else { format!(", task-definition: {bridge}") };
        let ran = TestRun::custom(&format!(
            "services: [{{ cluster: acme, name: backend, {members}{definition} }}]
repositories: {{ backend: {{ images: [{{ tags: [v1] }}] }} }}
"
        ))
        .run();
        assert_eq!(ran.report.outcome, Outcome::Invalid, "{members}: {:#?}", ran.lines);
        assert!(ran.change_operations().is_empty(), "{:?}", ran.change_operations());
        let problems = ran.report.all_problems();
        assert!(problems.iter().any(|problem| problem.sentence.contains(words)), "{members}: {problems:#?}");
    }
}
