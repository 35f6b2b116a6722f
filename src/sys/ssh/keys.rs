//! Private keys as people paste them: every usual format is read, and each damage has its own sentence. No connection is needed.

use std::fmt;
use std::sync::Arc;

use russh::keys::ssh_key::Algorithm;
use russh::keys::{HashAlg, PrivateKey};

/// A private key that can be used to log in.
#[derive(Clone)]
pub struct Identity(Arc<PrivateKey>);

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.fingerprint()).finish()
    }
}

/// Why a text cannot be used as a private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFault {
    /// There is no text.
    Empty,
    /// It is the public half.
    PublicKey,
    /// It is a certificate.
    Certificate,
    /// It is the name of a file.
    FileName,
    /// The first line is missing.
    NoFirstLine,
    /// The last line is missing, so the text was cut.
    NoLastLine,
    /// It is encrypted, and there is no passphrase.
    PassphraseMissing,
    /// It is encrypted with another passphrase.
    PassphraseWrong,
    /// It is encrypted in an old way that is not supported.
    CipherUnsupported,
    /// Its type is not supported.
    TypeUnsupported,
    /// Its lines are those of a key, and their content is not.
    Damaged,
    /// It is something else.
    NoKey,
}

impl KeyFault {
    /// The fault as the end of a sentence about the key.
    pub fn text(self) -> &'static str {
        match self {
            Self::Empty => "is empty",
            Self::PublicKey => "is a public key",
            Self::Certificate => "is a certificate",
            Self::FileName => "is the name of a file",
            Self::NoFirstLine => "has no line `-----BEGIN … PRIVATE KEY-----`",
            Self::NoLastLine => "ends before its line `-----END … PRIVATE KEY-----`",
            Self::PassphraseMissing => "is encrypted, and no passphrase was given",
            Self::PassphraseWrong => "is encrypted with another passphrase than the one that was given",
            Self::CipherUnsupported => "is encrypted with an old cipher that is not supported",
            Self::TypeUnsupported => "is of a type that is not supported",
            Self::Damaged => "is damaged",
            Self::NoKey => "is not a private key",
        }
    }

    /// What to do about it.
    pub fn help(self) -> &'static str {
        match self {
            Self::Empty => "Set `ssh-key` to a secret that exists: an unknown secret is empty.",
            Self::PublicKey | Self::Certificate => "Give the private key: the file without `.pub`.",
            Self::FileName => "Give the content of the file, not its name.",
            Self::NoFirstLine | Self::NoLastLine | Self::NoKey => {
                "Store the whole file as the secret, from `-----BEGIN` to `-----END … PRIVATE KEY-----`."
            }
            Self::PassphraseMissing => {
                "Set the variable ROADSTEAD_SSH_PASSPHRASE to its passphrase, or use a key without one."
            }
            Self::PassphraseWrong => "Correct the variable ROADSTEAD_SSH_PASSPHRASE.",
            Self::CipherUnsupported => "Write it in the current format with `ssh-keygen -p -f FILE`.",
            Self::TypeUnsupported => "Use a key of type ed25519, ECDSA or RSA: `ssh-keygen -t ed25519`.",
            Self::Damaged => "Store the file as it is: its lines must not be changed or cut.",
        }
    }
}

impl Identity {
    /// Reads a key: OpenSSH, PEM (PKCS#1, SEC1, PKCS#8) or PuTTY, also with Windows line ends or pasted on one line.
    pub fn parse(text: &str, passphrase: Option<&str>) -> Result<Self, KeyFault> {
        let text = text.trim_start_matches('\u{feff}').trim();
        if !text.starts_with("PuTTY-User-Key-File-") {
            find_outer_fault(text)?;
        }
        let key = decode(text, None).or_else(|fault| match (fault, passphrase) {
            (KeyFault::PassphraseMissing, Some(passphrase)) => decode(text, Some(passphrase)),
            _ => Err(fault),
        })?;
        match key.algorithm() {
            Algorithm::Ed25519 | Algorithm::Ecdsa { .. } | Algorithm::Rsa { .. } => Ok(Self(Arc::new(key))),
            _ => Err(KeyFault::TypeUnsupported),
        }
    }

