//! Classifies the errors of buildx. Pure; the output of buildx is untrusted text.

use super::builder::BuildRequest;
use super::dockerfile::Dockerfile;
use super::registry_help::{login_help, push_help};
use crate::problem::list::name_list;
use crate::problem::{Code, Problem, suggest};
use crate::release::DOCKER_HUB;
use crate::sys::process::ExitResult;

/// How many of the last lines a problem quotes.
const MAX_QUOTED_LINES: usize = 20;

/// What to do about a failed run of buildx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildError {
    /// The same run may succeed soon: the registry was busy or the connection broke.
    Transient(Problem),
    /// The login was rejected: a new one may be accepted.
    LoginRefused(Problem),
    /// Another attempt cannot help.
    Final(Problem),
}

impl BuildError {
    /// The problem to report.
    pub fn into_problem(self) -> Problem {
        match self {
            Self::Transient(problem) | Self::LoginRefused(problem) | Self::Final(problem) => problem,
        }
    }
}

/// Classifies the last lines of a failed run. `dockerfile` is the text of the Dockerfile, to find the line.
pub fn classify_output(
    request: &BuildRequest,
    lines: &[String],
    ended: ExitResult,
    dockerfile: &str,
) -> BuildError {
    let error = last_error(lines);
    let text = error.to_ascii_lowercase();
    let quote = quote_lines(lines);
    if let Some(problem) = builder_problem(&text, lines) {
        return BuildError::Final(problem.cause(quote));
    }
    if ended.signal.is_some() {
        return BuildError::Final(signal_problem(request, ended).cause(quote));
    }
    if is_push_failure(lines, &text) {
        classify_push(request, &text, quote)
    } else {
        classify_build(request, lines, &text, quote, &Dockerfile::parse(dockerfile))
    }
}

fn builder_problem(text: &str, lines: &[String]) -> Option<Problem> {
    if contains_any(text, &["permission denied while trying to connect to the docker"]) {
        let sentence = "The user of this process cannot access the Docker socket.";
        return Some(
            Problem::error(Code::DockerUnavailable, sentence).help("Run as a user in the docker group."),
        );
    }
    if contains_any(text, &["cannot connect to the docker daemon", "failed to connect to the docker api"]) {
        return Some(docker_unavailable());
    }
    let booting = lines.iter().any(|line| line == " > [internal] booting buildkit:");
    let sentence = "The container builder for this build could not be started.";
    let help = "Let the engine pull moby/buildkit. Or avoid the builder: use `cache: none` or `inline`, one \
                platform, and no `provenance: true`.";
    booting.then(|| Problem::error(Code::DockerUnavailable, sentence).help(help))
}

/// Docker is not available.
pub fn docker_unavailable() -> Problem {
    Problem::error(Code::DockerUnavailable, "The Docker engine is not reachable, so no image can be built.")
        .help("Use a runner with Docker (ubuntu-latest has it), or set DOCKER_HOST to a reachable engine.")
}

fn signal_problem(request: &BuildRequest, ended: ExitResult) -> Problem {
    let signal = ended.signal.unwrap_or_default();
    let problem = Problem::error(Code::BuildFailed, format!("buildx was killed by signal {signal}."));
    let problem = if signal == 9 { problem.help(OUT_OF_MEMORY_HELP) } else { problem };
    problem.for_service(&request.service)
}

const OUT_OF_MEMORY_HELP: &str =
    "The runner probably ran out of memory. Use a larger runner, or build with less parallelism.";

/// Whether the push failed, and not the build.
fn is_push_failure(lines: &[String], text: &str) -> bool {
    let step = failed_step(lines).unwrap_or_default();
    step.starts_with("pushing ")
        || step.starts_with("exporting to ")
        || contains_any(text, &["failed to push", "tag invalid", "manifest unknown"])
}

fn classify_push(request: &BuildRequest, text: &str, quote: String) -> BuildError {
    let repository = request.repository.name();
    let problem = |sentence: String| {
        Problem::error(Code::PushFailed, sentence).cause(quote.clone()).for_service(&request.service)
    };
    if contains_any(text, &["immutable", "cannot be overwritten"]) {
        let sentence =
            format!("A tag of `{repository}` exists already, and the repository's tags are immutable.");
        return BuildError::Final(Problem { code: Code::TagImmutable, ..problem(sentence) });
    }
    if contains_any(text, &["no space left"]) {
        return BuildError::Final(problem("The disk is full.".into()).help("Free space on the runner."));
    }
    if contains_any(text, LOGIN_EXPIRED_TEXTS) {
        let sentence = format!("The registry rejected the login for `{repository}`.");
        let problem = problem(sentence).help(login_help(&request.repository.registry));
        return BuildError::LoginRefused(Problem { code: Code::RegistryLoginFailed, ..problem });
    }
    if contains_any(
        text,
        &["name unknown", "name_unknown", "does not exist in the registry", "repository not found"],
    ) {
        let sentence = format!("The repository `{repository}` does not exist.");
        return BuildError::Final(
            problem(sentence).help("Create it; Roadstead does not create repositories."),
        );
    }
    if contains_any(text, &["denied", "403 forbidden", "insufficient_scope", "not authorized"]) {
        let help = push_help(&request.repository.registry);
        return BuildError::Final(problem(format!("Pushing to `{repository}` is not allowed.")).help(help));
    }
    let problem = problem(format!("The image could not be pushed to `{repository}`."));
    if is_transient(text) { BuildError::Transient(problem) } else { BuildError::Final(problem) }
}

