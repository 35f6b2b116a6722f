//! Classifies the errors of buildx. Pure; the output of buildx is untrusted text.

use super::builder::BuildRequest;
use crate::problem::{Code, Problem};
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
        classify_build(request, lines, &text, quote, dockerfile)
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
        return BuildError::LoginRefused(Problem { code: Code::RegistryLoginFailed, ..problem(sentence) });
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
        let help = "For ECR, allow ecr:InitiateLayerUpload, ecr:UploadLayerPart, ecr:CompleteLayerUpload, \
                    ecr:BatchCheckLayerAvailability, ecr:BatchGetImage and ecr:PutImage on the repository.";
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
    dockerfile: &str,
) -> BuildError {
    let step = failed_step(lines);
    let loading = step.as_deref().is_some_and(|step| step.starts_with("[internal] load metadata for "));
    let mut problem = Problem::error(Code::BuildFailed, build_sentence(step.as_deref()))
        .cause(quote)
        .for_service(&request.service);
    if contains_any(text, &["exit code: 137", "signal: killed"]) {
        problem = problem.help(OUT_OF_MEMORY_HELP);
    } else if contains_any(text, &["no space left"]) {
        problem = problem.help("The disk is full: free space on the runner.");
    }
    if let Some(line) = dockerfile_line(request, lines, text, step.as_deref(), dockerfile) {
        problem = problem.at_location(request.dockerfile_name(), line, 1);
    }
    // Nothing has run yet when a base image cannot be resolved, so another attempt is cheap.
    if loading && is_transient(text) { BuildError::Transient(problem) } else { BuildError::Final(problem) }
}

fn build_sentence(step: Option<&str>) -> String {
    match step {
        Some(step) => match step.strip_prefix("[internal] load metadata for ") {
            Some(base) => format!("The base image `{base}` could not be resolved."),
            None => format!("The image could not be built: the step `{step}` failed."),
        },
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
    dockerfile: &str,
) -> Option<usize> {
    let name = request.settings.dockerfile.rsplit('/').next().unwrap_or_default();
    let reported =
        lines.iter().rev().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.parse().ok());
    let parsed = || {
        let rest = text.split_once("parse error")?.1.split_once("line ")?.1;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    reported.or_else(parsed).or_else(|| find_instruction(dockerfile, step?.split_once("] ")?.1))
}

/// The line where the instruction `words` begins, if it occurs in the Dockerfile exactly once.
fn find_instruction(dockerfile: &str, words: &str) -> Option<usize> {
    let same = |text: &str| text.split_whitespace().eq(words.split_whitespace());
    let mut found = parse_instructions(dockerfile).into_iter().filter(|(_, text)| same(text));
    let (line, _) = found.next()?;
    found.next().is_none().then_some(line)
}

/// Instructions with their first line, continuation lines joined.
fn parse_instructions(dockerfile: &str) -> Vec<(usize, String)> {
    let mut all: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (index, line) in dockerfile.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with('#')) {
        let body = line.trim_end();
        let text = body.strip_suffix('\\').unwrap_or(body);
        match all.last_mut() {
            Some((_, last)) if open => last.push_str(text),
            _ => all.push((index + 1, text.to_owned())),
        }
        open = body.ends_with('\\');
    }
    all
}

fn is_transient(text: &str) -> bool {
    let status = ["429", "500", "502", "503", "504"].iter().any(|code| {
        text.match_indices(code).any(|(at, _)| {
            let (before, after) = (text[..at].chars().next_back(), text[at + 3..].chars().next());
            !before.is_some_and(|c| c.is_ascii_alphanumeric())
                && !after.is_some_and(|c| c.is_ascii_alphanumeric())
        })
    });
    status || contains_any(text, TRANSIENT_TEXTS)
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
