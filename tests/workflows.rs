//! Every workflow of the README, the pages and the examples, as it stands: each step of the action is planned with its inputs and the
//! deploy file beside it, on the emulator. What a person or an earlier job gives (`inputs`, `secrets`, outputs) has sample values.

use std::fs;
use std::path::{Path, PathBuf};

use roadstead::action::inputs::RawInputs;
use roadstead::action::redact::Secret;
use roadstead::cli::rehearse::{self, Rehearsal};
use roadstead::config::DeployFile;
use roadstead::report::RunReport;
use roadstead::run::ProgressLog;
use roadstead::sys::clock::Clock;
use roadstead::sys::environment::Variables;
use roadstead::sys::signal::CancelToken;
use serde_json::{Value, json};

use crate::command_lines::markdown_files;
use crate::examples::{checkout_of, example_folders, parse_workflow, unknown_inputs, workflows};
use crate::support::run_in_virtual_time;

const ACTION: &str = "roadstead/roadstead@";

/// A workflow, and the deploy file that it releases.
struct Documented {
    place: String,
    workflow: Value,
    deploy_file: String,
    /// Files beside the deploy file.
    folder: Option<PathBuf>,
}

/// The fences of a text that hold YAML.
fn yaml_fences(text: &str) -> Vec<&str> {
    text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

fn is_deploy_file(text: &str) -> bool {
    ["environments:", "services:"].iter().all(|key| text.lines().any(|line| line.starts_with(key)))
}

fn is_workflow(text: &str) -> bool {
    ["on:", "jobs:"].iter().all(|key| text.lines().any(|line| line.starts_with(key)))
}

/// The workflows of a page with the deploy file of their section, or with the first one of the page.
fn of_page(path: &Path) -> Vec<Documented> {
    let page = fs::read_to_string(path).unwrap();
    let first = yaml_fences(&page).into_iter().find(|text| is_deploy_file(text));
    let mut found = Vec::new();
    for section in page.split("\n## ") {
        let fences = yaml_fences(section);
        let own = fences.iter().copied().find(|text| is_deploy_file(text)).or(first);
        for text in fences.into_iter().filter(|text| is_workflow(text)) {
            let deploy_file = own.unwrap_or_else(|| panic!("{}: no deploy file", path.display()));
            let place = path.file_name().unwrap().to_string_lossy().into_owned();
            let (workflow, deploy_file) = (parse_workflow(text), deploy_file.to_owned());
            found.push(Documented { place, workflow, deploy_file, folder: None });
        }
    }
    found
}

fn of_example(folder: &Path) -> Vec<Documented> {
    let deploy_file = fs::read_to_string(folder.join("roadstead.yml")).unwrap();
    let with_file = |(path, workflow): (PathBuf, Value)| Documented {
        place: path.display().to_string(),
        workflow,
        deploy_file: deploy_file.clone(),
        folder: Some(folder.to_owned()),
    };
    workflows(folder).into_iter().map(with_file).collect()
}

fn documented() -> Vec<Documented> {
    let pages = markdown_files();
    let of_pages = pages.iter().flat_map(|path| of_page(path));
    of_pages.chain(example_folders().iter().flat_map(|folder| of_example(folder))).collect()
}

/// What an expression is in a sample run.
fn sample(expression: &str, documented: &Documented) -> String {
    if let Some((_, rest)) = expression.split_once("&&") {
        return sample(rest.split("||").next().unwrap_or_default().trim(), documented);
    }
    let expression = expression.trim();
    let digest = || format!("sha256:{}", "a".repeat(64));
    let input = expression.strip_prefix("inputs.").map(|name| {
        let dispatch = &documented.workflow["on"]["workflow_dispatch"]["inputs"][name];
        assert!(dispatch.is_object(), "{}: `{expression}` is not an input", documented.place);
        match (dispatch["options"][0].as_str(), name) {
            (Some(option), _) => option.to_owned(),
            (None, "variable") => "CHECKOUT_V2".into(),
            (None, "value") => "on".into(),
            (None, _) => String::new(),
        }
    });
    let last = expression.rsplit('.').next().unwrap_or_default();
    match (input, last) {
        (Some(value), _) => value,
        (None, "digest") => digest(),
        (None, name) if name.starts_with("PLAN_ROLE") => plan_role(name, &documented.deploy_file),
        (None, _) => expression.trim_matches('\'').to_owned(),
    }
}

/// The role of a plan, in the account of the environment that the variable names.
fn plan_role(variable: &str, deploy_file: &str) -> String {
    let environment = variable.trim_start_matches("PLAN_ROLE").trim_matches('_').to_lowercase();
    let account = &parse_workflow(deploy_file)["environments"][environment]["aws"]["account"];
    format!("arn:aws:iam::{}:role/plan", account.as_str().unwrap_or("111111111111"))
}

fn fill(text: &str, documented: &Documented) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("${{") {
        let (expression, after) = after.split_once("}}").unwrap();
        out += before;
        out += &sample(expression.trim(), documented);
        rest = after;
    }
    out + rest
}

