//! Notifications of a run: content, receivers, number; secrets are never sent, and hostile names are sent as text.

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use roadstead::cli::policy::policy_json;
use serde_json::Value;
use sha2::Sha256;

use crate::support::run_in_virtual_time;
use crate::support::runner::{self, Runner, StepResult};

const FAST: &str = "timings: { schedule: 1, provision: 1, pull: 1, start: 1, health: 1, deregistration: 1, stop: 1, deprovision: 1, complete: 1 }\n";
const TOPIC: &str = "arn:aws:sns:eu-west-1:111111111111:releases";
const SLACK: &str = "https://hooks.slack.example/services/T000/B000/s3cretpath";
const HOOK: &str = "https://hooks.acme.example/in/an0therpath";
const KEY: &str = "key-of-the-signature";
const ALL: &str = "notify: { sns: \"arn:aws:sns:eu-west-1:111111111111:releases\", slack-webhook: SLACK_WEBHOOK, webhook: { url: HOOK, secret: HOOK_KEY } }\n";

fn action_runner(scenario: &str, notify: &str) -> Runner {
    let runner = if scenario.contains(':') { Runner::custom(scenario) } else { Runner::builtin(scenario) };
    runner
        .with_config(&format!("{}{notify}", runner::CONFIG))
        .with_variable("SLACK_WEBHOOK", SLACK)
        .with_variable("HOOK", HOOK)
        .with_variable("HOOK_KEY", KEY)
}

/// The requests to a host.
fn webhook_posts<'s>(step: &'s StepResult, host: &str) -> Vec<&'s Value> {
    let posts = step.calls.iter().filter(|call| call.service == "web" && call.operation == "Post");
    posts.map(|call| &call.input).filter(|input| input["host"] == host).collect()
}

fn sns_messages(step: &StepResult) -> Vec<&Value> {
    step.calls.iter().filter(|call| call.operation == "Publish").map(|call| &call.input).collect()
}

/// The numbers of messages to SNS, Slack and the webhook.
fn message_counts(step: &StepResult) -> [usize; 3] {
    [
        sns_messages(step).len(),
        webhook_posts(step, "hooks.slack.example").len(),
        webhook_posts(step, "hooks.acme.example").len(),
    ]
}

fn parse_body(input: &Value) -> Value {
    serde_json::from_str(input["body"].as_str().unwrap()).unwrap()
}

/// JSON without the parts that differ from run to run.
fn stable_json(mut value: Value) -> String {
    if let Some(sent) = value.get_mut("sent") {
        assert!(sent.as_str().unwrap().starts_with("2026-03-02T09:"), "{sent}");
        *sent = "…".into();
    }
    serde_json::to_string_pretty(&value).unwrap()
}

/// The attributes of a message, which come in any order.
fn sns_attributes(sns: &Value) -> String {
    let one =
        |name: &str| format!("{name}={}", sns["MessageAttributes"][name]["StringValue"].as_str().unwrap());
    assert_eq!(sns["MessageAttributes"].as_object().unwrap().len(), 2);
    ["environment", "outcome"].map(one).join(" ")
}

