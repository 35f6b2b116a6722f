//! A Compose service in whole runs: its workspace, the images of two releases, and further runs in the same world.

use std::fs;
use std::path::Path;

use roadstead::action::inputs::RawInputs;
use roadstead::report::RunReport;

use super::{RunHarness, TestRun};

/// The Compose file of the service `web`.
pub(crate) const COMPOSE_FILE: &str = "services:
  web:
    image: ghcr.io/acme/shop
    logging: { options: { max-size: 10m } }
";

/// The image that runs before the first run.
pub(crate) const OLD: &str =
    "ghcr.io/acme/shop@sha256:1111111111111111111111111111111111111111111111111111111111111111";
/// The image of the release.
pub(crate) const NEW: &str =
    "ghcr.io/acme/shop@sha256:2222222222222222222222222222222222222222222222222222222222222222";

/// A release of [`NEW`] in this scenario, from a workspace with the Compose file.
pub(crate) fn release_of_new(workspace: &Path, config: &str, scenario: &str) -> TestRun {
    fs::write(workspace.join("compose.yaml"), COMPOSE_FILE).unwrap();
    let inputs = RawInputs { image: Some(NEW.into()), ..RawInputs::default() };
    TestRun { config: config.into(), workspace: workspace.to_path_buf(), inputs, ..TestRun::custom(scenario) }
}

/// The inputs of an operation, and nothing else.
pub(crate) fn operation(name: &str) -> RawInputs {
    RawInputs { operation: Some(name.into()), ..RawInputs::default() }
}

/// The next run in the same world.
pub(crate) async fn again(stage: &mut RunHarness, inputs: RawInputs) -> RunReport {
    stage.rehearsal.inputs = inputs;
    stage.run_again().await
}

/// What the problems of a run say, a line each.
pub(crate) fn sentences(report: &RunReport) -> String {
    report.all_problems().iter().map(|problem| problem.sentence.clone()).collect::<Vec<_>>().join("\n")
}
