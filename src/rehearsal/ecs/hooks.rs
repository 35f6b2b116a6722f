//! Lifecycle hooks: firing them, their time-outs, ContinueServiceDeployment. What follows is `stages` and `retreat`.

use serde_json::{Map, Value};

use super::super::call::{Answer, Refusal};
use super::super::chance::span;
use super::super::world::World;
use super::native::{Hook, Native};
use super::rollout::{self, Step};
use super::state::Status;
use super::{put, retreat, stages, stamp, text, texts};

/// Minutes until a hook without a time-out of its own gives up: the limit of a stage.
const DAY: f64 = 1440.0;

/// Fire the hooks of the stop that was reached.
pub(super) fn fire(world: &mut World, rollout: usize, now: f64) {
    let Some(stage) = stages::native(world, rollout).and_then(|native| native.stop().hook) else { return };
    let configured = world.ecs.rollouts[rollout].configuration["lifecycleHooks"].clone();
    for hook in configured.as_array().into_iter().flatten() {
        if texts(hook, "lifecycleStages").contains(&stage) {
            one(world, rollout, hook, now);
        }
    }
}

fn one(world: &mut World, rollout: usize, hook: &Value, now: f64) {
    let id = world.chance.uuid();
    let takes = world.chance.seconds(span(2.0, 6.0));
    let pause = text(hook, "targetType") == Some("PAUSE");
    let limit = &hook["timeoutConfiguration"];
    let expires = now + limit["timeoutInMinutes"].as_f64().unwrap_or(DAY) * 60.0;
    let Some(native) = stages::native(world, rollout) else { return };
    native.hooks.push(Hook {
        id,
        pause,
        target: text(hook, "hookTargetArn").map(String::from),
        status: if pause { "AWAITING_ACTION" } else { "IN_PROGRESS" },
        expires,
        timeout_action: if limit["action"] == "CONTINUE" { "CONTINUE" } else { "ROLLBACK" },
    });
    let place = native.hooks.len() - 1;
    if pause {
        rollout::plan(world, rollout, Step::Expire(place), expires);
    } else {
        rollout::plan(world, rollout, Step::Answered(place), now + takes);
    }
}

/// A Lambda function has answered: it is content.
pub(super) fn answered(world: &mut World, rollout: usize, place: usize, now: f64) {
    if settle(world, rollout, place, "SUCCEEDED") {
        stages::check_hooks(world, rollout, now);
    }
}

/// Nobody acted on a hook in time.
pub(super) fn expire(world: &mut World, rollout: usize, place: usize, now: f64) {
    if !settle(world, rollout, place, "TIMED_OUT") {
        return;
    }
    let native = stages::native(world, rollout);
    if native.is_some_and(|native| native.hooks[place].timeout_action == "CONTINUE") {
        return stages::check_hooks(world, rollout, now);
    }
    let reason = "Service deployment rolled back because a lifecycle hook timed out.";
    retreat::fail(world, rollout, "hook execution failure(s) detected", reason, now);
}

/// Give an open hook its last status; `false` when it had one.
fn settle(world: &mut World, rollout: usize, place: usize, status: &'static str) -> bool {
    let native = stages::native(world, rollout);
    let Some(hook) = native.and_then(|native| native.hooks.get_mut(place)).filter(|hook| hook.open()) else {
        return false;
    };
    hook.status = status;
    true
}

/// The deployment goes another way: what is open is over.
pub(super) fn close(world: &mut World, rollout: usize) {
    let hooks = stages::native(world, rollout).map(|native| native.hooks.iter_mut());
    hooks.into_iter().flatten().filter(|hook| hook.open()).for_each(|hook| hook.status = "FAILED");
}

/// ContinueServiceDeployment: on with a paused deployment, or back.
pub(super) fn proceed(world: &mut World, input: &Value, now: f64) -> Answer {
    let arn = text(input, "serviceDeploymentArn").unwrap_or_default();
    let Some(rollout) = world.ecs.rollouts.iter().position(|it| it.arn == arn) else {
        return Err(Refusal::new("ServiceDeploymentNotFoundException", "Service deployment not found."));
    };
    let back = match text(input, "action") {
        None | Some("CONTINUE") => false,
        Some("ROLLBACK") => true,
        Some(_) => return Err(Refusal::new("InvalidParameterException", "Invalid action.")),
    };
    let place = waiting(world, rollout, text(input, "hookId").unwrap_or_default())?;
    if back {
        settle(world, rollout, place, "FAILED");
        let reason = "Service deployment rolled back because a rollback was requested at a lifecycle hook.";
        rollout::request_rollback(world, rollout, reason, now);
    } else {
        settle(world, rollout, place, "SUCCEEDED");
        stages::check_hooks(world, rollout, now);
    }
    Ok(serde_json::json!({"serviceDeploymentArn": arn}))
}

/// The place of a hook that waits for somebody to act.
fn waiting(world: &World, rollout: usize, id: &str) -> Result<usize, Refusal> {
    let it = &world.ecs.rollouts[rollout];
    let hooks = it.native.as_ref().map_or(&[][..], |native| &native.hooks);
    let Some(place) = hooks.iter().position(|hook| hook.id == id && !id.is_empty()) else {
        let message = "The hookId does not belong to the service deployment.";
        return Err(Refusal::new("InvalidParameterException", message));
    };
    if it.status != Status::InProgress || hooks[place].status != "AWAITING_ACTION" {
        let message = format!(
            "The lifecycle hook is not awaiting an action: it is {}, and the service deployment is {}.",
            hooks[place].status,
            it.status.name()
        );
        return Err(Refusal::new("ClientException", message));
    }
    Ok(place)
}

/// `DeploymentLifecycleHookDetail` of each hook that fired, oldest first.
pub(super) fn shown(native: &Native) -> Value {
    let detail = |hook: &Hook| {
        let mut shape = Map::new();
        shape.insert("hookId".into(), hook.id.clone().into());
        shape.insert("targetType".into(), if hook.pause { "PAUSE" } else { "AWS_LAMBDA" }.into());
        put(&mut shape, "targetArn", hook.target.clone().map(Value::from));
        shape.insert("status".into(), hook.status.into());
        shape.insert("expiresAt".into(), stamp(hook.expires));
        shape.insert("timeoutAction".into(), hook.timeout_action.into());
        Value::Object(shape)
    };
    native.hooks.iter().map(detail).collect()
}
