//! An attempt as time passes: in place, or beside the old container with a proxy between them.

use super::request::Request;
use super::state::{ComposeAttempt, ComposeService};
use crate::faults::{FaultTarget, TaskOutcome};
use crate::world::World;

/// Seconds in which Compose stops a container and starts another.
const REPLACE_SECONDS: f64 = 2.0;
/// Seconds from a container's start to its first health check that passes.
const HEALTH_SECONDS: f64 = 3.0;
/// Seconds until failing health checks count.
const UNHEALTHY_SECONDS: f64 = 20.0;
/// Seconds of a backup.
const BACKUP_SECONDS: f64 = 5.0;

/// Where an attempt is.
#[derive(Debug, Clone)]
pub(super) struct AttemptKey {
    host: String,
    directory: String,
    service: String,
    number: u32,
}

impl AttemptKey {
    pub(super) fn new(host: &str, request: &Request) -> Self {
        Self {
            host: host.into(),
            directory: request.directory.clone(),
            service: request.service.clone(),
            number: request.attempt,
        }
    }
}

/// Enters an attempt; its first step is due at once.
pub(super) fn begin(service: &mut ComposeService, request: &Request, now: f64) {
    recover(service);
    let attempt = ComposeAttempt {
        owner: request.owner.clone(),
        release: request.release,
        old_release: service.serving,
        state: "checking".into(),
        is_alive: true,
        is_aborted: false,
        continue_weight: 0,
        failure: None,
        request: request.clone(),
        outcome: TaskOutcome::Healthy,
        new: None,
        step: 0,
        due: now,
    };
    service.attempts.insert(request.attempt, attempt);
}

/// What a killed attempt left: the container that has all traffic keeps it.
fn recover(service: &mut ComposeService) {
    let open: Vec<u32> =
        service.attempts.iter().filter(|(_, it)| !has_ended(&it.state)).map(|(n, _)| *n).collect();
    for number in open {
        let Some(attempt) = service.attempts.get_mut(&number) else { continue };
        let left = attempt.new.take().filter(|_| attempt.request.proxy.is_some());
        let is_completing = attempt.state == "completing";
        attempt.state = format!("lost {}", attempt.state);
        let release = attempt.release;
        match (left, is_completing) {
            (Some(new), true) => {
                service.containers.retain(|it| it.id == new);
                service.serving = Some(release);
            }
            (Some(new), false) => {
                service.containers.retain(|it| it.id != new);
                service.proxied =
                    service.containers.iter().take(1).map(|it| (it.name.clone(), 100)).collect();
            }
            (None, _) => {}
        }
    }
}

fn has_ended(state: &str) -> bool {
    let word = state.split(' ').next().unwrap_or_default();
    ["complete", "rolled-back", "back-failed", "stuck", "refused", "lost"].contains(&word)
}

/// Everything of an attempt that is due. When the next is, epoch seconds.
pub(super) fn advance(world: &mut World, key: &AttemptKey, now: f64) -> Option<f64> {
    loop {
        let outcome = choose_outcome(world, key);
        let service = world.compose.service_mut(&key.host, &key.directory, &key.service)?;
        let mut attempt = service.attempts.get(&key.number)?.clone();
        if !attempt.is_alive || has_ended(&attempt.state) {
            return None;
        }
        if let Some(outcome) = outcome {
            attempt.outcome = outcome;
        }
        let interrupted = attempt.is_aborted
            && attempt.state != "rolling-back"
            && !attempt.state.starts_with("rolling-back");
        let continues = paused_weight(&attempt).is_some_and(|weight| attempt.continue_weight > weight);
        if now < attempt.due && !interrupted && !continues {
            return Some(attempt.due);
        }
        match interrupted {
            true => go_back(service, &mut attempt, "aborted", now),
            false => step(service, &mut attempt, now),
        }
        attempt.is_alive = !has_ended(&attempt.state);
        service.attempts.insert(key.number, attempt);
    }
}

