//! Shifts whose answer is missing: a service stays in motion until a look shows what became of its request, or the time is
//! over. The decisions are in `strategy`.

use futures::future::join_all;

use crate::problem::{Code, Problem};
use crate::release::{Failure, Rollout};
use crate::run::context::RunContext;
use crate::run::progress_log::Mark;
use crate::run::rollout::{endings, request, rollback};
use crate::run::rollout_state::RequestedShift;
use crate::run::service_run::ServiceRun;
use crate::run::{cancel, progress};
use crate::strategy::{Direction, NextSearch, SearchState, Sighting, next_search};

/// What a look for a requested shift showed.
pub(in crate::run) type Found = Result<Option<Rollout>, Problem>;

/// Looks for the requested shifts of all services, concurrently.
pub(in crate::run) async fn search_all(services: &[ServiceRun]) -> Vec<(usize, Found)> {
    let open = services.iter().enumerate().filter_map(|(index, service)| {
        let shift = service.rollout.requested_shift()?.shift.clone();
        let staged = service.staged_or(&shift.version);
        Some(async move { (index, service.target.find_shift(&staged, &shift).await) })
    });
    join_all(open).await
}

/// Acts on one look for a requested shift. `must_not_start`: another service of an atomic run failed.
pub(in crate::run) async fn on_look(
    ctx: &RunContext,
    service: &mut ServiceRun,
    found: Found,
    must_not_start: bool,
) {
    let Some(mut request) = service.rollout.requested_shift().cloned() else { return };
    service.report.elapsed = ctx.io.clock.elapsed();
    let sighting = match found {
        Ok(Some(rollout)) => {
            service.rollout.unreadable_since = None;
            return request::begin_rolling(ctx, service, rollout);
        }
        Ok(None) => {
            service.rollout.unreadable_since = None;
            Sighting::Missing
        }
        Err(problem) if problem.code == Code::Superseded => {
            return progress::mark_superseded_by(ctx, service, &problem);
        }
        Err(problem) if endings::has_lost_credentials(ctx, service, &problem) => {
            return endings::mark_unknown(ctx, service, &request, &problem);
        }
        Err(problem) => {
            let text = format!("could not be read, looking again: {problem}");
            progress::log_if_changed(ctx, service, &text);
            request.problem = Some(problem);
            Sighting::Unreadable
        }
    };
    request.misses += u32::from(sighting == Sighting::Missing);
    let next = next_search(
        &request.direction,
        search_state(ctx, &request, must_not_start),
        sighting,
        has_time_left(ctx, service, &request.direction),
    );
    apply(ctx, service, request, next).await;
}

fn search_state(ctx: &RunContext, request: &RequestedShift, must_not_start: bool) -> SearchState {
    SearchState {
        since_request: ctx.io.clock.elapsed().saturating_sub(request.requested_at),
        misses: request.misses,
        requests: request.requests,
        must_not_start,
    }
}

/// Whether there is time left to look for a request in a direction.
fn has_time_left(ctx: &RunContext, service: &ServiceRun, direction: &Direction) -> bool {
    match direction {
        Direction::Forward => ctx.has_time_left(),
        Direction::Back(_) => ctx.io.clock.elapsed() < service.rollout.phase_started + ctx.rollback_reserve(),
    }
}

async fn apply(ctx: &RunContext, service: &mut ServiceRun, request: RequestedShift, next: NextSearch) {
    let now = ctx.io.clock.elapsed();
    match next {
        // It was found before the decision.
        NextSearch::Watch => {}
        NextSearch::LookAgain => service.rollout.enter_requested(request, now),
        NextSearch::RequestAgain => request_again(ctx, service, request.again(now)).await,
        NextSearch::NotMade => end_unmoved(ctx, service, request).await,
        NextSearch::GiveUp => give_up(ctx, service, request).await,
    }
}

async fn request_again(ctx: &RunContext, service: &mut ServiceRun, request: RequestedShift) {
    if request.direction == Direction::Forward {
        let text = "the rollout is not there: requesting it again";
        progress::record_event(ctx, service, Mark::None, text);
    }
    service.rollout.enter_requested(request.clone(), ctx.io.clock.elapsed());
    if let Some(problem) = request::send_again(ctx, service).await {
        end_unmoved(ctx, service, RequestedShift { problem: Some(problem), ..request }).await;
    }
}

/// Ends a service whose request is known not to have happened: what serves is read once more, and shown.
async fn end_unmoved(ctx: &RunContext, service: &mut ServiceRun, request: RequestedShift) {
    match cancel::until_cancelled(ctx, service.target.observe()).await {
        Some(Ok(observed)) => {
            service.set_observed(observed);
            let problem = not_started(&request);
            let problem = match &request.problem {
                Some(last) => problem.cause(last.to_string()),
                None => problem,
            };
            service.fail_before_change(ctx.io.clock.now(), problem.for_service(service.name()));
        }
        Some(Err(problem)) if !ctx.has_time_left() => {
            let problem = not_started(&request).cause(problem.to_string());
            service.fail_before_change(ctx.io.clock.now(), problem.for_service(service.name()));
        }
        Some(Err(problem)) => {
            let request = RequestedShift { problem: Some(problem), ..request };
            service.rollout.enter_requested(request, ctx.io.clock.elapsed());
        }
        None => service.rollout.enter_requested(request, ctx.io.clock.elapsed()),
    }
}

fn not_started(request: &RequestedShift) -> Problem {
    let sentence = format!("The rollout of {} did not start.", request.shift.version.label);
    Problem::error(Code::ProviderError, sentence)
        .help("Its request was lost, and nothing of it was found afterwards. Run the job again.")
}

/// The time of a direction is over: what may have been started is rolled back, and a rollback is left to the provider.
async fn give_up(ctx: &RunContext, service: &mut ServiceRun, request: RequestedShift) {
    let none = || Problem::error(Code::ProviderError, "No answer arrived.");
    let last = request.problem.clone().unwrap_or_else(none);
    let can_roll_back = service.observed.last_known_good().is_some()
        && !service.target.limits(&service.observed).keeps_failed_version;
    if request.direction != Direction::Forward || !can_roll_back {
        return endings::mark_unknown(ctx, service, &request, &last);
    }
    let label = &request.shift.version.label;
    let sentence = format!(
        "The rollout of {label} was requested, and until the timeout nothing showed what became of it."
    );
    let problem = endings::unknown_problem(sentence, &last).for_service(service.name());
    progress::log_failure(ctx, service, &Failure::permanent(problem.clone()));
    rollback::roll_back(ctx, service, Failure::permanent(problem)).await;
}
