//! What an answer of GitHub says: a value, or which setback. Pure.
//! <https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api>

use std::time::Duration;

use jiff::fmt::rfc2822;
use serde_json::Value;

use super::setback::Setback;
use crate::sys::web::Answer;

/// The least time to wait where GitHub names none, and the most that it grows to.
const WAIT: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(900)];
/// So much of GitHub's own words is repeated, in characters.
const QUOTE: usize = 400;
/// What was asked for, where nobody has a better name for it.
const SOMETHING: &str = "what was asked for";

/// Whether something is only read. What is unclear about a write may have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// Asking twice changes nothing.
    Read,
    /// Asking twice may do something twice.
    Write,
}

/// One entry of `errors` in an answer of GraphQL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Complaint {
    /// Its `type`, such as `NOT_FOUND`; GitHub leaves it out at times.
    pub kind: String,
    /// In words.
    pub message: String,
    /// The last name of the path to the field that it is about; empty where it is about the whole question.
    pub field: String,
}

/// An answer of the REST API. `strikes` counts the limits since the last success.
pub fn rest(answer: &Answer, aim: Aim, strikes: u32) -> Result<Value, Setback> {
    if (200..300).contains(&answer.status) {
        return match answer.body.as_slice() {
            [] => Ok(Value::Null),
            body => serde_json::from_slice(body)
                .map_err(|_| unclear(aim, format!("GitHub answered {} without JSON", answer.status))),
        };
    }
    if let Some(limited) = limited(answer, strikes) {
        return Err(limited);
    }
    Err(refused(answer.status, said(answer), aim))
}

/// An answer of the GraphQL API: its `data`, and what it complains about. Both can be there at once.
pub fn graphql(answer: &Answer, aim: Aim, strikes: u32) -> Result<(Value, Vec<Complaint>), Setback> {
    let mut value = rest(answer, aim, strikes)?;
    let complaints: Vec<Complaint> =
        value["errors"].as_array().into_iter().flatten().map(complaint).collect();
    if let Some(limit) =
        complaints.iter().find(|known| known.kind == "RATE_LIMITED" || secondary(&known.message))
    {
        return Err(Setback::Limited { wait: wait(answer, strikes), why: quoted(&limit.message) });
    }
    let data = value["data"].take();
    if data.is_null() && complaints.is_empty() {
        return Err(unclear(aim, "GitHub answered without data".into()));
    }
    Ok((data, complaints))
}

fn complaint(entry: &Value) -> Complaint {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let last = entry["path"].as_array().and_then(|path| path.last()).map(text);
    Complaint {
        kind: text(&entry["type"]),
        message: text(&entry["message"]),
        field: last.unwrap_or_default(),
    }
}

/// What a complaint means for the one who asked.
pub fn verdict(complaint: &Complaint, aim: Aim) -> Setback {
    let why = quoted(&complaint.message);
    match complaint.kind.as_str() {
        "STALE_DATA" => Setback::Moved,
        kind if kind.ends_with("RULE_VIOLATION") => Setback::Protected(why),
        _ if complaint.message.starts_with("Expected branch to point to") => Setback::Moved,
        _ if protected(&complaint.message) => Setback::Protected(why),
        "NOT_FOUND" => Setback::Missing(SOMETHING.into()),
        "FORBIDDEN" | "INSUFFICIENT_SCOPES" => Setback::Forbidden(why),
        "SERVICE_UNAVAILABLE" | "INTERNAL" | "TIMEOUT" => unclear(aim, why),
        "" if complaint.message.starts_with("Something went wrong") => unclear(aim, why),
        _ => Setback::Refused(why),
    }
}

/// A setback about something that has a name, as a noun.
pub fn named(setback: Setback, noun: impl Into<String>) -> Setback {
    match setback {
        Setback::Missing(_) => Setback::Missing(noun.into()),
        other => other,
    }
}

/// Nobody knows what happened.
pub fn unclear(aim: Aim, why: String) -> Setback {
    match aim {
        Aim::Read => Setback::Passing(why),
        Aim::Write => Setback::Uncertain(why),
    }
}

