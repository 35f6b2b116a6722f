//! The expiry of a server's certificate.

use std::time::Duration;

use jiff::Timestamp;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use crate::sys::network::{Destination, Proxies};
use crate::sys::tls;

/// The expiry of the certificate that the server at `address` presents. The error is the reason why it is not known.
pub(super) async fn expires_at(
    proxies: &Proxies,
    address: &str,
    timeout: Duration,
) -> Result<Timestamp, String> {
    let server = Destination::of_url(address).filter(|server| server.is_tls);
    let server = server.ok_or("it is not an HTTPS URL")?;
    not_after(&tls::fetch_certificate(proxies, &server, timeout).await?)
}

fn not_after(der: &[u8]) -> Result<Timestamp, String> {
    let read =
        Certificate::from_der(der).map_err(|error| format!("its certificate cannot be read: {error}"))?;
    let seconds = read.tbs_certificate().validity().not_after.to_unix_duration().as_secs();
    let at = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    Ok(at.unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificate_expiry_is_read() {
        let of = |der: &[u8]| not_after(der).unwrap().to_string();
        assert_eq!(of(include_bytes!("../../tests/fixtures/certificates/short.der")), "2026-12-24T16:52:49Z");
        assert_eq!(of(include_bytes!("../../tests/fixtures/certificates/long.der")), "2036-11-21T16:52:49Z");
        assert!(not_after(b"no certificate").is_err());
    }
}
