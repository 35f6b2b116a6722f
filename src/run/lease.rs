//! One writer: the leases of the services that are about to change are taken before anything is, and given back at the
//! end. While somebody else holds one, this run waits, and looks anew at what runs before it goes on.

use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use tokio::time::Instant;

use crate::github::{Holder, Owner, Setback, lease};
use crate::plan::Start;
use crate::problem::{Code, Problem};
use crate::release::{Observed, Outcome, Span};

use super::books::Books;
use super::state::{self, Lease};
use super::unit::{Phase, Unit};
use super::{Job, Tone, returning, returns, undo, walk};

/// The longest wait for another run.
const LONGEST: Duration = Duration::from_secs(30 * 60);
/// Between two looks at a lease that somebody holds: at most so often, since a token has a thousand requests an hour.
const PAUSE: Duration = Duration::from_secs(12);
/// So many requests about leases are under way at once.
const AT_ONCE: usize = 8;

/// What came of trying to get a lease.
enum Got {
    /// It is ours.
    Taken,
    /// Somebody holds it, and the time is over.
    Held(Option<Holder>, Sight),
    /// Leases cannot be had.
    Unable(Setback),
    /// The run was cancelled.
    Cancelled,
}

/// What is known of the run of a holder.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sight {
    Gone,
    AtWork,
    /// It is not ours to see.
    Unseen,
}

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
    for index in wanted {
        if is_to_change(&units[index]) {
            undo::or_cancel(job, look_anew(job, books, &mut units[index])).await;
        }
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

/// What this run is, for others, and how long it waits.
struct Mine {
    own: Owner,
    tree: String,
    until: Instant,
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
    books: &Books,
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
    if let Some(Err(setback)) = taken.get(free).filter(|taken| !may_pass(taken)) {
        return Err(setback.clone());
    }
    let later = stream::iter(&references[free..]).map(|reference| books.project.give_back(reference, commit));
    undo::or_cancel(job, later.buffered(AT_ONCE).collect::<Vec<_>>()).await;
    for (index, reference) in wanted.iter().zip(&references).skip(free) {
        let unit = &mut units[*index];
        match acquire(job, books, mine, commit, unit, reference).await {
            Got::Taken => {}
            Got::Held(holder, sight) => {
                job.held.borrow_mut().leases.retain(|lease| lease.reference != *reference);
                refuse(job, books, mine, unit, holder, sight);
            }
            Got::Unable(setback) => return Err(setback),
            Got::Cancelled => return Ok(()),
        }
    }
    Ok(())
}

fn may_pass(taken: &Result<bool, Setback>) -> bool {
    matches!(taken, Ok(_) | Err(Setback::Limited { .. } | Setback::Passing(_) | Setback::Uncertain(_)))
}

/// Waits for a lease until it is ours, its owner is gone, or the time is over.
async fn acquire(
    job: &Job,
    books: &Books,
    mine: &Mine,
    commit: &str,
    unit: &mut Unit,
    reference: &str,
) -> Got {
    let mut last = (None, Sight::AtWork);
    loop {
        let tried = undo::or_cancel(job, attempt(job, books, mine, commit, reference)).await;
        let mut pause = PAUSE.mul_f64(0.9 + 0.2 * fastrand::f64());
        match tried {
            None => return Got::Cancelled,
            Some(Ok(None)) => return Got::Taken,
            Some(Ok(Some((holder, sight)))) => {
                tell(job, unit, &holder);
                last = (Some(holder), sight);
            }
            Some(Err(Setback::Limited { wait, .. })) => pause = pause.max(wait),
            Some(Err(Setback::Passing(_) | Setback::Uncertain(_))) => {}
            Some(Err(setback)) => return Got::Unable(setback),
        }
        if Instant::now() + pause > mine.until {
            return Got::Held(last.0, last.1);
        }
        if undo::or_cancel(job, tokio::time::sleep(pause)).await.is_none() {
            return Got::Cancelled;
        }
    }
}

/// One try: `None` when it is ours, else who holds it.
async fn attempt(
    job: &Job,
    books: &Books,
    mine: &Mine,
    commit: &str,
    reference: &str,
) -> Result<Option<(Holder, Sight)>, Setback> {
    if books.project.take(reference, commit).await? {
        return Ok(None);
    }
    let Some(holder) = books.project.holder(reference).await? else {
        return Err(Setback::Passing("it was given back in this moment".into()));
    };
    let sight = sight(books, mine, &holder).await?;
    if sight == Sight::Gone && take_over(job, books, mine, reference, &holder).await? {
        return Ok(None);
    }
    Ok(Some((holder, sight)))
}

/// Whether the run of a holder is at work still.
async fn sight(books: &Books, mine: &Mine, holder: &Holder) -> Result<Sight, Setback> {
    let Some(owner) = &holder.owner else { return Ok(Sight::Unseen) };
    if owner.is_past_of(&mine.own) {
        return Ok(Sight::Gone);
    }
    Ok(match books.project.is_at_work(owner, mine.own.run).await? {
        Some(true) => Sight::AtWork,
        Some(false) => Sight::Gone,
        None => Sight::Unseen,
    })
}

/// Goes on from the commit of an owner that is gone: who else tries the same comes too late.
async fn take_over(
    job: &Job,
    books: &Books,
    mine: &Mine,
    reference: &str,
    holder: &Holder,
) -> Result<bool, Setback> {
    let commit = books.project.lease_commit(&mine.own, &mine.tree, Some(&holder.commit)).await?;
    let before = claim(job, reference, &commit);
    job.tell_all(&state::save_held(job));
    let taken = books.project.take_over(reference, &commit).await?;
    if taken {
        let run = holder.owner.as_ref().map_or_else(String::new, |owner| owner.run.to_string());
        job.teller.line(None, &format!("took over the lease that run {run} left behind"));
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
fn refuse(job: &Job, books: &Books, mine: &Mine, unit: &mut Unit, holder: Option<Holder>, sight: Sight) {
    let owner = holder.as_ref().and_then(|holder| holder.owner.as_ref());
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

/// Looks at what runs now that nobody else works on it. Where it is not what the plan was made for, a new one is made.
async fn look_anew(job: &Job, books: &Books, unit: &mut Unit) {
    let seen = match unit.target.observe().await {
        Ok(seen) => seen,
        Err(problem) => {
            let problem = problem.of(unit.name());
            return unit.refused(job.doors.clock.now(), Outcome::Failed, problem);
        }
    };
    let same = is_same(&unit.seen, &seen);
    unit.see(seen);
    if same {
        return;
    }
    job.moment(unit, Tone::Plain, "it was changed in the meantime: planning anew");
    let mut problems = Vec::new();
    if returns(job) {
        problems.extend(returning::choose_one(job, books.session.as_ref(), unit).await.err());
    }
    problems.extend(unit.target.check(&unit.release, &unit.seen).await);
    let (wrong, dubious): (Vec<Problem>, Vec<Problem>) =
        problems.into_iter().map(|problem| problem.of(unit.name())).partition(Problem::is_error);
    unit.report
        .problems
        .extend(dubious.into_iter().filter(|one| !unit.report.problems.contains(one)).collect::<Vec<_>>());
    if wrong.is_empty() {
        return walk::make_plan(job, unit);
    }
    unit.end(job.doors.clock.now(), Outcome::Invalid, "stopped before any change");
    unit.report.problems.extend(wrong);
}

/// Whether two looks show the same, as far as a plan depends on it.
fn is_same(one: &Observed, other: &Observed) -> bool {
    let about = |seen: &Observed| {
        (
            seen.version.clone(),
            seen.image.clone(),
            seen.in_flight.clone(),
            seen.refuge().cloned(),
            seen.leftover,
        )
    };
    about(one) == about(other) && one.definition == other.definition
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
