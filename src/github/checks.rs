//! One check run of ours at a commit, with its annotations in requests of fifty. GitHub appends the annotations of each
//! request, so nothing is sent twice: after a lost response, and after an interrupted run, sending
//! continues behind those that GitHub counts. <https://docs.github.com/rest/checks/runs>

use http::Method;
use serde_json::{Value, json};

use super::client::ApiRequest;
use super::error::ApiError;
use super::reply::with_resource;
use super::repository::RunRepository;
use super::upsert::{LOOKUP_RETRY, PAGE_SIZE, UPSERT_RETRY, Upserted};
use super::validate;
use crate::retry::{self, Look};

/// Maximum annotations of one request.
pub const MAX_ANNOTATIONS_PER_REQUEST: usize = 50;
/// Maximum message and title of an annotation, in bytes; GitHub accepts 64 KB and 255 characters.
const MAX_TEXT_BYTES: [usize; 2] = [8 << 10, 250];

/// A check run that should exist once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRun {
    /// Its name, such as `roadstead / plan`.
    pub name: String,
    /// The commit, in full.
    pub head_sha: String,
    /// Our external id: used to find it again.
    pub external_id: String,
    /// The run's own page.
    pub details_url: Option<String>,
    /// One line.
    pub title: String,
    /// Markdown, at most 65,535 characters.
    pub summary: String,
    /// The conclusion.
    pub conclusion: Conclusion,
    /// The annotations on lines of files.
    pub annotations: Vec<CheckAnnotation>,
}

/// The conclusion of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    /// It may be merged.
    Success,
    /// There was nothing to check.
    Neutral,
    /// It should not be merged as it is.
    Failure,
}

impl Conclusion {
    fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Neutral => "neutral",
            Self::Failure => "failure",
        }
    }
}

/// An annotation: plain text at a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckAnnotation {
    /// Path in the repository.
    pub path: String,
    /// Line, from 1.
    pub line: usize,
    /// How much it matters.
    pub level: AnnotationLevel,
    /// Its title.
    pub title: String,
    /// Its text; may have several lines.
    pub message: String,
}

/// How much an annotation matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnnotationLevel {
    /// For information.
    Notice,
    /// Probably a mistake.
    Warning,
    /// It must be fixed.
    Failure,
}

/// A check as GitHub has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ExistingCheck {
    id: u64,
    title: String,
    summary: String,
    conclusion: Option<String>,
    annotations: usize,
}

impl ExistingCheck {
    /// Whether it can be completed as it is: the same text, and not more annotations than ours.
    fn can_continue(&self, check: &CheckRun) -> bool {
        let words = self.title == check.title && self.summary.trim_end() == check.summary.trim_end();
        let ended = self.conclusion.is_some();
        let all = self.annotations == check.annotations.len();
        self.annotations == 0 || (words && (all || (!ended && self.annotations < check.annotations.len())))
    }

    fn matches(&self, check: &CheckRun) -> bool {
        self.can_continue(check)
            && self.title == check.title
            && self.summary.trim_end() == check.summary.trim_end()
            && self.annotations == check.annotations.len()
            && self.conclusion.as_deref() == Some(check.conclusion.as_str())
    }
}

impl RunRepository {
    /// Upserts the check. A check of the same commit with other annotations is not changed,
    /// and a new one replaces it: annotations cannot be removed. [`ApiError::Forbidden`] means that the token may
    /// not write checks.
    pub async fn upsert_check(&self, check: &CheckRun) -> Result<Upserted, ApiError> {
        validate::commit(&check.head_sha).map_err(ApiError::Rejected)?;
        retry::ambiguous(
            &UPSERT_RETRY,
            async |existing: Option<ExistingCheck>| match existing {
                Some(existing) => {
                    self.append_annotations(check, existing.id, existing.annotations).await?;
                    Ok(Upserted::Updated)
                }
                None => {
                    self.create_check(check).await?;
                    Ok(Upserted::Created)
                }
            },
            async |_| {
                let existing = self.find_check(check).await?.filter(|existing| existing.can_continue(check));
                match existing.as_ref().is_some_and(|existing| existing.matches(check)) {
                    true => Ok(Look::Done(Upserted::Unchanged)),
                    false => Ok(Look::Send(existing)),
                }
            },
        )
        .await
        .map_err(ApiError::from)
    }

    /// The newest of ours at the commit.
    async fn find_check(&self, check: &CheckRun) -> Result<Option<ExistingCheck>, ApiError> {
        let name = validate::percent_encoded(&check.name).replace('/', "%2F");
        let rest = format!(
            "/commits/{}/check-runs?check_name={name}&filter=all&per_page={PAGE_SIZE}",
            check.head_sha
        );
        let noun = |error| with_resource(error, format!("the commit `{}`", check.head_sha));
        let response =
            self.client.get(&ApiRequest::get(self.route(&rest)), LOOKUP_RETRY).await.map_err(noun)?;
        let list = response["check_runs"].as_array().into_iter().flatten();
        let ours =
            list.filter(|run| run["external_id"] == check.external_id.as_str()).filter_map(parse_check);
        Ok(ours.max_by_key(|known| known.id))
    }

