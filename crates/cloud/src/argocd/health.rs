//! Health as Argo CD assesses it: of a workload, and of an application, which is the worst of its resources.

use super::state::{ArgoCdApp, ReplicaSet};
use super::{canary, workload};

/// Health of the workload, with words.
pub fn workload_health(app: &ArgoCdApp, now: f64) -> (&'static str, String) {
    if app.workload.is_missing || app.workload.replica_sets.is_empty() {
        return ("Missing", String::new());
    }
    if now < app.workload.template_changed_at + workload::OBSERVE_DELAY {
        return ("Progressing", unobserved_message(app));
    }
    match app.spec.workload.as_str() {
        "Rollout" => match canary::rollout_phase(app, now) {
            ("Paused", words) => ("Suspended", words),
            other => other,
        },
        _ => deployment_health(app, now),
    }
}

fn unobserved_message(app: &ArgoCdApp) -> String {
    match app.spec.workload.as_str() {
        "Rollout" => "Waiting for rollout spec update to be observed".into(),
        _ => "Waiting for rollout to finish: observed deployment generation less than desired generation"
            .into(),
    }
}

fn deployment_health(app: &ArgoCdApp, now: f64) -> (&'static str, String) {
    let work = &app.workload;
    if work.is_paused {
        return ("Suspended", "Deployment is paused".into());
    }
    if !work.is_complete && now >= work.last_progress + app.spec.progress_deadline {
        return ("Degraded", format!("Deployment \"{}\" exceeded its progress deadline", app.spec.name));
    }
    let wanted = app.spec.replicas as usize;
    let updated = work.replica_sets.last().map_or(0, ReplicaSet::active_count);
    let total: usize = work.replica_sets.iter().map(ReplicaSet::active_count).sum();
    let available: usize = work.replica_sets.iter().map(|set| set.available_count(now)).sum();
    let words = if updated < wanted {
        format!("{updated} out of {wanted} new replicas have been updated...")
    } else if total > updated {
        format!("{} old replicas are pending termination...", total - updated)
    } else if available < updated {
        format!("{available} of {updated} updated replicas are available...")
    } else {
        return ("Healthy", String::new());
    };
    ("Progressing", format!("Waiting for rollout to finish: {words}"))
}

/// Keep the health of an application as its status shows it.
pub fn update_health(app: &mut ArgoCdApp, now: f64) {
    let (health, _) = workload_health(app, now);
    if app.health.0 != health {
        app.health = (health.into(), now);
        app.resource_version += 1;
    }
}
