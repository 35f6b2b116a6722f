//! Clusters, and tags of anything: look-ups, descriptions, changes of tags.

use serde_json::{Value, json};

use super::super::request::{ServiceError, ServiceResult};
use super::super::world::World;
use super::state::EcsState;
use super::{paginate, str_field, str_list_field};

/// The cluster that a call names (`default` when it names none), by name or ARN.
pub(super) fn find_cluster(world: &World, input: &Value) -> Result<usize, ServiceError> {
    let name = str_field(input, "cluster").unwrap_or("default");
    check_owner(world, name)?;
    find_by_name(&world.ecs, name)
        .ok_or_else(|| ServiceError::new("ClusterNotFoundException", "Cluster not found."))
}

/// An ARN of another account or region is refused before anything is looked up (prometheus-ecs-discovery#95).
fn check_owner(world: &World, name: &str) -> Result<(), ServiceError> {
    let parts: Vec<&str> = name.splitn(6, ':').collect();
    let ["arn", _, "ecs", region, account, _] = parts[..] else { return Ok(()) };
    let refusal = |what: String| Err(ServiceError::new("InvalidParameterException", what));
    if account != world.account {
        return refusal(format!("Identifier is for {account}. Your accountId is {}", world.account));
    }
    if region != world.region {
        return refusal(format!("Identifier is for {region}. Your region is {}", world.region));
    }
    Ok(())
}

fn find_by_name(ecs: &EcsState, name: &str) -> Option<usize> {
    let name = name.rsplit_once(":cluster/").map_or(name, |(_, name)| name);
    ecs.clusters.iter().position(|cluster| cluster == name)
}

/// ARN of a cluster.
pub(super) fn cluster_arn(world: &World, cluster: usize) -> String {
    format!("arn:aws:ecs:{}:{}:cluster/{}", world.region, world.account, world.ecs.clusters[cluster])
}

/// DescribeClusters.
pub(super) fn describe(world: &World, input: &Value) -> ServiceResult {
    let asked = str_list_field(input, "clusters");
    let asked = if asked.is_empty() { vec!["default"] } else { asked };
    let (mut clusters, mut failures) = (Vec::new(), Vec::new());
    for name in asked {
        check_owner(world, name)?;
        match find_by_name(&world.ecs, name) {
            Some(cluster) => clusters.push(cluster_response(world, cluster)),
            None => {
                let name = name.rsplit_once(":cluster/").map_or(name, |(_, name)| name);
                let arn = format!("arn:aws:ecs:{}:{}:cluster/{name}", world.region, world.account);
                failures.push(json!({"arn": arn, "reason": "MISSING"}));
            }
        }
    }
    Ok(json!({"clusters": clusters, "failures": failures}))
}

fn cluster_response(world: &World, cluster: usize) -> Value {
    let services = || world.ecs.services.iter().filter(|s| s.cluster == cluster);
    let tasks = |wanted: fn(&str) -> bool| {
        let all = services().flat_map(|s| &s.tasks);
        all.filter(|&&task| wanted(world.ecs.tasks[task].last_status)).count()
    };
    json!({
        "clusterArn": cluster_arn(world, cluster),
        "clusterName": world.ecs.clusters[cluster],
        "status": "ACTIVE",
        "registeredContainerInstancesCount": 0,
        "runningTasksCount": tasks(|last| last == "RUNNING"),
        "pendingTasksCount": tasks(|last| matches!(last, "PROVISIONING" | "PENDING" | "ACTIVATING")),
        "activeServicesCount": services().filter(|s| s.status == "ACTIVE").count(),
        "statistics": [],
        "tags": [],
        "settings": [],
        "capacityProviders": ["FARGATE", "FARGATE_SPOT"],
        "defaultCapacityProviderStrategy": [],
    })
}

/// ListClusters.
pub(super) fn list(world: &World, input: &Value) -> ServiceResult {
    let arns: Vec<Value> =
        (0..world.ecs.clusters.len()).map(|cluster| cluster_arn(world, cluster).into()).collect();
    paginate(input, &arns, "clusterArns", 100)
}

/// ListTagsForResource.
pub(super) fn list_tags(world: &World, input: &Value) -> ServiceResult {
    let arn = str_field(input, "resourceArn").unwrap_or_default();
    check_resource_exists(world, arn)?;
    Ok(json!({"tags": world.ecs.tags.get(arn).cloned().unwrap_or_default()}))
}

/// TagResource.
pub(super) fn tag_resource(world: &mut World, input: &Value) -> ServiceResult {
    let arn = str_field(input, "resourceArn").unwrap_or_default();
    check_resource_exists(world, arn)?;
    let tags = world.ecs.tags.entry(arn.into()).or_default();
    for tag in input["tags"].as_array().into_iter().flatten() {
        tags.retain(|known| known["key"] != tag["key"]);
        tags.push(tag.clone());
    }
    Ok(json!({}))
}

/// UntagResource.
pub(super) fn untag_resource(world: &mut World, input: &Value) -> ServiceResult {
    let arn = str_field(input, "resourceArn").unwrap_or_default();
    check_resource_exists(world, arn)?;
    let keys = str_list_field(input, "tagKeys");
    if let Some(tags) = world.ecs.tags.get_mut(arn) {
        tags.retain(|tag| !keys.iter().any(|key| tag["key"] == *key));
    }
    Ok(json!({}))
}

fn check_resource_exists(world: &World, arn: &str) -> Result<(), ServiceError> {
    let ecs = &world.ecs;
    let known = ecs.services.iter().any(|s| s.arn == arn)
        || ecs.definitions.iter().any(|d| d.arn == arn)
        || ecs.tasks.iter().any(|t| t.arn == arn)
        || arn.contains(":cluster/") && find_by_name(ecs, arn).is_some();
    if known {
        Ok(())
    } else {
        Err(ServiceError::new(
            "InvalidParameterException",
            "The specified resource could not be found. Specify a valid resource ARN.",
        ))
    }
}
