//! What the caller may do, and when syncs are denied.

use serde_json::{Value, json};

use super::has_right;
use crate::input::str_field;
use crate::request::ServiceError;
use crate::world::World;

/// The sync windows of an application; without any, only that it can be synced. `canSync` is about a sync by hand.
pub(super) fn sync_windows(world: &World, place: usize, now: f64) -> Value {
    let setting = &world.argocd.apps[place].spec;
    if setting.windows.is_empty() {
        return json!({ "canSync": true });
    }
    let elapsed = now - world.faults.started_at;
    let shown = |window: &super::scenario::SyncWindowSetting| {
        json!({ "kind": "deny", "schedule": window.schedule, "duration": window.duration,
                "manualSync": window.manual_sync })
    };
    let active = setting.active_window(elapsed);
    json!({
        "activeWindows": active.map(|window| [shown(window)]),
        "assignedWindows": setting.windows.iter().map(shown).collect::<Vec<_>>(),
        "canSync": active.is_none_or(|window| window.manual_sync),
    })
}

/// Whether the token may do something with applications of a project.
pub(super) fn can_i(world: &World, input: &Value) -> Value {
    let project = str_field(input, "subresource").split('/').next().unwrap_or_default();
    let in_project = world.argocd.settings.projects.iter().any(|it| it == "*" || it == project);
    let allowed = in_project
        && str_field(input, "resource") == "applications"
        && has_right(world, str_field(input, "action"));
    json!({ "value": if allowed { "yes" } else { "no" } })
}

/// A sync to another revision than the application's own needs a right of its own.
pub(super) fn check_override(world: &World, place: usize, input: &Value) -> Result<(), ServiceError> {
    let setting = &world.argocd.apps[place].spec;
    let revision = str_field(input, "revision");
    let own = setting.sources.first().map_or("", |source| source.target_revision());
    if setting.is_multi_source() || revision.is_empty() || revision == own || setting.automated {
        return Ok(());
    }
    if has_right(world, "override") {
        return Ok(());
    }
    let words = format!(
        "permission denied: applications, override, {}/{}, sub: roadstead",
        setting.project, setting.name
    );
    Err(ServiceError::with_status(403, "PermissionDenied", words))
}
