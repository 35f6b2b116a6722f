//! `operation: verify`: which version serves, whether it is healthy, and whether the checks of its addresses pass. It
//! only reads, and reports no more than it checked.

use std::rc::Rc;
use std::time::Duration;

use futures::future::join_all;

use crate::gates::http_checker::CheckResult;
use crate::gates::{MetricSources, http_checker};
use crate::problem::{Code, Problem, Severity, capitalize};
use crate::release::{Failure, Outcome, Proof, Release, RolloutStatus};
use crate::report::{ActionStep, RunReport, ServiceReport};
use crate::run::context::RunContext;
use crate::run::notify::Channels;
use crate::run::prepare::deploy_file::load_config;
use crate::run::prepare::merged;
use crate::run::progress_log::Mark;
use crate::run::rollout::checks;
use crate::run::run_config::EarlyExit;
use crate::run::service_run::ServiceRun;
use crate::run::{cancel, notify, prepare, session};
use crate::targets::{ServiceSpec, Target};

/// Time between two attempts of the checks.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Runs the operation to its end.
pub(in crate::run) async fn run(ctx: &RunContext, mut report: RunReport) -> RunReport {
    let verified = cancel::until_cancelled(ctx, verify_services(ctx)).await;
    let (channels, verified) = match verified.unwrap_or(Err(EarlyExit::Cancelled)) {
        Ok(verified) => verified,
        Err(exit) => return ctx.finished_now(exit.into_report(report)),
    };
    report.environment = Some(verified.environment);
    report.problems.extend(verified.problems);
    let outcomes = verified.services.iter().map(|service| service.outcome);
    report.outcome = Outcome::most_severe(outcomes).unwrap_or(Outcome::Skipped);
    report.services = verified.services;
    notify::send_notifications(ctx, &channels, ctx.finished_now(report), ActionStep::Main).await
}

/// The result of the verification.
struct VerifiedServices {
    environment: String,
    services: Vec<ServiceReport>,
    problems: Vec<Problem>,
}

async fn verify_services(ctx: &RunContext) -> Result<(Channels, VerifiedServices), EarlyExit> {
    let config = load_config(ctx)?;
    merged::check(ctx, &config).await?;
    if config.has_errors() {
        return Err(config.invalid(config.problems.clone()));
    }
    let session = session::open_session(ctx, &config).await;
    let session = session.map_err(|problem| config.invalid(vec![problem]))?;
    let problems = config.problems.iter().chain(&session.problems).cloned().collect();
    let targets = prepare::connect_targets(ctx, &config, &session);
    let targets = targets.map_err(|problems| config.invalid(problems))?;
    let sources = prepare::create_sources(ctx, &session.config);
    let verifying = config.services.iter().zip(targets).map(|(declared, target)| {
        // The commit of the run is not what serves.
        let release = Release { commit: None, ..prepare::release_for(ctx, &config, declared) };
        verify_service(ctx, &declared.service, target, release, &sources)
    });
    let services = join_all(verifying).await;
    let environment = config.environment_name.clone();
    let channels = Channels::from_config(&config, &session);
    Ok((channels, VerifiedServices { environment, services, problems }))
}

/// Verifies one service. A service that cannot be read has failed: nothing is known to be healthy.
async fn verify_service(
    ctx: &RunContext,
    declared: &ServiceSpec,
    target: Rc<dyn Target>,
    release: Release,
    sources: &MetricSources,
) -> ServiceReport {
    let observed = match target.observe().await {
        Ok(observed) => observed,
        Err(problem) => return unreadable_report(ctx, declared, problem),
    };
    let mut service = ServiceRun::new(declared.clone(), target, release, observed);
    service.report.version = service.observed.version.clone();
    match verifiable_health(&service) {
        Ok(verified) => run_checks(ctx, &mut service, sources, verified).await,
        Err(failure) => {
            // What is asked for is known, and not whether anything of it serves.
            service.clear_serving();
            finish_failed(ctx, &mut service, *failure);
        }
    }
    service.report.elapsed = ctx.io.clock.elapsed();
    service.into_report()
}

fn unreadable_report(ctx: &RunContext, declared: &ServiceSpec, problem: Problem) -> ServiceReport {
    let problem = problem.for_service(&declared.name);
    ctx.log.event(Some(&declared.name), Mark::Failure, &problem.to_string());
    let mut report = ServiceReport::new(&declared.name, Outcome::Failed);
    report.target = declared.location();
    report.elapsed = ctx.io.clock.elapsed();
    report.failure = Some(Failure::permanent(problem));
    report
}

/// What the observed status proves, or what is known if the target cannot observe what runs. An error says why the
/// service is not healthy.
fn verifiable_health(service: &ServiceRun) -> Result<VerifiableHealth, Box<Failure>> {
    let moves = |words: &str| Box::new(undetermined(in_progress_problem(words).for_service(service.name())));
    match &service.observed.status {
        RolloutStatus::Healthy(proof) if service.observed.in_flight.is_none() => {
            Ok(VerifiableHealth::Proven(proof.clone()))
        }
        RolloutStatus::Healthy(_) => Err(moves("a rollout has not ended")),
        RolloutStatus::HandedOff(handed) => Ok(VerifiableHealth::NotObservable(handed.evidence.clone())),
        RolloutStatus::NotServing(failure) => {
            let problem = failure.problem.clone().for_service(service.name());
            Err(Box::new(Failure { problem, ..failure.clone() }))
        }
        RolloutStatus::Failed(failure)
        | RolloutStatus::RollingBack(failure, _)
        | RolloutStatus::RolledBack(failure, _)
        | RolloutStatus::RollbackFailed(failure)
        | RolloutStatus::Aborted(failure)
        | RolloutStatus::Missed(failure) => Err(Box::new(failure.clone())),
        RolloutStatus::Progressing(progress) => Err(moves(&progress.describe())),
        RolloutStatus::Paused(pause) => Err(moves(&pause.evidence)),
        RolloutStatus::Superseded(by) => Err(moves(by)),
        RolloutStatus::Unknown(why) => {
            Err(Box::new(undetermined(unknown_health_problem(why).for_service(service.name()))))
        }
    }
}

