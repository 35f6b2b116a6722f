//! The states of an attempt on several servers → the status of one rollout, and what it goes on with. Pure.

use super::hosts::{HostState, on_host};
use super::read::version;
use super::rollout_ids::RolloutIds;
use super::status;
use crate::problem::{Code, Problem};
use crate::release::{Failure, Pause, Progress, Proof, RolloutStatus};

/// The weight that confirms an attempt which has all traffic.
pub const CONFIRMED: u8 = 101;

/// A server with the status of the rollout there.
struct HostStatus<'s> {
    host: &'s HostState,
    /// `None` if the rollout has not reached it.
    status: Option<RolloutStatus>,
}

/// The status of the rollout that an attempt is, on all servers.
pub fn rollout_status(hosts: &[HostState], service: &str, ids: &RolloutIds, wanted: &str) -> RolloutStatus {
    if let [only] = hosts {
        return status::rollout_status(&only.state, service, ids.attempt, wanted);
    }
    let each: Vec<HostStatus<'_>> = hosts
        .iter()
        .map(|host| HostStatus { host, status: host_status(host, service, ids, wanted) })
        .collect();
    let superseded = each.iter().find(|it| matches!(it.status, Some(RolloutStatus::Superseded(_))));
    if let Some(RolloutStatus::Superseded(by)) = superseded.and_then(|it| it.status.clone()) {
        return RolloutStatus::Superseded(by);
    }
    match ids.forth() {
        Some(_) => back_status(&each, service, wanted),
        None => forward_status(&each, service),
    }
}

fn host_status(host: &HostState, service: &str, ids: &RolloutIds, wanted: &str) -> Option<RolloutStatus> {
    let state = &host.state;
    let attempt = state.attempt.as_ref();
    let forth = ids.forth();
    let own = [Some(ids), forth.as_ref()];
    let ours = own.into_iter().flatten().find(|ids| attempt.is_some_and(|found| found.number == ids.attempt));
    match (ours, attempt) {
        (Some(ours), Some(found)) if found.owner != ours.owner => {
            Some(RolloutStatus::Superseded(format!("another run changed the service on `{}`", host.host)))
        }
        // An attempt of this rollout that went back has another release to serve than the one that is wanted now.
        (Some(ours), Some(found)) if ours.attempt != ids.attempt && found.word() == "complete" => {
            Some(RolloutStatus::Missed(status::missed_failure()))
        }
        (Some(ours), _) => Some(status::rollout_status(state, service, ours.attempt, wanted)),
        (None, _) if state.newest_attempt.is_some_and(|newest| newest > ids.attempt) => {
            Some(RolloutStatus::Superseded(format!("another run changed the service on `{}`", host.host)))
        }
        (None, _) => None,
    }
}

/// A failure names its server.
fn host_failure(host: &HostState, failure: &Failure) -> Failure {
    Failure { problem: on_host(&host.host, failure.problem.clone()), ..failure.clone() }
}

/// The failure of a status, if it is one; also one that the server is taking care of.
fn failure_of(it: &HostStatus<'_>) -> Option<Failure> {
    match it.status.as_ref()? {
        RolloutStatus::Failed(failure)
        | RolloutStatus::Aborted(failure)
        | RolloutStatus::NotServing(failure)
        | RolloutStatus::Missed(failure)
        | RolloutStatus::RollbackFailed(failure)
        | RolloutStatus::RollingBack(failure, _)
        | RolloutStatus::RolledBack(failure, _) => Some(host_failure(it.host, failure)),
        RolloutStatus::Healthy(_)
        | RolloutStatus::Progressing(_)
        | RolloutStatus::Paused(_)
        | RolloutStatus::Superseded(_)
        | RolloutStatus::HandedOff(_)
        | RolloutStatus::Unknown(_) => None,
    }
}

