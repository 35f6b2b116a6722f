//! One writer: the leases of the services that are about to change are taken before anything is, and given back at the
//! end. Once they are there, what runs is looked at anew.

use std::time::Duration;

use futures::future::join_all;
use futures::stream::{self, StreamExt as _};
use tokio::time::Instant;

use crate::github::{Owner, Setback, lease};
use crate::plan::Start;
use crate::problem::{Code, Problem};

use super::books::Books;
use super::queue::{self, Got, Mine};
use super::state::{self, Lease};
use super::unit::{Phase, Unit};
use super::{Job, anew, undo};

/// The longest wait for another run.
const LONGEST: Duration = Duration::from_secs(30 * 60);
/// So many requests about leases are under way at once.
const AT_ONCE: usize = 8;

/// Takes the leases of all units that are about to change, and looks anew at what they run.
pub(super) async fn take(job: &Job, books: &mut Books, units: &mut [Unit]) {
    let mut wanted: Vec<usize> = (0..units.len()).filter(|index| is_to_change(&units[*index])).collect();
    wanted.sort_by(|one, other| units[*one].name().cmp(units[*other].name()));
    if wanted.is_empty() {
        return;
    }
    let Some(made) = undo::or_cancel(job, own_commit(job, books)).await else { return };
    let (own, tree, commit) = match made {
        Ok(made) => made,
        Err(setback) => return books.unleased(setback),
    };
    let until = Instant::now() + patience(job);
    let mine = Mine { own, tree, until };
    if let Err(setback) = take_all(job, books, &mine, &commit, units, &wanted).await {
        return books.unleased(setback);
    }
    wanted.retain(|index| is_to_change(&units[*index]));
    // All in one breath, so that their reads can share requests.
    let looks = join_all(wanted.iter().map(|index| units[*index].target.observe()));
    let Some(looks) = undo::or_cancel(job, looks).await else { return };
    for (index, look) in wanted.into_iter().zip(looks) {
        undo::or_cancel(job, anew::look(job, books, &mut units[index], look)).await;
    }
}

fn is_to_change(unit: &Unit) -> bool {
    let moves = |start: &Start| matches!(start, Start::Fresh { .. } | Start::Adopt(_));
    unit.phase == Phase::Ready && unit.plan.as_ref().is_some_and(|plan| moves(&plan.start))
}

/// How long may be waited: what is kept for the way back is not spent.
fn patience(job: &Job) -> Duration {
    job.inputs.timeout.saturating_sub(job.reserve()).saturating_sub(job.doors.clock.elapsed()).min(LONGEST)
}

async fn own_commit(job: &Job, books: &Books) -> Result<(Owner, String, String), Setback> {
    let text = |name: &str| job.doors.variables.get(name).cloned().unwrap_or_default();
    let own = Owner {
        run: books.run.id,
        attempt: u64::from(books.run.attempt),
        runner: text("RUNNER_NAME"),
        url: job.context.run_url().unwrap_or_default(),
        since: job.doors.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        nonce: format!("{:016x}", fastrand::u64(..)),
    };
    let tree = books.project.tree_of(job.context.sha.as_deref().unwrap_or_default()).await?;
    let commit = books.project.lease_commit(&own, &tree, None).await?;
    Ok((own, tree, commit))
}

/// Takes all at once where they are free. Otherwise one after the other in the order of their names: whoever waits holds
/// only what comes before what it waits for, so that no two wait for each other.
async fn take_all(
    job: &Job,
    books: &mut Books,
    mine: &Mine,
    commit: &str,
    units: &mut [Unit],
    wanted: &[usize],
) -> Result<(), Setback> {
    let references: Vec<String> =
        wanted.iter().map(|index| lease::reference(&books.environment, units[*index].name())).collect();
    let all = |reference: &String| Lease { reference: reference.clone(), commit: commit.to_owned() };
    job.held.borrow_mut().leases = references.iter().map(all).collect();
    // Written down before it is so: what is in doubt is given back.
    job.tell_all(&state::save(job, &books.environment, units));
    let taking = stream::iter(&references).map(|reference| books.project.take(reference, commit));
    let Some(taken) = undo::or_cancel(job, taking.buffered(AT_ONCE).collect::<Vec<_>>()).await else {
        return Ok(());
    };
    let free = taken.iter().take_while(|taken| matches!(taken, Ok(true))).count();
    if free == references.len() {
        return Ok(());
    }
    if let Some(Err(setback)) = taken.get(free)
        && queue::lasts(setback).is_none()
    {
        return Err(setback.clone());
    }
    let later = stream::iter(&references[free..]).map(|reference| books.project.give_back(reference, commit));
    undo::or_cancel(job, later.buffered(AT_ONCE).collect::<Vec<_>>()).await;
    for (index, reference) in wanted.iter().zip(&references).skip(free) {
        let unit = &mut units[*index];
        match queue::acquire(job, books, mine, commit, unit, reference).await {
            Got::Taken => {}
            Got::Held(holder, sight) => {
                job.held.borrow_mut().leases.retain(|lease| lease.reference != *reference);
                queue::refuse(job, books, mine, unit, &holder, sight);
            }
            Got::Unable(setback) => return Err(setback),
            Got::Cancelled => return Ok(()),
        }
    }
    Ok(())
}

/// Gives back all that is held.
pub(super) async fn give_back(job: &Job, books: &mut Books) {
    let leases = std::mem::take(&mut job.held.borrow_mut().leases);
    let project = &books.project;
    let giving = stream::iter(&leases).map(|lease| project.give_back(&lease.reference, &lease.commit));
    let given = giving.buffered(AT_ONCE).collect::<Vec<_>>().await;
    if let Some(setback) = given.into_iter().find_map(Result::err) {
        let sentence = "A lease could not be given back.";
        let help = "The next run takes it over as soon as this one has ended.";
        books.tell(Problem::notice(Code::NotLeased, sentence).help(help), setback);
    }
}
