//! Rules for the process in a container: health check, restarts, limits, environment files. Ranges of numbers are in
//! `schema_rules.rs`. Pure.

use super::super::read::{list_field, str_field};
use super::lint::{Findings, LintedContainer, duplicates};

/// Checks one container.
pub fn check(linted: &LintedContainer<'_>, findings: &mut Findings<'_>) {
    check_health_check(linted, findings);
    check_restart_policy(linted, findings);
    check_ulimits(linted, findings);
    check_environment_files(linted, findings);
}

fn check_health_check(linted: &LintedContainer<'_>, findings: &mut Findings<'_>) {
    let check = &linted.container["healthCheck"];
    let command = list_field(check, "command");
    if check["command"].is_array()
        && command.len() < 2
        && command.first().is_none_or(|only| only == "CMD" || only == "CMD-SHELL")
    {
        let sentence = "The health check has no command.";
        let help = "Write [\"CMD-SHELL\", \"curl -f http://localhost/ || exit 1\"].";
        findings.error(&linted.pointer("healthCheck/command"), sentence, help);
    }
    if command.first().is_some_and(|first| first != "CMD" && first != "CMD-SHELL") {
        let help = "Write [\"CMD-SHELL\", \"curl -f http://localhost/ || exit 1\"].";
        let sentence = "The command of a health check must begin with CMD or CMD-SHELL.";
        findings.error(&linted.pointer("healthCheck/command"), sentence, help);
    }
}

fn check_restart_policy(linted: &LintedContainer<'_>, findings: &mut Findings<'_>) {
    let policy = &linted.container["restartPolicy"];
    if list_field(policy, "ignoredExitCodes").len() > 50 {
        let pointer = linted.pointer("restartPolicy/ignoredExitCodes");
        findings.error(&pointer, "At most 50 exit codes can be ignored.", "Remove some.");
    }
}

fn check_ulimits(linted: &LintedContainer<'_>, findings: &mut Findings<'_>) {
    let limits = list_field(linted.container, "ulimits");
    for (index, name) in duplicates(limits, "name") {
        let pointer = linted.pointer(&format!("ulimits/{index}"));
        findings.warning(&pointer, format!("The limit `{name}` is set twice."), "Remove one.");
    }
    for (index, limit) in limits.iter().enumerate() {
        let (soft, hard) = (limit["softLimit"].as_i64(), limit["hardLimit"].as_i64());
        let is_above = soft.zip(hard).is_some_and(|(soft, hard)| soft > hard && hard >= 0);
        if is_above {
            let pointer = linted.pointer(&format!("ulimits/{index}/softLimit"));
            findings.warning(&pointer, "`softLimit` is more than `hardLimit`.", "Lower it.");
        }
    }
}

fn check_environment_files(linted: &LintedContainer<'_>, findings: &mut Findings<'_>) {
    let files = list_field(linted.container, "environmentFiles");
    if files.len() > 10 {
        let pointer = linted.pointer("environmentFiles");
        findings.error(&pointer, "A container can have at most 10 environment files.", "Remove some.");
    }
    for (index, file) in files.iter().enumerate() {
        let value = str_field(file, "value");
        if !value.is_empty() && !is_object_arn(&value) {
            let pointer = linted.pointer(&format!("environmentFiles/{index}/value"));
            let help = "Write arn:aws:s3:::BUCKET/PATH.env.";
            let sentence = format!("`{value}` is not the ARN of a file with the extension .env in S3.");
            findings.error(&pointer, sentence, help);
        }
    }
}

fn is_object_arn(value: &str) -> bool {
    let parts: Vec<&str> = value.splitn(6, ':').collect();
    let is_object = |path: &str| path.split_once('/').is_some_and(|(_, key)| key.ends_with(".env"));
    matches!(parts[..], ["arn", _, "s3", _, _, path] if is_object(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_files_are_objects_of_s3() {
        for good in ["arn:aws:s3:::b/a.env", "arn:aws-cn:s3:::b/x/a.env"] {
            assert!(is_object_arn(good), "{good}");
        }
        for bad in ["https://example.com/a.env", "s3://b/a.env", "arn:aws:s3:::b/a.txt", "arn:aws:s3:::b"] {
            assert!(!is_object_arn(bad), "{bad}");
        }
    }
}
