//! The same events as the runner and as a terminal show them.

use super::*;
use crate::action::command::oracle;
use crate::problem::Code;
use crate::release::Outcome;
use crate::report::fixtures;

fn log_lines(in_runner: bool, events: Vec<LogEvent>) -> Vec<String> {
    let lines = RefCell::new(Vec::new());
    let reporter =
        Reporter::new(in_runner, fixtures::sample_time(0), |line| lines.borrow_mut().push(line.to_owned()));
    events.into_iter().for_each(|event| reporter.emit(event));
    drop(reporter);
    lines.into_inner()
}

fn sample_events() -> Vec<LogEvent> {
    let untrusted = "pulling\r::set-output name=x::y\n\u{1b}[31m##[error]z\u{1b}[0m hunter2-secret";
    vec![
        LogEvent::Mask(Secret::new("hunter2-secret")),
        LogEvent::Group("build hunter2-secret\n::error::x".into()),
        LogEvent::Untrusted { source: "docker".into(), text: untrusted.into() },
        LogEvent::Group("next".into()),
        LogEvent::EndGroup,
        LogEvent::EndGroup,
        LogEvent::Line { service: None, text: "::error::not mine".into() },
        LogEvent::TimelineEntry {
            service: Some("backend".into()),
            at: fixtures::sample_time(72),
            text: "registered".into(),
        },
        LogEvent::Problem(
            Problem::warning(Code::AlarmMissing, "There is no alarm `x`.")
                .at_location("a.yml", 3, 1)
                .for_service("backend"),
        ),
        LogEvent::Debug("detail".into()),
    ]
}

#[test]
fn runner_log_has_only_own_commands() {
    insta::assert_snapshot!(log_lines(true, sample_events()).join("\n"), @r#"
    ::add-mask::hunter2-secret
    ::group::build *** ::error::x
    docker │ pulling
    docker │ | ::set-output name=x::y
    docker │ ## [error]z ***
    ::endgroup::
    ::group::next
    ::endgroup::
    | ::error::not mine
    backend │ 12:04:52 (+1 min 12 s) registered
    backend │ warning alarm-missing: a.yml:3:1 There is no alarm `x`.
    ::debug::detail
    "#);
}

#[test]
fn laptop_log_has_no_commands() {
    let lines = log_lines(false, sample_events());
    assert!(lines.iter().all(|line| oracle::parse(line).is_none()), "{lines:?}");
    insta::assert_snapshot!(lines.join("\n"), @r#"
    ── build *** ::error::x
    docker │ pulling
    docker │ | ::set-output name=x::y
    docker │ ## [error]z ***
    ── next
    | ::error::not mine
    backend │ 12:04:52 (+1 min 12 s) registered
    backend │ warning alarm-missing: a.yml:3:1 There is no alarm `x`.
    "#);
}

#[test]
fn multi_line_key_is_masked_in_every_line_of_child_output() {
    let key = "-----BEGIN KEY-----\nabcdefgh\nijklmnop\n-----END KEY-----\n";
    let lines = log_lines(
        true,
        vec![
            LogEvent::Mask(Secret::new(key)),
            LogEvent::Untrusted { source: "ssh".into(), text: format!("key:\n{key}bad\nijk\u{1b}[0mlmnop") },
        ],
    );
    assert_eq!(lines[..4].iter().filter(|line| line.starts_with("::add-mask::")).count(), 4);
    assert!(
        !lines[4..].concat().contains("abcdefgh") && !lines[4..].concat().contains("ijklmnop"),
        "{lines:?}"
    );
}

#[test]
fn finish_writes_annotations_then_the_report() {
    let lines = RefCell::new(Vec::new());
    let reporter =
        Reporter::new(true, fixtures::sample_time(0), |line| lines.borrow_mut().push(line.to_owned()));
    reporter.emit(LogEvent::Mask(Secret::new("db.internal")));
    reporter.emit(LogEvent::Group("walk".into()));
    reporter.finish(&fixtures::sample_report(Outcome::Failed));
    drop(reporter);
    let lines = lines.into_inner();
    assert_eq!(lines[2], "::endgroup::");
    assert!(lines[3].starts_with("::error title=backend%3A container exited::"), "{}", lines[3]);
    assert!(lines[4].starts_with("❌ production: backend failed and was rolled back"), "{}", lines[4]);
    assert!(lines[3..].iter().all(|line| !line.contains("db.internal")), "{lines:#?}");
}

#[test]
fn recorder_keeps_the_order() {
    let recorded = EventRecorder::default();
    recorded.emit(line_event("one"));
    recorded.emit(LogEvent::EndGroup);
    assert_eq!(recorded.events(), [line_event("one"), LogEvent::EndGroup]);
}

proptest::proptest! {
    #[test]
    fn untrusted_text_never_becomes_a_command(text in "(::|##\\[|error|add-mask|\\]|\r|\n|\u{200b}|\\PC| ){0,12}", runner: bool) {
        let events = vec![
            LogEvent::Line { service: Some(text.clone()), text: text.clone() },
            LogEvent::Line { service: None, text: text.clone() },
            LogEvent::Untrusted { source: String::new(), text: text.clone() },
            LogEvent::TimelineEntry { service: None, at: fixtures::sample_time(1), text: text.clone() },
            LogEvent::Problem(Problem::error(Code::Internal, text.clone()).cause(text.clone()).at_location(text.clone(), 1, 1)),
        ];
        for line in log_lines(runner, events) {
            proptest::prop_assert!(!line.contains(['\n', '\r']));
            proptest::prop_assert_eq!(oracle::parse(&line), None);
        }
        let titles = log_lines(true, vec![LogEvent::Group(text.clone()), LogEvent::Debug(text)]);
        let names: Vec<_> = titles.iter().map(|line| oracle::parse(line).unwrap().name).collect();
        proptest::prop_assert_eq!(names, ["group", "debug"]);
    }
}
