//! The first sentence of every sink: how the run ended and which version serves.

use super::pull_request;
use super::run_report::{RunReport, ServiceReport};
use super::text::{TextStyle, format_duration, join_with_and, pluralize};
use crate::problem::{Code, Severity};
use crate::release::{Failure, Outcome};

/// The sentence, with its icon in front.
pub fn headline(report: &RunReport, style: TextStyle) -> String {
    let environment = match &report.environment {
        Some(environment) => format!("{}: ", style.format_prose(environment)),
        None => String::new(),
    };
    let sentence = match (report.outcome, report.services.as_slice()) {
        (Outcome::Skipped, services) => skipped_sentence(report, services, style),
        (Outcome::Invalid, services) if services.iter().all(is_untouched) => {
            invalid_sentence(report, services, style)
        }
        (Outcome::Planned, services) => plan_sentence(services, &report.operation, style),
        (outcome, []) => run_sentence(report, outcome, style),
        (_, [service]) => {
            format!(
                "{} {}",
                style.format_name(&service.name),
                service_sentence(service, &report.operation, style)
            )
        }
        (outcome, services) => services_sentence(outcome, services, &report.operation, style),
    };
    let awaited = awaited_merge(report, style);
    format!("{} {environment}{sentence}{awaited}", icon(report.outcome))
}

/// The pull requests to merge, for a proposed release.
fn awaited_merge(report: &RunReport, style: TextStyle) -> String {
    if report.outcome != Outcome::Proposed {
        return String::new();
    }
    match pull_request::awaited_links(report, style).as_slice() {
        [] => " — merge the pull request to deploy it".into(),
        links => format!(" — merge {} to deploy it", join_with_and(links)),
    }
}

/// One icon per kind of outcome; the text states the same.
pub fn icon(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Deployed | Outcome::Unchanged | Outcome::Verified | Outcome::RolledBack => "✅",
        Outcome::Committed | Outcome::Proposed => "📨",
        Outcome::Planned => "📋",
        Outcome::Skipped | Outcome::Superseded => "⏩",
        Outcome::Invalid | Outcome::Failed => "❌",
        Outcome::Stranded => "🚨",
        Outcome::Inconclusive => "❔",
        Outcome::Cancelled => "🛑",
    }
}

/// The serving version, and whether it is the old or the new one.
pub fn serving_sentence(service: &ServiceReport, style: TextStyle) -> String {
    let Some(serves) = &service.serving_version else {
        if service.problems.iter().any(|problem| problem.code == Code::NothingRuns) {
            return "nothing runs, because the desired count is 0".into();
        }
        if let Some(failure) = service.failure.as_ref().filter(|it| is_known_unhealthy(it)) {
            return failure.problem.sentence.trim_end_matches('.').to_owned();
        }
        return "the serving version is unknown".into();
    };
    let label = style.format_name(&serves.label);
    if service.previous_version.as_ref() == Some(serves) {
        format!("{label} serves, as before")
    } else if service.version.as_ref() == Some(serves) {
        format!("the new version {label} serves")
    } else {
        format!("{label} serves")
    }
}

/// The text after the name of the only service.
fn service_sentence(service: &ServiceReport, operation: &str, style: TextStyle) -> String {
    let serves = serving_sentence(service, style);
    let label = service.serving_version.as_ref().map(|version| style.format_name(&version.label));
    match (service.outcome, label) {
        (Outcome::Deployed, Some(label)) => {
            format!(
                "deployed; {label} serves 100 % of traffic (verified in {})",
                format_duration(service.elapsed)
            )
        }
        (Outcome::Unchanged, Some(label)) => format!("is unchanged — {label} already serves"),
        (Outcome::Proposed, None) => outcome_phrase(service, service.outcome, operation).into(),
        (Outcome::Verified, Some(label)) => format!("{label} serves and is healthy"),
        (Outcome::RolledBack, Some(label)) => {
            format!(
                "rolled back; {label} serves 100 % of traffic (verified in {})",
                format_duration(service.elapsed)
            )
        }
        (Outcome::Failed | Outcome::Inconclusive, Some(label)) if operation == "verify" => {
            format!("{} — {label} serves", unverified_phrase(service))
        }
        (outcome, _) => format!("{} — {serves}", outcome_phrase(service, outcome, operation)),
    }
}

