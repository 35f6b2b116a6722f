//! What must stay true of services in Git whatever happens: every call of a run × everything that can strike it. A case
//! that breaks a law prints itself; `GITOPS='fixture call fault' cargo test --test main gitops_invariants::one_case` plays it
//! again.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use roadstead::release::Outcome;
use roadstead::report::{RunReport, summary};
use roadstead::sys::signal::{CancelLevel, CancelToken};
use roadstead_cloud::call_log::{CallHook, HookPhase, Override};
use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::github::commits::GitCommit;
use roadstead_cloud::request::ServiceError;
use tokio::sync::Notify;

use crate::gitops::{FILE, REPOSITORY, WATCHED, file_text, set_workflow_run, test_run};
use crate::support::{RunHarness, run_in_virtual_time};

/// A scenario, and whether the new version may end up serving.
const FIXTURES: &[(&str, bool)] = &[
    ("gitops-happy", true),
    ("argocd-image-pull", false),
    ("argocd-sync-failed", false),
    ("git-moved-head", true),
    ("git-replica-lag", true),
    ("argocd-canary", true),
    ("argocd-others-unwell", true),
    ("argocd-cron-job", true),
];

/// What strikes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
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

const FAULTS: [Fault; 7] = [
    Fault::KillBefore,
    Fault::KillAfter,
    Fault::LostAnswer,
    Fault::BadGateway,
    Fault::Cancel,
    Fault::PersonWrites,
    Fault::Rival,
];

#[derive(Clone, Copy)]
struct GitOpsCase {
    fixture: (&'static str, bool),
    call: usize,
    fault: Fault,
}

impl fmt::Display for GitOpsCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, call, blow) = (self.fixture.0, self.call, fault_name(self.fault));
        write!(f, "GITOPS='{name} {call} {blow}' cargo test --test main gitops_invariants::one_case")
    }
}

fn fault_name(blow: Fault) -> String {
    format!("{blow:?}")
}

/// Signals between the hook of the cloud and the world outside of it.
#[derive(Clone, Default)]
struct FaultSignals {
    runner_lost: Arc<Notify>,
    cancel: Arc<Notify>,
    cancelled_at: Arc<Mutex<Option<f64>>>,
}

/// Calls to AWS are the other laws' business.
fn is_counted(moment: &CallHook<'_>) -> bool {
    matches!(moment.call.service.as_str(), "github" | "argocd")
}

fn install_fault(cloud: &Cloud, case: GitOpsCase, signals: &FaultSignals) {
    let (signals, inner, mut seen, mut done) = (signals.clone(), cloud.clone(), 0, false);
    cloud.on_call(Box::new(move |moment| {
        if !is_counted(moment) || done {
            return Override::Pass;
        }
        let here = seen == case.call;
        if moment.phase == HookPhase::After {
            seen += 1;
            done = here;
        }
        if here { apply_fault(case.fault, moment, &inner, &signals) } else { Override::Pass }
    }));
}

fn apply_fault(blow: Fault, moment: &CallHook<'_>, cloud: &Cloud, signals: &FaultSignals) -> Override {
    match (blow, moment.phase) {
        (Fault::KillBefore, HookPhase::Before) | (Fault::KillAfter, HookPhase::After) => {
            signals.runner_lost.notify_one();
            return Override::NoReply;
        }
        (Fault::LostAnswer, HookPhase::After) => return Override::Disconnect,
        (Fault::BadGateway, HookPhase::Before) => {
            return Override::Fail(ServiceError {
                status: 502,
                ..ServiceError::new("BadGateway", "Bad Gateway")
            });
        }
        (Fault::Cancel, HookPhase::Before) => {
            *signals.cancelled_at.lock().unwrap() = Some(moment.at);
            signals.cancel.notify_one();
        }
        (Fault::PersonWrites, HookPhase::After) => commit_as_person(cloud, FILE, &hand_edited_file(cloud)),
        (Fault::Rival, HookPhase::After) => commit_as_person(cloud, "other.txt", "theirs\n"),
        _ => {}
    }
    Override::Pass
}

