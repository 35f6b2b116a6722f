//! Once a change was requested, nothing untrue is said of it: every change of every target, with its answer lost and an outage
//! after it. `EVERY=1` plays all cases, `CHANGE=name` those of one change.

use std::fmt;

use roadstead::release::{Outcome, Version};
use roadstead::report::RunReport;
use roadstead::sys::signal::CancelToken;
use roadstead_cloud::call_log::LoggedCall;
use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::ecs::responses::serving;

use super::assertions::DENIALS;
use super::case::{Case, FIXTURES, Fault};
use super::run::{FIRST_KEY, NEW_COMMIT, install_outage, run_earlier, test_run};
use crate::appconfig::{self, AppConfigFixture};
use crate::gitops;
use crate::support::{RunHarness, run_in_virtual_time};

/// Where a change is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A fixture of the invariants.
    Ecs(&'static str),
    AppConfig,
    /// A scenario of Git.
    Git(&'static str),
}

/// A change whose answer is lost.
#[derive(Debug, Clone, Copy)]
struct Change {
    place: Place,
    operation: &'static str,
    /// Which call of it.
    call: u32,
    /// Whether what was requested serves in the end if the outage is short.
    ends_well: bool,
}

const fn change(place: Place, operation: &'static str, call: u32, ends_well: bool) -> Change {
    Change { place, operation, call, ends_well }
}

const CHANGES: &[Change] = &[
    change(Place::Ecs("rolling"), "UpdateService", 1, true),
    change(Place::Ecs("rolling"), "RegisterTaskDefinition", 1, false),
    change(Place::Ecs("set-env"), "UpdateService", 1, true),
    change(Place::Ecs("rolling-bad"), "UpdateService", 1, false),
    change(Place::Ecs("rolling-bad"), "StopServiceDeployment", 1, false),
    change(Place::Ecs("canary"), "UpdateService", 1, true),
    change(Place::Ecs("canary"), "ContinueServiceDeployment", 1, true),
    change(Place::Ecs("canary"), "ContinueServiceDeployment", 2, true),
    change(Place::Ecs("pair"), "UpdateService", 1, true),
    change(Place::Ecs("pair"), "ModifyRule", 1, true),
    change(Place::Ecs("pair"), "ModifyRule", 2, true),
    change(Place::Ecs("pair-falls-ill"), "ModifyRule", 2, false),
    change(Place::Ecs("rollback"), "UpdateService", 1, true),
    change(Place::Ecs("before"), "RunTask", 1, true),
    change(Place::AppConfig, "StartDeployment", 1, true),
    change(Place::AppConfig, "CreateHostedConfigurationVersion", 1, false),
    change(Place::Git("gitops-happy"), "createCommitOnBranch", 1, true),
    change(Place::Git("argocd-sync-failed"), "createCommitOnBranch", 2, false),
];

const ANSWERS: [&str; 6] = ["reset", "silence", "html", "access-denied", "server-error", "throttled"];

/// How long an outage lasts: one look, seconds, or until the end.
const LENGTHS: [&str; 4] = ["times: 1", "for: 20", "for: 120", ""];

/// One case.
#[derive(Debug, Clone, Copy)]
struct OutageCase {
    change: Change,
    effect: bool,
    answers: &'static str,
    length: &'static str,
}

impl OutageCase {
    fn outage(&self) -> String {
        let Change { operation, call, .. } = self.change;
        let Self { effect, answers, length, .. } = self;
        let length = if length.is_empty() { String::new() } else { format!(", {length}") };
        format!("{{ operation: {operation}, call: {call}, effect: {effect}, answers: {answers}{length} }}")
    }

    fn is_endless(&self) -> bool {
        self.length.is_empty()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ecs(fixture) => write!(f, "ecs {fixture}"),
            Self::AppConfig => f.write_str("appconfig"),
            Self::Git(scenario) => write!(f, "git {scenario}"),
        }
    }
}

impl fmt::Display for OutageCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.change.place, self.outage())
    }
}

/// What happened, and what serves once all has come to rest.
struct Played {
    report: RunReport,
    text: String,
    calls: Vec<LoggedCall>,
    took: f64,
    serving: Serving,
}

