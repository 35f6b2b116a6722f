//! Health as Argo CD assesses it: of a workload, and of an application, which is the worst of its resources.

use super::state::{App, ReplicaSet};
use super::{canary, workload};

/// Health of the workload, with words.
pub fn of_workload(app: &App, now: f64) -> (&'static str, String) {
    if app.workload.missing || app.workload.sets.is_empty() {
        return ("Missing", String::new());
    }
    if now < app.workload.applied + workload::OBSERVE {
        return ("Progressing", unobserved(app));
    }
    match app.setting.workload.as_str() {
        "Rollout" => match canary::phase(app, now) {
            ("Paused", words) => ("Suspended", words),
            other => other,
        },
        _ => of_deployment(app, now),
    }
}

fn unobserved(app: &App) -> String {
    match app.setting.workload.as_str() {
        "Rollout" => "Waiting for rollout spec update to be observed".into(),
        _ => "Waiting for rollout to finish: observed deployment generation less than desired generation"
            .into(),
    }
}

fn of_deployment(app: &App, now: f64) -> (&'static str, String) {
    let work = &app.workload;
    if work.paused {
        return ("Suspended", "Deployment is paused".into());
    }
    if !work.complete && now >= work.progressed + app.setting.progress_deadline {
        return ("Degraded", format!("Deployment \"{}\" exceeded its progress deadline", app.setting.name));
    }
    let wanted = app.setting.replicas as usize;
    let updated = work.sets.last().map_or(0, ReplicaSet::active);
    let total: usize = work.sets.iter().map(ReplicaSet::active).sum();
    let available: usize = work.sets.iter().map(|set| set.available(now)).sum();
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
pub fn note(app: &mut App, now: f64) {
    let (health, _) = of_workload(app, now);
    if app.health.0 != health {
        app.health = (health.into(), now);
        app.version += 1;
    }
}
