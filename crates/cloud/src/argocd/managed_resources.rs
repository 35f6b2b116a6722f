//! Managed resources as the last comparison left them: what each is in the cluster, and what Git makes of it, as text.

use serde_json::{Value, json};

use super::live_manifests;
use super::state::ArgoCdApp;

/// The answer of `managed-resources`.
pub(super) fn managed_resources(app: &ArgoCdApp, now: f64) -> Value {
    let (kind, group) = app.spec.workload_kind();
    let name = app.spec.name.as_str();
    let service = json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": name } });
    let live = (!app.workload.is_missing && !app.workload.replica_sets.is_empty())
        .then(|| live_manifests::workload_manifest(app, now));
    let target = live_manifests::target_manifest(app);
    let mut items = vec![resource_diff(app, ["", "Service", name], Some(&service), Some(&service))];
    if app.spec.has_workload() {
        items.push(resource_diff(app, [group, kind, name], live.as_ref(), Some(&target)));
    }
    for it in &app.spec.resources {
        let manifest = live_manifests::further_manifest(app, it);
        let target = (!it.requires_pruning).then_some(&manifest);
        items.push(resource_diff(app, [&it.group, &it.kind, &it.name], Some(&manifest), target));
    }
    json!({ "items": items })
}

/// A manifest that is not there is the text `null`.
fn resource_diff(app: &ArgoCdApp, what: [&str; 3], live: Option<&Value>, target: Option<&Value>) -> Value {
    let [group, kind, name] = what;
    let text = |manifest: Option<&Value>| manifest.map_or_else(|| "null".to_owned(), Value::to_string);
    json!({
        "group": (!group.is_empty()).then_some(group), "kind": kind, "namespace": app.spec.namespace,
        "name": name, "liveState": text(live), "targetState": text(target),
        "normalizedLiveState": text(live), "predictedLiveState": text(live),
    })
}
