//! A limit for the bodies of AWS's answers, which the SDK would read into memory whatever their size. Image layers do not
//! come this way: they are streamed.

use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::{RuntimeComponents, RuntimeComponentsBuilder};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use http_body_util::Limited;

/// The largest body. AWS's own limits, such as 4 MiB for a manifest, are lower.
const MAX_BODY_BYTES: usize = 16 << 20;

/// The client with the limit: reading more of a body is an error, like a broken connection.
pub(super) fn limited(client: SharedHttpClient) -> SharedHttpClient {
    SharedHttpClient::new(LimitedClient(client))
}

#[derive(Debug, Clone)]
struct LimitedClient(SharedHttpClient);

impl HttpClient for LimitedClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(LimitedConnector(self.0.http_connector(settings, components)))
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        config: &ConfigBag,
    ) -> Result<(), aws_smithy_runtime_api::box_error::BoxError> {
        self.0.validate_base_client_config(components, config)
    }

    fn validate_final_config(
        &self,
        components: &RuntimeComponents,
        config: &ConfigBag,
    ) -> Result<(), aws_smithy_runtime_api::box_error::BoxError> {
        self.0.validate_final_config(components, config)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}

#[derive(Debug)]
struct LimitedConnector(SharedHttpConnector);

impl HttpConnector for LimitedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move { Ok(limit_body(answer.await?)) })
    }
}

fn limit_body(answer: HttpResponse) -> HttpResponse {
    answer.map(|body| match body.bytes() {
        Some(bytes) if bytes.len() <= MAX_BODY_BYTES => body,
        _ => SdkBody::from_body_1_x(Limited::new(body, MAX_BODY_BYTES)),
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll};

    use bytes::Bytes;
    use http_body_util::BodyExt as _;
    use hyper::body::{Body, Frame};

    use super::*;

    const CHUNK: &[u8] = &[b'x'; 1 << 16];

    /// A body that never ends, and counts what was read of it.
    #[derive(Debug, Clone, Default)]
    struct EndlessBody(Arc<AtomicUsize>);

    impl Body for EndlessBody {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.0.fetch_add(CHUNK.len(), Ordering::Relaxed);
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(CHUNK)))))
        }
    }

    /// Answers everything with one body.
    #[derive(Debug, Clone)]
    struct Answer(Result<EndlessBody, Vec<u8>>);

    impl HttpClient for Answer {
        fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
            SharedHttpConnector::new(self.clone())
        }
    }

    impl HttpConnector for Answer {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            let body = match self.0.clone() {
                Ok(endless) => SdkBody::from_body_1_x(endless),
                Err(bytes) => SdkBody::from(bytes),
            };
            HttpConnectorFuture::ready(Ok(HttpResponse::new(200.try_into().unwrap(), body)))
        }
    }

    async fn read(answer: Answer) -> Result<usize, String> {
        let connector = LimitedConnector(SharedHttpConnector::new(answer));
        let request = HttpRequest::new(SdkBody::empty());
        let answer = connector.call(request).await.unwrap();
        answer.into_body().collect().await.map(|it| it.to_bytes().len()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn endless_body_is_read_to_the_limit_only() {
        let endless = EndlessBody::default();
        let error = read(Answer(Ok(endless.clone()))).await.unwrap_err();
        assert!(error.contains("length limit exceeded"), "{error}");
        assert!(endless.0.load(Ordering::Relaxed) <= MAX_BODY_BYTES + CHUNK.len());
    }

    #[tokio::test]
    async fn body_within_the_limit_is_unchanged() {
        for length in [0, 1, MAX_BODY_BYTES] {
            assert_eq!(read(Answer(Err(vec![b'x'; length]))).await, Ok(length));
        }
        assert!(read(Answer(Err(vec![b'x'; MAX_BODY_BYTES + 1]))).await.is_err());
    }

    /// Through the SDK: the error is that of a broken connection, and comes after the usual attempts.
    #[tokio::test(start_paused = true)]
    async fn call_with_an_endless_answer_fails() {
        use aws_config::{BehaviorVersion, Region, SdkConfig};
        use aws_credential_types::Credentials;
        use aws_credential_types::provider::SharedCredentialsProvider;
        let endless = EndlessBody::default();
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
            .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
            .http_client(limited(SharedHttpClient::new(Answer(Ok(endless.clone())))))
            .build();
        let client = aws_sdk_sts::Client::new(&config);
        assert!(client.get_caller_identity().send().await.is_err());
        assert!(endless.0.load(Ordering::Relaxed) <= 3 * (MAX_BODY_BYTES + CHUNK.len()));
    }
}
