//! Where credentials go: in the plan of a pull request only to servers that the base branch's deploy file names, and
//! never over plain HTTP to another machine.

use serde_json::json;

use crate::gitops::WATCHED;
use crate::support::runner::{Runner, SHA, StepResult};
use crate::support::tamper::Tamper;

const SERVER: &str = "https://argocd.acme.dev";
const OTHER: &str = "https://argocd.evil.example";
const ARGOCD_TOKEN: &str = "argocd-s3cret-token";

/// The pull request with this deploy file, into a branch that has `base`; `None`: without a deploy file.
fn pull_request(own: &str, base: Option<&str>) -> Runner {
    let files = base.map(|text| json!({ ".github/roadstead.yml": text })).unwrap_or(json!({ "README": "x" }));
    let scenario = format!(
        "faults: []\ngithub: {{ repositories: [ {{ name: acme/shop, issues: [7], files: {files}, history: [ {{ id: \"{SHA}\", branch: topic, files: {{ a: b }} }} ] }} ] }}\n"
    );
    let event = json!({ "action": "opened", "pull_request": {
        "number": 7, "head": { "sha": SHA, "ref": "topic", "repo": { "id": 1 } },
        "base": { "ref": "main", "repo": { "id": 1 } },
    } });
    Runner::custom(&scenario)
        .with_config(own)
        .with_variable("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .with_variable("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
        .with_variable("INPUT_ARGOCD-TOKEN", ARGOCD_TOKEN)
        .with_variable("GITHUB_EVENT_NAME", "pull_request")
        .with_variable("GITHUB_REF", "refs/pull/7/merge")
        .with_variable("GITHUB_HEAD_REF", "topic")
        .with_variable("GITHUB_BASE_REF", "main")
        .with_file("event.json", &event.to_string())
}

/// How many requests went to a host.
fn requests_to(tamper: &Tamper, url: &str) -> usize {
    let host = url.trim_start_matches("https://");
    tamper.exchanges().iter().filter(|one| one.address.split('/').next() == Some(host)).count()
}

/// A plan, and how many requests went to the two servers.
fn plan(runner: Runner) -> (StepResult, [usize; 2]) {
    let tamper = Tamper::new(|_, _| ());
    let step = runner.with_tamper(&tamper).run_main();
    (step, [SERVER, OTHER].map(|url| requests_to(&tamper, url)))
}

fn is_withheld(step: &StepResult) -> bool {
    step.annotations().iter().any(|line| line.contains("credential withheld"))
}

#[test]
fn server_of_the_base_branch_gets_the_token() {
    let (step, [own, other]) = plan(pull_request(WATCHED, Some(WATCHED)));
    assert_eq!(step.output("outcome"), "planned", "{:#?}", step.lines);
    assert!(own > 0 && other == 0 && !is_withheld(&step), "{own} {other}: {:#?}", step.lines);
}

#[test]
fn server_of_the_pull_request_alone_gets_nothing() {
    let other_environment = WATCHED.replace("production:", "staging:");
    let without_server = WATCHED.replace("      server: https://argocd.acme.dev\n", "");
    let evil = WATCHED.replace(SERVER, OTHER);
    let longer = WATCHED.replace(SERVER, &format!("{SERVER}/evil"));
    for (own, base) in [
        (evil.as_str(), Some(WATCHED)),
        (WATCHED, Some(evil.as_str())),
        (WATCHED, Some(other_environment.as_str())),
        (WATCHED, Some(without_server.as_str())),
        (WATCHED, Some("services: [")),
        (WATCHED, None),
        (longer.as_str(), Some(WATCHED)),
    ] {
        let (step, requests) = plan(pull_request(own, base));
        assert_eq!(requests, [0, 0], "{base:?}: {:#?}", step.lines);
        assert_eq!(step.output("outcome"), "planned", "{base:?}: {:#?}", step.lines);
        assert!(is_withheld(&step), "{base:?}: {:#?}", step.lines);
    }
}

#[test]
fn unreadable_base_branch_gets_nothing_sent() {
    let own = pull_request(WATCHED, Some(WATCHED));
    for runner in [
        own.with_variable("INPUT_GITHUB-TOKEN", ""),
        pull_request(WATCHED, Some(WATCHED)).with_variable("GITHUB_BASE_REF", "gone"),
        pull_request(WATCHED, Some(WATCHED)).with_variable("INPUT_CONFIG", WATCHED),
    ] {
        let (step, requests) = plan(runner);
        assert_eq!(requests, [0, 0], "{:#?}", step.lines);
    }
}

#[test]
fn merged_file_decides_about_its_servers() {
    let push = pull_request(WATCHED, None)
        .with_variable("GITHUB_EVENT_NAME", "push")
        .with_variable("GITHUB_REF", "refs/heads/main")
        .with_variable("INPUT_OPERATION", "plan")
        .with_file("event.json", "{}");
    let (step, [own, _]) = plan(push);
    assert!(own > 0 && !is_withheld(&step), "{:#?}", step.lines);
}

#[test]
fn plain_http_to_another_machine_gets_no_credential() {
    for server in ["http://argocd.acme.dev", "http://127.evil.example"] {
        let config = WATCHED.replace(SERVER, server);
        let (step, _) = plan(pull_request(&config, Some(&config)));
        assert_eq!(step.output("outcome"), "invalid", "{:#?}", step.lines);
    }
    for (name, value) in [
        ("GITHUB_API_URL", "http://github.acme.dev/api/v3"),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", "http://127.evil.example/token"),
    ] {
        let tamper = Tamper::new(|_, _| ());
        let runner = Runner::builtin("happy").with_variable(name, value);
        let step = runner.with_tamper(&tamper).run_main();
        assert_eq!(requests_to(&tamper, value.split('/').nth(2).unwrap()), 0, "{name}: {:#?}", step.lines);
    }
}
