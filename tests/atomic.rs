//! Services that belong together (`atomic: true`): when one fails, the others are taken back, and each is reported for what
//! it is. Without it they go on by themselves.

use std::time::Duration;

use roadstead::rehearsal::call::Refusal;
use roadstead::rehearsal::record::{Interrupt, Moment, Phase};
use roadstead::release::Outcome;
use roadstead::report::RunReport;

use crate::support::runner::{ROLE, Runner};
use crate::support::{Ran, Trial, virtually};

fn config(atomic: bool) -> String {
    let service = |name: &str| {
        format!(
            "  {name}:\n    repository: acme/{name}\n    ecs: {{ cluster: acme, service: {name}, container: app }}\n"
        )
    };
    let services = ["backend", "web", "worker"].map(service).join("");
    format!(
        "environments:\n  production: {{ branches: [main], aws: {{ region: eu-west-1, role: \"{ROLE}\" }} }}\natomic: {atomic}\nservices:\n{services}"
    )
}

/// The worker crashes two minutes after the others are proven.
const LATE_CRASH: &str = "faults: [crash-on-start: { service: worker, exit-code: 1 }, slow-start: { service: worker, seconds: 200 }]";
const CRASH: &str = "faults: [crash-on-start: { service: worker, exit-code: 1 }]";

fn trial(scenario: &str, atomic: bool) -> Trial {
    Trial { config: config(atomic), ..Trial::told(scenario) }
}

