//! Rules for containers: names, images, ports, health checks, environment, logs, dependencies. Pure.

use serde_json::Value;

use super::changes;
use super::definition::{containers, is_essential};
use super::lint::{Findings, doubles, is_fargate, is_name, one_of};
use super::read::{list, text};
use crate::problem::{Code, Problem};

/// Checks all containers and how they depend on each other.
pub fn check_all(definition: &Value, findings: &mut Findings<'_>) {
    let all = containers(definition);
    if all.is_empty() {
        return findings.error("", "The task definition has no containers.", "Add `containerDefinitions`.");
    }
    for (index, name) in doubles(all, "name") {
        let pointer = format!("/containerDefinitions/{index}/name");
        findings.error(&pointer, format!("Two containers are named `{name}`."), "Names must be unique.");
    }
    if !all.iter().any(is_essential) {
        findings.error("/containerDefinitions", "No container is essential.", "Make one `essential: true`.");
    }
    for (index, container) in all.iter().enumerate() {
        let at = format!("/containerDefinitions/{index}");
        one(definition, container, &at, findings);
    }
    super::lint_depends::check(all, findings);
}

fn one(definition: &Value, container: &Value, at: &str, findings: &mut Findings<'_>) {
    let name = text(container, "name");
    if !is_name(&name) {
        let sentence = if name.is_empty() {
            "A container has no name.".into()
        } else {
            format!("`{name}` is no container name.")
        };
        findings.error(&format!("{at}/name"), sentence, "Use 1 to 255 letters, digits, - and _.");
    }
    image(container, at, findings);
    memory(definition, container, at, findings);
    health_check(container, at, findings);
    environment(container, at, findings);
    ports(definition, container, at, findings);
    logs(definition, container, at, findings);
    if is_fargate(definition) {
        fargate(container, at, findings);
    }
}

fn image(container: &Value, at: &str, findings: &mut Findings<'_>) {
    let Some(image) = container["image"].as_str() else {
        return findings.error(at, "A container has no image.", "Set `image`; the deployed one replaces it.");
    };
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._:/#-".contains(&b);
    let good_digest = digest.is_none_or(|digest| digest.parse::<crate::release::Digest>().is_ok());
    // A placeholder such as <IMAGE1_NAME> is common and is replaced.
    let placeholder = image.starts_with(['<', '$', '{']);
    if !placeholder && (name.is_empty() || name.len() > 255 || !name.bytes().all(allowed) || !good_digest) {
        let help = "Write registry/repository:tag or registry/repository@sha256:….";
        findings.error(&format!("{at}/image"), format!("`{image}` is not an image reference."), help);
    }
}

fn memory(definition: &Value, container: &Value, at: &str, findings: &mut Findings<'_>) {
    let (hard, soft) = (container["memory"].as_u64(), container["memoryReservation"].as_u64());
    for (key, size) in [("memory", hard), ("memoryReservation", soft)] {
        if size.is_some_and(|size| size < 6) {
            findings.error(&format!("{at}/{key}"), format!("`{key}` is at least 6 MiB."), "");
        }
    }
    if let (Some(hard), Some(soft)) = (hard, soft)
        && hard <= soft
    {
        let sentence = format!("`memory` ({hard}) must be more than `memoryReservation` ({soft}).");
        findings.error(&format!("{at}/memory"), sentence, "");
    }
    if definition.get("memory").is_none() && hard.is_none() && soft.is_none() {
        let sentence = "Neither the task nor the container says its memory.";
        findings.error(at, sentence, "Set `memory` of the task, or `memory` or `memoryReservation` here.");
    }
}

fn health_check(container: &Value, at: &str, findings: &mut Findings<'_>) {
    let check = &container["healthCheck"];
    if !check.is_object() {
        return;
    }
    let pointer = format!("{at}/healthCheck");
    let command = list(check, "command");
    if !command.first().is_some_and(|first| first == "CMD" || first == "CMD-SHELL") {
        let help = "Write [\"CMD-SHELL\", \"curl -f http://localhost/ || exit 1\"].";
        findings.error(
            &format!("{pointer}/command"),
            "The command of a health check begins with CMD or CMD-SHELL.",
            help,
        );
    }
    for (key, least, most) in
        [("interval", 5, 300), ("timeout", 2, 60), ("retries", 1, 10), ("startPeriod", 0, 300)]
    {
        if check[key].as_i64().is_some_and(|value| !(least..=most).contains(&value)) {
            let sentence = format!("`{key}` of a health check is {least} to {most}.");
            findings.error(&format!("{pointer}/{key}"), sentence, "");
        }
    }
}

fn environment(container: &Value, at: &str, findings: &mut Findings<'_>) {
    let (plain, secrets) = (list(container, "environment"), list(container, "secrets"));
    for (key, items) in [("environment", plain), ("secrets", secrets)] {
        for (index, name) in doubles(items, "name") {
            let pointer = format!("{at}/{key}/{index}");
            findings.error(
                &pointer,
                format!("`{name}` stands twice in `{key}`."),
                "The last would win; remove one.",
            );
        }
    }
    for (index, variable) in plain.iter().enumerate() {
        let (name, pointer) = (text(variable, "name"), format!("{at}/environment/{index}"));
        if name.is_empty() {
            findings.error(&pointer, "A variable has no name.", "Write {\"name\": …, \"value\": …}.");
        }
        if secrets.iter().any(|secret| secret["name"] == name.as_str()) {
            let sentence = format!("`{name}` is both in `environment` and in `secrets`.");
            findings.error(&pointer, sentence, "Remove one of the two.");
        }
        if looks_secret(&name, variable["value"].as_str().unwrap_or_default()) {
            findings.add(&pointer, in_plain_text(&name));
        }
    }
    for (index, secret) in secrets.iter().enumerate() {
        if text(secret, "valueFrom").is_empty() || text(secret, "name").is_empty() {
            let pointer = format!("{at}/secrets/{index}");
            findings.error(&pointer, "A secret needs `name` and `valueFrom`.", "");
        }
    }
}

