//! The built-in scenarios of Argo CD and of Argo Rollouts.

use super::scenario::{AppResourceSetting, CanaryStep};
use crate::builtin::{Builtin, Need, parse_part};
use crate::scenario::Scenario;

/// A service of the target `argocd`.
pub(crate) const GITOPS: &[Need] = &[Need::Target("argocd")];

/// The steps of a Rollout: two weights, with a pause and an analysis between them.
const CANARY_STEPS: &str = "[set-weight: 50, pause: 60, analysis: 60, set-weight: 100]";

/// Resources that were not in order before a release.
const UNWELL_RESOURCES: &str = "[{ kind: CronJob, group: batch, name: report, health: Degraded, message: Last run failed }, \
                                { kind: ConfigMap, name: settings, out-of-sync: true }]";

/// A scenario of a service whose version is in Git.
pub(crate) const fn gitops_scenario(
    name: &'static str,
    description: &'static str,
    faults: &'static str,
) -> Builtin {
    Builtin::new(name, description, faults).with_needs(GITOPS)
}

/// All of them.
pub(super) const SCENARIOS: &[Builtin] = &[
    gitops_scenario("gitops-happy", "A commit is synced and becomes healthy.", "[]"),
    gitops_scenario(
        "argocd-degraded",
        "Pods of the new version never become ready: the application is Degraded after ten minutes.",
        "[failing-health-check: {}]",
    ),
    gitops_scenario(
        "argocd-image-pull",
        "The new image does not exist: its pods back off.",
        "[image-not-found: {}]",
    ),
    gitops_scenario(
        "argocd-sync-failed",
        "The cluster rejects the new manifests.",
        "[argocd-sync-failed: {}]",
    ),
    gitops_scenario("argocd-operation-error", "The sync ends in an error.", "[argocd-operation-error: {}]"),
    gitops_scenario(
        "argocd-comparison-error",
        "After half a minute, Argo CD cannot render the manifests.",
        "[argocd-comparison-error: { after: 30 }]",
    ),
    gitops_scenario(
        "argocd-never-syncs",
        "Argo CD reads the commit and never syncs.",
        "[argocd-never-syncs: {}]",
    ),
    gitops_scenario(
        "argocd-stale",
        "For 90 seconds after the first refresh, Argo CD shows the branch as it was.",
        "[argocd-stale: { for: 90 }]",
    ),
    gitops_scenario(
        "argocd-busy",
        "A sync of somebody else runs for two minutes.",
        "[argocd-busy: { for: 120 }]",
    ),
    gitops_scenario(
        "argocd-missing",
        "The workload is deleted right after it was synced.",
        "[argocd-missing: {}]",
    ),
    gitops_scenario("argocd-suspended", "The workload is paused.", "[argocd-suspended: {}]"),
    gitops_scenario("argocd-drift", "Somebody sets another image by hand.", "[argocd-drift: { at: 60 }]"),
    gitops_scenario(
        "argocd-token-expires",
        "The token of Argo CD expires after a minute.",
        "[argocd-token-expires: { after: 60 }]",
    ),
    gitops_scenario(
        "argocd-outage",
        "For a minute, the proxy of Argo CD responds with 502.",
        "[server-errors: { from: 5, for: 60 }]",
    ),
    gitops_scenario(
        "argocd-others-unwell",
        "A CronJob of the application was degraded and a resource out of sync before the release.",
        "[]",
    )
    .with_setup(&[with_unwell_resources]),
    gitops_scenario("argocd-cron-job", "The image is that of a CronJob, which has no pods.", "[]")
        .with_setup(&[with_cron_jobs]),
    gitops_scenario("argocd-canary", "Argo Rollouts runs a canary.", "[]").with_setup(&[with_rollouts]),
    gitops_scenario(
        "argocd-analysis-failed",
        "The analysis of the canary fails, and Argo Rollouts aborts it.",
        "[argocd-analysis-failed: {}]",
    )
    .with_setup(&[with_rollouts]),
];

/// Every application has resources beside its workload that were not in order before.
fn with_unwell_resources(mut world: Scenario) -> Result<Scenario, String> {
    let resources: Vec<AppResourceSetting> = parse_part(UNWELL_RESOURCES)?;
    world.argocd.applications.iter_mut().for_each(|app| app.resources.clone_from(&resources));
    Ok(world)
}

/// The workload of every application is a CronJob.
fn with_cron_jobs(mut world: Scenario) -> Result<Scenario, String> {
    world.argocd.applications.iter_mut().for_each(|app| app.workload = "CronJob".into());
    Ok(world)
}

/// Every application without steps of its own runs a Rollout with the steps of a canary.
fn with_rollouts(mut world: Scenario) -> Result<Scenario, String> {
    let steps: Vec<CanaryStep> = parse_part(CANARY_STEPS)?;
    for app in world.argocd.applications.iter_mut().filter(|app| app.steps.is_empty()) {
        (app.workload, app.steps) = ("Rollout".into(), steps.clone());
    }
    Ok(world)
}
