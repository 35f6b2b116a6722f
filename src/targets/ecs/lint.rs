//! What is wrong with a task definition file, found before any call, each finding at its line (aws.md §6). Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::document::Document;
use super::read::{list, text};
use super::size::{FARGATE_CPU, cpu_units, fargate_memory, memory_mib};
use super::{lint_container, lint_keys};
use crate::problem::{Code, Problem};
use crate::release::Definition;

/// Collects findings with the place of each.
#[derive(Debug)]
pub struct Findings<'a> {
    document: &'a Document,
    found: Vec<Problem>,
}

impl Findings<'_> {
    /// AWS will refuse this.
    pub fn error(&mut self, pointer: &str, sentence: impl Into<String>, help: &str) {
        self.add(pointer, Problem::error(Code::TaskDefinitionInvalid, sentence).help(help));
    }

    /// Probably not what was meant.
    pub fn warning(&mut self, pointer: &str, sentence: impl Into<String>, help: &str) {
        self.add(pointer, Problem::warning(Code::TaskDefinitionInvalid, sentence).help(help));
    }

    /// Any other finding.
    pub fn add(&mut self, pointer: &str, problem: Problem) {
        self.found.push(self.document.at(pointer, problem));
    }
}

/// Everything that is wrong with a file as text, also that our container cannot be found in it.
pub fn file(file: &Definition, container: Option<&str>) -> Vec<Problem> {
    match Document::read(&file.path, &file.text) {
        Ok(document) => {
            let unclear = super::definition::find_container(&document.value, container).err();
            let unclear = unclear.map(|problem| document.at("/containerDefinitions", problem));
            lint(&document).into_iter().chain(unclear).collect()
        }
        Err(problem) => vec![problem],
    }
}

/// Everything that is wrong with a document, in the order of its lines.
pub fn lint(document: &Document) -> Vec<Problem> {
    let mut findings = Findings { document, found: Vec::new() };
    lint_keys::check(&document.value, &mut findings);
    task(&document.value, &mut findings);
    lint_container::check_all(&document.value, &mut findings);
    let mut found = findings.found;
    found.sort_by_key(|problem| problem.at.as_ref().map(|at| (at.line, at.column)));
    found
}

/// Whether the definition says that it is for Fargate.
pub fn is_fargate(definition: &Value) -> bool {
    list(definition, "requiresCompatibilities").iter().any(|value| value == "FARGATE")
}

