//! Parses responses of GitHub: a value, or an error. Pure.
//! <https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api>

use std::time::Duration;

use jiff::fmt::rfc2822;
use serde_json::Value;

use super::error::ApiError;
use crate::sys::http::Response;

/// The minimum wait if GitHub names none, and the maximum that it grows to.
const WAIT_BOUNDS: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(900)];
/// What GitHub may ask for at most. No run waits so long; a larger number cannot be calculated with.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(86_400);
/// Maximum quote of GitHub's message, in characters.
const MAX_QUOTE_CHARS: usize = 400;
/// The requested object, if the caller has no name for it.
const UNKNOWN_RESOURCE: &str = "the requested object";

/// Whether a request only reads. A write without a clear response may have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Repeating it changes nothing.
    Read,
    /// Repeating it may do something twice.
    Write,
}

/// One entry of `errors` in a GraphQL response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GraphqlError {
    /// Its `type`, such as `NOT_FOUND`; GitHub sometimes omits it.
    pub kind: String,
    /// The message.
    pub message: String,
    /// The last name of the path to the field; empty if it is about the whole query.
    pub field: String,
}

/// A response of the REST API. `rate_limit_hits` counts the rate limit hits since the last success.
pub fn parse_rest(response: &Response, aim: Access, rate_limit_hits: u32) -> Result<Value, ApiError> {
    if (200..300).contains(&response.status) {
        return match response.body.as_slice() {
            [] => Ok(Value::Null),
            body => serde_json::from_slice(body).map_err(|_| {
                ambiguous(
                    aim,
                    format!("GitHub responded with {} and a body that is not JSON", response.status),
                )
            }),
        };
    }
    if let Some(limited) = rate_limit_error(response, rate_limit_hits) {
        return Err(limited);
    }
    Err(classify_status(response.status, message(response), aim))
}

/// A response of the GraphQL API: its `data` and its errors. Both can be present.
pub fn parse_graphql(
    response: &Response,
    aim: Access,
    rate_limit_hits: u32,
) -> Result<(Value, Vec<GraphqlError>), ApiError> {
    let mut value = parse_rest(response, aim, rate_limit_hits)?;
    let errors: Vec<GraphqlError> =
        value["errors"].as_array().into_iter().flatten().map(parse_graphql_error).collect();
    if let Some(limit) =
        errors.iter().find(|known| known.kind == "RATE_LIMITED" || is_rate_limit_message(&known.message))
    {
        return Err(ApiError::RateLimited {
            retry_after: rate_limit_wait(response, rate_limit_hits),
            reason: truncate_quote(&limit.message),
        });
    }
    let data = value.get_mut("data").map(Value::take).unwrap_or_default();
    if !data.is_object() && errors.is_empty() {
        return Err(ambiguous(aim, "GitHub returned no data".into()));
    }
    Ok((data, errors))
}

fn parse_graphql_error(entry: &Value) -> GraphqlError {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let last = entry["path"].as_array().and_then(|path| path.last()).map(text);
    GraphqlError {
        kind: text(&entry["type"]),
        message: text(&entry["message"]),
        field: last.unwrap_or_default(),
    }
}

/// The error of the caller for a GraphQL error.
pub fn classify(error: &GraphqlError, aim: Access) -> ApiError {
    let why = truncate_quote(&error.message);
    match error.kind.as_str() {
        "STALE_DATA" => ApiError::HeadMoved,
        kind if kind.ends_with("RULE_VIOLATION") => ApiError::Protected(why),
        _ if error.message.starts_with("Expected branch to point to") => ApiError::HeadMoved,
        _ if is_protection_message(&error.message) => ApiError::Protected(why),
        "NOT_FOUND" => ApiError::NotFound(UNKNOWN_RESOURCE.into()),
        "FORBIDDEN" | "INSUFFICIENT_SCOPES" => ApiError::Forbidden(why),
        "SERVICE_UNAVAILABLE" | "INTERNAL" | "TIMEOUT" => ambiguous(aim, why),
        "" if error.message.starts_with("Something went wrong") => ambiguous(aim, why),
        _ => ApiError::Rejected(why),
    }
}

