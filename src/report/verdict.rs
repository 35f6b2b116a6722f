//! The one sentence at the top: how it ended and what serves now. The same words in every place.

use super::values::{RunReport, ServiceReport};
use super::words::{Dress, and, count, span};
use crate::problem::{Code, Severity};
use crate::release::Outcome;

/// The sentence, with its sign in front.
pub fn verdict(report: &RunReport, dress: Dress) -> String {
    let place = match &report.environment {
        Some(environment) => format!("{}: ", dress.prose(environment)),
        None => String::new(),
    };
    let sentence = match (report.outcome, report.services.as_slice()) {
        (Outcome::Skipped, services) => skipped(report, services, dress),
        (Outcome::Invalid, services) if services.iter().all(untouched) => invalid(report, services, dress),
        (Outcome::Planned, services) => planned(services, &report.operation, dress),
        (outcome, []) => nothing_known(report, outcome, dress),
        (_, [service]) => {
            format!("{} {}", dress.name(&service.name), one(service, &report.operation, dress))
        }
        (outcome, services) => several(outcome, services, &report.operation, dress),
    };
    format!("{} {place}{sentence}", sign(report.outcome))
}

/// One sign per kind of ending; the words say the same.
pub fn sign(outcome: Outcome) -> &'static str {
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

/// What serves now, in words, and whether that is the old or the new version.
pub fn serving(service: &ServiceReport, dress: Dress) -> String {
    let Some(serves) = &service.serves else {
        return "what serves now is not known".into();
    };
    let label = dress.name(&serves.label);
    if service.previous.as_ref() == Some(serves) {
        format!("{label} serves, as before")
    } else if service.version.as_ref() == Some(serves) {
        format!("{label} serves, the new version")
    } else {
        format!("{label} serves")
    }
}

/// What comes behind the name of the one service.
fn one(service: &ServiceReport, operation: &str, dress: Dress) -> String {
    let serves = serving(service, dress);
    let label = service.serves.as_ref().map(|version| dress.name(&version.label));
    match (service.outcome, label) {
        (Outcome::Deployed, Some(label)) => {
            format!("{label} serves 100 % — proven after {}", span(service.took))
        }
        (Outcome::Unchanged, Some(label)) => format!("is unchanged — {label} already serves"),
        (Outcome::Verified, Some(label)) => format!("{label} serves and is healthy"),
        (Outcome::RolledBack, Some(label)) => {
            format!("is rolled back — {label} serves 100 %, proven after {}", span(service.took))
        }
        (Outcome::Failed, Some(label)) if operation == "verify" => {
            format!("{} — {label} serves", unverified(service))
        }
        (outcome, _) => format!("{} — {serves}", happened(service, outcome, operation)),
    }
}

/// What happened, without what serves.
fn happened(service: &ServiceReport, outcome: Outcome, operation: &str) -> &'static str {
    match outcome {
        Outcome::Deployed => "is deployed",
        Outcome::Committed => "is committed; its rollout was not watched",
        Outcome::Proposed => "is proposed; somebody has to merge it",
        Outcome::Unchanged => "is unchanged",
        Outcome::Planned => "is planned",
        Outcome::Verified => "is verified",
        Outcome::RolledBack => "is rolled back",
        Outcome::Skipped => "was left alone",
        Outcome::Invalid => "was not started",
        Outcome::Failed if operation == "verify" => unverified(service),
        Outcome::Failed if failed_by(service, Code::BeforeFailed) => {
            "was not released: its `before` command did not succeed"
        }
        Outcome::Failed if failed_by(service, Code::TakenBack) => "was taken back with the others",
        Outcome::Failed if service.version.is_none() => "failed before anything was changed",
        Outcome::Failed if operation == "rollback" => "could not be rolled back and was returned",
        Outcome::Failed if service.serves.is_none() => "failed",
        Outcome::Failed => "failed and was rolled back",
        Outcome::Stranded => stranded(service, operation),
        Outcome::Superseded => "was overtaken by a newer deployment, which was left alone",
        Outcome::Inconclusive => "could not be judged: too little data",
        Outcome::Cancelled => "was cancelled",
    }
}

fn unverified(service: &ServiceReport) -> &'static str {
    match service.failure.as_ref().map(|failure| failure.problem.code) {
        Some(Code::CheckFailed | Code::TimedOut) => "does not answer as it should",
        Some(Code::NotHealthy) => "is not known to be healthy",
        _ => "is not healthy",
    }
}

fn failed_by(service: &ServiceReport, code: Code) -> bool {
    service.failure.as_ref().is_some_and(|failure| failure.problem.code == code)
}

