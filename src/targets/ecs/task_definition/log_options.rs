//! Options of log drivers and of log routers: data and rules, from the reference of LogConfiguration and
//! FirelensConfiguration. Pure.

use serde_json::Value;

use super::super::read::list_field;
use super::lint::{Findings, LintedContainer};
use crate::problem::suggest;

/// Options of awslogs: those that the reference of ECS lists, then those that only Docker's manual lists.
const AWSLOGS: [&str; 17] = [
    "awslogs-create-group",
    "awslogs-datetime-format",
    "awslogs-group",
    "awslogs-multiline-pattern",
    "awslogs-region",
    "awslogs-stream-prefix",
    "max-buffer-size",
    "mode",
    "awslogs-credentials-endpoint",
    "awslogs-endpoint",
    "awslogs-force-flush-interval-seconds",
    "awslogs-format",
    "awslogs-max-buffered-events",
    "awslogs-stream",
    "env",
    "labels",
    "tag",
];

/// The options that a driver requires.
fn required_options(driver: &str, is_fargate: bool) -> &'static [&'static str] {
    match driver {
        "awslogs" if is_fargate => &["awslogs-group", "awslogs-region", "awslogs-stream-prefix"],
        "awslogs" => &["awslogs-group", "awslogs-region"],
        "splunk" => &["splunk-token", "splunk-url"],
        _ => &[],
    }
}

/// Checks the options of a driver.
pub fn check_driver(
    linted: &LintedContainer<'_>,
    driver: &str,
    is_fargate: bool,
    findings: &mut Findings<'_>,
) {
    let logs = &linted.container["logConfiguration"];
    let secrets = list_field(logs, "secretOptions");
    for option in required_options(driver, is_fargate) {
        let is_secret = secrets.iter().any(|secret| secret["name"] == *option);
        if !is_secret && logs["options"][option].as_str().is_none_or(str::is_empty) {
            let sentence = format!("The {driver} driver requires `{option}`.");
            findings.error(&linted.pointer("logConfiguration"), sentence, "Add it to `options`.");
        }
    }
    if driver == "awslogs" {
        check_awslogs(linted, &logs["options"], findings);
    }
    // The options of awsfirelens are those of a plugin of the router.
    let mode = logs["options"]["mode"].as_str();
    if driver != "awsfirelens" && mode.is_some_and(|mode| !matches!(mode, "blocking" | "non-blocking")) {
        let sentence = format!("The `mode` of a log driver is {}.", logs["options"]["mode"]);
        let pointer = linted.pointer("logConfiguration/options/mode");
        findings.error(&pointer, sentence, "Supported: blocking, non-blocking.");
    }
}

fn check_awslogs(linted: &LintedContainer<'_>, options: &Value, findings: &mut Findings<'_>) {
    let at =
        |option: &str| linted.pointer(&format!("logConfiguration/options/{}", option.replace('/', "~1")));
    // amazon-ecs-firelens-examples#83: AWS refuses options that the driver does not know.
    for option in options.as_object().into_iter().flat_map(|given| given.keys()) {
        if !AWSLOGS.contains(&option.as_str()) {
            let near = suggest(option, AWSLOGS.iter().copied());
            let help = near.map_or_else(|| "Remove it.".into(), |near| format!("Did you mean `{near}`?"));
            findings.error(&at(option), format!("The awslogs driver has no option `{option}`."), &help);
        }
    }
    // tflint-ruleset-aws#348.
    if options["awslogs-create-group"].as_str().is_some_and(|value| value != "true") {
        let sentence = "`awslogs-create-group` can be \"true\" only.";
        findings.error(&at("awslogs-create-group"), sentence, "Write \"true\", or remove it.");
    }
    if options["awslogs-datetime-format"].is_string() && options["awslogs-multiline-pattern"].is_string() {
        let sentence = "`awslogs-datetime-format` and `awslogs-multiline-pattern` cannot be used together.";
        findings.warning(&at("awslogs-multiline-pattern"), sentence, "Remove one of them.");
    }
}

/// Checks the options of a log router.
pub fn check_router(linted: &LintedContainer<'_>, findings: &mut Findings<'_>) {
    let options = &linted.container["firelensConfiguration"]["options"];
    let at = |option: &str| linted.pointer(&format!("firelensConfiguration/options/{option}"));
    let pairs = [("config-file-type", ["s3", "file"]), ("enable-ecs-log-metadata", ["true", "false"])];
    for (option, known) in pairs {
        if options[option].as_str().is_some_and(|value| !known.contains(&value)) {
            let sentence = format!("`{option}` is {}.", options[option]);
            findings.error(&at(option), sentence, &format!("Supported: {}.", known.join(", ")));
        }
    }
    let is_given = |option: &str| options[option].as_str().is_some_and(|value| !value.is_empty());
    for (given, missing) in
        [("config-file-type", "config-file-value"), ("config-file-value", "config-file-type")]
    {
        if is_given(given) && !is_given(missing) {
            findings.error(
                &at(given),
                format!("`{given}` requires `{missing}`."),
                &format!("Add `{missing}`."),
            );
        }
    }
}