/// What serves: a label, or the text of the file that says it.
enum Serving {
    Label(Option<String>),
    File(String),
}

impl Serving {
    fn is(&self, version: &Version) -> bool {
        match self {
            Self::Label(label) => label.as_ref() == Some(&version.label),
            Self::File(text) => {
                let tag = || version.id.rsplit(':').next().unwrap_or_default();
                match version.id.split_once('@') {
                    Some((_, digest)) => text.contains(digest),
                    None => text.lines().any(|line| line.contains("newTag") && line.contains(tag())),
                }
            }
        }
    }
}

async fn play(case: &OutageCase) -> Played {
    match case.change.place {
        Place::Ecs(name) => {
            let fixture = FIXTURES.iter().find(|fixture| fixture.name == name).unwrap();
            let case_of = Case { fixture, seed: 1, call: usize::MAX, fault: Fault::Throttled };
            let mut stage = test_run(&case_of, &CancelToken::default(), FIRST_KEY, NEW_COMMIT).set_up();
            run_earlier(&case_of, &mut stage).await;
            play_on(case, &stage, |cloud| Serving::Label(ecs_label(cloud))).await
        }
        Place::AppConfig => {
            let fixture = AppConfigFixture::new("");
            let stage = fixture.test_run.set_up();
            let label = |cloud: &Cloud| Some(format!("flags:{}", appconfig::serving_version(cloud)));
            play_on(case, &stage, |cloud| Serving::Label(label(cloud))).await
        }
        Place::Git(scenario) => {
            let stage = gitops::test_run(scenario, gitops::WATCHED).set_up();
            play_on(case, &stage, |cloud| Serving::File(gitops::file_text(cloud, gitops::FILE))).await
        }
    }
}

async fn play_on(case: &OutageCase, stage: &RunHarness, serving: impl Fn(&Cloud) -> Serving) -> Played {
    install_outage(&stage.cloud, &case.outage());
    let (from, began) = (stage.cloud.calls().len(), stage.cloud.now());
    let report = stage.run().await;
    let took = stage.cloud.now() - began;
    tokio::time::sleep(std::time::Duration::from_secs(2700)).await;
    let mut text = stage.lines.borrow().join("\n");
    text.push_str(&roadstead::report::summary::summary(&report));
    let calls = stage.cloud.calls().split_off(from);
    Played { report, text, calls, took, serving: serving(&stage.cloud) }
}

/// The version that has all of the traffic.
fn ecs_label(cloud: &Cloud) -> Option<String> {
    let all = cloud.read(serving::all_serving_states);
    let shares = all.iter().flat_map(|state| &state.traffic).filter(|(_, share)| **share > 0.0);
    let mut labels: Vec<&str> = shares.filter_map(|(arn, _)| arn.rsplit('/').next()).collect();
    labels.sort_unstable();
    labels.dedup();
    match labels[..] {
        [label] => Some(label.to_owned()),
        _ => None,
    }
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}

/// Calls that users can notice.
fn moves_traffic(call: &LoggedCall) -> bool {
    match call.operation.as_str() {
        "UpdateService" => call.input.get("taskDefinition").is_some(),
        "ModifyRule" | "ContinueServiceDeployment" | "StartDeployment" | "createCommitOnBranch" => true,
        _ => false,
    }
}

fn check(case: &OutageCase, played: &Played) -> Result<(), String> {
    let service = &played.report.services[0];
    let outcome = played.report.outcome;
    ensure(played.calls.iter().any(|call| call.operation == case.change.operation), || {
        "the change was never requested".into()
    })?;
    // The timeout, and the time limits of the last requests.
    ensure(played.took <= 3780.0, || format!("it took {:.0} s", played.took))?;
    let moved = played.calls.iter().any(|call| call.took_effect && moves_traffic(call));
    let denial = DENIALS.into_iter().find(|words| played.text.contains(words));
    ensure(!moved || denial.is_none(), || format!("it moved, and is said: {denial:?}"))?;
    ensure(!moved || !matches!(outcome, Outcome::Invalid | Outcome::Unchanged), || {
        format!("moved: {outcome}")
    })?;
    if let Some(version) = &service.serving_version {
        ensure(played.serving.is(version), || format!("{} does not serve", version.label))?;
    }
    let requested = service.version.as_ref().is_some_and(|version| played.serving.is(version));
    ensure(outcome.exit_code() != 0 || requested, || format!("{outcome}, and it does not serve"))?;
    check_end(case, played, outcome)
}