fn refused(status: u16, why: String, aim: Aim) -> Setback {
    match status {
        408 | 500..=599 => unclear(aim, why),
        _ if protected(&why) => Setback::Protected(why),
        401 | 403 => Setback::Forbidden(why),
        404 => Setback::Missing(SOMETHING.into()),
        300..=399 => Setback::Missing("the repository under this name (it was renamed or moved)".into()),
        409 if why.contains("is empty") => Setback::Missing("any commit".into()),
        409 => Setback::Moved,
        422 if why.contains("not a fast forward") => Setback::Moved,
        422 if why.contains("Reference does not exist") => Setback::Missing("the branch".into()),
        _ => Setback::Refused(why),
    }
}

/// Words by which protected branches and rulesets refuse. They come with various types and statuses.
fn protected(words: &str) -> bool {
    let words = words.to_lowercase();
    [
        "protected branch",
        "rule violation",
        "required status check",
        "must be made through a pull request",
        "through the merge queue",
        "not authorized to push to this branch",
        "gh006",
        "gh013",
    ]
    .iter()
    .any(|known| words.contains(known))
}

/// Whether an answer refuses for the number of requests, and for how long.
fn limited(answer: &Answer, strikes: u32) -> Option<Setback> {
    let refusal = matches!(answer.status, 403 | 429);
    let why = said(answer);
    let spent = answer.header("x-ratelimit-remaining") == Some("0");
    let told = answer.header("retry-after").is_some();
    let limit = refusal && (answer.status == 429 || spent || told || secondary(&why));
    limit.then(|| Setback::Limited { wait: wait(answer, strikes), why })
}

fn secondary(words: &str) -> bool {
    let words = words.to_lowercase();
    ["secondary rate limit", "abuse detection", "rate limit exceeded"]
        .iter()
        .any(|known| words.contains(known))
}

/// As long as GitHub says; where it does not, a minute, and twice as much each time.
fn wait(answer: &Answer, strikes: u32) -> Duration {
    let number = |name: &str| answer.header(name).and_then(|value| value.trim().parse::<i64>().ok());
    let grown = WAIT[0].saturating_mul(1 << strikes.min(8)).min(WAIT[1]);
    if let Some(seconds) = number("retry-after").and_then(|seconds| u64::try_from(seconds).ok()) {
        return Duration::from_secs(seconds.max(1));
    }
    let spent = answer.header("x-ratelimit-remaining") == Some("0");
    let Some(reset) = number("x-ratelimit-reset").filter(|_| spent) else { return grown };
    // GitHub's own clock: ours may differ, and a rehearsal has one of its own.
    let date = answer.header("date").and_then(|date| rfc2822::parse(date).ok());
    let left = date.and_then(|date| u64::try_from(reset.saturating_sub(date.timestamp().as_second())).ok());
    left.map_or(grown, |left| Duration::from_secs(left.saturating_add(1)))
}

/// The status and GitHub's own words, if the answer has any.
pub fn said(answer: &Answer) -> String {
    let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let mut words: Vec<String> = value["message"].as_str().map(str::to_owned).into_iter().collect();
    for error in value["errors"].as_array().into_iter().flatten() {
        let text = error.as_str().or_else(|| error["message"].as_str()).map(str::to_owned);
        let code = || Some(format!("{} {}", error["field"].as_str()?, error["code"].as_str()?));
        words.extend(text.or_else(code));
    }
    match words.is_empty() {
        true => format!("GitHub answered {}", answer.status),
        false => format!("GitHub answered {}: {}", answer.status, quoted(&words.join(": "))),
    }
}