/// The warning about a secret in plain text.
pub fn in_plain_text(name: &str) -> Problem {
    let sentence = format!("`{name}` looks like a secret and stands in plain text.");
    let help = "Move it to `secrets` with a Secrets Manager or Parameter Store ARN.";
    Problem::warning(Code::SecretInPlainText, sentence).help(help)
}

/// A name that says secret with a value that could be one; or a value that is a well-known kind of one.
pub fn looks_secret(name: &str, value: &str) -> bool {
    let reference = ["arn:", "http://", "https://", "/"].iter().any(|start| value.starts_with(start));
    let harmless = value.len() < 8 || value.starts_with(['<', '$']) || value == "true" || value == "false";
    let known = ["AKIA", "ASIA", "ghp_", "github_pat_", "xoxb-", "sk_live_", "-----BEGIN"];
    let lower = name.to_ascii_lowercase();
    let about = ["_id", "_name", "_url", "_path", "_file", "_arn"].iter().any(|end| lower.ends_with(end));
    known.iter().any(|start| value.starts_with(start))
        || (changes::secret(name) && !reference && !harmless && !about)
}

fn ports(definition: &Value, container: &Value, at: &str, findings: &mut Findings<'_>) {
    let ports = list(container, "portMappings");
    for (index, port) in ports.iter().enumerate() {
        let pointer = format!("{at}/portMappings/{index}");
        one_port(definition, port, &pointer, findings);
        one_of(port, "/protocol", &["tcp", "udp"], findings);
        let number = &port["containerPort"];
        if number.is_number() && ports[..index].iter().any(|earlier| earlier["containerPort"] == *number) {
            findings.error(&pointer, format!("The container port {number} stands twice."), "Remove one.");
        }
    }
}

fn one_port(definition: &Value, port: &Value, pointer: &str, findings: &mut Findings<'_>) {
    let container = port["containerPort"].as_i64();
    if container.is_none() && port.get("containerPortRange").is_none() {
        findings.error(pointer, "A port mapping has no `containerPort`.", "");
    }
    if container.is_some_and(|number| !(1..=65_535).contains(&number)) {
        findings.error(&format!("{pointer}/containerPort"), "A port is 1 to 65535.", "");
    }
    let host = port["hostPort"].as_i64();
    if definition["networkMode"] == "awsvpc" && host.is_some() && host != container {
        let sentence = "With `awsvpc` the host port is the container port.";
        findings.error(&format!("{pointer}/hostPort"), sentence, "Leave `hostPort` out.");
    }
    let name = text(port, "name");
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
    if !name.is_empty() && (name.len() > 64 || name.starts_with('-') || !name.bytes().all(good)) {
        let sentence = format!("`{name}` is not a port name.");
        findings.error(&format!("{pointer}/name"), sentence, "Use up to 64 of a-z, 0-9, _ and -.");
    }
}

const DRIVERS: [&str; 8] =
    ["json-file", "syslog", "journald", "gelf", "fluentd", "awslogs", "splunk", "awsfirelens"];

fn logs(definition: &Value, container: &Value, at: &str, findings: &mut Findings<'_>) {
    let logs = &container["logConfiguration"];
    let Some(driver) = logs["logDriver"].as_str() else { return };
    let pointer = format!("{at}/logConfiguration");
    let known: &[&str] =
        if is_fargate(definition) { &["awslogs", "splunk", "awsfirelens"] } else { &DRIVERS };
    if !known.contains(&driver) {
        let help = format!("Known here are {}.", known.join(", "));
        findings.error(&format!("{pointer}/logDriver"), format!("The log driver is `{driver}`."), &help);
    }
    if driver == "awslogs" {
        let prefix = is_fargate(definition).then_some("awslogs-stream-prefix");
        for option in ["awslogs-group", "awslogs-region"].into_iter().chain(prefix) {
            if logs["options"][option].as_str().is_none_or(str::is_empty) {
                findings.error(
                    &pointer,
                    format!("The awslogs driver needs `{option}`."),
                    "Add it to `options`.",
                );
            }
        }
    }
}

/// What Fargate does not take in a container.
fn fargate(container: &Value, at: &str, findings: &mut Findings<'_>) {
    if container["privileged"] == true {
        findings.error(&format!("{at}/privileged"), "Fargate runs no privileged containers.", "Remove it.");
    }
    for key in ["links", "dockerSecurityOptions", "extraHosts"] {
        if !list(container, key).is_empty() {
            findings.error(&format!("{at}/{key}"), format!("Fargate does not take `{key}`."), "Remove it.");
        }
    }
    for key in ["stopTimeout", "startTimeout"] {
        if container[key].as_i64().is_some_and(|seconds| !(0..=120).contains(&seconds)) {
            findings.error(&format!("{at}/{key}"), format!("`{key}` on Fargate is at most 120 seconds."), "");
        }
    }
    if list(container, "resourceRequirements").iter().any(|needed| needed["type"] == "GPU") {
        findings.error(&format!("{at}/resourceRequirements"), "Fargate has no GPUs.", "Remove it.");
    }
}
