//! Where secrets go before anything else happens with them: whoever writes lines hides them from then on.

use std::fmt;
use std::sync::Arc;

/// Gets every secret that a session is given, before it is used. Credentials may be renewed inside of any call, so it
/// can be called from any thread.
#[derive(Clone)]
pub struct Mask(Arc<dyn Fn(&str) + Send + Sync>);

impl Mask {
    /// Hands secrets to `keep`.
    pub fn new(keep: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(keep))
    }

    /// Takes note of `secret`.
    pub(super) fn add(&self, secret: &str) {
        (self.0)(secret);
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mask")
    }
}