/// What happened, without the serving version.
fn outcome_phrase(service: &ServiceReport, outcome: Outcome, operation: &str) -> &'static str {
    match outcome {
        Outcome::Deployed => "is deployed",
        Outcome::Committed => "is committed; its rollout was not watched",
        Outcome::Proposed => "is proposed",
        Outcome::Unchanged => "is unchanged",
        Outcome::Planned => "is planned",
        Outcome::Verified => "is verified",
        Outcome::RolledBack => "is rolled back",
        Outcome::Skipped => "was not changed",
        Outcome::Invalid => "was not started",
        Outcome::Failed | Outcome::Inconclusive if operation == "verify" => unverified_phrase(service),
        Outcome::Failed if has_failed_with(service, Code::NotHealthy) => {
            "is deployed already and is not healthy; nothing was moved"
        }
        Outcome::Failed if has_failed_with(service, Code::BeforeFailed) => {
            "was not released: its `before` command did not succeed"
        }
        Outcome::Failed if has_failed_with(service, Code::RolledBackWithPeers) => {
            "was rolled back with the others"
        }
        Outcome::Failed if service.failure.is_none() => "failed before anything was moved",
        Outcome::Failed if operation == "rollback" => {
            "could not be rolled back; the version before was restored"
        }
        Outcome::Failed if service.serving_version.is_none() => "failed",
        Outcome::Failed => "failed and was rolled back",
        Outcome::Stranded => stranded_phrase(service, operation),
        Outcome::Superseded => "was superseded by a newer deployment, which was not changed",
        Outcome::Inconclusive => "could not be judged: too little data",
        Outcome::Cancelled => "was cancelled",
    }
}

fn unverified_phrase(service: &ServiceReport) -> &'static str {
    match service.failure.as_ref().map(|failure| failure.problem.code) {
        Some(Code::CheckFailed | Code::TimedOut) => "failed its checks",
        _ if service.outcome == Outcome::Inconclusive => "is not known to be healthy",
        _ if service.failure.as_ref().is_some_and(is_known_unhealthy) => "is not healthy",
        Some(Code::NotHealthy | Code::ConnectionFailed | Code::ProviderError | Code::CredentialsMissing) => {
            "is not known to be healthy"
        }
        _ => "is not healthy",
    }
}

/// Whether a service is known not to be healthy, and not only not known to be healthy.
fn is_known_unhealthy(failure: &Failure) -> bool {
    failure.problem.code == Code::NotHealthy && failure.permanent
}

fn has_failed_with(service: &ServiceReport, code: Code) -> bool {
    service.failure.as_ref().is_some_and(|failure| failure.problem.code == code)
}

fn stranded_phrase(service: &ServiceReport, operation: &str) -> &'static str {
    let code = service.failure.as_ref().map(|failure| failure.problem.code);
    if matches!(code, Some(Code::CredentialsMissing | Code::RoleRefused)) {
        "needs manual action: the credentials expired during the rollout"
    } else if code == Some(Code::ChangeOutcomeUnknown) {
        "needs manual action: its rollout was requested, and it is not known what became of it"
    } else if service.problems.iter().any(|problem| problem.code == Code::ChangeOutcomeUnknown) {
        "needs manual action: the new version failed, and its rollback was not confirmed"
    } else if service.problems.iter().any(|problem| problem.code == Code::RollbackTargetMissing) {
        "needs manual action: the new version failed, and there is no earlier version to roll back to"
    } else if service.problems.iter().any(|problem| problem.code == Code::FailedVersionKept) {
        "needs manual action: the new version failed and was kept (`on-failure: leave`)"
    } else if operation == "rollback" {
        "needs manual action: the rollback version failed, and the version before could not be restored"
    } else {
        "needs manual action: the new version failed, and the rollback failed"
    }
}

/// Several services: those that decide the outcome by name, the others by number.
fn services_sentence(
    outcome: Outcome,
    services: &[ServiceReport],
    operation: &str,
    style: TextStyle,
) -> String {
    // A run that refused a service and changed another one has failed, without a service that has.
    let has_own = services.iter().any(|service| service.outcome == outcome);
    let decides = if has_own || outcome != Outcome::Failed { outcome } else { Outcome::Invalid };
    let (decisive, others): (Vec<_>, Vec<_>) =
        services.iter().partition(|service| service.outcome == decides);
    if outcome.exit_code() == 0 {
        return success_sentence(services);
    }
    let lead = match decisive.as_slice() {
        [] => format!("{} ended as {outcome}", pluralize(services.len(), "service")),
        [one] => {
            let what = outcome_phrase(one, decides, operation);
            format!("{} {what} ({})", style.format_name(&one.name), serving_sentence(one, style))
        }
        few if few.len() <= 3 => {
            let names: Vec<String> = few.iter().map(|service| style.format_name(&service.name)).collect();
            let what = plural_phrase(decides, operation);
            format!("{} {what}{}", join_with_and(&names), joint_serving_phrase(few))
        }
        many => format!("{} of {} services: {decides}", many.len(), services.len()),
    };
    let rest = count_outcomes(others);
    if rest.is_empty() { lead } else { format!("{lead} — {rest}") }
}

