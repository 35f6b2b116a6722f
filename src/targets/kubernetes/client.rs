//! Calls to the API server, one function a call. No decision is taken here.

use std::rc::Rc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::access::ClusterAccess;
use super::error::{ApiError, ErrorKind};
use super::events::EventObject;
use super::pod::Pod;
use super::quota::QuotaObject;
use super::read::{ObjectList, read_object};
use super::revision::RevisionObject;
use super::settings::{WorkloadKind, WorkloadName};
use crate::problem::{Code, Problem};
use crate::retry::{self, Jitter, RetryPolicy, WriteError};
use crate::sys::http::{Method, Request, Response, json_error_text};

/// What the API server records as the writer of our changes.
pub const FIELD_MANAGER: &str = "roadstead";
/// The content type of an object without its content.
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
/// The most events that are read.
const MAX_EVENTS: &str = "500";
/// Repetitions of a read.
const READ_RETRY: RetryPolicy =
    RetryPolicy::with_backoff(&[Duration::from_millis(500), Duration::from_secs(2)], Jitter::Shorter);

/// A right that is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessRight<'r> {
    /// Such as `patch`.
    pub verb: &'static str,
    /// The API group; empty for the core.
    pub group: &'static str,
    /// The resource.
    pub resource: &'static str,
    /// The subresource; empty for the resource itself.
    pub subresource: &'static str,
    /// The object; empty for all.
    pub name: &'r str,
}

/// One namespace of a cluster.
pub struct Client {
    access: Rc<ClusterAccess>,
    namespace: String,
}

impl Client {
    /// A client of a namespace.
    pub fn new(access: Rc<ClusterAccess>, namespace: &str) -> Self {
        Self { access, namespace: namespace.to_owned() }
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The cluster in sentences.
    pub fn title(&self) -> &str {
        &self.access.title
    }

    /// The path of something of the group `apps`.
    pub fn apps_path(&self, resource: &str) -> String {
        format!("/apis/apps/v1/namespaces/{}/{resource}", self.namespace)
    }

    /// The path of something of the core.
    pub fn core_path(&self, resource: &str) -> String {
        format!("/api/v1/namespaces/{}/{resource}", self.namespace)
    }

    fn jobs(&self, rest: &str) -> String {
        format!("/apis/batch/v1/namespaces/{}/jobs{rest}", self.namespace)
    }

    /// The workload, as the server has it.
    pub async fn workload(&self, workload: &WorkloadName) -> Result<Value, ApiError> {
        self.get(format!("{}/{}", self.apps_path(workload.kind.resource()), workload.name)).await
    }

    /// The ReplicaSets or ControllerRevisions with these labels.
    pub async fn revisions(
        &self,
        kind: WorkloadKind,
        selector: &str,
    ) -> Result<Vec<RevisionObject>, ApiError> {
        self.list_labelled(&self.apps_path(kind.revision_resource()), selector).await
    }

    /// The pods with these labels.
    pub async fn pods(&self, selector: &str) -> Result<Vec<Pod>, ApiError> {
        self.list_labelled(&self.core_path("pods"), selector).await
    }

    /// The quotas of the namespace.
    pub async fn resource_quotas(&self) -> Result<Vec<QuotaObject>, ApiError> {
        self.list(self.core_path("resourcequotas")).await
    }

    /// Whether an object of the core exists; only its metadata is requested.
    pub async fn has_object(&self, resource: &str, name: &str) -> Result<bool, ApiError> {
        let request =
            Request::get(format!("{}/{name}", self.core_path(resource))).header("accept", METADATA_ONLY);
        match self.repeat(&request).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The warnings of the namespace.
    pub async fn warnings(&self) -> Result<Vec<EventObject>, ApiError> {
        let members = [("fieldSelector", "type=Warning"), ("limit", MAX_EVENTS)];
        let path = format!("{}?{}", self.core_path("events"), query(&members));
        self.list(path).await
    }

    /// The last lines of a container.
    pub async fn pod_log(
        &self,
        pod: &str,
        container: &str,
        previous: bool,
        lines: usize,
    ) -> Result<String, ApiError> {
        let (previous, lines) = (previous.to_string(), lines.to_string());
        let members =
            [("container", container), ("previous", previous.as_str()), ("tailLines", lines.as_str())];
        let path = format!("{}/{pod}/log?{}", self.core_path("pods"), query(&members));
        Ok(self.access.send(&Request::get(path)).await?.text())
    }

    /// One attempt to patch the workload. In a dry run nothing is stored, and the server checks everything that it would.
    pub async fn patch_workload(
        &self,
        workload: &WorkloadName,
        patch: &Value,
        is_dry_run: bool,
    ) -> Result<Value, ApiError> {
        let path = self.apps_path(&format!("{}/{}", workload.kind.resource(), workload.name));
        self.send_patch(&path, patch, is_dry_run).await
    }

    async fn send_patch(&self, path: &str, patch: &Value, is_dry_run: bool) -> Result<Value, ApiError> {
        let mut members = vec![("fieldManager", FIELD_MANAGER), ("fieldValidation", "Strict")];
        members.extend(is_dry_run.then_some(("dryRun", "All")));
        let path = format!("{path}?{}", query(&members));
        let request = Request { body: patch.to_string().into_bytes(), ..Request::new(Method::PATCH, path) };
        let answer = self.access.send(&request.header("content-type", "application/json-patch+json")).await?;
        self.parse(&answer)
    }

    /// One attempt to patch an object.
    pub async fn patch(&self, path: &str, patch: &Value) -> Result<Value, ApiError> {
        self.send_patch(path, patch, false).await
    }

    /// One attempt to make an object.
    pub async fn create(&self, path: &str, object: &Value) -> Result<Value, ApiError> {
        let path = format!("{path}?{}", query(&[("fieldManager", FIELD_MANAGER)]));
        let request = Request::new(Method::POST, path).json(object.to_string().into_bytes());
        let answer = self.access.send(&request).await?;
        self.parse(&answer)
    }

    /// Deletes an object, with options such as preconditions.
    pub async fn delete(&self, path: &str, options: &Value) -> Result<(), ApiError> {
        let mut body = json!({ "apiVersion": "v1", "kind": "DeleteOptions" });
        if let (Some(body), Some(more)) = (body.as_object_mut(), options.as_object()) {
            body.extend(more.clone());
        }
        let request = Request::new(Method::DELETE, path);
        self.access.send(&request.json(body.to_string().into_bytes())).await.map(drop)
    }

    /// An object.
    pub async fn read<T: DeserializeOwned>(&self, path: String) -> Result<T, ApiError> {
        self.interpret(self.get(path).await?)
    }

    /// The objects of a list.
    pub async fn list<T: DeserializeOwned>(&self, path: String) -> Result<Vec<T>, ApiError> {
        Ok(self.read::<ObjectList<T>>(path).await?.items)
    }

    /// The objects with these labels.
    pub async fn list_labelled<T: DeserializeOwned>(
        &self,
        path: &str,
        selector: &str,
    ) -> Result<Vec<T>, ApiError> {
        self.list(format!("{path}?{}", query(&[("labelSelector", selector)]))).await
    }

    /// An answer as an object. One that cannot be read is an error, and never an object without anything in it.
    pub fn interpret<T: DeserializeOwned>(&self, raw: Value) -> Result<T, ApiError> {
        read_object(raw).map_err(|error| self.unreadable(&error))
    }

    /// Deletes a pod, if it is still that one.
    pub async fn delete_pod(&self, name: &str, uid: &str) -> Result<(), ApiError> {
        self.delete(&self.core_path(&format!("pods/{name}")), &json!({ "preconditions": { "uid": uid } }))
            .await
    }

    /// Whether the caller has a right.
    pub async fn is_allowed(&self, right: &AccessRight<'_>) -> Result<bool, ApiError> {
        let AccessRight { verb, group, resource, subresource, name } = right;
        let body = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": {
                "namespace": self.namespace, "verb": verb, "group": group, "resource": resource,
                "subresource": subresource, "name": name,
            } },
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let request = Request::new(Method::POST, path).json(body.to_string().into_bytes());
        let answer: Value = self.repeat(&request).await?;
        Ok(answer["status"]["allowed"] == true)
    }

