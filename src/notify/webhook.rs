//! One POST of JSON, signed where there is a secret. Addresses and secrets appear in no error.

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::Miss;
use crate::sys::web::{Method, Request, Web};

/// Posts `body`; anything but a 2xx is a miss. Redirects are not followed: the address would be told to somebody else.
pub(super) async fn post(
    web: &Web,
    url: &str,
    body: Vec<u8>,
    secret: Option<&String>,
    patience: Duration,
) -> Result<(), Miss> {
    let signature = secret.map(|secret| signature(secret.as_bytes(), &body));
    let request = Request::new(Method::POST, url).json(body);
    let request = match signature {
        Some(signature) => request.header("x-roadstead-signature-256", &signature),
        None => request,
    };
    match web.glance(request, patience, 1 << 16).await {
        Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
        Ok(answer) => Err(Miss {
            why: format!("it answered {}", answer.status),
            again: answer.status >= 500 || answer.status == 429,
        }),
        // What the client says may repeat the address.
        Err(why) => Err(Miss { why: why.replace(url, "the address"), again: true }),
    }
}

/// `sha256=` and the HMAC of `body` in hexadecimal, as GitHub signs its own webhooks.
pub(super) fn signature(secret: &[u8], body: &[u8]) -> String {
    // A key of any length is one.
    let code =
        Hmac::<Sha256>::new_from_slice(secret).map(|code| code.chain_update(body).finalize().into_bytes());
    format!("sha256={}", code.map(hex::encode).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_of_the_published_vectors() {
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
