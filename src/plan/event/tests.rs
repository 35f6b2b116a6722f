//! Every event of GitHub and what a run of it may do, against the table of docs/events.md.

use super::*;

fn push_event() -> Trigger<'static> {
    Trigger { event: Some("push"), branch: Some("main"), ..Trigger::default() }
}

fn pull_request_event() -> Trigger<'static> {
    Trigger {
        event: Some("pull_request"),
        action: Some("opened"),
        base_branch: Some("main"),
        ..Trigger::default()
    }
}

fn after_run(conclusion: Option<&'static str>, event: &'static str, same_commit: bool) -> Trigger<'static> {
    let commit = Some(if same_commit { "c0ffee1" } else { "beef002" });
    let after = UpstreamRun { event: Some(event), conclusion, branch: Some("develop"), commit };
    let (event, branch) = (Some("workflow_run"), Some("main"));
    Trigger { event, branch, upstream_run: Some(after), commit: Some("c0ffee1"), ..Trigger::default() }
}

fn describe(on: Trigger<'_>) -> String {
    let EventDecision { allowed: may, branch } = allow(&on);
    match may {
        Allowed::Everything => format!("everything by {}", branch.unwrap_or("name")),
        Allowed::OnlyMerged(commits) => format!("everything if merged: {}", commits.join(" ")),
        Allowed::PlanOnly => format!("plan for {}", branch.unwrap_or("name")),
        Allowed::Nothing(why) => format!("nothing: {why}"),
    }
}

