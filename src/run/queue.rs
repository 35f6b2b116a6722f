//! Waiting for the lease of one service: who holds it, whether that run is at work still, and going on where it is gone.

use std::time::Duration;

use tokio::time::Instant;

use crate::github::{Holder, Owner, Setback, lease};
use crate::problem::{Code, Problem};
use crate::release::{Outcome, Span};

use super::books::Books;
use super::{Job, Tone, Unit, state, undo};

/// Between two looks at a lease that somebody holds: at most so often, since a token has a thousand requests an hour.
const PAUSE: Duration = Duration::from_secs(12);
/// After so many failures in a row GitHub is not asked again.
const FAILURES: u32 = 4;
/// A limit of requests that lasts longer is not waited for.
const LIMIT: Duration = Duration::from_secs(120);

/// What this run is, for others, and how long it waits.
pub(super) struct Mine {
    /// The run.
    pub(super) own: Owner,
    /// The tree that its commits have.
    pub(super) tree: String,
    /// The end of its patience.
    pub(super) until: Instant,
}

/// What came of waiting for a lease.
pub(super) enum Got {
    /// It is ours.
    Taken,
    /// Somebody holds it, and the time is over.
    Held(Holder, Sight),
    /// Leases cannot be had.
    Unable(Setback),
    /// The run was cancelled.
    Cancelled,
}

/// What came of one try.
enum Tried {
    Ours,
    Theirs(Holder, Sight),
    /// It was given back just now.
    Free,
}

/// What is known of the run of a holder.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// It has ended.
    Gone,
    /// It goes on.
    AtWork,
    /// It is not ours to see.
    Unseen,
}

/// Waits for a lease until it is ours, its owner is gone, or the time is over.
pub(super) async fn acquire(
    job: &Job,
    books: &mut Books,
    mine: &Mine,
    commit: &str,
    unit: &mut Unit,
    reference: &str,
) -> Got {
    let (mut known, mut failures) = (None, 0);
    loop {
        let mut pause = PAUSE.mul_f64(0.9 + 0.2 * fastrand::f64());
        match undo::or_cancel(job, attempt(job, books, mine, commit, reference)).await {
            None => return Got::Cancelled,
            Some(Ok(Tried::Ours)) => return Got::Taken,
            Some(Ok(Tried::Free)) => {}
            Some(Ok(Tried::Theirs(holder, sight))) => {
                failures = 0;
                tell(job, unit, &holder);
                known = Some((holder, sight));
            }
            Some(Err(setback)) => {
                failures += 1;
                match lasts(&setback).filter(|_| failures < FAILURES) {
                    Some(wait) => pause = pause.max(wait),
                    None => return Got::Unable(setback),
                }
            }
        }
        if Instant::now() + pause > mine.until {
            let never = || Got::Unable(Setback::Passing("the time is over".into()));
            return known.map_or_else(never, |(holder, sight)| Got::Held(holder, sight));
        }
        if undo::or_cancel(job, tokio::time::sleep(pause)).await.is_none() {
            return Got::Cancelled;
        }
    }
}

/// How long a setback may last at least; `None` where waiting would not help.
pub(super) fn lasts(setback: &Setback) -> Option<Duration> {
    match setback {
        Setback::Limited { wait, .. } => Some(*wait).filter(|wait| *wait <= LIMIT),
        Setback::Passing(_) | Setback::Uncertain(_) => Some(Duration::ZERO),
        _ => None,
    }
}

async fn attempt(
    job: &Job,
    books: &mut Books,
    mine: &Mine,
    commit: &str,
    reference: &str,
) -> Result<Tried, Setback> {
    if books.project.take(reference, commit).await? {
        return Ok(Tried::Ours);
    }
    let Some(holder) = books.project.holder(reference).await? else { return Ok(Tried::Free) };
    // An answer that was lost before.
    if holder.commit == commit {
        return Ok(Tried::Ours);
    }
    let sight = sight(books, mine, &holder).await;
    if sight == Sight::Gone && take_over(job, books, mine, reference, &holder).await? {
        return Ok(Tried::Ours);
    }
    Ok(Tried::Theirs(holder, sight))
}

