//! Unguessable delimiters: untrusted text must not be able to contain them.

use std::hash::{BuildHasher as _, RandomState};

/// 128 bits as 32 hex digits. The standard library keys its hasher from the operating system's random source, and
/// the keyed hash of two different texts cannot be predicted without that key.
pub fn nonce() -> String {
    let state = RandomState::new();
    format!("{:016x}{:016x}", state.hash_one(0u8), state.hash_one(1u8))
}

#[cfg(test)]
mod tests {
    use super::nonce;

    #[test]
    fn nonces_are_unique() {
        let all: std::collections::BTreeSet<String> = (0..1000).map(|_| nonce()).collect();
        assert_eq!(all.len(), 1000);
        assert!(all.iter().all(|one| one.len() == 32));
    }
}
