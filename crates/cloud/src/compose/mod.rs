//! Servers with Docker Compose in the emulator, at the level of the requests that a deployment sends over SSH: releases, attempts
//! and containers. Written from what Docker, Compose and a POSIX shell do; no shell is interpreted here.

/// Answers, line by line.
mod answers;
/// An attempt as time passes.
mod attempt;
/// The built-in scenarios.
mod builtin;
/// What a request says.
mod request;
/// Servers in a scenario file.
pub mod scenario;
/// All servers as plain data.
pub mod state;
/// Commands that run once.
mod tasks;

#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use self::request::Request;
use super::builtin::Builtin;
use super::events::Event;
use super::faults::{Fault, FaultTarget, TaskOutcome};
use super::input::str_field;
use super::request::{ServiceCall, ServiceError, ServiceResult};
use super::scenario::Scenario;
use super::service::{ErrorCodes, Service, ServiceProtocol, unsupported_operation};
use super::timed_faults;
use super::world::World;

/// Servers that run Compose.
pub struct ComposeHosts;

impl Service for ComposeHosts {
    fn name(&self) -> &'static str {
        "compose-host"
    }

    fn protocol(&self) -> ServiceProtocol {
        ServiceProtocol::Own
    }

    fn errors(&self) -> &'static ErrorCodes {
        &ErrorCodes::AWS_JSON
    }

    fn seed(&self, world: &mut World, scenario: &Scenario, _: f64) {
        world.compose = state::ComposeState::from_settings(&scenario.compose);
    }

    fn handle(&self, world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
        answer_call(world, call, now)
    }

    /// A server asks for no permission of AWS.
    fn required_actions(&self, _: &ServiceCall) -> Vec<String> {
        Vec::new()
    }

    fn fault_time(&self, fault: &Fault) -> Option<f64> {
        match fault {
            Fault::ComposeKilled(killed) => Some(killed.at),
            _ => None,
        }
    }

    fn apply_fault(&self, world: &mut World, fault: &Fault, _: f64) {
        if matches!(fault, Fault::ComposeKilled(_)) {
            world.compose.services_mut().for_each(state::ComposeService::kill);
        }
    }

    fn scenarios(&self) -> &'static [Builtin] {
        builtin::SCENARIOS
    }
}

/// Answers one script. Its first part says what it does; the program after that is the client's own business.
fn answer_call(world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
    let host = str_field(&call.input, "Host").to_owned();
    let script = str_field(&call.input, "Script");
    let request = Request::parse(script).map_err(|why| ServiceError::new("BadScript", why))?;
    let lines = match call.operation.as_str() {
        "DescribeHost" => observe(world, &host, &request),
        "DescribeAttempt" => describe_attempt(world, &host, &request),
        "StageRelease" => stage(world, &host, &request, now),
        "StartAttempt" => start(world, &host, &request, now),
        "ContinueAttempt" => note(world, &host, &request, now, true),
        "AbortAttempt" => note(world, &host, &request, now, false),
        "StartTask" => tasks::start(world, &host, &request, now),
        "DescribeTask" => tasks::describe(world, &host, &request, now),
        "ListTasks" => tasks::find(world, &host, &request, now),
        "StopTask" => tasks::stop(world, &host, &request, now),
        _ => return Err(unsupported_operation(call)),
    }?;
    Ok(json!({ "Lines": lines, "Exit": 0 }))
}

type Lines = Result<Vec<String>, ServiceError>;

/// The service of a request; one of which nothing runs yet is made.
fn service<'w>(
    world: &'w mut World,
    host: &str,
    request: &Request,
) -> Result<&'w mut state::ComposeService, ServiceError> {
    let found = world.compose.service_mut(host, &request.directory, &request.service);
    found.ok_or_else(|| ServiceError::new("NoHost", format!("{host}: no route to host")))
}

fn observe(world: &mut World, host: &str, request: &Request) -> Lines {
    let facts = world.compose.host(host).map(|host| answers::host_lines(host, request));
    let facts = facts.ok_or_else(|| ServiceError::new("NoHost", format!("{host}: no route to host")))?;
    let service = service(world, host, request)?;
    let newest = service.attempts.keys().next_back().copied();
    let attempt = newest.map(|number| answers::attempt_lines(service, number)).unwrap_or_default();
    let env = if request.shows_env { answers::env_lines(service) } else { Vec::new() };
    let state = [answers::container_lines(service), answers::release_lines(service)].concat();
    Ok([facts, state, env, attempt].concat())
}

