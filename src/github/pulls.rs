//! A pull request to be made or kept up to date: what it is, and the bodies and answers around it. Pure.

use serde_json::{Value, json};

use super::commit::{FileChange, Landed};
use super::names;
use super::setback::Setback;
use super::snapshot::Wanted;

/// Switches auto-merge on, for the head that we know.
pub const AUTO_MERGE: &str = "mutation($input:EnablePullRequestAutoMergeInput!){\
     enablePullRequestAutoMerge(input:$input){pullRequest{number}}}";
/// The longest title and body, in characters; GitHub refuses longer ones.
const WORDS: [usize; 2] = [256, 65_536];

/// Commits of the branch that are seen with it: who edits has to know what is proposed already.
const DEPTH: usize = 50;

/// A change to be proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// owner/name.
    pub repository: String,
    /// The branch that is to get the change.
    pub base: String,
    /// The branch of the proposal: ours alone, and the same each time.
    pub branch: String,
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// The files that the edit is about.
    pub paths: Vec<String>,
    /// How a line begins that is in the message of each commit of ours, and of nobody else.
    pub mark: String,
    /// Whether it is to be merged as soon as the rules of the base allow it.
    pub auto_merge: bool,
}

/// What an edit of a snapshot wants to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// First line of the message.
    pub headline: String,
    /// The rest of it; has a line that begins with the proposal's mark.
    pub body: String,
    /// At least one.
    pub changes: Vec<FileChange>,
}

/// A pull request that has the change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// Where people see it.
    pub url: String,
    /// Whether it is new.
    pub created: bool,
    /// Whether it is merged.
    pub merged: bool,
    /// Whether GitHub will merge it by itself.
    pub auto_merge: bool,
    /// Why it is neither, though that was wished.
    pub note: Option<String>,
    /// The commit that was made on its branch; `None` where the branch had the change already.
    pub commit: Option<Landed>,
    /// The commit that the base got by the merge.
    pub merge_commit: Option<String>,
}

/// A pull request as GitHub has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pull {
    /// Its number.
    pub number: u64,
    /// Its name in GraphQL.
    pub id: String,
    /// Where people see it.
    pub url: String,
    /// Its title.
    pub title: String,
    /// Its body.
    pub body: String,
    /// The branch that it is for.
    pub base: String,
    /// The newest commit of its branch.
    pub head: String,
    /// Whether auto-merge is on.
    pub auto_merge: bool,
    /// The commit that it was merged by.
    pub merged: Option<String>,
}

/// Refuses what would be taken in another way than it is meant.
pub fn valid(proposal: &Proposal) -> Result<(), Setback> {
    let sound = || {
        let Proposal { repository, base, branch, title, body, .. } = proposal;
        names::repository(repository)?;
        names::branch(base)?;
        names::branch(branch)?;
        if base == branch {
            return Err(format!("`{branch}` cannot be proposed to itself"));
        }
        let odd = title.trim().is_empty() || title.contains(char::is_control);
        if odd || title.chars().count() > WORDS[0] || body.chars().count() > WORDS[1] {
            return Err("the title is empty or more than a line, or the text is too long".into());
        }
        if proposal.mark.is_empty() { Err("there is no mark of our commits".into()) } else { Ok(()) }
    };
    sound().map_err(Setback::Refused)
}

/// What is to be seen of a branch.
pub fn wanted(proposal: &Proposal, branch: &str) -> Wanted {
    let (repository, paths) = (proposal.repository.clone(), proposal.paths.clone());
    Wanted { repository, branch: Some(branch.to_owned()), paths, depth: DEPTH }
}

/// The body that opens it.
pub fn opening(proposal: &Proposal) -> Value {
    let Proposal { title, body, base, branch, .. } = proposal;
    json!({ "title": title, "body": body, "head": branch, "base": base })
}

/// The body that brings it up to date; `None` where it is.
pub fn refreshing(proposal: &Proposal, pull: &Pull) -> Option<Value> {
    let Proposal { title, body, base, .. } = proposal;
    let same = pull.body.replace("\r\n", "\n") == body.replace("\r\n", "\n");
    let current = pull.title == *title && pull.base == *base && same;
    (!current).then(|| json!({ "title": title, "body": body, "base": base }))
}

