//! A ref moves: what reads show meanwhile, and what it means for pull requests. And GitHub's own merges, at their time.

use super::git_objects::Oid;
use super::pulls;
use super::state::{GitHubRepository, branch_ref};
use crate::events::Event;
use crate::faults::Fault;
use crate::world::World;

/// The requirements of a pull request are met for its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChecksMet {
    /// Its repository.
    pub repository: String,
    /// Its number.
    pub number: usize,
    /// The head that was looked at.
    pub head: Oid,
}

/// Point a ref to another commit, or remove it.
pub fn update_ref(world: &mut World, repository: &str, name: &str, oid: Option<Oid>, now: f64) {
    let lag = world.faults.list.iter().find_map(|fault| match fault {
        Fault::ReplicaLag(lag) => Some(lag.lasts),
        _ => None,
    });
    let Some(it) = world.github.repositories.get_mut(repository) else { return };
    let old = it.refs.get(name).cloned();
    if let Some(seconds) = lag {
        it.stale_refs.insert(name.to_owned(), (now + seconds, old));
    }
    match oid {
        Some(oid) => drop(it.refs.insert(name.to_owned(), oid)),
        None => drop(it.refs.remove(name)),
    }
    if let Some(branch) = name.strip_prefix("refs/heads/") {
        update_pulls_of_branch(world, repository, branch, now);
    }
}

/// Pull requests from a branch that moved: their head is another one; without it they are closed.
fn update_pulls_of_branch(world: &mut World, repository: &str, branch: &str, now: f64) {
    let Some(it) = world.github.repositories.get_mut(repository) else { return };
    let gone = !it.refs.contains_key(&branch_ref(branch));
    let mut moved = Vec::new();
    for (place, pull) in
        it.pulls.iter_mut().enumerate().filter(|(_, pull)| pull.is_open && pull.head == branch)
    {
        pull.updated_at = now;
        if gone {
            pull.is_open = false;
        } else {
            pull.last_head = it.refs.get(&branch_ref(branch)).cloned();
            moved.push(place + 1);
        }
    }
    for number in moved {
        schedule_checks(world, repository, number, now);
    }
}

/// Reviews and checks of a pull request come in their time, where the scenario says that they come.
pub fn schedule_checks(world: &mut World, repository: &str, number: usize, now: f64) {
    let Some(it) = world.github.repositories.get(repository) else { return };
    let Some(pull) = it.pulls.get(number.wrapping_sub(1)) else { return };
    let after = it.protection(&pull.base).and_then(|rule| rule.met_after);
    if let (Some(after), Some(head)) = (after, it.refs.get(&branch_ref(&pull.head)).cloned()) {
        let met = ChecksMet { repository: repository.to_owned(), number, head };
        world.events.schedule(
            now + after,
            Event::new("checks of a pull request", move |world, at| checks_complete(world, &met, at)),
        );
    }
}

/// The requirements of a pull request are met; with auto-merge, GitHub merges it.
pub fn checks_complete(world: &mut World, met: &ChecksMet, now: f64) {
    let Some(it) = world.github.repositories.get_mut(&met.repository) else { return };
    let Some(pull) = it.pulls.get_mut(met.number.wrapping_sub(1)).filter(|pull| pull.is_open) else { return };
    if it.refs.get(&branch_ref(&pull.head)) != Some(&met.head) {
        return;
    }
    pull.checks_met_for = Some(met.head.clone());
    let Some(method) = pull.auto_merge_method.clone() else { return };
    // Where it cannot be merged, it stays open, as it does at GitHub.
    if let Some(oid) = pulls::create_merge_commit(it, met.number, &method, None, now) {
        merge_pull(world, &met.repository, met.number, &oid, now);
    }
}

/// Somebody approves a pull request and its checks pass.
pub fn approve_pull(world: &mut World, repository: &str, number: usize, now: f64) {
    let head = |it: &GitHubRepository| {
        it.refs.get(&branch_ref(&it.pulls.get(number.wrapping_sub(1))?.head)).cloned()
    };
    if let Some(head) = world.github.repositories.get(repository).and_then(head) {
        checks_complete(world, &ChecksMet { repository: repository.to_owned(), number, head }, now);
    }
}

/// A pull request is merged by this commit.
pub fn merge_pull(world: &mut World, repository: &str, number: usize, oid: &Oid, now: f64) {
    let Some(it) = world.github.repositories.get_mut(repository) else { return };
    let Some(pull) = it.pulls.get_mut(number.wrapping_sub(1)) else { return };
    (pull.is_open, pull.merge_commit, pull.updated_at) = (false, Some((oid.clone(), now)), now);
    let base = branch_ref(&pull.base);
    update_ref(world, repository, &base, Some(oid.clone()), now);
}