/// The outcome of the container that is about to start: of the new one, or of the old one when it comes back.
fn choose_outcome(world: &mut World, key: &AttemptKey) -> Option<TaskOutcome> {
    let service = world.compose.service_mut(&key.host, &key.directory, &key.service)?;
    let attempt = service.attempts.get(&key.number)?;
    let release = match attempt.state.as_str() {
        "checking" if !attempt.request.has_backup => attempt.release,
        "backup" => attempt.release,
        _ => return None,
    };
    let image = service.releases.get(&release)?.facts.split(' ').next()?.to_owned();
    let is_seed_version = release == 0;
    if !is_seed_version && world.compose.host(&key.host)?.setting.breaks_new_containers {
        return Some(TaskOutcome::Unhealthy);
    }
    let subject = FaultTarget { is_seed_version, service: &key.service, images: vec![&image] };
    Some(world.faults.choose_outcome(&subject).0)
}

fn paused_weight(attempt: &ComposeAttempt) -> Option<u8> {
    attempt.state.strip_prefix("paused ")?.parse().ok()
}

fn step(service: &mut ComposeService, attempt: &mut ComposeAttempt, now: f64) {
    let state = attempt.state.clone();
    match state.split(' ').next().unwrap_or_default() {
        "checking" if attempt.request.has_backup => {
            attempt.state = "backup".into();
            attempt.due = now + BACKUP_SECONDS;
        }
        "checking" | "backup" => start_container(service, attempt, now),
        "starting" => judge_start(service, attempt, now),
        "paused" if attempt.continue_weight > paused_weight(attempt).unwrap_or(100) => {
            match paused_weight(attempt) {
                Some(100) => finish(service, attempt, now),
                _ => next_weight(service, attempt, now),
            }
        }
        "paused" => go_back(service, attempt, "not-continued", now),
        "settling" => finish_settling(service, attempt, now),
        "completing" => complete(service, attempt, now),
        "rolling-back" => finish_back(service, attempt),
        _ => attempt.due = f64::INFINITY,
    }
}

fn image_of(service: &ComposeService, release: Option<u32>) -> String {
    let facts = release.and_then(|number| service.releases.get(&number)).map(|release| release.facts.clone());
    facts.unwrap_or_default().split(' ').next().unwrap_or_default().to_owned()
}

/// Compose makes the container: in the place of the old one, or beside it.
fn start_container(service: &mut ComposeService, attempt: &mut ComposeAttempt, now: f64) {
    if attempt.request.proxy.is_none() {
        service.containers.clear();
    }
    let image = image_of(service, Some(attempt.release));
    service.install_env(attempt.release);
    let stem = format!("{}-{}", attempt.request.project, attempt.request.service);
    service.create(&stem, &image, attempt.release == 0);
    attempt.new = service.containers.first().map(|it| it.id.clone());
    attempt.state = "starting".into();
    attempt.due = now
        + REPLACE_SECONDS
        + match &attempt.outcome {
            TaskOutcome::Unhealthy => UNHEALTHY_SECONDS.min(attempt.request.start_limit),
            TaskOutcome::Crash { after, .. } => *after,
            _ => HEALTH_SECONDS,
        };
}

fn judge_start(service: &mut ComposeService, attempt: &mut ComposeAttempt, now: f64) {
    let (status, health, exit_code, reason) = match &attempt.outcome {
        TaskOutcome::Unhealthy => ("running", "unhealthy", 0, Some("unhealthy".to_owned())),
        TaskOutcome::Crash { exit_code, reason, .. } => {
            let memory = reason.as_ref().is_some_and(|reason| reason.contains("OutOfMemory"));
            let word = if memory { "out-of-memory" } else { "exited" };
            ("exited", "none", *exit_code, Some(word.to_owned()))
        }
        _ => ("running", "healthy", 0, None),
    };
    if let Some(container) = service.containers.first_mut() {
        (container.status, container.health, container.exit_code) = (status.into(), health.into(), exit_code);
    }
    match (reason, attempt.request.proxy.is_some()) {
        (Some(reason), _) => fail(service, attempt, &reason, exit_code, now),
        (None, true) => next_weight(service, attempt, now),
        (None, false) => settle(attempt, now),
    }
}

fn settle(attempt: &mut ComposeAttempt, now: f64) {
    attempt.state = "settling".into();
    attempt.due = now + attempt.request.settle;
}

