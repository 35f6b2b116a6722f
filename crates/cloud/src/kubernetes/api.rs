//! The API server: who may ask what, and what is answered.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::KubernetesEvent;
use super::scenario::ClusterSetting;
use super::state::{Cluster, FieldManager, Workload, WorkloadKind};
use super::{created, events, jobs, network, objects, patch, pods, responses};
use crate::ecr::image_factory::sha256_digest;
use crate::ecs::images::{self, ImageLookup};
use crate::faults::Fault;
use crate::input::str_field;
use crate::request::{ServiceCall, ServiceError, ServiceResult};
use crate::timed_faults::on_first_deployment;
use crate::world::World;

/// How long a token of EKS is good, seconds after the time in it.
const EKS_TOKEN_LIFETIME: f64 = 900.0;

/// A request, as the paths of the API name it.
pub(super) struct ApiRequest<'c> {
    pub(super) verb: &'c str,
    pub(super) group: &'c str,
    pub(super) resource: &'c str,
    pub(super) subresource: &'c str,
    pub(super) namespace: &'c str,
    pub(super) name: &'c str,
    pub(super) query: &'c Value,
    pub(super) body: &'c Value,
}

impl<'c> ApiRequest<'c> {
    fn from_input(input: &'c Value) -> Self {
        let text = |name: &str| str_field(input, name);
        Self {
            verb: text("verb"),
            group: text("group"),
            resource: text("resource"),
            subresource: text("subresource"),
            namespace: text("namespace"),
            name: text("name"),
            query: &input["query"],
            body: &input["body"],
        }
    }

    /// Whether nothing is to be stored.
    pub(super) fn is_dry_run(&self) -> bool {
        self.query["dryRun"] == "All"
    }

    /// The resource with its subresource, as rules of RBAC name it.
    fn rule_resource(&self) -> String {
        match self.subresource {
            "" => self.resource.to_owned(),
            sub => format!("{}/{sub}", self.resource),
        }
    }
}

/// Answers a call.
pub(super) fn answer_call(world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
    let host = str_field(&call.input, "host");
    let place = world.kubernetes.clusters.iter().position(|cluster| cluster.host == host);
    let Some(place) = place else { return Err(responses::no_such_path()) };
    let cluster = &world.kubernetes.clusters[place];
    if !is_known_token(cluster, str_field(&call.input, "bearer"), now) {
        return Err(responses::unauthorized());
    }
    let request = ApiRequest::from_input(&call.input);
    if let Some(answer) = answer_review(cluster, &request) {
        return answer;
    }
    if is_denied(cluster, request.verb, &request.rule_resource(), request.name) {
        let ApiRequest { resource, group, name, verb, namespace, .. } = request;
        return Err(responses::forbidden(resource, group, name, verb, namespace));
    }
    match (request.verb, request.resource, request.subresource) {
        ("get", "pods", "log") => get_log(cluster, &request, now),
        ("delete", "pods", "") => delete_pod(world, place, &request, now),
        ("list", "events", "") => {
            Ok(responses::list("Event", "v1", events::list_warnings(cluster, request.namespace, now)))
        }
        ("list", "resourcequotas", "") => {
            Ok(responses::list("ResourceQuota", "v1", quotas(cluster, request.namespace)))
        }
        ("get", "secrets" | "configmaps", "") => get_configuration(cluster, &request),
        ("list", "pods", "") => Ok(list_pods(world, place, &request, now)),
        ("list", "replicasets" | "controllerrevisions", "") => Ok(list_revisions(cluster, &request, now)),
        (_, "services", "") => network::answer_service(world, place, &request),
        ("list", "endpointslices", "") => Ok(network::list_slices(cluster, &request, now)),
        (_, "httproutes", "") => network::answer_route(world, place, &request, now),
        (_, "jobs", "") => jobs::answer(world, place, &request, now),
        (_, resource, "") => match WorkloadKind::ALL.into_iter().find(|kind| kind.resource() == resource) {
            Some(kind) => answer_workload(world, place, kind, &request, now),
            None => Err(responses::no_such_path()),
        },
        _ => Err(responses::no_such_path()),
    }
}

