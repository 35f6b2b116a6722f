//! Commands that run once before any traffic moves: started, watched to their end, stopped when they take too long. No
//! service of the run moves before all of them have ended.

use std::time::Duration;

use futures::future::join_all;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::plan::Start;
use crate::problem::{Code, Problem};
use crate::release::{Failure, OneOff, OneOffState, Outcome, Span, TaskRun};
use crate::strategy::Step;
use crate::sys::signal::Urgency;

use super::unit::{Phase, Unit};
use super::{Job, Tone, state, undo, walk, watch};

/// Time between two looks.
const PAUSE: Duration = Duration::from_secs(2);
/// How long a command that was told to stop is waited for: ECS kills what does not end within 30 s, 2 min at most.
const LAST: Duration = Duration::from_secs(180);

/// A command under way.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Command {
    asked: OneOff,
    /// What was started; `None` while the answer is not in: it may have started or not.
    task: Option<TaskRun>,
    /// When it was asked for, on the run's clock.
    since: Duration,
    /// Why it is told to stop, and since when.
    condemned: Option<(String, Duration)>,
}

/// What the post step needs to know of a command that had not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Saved {
    /// Who started it.
    pub(super) owner: String,
    /// What was started; `None` where no answer came.
    pub(super) task: Option<TaskRun>,
}

impl Command {
    pub(super) fn saved(&self) -> Saved {
        Saved { owner: self.asked.owner.clone(), task: self.task.clone() }
    }

    /// The command for people.
    pub(super) fn words(&self) -> &str {
        &self.asked.words
    }
}

/// Runs the commands of all services that are about to start, and ends those services whose command did not succeed. After
/// a cancel they are left as they are, for [`stop`].
pub(super) async fn run(job: &Job, environment: &str, units: &mut [Unit]) {
    units.iter_mut().filter(|unit| is_due(unit)).for_each(|unit| prepare(job, environment, unit));
    if !units.iter().any(is_open) {
        return;
    }
    job.tell_all(&state::save(job, environment, units));
    if !start(job, units).await {
        return;
    }
    while units.iter().any(is_open) && job.cancel.urgency() == Urgency::None {
        job.tell_all(&state::save(job, environment, units));
        let Some(looks) = undo::or_cancel(job, look(units)).await else { break };
        for (index, look) in looks {
            step(job, &mut units[index], look).await;
        }
        if units.iter().any(is_open) {
            let _ = undo::or_cancel(job, tokio::time::sleep(watch::jittered(PAUSE))).await;
        }
    }
}

fn is_due(unit: &Unit) -> bool {
    let has = |plan: &crate::plan::ServicePlan| {
        matches!(plan.start, Start::Fresh { .. }) && plan.steps.contains(&Step::Before)
    };
    unit.phase == Phase::Ready && unit.plan.as_ref().is_some_and(has)
}

fn is_open(unit: &Unit) -> bool {
    matches!(unit.phase, Phase::Before(_))
}

fn prepare(job: &Job, environment: &str, unit: &mut Unit) {
    let Some(before) = unit.service.common.before.clone() else { return };
    let (owner, key) = names(job, environment, unit.name());
    let words = before.run.shown();
    let asked = OneOff { command: before.run.0, words, container: before.container, owner, key };
    let since = job.doors.clock.elapsed();
    unit.phase = Phase::Before(Box::new(Command { asked, task: None, since, condemned: None }));
}

/// Whose the command is: of the run, whatever its attempt; and a key of this attempt alone. A laptop has no runs, so there
/// every time is one of its own.
fn names(job: &Job, environment: &str, service: &str) -> (String, String) {
    let own = || format!("{:016x}", fastrand::u64(..));
    let run = job.context.run_id.clone().unwrap_or_else(own);
    let attempt = job.context.run_attempt.clone().unwrap_or_else(|| "1".into());
    let repository = job.context.repository.as_deref().unwrap_or_default();
    let owner = format!("roadstead/{}/{}/{}", plain(&run), plain(environment), plain(service));
    (owner, format!("{repository}/{run}/{attempt}/{environment}/{service}"))
}

