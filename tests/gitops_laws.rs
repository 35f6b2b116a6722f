//! What must stay true of services in Git whatever happens: every call of a run × everything that can strike it. A case
//! that breaks a law prints itself; `GITOPS='setting call blow' cargo test --test main gitops_laws::one_case` plays it
//! again.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use roadstead::rehearsal::call::Refusal;
use roadstead::rehearsal::cloud::Cloud;
use roadstead::rehearsal::github::commits::Commit;
use roadstead::rehearsal::record::{Interrupt, Moment, Phase};
use roadstead::release::Outcome;
use roadstead::report::{RunReport, summary};
use roadstead::sys::signal::{Cancel, Urgency};
use tokio::sync::Notify;

use crate::gitops::{FILE, REPOSITORY, WATCHED, in_run, text, trial};
use crate::support::{Stage, virtually};

/// A scenario, and whether the new version may end up serving.
const SETTINGS: &[(&str, bool)] = &[
    ("gitops-happy", true),
    ("argocd-image-pull", false),
    ("argocd-sync-failed", false),
    ("git-moved-head", true),
    ("git-replica-lag", true),
    ("argocd-canary", true),
];

/// What strikes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blow {
    /// The runner dies before the call is sent.
    KillBefore,
    /// The runner dies after the call took effect.
    KillAfter,
    /// The call takes effect and its answer is lost.
    LostAnswer,
    /// The call fails with 502 before it takes effect.
    BadGateway,
    /// The job is cancelled.
    Cancel,
    /// A person writes another image.
    PersonWrites,
    /// Somebody commits something else to the branch.
    Rival,
}

const BLOWS: [Blow; 7] = [
    Blow::KillBefore,
    Blow::KillAfter,
    Blow::LostAnswer,
    Blow::BadGateway,
    Blow::Cancel,
    Blow::PersonWrites,
    Blow::Rival,
];

#[derive(Clone, Copy)]
struct Case {
    setting: (&'static str, bool),
    call: usize,
    blow: Blow,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, call, blow) = (self.setting.0, self.call, called(self.blow));
        write!(f, "GITOPS='{name} {call} {blow}' cargo test --test main gitops_laws::one_case")
    }
}

fn called(blow: Blow) -> String {
    format!("{blow:?}")
}

/// Signals between the hook of the cloud and the world outside of it.
#[derive(Clone, Default)]
struct Signals {
    dead: Arc<Notify>,
    cancel: Arc<Notify>,
    cancelled: Arc<Mutex<Option<f64>>>,
}

/// Calls to AWS are the other laws' business.
fn counts(moment: &Moment<'_>) -> bool {
    matches!(moment.call.service.as_str(), "github" | "argocd")
}

fn arm(cloud: &Cloud, case: Case, signals: &Signals) {
    let (signals, inner, mut seen, mut done) = (signals.clone(), cloud.clone(), 0, false);
    cloud.on_call(Box::new(move |moment| {
        if !counts(moment) || done {
            return Interrupt::Pass;
        }
        let here = seen == case.call;
        if moment.phase == Phase::After {
            seen += 1;
            done = here;
        }
        if here { strike(case.blow, moment, &inner, &signals) } else { Interrupt::Pass }
    }));
}

fn strike(blow: Blow, moment: &Moment<'_>, cloud: &Cloud, signals: &Signals) -> Interrupt {
    match (blow, moment.phase) {
        (Blow::KillBefore, Phase::Before) | (Blow::KillAfter, Phase::After) => {
            signals.dead.notify_one();
            return Interrupt::Silence;
        }
        (Blow::LostAnswer, Phase::After) => return Interrupt::Lose,
        (Blow::BadGateway, Phase::Before) => {
            return Interrupt::Refuse(Refusal { status: 502, ..Refusal::new("BadGateway", "Bad Gateway") });
        }
        (Blow::Cancel, Phase::Before) => {
            *signals.cancelled.lock().unwrap() = Some(moment.at);
            signals.cancel.notify_one();
        }
        (Blow::PersonWrites, Phase::After) => write(cloud, FILE, &by_hand(cloud)),
        (Blow::Rival, Phase::After) => write(cloud, "other.txt", "theirs\n"),
        _ => {}
    }
    Interrupt::Pass
}

fn write(cloud: &Cloud, path: &str, bytes: &str) {
    cloud.commit(REPOSITORY, "main", "Ann", "By hand", &[(path, Some(bytes.as_bytes()))]).unwrap();
}

/// The file with another image in it, as a person would write it.
fn by_hand(cloud: &Cloud) -> String {
    let now = text(cloud, FILE);
    let lines = now.lines().filter(|line| !line.trim_start().starts_with("digest:"));
    let lines = lines.map(|line| match line.split_once("newTag:") {
        Some((before, _)) => format!("{before}newTag: by-hand"),
        None => line.to_owned(),
    });
    lines.map(|line| format!("{line}\n")).collect()
}

/// What is left of a file without the values that a release may change.
fn frame(text: &str) -> Vec<String> {
    let value = |line: &&str| ["newTag:", "digest:", "newName:"].iter().any(|key| line.contains(key));
    text.lines().filter(|line| !value(line)).map(str::to_owned).collect()
}

