//! Pull requests over REST: listing, opening, changing, merging.

use serde_json::{Value, json};

use super::answers::{invalid, not_found, page, pull_invalid, reply, required, validation};
use super::pulls::{Pull, joined, standing, unmet};
use super::refs::{kept, readable};
use super::settings::Access;
use super::state::{Repository, branch_ref};
use super::{caller, commits, compare, links, moves, protection};
use crate::rehearsal::call::{Answer, Call, Refusal};
use crate::rehearsal::world::World;

/// `pulls/list`.
pub fn list(world: &World, call: &Call) -> Answer {
    let it = readable(world, call)?;
    let text = |name: &str| call.input[name].as_str();
    let state = text("state").unwrap_or("open");
    let (owner, _) = it.parts();
    // GitHub looks at `head` only when it has the form `owner:branch`.
    let head = text("head").and_then(|head| head.split_once(':'));
    let wanted = |pull: &Pull| {
        (state == "all" || pull.open == (state == "open"))
            && head.is_none_or(|(of, branch)| of.eq_ignore_ascii_case(owner) && branch == pull.head)
            && text("base").is_none_or(|base| base == pull.base)
    };
    let mut found: Vec<usize> = (1..=it.pulls.len()).filter(|number| wanted(&it.pulls[number - 1])).collect();
    let updated = text("sort") == Some("updated");
    let key = |number: &usize| {
        let pull = &it.pulls[number - 1];
        ((if updated { pull.updated } else { pull.created }) as i64, *number)
    };
    found.sort_by_key(key);
    if text("direction") != Some("asc") {
        found.reverse();
    }
    let views = found.into_iter().map(|number| short(it, number).into()).collect();
    Ok(page(views, &call.input, &format!("/repos/{}/pulls", it.name), 30))
}

/// `pulls/get`.
pub fn get(world: &World, call: &Call) -> Answer {
    let it = readable(world, call)?;
    let number = number(it, call)?;
    Ok(reply(200, view(it, number)))
}

/// `pulls/create`.
pub fn create(world: &mut World, call: &Call, now: f64) -> Answer {
    let repository = caller::repository(&world.github, call, Access::Write)?;
    let author = caller::login(&world.github, call);
    let it = kept(world, &repository)?;
    let (base, head) = (required(&call.input, "base")?, required(&call.input, "head")?);
    let (owner, _) = it.parts();
    let head = match head.split_once(':') {
        Some((of, branch)) if of.eq_ignore_ascii_case(owner) => branch,
        Some(_) => return Err(unknown("head")),
        None => head,
    };
    let title = required(&call.input, "title")?;
    check(it, base, head)?;
    let pull = Pull {
        title: title.into(),
        body: call.input["body"].as_str().map(str::to_owned),
        head: head.into(),
        base: base.into(),
        last_head: it.refs.get(&branch_ref(head)).cloned(),
        author,
        open: true,
        draft: call.input["draft"].as_bool().unwrap_or(false),
        merged: None,
        auto_merge: None,
        created: now,
        updated: now,
        met: None,
    };
    let it = world.github.repositories.get_mut(&repository).ok_or_else(not_found)?;
    it.pulls.push(pull);
    let number = it.pulls.len();
    moves::expect(world, &repository, number, now);
    Ok(reply(201, view(kept(world, &repository)?, number)))
}

fn unknown(field: &str) -> Refusal {
    validation(json!([{ "resource": "PullRequest", "field": field, "code": "invalid" }]))
}

/// Whether a pull request can be opened between two branches.
fn check(it: &Repository, base: &str, head: &str) -> Result<(), Refusal> {
    let tip = |branch: &str| it.refs.get(&branch_ref(branch));
    let from = tip(head).ok_or_else(|| unknown("head"))?;
    let to = tip(base).ok_or_else(|| unknown("base"))?;
    let same = |pull: &Pull| pull.open && pull.head == head && pull.base == base;
    if it.pulls.iter().any(same) {
        let (owner, _) = it.parts();
        return Err(pull_invalid(&format!("A pull request already exists for {owner}:{head}.")));
    }
    if commits::beyond(&it.objects, to, from).is_empty() {
        return Err(pull_invalid(&format!("No commits between {base} and {head}")));
    }
    Ok(())
}

