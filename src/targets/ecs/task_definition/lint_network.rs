//! Rules for ports and for everything else that depends on the network mode. Pure.

use serde_json::Value;

use super::super::read::{list_field, str_field};
use super::definition::containers;
use super::lint::{Findings, LintedContainer};

/// Checks one container.
pub fn check(linted: &LintedContainer<'_>, findings: &mut Findings<'_>) {
    let ports = list_field(linted.container, "portMappings");
    for (index, port) in ports.iter().enumerate() {
        let pointer = linted.pointer(&format!("portMappings/{index}"));
        check_port(linted.definition, port, &pointer, findings);
        if ports[..index].iter().any(|earlier| ports_overlap(earlier, port)) {
            let number = shown_port(port);
            let sentence = format!("The container port {number} is set twice.");
            findings.error(&pointer, sentence, "Remove one. One port cannot have two protocols.");
        }
    }
    if linted.definition["networkMode"] == "none" && !ports.is_empty() {
        let sentence = "With `networkMode: none`, a container has no ports.";
        findings.error(&linted.pointer("portMappings"), sentence, "Remove `portMappings`.");
    }
    check_mode_members(linted, findings);
    check_links(linted, findings);
}

fn check_port(definition: &Value, port: &Value, pointer: &str, findings: &mut Findings<'_>) {
    let (container, range) = (port["containerPort"].as_i64(), port["containerPortRange"].as_str());
    if container.is_none() && range.is_none() {
        findings.error(pointer, "A port mapping has no `containerPort`.", "Add it.");
    }
    if container.is_some() && range.is_some() {
        let sentence = "A port mapping has `containerPort` or `containerPortRange`, not both.";
        findings.error(pointer, sentence, "Remove one.");
    }
    if container.is_some_and(|number| !(1..=65_535).contains(&number)) {
        findings.error(&format!("{pointer}/containerPort"), "A port must be 1 to 65535.", "Change it.");
    }
    check_host_port(definition, port, pointer, findings);
    if let Some(range) = range {
        check_port_range(definition, range, pointer, findings);
    }
    let protocol = str_field(port, "protocol");
    if !matches!(protocol.as_str(), "" | "tcp" | "udp") {
        let sentence = format!("The protocol is `{protocol}`, which AWS treats as tcp.");
        findings.warning(&format!("{pointer}/protocol"), sentence, "Write tcp or udp.");
    }
    let name = str_field(port, "name");
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
    if !name.is_empty() && (name.len() > 64 || name.starts_with('-') || !name.bytes().all(good)) {
        let sentence = format!("`{name}` is not a valid port name.");
        findings.error(&format!("{pointer}/name"), sentence, "Use up to 64 of a-z, 0-9, _ and -.");
    }
}

fn check_host_port(definition: &Value, port: &Value, pointer: &str, findings: &mut Findings<'_>) {
    let Some(host) = port["hostPort"].as_i64() else { return };
    let at = format!("{pointer}/hostPort");
    if !(0..=65_535).contains(&host) {
        findings.error(&at, "A port must be 0 to 65535.", "Change it.");
    }
    for mode in ["awsvpc", "host"] {
        if definition["networkMode"] == mode && Some(host) != port["containerPort"].as_i64() {
            let sentence = format!("With `{mode}`, the host port must be the container port.");
            findings.error(&at, sentence, "Remove `hostPort`.");
        }
    }
}

fn check_port_range(definition: &Value, range: &str, pointer: &str, findings: &mut Findings<'_>) {
    let at = format!("{pointer}/containerPortRange");
    let ends = port_span(&Value::String(range.to_owned()));
    if !ends.is_some_and(|(first, last)| 1 <= first && first < last && last <= 65_535) {
        let help = "Write two ports from 1 to 65535, the smaller one first, such as 8000-8100.";
        findings.error(&at, format!("`{range}` is not a range of ports."), help);
    }
    if matches!(definition["networkMode"].as_str(), Some("host" | "none")) {
        let sentence = "Ranges of ports need `networkMode` bridge or awsvpc.";
        findings.error(&at, sentence, "List the ports one by one.");
    }
}

