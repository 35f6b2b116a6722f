//! Service deployments and revisions as the API lists, shows and stops them.

use serde_json::{Value, json};

use super::super::call::{Answer, Refusal};
use super::super::world::World;
use super::{page, rollout, services, shapes, state::Status, text, texts};

/// Answer a read: from the state before the last update while reads lag, else from the state as it is.
pub(super) fn as_read(world: &mut World, now: f64, read: impl FnOnce(&World) -> Answer) -> Answer {
    match world.mischief.stale.take() {
        Some((until, mut earlier)) if now < until => {
            std::mem::swap(&mut world.ecs, &mut earlier);
            let answer = read(world);
            std::mem::swap(&mut world.ecs, &mut earlier);
            world.mischief.stale = Some((until, earlier));
            answer
        }
        _ => read(world),
    }
}

/// ListServiceDeployments, newest first.
pub(super) fn list(world: &mut World, input: &Value, now: f64) -> Answer {
    as_read(world, now, |world| {
        let service = services::find(world, input)?;
        let statuses = texts(input, "status");
        let after = input["createdAt"]["after"].as_f64().unwrap_or(f64::MIN);
        let before = input["createdAt"]["before"].as_f64().unwrap_or(f64::MAX);
        let wanted = |index: &&usize| {
            let it = &world.ecs.rollouts[**index];
            let named = statuses.is_empty() || statuses.contains(&it.status.name());
            named && it.created_at > after && it.created_at < before
        };
        let all = world.ecs.services[service].rollouts.iter().rev().filter(wanted);
        let briefs: Vec<Value> = all.map(|&index| shapes::brief(world, index)).collect();
        let most = if input["maxResults"].is_number() { 100 } else { 20 };
        page(input, &briefs, "serviceDeployments", most)
    })
}

/// DescribeServiceDeployments, at most 20.
pub(super) fn describe(world: &mut World, input: &Value, now: f64) -> Answer {
    let asked = some_of_twenty(input, "serviceDeploymentArns")?;
    as_read(world, now, |world| {
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for arn in asked {
            match world.ecs.rollouts.iter().position(|it| it.arn == arn) {
                Some(index) => found.push(shapes::rollout(world, index)),
                None => failures.push(json!({"arn": arn, "reason": "MISSING"})),
            }
        }
        Ok(json!({"serviceDeployments": found, "failures": failures}))
    })
}

/// DescribeServiceRevisions, at most 20.
pub(super) fn revisions(world: &World, input: &Value) -> Answer {
    let asked = some_of_twenty(input, "serviceRevisionArns")?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for arn in asked {
        match world.ecs.revisions.iter().position(|it| it.arn == arn) {
            Some(index) => found.push(shapes::revision(world, index)),
            None => failures.push(json!({"arn": arn, "reason": "MISSING"})),
        }
    }
    Ok(json!({"serviceRevisions": found, "failures": failures}))
}

fn some_of_twenty<'a>(input: &'a Value, member: &str) -> Result<Vec<&'a str>, Refusal> {
    let asked = texts(input, member);
    if asked.is_empty() || asked.len() > 20 {
        return Err(Refusal::new(
            "InvalidParameterException",
            format!("{member} must have between 1 and 20 items."),
        ));
    }
    Ok(asked)
}

/// StopServiceDeployment: a rollback unless ABORT is asked for.
pub(super) fn stop(world: &mut World, input: &Value, now: f64) -> Answer {
    let arn = text(input, "serviceDeploymentArn").unwrap_or_default();
    let Some(index) = world.ecs.rollouts.iter().position(|it| it.arn == arn) else {
        return Err(Refusal::new("ServiceDeploymentNotFoundException", "Service deployment not found."));
    };
    let status: Status = world.ecs.rollouts[index].status;
    if status.ended() {
        let message = format!("Service deployment in status {} can not be stopped.", status.name());
        return Err(Refusal::new("ConflictException", message));
    }
    rollout::request_stop(world, index, text(input, "stopType") != Some("ABORT"), now);
    Ok(json!({"serviceDeploymentArn": arn}))
}
