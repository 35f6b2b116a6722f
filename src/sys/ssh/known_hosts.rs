//! Lines of `known_hosts` and bare fingerprints, as people paste them: patterns, ports, hashed names, revoked keys. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use super::host_keys::{HostKeyPin, PinnedKeys, all_algorithms, read_public_key};

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKeyLineFault {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

/// Keys of hosts, as they were given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostKeys(Vec<HostKeyEntry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct HostKeyEntry {
    is_revoked: bool,
    hosts: HostPattern,
    pin: HostKeyPin,
}

/// The hosts that a line is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum HostPattern {
    /// Every host: a bare fingerprint.
    Any,
    /// The names of a line, with their wildcards.
    Names(Vec<String>),
    /// A name that is only known by its HMAC.
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
}

impl HostKeys {
    /// Reads lines of `known_hosts`, and lines with a fingerprint alone. Errors are all lines that cannot be read.
    pub fn parse(text: &str) -> Result<Self, Vec<HostKeyLineFault>> {
        let mut faults = Vec::new();
        let mut entries = Vec::new();
        for (index, line) in text.lines().enumerate() {
            match read_line(line.trim()) {
                Ok(entry) => entries.extend(entry),
                Err(why) => faults.push(HostKeyLineFault { line: index + 1, why }),
            }
        }
        if faults.is_empty() { Ok(Self(entries)) } else { Err(faults) }
    }

    /// Pins that are valid for every host.
    pub fn from_pins(pins: impl IntoIterator<Item = HostKeyPin>) -> Self {
        let entry = |pin| HostKeyEntry { is_revoked: false, hosts: HostPattern::Any, pin };
        Self(pins.into_iter().map(entry).collect())
    }

    /// The keys of one host. All lines count: a host may have several keys, also of one type while they are rotated.
    pub fn for_host(&self, host: &str, port: u16) -> PinnedKeys {
        let name = known_name(host, port);
        let of_host: Vec<&HostKeyEntry> = self.0.iter().filter(|entry| entry.hosts.matches(&name)).collect();
        let pins = |revoked: bool| {
            of_host
                .iter()
                .filter(|entry| entry.is_revoked == revoked)
                .map(|entry| entry.pin.clone())
                .collect()
        };
        PinnedKeys { accepted: pins(false), revoked: pins(true) }
    }

    /// The same with the lines of another.
    pub fn merged(mut self, other: &Self) -> Self {
        self.0.extend(other.0.iter().cloned());
        self
    }
}

/// The name of a host as `known_hosts` has it.
fn known_name(host: &str, port: u16) -> String {
    let host = host.to_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

/// A line; `None` for an empty one, a comment, and a certificate authority, which vouches for certificates only.
fn read_line(line: &str) -> Result<Option<HostKeyEntry>, String> {
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let mut words = line.split_whitespace().peekable();
    let marker = words.next_if(|word| word.starts_with('@'));
    let is_revoked = match marker {
        None => false,
        Some("@revoked") => true,
        Some("@cert-authority") => return Ok(None),
        Some(other) => return Err(format!("`{}` is not a marker of known_hosts", other.escape_debug())),
    };
    let rest: Vec<&str> = words.collect();
    if let Some(pin) = bare_pin(&rest) {
        return Ok(Some(HostKeyEntry { is_revoked, hosts: HostPattern::Any, pin: pin? }));
    }
    let [names, kind, encoded, ..] = rest[..] else {
        return Err("a line has the host, the type of the key and the key".into());
    };
    // A key of a type that is never offered cannot be shown.
    if !is_supported(kind) {
        return Ok(None);
    }
    let pin = read_public_key(kind, encoded)?;
    Ok(Some(HostKeyEntry { is_revoked, hosts: HostPattern::parse(names)?, pin }))
}

fn is_supported(kind: &str) -> bool {
    all_algorithms().iter().any(|known| known.as_str() == kind)
}

/// A line without a host: a fingerprint, with or without its type.
fn bare_pin(words: &[&str]) -> Option<Result<HostKeyPin, String>> {
    let is_print = |word: &&str| word.starts_with("SHA256:") || word.starts_with("MD5:");
    words.iter().take(2).any(is_print).then(|| words.join(" ").parse())
}

impl HostPattern {
    fn parse(text: &str) -> Result<Self, String> {
        let Some(hashed) = text.strip_prefix("|1|") else {
            return Ok(Self::Names(text.split(',').map(str::to_lowercase).collect()));
        };
        let parts = hashed.split_once('|').and_then(|(salt, hash)| {
            Some(Self::Hashed { salt: STANDARD.decode(salt).ok()?, hash: STANDARD.decode(hash).ok()? })
        });
        parts.ok_or_else(|| "the hashed name of the host is damaged".into())
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Names(patterns) => {
                let matches = |pattern: &str| matches_wildcards(pattern.as_bytes(), name.as_bytes());
                let excluded = patterns.iter().filter_map(|it| it.strip_prefix('!')).any(matches);
                !excluded && patterns.iter().any(|it| matches(it))
            }
            Self::Hashed { salt, hash } => {
                let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(salt) else { return false };
                mac.update(name.as_bytes());
                mac.verify_slice(hash).is_ok()
            }
        }
    }
}

/// Whether a pattern with `*` and `?` matches a whole name.
fn matches_wildcards(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|from| matches_wildcards(rest, &name[from..])),
        Some((head, rest)) => name.split_first().is_some_and(|(first, others)| {
            (*head == b'?' || head == first) && matches_wildcards(rest, others)
        }),
    }
}