/// The operation that shows what `operation` would do.
fn planned(operation: &str) -> &str {
    match operation {
        "deploy" | "plan" | "" => "plan",
        "promote" => "plan promote",
        "rollback" => "plan rollback",
        "set-env" => "plan set-env",
        other => other,
    }
}

/// The inputs of a step; `with` has no others (`unknown_inputs`).
fn step_inputs(step: &Value, documented: &Documented) -> RawInputs {
    let given = |name: &str| {
        let text = step["with"][name].as_str().map(|text| fill(text, documented));
        text.filter(|text| !text.is_empty())
    };
    RawInputs {
        operation: Some(planned(given("operation").as_deref().unwrap_or_default()).to_owned()),
        services: given("services"),
        image: given("image"),
        to: given("to"),
        set: given("set"),
        role_to_assume: given("role-to-assume"),
        manifests_token: given("manifests-token").map(Secret::new),
        argocd_token: given("argocd-token").map(Secret::new),
        timeout: given("timeout"),
        ..RawInputs::default()
    }
}

/// The environment of a step: the one that it names, else the one of the branch `main`.
fn environment_of(step: &Value, documented: &Documented) -> String {
    if let Some(name) = step["with"]["environment"].as_str() {
        return fill(name, documented);
    }
    let (environments, _) =
        DeployFile::parse("roadstead.yml", &documented.deploy_file).unwrap().environments();
    let of_main = environments
        .iter()
        .find(|(_, environment)| environment.branches.iter().any(|pattern| pattern.as_str() == "main"));
    of_main.map(|(name, _)| name.clone()).unwrap_or_else(|| panic!("{}: no environment", documented.place))
}

/// The files that the deploy file of a page names, with what they would have.
fn write_named_files(folder: &Path, deploy_file: &str, environment: &str) {
    let text = deploy_file.replace("${environment}", environment);
    let document = parse_workflow(&text);
    for (name, service) in document["services"].as_object().unwrap() {
        let write = |path: &Value, content: Value| {
            if let Some(path) = path.as_str().map(|path| folder.join(path)) {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, content.to_string()).unwrap();
            }
        };
        let container = service["ecs"]["container"].as_str().unwrap_or(name);
        let definition = json!({
            "family": name, "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
            "executionRoleArn": "arn:aws:iam::111111111111:role/exec",
            "containerDefinitions": [{"name": container, "image": "<IMAGE>", "portMappings": [{"containerPort": 80}]}],
        });
        write(&service["ecs"]["task-definition"], definition);
        write(&service["appconfig"]["file"], json!({"version": "1", "flags": {}, "values": {}}));
    }
}

fn plan(documented: &Documented, step: &Value) -> RunReport {
    let environment = environment_of(step, documented);
    let empty = tempfile::tempdir().unwrap();
    let folder = documented.folder.as_deref().unwrap_or(empty.path());
    let checkout = checkout_of(folder, &documented.deploy_file);
    if documented.folder.is_none() {
        write_named_files(checkout.path(), &documented.deploy_file, &environment);
    }
    let variables: Variables = step["env"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| (name.clone(), "https://hooks.example.com/x".to_owned()))
        .collect();
    let story = rehearse::find_source("happy").unwrap();
    let began = rehearse::start_time(&story.base_scenario()).unwrap();
    run_in_virtual_time(async {
        let rehearsal = Rehearsal {
            config: ("roadstead.yml".into(), documented.deploy_file.clone()),
            workspace: checkout.path().to_owned(),
            environment: Some(environment),
            source: story,
            seed: 1,
            inputs: step_inputs(step, documented),
            variables,
            cancel: CancelToken::default(),
            log: ProgressLog::new(false, Clock::starting_at(began), |_| {}),
        };
        rehearse::rehearse(rehearsal).await.unwrap().0
    })
}

/// In a world that has just begun nothing is proven, there is no earlier version, and a built-in scenario without a load balancer
/// has no canary: everything else would be a fault of the page.
const OF_A_NEW_WORLD: [&str; 4] =
    ["promotion-unproven", "rollback-target-missing", "version-unknown", "unsupported"];

#[test]
fn every_step_of_every_workflow_is_planned() {
    let (mut steps, mut faults) = (0, Vec::new());
    for documented in documented() {
        for (name, job) in documented.workflow["jobs"].as_object().unwrap() {
            for step in job["steps"].as_array().into_iter().flatten() {
                let uses = step["uses"].as_str().unwrap_or_default();
                if !uses.starts_with(ACTION) {
                    continue;
                }
                steps += 1;
                let place = format!("{} {name}", documented.place);
                assert_eq!(unknown_inputs(step, uses), Vec::<String>::new(), "{place}");
                let report = plan(&documented, step);
                let errors = report.all_problems().into_iter().filter(|problem| problem.is_error());
                let unexpected: Vec<String> = errors
                    .filter(|problem| !OF_A_NEW_WORLD.contains(&problem.code.name()))
                    .map(|problem| format!("{place}: {} {problem}", problem.code.name()))
                    .collect();
                faults.extend(unexpected);
            }
        }
    }
    assert!(steps >= 20, "only {steps} steps");
    assert_eq!(faults, Vec::<String>::new());
}