fn stranded(service: &ServiceReport, operation: &str) -> &'static str {
    let code = service.failure.as_ref().map(|failure| failure.problem.code);
    if matches!(code, Some(Code::CredentialsMissing | Code::RoleRefused)) {
        "needs a person now: the credentials ended while it was watched"
    } else if service.problems.iter().any(|problem| problem.code == Code::RollbackTargetMissing) {
        "needs a person now: the new version failed, and there is no earlier one to return to"
    } else if service.problems.iter().any(|problem| problem.code == Code::LeftAlone) {
        "needs a person now: the new version failed and stays, as `on-failure: leave` says"
    } else if operation == "rollback" {
        "needs a person now: the version that was returned to failed, and so did the way back from there"
    } else {
        "needs a person now: the new version failed, and so did the rollback"
    }
}

/// Several services: those that decide the outcome by name, the others by number.
fn several(outcome: Outcome, services: &[ServiceReport], operation: &str, dress: Dress) -> String {
    let (decisive, others): (Vec<_>, Vec<_>) =
        services.iter().partition(|service| service.outcome == outcome);
    if outcome.exit_code() == 0 {
        return all_well(services);
    }
    let lead = match decisive.as_slice() {
        [] => format!("{} ended as {outcome}", count(services.len(), "service")),
        few if few.len() <= 3 => {
            let told = |service: &&ServiceReport| {
                let what = happened(service, outcome, operation);
                format!("{} {what} ({})", dress.name(&service.name), serving(service, dress))
            };
            and(&few.iter().map(told).collect::<Vec<_>>())
        }
        many => format!("{} of {} services: {outcome}", many.len(), services.len()),
    };
    let rest = tally(others);
    if rest.is_empty() { lead } else { format!("{lead} — {rest}") }
}

/// A skipped service was left alone, so no more than the numbers can be said of all.
fn all_well(services: &[ServiceReport]) -> String {
    let serves = |service: &ServiceReport| {
        matches!(
            service.outcome,
            Outcome::Deployed | Outcome::Unchanged | Outcome::Verified | Outcome::RolledBack
        )
    };
    let numbers = tally(services);
    if services.iter().all(serves) {
        format!("all {} services serve what was asked for — {numbers}", services.len())
    } else {
        numbers
    }
}

/// Whether nothing can have changed there.
fn untouched(service: &ServiceReport) -> bool {
    matches!(service.outcome, Outcome::Invalid | Outcome::Skipped | Outcome::Unchanged | Outcome::Planned)
}

/// `2 deployed, 1 unchanged`, in the order of the documentation.
fn tally<'a>(services: impl IntoIterator<Item = &'a ServiceReport>) -> String {
    let outcomes: Vec<Outcome> = services.into_iter().map(|service| service.outcome).collect();
    let number = |outcome: &Outcome| outcomes.iter().filter(|other| *other == outcome).count();
    let told =
        Outcome::ALL.iter().map(|outcome| (number(outcome), outcome)).filter(|(number, _)| *number > 0);
    told.map(|(number, outcome)| format!("{number} {outcome}")).collect::<Vec<_>>().join(", ")
}

fn skipped(report: &RunReport, services: &[ServiceReport], dress: Dress) -> String {
    match (&report.reason, services) {
        (Some(reason), _) => format!("nothing to do — {}", dress.prose(reason)),
        (None, [service]) => format!("nothing to do — {}", serving(service, dress)),
        (None, _) => "nothing to do".into(),
    }
}

fn invalid(report: &RunReport, services: &[ServiceReport], dress: Dress) -> String {
    let errors = report.problems_of(Severity::Error).len();
    let todo = match errors {
        0 => String::new(),
        1 => " — 1 problem to fix first".into(),
        n => format!(" — {n} problems to fix first"),
    };
    let serves = match services {
        [service] if service.serves.is_some() => format!("; {}", serving(service, dress)),
        _ => String::new(),
    };
    format!("nothing was changed{todo}{serves}")
}

fn planned(services: &[ServiceReport], operation: &str, dress: Dress) -> String {
    let changing: Vec<&ServiceReport> =
        services.iter().filter(|service| !service.changes.is_empty()).collect();
    let would = match (changing.as_slice(), services.len()) {
        ([one], 1) if operation == "rollback" => {
            let label = one.version.as_ref().map_or_else(String::new, |version| dress.name(&version.label));
            format!("{} would return to {label}", dress.name(&one.name))
        }
        ([], _) => "nothing would change".into(),
        ([one], 1) => format!("{} would change in {}", dress.name(&one.name), places(one)),
        (some, all) => format!("{} of {} would change", some.len(), count(all, "service")),
    };
    format!("{would} — this is a plan, nothing was touched")
}

fn places(service: &ServiceReport) -> String {
    count(service.changes.0.len(), "place")
}

