//! Comments on issues and pull requests.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth;
use super::refs::readable_repository;
use super::responses::{list_page, not_found, required_str, response, validation_failed};
use super::scenario::RepositoryAccess;
use super::state::GitHubRepository;
use super::urls::{api_url, format_date, html_url, node_id, user_json};
use crate::request::{ServiceCall, ServiceError, ServiceResult};
use crate::world::World;

/// Characters of a body.
const MAX_BODY_CHARS: usize = 65_536;

/// A comment that somebody made before.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CommentSetting {
    /// Number of the issue or pull request.
    pub issue: u64,
    /// Login of its author.
    pub author: String,
    /// Its text.
    pub body: String,
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GitHubComment {
    /// Its number.
    pub id: u64,
    /// Number of the issue or pull request.
    pub issue: u64,
    /// Login of its author.
    pub author: String,
    /// Its text.
    pub body: String,
    /// When it was made, epoch seconds.
    pub created_at: f64,
    /// When it last changed, epoch seconds.
    pub updated_at: f64,
}

impl GitHubRepository {
    /// Somebody comments.
    pub fn add_comment(&mut self, issue: u64, author: &str, body: &str, now: f64) -> &GitHubComment {
        let id = self.next_number();
        let (author, body) = (author.to_owned(), body.to_owned());
        self.comments.push(GitHubComment { id, issue, author, body, created_at: now, updated_at: now });
        &self.comments[self.comments.len() - 1]
    }

    /// Whether there is an issue or a pull request with this number.
    fn has_issue(&self, issue: u64) -> bool {
        self.issues.contains(&issue) || (1..=self.pulls.len() as u64).contains(&issue)
    }
}

/// `issues/list-comments`: the oldest first.
pub fn list(world: &World, call: &ServiceCall) -> ServiceResult {
    let it = readable_repository(world, call)?;
    let issue = issue_number(it, call)?;
    let since = call.input["since"].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let recent = |one: &&GitHubComment| since.is_none_or(|since| one.updated_at >= since.as_second() as f64);
    let found = it.comments.iter().filter(|one| one.issue == issue).filter(recent);
    let path = format!("/repos/{}/issues/{issue}/comments", it.name);
    Ok(list_page(found.map(|one| comment_json(it, one)).collect(), &call.input, &path, 30))
}

/// `issues/create-comment`.
pub fn create(world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
    let name = auth::authorize(&world.github, call, RepositoryAccess::Write)?;
    let author = auth::caller_login(&world.github, call);
    let body = validated_body(call)?;
    let it = world.github.repositories.get_mut(&name).ok_or_else(not_found)?;
    let issue = issue_number(it, call)?;
    let made = it.add_comment(issue, &author, &body, now).clone();
    Ok(response(201, comment_json(it, &made)))
}

/// `issues/update-comment`.
pub fn update(world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
    let name = auth::authorize(&world.github, call, RepositoryAccess::Write)?;
    let body = validated_body(call)?;
    let it = world.github.repositories.get_mut(&name).ok_or_else(not_found)?;
    let id = call.input["comment_id"].as_u64();
    let comment = it.comments.iter_mut().find(|comment| Some(comment.id) == id).ok_or_else(not_found)?;
    (comment.body, comment.updated_at) = (body, now);
    let changed = comment.clone();
    Ok(response(200, comment_json(it, &changed)))
}

fn issue_number(it: &GitHubRepository, call: &ServiceCall) -> Result<u64, ServiceError> {
    call.input["issue_number"].as_u64().filter(|issue| it.has_issue(*issue)).ok_or_else(not_found)
}

fn validated_body(call: &ServiceCall) -> Result<String, ServiceError> {
    let body = required_str(&call.input, "body")?;
    let wrong = |code: &str, field: &str, message: &str| {
        validation_failed(
            json!([{ "resource": "IssueComment", "code": code, "field": field, "message": message }]),
        )
    };
    if body.trim().is_empty() {
        return Err(wrong("unprocessable", "data", "Body cannot be blank"));
    }
    if body.chars().count() > MAX_BODY_CHARS {
        let message = format!("Body is too long (maximum is {MAX_BODY_CHARS} characters)");
        return Err(wrong("unprocessable", "data", &message));
    }
    Ok(body.to_owned())
}

fn comment_json(it: &GitHubRepository, comment: &GitHubComment) -> Value {
    let id = comment.id;
    json!({
        "id": id, "node_id": node_id("IC", it, &id.to_string()), "url": api_url(it, &format!("/issues/comments/{id}")),
        "html_url": html_url(it, &format!("/pull/{}#issuecomment-{id}", comment.issue)), "body": comment.body,
        "user": user_json(&comment.author), "created_at": format_date(comment.created_at), "updated_at": format_date(comment.updated_at),
        "issue_url": api_url(it, &format!("/issues/{}", comment.issue)), "author_association": "NONE",
        "performed_via_github_app": null,
    })
}
