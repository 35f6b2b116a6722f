//! Check runs: made, changed, listed; and the rules for what they say.

use serde_json::{Value, json};

use super::answers::{invalid, not_found, page, reply, required};
use super::caller;
use super::links::{api, date, node, site, user};
use super::objects::Oid;
use super::refs::{kept, readable, resolve};
use super::settings::Access;
use super::state::Repository;
use crate::rehearsal::call::{Answer, Call, Refusal};
use crate::rehearsal::world::World;

/// Annotations in one request, and characters of a summary and of a text.
const MOST: (usize, usize) = (50, 65_535);

/// A check run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Check {
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
    pub external: String,
    /// Where more is to be found.
    pub details: Option<String>,
    /// When it began, epoch seconds.
    pub began: f64,
    /// When it ended, epoch seconds.
    pub ended: Option<f64>,
}

/// `checks/create`.
pub fn create(world: &mut World, call: &Call, now: f64) -> Answer {
    let name = writable(world, call)?;
    let it = kept(world, &name)?;
    let wanted = required(&call.input, "head_sha")?;
    let missing = || invalid(format!("No commit found for SHA: {wanted}"));
    let sha = Some(wanted)
        .filter(|sha| sha.len() == 40)
        .and_then(|sha| resolve(it, sha, now))
        .ok_or_else(missing)?;
    let title = required(&call.input, "name")?.to_owned();
    let mut check = Check { name: title, sha, status: "queued".into(), began: now, ..Check::default() };
    apply(&mut check, &call.input, now)?;
    let it = changeable(world, &name)?;
    check.id = it.fresh();
    it.checks.push(check.clone());
    Ok(reply(201, view(it, &check)))
}

/// `checks/update`.
pub fn update(world: &mut World, call: &Call, now: f64) -> Answer {
    let name = writable(world, call)?;
    let it = changeable(world, &name)?;
    let id = call.input["check_run_id"].as_u64();
    let place = it.checks.iter().position(|check| Some(check.id) == id).ok_or_else(not_found)?;
    let mut check = it.checks[place].clone();
    apply(&mut check, &call.input, now)?;
    it.checks[place] = check.clone();
    Ok(reply(200, view(it, &check)))
}

/// `checks/list-for-ref`: of several with one name the newest, unless all are asked for.
pub fn list(world: &World, call: &Call, now: f64) -> Answer {
    let it = readable(world, call)?;
    let wanted = required(&call.input, "ref")?;
    let missing = || invalid(format!("No commit found for SHA: {wanted}"));
    let sha = resolve(it, wanted, now).ok_or_else(missing)?;
    let fits = |name: &str, own: &str| call.input[name].as_str().is_none_or(|wanted| wanted == own);
    let mut found: Vec<&Check> = Vec::new();
    for check in it.checks.iter().rev().filter(|check| check.sha == sha) {
        let newest = call.input["filter"] == "all" || found.iter().all(|other| other.name != check.name);
        if newest && fits("check_name", &check.name) && fits("status", &check.status) {
            found.push(check);
        }
    }
    let total = found.len();
    let path = format!("/repos/{}/commits/{wanted}/check-runs", it.name);
    let mut answer = page(found.iter().map(|check| view(it, check)).collect(), &call.input, &path, 30);
    let shown = answer["body"].take();
    answer["body"] = json!({ "total_count": total, "check_runs": shown });
    Ok(answer)
}

/// Only an app may write checks, and the workflow's own token is one's.
fn writable(world: &World, call: &Call) -> Result<String, Refusal> {
    let name = caller::repository(&world.github, call, Access::Write)?;
    match caller::login(&world.github, call).ends_with("[bot]") {
        true => Ok(name),
        false => Err(Refusal::of(403, "Forbidden", "You must authenticate via a GitHub App.")),
    }
}

