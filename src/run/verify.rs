//! `operation: verify`: what serves now, whether it is healthy, and whether its addresses answer well. Reads only, builds
//! nothing, leaves nothing. It claims no more than was looked at.

use std::rc::Rc;
use std::time::Duration;

use futures::future::join_all;

use crate::config::Service;
use crate::gates::Sources;
use crate::gates::http::{self, Tried};
use crate::problem::{Code, Problem, capital};
use crate::release::{Failure, Health, Outcome, Proof, Release};
use crate::report::{ActionStep, RunReport, ServiceReport};
use crate::targets::{self, Target};

use super::announce::{self, Channels};
use super::declare::{Stop, declared};
use super::{Job, Tone, Unit, checks, prepare, undo};

/// Time between two tries of checks.
const PAUSE: Duration = Duration::from_secs(2);

/// Runs the operation to its end.
pub(super) async fn run(job: &Job, mut report: RunReport) -> RunReport {
    let (channels, seen) = match undo::or_cancel(job, verify(job)).await {
        Some(Ok(verified)) => verified,
        Some(Err(stop)) => return job.closed(stop.into_report(report)),
        None => return job.closed(super::cancelled_early(report)),
    };
    report.environment = Some(seen.environment);
    report.problems.extend(seen.problems);
    report.outcome = Outcome::worst(seen.services.iter().map(|s| s.outcome)).unwrap_or(Outcome::Skipped);
    report.services = seen.services;
    announce::announce(job, &channels, job.closed(report), ActionStep::Main).await
}

/// What was seen.
struct Seen {
    environment: String,
    services: Vec<ServiceReport>,
    problems: Vec<Problem>,
}

async fn verify(job: &Job) -> Result<(Channels, Seen), Stop> {
    let declared = declared(job)?;
    let wrong = |problems: Vec<Problem>| Stop::Wrong(Some(declared.name.clone()), problems);
    if declared.is_wrong() {
        return Err(wrong(declared.problems.clone()));
    }
    let session = prepare::session(job, &declared).await.map_err(|problem| wrong(vec![problem]))?;
    let problems = declared.problems.iter().chain(&session.problems).cloned().collect();
    let place = prepare::place(job, &session.config, &declared);
    let targets = targets::all(&place, &declared.document.file, &declared.services).map_err(wrong)?;
    let sources = prepare::sources(job, &session.config);
    let releases = prepare::releases(job, &declared);
    let each = declared.services.iter().zip(targets).zip(releases);
    let looks = each.map(|((service, target), release)| look(job, service, target, release, &sources));
    let seen = Seen { services: join_all(looks).await, problems, environment: declared.name.clone() };
    Ok((Channels::of(&declared, &session), seen))
}

/// Looks at one service. One that cannot be read has failed: nothing is known to be good.
async fn look(
    job: &Job,
    service: &Service,
    target: Rc<dyn Target>,
    release: Release,
    sources: &Sources,
) -> ServiceReport {
    let seen = match target.observe().await {
        Ok(seen) => seen,
        Err(problem) => {
            let mut report = ServiceReport::new(&service.name, Outcome::Failed);
            (report.target, report.took) = (targets::words(service), job.doors.clock.elapsed());
            let problem = problem.of(&service.name);
            job.teller.tell(Some(&service.name), Tone::Bad, &problem.to_string());
            report.failure = Some(Failure::permanent(problem));
            return report;
        }
    };
    // The commit of the run is not what serves.
    let release = Release { commit: None, ..release };
    let mut unit = Unit::new(service.clone(), target, release, seen);
    unit.report.version = unit.seen.version.clone();
    match standing(&unit) {
        Ok(standing) => tried(job, &mut unit, sources, standing).await,
        Err(failure) => {
            // What is asked for is known, and not whether anything of it serves.
            unit.lost_sight();
            fail(job, &mut unit, *failure);
        }
    }
    unit.report.took = job.doors.clock.elapsed();
    unit.into_report()
}