/// Reads a pull request; `None` where it is none.
pub fn read(value: &Value) -> Option<Pull> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let merged = value["merged_at"].is_string().then(|| text(&value["merge_commit_sha"]));
    Some(Pull {
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

/// The open one of our branch in a list, rather one for our base than another: GitHub may list those of forks too.
pub fn ours(list: &Value, proposal: &Proposal) -> Option<Pull> {
    let of_branch = |value: &&Value| {
        let name = value["head"]["repo"]["full_name"].as_str().unwrap_or_default();
        value["head"]["ref"] == proposal.branch.as_str() && name.eq_ignore_ascii_case(&proposal.repository)
    };
    let all = list.as_array().into_iter().flatten().filter(of_branch).filter_map(read);
    all.max_by_key(|pull| pull.base == proposal.base)
}

/// What has to happen with a branch that is there without an open pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is in the past of the base: it can be moved forward to it.
    Forward,
    /// It has only our commits on top of the base: it can be used as it is.
    Keep,
    /// It has only our commits, and the base went on: it can be made anew.
    Anew,
    /// It has a commit of somebody else.
    Foreign(String),
}

/// Decides by the comparison of the base with the branch. Merges of the base into it, as the button of a pull request
/// makes them, are nobody's own work.
pub fn fate(comparison: &Value, mark: &str) -> Option<Fate> {
    let commits = comparison["commits"].as_array()?;
    let is_ours = |commit: &Value| {
        let message = commit["commit"]["message"].as_str().unwrap_or_default();
        let merge = commit["parents"].as_array().is_some_and(|parents| parents.len() > 1);
        merge || message.lines().any(|line| line.starts_with(mark))
    };
    let foreign = commits.iter().find(|commit| !is_ours(commit));
    let seen = commits.len() as u64 == comparison["total_commits"].as_u64()?;
    Some(match (comparison["status"].as_str()?, foreign) {
        ("identical" | "behind", _) => Fate::Forward,
        (_, Some(foreign)) => Fate::Foreign(foreign["sha"].as_str().unwrap_or_default().to_owned()),
        _ if !seen => Fate::Foreign("of which there are too many to look through".into()),
        ("ahead", None) => Fate::Keep,
        _ => Fate::Anew,
    })
}

/// How the repository merges: a merge commit keeps our commits as they are, so it comes first.
pub fn method(repository: &Value) -> &'static str {
    let allowed = |name: &str| repository[name].as_bool();
    match ["allow_merge_commit", "allow_squash_merge", "allow_rebase_merge"].map(allowed) {
        [Some(false), Some(true), _] => "squash",
        [Some(false), Some(false), Some(true)] => "rebase",
        _ => "merge",
    }
}

/// The input of [`AUTO_MERGE`]. A squash gets our message, so that its trailers are not lost.
pub fn auto_merging(pull: &Pull, head: &str, method: &str, message: Option<(&str, &str)>) -> Value {
    let mut input = json!({
        "pullRequestId": pull.id, "expectedHeadOid": head, "mergeMethod": method.to_uppercase(),
    });
    if let Some((headline, body)) = message.filter(|_| method == "squash") {
        input["commitHeadline"] = json!(headline);
        input["commitBody"] = json!(body);
    }
    json!({ "input": input })
}

