//! Check runs: made, changed, listed; and the rules for what they say.

use serde_json::{Value, json};

use super::auth;
use super::git_objects::Oid;
use super::refs::{readable_repository, resolve_ref, stored_repository};
use super::responses::{list_page, not_found, required_str, response, unprocessable};
use super::scenario::RepositoryAccess;
use super::state::GitHubRepository;
use super::urls::{api_url, format_date, html_url, node_id, user_json};
use crate::request::{ServiceCall, ServiceError, ServiceResult};
use crate::world::World;

/// Annotations in one request, and characters of a summary and of a text.
const MAX_ANNOTATIONS_AND_CHARS: (usize, usize) = (50, 65_535);

/// A check run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GitHubCheckRun {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// The commit that was checked.
    pub sha: Oid,
    /// `queued`, `in_progress` or `completed`.
    pub status: String,
    /// How it ended, once it has.
    pub conclusion: Option<String>,
    /// Title.
    pub title: Option<String>,
    /// Summary, in Markdown.
    pub summary: Option<String>,
    /// Text, in Markdown.
    pub text: Option<String>,
    /// All annotations, as they came.
    pub annotations: Vec<Value>,
    /// The client's own name for it.
    pub external_id: String,
    /// Where more is to be found.
    pub details_url: Option<String>,
    /// When it began, epoch seconds.
    pub started_at: f64,
    /// When it ended, epoch seconds.
    pub completed_at: Option<f64>,
}

/// `checks/create`.
pub fn create(world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
    let name = authorize_check_write(world, call)?;
    let it = stored_repository(world, &name)?;
    let wanted = required_str(&call.input, "head_sha")?;
    let missing = || unprocessable(format!("No commit found for SHA: {wanted}"));
    let sha = Some(wanted)
        .filter(|sha| sha.len() == 40)
        .and_then(|sha| resolve_ref(it, sha, now))
        .ok_or_else(missing)?;
    let title = required_str(&call.input, "name")?.to_owned();
    let mut check = GitHubCheckRun {
        name: title,
        sha,
        status: "queued".into(),
        started_at: now,
        ..GitHubCheckRun::default()
    };
    apply_request(&mut check, &call.input, now)?;
    let it = repository_mut(world, &name)?;
    check.id = it.next_number();
    it.check_runs.push(check.clone());
    Ok(response(201, check_run_json(it, &check)))
}

/// `checks/update`.
pub fn update(world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
    let name = authorize_check_write(world, call)?;
    let it = repository_mut(world, &name)?;
    let id = call.input["check_run_id"].as_u64();
    let place = it.check_runs.iter().position(|check| Some(check.id) == id).ok_or_else(not_found)?;
    let mut check = it.check_runs[place].clone();
    apply_request(&mut check, &call.input, now)?;
    it.check_runs[place] = check.clone();
    Ok(response(200, check_run_json(it, &check)))
}

/// `checks/list-for-ref`: of several with one name the newest, or all with `filter=all`.
pub fn list(world: &World, call: &ServiceCall, now: f64) -> ServiceResult {
    let it = readable_repository(world, call)?;
    let wanted = required_str(&call.input, "ref")?;
    let missing = || unprocessable(format!("No commit found for SHA: {wanted}"));
    let sha = resolve_ref(it, wanted, now).ok_or_else(missing)?;
    let fits = |name: &str, own: &str| call.input[name].as_str().is_none_or(|wanted| wanted == own);
    let mut found: Vec<&GitHubCheckRun> = Vec::new();
    for check in it.check_runs.iter().rev().filter(|check| check.sha == sha) {
        let newest = call.input["filter"] == "all" || found.iter().all(|other| other.name != check.name);
        if newest && fits("check_name", &check.name) && fits("status", &check.status) {
            found.push(check);
        }
    }
    let total = found.len();
    let path = format!("/repos/{}/commits/{wanted}/check-runs", it.name);
    let mut answer =
        list_page(found.iter().map(|check| check_run_json(it, check)).collect(), &call.input, &path, 30);
    let shown = answer["body"].take();
    answer["body"] = json!({ "total_count": total, "check_runs": shown });
    Ok(answer)
}

/// Only an app may write checks, and the workflow's own token is one's.
fn authorize_check_write(world: &World, call: &ServiceCall) -> Result<String, ServiceError> {
    let name = auth::authorize(&world.github, call, RepositoryAccess::Write)?;
    match auth::caller_login(&world.github, call).ends_with("[bot]") {
        true => Ok(name),
        false => Err(ServiceError::with_status(403, "Forbidden", "You must authenticate via a GitHub App.")),
    }
}