/// A name as AWS takes it, of at most 36 letters, digits, dashes and underscores; names that differ stay different.
fn plain(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.len() <= 36 && name.chars().all(fits) {
        return name.to_owned();
    }
    let head: String = name.chars().map(|c| if fits(c) { c } else { '-' }).take(23).collect();
    let digest = hex::encode(Sha256::digest(name));
    format!("{head}-{}", &digest[..12])
}

/// Starts them all; `false` where the run was cancelled before every answer was in.
async fn start(job: &Job, units: &mut [Unit]) -> bool {
    let mut open: Vec<&mut Unit> = units.iter_mut().filter(|unit| is_open(unit)).collect();
    let asks = join_all(open.iter().map(|unit| ask(unit)));
    let Some(answers) = undo::unless_cancelled(job, undo::LAST_ANSWER, asks).await else { return false };
    for (unit, answer) in open.iter_mut().zip(answers) {
        match answer {
            Ok(task) => started(job, unit, task),
            Err(problem) if problem.code.is_users() => {
                walk::fail_unmoved(unit, job.doors.clock.now(), problem.clone().of(unit.name()));
            }
            Err(problem) => not_started(job, unit, problem),
        }
    }
    true
}

async fn ask(unit: &Unit) -> Result<TaskRun, Problem> {
    match (&unit.phase, &unit.report.version) {
        (Phase::Before(command), Some(version)) => {
            unit.target.run_once(version, &command.asked, &unit.seen).await
        }
        _ => Err(Problem::error(Code::Internal, "A command was to run before its version was made.")),
    }
}

fn started(job: &Job, unit: &mut Unit, task: TaskRun) {
    let words = format!("`{}` runs once, as task {}", task.words, task.label);
    if let Phase::Before(command) = &mut unit.phase {
        command.task = Some(task);
    }
    job.moment(unit, Tone::Plain, &words);
}

fn not_started(job: &Job, unit: &mut Unit, problem: Problem) {
    let Phase::Before(command) = &unit.phase else { return };
    let problem = match problem.code {
        Code::BeforeFailed => problem,
        _ => {
            let sentence = format!("The command `{}` could not be started.", command.words());
            let why = problem.cause.as_ref().map_or_else(String::new, |cause| format!(" {cause}"));
            let cause = format!("{}{why}", problem.sentence);
            Problem::error(Code::BeforeFailed, sentence).cause(cause).help(problem.help)
        }
    };
    failed(job, unit, Failure::permanent(problem));
}

/// One look at every command.
async fn look(units: &[Unit]) -> Vec<(usize, Result<OneOffState, Problem>)> {
    let open = units.iter().enumerate().filter_map(|(index, unit)| match &unit.phase {
        Phase::Before(command) => Some((index, unit, command.task.clone()?)),
        _ => None,
    });
    join_all(open.map(|(index, unit, task)| async move { (index, unit.target.watch_once(&task).await) }))
        .await
}

async fn step(job: &Job, unit: &mut Unit, look: Result<OneOffState, Problem>) {
    match look {
        Ok(OneOffState::Open(words)) => watch::tell_once(job, unit, &words),
        Ok(OneOffState::Done(lines)) => return done(job, unit, &lines),
        Ok(OneOffState::Failed(failure)) => return ended_badly(job, unit, *failure),
        Err(problem) => watch::tell_once(job, unit, &format!("could not be read, looking again: {problem}")),
    }
    overdue(job, unit).await;
}

/// It did its work: the service may start, if there is time left for that.
fn done(job: &Job, unit: &mut Unit, lines: &[crate::release::LogLine]) {
    lines.iter().for_each(|line| job.teller.outside(unit.name(), &line.text));
    let Phase::Before(command) = &unit.phase else { return };
    let took = Span(Duration::from_secs((job.doors.clock.elapsed().saturating_sub(command.since)).as_secs()));
    let words = format!("`{}` ended with exit code 0 after {took}", command.words());
    if !job.time_left() {
        let sentence = format!("{words}, and no time is left for the release.");
        let problem = Problem::error(Code::BeforeFailed, sentence).help("Raise the input `timeout`.");
        return failed(job, unit, Failure::permanent(problem));
    }
    job.moment(unit, Tone::Good, &words);
    unit.phase = Phase::Ready;
}