    /// One attempt to make a Job.
    pub async fn create_job(&self, job: &Value) -> Result<Value, ApiError> {
        self.create(&self.jobs(""), job).await
    }

    /// The Job of a name.
    pub async fn job(&self, name: &str) -> Result<Value, ApiError> {
        self.get(self.jobs(&format!("/{name}"))).await
    }

    /// The Jobs with these labels.
    pub async fn jobs_with(&self, selector: &str) -> Result<Vec<Value>, ApiError> {
        self.list_labelled(&self.jobs(""), selector).await
    }

    /// Deletes a Job and its pods.
    pub async fn delete_job(&self, name: &str) -> Result<(), ApiError> {
        self.delete(&self.jobs(&format!("/{name}")), &json!({ "propagationPolicy": "Background" })).await
    }

    async fn get(&self, path: String) -> Result<Value, ApiError> {
        self.repeat(&Request::get(path)).await
    }

    /// Sends a request that changes nothing, again where that can help.
    async fn repeat(&self, request: &Request) -> Result<Value, ApiError> {
        let send = async || self.access.send(request).await.map_err(ApiError::into_read_error);
        let answer = retry::idempotent(&READ_RETRY, send).await.map_err(WriteError::into_error)?;
        self.parse(&answer)
    }

    fn parse(&self, answer: &Response) -> Result<Value, ApiError> {
        serde_json::from_slice(&answer.body).map_err(|error| self.unreadable(&error))
    }

    fn unreadable(&self, error: &serde_json::Error) -> ApiError {
        let sentence = format!("An answer of the API server of {} cannot be read.", self.access.title);
        let problem = Problem::error(Code::ProviderError, sentence).cause(json_error_text(error));
        ApiError { kind: ErrorKind::NoAnswer, message: String::new(), problem }
    }
}

fn query(members: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(members).finish()
}
