//! Masks secrets before they are used: the log hides them from then on.

use std::fmt;
use std::sync::Arc;

/// Receives every secret of a session before it is used. Credentials may be renewed inside any call, so it
/// can be called from any thread.
#[derive(Clone)]
pub struct Mask(Arc<dyn Fn(&str) + Send + Sync>);

impl Mask {
    /// Passes secrets to `keep`.
    pub fn new(keep: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(keep))
    }

    /// Masks `secret`.
    pub fn add(&self, secret: &str) {
        (self.0)(secret);
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mask")
    }
}
