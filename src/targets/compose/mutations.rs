//! Changes of traffic: an attempt is started, goes on, or goes back. Each can be requested twice, and happens once.

use std::time::Duration;

use crate::problem::{Code, Problem};
use crate::release::{TrafficPlan, Version};
use crate::retry::WriteError;
use crate::sys::ssh::SshError;
use crate::targets::ChangeError;

use super::client::{Answer, Client};
use super::rollout_ids::RolloutIds;
use super::write::ServerRequest;

/// An attempt to bring a version.
#[derive(Debug, Clone)]
pub struct AttemptRequest<'r> {
    /// The request without an operation of its own.
    pub request: ServerRequest,
    /// Number and owner of the attempt.
    pub ids: RolloutIds,
    /// The version that it brings.
    pub version: &'r Version,
    /// Its traffic plan.
    pub plan: &'r TrafficPlan,
    /// Where it waits for the run before it is complete, because other servers take part: how long.
    pub confirm_within: Option<Duration>,
}

/// Starts an attempt.
pub async fn start(client: &Client, wanted: AttemptRequest<'_>) -> Result<(), ChangeError> {
    let AttemptRequest { request, ids, version, plan, confirm_within } = wanted;
    let request = request.with_attempt(ids.attempt, &ids.owner).with_release(&version.id);
    let request = request.with_plan(plan, confirm_within);
    accept(client.start(&request).await.map_err(change_error)?)
}

/// Whether the server took the request.
pub fn accept(answer: Answer) -> Result<(), ChangeError> {
    match answer {
        Answer::Accepted(_) => Ok(()),
        Answer::Refused { reason, cause } => Err(WriteError::Rejected(refusal_problem(&reason, &cause))),
    }
}

/// An error of the connection, as that of a change.
pub fn change_error(error: SshError) -> ChangeError {
    let problem = error.to_problem();
    if error.is_before_script() { WriteError::NotMade(problem) } else { WriteError::Unknown(problem) }
}

/// Why the server refused a request.
pub fn refusal_problem(reason: &str, cause: &str) -> Problem {
    let (code, sentence, help) = match reason {
        "busy" => (
            Code::DeploymentInProgress,
            "Another change of this service is in progress on the server.",
            "Wait until it has ended, and run the job again.",
        ),
        "taken" => (
            Code::Superseded,
            "Another run changed this service on the server meanwhile.",
            "Run the job again: it reads the state first.",
        ),
        "directory" | "space" => (
            Code::HostUnsuitable,
            "The server could not write the files of the release.",
            "Check the space and the rights of the folder on the server.",
        ),
        "adopt" => (
            Code::HostUnsuitable,
            "The Compose files of the container that runs now could not be kept on the server, so a rollback to it is not possible.",
            "Check that the files which it was started with are still there and can be read.",
        ),
        "config" => (
            Code::ComposeFileInvalid,
            "Compose on the server rejects the files of the release.",
            "Correct the Compose file; `docker compose config` checks it.",
        ),
        "service" => (
            Code::ComposeFileInvalid,
            "The Compose files have no such service.",
            "Correct `compose.service`, or the profiles of the service.",
        ),
        "port" => (
            Code::HostUnsuitable,
            "A port that the Compose file publishes is taken on the server. Nothing was changed there.",
            "Publish another port, or end the program or the container that has it.",
        ),
        "project" => (
            Code::ComposeFileInvalid,
            "The service on the server is of another Compose project. Nothing was changed there.",
            "Set `compose.project`, or check out the repository: the Compose file can have the `name`.",
        ),
        "pull" => return pull_problem(cause),
        "release" => (
            Code::RollbackTargetBroken,
            "The release is no longer on the server.",
            "Deploy it again; `compose.keep` says how many releases stay.",
        ),
        _ => (Code::ProviderError, "The server refused the change.", "The cause has its words."),
    };
    let problem = Problem::error(code, sentence).help(help);
    if cause.is_empty() { problem } else { problem.cause(cause) }
}

/// Why the engine could not pull the image, by the texts of Docker.
fn pull_problem(cause: &str) -> Problem {
    let text = cause.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let (sentence, help) = match () {
        () if has(&["toomanyrequests", "429", "rate limit"]) => (
            "The registry refuses to give the image to the server for now: too many requests.",
            "Wait, or log the server in to the registry: logged-in users may pull more.",
        ),
        () if has(&["no matching manifest"]) => (
            "The image does not exist for the platform of the server.",
            "Build it for that platform: `build.platforms`.",
        ),
        () if has(&["no space left"]) => ("The disk of the server is full.", "Free space on the server."),
        () if has(&["denied", "unauthorized", "authentication required", "no basic auth", "403", "401"]) => (
            "The server may not pull the image.",
            "Log the user of the server in to the registry: `docker login`.",
        ),
        () if has(&["not found", "manifest unknown"]) => (
            "The image is not in the registry that the server asks.",
            "Check `repository`, and that the image was pushed there.",
        ),
        () => ("The server could not pull the image.", "The cause has the words of Docker."),
    };
    let problem =
        Problem::error(Code::ImagePullFailed, format!("{sentence} Nothing was changed on the server."));
    problem.help(help).cause(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_to_pull_has_a_sentence_for_each_cause() {
        let causes = [
            "toomanyrequests: You have reached your pull rate limit.",
            "no matching manifest for linux/arm64/v8 in the manifest list entries",
            "write /var/lib/docker/tmp/x: no space left on device",
            "Error response from daemon: pull access denied for acme/shop, repository does not exist or may require 'docker login'",
            "Error response from daemon: manifest for ghcr.io/acme/shop@sha256:0 not found: manifest unknown",
            "dial tcp 127.0.0.1:5999: connect: connection refused",
        ];
        let sentences = causes.map(|cause| refusal_problem("pull", cause).sentence);
        insta::assert_snapshot!(sentences.join("\n"), @"
        The registry refuses to give the image to the server for now: too many requests. Nothing was changed on the server.
        The image does not exist for the platform of the server. Nothing was changed on the server.
        The disk of the server is full. Nothing was changed on the server.
        The server may not pull the image. Nothing was changed on the server.
        The image is not in the registry that the server asks. Nothing was changed on the server.
        The server could not pull the image. Nothing was changed on the server.
        ");
    }
}