fn commit_as_person(cloud: &Cloud, path: &str, bytes: &str) {
    cloud.push_commit(REPOSITORY, "main", "Ann", "By hand", &[(path, Some(bytes.as_bytes()))]).unwrap();
}

/// The file with another image in it, as a person would write it.
fn hand_edited_file(cloud: &Cloud) -> String {
    let now = file_text(cloud, FILE);
    let lines = now.lines().filter(|line| !line.trim_start().starts_with("digest:"));
    let lines = lines.map(|line| match line.split_once("newTag:") {
        Some((before, _)) => format!("{before}newTag: by-hand"),
        None => line.to_owned(),
    });
    lines.map(|line| format!("{line}\n")).collect()
}

/// What is left of a file without the values that a release may change.
fn without_image_values(text: &str) -> Vec<String> {
    let value = |line: &&str| ["newTag:", "digest:", "newName:"].iter().any(|key| line.contains(key));
    text.lines().filter(|line| !value(line)).map(str::to_owned).collect()
}

/// A commit of the branch: its message, and its file.
struct BranchCommit {
    message: String,
    file: String,
}

impl BranchCommit {
    fn trailer(&self, trailer: &str) -> Option<&str> {
        self.message.lines().find_map(|line| line.strip_prefix(trailer))
    }
}

/// The branch, oldest first.
fn branch_commits(cloud: &Cloud) -> Vec<BranchCommit> {
    cloud.read(|world| {
        let head = world.github.head(REPOSITORY, "main").unwrap();
        let all = world.github.history(REPOSITORY, &head, None);
        let step = |(oid, commit): (String, GitCommit)| BranchCommit {
            file: String::from_utf8(world.github.read_file(REPOSITORY, &oid, FILE).unwrap()).unwrap(),
            message: commit.message,
        };
        all.into_iter().rev().map(step).collect()
    })
}

/// The images of the newest pods.
fn live_images(cloud: &Cloud) -> Vec<String> {
    cloud.read(|world| {
        let workload = &world.argocd.apps[0].workload;
        workload.replica_sets.last().map(|set| set.images.clone()).unwrap_or_default()
    })
}

/// What happened.
struct GitOpsResult {
    /// How the run ended; `None` where its runner died.
    first_report: Option<RunReport>,
    live_images: Vec<String>,
    commits: Vec<BranchCommit>,
    /// Writes to GitHub, with their time and their trailers.
    writes: Vec<(f64, String)>,
    cancelled_at: Option<f64>,
    output: String,
    /// How the same run ended when it was started again, and the branch then.
    rerun_outcome: Outcome,
    commits_at_end: Vec<BranchCommit>,
    outside_commit_kept: bool,
}

fn test_run_of(stage_of: &str, cancel: &CancelToken) -> crate::support::TestRun {
    let mut trial = test_run(stage_of, WATCHED);
    set_workflow_run(&mut trial, 70, &"c0ffee1".repeat(6)[..40], "push");
    trial.cancel = cancel.clone();
    trial
}

fn run_case(case: GitOpsCase) -> GitOpsResult {
    run_in_virtual_time(async move {
        let cancel = CancelToken::default();
        let stage = test_run_of(case.fixture.0, &cancel).set_up();
        let signals = FaultSignals::default();
        install_fault(&stage.cloud, case, &signals);
        let first = tokio::select! {
            report = stage.run() => Some(report),
            () = signals.runner_lost.notified() => None,
            () = cancel_on_signal(cancel, signals.cancel.clone()) => None,
        };
        stage.cloud.on_call(Box::new(|_| Override::Pass));
        let mut output = stage.lines.borrow().join("\n");
        output.extend(first.iter().map(summary::summary));
        let (now, steps) = (live_images(&stage.cloud), branch_commits(&stage.cloud));
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let again = rerun(&stage, case).await;
        let cancelled = *signals.cancelled_at.lock().unwrap();
        GitOpsResult {
            first_report: first,
            live_images: now,
            commits: steps,
            writes: commit_calls(&stage.cloud),
            cancelled_at: cancelled,
            output,
            rerun_outcome: again,
            commits_at_end: branch_commits(&stage.cloud),
            outside_commit_kept: case.fault != Fault::Rival || file_exists(&stage.cloud, "other.txt"),
        }
    })
}