#[test]
fn merged_code_of_this_repository_may_be_released() {
    let tag = Trigger { branch: None, tag: Some("v1"), ..push_event() };
    let release =
        |action| Trigger { event: Some("release"), action: Some(action), environment_named: true, ..tag };
    let dispatch = Trigger { event: Some("workflow_dispatch"), ..push_event() };
    insta::assert_snapshot!([
        describe(Trigger::default()),
        describe(push_event()),
        describe(Trigger { ref_deleted: true, ..push_event() }),
        describe(tag),
        describe(Trigger { environment_named: true, ..tag }),
        describe(dispatch),
        describe(release("published")),
        describe(Trigger { environment_named: false, ..release("published") }),
        describe(release("deleted")),
    ].join("\n"), @"
    everything by name
    everything by main
    nothing: a branch or tag was deleted, which releases nothing
    nothing: `v1` is a tag, and a tag selects no environment: name the environment in the workflow
    everything by name
    everything by main
    everything by name
    nothing: `v1` is a tag, and a tag selects no environment: name the environment in the workflow
    nothing: a release was deleted, which releases no code
    ");
}

#[test]
fn unmerged_code_is_only_planned() {
    let with = |event| Trigger { event: Some(event), ..pull_request_event() };
    insta::assert_snapshot!([
        describe(pull_request_event()),
        describe(with("pull_request_review")),
        describe(with("merge_group")),
        describe(Trigger { secrets_withheld: true, ..pull_request_event() }),
        describe(Trigger { action: Some("closed"), ..pull_request_event() }),
        describe(Trigger { environment_named: true, ..with("pull_request_target") }),
    ].join("\n"), @r"
    plan for main
    plan for main
    plan for main
    nothing: GitHub gives no secrets and no OIDC token to this run (a fork or Dependabot), so nothing can be read or changed
    nothing: the pull request is closed; a merge triggers its own push event
    nothing: `pull_request_target` has this repository's secrets on behalf of code that is not merged, so nothing is planned or released; use `pull_request`
    ");
}

#[test]
fn workflow_run_releases_only_the_commit_of_its_upstream_run() {
    insta::assert_snapshot!([
        describe(after_run(Some("success"), "push", true)),
        describe(after_run(Some("success"), "push", false)),
        describe(Trigger { environment_named: true, ..after_run(Some("success"), "push", false) }),
        describe(after_run(Some("failure"), "push", true)),
        describe(after_run(None, "push", true)),
        describe(Trigger { environment_named: true, ..after_run(Some("success"), "pull_request", true) }),
        describe(Trigger { is_from_fork: true, environment_named: true, ..after_run(Some("success"), "push", true) }),
        describe(Trigger { upstream_run: None, environment_named: true, ..after_run(None, "push", true) }),
    ].join("\n"), @"
    everything by develop
    nothing: the triggering workflow run was of another commit than this run: name the environment, and check out the commit of that run
    everything by develop
    nothing: the triggering workflow run ended as `failure`
    nothing: the triggering workflow run has not ended
    nothing: the triggering workflow run was of a pull request; code that is not merged is not released
    nothing: the triggering workflow run was of a fork; code that is not merged is not released
    nothing: the event does not name the workflow run that triggered it
    ");
}

#[test]
fn workflow_run_after_any_other_event_releases_only_merged_commits() {
    let named = |event| Trigger { environment_named: true, ..after_run(Some("success"), event, false) };
    let nameless = UpstreamRun { event: None, ..named("push").upstream_run.unwrap() };
    insta::assert_snapshot!([
        describe(named("check_run")),
        describe(named("issue_comment")),
        describe(named("merge_group")),
        describe(named("pull_request_target")),
        describe(Trigger { upstream_run: Some(nameless), ..named("push") }),
        describe(after_run(Some("success"), "status", true)),
    ].join("\n"), @r"
    everything if merged: beef002 c0ffee1
    everything if merged: beef002 c0ffee1
    nothing: the triggering workflow run was of a pull request; code that is not merged is not released
    nothing: the triggering workflow run was of a pull request; code that is not merged is not released
    nothing: the triggering workflow run does not name its own event
    nothing: the event `workflow_run` after `status` does not select an environment: name it in the workflow
    ");
}

/// The page of events that start workflows, as of 2026.
const EVENTS_OF_GITHUB: &str = "branch_protection_rule check_run check_suite create delete deployment \
    deployment_status discussion discussion_comment fork gollum image_version issue_comment issues label \
    merge_group milestone page_build public pull_request pull_request_review pull_request_review_comment \
    pull_request_target push registry_package release repository_dispatch schedule status watch \
    workflow_dispatch workflow_run";

#[test]
fn page_lists_every_event_that_is_known_and_no_other() {
    let page = include_str!("../../../docs/events.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let cells: Vec<&str> = rows.filter_map(|row| row.trim_start_matches("| ").split(" | ").next()).collect();
    for event in EVENTS_OF_GITHUB.split_whitespace().chain(["brand_new", "pull_request_comment", "ping"]) {
        let on = Trigger { event: Some(event), environment_named: true, ..Trigger::default() };
        let is_known = !describe(on).contains("is not known to release code");
        let is_listed = cells.iter().any(|cell| cell.contains(&format!("`{event}`")));
        assert_eq!(is_listed, is_known, "{event}");
    }
}

#[test]
fn any_other_event_needs_a_name_and_a_merged_commit() {
    let comment = Trigger { event: Some("issue_comment"), commit: Some("c0ffee1"), ..push_event() };
    let on_pull = Trigger { is_about_pull_request: true, ..comment };
    let check = Trigger { event: Some("check_run"), event_commit: Some("dd00dd1"), ..comment };
    let named = |on: Trigger<'static>| describe(Trigger { environment_named: true, ..on });
    insta::assert_snapshot!([
        describe(comment),
        named(comment),
        named(on_pull),
        describe(check),
        named(check),
        named(Trigger { event: Some("deployment_status"), event_commit: comment.commit, ..check }),
        named(Trigger { event_commit: None, ..check }),
        named(Trigger { commit: None, ..comment }),
        named(Trigger { event: Some("brand_new"), ..check }),
    ].join("\n"), @r"
    nothing: the event `issue_comment` does not select an environment: name it in the workflow
    everything if merged: c0ffee1
    nothing: the event is about a pull request; code that is not merged is not released
    nothing: the event `check_run` does not select an environment: name it in the workflow
    everything if merged: dd00dd1 c0ffee1
    everything if merged: c0ffee1
    nothing: the event `check_run` does not name its commit; code that is not merged is not released
    nothing: the event `issue_comment` does not name its commit; code that is not merged is not released
    nothing: the event `brand_new` is not known to release code
    ");
}
