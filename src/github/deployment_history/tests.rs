//! Deployments as GitHub returns them, parsed.

use serde_json::json;

use super::super::deployment_pages;
use super::*;
use crate::release::RecordedService;

fn record(commit: &str) -> DeploymentRecord {
    let image = format!("r.example/acme/web@sha256:{}", "a".repeat(64));
    let services = [("web".to_owned(), RecordedService::brought(image.parse().unwrap()))].into();
    DeploymentRecord { environment: "staging".into(), commit: commit.into(), services }
}

fn status(state: &str, description: &str, page: &str) -> Value {
    json!({"state": state, "description": description, "logUrl": page})
}

fn node(id: u64, payload: Value, statuses: &[Value]) -> Value {
    json!({"databaseId": id, "createdAt": "2026-03-02T09:00:00Z", "payload": payload, "statuses": {"nodes": statuses}})
}

fn parse_history(data: &Value, environment: &str) -> Option<DeploymentHistory> {
    let mut history = DeploymentHistory::unread(environment);
    history.add(deployment_pages::parse_newest(data, 1)?);
    Some(history)
}

fn history_of(nodes: &[Value]) -> DeploymentHistory {
    parse_history(&json!({"repository": {"deployments": {"nodes": nodes}}}), "staging").unwrap()
}

fn own_payload(commit: &str, run: &str) -> Value {
    json!({"roadstead": record(commit), "run": run}).to_string().into()
}

const PAGE: &str = "https://github.com/acme/shop/actions/runs/7/job/9";

#[test]
fn only_own_success_is_a_proof_and_later_statuses_keep_it() {
    let good = status_description(None, "web is deployed");
    for (statuses, proven) in [
        (vec![], false),
        (vec![status("IN_PROGRESS", &good, "")], false),
        (vec![status("SUCCESS", &good, "")], true),
        (vec![status("SUCCESS", "", "")], false),
        (vec![status("SUCCESS", "Deployed by somebody", "")], false),
        (vec![status("INACTIVE", "", ""), status("SUCCESS", &good, "")], true),
        (vec![status("FAILURE", &good, "")], false),
        (vec![status("SUCCESS", &good, ""), status("FAILURE", &good, "")], false),
        (vec![status("ERROR", &good, ""), status("SUCCESS", &good, "")], false),
        (vec![status("FAILURE", "", ""), status("SUCCESS", &good, "")], true),
    ] {
        let entries = history_of(&[node(5, own_payload("c0ffee1", "7/1"), &statuses)]).entries();
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].deployment, entries[0].proven), (5, proven), "{statuses:?}");
        assert_eq!(entries[0].record, record("c0ffee1"));
    }
}

#[test]
fn end_of_a_record_is_the_gravest_that_it_states() {
    let text = status_description(None, "web");
    let cut_off = status_description(None, CUT_OFF_THEN);
    for (statuses, end) in [
        (vec![], RecordEnd::Open),
        (vec![status("IN_PROGRESS", &text, "")], RecordEnd::Open),
        (vec![status("QUEUED", &text, ""), status("IN_PROGRESS", &text, "")], RecordEnd::HandedOff),
        (vec![status("QUEUED", "by GitHub", "")], RecordEnd::Open),
        (vec![status("FAILURE", &text, ""), status("QUEUED", &text, "")], RecordEnd::Failed),
        (vec![status("ERROR", &cut_off, "")], RecordEnd::CutOff),
        (vec![status("INACTIVE", &text, "")], RecordEnd::Failed),
        (vec![status("SUCCESS", &text, "")], RecordEnd::Proven),
    ] {
        let entries = history_of(&[node(5, own_payload("c0ffee1", "7/1"), &statuses)]).entries();
        assert_eq!(entries[0].end, end, "{statuses:?}");
    }
}

#[test]
fn record_in_statuses_is_proven_by_the_success_with_its_tag() {
    let (tag, parts) = status_encoding::encode(&record("c0ffee1")).unwrap();
    let mut statuses: Vec<Value> = parts.iter().map(|part| status("IN_PROGRESS", part, PAGE)).collect();
    statuses.push(status("SUCCESS", "", PAGE));
    let proven = |statuses: &[Value]| {
        history_of(&[node(5, Value::Null, statuses)])
            .entries()
            .iter()
            .map(|one| one.proven)
            .collect::<Vec<_>>()
    };
    assert_eq!(proven(&statuses), [false], "GitHub's own success is no proof");
    statuses.push(status("SUCCESS", &status_description(Some("00000000"), "x"), PAGE));
    assert_eq!(proven(&statuses), [false], "nor is that of another record");
    statuses.push(status("SUCCESS", &status_description(Some(&tag), "x"), PAGE));
    assert_eq!(proven(&statuses), [true]);
    assert_eq!(proven(&statuses[1..]), [false; 0], "half a record is none");
}

#[test]
fn job_deployment_is_found_by_its_page_while_the_job_runs() {
    let at_work = [status("IN_PROGRESS", "", PAGE)];
    let of = |payload: Value, statuses: &[Value]| history_of(&[node(5, payload, statuses)]).job_deployment(7);
    assert_eq!(of(Value::Null, &at_work), Some(5));
    assert_eq!(of("".into(), &at_work), Some(5));
    assert_eq!(of(json!({}), &at_work), Some(5));
    assert_eq!(of(Value::Null, &[status("IN_PROGRESS", "", &PAGE.replace("/7/", "/77/"))]), None);
    let ended = [at_work[0].clone(), status("FAILURE", "", PAGE)];
    assert_eq!(of(Value::Null, &ended), None, "an earlier attempt");
    let second_step =
        [at_work[0].clone(), status("SUCCESS", &status_description(Some("00000000"), "x"), PAGE)];
    assert_eq!(of(Value::Null, &second_step), Some(5), "what we said does not end the job");
    assert_eq!(of(own_payload("c0ffee1", "7/1"), &at_work), None, "our own");
}

