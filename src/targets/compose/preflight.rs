//! Problems of the server that are known before the first change: programs, rights, space, other changes. Pure: it judges what
//! was observed.

use crate::problem::{Code, Problem};
use crate::release::Release;

use super::read::{HostFacts, ServerState};
use super::settings::Settings;

/// Less free space than this refuses a release: an image and its layers need it while they are unpacked.
const MIN_FREE_KB: u64 = 300 * 1024;
/// Older engines and versions of Compose are not supported.
const MIN_DOCKER: (u32, u32) = (20, 10);
const MIN_COMPOSE: (u32, u32) = (2, 20);

/// All problems of the server at this address.
pub fn check(settings: &Settings, host: &str, state: &ServerState, release: &Release) -> Vec<Problem> {
    let mut found = program_problems(host, &state.host);
    found.extend(folder_problem(host, settings, &state.host));
    found.extend(proxy_problems(host, settings, &state.host));
    if release.rollback_to.is_none() {
        found.extend(space_problems(host, &state.host));
    }
    found.extend(copies_problem(host, settings, state));
    found
}

fn unsuitable(sentence: String, help: &str) -> Problem {
    Problem::error(Code::HostUnsuitable, sentence).help(help)
}

fn program_problems(host: &str, facts: &HostFacts) -> Vec<Problem> {
    // Compose is a plugin of Docker: without Docker it is not worth a sentence of its own.
    let has_docker = !facts.missing.iter().any(|program| program == "docker");
    let missing = facts.missing.iter().filter(|program| has_docker || *program != "compose").map(|program| {
        let help = match program.as_str() {
            "docker" => "Install Docker, and let the user's non-interactive shell find it in PATH.",
            "compose" => "Install the Compose plugin: the package docker-compose-plugin.",
            _ => "Install the packages coreutils and util-linux, or busybox.",
        };
        unsuitable(format!("The host `{host}` has no `{program}`."), help)
    });
    let denied = facts.docker_denied.as_ref().map(|why| {
        let help = "Start the engine, and add the user to the group `docker`; membership is root in effect.";
        unsuitable(format!("The user of `{host}` cannot use Docker."), help).cause(why.clone())
    });
    let versions = [("Docker", &facts.docker, MIN_DOCKER), ("Compose", &facts.compose, MIN_COMPOSE)];
    let old = versions.into_iter().filter_map(|(name, version, least)| {
        let version = version.as_ref()?;
        let (major, minor) = least;
        (parse_version(version)? < least).then(|| {
            let sentence = format!("The host `{host}` has {name} {version}; {major}.{minor} is needed.");
            unsuitable(sentence, "Update it.")
        })
    });
    missing.chain(denied).chain(old).collect()
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn folder_problem(host: &str, settings: &Settings, facts: &HostFacts) -> Option<Problem> {
    let directory = settings.directory.as_str();
    match facts {
        HostFacts { has_no_directory: true, .. } => {
            let help = "Create it and give it to the user, or correct `compose.directory`.";
            Some(unsuitable(format!("The host `{host}` has no folder `{directory}`."), help))
        }
        HostFacts { is_read_only: true, .. } => {
            let sentence = format!("The user of `{host}` cannot write to the folder `{directory}`.");
            Some(unsuitable(sentence, "Give the folder to the user."))
        }
        _ => None,
    }
}

fn proxy_problems(host: &str, settings: &Settings, facts: &HostFacts) -> Vec<Problem> {
    let Some(proxy) = &settings.proxy else { return Vec::new() };
    let (container, path) =
        (proxy.container.as_str(), proxy.path(settings.directory.as_str().trim_end_matches('/')));
    let stopped = facts.proxy.as_deref().filter(|running| *running != "true").map(|_| {
        let help = "Start the proxy, or correct `compose.proxy.container`.";
        unsuitable(format!("The proxy's container `{container}` does not run on `{host}`."), help)
    });
    let read_only = facts.is_proxy_read_only.then(|| {
        let help =
            "Give the folder of the file to the user. The proxy must have the folder mounted, not the file.";
        unsuitable(format!("The user of `{host}` cannot replace the file `{path}` of the proxy."), help)
    });
    stopped.into_iter().chain(read_only).collect()
}

fn space_problems(host: &str, facts: &HostFacts) -> Vec<Problem> {
    // One disk is one problem.
    let of_images = facts.free_images_kb.filter(|free| facts.free_kb != Some(*free));
    let places = [("releases", facts.free_kb), ("images", of_images)];
    let short =
        places.into_iter().filter_map(|(what, free)| Some((what, free.filter(|free| *free < MIN_FREE_KB)?)));
    let problem = |(what, free): (&str, u64)| {
        let sentence = format!(
            "The host `{host}` has {} MiB left for {what}; {} MiB are needed.",
            free / 1024,
            MIN_FREE_KB / 1024
        );
        unsuitable(sentence, "Free space on the server: old images and logs are usual causes.")
    };
    short.map(problem).collect()
}

/// More than one copy that runs would be replaced by one.
fn copies_problem(host: &str, settings: &Settings, state: &ServerState) -> Option<Problem> {
    let running = state.containers.iter().filter(|it| it.status == "running").count();
    let is_resting = state.attempt_in_flight().is_none();
    (running > 1 && is_resting && settings.proxy.is_none()).then(|| {
        let name = settings.service.as_str();
        let sentence = format!("{running} containers of `{name}` run on `{host}`; one is supported.");
        unsuitable(sentence, "Scale the service to one container.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let text = r#"{"hosts":[{"ssh":"deploy@app1"}],"directory":"/srv/shop","service":"web",
            "proxy":{"nginx":"proxy/web.conf","container":"edge-1","port":8080}}"#;
        serde_json::from_str(text).unwrap()
    }

    fn suitable() -> HostFacts {
        HostFacts {
            docker: Some("26.1.5+dfsg1".into()),
            compose: Some("2.26.1-4".into()),
            free_kb: Some(10_000_000),
            free_images_kb: Some(10_000_000),
            proxy: Some("true".into()),
            ..HostFacts::default()
        }
    }

    fn sentences(change: impl FnOnce(&mut HostFacts)) -> Vec<String> {
        let mut host = suitable();
        change(&mut host);
        let state = ServerState { host, ..ServerState::default() };
        let found = check(&settings(), "deploy@app1", &state, &Release::of("web", "production"));
        found.into_iter().map(|problem| problem.sentence).collect()
    }

    #[test]
    fn each_lack_of_the_server_has_its_sentence() {
        assert!(sentences(|_| ()).is_empty());
        let all = [
            sentences(|host| host.missing = vec!["docker".into()]),
            sentences(|host| host.missing = vec!["compose".into(), "flock".into()]),
            sentences(|host| host.docker_denied = Some("permission denied".into())),
            sentences(|host| host.docker = Some("19.03.8".into())),
            sentences(|host| host.compose = Some("1.29.2".into())),
            sentences(|host| host.has_no_directory = true),
            sentences(|host| host.is_read_only = true),
            sentences(|host| host.free_images_kb = Some(50 * 1024)),
            sentences(|host| host.proxy = Some("missing".into())),
            sentences(|host| host.is_proxy_read_only = true),
        ];
        insta::assert_snapshot!(all.concat().join("\n"), @"
        The host `deploy@app1` has no `docker`.
        The host `deploy@app1` has no `compose`.
        The host `deploy@app1` has no `flock`.
        The user of `deploy@app1` cannot use Docker.
        The host `deploy@app1` has Docker 19.03.8; 20.10 is needed.
        The host `deploy@app1` has Compose 1.29.2; 2.20 is needed.
        The host `deploy@app1` has no folder `/srv/shop`.
        The user of `deploy@app1` cannot write to the folder `/srv/shop`.
        The host `deploy@app1` has 50 MiB left for images; 300 MiB are needed.
        The proxy's container `edge-1` does not run on `deploy@app1`.
        The user of `deploy@app1` cannot replace the file `/srv/shop/proxy/web.conf` of the proxy.
        ");
    }
}
