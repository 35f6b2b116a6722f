//! Health as Argo CD assesses it: of a workload, and of an application, which is the worst of its resources.

use super::scenario::AppResourceSetting;
use super::state::{ArgoCdApp, ReplicaSet};
use super::{canary, workload};

/// Health of the workload, with words.
pub fn workload_health(app: &ArgoCdApp, now: f64) -> (&'static str, String) {
    if app.workload.is_missing || app.workload.replica_sets.is_empty() {
        return ("Missing", String::new());
    }
    if app.spec.pod_count() == 0 && app.spec.workload != "Deployment" && app.spec.workload != "Rollout" {
        return ("Healthy", String::new());
    }
    if now < app.workload.template_changed_at + workload::OBSERVE_DELAY {
        return ("Progressing", unobserved_message(app));
    }
    match app.spec.workload.as_str() {
        "Rollout" => match canary::rollout_phase(app, now) {
            ("Paused", words) => ("Suspended", words),
            other => other,
        },
        "StatefulSet" => stateful_set_health(app, now),
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

/// A StatefulSet has no deadline: it waits for ever.
fn stateful_set_health(app: &ArgoCdApp, now: f64) -> (&'static str, String) {
    let sets = &app.workload.replica_sets;
    let wanted = app.spec.pod_count();
    let available: usize = sets.iter().map(|set| set.available_count(now)).sum();
    let updated = sets.last().map_or(0, ReplicaSet::active_count);
    if available < wanted {
        return ("Progressing", format!("Waiting for {} pods to be ready...", wanted - available));
    }
    if updated < wanted {
        let words = format!("waiting for statefulset rolling update to complete {updated} pods at revision");
        return ("Progressing", words);
    }
    ("Healthy", format!("statefulset rolling update complete {updated} pods at revision"))
}

fn deployment_health(app: &ArgoCdApp, now: f64) -> (&'static str, String) {
    let work = &app.workload;
    if work.is_paused {
        return ("Suspended", "Deployment is paused".into());
    }
    if !work.is_complete && now >= work.last_progress + app.spec.progress_deadline {
        return ("Degraded", format!("Deployment \"{}\" exceeded its progress deadline", app.spec.name));
    }
    let wanted = app.spec.pod_count();
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

/// Health of a further resource, with words; `None` for a kind without one.
pub fn resource_health<'a>(app: &ArgoCdApp, it: &'a AppResourceSetting) -> Option<(&'a str, &'a str)> {
    let after = app.has_new_images() && !it.health_after.is_empty();
    let (health, words) =
        if after { (&it.health_after, &it.message_after) } else { (&it.health, &it.message) };
    (!health.is_empty()).then_some((health.as_str(), words.as_str()))
}

/// Health of an application, and the resource that decides it: the worst of all.
pub fn application_health(app: &ArgoCdApp, now: f64) -> (String, Option<String>) {
    let rank = |health: &str| {
        ["Healthy", "Suspended", "Progressing", "Missing", "Degraded", "Unknown"]
            .iter()
            .position(|known| *known == health)
    };
    let cause = |group: &str, kind: &str, name: &str| {
        let slash = if group.is_empty() { "" } else { "/" };
        format!("Caused by {group}{slash}{kind}:{}/{name}", app.spec.namespace)
    };
    let (kind, group) = app.spec.workload_kind();
    let (health, _) = workload_health(app, now);
    let mut worst = (health.to_owned(), Some(cause(group, kind, &app.spec.name)));
    for it in &app.spec.resources {
        if let Some((health, _)) = resource_health(app, it)
            && rank(health) > rank(&worst.0)
        {
            worst = (health.to_owned(), Some(cause(&it.group, &it.kind, &it.name)));
        }
    }
    if worst.0 == "Healthy" { (worst.0, None) } else { worst }
}

/// Keep the health of an application as its status shows it.
pub fn update_health(app: &mut ArgoCdApp, now: f64) {
    let (health, _) = application_health(app, now);
    if app.health.0 != health {
        app.health = (health, now);
        app.resource_version += 1;
    }
}
