//! Who hears of a run: what is sent, to whom, how often, and that no secret and no hostile name gets further than text.

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use roadstead::cli::policy::policy;
use serde_json::Value;
use sha2::Sha256;

use crate::support::runner::{self, Runner, Step};
use crate::support::virtually;

const FAST: &str = "timings: { schedule: 1, provision: 1, pull: 1, start: 1, health: 1, deregistration: 1, stop: 1, deprovision: 1, complete: 1 }\n";
const TOPIC: &str = "arn:aws:sns:eu-west-1:111111111111:releases";
const SLACK: &str = "https://hooks.slack.example/services/T000/B000/s3cretpath";
const HOOK: &str = "https://hooks.acme.example/in/an0therpath";
const KEY: &str = "key-of-the-signature";
const ALL: &str = "notify: { sns: \"arn:aws:sns:eu-west-1:111111111111:releases\", slack-webhook: SLACK_WEBHOOK, webhook: { url: HOOK, secret: HOOK_KEY } }\n";

fn runner(scenario: &str, notify: &str) -> Runner {
    let told = if scenario.contains(':') { Runner::told(scenario) } else { Runner::named(scenario) };
    told.config(&format!("{}{notify}", runner::CONFIG))
        .with("SLACK_WEBHOOK", SLACK)
        .with("HOOK", HOOK)
        .with("HOOK_KEY", KEY)
}

/// What was posted to a host.
fn posted<'s>(step: &'s Step, host: &str) -> Vec<&'s Value> {
    let posts = step.calls.iter().filter(|call| call.service == "web" && call.operation == "Post");
    posts.map(|call| &call.input).filter(|input| input["host"] == host).collect()
}

fn published(step: &Step) -> Vec<&Value> {
    step.calls.iter().filter(|call| call.operation == "Publish").map(|call| &call.input).collect()
}

/// How many messages went to SNS, Slack and the webhook.
fn told(step: &Step) -> [usize; 3] {
    [
        published(step).len(),
        posted(step, "hooks.slack.example").len(),
        posted(step, "hooks.acme.example").len(),
    ]
}

fn body(input: &Value) -> Value {
    serde_json::from_str(input["body"].as_str().unwrap()).unwrap()
}

/// JSON without what differs from run to run.
fn steady(mut value: Value) -> String {
    if let Some(sent) = value.get_mut("sent") {
        assert!(sent.as_str().unwrap().starts_with("2026-03-02T09:"), "{sent}");
        *sent = "…".into();
    }
    serde_json::to_string_pretty(&value).unwrap()
}

/// The attributes of a message, which come in any order.
fn attributes(sns: &Value) -> String {
    let one =
        |name: &str| format!("{name}={}", sns["MessageAttributes"][name]["StringValue"].as_str().unwrap());
    assert_eq!(sns["MessageAttributes"].as_object().unwrap().len(), 2);
    ["environment", "outcome"].map(one).join(" ")
}

