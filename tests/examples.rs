//! The examples: their deploy files load without a word and are rehearsed in every environment, and their workflows have
//! the shape that the documents promise. Other people's linters look at them in `tests/external`.

use std::fs;
use std::path::{Path, PathBuf};

use roadstead::action::INPUTS;
use roadstead::action::inputs::RawInputs;
use roadstead::cli::rehearse::{self, Rehearsal};
use roadstead::config::{DeployFile, tree};
use roadstead::report::{RunReport, terminal};
use roadstead::run::ProgressLog;
use roadstead::sys::clock::Clock;
use roadstead::sys::signal::CancelToken;
use roadstead::targets;
use serde_json::Value;

use crate::support::run_in_virtual_time;

const ACTION: &str = "roadstead/roadstead@";

/// The folders of examples that have a deploy file. `rehearsal` is what a rehearsal without a deploy file runs.
pub(crate) fn example_folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let entries = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries.filter(|path| path.join("roadstead.yml").exists()).collect();
    found.retain(|path| !path.ends_with("rehearsal"));
    found.sort();
    assert!(found.len() >= 5, "{found:?}");
    found
}

fn read_text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The workflows of a folder: path and content.
pub(crate) fn workflows(folder: &Path) -> Vec<(PathBuf, Value)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let yaml = entries.filter(|path| path.extension().is_some_and(|it| it == "yml"));
    let read = yaml.map(|path| {
        let value = parse_workflow(&read_text(&path));
        (path, value)
    });
    let mut found: Vec<_> = read.filter(|(_, value)| value.get("jobs").is_some()).collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

pub(crate) fn parse_workflow(text: &str) -> Value {
    tree::parse("workflow.yml", text).unwrap().to_value()
}

/// Everything about a workflow that is not as it should be.
pub(crate) fn workflow_violations(workflow: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut say = |good: bool, words: String| {
        if !good {
            found.push(words);
        }
    };
    say(workflow["permissions"] == serde_json::json!({}), "rights for all jobs".into());
    say(workflow["concurrency"]["group"].is_string(), "no group of concurrency".into());
    let cut_off = workflow["concurrency"]["cancel-in-progress"].clone();
    let of_plans = cut_off == "${{ github.event_name == 'pull_request' }}";
    say(cut_off == false || of_plans, format!("cancels what is in progress: {cut_off}"));
    for (name, job) in workflow["jobs"].as_object().unwrap() {
        say(job["timeout-minutes"].is_u64(), format!("{name}: no timeout"));
        say(job["permissions"].is_object(), format!("{name}: no permissions"));
        for step in job["steps"].as_array().into_iter().flatten() {
            let uses = step["uses"].as_str().unwrap_or_default();
            let pin = uses.split_once('@').map(|(_, pin)| pin).unwrap_or_default();
            let commit = pin.len() == 40 && pin.bytes().all(|b| b.is_ascii_hexdigit());
            say(uses.is_empty() || commit, format!("{name}: {uses} is not pinned by a commit"));
            let checkout = uses.starts_with("actions/checkout@");
            say(
                !checkout || step["with"]["persist-credentials"] == false,
                format!("{name}: keeps the token"),
            );
            say(
                !uses.starts_with(ACTION) || job["permissions"]["id-token"] == "write",
                format!("{name}: no token"),
            );
            unknown_inputs(step, uses)
                .into_iter()
                .for_each(|input| say(false, format!("{name}: no input `{input}`")));
        }
    }
    found
}

/// Inputs that are given to the action and that it does not have.
pub(crate) fn unknown_inputs(step: &Value, uses: &str) -> Vec<String> {
    let with = step["with"].as_object().filter(|_| uses.starts_with(ACTION));
    let given = with.into_iter().flat_map(|with| with.keys().cloned());
    given.filter(|name| !INPUTS.iter().any(|input| input.name == name)).collect()
}

#[test]
fn every_workflow_follows_the_recommendations() {
    let mut steps = 0;
    for folder in example_folders() {
        for (path, workflow) in workflows(&folder) {
            assert_eq!(workflow_violations(&workflow), Vec::<String>::new(), "{}", path.display());
            steps += read_text(&path).matches(ACTION).count();
        }
    }
    assert!(steps >= 5, "only {steps} steps of the action");
}

#[test]
fn workflow_violations_are_found() {
    let bad = "on: push\npermissions: write-all\njobs:\n  a:\n    steps:\n      - uses: actions/checkout@v4\n      \
               - { uses: \"roadstead/roadstead@main\", with: { enviroment: x } }\n";
    let found = workflow_violations(&parse_workflow(bad));
    assert_eq!(found.len(), 10, "{found:#?}");
}

