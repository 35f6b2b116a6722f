//! HTTP clients for one server whose certificate is of an authority of its own: they trust that authority and no other.

use aws_smithy_runtime_api::client::http::SharedHttpClient;

use super::Network;
use super::authorities::Authorities;

/// Makes clients that trust the authority of one server only.
#[derive(Debug, Clone)]
pub enum PrivateClients {
    /// They connect as the other clients of this network do.
    Network(Box<Network>),
    /// Each of them is this client: the emulator has no TLS.
    Fixed(SharedHttpClient),
}

impl PrivateClients {
    /// A client that trusts the certificates in `pem` and no others. An error says what is wrong with them.
    pub fn trusting(&self, pem: &str) -> Result<SharedHttpClient, String> {
        let authorities = Authorities::only(pem)?;
        Ok(match self {
            Self::Network(network) => Network { authorities, ..(**network).clone() }.client(),
            Self::Fixed(client) => client.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_without_certificates_is_refused() {
        let clients = PrivateClients::Network(Box::default());
        for text in ["", "x", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
            assert!(clients.trusting(text).unwrap_err().contains("no certificate"), "{text}");
        }
        let authority = include_str!("../../../tests/fixtures/certificates/authority.pem");
        assert!(clients.trusting(authority).is_ok());
    }
}
