//! Runs of AppConfig that are cancelled or killed, lose answers, or meet a deployment of somebody else.

use std::time::Duration;

use roadstead::action::inputs::RawInputs;
use roadstead::release::Outcome;
use roadstead_cloud::call_log::HookPhase;

use crate::appconfig::{
    AppConfigFixture, BETA_ON, CONFIG, SCENARIO, change_operations, create_other_version, problem_codes,
    run_again_with, serving_version, start_other_deployment, terminal_text,
};
use crate::support::run_in_virtual_time;
use crate::support::runner::Runner;

#[test]
fn cancel_stops_the_deployment_and_post_step_confirms() {
    for seconds in [30, 700, 1500] {
        let mut runner = Runner::custom(SCENARIO)
            .with_config(
                &CONFIG
                    .replace("eu-west-1 }", "eu-west-1, role: \"arn:aws:iam::111111111111:role/deploy\" }"),
            )
            .with_file("workspace/flags.json", BETA_ON);
        runner.cancel_after = Some(Duration::from_secs(seconds));
        let (main, post) = runner.run_main_and_post();
        assert_eq!(
            (main.exit_code, main.count_calls("StopDeployment")),
            (130, 1),
            "{seconds}: {:#?}",
            main.lines
        );
        assert!(main.elapsed <= Duration::from_secs(seconds + 7), "{seconds}: {:?}", main.elapsed);
        assert_eq!(post.exit_code, 0, "{seconds}: {:#?}", post.lines);
        let confirmed = post.lines.join("\n").contains("rolled back, confirmed: flags:1 serves");
        assert!(confirmed, "{seconds}: {:#?}", post.lines);
    }
}

#[test]
fn cancel_after_lost_start_answer_finds_the_deployment_by_run() {
    let world = format!("{SCENARIO}faults: [{{ response-lost: {{ operation: StartDeployment }} }}]");
    let mut runner = Runner::custom(&world)
        .with_config(
            &CONFIG.replace("eu-west-1 }", "eu-west-1, role: \"arn:aws:iam::111111111111:role/deploy\" }"),
        )
        .with_file("workspace/flags.json", BETA_ON);
    runner.cancel_after = Some(Duration::from_secs(1));
    let (main, post) = runner.run_main_and_post();
    assert_eq!(main.exit_code, 130, "{:#?}", main.lines);
    assert!(post.lines.join("\n").contains("flags:1"), "{:#?}", post.lines);
}

#[test]
fn other_deployment_in_progress_ends_the_run() {
    run_in_virtual_time(async {
        for (profile, version, words) in
            [("limits", "1", "of limits, version 1"), ("flags", "2", "of flags, version 2")]
        {
            let desk = AppConfigFixture::new("");
            let mut stage = desk.test_run.set_up();
            create_other_version(&stage.cloud, &BETA_ON.replace("Beta", "Theirs")).await;
            start_other_deployment(&stage.cloud, profile, version).await;
            let before = change_operations(&stage.cloud).len();
            let report = run_again_with(&mut stage, RawInputs::default()).await;
            assert_eq!(report.outcome, Outcome::Invalid);
            assert_eq!(problem_codes(&report), ["deployment-in-progress"]);
            assert!(report.all_problems()[0].sentence.contains(words), "{}", terminal_text(&report));
            assert_eq!(change_operations(&stage.cloud).len(), before);
        }
    });
}

#[test]
fn same_flags_in_progress_are_watched() {
    run_in_virtual_time(async {
        let desk = AppConfigFixture::new("");
        let mut stage = desk.with_deployment_in_progress().await;
        let before = change_operations(&stage.cloud).len();
        let inputs = RawInputs { timeout: Some("90m".into()), ..RawInputs::default() };
        let report = run_again_with(&mut stage, inputs).await;
        assert_eq!(report.outcome, Outcome::Deployed, "{}", terminal_text(&report));
        assert_eq!((change_operations(&stage.cloud).len(), serving_version(&stage.cloud)), (before, 2));
    });
}

#[test]
fn retryable_errors_start_one_deployment() {
    for fault in [
        "throttle: { operation: StartDeployment, times: 3 }",
        "throttle: { operation: GetDeployment, times: 12 }",
        "throttle: { operation: CreateHostedConfigurationVersion, times: 2 }",
        "response-lost: { operation: StartDeployment }",
        "response-lost: { operation: CreateHostedConfigurationVersion }",
        "no-answer: { operation: StartDeployment }",
        "server-errors: { from: 30, for: 90 }",
    ] {
        let ran = AppConfigFixture::new(&format!("faults: [{{ {fault} }}]")).run();
        assert_eq!(ran.report.outcome, Outcome::Deployed, "{fault}: {:#?}", ran.lines);
        assert_eq!(
            ran.change_operations(),
            ["CreateHostedConfigurationVersion", "StartDeployment"],
            "{fault}"
        );
    }
}

#[test]
fn run_killed_at_any_change_is_finished_by_the_next() {
    for change in 1..=2 {
        for phase in [HookPhase::Before, HookPhase::After] {
            for later in [5, 7200] {
                let (outcome, made) = run_killed_at_change(change, phase, later);
                let case = format!("change {change} {phase:?}, again after {later} s");
                assert!(matches!(outcome, Outcome::Deployed | Outcome::Unchanged), "{case}: {outcome:?}");
                assert_eq!(made, ["CreateHostedConfigurationVersion", "StartDeployment"], "{case}");
            }
        }
    }
}

/// The process dies at a change; some time later the job runs again.
fn run_killed_at_change(change: usize, phase: HookPhase, later: u64) -> (Outcome, Vec<String>) {
    run_in_virtual_time(async {
        let desk = AppConfigFixture::new("");
        let mut stage = desk.test_run.set_up();
        stage.run_until_killed(change, move |moment| moment.phase == phase && moment.is_mutating).await;
        tokio::time::sleep(Duration::from_secs(later)).await;
        let outcome = run_again_with(&mut stage, RawInputs::default()).await.outcome;
        assert_eq!(serving_version(&stage.cloud), 2);
        (outcome, change_operations(&stage.cloud))
    })
}
