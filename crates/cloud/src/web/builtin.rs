//! The built-in scenarios of URLs: health checks pass, HTTP checks fail.

use crate::builtin::{Builtin, Need};

/// All of them.
pub(super) const SCENARIOS: &[Builtin] = &[
    Builtin::new(
        "bad-answers",
        "The new version is healthy and responds with 500 at every URL.",
        "[bad-answers: { status: 500 }]",
    )
    .with_needs(&[Need::Checks]),
    Builtin::new(
        "bad-answers-at-first",
        "For 40 seconds after the start of a deployment, URLs respond with 503.",
        "[bad-answers: { version: all, status: 503, for: 40 }]",
    )
    .with_needs(&[Need::Checks]),
];