/// How what was seen stands: with its proof, or with what is known where nobody here sees more. An error is why it is not
/// good.
fn standing(unit: &Unit) -> Result<Standing, Box<Failure>> {
    let moves = |words: &str| Box::new(Failure::permanent(moving(words).of(unit.name())));
    match &unit.seen.health {
        Health::Healthy(proof) if unit.seen.in_flight.is_none() => Ok(Standing::Proven(proof.clone())),
        Health::Healthy(_) => Err(moves("a rollout has not ended")),
        Health::Handed(handed) => Ok(Standing::Unseen(handed.evidence.clone())),
        Health::Failing(failure)
        | Health::RollingBack(failure)
        | Health::RolledBack(failure, _)
        | Health::RollbackFailed(failure)
        | Health::Stopped(failure) => Err(Box::new(failure.clone())),
        Health::Progressing(progress) => Err(moves(&progress.words())),
        Health::Holding(hold) => Err(moves(&hold.evidence)),
        Health::Superseded(by) => Err(moves(by)),
        Health::Unknown(why) => Err(Box::new(Failure::permanent(unclear(why).of(unit.name())))),
    }
}

enum Standing {
    Proven(Proof),
    /// Nobody here can see what runs; what is known, in words.
    Unseen(String),
}

fn moving(words: &str) -> Problem {
    Problem::error(Code::NotHealthy, "A rollout is under way, so that nothing can be said to be healthy yet.")
        .cause(words)
        .help("Look again when it has ended.")
}

fn unclear(why: &str) -> Problem {
    Problem::error(Code::NotHealthy, "Whether what serves is healthy is not known.")
        .cause(why)
        .help("Look at the service: what its place says cannot be told from here.")
}

/// Tries the checks until they hold, or one of them did not within its time.
async fn tried(job: &Job, unit: &mut Unit, sources: &Sources, standing: Standing) {
    let wanted = unit.service.common.verify.clone();
    if matches!(standing, Standing::Unseen(_)) {
        unit.lost_sight();
    }
    let began = job.doors.clock.elapsed();
    loop {
        let since = job.doors.clock.elapsed().saturating_sub(began);
        match http::check(sources.visitor(), &wanted, since).await {
            Tried::Holds(unseen) => return conclude(job, unit, standing, &unseen),
            Tried::Failed(problem) => {
                let problem = problem.help("Look at what answers there, and at the logs of the service.");
                return fail(job, unit, Failure::permanent(problem.of(unit.name())));
            }
            Tried::NotYet(why) => {
                job.teller.tell(Some(unit.name()), Tone::Plain, &format!("does not hold yet: {why}"))
            }
        }
        if job.doors.clock.elapsed() + PAUSE >= job.inputs.timeout {
            let problem = Problem::error(Code::TimedOut, "The time given was over before the checks held.");
            let problem = problem.help("Raise the input `timeout`, or give the checks a shorter `within`.");
            return fail(job, unit, Failure::permanent(problem.of(unit.name())));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn conclude(job: &Job, unit: &mut Unit, standing: Standing, unseen: &[String]) {
    let now = job.doors.clock.now();
    let many = unit.service.common.verify.len();
    unseen.iter().for_each(|what| checks::not_seen(unit, what));
    unit.checked = (many > 0).then(|| checks::holds(many, unseen));
    match standing {
        Standing::Proven(proof) => {
            unit.succeeded(now, Outcome::Verified, &proof);
            unit.report.digest.clone_from(&proof.digest);
        }
        Standing::Unseen(words) => {
            let outcome = if many > 0 { Outcome::Verified } else { Outcome::Skipped };
            let checked = unit.checked.clone().unwrap_or_else(|| "nothing was looked at".into());
            unit.report.evidence = format!("{checked}; what runs cannot be seen from here: {words}");
            unit.end(now, outcome, &unit.report.evidence.clone());
        }
    }
    job.teller.tell(Some(unit.name()), Tone::Good, &unit.report.evidence.clone());
}

fn fail(job: &Job, unit: &mut Unit, failure: Failure) {
    let words = failure.problem.sentence.trim_end_matches('.').to_owned();
    job.teller.tell(Some(unit.name()), Tone::Bad, &failure.problem.to_string());
    unit.report.evidence = capital(&words);
    unit.report.failure = Some(failure);
    unit.end(job.doors.clock.now(), Outcome::Failed, &words);
}
