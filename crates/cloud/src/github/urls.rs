//! What GitHub tells about repositories, accounts, commits and refs over and over again: numbers, times and addresses.

use serde_json::{Map, Value, json};

use super::auth;
use super::commits::{self, GitCommit, GitSignature};
use super::git_objects::ObjectKind;
use super::state::GitHubRepository;
use crate::time;

/// The address of something in a repository, in the REST API.
pub fn api_url(repository: &GitHubRepository, rest: &str) -> String {
    format!("https://api.github.com/repos/{}{rest}", repository.name)
}

/// The address of something in a repository, for people.
pub fn html_url(repository: &GitHubRepository, rest: &str) -> String {
    format!("https://github.com/{}{rest}", repository.name)
}

/// A time as GitHub writes it.
pub fn format_date(at: f64) -> String {
    time::iso8601(at.floor())
}

/// Opaque to clients: a kind, the repository's number and a name.
pub fn node_id(kind: &str, repository: &GitHubRepository, name: &str) -> String {
    format!("{kind}_{}:{name}", repository.id)
}

/// An account.
pub fn user_json(login: &str) -> Value {
    let base = format!("https://api.github.com/users/{login}");
    let bot = login.ends_with("[bot]");
    let mut user = json!({
        "login": login, "id": auth::account_id(login), "node_id": format!("U_{}", auth::account_id(login)),
        "avatar_url": format!("https://avatars.githubusercontent.com/u/{}", auth::account_id(login)), "gravatar_id": "",
        "url": base, "html_url": format!("https://github.com/{login}"),
        "type": if bot { "Bot" } else { "User" }, "site_admin": false,
    });
    let lists = [
        ("followers_url", "/followers"),
        ("following_url", "/following{/other_user}"),
        ("gists_url", "/gists{/gist_id}"),
        ("starred_url", "/starred{/owner}{/repo}"),
        ("subscriptions_url", "/subscriptions"),
        ("organizations_url", "/orgs"),
        ("repos_url", "/repos"),
        ("events_url", "/events{/privacy}"),
        ("received_events_url", "/received_events"),
    ];
    for (name, rest) in lists {
        user[name] = format!("{base}{rest}").into();
    }
    user
}

/// Lists of a repository, and their addresses.
const REPOSITORY_URLS: &[(&str, &str)] = &[
    ("archive_url", "/{archive_format}{/ref}"),
    ("assignees_url", "/assignees{/user}"),
    ("blobs_url", "/git/blobs{/sha}"),
    ("branches_url", "/branches{/branch}"),
    ("collaborators_url", "/collaborators{/collaborator}"),
    ("comments_url", "/comments{/number}"),
    ("commits_url", "/commits{/sha}"),
    ("compare_url", "/compare/{base}...{head}"),
    ("contents_url", "/contents/{+path}"),
    ("contributors_url", "/contributors"),
    ("deployments_url", "/deployments"),
    ("downloads_url", "/downloads"),
    ("events_url", "/events"),
    ("forks_url", "/forks"),
    ("git_commits_url", "/git/commits{/sha}"),
    ("git_refs_url", "/git/refs{/sha}"),
    ("git_tags_url", "/git/tags{/sha}"),
    ("hooks_url", "/hooks"),
    ("issue_comment_url", "/issues/comments{/number}"),
    ("issue_events_url", "/issues/events{/number}"),
    ("issues_url", "/issues{/number}"),
    ("keys_url", "/keys{/key_id}"),
    ("labels_url", "/labels{/name}"),
    ("languages_url", "/languages"),
    ("merges_url", "/merges"),
    ("milestones_url", "/milestones{/number}"),
    ("notifications_url", "/notifications{?since,all,participating}"),
    ("pulls_url", "/pulls{/number}"),
    ("releases_url", "/releases{/id}"),
    ("stargazers_url", "/stargazers"),
    ("statuses_url", "/statuses/{sha}"),
    ("subscribers_url", "/subscribers"),
    ("subscription_url", "/subscription"),
    ("tags_url", "/tags"),
    ("teams_url", "/teams"),
    ("trees_url", "/git/trees{/sha}"),
    ("url", ""),
];

