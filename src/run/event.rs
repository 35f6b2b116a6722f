//! What this run may do: the facts of its event, handed to the core, which decides. No decision here.

use crate::action::{GithubContext, Operation};
use crate::plan;
use crate::plan::{Allowed, EventDecision, Trigger, UpstreamRun};
use crate::run::context::RunContext;

/// What the run may do, and for which branch.
pub(in crate::run) fn event_decision(ctx: &RunContext) -> EventDecision<'_> {
    decide_for(&ctx.context, ctx.inputs.environment.is_some())
}

fn decide_for(context: &GithubContext, named: bool) -> EventDecision<'_> {
    plan::allow(&Trigger {
        event: context.event_name.as_deref(),
        action: context.event.action.as_deref(),
        branch: context.branch(),
        tag: context.tag(),
        base_branch: context.base_branch(),
        environment_named: named,
        secrets_withheld: context.lacks_secrets(),
        is_from_fork: context.is_from_fork(),
        ref_deleted: context.event.is_ref_deleted,
        is_about_pull_request: context.event.is_about_pull_request,
        commit: context.sha.as_deref(),
        event_commit: context.event.commit.as_deref(),
        upstream_run: upstream_run(context),
    })
}

fn upstream_run(context: &GithubContext) -> Option<UpstreamRun<'_>> {
    let after = context.event.upstream_run.as_ref()?;
    Some(UpstreamRun {
        event: after.event.as_deref(),
        conclusion: after.conclusion.as_deref(),
        branch: after.head_branch.as_deref(),
        commit: after.head_sha.as_deref(),
    })
}

