//! What a run releases, as a deployment in GitHub: opened before the first change, closed when its end is known. A
//! record is proven by nothing but its own success.

use std::collections::{BTreeMap, BTreeSet};

use crate::github::compact;
use crate::github::ledger::{self, words};
use crate::github::{Entry, Ledger, NewDeployment, Setback, State, Status};
use crate::release::{ImageRef, Outcome, Record, Recorded};
use crate::report::{RunReport, ServiceReport};

use super::books::Books;
use super::state::{self, Opened};
use super::unit::{Phase, Unit};
use super::{Job, undo};

/// Opens the record of what is about to change, or of what serves already and is recorded nowhere.
pub(super) async fn open(job: &Job, books: &mut Books, units: &[Unit]) {
    let Some(ledger) = books.ledger.clone() else { return };
    let about: Vec<&Unit> = units.iter().filter(|unit| is_about(unit)).collect();
    let record = record(job, &books.environment, &ledger, &about);
    let moves = about.iter().any(|unit| unit.phase == Phase::Ready);
    if about.is_empty() || (!moves && is_known(&ledger, &record)) {
        return;
    }
    let Some(opened) = undo::or_cancel(job, made(job, books, &ledger, record)).await else { return };
    match opened {
        Ok((opened, told)) => {
            job.held.borrow_mut().record = Some(opened.clone());
            job.tell_all(&state::save(job, &books.environment, units));
            undo::or_cancel(job, begun(job, books, &opened, told)).await;
        }
        Err(setback) => books.unrecorded(setback),
    }
}

/// Whether the record is about a unit: not where it ended before any change, for another reason than that it serves.
fn is_about(unit: &Unit) -> bool {
    unit.phase == Phase::Ready || unit.report.outcome == Outcome::Unchanged
}

/// What is released. Services whose digest nobody knows are left out: of them nothing could be proven.
fn record(job: &Job, environment: &str, ledger: &Ledger, about: &[&Unit]) -> Record {
    let entries = ledger.entries();
    let mut services = BTreeMap::new();
    let mut commits = BTreeSet::new();
    for unit in about {
        let image = image(unit);
        commits.insert(commit(job, unit, image.as_ref(), &entries));
        services.extend(image.map(|image| (unit.name().to_owned(), Recorded { image })));
    }
    // Services that return to different commits have none in common.
    let commit = if commits.len() == 1 { commits.pop_first().unwrap_or_default() } else { String::new() };
    Record { environment: environment.to_owned(), commit, services }
}

/// The image by its digest, asked for or, where only settings change, running.
fn image(unit: &Unit) -> Option<ImageRef> {
    let asked = unit.release.image.as_ref();
    let pinned = |image: &ImageRef| image.digest.clone().map(|digest| image.pinned(digest));
    asked.and_then(pinned).or_else(|| {
        let runs = unit.seen.image.as_ref().filter(|_| asked.is_none())?;
        let digest = runs.digest.clone().or_else(|| unit.seen.digest.clone())?;
        Some(runs.pinned(digest))
    })
}

/// The commit in full; empty where it is not known. A version that returns, or that gets
/// other variables, is of the commit that its image was recorded with.
fn commit(job: &Job, unit: &Unit, image: Option<&ImageRef>, entries: &[Entry]) -> String {
    if !super::returns(job) && !super::sets_variables(job) {
        return unit.release.commit.clone().unwrap_or_default();
    }
    let digest = image.and_then(|image| image.digest.as_ref());
    let same = |entry: &&Entry| {
        let one = entry.record.services.get(unit.name()).and_then(Recorded::digest);
        digest.is_some() && one == digest && !entry.record.commit.is_empty()
    };
    entries.iter().find(same).map(|entry| entry.record.commit.clone()).unwrap_or_default()
}

/// Whether the last that was proven says the same.
fn is_known(ledger: &Ledger, record: &Record) -> bool {
    let newest = ledger.entries().into_iter().find(|entry| entry.proven);
    newest.is_some_and(|entry| {
        let same = |(name, one): (&String, &Recorded)| {
            entry.record.services.get(name).is_some_and(|known| known.digest() == one.digest())
        };
        entry.record.commit == record.commit && record.services.iter().all(same)
    })
}

/// The deployment for `record`, and what is to be said of it first. Where the job names the environment GitHub made one
/// already; it gets the record in words, unless that is too long for them.
async fn made(
    job: &Job,
    books: &Books,
    ledger: &Ledger,
    record: Record,
) -> Result<(Opened, Vec<String>), Setback> {
    let begins = || vec![words(None, "under way")];
    if let Some((deployment, (tag, parts))) = ledger.of_job(books.run.id).zip(compact::encoded(&record)) {
        return Ok((Opened { deployment, tag: Some(tag) }, parts));
    }
    let run = ledger::run_name(books.run.id, books.run.attempt);
    if let Some(deployment) = ledger.opened_by(&run) {
        return Ok((Opened { deployment, tag: None }, begins()));
    }
    let shown = Some(record.commit.clone()).filter(|commit| commit.len() >= 40);
    let commit = shown.or_else(|| job.context.commit().map(str::to_owned)).unwrap_or_default();
    let description = format!("Roadstead {}", job.inputs.operation.word());
    let new = NewDeployment { commit, record, run: run.clone(), description };
    let deployment = match books.project.create_deployment(&new).await {
        Err(Setback::Uncertain(why)) => {
            let found = books.project.ledger(&books.environment).await?.opened_by(&run);
            found.ok_or(Setback::Uncertain(why))?
        }
        made => made?,
    };
    Ok((Opened { deployment, tag: None }, begins()))
}

