//! What the server answers → our nouns. Pure. Lines that are not known are left out: a later server may say more.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::facts::ReleaseFacts;
use crate::release::{CompletedVersion, ContainerImages, Digest, Version};

/// The state of a service on its server, as far as one answer shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerState {
    /// The host itself; only where it was requested.
    pub host: HostFacts,
    /// The containers of the service.
    pub containers: Vec<ContainerState>,
    /// The releases on the server.
    pub releases: Vec<StoredRelease>,
    /// The release that completed last.
    pub serving: Option<u32>,
    /// Hash of `.env` beside the Compose files.
    pub env_hash: Option<String>,
    /// The variables of the serving release; only where they were requested.
    pub env_text: Option<String>,
    /// The requested attempt, or the newest one.
    pub attempt: Option<AttemptState>,
    /// The number of the newest attempt.
    pub newest_attempt: Option<u32>,
}

/// What the host has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// Programs that are missing.
    pub missing: Vec<String>,
    /// Version of the engine.
    pub docker: Option<String>,
    /// Why the engine cannot be used.
    pub docker_denied: Option<String>,
    /// Version of Compose.
    pub compose: Option<String>,
    /// Whether the folder of the service is missing.
    pub has_no_directory: bool,
    /// Whether it cannot be written.
    pub is_read_only: bool,
    /// Free space for releases, in KiB.
    pub free_kb: Option<u64>,
    /// Free space for images, in KiB.
    pub free_images_kb: Option<u64>,
    /// Whether the container of the proxy runs; `None` without a proxy.
    pub proxy: Option<String>,
    /// Whether the file of the proxy cannot be written.
    pub is_proxy_read_only: bool,
}

/// A container of the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerState {
    /// Its name, which can be any.
    pub name: String,
    /// As the engine has it: `running`, `exited`, …
    pub status: String,
    /// `healthy`, `unhealthy`, `starting`, or `none` without a health check.
    pub health: String,
    /// How often the engine started it again.
    pub restarts: u32,
    /// Its last exit code.
    pub exit_code: i64,
    /// The digests of its image.
    pub digests: Vec<String>,
}

impl ContainerState {
    /// Whether it runs and no health check speaks against it.
    pub fn is_healthy(&self) -> bool {
        self.status == "running" && matches!(self.health.as_str(), "healthy" | "none")
    }

    /// Whether its image has this digest.
    pub fn has_digest(&self, digest: &Digest) -> bool {
        self.digests.iter().any(|known| known.ends_with(digest.as_str()))
    }

    /// Status and health as the engine shows them.
    pub fn describe(&self) -> String {
        match self.health.as_str() {
            "none" => self.status.clone(),
            health => format!("{}, {health}", self.status),
        }
    }
}

/// A release on the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRelease {
    /// Its number.
    pub number: u32,
    /// What it is made of.
    pub facts: ReleaseFacts,
    /// When it completed, seconds of the server's clock, oldest first.
    pub completed: Vec<i64>,
}

/// A change of traffic on the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptState {
    /// Its number.
    pub number: u32,
    /// Whether its process lives.
    pub is_alive: bool,
    /// Who started it.
    pub owner: String,
    /// The release that it brings.
    pub release: u32,
    /// The release that served before.
    pub old_release: Option<u32>,
    /// Its state, as the server has it.
    pub state: String,
    /// Why it failed, where it did.
    pub failure: Option<AttemptFailure>,
}

/// Why an attempt failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptFailure {
    /// The server's word for it.
    pub reason: String,
    /// The exit code of the container.
    pub exit_code: Option<i64>,
    /// The last answers of its health check.
    pub health: Vec<String>,
    /// Its last lines.
    pub logs: Vec<String>,
}

/// Reads an answer.
pub fn read_state(lines: &[String]) -> ServerState {
    let mut state = ServerState::default();
    for line in lines {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        read_line(&mut state, word, rest);
    }
    let newest = state.attempt.as_ref().map(|attempt| attempt.number);
    state.newest_attempt = state.newest_attempt.max(newest);
    state
}

fn read_line(state: &mut ServerState, word: &str, rest: &str) {
    let host = &mut state.host;
    match word {
        "missing" => host.missing.push(rest.to_owned()),
        "docker" => host.docker = Some(rest.to_owned()),
        "docker-denied" => host.docker_denied = Some(rest.to_owned()),
        "compose" => host.compose = Some(rest.trim_start_matches('v').to_owned()),
        "no-directory" => host.has_no_directory = true,
        "read-only" => host.is_read_only = true,
        "free" => host.free_kb = rest.parse().ok(),
        "free-images" => host.free_images_kb = rest.parse().ok(),
        "proxy" => host.proxy = Some(rest.to_owned()),
        "proxy-read-only" => host.is_proxy_read_only = true,
        "container" => state.containers.extend(read_container(rest)),
        "release" => state.releases.extend(read_release(rest)),
        "serving" => state.serving = rest.parse().ok(),
        "env" => state.env_hash = Some(rest.to_owned()),
        "env-hex" => state.env_text = hex::decode(rest).ok().and_then(|bytes| String::from_utf8(bytes).ok()),
        "newest" => state.newest_attempt = rest.parse().ok(),
        "attempt" => state.attempt = read_attempt(rest),
        _ => read_failure(state, word, rest),
    }
}

