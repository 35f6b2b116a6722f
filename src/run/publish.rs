//! The plan of a pull request, told where people look for it: a check at its commit and one comment. What cannot be
//! told is a notice, and never another result.

use std::time::Duration;

use super::occasion::ruling;
use super::{Job, declare, undo};
use crate::action::command::Annotation;
use crate::action::neutral::{cut, neutralise};
use crate::action::{ConfigSource, Services};
use crate::github::{Check, Conclusion, Kept, Level, Note, Project, Remark, Setback, names};
use crate::plan::May;
use crate::problem::{Code, Problem, Severity};
use crate::release::Outcome;
use crate::report::words::{Dress, and};
use crate::report::{RunReport, comment, remarks, verdict};

/// How long telling may take, all in all.
const PATIENCE: Duration = Duration::from_secs(120);
/// A limit that is over sooner is waited for, once.
const SHORT: Duration = Duration::from_secs(20);
/// The deploy file that needs no mention.
const USUAL: &str = ".github/roadstead.yml";

/// Tells the pull request, where the run is one's plan.
pub(super) async fn publish(job: &Job, report: &mut RunReport) {
    let ended = matches!(report.outcome, Outcome::Planned | Outcome::Invalid | Outcome::Skipped);
    if ruling(job).may != May::Plan || !ended {
        return;
    }
    match job.project() {
        None => job.teller.line(None, "without `github-token` the plan stands in the job summary alone"),
        Some(Err(problem)) => report.problems.push(Problem { severity: Severity::Notice, ..problem }),
        Some(Ok(project)) => {
            let clean = report.clone().redacted(&job.teller.redactor());
            report.problems.extend(told(job, &project, &clean).await);
        }
    }
}

/// Tells both, and gives what could not be told.
async fn told(job: &Job, project: &Project, clean: &RunReport) -> Vec<Problem> {
    let work = async {
        let check = match check(job, clean) {
            Some(check) => Some(patiently(async || project.keep_check(&check).await).await),
            None => None,
        };
        let note = match note(job, clean) {
            Some(note) => Some(patiently(async || project.keep_note(&note).await).await),
            None => None,
        };
        (check, note)
    };
    let done = undo::or_cancel(job, tokio::time::timeout(PATIENCE, work)).await;
    let (check, note) = match done {
        None => return Vec::new(),
        Some(Err(_)) => return vec![late()],
        Some(Ok(done)) => done,
    };
    say(job, "check", &check);
    say(job, "comment", &note);
    missing(&check, &note).into_iter().chain(others(project, [("check", check), ("comment", note)])).collect()
}

/// Does it, and once more after a limit that is soon over.
async fn patiently(work: impl AsyncFn() -> Result<Kept, Setback>) -> Result<Kept, Setback> {
    match work().await {
        Err(Setback::Limited { wait, .. }) if wait <= SHORT => {
            tokio::time::sleep(wait).await;
            work().await
        }
        done => done,
    }
}

fn say(job: &Job, what: &str, done: &Option<Result<Kept, Setback>>) {
    let how = match done {
        Some(Ok(Kept::Made)) => "is made",
        Some(Ok(Kept::Updated)) => "is brought up to date",
        Some(Ok(Kept::Same)) => "needs no change",
        Some(Err(_)) | None => return,
    };
    job.teller.line(None, &format!("the plan's {what} at GitHub {how}"));
}

type Done = Option<Result<Kept, Setback>>;

/// One notice for all rights that the token lacks.
fn missing(check: &Done, note: &Done) -> Option<Problem> {
    let lacks = |done: &Done, right: &'static str| {
        matches!(done, Some(Err(Setback::Forbidden(_)))).then(|| format!("`{right}: write`"))
    };
    let rights: Vec<String> =
        [lacks(check, "checks"), lacks(note, "pull-requests")].into_iter().flatten().collect();
    let why = [check, note].into_iter().flatten().find_map(|done| match done {
        Err(Setback::Forbidden(why)) => Some(why.clone()),
        _ => None,
    })?;
    let places = match (lacks(check, "").is_some(), lacks(note, "").is_some()) {
        (true, true) => "as a check and a comment",
        (true, false) => "as a check",
        _ => "as a comment",
    };
    let sentence = format!("The plan is not shown {places}: the job's token lacks {}.", and(&rights));
    let lines = rights.iter().map(|right| right.replace('`', "")).collect::<Vec<_>>().join(", ");
    let help = format!("Give the job `permissions: {{ {lines} }}`. The job summary has the whole plan.");
    Some(Problem::notice(Code::NotPublished, sentence).cause(why).help(help))
}

