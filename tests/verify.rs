//! Checks of addresses, whole: after a deploy, after a rollback, and as an operation of their own.

use roadstead::action::inputs::RawInputs;
use roadstead::cli::rehearse::ScenarioSource;
use roadstead::release::Outcome;
use roadstead_cloud::scenario::Scenario;

use crate::support::runner::{self, Runner, StepResult};
use crate::support::{CONFIG, RunResult, TestRun, run_in_virtual_time};

const CHECK: &str = "    verify: [{ http: \"https://${environment}.acme.dev/health\" }]\n";

/// A deploy in a scenario with these faults, with this line of checks.
fn deploy_with(faults: &str, check: &str) -> RunResult {
    let mut trial = TestRun::custom(&format!("faults: {faults}"));
    trial.config = format!("{CONFIG}{check}");
    trial.run()
}

fn outcome_codes_and_version(ran: &RunResult) -> (Outcome, Vec<&'static str>, String) {
    let serves = ran.cloud.serving_state("acme", "backend").unwrap();
    (
        ran.report.outcome,
        ran.problem_codes(),
        serves.only_version().unwrap_or("").rsplit('/').next().unwrap().to_owned(),
    )
}

fn failure_cause(ran: &RunResult) -> String {
    let failure = ran.report.services[0].failure.as_ref().unwrap_or_else(|| panic!("{:#?}", ran.lines));
    failure.problem.cause.clone().unwrap_or_default()
}

#[test]
fn version_with_passing_checks_is_deployed() {
    let ran = deploy_with("[]", CHECK);
    assert_eq!(
        outcome_codes_and_version(&ran),
        (Outcome::Deployed, vec![], "backend:2".into()),
        "{:#?}",
        ran.lines
    );
    insta::assert_snapshot!(ran.report.services[0].evidence, @"service deployment SUCCESSFUL, 2 of 2 targets healthy; 1 check holds");
    let log = ran.lines.join("\n");
    assert!(log.contains("shift 100 % → verify → run the checks"), "{log}");
    assert!(
        ran.calls.iter().any(|call| call.service == "web" && call.input["host"] == "production.acme.dev")
    );
}

#[test]
fn version_with_failing_check_is_rolled_back_although_healthy() {
    let ran = deploy_with("[bad-answers: { status: 500 }]", CHECK);
    assert_eq!(
        outcome_codes_and_version(&ran),
        (Outcome::Failed, vec!["check-failed"], "backend:1".into()),
        "{:#?}",
        ran.lines
    );
    assert_eq!(failure_cause(&ran), "it responded with 500 instead of 200");
    let problem = &ran.report.services[0].failure.as_ref().unwrap().problem;
    insta::assert_snapshot!(problem.sentence, @"The check of `https://production.acme.dev/health` did not pass within 1m.");
}

#[test]
fn every_strategy_runs_checks_and_rolls_back_on_failure() {
    for strategy in [
        "rolling",
        "{ blue-green: { bake: 1m } }",
        "{ linear: { step: 50, bake: 1m, final-bake: 1m } }",
        "{ canary: { percent: 10, bake: 1m, final-bake: 1m } }",
    ] {
        for (faults, outcome, serves) in
            [("[]", Outcome::Deployed, "backend:2"), ("[bad-answers: {}]", Outcome::Failed, "backend:1")]
        {
            let parsed = Scenario::parse(&format!("faults: {faults}")).unwrap();
            let world = Scenario { faults: parsed.faults, ..Scenario::default_for([("acme", "backend")]) };
            let mut trial =
                TestRun::from_source(ScenarioSource::Custom(Box::new(world.with_target_group_pairs())));
            trial.config = format!("{CONFIG}    strategy: {strategy}\n{CHECK}");
            let ran = trial.run();
            let (ended, _, now) = outcome_codes_and_version(&ran);
            assert_eq!((ended, now.as_str()), (outcome, serves), "{strategy} {faults}: {:#?}", ran.lines);
        }
    }
}