const LOGIN_EXPIRED_TEXTS: &[&str] =
    &["token has expired", "token expired", "no basic auth credentials", "401 unauthorized", "unauthorized:"];

fn classify_build(
    request: &BuildRequest,
    lines: &[String],
    text: &str,
    quote: String,
    dockerfile: &Dockerfile,
) -> BuildError {
    let step = failed_step(lines);
    let base = step.as_deref().and_then(|step| step.strip_prefix("[internal] load metadata for "));
    let problem = match base {
        Some(base) => base_image_problem(base, text),
        None => match missing_stage(text).or_else(|| missing_target(request, text)) {
            Some(target) => unknown_stage_problem(&target, dockerfile),
            None => Problem::error(Code::BuildFailed, build_sentence(step.as_deref())),
        },
    };
    let mut problem = problem.cause(quote).for_service(&request.service);
    if let Some(help) = failure_help(text, lines) {
        problem = problem.help(help);
    }
    if let Some(line) = dockerfile_line(request, lines, text, step.as_deref(), dockerfile) {
        problem = problem.at_location(request.dockerfile_name(), line, 1);
    }
    // Nothing has run yet when a base image cannot be resolved, so another attempt is cheap.
    if base.is_some() && is_transient(text) {
        BuildError::Transient(problem)
    } else {
        BuildError::Final(problem)
    }
}

/// What to do about a step that failed for a reason outside of the Dockerfile.
fn failure_help(text: &str, lines: &[String]) -> Option<&'static str> {
    let is_foreign_program = |line: &String| line.to_ascii_lowercase().contains("exec format error");
    if contains_any(text, &["exit code: 137", "signal: killed"]) {
        Some(OUT_OF_MEMORY_HELP)
    } else if contains_any(text, &["no space left"]) {
        Some("The disk is full: free space on the runner.")
    } else if text.contains("exec format error") || lines.iter().any(is_foreign_program) {
        Some(FOREIGN_PLATFORM_HELP)
    } else {
        None
    }
}

const FOREIGN_PLATFORM_HELP: &str = "A program of another platform was started, and the runner cannot emulate it. Add \
     `docker/setup-qemu-action` before this step, use a runner of that platform (such as `ubuntu-24.04-arm`), or compile \
     in a stage `FROM --platform=$BUILDPLATFORM`.";

/// The problem of a base image that could not be resolved, with what to do about its registry.
fn base_image_problem(base: &str, text: &str) -> Problem {
    let sentence = format!("The base image `{base}` could not be resolved.");
    let host = base.split_once('/').map(|(first, _)| first).filter(|first| first.contains(['.', ':']));
    let host = host.unwrap_or(DOCKER_HUB);
    if has_status(text, &["429"]) || contains_any(text, RATE_LIMIT_TEXTS) {
        let sentence = format!("{sentence} The registry `{host}` limits pulls.");
        return Problem::error(Code::BuildFailed, sentence)
            .help(format!("Log in, which has a higher limit: {}", login_help(host)));
    }
    if has_status(text, &["401", "403"]) || contains_any(text, BASE_LOGIN_TEXTS) {
        let sentence = format!("{sentence} The registry `{host}` needs a login for it, or does not have it.");
        return Problem::error(Code::RegistryLoginFailed, sentence)
            .help(format!("Check the name and tag. If it is private: {}", login_help(host)));
    }
    let problem = Problem::error(Code::BuildFailed, sentence);
    if contains_any(text, &["not found", "manifest unknown", "name unknown"]) {
        return problem.help("Check the name and tag in `FROM`.");
    }
    problem
}

const RATE_LIMIT_TEXTS: &[&str] =
    &["toomanyrequests", "too many requests", "rate limit", "failed to copy after 5 retries"];
const BASE_LOGIN_TEXTS: &[&str] = &[
    "unauthorized",
    "authorization failed",
    "insufficient_scope",
    "denied",
    "no basic auth credentials",
    "authentication required",
];

/// The stage that BuildKit did not find.
fn missing_stage(text: &str) -> Option<String> {
    let (before, _) =
        text.split_once(" could not be found").or_else(|| text.split_once(" not found in dockerfile"))?;
    let (_, name) = before.rsplit_once("target stage ")?;
    Some(name.trim_matches(['"', '`', '\'']).to_owned())
}

