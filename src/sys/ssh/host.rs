//! A host, and the interface to hosts: real ones by SSH, or those of a rehearsal.

use std::time::Duration;

use async_trait::async_trait;

use super::error::SshError;
use super::frame::ScriptReply;
use super::known_hosts::HostKeys;

/// A host and how to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteHost {
    /// Its name or address.
    pub name: String,
    /// Its port.
    pub port: u16,
    /// The user.
    pub user: String,
    /// The keys that the deploy file gives for it.
    pub host_keys: HostKeys,
    /// The host through which it is reached.
    pub jump: Option<Box<RemoteHost>>,
}

/// A script to run on a host.
#[derive(Debug, Clone)]
pub struct ScriptCall {
    /// What it does, in one word: for logs and for tests.
    pub operation: &'static str,
    /// POSIX sh. It arrives as a file, and nothing of it runs unless it arrived whole.
    pub script: String,
    /// How long it may take.
    pub limit: Duration,
}

/// Hosts that run scripts.
#[async_trait(?Send)]
pub trait RemoteHosts {
    /// What is wrong with the credentials for a host. No connection is made.
    fn find_faults(&self, host: &RemoteHost) -> Vec<SshError>;

    /// Runs a script. An error after which it may have run says so.
    async fn run(&self, host: &RemoteHost, call: &ScriptCall) -> Result<ScriptReply, SshError>;
}