/// A commit of the branch: its message, and its file.
struct Step {
    message: String,
    file: String,
}

impl Step {
    fn says(&self, trailer: &str) -> Option<&str> {
        self.message.lines().find_map(|line| line.strip_prefix(trailer))
    }
}

/// The branch, oldest first.
fn branch(cloud: &Cloud) -> Vec<Step> {
    cloud.read(|world| {
        let head = world.github.head(REPOSITORY, "main").unwrap();
        let all = world.github.history(REPOSITORY, &head, None);
        let step = |(oid, commit): (String, Commit)| Step {
            file: String::from_utf8(world.github.file(REPOSITORY, &oid, FILE).unwrap()).unwrap(),
            message: commit.message,
        };
        all.into_iter().rev().map(step).collect()
    })
}

/// The images of the newest pods.
fn live(cloud: &Cloud) -> Vec<String> {
    cloud.read(|world| {
        let workload = &world.argocd.apps[0].workload;
        workload.sets.last().map(|set| set.images.clone()).unwrap_or_default()
    })
}

/// What happened.
struct Played {
    /// How the run ended; `None` where its runner died.
    first: Option<RunReport>,
    live: Vec<String>,
    branch: Vec<Step>,
    /// Writes to GitHub, with their time and their trailers.
    writes: Vec<(f64, String)>,
    cancelled: Option<f64>,
    said: String,
    /// How the same run ended when it was started again, and the branch then.
    again: Outcome,
    finally: Vec<Step>,
    rival_kept: bool,
}

fn run_of(stage_of: &str, cancel: &Cancel) -> crate::support::Trial {
    let mut trial = trial(stage_of, WATCHED);
    in_run(&mut trial, 70, &"c0ffee1".repeat(6)[..40], "push");
    trial.cancel = cancel.clone();
    trial
}

fn play(case: Case) -> Played {
    virtually(async move {
        let cancel = Cancel::default();
        let stage = run_of(case.setting.0, &cancel).stage();
        let signals = Signals::default();
        arm(&stage.cloud, case, &signals);
        let first = tokio::select! {
            report = stage.run() => Some(report),
            () = signals.dead.notified() => None,
            () = raise(cancel, signals.cancel.clone()) => None,
        };
        stage.cloud.on_call(Box::new(|_| Interrupt::Pass));
        let mut said = stage.lines.borrow().join("\n");
        said.extend(first.iter().map(summary::summary));
        let (now, steps) = (live(&stage.cloud), branch(&stage.cloud));
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let again = second(&stage, case).await;
        let cancelled = *signals.cancelled.lock().unwrap();
        Played {
            first,
            live: now,
            branch: steps,
            writes: writes(&stage.cloud),
            cancelled,
            said,
            again,
            finally: branch(&stage.cloud),
            rival_kept: case.blow != Blow::Rival || exists(&stage.cloud, "other.txt"),
        }
    })
}

async fn second(stage: &Stage, case: Case) -> Outcome {
    let mut trial = run_of(case.setting.0, &Cancel::default());
    // As GitHub numbers it; by that a lease of the attempt that died is known to be nobody's.
    trial.variables.insert("GITHUB_RUN_ATTEMPT".into(), "2".into());
    stage.other(&trial).run().await.outcome
}

async fn raise(cancel: Cancel, asked: Arc<Notify>) {
    asked.notified().await;
    cancel.raise(Urgency::Cancel);
    std::future::pending::<()>().await;
}

fn exists(cloud: &Cloud, path: &str) -> bool {
    cloud.read(|world| {
        let head = world.github.head(REPOSITORY, "main").unwrap();
        world.github.file(REPOSITORY, &head, path).is_some()
    })
}

fn writes(cloud: &Cloud) -> Vec<(f64, String)> {
    let calls = cloud.calls();
    let commits = calls.iter().filter(|call| call.operation == "createCommitOnBranch");
    commits.map(|call| (call.at, call.input.to_string())).collect()
}

