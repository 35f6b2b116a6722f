//! The built-in scenario of STS: credentials that expire.

use crate::builtin::Builtin;

/// All of them.
pub(super) const SCENARIOS: &[Builtin] = &[Builtin::new(
    "expired-credentials",
    "The credentials expire after a minute.",
    "[expired-credentials: { after: 60 }]",
)];
