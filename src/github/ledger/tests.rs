//! What is read out of deployments as GitHub gives them.

use super::*;
use crate::release::Recorded;

fn record(commit: &str) -> Record {
    let image = format!("r.example/acme/web@sha256:{}", "a".repeat(64));
    let services = [("web".to_owned(), Recorded { image: image.parse().unwrap() })].into();
    Record { environment: "staging".into(), commit: commit.into(), services }
}

fn status(state: &str, description: &str, page: &str) -> Value {
    json!({"state": state, "description": description, "logUrl": page})
}

fn node(id: u64, payload: Value, statuses: &[Value]) -> Value {
    json!({"databaseId": id, "createdAt": "2026-03-02T09:00:00Z", "payload": payload, "statuses": {"nodes": statuses}})
}

fn ledger(nodes: &[Value]) -> Ledger {
    read(&json!({"repository": {"deployments": {"nodes": nodes}}}), "staging").unwrap()
}

fn ours(commit: &str, run: &str) -> Value {
    json!({"roadstead": record(commit), "run": run}).to_string().into()
}

const PAGE: &str = "https://github.com/acme/shop/actions/runs/7/job/9";

#[test]
fn only_our_own_success_is_a_proof_and_nothing_takes_it_away() {
    let good = words(None, "web is deployed");
    for (statuses, proven) in [
        (vec![], false),
        (vec![status("IN_PROGRESS", &good, "")], false),
        (vec![status("SUCCESS", &good, "")], true),
        (vec![status("SUCCESS", "", "")], false),
        (vec![status("SUCCESS", "Deployed by somebody", "")], false),
        (vec![status("INACTIVE", "", ""), status("SUCCESS", &good, "")], true),
        (vec![status("FAILURE", &good, "")], false),
    ] {
        let entries = ledger(&[node(5, ours("c0ffee1", "7/1"), &statuses)]).entries();
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].deployment, entries[0].proven), (5, proven), "{statuses:?}");
        assert_eq!(entries[0].record, record("c0ffee1"));
    }
}

#[test]
fn a_record_in_statuses_is_proven_by_the_success_that_names_it() {
    let (tag, parts) = compact::encoded(&record("c0ffee1")).unwrap();
    let mut statuses: Vec<Value> = parts.iter().map(|part| status("IN_PROGRESS", part, PAGE)).collect();
    statuses.push(status("SUCCESS", "", PAGE));
    let proven = |statuses: &[Value]| {
        ledger(&[node(5, Value::Null, statuses)]).entries().iter().map(|one| one.proven).collect::<Vec<_>>()
    };
    assert_eq!(proven(&statuses), [false], "GitHub's own success is no proof");
    statuses.push(status("SUCCESS", &words(Some("00000000"), "x"), PAGE));
    assert_eq!(proven(&statuses), [false], "nor is that of another record");
    statuses.push(status("SUCCESS", &words(Some(&tag), "x"), PAGE));
    assert_eq!(proven(&statuses), [true]);
    assert_eq!(proven(&statuses[1..]), [false; 0], "half a record is none");
}

#[test]
fn the_deployment_of_the_job_is_known_by_its_page_while_the_job_is_at_work() {
    let at_work = [status("IN_PROGRESS", "", PAGE)];
    let of = |payload: Value, statuses: &[Value]| ledger(&[node(5, payload, statuses)]).of_job(7);
    assert_eq!(of(Value::Null, &at_work), Some(5));
    assert_eq!(of("".into(), &at_work), Some(5));
    assert_eq!(of(json!({}), &at_work), Some(5));
    assert_eq!(of(Value::Null, &[status("IN_PROGRESS", "", &PAGE.replace("/7/", "/77/"))]), None);
    let ended = [at_work[0].clone(), status("FAILURE", "", PAGE)];
    assert_eq!(of(Value::Null, &ended), None, "an earlier attempt");
    let second_step = [at_work[0].clone(), status("SUCCESS", &words(Some("00000000"), "x"), PAGE)];
    assert_eq!(of(Value::Null, &second_step), Some(5), "what we said does not end the job");
    assert_eq!(of(ours("c0ffee1", "7/1"), &at_work), None, "our own");
}

#[test]
fn what_an_attempt_opened_is_found_until_it_is_closed() {
    let open = node(5, ours("c0ffee1", "7/1"), &[status("IN_PROGRESS", &words(None, "x"), PAGE)]);
    let closed = node(6, ours("c0ffee1", "7/2"), &[status("ERROR", &words(None, "x"), PAGE)]);
    let ledger = ledger(&[closed, open]);
    assert_eq!(ledger.opened_by("7/1"), Some(5));
    assert_eq!(ledger.opened_by("7/2"), None);
}

#[test]
fn what_others_keep_there_is_passed_over() {
    for payload in
        [json!("x"), json!("\"\\\"x\\\"\""), json!("7"), json!({"roadstead": 1}), json!([1]), json!("")]
    {
        assert_eq!(ledger(&[node(5, payload, &[])]).entries(), []);
    }
    let nested = Value::String(ours("c0ffee1", "7/1").to_string());
    assert_eq!(ledger(&[node(5, nested, &[])]).entries().len(), 1, "text in text");
    for odd in [
        json!(null),
        json!({}),
        json!({"repository": null}),
        json!({"repository": {"deployments": {"nodes": [1]}}}),
    ] {
        assert_eq!(read(&odd, "staging"), None);
    }
    let holes = json!({"repository": {"deployments": {"nodes": [null]}}});
    assert_eq!(read(&holes, "staging").unwrap().entries(), []);
}

#[test]
fn words_have_the_room_that_github_gives() {
    let long = words(None, &"ä".repeat(300));
    assert_eq!(long.chars().count(), DESCRIPTION);
    assert!(long.starts_with("Roadstead: ä") && long.ends_with("ä…"));
}
