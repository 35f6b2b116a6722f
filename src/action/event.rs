//! The facts of an event, read from its JSON. Pure; all of it is untrusted text.

use serde_json::Value;

/// The facts of an event that a decision needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventPayload {
    /// The activity type of the event, such as `closed`.
    pub action: Option<String>,
    /// The pull request that the event is about.
    pub pull_request: Option<EventPullRequest>,
    /// The base branch of a merge group.
    pub merge_queue_base: Option<String>,
    /// The workflow run that triggered this one (`workflow_run`).
    pub upstream_run: Option<UpstreamRun>,
    /// Whether the push deleted its branch or tag. GitHub then runs the workflow on the default branch.
    pub is_ref_deleted: bool,
    /// Whether the event is about a pull request (also if it is a comment or a check).
    pub is_about_pull_request: bool,
    /// Whether the code comes from another repository; `None` if the event does not contain it.
    pub is_from_fork: Option<bool>,
    /// The commit that a check, a status or a deployment belongs to.
    pub commit: Option<String>,
    /// The default branch of the repository.
    pub default_branch: Option<String>,
}

/// A completed workflow run that triggered another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamRun {
    /// Its own event.
    pub event: Option<String>,
    /// Its conclusion; `None` if it has not ended.
    pub conclusion: Option<String>,
    /// Its branch.
    pub head_branch: Option<String>,
    /// Its commit.
    pub head_sha: Option<String>,
}

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPullRequest {
    /// Its number.
    pub number: u64,
    /// The head's commit, not that of the test merge in `GITHUB_SHA`.
    pub head_sha: Option<String>,
    /// The head branch.
    pub head_ref: Option<String>,
    /// The base branch.
    pub base_ref: Option<String>,
    /// The base commit.
    pub base_sha: Option<String>,
}

impl EventPayload {
    /// Reads an event. A value that is missing or of another type is unknown; nothing is guessed.
    pub fn parse(text: &str) -> Self {
        let event: Value = serde_json::from_str(text).unwrap_or_default();
        Self {
            action: non_empty_str(&event["action"]),
            pull_request: pull_request(&event),
            merge_queue_base: non_empty_str(&event["merge_group"]["base_ref"])
                .map(|full| full.strip_prefix("refs/heads/").unwrap_or(&full).to_owned()),
            upstream_run: event["workflow_run"].is_object().then(|| upstream_run(&event["workflow_run"])),
            is_ref_deleted: event["deleted"] == true,
            is_about_pull_request: is_about_pull_request(&event),
            is_from_fork: is_from_fork(&event),
            commit: event_commit(&event),
            default_branch: non_empty_str(&event["repository"]["default_branch"]),
        }
    }
}

fn event_commit(event: &Value) -> Option<String> {
    let of = |name: &str, field: &str| non_empty_str(&event[name][field]);
    let check = of("check_run", "head_sha").or_else(|| of("check_suite", "head_sha"));
    check.or_else(|| of("deployment", "sha")).or_else(|| non_empty_str(&event["sha"]))
}

fn pull_request(event: &Value) -> Option<EventPullRequest> {
    let pull = &event["pull_request"];
    // A comment's event has the number alone, and `issue.pull_request` only if the issue is a pull request.
    let comment =
        event["issue"]["pull_request"].is_object().then(|| event["issue"]["number"].as_u64()).flatten();
    Some(EventPullRequest {
        number: pull["number"].as_u64().or(comment)?,
        head_sha: non_empty_str(&pull["head"]["sha"]),
        head_ref: non_empty_str(&pull["head"]["ref"]),
        base_ref: non_empty_str(&pull["base"]["ref"]),
        base_sha: non_empty_str(&pull["base"]["sha"]),
    })
}

fn upstream_run(run: &Value) -> UpstreamRun {
    UpstreamRun {
        event: non_empty_str(&run["event"]),
        conclusion: non_empty_str(&run["conclusion"]),
        head_branch: non_empty_str(&run["head_branch"]),
        head_sha: non_empty_str(&run["head_sha"]),
    }
}

/// A check has a list of the pull requests that contain its commit.
fn is_about_pull_request(event: &Value) -> bool {
    let listed = |of: &str| event[of]["pull_requests"].as_array().is_some_and(|list| !list.is_empty());
    event["pull_request"].is_object()
        || event["issue"]["pull_request"].is_object()
        || listed("check_run")
        || listed("check_suite")
}