#[test]
fn failed_deployment_notifies_every_channel_once() {
    let step = action_runner("crash-on-start", ALL).run_main();
    assert_eq!((step.exit_code, message_counts(&step)), (3, [1, 1, 1]), "{:#?}", step.lines);
    insta::assert_snapshot!(stable_json(parse_body(webhook_posts(&step, "hooks.acme.example")[0])), @r#"
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
    let slack = parse_body(webhook_posts(&step, "hooks.slack.example")[0]);
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
    let sns = sns_messages(&step)[0];
    insta::assert_snapshot!(format!("{}\n{}\n{}", sns["Subject"].as_str().unwrap(), sns_attributes(sns), sns["Message"].as_str().unwrap()), @r#"
    Roadstead failed production: backend
    environment=production outcome=failed
    ❌ production: backend failed and was rolled back — backend:1 serves, as before

    Rehearsal on the emulator: no real resource was changed.
    backend: failed — backend:1 serves (requested: backend:2)
    Cause: The container `app` exits with code 1. (Essential container in task exited)
    Commit: 0123456789abcdef0123456789abcdef01234567
    Run: https://github.com/acme/shop/actions/runs/7/attempts/1
    "#);
    assert_eq!((sns["TopicArn"].as_str(), sns.get("MessageGroupId")), (Some(TOPIC), None));
    assert!(step.lines.iter().any(|line| line == "told 3 of 3"), "{:#?}", step.lines);
}

#[test]
fn the_signature_is_that_of_the_body_with_the_secret() {
    let step = action_runner("crash-on-start", ALL).run_main();
    let input = webhook_posts(&step, "hooks.acme.example")[0];
    let code = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
    let code = code.chain_update(input["body"].as_str().unwrap()).finalize().into_bytes();
    assert_eq!(input["headers"]["x-roadstead-signature-256"], format!("sha256={}", hex::encode(code)));
    assert_eq!(input["headers"]["content-type"], "application/json");
    let slack = webhook_posts(&step, "hooks.slack.example")[0];
    assert_eq!(slack["headers"].get("x-roadstead-signature-256"), None);
}

#[test]
fn success_is_notified_only_if_configured_and_plans_never() {
    let with = |operation: &str, success: &str| {
        let notify = ALL.replace(" }\n", &format!("{success} }}\n"));
        message_counts(
            &action_runner("happy", &notify).with_variable("INPUT_OPERATION", operation).run_main(),
        )
    };
    assert_eq!(with("deploy", ""), [0, 0, 0]);
    assert_eq!(with("deploy", ", success: false"), [0, 0, 0]);
    assert_eq!(with("deploy", ", success: true"), [1, 1, 1]);
    assert_eq!(with("plan", ", success: true"), [0, 0, 0]);
    assert_eq!(with("verify", ", success: true"), [0, 0, 0]);
}

#[test]
fn failed_verification_is_notified() {
    let check = "    verify: [{ http: \"https://x.acme.dev/\", within: 4s }]\n";
    let runner = action_runner("faults: [bad-answers: { version: all }]", &format!("{check}{ALL}"));
    let step = runner.with_variable("INPUT_OPERATION", "verify").run_main();
    assert_eq!((step.exit_code, message_counts(&step)), (3, [1, 1, 1]), "{:#?}", step.lines);
    assert_eq!(parse_body(webhook_posts(&step, "hooks.acme.example")[0])["operation"], "verify");
}

#[test]
fn cancelled_run_is_notified_by_the_post_step_with_the_serving_version() {
    let mut runner = action_runner(&format!("{FAST}faults: [slow-start: {{ seconds: 300 }}]"), ALL);
    runner.cancel_after = Some(Duration::from_secs(60));
    let (main, post) = runner.run_main_and_post();
    assert_eq!((main.exit_code, message_counts(&main)), (130, [0, 0, 0]), "{:#?}", main.lines);
    assert_eq!(message_counts(&post), [1, 1, 1], "{:#?}", post.lines);
    let message = parse_body(webhook_posts(&post, "hooks.acme.example")[0]);
    assert_eq!(
        (&message["step"], &message["services"][0]["serves"]),
        (&"post".into(), &"backend:1".into()),
        "{message:#}"
    );
}

#[test]
fn cancel_before_any_change_is_not_notified() {
    let mut runner = action_runner("happy", ALL);
    runner.cancel_after = Some(Duration::from_millis(10));
    let (main, post) = runner.run_main_and_post();
    assert_eq!(
        (main.exit_code, message_counts(&main), message_counts(&post)),
        (130, [0, 0, 0], [0, 0, 0]),
        "{:#?}",
        main.lines
    );
}

#[test]
fn busy_webhook_is_retried_and_failing_one_is_a_warning() {
    let table = [
        ("bad-answers: { host: hooks.acme.example, status: 503, times: 1 }", 2, 0),
        ("bad-answers: { host: hooks.acme.example, status: 500 }", 2, 1),
        ("bad-answers: { host: hooks.acme.example, status: 404 }", 1, 1),
        ("bad-answers: { host: hooks.acme.example, status: 302, location: \"https://evil.example/\" }", 1, 1),
        ("bad-answers: { host: hooks.acme.example, status: 200, takes: 30 }", 2, 1),
    ];
    for (fault, tries, warnings) in table {
        let step = action_runner(&format!("faults: [crash-on-start: {{}}, {fault}]"), ALL).run_main();
        assert_eq!((step.exit_code, message_counts(&step)), (3, [1, 1, tries]), "{fault}: {:#?}", step.lines);
        assert_eq!(
            step.summary.matches("`notification-failed`").count(),
            warnings,
            "{fault}: {}",
            step.summary
        );
        assert_eq!(step.output("outcome"), "failed");
        assert!(webhook_posts(&step, "evil.example").is_empty());
    }
}

#[test]
fn hanging_webhook_is_bounded_in_time() {
    let calm = action_runner("crash-on-start", "").run_main();
    let silent = action_runner("faults: [crash-on-start: {}, no-answer: { operation: Post, times: 9 }]", ALL)
        .run_main();
    assert_eq!(silent.exit_code, 3);
    let longer = silent.elapsed.saturating_sub(calm.elapsed);
    assert!(longer < Duration::from_secs(60), "{longer:?}");
    assert_eq!(silent.summary.matches("`notification-failed`").count(), 2, "{}", silent.summary);
    assert!(silent.summary.contains("no response within 5 s"), "{}", silent.summary);
}

#[test]
fn a_role_that_may_not_publish_is_a_warning() {
    let step =
        action_runner("faults: [crash-on-start: {}, deny: { action: \"sns:Publish\" }]", ALL).run_main();
    assert_eq!((step.exit_code, message_counts(&step)), (3, [1, 1, 1]));
    assert!(step.summary.contains("AuthorizationError"), "{}", step.summary);
    assert!(step.summary.contains("Allow the role sns:Publish"), "{}", step.summary);
}

#[test]
fn fifo_topic_takes_the_same_message_once() {
    let step = action_runner("crash-on-start", &ALL.replace(":releases", ":releases.fifo")).run_main();
    let sns = sns_messages(&step)[0];
    assert_eq!(sns["MessageGroupId"], "roadstead");
    assert_eq!(sns["MessageDeduplicationId"].as_str().unwrap().len(), 64);
    assert!(!step.summary.contains("notification-failed"), "{}", step.summary);
}

#[test]
fn environment_overrides_notify() {
    let text = format!("{}{ALL}", runner::CONFIG);
    let own = text.replace(
        "production: { branches: [main],",
        "production: { branches: [main], notify: { slack-webhook: OTHER },",
    );
    assert_ne!(own, text);
    let runner = action_runner("crash-on-start", "")
        .with_config(&own)
        .with_variable("OTHER", "https://other.example/services/hook");
    let step = runner.run_main();
    assert_eq!(
        (message_counts(&step), webhook_posts(&step, "other.example").len()),
        ([1, 0, 1], 1),
        "{:#?}",
        step.lines
    );
}

#[test]
fn a_variable_that_is_missing_is_found_before_any_change() {
    let step = action_runner("happy", ALL)
        .with_variable("HOOK_KEY", "")
        .with_variable("SLACK_WEBHOOK", "hooks.slack.example/S3CRET")
        .run_main();
    assert_eq!((step.exit_code, step.count_changes()), (2, 0));
    insta::assert_snapshot!(step.annotation_lines(), @"
    ::error title=input invalid::`notify.slack-webhook` names the variable `SLACK_WEBHOOK`, and its value is not a URL that begins with `https://`.%0AGive it to the step: `env: { SLACK_WEBHOOK: ${{ secrets.SLACK_WEBHOOK }} }`.
    ::error title=input invalid::`notify.webhook.secret` names the variable `HOOK_KEY`, which is not set.%0AGive it to the step: `env: { HOOK_KEY: ${{ secrets.HOOK_KEY }} }`.
    ");
    let plan = action_runner("happy", ALL)
        .with_variable("HOOK_KEY", "")
        .with_variable("INPUT_OPERATION", "plan")
        .run_main();
    assert_eq!(plan.exit_code, 0, "a plan tells nobody: {:#?}", plan.lines);
}

#[test]
fn literal_address_is_a_warning_and_is_redacted() {
    let notify = "notify: { slack-webhook: \"https://hooks.slack.com/services/T000/B000/s3cretpath\" }\n";
    let step = action_runner("crash-on-start", notify).run_main();
    assert_eq!((step.exit_code, webhook_posts(&step, "hooks.slack.com").len()), (3, 1));
    let warned =
        step.annotations().iter().any(|line| line.starts_with("::warning") && line.contains("line=8"));
    assert!(warned, "{:#?}", step.annotations());
    assert_eq!(find_leaks(&step, &["s3cretpath"]), Vec::<String>::new());
}

/// Where one of these texts can be read, but in the commands that hide it.
fn find_leaks(step: &StepResult, secrets: &[&str]) -> Vec<String> {
    let sinks = step.lines.iter().filter(|line| !line.starts_with("::add-mask::")).map(String::as_str);
    let outputs = step.outputs.iter().map(|(_, value)| value.as_str());
    let bodies = step.calls.iter().filter_map(|call| call.input["body"].as_str());
    let mails = sns_messages(step).into_iter().filter_map(|it| it["Message"].as_str());
    let all = sinks.chain(outputs).chain([step.summary.as_str()]).chain(bodies).chain(mails);
    all.filter(|text| secrets.iter().any(|secret| text.contains(secret))).map(str::to_owned).collect()
}

#[test]
fn no_address_or_secret_is_in_any_output() {
    for faults in [
        "crash-on-start: {}",
        "crash-on-start: { log: [\"key-of-the-signature\", \"s3cretpath\"] }, bad-answers: { host: hooks.acme.example }, no-answer: { operation: Post, times: 1 }",
    ] {
        let step = action_runner(&format!("faults: [{faults}]"), ALL).run_main();
        assert_eq!(find_leaks(&step, &[SLACK, HOOK, KEY, "an0therpath", "T000/B000"]), Vec::<String>::new());
    }
}

#[test]
fn several_steps_of_one_run_are_distinguished() {
    let ids = |runner: Runner| {
        run_in_virtual_time(async {
            let (cloud, clock) = runner.start_cloud();
            let step = runner.run_main_on(&cloud, clock).await;
            sns_messages(&step).iter().map(|it| it["MessageDeduplicationId"].to_string()).collect::<Vec<_>>()
        })
    };
    let fifo = ALL.replace(":releases", ":releases.fifo");
    let first = ids(action_runner("crash-on-start", &fifo));
    assert_eq!(first, ids(action_runner("crash-on-start", &fifo)));
    assert_ne!(first, ids(action_runner("crash-on-start", &fifo).with_variable("GITHUB_RUN_ATTEMPT", "2")));
}

#[test]
fn the_policy_has_the_topic_where_one_is_named() {
    let of = |notify: &str| {
        let text = format!("{}{notify}", runner::CONFIG);
        policy_json(std::path::Path::new("/nonexistent"), "roadstead.yml", &text, "production").unwrap()
    };
    let with = of(ALL);
    assert!(with.contains("sns:Publish") && with.contains(TOPIC), "{with}");
    assert!(!of("").contains("sns:"));
}