/// 1 to 255 of letters, digits, `-` and `_`.
pub fn is_name(name: &str) -> bool {
    (1..=255).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

fn task(definition: &Value, findings: &mut Findings<'_>) {
    let family = text(definition, "family");
    if family.is_empty() {
        findings.error("", "The task definition has no `family`.", "Give it the name of its family.");
    } else if !is_name(&family) {
        findings.error(
            "/family",
            format!("The family `{family}` is not a name."),
            "Use letters, digits, - and _.",
        );
    }
    one_of(definition, "/networkMode", &["bridge", "host", "awsvpc", "none"], findings);
    one_of(definition, "/runtimePlatform/cpuArchitecture", &["X86_64", "ARM64"], findings);
    one_of(definition, "/runtimePlatform/operatingSystemFamily", &SYSTEMS, findings);
    for (index, value) in list(definition, "requiresCompatibilities").iter().enumerate() {
        let known = ["EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES"];
        if value.as_str().is_some_and(|value| !known.contains(&value)) {
            let pointer = format!("/requiresCompatibilities/{index}");
            findings.error(
                &pointer,
                format!("{value} is no compatibility."),
                &format!("Known are {}.", known.join(", ")),
            );
        }
    }
    let (cpu, memory) =
        (size(definition, "cpu", cpu_units, findings), size(definition, "memory", memory_mib, findings));
    sums(definition, cpu, memory, findings);
    if is_fargate(definition) {
        fargate(definition, cpu, memory, findings);
    }
    execution_role(definition, findings);
}

const SYSTEMS: [&str; 10] = [
    "LINUX",
    "WINDOWS_SERVER_2016_FULL",
    "WINDOWS_SERVER_2019_FULL",
    "WINDOWS_SERVER_2019_CORE",
    "WINDOWS_SERVER_2004_CORE",
    "WINDOWS_SERVER_20H2_CORE",
    "WINDOWS_SERVER_2022_CORE",
    "WINDOWS_SERVER_2022_FULL",
    "WINDOWS_SERVER_2025_CORE",
    "WINDOWS_SERVER_2025_FULL",
];

/// A value that must be one of a few, if it is there.
pub fn one_of(value: &Value, pointer: &str, known: &[&str], findings: &mut Findings<'_>) {
    let found = value.pointer(pointer).and_then(Value::as_str).filter(|found| !known.contains(found));
    if let Some(found) = found {
        let key = pointer.rsplit('/').next().unwrap_or_default();
        findings.error(
            pointer,
            format!("`{key}` is `{found}`."),
            &format!("Known are {}.", known.join(", ")),
        );
    }
}

fn size(
    definition: &Value,
    key: &str,
    read: fn(&str) -> Option<u64>,
    findings: &mut Findings<'_>,
) -> Option<u64> {
    let written = definition[key].as_str()?;
    let read = read(written);
    if read.is_none() {
        let help = if key == "cpu" { "Write 256 or .25 vCPU." } else { "Write 512 or 0.5 GB." };
        findings.error(&format!("/{key}"), format!("The {key} `{written}` is not a size."), help);
    }
    read
}

/// Containers cannot ask for more than the task has.
fn sums(definition: &Value, cpu: Option<u64>, memory: Option<u64>, findings: &mut Findings<'_>) {
    let sum = |keys: &[&str]| -> u64 {
        let of = |container: &Value| keys.iter().find_map(|key| container[*key].as_u64()).unwrap_or(0);
        super::definition::containers(definition).iter().map(of).sum()
    };
    let asked = [("cpu", sum(&["cpu"]), cpu), ("memory", sum(&["memoryReservation", "memory"]), memory)];
    for (key, asked, has) in asked {
        if let Some(has) = has.filter(|has| asked > *has) {
            let sentence = format!("The containers ask for {asked} of {key}, the task has {has}.");
            findings.error(&format!("/{key}"), sentence, "Raise the task's or lower the containers'.");
        }
    }
}

fn fargate(definition: &Value, cpu: Option<u64>, memory: Option<u64>, findings: &mut Findings<'_>) {
    if definition["networkMode"] != "awsvpc" {
        let pointer = if definition.get("networkMode").is_some() { "/networkMode" } else { "" };
        findings.error(pointer, "Fargate needs `networkMode: awsvpc`.", "Set it.");
    }
    for key in ["cpu", "memory"] {
        if definition.get(key).is_none() {
            findings.error("", format!("Fargate needs `{key}` of the task."), "Set it.");
        }
    }
    if let (Some(cpu), Some(memory)) = (cpu, memory) {
        fargate_size(cpu, memory, findings);
    }
    let storage = definition.pointer("/ephemeralStorage/sizeInGiB").and_then(Value::as_u64);
    if storage.is_some_and(|size| !(21..=200).contains(&size)) {
        let pointer = "/ephemeralStorage/sizeInGiB";
        findings.error(pointer, "Ephemeral storage on Fargate is 21 to 200 GiB.", "Leave it out for 20 GiB.");
    }
    if definition["pidMode"] == "host" {
        findings.error("/pidMode", "Fargate knows `pidMode: task` only.", "Remove it or set `task`.");
    }
    for key in ["ipcMode", "placementConstraints", "inferenceAccelerators"] {
        let given = definition.get(key).is_some_and(|value| !value.as_array().is_some_and(Vec::is_empty));
        if given {
            findings.error(&format!("/{key}"), format!("Fargate does not take `{key}`."), "Remove it.");
        }
    }
}

fn fargate_size(cpu: u64, memory: u64, findings: &mut Findings<'_>) {
    let offered = fargate_memory(cpu);
    if offered.is_empty() {
        let help = format!("Fargate offers {}.", joined(&FARGATE_CPU));
        return findings.error("/cpu", format!("Fargate has no tasks of {cpu} CPU units."), &help);
    }
    if cpu == 32_768 {
        let sentence = "Tasks of 32 vCPU are new and not offered in every region.";
        findings.warning("/cpu", sentence, "Try it in your region first.");
    }
    if !offered.contains(&memory) {
        let help = format!("For {cpu} CPU units Fargate offers {} MiB.", joined(&offered));
        let sentence = format!("Fargate has no tasks of {cpu} CPU units with {memory} MiB.");
        if cpu == 32_768 {
            findings.warning("/memory", sentence, &help);
        } else {
            findings.error("/memory", sentence, &help);
        }
    }
}

fn joined(numbers: &[u64]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What must be fetched before the container starts is fetched by the execution role.
fn execution_role(definition: &Value, findings: &mut Findings<'_>) {
    if !text(definition, "executionRoleArn").is_empty() {
        return;
    }
    let help = "Set `executionRoleArn` to a role that may read it.";
    for (index, container) in super::definition::containers(definition).iter().enumerate() {
        let at = format!("/containerDefinitions/{index}");
        if !list(container, "secrets").is_empty() {
            findings.error(&format!("{at}/secrets"), "Secrets need `executionRoleArn`.", help);
        }
        if is_fargate(definition) && container["logConfiguration"]["logDriver"] == "awslogs" {
            let pointer = format!("{at}/logConfiguration");
            findings.error(&pointer, "The awslogs driver on Fargate needs `executionRoleArn`.", help);
        }
        if container.get("repositoryCredentials").is_some() {
            let pointer = format!("{at}/repositoryCredentials");
            findings.error(&pointer, "Registry credentials need `executionRoleArn`.", help);
        }
    }
}

/// Names that come more than once, with the index of the second.
pub fn doubles(items: &[Value], key: &str) -> Vec<(usize, String)> {
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    let mut twice = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let Some(name) = item[key].as_str() else { continue };
        if first.insert(name, index).is_some() {
            twice.push((index, name.to_owned()));
        }
    }
    twice
}