/// Every file of an example is named by its README.
#[test]
fn every_example_explains_itself() {
    for folder in example_folders() {
        let readme = read_text(&folder.join("README.md"));
        for name in ["roadstead.yml".to_owned()].into_iter().chain(
            workflows(&folder)
                .iter()
                .map(|(path, _)| path.file_name().unwrap().to_string_lossy().into_owned()),
        ) {
            assert!(readme.contains(&format!("]({name})")), "{}: {name} is not named", folder.display());
        }
        for target in readme.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            assert!(folder.join(target).exists(), "{}: {target} does not exist", folder.display());
        }
    }
}

/// The problems of a deploy file that need no call, in every environment.
fn deploy_file_problems(folder: &Path) -> Vec<String> {
    let file = read_text(&folder.join("roadstead.yml"));
    let document = DeployFile::parse("roadstead.yml", &file).unwrap();
    let (environments, mut problems) = document.environments();
    for name in environments.keys() {
        let known = [
            ("environment", name.as_str()),
            ("branch", "main"),
            ("sha", "c0ffee1"),
            ("short-sha", "c0ffee1"),
        ];
        let known = known.into_iter().map(|(key, value)| (key, value.to_owned())).collect();
        let (services, more) = document.services(name, &[], &targets::keys(targets::KINDS), &known);
        problems.extend(more);
        problems.extend(targets::read_specs(targets::KINDS, "roadstead.yml", services).1);
    }
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn every_deploy_file_loads_without_problems() {
    for folder in example_folders() {
        assert_eq!(deploy_file_problems(&folder), Vec::<String>::new(), "{}", folder.display());
    }
}

/// A copy of the folder, with the Dockerfiles that the deploy file names: an example has no sources.
pub(crate) fn checkout_of(folder: &Path, file: &str) -> tempfile::TempDir {
    let checkout = tempfile::tempdir().unwrap();
    copy_files(folder, checkout.path());
    let tree = tree::parse("roadstead.yml", file).unwrap().to_value();
    let services = tree["services"].as_object().unwrap().values();
    let builds = services.flat_map(|service| {
        let further = service["ecs"]["images"].as_object().into_iter().flat_map(|images| images.values());
        std::iter::once(service).chain(further).map(|image| &image["build"])
    });
    for build in builds {
        let text = |key: &str, default| build[key].as_str().unwrap_or(default).to_owned();
        let folder = checkout.path().join(text("context", "."));
        let path = folder.join(text("dockerfile", "Dockerfile"));
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "FROM scratch AS runtime\n").unwrap();
    }
    checkout
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        match path.is_dir() {
            true => copy_files(&path, &copy),
            false => drop(fs::copy(path, copy).unwrap()),
        }
    }
}

/// A deploy to an environment of a deploy file, on the emulator.
pub(crate) fn rehearse_deploy(folder: &Path, file: &str, environment: &str) -> RunReport {
    let checkout = checkout_of(folder, file);
    let story = rehearse::find_source("happy").unwrap();
    let began = rehearse::start_time(&story.base_scenario()).unwrap();
    run_in_virtual_time(async {
        let rehearsal = Rehearsal {
            config: ("roadstead.yml".into(), file.to_owned()),
            workspace: checkout.path().to_owned(),
            environment: Some(environment.to_owned()),
            source: story,
            seed: 1,
            inputs: RawInputs::default(),
            variables: Default::default(),
            cancel: CancelToken::default(),
            log: ProgressLog::new(false, Clock::starting_at(began), |_| {}),
        };
        rehearse::rehearse(rehearsal).await.unwrap().0
    })
}

#[test]
fn every_deploy_file_is_rehearsed_in_every_environment() {
    for folder in example_folders() {
        let file = read_text(&folder.join("roadstead.yml"));
        let (environments, _) = DeployFile::parse("roadstead.yml", &file).unwrap().environments();
        for (name, environment) in &environments {
            let report = rehearse_deploy(&folder, &file, name);
            let output = terminal::terminal(&report);
            let codes: Vec<_> = report.all_problems().iter().map(|problem| problem.code.name()).collect();
            match environment.promote_from {
                // In a world that has just begun nothing is proven: nothing may come in.
                Some(_) => {
                    assert_eq!(codes, ["promotion-unproven"], "{} in {name}: {output}", folder.display())
                }
                None => assert_eq!(report.outcome.exit_code(), 0, "{} in {name}: {output}", folder.display()),
            }
        }
    }
}