fn forward_status(each: &[HostStatus<'_>], service: &str) -> RolloutStatus {
    let started: Vec<&HostStatus<'_>> = each.iter().filter(|it| it.status.is_some()).collect();
    if started.is_empty() {
        return RolloutStatus::Unknown("no server knows this change of traffic".into());
    }
    if let Some(failure) = started.iter().find_map(|it| failure_of(it)) {
        return failed_status(&started, failure, service);
    }
    let weights: Vec<u8> = started.iter().filter_map(|it| paused_weight(it.status.as_ref()?)).collect();
    let proofs: Vec<Proof> = started.iter().filter_map(|it| host_proof(it)).collect();
    let lowest = weights.iter().min().copied().unwrap_or(100);
    if weights.len() + proofs.len() < started.len() {
        return RolloutStatus::Progressing(progress(each, false));
    }
    match (started.len() == each.len(), weights.is_empty()) {
        (true, true) => merged_proof(&proofs).map_or_else(
            || RolloutStatus::Unknown("the servers say different things".into()),
            RolloutStatus::Healthy,
        ),
        (true, false) if lowest < 100 => RolloutStatus::Paused(Pause {
            percent: lowest,
            evidence: format!(
                "the new containers are healthy on {} servers with {lowest} % of the traffic",
                each.len()
            ),
            variants: None,
        }),
        // The next servers, or the word that the release stays.
        _ => RolloutStatus::Progressing(progress(each, true)),
    }
}

/// One failure fails the rollout. As long as another server serves the new version or is on the way to it, we take it back.
fn failed_status(started: &[&HostStatus<'_>], failure: Failure, service: &str) -> RolloutStatus {
    let all = |is: fn(&RolloutStatus) -> bool| started.iter().all(|it| it.status.as_ref().is_some_and(is));
    let goes_back = |status: &RolloutStatus| {
        matches!(
            status,
            RolloutStatus::RollingBack(..) | RolloutStatus::RolledBack(..) | RolloutStatus::RollbackFailed(_)
        )
    };
    if all(|status| matches!(status, RolloutStatus::RolledBack(..))) {
        let mut to: Vec<u32> =
            started.iter().filter_map(|it| it.host.state.attempt.as_ref()?.old_release).collect();
        to.sort_unstable();
        to.dedup();
        let to = if let [one] = to[..] { Some(version(service, one)) } else { None };
        return RolloutStatus::RolledBack(failure, to);
    }
    if !all(goes_back) {
        return RolloutStatus::Failed(failure);
    }
    let is_moving = started.iter().any(|it| matches!(it.status, Some(RolloutStatus::RollingBack(..))));
    match is_moving {
        true => {
            RolloutStatus::RollingBack(failure, Progress { stage: describe(started), ..Progress::default() })
        }
        false => RolloutStatus::RollbackFailed(with_hosts(failure, started)),
    }
}

/// Who serves what stands in the cause, since the servers differ.
fn with_hosts(failure: Failure, each: &[&HostStatus<'_>]) -> Failure {
    let cause = failure.problem.cause.iter().cloned().chain([describe(each)]).collect::<Vec<_>>().join(" | ");
    Failure { problem: failure.problem.cause(cause), ..failure }
}

fn back_status(each: &[HostStatus<'_>], service: &str, wanted: &str) -> RolloutStatus {
    let found = |is: fn(&RolloutStatus) -> bool| each.iter().find(|it| it.status.as_ref().is_some_and(is));
    let missed = found(|status| matches!(status, RolloutStatus::Missed(_)));
    if let Some(failure) = missed.and_then(failure_of) {
        return RolloutStatus::Missed(failure);
    }
    let is_moving = |status: &RolloutStatus| {
        matches!(
            status,
            RolloutStatus::RollingBack(..)
                | RolloutStatus::Progressing(_)
                | RolloutStatus::Paused(_)
                | RolloutStatus::Unknown(_)
        )
    };
    if found(is_moving).is_some() {
        return RolloutStatus::Progressing(progress(each, false));
    }
    let is_lost = |status: &RolloutStatus| {
        matches!(
            status,
            RolloutStatus::Failed(_)
                | RolloutStatus::Aborted(_)
                | RolloutStatus::RollbackFailed(_)
                | RolloutStatus::NotServing(_)
        )
    };
    let all: Vec<&HostStatus<'_>> = each.iter().collect();
    match found(is_lost).and_then(failure_of) {
        Some(failure) => RolloutStatus::RollbackFailed(with_hosts(failure, &all)),
        None => RolloutStatus::Healthy(Proof {
            version: version(service, wanted.parse().unwrap_or_default()),
            digest: None,
            evidence: describe(&all),
            remarks: Vec::new(),
        }),
    }
}

fn paused_weight(status: &RolloutStatus) -> Option<u8> {
    match status {
        RolloutStatus::Paused(pause) => Some(pause.percent),
        _ => None,
    }
}

/// The proof of a server, with its name.
fn host_proof(it: &HostStatus<'_>) -> Option<Proof> {
    match it.status.as_ref()? {
        RolloutStatus::Healthy(proof) => {
            let evidence = format!("{}: {}", it.host.host, proof.evidence);
            Some(Proof { evidence, ..proof.clone() })
        }
        _ => None,
    }
}

fn progress(each: &[HostStatus<'_>], needs_continue: bool) -> Progress {
    let all: Vec<&HostStatus<'_>> = each.iter().collect();
    Progress { stage: describe(&all), needs_continue, ..Progress::default() }
}

/// Each server with the state of the attempt there, or with the release that serves.
fn describe(each: &[&HostStatus<'_>]) -> String {
    let word = |it: &HostStatus<'_>| match (&it.status, &it.host.state.attempt) {
        (Some(_), Some(attempt)) if attempt.word() == "complete" => format!("release {}", attempt.release),
        (Some(_), Some(attempt)) => attempt.state.clone(),
        _ => match it.host.state.serving_release() {
            Some(number) => format!("release {number}"),
            None => "nothing".to_owned(),
        },
    };
    each.iter().map(|it| format!("{}: {}", it.host.host, word(it))).collect::<Vec<_>>().join(", ")
}

/// One proof of all servers, if they serve the same release.
fn merged_proof(proofs: &[Proof]) -> Option<Proof> {
    let (first, others) = proofs.split_first()?;
    let same = others.iter().all(|other| other.version == first.version && other.digest == first.digest);
    let each = || proofs.iter().map(|proof| proof.evidence.as_str()).collect::<Vec<_>>().join(", ");
    same.then(|| Proof { evidence: each(), ..first.clone() })
}

/// The status of what serves on several servers, without a rollout.
pub fn serving_status(hosts: &[HostState], service: &str) -> RolloutStatus {
    let each: Vec<HostStatus<'_>> = hosts
        .iter()
        .map(|host| HostStatus { host, status: Some(status::serving_status(&host.state, service)) })
        .collect();
    let count =
        |is: fn(&RolloutStatus) -> bool| each.iter().filter(|it| it.status.as_ref().is_some_and(is)).count();
    if count(|status| matches!(status, RolloutStatus::Progressing(_))) > 0 {
        return RolloutStatus::Progressing(progress(&each, false));
    }
    if count(|status| matches!(status, RolloutStatus::Unknown(_))) == each.len() {
        return RolloutStatus::Unknown("nothing was deployed here yet".into());
    }
    let proofs: Vec<Proof> = each.iter().filter_map(host_proof).collect();
    if proofs.len() == each.len()
        && let Some(proof) = merged_proof(&proofs)
    {
        return RolloutStatus::Healthy(proof);
    }
    let failure = each.iter().find_map(failure_of);
    RolloutStatus::NotServing(failure.unwrap_or_else(|| Failure::permanent(differing_problem(&each))))
}

fn differing_problem(each: &[HostStatus<'_>]) -> Problem {
    let serving = |it: &HostStatus<'_>| match it.host.state.serving_release() {
        Some(number) => format!("{}: release {number}", it.host.host),
        None => format!("{}: nothing", it.host.host),
    };
    Problem::error(Code::NotHealthy, "The hosts serve different releases.")
        .cause(each.iter().map(serving).collect::<Vec<_>>().join(", "))
        .help("Deploy again: all of them get the same release.")
}

/// What a rollout goes on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextMove {
    /// The attempt starts on the servers at these positions.
    Start(Vec<usize>),
    /// It goes on to a weight on the servers at these positions.
    Weight(Vec<usize>, u8),
    /// Nothing is to be done.
    Nothing,
}

/// What a rollout goes on with, towards `percent`, with at most `batch` servers at the same time.
pub fn next_move(hosts: &[HostState], ids: &RolloutIds, percent: u8, batch: usize) -> NextMove {
    let weight = |host: &HostState| attempt_weight(host, ids);
    let waiting: Vec<usize> = (0..hosts.len()).filter(|at| weight(&hosts[*at]).is_none()).collect();
    let paused_below = |limit: u8| -> Vec<usize> {
        (0..hosts.len()).filter(|at| weight(&hosts[*at]).is_some_and(|it| it < limit)).collect()
    };
    match (waiting.is_empty(), paused_below(100).is_empty()) {
        (false, true) => NextMove::Start(waiting.into_iter().take(batch).collect()),
        (true, true) => NextMove::Weight(paused_below(CONFIRMED), CONFIRMED),
        (true, false) if percent > 0 => NextMove::Weight(paused_below(percent), percent),
        (true | false, false) => NextMove::Nothing,
    }
}

/// The weight that the attempt has reached; 101 when it is complete, 0 while it moves; `None` if it was not started.
fn attempt_weight(host: &HostState, ids: &RolloutIds) -> Option<u8> {
    let attempt = host.state.attempt.as_ref().filter(|attempt| attempt.number == ids.attempt)?;
    match attempt.word() {
        "complete" => Some(CONFIRMED),
        "paused" => Some(attempt.state.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)),
        _ => Some(0),
    }
}

/// What is to be done on a server so that it goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WayBack {
    /// Nothing: the rollout has not reached it, or it goes back already.
    None,
    /// The attempt is asked to go back.
    Abort,
    /// Another attempt goes back.
    Attempt,
}

/// How a server goes back from an attempt to the release `to`. The only server of a service is brought back in any case; of
/// several, those that the rollout has not reached stay as they are.
pub fn way_back(host: &HostState, moved: &RolloutIds, to: u32, is_only: bool) -> WayBack {
    let attempt = host.state.attempt.as_ref().filter(|attempt| attempt.number == moved.attempt);
    match attempt {
        Some(attempt) if attempt.is_alive && !attempt.has_ended() => match attempt.word() {
            "rolling-back" => WayBack::None,
            _ => WayBack::Abort,
        },
        _ if is_only => WayBack::Attempt,
        None => WayBack::None,
        Some(attempt) if attempt.word() == "rolled-back" => WayBack::None,
        Some(attempt) if attempt.word() == "refused" && attempt.old_release.is_some() => WayBack::None,
        Some(_) if !host.state.has_release(to) => WayBack::None,
        Some(_) => WayBack::Attempt,
    }
}
