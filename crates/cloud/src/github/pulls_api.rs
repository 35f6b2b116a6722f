//! Pull requests over REST: listing, opening, changing, merging.

use serde_json::{Value, json};

use super::pulls::{GitHubPullRequest, create_merge_commit, mergeable_state, unmet_protection};
use super::refs::{readable_repository, stored_repository};
use super::responses::{
    invalid_pull_request, list_page, not_found, required_str, response, unprocessable, validation_failed,
};
use super::scenario::RepositoryAccess;
use super::state::{GitHubRepository, branch_ref};
use super::{auth, commits, compare, protection, ref_updates, urls};
use crate::request::{ServiceCall, ServiceError, ServiceResult};
use crate::world::World;

/// `pulls/list`.
pub fn list(world: &World, call: &ServiceCall) -> ServiceResult {
    let it = readable_repository(world, call)?;
    let text = |name: &str| call.input[name].as_str();
    let state = text("state").unwrap_or("open");
    let (owner, _) = it.owner_and_name();
    // GitHub looks at `head` only when it has the form `owner:branch`.
    let head = text("head").and_then(|head| head.split_once(':'));
    let wanted = |pull: &GitHubPullRequest| {
        (state == "all" || pull.is_open == (state == "open"))
            && head.is_none_or(|(of, branch)| of.eq_ignore_ascii_case(owner) && branch == pull.head)
            && text("base").is_none_or(|base| base == pull.base)
    };
    let mut found: Vec<usize> = (1..=it.pulls.len()).filter(|number| wanted(&it.pulls[number - 1])).collect();
    let updated = text("sort") == Some("updated");
    let key = |number: &usize| {
        let pull = &it.pulls[number - 1];
        ((if updated { pull.updated_at } else { pull.created_at }) as i64, *number)
    };
    found.sort_by_key(key);
    if text("direction") != Some("asc") {
        found.reverse();
    }
    let views = found.into_iter().map(|number| pull_summary_json(it, number).into()).collect();
    Ok(list_page(views, &call.input, &format!("/repos/{}/pulls", it.name), 30))
}

/// `pulls/get`.
pub fn get(world: &World, call: &ServiceCall) -> ServiceResult {
    let it = readable_repository(world, call)?;
    let number = pull_number(it, call)?;
    Ok(response(200, pull_json(it, number)))
}

/// `pulls/create`.
pub fn create(world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
    let repository = auth::authorize(&world.github, call, RepositoryAccess::Write)?;
    let author = auth::caller_login(&world.github, call);
    let it = stored_repository(world, &repository)?;
    let (base, head) = (required_str(&call.input, "base")?, required_str(&call.input, "head")?);
    let (owner, _) = it.owner_and_name();
    let head = match head.split_once(':') {
        Some((of, branch)) if of.eq_ignore_ascii_case(owner) => branch,
        Some(_) => return Err(invalid_field("head")),
        None => head,
    };
    let title = required_str(&call.input, "title")?;
    check_can_open(it, base, head)?;
    let pull = GitHubPullRequest {
        title: title.into(),
        body: call.input["body"].as_str().map(str::to_owned),
        head: head.into(),
        base: base.into(),
        last_head: it.refs.get(&branch_ref(head)).cloned(),
        author,
        is_open: true,
        is_draft: call.input["draft"].as_bool().unwrap_or(false),
        merge_commit: None,
        auto_merge_method: None,
        created_at: now,
        updated_at: now,
        checks_met_for: None,
    };
    let it = world.github.repositories.get_mut(&repository).ok_or_else(not_found)?;
    it.pulls.push(pull);
    let number = it.pulls.len();
    ref_updates::schedule_checks(world, &repository, number, now);
    Ok(response(201, pull_json(stored_repository(world, &repository)?, number)))
}

fn invalid_field(field: &str) -> ServiceError {
    validation_failed(json!([{ "resource": "PullRequest", "field": field, "code": "invalid" }]))
}

/// Whether a pull request can be opened between two branches.
fn check_can_open(it: &GitHubRepository, base: &str, head: &str) -> Result<(), ServiceError> {
    let tip = |branch: &str| it.refs.get(&branch_ref(branch));
    let from = tip(head).ok_or_else(|| invalid_field("head"))?;
    let to = tip(base).ok_or_else(|| invalid_field("base"))?;
    let same = |pull: &GitHubPullRequest| pull.is_open && pull.head == head && pull.base == base;
    if it.pulls.iter().any(same) {
        let (owner, _) = it.owner_and_name();
        return Err(invalid_pull_request(&format!("A pull request already exists for {owner}:{head}.")));
    }
    if commits::commits_ahead(&it.objects, to, from).is_empty() {
        return Err(invalid_pull_request(&format!("No commits between {base} and {head}")));
    }
    Ok(())
}