    /// The key itself.
    pub(super) fn key(&self) -> Arc<PrivateKey> {
        self.0.clone()
    }

    /// Type and SHA256 fingerprint of its public half, as `ssh-keygen -l` shows them.
    pub fn fingerprint(&self) -> String {
        let public = self.0.public_key();
        format!("{} {}", public.algorithm().as_str(), public.fingerprint(HashAlg::Sha256))
    }
}

/// A passphrase is tried only on a key that is encrypted: with one, the decoder takes every key for encrypted.
fn decode(text: &str, passphrase: Option<&str>) -> Result<PrivateKey, KeyFault> {
    let key = russh::keys::decode_secret_key(&with_own_lines(text), passphrase);
    key.map_err(|error| decoding_fault(&error, text, passphrase.is_some()))
}

/// What can be seen from outside, before anything is decoded.
fn find_outer_fault(text: &str) -> Result<(), KeyFault> {
    let public =
        ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-", "---- BEGIN SSH2 PUBLIC", "-----BEGIN PUBLIC"];
    let fault = match () {
        () if text.is_empty() => KeyFault::Empty,
        () if public.iter().any(|head| text.starts_with(head)) => KeyFault::PublicKey,
        () if text.contains("-----BEGIN CERTIFICATE") => KeyFault::Certificate,
        () if text.contains("-----BEGIN DSA ") => KeyFault::TypeUnsupported,
        () if !text.contains("-----BEGIN ") && text.contains("-----END ") => KeyFault::NoFirstLine,
        () if !text.contains("-----BEGIN ") => return Err(bare_text_fault(text)),
        () if !text.contains("PRIVATE KEY-----") => KeyFault::NoKey,
        () if !text.contains("-----END ") => KeyFault::NoLastLine,
        () if has_old_cipher(text) => KeyFault::CipherUnsupported,
        () => return Ok(()),
    };
    Err(fault)
}

fn bare_text_fault(text: &str) -> KeyFault {
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || "+/=\r\n ".contains(c);
    match () {
        () if text.len() > 200 && text.chars().all(is_base64) => KeyFault::NoFirstLine,
        () if !text.contains('\n') && (text.contains('/') || text.ends_with(".pem")) => KeyFault::FileName,
        () => KeyFault::NoKey,
    }
}

/// Keys of OpenSSL's old encryption, of which one cipher can be read.
fn has_old_cipher(text: &str) -> bool {
    text.contains("DEK-Info:") && !text.contains("DEK-Info: AES-128-CBC,")
}

/// The text with one line each for its first line, its content and its last line, whatever a form or a shell made of them.
fn with_own_lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace("\\n", "\n");
    let parts = text.split_once("-----BEGIN ").and_then(|(_, rest)| {
        let (kind, rest) = rest.split_once("-----")?;
        let (body, _) = rest.split_once("-----END ")?;
        Some((kind, body))
    });
    let Some((kind, body)) = parts else { return text };
    let body = match body.contains(':') {
        true => body.lines().map(str::trim).collect::<Vec<_>>().join("\n"),
        false => body.split_whitespace().collect::<Vec<_>>().join("\n"),
    };
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", body.trim_matches('\n'))
}

fn decoding_fault(error: &russh::keys::Error, text: &str, has_passphrase: bool) -> KeyFault {
    use russh::keys::Error;
    let is_encrypted =
        text.contains("ENCRYPTED") || matches!(error, Error::SshKey(russh::keys::ssh_key::Error::Crypto));
    match error {
        Error::KeyIsEncrypted => KeyFault::PassphraseMissing,
        Error::UnsupportedKeyType { .. } | Error::UnknownAlgorithm(_) => KeyFault::TypeUnsupported,
        _ if is_encrypted && has_passphrase => KeyFault::PassphraseWrong,
        _ if is_encrypted => KeyFault::PassphraseMissing,
        _ => KeyFault::Damaged,
    }
}
