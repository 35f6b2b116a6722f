//! What the containers of a pod wrote.

use serde_json::{Value, json};

use super::has_right;
use super::responses::format_time;
use crate::faults::TaskOutcome;
use crate::input::str_field;
use crate::request::{ServiceError, ServiceResult};
use crate::world::World;

/// The last lines of a pod, with the mark of their end.
pub(super) fn pod_logs(world: &World, place: usize, input: &Value, now: f64) -> ServiceResult {
    let app = &world.argocd.apps[place];
    if !has_right(world, "logs") {
        let words = format!("permission denied: logs, get, {}/{}", app.spec.project, app.spec.name);
        return Err(ServiceError::with_status(403, "PermissionDenied", words));
    }
    let name = str_field(input, "podName");
    let mut pods = app.workload.replica_sets.iter().flat_map(|set| &set.pods);
    let Some(pod) = pods.find(|pod| pod.name == name) else {
        let words = format!("pod {name} not found as part of application {}", app.spec.name);
        return Err(ServiceError::with_status(400, "InvalidArgument", words));
    };
    let lines = match &pod.outcome {
        TaskOutcome::Crash { log_lines, .. } if now >= pod.started_at => log_lines.as_slice(),
        _ => &[],
    };
    let at = format_time(pod.started_at);
    let shown =
        |line: &String| json!({ "content": line, "timeStampStr": at, "podName": name, "last": false });
    let end = json!({ "content": "", "timeStampStr": format_time(now), "podName": name, "last": true });
    let stream: Vec<Value> = lines.iter().map(shown).chain([end]).collect();
    Ok(json!({ "stream": stream }))
}
