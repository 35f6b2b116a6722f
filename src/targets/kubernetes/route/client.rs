//! Calls for the route, its Services and the canary, one function a call. No decision is taken here.

use serde_json::{Value, json};

use super::super::client::Client;
use super::super::error::{ApiError, ErrorKind};
use super::backends::RouteObject;
use super::canary::{ServiceObject, SliceObject};

impl Client {
    fn routes(&self, name: &str) -> String {
        format!("/apis/gateway.networking.k8s.io/v1/namespaces/{}/httproutes/{name}", self.namespace())
    }

    /// An HTTPRoute.
    pub async fn route(&self, name: &str) -> Result<RouteObject, ApiError> {
        self.read(self.routes(name)).await
    }

    /// One attempt to patch an HTTPRoute.
    pub async fn patch_route(&self, name: &str, patch: &Value) -> Result<Value, ApiError> {
        self.patch(&self.routes(name), patch).await
    }

    /// A Service.
    pub async fn service(&self, name: &str) -> Result<ServiceObject, ApiError> {
        self.read(self.core_path(&format!("services/{name}"))).await
    }

    /// One attempt to make a Service.
    pub async fn create_service(&self, service: &Value) -> Result<Value, ApiError> {
        self.create(&self.core_path("services"), service).await
    }

    /// Deletes a Service; one that is gone counts as deleted.
    pub async fn delete_service(&self, name: &str) -> Result<(), ApiError> {
        or_gone(self.delete(&self.core_path(&format!("services/{name}")), &json!({})).await)
    }

    /// One attempt to make a Deployment.
    pub async fn create_deployment(&self, deployment: &Value) -> Result<Value, ApiError> {
        self.create(&self.apps_path("deployments"), deployment).await
    }

    /// Deletes a Deployment and its pods; one that is gone counts as deleted.
    pub async fn delete_deployment(&self, name: &str, uid: &str) -> Result<(), ApiError> {
        let options = json!({ "propagationPolicy": "Background", "preconditions": { "uid": uid } });
        or_gone(self.delete(&self.apps_path(&format!("deployments/{name}")), &options).await)
    }

    /// The EndpointSlices of a Service.
    pub async fn endpoint_slices(&self, service: &str) -> Result<Vec<SliceObject>, ApiError> {
        let path = format!("/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices", self.namespace());
        self.list_labelled(&path, &format!("kubernetes.io/service-name={service}")).await
    }
}

fn or_gone(deleted: Result<(), ApiError>) -> Result<(), ApiError> {
    match deleted {
        Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