/// An error about something with a name, as a noun.
pub fn with_resource(error: ApiError, noun: impl Into<String>) -> ApiError {
    match error {
        ApiError::NotFound(_) => ApiError::NotFound(noun.into()),
        other => other,
    }
}

/// The result is not known.
pub fn ambiguous(aim: Access, why: String) -> ApiError {
    match aim {
        Access::Read => ApiError::Transient(why),
        Access::Write => ApiError::Ambiguous(why),
    }
}

fn classify_status(status: u16, why: String, aim: Access) -> ApiError {
    match status {
        408 | 500..=599 => ambiguous(aim, why),
        _ if is_protection_message(&why) => ApiError::Protected(why),
        401 | 403 => ApiError::Forbidden(why),
        404 => ApiError::NotFound(UNKNOWN_RESOURCE.into()),
        300..=399 => ApiError::NotFound("the repository under this name (it was renamed or moved)".into()),
        409 if why.contains("is empty") => ApiError::NotFound("any commit".into()),
        409 => ApiError::HeadMoved,
        422 if why.contains("not a fast forward") => ApiError::HeadMoved,
        422 if why.contains("Reference does not exist") => ApiError::NotFound("the branch".into()),
        _ => ApiError::Rejected(why),
    }
}

/// Messages of protected branches and rulesets. They come with various types and statuses.
fn is_protection_message(words: &str) -> bool {
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

/// Whether a response is a rate limit, and for how long.
fn rate_limit_error(response: &Response, rate_limit_hits: u32) -> Option<ApiError> {
    let is_refused = matches!(response.status, 403 | 429);
    let why = message(response);
    let spent = response.header("x-ratelimit-remaining") == Some("0");
    let has_retry_after = response.header("retry-after").is_some();
    let limit =
        is_refused && (response.status == 429 || spent || has_retry_after || is_rate_limit_message(&why));
    limit.then(|| ApiError::RateLimited {
        retry_after: rate_limit_wait(response, rate_limit_hits),
        reason: why,
    })
}

fn is_rate_limit_message(words: &str) -> bool {
    let words = words.to_lowercase();
    ["secondary rate limit", "abuse detection", "rate limit exceeded"]
        .iter()
        .any(|known| words.contains(known))
}

/// As long as GitHub states; otherwise a minute, doubled each time.
fn rate_limit_wait(response: &Response, rate_limit_hits: u32) -> Duration {
    let number = |name: &str| response.header(name).and_then(|value| value.trim().parse::<i64>().ok());
    let grown = WAIT_BOUNDS[0].saturating_mul(1 << rate_limit_hits.min(8)).min(WAIT_BOUNDS[1]);
    if let Some(seconds) = number("retry-after").and_then(|seconds| u64::try_from(seconds).ok()) {
        return Duration::from_secs(seconds.max(1)).min(MAX_RETRY_AFTER);
    }
    let spent = response.header("x-ratelimit-remaining") == Some("0");
    let Some(reset) = number("x-ratelimit-reset").filter(|_| spent) else { return grown };
    // GitHub's own clock: ours may differ, and a rehearsal has its own clock.
    let date = response.header("date").and_then(|date| rfc2822::parse(date).ok());
    let left = date.and_then(|date| u64::try_from(reset.saturating_sub(date.timestamp().as_second())).ok());
    left.map_or(grown, |left| Duration::from_secs(left.saturating_add(1)).min(MAX_RETRY_AFTER))
}

/// The status and GitHub's message, if the response has one.
pub fn message(response: &Response) -> String {
    let value: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let mut words: Vec<String> = value["message"].as_str().map(str::to_owned).into_iter().collect();
    for error in value["errors"].as_array().into_iter().flatten() {
        let text = error.as_str().or_else(|| error["message"].as_str()).map(str::to_owned);
        let code = || Some(format!("{} {}", error["field"].as_str()?, error["code"].as_str()?));
        words.extend(text.or_else(code));
    }
    match words.is_empty() {
        true => format!("GitHub responded with {}", response.status),
        false => format!("GitHub responded with {}: {}", response.status, truncate_quote(&words.join(": "))),
    }
}

fn truncate_quote(words: &str) -> String {
    words.chars().take(MAX_QUOTE_CHARS).collect()
}

#[cfg(test)]
mod tests;