/// What is done: what was asked for, unless that is a plan, or the event allows a plan alone.
pub(in crate::run) fn operation(ctx: &RunContext) -> Operation {
    let is_plan = ctx.inputs.dry_run || event_decision(ctx).allowed == Allowed::PlanOnly;
    if is_plan { Operation::Plan } else { ctx.inputs.operation }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    /// GitHub's own examples of webhooks, a line each.
    const EXAMPLES: &str = include_str!("../../tests/fixtures/webhooks/examples.jsonl");

    /// What GitHub sets for an event, as its page of events that start workflows says.
    fn context(event: &str, payload: &Value) -> GithubContext {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let head = |branch: &Value| format!("refs/heads/{}", text(branch));
        let default = head(&payload["repository"]["default_branch"]);
        let pull = &payload["pull_request"];
        let full = |value: &Value| if text(value).starts_with("refs/") { text(value) } else { head(value) };
        let reference = match event {
            "push" if payload["deleted"] == true => default.clone(),
            "push" | "workflow_dispatch" => full(&payload["ref"]),
            "create" if payload["ref_type"] == "tag" => format!("refs/tags/{}", text(&payload["ref"])),
            "create" => head(&payload["ref"]),
            "release" => format!("refs/tags/{}", text(&payload["release"]["tag_name"])),
            "deployment" | "deployment_status" => head(&payload["deployment"]["ref"]),
            "merge_group" => text(&payload["merge_group"]["head_ref"]),
            "pull_request" | "pull_request_review" | "pull_request_review_comment" => {
                format!("refs/pull/{}/merge", pull["number"])
            }
            _ => default.clone(),
        };
        let ends = event == "pull_request" || event == "pull_request_target";
        let (of_head, of_base) =
            if ends { (text(&pull["head"]["ref"]), text(&pull["base"]["ref"])) } else { Default::default() };
        let pairs = [
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_EVENT_NAME", event.to_owned()),
            ("GITHUB_REF", reference),
            ("GITHUB_HEAD_REF", of_head),
            ("GITHUB_BASE_REF", of_base),
            ("GITHUB_SHA", "c0ffee1".into()),
            ("GITHUB_ACTOR", "ann".into()),
        ];
        let variables = pairs.map(|(name, value)| (name.to_owned(), value)).into();
        GithubContext::from_variables(&variables).with_event(&payload.to_string())
    }

    fn describe(ruling: EventDecision<'_>) -> String {
        match ruling.allowed {
            Allowed::Everything => format!("everything, by {}", ruling.branch.map_or("name", |_| "branch")),
            Allowed::OnlyMerged(commits) => {
                format!(
                    "everything, if {} merged",
                    if commits.len() == 1 { "its commit is" } else { "both commits are" }
                )
            }
            Allowed::PlanOnly => format!("a plan, for {}", ruling.branch.unwrap_or("?")),
            Allowed::Nothing(why) => format!("nothing: {why}"),
        }
    }

    fn examples() -> impl Iterator<Item = (String, Value)> {
        EXAMPLES.lines().map(|line| {
            let mut example: Value = serde_json::from_str(line).unwrap();
            let event = example["event"].as_str().unwrap().to_owned();
            (event, example["payload"].take())
        })
    }

    /// Each decision with the number of examples and with their actions.
    fn table(named: bool) -> String {
        let mut rows = BTreeMap::<(String, String), (usize, Vec<String>)>::new();
        for (event, payload) in examples() {
            let said = describe(decide_for(&context(&event, &payload), named));
            let (count, actions) = rows.entry((event, said)).or_default();
            *count += 1;
            let action = payload["action"].as_str().unwrap_or_default().to_owned();
            if !action.is_empty() && !actions.contains(&action) {
                actions.push(action);
            }
        }
        let row = |((event, said), (count, actions)): ((String, String), (usize, Vec<String>))| {
            let few =
                if actions.len() > 4 { format!("{} actions", actions.len()) } else { actions.join(", ") };
            format!("{count} × {event} ({few}): {said}")
        };
        rows.into_iter().map(row).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_example_of_github_is_decided() {
        insta::assert_snapshot!(table(false), @r"
        5 × branch_protection_rule (edited, created, deleted): nothing: the event `branch_protection_rule` does not select an environment: name it in the workflow
        2 × check_run (rerequested): nothing: the event `check_run` does not select an environment: name it in the workflow
        7 × check_run (created, completed, requested_action): nothing: the event is about a pull request; code that is not merged is not released
        4 × check_suite (completed, requested): nothing: the event `check_suite` does not select an environment: name it in the workflow
        5 × check_suite (completed, rerequested): nothing: the event is about a pull request; code that is not merged is not released
        5 × create (): nothing: `simple-tag` is a tag, and a tag selects no environment: name the environment in the workflow
        4 × delete (): nothing: a branch or tag was deleted, which releases nothing
        4 × deployment (created): nothing: the event `deployment` does not select an environment: name it in the workflow
        4 × deployment_status (created): nothing: the event `deployment_status` does not select an environment: name it in the workflow
        15 × discussion (11 actions): nothing: the event `discussion` does not select an environment: name it in the workflow
        4 × discussion_comment (created, deleted, edited): nothing: the event `discussion_comment` does not select an environment: name it in the workflow
        3 × fork (): nothing: the event `fork` does not select an environment: name it in the workflow
        3 × gollum (): nothing: the event `gollum` does not select an environment: name it in the workflow
        9 × issue_comment (created, deleted, edited): nothing: the event `issue_comment` does not select an environment: name it in the workflow
        25 × issues (13 actions): nothing: the event `issues` does not select an environment: name it in the workflow
        4 × issues (demilestoned, milestoned): nothing: the event is about a pull request; code that is not merged is not released
        6 × label (deleted, created, edited): nothing: the event `label` does not select an environment: name it in the workflow
        2 × merge_group (checks_requested): a plan, for main
        5 × milestone (created, closed, deleted): nothing: the event `milestone` does not select an environment: name it in the workflow
        3 × page_build (): nothing: the event `page_build` does not select an environment: name it in the workflow
        3 × public (): nothing: the event `public` does not select an environment: name it in the workflow
        27 × pull_request (13 actions): a plan, for master
        2 × pull_request (closed): nothing: the pull request is closed; a merge triggers its own push event
        4 × pull_request_review (submitted, dismissed): a plan, for master
        5 × pull_request_review_comment (created, deleted, edited): a plan, for master
        2 × push (): everything, by branch
        1 × push (): nothing: `simple-tag` is a tag, and a tag selects no environment: name the environment in the workflow
        4 × push (): nothing: a branch or tag was deleted, which releases nothing
        9 × release (published, created, prereleased, released): nothing: `0.0.1` is a tag, and a tag selects no environment: name the environment in the workflow
        2 × release (deleted): nothing: a release was deleted, which releases no code
        2 × release (edited): nothing: a release was edited, which releases no code
        2 × repository_dispatch (on-demand-test): everything, by branch
        4 × status (): nothing: the event `status` does not select an environment: name it in the workflow
        3 × watch (started): nothing: the event `watch` does not select an environment: name it in the workflow
        2 × workflow_dispatch (): everything, by branch
        1 × workflow_run (requested): nothing: the triggering workflow run ended as `action_required`
        2 × workflow_run (completed, requested): nothing: the triggering workflow run has not ended
        2 × workflow_run (completed): nothing: the triggering workflow run was of another commit than this run: name the environment, and check out the commit of that run
        ");
    }

    #[test]
    fn named_environment_allows_events_without_branch_but_no_unmerged_code() {
        insta::assert_snapshot!(table(true), @r"
        5 × branch_protection_rule (edited, created, deleted): everything, if its commit is merged
        2 × check_run (rerequested): everything, if both commits are merged
        7 × check_run (created, completed, requested_action): nothing: the event is about a pull request; code that is not merged is not released
        4 × check_suite (completed, requested): everything, if both commits are merged
        5 × check_suite (completed, rerequested): nothing: the event is about a pull request; code that is not merged is not released
        5 × create (): everything, by name
        4 × delete (): nothing: a branch or tag was deleted, which releases nothing
        4 × deployment (created): everything, if both commits are merged
        4 × deployment_status (created): everything, if both commits are merged
        15 × discussion (11 actions): everything, if its commit is merged
        4 × discussion_comment (created, deleted, edited): everything, if its commit is merged
        3 × fork (): everything, if its commit is merged
        3 × gollum (): everything, if its commit is merged
        9 × issue_comment (created, deleted, edited): everything, if its commit is merged
        25 × issues (13 actions): everything, if its commit is merged
        4 × issues (demilestoned, milestoned): nothing: the event is about a pull request; code that is not merged is not released
        6 × label (deleted, created, edited): everything, if its commit is merged
        2 × merge_group (checks_requested): a plan, for main
        5 × milestone (created, closed, deleted): everything, if its commit is merged
        3 × page_build (): everything, if its commit is merged
        3 × public (): everything, if its commit is merged
        27 × pull_request (13 actions): a plan, for master
        2 × pull_request (closed): nothing: the pull request is closed; a merge triggers its own push event
        4 × pull_request_review (submitted, dismissed): a plan, for master
        5 × pull_request_review_comment (created, deleted, edited): a plan, for master
        2 × push (): everything, by branch
        1 × push (): everything, by name
        4 × push (): nothing: a branch or tag was deleted, which releases nothing
        9 × release (published, created, prereleased, released): everything, by name
        2 × release (deleted): nothing: a release was deleted, which releases no code
        2 × release (edited): nothing: a release was edited, which releases no code
        2 × repository_dispatch (on-demand-test): everything, by branch
        4 × status (): everything, if both commits are merged
        3 × watch (started): everything, if its commit is merged
        2 × workflow_dispatch (): everything, by branch
        2 × workflow_run (completed): everything, by branch
        1 × workflow_run (requested): nothing: the triggering workflow run ended as `action_required`
        2 × workflow_run (completed, requested): nothing: the triggering workflow run has not ended
        ");
    }

    #[test]
    fn no_example_of_a_pull_request_changes_anything_under_any_of_its_events() {
        let about = |payload: &Value| payload["pull_request"].is_object();
        let mut observed = 0;
        for (_, payload) in examples().filter(|(_, payload)| about(payload)) {
            for event in
                ["pull_request", "pull_request_target", "pull_request_review", "pull_request_review_comment"]
            {
                for named in [true, false] {
                    let context = context(event, &payload);
                    let ruling = decide_for(&context, named);
                    assert_ne!(ruling.allowed, Allowed::Everything, "{event}: {payload}");
                    observed += 1;
                }
            }
        }
        assert!(observed > 200, "{observed}");
    }

    #[test]
    fn malformed_event_neither_panics_nor_deploys() {
        for text in ["", "null", "[]", r#"{"pull_request": {}, "action": 7}"#] {
            for event in
                ["pull_request", "pull_request_target", "workflow_run", "merge_group", "release", "x"]
            {
                let context = context(event, &Value::Null).with_event(text);
                assert_ne!(decide_for(&context, false).allowed, Allowed::Everything, "{event} {text}");
            }
        }
    }
}