/// A repository.
pub fn repository_json(it: &GitHubRepository) -> Map<String, Value> {
    let (owner, name) = it.owner_and_name();
    let created = format_date(it.created_at);
    let mut value = json!({
        "id": it.id, "node_id": node_id("R", it, ""), "name": name, "full_name": it.name, "owner": user_json(owner),
        "private": it.is_private, "visibility": if it.is_private { "private" } else { "public" },
        "html_url": html_url(it, ""), "description": null, "fork": false, "homepage": null, "language": null,
        "clone_url": html_url(it, ".git"), "svn_url": html_url(it, ""), "ssh_url": format!("git@github.com:{}.git", it.name),
        "git_url": format!("git://github.com/{}.git", it.name), "mirror_url": null, "license": null,
        "default_branch": it.default_branch, "archived": it.is_archived, "disabled": false,
        "created_at": created, "updated_at": created, "pushed_at": created, "size": 0, "topics": [],
    });
    for flag in ["has_issues", "has_projects", "has_wiki", "has_downloads"] {
        value[flag] = true.into();
    }
    for flag in ["has_pages", "has_discussions", "is_template"] {
        value[flag] = false.into();
    }
    for count in ["forks", "stargazers", "watchers", "open_issues", "network", "subscribers"] {
        value[format!("{count}_count")] = 0.into();
    }
    for count in ["forks", "watchers", "open_issues"] {
        value[count] = 0.into();
    }
    for (name, rest) in REPOSITORY_URLS {
        value[*name] = api_url(it, rest).into();
    }
    super::responses::into_members(value)
}

/// A ref.
pub fn ref_json(it: &GitHubRepository, name: &str, oid: &str) -> Value {
    let kind = it.objects.kind(oid).unwrap_or(ObjectKind::Commit).as_str();
    json!({
        "ref": name, "node_id": node_id("REF", it, name), "url": api_url(it, &format!("/git/{name}")),
        "object": { "sha": oid, "type": kind, "url": api_url(it, &format!("/git/{kind}s/{oid}")) },
    })
}

fn signature_json(person: &GitSignature) -> Value {
    json!({ "name": person.name, "email": person.email, "date": format_date(person.timestamp as f64) })
}

/// Signatures are not modelled: nothing is signed here.
fn verification_json() -> Value {
    json!({ "verified": false, "reason": "unsigned", "signature": null, "payload": null, "verified_at": null })
}

/// A commit as the Git database shows it.
pub fn git_commit_json(it: &GitHubRepository, oid: &str, commit: &GitCommit) -> Value {
    let parent = |oid: &String| json!({ "sha": oid, "url": api_url(it, &format!("/git/commits/{oid}")), "html_url": html_url(it, &format!("/commit/{oid}")) });
    json!({
        "sha": oid, "node_id": node_id("C", it, oid), "url": api_url(it, &format!("/git/commits/{oid}")),
        "html_url": html_url(it, &format!("/commit/{oid}")),
        "author": signature_json(&commit.author), "committer": signature_json(&commit.committer), "message": commit.message,
        "tree": { "sha": commit.tree, "url": api_url(it, &format!("/git/trees/{}", commit.tree)) },
        "parents": commit.parents.iter().map(parent).collect::<Vec<_>>(), "verification": verification_json(),
    })
}

/// A commit as lists show it.
pub fn commit_json(it: &GitHubRepository, oid: &str) -> Option<Value> {
    let commit = commits::read_commit(&it.objects, oid)?;
    let parent = |oid: &String| json!({ "sha": oid, "url": api_url(it, &format!("/commits/{oid}")), "html_url": html_url(it, &format!("/commit/{oid}")) });
    Some(json!({
        "sha": oid, "node_id": node_id("C", it, oid), "url": api_url(it, &format!("/commits/{oid}")),
        "html_url": html_url(it, &format!("/commit/{oid}")), "comments_url": api_url(it, &format!("/commits/{oid}/comments")),
        "commit": {
            "author": signature_json(&commit.author), "committer": signature_json(&commit.committer), "message": commit.message,
            "tree": { "sha": commit.tree, "url": api_url(it, &format!("/git/trees/{}", commit.tree)) },
            "url": api_url(it, &format!("/git/commits/{oid}")), "comment_count": 0, "verification": verification_json(),
        },
        "author": account_json(&commit.author), "committer": account_json(&commit.committer),
        "parents": commit.parents.iter().map(parent).collect::<Vec<_>>(),
    }))
}

/// The account that an address of GitHub's belongs to.
fn account_json(person: &GitSignature) -> Value {
    if person.email == "noreply@github.com" {
        return user_json("web-flow");
    }
    match person.email.strip_suffix("@users.noreply.github.com") {
        Some(name) => user_json(name.split_once('+').map_or(name, |(_, login)| login)),
        None => Value::Null,
    }
}
