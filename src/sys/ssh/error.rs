//! What goes wrong between here and a host, and the problem that it is for the user.

use super::keys::KeyFault;
use super::known_hosts::HostKeyLineFault;
use crate::problem::{Code, Problem};

/// What was being done when a host stopped answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SshStage {
    /// The TCP connection.
    Connect,
    /// The handshake and the login.
    Handshake,
    /// A script.
    Script,
}

impl SshStage {
    fn text(self) -> &'static str {
        match self {
            Self::Connect => "the connection",
            Self::Handshake => "the SSH handshake",
            Self::Script => "a command",
        }
    }
}

/// Why a host's key is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKeyFault {
    /// It is not one of those that were given.
    Unknown,
    /// It is revoked.
    Revoked,
}

/// Why a script has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SshError {
    /// The private key cannot be used.
    Key(KeyFault),
    /// Lines of the input `ssh-known-hosts` cannot be read.
    KnownHosts(Vec<HostKeyLineFault>),
    /// No key of the host was given.
    NoHostKey(String),
    /// The host cannot be reached.
    Unreachable {
        /// The host.
        host: String,
        /// Why.
        why: String,
    },
    /// The host did not answer in time.
    TimedOut {
        /// The host.
        host: String,
        /// What was being done.
        stage: SshStage,
    },
    /// The host showed a key that is not accepted. Nothing of the user's key was sent.
    HostKey {
        /// The host.
        host: String,
        /// Type and fingerprint of the shown key.
        shown: String,
        /// Why it is not accepted.
        fault: HostKeyFault,
    },
    /// The host does not accept the user's key.
    LoginRefused {
        /// The host.
        host: String,
        /// The user.
        user: String,
        /// Type and fingerprint of the offered key.
        offered: String,
    },
    /// The connection ended without an exit status: it is not known what became of the script.
    Lost(String),
    /// The script did not arrive whole, so nothing of it ran.
    Incomplete(String),
    /// The host could not store the script in a temporary file, so nothing of it ran.
    NotStored(String),
    /// Something else than the script answered, such as a shell that accepts no commands.
    NoFrame {
        /// The host.
        host: String,
        /// The first line of what it wrote.
        text: String,
    },
}

impl SshError {
    /// Whether nothing of the script can have run.
    pub fn is_before_script(&self) -> bool {
        match self {
            Self::Lost(_) | Self::TimedOut { stage: SshStage::Script, .. } => false,
            Self::Key(_)
            | Self::KnownHosts(_)
            | Self::NoHostKey(_)
            | Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::HostKey { .. }
            | Self::LoginRefused { .. }
            | Self::Incomplete(_)
            | Self::NotStored(_)
            | Self::NoFrame { .. } => true,
        }
    }

    /// Whether another attempt can succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Lost(_) | Self::Incomplete(_))
    }

    /// The problem for the user.
    pub fn to_problem(&self) -> Problem {
        match self {
            Self::Key(fault) => Problem::error(
                Code::SshKeyInvalid,
                format!("The private key of the input `ssh-key` {}.", fault.text()),
            )
            .help(fault.help()),
            Self::KnownHosts(faults) => known_hosts_problem(faults),
            Self::NoHostKey(host) => no_host_key_problem(host),
            Self::Unreachable { host, why } => unreachable_problem(host).cause(why.clone()),
            Self::TimedOut { host, stage } => {
                unreachable_problem(host).cause(format!("no answer in time to {}", stage.text()))
            }
            Self::Lost(host) => {
                unreachable_problem(host).cause("the connection ended without an exit status")
            }
            Self::Incomplete(host) => {
                unreachable_problem(host).cause("the command did not arrive whole, so nothing of it ran")
            }
            Self::NotStored(host) => not_stored_problem(host),
            Self::HostKey { host, shown, fault } => host_key_problem(host, shown, *fault),
            Self::LoginRefused { host, user, offered } => login_problem(host, user, offered),
            Self::NoFrame { host, text } => no_frame_problem(host, text),
        }
    }
}

fn known_hosts_problem(faults: &[HostKeyLineFault]) -> Problem {
    let lines = faults.iter().map(|fault| format!("line {}: {}", fault.line, fault.why));
    Problem::error(Code::HostKeyUnknown, "The input `ssh-known-hosts` has lines that cannot be read.")
        .cause(lines.collect::<Vec<_>>().join("; "))
        .help("Give lines of `known_hosts`, or fingerprints as `SHA256:…`.")
}

fn no_host_key_problem(host: &str) -> Problem {
    let sentence = format!("No key of the host `{host}` is known, so it was not connected to.");
    Problem::error(Code::HostKeyUnknown, sentence).help(
        "Add its fingerprint to `host-keys`, or its line to the input `ssh-known-hosts`. Read it on the host itself: \
         `ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub`.",
    )
}

fn unreachable_problem(host: &str) -> Problem {
    let sentence = format!("The host `{host}` does not answer.");
    Problem::error(Code::HostUnreachable, sentence)
        .help("Check that it runs, its name and port, and that its firewall lets the runner in.")
}

fn host_key_problem(host: &str, shown: &str, fault: HostKeyFault) -> Problem {
    let why = match fault {
        HostKeyFault::Unknown => "is not one of those that were given",
        HostKeyFault::Revoked => "is revoked",
    };
    let sentence = format!("The host `{host}` shows the key {shown}, which {why}. Nothing was sent to it.");
    Problem::error(Code::HostKeyUnknown, sentence).help(
        "If the key of the host was replaced, compare it on the host itself and change `host-keys` or \
         `ssh-known-hosts`. Otherwise another machine answers there.",
    )
}

fn login_problem(host: &str, user: &str, offered: &str) -> Problem {
    let sentence = format!("The host `{host}` does not let `{user}` in with the key {offered}.");
    Problem::error(Code::SshLoginRefused, sentence).help(format!(
        "Add its public half to `~{user}/.ssh/authorized_keys` on the host, or correct the user."
    ))
}

fn not_stored_problem(host: &str) -> Problem {
    let sentence =
        format!("The host `{host}` could not store a command in a temporary file, so nothing of it ran.");
    Problem::error(Code::HostUnsuitable, sentence)
        .help("Free space in /tmp on the host; `mktemp`, `cat`, `wc` and `sha256sum` are needed.")
}

fn no_frame_problem(host: &str, text: &str) -> Problem {
    let sentence = format!("The host `{host}` does not run commands for this user.");
    let problem = Problem::error(Code::SshLoginRefused, sentence)
        .help("The user needs a shell such as /bin/sh or /bin/bash, and no forced command.");
    if text.is_empty() { problem } else { problem.cause(text) }
}
