//! `services: changed`: which services this run is about. GitHub is asked what changed; the core says whom it concerns.

use std::collections::BTreeMap;

use crate::action::{ConfigSource, Services};
use crate::github::{Comparison, Project, Proven, Setback};
use crate::plan::changed::{Since, Subject, Touched, concern, since};
use crate::problem::{Code, Problem};

use super::Job;
use super::declare::{Declared, Stop};

/// Leaves those services that the changes concern. Where it is not known what changed, all stay, with a notice. Nothing
/// is to be done where none is concerned.
pub(super) async fn narrow(job: &Job, declared: &mut Declared) -> Result<(), Stop> {
    if job.inputs.services != Services::Changed {
        return Ok(());
    }
    let mut reasons = match reasons(job, declared).await {
        Ok(reasons) => reasons,
        Err(why) => {
            declared.problems.push(all_of_them(why));
            return Ok(());
        }
    };
    for (service, reason) in declared.services.iter().zip(&reasons) {
        let words = reason.as_deref().unwrap_or("not concerned by what changed; left out of this run");
        job.teller.line(Some(&service.name), words);
    }
    let all = declared.services.len();
    retain(declared, &mut reasons);
    match declared.services.is_empty() && all > 0 {
        true => Err(Stop::Skip("what changed concerns none of the services".into())),
        false => Ok(()),
    }
}

/// Keeps the services that have a reason, and what belongs to them.
fn retain(declared: &mut Declared, reasons: &mut Vec<Option<String>>) {
    let keep: Vec<bool> = reasons.drain(..).map(|reason| reason.is_some()).collect();
    let gone = declared.services.iter().zip(&keep).filter(|(_, keep)| !**keep);
    let gone: Vec<String> = gone.map(|(service, _)| service.name.clone()).collect();
    let of_gone = |problem: &Problem| problem.service.as_ref().is_some_and(|name| gone.contains(name));
    declared.problems.retain(|problem| !of_gone(problem));
    let mut kept = keep.iter();
    declared.services.retain(|_| kept.next().copied().unwrap_or(true));
    let mut kept = keep.iter();
    declared.builds.retain(|_| kept.next().copied().unwrap_or(true));
    let mut kept = keep.iter();
    declared.definitions.retain(|_| kept.next().copied().unwrap_or(true));
}

fn all_of_them(why: String) -> Problem {
    Problem::notice(
        Code::ChangesUnknown,
        "It is not known which services changed, so this run is about all of them.",
    )
    .cause(why)
    .help("Services that are as they should be are left alone.")
}

/// For each service why it is concerned; an error says why that is not known.
async fn reasons(job: &Job, declared: &Declared) -> Result<Vec<Option<String>>, String> {
    let head = job.context.commit().ok_or("the run has no commit")?;
    let project = match job.project() {
        None => return Err("there is no token, or no repository, to ask GitHub about".into()),
        Some(project) => project.map_err(|problem| problem.to_string())?,
    };
    let proven = project.proven(&declared.name).await.map_err(|setback| in_words(&setback, &project))?;
    let mut known: BTreeMap<String, Result<Comparison, Setback>> = BTreeMap::new();
    let mut reasons = Vec::new();
    for index in 0..declared.services.len() {
        let files = files(job, &project, head, &declared.services[index].name, &proven, &mut known).await?;
        reasons.push(reason(job, declared, index, &files));
    }
    Ok(reasons)
}

fn reason(
    job: &Job,
    declared: &Declared,
    index: usize,
    files: &Result<Vec<Touched>, String>,
) -> Option<String> {
    let files = match files {
        Ok(files) => files,
        Err(why) => return Some(format!("counts as changed: {why}")),
    };
    let own: Vec<String> =
        declared.definitions[index].iter().map(|definition| definition.path.clone()).collect();
    let deploy_file = match &job.inputs.config {
        ConfigSource::Path(path) => Some(path.as_str()),
        ConfigSource::Text(_) => None,
    };
    let patterns = &declared.services[index].common.paths;
    concern(&Subject { patterns, own: &own, deploy_file }, files)
}

/// What changed for a service; the inner error says why everything counts as changed. An outer error means that GitHub
/// could not be asked.
async fn files(
    job: &Job,
    project: &Project,
    head: &str,
    service: &str,
    proven: &[Proven],
    known: &mut BTreeMap<String, Result<Comparison, Setback>>,
) -> Result<Result<Vec<Touched>, String>, String> {
    let record =
        proven.iter().map(|proven| &proven.record).find(|record| record.services.contains_key(service));
    let record = record.map(|record| record.commit.as_str()).filter(|commit| !commit.is_empty());
    let pull = job.context.event.pull_request.as_ref().filter(|_| job.context.is_pull_request());
    let pushed = job.context.event_name.as_deref() == Some("push");
    let before = job.context.event.before.as_deref().filter(|_| pushed);
    let mut why = "there is no commit to count from".to_owned();
    for from in since(record, before, pull.and_then(|pull| pull.base_sha.as_deref())) {
        if !known.contains_key(from.commit()) {
            known.insert(from.commit().to_owned(), project.changes(from.commit(), head).await);
        }
        match known.get(from.commit()) {
            Some(Ok(comparison)) => match usable(&from, comparison) {
                Ok(files) => return Ok(Ok(files)),
                Err(reason) => why = reason,
            },
            Some(Err(Setback::Missing(_) | Setback::Refused(_))) => {
                why = format!("the commit {} is not in the repository any more", from.commit());
            }
            Some(Err(setback)) => return Err(in_words(setback, project)),
            None => {}
        }
    }
    Ok(Err(why))
}

fn usable(from: &Since<'_>, comparison: &Comparison) -> Result<Vec<Touched>, String> {
    if !from.holds(comparison.relation.contains()) {
        return Err(format!("the commit {} is not among the ancestors of this one", from.commit()));
    }
    if !comparison.complete {
        return Err("300 files or more changed".into());
    }
    let touched =
        |file: &crate::github::ChangedFile| Touched { path: file.path.clone(), submodule: file.submodule };
    Ok(comparison.files.iter().map(touched).collect())
}

fn in_words(setback: &Setback, project: &Project) -> String {
    setback.problem(project.repository()).to_string()
}