    async fn create_check(&self, check: &CheckRun) -> Result<(), ApiError> {
        let (first, rest) =
            check.annotations.split_at(check.annotations.len().min(MAX_ANNOTATIONS_PER_REQUEST));
        let mut body = request_body(check, first, rest.is_empty());
        body["name"] = json!(check.name);
        body["head_sha"] = json!(check.head_sha);
        body["external_id"] = json!(check.external_id);
        if let Some(url) = &check.details_url {
            body["details_url"] = json!(url);
        }
        let request = ApiRequest::with_body(Method::POST, self.route("/check-runs"), body);
        let created = self.client.send_once(&request).await?;
        let id = created["id"].as_u64().ok_or_else(|| ApiError::Ambiguous("GitHub returned no id".into()))?;
        if rest.is_empty() { Ok(()) } else { self.append_annotations(check, id, first.len()).await }
    }

    /// Sends the missing annotations; the last request sets the conclusion.
    async fn append_annotations(&self, check: &CheckRun, id: u64, there: usize) -> Result<(), ApiError> {
        let mut rest = check.annotations.get(there..).unwrap_or_default();
        loop {
            let (next, later) = rest.split_at(rest.len().min(MAX_ANNOTATIONS_PER_REQUEST));
            let route = self.route(&format!("/check-runs/{id}"));
            self.client
                .send_once(&ApiRequest::with_body(
                    Method::PATCH,
                    route,
                    request_body(check, next, later.is_empty()),
                ))
                .await?;
            if later.is_empty() {
                return Ok(());
            }
            rest = later;
        }
    }
}

/// The body of one request.
fn request_body(check: &CheckRun, annotations: &[CheckAnnotation], last: bool) -> Value {
    let mut output = json!({ "title": check.title, "summary": check.summary });
    if !annotations.is_empty() {
        output["annotations"] = annotations.iter().map(annotation_body).collect();
    }
    match last {
        true => json!({ "status": "completed", "conclusion": check.conclusion.as_str(), "output": output }),
        false => json!({ "status": "in_progress", "output": output }),
    }
}

fn annotation_body(annotation: &CheckAnnotation) -> Value {
    let level = match annotation.level {
        AnnotationLevel::Notice => "notice",
        AnnotationLevel::Warning => "warning",
        AnnotationLevel::Failure => "failure",
    };
    let line = annotation.line.max(1);
    json!({
        "path": annotation.path, "start_line": line, "end_line": line, "annotation_level": level,
        "title": truncate(&annotation.title, MAX_TEXT_BYTES[1]), "message": truncate(&annotation.message, MAX_TEXT_BYTES[0]),
    })
}

/// The start of a text; GitHub requires at least one character.
fn truncate(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    if end == 0 { "–" } else { &text[..end] }
}

