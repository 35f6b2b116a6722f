//! Commands that run once, each in a container of its own beside the service.

use super::request::Request;
use super::{Lines, service};
use crate::one_off_commands::OneOffCommand;
use crate::world::World;

/// A command that was started.
#[derive(Debug, Clone)]
pub(super) struct ComposeTask {
    owner: String,
    started: f64,
    command: OneOffCommand,
    /// When somebody stopped it.
    stopped: Option<f64>,
}

/// What Docker reports of a process that was killed.
const KILLED: i64 = 137;

impl ComposeTask {
    fn ends(&self) -> f64 {
        let by_itself = self.started + self.command.after;
        self.stopped.map_or(by_itself, |stopped| stopped.min(by_itself))
    }

    fn exit(&self) -> i64 {
        let by_itself = self.started + self.command.after;
        if self.stopped.is_some_and(|stopped| stopped < by_itself) { KILLED } else { self.command.exit }
    }
}

/// The same name starts one container.
pub(super) fn start(world: &mut World, host: &str, request: &Request, now: f64) -> Lines {
    let known = service(world, host, request)?;
    if known.tasks.contains_key(&request.task) {
        return Ok(vec![format!("started {}", request.task)]);
    }
    if known.attempts.values().any(|attempt| attempt.is_alive) {
        return Ok(vec!["refused busy".into()]);
    }
    if !known.releases.contains_key(&request.release) {
        return Ok(vec!["refused release".into()]);
    }
    let command = world.commands.take_matching(&unquoted(&request.command));
    let task = ComposeTask { owner: request.owner.clone(), started: now, command, stopped: None };
    service(world, host, request)?.tasks.insert(request.task.clone(), task);
    Ok(vec![format!("started {}", request.task)])
}

/// The words of a command without the quotes of the shell.
fn unquoted(command: &str) -> String {
    command.split(r"'\''").map(|part| part.replace('\'', "")).collect::<Vec<_>>().join("'")
}

pub(super) fn describe(world: &mut World, host: &str, request: &Request, now: f64) -> Lines {
    let known = service(world, host, request)?;
    let Some(task) = known.tasks.get(&request.task) else { return Ok(Vec::new()) };
    let has_ended = now >= task.ends();
    let (word, exit) = if has_ended { ("exited", task.exit()) } else { ("running", 0) };
    let logs = task.command.logs.iter().filter(|_| has_ended).map(|line| format!("task-log {line}"));
    Ok(std::iter::once(format!("task {} {word} {exit}", request.task)).chain(logs).collect())
}

/// The command of an owner that still runs.
pub(super) fn find(world: &mut World, host: &str, request: &Request, now: f64) -> Lines {
    let known = service(world, host, request)?;
    let found = known.tasks.iter().find(|(_, task)| task.owner == request.owner && now < task.ends());
    Ok(found.map(|(name, _)| format!("task {name} running 0")).into_iter().collect())
}

pub(super) fn stop(world: &mut World, host: &str, request: &Request, now: f64) -> Lines {
    let known = service(world, host, request)?;
    if let Some(task) = known.tasks.get_mut(&request.task) {
        task.stopped = task.stopped.or(Some(now));
    }
    Ok(vec!["noted".into()])
}