/// Checks the laws.
fn check(case: &Case, played: &Played) -> Result<(), String> {
    let law = |holds: bool, words: &str| if holds { Ok(()) } else { Err(words.to_owned()) };
    let ours = |step: &&Step| step.says("Roadstead-Service: ").is_some();
    let frames: Vec<Vec<String>> = played.finally.iter().map(|step| frame(&step.file)).collect();
    law(frames.windows(2).all(|pair| pair[0] == pair[1]), "I11: more than the value changed")?;
    law(played.rival_kept, "I11: an update of somebody else was lost")?;
    let mut open: BTreeMap<String, i32> = BTreeMap::new();
    for step in played.finally.iter().filter(ours) {
        let operation = step.says("Roadstead-Operation: ").unwrap_or_default();
        let image = step.says("Roadstead-Image: ").unwrap_or_default();
        if operation == "deploy" {
            *open.entry(image.into()).or_default() += 1;
        } else if let Some(previous) = open.values_mut().next() {
            *previous -= 1;
        }
        law(open.values().all(|count| *count <= 1), "I8: the same release was committed twice")?;
    }
    if let Some(at) = played.cancelled {
        let late = played.writes.iter().filter(|(time, _)| *time > at + 2.0 && *time < at + 60.0);
        let undo = |(_, input): &(f64, String)| input.contains("Roadstead-Operation: undo");
        law(late.clone().all(undo), "I4: after a cancel something else than a way back was written")?;
    }
    law(!played.said.contains("rehearsal-github-token"), "I6: a token was said")?;
    law(!played.said.contains("rehearsal-argocd-token"), "I6: a token was said")?;
    if let Some(report) = &played.first {
        truthful(case, report, played)?;
    }
    let good = case.setting.1 && case.blow != Blow::PersonWrites;
    let fine = match (good, case.setting.1) {
        (true, _) => matches!(played.again, Outcome::Deployed | Outcome::Unchanged),
        (false, true) => true,
        (false, false) => played.again != Outcome::Deployed && played.again != Outcome::Unchanged,
    };
    law(fine, &format!("I8: started again it ended {:?}", played.again))
}

/// The outcome is what is so.
fn truthful(case: &Case, report: &RunReport, played: &Played) -> Result<(), String> {
    let law = |holds: bool, words: &str| {
        if holds { Ok(()) } else { Err(format!("I2: {words}: {:?}", report.outcome)) }
    };
    let service = report.services.first();
    let digest =
        service.and_then(|service| service.digest.as_ref()).map(|digest| digest.as_str()).unwrap_or("none");
    let head = &played.branch.last().unwrap().file;
    match report.outcome {
        Outcome::Deployed => {
            law(case.setting.1, "a version that cannot run")?;
            law(head.contains(digest) || case.blow == Blow::PersonWrites, "the file has another image")?;
            law(played.live.iter().any(|image| image.contains(digest)), "another image is live")
        }
        Outcome::Failed => {
            law(!case.setting.1 || case.blow != Blow::Rival, "a good version")?;
            law(!head.contains(digest), "the failed image stands in the file")
        }
        Outcome::Superseded => law(case.blow == Blow::PersonWrites, "nobody overtook it"),
        Outcome::Cancelled => law(case.blow == Blow::Cancel, "nobody cancelled"),
        Outcome::Invalid => law(played.branch.len() <= 1 + rivals(played), "something was changed"),
        _ => Ok(()),
    }
}

fn rivals(played: &Played) -> usize {
    played.branch.iter().skip(1).filter(|step| step.says("Roadstead-Service: ").is_none()).count()
}

fn broken(case: Case) -> Option<String> {
    check(&case, &play(case)).err().map(|why| format!("{case}\n  {why}"))
}

/// How many calls of a setting there are when nothing strikes.
fn calls_of(setting: (&'static str, bool)) -> usize {
    virtually(async move {
        let stage = run_of(setting.0, &Cancel::default()).stage();
        stage.run().await;
        let calls = stage.cloud.calls();
        calls.iter().filter(|call| matches!(call.service.as_str(), "github" | "argocd")).count()
    })
}

/// Every call of every setting, and every blow; `EVERY=n` takes each n-th only.
#[test]
fn every_call_and_every_blow() {
    let every = std::env::var("EVERY").ok().and_then(|text| text.parse().ok()).unwrap_or(13);
    let all: Vec<Case> = SETTINGS
        .iter()
        .flat_map(|setting| (0..calls_of(*setting)).map(move |call| (*setting, call)))
        .flat_map(|(setting, call)| BLOWS.map(|blow| Case { setting, call, blow }))
        .collect();
    let chosen: Vec<Case> = all.into_iter().step_by(every).collect();
    let bad = broken_of(&chosen);
    assert!(
        !chosen.is_empty() && bad.is_empty(),
        "{} of {} cases broke:\n{}",
        bad.len(),
        chosen.len(),
        bad.join("\n")
    );
}

/// Plays the cases on as many threads as there are processors.
fn broken_of(cases: &[Case]) -> Vec<String> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let part = |cases: &[Case]| cases.iter().filter_map(|case| broken(*case)).collect::<Vec<_>>();
        let parts = cases.chunks(cases.len().div_ceil(threads).max(1));
        let running: Vec<_> = parts.map(|cases| scope.spawn(move || part(cases))).collect();
        running.into_iter().flat_map(|one| one.join().unwrap()).collect()
    })
}

/// Plays the case in `GITOPS` again.
#[test]
fn one_case() {
    let given = std::env::var("GITOPS").unwrap_or_else(|_| "gitops-happy 1 KillAfter".into());
    let words: Vec<&str> = given.split_whitespace().collect();
    let [name, call, blow] = words[..] else { panic!("GITOPS is `setting call blow`") };
    let setting = *SETTINGS.iter().find(|setting| setting.0 == name).expect("no such setting");
    let blow = BLOWS.into_iter().find(|known| called(*known) == blow).expect("no such blow");
    assert_eq!(broken(Case { setting, call: call.parse().unwrap(), blow }), None);
}
