//! What the event says about a pull request, read from its JSON. Pure; all of it is text from outside.

use serde_json::Value;

/// The facts of an event that a decision needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// The pull request that the event is about.
    pub pull_request: Option<PullRequest>,
    /// The commit the event came from, where it differs from `GITHUB_SHA` (`workflow_run`).
    pub head_sha: Option<String>,
    /// Whether the code comes from another repository; `None` where the event does not say.
    pub from_fork: Option<bool>,
    /// The commit before a push; `None` for a new branch.
    pub before: Option<String>,
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
        let run = &event["workflow_run"];
        Self {
            pull_request: pull_request(&event),
            head_sha: text_of(&run["head_sha"]),
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
        assert_eq!((run.from_fork, run.head_sha.as_deref()), (Some(true), Some("b")));
    }

    #[test]
    fn a_comment_on_a_pull_request_has_its_number_and_an_issue_has_none() {
        let comment = r#"{"issue": {"number": 9, "pull_request": {"url": "x"}}}"#;
        assert_eq!(Event::parse(comment).pull_request.map(|pull| pull.number), Some(9));
        assert_eq!(Event::parse(r#"{"issue": {"number": 9}}"#), Event::default());
    }

    #[test]
    fn nonsense_is_nothing_known() {
        for text in ["", "[]", "null", "{", r#"{"pull_request": 3, "workflow_run": [], "before": 4}"#] {
            assert_eq!(Event::parse(text), Event::default(), "{text}");
        }
        assert_eq!(Event::parse(r#"{"before": "0000000000"}"#).before, None);
    }
}
