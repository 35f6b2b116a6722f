//! The changes between what serves and what is wanted. Contents are not shown: files can have secrets. Pure.

use super::facts::ReleaseFacts;
use super::hosts::HostState;
use crate::release::{Change, Changes, HiddenChange};

/// The changes on any of the servers, each once. While an attempt is in progress, those of the servers that it has reached: it goes on
/// to the others.
pub fn compare(hosts: &[HostState], wanted: &ReleaseFacts) -> Changes {
    let is_moving = |host: &&HostState| host.state.attempt_in_flight().is_some();
    let any_moves = hosts.iter().any(|host| is_moving(&host));
    let counted = hosts.iter().filter(|host| !any_moves || is_moving(host));
    let mut changes: Vec<Change> = Vec::new();
    for change in counted.flat_map(|host| host_changes(host, wanted)) {
        if changes.iter().all(|known| known.field != change.field) {
            changes.push(change);
        }
    }
    Changes(changes)
}

fn host_changes(host: &HostState, wanted: &ReleaseFacts) -> Vec<Change> {
    let now = host.state.facts(host.state.current_release());
    let running = running_image(host);
    let mut changes = Vec::new();
    let image = wanted.image.as_ref().map(ToString::to_string);
    // An image that is not built yet is described by the plan.
    if image.is_some() && running != image {
        changes.push(Change::shown("image", running, image));
    }
    let (files, env) = (now.and_then(|now| now.files.as_ref()), now.and_then(|now| now.env.as_ref()));
    for (field, from, to) in [("Compose files", files, &wanted.files), ("variables", env, &wanted.env)] {
        if from != to.as_ref() {
            let hidden = HiddenChange::between(from.is_some(), to.is_some());
            changes.push(Change::hidden(field, hidden));
        }
    }
    changes
}

/// The image of the release, if a container of it is there, or is on the way.
fn running_image(host: &HostState) -> Option<String> {
    let state = &host.state;
    let facts = state.facts(state.current_release());
    let adopted = || state.containers.iter().find_map(|it| it.digests.first()?.parse().ok());
    let image = facts.and_then(|facts| facts.image.clone()).or_else(adopted)?;
    let is_there = image
        .digest
        .as_ref()
        .is_some_and(|digest| state.containers.iter().any(|container| container.has_digest(digest)));
    (state.attempt_in_flight().is_some() || is_there).then(|| image.to_string())
}
