//! The text of a first workflow: one job, one step, and only the permissions it needs. Pure.

/// The workflow for the discovered services. Environment and branch are validated before: both are literal in
/// expressions and patterns.
pub(super) fn workflow_text(environment: &str, branch: &str) -> String {
    TEMPLATE
        .replace("<environment>", environment)
        .replace("<branch>", branch)
        .replace("<version>", env!("CARGO_PKG_VERSION"))
}

/// The workflow for services of a Compose file: their image is pushed to a registry, and the server is reached with a key.
pub(super) fn compose_workflow_text(environment: &str, branch: &str) -> String {
    let rights = "      packages: write # an image in GitHub's registry\n      id-token: write # only for a role in AWS, if an image is in ECR\n";
    let text = workflow_text(environment, branch);
    let text = text.replace("      id-token: write # the role in AWS\n", rights);
    format!("{text}        with:\n          ssh-key: ${{{{ secrets.SSH_KEY }}}}\n")
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
      actions: read # the runs that records and leases name
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