enum VerifiableHealth {
    Proven(Proof),
    /// The target cannot observe what runs; what is known, as people read it.
    NotObservable(String),
}

/// Nothing is known to be wrong: another look can show that the service is healthy.
fn undetermined(problem: Problem) -> Failure {
    Failure { permanent: false, ..Failure::permanent(problem) }
}

fn in_progress_problem(words: &str) -> Problem {
    Problem::error(Code::NotHealthy, "A rollout is under way, so that nothing can be said to be healthy yet.")
        .cause(words)
        .help("Look again when it has ended.")
}

fn unknown_health_problem(why: &str) -> Problem {
    Problem::error(Code::NotHealthy, "Whether what serves is healthy is not known.")
        .cause(why)
        .help("Look at the service: what its place says cannot be told from here.")
}

/// Tries the checks until they hold, or one of them did not within its time.
async fn run_checks(
    ctx: &RunContext,
    service: &mut ServiceRun,
    sources: &MetricSources,
    verified: VerifiableHealth,
) {
    let wanted = service.declared.config.verify.clone();
    if matches!(verified, VerifiableHealth::NotObservable(_)) {
        service.clear_serving();
    }
    let began = ctx.io.clock.elapsed();
    loop {
        let since = ctx.io.clock.elapsed().saturating_sub(began);
        match http_checker::check_all(sources.checker(), &wanted, since).await {
            CheckResult::Pass(unseen) => return finish_passed(ctx, service, verified, &unseen),
            CheckResult::Fail(problem) => {
                let problem = problem.help("Look at what answers there, and at the logs of the service.");
                return finish_failed(ctx, service, Failure::permanent(problem.for_service(service.name())));
            }
            CheckResult::Pending(why) => {
                ctx.log.event(Some(service.name()), Mark::None, &format!("does not hold yet: {why}"))
            }
        }
        if ctx.io.clock.elapsed() + POLL_INTERVAL >= ctx.inputs.timeout {
            let problem = Problem::error(Code::TimedOut, "The time given was over before the checks held.");
            let problem = problem.help("Raise the input `timeout`, or give the checks a shorter `within`.");
            return finish_failed(ctx, service, Failure::permanent(problem.for_service(service.name())));
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

fn finish_passed(ctx: &RunContext, service: &mut ServiceRun, verified: VerifiableHealth, unseen: &[String]) {
    let now = ctx.io.clock.now();
    let many = service.declared.config.verify.len();
    unseen.iter().for_each(|what| checks::warn_partial(service, what));
    service.rollout.check_summary = (many > 0).then(|| checks::summary(many, unseen));
    match verified {
        VerifiableHealth::Proven(proof) if many == 0 && proof.unread().is_some() => {
            finish_unproven(ctx, service, &proof);
        }
        VerifiableHealth::Proven(proof) => {
            let proven = many > 0 || !proof.nothing_runs();
            let outcome = if proven { Outcome::Verified } else { Outcome::Skipped };
            service.finish_succeeded(now, outcome, &proof);
            service.report.digest.clone_from(&proof.digest);
        }
        VerifiableHealth::NotObservable(words) => {
            let outcome = if many > 0 { Outcome::Verified } else { Outcome::Skipped };
            let checked =
                service.rollout.check_summary.clone().unwrap_or_else(|| "nothing was looked at".into());
            service.report.evidence = format!("{checked}; what runs cannot be seen from here: {words}");
            service.finish(now, outcome, &service.report.evidence.clone());
        }
    }
    let mark = match service.report.failure {
        Some(_) => Mark::Failure,
        None => Mark::Success,
    };
    ctx.log.event(Some(service.name()), mark, &service.report.evidence.clone());
}

/// Ends a service of which not everything could be read, and nothing else was checked: nothing is known to be wrong, and
/// nothing is proven.
fn finish_unproven(ctx: &RunContext, service: &mut ServiceRun, proof: &Proof) {
    let unread = proof.unread().cloned().map(|remark| Problem { severity: Severity::Error, ..remark });
    service.report.failure = unread.map(|problem| undetermined(problem.for_service(service.name())));
    service.report.digest.clone_from(&proof.digest);
    service.report.evidence.clone_from(&proof.evidence);
    service.finish(ctx.io.clock.now(), Outcome::Inconclusive, &format!("not proven: {}", proof.evidence));
}

fn finish_failed(ctx: &RunContext, service: &mut ServiceRun, failure: Failure) {
    let words = failure.problem.sentence.trim_end_matches('.').to_owned();
    ctx.log.event(Some(service.name()), Mark::Failure, &failure.problem.to_string());
    service.report.evidence = capitalize(&words);
    service.report.failure = Some(failure);
    service.finish(ctx.io.clock.now(), Outcome::Failed, &words);
}