fn read_container(rest: &str) -> Option<ContainerState> {
    let words: Vec<&str> = rest.split(' ').collect();
    let [_, status, health, restarts, exit_code, _, digests, name] = words[..] else { return None };
    let digests = digests.split(',').filter(|digest| digest.contains('@'));
    Some(ContainerState {
        name: name.to_owned(),
        status: status.to_owned(),
        health: health.to_owned(),
        restarts: restarts.parse().unwrap_or_default(),
        exit_code: exit_code.parse().unwrap_or_default(),
        digests: digests.map(str::to_owned).collect(),
    })
}

fn read_release(rest: &str) -> Option<StoredRelease> {
    let (number, rest) = rest.split_once(' ')?;
    let (times, facts) = rest.split_once(' ')?;
    let completed = times.split(',').filter_map(|time| time.parse().ok()).collect();
    Some(StoredRelease { number: number.parse().ok()?, facts: ReleaseFacts::parse(facts)?, completed })
}

fn read_attempt(rest: &str) -> Option<AttemptState> {
    let mut words = rest.splitn(6, ' ');
    let number = words.next()?.parse().ok()?;
    let is_alive = words.next()? == "alive";
    let owner = words.next()?.to_owned();
    let release = words.next()?.parse().ok()?;
    let old_release = words.next()?.parse().ok();
    let state = words.next()?.to_owned();
    Some(AttemptState { number, is_alive, owner, release, old_release, state, failure: None })
}

/// Lines after that of the attempt say why it failed.
fn read_failure(state: &mut ServerState, word: &str, rest: &str) {
    let Some(attempt) = &mut state.attempt else { return };
    if word == "failure" {
        attempt.failure = Some(AttemptFailure { reason: rest.to_owned(), ..AttemptFailure::default() });
    }
    let Some(failure) = &mut attempt.failure else { return };
    match word {
        "failure-exit" => failure.exit_code = rest.split(' ').next().and_then(|code| code.parse().ok()),
        "failure-health" => failure.health.push(unescape_health(rest)),
        "failure-log" => failure.logs.push(rest.to_owned()),
        _ => {}
    }
}

/// The output of a health check is a JSON string, if it was not cut.
fn unescape_health(text: &str) -> String {
    let text: String = serde_json::from_str(text).unwrap_or_else(|_| text.to_owned());
    text.trim_end().to_owned()
}

impl ServerState {
    /// A release on the server.
    pub fn release(&self, number: u32) -> Option<&StoredRelease> {
        self.releases.iter().find(|release| release.number == number)
    }

    /// The release that serves, as the server recorded it. A container that was there before any release is release 0.
    pub fn serving_release(&self) -> Option<u32> {
        let is_adoptable = self.serving.is_none() && self.releases.is_empty() && !self.containers.is_empty();
        self.serving.or(is_adoptable.then_some(0))
    }

    /// The release that serves, or that an attempt is bringing.
    pub fn current_release(&self) -> Option<u32> {
        self.attempt_in_flight().map(|attempt| attempt.release).or(self.serving_release())
    }

    /// What a release is made of.
    pub fn facts(&self, number: Option<u32>) -> Option<&ReleaseFacts> {
        self.release(number?).map(|release| &release.facts)
    }

    /// Whether a release can be returned to here. What runs and was brought without this program becomes release 0.
    pub fn has_release(&self, number: u32) -> bool {
        self.release(number).is_some() || (number == 0 && self.serving_release() == Some(0))
    }

    /// The attempt that has not ended.
    pub fn attempt_in_flight(&self) -> Option<&AttemptState> {
        self.attempt.as_ref().filter(|attempt| !attempt.has_ended() && attempt.is_alive)
    }

    /// The number of the next release.
    pub fn next_release(&self) -> u32 {
        self.releases.iter().map(|release| release.number).max().unwrap_or_default() + 1
    }

    /// Everything that completed here, newest first.
    pub fn completed_versions(&self, service: &str) -> Vec<CompletedVersion> {
        let mut all: Vec<(i64, &StoredRelease)> = self
            .releases
            .iter()
            .flat_map(|release| release.completed.iter().map(move |time| (*time, release)))
            .collect();
        all.sort_by_key(|(time, release)| (std::cmp::Reverse(*time), std::cmp::Reverse(release.number)));
        let adopted =
            self.serving_release().filter(|_| all.is_empty()).map(|number| version(service, number));
        let known = all.into_iter().map(|(time, release)| CompletedVersion {
            version: version(service, release.number),
            image: release.facts.image.clone(),
            digest: release.facts.digest(),
            container_images: ContainerImages::new(),
            completed_at: Timestamp::from_second(time).ok(),
            commits: release.facts.commit.iter().cloned().collect(),
        });
        known.chain(adopted.map(|version| self.adopted_version(version))).collect()
    }

    /// What runs and was brought without this program.
    fn adopted_version(&self, version: Version) -> CompletedVersion {
        let image = self.containers.iter().find_map(|it| it.digests.first()?.parse().ok());
        CompletedVersion {
            version,
            digest: image.as_ref().and_then(|image: &crate::release::ImageRef| image.digest.clone()),
            image,
            container_images: ContainerImages::new(),
            completed_at: None,
            commits: Vec::new(),
        }
    }
}

impl AttemptState {
    /// The first word of its state.
    pub fn word(&self) -> &str {
        self.state.split(' ').next().unwrap_or_default()
    }

    /// Whether nothing more comes of it.
    pub fn has_ended(&self) -> bool {
        matches!(self.word(), "complete" | "rolled-back" | "back-failed" | "stuck" | "refused" | "lost")
    }
}

/// A release as a version.
pub fn version(service: &str, number: u32) -> Version {
    Version { id: number.to_string(), label: format!("{service}:{number}") }
}
