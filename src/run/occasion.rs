//! What this run may do: the facts of its event, handed to the core, which decides. No decision here.

use super::Job;
use crate::action::{Context, Operation};
use crate::plan::{self, Earlier, May, Occasion, Ruling};

/// What the run may do, and for which branch.
pub(super) fn ruling(job: &Job) -> Ruling<'_> {
    of(&job.context, job.inputs.environment.is_some())
}

fn of(context: &Context, named: bool) -> Ruling<'_> {
    plan::decide(&Occasion {
        event: context.event_name.as_deref(),
        action: context.event.action.as_deref(),
        branch: context.branch(),
        tag: context.tag(),
        base: context.base_branch(),
        named,
        withheld: context.secrets_withheld(),
        from_fork: context.from_fork(),
        deleted: context.event.deleted,
        about_pull_request: context.event.about_pull_request,
        after: earlier(context),
    })
}

fn earlier(context: &Context) -> Option<Earlier<'_>> {
    let after = context.event.after.as_ref()?;
    Some(Earlier {
        event: after.event.as_deref(),
        conclusion: after.conclusion.as_deref(),
        branch: after.head_branch.as_deref(),
        same_commit: after.head_sha.is_some() && after.head_sha == context.sha,
    })
}

/// What is done: what was asked for, unless the event allows a plan alone.
pub(super) fn operation(job: &Job) -> Operation {
    if ruling(job).may == May::Plan { Operation::Plan } else { job.inputs.operation }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    /// GitHub's own examples of webhooks, a line each.
    const EXAMPLES: &str = include_str!("../../tests/fixtures/webhooks/examples.jsonl");

    /// What GitHub sets for an event, as its page of events that start workflows says.
    fn context(event: &str, payload: &Value) -> Context {
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
        Context::read(&variables).with_event(&payload.to_string())
    }

    fn words(ruling: Ruling<'_>) -> String {
        match ruling.may {
            May::Everything => format!("everything, by {}", ruling.branch.map_or("name", |_| "branch")),
            May::Plan => format!("a plan, for {}", ruling.branch.unwrap_or("?")),
            May::Nothing(why) => format!("nothing: {why}"),
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
            let said = words(of(&context(&event, &payload), named));
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
        insta::assert_snapshot!(table(false), @"
        5 × branch_protection_rule (edited, created, deleted): nothing: the event `branch_protection_rule` chooses no environment by itself: name it in the workflow
        2 × check_run (rerequested): nothing: the event `check_run` chooses no environment by itself: name it in the workflow
        7 × check_run (created, completed, requested_action): nothing: the event is about a pull request; what is not merged is not released
        4 × check_suite (completed, requested): nothing: the event `check_suite` chooses no environment by itself: name it in the workflow
        5 × check_suite (completed, rerequested): nothing: the event is about a pull request; what is not merged is not released
        5 × create (): nothing: the event `create` chooses no environment by itself: name it in the workflow
        4 × delete (): nothing: a branch or tag was deleted; that releases nothing
        4 × deployment (created): nothing: the event `deployment` chooses no environment by itself: name it in the workflow
        4 × deployment_status (created): nothing: the event `deployment_status` chooses no environment by itself: name it in the workflow
        15 × discussion (11 actions): nothing: the event `discussion` chooses no environment by itself: name it in the workflow
        4 × discussion_comment (created, deleted, edited): nothing: the event `discussion_comment` chooses no environment by itself: name it in the workflow
        3 × fork (): nothing: the event `fork` chooses no environment by itself: name it in the workflow
        3 × gollum (): nothing: the event `gollum` chooses no environment by itself: name it in the workflow
        9 × issue_comment (created, deleted, edited): nothing: the event `issue_comment` chooses no environment by itself: name it in the workflow
        25 × issues (13 actions): nothing: the event `issues` chooses no environment by itself: name it in the workflow
        4 × issues (demilestoned, milestoned): nothing: the event is about a pull request; what is not merged is not released
        6 × label (deleted, created, edited): nothing: the event `label` chooses no environment by itself: name it in the workflow
        2 × merge_group (checks_requested): a plan, for main
        5 × milestone (created, closed, deleted): nothing: the event `milestone` chooses no environment by itself: name it in the workflow
        3 × page_build (): nothing: the event `page_build` chooses no environment by itself: name it in the workflow
        3 × public (): nothing: the event `public` chooses no environment by itself: name it in the workflow
        27 × pull_request (13 actions): a plan, for master
        2 × pull_request (closed): nothing: the pull request is closed; if it was merged, that is a push of its own
        4 × pull_request_review (submitted, dismissed): a plan, for master
        5 × pull_request_review_comment (created, deleted, edited): a plan, for master
        2 × push (): everything, by branch
        1 × push (): nothing: `simple-tag` is a tag, and tags belong to no environment: name it in the workflow
        4 × push (): nothing: a branch or tag was deleted; that releases nothing
        9 × release (published, created, prereleased, released): nothing: `0.0.1` is a tag, and tags belong to no environment: name it in the workflow
        2 × release (deleted): nothing: a release was deleted, which releases no code
        2 × release (edited): nothing: a release was edited, which releases no code
        2 × repository_dispatch (on-demand-test): everything, by branch
        4 × status (): nothing: the event `status` chooses no environment by itself: name it in the workflow
        3 × watch (started): nothing: the event `watch` chooses no environment by itself: name it in the workflow
        2 × workflow_dispatch (): everything, by branch
        1 × workflow_run (requested): nothing: the run that this one follows ended as `action_required`
        2 × workflow_run (completed, requested): nothing: the run that this one follows has not ended
        2 × workflow_run (completed): nothing: the run that this one follows was of another commit than this one is on: name the environment, and check out the commit of that run
        ");
    }

    #[test]
    fn a_name_opens_what_no_branch_chooses_and_nothing_that_is_not_merged() {
        insta::assert_snapshot!(table(true), @"
        5 × branch_protection_rule (edited, created, deleted): everything, by branch
        2 × check_run (rerequested): everything, by branch
        7 × check_run (created, completed, requested_action): nothing: the event is about a pull request; what is not merged is not released
        4 × check_suite (completed, requested): everything, by branch
        5 × check_suite (completed, rerequested): nothing: the event is about a pull request; what is not merged is not released
        5 × create (): everything, by name
        4 × delete (): nothing: a branch or tag was deleted; that releases nothing
        4 × deployment (created): everything, by branch
        4 × deployment_status (created): everything, by branch
        15 × discussion (11 actions): everything, by branch
        4 × discussion_comment (created, deleted, edited): everything, by branch
        3 × fork (): everything, by branch
        3 × gollum (): everything, by branch
        9 × issue_comment (created, deleted, edited): everything, by branch
        25 × issues (13 actions): everything, by branch
        4 × issues (demilestoned, milestoned): nothing: the event is about a pull request; what is not merged is not released
        6 × label (deleted, created, edited): everything, by branch
        2 × merge_group (checks_requested): a plan, for main
        5 × milestone (created, closed, deleted): everything, by branch
        3 × page_build (): everything, by branch
        3 × public (): everything, by branch
        27 × pull_request (13 actions): a plan, for master
        2 × pull_request (closed): nothing: the pull request is closed; if it was merged, that is a push of its own
        4 × pull_request_review (submitted, dismissed): a plan, for master
        5 × pull_request_review_comment (created, deleted, edited): a plan, for master
        2 × push (): everything, by branch
        1 × push (): everything, by name
        4 × push (): nothing: a branch or tag was deleted; that releases nothing
        9 × release (published, created, prereleased, released): everything, by name
        2 × release (deleted): nothing: a release was deleted, which releases no code
        2 × release (edited): nothing: a release was edited, which releases no code
        2 × repository_dispatch (on-demand-test): everything, by branch
        4 × status (): everything, by branch
        3 × watch (started): everything, by branch
        2 × workflow_dispatch (): everything, by branch
        2 × workflow_run (completed): everything, by branch
        1 × workflow_run (requested): nothing: the run that this one follows ended as `action_required`
        2 × workflow_run (completed, requested): nothing: the run that this one follows has not ended
        ");
    }

    #[test]
    fn no_example_of_a_pull_request_changes_anything_under_any_of_its_events() {
        let about = |payload: &Value| payload["pull_request"].is_object();
        let mut seen = 0;
        for (_, payload) in examples().filter(|(_, payload)| about(payload)) {
            for event in
                ["pull_request", "pull_request_target", "pull_request_review", "pull_request_review_comment"]
            {
                for named in [true, false] {
                    let context = context(event, &payload);
                    let ruling = of(&context, named);
                    assert_ne!(ruling.may, May::Everything, "{event}: {payload}");
                    seen += 1;
                }
            }
        }
        assert!(seen > 200, "{seen}");
    }

    #[test]
    fn nonsense_is_no_reason_to_panic_or_to_release() {
        for text in ["", "null", "[]", r#"{"pull_request": {}, "action": 7}"#] {
            for event in
                ["pull_request", "pull_request_target", "workflow_run", "merge_group", "release", "x"]
            {
                let context = context(event, &Value::Null).with_event(text);
                assert_ne!(of(&context, false).may, May::Everything, "{event} {text}");
            }
        }
    }
}
