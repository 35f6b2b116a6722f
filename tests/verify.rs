//! Checks of addresses, whole: after a deploy, after a rollback, and as an operation of their own.

use roadstead::action::inputs::RawInputs;
use roadstead::cli::rehearse::Story;
use roadstead::rehearsal::scenario::Scenario;
use roadstead::release::Outcome;

use crate::support::runner::{self, Runner, Step};
use crate::support::{CONFIG, Ran, Trial, virtually};

const CHECK: &str = "    verify: [{ http: \"https://${environment}.acme.dev/health\" }]\n";

/// A deploy in a scenario with these faults, with this line of checks.
fn deployed(faults: &str, check: &str) -> Ran {
    let mut trial = Trial::told(&format!("faults: {faults}"));
    trial.config = format!("{CONFIG}{check}");
    trial.run()
}

fn end(ran: &Ran) -> (Outcome, Vec<&'static str>, String) {
    let serves = ran.cloud.serving("acme", "backend").unwrap();
    (ran.report.outcome, ran.codes(), serves.whole().unwrap_or("").rsplit('/').next().unwrap().to_owned())
}

fn cause(ran: &Ran) -> String {
    let failure = ran.report.services[0].failure.as_ref().unwrap_or_else(|| panic!("{:#?}", ran.lines));
    failure.problem.cause.clone().unwrap_or_default()
}

#[test]
fn a_version_whose_addresses_answer_well_is_deployed_and_the_proof_says_so() {
    let ran = deployed("[]", CHECK);
    assert_eq!(end(&ran), (Outcome::Deployed, vec![], "backend:2".into()), "{:#?}", ran.lines);
    insta::assert_snapshot!(ran.report.services[0].evidence, @"service deployment SUCCESSFUL, 2 of 2 targets healthy; 1 check holds");
    let told = ran.lines.join("\n");
    assert!(told.contains("route 100 % → verify → check its addresses"), "{told}");
    assert!(
        ran.calls.iter().any(|call| call.service == "web" && call.input["host"] == "production.acme.dev")
    );
}

#[test]
fn a_version_that_answers_badly_is_taken_back_although_its_place_finds_it_healthy() {
    let ran = deployed("[bad-answers: { status: 500 }]", CHECK);
    assert_eq!(end(&ran), (Outcome::Failed, vec!["check-failed"], "backend:1".into()), "{:#?}", ran.lines);
    assert_eq!(cause(&ran), "it answered 500 instead of 200");
    let problem = &ran.report.services[0].failure.as_ref().unwrap().problem;
    insta::assert_snapshot!(problem.sentence, @"The check of `https://production.acme.dev/health` did not hold within 1m.");
}

#[test]
fn every_strategy_ends_with_the_checks_and_comes_back_from_them() {
    for strategy in [
        "rolling",
        "{ blue-green: { bake: 1m } }",
        "{ linear: { step: 50, bake: 1m, final-bake: 1m } }",
        "{ canary: { percent: 10, bake: 1m, final-bake: 1m } }",
    ] {
        for (faults, outcome, serves) in
            [("[]", Outcome::Deployed, "backend:2"), ("[bad-answers: {}]", Outcome::Failed, "backend:1")]
        {
            let told = Scenario::parse(&format!("faults: {faults}")).unwrap();
            let world = Scenario { faults: told.faults, ..Scenario::default_for([("acme", "backend")]) };
            let mut trial = Trial::of(Story::Told(Box::new(world.in_pairs())));
            trial.config = format!("{CONFIG}    strategy: {strategy}\n{CHECK}");
            let ran = trial.run();
            let (ended, _, now) = end(&ran);
            assert_eq!((ended, now.as_str()), (outcome, serves), "{strategy} {faults}: {:#?}", ran.lines);
        }
    }
}

#[test]
fn an_address_that_comes_late_is_waited_for_within_its_time() {
    let late = "[bad-answers: { version: all, status: 503, for: 150 }]";
    let check = "    verify: [{ http: \"https://x.acme.dev/\", within: 3m }]\n";
    let ran = deployed(late, check);
    assert_eq!(end(&ran), (Outcome::Deployed, vec![], "backend:2".into()), "{:#?}", ran.lines);
    assert!(ran.report.took().as_secs() >= 150);
    assert!(
        ran.lines.iter().any(|line| line.contains("does not hold yet: https://x.acme.dev/: it answered 503"))
    );
}

