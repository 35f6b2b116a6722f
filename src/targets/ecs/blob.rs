//! The config of an image, fetched from where ECR says it lies: by the SDK's own HTTP client, so that the embedded
//! cloud answers it too. Effects only.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnector, HttpConnectorSettings};
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use aws_smithy_types::config_bag::ConfigBag;

use super::image::EcrImage;
use super::neighbours::Neighbours;

/// No image config is larger than this.
const LARGEST: usize = 1024 * 1024;

/// Keeps what a call is made of.
#[derive(Debug, Clone, Default)]
pub struct Parts(Arc<Mutex<Option<RuntimeComponents>>>);

#[dyn_dispatch_hint]
impl Intercept for Parts {
    fn name(&self) -> &'static str {
        "KeepParts"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        parts: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(parts.clone());
        Ok(())
    }
}

/// A blob of a repository as text; `None` when it cannot be had (it is only worth a check).
pub async fn read(around: &Neighbours, ecr: &EcrImage, digest: &str) -> Option<String> {
    let parts = Parts::default();
    let url = around.blob_url(&ecr.account, &ecr.repository, digest, parts.clone()).await.ok()?;
    let parts = parts.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    let connector = parts.http_client()?.http_connector(&HttpConnectorSettings::default(), &parts);
    let mut request = HttpRequest::new(SdkBody::empty());
    request.set_uri(url).ok()?;
    let response = connector.call(request).await.ok()?;
    if !response.status().is_success() {
        return None;
    }
    let bytes = ByteStream::new(response.into_body()).collect().await.ok()?.into_bytes();
    (bytes.len() <= LARGEST).then(|| String::from_utf8_lossy(&bytes).into_owned())
}
