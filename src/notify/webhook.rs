//! One POST of JSON, signed if there is a secret. URLs and secrets appear in no error.

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::DeliveryError;
use crate::sys::http::{HttpClient, Method, Request};

/// Posts `body`; anything but a 2xx is an error. Redirects are not followed: another host would get the URL.
pub(super) async fn post(
    web: &HttpClient,
    url: &str,
    body: Vec<u8>,
    secret: Option<&String>,
    timeout: Duration,
) -> Result<(), DeliveryError> {
    let signature = secret.map(|secret| signature(secret.as_bytes(), &body));
    let request = Request::new(Method::POST, url).json(body);
    let request = match signature {
        Some(signature) => request.header("x-roadstead-signature-256", &signature),
        None => request,
    };
    match web.send_head(request, timeout, 1 << 16).await {
        Ok(response) if (200..300).contains(&response.status) => Ok(()),
        Ok(response) => Err(DeliveryError {
            reason: format!("it responded with {}", response.status),
            is_retryable: response.status >= 500 || response.status == 429,
        }),
        // The client's error may repeat the URL.
        Err(error) => Err(DeliveryError {
            reason: error.to_string().replace(url, "the URL"),
            is_retryable: !error.is_final(),
        }),
    }
}

/// `sha256=` and the HMAC of `body` in hexadecimal, as GitHub signs its own webhooks.
pub(super) fn signature(secret: &[u8], body: &[u8]) -> String {
    // HMAC accepts a key of any length.
    let code =
        Hmac::<Sha256>::new_from_slice(secret).map(|code| code.chain_update(body).finalize().into_bytes());
    format!("sha256={}", code.map(hex::encode).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_matches_the_published_vectors() {
        // RFC 4231, test case 2; GitHub's documentation of X-Hub-Signature-256.
        assert_eq!(
            signature(b"Jefe", b"what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            signature(b"It's a Secret to Everybody", b"Hello, World!"),
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        );
        // RFC 4231, test case 6: a key that is longer than a block.
        assert_eq!(
            signature(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First"),
            "sha256=60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }
}