#[test]
fn what_is_amiss_is_said_as_it_came() {
    let table = [
        (
            "{ status: 200, body: \"<h1>Welcome to nginx!</h1>\" }",
            "body: version",
            "its body does not have `version`; it begins with `<h1>Welcome to nginx!</h1>`",
        ),
        ("{ status: 200, body: ok, takes: 0.9 }", "latency: 500ms", "more than 500 ms"),
        ("{ status: 200, takes: 30 }", "latency: 500ms", "no answer in 5 s"),
        (
            "{ status: 301, location: \"https://elsewhere.dev/\" }",
            "redirects: \"https://www.acme.dev/\"",
            "it leads to https://elsewhere.dev/ instead of https://www.acme.dev/",
        ),
        ("{ status: 302, location: /login }", "status: [200, 204]", "it answered 302 instead of 200 or 204"),
        ("{ status: 302, location: / }", "redirects: follow", "it leads on and on, more than 5 times"),
        (
            "{ status: 302, location: \"http://x.acme.dev/\" }",
            "redirects: follow",
            "it leads from https to http",
        ),
    ];
    for (answer, wanted, said) in table {
        let check = format!("    verify: [{{ http: \"https://x.acme.dev/\", {wanted}, within: 10s }}]\n");
        let ran = deployed(&format!("[bad-answers: {answer}]"), &check);
        assert!(cause(&ran).contains(said), "{answer}: {}", cause(&ran));
        assert_eq!(end(&ran).2, "backend:1", "{answer}");
    }
}

#[test]
fn redirects_are_followed_where_that_is_wished() {
    let moved = "[bad-answers: { path: /old, status: 302, location: \"https://x.acme.dev/new\" }]";
    let check = "    verify: [{ http: \"https://x.acme.dev/old\", redirects: follow, body: fine }, { http: \"https://x.acme.dev/new\", body: fine }]\n";
    let ran = deployed(moved, check);
    assert_eq!(end(&ran), (Outcome::Deployed, vec![], "backend:2".into()), "{:#?}", ran.lines);
    assert!(ran.report.services[0].evidence.ends_with("; 2 checks hold"));
}

#[test]
fn a_certificate_that_was_not_looked_at_is_not_claimed() {
    let ran = deployed("[]", "    verify: [{ http: \"https://x.acme.dev/\", certificate-days: 14 }]\n");
    assert_eq!(end(&ran).1, ["check-incomplete"], "{:#?}", ran.lines);
    assert!(ran.report.services[0].evidence.ends_with("; 1 check holds, as far as could be looked"));
}

#[test]
fn a_rollback_is_told_what_its_addresses_answer_and_stays() {
    let mut trial = Trial::told("faults: [bad-answers: { version: old }]");
    trial.config = format!("{CONFIG}{CHECK}");
    let (first, second, serves) = virtually(async {
        let stage = trial.stage();
        let first = stage.run().await;
        let inputs = RawInputs { operation: Some("rollback".into()), ..RawInputs::default() };
        let back = Trial { inputs, ..Trial::of(trial.story.clone()) };
        let back = Trial { config: trial.config.clone(), ..back };
        let second = stage.other(&back).run().await;
        (first, second, stage.cloud.serving("acme", "backend").unwrap().whole().map(str::to_owned))
    });
    assert_eq!((first.outcome, second.outcome), (Outcome::Deployed, Outcome::RolledBack), "{second:#?}");
    assert!(serves.unwrap().ends_with("backend:1"));
    let codes: Vec<_> = second.all_problems().iter().map(|it| (it.code.name(), it.severity)).collect();
    assert_eq!(codes, [("check-failed", roadstead::problem::Severity::Warning)]);
    assert!(second.services[0].evidence.ends_with("; a check does not hold"));
}

#[test]
fn checks_never_take_the_time_of_the_way_back() {
    let mut trial = Trial::told("faults: [bad-answers: { status: 503 }]");
    trial.config = format!("{CONFIG}    verify: [{{ http: \"https://x.acme.dev/\", within: 20m }}]\n");
    trial.inputs.timeout = Some("10m".into());
    let ran = trial.run();
    assert_eq!((ran.report.outcome, ran.codes()), (Outcome::Invalid, vec!["input-invalid"]));
    assert_eq!(ran.changes(), Vec::<&str>::new());
}