/// The body that merges now, if the head is still the one that we know.
pub fn merging(head: &str, method: &str, message: Option<(&str, &str)>) -> Value {
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
            mark: "Roadstead-Service: ".into(),
            auto_merge: false,
        }
    }

    fn listed(number: u64, branch: &str, repository: &str, base: &str) -> Value {
        json!({
            "number": number, "node_id": "PR_1", "html_url": "https://x/1", "title": "Deploy", "body": "what",
            "base": {"ref": base}, "head": {"ref": branch, "sha": "c0ffee1", "repo": {"full_name": repository}},
            "auto_merge": null, "merged_at": null, "merge_commit_sha": "7e57",
        })
    }

    #[test]
    fn the_open_one_of_our_branch_is_found_among_others() {
        let branch = "roadstead/production";
        let list = json!([
            listed(1, branch, "fork/manifests", "main"),
            listed(2, "other", "acme/manifests", "main"),
            listed(3, branch, "acme/manifests", "next"),
            listed(4, branch, "Acme/Manifests", "main"),
            {"number": null, "head": {"ref": branch, "repo": {"full_name": "acme/manifests"}}},
            {"head": {"ref": branch, "repo": null}},
        ]);
        assert_eq!(ours(&list, &proposal()).unwrap().number, 4);
        assert_eq!(ours(&json!([list[2]]), &proposal()).unwrap().base, "next");
        assert_eq!(ours(&json!([list[0], list[1]]), &proposal()), None);
        assert_eq!(ours(&Value::Null, &proposal()), None);
    }

    #[test]
    fn it_is_brought_up_to_date_only_where_it_is_not() {
        let pull = read(&listed(4, "b", "acme/manifests", "main")).unwrap();
        assert_eq!((pull.merged.clone(), pull.auto_merge), (None, false));
        assert_eq!(refreshing(&proposal(), &pull), None);
        let lines = Proposal { body: "a\nb".into(), ..proposal() };
        assert_eq!(refreshing(&lines, &Pull { body: "a\r\nb".into(), ..pull.clone() }), None);
        let new = Proposal { title: "Deploy 2".into(), ..proposal() };
        assert_eq!(refreshing(&new, &pull).unwrap()["title"], "Deploy 2");
        assert!(refreshing(&proposal(), &Pull { base: "next".into(), ..pull }).is_some());
        let mut merged = listed(4, "b", "acme/manifests", "main");
        merged["merged_at"] = json!("2026-11-24T12:00:00Z");
        assert_eq!(read(&merged).unwrap().merged.as_deref(), Some("7e57"));
    }

    #[test]
    fn a_branch_without_a_pull_request_is_kept_only_as_far_as_it_is_ours() {
        let ours =
            || json!({"sha": "a", "parents": [1], "commit": {"message": "Deploy\n\nRoadstead-Service: p/x"}});
        let merge = || json!({"sha": "b", "parents": [1, 2], "commit": {"message": "Merge branch 'main'"}});
        let theirs =
            || json!({"sha": "c", "parents": [1], "commit": {"message": "say Roadstead-Service: p/x"}});
        let of = |status: &str, commits: Vec<Value>, total: usize| {
            let value = json!({"status": status, "commits": commits, "total_commits": total});
            fate(&value, "Roadstead-Service: ")
        };
        assert_eq!(of("identical", vec![], 0), Some(Fate::Forward));
        assert_eq!(of("behind", vec![], 0), Some(Fate::Forward));
        assert_eq!(of("ahead", vec![ours()], 1), Some(Fate::Keep));
        assert_eq!(of("diverged", vec![ours(), merge()], 2), Some(Fate::Anew));
        assert_eq!(of("diverged", vec![ours(), theirs()], 2), Some(Fate::Foreign("c".into())));
        assert_eq!(of("ahead", vec![theirs()], 1), Some(Fate::Foreign("c".into())));
        assert!(matches!(of("diverged", vec![ours()], 300), Some(Fate::Foreign(_))));
        assert_eq!(fate(&json!({}), "x"), None);
    }

    #[test]
    fn the_way_of_merging_is_one_that_the_repository_has() {
        let of = |merge: Value, squash: Value, rebase: Value| {
            method(
                &json!({"allow_merge_commit": merge, "allow_squash_merge": squash, "allow_rebase_merge": rebase}),
            )
        };
        assert_eq!(of(json!(true), json!(true), json!(true)), "merge");
        assert_eq!(of(json!(false), json!(true), json!(true)), "squash");
        assert_eq!(of(json!(false), json!(false), json!(true)), "rebase");
        assert_eq!(of(Value::Null, Value::Null, Value::Null), "merge");
    }

    #[test]
    fn a_squash_keeps_our_trailers() {
        let pull = Pull { id: "PR_1".into(), ..Pull::default() };
        let message = Some(("Deploy", "A: b"));
        assert_eq!(
            auto_merging(&pull, "c0ffee1", "squash", message),
            json!({"input": {"pullRequestId": "PR_1", "expectedHeadOid": "c0ffee1", "mergeMethod": "SQUASH",
                "commitHeadline": "Deploy", "commitBody": "A: b"}})
        );
        assert_eq!(
            auto_merging(&pull, "c0ffee1", "merge", message),
            json!({"input": {"pullRequestId": "PR_1", "expectedHeadOid": "c0ffee1", "mergeMethod": "MERGE"}})
        );
        assert_eq!(merging("c0ffee1", "merge", message), json!({"sha": "c0ffee1", "merge_method": "merge"}));
        assert_eq!(
            merging("c0ffee1", "squash", message),
            json!({"sha": "c0ffee1", "merge_method": "squash", "commit_title": "Deploy", "commit_message": "A: b"})
        );
    }

    #[test]
    fn a_proposal_is_checked() {
        assert_eq!(valid(&proposal()), Ok(()));
        let long = "x".repeat(257);
        for odd in [
            Proposal { repository: "acme".into(), ..proposal() },
            Proposal { base: "a b".into(), ..proposal() },
            Proposal { branch: "main".into(), ..proposal() },
            Proposal { title: String::new(), ..proposal() },
            Proposal { title: "a\nb".into(), ..proposal() },
            Proposal { title: long, ..proposal() },
            Proposal { mark: String::new(), ..proposal() },
        ] {
            assert!(matches!(valid(&odd), Err(Setback::Refused(_))), "{odd:?}");
        }
    }
}
