//! What the servers of a service say → the observed state. Pure. A release is one number on all of them.

use serde_json::Value;

use super::facts::ReleaseFacts;
use super::hosts::HostState;
use super::read::{StoredRelease, version};
use super::rollout_ids::RolloutIds;
use super::{group_status, status};
use crate::release::{CompletedVersion, ContainerImages, Digest, InFlight, Observed, RolloutStatus};

/// The observed state of a service.
pub fn observed(hosts: &[HostState], service: &str) -> Observed {
    let number = current_release(hosts);
    let serving = number.map(|number| version(service, number));
    let history = completed_everywhere(hosts, service);
    let previous = history.iter().find(|one| Some(&one.version) != serving.as_ref());
    let of_serving = history.iter().find(|one| Some(&one.version) == serving.as_ref());
    let facts = hosts.iter().find_map(|host| host.state.facts(number));
    let image = facts.and_then(|facts| facts.image.clone());
    let image = image.or(of_serving.and_then(|one| one.image.clone()));
    let digest = image.as_ref().and_then(|image| image.digest.clone());
    Observed {
        container_images: ContainerImages::new(),
        digest: digest.filter(|digest| hosts.iter().all(|host| runs(host, digest))),
        image,
        status: serving_status(hosts, service),
        previous: previous.map(|one| one.version.clone()),
        in_flight: in_flight(hosts, service),
        history: history.clone(),
        desired_count: u32::try_from(hosts.len()).unwrap_or(1),
        needs_cleanup: false,
        definition: facts.map_or(Value::Null, |facts| Value::String(facts.to_string())),
        raw: serde_json::to_value(hosts).unwrap_or_default(),
        url: None,
        version: serving,
    }
}

/// Whether a container of the host has the image.
fn runs(host: &HostState, digest: &Digest) -> bool {
    host.state.containers.iter().any(|it| it.has_digest(digest))
}

/// The release of a service. While its servers differ: the newest of theirs that all of them have, so that all can return to it.
pub fn current_release(hosts: &[HostState]) -> Option<u32> {
    let mut numbers: Vec<u32> = hosts.iter().filter_map(|host| host.state.current_release()).collect();
    let first = numbers.first().copied();
    numbers.sort_unstable_by(|one, other| other.cmp(one));
    let shared = numbers.into_iter().find(|number| hosts.iter().all(|host| host.state.has_release(*number)));
    shared.or(first)
}

/// What completed on the first server, as far as all others have the same.
pub fn completed_everywhere(hosts: &[HostState], service: &str) -> Vec<CompletedVersion> {
    let Some((first, others)) = hosts.split_first() else { return Vec::new() };
    let is_shared = |one: &CompletedVersion| {
        let Ok(number) = one.version.id.parse() else { return false };
        let same = |host: &HostState| match (first.state.facts(Some(number)), host.state.facts(Some(number)))
        {
            (Some(one), Some(other)) if number > 0 => one.is_same_version(other),
            _ => number == 0 && host.state.has_release(0),
        };
        others.iter().all(same)
    };
    first.state.completed_versions(service).into_iter().filter(is_shared).collect()
}

/// The number of a release: that of the same one, if no server has another one by it; else one that is free everywhere.
pub fn release_number(hosts: &[HostState], facts: &ReleaseFacts) -> u32 {
    let is_same = |stored: &StoredRelease| stored.facts.is_same_version(facts);
    let fits = |number: u32| hosts.iter().all(|host| host.state.release(number).is_none_or(is_same));
    let known = hosts.iter().flat_map(|host| &host.state.releases).filter(|stored| is_same(stored));
    let known = known.map(|stored| stored.number).filter(|number| fits(*number)).max();
    let free = || hosts.iter().map(|host| host.state.next_release()).max().unwrap_or(1);
    known.unwrap_or_else(free)
}

fn serving_status(hosts: &[HostState], service: &str) -> RolloutStatus {
    match hosts {
        [only] => status::serving_status(&only.state, service),
        _ => group_status::serving_status(hosts, service),
    }
}

fn in_flight(hosts: &[HostState], service: &str) -> Option<InFlight> {
    let attempts = || hosts.iter().filter_map(|host| host.state.attempt_in_flight());
    let newest = attempts().max_by_key(|attempt| attempt.number)?;
    let ids = RolloutIds { attempt: newest.number, owner: newest.owner.clone() };
    let rollout = ids.rollout(&version(service, newest.release));
    Some(InFlight { rollout, rolling_back: attempts().any(|attempt| attempt.word() == "rolling-back") })
}
