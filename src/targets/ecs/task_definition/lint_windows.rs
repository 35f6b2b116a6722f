//! Members that Windows containers do not support (API ContainerDefinition, member by member). Pure.

use serde_json::Value;

use super::lint::{Findings, LintedContainer};

const UNSUPPORTED: [&str; 10] = [
    "disableNetworking",
    "dnsSearchDomains",
    "dnsServers",
    "extraHosts",
    "links",
    "linuxParameters",
    "privileged",
    "readonlyRootFilesystem",
    "ulimits",
    "user",
];

/// Warns about each of them that is set to anything: AWS registers it, and the container starts without it.
pub fn check_container(linted: &LintedContainer<'_>, findings: &mut Findings<'_>) {
    for member in UNSUPPORTED.into_iter().filter(|member| is_set(&linted.container[*member])) {
        let sentence = format!("Windows containers do not support `{member}`.");
        findings.warning(&linted.pointer(member), sentence, "Remove it.");
    }
}

fn is_set(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}
