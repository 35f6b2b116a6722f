//! Rules for log drivers and for FireLens. Pure.

use serde_json::Value;

use super::super::read::str_field;
use super::definition::containers;
use super::lint::{Findings, LintedContainer, is_fargate};
use super::log_options;

const LOG_DRIVERS: [&str; 8] =
    ["json-file", "syslog", "journald", "gelf", "fluentd", "awslogs", "splunk", "awsfirelens"];

/// Checks the log driver of a container, and its settings as a FireLens router.
pub fn check(linted: &LintedContainer<'_>, findings: &mut Findings<'_>) {
    check_driver(linted, findings);
    let router = &linted.container["firelensConfiguration"];
    if !router.is_object() {
        return;
    }
    let user = str_field(linted.container, "user");
    if !matches!(user.split(':').next(), None | Some("" | "0")) {
        let sentence = format!("The user of a FireLens router must be 0, not `{user}`.");
        findings.error(&linted.pointer("user"), sentence, "Remove `user`, or write \"0\".");
    }
    log_options::check_router(linted, findings);
}

fn check_driver(linted: &LintedContainer<'_>, findings: &mut Findings<'_>) {
    let logs = &linted.container["logConfiguration"];
    let Some(driver) = logs["logDriver"].as_str().filter(|driver| !driver.is_empty()) else { return };
    let fargate = is_fargate(linted.definition);
    let known: &[&str] = if fargate { &["awslogs", "splunk", "awsfirelens"] } else { &LOG_DRIVERS };
    if !known.contains(&driver) {
        let help = format!("Supported: {}.", known.join(", "));
        let pointer = linted.pointer("logConfiguration/logDriver");
        findings.error(&pointer, format!("The log driver is `{driver}`."), &help);
    }
    log_options::check_driver(linted, driver, fargate, findings);
}

/// A log router and the containers that log through it need each other, and there is one router.
pub fn check_routers(definition: &Value, findings: &mut Findings<'_>) {
    let all = containers(definition);
    let is_router = |container: &&Value| container["firelensConfiguration"].is_object();
    let logs_through = |container: &Value| container["logConfiguration"]["logDriver"] == "awsfirelens";
    let routers: Vec<usize> = (0..all.len()).filter(|index| is_router(&&all[*index])).collect();
    let at = |index: &usize| format!("/containerDefinitions/{index}/firelensConfiguration");
    match routers.as_slice() {
        [] => {
            for index in (0..all.len()).filter(|index| logs_through(&all[*index])) {
                let pointer = format!("/containerDefinitions/{index}/logConfiguration/logDriver");
                let sentence = "The log driver `awsfirelens` needs a container with `firelensConfiguration`.";
                findings.error(&pointer, sentence, "Add a log router.");
            }
        }
        [first, others @ ..] => {
            if !all.iter().any(logs_through) {
                let sentence = "No container logs through this router.";
                let help =
                    "Set the log driver `awsfirelens` on a container, or remove `firelensConfiguration`.";
                findings.error(&at(first), sentence, help);
            }
            for other in others {
                findings.error(&at(other), "A task can have one FireLens router.", "Remove the others.");
            }
        }
    }
}
