//! What each status, header and body of GitHub means, and how long to wait after it.

use super::*;

fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Response { status, headers: headers.collect(), body: body.into() }
}

fn error_body(text: &str) -> String {
    serde_json::json!({ "message": text }).to_string()
}

fn rate_limited(seconds: u64, why: &str) -> ApiError {
    ApiError::RateLimited { retry_after: Duration::from_secs(seconds), reason: why.into() }
}

#[test]
fn each_status_is_classified() {
    use Access::{Read, Write};
    let forbidden = "Resource not accessible by integration";
    let rules = "Repository rule violations found\n\nChanges must be made through a pull request.";
    for (status, text, aim, error) in [
        (
            401,
            "Bad credentials",
            Read,
            ApiError::Forbidden("GitHub responded with 401: Bad credentials".into()),
        ),
        (403, forbidden, Write, ApiError::Forbidden(format!("GitHub responded with 403: {forbidden}"))),
        (404, "Not Found", Read, ApiError::NotFound("the requested object".into())),
        (404, "Not Found", Write, ApiError::NotFound("the requested object".into())),
        (409, "Git Repository is empty.", Read, ApiError::NotFound("any commit".into())),
        (409, "Head branch was modified", Write, ApiError::HeadMoved),
        (409, rules, Write, ApiError::Protected(format!("GitHub responded with 409: {rules}"))),
        (422, rules, Write, ApiError::Protected(format!("GitHub responded with 422: {rules}"))),
        (422, "Update is not a fast forward", Write, ApiError::HeadMoved),
        (422, "Reference does not exist", Write, ApiError::NotFound("the branch".into())),
        (
            422,
            "Validation Failed",
            Write,
            ApiError::Rejected("GitHub responded with 422: Validation Failed".into()),
        ),
        (502, "Server Error", Write, ApiError::Ambiguous("GitHub responded with 502: Server Error".into())),
        (502, "Server Error", Read, ApiError::Transient("GitHub responded with 502: Server Error".into())),
    ] {
        assert_eq!(
            parse_rest(&response(status, &[], &error_body(text)), aim, 0),
            Err(error),
            "{status} {text}"
        );
    }
    let moved = parse_rest(&response(301, &[("location", "https://x")], "{}"), Read, 0).unwrap_err();
    assert!(matches!(moved, ApiError::NotFound(what) if what.contains("renamed")));
}

#[test]
fn rate_limits_are_distinguished_from_rejections_and_have_a_wait() {
    let date = ("date", "Tue, 24 Nov 2026 12:00:00 GMT");
    let at = "1795521690"; // a minute and a half later
    let spent = ("x-ratelimit-remaining", "0");
    let primary = "API rate limit exceeded for installation ID 1.";
    let secondary = "You have exceeded a secondary rate limit. Please wait a few minutes.";
    for (status, headers, text, rate_limit_hits, seconds) in [
        (403, vec![spent, ("x-ratelimit-reset", at), date], primary, 0, Some(91)),
        (403, vec![spent, ("x-ratelimit-reset", at)], primary, 0, Some(60)),
        (403, vec![spent, ("x-ratelimit-reset", "1"), date], primary, 0, Some(60)),
        (403, vec![("retry-after", "7")], secondary, 3, Some(7)),
        (403, vec![("retry-after", "0")], secondary, 3, Some(1)),
        (403, vec![("retry-after", "18446744073709551615")], secondary, 3, Some(480)),
        (403, vec![("retry-after", "9223372036854775807")], secondary, 3, Some(86_400)),
        (403, vec![spent, ("x-ratelimit-reset", "9223372036854775807"), date], primary, 0, Some(86_400)),
        (403, vec![spent, ("x-ratelimit-reset", "-9223372036854775808"), date], primary, 0, Some(60)),
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
        let error =
            parse_rest(&response(status, &headers, &error_body(text)), Access::Write, rate_limit_hits)
                .unwrap_err();
        match (&error, seconds) {
            (ApiError::RateLimited { retry_after: wait, .. }, Some(seconds)) => {
                assert_eq!(wait.as_secs(), seconds, "{status} {headers:?}");
            }
            (ApiError::Forbidden(_), None) => {}
            other => panic!("{status} {headers:?}: {other:?}"),
        }
    }
    let body = r#"{"errors":[{"type":"RATE_LIMITED","message":"API rate limit exceeded"}]}"#;
    let limited = response(200, &[spent, ("x-ratelimit-reset", at), date], body);
    assert_eq!(parse_graphql(&limited, Access::Write, 0), Err(rate_limited(91, "API rate limit exceeded")));
}