#[test]
fn slips_in_checks_are_found_before_any_change() {
    let runner = Runner::named("happy");
    let slips = format!(
        "{}{}",
        runner::CONFIG,
        "    verify:\n      - { http: \"http://x.acme.dev/\", certificate-days: 14 }\n      - { http: \"https://x.acme.dev/\", certificate-days: 14, statuss: 200 }\n",
    );
    let step = virtually(async {
        let (cloud, clock) = runner.cloud();
        let runner = runner.file("workspace/.github/roadstead.yml", &slips);
        runner.main_on(&cloud, clock).await
    });
    insta::assert_snapshot!(step.annotated(), @"
    ::error title=backend%3A config invalid,file=.github/roadstead.yml,line=9,col=57::`certificate-days` is asked of an address without a certificate.%0AGive the check an address that begins with `https://`.
    ::error title=backend%3A config invalid,file=.github/roadstead.yml,line=10,col=62::`statuss` is not a key of service `backend` (in `verify.1`).%0ADid you mean `status`? Known: `http`, `status`, `body`, `latency`, `certificate-days`, `redirects`, `headers`, `within`.
    ");
    assert_eq!((step.code, step.changes()), (2, 0));
}

/// `operation: verify` with these faults and checks.
fn verified(faults: &str, check: &str) -> Step {
    let runner = Runner::told(&format!("faults: {faults}")).with("INPUT_OPERATION", "verify");
    let step = runner.config(&format!("{}{check}", runner::CONFIG)).main();
    assert_eq!(step.changes(), 0);
    assert_eq!(step.state, None, "nothing is left for the post step");
    step
}

#[test]
fn what_serves_is_verified_without_a_change() {
    let step = verified("[]", CHECK);
    insta::assert_snapshot!(step.steady(), @"
    ## ✅ production: `backend` `backend:1` serves and is healthy

    _A rehearsal on the embedded cloud: nothing real was touched._

    | service | from → to | serves now | how it is known | took |
    |---|---|---|---|---|
    | [`backend`](https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1) | `backend:1`<br>`sha256:028817b3422c…` | `backend:1` · `sha256:028817b3422c…` | rollout COMPLETED SUCCESSFUL; 1 check holds | under … s |

    <details><summary>Timeline</summary>

    | UTC |  |
    |---|---|
    | hh:mm:ss | proven: rollout COMPLETED SUCCESSFUL; 1 check holds |

    </details>

    <sub>Roadstead verify · [`0123456`](https://github.com/acme/shop/commit/0123456789abcdef0123456789abcdef01234567) · [run](https://github.com/acme/shop/actions/runs/7/attempts/1) · 2026-03-02 hh:mm UTC · under … s</sub>
    ");
    assert_eq!((step.code, step.output("outcome"), step.output("version")), (0, "verified", "backend:1"));
    let reads = ["AssumeRole", "GetId", "Describe", "List", "Get"];
    let other = step.calls.iter().find(|call| !reads.iter().any(|start| call.operation.starts_with(start)));
    assert!(other.is_none(), "{other:?}");
}

#[test]
fn without_checks_only_health_is_claimed() {
    let step = verified("[]", "");
    assert_eq!(step.code, 0);
    assert!(step.summary.contains("`backend:1` serves and is healthy"), "{}", step.summary);
    assert!(!step.summary.contains("check"), "{}", step.summary);
}

#[test]
fn what_answers_badly_is_not_verified() {
    let step = verified("[bad-answers: { version: all, status: 502, body: Bad Gateway }]", CHECK);
    assert_eq!((step.code, step.output("outcome")), (3, "failed"));
    insta::assert_snapshot!(step.top(), @"
    ## ❌ production: `backend` does not answer as it should — `backend:1` serves

    _A rehearsal on the embedded cloud: nothing real was touched._

    **Cause**: The check of `https://production.acme.dev/health` did not hold within 1m.

    ```text
    it answered 502 instead of 200
    ```

    **What to do**: Look at what answers there, and at the logs of the service.

    | service | from → to | serves now | how it is known | took |
    |---|---|---|---|---|
    | [`backend`](https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1) | `backend:1` | `backend:1` · `sha256:028817b3422c…` | The check of `https://production.acme.dev/health` did not hold within 1m | … s |
    ");
}

#[test]
fn a_service_that_is_not_there_is_not_verified() {
    let runner = Runner::named("happy").with("INPUT_OPERATION", "verify");
    let text = runner::CONFIG.replace("service: backend", "service: gone");
    let (world, gone) = (runner::CONFIG, text);
    let step = virtually(async {
        let (cloud, clock) = runner.cloud();
        let runner = runner.file("workspace/.github/roadstead.yml", &gone);
        runner.main_on(&cloud, clock).await
    });
    assert_ne!(world, gone);
    assert_eq!((step.code, step.output("outcome")), (3, "failed"));
    assert!(
        step.summary.contains("service-missing") || step.summary.contains("**Cause**"),
        "{}",
        step.summary
    );
}

#[test]
fn while_a_rollout_moves_nothing_is_called_healthy() {
    let runner = Runner::named("happy");
    let step = virtually(async {
        let (cloud, clock) = runner.cloud();
        let deploy = runner.main_on(&cloud, clock);
        let look = async {
            tokio::time::sleep(std::time::Duration::from_secs(20)).await;
            let looker = Runner::named("happy").with("INPUT_OPERATION", "verify");
            looker.main_on(&cloud, clock).await
        };
        tokio::join!(deploy, look).1
    });
    assert_eq!((step.code, step.output("outcome")), (3, "failed"), "{}", step.summary);
    assert!(step.summary.contains("A rollout is under way"), "{}", step.summary);
}

#[test]
fn what_nobody_here_can_watch_says_that_its_checks_were_not_made() {
    let mut trial = Trial::named("gitops-happy");
    trial.config = "environments: { production: { branches: [main] } }\nservices:\n  web:\n    argocd: { repository: acme/manifests, files: [{ path: apps/web/kustomization.yaml }] }\n    verify: [{ http: \"https://web.acme.dev/\" }]\n".into();
    trial.inputs.image = Some("ghcr.io/acme/web:v2".into());
    let ran = trial.run();
    assert_eq!(ran.report.outcome, Outcome::Committed, "{:#?} {:#?}", ran.report, ran.lines);
    assert_eq!(ran.codes(), ["check-incomplete"]);
    assert!(!ran.calls.iter().any(|call| call.service == "web"));
}