fn check_end(case: &OutageCase, played: &Played, outcome: Outcome) -> Result<(), String> {
    let service = &played.report.services[0];
    if outcome == Outcome::Stranded {
        ensure(case.is_endless(), || "stranded, although the outage ended".into())?;
        ensure(service.serving_version.is_none(), || "stranded, and a version is said to serve".into())?;
        let said = ["not known what became of it", "end was not seen", "could not be requested"];
        return ensure(said.iter().any(|words| played.text.contains(words)), || {
            "stranded, and not said why".into()
        });
    }
    ensure(outcome != Outcome::Invalid || case.is_endless() || !case.change.ends_well, || "invalid".into())?;
    let well = matches!(outcome, Outcome::Deployed | Outcome::RolledBack);
    ensure(well || case.is_endless() || !case.change.ends_well, || format!("a short outage ended {outcome}"))
}

fn all_cases() -> Vec<OutageCase> {
    let only = std::env::var("CHANGE").ok();
    let mut all = Vec::new();
    for change in CHANGES {
        let name = format!("{:?} {}", change.place, change.operation);
        if only.as_ref().is_some_and(|only| !name.contains(only)) {
            continue;
        }
        for answers in ANSWERS {
            for length in LENGTHS {
                let case = |effect| OutageCase { change: *change, effect, answers, length };
                all.extend([case(true), case(false)]);
            }
        }
    }
    all
}

#[test]
fn nothing_untrue_is_said_of_a_change_whose_answer_was_lost() {
    // A prime, so that every kind of look and every length has its turn.
    let every = super::env_number("EVERY", 13) as usize;
    let cases: Vec<OutageCase> = all_cases().into_iter().step_by(every).collect();
    super::assert_each(&cases, |case| {
        let played = run_in_virtual_time(play(case));
        let log =
            || if std::env::var("CHANGE").is_ok() { format!("\n{}", played.text) } else { String::new() };
        check(case, &played).err().map(|why| format!("{case}\n  {why}{}", log()))
    });
}

/// The heading, and the problems of the service.
fn told(report: &RunReport) -> String {
    let summary = roadstead::report::summary::summary(report);
    let heading = summary.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned();
    let problems = report
        .all_problems()
        .into_iter()
        .map(|problem| format!("{}: {} {}", problem.code.name(), problem.sentence, problem.help));
    std::iter::once(heading).chain(problems).collect::<Vec<_>>().join("\n")
}

#[test]
fn change_that_is_never_found_ends_stranded_and_says_so() {
    let case = OutageCase { change: CHANGES[0], effect: true, answers: "html", length: "" };
    let played = run_in_virtual_time(play(&case));
    insta::assert_snapshot!(told(&played.report), @"
    ## 🚨 production: `backend` needs manual action: its rollout was requested, and it is not known what became of it — the serving version is unknown
    change-outcome-unknown: The rollout of backend:2 was requested, and until the timeout nothing showed what became of it. Look at the service now. Then run the job again: it reads first, and takes up a rollout that is there.
    rollback-failed: The rollback of `backend` to backend:1 could not be requested. Look at the service now. Then run the job again with the operation `rollback`.
    ");
    assert!(played.report.services[0].serving_version.is_none());
}

#[test]
fn change_that_did_not_happen_is_requested_again() {
    let case = OutageCase { change: CHANGES[0], effect: false, answers: "access-denied", length: "for: 120" };
    let played = run_in_virtual_time(play(&case));
    assert_eq!(played.report.outcome, Outcome::Deployed, "{}", played.text);
    assert!(played.text.contains("requesting it again"), "{}", played.text);
}
