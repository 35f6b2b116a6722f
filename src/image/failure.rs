//! What buildx says when it fails, read into what it means. Pure; everything it says is untrusted text.

use super::builder::BuildRequest;
use crate::problem::{Code, Problem};
use crate::sys::process::Ended;

/// How many of the last lines a problem quotes.
const QUOTED: usize = 20;

/// What can be done about a failed run of buildx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The same run may succeed in a moment: the registry was busy or the connection broke.
    Transient(Problem),
    /// The login is not accepted: a new one may be.
    LoginRefused(Problem),
    /// Nothing but a change of something else helps.
    Final(Problem),
}

impl Failure {
    /// What to tell people.
    pub fn problem(self) -> Problem {
        match self {
            Self::Transient(problem) | Self::LoginRefused(problem) | Self::Final(problem) => problem,
        }
    }
}

/// Reads the last lines of a failed run. `dockerfile` is the text of the Dockerfile, to find the line.
pub fn read(request: &BuildRequest, lines: &[String], ended: Ended, dockerfile: &str) -> Failure {
    let error = last_error(lines);
    let text = error.to_ascii_lowercase();
    let quote = quote(lines);
    if let Some(problem) = builder_missing(&text, lines) {
        return Failure::Final(problem.cause(quote));
    }
    if ended.signal.is_some() {
        return Failure::Final(killed(request, ended).cause(quote));
    }
    if is_push(lines, &text) {
        push(request, &text, quote)
    } else {
        build(request, lines, &text, quote, dockerfile)
    }
}

fn builder_missing(text: &str, lines: &[String]) -> Option<Problem> {
    if any(text, &["permission denied while trying to connect to the docker"]) {
        let sentence = "The Docker engine's socket may not be used by this user.";
        return Some(
            Problem::error(Code::BuilderMissing, sentence).help("Run as a user of the docker group."),
        );
    }
    if any(text, &["cannot connect to the docker daemon", "failed to connect to the docker api"]) {
        return Some(no_engine());
    }
    let booting = lines.iter().any(|line| line == " > [internal] booting buildkit:");
    let sentence = "The container builder that this build needs could not be started.";
    let help = "It runs moby/buildkit, which the engine must be able to pull. `cache: none` or `inline`, one \
                platform and no `provenance: true` do without it.";
    booting.then(|| Problem::error(Code::BuilderMissing, sentence).help(help))
}

/// No Docker engine answers.
pub fn no_engine() -> Problem {
    Problem::error(Code::BuilderMissing, "No Docker engine answers, so nothing can be built.").help(
        "Use a runner with Docker (ubuntu-latest has it), or set DOCKER_HOST to an engine that answers.",
    )
}

fn killed(request: &BuildRequest, ended: Ended) -> Problem {
    let signal = ended.signal.unwrap_or_default();
    let problem =
        Problem::error(Code::BuildFailed, format!("buildx was ended by signal {signal} while it worked."));
    let problem = if signal == 9 { problem.help(MEMORY) } else { problem };
    problem.of(&request.service)
}

const MEMORY: &str =
    "Most likely the runner ran out of memory: use a larger one or build with less parallelism.";

/// Whether it was the push that failed, and not the build.
fn is_push(lines: &[String], text: &str) -> bool {
    let step = failed_step(lines).unwrap_or_default();
    step.starts_with("pushing ")
        || step.starts_with("exporting to ")
        || any(text, &["failed to push", "tag invalid", "manifest unknown"])
}

fn push(request: &BuildRequest, text: &str, quote: String) -> Failure {
    let repository = request.repository.name();
    let problem = |sentence: String| {
        Problem::error(Code::PushFailed, sentence).cause(quote.clone()).of(&request.service)
    };
    if any(text, &["immutable", "cannot be overwritten"]) {
        let sentence = format!("A tag of `{repository}` exists already and may not be moved.");
        return Failure::Final(Problem { code: Code::TagImmutable, ..problem(sentence) });
    }
    if any(text, &["no space left"]) {
        return Failure::Final(problem("The disk is full.".into()).help("Free space on the runner."));
    }
    if any(text, EXPIRED) {
        let sentence = format!("The registry refused the login for `{repository}`.");
        return Failure::LoginRefused(Problem { code: Code::RegistryLoginFailed, ..problem(sentence) });
    }
    if any(text, &["name unknown", "name_unknown", "does not exist in the registry", "repository not found"])
    {
        let sentence = format!("The repository `{repository}` does not exist.");
        return Failure::Final(problem(sentence).help("Create it; Roadstead does not create repositories."));
    }
    if any(text, &["denied", "403 forbidden", "insufficient_scope", "not authorized"]) {
        let help = "Pushing to ECR needs ecr:InitiateLayerUpload, ecr:UploadLayerPart, ecr:CompleteLayerUpload, \
                    ecr:BatchCheckLayerAvailability, ecr:BatchGetImage and ecr:PutImage on the repository.";
        return Failure::Final(problem(format!("Pushing to `{repository}` is not allowed.")).help(help));
    }
    let problem = problem(format!("The image could not be pushed to `{repository}`."));
    if is_passing(text) { Failure::Transient(problem) } else { Failure::Final(problem) }
}

