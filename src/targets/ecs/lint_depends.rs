//! Rules for `dependsOn`: who is named, which conditions make sense, and that nobody waits for itself. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::definition::is_essential;
use super::lint::Findings;
use super::read::{list, text};

/// Checks what the containers wait for.
pub fn check(all: &[Value], findings: &mut Findings<'_>) {
    for (index, container) in all.iter().enumerate() {
        for (place, depends) in list(container, "dependsOn").iter().enumerate() {
            let pointer = format!("/containerDefinitions/{index}/dependsOn/{place}");
            one(all, depends, &pointer, findings);
        }
    }
    if let Some((index, way)) = cycle(all) {
        let pointer = format!("/containerDefinitions/{index}/dependsOn");
        findings.error(
            &pointer,
            format!("Containers wait for each other: {way}."),
            "Remove one of the dependencies.",
        );
    }
}

fn one(all: &[Value], depends: &Value, pointer: &str, findings: &mut Findings<'_>) {
    let (name, condition) = (text(depends, "containerName"), text(depends, "condition"));
    let Some(target) = all.iter().find(|container| container["name"] == name.as_str()) else {
        return findings.error(pointer, format!("There is no container `{name}` to wait for."), "");
    };
    match condition.as_str() {
        "START" => {}
        "COMPLETE" | "SUCCESS" if is_essential(target) => {
            let sentence = format!(
                "`{name}` is essential: the task ends when it does, so nobody can wait for {condition}."
            );
            findings.error(pointer, sentence, "Make it `essential: false`.");
        }
        "COMPLETE" | "SUCCESS" => {}
        "HEALTHY" if !target["healthCheck"].is_object() => {
            findings.error(
                pointer,
                format!("`{name}` has no health check to wait for."),
                "Give it a `healthCheck`.",
            );
        }
        "HEALTHY" => {}
        other => {
            let help = "Known are START, COMPLETE, SUCCESS, HEALTHY.";
            findings.error(pointer, format!("`{other}` is not a condition."), help);
        }
    }
}

/// A container on a circle, and the circle in words.
fn cycle(all: &[Value]) -> Option<(usize, String)> {
    let names = |container: &Value| -> Vec<String> {
        list(container, "dependsOn").iter().map(|depends| text(depends, "containerName")).collect()
    };
    let waits: BTreeMap<String, Vec<String>> = all.iter().map(|c| (text(c, "name"), names(c))).collect();
    let found = all.iter().enumerate().find_map(|(index, container)| {
        let start = text(container, "name");
        Some((index, way_back(&waits, &start)?))
    });
    found.map(|(index, way)| (index, way.join(" → ")))
}

/// The way from `start` back to itself, if there is one.
fn way_back(waits: &BTreeMap<String, Vec<String>>, start: &str) -> Option<Vec<String>> {
    let mut ways = vec![vec![start.to_owned()]];
    let mut seen = Vec::new();
    while let Some(way) = ways.pop() {
        let here = way.last()?.clone();
        for next in waits.get(&here).into_iter().flatten() {
            let on = way.iter().cloned().chain([next.clone()]).collect();
            if next == start {
                return Some(on);
            }
            if !seen.contains(next) {
                seen.push(next.clone());
                ways.push(on);
            }
        }
    }
    None
}