/// Whether a cluster accepts a token: one of EKS for 15 minutes from the time in it.
fn is_known_token(cluster: &Cluster, bearer: &str, now: f64) -> bool {
    if let Some(encoded) = bearer.strip_prefix("k8s-aws-v1.") {
        return cluster.setting.eks && is_fresh_eks_token(encoded, now);
    }
    if let Some(audience) = &cluster.setting.audience {
        return is_fresh_job_token(bearer, audience, now);
    }
    match &cluster.setting.token {
        Some(token) => bearer == token,
        None => !bearer.is_empty(),
    }
}

/// Whether a token of GitHub is for this audience, and alive.
fn is_fresh_job_token(bearer: &str, audience: &str, now: f64) -> bool {
    let claims = bearer.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims: Value = claims.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    claims["aud"] == audience && claims["exp"].as_f64().is_some_and(|dies| now < dies)
}

fn is_fresh_eks_token(encoded: &str, now: f64) -> bool {
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(encoded) else { return false };
    let url = String::from_utf8_lossy(&bytes).into_owned();
    let Some((address, query)) = url.split_once('?') else { return false };
    let value = |name: &str| {
        form_urlencoded::parse(query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    let signs_cluster = value("X-Amz-SignedHeaders").is_some_and(|names| names.contains("x-k8s-aws-id"));
    let is_call =
        value("Action").as_deref() == Some("GetCallerIdentity") && address.starts_with("https://sts.");
    let at = value("X-Amz-Date").and_then(|text| {
        let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", &text).ok()?;
        Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second() as f64)
    });
    signs_cluster && is_call && at.is_some_and(|at| now < at + EKS_TOKEN_LIFETIME && now >= at - 60.0)
}

fn is_denied(cluster: &Cluster, verb: &str, resource: &str, name: &str) -> bool {
    let ClusterSetting { denied, allowed, .. } = &cluster.setting;
    let (all, one) = (format!("{verb} {resource}"), format!("{verb} {resource} {name}"));
    let lists = |rules: &Vec<String>| rules.contains(&all) || (!name.is_empty() && rules.contains(&one));
    denied.contains(&all) || allowed.as_ref().is_some_and(|rules| !lists(rules))
}

/// Reviews of one's own access, which everybody may ask for.
fn answer_review(cluster: &Cluster, request: &ApiRequest<'_>) -> Option<ServiceResult> {
    if request.verb != "create" {
        return None;
    }
    match request.resource {
        "selfsubjectaccessreviews" => {
            let asked = &request.body["spec"]["resourceAttributes"];
            let resource = match str_field(asked, "subresource") {
                "" => str_field(asked, "resource").to_owned(),
                sub => format!("{}/{sub}", str_field(asked, "resource")),
            };
            let allowed = !is_denied(cluster, str_field(asked, "verb"), &resource, str_field(asked, "name"));
            let status = json!({ "allowed": allowed });
            Some(Ok(json!({
                "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                "spec": request.body["spec"], "status": status,
            })))
        }
        "selfsubjectreviews" => Some(Ok(json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview",
            "status": { "userInfo": { "username": "roadstead", "groups": ["system:authenticated"] } },
        }))),
        _ => None,
    }
}

/// The quota of a namespace, where the cluster has one.
fn quotas(cluster: &Cluster, namespace: &str) -> Vec<Value> {
    let own = cluster.workloads.iter().filter(|work| work.setting.namespace == namespace);
    let used: usize = own.map(|work| work.pods.len()).sum();
    let quota = |limit: u32| {
        json!({
            "metadata": { "name": "compute", "namespace": namespace }, "spec": { "hard": { "pods": limit.to_string() } },
            "status": { "hard": { "pods": limit.to_string() }, "used": { "pods": used.to_string() } },
        })
    };
    cluster.setting.pod_quota.map(quota).into_iter().collect()
}

/// A Secret or a ConfigMap without its content.
fn get_configuration(cluster: &Cluster, request: &ApiRequest<'_>) -> ServiceResult {
    let ApiRequest { resource, name, namespace, .. } = request;
    if cluster.setting.missing.contains(&format!("{} {name}", resource.trim_end_matches('s'))) {
        return Err(responses::not_found(resource, name));
    }
    Ok(json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": { "name": name, "namespace": namespace },
    }))
}

