//! The text of a first workflow: one job, one step, and no right that it does not need. Pure.

use super::Plan;

/// The workflow for what was found. Environment and branch have been looked at: they mean themselves in expressions and
/// in patterns, too.
pub(super) fn text(plan: &Plan) -> String {
    TEMPLATE
        .replace("<environment>", &plan.environment)
        .replace("<branch>", &plan.branch)
        .replace("<version>", env!("CARGO_PKG_VERSION"))
}

const TEMPLATE: &str = r#"# Builds and releases what .github/roadstead.yml names.
name: deploy

on:
  push:
    branches: ["<branch>"]

permissions: {}

# One change at a time, and none is cut off.
concurrency:
  group: "deploy-<environment>"
  cancel-in-progress: false

jobs:
  deploy:
    name: Release
    runs-on: ubuntu-latest
    timeout-minutes: 65
    environment: "<environment>"
    permissions:
      contents: write # the sources, and the lease that keeps two runs from one service
      deployments: write # the record of what was proven here
      actions: read # whether the run that holds a lease is alive
      id-token: write # the role in AWS
    steps:
      - name: Check out the sources
        uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
        with:
          persist-credentials: false
      - name: Release
        # Write the commit of the release v<version> here.
        uses: roadstead/roadstead@0000000000000000000000000000000000000000
"#;
