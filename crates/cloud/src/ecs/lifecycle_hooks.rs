//! Lifecycle hooks: firing them, their time-outs, ContinueServiceDeployment. What follows is `stages` and `retreat`.

use serde_json::{Map, Value};

use super::super::request::{ServiceError, ServiceResult};
use super::super::rng::seconds_range;
use super::super::world::World;
use super::service_deployment::{self, ServiceDeploymentStep};
use super::staged_deployment::{LifecycleHook, StagedDeployment};
use super::state::ServiceDeploymentStatus;
use super::{insert_some, lifecycle, rollback, str_field, str_list_field, timestamp};

/// Minutes until a hook without a time-out of its own gives up: the limit of a stage.
const DEFAULT_TIMEOUT_MINUTES: f64 = 1440.0;

/// Fire the hooks of the stop that was reached.
pub(super) fn fire_hooks(world: &mut World, rollout: usize, now: f64) {
    let Some(stage) =
        lifecycle::staged_deployment(world, rollout).and_then(|staged| staged.current_stage().hook)
    else {
        return;
    };
    let configured = world.ecs.service_deployments[rollout].configuration["lifecycleHooks"].clone();
    for hook in configured.as_array().into_iter().flatten() {
        if str_list_field(hook, "lifecycleStages").contains(&stage) {
            fire_hook(world, rollout, hook, now);
        }
    }
}

fn fire_hook(world: &mut World, rollout: usize, hook: &Value, now: f64) {
    let id = world.rng.uuid();
    let takes = world.rng.pick_seconds(seconds_range(2.0, 6.0));
    let pause = str_field(hook, "targetType") == Some("PAUSE");
    let limit = &hook["timeoutConfiguration"];
    let expires = now + limit["timeoutInMinutes"].as_f64().unwrap_or(DEFAULT_TIMEOUT_MINUTES) * 60.0;
    let Some(staged) = lifecycle::staged_deployment(world, rollout) else { return };
    staged.hooks.push(LifecycleHook {
        id,
        is_pause: pause,
        target: str_field(hook, "hookTargetArn").map(String::from),
        status: if pause { "AWAITING_ACTION" } else { "IN_PROGRESS" },
        expires_at: expires,
        timeout_action: if limit["action"] == "CONTINUE" { "CONTINUE" } else { "ROLLBACK" },
    });
    let place = staged.hooks.len() - 1;
    if pause {
        service_deployment::schedule_step(
            world,
            rollout,
            ServiceDeploymentStep::HookTimedOut(place),
            expires,
        );
    } else {
        service_deployment::schedule_step(
            world,
            rollout,
            ServiceDeploymentStep::HookSucceeded(place),
            now + takes,
        );
    }
}

/// A Lambda function has answered: it is content.
pub(super) fn on_function_succeeded(world: &mut World, rollout: usize, place: usize, now: f64) {
    if finish_hook(world, rollout, place, "SUCCEEDED") {
        lifecycle::check_hooks(world, rollout, now);
    }
}

/// Nobody acted on a hook in time.
pub(super) fn on_timeout(world: &mut World, rollout: usize, place: usize, now: f64) {
    if !finish_hook(world, rollout, place, "TIMED_OUT") {
        return;
    }
    let staged = lifecycle::staged_deployment(world, rollout);
    if staged.is_some_and(|staged| staged.hooks[place].timeout_action == "CONTINUE") {
        return lifecycle::check_hooks(world, rollout, now);
    }
    let reason = "Service deployment rolled back because a lifecycle hook timed out.";
    rollback::fail_deployment(world, rollout, "hook execution failure(s) detected", reason, now);
}

/// Give an open hook its last status; `false` when it had one.
fn finish_hook(world: &mut World, rollout: usize, place: usize, status: &'static str) -> bool {
    let staged = lifecycle::staged_deployment(world, rollout);
    let Some(hook) = staged.and_then(|staged| staged.hooks.get_mut(place)).filter(|hook| hook.is_open())
    else {
        return false;
    };
    hook.status = status;
    true
}

/// The deployment goes another way: what is open is over.
pub(super) fn close_open_hooks(world: &mut World, rollout: usize) {
    let hooks = lifecycle::staged_deployment(world, rollout).map(|staged| staged.hooks.iter_mut());
    hooks.into_iter().flatten().filter(|hook| hook.is_open()).for_each(|hook| hook.status = "FAILED");
}

/// ContinueServiceDeployment: on with a paused deployment, or back.
pub(super) fn continue_deployment(world: &mut World, input: &Value, now: f64) -> ServiceResult {
    let arn = str_field(input, "serviceDeploymentArn").unwrap_or_default();
    let Some(rollout) = world.ecs.service_deployments.iter().position(|it| it.arn == arn) else {
        return Err(ServiceError::new("ServiceDeploymentNotFoundException", "Service deployment not found."));
    };
    let back = match str_field(input, "action") {
        None | Some("CONTINUE") => false,
        Some("ROLLBACK") => true,
        Some(_) => return Err(ServiceError::new("InvalidParameterException", "Invalid action.")),
    };
    let place = find_awaiting_hook(world, rollout, str_field(input, "hookId").unwrap_or_default())?;
    if back {
        finish_hook(world, rollout, place, "FAILED");
        let reason = "Service deployment rolled back because a rollback was requested at a lifecycle hook.";
        service_deployment::request_rollback(world, rollout, reason, now);
    } else {
        finish_hook(world, rollout, place, "SUCCEEDED");
        lifecycle::check_hooks(world, rollout, now);
    }
    Ok(serde_json::json!({"serviceDeploymentArn": arn}))
}

/// The place of a hook that waits for somebody to act.
fn find_awaiting_hook(world: &World, rollout: usize, id: &str) -> Result<usize, ServiceError> {
    let it = &world.ecs.service_deployments[rollout];
    let hooks = it.staged.as_ref().map_or(&[][..], |staged| &staged.hooks);
    let Some(place) = hooks.iter().position(|hook| hook.id == id && !id.is_empty()) else {
        let message = "The hookId does not belong to the service deployment.";
        return Err(ServiceError::new("InvalidParameterException", message));
    };
    if it.status != ServiceDeploymentStatus::InProgress || hooks[place].status != "AWAITING_ACTION" {
        let message = format!(
            "The lifecycle hook is not awaiting an action: it is {}, and the service deployment is {}.",
            hooks[place].status,
            it.status.name()
        );
        return Err(ServiceError::new("ClientException", message));
    }
    Ok(place)
}

/// `DeploymentLifecycleHookDetail` of each hook that fired, oldest first.
pub(super) fn hook_details(staged: &StagedDeployment) -> Value {
    let detail = |hook: &LifecycleHook| {
        let mut shape = Map::new();
        shape.insert("hookId".into(), hook.id.clone().into());
        shape.insert("targetType".into(), if hook.is_pause { "PAUSE" } else { "AWS_LAMBDA" }.into());
        insert_some(&mut shape, "targetArn", hook.target.clone().map(Value::from));
        shape.insert("status".into(), hook.status.into());
        shape.insert("expiresAt".into(), timestamp(hook.expires_at));
        shape.insert("timeoutAction".into(), hook.timeout_action.into());
        Value::Object(shape)
    };
    staged.hooks.iter().map(detail).collect()
}