/// `pulls/update`.
pub fn update(world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
    let repository = auth::authorize(&world.github, call, RepositoryAccess::Write)?;
    let it = stored_repository(world, &repository)?;
    let number = pull_number(it, call)?;
    let text = |name: &str| call.input[name].as_str();
    let pull = &it.pulls[number - 1];
    let reopens = text("state") == Some("open") && !pull.is_open;
    if reopens && pull.merge_commit.is_some() {
        return Err(invalid_pull_request("state cannot be changed. The pull request cannot be reopened."));
    }
    if reopens {
        check_can_open(it, &pull.base, &pull.head)?;
    }
    if text("base").is_some_and(|base| !it.refs.contains_key(&branch_ref(base))) {
        return Err(invalid_field("base"));
    }
    let pull = pull_mut(world, &repository, number)?;
    for (name, member) in [("title", &mut pull.title), ("base", &mut pull.base)] {
        if let Some(text) = text(name) {
            *member = text.into();
        }
    }
    if let Some(body) = text("body") {
        pull.body = Some(body.into());
    }
    match text("state") {
        Some("closed") => (pull.is_open, pull.auto_merge_method) = (false, None),
        Some("open") => pull.is_open = true,
        _ => {}
    }
    pull.updated_at = now;
    Ok(response(200, pull_json(stored_repository(world, &repository)?, number)))
}

/// `pulls/merge`.
pub fn merge(world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
    let repository = auth::authorize(&world.github, call, RepositoryAccess::Write)?;
    let login = auth::caller_login(&world.github, call);
    let it = stored_repository(world, &repository)?;
    let number = pull_number(it, call)?;
    let pull = &it.pulls[number - 1];
    let refused = |message: &str| Err(ServiceError::with_status(405, "MethodNotAllowed", message));
    if !pull.is_open {
        return refused("Pull Request is not mergeable");
    }
    if pull.is_draft {
        return refused("Pull Request is still a draft");
    }
    let wanted = call.input["sha"].as_str();
    if wanted.is_some() && wanted != it.refs.get(&branch_ref(&pull.head)).map(String::as_str) {
        return Err(ServiceError::with_status(
            409,
            "Conflict",
            "Head branch was modified. Review and try the merge again.",
        ));
    }
    let allowed = |rule: &super::scenario::BranchProtection| rule.allowed.contains(&login);
    if let Some(needs) =
        unmet_protection(it, pull).filter(|rule| !allowed(rule)).and_then(protection::missing_requirements)
    {
        return refused(&needs);
    }
    let words = commit_message(call);
    let method = call.input["merge_method"].as_str().unwrap_or("merge").to_owned();
    let it = world.github.repositories.get_mut(&repository).ok_or_else(not_found)?;
    let Some(oid) = create_merge_commit(it, number, &method, words.as_deref(), now) else {
        return refused("Pull Request is not mergeable");
    };
    ref_updates::merge_pull(world, &repository, number, &oid, now);
    Ok(response(200, json!({ "sha": oid, "merged": true, "message": "Pull Request successfully merged" })))
}

fn commit_message(call: &ServiceCall) -> Option<String> {
    let title = call.input["commit_title"].as_str()?;
    Some(match call.input["commit_message"].as_str() {
        Some(message) => format!("{title}\n\n{message}"),
        None => title.into(),
    })
}

fn pull_number(it: &GitHubRepository, call: &ServiceCall) -> Result<usize, ServiceError> {
    let number = call.input["pull_number"].as_u64().ok_or_else(not_found)? as usize;
    if (1..=it.pulls.len()).contains(&number) { Ok(number) } else { Err(not_found()) }
}

fn pull_mut<'a>(
    world: &'a mut World,
    repository: &str,
    number: usize,
) -> Result<&'a mut GitHubPullRequest, ServiceError> {
    let it = world.github.repositories.get_mut(repository).ok_or_else(not_found)?;
    it.pulls.get_mut(number - 1).ok_or_else(|| unprocessable("no such pull request"))
}

