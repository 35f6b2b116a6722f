//! What AWS's text about a stopped task means. Pure. The table is in `stop_rules`; a text without a rule is judged by its
//! stop code.

use super::stop_rule::{Origin, Row, StopRule, Weight};
use super::stop_rules::ROWS;
use crate::problem::Code;

/// The rule of a text of AWS; `None` if it has none.
pub fn find_rule(text: &str) -> Option<&'static StopRule> {
    let text = normalize(text);
    let fits = |row: &&Row| row.words.iter().all(|any| any.iter().any(|word| text.contains(word)));
    ROWS.iter().find(fits).map(|row| &row.rule)
}

/// The rule of a stop code, for a reason that has no rule.
pub fn rule_of_stop_code(stop_code: &str) -> StopRule {
    let rerun = "Run the job again. The new version is not the cause.";
    let look_up =
        "Look up the text of AWS in \"Stopped tasks error messages\" of the Amazon ECS Developer Guide.";
    let stopped = |sentence, help| StopRule::platform(Weight::Harmless, Code::TaskStopped, sentence, help);
    let unknown = |sentence| StopRule {
        origin: Origin::Unknown,
        weight: Weight::FailedTask,
        code: Code::TaskStopped,
        sentence,
        help: look_up,
    };
    match stop_code {
        "TaskFailedToStart" => unknown("The task failed to start."),
        "EssentialContainerExited" => StopRule::version(
            Weight::FailedTask,
            Code::ContainerExited,
            "An essential container of the task exited.",
            "Check its log lines.",
        ),
        "UserInitiated" => StopRule {
            origin: Origin::Person,
            ..stopped(
                "A person or a tool stopped the task.",
                "Find the caller of `StopTask` in CloudTrail. The new version is not the cause.",
            )
        },
        "SpotInterruption" => stopped("AWS took the Spot capacity of the task back.", rerun),
        "TerminationNotice" => stopped("AWS stopped the task because its host ends.", rerun),
        "ServiceSchedulerInitiated" => {
            stopped("The ECS scheduler stopped the task.", "Check the events of the service.")
        }
        _ => unknown("A task stopped."),
    }
}

/// In lower case, between blanks, and without names that users choose: image references, ARNs, paths and addresses.
fn normalize(text: &str) -> String {
    let is_name = |word: &str| {
        (word.contains('/') && word != "i/o") || word.contains("sha256:") || word.contains("arn:aws")
    };
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower.split_whitespace().filter(|word| !is_name(word)).collect();
    format!(" {} ", words.join(" "))
}
