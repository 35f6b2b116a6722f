//! A cancelled step and its post step, as the runner starts them.

use std::time::Duration;

use crate::runner::FAST;
use crate::support::runner::Runner;

#[test]
fn cancelled_run_requests_rollback_and_post_step_confirms() {
    let mut runner = Runner::custom(&format!("{FAST}faults: [slow-start: {{ seconds: 300 }}]"));
    runner.cancel_after = Some(Duration::from_secs(60));
    let (main, post) = runner.run_main_and_post();
    assert_eq!((main.exit_code, main.count_calls("StopServiceDeployment")), (130, 1));
    insta::assert_snapshot!(main.plain_outputs(), @"
    outcome=cancelled
    environment=production
    image=111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend@sha256:d7293da258f4ae907f370bbb54b13006e3d3ca6cd16401cd3a503abb60e3f342
    previous=backend:1
    url=https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1
    commit=0123456789abcdef0123456789abcdef01234567
    ");
    insta::assert_snapshot!(main.visible_summary(), @r"
    ## 🛑 production: `backend` was cancelled — the serving version is unknown

    _Rehearsal on the emulator: no real resource was changed._

    **1 problem**

    - [`cancelled`](https://github.com/roadstead/roadstead/blob/main/docs/problems.md#cancelled) · `backend` — Cancelled; the rollback to backend:1 was requested; the post step confirms what serves.

    | service | serving | from → to | evidence | took |
    |---|---|---|---|---|
    | [`backend`](https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1) | – | `backend:1` → `backend:2`<br>`sha256:d7293da258f4…` · [`0123456`](https://github.com/acme/shop/commit/0123456789abcdef0123456789abcdef01234567) | cancelled; the rollback to backend:1 was requested; the post step confirms what serves | … s |
    ");
    insta::assert_snapshot!(post.visible_summary(), @"
    ## ✅ production: `backend` rolled back; `backend:1` serves 100 % of traffic (verified in … s)

    _Rehearsal on the emulator: no real resource was changed._

    | service | serving | from → to | evidence | took |
    |---|---|---|---|---|
    | [`backend`](https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1) | `backend:1` | `backend:1` → `backend:2`<br>[`0123456`](https://github.com/acme/shop/commit/0123456789abcdef0123456789abcdef01234567) | rolled back, confirmed: backend:1 serves | … s |
    ");
    assert_eq!(post.count_calls("StopServiceDeployment"), 1, "the rollback was requested before");
    assert_eq!(post.outputs, [], "outputs of a post step reach nobody");
}

#[test]
fn post_step_timeout_reports_what_continues() {
    let mut runner = Runner::builtin("slow-start");
    runner.cancel_after = Some(Duration::from_secs(60));
    let (_, post) = runner.run_main_and_post();
    insta::assert_snapshot!(post.visible_summary(), @"
    ## 🛑 production: `backend` was cancelled — the serving version is unknown

    _Rehearsal on the emulator: no real resource was changed._

    | service | serving | from → to | evidence | took |
    |---|---|---|---|---|
    | [`backend`](https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1) | – | `backend:1` → `backend:2`<br>[`0123456`](https://github.com/acme/shop/commit/0123456789abcdef0123456789abcdef01234567) | backend:1 is being restored; the provider continues the rollback | … s |
    ");
}

#[test]
fn a_cancel_before_any_change_is_no_skip() {
    for after in [1, 150, 400] {
        let mut runner = Runner::builtin("happy");
        runner.cancel_after = Some(Duration::from_millis(after));
        let (main, post) = runner.run_main_and_post();
        assert_eq!(
            (main.exit_code, main.output("outcome")),
            (130, "cancelled"),
            "{after}: {:#?}",
            main.lines
        );
        assert_eq!(main.count_calls("UpdateService"), 0, "{after}");
        assert_eq!(post.exit_code, 0, "{after}: {:#?}", post.lines);
    }
}

#[test]
fn post_step_after_finished_run_is_silent() {
    let (main, post) = Runner::builtin("happy").run_main_and_post();
    assert_eq!((main.exit_code, post.exit_code, post.summary.as_str()), (0, 0, ""));
    assert_eq!(post.calls.len(), main.calls.len(), "nothing is asked");
    let (main, post) = Runner::builtin("happy").with_variable("INPUT_TIMEOUT", "soon").run_main_and_post();
    assert_eq!(
        (main.exit_code, post.exit_code, post.annotations()),
        (2, 0, vec![]),
        "problems are told once"
    );
}