/// A pull request as lists show it.
fn pull_summary_json(it: &GitHubRepository, number: usize) -> serde_json::Map<String, Value> {
    let pull = &it.pulls[number - 1];
    let api = |rest: &str| urls::api_url(it, &format!("/pulls/{number}{rest}"));
    let issue = urls::api_url(it, &format!("/issues/{number}"));
    let site = urls::html_url(it, &format!("/pull/{number}"));
    let head = it.refs.get(&branch_ref(&pull.head)).or(pull.last_head.as_ref()).cloned().unwrap_or_default();
    let base = it.refs.get(&branch_ref(&pull.base)).cloned().unwrap_or_default();
    let closed = (!pull.is_open).then(|| urls::format_date(pull.updated_at));
    let auto = pull.auto_merge_method.as_ref().map(|method| {
        json!({
            "enabled_by": urls::user_json(&pull.author), "merge_method": method, "commit_title": pull.title,
            "commit_message": "",
        })
    });
    let mut value = json!({
        "id": it.id * 10_000 + number as u64, "node_id": urls::node_id("PR", it, &number.to_string()), "number": number,
        "state": if pull.is_open { "open" } else { "closed" }, "locked": false, "active_lock_reason": null,
        "title": pull.title, "user": urls::user_json(&pull.author), "body": pull.body, "labels": [], "milestone": null,
        "created_at": urls::format_date(pull.created_at), "updated_at": urls::format_date(pull.updated_at), "closed_at": closed,
        "merged_at": pull.merge_commit.as_ref().map(|(_, at)| urls::format_date(*at)),
        "merge_commit_sha": pull.merge_commit.as_ref().map(|(oid, _)| oid), "assignee": null, "assignees": [],
        "requested_reviewers": [], "requested_teams": [], "draft": pull.is_draft,
        "author_association": "CONTRIBUTOR", "auto_merge": auto,
        "head": pull_branch_json(it, &pull.head, &head), "base": pull_branch_json(it, &pull.base, &base), "_links": {},
    });
    // Each address under its own name, and most of them again as links.
    let addresses = [
        ("", api("")),
        ("html", site.clone()),
        ("diff", format!("{site}.diff")),
        ("patch", format!("{site}.patch")),
        ("issue", issue.clone()),
        ("commits", api("/commits")),
        ("review_comments", api("/comments")),
        ("review_comment", urls::api_url(it, "/pulls/comments{/number}")),
        ("comments", format!("{issue}/comments")),
        ("statuses", urls::api_url(it, &format!("/statuses/{head}"))),
    ];
    for (name, address) in addresses {
        if !["diff", "patch"].contains(&name) {
            value["_links"][if name.is_empty() { "self" } else { name }] = json!({ "href": address });
        }
        value[if name.is_empty() { "url".into() } else { format!("{name}_url") }] = address.into();
    }
    super::responses::into_members(value)
}

fn pull_branch_json(it: &GitHubRepository, branch: &str, oid: &str) -> Value {
    let (owner, _) = it.owner_and_name();
    json!({
        "label": format!("{owner}:{branch}"), "ref": branch, "sha": oid, "user": urls::user_json(owner),
        "repo": urls::repository_json(it),
    })
}

/// A pull request by itself.
fn pull_json(it: &GitHubRepository, number: usize) -> Value {
    let pull = &it.pulls[number - 1];
    let mut value = pull_summary_json(it, number);
    let tip = |branch: &str| it.refs.get(&branch_ref(branch)).cloned().unwrap_or_default();
    let (base, head) = (tip(&pull.base), tip(&pull.head));
    let tree =
        |oid: &str| commits::read_commit(&it.objects, oid).map(|commit| commit.tree).unwrap_or_default();
    let join = commits::merge_base(&it.objects, &base, &head).unwrap_or_default();
    let files = compare::changed_files(it, &tree(&join), &tree(&head), &head);
    let sum = |name: &str| files.iter().filter_map(|file| file[name].as_u64()).sum::<u64>();
    let standing = mergeable_state(it, number).filter(|_| pull.is_open);
    let mergeable = standing.map(|standing| standing != super::pulls::MergeableState::Dirty);
    let merged = pull.merge_commit.as_ref().map(|_| urls::user_json("web-flow"));
    let more = json!({
        "merged": pull.merge_commit.is_some(), "mergeable": mergeable, "rebaseable": mergeable,
        "mergeable_state": standing.map_or("unknown", super::pulls::MergeableState::as_str), "merged_by": merged,
        "comments": 0, "review_comments": 0, "maintainer_can_modify": false,
        "commits": commits::commits_ahead(&it.objects, &base, &head).len(), "additions": sum("additions"),
        "deletions": sum("deletions"), "changed_files": files.len(),
    });
    value.extend(super::responses::into_members(more));
    value.into()
}
