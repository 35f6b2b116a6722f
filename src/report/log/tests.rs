//! What the runner and a person see of the same events.

use super::*;
use crate::action::command::oracle;
use crate::problem::Code;
use crate::release::Outcome;
use crate::report::samples;

fn told(in_runner: bool, events: Vec<Event>) -> Vec<String> {
    let lines = RefCell::new(Vec::new());
    let reporter = Reporter::new(in_runner, samples::at(0), |line| lines.borrow_mut().push(line.to_owned()));
    events.into_iter().for_each(|event| reporter.tell(event));
    drop(reporter);
    lines.into_inner()
}

fn events() -> Vec<Event> {
    let untrusted = "pulling\r::set-output name=x::y\n\u{1b}[31m##[error]z\u{1b}[0m hunter2-secret";
    vec![
        Event::Mask(Secret::new("hunter2-secret")),
        Event::Group("build hunter2-secret\n::error::x".into()),
        Event::Untrusted { source: "docker".into(), text: untrusted.into() },
        Event::Group("next".into()),
        Event::EndGroup,
        Event::EndGroup,
        Event::Line { service: None, text: "::error::not mine".into() },
        Event::Moment { service: Some("backend".into()), at: samples::at(72), text: "registered".into() },
        Event::Problem(
            Problem::warning(Code::AlarmMissing, "There is no alarm `x`.").at("a.yml", 3, 1).of("backend"),
        ),
        Event::Debug("detail".into()),
    ]
}

#[test]
fn in_a_runner_there_are_commands_of_ours_and_no_others() {
    insta::assert_snapshot!(told(true, events()).join("\n"), @r#"
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
fn on_a_laptop_there_are_none_at_all() {
    let lines = told(false, events());
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
fn a_key_of_several_lines_is_hidden_in_every_line_of_what_a_child_says() {
    let key = "-----BEGIN KEY-----\nabcdefgh\nijklmnop\n-----END KEY-----\n";
    let lines = told(
        true,
        vec![
            Event::Mask(Secret::new(key)),
            Event::Untrusted { source: "ssh".into(), text: format!("key:\n{key}bad\nijk\u{1b}[0mlmnop") },
        ],
    );
    assert_eq!(lines[..4].iter().filter(|line| line.starts_with("::add-mask::")).count(), 4);
    assert!(
        !lines[4..].concat().contains("abcdefgh") && !lines[4..].concat().contains("ijklmnop"),
        "{lines:?}"
    );
}

#[test]
fn the_end_has_annotations_first_and_the_report_behind_them() {
    let lines = RefCell::new(Vec::new());
    let reporter = Reporter::new(true, samples::at(0), |line| lines.borrow_mut().push(line.to_owned()));
    reporter.tell(Event::Mask(Secret::new("db.internal")));
    reporter.tell(Event::Group("walk".into()));
    reporter.finish(&samples::ended(Outcome::Failed));
    drop(reporter);
    let lines = lines.into_inner();
    assert_eq!(lines[2], "::endgroup::");
    assert!(lines[3].starts_with("::error title=backend%3A container exited::"), "{}", lines[3]);
    assert!(lines[4].starts_with("❌ production: backend failed and was rolled back"), "{}", lines[4]);
    assert!(lines[3..].iter().all(|line| !line.contains("db.internal")), "{lines:#?}");
}

#[test]
fn a_recorder_keeps_the_order() {
    let recorded = Recorded::default();
    recorded.tell(line("one"));
    recorded.tell(Event::EndGroup);
    assert_eq!(recorded.events(), [line("one"), Event::EndGroup]);
}

proptest::proptest! {
    #[test]
    fn no_event_but_ours_reaches_the_parser(text in "(::|##\\[|error|add-mask|\\]|\r|\n|\u{200b}|\\PC| ){0,12}", runner: bool) {
        let events = vec![
            Event::Line { service: Some(text.clone()), text: text.clone() },
            Event::Line { service: None, text: text.clone() },
            Event::Untrusted { source: String::new(), text: text.clone() },
            Event::Moment { service: None, at: samples::at(1), text: text.clone() },
            Event::Problem(Problem::error(Code::Internal, text.clone()).cause(text.clone()).at(text.clone(), 1, 1)),
        ];
        for line in told(runner, events) {
            proptest::prop_assert!(!line.contains(['\n', '\r']));
            proptest::prop_assert_eq!(oracle::parse(&line), None);
        }
        let titles = told(true, vec![Event::Group(text.clone()), Event::Debug(text)]);
        let names: Vec<_> = titles.iter().map(|line| oracle::parse(line).unwrap().name).collect();
        proptest::prop_assert_eq!(names, ["group", "debug"]);
    }
}