#[test]
fn open_deployment_of_attempt_is_found_until_it_is_closed() {
    let open = node(
        5,
        own_payload("c0ffee1", "7/1"),
        &[status("IN_PROGRESS", &status_description(None, "x"), PAGE)],
    );
    let closed =
        node(6, own_payload("c0ffee1", "7/2"), &[status("ERROR", &status_description(None, "x"), PAGE)]);
    let ledger = history_of(&[closed, open]);
    assert_eq!(ledger.open_deployment_of("7/1"), Some(5));
    assert_eq!(ledger.open_deployment_of("7/2"), None);
    assert_eq!(ledger.open_deployment_with("7/1", &record("c0ffee1")), Some(5));
    assert_eq!(ledger.open_deployment_with("7/1", &record("c0ffee2")), None, "somebody's, in our name");
}

#[test]
fn record_names_its_run_by_payload_or_page() {
    let run = |id, attempt| Some(RunNumber { id, attempt });
    for (name, expected) in
        [("7/2", run(7, 2)), ("7", None), ("", None), ("x/1", None), ("7/-1", None), ("7/1/3", None)]
    {
        let entries = history_of(&[node(5, own_payload("c0ffee1", name), &[])]).entries();
        assert_eq!(entries[0].run, expected, "{name}");
    }
    let (tag, parts) = status_encoding::encode(&record("c0ffee1")).unwrap();
    let done = status_description(Some(&tag), "x");
    for (page, expected) in [
        ("https://github.com/acme/shop/actions/runs/7/attempts/2", run(7, 2)),
        ("https://github.com/acme/shop/actions/runs/7/attempts/2/", run(7, 2)),
        (PAGE, None),
        ("", None),
    ] {
        let parts = parts.iter().map(|part| status("IN_PROGRESS", part, ""));
        let statuses: Vec<Value> = [status("SUCCESS", &done, page)].into_iter().chain(parts).collect();
        assert_eq!(history_of(&[node(5, Value::Null, &statuses)]).entries()[0].run, expected, "{page}");
    }
}

/// The record of the image of [`own_payload`], with an image of a further container.
fn other_containers(name: &str) -> Value {
    let mut record = record("c0ffee2");
    let image = format!("r.example/acme/web@sha256:{}", "b".repeat(64)).parse().unwrap();
    record.services.get_mut("web").unwrap().container_images = [(name.to_owned(), image)].into();
    json!({"roadstead": record, "run": "7/1"}).to_string().into()
}

#[test]
fn records_that_name_one_attempt_and_different_images_are_contested() {
    let other = own_payload("c0ffee1", "7/1").as_str().unwrap().replace(&"a".repeat(64), &"b".repeat(64));
    let contested = |second: Value| {
        let nodes = [node(6, second, &[]), node(5, own_payload("c0ffee1", "7/1"), &[])];
        history_of(&nodes).entries().iter().map(|one| one.contested).collect::<Vec<_>>()
    };
    assert_eq!(contested(Value::String(other.clone())), [true, true]);
    assert_eq!(contested(own_payload("c0ffee2", "7/1")), [false, false], "the same image");
    let further = other_containers("nginx");
    assert_eq!(contested(further), [true, true], "the same image, and another container");
    assert_eq!(contested(Value::String(other.replace("7/1", "7/2"))), [false, false], "another attempt");
    assert_eq!(contested(Value::String(other.replace("web", "api"))), [false, false], "another service");
}

#[test]
fn success_has_the_time_of_its_first_status() {
    let good = status_description(None, "x");
    let at = |time: &str| json!({"state": "SUCCESS", "description": good, "logUrl": "", "createdAt": time});
    let statuses = [at("2026-03-02T10:00:00Z"), at("2026-03-02T09:30:00Z")];
    let entries = history_of(&[node(5, own_payload("c0ffee1", "7/1"), &statuses)]).entries();
    assert_eq!(entries[0].proven_at, Some("2026-03-02T09:30:00Z".parse().unwrap()));
    let odd = history_of(&[node(5, own_payload("c0ffee1", "7/1"), &[at("yesterday")])]).entries();
    assert_eq!((odd[0].proven, odd[0].proven_at), (true, None));
}

#[test]
fn deployments_of_others_are_ignored() {
    for payload in
        [json!("x"), json!("\"\\\"x\\\"\""), json!("7"), json!({"roadstead": 1}), json!([1]), json!("")]
    {
        assert_eq!(history_of(&[node(5, payload, &[])]).entries(), []);
    }
    let nested = Value::String(own_payload("c0ffee1", "7/1").to_string());
    assert_eq!(history_of(&[node(5, nested, &[])]).entries().len(), 1, "text in text");
    for odd in [
        json!(null),
        json!({}),
        json!({"repository": null}),
        json!({"repository": {"deployments": {"nodes": [1]}}}),
    ] {
        assert_eq!(parse_history(&odd, "staging"), None);
    }
    let holes = json!({"repository": {"deployments": {"nodes": [null]}}});
    assert_eq!(parse_history(&holes, "staging").unwrap().entries(), []);
}

#[test]
fn descriptions_are_truncated_to_the_limit() {
    let long = status_description(None, &"ä".repeat(300));
    assert_eq!(long.chars().count(), MAX_DESCRIPTION_CHARS);
    assert!(long.starts_with("Roadstead: ä") && long.ends_with("ä…"));
}
