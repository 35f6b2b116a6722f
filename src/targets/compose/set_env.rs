//! `set-env`: the release that serves, with other variables. Pure.

use super::env_file;
use super::facts::{ReleaseFacts, hash_text};
use super::hosts::HostState;
use super::observe;
use super::settings::Settings;
use crate::problem::{Code, Problem};
use crate::release::{Change, Changes, EnvChange, HiddenChange};

/// A release that differs from the one that serves in its variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedRelease {
    /// The number of the release that serves.
    pub base: u32,
    /// What the changed release is made of.
    pub facts: ReleaseFacts,
    /// Its variables.
    pub env: String,
}

/// The release that serves, with these changes.
pub fn changed_release(
    settings: &Settings,
    hosts: &[HostState],
    changes: &[EnvChange],
) -> Result<ChangedRelease, Problem> {
    if settings.env_file.is_none() {
        let sentence = "The variables are not part of a release: `compose.env-file` is not set.";
        return Err(Problem::error(Code::Unsupported, sentence)
            .help("Name the file of the variables in `compose.env-file` and deploy once."));
    }
    let first = hosts.first().map(|host| &host.state);
    let base = observe::current_release(hosts);
    let is_shared = hosts.iter().all(|host| host.state.current_release() == base);
    let env = first.and_then(|state| state.env_text.as_ref());
    let (Some(base), Some(env), Some(first), true) = (base, env, first, is_shared) else {
        let sentence = "No release with variables serves on all hosts.";
        return Err(Problem::error(Code::Unsupported, sentence)
            .help("Deploy first: the variables are then those of `compose.env-file`."));
    };
    let text = env_file::with_changes(env, changes);
    let facts = first.facts(Some(base)).cloned().unwrap_or_else(|| ReleaseFacts {
        image: first.containers.iter().find_map(|it| it.digests.first()?.parse().ok()),
        files: None,
        env: None,
        commit: None,
    });
    Ok(ChangedRelease { base, facts: ReleaseFacts { env: Some(hash_text(&text)), ..facts }, env: text })
}

/// The variables that would change. Values are not shown: they can be secrets.
pub fn diff(hosts: &[HostState], changes: &[EnvChange]) -> Changes {
    let env = hosts.first().and_then(|host| host.state.env_text.as_deref()).unwrap_or_default();
    let made = changes.iter().filter(|change| !env_file::is_made(env, change));
    let change = |change: &EnvChange| {
        let hidden = HiddenChange::between(env_file::has_variable(env, &change.name), change.value.is_some());
        Change::hidden(format!("environment {}", change.name), hidden)
    };
    Changes(made.map(change).collect())
}