/// What a request says about a check.
fn apply_request(check: &mut GitHubCheckRun, input: &Value, now: f64) -> Result<(), ServiceError> {
    let text = |name: &str| input[name].as_str().map(str::to_owned);
    check.name = text("name").unwrap_or_else(|| check.name.clone());
    check.external_id = text("external_id").unwrap_or_else(|| check.external_id.clone());
    check.details_url = text("details_url").or_else(|| check.details_url.clone());
    if let Some(status) = text("status") {
        let known = ["queued", "in_progress", "completed"].contains(&status.as_str());
        check.status =
            if known { status } else { return Err(unprocessable(format!("{status} is not a status."))) };
    }
    if let Some(conclusion) = text("conclusion") {
        (check.conclusion, check.status) = (Some(conclusion), "completed".into());
        check.completed_at = Some(now);
    } else if check.status == "completed" && check.conclusion.is_none() {
        return Err(unprocessable("Invalid request.\n\n\"conclusion\" wasn't supplied."));
    }
    let output = &input["output"];
    if output.is_object() { apply_output(check, output) } else { Ok(()) }
}

/// Title, summary and text stand in the place of earlier ones; annotations come to those that are there.
fn apply_output(check: &mut GitHubCheckRun, output: &Value) -> Result<(), ServiceError> {
    for (name, field) in
        [("title", &mut check.title), ("summary", &mut check.summary), ("text", &mut check.text)]
    {
        let Some(text) = output[name].as_str() else { continue };
        if name != "title" && text.chars().count() > MAX_ANNOTATIONS_AND_CHARS.1 {
            let message = format!(
                "Only {} characters are allowed; {} were supplied.",
                MAX_ANNOTATIONS_AND_CHARS.1,
                text.chars().count()
            );
            return Err(unprocessable(format!("Invalid request.\n\n{message}")));
        }
        *field = Some(text.to_owned());
    }
    if check.title.is_none() || check.summary.is_none() {
        return Err(unprocessable(
            "Invalid request.\n\n\"title\" and \"summary\" of the output weren't supplied.",
        ));
    }
    let annotations = output["annotations"].as_array().cloned().unwrap_or_default();
    if annotations.len() > MAX_ANNOTATIONS_AND_CHARS.0 {
        let message = format!(
            "No more than {} items are allowed; {} were supplied.",
            MAX_ANNOTATIONS_AND_CHARS.0,
            annotations.len()
        );
        return Err(unprocessable(format!("Invalid request.\n\n{message}")));
    }
    annotations.iter().try_for_each(validate_annotation)?;
    check.annotations.extend(annotations);
    Ok(())
}

/// An annotation that GitHub takes.
fn validate_annotation(annotation: &Value) -> Result<(), ServiceError> {
    let line = |name: &str| annotation[name].as_u64().filter(|line| *line > 0);
    let (start, end) = (line("start_line"), line("end_line"));
    let level = annotation["annotation_level"].as_str().unwrap_or_default();
    let column = !annotation["start_column"].is_null() || !annotation["end_column"].is_null();
    let wrong = if annotation["path"].as_str().is_none_or(str::is_empty) {
        "\"path\" wasn't supplied."
    } else if start.is_none() || end < start {
        "\"start_line\" and \"end_line\" aren't lines."
    } else if column && start != end {
        "\"start_column\" and \"end_column\" can only be used on one line."
    } else if !["notice", "warning", "failure"].contains(&level) {
        "\"annotation_level\" isn't one of notice, warning, failure."
    } else if annotation["message"].as_str().is_none_or(|text| text.is_empty() || text.len() > 64 * 1024) {
        "\"message\" wasn't supplied, or is too long."
    } else if annotation["title"].as_str().is_some_and(|title| title.chars().count() > 255) {
        "\"title\" is too long."
    } else {
        return Ok(());
    };
    Err(unprocessable(format!("Invalid request.\n\n{wrong}")))
}

fn repository_mut<'a>(world: &'a mut World, name: &str) -> Result<&'a mut GitHubRepository, ServiceError> {
    world.github.repositories.get_mut(name).ok_or_else(not_found)
}

fn check_run_json(it: &GitHubRepository, check: &GitHubCheckRun) -> Value {
    let address = api_url(it, &format!("/check-runs/{}", check.id));
    let page = html_url(it, &format!("/runs/{}", check.id));
    json!({
        "id": check.id, "node_id": node_id("CR", it, &check.id.to_string()), "name": check.name, "head_sha": check.sha,
        "external_id": check.external_id, "url": address, "html_url": page,
        "details_url": check.details_url.clone().unwrap_or(page.clone()), "status": check.status,
        "conclusion": check.conclusion, "started_at": format_date(check.started_at), "completed_at": check.completed_at.map(format_date),
        "output": {
            "title": check.title, "summary": check.summary, "text": check.text,
            "annotations_count": check.annotations.len(), "annotations_url": format!("{address}/annotations"),
        },
        "check_suite": { "id": check.id }, "app": actions_app_json(), "pull_requests": [],
    })
}

/// The app that the workflow's own tokens belong to.
fn actions_app_json() -> Value {
    let made = format_date(1_531_000_000.0);
    json!({
        "id": 15_368, "slug": "github-actions", "node_id": "MDM6QXBwMTUzNjg=", "owner": user_json("github"),
        "name": "GitHub Actions", "description": "Automate your workflow from idea to production",
        "external_url": "https://help.github.com/en/actions", "html_url": "https://github.com/apps/github-actions",
        "created_at": made, "updated_at": made, "permissions": {}, "events": [],
    })
}