/// `pulls/update`.
pub fn update(world: &mut World, call: &Call, now: f64) -> Answer {
    let repository = caller::repository(&world.github, call, Access::Write)?;
    let it = kept(world, &repository)?;
    let number = number(it, call)?;
    let text = |name: &str| call.input[name].as_str();
    let pull = &it.pulls[number - 1];
    let reopens = text("state") == Some("open") && !pull.open;
    if reopens && pull.merged.is_some() {
        return Err(pull_invalid("state cannot be changed. The pull request cannot be reopened."));
    }
    if reopens {
        check(it, &pull.base, &pull.head)?;
    }
    if text("base").is_some_and(|base| !it.refs.contains_key(&branch_ref(base))) {
        return Err(unknown("base"));
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
        Some("closed") => (pull.open, pull.auto_merge) = (false, None),
        Some("open") => pull.open = true,
        _ => {}
    }
    pull.updated = now;
    Ok(reply(200, view(kept(world, &repository)?, number)))
}

/// `pulls/merge`.
pub fn merge(world: &mut World, call: &Call, now: f64) -> Answer {
    let repository = caller::repository(&world.github, call, Access::Write)?;
    let login = caller::login(&world.github, call);
    let it = kept(world, &repository)?;
    let number = number(it, call)?;
    let pull = &it.pulls[number - 1];
    let refused = |message: &str| Err(Refusal::of(405, "MethodNotAllowed", message));
    if !pull.open {
        return refused("Pull Request is not mergeable");
    }
    if pull.draft {
        return refused("Pull Request is still a draft");
    }
    let wanted = call.input["sha"].as_str();
    if wanted.is_some() && wanted != it.refs.get(&branch_ref(&pull.head)).map(String::as_str) {
        return Err(Refusal::of(
            409,
            "Conflict",
            "Head branch was modified. Review and try the merge again.",
        ));
    }
    let allowed = |rule: &super::settings::Protection| rule.allowed.contains(&login);
    if let Some(needs) = unmet(it, pull).filter(|rule| !allowed(rule)).and_then(protection::needs) {
        return refused(&needs);
    }
    let words = words(call);
    let method = call.input["merge_method"].as_str().unwrap_or("merge").to_owned();
    let it = world.github.repositories.get_mut(&repository).ok_or_else(not_found)?;
    let Some(oid) = joined(it, number, &method, words.as_deref(), now) else {
        return refused("Pull Request is not mergeable");
    };
    moves::land(world, &repository, number, &oid, now);
    Ok(reply(200, json!({ "sha": oid, "merged": true, "message": "Pull Request successfully merged" })))
}

fn words(call: &Call) -> Option<String> {
    let title = call.input["commit_title"].as_str()?;
    Some(match call.input["commit_message"].as_str() {
        Some(message) => format!("{title}\n\n{message}"),
        None => title.into(),
    })
}

fn number(it: &Repository, call: &Call) -> Result<usize, Refusal> {
    let number = call.input["pull_number"].as_u64().ok_or_else(not_found)? as usize;
    if (1..=it.pulls.len()).contains(&number) { Ok(number) } else { Err(not_found()) }
}

fn pull_mut<'a>(world: &'a mut World, repository: &str, number: usize) -> Result<&'a mut Pull, Refusal> {
    let it = world.github.repositories.get_mut(repository).ok_or_else(not_found)?;
    it.pulls.get_mut(number - 1).ok_or_else(|| invalid("no such pull request"))
}