fn quoted(words: &str) -> String {
    words.chars().take(QUOTE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Answer { status, headers: headers.collect(), body: body.into() }
    }

    fn message(text: &str) -> String {
        serde_json::json!({ "message": text }).to_string()
    }

    fn limit(seconds: u64, why: &str) -> Setback {
        Setback::Limited { wait: Duration::from_secs(seconds), why: why.into() }
    }

    #[test]
    fn each_refusal_is_what_the_caller_has_to_do_next() {
        use Aim::{Read, Write};
        let forbidden = "Resource not accessible by integration";
        let rules = "Repository rule violations found\n\nChanges must be made through a pull request.";
        for (status, text, aim, setback) in [
            (401, "Bad credentials", Read, Setback::Forbidden("GitHub answered 401: Bad credentials".into())),
            (403, forbidden, Write, Setback::Forbidden(format!("GitHub answered 403: {forbidden}"))),
            (404, "Not Found", Read, Setback::Missing("what was asked for".into())),
            (404, "Not Found", Write, Setback::Missing("what was asked for".into())),
            (409, "Git Repository is empty.", Read, Setback::Missing("any commit".into())),
            (409, "Head branch was modified", Write, Setback::Moved),
            (409, rules, Write, Setback::Protected(format!("GitHub answered 409: {rules}"))),
            (422, rules, Write, Setback::Protected(format!("GitHub answered 422: {rules}"))),
            (422, "Update is not a fast forward", Write, Setback::Moved),
            (422, "Reference does not exist", Write, Setback::Missing("the branch".into())),
            (
                422,
                "Validation Failed",
                Write,
                Setback::Refused("GitHub answered 422: Validation Failed".into()),
            ),
            (502, "Server Error", Write, Setback::Uncertain("GitHub answered 502: Server Error".into())),
            (502, "Server Error", Read, Setback::Passing("GitHub answered 502: Server Error".into())),
        ] {
            assert_eq!(rest(&answer(status, &[], &message(text)), aim, 0), Err(setback), "{status} {text}");
        }
        let moved = rest(&answer(301, &[("location", "https://x")], "{}"), Read, 0).unwrap_err();
        assert!(matches!(moved, Setback::Missing(what) if what.contains("renamed")));
    }

    #[test]
    fn limits_are_told_apart_from_refusals_and_their_time_is_read() {
        let date = ("date", "Tue, 24 Nov 2026 12:00:00 GMT");
        let at = "1795521690"; // a minute and a half later
        let spent = ("x-ratelimit-remaining", "0");
        let primary = "API rate limit exceeded for installation ID 1.";
        let secondary = "You have exceeded a secondary rate limit. Please wait a few minutes.";
        for (status, headers, text, strikes, seconds) in [
            (403, vec![spent, ("x-ratelimit-reset", at), date], primary, 0, Some(91)),
            (403, vec![spent, ("x-ratelimit-reset", at)], primary, 0, Some(60)),
            (403, vec![spent, ("x-ratelimit-reset", "1"), date], primary, 0, Some(60)),
            (403, vec![("retry-after", "7")], secondary, 3, Some(7)),
            (403, vec![("retry-after", "0")], secondary, 3, Some(1)),
            (
                403,
                vec![("x-ratelimit-remaining", "4000"), ("x-ratelimit-reset", at), date],
                secondary,
                0,
                Some(60),
            ),
            (429, vec![], secondary, 1, Some(120)),
            (429, vec![], "", 2, Some(240)),
            (429, vec![], "", 60, Some(900)),
            (403, vec![("x-ratelimit-remaining", "4000")], "Resource not accessible by integration", 0, None),
        ] {
            let setback = rest(&answer(status, &headers, &message(text)), Aim::Write, strikes).unwrap_err();
            match (&setback, seconds) {
                (Setback::Limited { wait, .. }, Some(seconds)) => {
                    assert_eq!(wait.as_secs(), seconds, "{status} {headers:?}");
                }
                (Setback::Forbidden(_), None) => {}
                other => panic!("{status} {headers:?}: {other:?}"),
            }
        }
        let body = r#"{"errors":[{"type":"RATE_LIMITED","message":"API rate limit exceeded"}]}"#;
        let told = answer(200, &[spent, ("x-ratelimit-reset", at), date], body);
        assert_eq!(graphql(&told, Aim::Write, 0), Err(limit(91, "API rate limit exceeded")));
    }

    #[test]
    fn what_is_no_json_is_no_answer() {
        for (status, body) in [(200, "<html>"), (502, "<html>"), (200, "{\"data\": ")] {
            let read = rest(&answer(status, &[], body), Aim::Read, 0);
            assert!(matches!(read, Err(Setback::Passing(_))), "{body}");
            let write = rest(&answer(status, &[], body), Aim::Write, 0);
            assert!(matches!(write, Err(Setback::Uncertain(_))), "{body}");
        }
        assert_eq!(rest(&answer(204, &[], ""), Aim::Write, 0), Ok(Value::Null));
        assert!(matches!(graphql(&answer(200, &[], "{}"), Aim::Write, 0), Err(Setback::Uncertain(_))));
    }

    #[test]
    fn complaints_keep_their_type_and_field_beside_the_data() {
        let body = r#"{"data":{"a":1},"errors":[
            {"type":"NOT_FOUND","path":["repository","ref","target","f3"],"message":"Could not resolve file"},
            {"message":"x","path":["nodes",3]}, {}]}"#;
        let (data, complaints) = graphql(&answer(200, &[], body), Aim::Read, 0).unwrap();
        assert_eq!(data["a"], 1);
        assert_eq!((complaints[0].kind.as_str(), complaints[0].field.as_str()), ("NOT_FOUND", "f3"));
        assert_eq!((complaints[1].kind.as_str(), complaints[1].field.as_str()), ("", ""));
        assert_eq!(complaints[2], Complaint::default());
    }

    #[test]
    fn a_complaint_is_judged_by_its_type_and_where_it_has_none_by_its_words() {
        let stale = "Expected branch to point to \"c0ffee\" but it did not.  Pull and try again.";
        let broken = "Something went wrong while executing your query.";
        let pulls = "Changes must be made through a pull request.";
        let forbidden = "Resource not accessible by integration";
        for (kind, text, setback) in [
            ("STALE_DATA", stale, Setback::Moved),
            ("", stale, Setback::Moved),
            ("UNPROCESSABLE", stale, Setback::Moved),
            ("BRANCH_PROTECTION_RULE_VIOLATION", pulls, Setback::Protected(pulls.into())),
            ("REPOSITORY_RULE_VIOLATION", "x", Setback::Protected("x".into())),
            (
                "FORBIDDEN",
                "Protected branch update failed",
                Setback::Protected("Protected branch update failed".into()),
            ),
            ("UNPROCESSABLE", pulls, Setback::Protected(pulls.into())),
            ("FORBIDDEN", forbidden, Setback::Forbidden(forbidden.into())),
            ("INSUFFICIENT_SCOPES", "scopes", Setback::Forbidden("scopes".into())),
            ("NOT_FOUND", "Could not resolve", Setback::Missing("what was asked for".into())),
            ("UNPROCESSABLE", "Not valid", Setback::Refused("Not valid".into())),
            ("", broken, Setback::Uncertain(broken.into())),
            ("SERVICE_UNAVAILABLE", "x", Setback::Uncertain("x".into())),
            ("", "Field 'x' doesn't exist", Setback::Refused("Field 'x' doesn't exist".into())),
        ] {
            let complaint = Complaint { kind: kind.into(), message: text.into(), field: String::new() };
            assert_eq!(verdict(&complaint, Aim::Write), setback, "{kind} {text}");
        }
    }

    #[test]
    fn a_refusal_is_quoted_with_its_details_and_not_without_end() {
        let body = r#"{"message":"Validation Failed","errors":[{"message":"A pull request already exists"},
            {"field":"head","code":"invalid"},"plain",{"odd":1}]}"#;
        assert_eq!(
            said(&answer(422, &[], body)),
            "GitHub answered 422: Validation Failed: A pull request already exists: head invalid: plain"
        );
        assert_eq!(said(&answer(502, &[], "<html>")), "GitHub answered 502");
        assert!(said(&answer(500, &[], &message(&"x".repeat(9000)))).len() < 500);
    }
}
