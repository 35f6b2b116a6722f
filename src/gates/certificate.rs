//! How long the certificate of an address is good for.

use std::time::Duration;

use jiff::Timestamp;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use crate::sys::tls;

/// Until when the certificate that `address` shows is good. An error says, in words, why that is not known.
pub(super) async fn good_until(address: &str, patience: Duration) -> Result<Timestamp, String> {
    let (host, port) = place(address).ok_or("it is no address of HTTPS")?;
    not_after(&tls::certificate(host, port, patience).await?)
}

/// Host and port of an address of HTTPS.
fn place(address: &str) -> Option<(&str, u16)> {
    let rest = address.strip_prefix("https://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => Some((name, port.parse().ok()?)),
        _ => Some((host, 443)),
    }
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
    fn the_end_of_a_certificate_is_read() {
        let of = |der: &[u8]| not_after(der).unwrap().to_string();
        assert_eq!(of(include_bytes!("../../tests/fixtures/certificates/short.der")), "2026-12-24T16:52:49Z");
        assert_eq!(of(include_bytes!("../../tests/fixtures/certificates/long.der")), "2036-11-21T16:52:49Z");
        assert!(not_after(b"no certificate").is_err());
    }

    #[test]
    fn a_handshake_is_made_with_the_host_of_the_address() {
        assert_eq!(place("https://x.example/a:b"), Some(("x.example", 443)));
        assert_eq!(place("https://x.example:8443?x"), Some(("x.example", 8443)));
        assert_eq!(place("https://[::1]"), Some(("[::1]", 443)));
        assert_eq!(place("https://[::1]:8443/"), Some(("[::1]", 8443)));
        assert_eq!(place("http://x.example/"), None);
        assert_eq!(place("https://x.example:port/"), None);
    }
}