#[test]
fn malformed_json_is_transient_or_ambiguous() {
    for (status, body) in [(200, "<html>"), (502, "<html>"), (200, "{\"data\": ")] {
        let read = parse_rest(&response(status, &[], body), Access::Read, 0);
        assert!(matches!(read, Err(ApiError::Transient(_))), "{body}");
        let write = parse_rest(&response(status, &[], body), Access::Write, 0);
        assert!(matches!(write, Err(ApiError::Ambiguous(_))), "{body}");
    }
    assert_eq!(parse_rest(&response(204, &[], ""), Access::Write, 0), Ok(Value::Null));
    assert!(matches!(
        parse_graphql(&response(200, &[], "{}"), Access::Write, 0),
        Err(ApiError::Ambiguous(_))
    ));
}

/// GitHub or a proxy can answer anything: JSON that is no object must be an error as any other.
#[test]
fn graphql_response_of_any_shape_is_an_error_or_data() {
    for body in ["[]", "\"x\"", "5", "true", "null", "{}", "[{\"data\":1}]", "{\"data\":null}", "1e999"] {
        let read = parse_graphql(&response(200, &[], body), Access::Read, 0);
        assert!(matches!(read, Err(ApiError::Transient(_))), "{body}: {read:?}");
    }
    for body in [r#"{"data":[]}"#, r#"{"data":5}"#] {
        let read = parse_graphql(&response(200, &[], body), Access::Read, 0);
        assert!(matches!(read, Err(ApiError::Transient(_))), "{body}: {read:?}");
    }
    for body in [r#"{"data":{}}"#, r#"{"errors":[[],5,"x",{"path":"x"}]}"#] {
        assert!(parse_graphql(&response(200, &[], body), Access::Read, 0).is_ok(), "{body}");
    }
    for body in ["[]", "5", r#"{"message":5,"errors":5}"#, r#"{"errors":[[],{"message":[]}]}"#] {
        assert_eq!(message(&response(500, &[], body)), "GitHub responded with 500", "{body}");
    }
}

#[test]
fn graphql_errors_keep_type_and_field_beside_the_data() {
    let body = r#"{"data":{"a":1},"errors":[
        {"type":"NOT_FOUND","path":["repository","ref","target","f3"],"message":"Could not resolve file"},
        {"message":"x","path":["nodes",3]}, {}]}"#;
    let (data, errors) = parse_graphql(&response(200, &[], body), Access::Read, 0).unwrap();
    assert_eq!(data["a"], 1);
    assert_eq!((errors[0].kind.as_str(), errors[0].field.as_str()), ("NOT_FOUND", "f3"));
    assert_eq!((errors[1].kind.as_str(), errors[1].field.as_str()), ("", ""));
    assert_eq!(errors[2], GraphqlError::default());
}

#[test]
fn graphql_error_is_classified_by_type_or_else_by_message() {
    let stale = "Expected branch to point to \"c0ffee\" but it did not.  Pull and try again.";
    let broken = "Something went wrong while executing your query.";
    let pulls = "Changes must be made through a pull request.";
    let forbidden = "Resource not accessible by integration";
    for (kind, text, expected) in [
        ("STALE_DATA", stale, ApiError::HeadMoved),
        ("", stale, ApiError::HeadMoved),
        ("UNPROCESSABLE", stale, ApiError::HeadMoved),
        ("BRANCH_PROTECTION_RULE_VIOLATION", pulls, ApiError::Protected(pulls.into())),
        ("REPOSITORY_RULE_VIOLATION", "x", ApiError::Protected("x".into())),
        (
            "FORBIDDEN",
            "Protected branch update failed",
            ApiError::Protected("Protected branch update failed".into()),
        ),
        ("UNPROCESSABLE", pulls, ApiError::Protected(pulls.into())),
        ("FORBIDDEN", forbidden, ApiError::Forbidden(forbidden.into())),
        ("INSUFFICIENT_SCOPES", "scopes", ApiError::Forbidden("scopes".into())),
        ("NOT_FOUND", "Could not resolve", ApiError::NotFound("the requested object".into())),
        ("UNPROCESSABLE", "Not valid", ApiError::Rejected("Not valid".into())),
        ("", broken, ApiError::Ambiguous(broken.into())),
        ("SERVICE_UNAVAILABLE", "x", ApiError::Ambiguous("x".into())),
        ("", "Field 'x' doesn't exist", ApiError::Rejected("Field 'x' doesn't exist".into())),
    ] {
        let error = GraphqlError { kind: kind.into(), message: text.into(), field: String::new() };
        assert_eq!(classify(&error, Access::Write), expected, "{kind} {text}");
    }
}

#[test]
fn message_has_details_and_is_truncated() {
    let body = r#"{"message":"Validation Failed","errors":[{"message":"A pull request already exists"},
        {"field":"head","code":"invalid"},"plain",{"odd":1}]}"#;
    assert_eq!(
        message(&response(422, &[], body)),
        "GitHub responded with 422: Validation Failed: A pull request already exists: head invalid: plain"
    );
    assert_eq!(message(&response(502, &[], "<html>")), "GitHub responded with 502");
    assert!(message(&response(500, &[], &error_body(&"x".repeat(9000)))).len() < 500);
}
