//! Versions that were rolled back are not deployed again by automation.

use roadstead::action::inputs::RawInputs;
use roadstead::release::Outcome;
use roadstead::report::terminal;

use crate::rollback::{RollbackHarness, terminal_text};
use crate::support::run_in_virtual_time;

/// What was rolled back does not come again by itself: not by the next push, nor by a run that is started again.
#[test]
fn rollback_blocks_the_version() {
    let (table, first) = run_in_virtual_time(async {
        let mut world = RollbackHarness::without_faults();
        world.deploy_successfully("b").await;
        world.rollback(None).await;
        let (mut table, mut first) = (Vec::new(), None);
        for (event, attempt, content) in [
            ("push", "1", "b"),
            ("schedule", "2", "b"),
            ("push", "1", "c"),
            ("workflow_dispatch", "1", "b"),
            ("push", "2", "c"),
            ("push", "1", "c"),
        ] {
            let before = world.change_operations().len();
            world.set_event(event, attempt);
            let report = world.deploy(content).await;
            table.push((event, attempt, content, report.outcome, world.change_operations().len() > before));
            first.get_or_insert(report);
        }
        (table, first)
    });
    assert_eq!(
        table,
        [
            ("push", "1", "b", Outcome::Invalid, false),
            ("schedule", "2", "b", Outcome::Invalid, false),
            ("push", "1", "c", Outcome::Deployed, true),
            ("workflow_dispatch", "1", "b", Outcome::Deployed, true),
            ("push", "2", "c", Outcome::Invalid, false),
            ("push", "1", "c", Outcome::Invalid, false),
        ]
    );
    insta::assert_snapshot!(terminal_text(&first.unwrap()), @r"
    ❌ production: nothing was changed — 1 problem to fix first; backend:1 serves, as before

    error version-blocked-after-rollback backend: backend:2 was rolled back here and is blocked; backend:1 serves since then. Deploy a fix. To deploy this version anyway, start the workflow manually (`workflow_dispatch`).
      version-blocked-after-rollback: https://github.com/roadstead/roadstead/blob/main/docs/problems.md#version-blocked-after-rollback

    service  outcome  from       to  serving    took  evidence
    backend  invalid  backend:1  –   backend:1  –

    Changes (rolling):
      image: 111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend:v1 → …/acme/backend@sha256:4eca065b771b…
    ");
}

#[test]
fn plan_warns_of_a_blocked_version() {
    let report = run_in_virtual_time(async {
        let mut world = RollbackHarness::without_faults();
        world.deploy_successfully("b").await;
        world.rollback(None).await;
        world.set_event("push", "1");
        let image = Some(world.push_image("b"));
        world.run(RawInputs { operation: Some("plan".into()), image, ..RawInputs::default() }).await
    });
    let warned = report
        .all_problems()
        .iter()
        .any(|p| p.code.name() == "version-blocked-after-rollback" && !p.is_error());
    assert!(warned && report.outcome == Outcome::Planned, "{}", terminal::terminal(&report));
}

/// A failed deploy that ECS rolled back never completed, so it does not block a retry.
#[test]
fn retry_after_failure_is_not_blocked() {
    let (failed, again) = run_in_virtual_time(async {
        let mut world = RollbackHarness::new("faults: [crash-on-start: {}]\n");
        world.set_event("push", "1");
        let failed = world.deploy("b").await.outcome;
        world.0.cloud.change(|cloud, _| cloud.faults.list.clear());
        world.set_event("push", "2");
        (failed, world.deploy("b").await.outcome)
    });
    assert_eq!((failed, again), (Outcome::Failed, Outcome::Deployed));
}