/// Whether labels have all of a selector of the form `a=b,c=d`.
pub(super) fn matches_selector(labels: &Value, selector: &str) -> bool {
    let fits = |term: &str| term.split_once('=').is_some_and(|(name, value)| labels[name] == value);
    selector.split(',').filter(|term| !term.is_empty()).all(fits)
}

fn list_pods(world: &World, place: usize, request: &ApiRequest<'_>, now: f64) -> Value {
    let cluster = &world.kubernetes.clusters[place];
    let digest_of = |image: &str| image_id(world, image);
    let workloads = cluster.workloads.iter().filter(|work| work.setting.namespace == request.namespace);
    let pods = workloads
        .flat_map(|work| work.pods.iter().map(move |one| (work, one)))
        .map(|(work, one)| pods::pod_json(work, one, &digest_of, now));
    let all = pods.chain(jobs::job_pods(cluster, request.namespace, now));
    let selector = str_field(request.query, "labelSelector");
    let items = all.filter(|pod| matches_selector(&pod["metadata"]["labels"], selector)).collect();
    responses::list("Pod", "v1", items)
}

/// The image as the container runtime resolved it.
fn image_id(world: &World, image: &str) -> String {
    let name = image.split('@').next().unwrap_or(image);
    let name = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    };
    match images::resolve_image(world, image) {
        ImageLookup::Digest(digest) => format!("{name}@{digest}"),
        _ => format!("{name}@{}", sha256_digest(image)),
    }
}

fn list_revisions(cluster: &Cluster, request: &ApiRequest<'_>, now: f64) -> Value {
    let kind = if request.resource == "replicasets" { "ReplicaSet" } else { "ControllerRevision" };
    let own = |work: &&Workload| {
        work.setting.namespace == request.namespace && work.setting.kind.revision_kind() == kind
    };
    let of_work = |work: &Workload| {
        work.revisions.iter().map(|one| objects::revision_json(work, one, now)).collect::<Vec<_>>()
    };
    let selector = str_field(request.query, "labelSelector");
    let all = cluster.workloads.iter().filter(own).flat_map(of_work);
    let items = all.filter(|one| matches_selector(&one["metadata"]["labels"], selector)).collect();
    responses::list(kind, "apps/v1", items)
}

fn get_log(cluster: &Cluster, request: &ApiRequest<'_>, now: f64) -> ServiceResult {
    let previous = request.query["previous"] == "true";
    let mut pods = cluster.workloads.iter().flat_map(|work| &work.pods);
    let found = pods.find(|one| one.pod.name == request.name);
    let text = match found {
        Some(one) => pods::pod_log(one, previous, now),
        None => jobs::job_log(cluster, request.name, now),
    };
    let lines = text.ok_or_else(|| {
        ServiceError::with_status(400, "BadRequest", "previous terminated container not found")
    })?;
    let count = request.query["tailLines"].as_str().and_then(|text| text.parse().ok()).unwrap_or(usize::MAX);
    let all: Vec<&str> = lines.lines().collect();
    let tail = all[all.len().saturating_sub(count)..].join("\n");
    Ok(Value::String(if tail.is_empty() { tail } else { tail + "\n" }))
}

fn delete_pod(world: &mut World, place: usize, request: &ApiRequest<'_>, now: f64) -> ServiceResult {
    let span = world.timings.stop;
    let ends = now + world.rng.pick_seconds(span);
    let cluster = &mut world.kubernetes.clusters[place];
    let found = cluster.workloads.iter_mut().enumerate().find_map(|(at, work)| {
        work.pods.iter_mut().find(|one| one.pod.name == request.name).map(|one| (at, one))
    });
    let Some((at, one)) = found else { return Err(responses::not_found("pods", request.name)) };
    let wanted = str_field(&request.body["preconditions"], "uid");
    if !wanted.is_empty() && wanted != one.pod.uid {
        let words = "Operation cannot be fulfilled: the UID in the precondition does not match";
        return Err(ServiceError::with_status(409, "Conflict", words));
    }
    one.pod.ends_at.get_or_insert(ends);
    schedule(world, place, at, ends);
    Ok(json!({ "kind": "Status", "apiVersion": "v1", "status": "Success" }))
}

