//! Roadstead takes a commit to a verified, running service, and takes it back.
//!
//! The map is ARCHITECTURE.md; the arrows between these modules are held by `tests/architecture.rs`.

/// The runner's protocol: inputs, event, workflow commands, output files, masks.
pub mod action;
/// One AWS session for a run: HTTP client, clock, retries, region, credentials.
pub mod aws;
/// The command line: the same operations on a laptop, and the wiring of adapters.
pub mod cli;
/// The deploy file: its types, its checks, and the merge of inputs over file over defaults.
pub mod config;
/// Sources of evidence: CloudWatch counts, Prometheus, probes and checks of addresses.
pub mod gates;
/// GitHub's API, typed: which commits lie between two versions, what a branch holds, committing and proposing.
pub mod github;
/// Building and pushing images: tags and buildx arguments (pure), running buildx, registry login.
pub mod image;
/// The judge of canaries on trial: seeded traffic, other tools' rules on the same, and the limits ours is held to.
pub mod judge_bench;
/// Image values in YAML files: found, read, replaced byte for byte.
pub mod manifest;
/// Telling people and machines how a run ended: SNS, Slack, any webhook.
pub mod notify;
/// Event, configuration and observed state in; steps, and why, out.
pub mod plan;
/// What went wrong, for the person reading a red job at night.
pub mod problem;
/// The core nouns: image, version, observed state, health, outcome.
pub mod release;
/// What happened (values) as log, annotations, summary and outputs.
pub mod report;
/// Retry policies, and the one function for ambiguous writes.
pub mod retry;
/// Which version to return to, and the steps that lead there.
pub mod rollback;
/// The shell: read, plan, walk, report; walks the undo; handles cancel.
pub mod run;
/// How a release reaches traffic: strategies as steps.
pub mod strategy;
/// The only doors to process, clock, disk and environment.
pub mod sys;
/// The places a release can go: the Target trait, the one list, one folder per place.
pub mod targets;