/// The first and the last port of a number or of a range such as `8000-8100`.
fn port_span(written: &Value) -> Option<(i64, i64)> {
    if let Some(port) = written.as_i64() {
        return Some((port, port));
    }
    let (first, last) = written.as_str()?.split_once('-')?;
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
}

fn span_of(port: &Value) -> Option<(i64, i64)> {
    port_span(&port["containerPort"]).or_else(|| port_span(&port["containerPortRange"]))
}

fn ports_overlap(a: &Value, b: &Value) -> bool {
    let spans = span_of(a).zip(span_of(b));
    spans.is_some_and(|((first, last), (other_first, other_last))| first <= other_last && other_first <= last)
}

fn shown_port(port: &Value) -> String {
    let number = port["containerPort"].as_i64().map(|number| number.to_string());
    number.unwrap_or_else(|| str_field(port, "containerPortRange"))
}

/// Members that some network modes do not support.
fn check_mode_members(linted: &LintedContainer<'_>, findings: &mut Findings<'_>) {
    if linted.definition["networkMode"] != "awsvpc" {
        return;
    }
    let container = linted.container;
    for key in ["hostname", "extraHosts", "links"] {
        let given = container
            .get(key)
            .is_some_and(|value| !value.as_array().is_some_and(Vec::is_empty) && value.as_str() != Some(""));
        if given {
            let sentence = format!("`networkMode: awsvpc` does not support `{key}`.");
            findings.error(&linted.pointer(key), sentence, "Remove it.");
        }
    }
}

/// Links are for the mode bridge, and lead to other containers of the task.
fn check_links(linted: &LintedContainer<'_>, findings: &mut Findings<'_>) {
    let links = list_field(linted.container, "links");
    let mode = linted.definition["networkMode"].as_str().unwrap_or("bridge");
    if !links.is_empty() && matches!(mode, "host" | "none") {
        let sentence = format!("`networkMode: {mode}` does not support `links`.");
        findings.error(&linted.pointer("links"), sentence, "Remove it, or use bridge.");
    }
    for (index, link) in links.iter().enumerate().filter_map(|(index, link)| Some((index, link.as_str()?))) {
        let name = link.split(':').next().unwrap_or_default();
        let exists = containers(linted.definition).iter().any(|container| container["name"] == name);
        if !exists || name == linted.name() {
            let pointer = linted.pointer(&format!("links/{index}"));
            let sentence = format!("The link `{link}` leads to no other container of the task.");
            findings.error(&pointer, sentence, "Name another container.");
        }
    }
}

/// A port of a container or of the host that two containers of the task want, and names of ports.
pub fn check_task(definition: &Value, findings: &mut Findings<'_>) {
    let is_shared = matches!(definition["networkMode"].as_str(), Some("awsvpc" | "host"));
    let mut taken: Vec<TakenPort<'_>> = Vec::new();
    for (index, container) in containers(definition).iter().enumerate() {
        for (place, port) in list_field(container, "portMappings").iter().enumerate() {
            let pointer = format!("/containerDefinitions/{index}/portMappings/{place}");
            let own = TakenPort { container: index, port };
            if let Some(reason) = taken.iter().find_map(|other| other.conflict(&own, is_shared)) {
                findings.error(&pointer, reason, "Use another one.");
            }
            taken.push(own);
        }
    }
}

struct TakenPort<'d> {
    container: usize,
    port: &'d Value,
}

impl TakenPort<'_> {
    /// Why both cannot be in one task.
    fn conflict(&self, other: &TakenPort<'_>, is_shared: bool) -> Option<String> {
        let name = str_field(self.port, "name");
        if !name.is_empty() && self.port["name"] == other.port["name"] {
            return Some(format!("The port name `{name}` is used twice."));
        }
        let is_other_container = self.container != other.container;
        if is_shared && is_other_container && ports_overlap(self.port, other.port) {
            let port = shown_port(other.port);
            return Some(format!("Two containers of the task use port {port}, and they share one network."));
        }
        let protocol = |port: &Value| str_field(port, "protocol") == "udp";
        let host = self.port["hostPort"].as_i64().filter(|host| *host != 0)?;
        let is_same = other.port["hostPort"].as_i64() == Some(host);
        let is_twice = !is_shared && is_same && protocol(self.port) == protocol(other.port);
        is_twice.then(|| format!("The host port {host} is set twice in the task."))
    }
}