#[test]
fn a_failed_deployment_is_told_to_everybody_once() {
    let step = runner("crash-on-start", ALL).main();
    assert_eq!((step.code, told(&step)), (3, [1, 1, 1]), "{:#?}", step.lines);
    insta::assert_snapshot!(steady(body(posted(&step, "hooks.acme.example")[0])), @r#"
    {
      "version": 1,
      "sent": "…",
      "step": "main",
      "outcome": "failed",
      "operation": "deploy",
      "environment": "production",
      "sentence": "❌ production: backend failed and was rolled back — backend:1 serves, as before",
      "repository": "acme/shop",
      "commit": "0123456789abcdef0123456789abcdef01234567",
      "run": "https://github.com/acme/shop/actions/runs/7/attempts/1",
      "rehearsal": true,
      "services": [
        {
          "name": "backend",
          "outcome": "failed",
          "serves": "backend:1",
          "serves-digest": "sha256:028817b3422c85b0ef01767ec229a0dde39ce7e73e0d052bfd7a9eb3b59a92b8",
          "wanted": "backend:2",
          "wanted-digest": "sha256:d7293da258f4ae907f370bbb54b13006e3d3ca6cd16401cd3a503abb60e3f342",
          "previous": "backend:1",
          "commit": "0123456789abcdef0123456789abcdef01234567",
          "evidence": "rolled back, confirmed: backend:1 serves",
          "cause": {
            "code": "container-exited",
            "service": null,
            "sentence": "The container `app` exits with code 1.",
            "cause": "Essential container in task exited"
          },
          "url": "https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1"
        }
      ],
      "services-left-out": 0,
      "problems": [
        {
          "code": "container-exited",
          "service": null,
          "sentence": "The container `app` exits with code 1.",
          "cause": "Essential container in task exited"
        }
      ]
    }
    "#);
    let slack = body(posted(&step, "hooks.slack.example")[0]);
    insta::assert_snapshot!(slack["text"].as_str().unwrap(), @"❌ production: backend failed and was rolled back — backend:1 serves, as before");
    insta::assert_snapshot!(serde_json::to_string_pretty(&slack["blocks"][1]).unwrap(), @r#"
    {
      "type": "section",
      "text": {
        "type": "plain_text",
        "text": "Cause: The container `app` exits with code 1. (Essential container in task exited)",
        "emoji": false
      }
    }
    "#);
    let sns = published(&step)[0];
    insta::assert_snapshot!(format!("{}\n{}\n{}", sns["Subject"].as_str().unwrap(), attributes(sns), sns["Message"].as_str().unwrap()), @r#"
    Roadstead failed production: backend
    environment=production outcome=failed
    ❌ production: backend failed and was rolled back — backend:1 serves, as before

    A rehearsal on the embedded cloud: nothing real was touched.
    backend: failed — backend:1 serves (backend:2 was wanted)
    Cause: The container `app` exits with code 1. (Essential container in task exited)
    Commit: 0123456789abcdef0123456789abcdef01234567
    Run: https://github.com/acme/shop/actions/runs/7/attempts/1
    "#);
    assert_eq!((sns["TopicArn"].as_str(), sns.get("MessageGroupId")), (Some(TOPIC), None));
    assert!(step.lines.iter().any(|line| line == "told 3 of 3"), "{:#?}", step.lines);
}

#[test]
fn the_signature_is_that_of_the_body_with_the_secret() {
    let step = runner("crash-on-start", ALL).main();
    let input = posted(&step, "hooks.acme.example")[0];
    let code = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
    let code = code.chain_update(input["body"].as_str().unwrap()).finalize().into_bytes();
    assert_eq!(input["headers"]["x-roadstead-signature-256"], format!("sha256={}", hex::encode(code)));
    assert_eq!(input["headers"]["content-type"], "application/json");
    let slack = posted(&step, "hooks.slack.example")[0];
    assert_eq!(slack["headers"].get("x-roadstead-signature-256"), None);
}

#[test]
fn good_news_are_told_only_where_that_is_wished_and_plans_never() {
    let with = |operation: &str, success: &str| {
        let notify = ALL.replace(" }\n", &format!("{success} }}\n"));
        told(&runner("happy", &notify).with("INPUT_OPERATION", operation).main())
    };
    assert_eq!(with("deploy", ""), [0, 0, 0]);
    assert_eq!(with("deploy", ", success: false"), [0, 0, 0]);
    assert_eq!(with("deploy", ", success: true"), [1, 1, 1]);
    assert_eq!(with("plan", ", success: true"), [0, 0, 0]);
    assert_eq!(with("verify", ", success: true"), [0, 0, 0]);
}

#[test]
fn what_is_not_verified_is_told() {
    let check = "    verify: [{ http: \"https://x.acme.dev/\", within: 4s }]\n";
    let runner = runner("faults: [bad-answers: { version: all }]", &format!("{check}{ALL}"));
    let step = runner.with("INPUT_OPERATION", "verify").main();
    assert_eq!((step.code, told(&step)), (3, [1, 1, 1]), "{:#?}", step.lines);
    assert_eq!(body(posted(&step, "hooks.acme.example")[0])["operation"], "verify");
}

#[test]
fn a_cancelled_run_is_told_by_the_post_step_with_what_serves() {
    let mut runner = runner(&format!("{FAST}faults: [slow-start: {{ seconds: 300 }}]"), ALL);
    runner.cancel_after = Some(Duration::from_secs(60));
    let (main, post) = runner.main_and_post();
    assert_eq!((main.code, told(&main)), (130, [0, 0, 0]), "{:#?}", main.lines);
    assert_eq!(told(&post), [1, 1, 1], "{:#?}", post.lines);
    let said = body(posted(&post, "hooks.acme.example")[0]);
    assert_eq!(
        (&said["step"], &said["services"][0]["serves"]),
        (&"post".into(), &"backend:1".into()),
        "{said:#}"
    );
}

#[test]
fn nobody_is_told_of_a_cancel_before_any_change() {
    let mut runner = runner("happy", ALL);
    runner.cancel_after = Some(Duration::from_millis(10));
    let (main, post) = runner.main_and_post();
    assert_eq!((main.code, told(&main), told(&post)), (130, [0, 0, 0], [0, 0, 0]), "{:#?}", main.lines);
}

#[test]
fn a_busy_webhook_is_tried_again_and_a_deaf_one_is_a_warning_that_changes_nothing() {
    let table = [
        ("bad-answers: { host: hooks.acme.example, status: 503, times: 1 }", 2, 0),
        ("bad-answers: { host: hooks.acme.example, status: 500 }", 2, 1),
        ("bad-answers: { host: hooks.acme.example, status: 404 }", 1, 1),
        ("bad-answers: { host: hooks.acme.example, status: 302, location: \"https://evil.example/\" }", 1, 1),
        ("bad-answers: { host: hooks.acme.example, status: 200, takes: 30 }", 2, 1),
    ];
    for (fault, tries, warnings) in table {
        let step = runner(&format!("faults: [crash-on-start: {{}}, {fault}]"), ALL).main();
        assert_eq!((step.code, told(&step)), (3, [1, 1, tries]), "{fault}: {:#?}", step.lines);
        assert_eq!(
            step.summary.matches("`notification-failed`").count(),
            warnings,
            "{fault}: {}",
            step.summary
        );
        assert_eq!(step.output("outcome"), "failed");
        assert!(posted(&step, "evil.example").is_empty());
    }
}

#[test]
fn silence_is_waited_for_no_longer_than_it_may_take() {
    let calm = runner("crash-on-start", "").main();
    let silent = runner("faults: [crash-on-start: {}, no-answer: { operation: Post, times: 9 }]", ALL).main();
    assert_eq!(silent.code, 3);
    let longer = silent.took.saturating_sub(calm.took);
    assert!(longer < Duration::from_secs(60), "{longer:?}");
    assert_eq!(silent.summary.matches("`notification-failed`").count(), 2, "{}", silent.summary);
    assert!(silent.summary.contains("no answer in 5 s"), "{}", silent.summary);
}

#[test]
fn a_role_that_may_not_publish_is_a_warning() {
    let step = runner("faults: [crash-on-start: {}, deny: { action: \"sns:Publish\" }]", ALL).main();
    assert_eq!((step.code, told(&step)), (3, [1, 1, 1]));
    assert!(step.summary.contains("AuthorizationError"), "{}", step.summary);
    assert!(step.summary.contains("The role needs sns:Publish"), "{}", step.summary);
}

#[test]
fn a_topic_that_keeps_an_order_takes_the_same_news_once() {
    let step = runner("crash-on-start", &ALL.replace(":releases", ":releases.fifo")).main();
    let sns = published(&step)[0];
    assert_eq!(sns["MessageGroupId"], "roadstead");
    assert_eq!(sns["MessageDeduplicationId"].as_str().unwrap().len(), 64);
    assert!(!step.summary.contains("notification-failed"), "{}", step.summary);
}

#[test]
fn an_environment_may_have_its_own() {
    let text = format!("{}{ALL}", runner::CONFIG);
    let own = text.replace(
        "production: { branches: [main],",
        "production: { branches: [main], notify: { slack-webhook: OTHER },",
    );
    assert_ne!(own, text);
    let runner =
        runner("crash-on-start", "").config(&own).with("OTHER", "https://other.example/services/hook");
    let step = runner.main();
    assert_eq!((told(&step), posted(&step, "other.example").len()), ([1, 0, 1], 1), "{:#?}", step.lines);
}

#[test]
fn a_variable_that_is_missing_is_found_before_any_change() {
    let step =
        runner("happy", ALL).with("HOOK_KEY", "").with("SLACK_WEBHOOK", "hooks.slack.example/S3CRET").main();
    assert_eq!((step.code, step.changes()), (2, 0));
    insta::assert_snapshot!(step.annotated(), @"
    ::error title=input invalid::`notify.slack-webhook` names the variable `SLACK_WEBHOOK`, and what it holds is not an address that begins with `https://`.%0AGive it to the step: `env: { SLACK_WEBHOOK: ${{ secrets.SLACK_WEBHOOK }} }`.
    ::error title=input invalid::`notify.webhook.secret` names the variable `HOOK_KEY`, which is not set.%0AGive it to the step: `env: { HOOK_KEY: ${{ secrets.HOOK_KEY }} }`.
    ");
    let plan = runner("happy", ALL).with("HOOK_KEY", "").with("INPUT_OPERATION", "plan").main();
    assert_eq!(plan.code, 0, "a plan tells nobody: {:#?}", plan.lines);
}

#[test]
fn an_address_in_the_file_is_a_warning_on_its_line_and_hidden_all_the_same() {
    let notify = "notify: { slack-webhook: \"https://hooks.slack.com/services/T000/B000/s3cretpath\" }\n";
    let step = runner("crash-on-start", notify).main();
    assert_eq!((step.code, posted(&step, "hooks.slack.com").len()), (3, 1));
    let warned =
        step.annotations().iter().any(|line| line.starts_with("::warning") && line.contains("line=8"));
    assert!(warned, "{:#?}", step.annotations());
    assert_eq!(leaks(&step, &["s3cretpath"]), Vec::<String>::new());
}

/// Where one of these texts can be read, but in the commands that hide it.
fn leaks(step: &Step, secrets: &[&str]) -> Vec<String> {
    let sinks = step.lines.iter().filter(|line| !line.starts_with("::add-mask::")).map(String::as_str);
    let outputs = step.outputs.iter().map(|(_, value)| value.as_str());
    let bodies = step.calls.iter().filter_map(|call| call.input["body"].as_str());
    let mails = published(step).into_iter().filter_map(|it| it["Message"].as_str());
    let all = sinks.chain(outputs).chain([step.summary.as_str()]).chain(bodies).chain(mails);
    all.filter(|text| secrets.iter().any(|secret| text.contains(secret))).map(str::to_owned).collect()
}

#[test]
fn no_address_and_no_secret_is_in_any_sink() {
    for faults in [
        "crash-on-start: {}",
        "crash-on-start: { log: [\"key-of-the-signature\", \"s3cretpath\"] }, bad-answers: { host: hooks.acme.example }, no-answer: { operation: Post, times: 1 }",
    ] {
        let step = runner(&format!("faults: [{faults}]"), ALL).main();
        assert_eq!(leaks(&step, &[SLACK, HOOK, KEY, "an0therpath", "T000/B000"]), Vec::<String>::new());
    }
}

#[test]
fn several_steps_of_one_run_are_told_apart() {
    let ids = |runner: Runner| {
        virtually(async {
            let (cloud, clock) = runner.cloud();
            let step = runner.main_on(&cloud, clock).await;
            published(&step).iter().map(|it| it["MessageDeduplicationId"].to_string()).collect::<Vec<_>>()
        })
    };
    let fifo = ALL.replace(":releases", ":releases.fifo");
    let first = ids(runner("crash-on-start", &fifo));
    assert_eq!(first, ids(runner("crash-on-start", &fifo)));
    assert_ne!(first, ids(runner("crash-on-start", &fifo).with("GITHUB_RUN_ATTEMPT", "2")));
}

#[test]
fn the_policy_has_the_topic_where_one_is_named() {
    let of = |notify: &str| {
        let text = format!("{}{notify}", runner::CONFIG);
        policy(std::path::Path::new("/nonexistent"), "roadstead.yml", &text, "production").unwrap()
    };
    let with = of(ALL);
    assert!(with.contains("sns:Publish") && with.contains(TOPIC), "{with}");
    assert!(!of("").contains("sns:"));
}