/// How each service ended, and how that is known.
fn ends(report: &RunReport) -> String {
    let line = |service: &roadstead::report::ServiceReport| {
        let serves = service.serves.as_ref().map_or("-", |version| &version.label);
        format!("{}: {}, {serves}; {}", service.name, service.outcome, service.evidence)
    };
    report.services.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What really serves of each service.
fn serving(ran: &Ran) -> Vec<String> {
    let of = |name: &str| {
        let whole = ran.cloud.serving("acme", name).unwrap().whole().unwrap().to_owned();
        whole.rsplit('/').next().unwrap().to_owned()
    };
    ["backend", "web", "worker"].map(of).to_vec()
}

const OLD: [&str; 3] = ["backend:1", "web:1", "worker:1"];

#[test]
fn without_it_the_others_go_on_by_themselves() {
    let ran = trial(LATE_CRASH, false).run();
    assert_eq!(ran.report.outcome, Outcome::Failed);
    insta::assert_snapshot!(ends(&ran.report), @"
    backend: deployed, backend:2; service deployment SUCCESSFUL, 2 of 2 targets healthy
    web: deployed, web:2; service deployment SUCCESSFUL, 2 of 2 targets healthy
    worker: failed, worker:1; rolled back, confirmed: worker:1 serves
    ");
    assert_eq!(serving(&ran), ["backend:2", "web:2", "worker:1"]);
}

#[test]
fn what_was_proven_already_is_taken_back_too() {
    let ran = trial(LATE_CRASH, true).run();
    assert_eq!(ran.report.outcome, Outcome::Failed);
    insta::assert_snapshot!(ends(&ran.report), @"
    backend: failed, backend:1; Taken back because `worker` failed. backend:1 serves, confirmed
    web: failed, web:1; Taken back because `worker` failed. web:1 serves, confirmed
    worker: failed, worker:1; rolled back, confirmed: worker:1 serves
    ");
    assert_eq!(serving(&ran), OLD);
    let told = roadstead::report::terminal::terminal(&ran.report);
    insta::assert_snapshot!(told.lines().next().unwrap(), @"❌ production: backend was taken back with the others (backend:1 serves, as before), web was taken back with the others (web:1 serves, as before) and worker failed and was rolled back (worker:1 serves, as before)");
    let moments = ran.report.services[0].timeline.iter().map(|moment| moment.text.clone());
    let moments: Vec<String> =
        moments.filter(|text| !text.starts_with('(') && !text.contains("sha256:")).collect();
    let steady = |text: &String| text.split("(ecs-svc/").next().unwrap().to_owned();
    insta::assert_snapshot!(moments.iter().map(steady).collect::<Vec<_>>().join("\n"), @"
    version backend:2 is ready
    rollout of backend:2 started 
    proven: service deployment SUCCESSFUL, 2 of 2 targets healthy
    stands when all services of this run do (`atomic`)
    `worker` failed, and they belong together
    rolling back to backend:1
    Taken back because `worker` failed. backend:1 serves, confirmed
    ");
}

#[test]
fn what_is_under_way_is_taken_back() {
    let ran = trial(&format!("timings: {{ deregistration: 300 }}\n{CRASH}"), true).run();
    insta::assert_snapshot!(ends(&ran.report), @"
    backend: failed, backend:1; Taken back because `worker` failed. backend:1 serves, confirmed
    web: failed, web:1; Taken back because `worker` failed. web:1 serves, confirmed
    worker: failed, worker:1; rolled back, confirmed: worker:1 serves
    ");
    assert_eq!(serving(&ran), OLD);
}

#[test]
fn when_all_go_well_all_stand() {
    let ran = trial("start: 2026-03-02T09:00:00Z", true).run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert_eq!(serving(&ran), ["backend:2", "web:2", "worker:2"]);
}

/// A request to move the worker is refused, while those for the others are taken.
#[test]
fn one_that_cannot_start_takes_back_those_that_did() {
    let ran = virtually(async {
        let stage = trial("start: 2026-03-02T09:00:00Z", true).stage();
        stage.cloud.on_call(Box::new(|moment: &Moment<'_>| {
            let moves = moment.call.operation == "UpdateService" && moment.call.input["service"] == "worker";
            match moves && moment.phase == Phase::Before {
                true => Interrupt::Refuse(Refusal::new("InvalidParameterException", "no")),
                false => Interrupt::Pass,
            }
        }));
        let report = stage.run().await;
        stage.left(report)
    });
    insta::assert_snapshot!(ends(&ran.report), @"
    backend: failed, backend:1; Taken back because `worker` failed. backend:1 serves, confirmed
    web: failed, web:1; Taken back because `worker` failed. web:1 serves, confirmed
    worker: failed, worker:1; nothing was moved
    ");
    assert_eq!(serving(&ran), OLD);
}

#[test]
fn nothing_is_begun_when_a_command_before_fails() {
    let config = format!("{}    before: {{ run: [./migrate] }}\n", config(true));
    let ran = Trial { config, ..trial("one-off: [{ exit: 1 }]", true) }.run();
    assert_eq!(ran.report.outcome, Outcome::Failed);
    assert!(!ran.changes().contains(&"UpdateService"));
    insta::assert_snapshot!(ends(&ran.report), @"
    backend: skipped, backend:1; not begun because `worker` failed: backend:1 serves
    web: skipped, web:1; not begun because `worker` failed: web:1 serves
    worker: failed, worker:1; nothing was moved: worker:1 serves
    ");
}

#[test]
fn the_others_come_back_also_when_the_first_cannot() {
    let faults = "faults: [crash-on-start: { service: worker }, rollback-fails: { service: worker }]";
    let ran = trial(faults, true).run();
    assert_eq!(ran.report.outcome, Outcome::Stranded);
    insta::assert_snapshot!(ends(&ran.report), @"
    backend: failed, backend:1; Taken back because `worker` failed. backend:1 serves, confirmed
    web: failed, web:1; Taken back because `worker` failed. web:1 serves, confirmed
    worker: stranded, -; The rollback of `worker` to worker:1 did not succeed.
    ");
}

/// Whoever deploys the worker now decides about the others, too.
#[test]
fn a_newer_deployment_of_one_takes_nothing_back() {
    let ran = trial("faults: [superseding-deployment: { at: 40, service: worker }]", true).run();
    assert_eq!(ran.report.outcome, Outcome::Superseded, "{:#?}", ran.lines);
    let ends = ends(&ran.report);
    let (head, tail) = ends.split_once("acme/worker/").unwrap();
    let steady = format!("{head}acme/worker/…{}", &tail[tail.find(')').unwrap()..]);
    insta::assert_snapshot!(steady, @"
    backend: deployed, backend:2; service deployment SUCCESSFUL, 2 of 2 targets healthy
    web: deployed, web:2; service deployment SUCCESSFUL, 2 of 2 targets healthy
    worker: superseded, -; A newer deployment took over (arn:aws:ecs:eu-west-1:111111111111:service-deployment/acme/worker/…); it is left alone.
    ");
}

/// Two services in ECS and one in Git, whose commit is taken back by a commit.
#[test]
fn a_service_in_git_goes_back_by_a_commit() {
    let site = crate::gitops::WATCHED.split("services:\n").nth(1).unwrap();
    let config = config(true).replace("services:\n", &format!("services:\n{site}"));
    let ran = Trial { config, ..trial(LATE_CRASH, true) }.run();
    assert_eq!(ran.report.outcome, Outcome::Failed, "{:#?}", ran.lines);
    let mut commits = crate::gitops::commits(&ran.cloud);
    commits.iter_mut().for_each(|message| *message = message.lines().next().unwrap_or_default().to_owned());
    insta::assert_snapshot!(commits.join("\n"), @"
    Take back analytics to v1 in production
    Release analytics at sha-c0ffee1 in production
    ");
    insta::assert_snapshot!(ends(&ran.report).lines().next().unwrap(), @"analytics: failed, analytics:v1; Taken back because `worker` failed. analytics:v1 serves, confirmed");
    assert_eq!(serving(&ran), OLD);
}

fn runner() -> Runner {
    let fast = "timings: { schedule: 1, provision: 1, pull: 1, start: 1, health: 1, deregistration: 1, stop: 1, deprovision: 1, complete: 1 }";
    let slow = "faults: [slow-start: { service: worker, seconds: 200 }]";
    Runner::told(&format!("{fast}\n{slow}")).config(&config(true))
}

fn outcomes(step: &crate::support::runner::Step) -> String {
    let services: serde_json::Value = serde_json::from_str(step.output("services")).unwrap();
    let of = |(name, value): (&String, &serde_json::Value)| {
        format!("{name}: {} {}", value["outcome"].as_str().unwrap(), value["version"].as_str().unwrap_or("-"))
    };
    services.as_object().unwrap().iter().map(of).collect::<Vec<_>>().join("\n")
}

/// Two are proven and one is under way when the job is cancelled: none of them stands.
#[test]
fn a_cancel_takes_all_of_them_back() {
    let mut runner = runner();
    runner.cancel_after = Some(Duration::from_secs(160));
    let (main, post) = runner.main_and_post();
    assert_eq!(main.code, 130, "{:#?}", main.lines);
    assert!(main.took < Duration::from_secs(167), "{:?}", main.took);
    insta::assert_snapshot!(outcomes(&main), @"
    backend: cancelled -
    web: cancelled -
    worker: cancelled -
    ");
    assert_eq!(post.code, 0, "{:#?}", post.lines);
    insta::assert_snapshot!(post.summary.lines().next().unwrap(), @"## ✅ production: all 3 services serve what was asked for — 3 rolled-back");
}

#[test]
fn the_post_step_takes_all_of_them_back_after_a_lost_runner() {
    let runner = runner();
    virtually(async {
        let (cloud, clock) = runner.cloud();
        let lost = tokio::time::timeout(Duration::from_secs(160), runner.main_on(&cloud, clock)).await;
        assert!(lost.is_err(), "it was under way");
        runner.post_on(&cloud, clock).await;
        tokio::time::sleep(Duration::from_secs(300)).await;
        for name in ["backend", "web", "worker"] {
            let serving = cloud.serving("acme", name).unwrap();
            assert!(serving.whole().unwrap().ends_with(&format!("{name}:1")), "{name}: {serving:?}");
        }
    });
}

#[test]
fn a_word_that_is_neither_yes_nor_no_is_refused_on_its_line() {
    let config = config(true).replace("atomic: true", "atomic: maybe");
    let ran = virtually(async {
        let stage = trial("start: 2026-03-02T09:00:00Z", true).stage();
        let mut other = stage.other(&trial("start: 2026-03-02T09:00:00Z", true));
        other.rehearsal.config = ("roadstead.yml".into(), config);
        other.run().await
    });
    assert_eq!(ran.outcome, Outcome::Invalid);
    insta::assert_snapshot!(ran.problems[0], @"`atomic` of the deploy file is not `true` or `false`.");
    assert_eq!(ran.problems[0].at.as_ref().map(|at| at.line), Some(3));
}