async fn begun(job: &Job, books: &mut Books, opened: &Opened, told: Vec<String>) {
    for description in told {
        let status = status(job, State::InProgress, description, None);
        if let Err(setback) = said(books, opened.deployment, &status).await {
            return books.unrecorded(setback);
        }
    }
}

fn status(job: &Job, state: State, description: String, environment_url: Option<String>) -> Status {
    let description = job.teller.redactor().redact(&description);
    Status { state, description, log_url: job.context.run_url(), environment_url }
}

/// How a run ended, as its record says it.
pub(super) struct Ending {
    state: State,
    words: String,
    url: Option<String>,
}

impl Ending {
    /// That of a run that ended by itself.
    pub(super) fn of(report: &RunReport) -> Self {
        let worst = Outcome::worst(report.services.iter().map(|service| service.outcome));
        let state = worst.map_or(State::Error, state_of);
        let url = report.services.iter().find_map(|service| service.url.clone());
        let url = url.filter(|url| url.starts_with("http://") || url.starts_with("https://"));
        Self { state, words: in_words(&report.services), url }
    }

    /// That of a run that was cut off: nothing of it is proven, whatever serves now.
    pub(super) fn cut_off(report: &RunReport) -> Self {
        let words = match report.services.as_slice() {
            [] => "cut off before its end".to_owned(),
            services => format!("cut off; then {}", in_words(services)),
        };
        Self { state: State::Error, words, url: None }
    }
}

/// Proven is only what was seen to serve. What was handed over stays in the queue: whoever took it has it.
fn state_of(outcome: Outcome) -> State {
    match outcome {
        Outcome::Deployed | Outcome::Unchanged | Outcome::Verified | Outcome::RolledBack => State::Success,
        Outcome::Committed | Outcome::Proposed => State::Queued,
        Outcome::Failed | Outcome::Inconclusive => State::Failure,
        Outcome::Superseded => State::Inactive,
        Outcome::Planned | Outcome::Skipped | Outcome::Invalid | Outcome::Stranded | Outcome::Cancelled => {
            State::Error
        }
    }
}

/// Such as `deployed: backend (backend:2 serves); failed: web (web:7 serves)`.
fn in_words(services: &[ServiceReport]) -> String {
    let one = |service: &ServiceReport| match &service.serves {
        Some(version) => format!("{} ({} serves)", service.name, version.label),
        None => service.name.clone(),
    };
    let group = |outcome: Outcome| {
        let all: Vec<String> =
            services.iter().filter(|service| service.outcome == outcome).map(one).collect();
        (!all.is_empty()).then(|| format!("{outcome}: {}", all.join(", ")))
    };
    Outcome::ALL.into_iter().rev().filter_map(group).collect::<Vec<_>>().join("; ")
}

/// Closes the record, if one is open.
pub(super) async fn close(job: &Job, books: &mut Books, ending: &Ending) {
    let Some(opened) = job.held.borrow_mut().record.take() else { return };
    let description = words(opened.tag.as_deref(), &ending.words);
    let status = status(job, ending.state, description, ending.url.clone());
    if let Err(setback) = said(books, opened.deployment, &status).await {
        books.unrecorded(setback);
    }
}

/// Says something about a deployment. Where the answer was lost it is looked for, and said again if it is not there: without
/// it a record is not whole, or not proven.
async fn said(books: &Books, deployment: u64, status: &Status) -> Result<(), Setback> {
    match books.project.add_status(deployment, status).await {
        Err(Setback::Uncertain(_)) => {
            let ledger = books.project.ledger(&books.environment).await?;
            if ledger.says(deployment, status) {
                return Ok(());
            }
            books.project.add_status(deployment, status).await
        }
        told => told,
    }
}

/// As [`close`], for a run that was cut off: perhaps before it wrote down what it had opened.
pub(super) async fn close_late(job: &Job, books: &mut Books, ending: &Ending) {
    if job.held.borrow().record.is_none() {
        let run = ledger::run_name(books.run.id, books.run.attempt);
        let ledger = books.project.ledger(&books.environment).await.unwrap_or_default();
        let opened = ledger.opened_by(&run).map(|deployment| Opened { deployment, tag: None });
        job.held.borrow_mut().record = opened;
    }
    close(job, books, ending).await;
}

/// Closes what runs that are gone left open. What does not succeed is no matter: it proves nothing as it is.
pub(super) async fn close_for(job: &Job, books: &Books) {
    let Some(ledger) = &books.ledger else { return };
    for gone in &books.gone {
        let run = ledger::run_name(gone.run, u32::try_from(gone.attempt).unwrap_or_default());
        if let Some(deployment) = ledger.opened_by(&run) {
            let words = words(None, &format!("cut off; run {} goes on", books.run.id));
            let _ = books.project.add_status(deployment, &status(job, State::Error, words, None)).await;
        }
    }
}