/// The target, where BuildKit says of it only that it is not there.
fn missing_target(request: &BuildRequest, text: &str) -> Option<String> {
    let target = request.settings.target.as_ref()?;
    text.contains("failed to reach build target").then(|| target.clone())
}

/// The problem of a target that is no stage of the Dockerfile.
pub(super) fn unknown_stage_problem(target: &str, dockerfile: &Dockerfile) -> Problem {
    let names = dockerfile.stage_names();
    let near = suggest(target, names.iter().copied())
        .map(|name| format!("Did you mean `{name}`? "))
        .unwrap_or_default();
    let list = match names.is_empty() {
        true => "None of its stages has a name (`FROM … AS name`).".to_owned(),
        false => format!("Its stages: {}.", name_list(names.iter().copied())),
    };
    Problem::error(Code::BuildFailed, format!("The Dockerfile has no stage `{target}`."))
        .help(format!("{near}{list}"))
}

fn build_sentence(step: Option<&str>) -> String {
    match step {
        Some(step) => format!("The image could not be built: the step `{step}` failed."),
        None => "The image could not be built.".into(),
    }
}

/// The last `ERROR:` line, or else the last line.
fn last_error(lines: &[String]) -> &str {
    let error = lines.iter().rev().find_map(|line| line.strip_prefix("ERROR: "));
    error.or(lines.last().map(String::as_str)).unwrap_or_default()
}

/// The name of the step that failed: buildx repeats its output under ` > name:` after a rule.
fn failed_step(lines: &[String]) -> Option<String> {
    let errors: Vec<&str> = lines.iter().filter_map(|line| vertex_error(line)).collect();
    let named = lines.iter().rev().find_map(|line| line.strip_prefix(" > ")?.strip_suffix(':'));
    // Without an error of a step the heading is only a warning, such as a missing cache.
    named.filter(|_| !errors.is_empty()).map(str::to_owned)
}

/// `#7 ERROR: text` of a step.
fn vertex_error(line: &str) -> Option<&str> {
    let (number, rest) = line.strip_prefix('#')?.split_once(' ')?;
    number.bytes().all(|b| b.is_ascii_digit()).then(|| rest.strip_prefix("ERROR: "))?
}

/// The line of the Dockerfile: as buildx reports it, as the parser reports it, or where the step's instruction is.
fn dockerfile_line(
    request: &BuildRequest,
    lines: &[String],
    text: &str,
    step: Option<&str>,
    dockerfile: &Dockerfile,
) -> Option<usize> {
    let name = request.settings.dockerfile.rsplit('/').next().unwrap_or_default();
    let reported =
        lines.iter().rev().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.parse().ok());
    let parsed = || {
        let rest = text.split_once("parse error")?.1.split_once("line ")?.1;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    reported.or_else(parsed).or_else(|| dockerfile.find_instruction(step?.split_once("] ")?.1))
}

fn is_transient(text: &str) -> bool {
    has_status(text, &["429", "500", "502", "503", "504"]) || contains_any(text, TRANSIENT_TEXTS)
}

/// Whether one of these statuses is in the text, as a word.
fn has_status(text: &str, statuses: &[&str]) -> bool {
    statuses.iter().any(|code| {
        text.match_indices(code).any(|(at, _)| {
            let (before, after) = (text[..at].chars().next_back(), text[at + code.len()..].chars().next());
            !before.is_some_and(|c| c.is_ascii_alphanumeric())
                && !after.is_some_and(|c| c.is_ascii_alphanumeric())
        })
    })
}

const TRANSIENT_TEXTS: &[&str] = &[
    "toomanyrequests",
    "too many requests",
    "internal server error",
    "bad gateway",
    "service unavailable",
    "gateway timeout",
    "connection reset",
    "connection refused",
    "broken pipe",
    "eof",
    "i/o timeout",
    "tls handshake timeout",
    "client.timeout exceeded",
    // BuildKit's message for status 429.
    "failed to copy after 5 retries",
    // buildx asks for the digest before the pushed manifest is visible.
    "manifest unknown",
];

fn contains_any(text: &str, needles: &[&str]) -> bool {
    needles.iter().any(|needle| text.contains(needle))
}

/// The last lines without progress, for display.
fn quote_lines(lines: &[String]) -> String {
    let progress = |line: &str| {
        let words =
            line.split_once(' ').filter(|(number, _)| number.starts_with('#')).map_or("", |(_, rest)| rest);
        ["pushing layer ", "sha256:", "transferring ", "extracting "]
            .iter()
            .any(|start| words.starts_with(start))
    };
    let quotable: Vec<&str> =
        lines.iter().map(String::as_str).filter(|line| !line.is_empty() && !progress(line)).collect();
    quotable[quotable.len().saturating_sub(MAX_QUOTED_LINES)..].join("\n")
}

#[cfg(test)]
#[path = "build_error_tests.rs"]
mod tests;