/// Whether the run of a holder is at work still.
async fn sight(books: &Books, mine: &Mine, holder: &Holder) -> Sight {
    let Some(owner) = &holder.owner else { return Sight::Unseen };
    if owner.is_past_of(&mine.own) {
        return Sight::Gone;
    }
    match books.project.is_at_work(owner, mine.own.run).await {
        Ok(Some(true)) => Sight::AtWork,
        Ok(Some(false)) => Sight::Gone,
        Ok(None) | Err(_) => Sight::Unseen,
    }
}

/// Goes on from the commit of an owner that is gone: who else tries the same comes too late.
async fn take_over(
    job: &Job,
    books: &mut Books,
    mine: &Mine,
    reference: &str,
    holder: &Holder,
) -> Result<bool, Setback> {
    let commit = books.project.lease_commit(&mine.own, &mine.tree, Some(&holder.commit)).await?;
    let before = claim(job, reference, &commit);
    job.tell_all(&state::save_held(job));
    let taken = books.project.take_over(reference, &commit).await?;
    if let Some(owner) = holder.owner.as_ref().filter(|_| taken) {
        job.teller.line(None, &format!("took over the lease that run {} left behind", owner.run));
        books.gone.push(owner.clone());
    } else if let Some(before) = before {
        claim(job, reference, &before);
    }
    Ok(taken)
}

/// Writes down which commit stands for our lease; gives the one before.
fn claim(job: &Job, reference: &str, commit: &str) -> Option<String> {
    let mut held = job.held.borrow_mut();
    let lease = held.leases.iter_mut().find(|lease| lease.reference == reference)?;
    Some(std::mem::replace(&mut lease.commit, commit.to_owned()))
}

fn tell(job: &Job, unit: &mut Unit, holder: &Holder) {
    let words = format!("waiting for {}", who(holder));
    if unit.told != words {
        job.moment(unit, Tone::Plain, &words);
        unit.told = words;
    }
}

fn who(holder: &Holder) -> String {
    match &holder.owner {
        Some(owner) => {
            format!("run {}, which holds the lease since {}: {}", owner.run, owner.since, owner.url)
        }
        None => "somebody who holds the lease and does not say who it is".into(),
    }
}

/// Ends a unit whose lease somebody else kept.
pub(super) fn refuse(job: &Job, books: &Books, mine: &Mine, unit: &mut Unit, holder: &Holder, sight: Sight) {
    let owner = holder.owner.as_ref();
    let name = owner.map_or_else(|| "Somebody".to_owned(), |owner| format!("Run {}", owner.run));
    let waited = Span(job.doors.clock.elapsed());
    let sentence = format!(
        "{name} holds the lease of `{}` in {} and did not give it back in the time of this run ({waited}).",
        unit.name(),
        books.environment
    );
    let reference = lease::reference(&books.environment, unit.name());
    let help = match (owner, sight) {
        (Some(_), Sight::Unseen) => format!(
            "Whether that run is at work cannot be seen without `permissions: actions: read`. If it is not, delete the \
             ref `{reference}`."
        ),
        (Some(_), _) => "Wait for that run, or cancel it; then run this job again.".to_owned(),
        (None, _) => format!("Look at the ref `{reference}`, and delete it if nobody is at work."),
    };
    let cause = owner.map(|owner| owner.url.clone());
    let problem = Problem { cause, ..Problem::error(Code::LeaseHeld, sentence) }.help(help).of(unit.name());
    job.teller.problem(&problem);
    let newer = owner.is_some_and(|owner| owner.run > mine.own.run);
    let outcome = if newer { Outcome::Superseded } else { Outcome::Failed };
    unit.report.evidence = "nothing was moved".into();
    unit.refused(job.doors.clock.now(), outcome, problem);
}