/// A deleted fork has no `head.repo`; code that cannot be attributed to this repository is foreign.
fn is_from_fork(event: &Value) -> Option<bool> {
    let (head, base) = if event["pull_request"].is_object() {
        (&event["pull_request"]["head"]["repo"]["id"], &event["pull_request"]["base"]["repo"]["id"])
    } else if event["workflow_run"].is_object() {
        (&event["workflow_run"]["head_repository"]["id"], &event["repository"]["id"])
    } else {
        return None;
    };
    Some(head.as_u64().is_none() || head != base)
}

fn non_empty_str(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PULL: &str = r#"{"number": 7, "pull_request": {"number": 7,
        "head": {"sha": "c0ffee", "ref": "feature", "repo": {"id": 1}}, "base": {"ref": "main", "sha": "beef", "repo": {"id": 1}}}}"#;

    #[test]
    fn pull_request_event_is_parsed() {
        let event = EventPayload::parse(PULL);
        let pull = event.pull_request.unwrap();
        assert_eq!((pull.number, pull.head_sha.as_deref()), (7, Some("c0ffee")));
        assert_eq!((pull.head_ref.as_deref(), pull.base_ref.as_deref()), (Some("feature"), Some("main")));
        assert_eq!((event.is_from_fork, pull.base_sha.as_deref()), (Some(false), Some("beef")));
    }

    #[test]
    fn other_or_deleted_repository_is_a_fork() {
        let other = PULL.replacen(r#""id": 1"#, r#""id": 2"#, 1);
        assert_eq!(EventPayload::parse(&other).is_from_fork, Some(true));
        let deleted = PULL.replacen(r#"{"id": 1}"#, "null", 1);
        assert_eq!(EventPayload::parse(&deleted).is_from_fork, Some(true));
        let run =
            r#"{"workflow_run": {"head_sha": "b", "head_repository": {"id": 2}}, "repository": {"id": 1}}"#;
        let run = EventPayload::parse(run);
        let sha = run.upstream_run.and_then(|after| after.head_sha);
        assert_eq!((run.is_from_fork, sha.as_deref()), (Some(true), Some("b")));
    }

    #[test]
    fn comment_event_has_a_pull_request_number_only_for_pull_requests() {
        let comment = r#"{"issue": {"number": 9, "pull_request": {"url": "x"}}}"#;
        let comment = EventPayload::parse(comment);
        assert!(comment.is_about_pull_request);
        assert_eq!(comment.pull_request.map(|pull| pull.number), Some(9));
        assert_eq!(EventPayload::parse(r#"{"issue": {"number": 9}}"#), EventPayload::default());
    }

    #[test]
    fn check_event_lists_its_pull_requests() {
        let check = |list: &str| {
            EventPayload::parse(&format!(r#"{{"check_run": {{"pull_requests": {list}}}}}"#))
                .is_about_pull_request
        };
        assert_eq!((check("[]"), check("[{}]"), check("3")), (false, true, false));
    }

    #[test]
    fn check_status_and_deployment_name_their_commit() {
        for text in [
            r#"{"check_run": {"head_sha": "dd1", "check_suite": {"head_sha": "dd2"}}}"#,
            r#"{"check_suite": {"head_sha": "dd1"}}"#,
            r#"{"deployment_status": {}, "deployment": {"sha": "dd1", "ref": "main"}}"#,
            r#"{"sha": "dd1", "state": "success", "commit": {"sha": "dd1"}}"#,
        ] {
            assert_eq!(EventPayload::parse(text).commit.as_deref(), Some("dd1"), "{text}");
        }
        assert_eq!(EventPayload::parse(r#"{"check_run": {}, "sha": 7}"#).commit, None);
    }

    #[test]
    fn merge_group_event_has_its_base_branch() {
        let group = EventPayload::parse(r#"{"merge_group": {"base_ref": "refs/heads/main"}}"#);
        assert_eq!(group.merge_queue_base.as_deref(), Some("main"));
    }

    #[test]
    fn invalid_event_is_empty() {
        for text in [
            "",
            "[]",
            "null",
            "{",
            r#"{"pull_request": 3, "workflow_run": [], "before": 4, "action": {}, "deleted": "true", "merge_group": 1}"#,
        ] {
            assert_eq!(EventPayload::parse(text), EventPayload::default(), "{text}");
        }
    }
}
