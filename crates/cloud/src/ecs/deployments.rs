//! Service deployments and revisions as the API lists, shows and stops them.

use serde_json::{Value, json};

use super::super::request::{ServiceError, ServiceResult};
use super::super::world::World;
use super::responses::service;
use super::{
    paginate, service_deployment, services, state::ServiceDeploymentStatus, str_field, str_list_field,
};

/// Answer a read: from the state before the last update while reads lag, else from the state as it is.
pub(super) fn read_state(
    world: &mut World,
    now: f64,
    read: impl FnOnce(&World) -> ServiceResult,
) -> ServiceResult {
    match world.ecs.stale.take() {
        Some((until, mut earlier)) if now < until => {
            std::mem::swap(&mut world.ecs, &mut earlier);
            let answer = read(world);
            std::mem::swap(&mut world.ecs, &mut earlier);
            world.ecs.stale = Some((until, earlier));
            answer
        }
        _ => read(world),
    }
}

/// ListServiceDeployments, newest first.
pub(super) fn list(world: &mut World, input: &Value, now: f64) -> ServiceResult {
    read_state(world, now, |world| {
        let service = services::find_service(world, input)?;
        let statuses = str_list_field(input, "status");
        let after = input["createdAt"]["after"].as_f64().unwrap_or(f64::MIN);
        let before = input["createdAt"]["before"].as_f64().unwrap_or(f64::MAX);
        let wanted = |index: &&usize| {
            let it = &world.ecs.service_deployments[**index];
            let named = statuses.is_empty() || statuses.contains(&it.status.name());
            named && it.created_at > after && it.created_at < before
        };
        let all = world.ecs.services[service].service_deployments.iter().rev().filter(wanted);
        let briefs: Vec<Value> = all.map(|&index| service::service_deployment_brief(world, index)).collect();
        let most = if input["maxResults"].is_number() { 100 } else { 20 };
        paginate(input, &briefs, "serviceDeployments", most)
    })
}

/// DescribeServiceDeployments, at most 20.
pub(super) fn describe(world: &mut World, input: &Value, now: f64) -> ServiceResult {
    let asked = requested_arns(input, "serviceDeploymentArns")?;
    read_state(world, now, |world| {
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for arn in asked {
            match world.ecs.service_deployments.iter().position(|it| it.arn == arn) {
                Some(index) => found.push(service::service_deployment_response(world, index)),
                None => failures.push(json!({"arn": arn, "reason": "MISSING"})),
            }
        }
        Ok(json!({"serviceDeployments": found, "failures": failures}))
    })
}

/// DescribeServiceRevisions, at most 20.
pub(super) fn describe_revisions(world: &World, input: &Value) -> ServiceResult {
    let asked = requested_arns(input, "serviceRevisionArns")?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for arn in asked {
        match world.ecs.revisions.iter().position(|it| it.arn == arn) {
            Some(index) => found.push(service::revision_response(world, index)),
            None => failures.push(json!({"arn": arn, "reason": "MISSING"})),
        }
    }
    Ok(json!({"serviceRevisions": found, "failures": failures}))
}

fn requested_arns<'a>(input: &'a Value, member: &str) -> Result<Vec<&'a str>, ServiceError> {
    let asked = str_list_field(input, member);
    if asked.is_empty() || asked.len() > 20 {
        return Err(ServiceError::new(
            "InvalidParameterException",
            format!("{member} must have between 1 and 20 items."),
        ));
    }
    Ok(asked)
}

/// StopServiceDeployment: a rollback, or with ABORT an abort.
pub(super) fn stop(world: &mut World, input: &Value, now: f64) -> ServiceResult {
    let arn = str_field(input, "serviceDeploymentArn").unwrap_or_default();
    let Some(index) = world.ecs.service_deployments.iter().position(|it| it.arn == arn) else {
        return Err(ServiceError::new("ServiceDeploymentNotFoundException", "Service deployment not found."));
    };
    let status: ServiceDeploymentStatus = world.ecs.service_deployments[index].status;
    if status.has_ended() {
        let message = format!("Service deployment in status {} can not be stopped.", status.name());
        return Err(ServiceError::new("ConflictException", message));
    }
    service_deployment::request_stop(world, index, str_field(input, "stopType") != Some("ABORT"), now);
    Ok(json!({"serviceDeploymentArn": arn}))
}