/// What was told to stop failed because of that, whatever its exit code is then.
fn ended_badly(job: &Job, unit: &mut Unit, failure: Failure) {
    let Phase::Before(command) = &unit.phase else { return };
    let failure = match &command.condemned {
        Some((why, _)) => Failure { problem: too_long(command, why), ..failure },
        None => failure,
    };
    failed(job, unit, failure);
}

fn too_long(command: &Command, why: &str) -> Problem {
    Problem::error(Code::BeforeFailed, format!("The command `{}` {why} and was stopped.", command.words()))
        .help("Read the lines that it wrote. If it only needs longer, raise `before.timeout` and the input `timeout`.")
}

/// Ends a service whose command did not succeed: nothing was moved.
fn failed(job: &Job, unit: &mut Unit, failure: Failure) {
    let failure = Failure { problem: failure.problem.of(unit.name()), ..failure };
    watch::tell_failure(job, unit, &failure);
    let before = walk::before(&unit.seen).to_owned();
    unit.report.evidence = format!("nothing was moved: {before} serves");
    unit.report.took = job.doors.clock.elapsed();
    unit.report.failure = Some(failure);
    unit.end(job.doors.clock.now(), Outcome::Failed, "stopped before any traffic moved");
}

/// Tells a command to stop whose time is over, until it is told; and gives up on one that does not end even then.
async fn overdue(job: &Job, unit: &mut Unit) {
    let limit = unit.service.common.before.as_ref().map_or(Duration::MAX, |before| before.timeout.0.0);
    let now = job.doors.clock.elapsed();
    let Phase::Before(command) = &mut unit.phase else { return };
    let late = match now.saturating_sub(command.since) >= limit {
        true => Some(format!("did not end within {}", Span(limit))),
        false if !job.time_left() => Some("did not end within the time of the run".to_owned()),
        false => None,
    };
    let first = command.condemned.is_none();
    let Some((why, since)) = late.map(|why| command.condemned.get_or_insert((why, now)).clone()) else {
        return;
    };
    let task = command.task.clone();
    if first {
        job.moment(unit, Tone::Bad, &format!("the command {why}: it is told to stop"));
    }
    if let Some(task) = task
        && let Some(Err(problem)) =
            undo::unless_cancelled(job, undo::LAST_ANSWER, unit.target.stop_once(&task)).await
    {
        watch::tell_once(job, unit, &format!("it could not be told to stop, asking again: {problem}"));
    }
    if now >= since + LAST.min(job.reserve()) {
        let Phase::Before(command) = &unit.phase else { return };
        let problem = too_long(command, &why).cause("it was told to stop, and its end was not seen");
        failed(job, unit, Failure::permanent(problem));
    }
}

/// Tells the command of a unit to stop, because the run is cancelled. What was asked for and not answered is looked for.
pub(super) async fn stop(unit: &Unit) -> Option<Result<(), Problem>> {
    let Phase::Before(command) = &unit.phase else { return None };
    Some(stop_saved(unit, &command.saved()).await.map(drop))
}

/// Tells a command to stop, and answers what was told; `None` where nothing runs.
pub(super) async fn stop_saved(unit: &Unit, saved: &Saved) -> Result<Option<TaskRun>, Problem> {
    let task = match &saved.task {
        Some(task) => Some(task.clone()),
        None => unit.target.find_once(&saved.owner).await?,
    };
    if let Some(task) = &task {
        unit.target.stop_once(task).await?;
    }
    Ok(task)
}

/// What is said of a command when the run is cancelled.
pub(super) fn cancelled(command: &Command, stopped: Option<&Result<(), Problem>>, serves: &str) -> String {
    let told = match stopped {
        Some(Ok(())) => "it was told to stop".to_owned(),
        Some(Err(problem)) => format!("it could not be told to stop: {problem}"),
        None => "it was told to stop, but no answer came in time".to_owned(),
    };
    format!("cancelled while `{}` ran; {told}. No traffic was moved: {serves} serves", command.words())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_aws_takes_them_and_stay_different() {
        assert_eq!(plain("backend-2_x"), "backend-2_x");
        let odd = ["a.b", "a:b", "ä b", &"x".repeat(37), &"x".repeat(38)].map(plain);
        let fits = |name: &String| {
            name.len() <= 36 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        assert!(odd.iter().all(fits), "{odd:?}");
        let mut once = odd.to_vec();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), odd.len());
    }
}
