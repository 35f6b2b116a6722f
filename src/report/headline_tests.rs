//! Tests of `headline.rs`.

use super::*;
use crate::report::fixtures;

/// Every outcome, for one service and for that one between two others.
#[test]
fn every_outcome_names_the_serving_version() {
    let mut said = Vec::new();
    for outcome in Outcome::ALL {
        let mut report = fixtures::sample_report(outcome);
        said.push(headline(&report, TextStyle::Plain));
        report.services.insert(0, fixtures::sample_service("worker", Outcome::Deployed));
        report.services.push(fixtures::sample_service("mailer", Outcome::Unchanged));
        report.outcome = Outcome::most_severe(report.services.iter().map(|s| s.outcome)).unwrap();
        said.push(headline(&report, TextStyle::Plain));
    }
    insta::assert_snapshot!(said.join("\n"), @"
    ✅ production: backend deployed; backend:42 serves 100 % of traffic (verified in 1 min 12 s)
    ✅ production: all 3 services serve the requested version — 2 deployed, 1 unchanged
    📨 production: backend is committed; its rollout was not watched — the serving version is unknown
    📨 production: 1 deployed, 1 committed, 1 unchanged
    📨 production: backend is proposed — merge https://github.com/acme/manifests/pull/12 to deploy it
    📨 production: 1 deployed, 1 proposed, 1 unchanged — merge https://github.com/acme/manifests/pull/12 to deploy it
    ✅ production: backend is unchanged — backend:41 already serves
    ✅ production: all 3 services serve the requested version — 1 deployed, 2 unchanged
    📋 production: backend would get 1 change — plan only, no changes were made
    ✅ production: 1 deployed, 1 unchanged, 1 planned
    ✅ production: backend backend:41 serves and is healthy
    ✅ production: all 3 services serve the requested version — 1 deployed, 1 unchanged, 1 verified
    ✅ production: backend rolled back; backend:41 serves 100 % of traffic (verified in 1 min 12 s)
    ✅ production: all 3 services serve the requested version — 1 deployed, 1 unchanged, 1 rolled-back
    ⏩ production: nothing to do — no environment has a branch `docs`
    ✅ production: 1 deployed, 1 unchanged, 1 skipped
    ❌ production: nothing was changed — 2 problems to fix first; backend:41 serves, as before
    ❌ production: backend was not started (backend:41 serves, as before) — 1 deployed, 1 unchanged
    ❌ production: backend failed and was rolled back — backend:41 serves, as before
    ❌ production: backend failed and was rolled back (backend:41 serves, as before) — 1 deployed, 1 unchanged
    🚨 production: backend needs manual action: the new version failed, and the rollback failed — the serving version is unknown
    🚨 production: backend needs manual action: the new version failed, and the rollback failed (the serving version is unknown) — 1 deployed, 1 unchanged
    ⏩ production: backend was superseded by a newer deployment, which was not changed — backend:43 serves
    ⏩ production: backend was superseded by a newer deployment, which was not changed (backend:43 serves) — 1 deployed, 1 unchanged
    ❔ production: backend could not be judged: too little data — backend:41 serves, as before
    ❔ production: backend could not be judged: too little data (backend:41 serves, as before) — 1 deployed, 1 unchanged
    🛑 production: backend was cancelled — backend:41 serves, as before
    🛑 production: backend was cancelled (backend:41 serves, as before) — 1 deployed, 1 unchanged
    ");
}

#[test]
fn failure_of_peer_or_command_has_its_own_headline() {
    let told = |code| {
        let mut report = fixtures::sample_report(Outcome::Failed);
        report.services[0].failure.as_mut().unwrap().problem.code = code;
        headline(&report, TextStyle::Plain)
    };
    insta::assert_snapshot!([Code::BeforeFailed, Code::RolledBackWithPeers].map(told).join("\n"), @"
    ❌ production: backend was not released: its `before` command did not succeed — backend:41 serves, as before
    ❌ production: backend was rolled back with the others — backend:41 serves, as before
    ");
}

#[test]
fn rollback_outcomes_have_their_own_headlines() {
    let told = |outcome| {
        let mut report = fixtures::sample_report(outcome);
        report.operation = "rollback".into();
        report.services[0].version = Some(fixtures::version("backend", 41));
        report.services[0].previous_version = Some(fixtures::version("backend", 42));
        if outcome == Outcome::Failed {
            report.services[0].serving_version = report.services[0].previous_version.clone();
        }
        headline(&report, TextStyle::Plain)
    };
    let all = [Outcome::RolledBack, Outcome::Planned, Outcome::Unchanged, Outcome::Failed, Outcome::Stranded];
    insta::assert_snapshot!(all.map(told).join("\n"), @"
    ✅ production: backend rolled back; backend:41 serves 100 % of traffic (verified in 1 min 12 s)
    📋 production: backend would roll back to backend:41 — plan only, no changes were made
    ✅ production: backend is unchanged — backend:41 already serves
    ❌ production: backend could not be rolled back; the version before was restored — backend:42 serves, as before
    🚨 production: backend needs manual action: the rollback version failed, and the version before could not be restored — the serving version is unknown
    ");
}
