//! The keys that a host may show: pins by fingerprint or by key, and the decision about a shown key. Pure.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use russh::keys::ssh_key::{Algorithm, EcdsaCurve};
use russh::keys::{HashAlg, PublicKey};

/// A key that a host may show: its SHA256 fingerprint, and its type where that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKeyPin {
    /// The type, such as `ssh-ed25519`.
    pub(super) algorithm: Option<Algorithm>,
    /// The fingerprint, such as `SHA256:…`.
    pub(super) fingerprint: String,
}

impl HostKeyPin {
    pub(super) fn from_key(key: &PublicKey) -> Self {
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        Self { algorithm: Some(plain_algorithm(&key.algorithm())), fingerprint }
    }

    fn matches(&self, shown: &Self) -> bool {
        let same_type = self.algorithm.is_none() || self.algorithm == shown.algorithm;
        same_type && self.fingerprint == shown.fingerprint
    }
}

impl fmt::Display for HostKeyPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.algorithm {
            Some(algorithm) => write!(f, "{} {}", algorithm.as_str(), self.fingerprint),
            None => f.write_str(&self.fingerprint),
        }
    }
}

impl FromStr for HostKeyPin {
    type Err = String;

    /// Reads `SHA256:…`, `TYPE SHA256:…`, a line of `ssh-keygen -l`, or a public key.
    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words[..] {
            [print] if print.starts_with("SHA256:") => read_fingerprint(None, print),
            // The line of `ssh-keygen -l`: `256 SHA256:… comment (ED25519)`.
            [bits, print, ..] if print.starts_with("SHA256:") && bits.chars().all(|c| c.is_ascii_digit()) => {
                read_fingerprint(None, print)
            }
            [kind, print, ..] if print.starts_with("SHA256:") => read_fingerprint(Some(kind), print),
            [print, ..] if print.starts_with("MD5:") || print.matches(':').count() == 15 => {
                Err(format!("`{print}` is an MD5 fingerprint; give that of `ssh-keygen -l -E sha256`"))
            }
            [kind, encoded, ..] => read_public_key(kind, encoded),
            _ => {
                Err(format!("`{}` is neither a fingerprint `SHA256:…` nor a public key", text.escape_debug()))
            }
        }
    }
}

fn read_fingerprint(kind: Option<&str>, text: &str) -> Result<HostKeyPin, String> {
    let encoded = text.trim_start_matches("SHA256:").trim_end_matches('=');
    let bytes = STANDARD_NO_PAD.decode(encoded).ok().filter(|bytes| bytes.len() == 32);
    let algorithm = kind.map(read_algorithm).transpose()?;
    let wrong =
        || format!("`{}` is not a SHA256 fingerprint: `SHA256:` and 43 characters", text.escape_debug());
    bytes.map(|_| HostKeyPin { algorithm, fingerprint: format!("SHA256:{encoded}") }).ok_or_else(wrong)
}

fn read_algorithm(kind: &str) -> Result<Algorithm, String> {
    let known = all_algorithms().into_iter().find(|known| known.as_str() == kind);
    known.ok_or_else(|| format!("`{}` is not a supported type of host key", kind.escape_debug()))
}

pub(super) fn read_public_key(kind: &str, encoded: &str) -> Result<HostKeyPin, String> {
    read_algorithm(kind)?;
    let key = PublicKey::from_openssh(&format!("{kind} {encoded}"));
    let key = key.map_err(|_| format!("the {kind} key is damaged"))?;
    Ok(HostKeyPin::from_key(&key))
}

/// The types of host keys that are supported, in the order in which they are tried.
pub(super) fn all_algorithms() -> Vec<Algorithm> {
    let curves = [EcdsaCurve::NistP256, EcdsaCurve::NistP384, EcdsaCurve::NistP521];
    let ecdsa = curves.into_iter().map(|curve| Algorithm::Ecdsa { curve });
    [Algorithm::Ed25519].into_iter().chain(ecdsa).chain([Algorithm::Rsa { hash: None }]).collect()
}

/// The type of a key, without the hash of its signatures.
fn plain_algorithm(algorithm: &Algorithm) -> Algorithm {
    match algorithm {
        Algorithm::Rsa { .. } => Algorithm::Rsa { hash: None },
        other => other.clone(),
    }
}

/// The keys that one host may show, and those that it must not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PinnedKeys {
    /// Any of them is accepted.
    pub(super) accepted: Vec<HostKeyPin>,
    /// None of them is, whatever else accepts it.
    pub(super) revoked: Vec<HostKeyPin>,
}

/// What a shown key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKeyDecision {
    /// It is pinned.
    Accepted,
    /// It is revoked.
    Revoked,
    /// It is another one.
    Unknown,
}

impl PinnedKeys {
    /// Whether no key would be accepted.
    pub fn is_empty(&self) -> bool {
        self.accepted.is_empty()
    }

    /// The decision about a key that the host shows. A revoked key is never accepted.
    pub(super) fn decide(&self, shown: &HostKeyPin) -> HostKeyDecision {
        let among = |pins: &[HostKeyPin]| pins.iter().any(|pin| pin.matches(shown));
        match (among(&self.revoked), among(&self.accepted)) {
            (true, _) => HostKeyDecision::Revoked,
            (false, true) => HostKeyDecision::Accepted,
            (false, false) => HostKeyDecision::Unknown,
        }
    }

    /// What to offer in the handshakes, one after the other: the pinned types together, then, as a bare fingerprint does not
    /// tell its type, each other type alone. A host that shows a pinned key is found, whichever type it prefers.
    pub(super) fn offers(&self) -> Vec<Vec<Algorithm>> {
        let known: Vec<Algorithm> = all_algorithms()
            .into_iter()
            .filter(|kind| self.accepted.iter().any(|pin| pin.algorithm.as_ref() == Some(kind)))
            .collect();
        let has_bare = self.accepted.iter().any(|pin| pin.algorithm.is_none());
        let others = all_algorithms().into_iter().filter(|kind| has_bare && !known.contains(kind));
        let others: Vec<Vec<Algorithm>> = others.map(|kind| vec![kind]).collect();
        [known].into_iter().filter(|known| !known.is_empty()).chain(others).collect()
    }
}