fn parse_check(run: &Value) -> Option<ExistingCheck> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let output = &run["output"];
    Some(ExistingCheck {
        id: run["id"].as_u64()?,
        title: text(&output["title"]),
        summary: text(&output["summary"]),
        conclusion: run["conclusion"].as_str().map(str::to_owned),
        annotations: usize::try_from(output["annotations_count"].as_u64().unwrap_or_default()).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::github::mock::{MockGitHub, MockReply, rest_reply};

    const LIST: &str =
        "GET /commits/c0ffee1/check-runs?check_name=roadstead%20%2F%20plan&filter=all&per_page=100";

    fn check(annotations: usize) -> CheckRun {
        let annotation = |line: usize| CheckAnnotation {
            path: "f.yml".into(),
            line,
            level: AnnotationLevel::Notice,
            title: "t".into(),
            message: "m".into(),
        };
        CheckRun {
            name: "roadstead / plan".into(),
            head_sha: "c0ffee1".into(),
            external_id: "roadstead:plan:f.yml".into(),
            details_url: None,
            title: "1 service would change".into(),
            summary: "plan".into(),
            conclusion: Conclusion::Success,
            annotations: (1..=annotations).map(annotation).collect(),
        }
    }

    fn check_list_reply(summary: &str, annotations: usize, conclusion: Value) -> MockReply {
        let output =
            json!({"title": "1 service would change", "summary": summary, "annotations_count": annotations});
        let run = json!({"id": 9, "external_id": "roadstead:plan:f.yml", "conclusion": conclusion, "output": output});
        let other =
            json!({"id": 99, "external_id": "roadstead:plan:other", "conclusion": null, "output": {}});
        rest_reply(200, json!({"total_count": 2, "check_runs": [other, run]}))
    }

    fn empty_list_reply() -> MockReply {
        rest_reply(200, json!({"total_count": 0, "check_runs": []}))
    }

    fn created_reply() -> MockReply {
        rest_reply(201, json!({"id": 9}))
    }

    /// The result, and each call with the number of its annotations and its conclusion.
    async fn upsert_with_mock(
        check: &CheckRun,
        replies: Vec<MockReply>,
    ) -> (Result<Upserted, ApiError>, Vec<String>) {
        let (project, script) = MockGitHub::run_repository(replies);
        let kept = project.upsert_check(check).await;
        let calls = script.calls().into_iter().zip(script.asked()).map(|(call, asked)| {
            let sent = asked.body["output"]["annotations"].as_array().map_or(0, Vec::len);
            let end = asked.body["conclusion"].as_str().unwrap_or("-");
            let call = call.replace("/repos/acme/shop", "");
            if call.starts_with("GET") { call } else { format!("{call} {sent} {end}") }
        });
        (kept, calls.collect())
    }

    #[tokio::test(start_paused = true)]
    async fn annotations_are_sent_in_fifties_and_the_last_request_completes_the_check() {
        let ok = || rest_reply(200, json!({"id": 9}));
        let (kept, calls) =
            upsert_with_mock(&check(120), vec![empty_list_reply(), created_reply(), ok(), ok()]).await;
        assert_eq!(kept, Ok(Upserted::Created));
        let patch = "PATCH /check-runs/9";
        let sent =
            ["POST /check-runs 50 -".to_owned(), format!("{patch} 50 -"), format!("{patch} 20 success")];
        assert_eq!(calls[1..], sent);
        let (kept, calls) = upsert_with_mock(&check(50), vec![empty_list_reply(), created_reply()]).await;
        assert_eq!(
            (kept, calls),
            (Ok(Upserted::Created), vec![LIST.into(), "POST /check-runs 50 success".into()])
        );
    }

    #[tokio::test(start_paused = true)]
    async fn unchanged_check_is_left_and_changed_text_is_updated() {
        let (same, calls) =
            upsert_with_mock(&check(3), vec![check_list_reply("plan", 3, json!("success"))]).await;
        assert_eq!((same, calls), (Ok(Upserted::Unchanged), vec![LIST.into()]));
        let (updated, calls) = upsert_with_mock(
            &check(0),
            vec![check_list_reply("other", 0, json!("failure")), rest_reply(200, json!({}))],
        )
        .await;
        assert_eq!((updated, calls[1].as_str()), (Ok(Upserted::Updated), "PATCH /check-runs/9 0 success"));
        let (ended, calls) = upsert_with_mock(
            &check(3),
            vec![check_list_reply("plan", 3, json!("failure")), rest_reply(200, json!({}))],
        )
        .await;
        assert_eq!((ended, calls[1].as_str()), (Ok(Upserted::Updated), "PATCH /check-runs/9 0 success"));
    }

    #[tokio::test(start_paused = true)]
    async fn different_annotations_lead_to_a_new_check() {
        let (created, calls) = upsert_with_mock(
            &check(3),
            vec![check_list_reply("other", 2, json!("success")), created_reply()],
        )
        .await;
        assert_eq!((created, calls[1].as_str()), (Ok(Upserted::Created), "POST /check-runs 3 success"));
    }

    #[tokio::test(start_paused = true)]
    async fn ambiguous_write_continues_after_existing_annotations() {
        let lost = vec![
            empty_list_reply(),
            created_reply(),
            MockReply::ConnectionReset,
            check_list_reply("plan", 100, Value::Null),
            rest_reply(200, json!({})),
        ];
        let (kept, calls) = upsert_with_mock(&check(120), lost).await;
        assert_eq!((kept, calls[4].as_str()), (Ok(Upserted::Updated), "PATCH /check-runs/9 20 success"));
        let created = vec![
            empty_list_reply(),
            rest_reply(502, json!({})),
            check_list_reply("plan", 3, json!("success")),
        ];
        let (kept, calls) = upsert_with_mock(&check(3), created).await;
        assert_eq!((kept, calls.len()), (Ok(Upserted::Unchanged), 3));
        // Three attempts, and a last look.
        let attempts = (0..3).flat_map(|_| [empty_list_reply(), MockReply::ConnectionReset]);
        let never = attempts.chain([empty_list_reply()]).collect();
        assert!(matches!(upsert_with_mock(&check(3), never).await.0, Err(ApiError::Ambiguous(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn missing_permission_fails_at_once() {
        let refused = rest_reply(403, json!({"message": "Resource not accessible by integration"}));
        let (kept, calls) = upsert_with_mock(&check(3), vec![empty_list_reply(), refused]).await;
        assert!(matches!(kept, Err(ApiError::Forbidden(_))));
        assert_eq!(calls.len(), 2);
        let odd = CheckRun { head_sha: "../x".into(), ..check(1) };
        assert!(matches!(upsert_with_mock(&odd, vec![]).await.0, Err(ApiError::Rejected(_))));
    }
}
