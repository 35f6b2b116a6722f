//! The shapes of a service, its deployments and its revisions in answers. Reads only; no decision.

use serde_json::{Map, Value, json};

use super::super::super::world::World;
use super::super::state::{Deployment, EcsState, ServiceDeployment, ServiceRevision};
use super::super::{clusters, insert_some, lifecycle, lifecycle_hooks, listener_routes, timestamp};

/// Desired, running and pending tasks.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TaskCounts {
    pub(crate) running: u32,
    pub(crate) pending: u32,
}

fn count_tasks(ecs: &EcsState, service: usize, belongs: impl Fn(usize) -> bool) -> TaskCounts {
    let mut counts = TaskCounts::default();
    for task in ecs.services[service].tasks.iter().map(|&task| &ecs.tasks[task]) {
        if belongs(task.deployment) {
            counts.running += u32::from(task.last_status == "RUNNING");
            counts.pending +=
                u32::from(matches!(task.last_status, "PROVISIONING" | "PENDING" | "ACTIVATING"));
        }
    }
    counts
}

/// How many tasks a deployment shall have: all for the newest, what is left for the others.
fn requested_count(ecs: &EcsState, deployment: usize) -> u32 {
    let it = &ecs.deployments[deployment];
    let service = &ecs.services[it.service];
    if service.deployments.first() == Some(&deployment) && service.status == "ACTIVE" {
        return service.desired;
    }
    let wanted = |task: &&usize| ecs.tasks[**task].deployment == deployment && ecs.tasks[**task].should_run;
    service.tasks.iter().filter(wanted).count() as u32
}

/// `Service`.
pub(crate) fn service_response(world: &World, index: usize, tags: bool) -> Value {
    let ecs = &world.ecs;
    let it = &ecs.services[index];
    let all = count_tasks(ecs, index, |_| true);
    let mut shape = it.members.clone();
    shape.insert("serviceArn".into(), it.arn.clone().into());
    shape.insert("serviceName".into(), it.name.clone().into());
    shape.insert("clusterArn".into(), clusters::cluster_arn(world, it.cluster).into());
    shape.insert("status".into(), it.status.into());
    shape.insert("desiredCount".into(), it.desired.into());
    shape.insert("runningCount".into(), all.running.into());
    shape.insert("pendingCount".into(), all.pending.into());
    shape.insert("taskDefinition".into(), ecs.definitions[it.definition].arn.clone().into());
    shape.insert("createdAt".into(), timestamp(it.created_at));
    shape.insert(
        "events".into(),
        it.events
            .iter()
            .map(|n| json!({"id": n.id, "createdAt": timestamp(n.at), "message": n.message}))
            .collect(),
    );
    shape.insert("schedulingStrategy".into(), "REPLICA".into());
    for unshown in ["serviceConnectConfiguration", "volumeConfigurations", "vpcLatticeConfigurations"] {
        shape.remove(unshown);
    }
    // The default controller is left out unless a client named it.
    insert_some(
        &mut shape,
        "deploymentController",
        (it.is_controller_given || it.controller != "ECS").then(|| json!({"type": it.controller})),
    );
    let own = it.controller == "ECS";
    let deployments = it.deployments.iter().filter(|_| own).map(|&d| deployment_response(world, d));
    shape.insert("deployments".into(), deployments.collect());
    if own {
        let current = it.service_deployments.last().map(|&r| ecs.service_deployments[r].arn.clone().into());
        insert_some(&mut shape, "currentServiceDeployment", current);
        shape.insert("currentServiceRevisions".into(), current_revisions(ecs, index));
    }
    insert_some(&mut shape, "tags", tags.then(|| ecs.tags.get(&it.arn).cloned().unwrap_or_default().into()));
    Value::Object(shape)
}

fn current_revisions(ecs: &EcsState, service: usize) -> Value {
    let mut seen: Vec<usize> = Vec::new();
    for &deployment in &ecs.services[service].deployments {
        let revision = ecs.deployments[deployment].revision;
        if !seen.contains(&revision) {
            seen.push(revision);
        }
    }
    seen.into_iter().map(|revision| revision_summary(ecs, service, revision)).collect()
}