fn nothing_known(report: &RunReport, outcome: Outcome, dress: Dress) -> String {
    let reason = report.reason.as_ref().map(|reason| format!(" — {}", dress.prose(reason)));
    let word = match outcome {
        Outcome::Cancelled => "cancelled before anything was changed",
        Outcome::Failed => "failed before anything was changed",
        Outcome::Stranded => "a person is needed now",
        _ => outcome.word(),
    };
    format!("{word}{}", reason.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    /// Every outcome, for one service and for that one between two others.
    #[test]
    fn every_ending_says_what_serves() {
        let mut said = Vec::new();
        for outcome in Outcome::ALL {
            let mut report = samples::ended(outcome);
            said.push(verdict(&report, Dress::Plain));
            report.services.insert(0, samples::service("worker", Outcome::Deployed));
            report.services.push(samples::service("mailer", Outcome::Unchanged));
            report.outcome = Outcome::worst(report.services.iter().map(|s| s.outcome)).unwrap();
            said.push(verdict(&report, Dress::Plain));
        }
        insta::assert_snapshot!(said.join("\n"), @r#"
        ✅ production: backend backend:42 serves 100 % — proven after 1 min 12 s
        ✅ production: all 3 services serve what was asked for — 2 deployed, 1 unchanged
        📨 production: backend is committed; its rollout was not watched — what serves now is not known
        📨 production: 1 deployed, 1 committed, 1 unchanged
        📨 production: backend is proposed; somebody has to merge it — what serves now is not known
        📨 production: 1 deployed, 1 proposed, 1 unchanged
        ✅ production: backend is unchanged — backend:41 already serves
        ✅ production: all 3 services serve what was asked for — 1 deployed, 2 unchanged
        📋 production: backend would change in 1 place — this is a plan, nothing was touched
        ✅ production: 1 deployed, 1 unchanged, 1 planned
        ✅ production: backend backend:41 serves and is healthy
        ✅ production: all 3 services serve what was asked for — 1 deployed, 1 unchanged, 1 verified
        ✅ production: backend is rolled back — backend:41 serves 100 %, proven after 1 min 12 s
        ✅ production: all 3 services serve what was asked for — 1 deployed, 1 unchanged, 1 rolled-back
        ⏩ production: nothing to do — no environment has a branch `docs`
        ✅ production: 1 deployed, 1 unchanged, 1 skipped
        ❌ production: nothing was changed — 2 problems to fix first; backend:41 serves, as before
        ❌ production: backend was not started (backend:41 serves, as before) — 1 deployed, 1 unchanged
        ❌ production: backend failed and was rolled back — backend:41 serves, as before
        ❌ production: backend failed and was rolled back (backend:41 serves, as before) — 1 deployed, 1 unchanged
        🚨 production: backend needs a person now: the new version failed, and so did the rollback — what serves now is not known
        🚨 production: backend needs a person now: the new version failed, and so did the rollback (what serves now is not known) — 1 deployed, 1 unchanged
        ⏩ production: backend was overtaken by a newer deployment, which was left alone — backend:43 serves
        ⏩ production: backend was overtaken by a newer deployment, which was left alone (backend:43 serves) — 1 deployed, 1 unchanged
        ❔ production: backend could not be judged: too little data — backend:41 serves, as before
        ❔ production: backend could not be judged: too little data (backend:41 serves, as before) — 1 deployed, 1 unchanged
        🛑 production: backend was cancelled — backend:41 serves, as before
        🛑 production: backend was cancelled (backend:41 serves, as before) — 1 deployed, 1 unchanged
        "#);
    }

    #[test]
    fn a_failure_that_is_not_of_its_own_version_is_told_for_what_it_is() {
        let told = |code| {
            let mut report = samples::ended(Outcome::Failed);
            report.services[0].failure.as_mut().unwrap().problem.code = code;
            verdict(&report, Dress::Plain)
        };
        insta::assert_snapshot!([Code::BeforeFailed, Code::TakenBack].map(told).join("\n"), @"
        ❌ production: backend was not released: its `before` command did not succeed — backend:41 serves, as before
        ❌ production: backend was taken back with the others — backend:41 serves, as before
        ");
    }

    #[test]
    fn a_rollback_has_its_own_words() {
        let told = |outcome| {
            let mut report = samples::ended(outcome);
            report.operation = "rollback".into();
            report.services[0].version = Some(samples::version("backend", 41));
            report.services[0].previous = Some(samples::version("backend", 42));
            if outcome == Outcome::Failed {
                report.services[0].serves = report.services[0].previous.clone();
            }
            verdict(&report, Dress::Plain)
        };
        let all =
            [Outcome::RolledBack, Outcome::Planned, Outcome::Unchanged, Outcome::Failed, Outcome::Stranded];
        insta::assert_snapshot!(all.map(told).join("\n"), @"
        ✅ production: backend is rolled back — backend:41 serves 100 %, proven after 1 min 12 s
        📋 production: backend would return to backend:41 — this is a plan, nothing was touched
        ✅ production: backend is unchanged — backend:41 already serves
        ❌ production: backend could not be rolled back and was returned — backend:42 serves, as before
        🚨 production: backend needs a person now: the version that was returned to failed, and so did the way back from there — what serves now is not known
        ");
    }
}
