//! Services, their EndpointSlices, and HTTPRoutes of the Gateway API, whose gateway sees a change a moment later.

use serde_json::{Value, json};

use super::api::{ApiRequest, matches_selector};
use super::objects::{format_time, pod_metadata};
use super::patch;
use super::responses;
use super::scenario::{RouteSetting, ServiceSetting};
use super::state::{Cluster, ClusterRoute, ClusterService};
use crate::input::str_field;
use crate::request::{ServiceError, ServiceResult};
use crate::world::World;

/// Seconds until a gateway has seen a change of a route.
const GATEWAY_DELAY: f64 = 1.0;

/// A Service of the scenario.
pub(super) fn seeded_service(setting: &ServiceSetting, uid: String) -> ClusterService {
    let ServiceSetting { namespace, name, selector } = setting;
    let object = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": name, "namespace": namespace, "uid": uid },
        "spec": {
            "type": "ClusterIP", "clusterIP": "10.96.0.10", "selector": selector,
            "ports": [{ "name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP" }],
        },
    });
    ClusterService { namespace: namespace.clone(), name: name.clone(), object }
}

/// A route of the scenario.
pub(super) fn seeded_route(setting: &RouteSetting, uid: String, since: f64) -> ClusterRoute {
    let RouteSetting { namespace, name, service, accepted } = setting;
    let object = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": { "name": name, "namespace": namespace, "uid": uid },
        "spec": {
            "parentRefs": [{ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "public" }],
            "rules": [{
                "matches": [{ "path": { "type": "PathPrefix", "value": "/" } }],
                "backendRefs": [{ "group": "", "kind": "Service", "name": service, "port": 80, "weight": 1 }],
            }],
        },
    });
    ClusterRoute {
        namespace: namespace.clone(),
        name: name.clone(),
        object,
        generation: 1,
        changed_at: since,
        is_accepted: *accepted,
    }
}

/// Answers a request for Services.
pub(super) fn answer_service(world: &mut World, place: usize, request: &ApiRequest<'_>) -> ServiceResult {
    let uid = world.rng.uuid();
    let services = &mut world.kubernetes.clusters[place].services;
    let wanted =
        if request.verb == "create" { str_field(&request.body["metadata"], "name") } else { request.name };
    let found = services.iter().position(|one| one.namespace == request.namespace && one.name == wanted);
    match (request.verb, found) {
        ("get", Some(at)) => Ok(services[at].object.clone()),
        ("create", Some(_)) => Err(responses::already_exists("services", wanted)),
        ("create", None) => {
            let mut object = request.body.clone();
            object["metadata"]["namespace"] = json!(request.namespace);
            object["metadata"]["uid"] = json!(uid);
            let (namespace, name) = (request.namespace.to_owned(), wanted.to_owned());
            services.push(ClusterService { namespace, name, object: object.clone() });
            Ok(object)
        }
        ("delete", Some(at)) => Ok(services.remove(at).object),
        ("get" | "delete", None) => Err(responses::not_found("services", wanted)),
        _ => Err(responses::no_such_path()),
    }
}

/// The EndpointSlice of the Service that the selector names.
pub(super) fn list_slices(cluster: &Cluster, request: &ApiRequest<'_>, now: f64) -> Value {
    let selector = str_field(request.query, "labelSelector");
    let name = selector.strip_prefix("kubernetes.io/service-name=").unwrap_or_default();
    let own = |one: &&ClusterService| one.namespace == request.namespace && one.name == name;
    let slices = cluster.services.iter().filter(own).map(|service| slice_json(cluster, service, now));
    responses::list("EndpointSlice", "discovery.k8s.io/v1", slices.collect())
}

fn slice_json(cluster: &Cluster, service: &ClusterService, now: f64) -> Value {
    let terms = service.object["spec"]["selector"].as_object().cloned().unwrap_or_default();
    let terms = terms.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()));
    let selector = terms.collect::<Vec<_>>().join(",");
    let workloads = cluster.workloads.iter().filter(|work| work.setting.namespace == service.namespace);
    let pods = workloads.flat_map(|work| work.pods.iter().map(move |one| (work, one)));
    let selected = pods.filter(|(work, one)| matches_selector(&pod_metadata(work, one)["labels"], &selector));
    let endpoints: Vec<Value> = selected
        .map(|(_, one)| {
            let (is_ready, is_active) = (one.pod.is_available(now), one.pod.is_active());
            json!({
                "addresses": ["10.0.0.1"], "targetRef": { "kind": "Pod", "name": one.pod.name, "uid": one.pod.uid },
                "conditions": { "ready": is_ready, "serving": is_ready, "terminating": !is_active },
            })
        })
        .collect();
    let name = &service.name;
    json!({
        "metadata": {
            "name": format!("{name}-slice"), "namespace": service.namespace,
            "labels": { "kubernetes.io/service-name": name },
        },
        "addressType": "IPv4",
        // Go writes an empty list as null.
        "endpoints": if endpoints.is_empty() { Value::Null } else { Value::Array(endpoints) },
    })
}

/// Answers a request for HTTPRoutes.
pub(super) fn answer_route(
    world: &mut World,
    place: usize,
    request: &ApiRequest<'_>,
    now: f64,
) -> ServiceResult {
    let routes = &mut world.kubernetes.clusters[place].routes;
    let found = routes.iter_mut().find(|one| one.namespace == request.namespace && one.name == request.name);
    let Some(route) = found else {
        return Err(responses::not_found("httproutes.gateway.networking.k8s.io", request.name));
    };
    match request.verb {
        "get" => Ok(route_json(route, now)),
        "patch" => {
            let after = patch::apply_json_patch(&route_json(route, now), request.body)?;
            check_rules(&after["spec"]["rules"])?;
            if !request.is_dry_run() && after["spec"] != route.object["spec"] {
                route.object["spec"] = after["spec"].clone();
                (route.generation, route.changed_at) = (route.generation + 1, now);
            }
            Ok(route_json(route, now))
        }
        _ => Err(responses::no_such_path()),
    }
}

/// The weights that the schema of a route allows.
fn check_rules(rules: &Value) -> Result<(), ServiceError> {
    let all = rules.as_array().cloned().unwrap_or_default();
    let backends = all.iter().flat_map(|rule| rule["backendRefs"].as_array().cloned().unwrap_or_default());
    for backend in backends {
        if backend["weight"].as_i64().is_some_and(|weight| !(0..=1_000_000).contains(&weight)) {
            return Err(responses::invalid_object(
                "HTTPRoute",
                "route",
                "spec.rules: weight is out of range",
            ));
        }
    }
    Ok(())
}

fn route_json(route: &ClusterRoute, now: f64) -> Value {
    let seen = if now >= route.changed_at + GATEWAY_DELAY { route.generation } else { route.generation - 1 };
    let condition = |kind: &str, holds: bool| {
        json!({
            "type": kind, "status": if holds { "True" } else { "False" }, "reason": kind,
            "observedGeneration": seen, "lastTransitionTime": format_time(route.changed_at),
        })
    };
    let mut object = route.object.clone();
    object["metadata"]["generation"] = json!(route.generation);
    object["status"] = json!({ "parents": [{
        "controllerName": "example.com/gateway", "parentRef": { "name": "public" },
        "conditions": [condition("Accepted", route.is_accepted), condition("ResolvedRefs", true)],
    }] });
    object
}