/// The outcome of several services; a heading has no room for each.
fn plural_phrase(outcome: Outcome, operation: &str) -> &'static str {
    match outcome {
        Outcome::Failed => "failed",
        Outcome::Stranded => "need manual action",
        Outcome::Superseded => "were superseded by newer deployments",
        Outcome::Inconclusive if operation == "verify" => "are not known to be healthy",
        Outcome::Inconclusive => "could not be judged: too little data",
        Outcome::Cancelled => "were cancelled",
        Outcome::Invalid => "were not started",
        other => other.as_str(),
    }
}

/// The serving versions of several services in few words; the table lists them.
fn joint_serving_phrase(services: &[&ServiceReport]) -> &'static str {
    let serves_previous = |service: &&ServiceReport| {
        service.serving_version.is_some() && service.serving_version == service.previous_version
    };
    if services.iter().all(serves_previous) {
        "; their previous versions serve"
    } else if services.iter().any(|service| service.serving_version.is_none()) {
        "; some serving versions are unknown"
    } else {
        ""
    }
}

/// A skipped service was not changed, so only the numbers are known for all.
fn success_sentence(services: &[ServiceReport]) -> String {
    let serves = |service: &ServiceReport| {
        matches!(
            service.outcome,
            Outcome::Deployed | Outcome::Unchanged | Outcome::Verified | Outcome::RolledBack
        )
    };
    let numbers = count_outcomes(services);
    if services.iter().all(serves) {
        format!("all {} services serve the requested version — {numbers}", services.len())
    } else {
        numbers
    }
}

/// Whether the run cannot have changed this service.
fn is_untouched(service: &ServiceReport) -> bool {
    matches!(service.outcome, Outcome::Invalid | Outcome::Skipped | Outcome::Unchanged | Outcome::Planned)
}

/// `2 deployed, 1 unchanged`, in the order of the documentation.
fn count_outcomes<'a>(services: impl IntoIterator<Item = &'a ServiceReport>) -> String {
    let outcomes: Vec<Outcome> = services.into_iter().map(|service| service.outcome).collect();
    let number = |outcome: &Outcome| outcomes.iter().filter(|other| *other == outcome).count();
    let told =
        Outcome::ALL.iter().map(|outcome| (number(outcome), outcome)).filter(|(number, _)| *number > 0);
    told.map(|(number, outcome)| format!("{number} {outcome}")).collect::<Vec<_>>().join(", ")
}

fn skipped_sentence(report: &RunReport, services: &[ServiceReport], style: TextStyle) -> String {
    match (&report.reason, services) {
        (Some(reason), _) => format!("nothing to do — {}", style.format_prose(reason)),
        (None, [service]) => format!("nothing to do — {}", serving_sentence(service, style)),
        (None, _) => "nothing to do".into(),
    }
}

fn invalid_sentence(report: &RunReport, services: &[ServiceReport], style: TextStyle) -> String {
    let errors = report.problems_of(Severity::Error).len();
    let todo = match errors {
        0 => String::new(),
        1 => " — 1 problem to fix first".into(),
        n => format!(" — {n} problems to fix first"),
    };
    let serves = match services {
        [service] if service.serving_version.is_some() => format!("; {}", serving_sentence(service, style)),
        _ => String::new(),
    };
    format!("nothing was changed{todo}{serves}")
}

fn plan_sentence(services: &[ServiceReport], operation: &str, style: TextStyle) -> String {
    let changing: Vec<&ServiceReport> =
        services.iter().filter(|service| !service.changes.is_empty()).collect();
    let would = match (changing.as_slice(), services.len()) {
        ([one], 1) if operation == "rollback" => {
            let label =
                one.version.as_ref().map_or_else(String::new, |version| style.format_name(&version.label));
            format!("{} would roll back to {label}", style.format_name(&one.name))
        }
        ([], _) => "nothing would change".into(),
        ([one], 1) => format!("{} would get {}", style.format_name(&one.name), change_count(one)),
        (some, all) => format!("{} of {} would change", some.len(), pluralize(all, "service")),
    };
    format!("{would} — plan only, no changes were made")
}

fn change_count(service: &ServiceReport) -> String {
    pluralize(service.changes.0.len(), "change")
}

fn run_sentence(report: &RunReport, outcome: Outcome, style: TextStyle) -> String {
    let reason = report.reason.as_ref().map(|reason| format!(" — {}", style.format_prose(reason)));
    let word = match outcome {
        Outcome::Cancelled => "cancelled before anything was changed",
        Outcome::Failed => "failed before anything was changed",
        Outcome::Stranded => "manual action required",
        _ => outcome.as_str(),
    };
    format!("{word}{}", reason.unwrap_or_default())
}

#[cfg(test)]
#[path = "headline_tests.rs"]
mod tests;
