//! The program as a person starts it: from a folder of a repository, with the credentials of a profile, against a served
//! emulator.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const DEPLOY_FILE: &str = "environments:
  production: { branches: [main], aws: { region: eu-west-1, role: \"arn:aws:iam::111111111111:role/release\" } }
services:
  backend: { repository: acme/backend, ecs: { cluster: acme, service: backend, container: app } }
notify: { slack-webhook: SLACK_WEBHOOK }
";

const SCENARIO: &str = "services: [{ cluster: acme, name: backend }]
timings: { schedule: 1, provision: 1, pull: 1, start: 1, health: 1, settle: 1, deregistration: 1, stop: 1, deprovision: 1, complete: 1 }
";

/// A served emulator; it ends with the test.
struct Emulator {
    process: Child,
    url: String,
}

impl Emulator {
    fn start(folder: &Path) -> Self {
        let scenario = folder.join("scenario.yml");
        std::fs::write(&scenario, SCENARIO).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_roadstead"))
            .args(["cloud", "--listen", "127.0.0.1:0", "--speed", "60"])
            .arg(&scenario)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap().to_owned();
        Self { process, url }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A repository with a folder in it, and a home with a profile whose credentials a process gives.
fn prepare(folder: &Path) {
    for name in ["shop/.git", "shop/.github", "shop/web", "home/.aws"] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
    }
    std::fs::write(folder.join("shop/.github/roadstead.yml"), DEPLOY_FILE).unwrap();
    let keys = folder.join("keys.json");
    std::fs::write(&keys, r#"{"Version": 1, "AccessKeyId": "AKIALAPTOP0000000001", "SecretAccessKey": "laptop-secret-key-000000000000000000000", "SessionToken": "laptop"}"#)
        .unwrap();
    let profile =
        format!("[profile night]\nregion = eu-west-1\ncredential_process = cat {}\n", keys.display());
    std::fs::write(folder.join("home/.aws/config"), profile).unwrap();
}

fn run(folder: &Path, emulator: &Emulator, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_roadstead"))
        .args(arguments.split_whitespace())
        .current_dir(folder.join("shop/web"))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder.join("home"))
        .env("AWS_PROFILE", "night")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ENDPOINT_URL", &emulator.url)
        .output()
        .unwrap()
}

#[test]
fn commands_of_a_person_on_call_work_with_a_profile_from_any_folder() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let emulator = Emulator::start(folder.path());
    for (arguments, code, words) in [
        ("verify --environment production", 0, "verified"),
        ("versions --environment production", 0, "serves now"),
        ("plan --environment production --operation rollback", 2, "no other version has completed"),
    ] {
        let output = run(folder.path(), &emulator, arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments}\n{text}");
        assert!(text.to_lowercase().contains(words), "{arguments}\n{text}");
    }
    let calls = get(&emulator.url, "/_roadstead/calls");
    assert!(calls.contains("AssumeRole"), "{calls}");
}

#[test]
fn laptop_without_credentials_is_told_to_sign_in() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    std::fs::remove_file(folder.path().join("home/.aws/config")).unwrap();
    let emulator = Emulator::start(folder.path());
    let output = run(folder.path(), &emulator, "verify --environment production");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("credentials-missing") && text.contains("aws sso login"), "{text}");
}

/// A request over a plain socket.
fn get(url: &str, path: &str) -> String {
    use std::io::{Read as _, Write as _};
    let address = url.trim_start_matches("http://");
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    write!(socket, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    text
}
