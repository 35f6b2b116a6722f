//! Problems of a task definition file that need no call, each at its line (aws.md §6): an error is what AWS rejects,
//! a warning is what is probably a mistake. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::read::list_field;
use super::definition::{containers, find_container};
use super::document::TaskDefinitionDocument;
use super::{lint_container, lint_dependencies, lint_fargate, lint_logs, lint_network, lint_process};
use super::{lint_schema, lint_secrets, lint_task, lint_volumes, lint_windows};
use crate::problem::{Code, Problem};
use crate::release::DefinitionFile;

/// Collects findings with their positions.
#[derive(Debug)]
pub struct Findings<'a> {
    document: &'a TaskDefinitionDocument,
    problems: Vec<Problem>,
}

impl Findings<'_> {
    /// AWS will reject this.
    pub fn error(&mut self, pointer: &str, sentence: impl Into<String>, help: &str) {
        self.add(pointer, Problem::error(Code::TaskDefinitionInvalid, sentence).help(help));
    }

    /// Probably a mistake.
    pub fn warning(&mut self, pointer: &str, sentence: impl Into<String>, help: &str) {
        self.add(pointer, Problem::warning(Code::TaskDefinitionInvalid, sentence).help(help));
    }

    /// Any other finding.
    pub fn add(&mut self, pointer: &str, problem: Problem) {
        self.problems.push(self.document.at_pointer(pointer, problem));
    }
}

/// A container of the definition, and its position.
#[derive(Debug, Clone, Copy)]
pub struct LintedContainer<'d> {
    /// The whole definition.
    pub definition: &'d Value,
    /// The container.
    pub container: &'d Value,
    /// Its index.
    pub index: usize,
    /// Whether a deployment replaces its image.
    pub image_is_replaced: bool,
}

impl LintedContainer<'_> {
    /// The pointer of a member, or of the container itself if `member` is empty.
    pub fn pointer(&self, member: &str) -> String {
        let separator = if member.is_empty() { "" } else { "/" };
        format!("/containerDefinitions/{}{separator}{member}", self.index)
    }

    /// Its name for a sentence.
    pub fn name(&self) -> &str {
        self.container["name"].as_str().unwrap_or_default()
    }
}

/// All problems of a file as text, including a missing container.
///
/// `container` is the one of the service; the images of `further` containers are replaced, too.
pub fn lint_file(file: &DefinitionFile, container: Option<&str>, further: &[&str]) -> Vec<Problem> {
    match TaskDefinitionDocument::parse(&file.path, &file.text) {
        Ok(document) => {
            let unclear = find_container(&document.value, container).err();
            let unclear = unclear.map(|problem| document.at_pointer("/containerDefinitions", problem));
            lint_document(&document, container, further).into_iter().chain(unclear).collect()
        }
        Err(problem) => vec![problem],
    }
}

/// All problems of a document, in the order of its lines; `container` and `further` are those whose images are replaced.
pub fn lint_document(
    document: &TaskDefinitionDocument,
    container: Option<&str>,
    further: &[&str],
) -> Vec<Problem> {
    let definition = &without_nulls(&document.value);
    let replaced = find_container(definition, container).ok();
    let mut findings = Findings { document, problems: Vec::new() };
    lint_schema::check(definition, &mut findings);
    lint_task::check(definition, &mut findings);
    lint_container::check_all(definition, &mut findings);
    for (index, container) in containers(definition).iter().enumerate() {
        let is_further = container["name"].as_str().is_some_and(|name| further.contains(&name));
        let image_is_replaced = replaced == Some(index) || is_further;
        check_container(&LintedContainer { definition, container, index, image_is_replaced }, &mut findings);
    }
    lint_network::check_task(definition, &mut findings);
    lint_volumes::check(definition, &mut findings);
    lint_logs::check_routers(definition, &mut findings);
    lint_dependencies::check(containers(definition), &mut findings);
    let mut found = findings.problems;
    found.sort_by_key(|problem| problem.location.as_ref().map(|at| (at.line, at.column)));
    found
}

fn check_container(linted: &LintedContainer<'_>, findings: &mut Findings<'_>) {
    lint_container::check(linted, findings);
    lint_process::check(linted, findings);
    lint_network::check(linted, findings);
    lint_logs::check(linted, findings);
    lint_secrets::check(linted, findings);
    if is_windows(linted.definition) {
        lint_windows::check_container(linted, findings);
    }
    if is_fargate(linted.definition) {
        lint_fargate::check_container(linted, findings);
    }
}

/// The value without members that are null: the API takes them as absent.
pub fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let given = members.iter().filter(|(_, value)| !value.is_null());
            given.map(|(key, value)| (key.clone(), without_nulls(value))).collect()
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

/// Whether the definition is for Fargate.
pub fn is_fargate(definition: &Value) -> bool {
    requires(definition, "FARGATE")
}

/// Whether the definition requires this launch type.
pub fn requires(definition: &Value, launch_type: &str) -> bool {
    list_field(definition, "requiresCompatibilities").iter().any(|value| value == launch_type)
}

/// Whether the tasks run on Windows.
pub fn is_windows(definition: &Value) -> bool {
    let family = definition["runtimePlatform"]["operatingSystemFamily"].as_str();
    family.is_some_and(|family| family.starts_with("WINDOWS"))
}

/// 1 to 255 of letters, digits, `-` and `_`.
pub fn is_valid_name(name: &str) -> bool {
    (1..=255).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// Names that occur more than once, with the index of the second.
pub fn duplicates(items: &[Value], key: &str) -> Vec<(usize, String)> {
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