fn answer_workload(
    world: &mut World,
    place: usize,
    kind: WorkloadKind,
    request: &ApiRequest<'_>,
    now: f64,
) -> ServiceResult {
    let cluster = &world.kubernetes.clusters[place];
    if request.verb == "create" {
        return created::create_workload(world, place, kind, request, now);
    }
    let own = |work: &Workload| {
        work.setting.kind == kind && work.setting.namespace == request.namespace && !work.is_deleted
    };
    if request.verb == "list" {
        let items = cluster.workloads.iter().filter(|work| own(work));
        return Ok(responses::list(
            kind.name(),
            "apps/v1",
            items.map(|work| objects::workload_json(work, now)).collect(),
        ));
    }
    let found = cluster.workloads.iter().position(|work| own(work) && work.setting.name == request.name);
    let Some(at) = found else {
        return Err(responses::not_found(&format!("{}.apps", kind.resource()), request.name));
    };
    match request.verb {
        "get" => Ok(objects::workload_json(&cluster.workloads[at], now)),
        "patch" => patch_workload(world, place, at, request, now),
        "delete" => created::delete_workload(world, place, at, request, now),
        _ => Err(responses::no_such_path()),
    }
}

fn patch_workload(
    world: &mut World,
    place: usize,
    at: usize,
    request: &ApiRequest<'_>,
    now: f64,
) -> ServiceResult {
    let work = &world.kubernetes.clusters[place].workloads[at];
    let before = objects::workload_json(work, now);
    let after = patch::apply_json_patch(&before, request.body)?;
    patch::validate_template(work.setting.kind.name(), &after)?;
    if request.is_dry_run() {
        return Ok(after);
    }
    let manager = str_field(request.query, "fieldManager").to_owned();
    if let Some(annotations) = after["metadata"]["annotations"].as_object()
        && after["metadata"]["annotations"] != before["metadata"]["annotations"]
    {
        world.kubernetes.clusters[place].workloads[at].annotations = annotations.clone();
    }
    if after["spec"] != before["spec"] {
        on_first_deployment(world, now);
        change_spec(world, place, at, &after["spec"], &manager, now);
    }
    Ok(objects::workload_json(&world.kubernetes.clusters[place].workloads[at], now))
}

/// A workload gets another spec, from a client or from somebody else.
pub(super) fn change_spec(world: &mut World, place: usize, at: usize, spec: &Value, manager: &str, now: f64) {
    let version = world.kubernetes.next_version();
    let work = &mut world.kubernetes.clusters[place].workloads[at];
    work.spec = spec.clone();
    work.generation += 1;
    (work.resource_version, work.changed_at) = (version, now);
    work.managers.retain(|one| one.manager != manager);
    work.managers.push(FieldManager { manager: manager.to_owned(), operation: "Update", at: now });
    super::controller::reconcile(world, place, at, now);
}

/// Plans a look at a workload.
fn schedule(world: &mut World, cluster: usize, place: usize, at: f64) {
    let work = &mut world.kubernetes.clusters[cluster].workloads[place];
    work.wake_number += 1;
    let number = work.wake_number;
    world.events.schedule(at, KubernetesEvent::WorkloadDue { cluster, place, number });
}

/// Somebody else changes every workload, as a fault says.
pub(super) fn apply_outside_change(world: &mut World, fault: &Fault, now: f64) {
    for cluster in 0..world.kubernetes.clusters.len() {
        for place in 0..world.kubernetes.clusters[cluster].workloads.len() {
            let work = &world.kubernetes.clusters[cluster].workloads[place];
            if work.is_deleted {
                continue;
            }
            let mut spec = work.spec.clone();
            match fault {
                Fault::KubernetesImageSet(change) => {
                    spec["template"]["spec"]["containers"][0]["image"] = json!(change.image);
                }
                Fault::KubernetesPaused(_) => spec["paused"] = json!(true),
                Fault::KubernetesScaled(change) => spec["replicas"] = json!(change.replicas),
                _ => return,
            }
            change_spec(world, cluster, place, &spec, "kubectl-edit", now);
        }
    }
}