fn describe_attempt(world: &mut World, host: &str, request: &Request) -> Lines {
    let service = service(world, host, request)?;
    let newest = service.attempts.keys().next_back().map(|number| format!("newest {number}"));
    let attempt = answers::attempt_lines(service, request.attempt);
    let state = [answers::container_lines(service), answers::release_lines(service)].concat();
    Ok(newest.into_iter().chain(attempt).chain(state).collect())
}

/// The files of a release are kept and its image is pulled.
fn stage(world: &mut World, host: &str, request: &Request, now: f64) -> Lines {
    let outcome = image_outcome(world, request);
    let service = service(world, host, request)?;
    if request.adopts {
        service.adopt(now);
    }
    if let Some(known) = service.releases.get(&request.release) {
        let same = known.facts == request.facts;
        return Ok(vec![if same { "staged".into() } else { "refused taken".into() }]);
    }
    if let Some(error) = outcome {
        return Ok(vec!["refused pull".into(), format!("error {error}")]);
    }
    let env = request.env.clone();
    let release = state::ComposeRelease { facts: request.facts.clone(), completed: Vec::new(), env };
    service.releases.insert(request.release, release);
    Ok(vec!["staged".into()])
}

/// What Docker says of an image that cannot be pulled.
fn image_outcome(world: &mut World, request: &Request) -> Option<String> {
    let image = request.image();
    let subject = FaultTarget { is_seed_version: false, service: &request.service, images: vec![image] };
    match world.faults.choose_start_outcome(&subject) {
        TaskOutcome::ImageNotFound => Some(format!(
            "Error response from daemon: manifest for {image} not found: manifest unknown: manifest unknown"
        )),
        TaskOutcome::WrongPlatform => {
            Some("no matching manifest for linux/amd64 in the manifest list entries".to_owned())
        }
        _ => None,
    }
}

fn start(world: &mut World, host: &str, request: &Request, now: f64) -> Lines {
    let known = service(world, host, request)?;
    if let Some(attempt) = known.attempts.get(&request.attempt) {
        let same = attempt.owner == request.owner;
        return Ok(if same {
            answers::attempt_lines(known, request.attempt)
        } else {
            vec!["refused taken".into()]
        });
    }
    if known.attempts.values().any(|attempt| attempt.is_alive) {
        return Ok(vec!["refused busy".into()]);
    }
    if !known.releases.contains_key(&request.release) {
        return Ok(vec!["refused release".into()]);
    }
    attempt::begin(known, request, now);
    timed_faults::on_first_deployment(world, now);
    schedule(world, attempt::AttemptKey::new(host, request), now);
    Ok(vec![format!("started {}", request.attempt)])
}

/// The attempt continues on the server, with or without requests about it.
fn schedule(world: &mut World, key: attempt::AttemptKey, at: f64) {
    world.events.schedule(
        at,
        Event::new("compose attempt", move |world, now| {
            if let Some(next) = attempt::advance(world, &key, now) {
                schedule(world, key.clone(), next);
            }
        }),
    );
}

fn note(world: &mut World, host: &str, request: &Request, now: f64, continues: bool) -> Lines {
    let known = service(world, host, request)?;
    let Some(attempt) = known.attempts.get_mut(&request.attempt) else { return Ok(Vec::new()) };
    match continues {
        true => attempt.continue_weight = attempt.continue_weight.max(request.weight),
        false => attempt.is_aborted = true,
    }
    schedule(world, attempt::AttemptKey::new(host, request), now);
    Ok(vec!["noted".into()])
}

/// The input of a call as a test or a client makes it.
pub fn call(operation: &str, host: &str, script: &str) -> ServiceCall {
    ServiceCall {
        service: ComposeHosts.name().into(),
        operation: operation.into(),
        input: json!({ "Host": host, "Script": script }),
        region: String::new(),
        access_key: None,
    }
}

/// Lines and exit code of an answer.
pub fn read_answer(answer: &Value) -> (Vec<String>, u8) {
    let lines = answer["Lines"].as_array().map(Vec::as_slice).unwrap_or_default();
    let lines = lines.iter().filter_map(|line| line.as_str().map(str::to_owned)).collect();
    (lines, answer["Exit"].as_u64().and_then(|code| code.try_into().ok()).unwrap_or(255))
}
