//! The lines of an answer, as the client's program prints them on a real server.

use super::request::Request;
use super::state::{ComposeHost, ComposeService};

pub(super) fn host_lines(host: &ComposeHost, request: &Request) -> Vec<String> {
    let setting = &host.setting;
    let free = setting.free_mb * 1024;
    let docker = match (setting.docker.is_empty(), setting.may_use_docker) {
        (true, _) => vec!["missing docker".to_owned()],
        (false, true) => vec![format!("docker {}", setting.docker), format!("free-images {free}")],
        (false, false) => vec![
            "docker-denied permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock".to_owned(),
        ],
    };
    let compose = match setting.compose.as_str() {
        "" => "missing compose".to_owned(),
        version => format!("compose {version}"),
    };
    let known = setting.services.iter().any(|service| service.directory == request.directory);
    let folder = (!known).then(|| "no-directory".to_owned());
    let proxy = request.proxy.as_ref().map(|_| "proxy true".to_owned());
    docker.into_iter().chain([compose]).chain(folder).chain([format!("free {free}")]).chain(proxy).collect()
}

pub(super) fn container_lines(service: &ComposeService) -> Vec<String> {
    let line = |it: &super::state::ComposeContainer| {
        format!(
            "container {} {} {} {} {} false {}, {}",
            it.id, it.status, it.health, it.restarts, it.exit_code, it.image, it.name
        )
    };
    service.containers.iter().map(line).collect()
}

pub(super) fn release_lines(service: &ComposeService) -> Vec<String> {
    let releases = service.releases.iter().map(|(number, release)| {
        let times: String = release.completed.iter().map(|time| format!("{time},")).collect();
        let times = if times.is_empty() { "never".to_owned() } else { times };
        format!("release {number} {times} {}", release.facts)
    });
    releases.chain(service.serving.map(|number| format!("serving {number}"))).collect()
}

/// The variables of what serves, as digits: they can have any bytes.
pub(super) fn env_lines(service: &ComposeService) -> Vec<String> {
    let of_release = service.serving.and_then(|number| service.releases.get(&number)?.env.clone());
    let text = of_release.or(service.env.clone());
    text.map(|text| format!("env-hex {}", hex::encode(text))).into_iter().collect()
}

pub(super) fn attempt_lines(service: &ComposeService, number: u32) -> Vec<String> {
    let Some(attempt) = service.attempts.get(&number) else { return Vec::new() };
    let alive = if attempt.is_alive { "alive" } else { "dead" };
    let old = attempt.old_release.map_or_else(|| "none".to_owned(), |number| number.to_string());
    let mut lines = vec![format!(
        "attempt {number} {alive} {} {} {old} {}",
        attempt.owner, attempt.release, attempt.state
    )];
    if let Some((reason, exit_code, logs)) = &attempt.failure {
        lines.push(format!("failure {reason}"));
        lines.push(format!("failure-exit {exit_code} {}", reason == "out-of-memory"));
        lines.extend(logs.iter().map(|line| format!("failure-log {line}")));
    }
    lines
}
