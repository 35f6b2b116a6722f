//! Rules for `dependsOn`: existing containers, satisfiable conditions, and no cycles. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::read::{list_field, str_field};
use super::definition::is_essential;
use super::lint::Findings;

/// Checks the dependencies of the containers.
pub fn check(all: &[Value], findings: &mut Findings<'_>) {
    for (index, container) in all.iter().enumerate() {
        for (place, depends) in list_field(container, "dependsOn").iter().enumerate() {
            let pointer = format!("/containerDefinitions/{index}/dependsOn/{place}");
            check_dependency(all, depends, &pointer, findings);
        }
    }
    if let Some((index, path)) = find_cycle(all) {
        let pointer = format!("/containerDefinitions/{index}/dependsOn");
        findings.error(
            &pointer,
            format!("Containers depend on each other: {path}."),
            "Remove one of the dependencies.",
        );
    }
}

fn check_dependency(all: &[Value], depends: &Value, pointer: &str, findings: &mut Findings<'_>) {
    let (name, condition) = (str_field(depends, "containerName"), str_field(depends, "condition"));
    let Some(target) = all.iter().find(|container| container["name"] == name.as_str()) else {
        return findings.error(pointer, format!("The container `{name}` in `dependsOn` does not exist."), "");
    };
    match condition.as_str() {
        "START" => {}
        "COMPLETE" | "SUCCESS" if is_essential(target) => {
            let sentence = format!(
                "`{name}` is essential: the task ends with it, so the condition {condition} is never met."
            );
            findings.error(pointer, sentence, "Make it `essential: false`.");
        }
        "COMPLETE" | "SUCCESS" => {}
        "HEALTHY" if !target["healthCheck"].is_object() => {
            findings.error(
                pointer,
                format!("`{name}` has no health check, so the condition HEALTHY is never met."),
                "Add a `healthCheck` to it.",
            );
        }
        "HEALTHY" => {}
        other => {
            let help = "Supported: START, COMPLETE, SUCCESS, HEALTHY.";
            findings.error(pointer, format!("`{other}` is not a valid condition."), help);
        }
    }
}

/// A container on a cycle, and the cycle for display.
fn find_cycle(all: &[Value]) -> Option<(usize, String)> {
    let names = |container: &Value| -> Vec<String> {
        list_field(container, "dependsOn").iter().map(|depends| str_field(depends, "containerName")).collect()
    };
    let waits: BTreeMap<String, Vec<String>> = all.iter().map(|c| (str_field(c, "name"), names(c))).collect();
    let found = all.iter().enumerate().find_map(|(index, container)| {
        let start = str_field(container, "name");
        Some((index, cycle_from(&waits, &start)?))
    });
    found.map(|(index, path)| (index, path.join(" → ")))
}

/// A path from `start` back to itself, if there is one.
fn cycle_from(waits: &BTreeMap<String, Vec<String>>, start: &str) -> Option<Vec<String>> {
    let mut paths = vec![vec![start.to_owned()]];
    let mut seen = Vec::new();
    while let Some(path) = paths.pop() {
        let last = path.last()?.clone();
        for next in waits.get(&last).into_iter().flatten() {
            let on = path.iter().cloned().chain([next.clone()]).collect();
            if next == start {
                return Some(on);
            }
            if !seen.contains(next) {
                seen.push(next.clone());
                paths.push(on);
            }
        }
    }
    None
}
