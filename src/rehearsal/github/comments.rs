//! Comments on issues and pull requests.

use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::{not_found, page, reply, required, validation};
use super::caller;
use super::links::{api, date, node, site, user};
use super::refs::readable;
use super::settings::Access;
use super::state::Repository;
use crate::rehearsal::call::{Answer, Call, Refusal};
use crate::rehearsal::world::World;

/// Characters of a body.
const LONGEST: usize = 65_536;

/// A comment that somebody made before.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Setting {
    /// Number of the issue or pull request.
    pub issue: u64,
    /// Login of whoever made it.
    pub author: String,
    /// Its text.
    pub body: String,
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Comment {
    /// Its number.
    pub id: u64,
    /// Number of the issue or pull request.
    pub issue: u64,
    /// Login of whoever made it.
    pub author: String,
    /// Its text.
    pub body: String,
    /// When it was made, epoch seconds.
    pub created: f64,
    /// When it last changed, epoch seconds.
    pub updated: f64,
}

impl Repository {
    /// Somebody comments.
    pub fn comment(&mut self, issue: u64, author: &str, body: &str, now: f64) -> &Comment {
        let id = self.fresh();
        let (author, body) = (author.to_owned(), body.to_owned());
        self.comments.push(Comment { id, issue, author, body, created: now, updated: now });
        &self.comments[self.comments.len() - 1]
    }

    /// Whether there is an issue or a pull request with this number.
    fn discusses(&self, issue: u64) -> bool {
        self.issues.contains(&issue) || (1..=self.pulls.len() as u64).contains(&issue)
    }
}

/// `issues/list-comments`: the oldest first.
pub fn list(world: &World, call: &Call) -> Answer {
    let it = readable(world, call)?;
    let issue = issue(it, call)?;
    let since = call.input["since"].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let recent = |one: &&Comment| since.is_none_or(|since| one.updated >= since.as_second() as f64);
    let found = it.comments.iter().filter(|one| one.issue == issue).filter(recent);
    let path = format!("/repos/{}/issues/{issue}/comments", it.name);
    Ok(page(found.map(|one| view(it, one)).collect(), &call.input, &path, 30))
}

/// `issues/create-comment`.
pub fn create(world: &mut World, call: &Call, now: f64) -> Answer {
    let name = caller::repository(&world.github, call, Access::Write)?;
    let author = caller::login(&world.github, call);
    let body = body(call)?;
    let it = world.github.repositories.get_mut(&name).ok_or_else(not_found)?;
    let issue = issue(it, call)?;
    let made = it.comment(issue, &author, &body, now).clone();
    Ok(reply(201, view(it, &made)))
}

/// `issues/update-comment`.
pub fn update(world: &mut World, call: &Call, now: f64) -> Answer {
    let name = caller::repository(&world.github, call, Access::Write)?;
    let body = body(call)?;
    let it = world.github.repositories.get_mut(&name).ok_or_else(not_found)?;
    let id = call.input["comment_id"].as_u64();
    let comment = it.comments.iter_mut().find(|comment| Some(comment.id) == id).ok_or_else(not_found)?;
    (comment.body, comment.updated) = (body, now);
    let changed = comment.clone();
    Ok(reply(200, view(it, &changed)))
}

fn issue(it: &Repository, call: &Call) -> Result<u64, Refusal> {
    call.input["issue_number"].as_u64().filter(|issue| it.discusses(*issue)).ok_or_else(not_found)
}

fn body(call: &Call) -> Result<String, Refusal> {
    let body = required(&call.input, "body")?;
    let wrong = |code: &str, field: &str, message: &str| {
        validation(json!([{ "resource": "IssueComment", "code": code, "field": field, "message": message }]))
    };
    if body.trim().is_empty() {
        return Err(wrong("unprocessable", "data", "Body cannot be blank"));
    }
    if body.chars().count() > LONGEST {
        let message = format!("Body is too long (maximum is {LONGEST} characters)");
        return Err(wrong("unprocessable", "data", &message));
    }
    Ok(body.to_owned())
}

fn view(it: &Repository, comment: &Comment) -> Value {
    let id = comment.id;
    json!({
        "id": id, "node_id": node("IC", it, &id.to_string()), "url": api(it, &format!("/issues/comments/{id}")),
        "html_url": site(it, &format!("/pull/{}#issuecomment-{id}", comment.issue)), "body": comment.body,
        "user": user(&comment.author), "created_at": date(comment.created), "updated_at": date(comment.updated),
        "issue_url": api(it, &format!("/issues/{}", comment.issue)), "author_association": "NONE",
        "performed_via_github_app": null,
    })
}