/// What else came in between.
fn others(project: &Project, all: [(&str, Done); 2]) -> Vec<Problem> {
    let other = |(what, done): (&str, Done)| match done {
        Some(Err(setback)) if !matches!(setback, Setback::Forbidden(_)) => {
            let problem = setback.problem(project.repository());
            let sentence = format!("The plan could not be shown as a {what}. {}", problem.sentence);
            let notice =
                Problem::notice(Code::NotPublished, sentence).help("The job summary has the whole plan.");
            Some(Problem { cause: problem.cause, ..notice })
        }
        _ => None,
    };
    all.into_iter().filter_map(other).collect()
}

fn late() -> Problem {
    let sentence = format!("The plan could not be shown at GitHub within {} s.", PATIENCE.as_secs());
    Problem::notice(Code::NotPublished, sentence).help("The job summary has the whole plan.")
}

/// What tells plans of one commit apart: the deploy file, and what the workflow narrowed the run down to.
fn scope(job: &Job) -> Vec<String> {
    let file = match &job.inputs.config {
        ConfigSource::Path(path) => path.clone(),
        ConfigSource::Text(_) => declare::INLINE.to_owned(),
    };
    let services = match &job.inputs.services {
        Services::All => None,
        Services::Changed => Some("changed".to_owned()),
        Services::Named(names) => Some(names.join(",")),
    };
    [Some(file), job.inputs.environment.clone(), services].into_iter().flatten().collect()
}

/// `roadstead:plan:.github/roadstead.yml`, in letters that end no comment of HTML.
fn key(job: &Job) -> String {
    let parts: Vec<String> = scope(job).iter().map(|part| names::encoded(part)).collect();
    format!("roadstead:plan:{}", parts.join(":"))
}

fn check_name(job: &Job) -> String {
    let told: Vec<String> = scope(job).into_iter().filter(|part| part != USUAL).collect();
    match told.is_empty() {
        true => "roadstead / plan".to_owned(),
        false => cut(&format!("roadstead / plan ({})", neutralise(&told.join(", "))), 200).to_owned(),
    }
}

fn check(job: &Job, clean: &RunReport) -> Option<Check> {
    let shown = |found: &Annotation| found.place.as_ref().is_some_and(|place| place.0 != declare::INLINE);
    let conclusion = match clean.outcome {
        Outcome::Invalid => Conclusion::Failure,
        Outcome::Skipped => Conclusion::Neutral,
        _ => Conclusion::Success,
    };
    Some(Check {
        name: check_name(job),
        head_sha: job.context.commit()?.to_owned(),
        external_id: key(job),
        details_url: clean.run_url.clone(),
        title: cut(&verdict::verdict(clean, Dress::Plain), 250).to_owned(),
        summary: comment::plan(clean),
        conclusion,
        remarks: remarks::remarks(clean).into_iter().filter(shown).filter_map(remark).collect(),
    })
}

fn remark(found: Annotation) -> Option<Remark> {
    let (path, line, _) = found.place?;
    let level = match found.severity {
        Severity::Notice => Level::Notice,
        Severity::Warning => Level::Warning,
        Severity::Error => Level::Failure,
    };
    let path = path.strip_prefix("./").unwrap_or(&path).to_owned();
    Some(Remark { path, line, level, title: found.title, message: found.message })
}

/// The comment; a merge queue has no place for one. Where there is nothing to plan, only an older one is corrected.
fn note(job: &Job, clean: &RunReport) -> Option<Note> {
    let number = job.context.pull_request().filter(|_| job.context.is_pull_request())?;
    let mark = format!("<!-- {} -->", key(job));
    let body = format!("{mark}\n{}", comment::plan(clean));
    Some(Note { number, mark, body, if_there: clean.outcome == Outcome::Skipped })
}
