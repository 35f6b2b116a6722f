//! A pull request to create or update: its content, and the bodies and responses. Pure.

use serde_json::{Value, json};

use super::commit::{CreatedCommit, FileChange};
use super::compare::CommitRelation;
use super::error::ApiError;
use super::snapshot::SnapshotQuery;
use super::validate;

/// Enables auto-merge, for the head that we know.
pub const AUTO_MERGE: &str = "mutation($input:EnablePullRequestAutoMergeInput!){\
     enablePullRequestAutoMerge(input:$input){pullRequest{number}}}";
/// Maximum title and body, in characters; GitHub rejects longer ones.
const MAX_TEXT_CHARS: [usize; 2] = [256, 65_536];

/// Commits of the branch that are read with it: an edit has to know which changes are proposed already.
const HISTORY_DEPTH: usize = 50;

/// A change to propose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// owner/name.
    pub repository: String,
    /// The base branch.
    pub base: String,
    /// The head branch: ours alone, and the same each time.
    pub branch: String,
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// The files of the edit.
    pub paths: Vec<String>,
    /// The prefix of a line in the message of each commit of ours, and of no other.
    pub commit_marker: String,
    /// Whether to merge it as soon as the rules of the base allow it.
    pub auto_merge: bool,
}

/// The changes of an edit to a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// First line of the message.
    pub headline: String,
    /// The rest of it; contains a line that begins with the proposal's mark.
    pub body: String,
    /// At least one.
    pub changes: Vec<FileChange>,
}

/// A pull request with the change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProposedPullRequest {
    /// Its number.
    pub number: u64,
    /// Its web page.
    pub url: String,
    /// Whether it is new.
    pub created: bool,
    /// Whether it is merged.
    pub merged: bool,
    /// Whether GitHub will merge it automatically.
    pub auto_merge: bool,
    /// Why it is neither, if that was requested.
    pub not_merged_reason: Option<String>,
    /// The commit that was created on its branch; `None` if the branch had the change already.
    pub commit: Option<CreatedCommit>,
    /// The commit of the merge.
    pub merge_commit: Option<String>,
}

/// A pull request as GitHub has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullState {
    /// Its number.
    pub number: u64,
    /// Its node id in GraphQL.
    pub id: String,
    /// Its web page.
    pub url: String,
    /// Its title.
    pub title: String,
    /// Its body.
    pub body: String,
    /// The base branch.
    pub base: String,
    /// The newest commit of its branch.
    pub head: String,
    /// Whether auto-merge is on.
    pub auto_merge: bool,
    /// The commit that it was merged by.
    pub merged: Option<String>,
}

/// Rejects proposals that GitHub would interpret in another way.
pub fn validate(proposal: &Proposal) -> Result<(), ApiError> {
    let sound = || {
        let Proposal { repository, base, branch, title, body, .. } = proposal;
        validate::repository(repository)?;
        validate::branch(base)?;
        validate::branch(branch)?;
        if base == branch {
            return Err(format!("the branch `{branch}` cannot be its own base"));
        }
        let odd = title.trim().is_empty() || title.contains(char::is_control);
        if odd || title.chars().count() > MAX_TEXT_CHARS[0] || body.chars().count() > MAX_TEXT_CHARS[1] {
            return Err("the title is empty or has a line break, or the text is too long".into());
        }
        if proposal.commit_marker.is_empty() {
            Err("the marker of our commits is empty".into())
        } else {
            Ok(())
        }
    };
    sound().map_err(ApiError::Rejected)
}

/// The data to read of a branch.
pub fn snapshot_query(proposal: &Proposal, branch: &str) -> SnapshotQuery {
    let (repository, paths) = (proposal.repository.clone(), proposal.paths.clone());
    SnapshotQuery { repository, branch: Some(branch.to_owned()), paths, history_depth: HISTORY_DEPTH }
}

/// The body that opens it.
pub fn create_body(proposal: &Proposal) -> Value {
    let Proposal { title, body, base, branch, .. } = proposal;
    json!({ "title": title, "body": body, "head": branch, "base": base })
}

/// The body that updates it; `None` if it is up to date.
pub fn update_body(proposal: &Proposal, pull: &PullState) -> Option<Value> {
    let Proposal { title, body, base, .. } = proposal;
    let same = pull.body.replace("\r\n", "\n") == body.replace("\r\n", "\n");
    let current = pull.title == *title && pull.base == *base && same;
    (!current).then(|| json!({ "title": title, "body": body, "base": base }))
}

/// Parses a pull request; `None` if it is not one.
pub fn parse_pull(value: &Value) -> Option<PullState> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let merged = value["merged_at"].is_string().then(|| text(&value["merge_commit_sha"]));
    Some(PullState {
        number: value["number"].as_u64()?,
        id: text(&value["node_id"]),
        url: text(&value["html_url"]),
        title: text(&value["title"]),
        body: text(&value["body"]),
        base: text(&value["base"]["ref"]),
        head: text(&value["head"]["sha"]),
        auto_merge: value["auto_merge"].is_object(),
        merged,
    })
}

