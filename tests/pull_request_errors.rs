//! Checks and comments of a pull request where GitHub loses an answer, limits the rate or denies the permission.

use crate::pull_requests::{SCENARIO, pull_request_event, pull_request_runner, run_step};

#[test]
fn lost_answer_creates_nothing_twice() {
    for effect in [true, false] {
        let lost = ["issues/create-comment", "checks/create"]
            .map(|operation| format!("  - bad-gateway: {{ operation: {operation}, effect: {effect} }}\n"));
        let left = run_step(&pull_request_runner(&format!("{SCENARIO}faults:\n{}", lost.join(""))));
        assert_eq!((left.step.exit_code, left.comments.len(), left.checks.len()), (0, 1, 1), "{effect}");
        assert!(
            !left.step.annotation_lines().contains("not published"),
            "{effect}: {}",
            left.step.annotation_lines()
        );
    }
}

#[test]
fn short_rate_limit_is_awaited_and_long_one_is_a_notice() {
    let limited = |wait: u64| {
        let fault =
            format!("faults: [rate-limit: {{ operation: issues/create-comment, retry-after: {wait} }}]");
        run_step(&pull_request_runner(&format!("{SCENARIO}{fault}")))
    };
    assert_eq!(limited(10).comments.len(), 1);
    let long = limited(600);
    assert_eq!((long.step.exit_code, long.comments.len(), long.checks.len()), (0, 0, 1));
    assert!(
        long.step.annotation_lines().contains("::notice title=not published::"),
        "{}",
        long.step.annotation_lines()
    );
}

#[test]
fn missing_permission_is_one_notice() {
    let without = |rights: &str| {
        let token = format!("  job-token: {{ permissions: {{ {rights} }} }}\n");
        run_step(&pull_request_runner(&format!("{SCENARIO}{token}")))
    };
    let left = without("checks: read, pull-requests: read, issues: read");
    assert_eq!((left.step.exit_code, left.step.output("outcome")), (0, "planned"));
    assert_eq!((left.comments.len(), left.checks.len()), (0, 0));
    let all = left.step.annotations();
    let notices: Vec<&&str> = all.iter().filter(|line| line.contains("not published")).collect();
    let sentence = "The plan is not shown as a check and a comment: the job's token lacks `checks: write` and `pull-requests: write`.";
    assert_eq!(notices.len(), 1, "{notices:#?}");
    assert!(notices[0].starts_with(&format!("::notice title=not published::{sentence}")), "{notices:#?}");
    let left = without("checks: none");
    assert_eq!((left.comments.len(), left.checks.len()), (1, 0));
    assert!(
        left.step.annotation_lines().contains("`permissions: { checks: write }`"),
        "{}",
        left.step.annotation_lines()
    );
}

#[test]
fn fork_gets_no_check_and_no_comment() {
    let fork = pull_request_runner(SCENARIO).with_file("event.json", &pull_request_event(2, "opened"));
    let dependabot = pull_request_runner(SCENARIO).with_variable("GITHUB_ACTOR", "dependabot[bot]");
    let target = pull_request_runner(SCENARIO).with_variable("GITHUB_EVENT_NAME", "pull_request_target");
    let closed = pull_request_runner(SCENARIO).with_file("event.json", &pull_request_event(1, "closed"));
    let named = pull_request_runner(SCENARIO)
        .with_variable("GITHUB_EVENT_NAME", "pull_request_target")
        .with_variable("INPUT_ENVIRONMENT", "production");
    for (what, runner) in
        [("fork", fork), ("dependabot", dependabot), ("target", target), ("closed", closed), ("named", named)]
    {
        let left = run_step(&runner);
        assert_eq!((left.step.exit_code, left.step.output("outcome")), (0, "skipped"), "{what}");
        assert_eq!(left.step.calls.len(), 0, "{what}");
        assert!(left.step.summary.contains("nothing to do — "), "{what}: {}", left.step.summary);
    }
}