/// What a request says about a check.
fn apply(check: &mut Check, input: &Value, now: f64) -> Result<(), Refusal> {
    let text = |name: &str| input[name].as_str().map(str::to_owned);
    check.name = text("name").unwrap_or_else(|| check.name.clone());
    check.external = text("external_id").unwrap_or_else(|| check.external.clone());
    check.details = text("details_url").or_else(|| check.details.clone());
    if let Some(status) = text("status") {
        let known = ["queued", "in_progress", "completed"].contains(&status.as_str());
        check.status =
            if known { status } else { return Err(invalid(format!("{status} is not a status."))) };
    }
    if let Some(conclusion) = text("conclusion") {
        (check.conclusion, check.status) = (Some(conclusion), "completed".into());
        check.ended = Some(now);
    } else if check.status == "completed" && check.conclusion.is_none() {
        return Err(invalid("Invalid request.\n\n\"conclusion\" wasn't supplied."));
    }
    let output = &input["output"];
    if output.is_object() { say(check, output) } else { Ok(()) }
}

/// Title, summary and text stand in the place of earlier ones; annotations come to those that are there.
fn say(check: &mut Check, output: &Value) -> Result<(), Refusal> {
    for (name, field) in
        [("title", &mut check.title), ("summary", &mut check.summary), ("text", &mut check.text)]
    {
        let Some(text) = output[name].as_str() else { continue };
        if name != "title" && text.chars().count() > MOST.1 {
            let message =
                format!("Only {} characters are allowed; {} were supplied.", MOST.1, text.chars().count());
            return Err(invalid(format!("Invalid request.\n\n{message}")));
        }
        *field = Some(text.to_owned());
    }
    if check.title.is_none() || check.summary.is_none() {
        return Err(invalid("Invalid request.\n\n\"title\" and \"summary\" of the output weren't supplied."));
    }
    let annotations = output["annotations"].as_array().cloned().unwrap_or_default();
    if annotations.len() > MOST.0 {
        let message =
            format!("No more than {} items are allowed; {} were supplied.", MOST.0, annotations.len());
        return Err(invalid(format!("Invalid request.\n\n{message}")));
    }
    annotations.iter().try_for_each(sound)?;
    check.annotations.extend(annotations);
    Ok(())
}

/// An annotation that GitHub takes.
fn sound(annotation: &Value) -> Result<(), Refusal> {
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
    Err(invalid(format!("Invalid request.\n\n{wrong}")))
}

fn changeable<'a>(world: &'a mut World, name: &str) -> Result<&'a mut Repository, Refusal> {
    world.github.repositories.get_mut(name).ok_or_else(not_found)
}

fn view(it: &Repository, check: &Check) -> Value {
    let address = api(it, &format!("/check-runs/{}", check.id));
    let page = site(it, &format!("/runs/{}", check.id));
    json!({
        "id": check.id, "node_id": node("CR", it, &check.id.to_string()), "name": check.name, "head_sha": check.sha,
        "external_id": check.external, "url": address, "html_url": page,
        "details_url": check.details.clone().unwrap_or(page.clone()), "status": check.status,
        "conclusion": check.conclusion, "started_at": date(check.began), "completed_at": check.ended.map(date),
        "output": {
            "title": check.title, "summary": check.summary, "text": check.text,
            "annotations_count": check.annotations.len(), "annotations_url": format!("{address}/annotations"),
        },
        "check_suite": { "id": check.id }, "app": app(), "pull_requests": [],
    })
}

/// The app that the workflow's own tokens belong to.
fn app() -> Value {
    let made = date(1_531_000_000.0);
    json!({
        "id": 15_368, "slug": "github-actions", "node_id": "MDM6QXBwMTUzNjg=", "owner": user("github"),
        "name": "GitHub Actions", "description": "Automate your workflow from idea to production",
        "external_url": "https://help.github.com/en/actions", "html_url": "https://github.com/apps/github-actions",
        "created_at": made, "updated_at": made, "permissions": {}, "events": [],
    })
}