async fn rerun(stage: &RunHarness, case: GitOpsCase) -> Outcome {
    let mut trial = test_run_of(case.fixture.0, &CancelToken::default());
    // As GitHub numbers it; by that a lease of the attempt that died is known to be nobody's.
    trial.variables.insert("GITHUB_RUN_ATTEMPT".into(), "2".into());
    stage.with_test_run(&trial).run().await.outcome
}

async fn cancel_on_signal(cancel: CancelToken, asked: Arc<Notify>) {
    asked.notified().await;
    cancel.set(CancelLevel::Cancel);
    std::future::pending::<()>().await;
}

fn file_exists(cloud: &Cloud, path: &str) -> bool {
    cloud.read(|world| {
        let head = world.github.head(REPOSITORY, "main").unwrap();
        world.github.read_file(REPOSITORY, &head, path).is_some()
    })
}

fn commit_calls(cloud: &Cloud) -> Vec<(f64, String)> {
    let calls = cloud.calls();
    let commits = calls.iter().filter(|call| call.operation == "createCommitOnBranch");
    commits.map(|call| (call.at, call.input.to_string())).collect()
}

/// Checks the laws.
fn check_invariants(case: &GitOpsCase, played: &GitOpsResult) -> Result<(), String> {
    let law = |holds: bool, words: &str| if holds { Ok(()) } else { Err(words.to_owned()) };
    let ours = |step: &&BranchCommit| step.trailer("Roadstead-Service: ").is_some();
    let frames: Vec<Vec<String>> =
        played.commits_at_end.iter().map(|step| without_image_values(&step.file)).collect();
    law(frames.windows(2).all(|pair| pair[0] == pair[1]), "I11: more than the value changed")?;
    law(played.outside_commit_kept, "I11: an update of somebody else was lost")?;
    let mut open: BTreeMap<String, i32> = BTreeMap::new();
    for step in played.commits_at_end.iter().filter(ours) {
        let operation = step.trailer("Roadstead-Operation: ").unwrap_or_default();
        let image = step.trailer("Roadstead-Image: ").unwrap_or_default();
        if operation == "deploy" {
            *open.entry(image.into()).or_default() += 1;
        } else if let Some(previous) = open.values_mut().next() {
            *previous -= 1;
        }
        law(open.values().all(|count| *count <= 1), "I8: the same release was committed twice")?;
    }
    if let Some(at) = played.cancelled_at {
        let late = played.writes.iter().filter(|(time, _)| *time > at + 2.0 && *time < at + 60.0);
        let undo = |(_, input): &(f64, String)| input.contains("Roadstead-Operation: undo");
        law(late.clone().all(undo), "I4: after a cancel something else than a way back was written")?;
    }
    law(!played.output.contains("rehearsal-github-token"), "I6: a token is in the output")?;
    law(!played.output.contains("rehearsal-argocd-token"), "I6: a token is in the output")?;
    if let Some(report) = &played.first_report {
        check_outcome(case, report, played)?;
    }
    let good = case.fixture.1 && case.fault != Fault::PersonWrites;
    let fine = match (good, case.fixture.1) {
        (true, _) => matches!(played.rerun_outcome, Outcome::Deployed | Outcome::Unchanged),
        (false, true) => true,
        (false, false) => {
            played.rerun_outcome != Outcome::Deployed && played.rerun_outcome != Outcome::Unchanged
        }
    };
    law(fine, &format!("I8: started again it ended {:?}", played.rerun_outcome))
}