/// The open one of our branch in a list; one for our base is preferred: GitHub may list those of forks too.
pub fn find_own(list: &Value, proposal: &Proposal) -> Option<PullState> {
    let of_branch = |value: &&Value| {
        let name = value["head"]["repo"]["full_name"].as_str().unwrap_or_default();
        value["head"]["ref"] == proposal.branch.as_str() && name.eq_ignore_ascii_case(&proposal.repository)
    };
    let all = list.as_array().into_iter().flatten().filter(of_branch).filter_map(parse_pull);
    all.max_by_key(|pull| pull.base == proposal.base)
}

/// How to reuse an existing branch without an open pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BranchReuse {
    /// It is an ancestor of the base: it can be moved forward to it.
    FastForward,
    /// It has only our commits above the base: it can be used as it is.
    Reuse,
    /// It has only our commits, and the base moved: it can be recreated.
    Recreate,
    /// It has a commit of another author.
    Foreign(String),
}

/// Decides by the comparison of the base with the branch. Merges of the base into it, as the button of a pull request
/// creates them, do not count as commits of others.
pub fn branch_reuse(comparison: &Value, mark: &str) -> Option<BranchReuse> {
    let commits = comparison["commits"].as_array()?;
    let is_ours = |commit: &Value| {
        let message = commit["commit"]["message"].as_str().unwrap_or_default();
        let merge = commit["parents"].as_array().is_some_and(|parents| parents.len() > 1);
        merge || message.lines().any(|line| line.starts_with(mark))
    };
    let foreign = commits.iter().find(|commit| !is_ours(commit));
    let seen = commits.len() as u64 == comparison["total_commits"].as_u64()?;
    Some(match (CommitRelation::parse(comparison).ok()?, foreign) {
        (CommitRelation::Identical | CommitRelation::Behind, _) => BranchReuse::FastForward,
        (_, Some(foreign)) => BranchReuse::Foreign(foreign["sha"].as_str().unwrap_or_default().to_owned()),
        _ if !seen => BranchReuse::Foreign("too many commits to check".into()),
        (CommitRelation::Ahead, None) => BranchReuse::Reuse,
        (CommitRelation::Diverged, None) => BranchReuse::Recreate,
    })
}

/// The merge method of the repository: a merge commit keeps our commits unchanged, so it comes first.
pub fn merge_method(repository: &Value) -> &'static str {
    let allowed = |name: &str| repository[name].as_bool();
    match ["allow_merge_commit", "allow_squash_merge", "allow_rebase_merge"].map(allowed) {
        [Some(false), Some(true), _] => "squash",
        [Some(false), Some(false), Some(true)] => "rebase",
        _ => "merge",
    }
}

/// The input of [`AUTO_MERGE`]. A squash gets our message, so that its trailers are not lost.
pub fn auto_merge_body(pull: &PullState, head: &str, method: &str, message: Option<(&str, &str)>) -> Value {
    let mut input = json!({
        "pullRequestId": pull.id, "expectedHeadOid": head, "mergeMethod": method.to_uppercase(),
    });
    if let Some((headline, body)) = message.filter(|_| method == "squash") {
        input["commitHeadline"] = json!(headline);
        input["commitBody"] = json!(body);
    }
    json!({ "input": input })
}