/// A pull request as lists show it.
fn short(it: &Repository, number: usize) -> serde_json::Map<String, Value> {
    let pull = &it.pulls[number - 1];
    let api = |rest: &str| links::api(it, &format!("/pulls/{number}{rest}"));
    let issue = links::api(it, &format!("/issues/{number}"));
    let site = links::site(it, &format!("/pull/{number}"));
    let head = it.refs.get(&branch_ref(&pull.head)).or(pull.last_head.as_ref()).cloned().unwrap_or_default();
    let base = it.refs.get(&branch_ref(&pull.base)).cloned().unwrap_or_default();
    let closed = (!pull.open).then(|| links::date(pull.updated));
    let auto = pull.auto_merge.as_ref().map(|method| {
        json!({
            "enabled_by": links::user(&pull.author), "merge_method": method, "commit_title": pull.title,
            "commit_message": "",
        })
    });
    let mut value = json!({
        "id": it.id * 10_000 + number as u64, "node_id": links::node("PR", it, &number.to_string()), "number": number,
        "state": if pull.open { "open" } else { "closed" }, "locked": false, "active_lock_reason": null,
        "title": pull.title, "user": links::user(&pull.author), "body": pull.body, "labels": [], "milestone": null,
        "created_at": links::date(pull.created), "updated_at": links::date(pull.updated), "closed_at": closed,
        "merged_at": pull.merged.as_ref().map(|(_, at)| links::date(*at)),
        "merge_commit_sha": pull.merged.as_ref().map(|(oid, _)| oid), "assignee": null, "assignees": [],
        "requested_reviewers": [], "requested_teams": [], "draft": pull.draft,
        "author_association": "CONTRIBUTOR", "auto_merge": auto,
        "head": side(it, &pull.head, &head), "base": side(it, &pull.base, &base), "_links": {},
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
        ("review_comment", links::api(it, "/pulls/comments{/number}")),
        ("comments", format!("{issue}/comments")),
        ("statuses", links::api(it, &format!("/statuses/{head}"))),
    ];
    for (name, address) in addresses {
        if !["diff", "patch"].contains(&name) {
            value["_links"][if name.is_empty() { "self" } else { name }] = json!({ "href": address });
        }
        value[if name.is_empty() { "url".into() } else { format!("{name}_url") }] = address.into();
    }
    super::answers::members(value)
}

fn side(it: &Repository, branch: &str, oid: &str) -> Value {
    let (owner, _) = it.parts();
    json!({
        "label": format!("{owner}:{branch}"), "ref": branch, "sha": oid, "user": links::user(owner),
        "repo": links::repository(it),
    })
}

/// A pull request by itself.
fn view(it: &Repository, number: usize) -> Value {
    let pull = &it.pulls[number - 1];
    let mut value = short(it, number);
    let tip = |branch: &str| it.refs.get(&branch_ref(branch)).cloned().unwrap_or_default();
    let (base, head) = (tip(&pull.base), tip(&pull.head));
    let tree = |oid: &str| commits::read(&it.objects, oid).map(|commit| commit.tree).unwrap_or_default();
    let join = commits::merge_base(&it.objects, &base, &head).unwrap_or_default();
    let files = compare::files(it, &tree(&join), &tree(&head), &head);
    let sum = |name: &str| files.iter().filter_map(|file| file[name].as_u64()).sum::<u64>();
    let standing = standing(it, number).filter(|_| pull.open);
    let mergeable = standing.map(|standing| standing != super::pulls::Standing::Dirty);
    let merged = pull.merged.as_ref().map(|_| links::user("web-flow"));
    let more = json!({
        "merged": pull.merged.is_some(), "mergeable": mergeable, "rebaseable": mergeable,
        "mergeable_state": standing.map_or("unknown", super::pulls::Standing::word), "merged_by": merged,
        "comments": 0, "review_comments": 0, "maintainer_can_modify": false,
        "commits": commits::beyond(&it.objects, &base, &head).len(), "additions": sum("additions"),
        "deletions": sum("deletions"), "changed_files": files.len(),
    });
    value.extend(super::answers::members(more));
    value.into()
}
