//! SSH: private keys, host keys, connections, and scripts that run on a host. The only place that speaks the protocol. What is
//! run and what its answer means is decided elsewhere.

mod client;
mod error;
mod frame;
mod host;
mod host_keys;
mod keys;
mod known_hosts;
mod session;

#[cfg(test)]
mod keys_tests;
#[cfg(test)]
mod known_hosts_tests;

pub use client::{SshClient, SshCredentials};
pub use error::{HostKeyFault, SshError, SshStage};
pub use frame::{ScriptReply, shell_quote};
pub use host::{RemoteHost, RemoteHosts, ScriptCall};
pub use host_keys::{HostKeyDecision, HostKeyPin, PinnedKeys};
pub use keys::{Identity, KeyFault};
pub use known_hosts::{HostKeyLineFault, HostKeys};