/// The body that merges now, if the head is still the known one.
pub fn merge_body(head: &str, method: &str, message: Option<(&str, &str)>) -> Value {
    let mut body = json!({ "sha": head, "merge_method": method });
    if let Some((headline, text)) = message.filter(|_| method == "squash") {
        body["commit_title"] = json!(headline);
        body["commit_message"] = json!(text);
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn proposal() -> Proposal {
        Proposal {
            repository: "acme/manifests".into(),
            base: "main".into(),
            branch: "roadstead/production".into(),
            title: "Deploy".into(),
            body: "what".into(),
            paths: vec!["a.yaml".into()],
            commit_marker: "Roadstead-Service: ".into(),
            auto_merge: false,
        }
    }

    fn listed_pull(number: u64, branch: &str, repository: &str, base: &str) -> Value {
        json!({
            "number": number, "node_id": "PR_1", "html_url": "https://x/1", "title": "Deploy", "body": "what",
            "base": {"ref": base}, "head": {"ref": branch, "sha": "c0ffee1", "repo": {"full_name": repository}},
            "auto_merge": null, "merged_at": null, "merge_commit_sha": "7e57",
        })
    }

    #[test]
    fn own_open_pull_is_found_among_others() {
        let branch = "roadstead/production";
        let list = json!([
            listed_pull(1, branch, "fork/manifests", "main"),
            listed_pull(2, "other", "acme/manifests", "main"),
            listed_pull(3, branch, "acme/manifests", "next"),
            listed_pull(4, branch, "Acme/Manifests", "main"),
            {"number": null, "head": {"ref": branch, "repo": {"full_name": "acme/manifests"}}},
            {"head": {"ref": branch, "repo": null}},
        ]);
        assert_eq!(find_own(&list, &proposal()).unwrap().number, 4);
        assert_eq!(find_own(&json!([list[2]]), &proposal()).unwrap().base, "next");
        assert_eq!(find_own(&json!([list[0], list[1]]), &proposal()), None);
        assert_eq!(find_own(&Value::Null, &proposal()), None);
    }

    #[test]
    fn pull_is_updated_only_when_outdated() {
        let pull = parse_pull(&listed_pull(4, "b", "acme/manifests", "main")).unwrap();
        assert_eq!((pull.merged.clone(), pull.auto_merge), (None, false));
        assert_eq!(update_body(&proposal(), &pull), None);
        let lines = Proposal { body: "a\nb".into(), ..proposal() };
        assert_eq!(update_body(&lines, &PullState { body: "a\r\nb".into(), ..pull.clone() }), None);
        let new = Proposal { title: "Deploy 2".into(), ..proposal() };
        assert_eq!(update_body(&new, &pull).unwrap()["title"], "Deploy 2");
        assert!(update_body(&proposal(), &PullState { base: "next".into(), ..pull }).is_some());
        let mut merged = listed_pull(4, "b", "acme/manifests", "main");
        merged["merged_at"] = json!("2026-11-24T12:00:00Z");
        assert_eq!(parse_pull(&merged).unwrap().merged.as_deref(), Some("7e57"));
    }

    #[test]
    fn branch_without_a_pull_request_is_reused_only_when_own() {
        let ours =
            || json!({"sha": "a", "parents": [1], "commit": {"message": "Deploy\n\nRoadstead-Service: p/x"}});
        let merge = || json!({"sha": "b", "parents": [1, 2], "commit": {"message": "Merge branch 'main'"}});
        let theirs =
            || json!({"sha": "c", "parents": [1], "commit": {"message": "say Roadstead-Service: p/x"}});
        let of = |status: &str, commits: Vec<Value>, total: usize| {
            let value = json!({"status": status, "commits": commits, "total_commits": total});
            branch_reuse(&value, "Roadstead-Service: ")
        };
        assert_eq!(of("identical", vec![], 0), Some(BranchReuse::FastForward));
        assert_eq!(of("behind", vec![], 0), Some(BranchReuse::FastForward));
        assert_eq!(of("ahead", vec![ours()], 1), Some(BranchReuse::Reuse));
        assert_eq!(of("diverged", vec![ours(), merge()], 2), Some(BranchReuse::Recreate));
        assert_eq!(of("diverged", vec![ours(), theirs()], 2), Some(BranchReuse::Foreign("c".into())));
        assert_eq!(of("ahead", vec![theirs()], 1), Some(BranchReuse::Foreign("c".into())));
        assert!(matches!(of("diverged", vec![ours()], 300), Some(BranchReuse::Foreign(_))));
        assert_eq!(branch_reuse(&json!({}), "x"), None);
    }

    #[test]
    fn merge_method_is_one_that_the_repository_allows() {
        let of = |merge: Value, squash: Value, rebase: Value| {
            merge_method(
                &json!({"allow_merge_commit": merge, "allow_squash_merge": squash, "allow_rebase_merge": rebase}),
            )
        };
        assert_eq!(of(json!(true), json!(true), json!(true)), "merge");
        assert_eq!(of(json!(false), json!(true), json!(true)), "squash");
        assert_eq!(of(json!(false), json!(false), json!(true)), "rebase");
        assert_eq!(of(Value::Null, Value::Null, Value::Null), "merge");
    }

    #[test]
    fn squash_merge_keeps_our_trailers() {
        let pull = PullState { id: "PR_1".into(), ..PullState::default() };
        let message = Some(("Deploy", "A: b"));
        assert_eq!(
            auto_merge_body(&pull, "c0ffee1", "squash", message),
            json!({"input": {"pullRequestId": "PR_1", "expectedHeadOid": "c0ffee1", "mergeMethod": "SQUASH",
                "commitHeadline": "Deploy", "commitBody": "A: b"}})
        );
        assert_eq!(
            auto_merge_body(&pull, "c0ffee1", "merge", message),
            json!({"input": {"pullRequestId": "PR_1", "expectedHeadOid": "c0ffee1", "mergeMethod": "MERGE"}})
        );
        assert_eq!(
            merge_body("c0ffee1", "merge", message),
            json!({"sha": "c0ffee1", "merge_method": "merge"})
        );
        assert_eq!(
            merge_body("c0ffee1", "squash", message),
            json!({"sha": "c0ffee1", "merge_method": "squash", "commit_title": "Deploy", "commit_message": "A: b"})
        );
    }

    #[test]
    fn invalid_proposal_is_rejected() {
        assert_eq!(validate(&proposal()), Ok(()));
        let long = "x".repeat(257);
        for odd in [
            Proposal { repository: "acme".into(), ..proposal() },
            Proposal { base: "a b".into(), ..proposal() },
            Proposal { branch: "main".into(), ..proposal() },
            Proposal { title: String::new(), ..proposal() },
            Proposal { title: "a\nb".into(), ..proposal() },
            Proposal { title: long, ..proposal() },
            Proposal { commit_marker: String::new(), ..proposal() },
        ] {
            assert!(matches!(validate(&odd), Err(ApiError::Rejected(_))), "{odd:?}");
        }
    }
}