#[test]
fn late_address_is_awaited_within_its_timeout() {
    let late = "[bad-answers: { version: all, status: 503, for: 150 }]";
    let check = "    verify: [{ http: \"https://x.acme.dev/\", within: 3m }]\n";
    let ran = deploy_with(late, check);
    assert_eq!(
        outcome_codes_and_version(&ran),
        (Outcome::Deployed, vec![], "backend:2".into()),
        "{:#?}",
        ran.lines
    );
    assert!(ran.report.elapsed().as_secs() >= 150);
    assert!(
        ran.lines
            .iter()
            .any(|line| line.contains("does not hold yet: https://x.acme.dev/: it responded with 503"))
    );
}

#[test]
fn check_failure_reports_the_observed_response() {
    let table = [
        (
            "{ status: 200, body: \"<h1>Welcome to nginx!</h1>\" }",
            "body: version",
            "its body (26 bytes) does not contain `version`",
        ),
        ("{ status: 200, body: ok, takes: 0.9 }", "latency: 500ms", "more than 500 ms"),
        ("{ status: 200, takes: 30 }", "latency: 500ms", "no response within 5 s"),
        (
            "{ status: 301, location: \"https://elsewhere.dev/\" }",
            "redirects: \"https://www.acme.dev/\"",
            "it redirects to https://elsewhere.dev/ instead of https://www.acme.dev/",
        ),
        (
            "{ status: 302, location: /login }",
            "status: [200, 204]",
            "it responded with 302 instead of 200 or 204",
        ),
        ("{ status: 302, location: / }", "redirects: follow", "it redirects more than 5 times"),
        (
            "{ status: 302, location: \"http://x.acme.dev/\" }",
            "redirects: follow",
            "it redirects from https to http",
        ),
    ];
    for (answer, wanted, said) in table {
        let check = format!("    verify: [{{ http: \"https://x.acme.dev/\", {wanted}, within: 10s }}]\n");
        let ran = deploy_with(&format!("[bad-answers: {answer}]"), &check);
        assert!(failure_cause(&ran).contains(said), "{answer}: {}", failure_cause(&ran));
        assert_eq!(outcome_codes_and_version(&ran).2, "backend:1", "{answer}");
    }
}

#[test]
fn redirects_are_followed_only_if_configured() {
    let moved = "[bad-answers: { path: /old, status: 302, location: \"https://x.acme.dev/new\" }]";
    let check = "    verify: [{ http: \"https://x.acme.dev/old\", redirects: follow, body: fine }, { http: \"https://x.acme.dev/new\", body: fine }]\n";
    let ran = deploy_with(moved, check);
    assert_eq!(
        outcome_codes_and_version(&ran),
        (Outcome::Deployed, vec![], "backend:2".into()),
        "{:#?}",
        ran.lines
    );
    assert!(ran.report.services[0].evidence.ends_with("; 2 checks hold"));
}

#[test]
fn unchecked_certificate_is_not_claimed() {
    let ran = deploy_with("[]", "    verify: [{ http: \"https://x.acme.dev/\", certificate-days: 14 }]\n");
    assert_eq!(outcome_codes_and_version(&ran).1, ["check-incomplete"], "{:#?}", ran.lines);
    assert!(ran.report.services[0].evidence.ends_with("; 1 check holds, as far as could be looked"));
}

#[test]
fn rollback_reports_check_failures_and_is_kept() {
    let mut trial = TestRun::custom("faults: [bad-answers: { version: old }]");
    trial.config = format!("{CONFIG}{CHECK}");
    let (first, second, serves) = run_in_virtual_time(async {
        let stage = trial.set_up();
        let first = stage.run().await;
        let inputs = RawInputs { operation: Some("rollback".into()), ..RawInputs::default() };
        let back = TestRun { inputs, ..TestRun::from_source(trial.scenario.clone()) };
        let back = TestRun { config: trial.config.clone(), ..back };
        let second = stage.with_test_run(&back).run().await;
        (
            first,
            second,
            stage.cloud.serving_state("acme", "backend").unwrap().only_version().map(str::to_owned),
        )
    });
    assert_eq!((first.outcome, second.outcome), (Outcome::Deployed, Outcome::RolledBack), "{second:#?}");
    assert!(serves.unwrap().ends_with("backend:1"));
    let codes: Vec<_> = second.all_problems().iter().map(|it| (it.code.name(), it.severity)).collect();
    assert_eq!(codes, [("check-failed", roadstead::problem::Severity::Warning)]);
    assert!(second.services[0].evidence.ends_with("; a check does not hold"));
}

