//! What the event says about what happened and to what, read from its JSON. Pure; all of it is text from outside.

use serde_json::Value;

/// The facts of an event that a decision needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// What happened to the thing that it is about, such as `closed`.
    pub action: Option<String>,
    /// The pull request that the event is about.
    pub pull_request: Option<PullRequest>,
    /// The branch that a group of a merge queue is to be merged into.
    pub queue_base: Option<String>,
    /// The run that this one follows (`workflow_run`).
    pub after: Option<EarlierRun>,
    /// Whether the push took its branch or tag away. GitHub runs the workflow on the default branch then.
    pub deleted: bool,
    /// Whether there is a pull request that the event is about (also where it is a comment or a check).
    pub about_pull_request: bool,
    /// Whether the code comes from another repository; `None` where the event does not say.
    pub from_fork: Option<bool>,
    /// The commit before a push; `None` for a new branch.
    pub before: Option<String>,
}

/// A run of a workflow that another one was told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierRun {
    /// The event that it came from.
    pub event: Option<String>,
    /// How it ended; `None` where it has not.
    pub conclusion: Option<String>,
    /// Its branch.
    pub head_branch: Option<String>,
    /// Its commit.
    pub head_sha: Option<String>,
}

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// The head's commit, not that of the trial merge that `GITHUB_SHA` names.
    pub head_sha: Option<String>,
    /// The branch that is to be merged.
    pub head_ref: Option<String>,
    /// The branch that it is to be merged into.
    pub base_ref: Option<String>,
    /// The commit of that branch that it is to be merged onto.
    pub base_sha: Option<String>,
}

impl Event {
    /// Reads an event. What is missing or of another type is not known; nothing is guessed.
    pub fn parse(text: &str) -> Self {
        let event: Value = serde_json::from_str(text).unwrap_or_default();
        Self {
            action: text_of(&event["action"]),
            pull_request: pull_request(&event),
            queue_base: text_of(&event["merge_group"]["base_ref"])
                .map(|full| full.strip_prefix("refs/heads/").unwrap_or(&full).to_owned()),
            after: event["workflow_run"].is_object().then(|| earlier(&event["workflow_run"])),
            deleted: event["deleted"] == true,
            about_pull_request: about_pull_request(&event),
            from_fork: from_fork(&event),
            before: text_of(&event["before"]).filter(|sha| sha.bytes().any(|b| b != b'0')),
        }
    }
}

fn pull_request(event: &Value) -> Option<PullRequest> {
    let pull = &event["pull_request"];
    // A comment's event has the number alone, and `issue.pull_request` only where the issue is a pull request.
    let comment =
        event["issue"]["pull_request"].is_object().then(|| event["issue"]["number"].as_u64()).flatten();
    Some(PullRequest {
        number: pull["number"].as_u64().or(comment)?,
        head_sha: text_of(&pull["head"]["sha"]),
        head_ref: text_of(&pull["head"]["ref"]),
        base_ref: text_of(&pull["base"]["ref"]),
        base_sha: text_of(&pull["base"]["sha"]),
    })
}

fn earlier(run: &Value) -> EarlierRun {
    EarlierRun {
        event: text_of(&run["event"]),
        conclusion: text_of(&run["conclusion"]),
        head_branch: text_of(&run["head_branch"]),
        head_sha: text_of(&run["head_sha"]),
    }
}

/// A check has a list of the pull requests that its commit is in.
fn about_pull_request(event: &Value) -> bool {
    let listed = |of: &str| event[of]["pull_requests"].as_array().is_some_and(|list| !list.is_empty());
    event["pull_request"].is_object()
        || event["issue"]["pull_request"].is_object()
        || listed("check_run")
        || listed("check_suite")
}

/// A deleted fork has no `head.repo`; what cannot be seen to be ours is not ours.
fn from_fork(event: &Value) -> Option<bool> {
    let (head, base) = if event["pull_request"].is_object() {
        (&event["pull_request"]["head"]["repo"]["id"], &event["pull_request"]["base"]["repo"]["id"])
    } else if event["workflow_run"].is_object() {
        (&event["workflow_run"]["head_repository"]["id"], &event["repository"]["id"])
    } else {
        return None;
    };
    Some(head.as_u64().is_none() || head != base)
}

fn text_of(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PULL: &str = r#"{"number": 7, "pull_request": {"number": 7,
        "head": {"sha": "c0ffee", "ref": "feature", "repo": {"id": 1}}, "base": {"ref": "main", "sha": "beef", "repo": {"id": 1}}}}"#;

    #[test]
    fn a_pull_request_is_read() {
        let event = Event::parse(PULL);
        let pull = event.pull_request.unwrap();
        assert_eq!((pull.number, pull.head_sha.as_deref()), (7, Some("c0ffee")));
        assert_eq!((pull.head_ref.as_deref(), pull.base_ref.as_deref()), (Some("feature"), Some("main")));
        assert_eq!((event.from_fork, pull.base_sha.as_deref()), (Some(false), Some("beef")));
    }

    #[test]
    fn another_or_a_deleted_repository_is_a_fork() {
        let other = PULL.replacen(r#""id": 1"#, r#""id": 2"#, 1);
        assert_eq!(Event::parse(&other).from_fork, Some(true));
        let deleted = PULL.replacen(r#"{"id": 1}"#, "null", 1);
        assert_eq!(Event::parse(&deleted).from_fork, Some(true));
        let run =
            r#"{"workflow_run": {"head_sha": "b", "head_repository": {"id": 2}}, "repository": {"id": 1}}"#;
        let run = Event::parse(run);
        let sha = run.after.and_then(|after| after.head_sha);
        assert_eq!((run.from_fork, sha.as_deref()), (Some(true), Some("b")));
    }

    #[test]
    fn a_comment_on_a_pull_request_has_its_number_and_an_issue_has_none() {
        let comment = r#"{"issue": {"number": 9, "pull_request": {"url": "x"}}}"#;
        let comment = Event::parse(comment);
        assert!(comment.about_pull_request);
        assert_eq!(comment.pull_request.map(|pull| pull.number), Some(9));
        assert_eq!(Event::parse(r#"{"issue": {"number": 9}}"#), Event::default());
    }

    #[test]
    fn checks_say_which_pull_requests_they_are_about() {
        let check = |list: &str| {
            Event::parse(&format!(r#"{{"check_run": {{"pull_requests": {list}}}}}"#)).about_pull_request
        };
        assert_eq!((check("[]"), check("[{}]"), check("3")), (false, true, false));
    }

    #[test]
    fn a_merge_queue_has_a_branch_that_it_leads_to() {
        let group = Event::parse(r#"{"merge_group": {"base_ref": "refs/heads/main"}}"#);
        assert_eq!(group.queue_base.as_deref(), Some("main"));
    }

    #[test]
    fn nonsense_is_nothing_known() {
        for text in [
            "",
            "[]",
            "null",
            "{",
            r#"{"pull_request": 3, "workflow_run": [], "before": 4, "action": {}, "deleted": "true", "merge_group": 1}"#,
        ] {
            assert_eq!(Event::parse(text), Event::default(), "{text}");
        }
        assert_eq!(Event::parse(r#"{"before": "0000000000"}"#).before, None);
    }
}
