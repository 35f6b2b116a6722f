//! The config of an image, downloaded from the URL that ECR returns with the SDK's own HTTP client, so that the
//! emulator serves it too. Calls only.

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

use super::aws_clients::SupportClients;
use super::ecr_image::EcrImage;

/// The largest image config.
const MAX_CONFIG_BYTES: usize = 1024 * 1024;

/// Keeps the parts of a call's client.
#[derive(Debug, Clone, Default)]
pub struct CapturedComponents(Arc<Mutex<Option<RuntimeComponents>>>);

#[dyn_dispatch_hint]
impl Intercept for CapturedComponents {
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

/// A blob of a repository as text; `None` if it cannot be downloaded (only one check depends on it).
pub async fn fetch_blob(around: &SupportClients, ecr: &EcrImage, digest: &str) -> Option<String> {
    let parts = CapturedComponents::default();
    let url = around.blob_url(&ecr.account, &ecr.repository, digest, parts.clone()).await.ok()?;
    let parts = parts.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    let connector = parts.http_client()?.http_connector(&HttpConnectorSettings::default(), &parts);
    let mut request = HttpRequest::new(SdkBody::empty());
    request.set_uri(url).ok()?;
    around.acquire_read_slot().await;
    let response = connector.call(request).await.ok()?;
    if !response.status().is_success() {
        return None;
    }
    let bytes = ByteStream::new(response.into_body()).collect().await.ok()?.into_bytes();
    (bytes.len() <= MAX_CONFIG_BYTES).then(|| String::from_utf8_lossy(&bytes).into_owned())
}