/// The outcome is what is so.
fn check_outcome(case: &GitOpsCase, report: &RunReport, played: &GitOpsResult) -> Result<(), String> {
    let law = |holds: bool, words: &str| {
        if holds { Ok(()) } else { Err(format!("I2: {words}: {:?}", report.outcome)) }
    };
    let service = report.services.first();
    let digest =
        service.and_then(|service| service.digest.as_ref()).map(|digest| digest.as_str()).unwrap_or("none");
    let head = &played.commits.last().unwrap().file;
    match report.outcome {
        Outcome::Deployed => {
            law(case.fixture.1, "a version that cannot run")?;
            law(head.contains(digest) || case.fault == Fault::PersonWrites, "the file has another image")?;
            law(played.live_images.iter().any(|image| image.contains(digest)), "another image is live")
        }
        Outcome::Failed => {
            law(!case.fixture.1 || case.fault != Fault::Rival, "a good version")?;
            law(!head.contains(digest), "the file has the failed image")
        }
        Outcome::Superseded => law(case.fault == Fault::PersonWrites, "nobody overtook it"),
        Outcome::Cancelled => law(case.fault == Fault::Cancel, "nobody cancelled"),
        Outcome::Invalid => {
            law(played.commits.len() <= 1 + count_outside_commits(played), "something was changed")
        }
        _ => Ok(()),
    }
}

fn count_outside_commits(played: &GitOpsResult) -> usize {
    played.commits.iter().skip(1).filter(|step| step.trailer("Roadstead-Service: ").is_none()).count()
}

fn find_violation(case: GitOpsCase) -> Option<String> {
    check_invariants(&case, &run_case(case)).err().map(|why| format!("{case}\n  {why}"))
}

/// How many calls of a setting there are when nothing strikes.
fn count_calls(setting: (&'static str, bool)) -> usize {
    run_in_virtual_time(async move {
        let stage = test_run_of(setting.0, &CancelToken::default()).set_up();
        stage.run().await;
        let calls = stage.cloud.calls();
        calls.iter().filter(|call| matches!(call.service.as_str(), "github" | "argocd")).count()
    })
}

/// Every call of every fixture, and every fault; `EVERY=n` takes each n-th only.
#[test]
fn every_call_and_every_fault() {
    let every = std::env::var("EVERY").ok().and_then(|text| text.parse().ok()).unwrap_or(13);
    let all: Vec<GitOpsCase> = FIXTURES
        .iter()
        .flat_map(|setting| (0..count_calls(*setting)).map(move |call| (*setting, call)))
        .flat_map(|(setting, call)| FAULTS.map(|blow| GitOpsCase { fixture: setting, call, fault: blow }))
        .collect();
    let chosen: Vec<GitOpsCase> = all.into_iter().step_by(every).collect();
    let bad = find_violations(&chosen);
    assert!(
        !chosen.is_empty() && bad.is_empty(),
        "{} of {} cases broke:\n{}",
        bad.len(),
        chosen.len(),
        bad.join("\n")
    );
}

/// Plays the cases on as many threads as there are processors.
fn find_violations(cases: &[GitOpsCase]) -> Vec<String> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let part =
            |cases: &[GitOpsCase]| cases.iter().filter_map(|case| find_violation(*case)).collect::<Vec<_>>();
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
    let [name, call, fault] = words[..] else { panic!("GITOPS is `fixture call fault`") };
    let fixture = *FIXTURES.iter().find(|fixture| fixture.0 == name).expect("no such fixture");
    let fault = FAULTS.into_iter().find(|known| fault_name(*known) == fault).expect("no such fault");
    assert_eq!(find_violation(GitOpsCase { fixture, call: call.parse().unwrap(), fault }), None);
}
