//! The built-in scenarios of servers with Compose: the process that changes traffic is killed.

use crate::builtin::{Builtin, Need};

/// A service of the target `compose`.
const ON_A_SERVER: &[Need] = &[Need::Target("compose")];

/// All of them.
pub(super) const SCENARIOS: &[Builtin] = &[Builtin::new(
    "server-killed",
    "The process on the server that changes traffic is killed.",
    "[compose-killed: { at: 4 }]",
)
.with_needs(ON_A_SERVER)];