fn revision_summary(ecs: &EcsState, service: usize, revision: usize) -> Value {
    let counts = count_tasks(ecs, service, |deployment| ecs.deployments[deployment].revision == revision);
    let asked =
        ecs.services[service].deployments.iter().filter(|&&d| ecs.deployments[d].revision == revision);
    json!({
        "arn": ecs.revisions[revision].arn,
        "requestedTaskCount": asked.map(|&d| requested_count(ecs, d)).sum::<u32>(),
        "runningTaskCount": counts.running,
        "pendingTaskCount": counts.pending,
    })
}

fn deployment_response(world: &World, index: usize) -> Value {
    let ecs = &world.ecs;
    let it: &Deployment = &ecs.deployments[index];
    let revision = &ecs.revisions[it.revision];
    let counts = count_tasks(ecs, it.service, |deployment| deployment == index);
    let mut shape = Map::new();
    shape.insert("id".into(), it.id.clone().into());
    shape.insert("status".into(), it.status.into());
    shape.insert("taskDefinition".into(), ecs.definitions[revision.definition].arn.clone().into());
    shape.insert("desiredCount".into(), requested_count(ecs, index).into());
    shape.insert("pendingCount".into(), counts.pending.into());
    shape.insert("runningCount".into(), counts.running.into());
    shape.insert("failedTasks".into(), it.failed_tasks.into());
    shape.insert("createdAt".into(), timestamp(it.created_at));
    shape.insert("updatedAt".into(), timestamp(it.updated_at));
    for member in [
        "capacityProviderStrategy",
        "launchType",
        "platformVersion",
        "platformFamily",
        "networkConfiguration",
        "serviceConnectConfiguration",
        "volumeConfigurations",
        "vpcLatticeConfigurations",
    ] {
        insert_some(&mut shape, member, revision.members.get(member).cloned());
    }
    shape.insert("rolloutState".into(), it.state.into());
    shape.insert("rolloutStateReason".into(), it.reason.clone().into());
    Value::Object(shape)
}

/// `ServiceDeployment`.
pub(crate) fn service_deployment_response(world: &World, index: usize) -> Value {
    let it = &world.ecs.service_deployments[index];
    let Value::Object(mut shape) = service_deployment_brief(world, index) else { return Value::Null };
    shape.remove("targetServiceRevisionArn");
    insert_some(&mut shape, "stoppedAt", it.stopped_at.map(timestamp));
    shape.insert("updatedAt".into(), timestamp(it.updated_at));
    shape.insert("sourceServiceRevisions".into(), source_revisions(&world.ecs, it));
    let target = with_traffic_weights(revision_summary(&world.ecs, it.service, it.target), it, |share| share);
    shape.insert("targetServiceRevision".into(), target);
    if let Some(staged) = &it.staged {
        insert_some(&mut shape, "lifecycleStage", lifecycle::shown_stage(staged, it.status).map(Value::from));
        shape.insert("lifecycleHookDetails".into(), lifecycle_hooks::hook_details(staged));
    }
    insert_some(
        &mut shape,
        "deploymentConfiguration",
        it.configuration.is_object().then(|| it.configuration.clone()),
    );
    let rollback = it.rollback.as_ref().map(|back| {
        let revision = &world.ecs.revisions[back.revision].arn;
        json!({"reason": back.reason, "startedAt": timestamp(back.started_at), "serviceRevisionArn": revision})
    });
    insert_some(&mut shape, "rollback", rollback);
    let breaker = &it.breaker;
    let breaker = json!({"status": breaker.status, "failureCount": breaker.failure_count, "threshold": breaker.threshold});
    shape.insert("deploymentCircuitBreaker".into(), breaker);
    let alarms = &it.alarms;
    if !alarms.names.is_empty() {
        let names = (&alarms.names, &alarms.triggered);
        let alarms = json!({"status": alarms.status, "alarmNames": names.0, "triggeredAlarmNames": names.1});
        shape.insert("alarms".into(), alarms);
    }
    Value::Object(shape)
}