/// The next weight of the plan: the proxy's file is replaced.
fn next_weight(service: &mut ComposeService, attempt: &mut ComposeAttempt, now: f64) {
    let Some(weight) = attempt.request.weights.get(attempt.step).copied() else {
        return settle(attempt, now);
    };
    attempt.step += 1;
    let name = |it: &super::state::ComposeContainer| it.name.clone();
    let (new, old) = (service.containers.first().map(name), service.containers.get(1).map(name));
    if weight > 0 {
        let shares = [(old, 100 - weight), (new, weight)];
        service.proxied = shares
            .into_iter()
            .filter_map(|(name, weight)| Some((name?, weight)))
            .filter(|it| it.1 > 0)
            .collect();
    }
    if weight == 100 {
        return settle(attempt, now);
    }
    attempt.state = format!("paused {weight}");
    attempt.due = now + attempt.request.pause_limit;
}

/// With several servers, the release waits until all of them have it.
fn finish_settling(service: &mut ComposeService, attempt: &mut ComposeAttempt, now: f64) {
    match attempt.request.confirms {
        true => {
            attempt.state = "paused 100".into();
            attempt.due = now + attempt.request.pause_limit;
        }
        false => finish(service, attempt, now),
    }
}

fn finish(service: &mut ComposeService, attempt: &mut ComposeAttempt, now: f64) {
    match attempt.request.proxy.is_some() {
        true => {
            attempt.state = "completing".into();
            attempt.due = now + attempt.request.drain;
        }
        false => complete(service, attempt, now),
    }
}

fn complete(service: &mut ComposeService, attempt: &mut ComposeAttempt, now: f64) {
    service.containers.truncate(1);
    service.serving = Some(attempt.release);
    if let Some(release) = service.releases.get_mut(&attempt.release) {
        release.completed.push(now as i64);
    }
    attempt.state = "complete".into();
    let kept = [Some(attempt.release), attempt.old_release];
    let others: Vec<u32> =
        service.releases.keys().rev().copied().filter(|it| !kept.contains(&Some(*it))).collect();
    let own = service.releases.len() - others.len();
    others.into_iter().skip(attempt.request.keep.saturating_sub(own)).for_each(|number| {
        service.releases.remove(&number);
    });
}

fn fail(service: &mut ComposeService, attempt: &mut ComposeAttempt, reason: &str, exit_code: i64, now: f64) {
    let logs = match &attempt.outcome {
        TaskOutcome::Crash { log_lines, .. } => log_lines.clone(),
        _ => Vec::new(),
    };
    attempt.failure = Some((reason.to_owned(), exit_code, logs));
    go_back(service, attempt, reason, now);
}

fn go_back(service: &mut ComposeService, attempt: &mut ComposeAttempt, reason: &str, now: f64) {
    if attempt.failure.is_none() {
        attempt.failure = Some((reason.to_owned(), 0, Vec::new()));
    }
    if attempt.old_release.is_none() {
        attempt.state = format!("stuck {reason}");
        return;
    }
    if attempt.request.proxy.is_some() {
        let old = service.containers.iter().find(|it| Some(&it.id) != attempt.new.as_ref());
        service.proxied = old.iter().map(|it| (it.name.clone(), 100)).collect();
    }
    attempt.state = format!("rolling-back {reason}");
    attempt.due = now
        + match attempt.request.proxy {
            Some(_) => attempt.request.drain,
            None => REPLACE_SECONDS + HEALTH_SECONDS + attempt.request.settle,
        };
}

fn finish_back(service: &mut ComposeService, attempt: &mut ComposeAttempt) {
    attempt.old_release.iter().for_each(|release| service.install_env(*release));
    let reason = attempt.state.strip_prefix("rolling-back ").unwrap_or_default().to_owned();
    match attempt.request.proxy {
        Some(_) => service.containers.retain(|it| Some(&it.id) != attempt.new.as_ref()),
        None => {
            let image = image_of(service, attempt.old_release);
            service.containers.clear();
            let stem = format!("{}-{}", attempt.request.project, attempt.request.service);
            service.create(&stem, &image, attempt.old_release == Some(0));
            service.containers[0].health = "healthy".into();
        }
    }
    attempt.state = format!("rolled-back {reason}");
}