const EXPIRED: &[&str] =
    &["token has expired", "token expired", "no basic auth credentials", "401 unauthorized", "unauthorized:"];

fn build(request: &BuildRequest, lines: &[String], text: &str, quote: String, dockerfile: &str) -> Failure {
    let step = failed_step(lines);
    let loading = step.as_deref().is_some_and(|step| step.starts_with("[internal] load metadata for "));
    let mut problem =
        Problem::error(Code::BuildFailed, sentence(step.as_deref())).cause(quote).of(&request.service);
    if any(text, &["exit code: 137", "signal: killed"]) {
        problem = problem.help(MEMORY);
    } else if any(text, &["no space left"]) {
        problem = problem.help("The disk is full: free space on the runner.");
    }
    if let Some(line) = line_of(request, lines, text, step.as_deref(), dockerfile) {
        problem = problem.at(request.dockerfile_name(), line, 1);
    }
    // Nothing has run yet when a base image cannot be looked up, so trying again is cheap.
    if loading && is_passing(text) { Failure::Transient(problem) } else { Failure::Final(problem) }
}

fn sentence(step: Option<&str>) -> String {
    match step {
        Some(step) => match step.strip_prefix("[internal] load metadata for ") {
            Some(base) => format!("The base image `{base}` could not be looked up."),
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
    // Without an error of a step the heading is only a warning, such as a cache that is not there yet.
    named.filter(|_| !errors.is_empty()).map(str::to_owned)
}

/// `#7 ERROR: text` of a step.
fn vertex_error(line: &str) -> Option<&str> {
    let (number, rest) = line.strip_prefix('#')?.split_once(' ')?;
    number.bytes().all(|b| b.is_ascii_digit()).then(|| rest.strip_prefix("ERROR: "))?
}

/// The line of the Dockerfile: as buildx says it, as the parser says it, or where the step's words stand.
fn line_of(
    request: &BuildRequest,
    lines: &[String],
    text: &str,
    step: Option<&str>,
    dockerfile: &str,
) -> Option<usize> {
    let name = request.settings.dockerfile.rsplit('/').next().unwrap_or_default();
    let said = lines.iter().rev().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.parse().ok());
    let parsed = || {
        let rest = text.split_once("parse error")?.1.split_once("line ")?.1;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    said.or_else(parsed).or_else(|| locate(dockerfile, step?.split_once("] ")?.1))
}

/// The line where the instruction `words` begins, if it stands in the Dockerfile exactly once.
fn locate(dockerfile: &str, words: &str) -> Option<usize> {
    let same = |text: &str| text.split_whitespace().eq(words.split_whitespace());
    let mut found = instructions(dockerfile).into_iter().filter(|(_, text)| same(text));
    let (line, _) = found.next()?;
    found.next().is_none().then_some(line)
}

/// Instructions with their first line, continuation lines joined.
fn instructions(dockerfile: &str) -> Vec<(usize, String)> {
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

fn is_passing(text: &str) -> bool {
    let status = ["429", "500", "502", "503", "504"].iter().any(|code| {
        text.match_indices(code).any(|(at, _)| {
            let (before, after) = (text[..at].chars().last(), text[at + 3..].chars().next());
            !before.is_some_and(|c| c.is_ascii_alphanumeric())
                && !after.is_some_and(|c| c.is_ascii_alphanumeric())
        })
    });
    status || any(text, PASSING)
}

const PASSING: &[&str] = &[
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
    // What BuildKit makes of 429.
    "failed to copy after 5 retries",
    // What was pushed is not there yet when buildx asks for its digest.
    "manifest unknown",
];

fn any(text: &str, needles: &[&str]) -> bool {
    needles.iter().any(|needle| text.contains(needle))
}

/// The last lines without progress, for people.
fn quote(lines: &[String]) -> String {
    let progress = |line: &str| {
        let words =
            line.split_once(' ').filter(|(number, _)| number.starts_with('#')).map_or("", |(_, rest)| rest);
        ["pushing layer ", "sha256:", "transferring ", "extracting "]
            .iter()
            .any(|start| words.starts_with(start))
    };
    let kept: Vec<&str> =
        lines.iter().map(String::as_str).filter(|line| !line.is_empty() && !progress(line)).collect();
    kept[kept.len().saturating_sub(QUOTED)..].join("\n")
}

#[cfg(test)]
#[path = "failure_tests.rs"]
mod tests;
