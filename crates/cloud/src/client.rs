//! The emulator as the AWS SDK's HTTP client: no sockets, so it runs on a paused clock.

use std::fmt;
use std::time::Duration;

use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;

use super::wire::{self, Handler, RequestIds, TransportReply};

/// An HTTP client for the AWS SDK that asks `cloud`. A lost answer is a connection error, which the SDK retries;
/// silence lasts until the SDK's read, attempt or operation time-out ends it.
pub fn http_client(cloud: impl Handler) -> SharedHttpClient {
    SharedHttpClient::new(InProcessClient { cloud, ids: RequestIds::default(), read_timeout: None })
}

#[derive(Clone)]
struct InProcessClient<A> {
    cloud: A,
    ids: RequestIds,
    read_timeout: Option<Duration>,
}

impl<A> fmt::Debug for InProcessClient<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcess")
    }
}

impl<A: Handler> HttpClient for InProcessClient<A> {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Self { read_timeout: settings.read_timeout(), ..self.clone() })
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        Some(ConnectorMetadata::new("roadstead", None))
    }
}

impl<A: Handler> HttpConnector for InProcessClient<A> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let this = self.clone();
        HttpConnectorFuture::new(async move {
            let Some(limit) = this.read_timeout else { return this.send(request).await };
            match tokio::time::timeout(limit, this.send(request)).await {
                Ok(result) => result,
                Err(elapsed) => Err(ConnectorError::timeout(elapsed.into())),
            }
        })
    }
}

impl<A: Handler> InProcessClient<A> {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = buffer_request(request).await?;
        match wire::handle_request(&self.cloud, &self.ids, &request).await {
            TransportReply::Respond(response) => HttpResponse::try_from(response.map(SdkBody::from))
                .map_err(|error| ConnectorError::other(error.into(), None)),
            TransportReply::Disconnect => Err(ConnectorError::io("connection reset by peer".into())),
            TransportReply::NoReply => std::future::pending().await,
        }
    }
}

/// The whole request; a body that comes in pieces is waited for.
async fn buffer_request(request: HttpRequest) -> Result<Request<Bytes>, ConnectorError> {
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(ConnectorError::io)?;
    Ok(Request::from_parts(parts, body.to_bytes()))
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::config::retry::RetryConfig;
    use aws_sdk_ecs::config::timeout::TimeoutConfig;
    use aws_sdk_ecs::config::{BehaviorVersion, Credentials, Region};
    use aws_sdk_ecs::error::{ProvideErrorMetadata as _, SdkError};
    use aws_smithy_async::rt::sleep::TokioSleep;
    use serde_json::json;

    use super::*;
    use crate::request::{Delivery, ServiceCall, ServiceError};
    use std::sync::{Arc, Mutex};

    /// Returns the prepared answers, last first, and keeps the calls.
    #[derive(Clone, Default)]
    struct Scripted {
        deliveries: Arc<Mutex<Vec<Delivery>>>,
        calls: Arc<Mutex<Vec<ServiceCall>>>,
    }

    impl Handler for Scripted {
        async fn handle(&self, call: ServiceCall) -> Delivery {
            self.calls.lock().unwrap().push(call);
            self.deliveries.lock().unwrap().pop().unwrap()
        }
    }

    fn scripted_client(mut deliveries: Vec<Delivery>) -> (Scripted, aws_sdk_ecs::Client) {
        deliveries.reverse();
        let cloud = Scripted { deliveries: Arc::new(Mutex::new(deliveries)), ..Scripted::default() };
        let config = aws_sdk_ecs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .endpoint_url("http://cloud.invalid")
            .credentials_provider(Credentials::for_tests())
            .sleep_impl(TokioSleep::new())
            .retry_config(RetryConfig::standard())
            .timeout_config(
                TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(5)).build(),
            )
            .http_client(http_client(cloud.clone()))
            .build();
        (cloud, aws_sdk_ecs::Client::from_conf(config))
    }

    fn clusters_reply() -> Delivery {
        Delivery::Reply(Ok(json!({ "clusterArns": ["arn:c"] })))
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_of_the_sdk_arrives_with_its_scope_and_members() {
        let (cloud, ecs) = scripted_client(vec![clusters_reply()]);
        let answer = ecs.list_clusters().max_results(5).send().await.unwrap();
        assert_eq!(answer.cluster_arns(), ["arn:c"]);
        let calls = cloud.calls.lock().unwrap();
        assert_eq!(calls[0].service, "ecs");
        assert_eq!(calls[0].operation, "ListClusters");
        assert_eq!(calls[0].region, "eu-west-1");
        assert_eq!(calls[0].access_key.as_deref(), Some("ANOTREAL"));
        assert_eq!(calls[0].input, json!({ "maxResults": 5 }));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_answer_and_silence_are_retried_by_the_sdk_in_virtual_time() {
        let (cloud, ecs) =
            scripted_client(vec![Delivery::ConnectionLost, Delivery::NoReply, clusters_reply()]);
        let before = tokio::time::Instant::now();
        ecs.list_clusters().send().await.unwrap();
        assert_eq!(cloud.calls.lock().unwrap().len(), 3);
        assert!(before.elapsed() >= Duration::from_secs(5), "the silent attempt lasted until its time-out");
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_keeps_code_message_status_and_request_id() {
        let refusal = ServiceError::new("ClusterNotFoundException", "Cluster not found.");
        let (_, ecs) = scripted_client(vec![Delivery::Reply(Err(refusal))]);
        let error = ecs.list_services().cluster("x").send().await.unwrap_err();
        let SdkError::ServiceError(error) = &error else { panic!("{error:?}") };
        assert_eq!(error.raw().status().as_u16(), 400);
        assert!(error.err().is_cluster_not_found_exception());
        assert_eq!(error.err().meta().message(), Some("Cluster not found."));
        assert_eq!(
            error.raw().headers().get("x-amzn-requestid"),
            Some("00000000-0000-4000-8000-000000000001")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn throttling_is_retried_and_a_call_that_is_not_modelled_is_not() {
        let slow = Delivery::Reply(Err(ServiceError::new("ThrottlingException", "Rate exceeded")));
        let unknown = ServiceError::with_status(501, "NotModelled", "ecs ListClusters");
        let (cloud, ecs) = scripted_client(vec![slow, Delivery::Reply(Err(unknown))]);
        let error = ecs.list_clusters().send().await.unwrap_err();
        assert_eq!(error.code(), Some("NotModelled"));
        assert_eq!(cloud.calls.lock().unwrap().len(), 2);
    }
}