#[test]
fn checks_leave_time_for_the_rollback() {
    let mut trial = TestRun::custom("faults: [bad-answers: { status: 503 }]");
    trial.config = format!("{CONFIG}    verify: [{{ http: \"https://x.acme.dev/\", within: 20m }}]\n");
    trial.inputs.timeout = Some("10m".into());
    let ran = trial.run();
    assert_eq!((ran.report.outcome, ran.problem_codes()), (Outcome::Invalid, vec!["input-invalid"]));
    assert_eq!(ran.change_operations(), Vec::<&str>::new());
}

#[test]
fn invalid_checks_are_rejected_before_any_change() {
    let runner = Runner::builtin("happy");
    let slips = format!(
        "{}{}",
        runner::CONFIG,
        "    verify:\n      - { http: \"http://x.acme.dev/\", certificate-days: 14 }\n      - { http: \"https://x.acme.dev/\", certificate-days: 14, statuss: 200 }\n",
    );
    let step = run_in_virtual_time(async {
        let (cloud, clock) = runner.start_cloud();
        let runner = runner.with_file("workspace/.github/roadstead.yml", &slips);
        runner.run_main_on(&cloud, clock).await
    });
    insta::assert_snapshot!(step.annotation_lines(), @"
    ::error title=backend%3A config invalid,file=.github/roadstead.yml,line=9,col=57::`certificate-days` needs a URL with a certificate.%0AUse a URL that begins with `https://`.
    ::error title=backend%3A config invalid,file=.github/roadstead.yml,line=10,col=62::`statuss` is not a key of service `backend` (in `verify.1`).%0ADid you mean `status`? Known: `http`, `status`, `body`, `latency`, `certificate-days`, `redirects`, `headers`, `within`.
    ");
    assert_eq!((step.exit_code, step.count_changes()), (2, 0));
}

/// `operation: verify` with these faults and checks.
fn run_verify(faults: &str, check: &str) -> StepResult {
    let runner = Runner::custom(&format!("faults: {faults}")).with_variable("INPUT_OPERATION", "verify");
    let step = runner.with_config(&format!("{}{check}", runner::CONFIG)).run_main();
    assert_eq!(step.count_changes(), 0);
    assert_eq!(step.state, None, "nothing is left for the post step");
    step
}

#[test]
fn verify_operation_changes_nothing() {
    let step = run_verify("[]", CHECK);
    insta::assert_snapshot!(step.stable_summary(), @r"
    ## ✅ production: `backend` `backend:1` serves and is healthy

    _Rehearsal on the emulator: no real resource was changed._

    | service | serving | from → to | evidence | took |
    |---|---|---|---|---|
    | [`backend`](https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1) | `backend:1`<br>`sha256:028817b3422c…` | `backend:1`<br>`sha256:028817b3422c…` | rollout COMPLETED SUCCESSFUL, 2 of 2 targets healthy; 1 check holds | under … s |

    <details><summary>Timeline</summary>

    | UTC |  |
    |---|---|
    | hh:mm:ss | proven: rollout COMPLETED SUCCESSFUL, 2 of 2 targets healthy; 1 check holds |

    </details>

    <sub>Roadstead verify · [`0123456`](https://github.com/acme/shop/commit/0123456789abcdef0123456789abcdef01234567) · [run](https://github.com/acme/shop/actions/runs/7/attempts/1) · 2026-03-02 hh:mm UTC · under … s</sub>
    ");
    assert_eq!(
        (step.exit_code, step.output("outcome"), step.output("version")),
        (0, "verified", "backend:1")
    );
    let reads = ["AssumeRole", "GetId", "Describe", "List", "Get"];
    let other = step.calls.iter().find(|call| !reads.iter().any(|start| call.operation.starts_with(start)));
    assert!(other.is_none(), "{other:?}");
}

#[test]
fn verify_without_checks_reports_only_health() {
    let step = run_verify("[]", "");
    assert_eq!(step.exit_code, 0);
    assert!(step.summary.contains("`backend:1` serves and is healthy"), "{}", step.summary);
    assert!(!step.summary.contains("check"), "{}", step.summary);
}

/// Running tasks alone prove nothing about traffic; a check that passes does.
#[test]
fn targets_that_may_not_be_read_are_inconclusive_without_checks() {
    let deny = "[deny: { action: \"elasticloadbalancing:DescribeTargetHealth\" }]";
    let step = run_verify(deny, "");
    assert_eq!((step.exit_code, step.output("outcome")), (6, "inconclusive"));
    for words in [
        "`backend` is not known to be healthy",
        "2 of 2 tasks running, targets not read",
        "permission-missing",
    ] {
        assert!(step.summary.contains(words), "{words}: {}", step.summary);
    }
    let step = run_verify(deny, CHECK);
    assert_eq!((step.exit_code, step.output("outcome")), (0, "verified"));
    let annotations = step.annotation_lines();
    assert!(
        annotations.contains("::warning") && annotations.contains("DescribeTargetHealth"),
        "{annotations}"
    );
}

#[test]
fn failing_check_is_not_verified() {
    let step = run_verify("[bad-answers: { version: all, status: 502, body: Bad Gateway }]", CHECK);
    assert_eq!((step.exit_code, step.output("outcome")), (3, "failed"));
    insta::assert_snapshot!(step.visible_summary(), @r"
    ## ❌ production: `backend` failed its checks — `backend:1` serves

    _Rehearsal on the emulator: no real resource was changed._

    **Cause**: The check of `https://production.acme.dev/health` did not pass within 1m. ([`check-failed`](https://github.com/roadstead/roadstead/blob/main/docs/problems.md#check-failed))

    > it responded with 502 instead of 200

    **What to do**: Look at what answers there, and at the logs of the service.

    | service | serving | from → to | evidence | took |
    |---|---|---|---|---|
    | [`backend`](https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1) | `backend:1`<br>`sha256:028817b3422c…` | `backend:1` | The check of `https://production.acme.dev/health` did not pass within 1m | … s |
    ");
}

#[test]
fn missing_service_is_not_verified() {
    let runner = Runner::builtin("happy").with_variable("INPUT_OPERATION", "verify");
    let text = runner::CONFIG.replace("service: backend", "service: gone");
    let (world, gone) = (runner::CONFIG, text);
    let step = run_in_virtual_time(async {
        let (cloud, clock) = runner.start_cloud();
        let runner = runner.with_file("workspace/.github/roadstead.yml", &gone);
        runner.run_main_on(&cloud, clock).await
    });
    assert_ne!(world, gone);
    assert_eq!((step.exit_code, step.output("outcome")), (3, "failed"));
    assert!(
        step.summary.contains("service-missing") || step.summary.contains("**Cause**"),
        "{}",
        step.summary
    );
}

#[test]
fn verify_during_a_rollout_is_not_healthy() {
    let runner = Runner::builtin("happy");
    let step = run_in_virtual_time(async {
        let (cloud, clock) = runner.start_cloud();
        let deploy = runner.run_main_on(&cloud, clock);
        let look = async {
            tokio::time::sleep(std::time::Duration::from_secs(20)).await;
            let looker = Runner::builtin("happy").with_variable("INPUT_OPERATION", "verify");
            looker.run_main_on(&cloud, clock).await
        };
        tokio::join!(deploy, look).1
    });
    assert_eq!((step.exit_code, step.output("outcome")), (3, "failed"), "{}", step.summary);
    assert!(step.summary.contains("A rollout is under way"), "{}", step.summary);
}

#[test]
fn handed_off_service_reports_skipped_checks() {
    let mut trial = TestRun::builtin("gitops-happy");
    trial.config = "environments: { production: { branches: [main] } }\nservices:\n  web:\n    argocd: { repository: acme/manifests, files: [{ path: apps/web/kustomization.yaml }] }\n    verify: [{ http: \"https://web.acme.dev/\" }]\n".into();
    trial.inputs.image = Some("ghcr.io/acme/web:v2".into());
    let ran = trial.run();
    assert_eq!(ran.report.outcome, Outcome::Committed, "{:#?} {:#?}", ran.report, ran.lines);
    assert_eq!(ran.problem_codes(), ["check-incomplete"]);
    assert!(!ran.calls.iter().any(|call| call.service == "web"));
}
