//! What a person on call asks for: the plan of a rollback, and what a stranded service is said to need.

use roadstead::action::inputs::RawInputs;
use roadstead::release::Outcome;
use roadstead::report::terminal;
use roadstead::report::versions::version_lines;
use roadstead::run;

use crate::rollback::RollbackHarness;
use crate::support::{TestRun, run_in_virtual_time};

#[test]
fn plan_of_a_rollback_shows_its_version_and_changes_nothing() {
    let (report, changes) = run_in_virtual_time(async {
        let mut world = RollbackHarness::without_faults();
        world.deploy_successfully("b").await;
        let before = world.change_operations().len();
        let operation = Some("plan rollback".into());
        let report = world.run(RawInputs { operation, ..RawInputs::default() }).await;
        (report, world.change_operations().len() - before)
    });
    assert_eq!((report.outcome, changes), (Outcome::Planned, 0), "{}", terminal::terminal(&report));
    assert_eq!(report.services[0].version.as_ref().unwrap().label, "backend:1");
    assert_eq!(report.services[0].changes.0.len(), 1, "{}", terminal::terminal(&report));
}

#[test]
fn versions_are_listed_with_what_a_rollback_would_do() {
    let lines = run_in_virtual_time(async {
        let mut world = RollbackHarness::without_faults();
        world.deploy_successfully("b").await;
        world.deploy_successfully("c").await;
        world.rollback(None).await;
        world.0.rehearsal.inputs =
            RawInputs { operation: Some("plan rollback".into()), ..RawInputs::default() };
        let ctx = roadstead::cli::rehearse::run_context(
            &world.0.rehearsal,
            &world.0.cloud,
            world.0.environment.clone(),
            world.0.start,
        );
        version_lines(&run::list_versions(&ctx.unwrap()).await.map_err(|_| ()).unwrap())
    });
    let digits = |line: &String| line.replace(|c: char| c.is_ascii_digit(), "9");
    let shape: Vec<String> = lines.iter().map(digits).collect();
    assert!(shape[0].starts_with("production: backend (ecs acme/backend)"), "{lines:#?}");
    let row = |label: &str| {
        lines.iter().find(|line| line.trim_start().starts_with(label)).cloned().unwrap_or_default()
    };
    assert!(row("backend:2").contains("serves now") && row("backend:2").contains("no record"), "{lines:#?}");
    assert!(row("backend:3").contains("was rolled back"), "{lines:#?}");
    assert!(row("backend:1").contains("a rollback returns to it"), "{lines:#?}");
    assert!(
        lines.iter().any(|line| line.contains(
            "To return to backend:1: roadstead rollback --environment production --services backend"
        )),
        "{lines:#?}"
    );
}

#[test]
fn stranded_service_says_why_the_old_version_does_not_start_and_what_is_next() {
    let report = TestRun::builtin("rollback-fails").run().report;
    assert_eq!(report.outcome, Outcome::Stranded);
    let warnings: Vec<String> = report.services[0]
        .problems
        .iter()
        .filter(|problem| !problem.is_error())
        .map(ToString::to_string)
        .collect();
    assert!(
        warnings
            .iter()
            .any(|text| text.starts_with("State now: ") && text.contains("Why backend:1 does not start:")),
        "{warnings:#?}"
    );
    assert!(
        warnings.iter().any(|text| text.contains("roadstead verify") || text.contains("roadstead rollback")),
        "{warnings:#?}"
    );
}