fn source_revisions(ecs: &EcsState, it: &ServiceDeployment) -> Value {
    let live = it.staged.as_ref().and_then(|staged| Some(ecs.deployments[staged.source?].revision));
    let one = |(revision, _): &(usize, u32)| {
        let left = |share: f64| if live == Some(*revision) { 100.0 - share } else { 0.0 };
        with_traffic_weights(revision_summary(ecs, it.service, *revision), it, left)
    };
    it.sources.iter().map(one).collect()
}

/// A summary with the weights that a revision shall have, where the deployment goes in stages.
fn with_traffic_weights(mut summary: Value, it: &ServiceDeployment, share: impl Fn(f64) -> f64) -> Value {
    if let Some(staged) = &it.staged {
        let tenth = |share: f64| (share * 10.0).round() / 10.0;
        summary["requestedTestTrafficWeight"] = tenth(share(staged.test_percent)).into();
        summary["requestedProductionTrafficWeight"] = tenth(share(staged.production_percent)).into();
    }
    summary
}

/// `ServiceDeploymentBrief`.
pub(crate) fn service_deployment_brief(world: &World, index: usize) -> Value {
    let it = &world.ecs.service_deployments[index];
    let service = &world.ecs.services[it.service];
    let mut shape = Map::new();
    shape.insert("serviceDeploymentArn".into(), it.arn.clone().into());
    shape.insert("serviceArn".into(), service.arn.clone().into());
    shape.insert("clusterArn".into(), clusters::cluster_arn(world, service.cluster).into());
    insert_some(&mut shape, "startedAt", it.started_at.map(timestamp));
    shape.insert("createdAt".into(), timestamp(it.created_at));
    insert_some(&mut shape, "finishedAt", it.finished_at.map(timestamp));
    shape.insert("targetServiceRevisionArn".into(), world.ecs.revisions[it.target].arn.clone().into());
    shape.insert("status".into(), it.status.name().into());
    insert_some(
        &mut shape,
        "statusReason",
        (!it.status_reason.is_empty()).then(|| it.status_reason.clone().into()),
    );
    Value::Object(shape)
}

/// `ServiceRevision`.
pub(crate) fn revision_response(world: &World, index: usize) -> Value {
    let it: &ServiceRevision = &world.ecs.revisions[index];
    let service = &world.ecs.services[it.service];
    let mut shape = Map::new();
    shape.insert("serviceRevisionArn".into(), it.arn.clone().into());
    shape.insert("serviceArn".into(), service.arn.clone().into());
    shape.insert("clusterArn".into(), clusters::cluster_arn(world, service.cluster).into());
    shape.insert("taskDefinition".into(), world.ecs.definitions[it.definition].arn.clone().into());
    for member in [
        "capacityProviderStrategy",
        "launchType",
        "platformVersion",
        "platformFamily",
        "loadBalancers",
        "serviceRegistries",
        "networkConfiguration",
        "serviceConnectConfiguration",
        "volumeConfigurations",
        "vpcLatticeConfigurations",
    ] {
        insert_some(&mut shape, member, it.members.get(member).cloned());
    }
    let images = it.images.iter().map(|(name, image, digest)| {
        let mut shape = Map::new();
        shape.insert("containerName".into(), name.clone().into());
        shape.insert("image".into(), image.clone().into());
        insert_some(&mut shape, "imageDigest", digest.clone().map(Value::from));
        Value::Object(shape)
    });
    shape.insert("containerImages".into(), images.collect());
    let resolved = listener_routes::target_group_pairs(it)
        .into_iter()
        .map(|pair| json!({"targetGroupArn": pair.own, "productionListenerRule": pair.production_rule}));
    let resolved: Vec<Value> = resolved.collect();
    insert_some(
        &mut shape,
        "resolvedConfiguration",
        (!resolved.is_empty()).then(|| json!({"loadBalancers": resolved})),
    );
    shape.insert("guardDutyEnabled".into(), false.into());
    shape.insert("createdAt".into(), timestamp(it.created_at));
    Value::Object(shape)
}
