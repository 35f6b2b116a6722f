//! One sticky comment at a pull request, found again by a hidden mark. Only comments of bots or of our own user are
//! changed: a person may copy the mark, and comments of people are never touched.
//! <https://docs.github.com/rest/issues/comments>

use http::Method;
use serde_json::{Value, json};

use super::client::ApiRequest;
use super::error::ApiError;
use super::reply::with_resource;
use super::repository::RunRepository;
use super::upsert::{LOOKUP_RETRY, PAGE_SIZE, UPSERT_RETRY, Upserted};
use crate::retry::{self, Look};

/// Maximum pages of comments that are searched.
const MAX_PAGES: usize = 50;

/// A comment that should exist once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StickyComment {
    /// Number of the pull request.
    pub number: u64,
    /// The start of the body, which no other comment of ours has.
    pub marker: String,
    /// The complete body with the mark: Markdown of at most 65,536 characters.
    pub body: String,
    /// Whether it is only updated, and not created if it does not exist.
    pub update_only: bool,
}

/// A comment as GitHub has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ExistingComment {
    id: u64,
    body: String,
    author: String,
    is_bot: bool,
}

impl RunRepository {
    /// Upserts the comment. [`ApiError::Forbidden`] means that the token may not write comments.
    pub async fn upsert_comment(&self, comment: &StickyComment) -> Result<Upserted, ApiError> {
        retry::ambiguous(
            &UPSERT_RETRY,
            async |existing: Option<ExistingComment>| match existing {
                Some(existing) => {
                    self.update_comment(existing.id, &comment.body).await?;
                    Ok(Upserted::Updated)
                }
                None => {
                    self.create_comment(comment).await?;
                    Ok(Upserted::Created)
                }
            },
            async |failed| match self.find_comment(comment).await? {
                Some(existing) if is_same_text(&existing.body, &comment.body) => {
                    Ok(Look::Done(if failed.is_none() { Upserted::Unchanged } else { Upserted::Created }))
                }
                None if comment.update_only => Ok(Look::Done(Upserted::Unchanged)),
                existing => Ok(Look::Send(existing)),
            },
        )
        .await
        .map_err(ApiError::from)
    }

    async fn find_comment(&self, comment: &StickyComment) -> Result<Option<ExistingComment>, ApiError> {
        let mut people = Vec::new();
        for page in 1..=MAX_PAGES {
            let rest = format!("/issues/{}/comments?per_page={PAGE_SIZE}&page={page}", comment.number);
            let noun = |error| with_resource(error, format!("pull request #{}", comment.number));
            let list =
                self.client.get(&ApiRequest::get(self.route(&rest)), LOOKUP_RETRY).await.map_err(noun)?;
            let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
            let marked =
                list.iter().filter_map(parse_comment).filter(|known| known.body.starts_with(&comment.marker));
            for known in marked {
                match known.is_bot {
                    true => return Ok(Some(known)),
                    false => people.push(known),
                }
            }
            if list.len() < PAGE_SIZE {
                break;
            }
        }
        self.find_own_comment(people).await
    }

    /// With the token of a person, our comments belong to that person.
    async fn find_own_comment(
        &self,
        people: Vec<ExistingComment>,
    ) -> Result<Option<ExistingComment>, ApiError> {
        if people.is_empty() {
            return Ok(None);
        }
        let (data, _) = self.client.query("query{viewer{login}}", json!({}), LOOKUP_RETRY).await?;
        let login = data["viewer"]["login"].as_str().unwrap_or_default();
        Ok(people.into_iter().find(|known| !login.is_empty() && known.author == login))
    }

    async fn create_comment(&self, comment: &StickyComment) -> Result<(), ApiError> {
        let route = self.route(&format!("/issues/{}/comments", comment.number));
        self.client
            .send_once(&ApiRequest::with_body(Method::POST, route, json!({ "body": comment.body })))
            .await
            .map(drop)
    }

    async fn update_comment(&self, id: u64, body: &str) -> Result<(), ApiError> {
        let route = self.route(&format!("/issues/comments/{id}"));
        self.client
            .send_once(&ApiRequest::with_body(Method::PATCH, route, json!({ "body": body })))
            .await
            .map(drop)
    }
}

fn parse_comment(entry: &Value) -> Option<ExistingComment> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (id, bot) = (entry["id"].as_u64()?, entry["user"]["type"] == "Bot");
    Some(ExistingComment {
        id,
        body: text(&entry["body"]),
        author: text(&entry["user"]["login"]),
        is_bot: bot,
    })
}

/// GitHub may change line ends, and removes blanks at the end.
fn is_same_text(one: &str, other: &str) -> bool {
    let plain = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
    plain(one) == plain(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::github::mock::{MockGitHub, MockReply, graphql_reply, rest_reply};

    const MARKER: &str = "<!-- roadstead:plan:x -->";

    fn sticky_comment() -> StickyComment {
        StickyComment {
            number: 7,
            marker: MARKER.into(),
            body: format!("{MARKER}\nplan"),
            update_only: false,
        }
    }

    fn comment(id: u64, kind: &str, login: &str, body: &str) -> Value {
        json!({"id": id, "body": body, "user": {"login": login, "type": kind}})
    }

    fn own_comment(body: &str) -> Value {
        comment(5, "Bot", "github-actions[bot]", &format!("{MARKER}\n{body}"))
    }

    fn comment_list_reply(list: &[Value]) -> MockReply {
        rest_reply(200, json!(list))
    }

    async fn upsert_with_mock(
        comment: &StickyComment,
        replies: Vec<MockReply>,
    ) -> (Result<Upserted, ApiError>, Vec<String>) {
        let (repository, script) = MockGitHub::run_repository(replies);
        let upserted = repository.upsert_comment(comment).await;
        let calls = script.calls().into_iter().map(|call| call.replace("/repos/acme/shop/issues", ""));
        (upserted, calls.collect())
    }

    const LIST: &str = "GET /7/comments?per_page=100&page=1";

    #[tokio::test(start_paused = true)]
    async fn comment_is_created_then_updated_and_left_when_unchanged() {
        let (first, calls) = upsert_with_mock(
            &sticky_comment(),
            vec![comment_list_reply(&[]), rest_reply(201, json!({"id": 5}))],
        )
        .await;
        assert_eq!((first, calls), (Ok(Upserted::Created), vec![LIST.into(), "POST /7/comments".into()]));
        let (later, calls) = upsert_with_mock(
            &sticky_comment(),
            vec![comment_list_reply(&[own_comment("old")]), rest_reply(200, json!({"id": 5}))],
        )
        .await;
        assert_eq!((later, calls), (Ok(Upserted::Updated), vec![LIST.into(), "PATCH /comments/5".into()]));
        let (same, calls) =
            upsert_with_mock(&sticky_comment(), vec![comment_list_reply(&[own_comment("plan\r\n")])]).await;
        assert_eq!((same, calls), (Ok(Upserted::Unchanged), vec![LIST.into()]));
    }

    #[tokio::test(start_paused = true)]
    async fn comment_is_found_on_any_page_and_not_created_when_update_only() {
        let others: Vec<Value> = (0..100).map(|id| comment(id + 10, "User", "ann", "hello")).collect();
        let (found, calls) = upsert_with_mock(
            &sticky_comment(),
            vec![
                comment_list_reply(&others),
                comment_list_reply(&[own_comment("old")]),
                rest_reply(200, json!({})),
            ],
        )
        .await;
        assert_eq!((found, calls.len()), (Ok(Upserted::Updated), 3));
        assert_eq!(calls[1], "GET /7/comments?per_page=100&page=2");
        let (none, calls) = upsert_with_mock(
            &StickyComment { update_only: true, ..sticky_comment() },
            vec![comment_list_reply(&[])],
        )
        .await;
        assert_eq!((none, calls.len()), (Ok(Upserted::Unchanged), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn comment_of_a_person_is_left_unless_the_token_is_theirs() {
        let copied = comment(9, "User", "eve", &format!("{MARKER}\nold"));
        let quoted = comment(8, "Bot", "other[bot]", &format!("> {MARKER}"));
        let viewer = |login: &str| graphql_reply(json!({"viewer": {"login": login}}));
        let list = || comment_list_reply(&[quoted.clone(), copied.clone()]);
        let (created, calls) = upsert_with_mock(
            &sticky_comment(),
            vec![list(), viewer("github-actions[bot]"), rest_reply(201, json!({}))],
        )
        .await;
        assert_eq!((created, calls[2].as_str()), (Ok(Upserted::Created), "POST /7/comments"));
        let (updated, calls) =
            upsert_with_mock(&sticky_comment(), vec![list(), viewer("eve"), rest_reply(200, json!({}))])
                .await;
        assert_eq!((updated, calls[2].as_str()), (Ok(Upserted::Updated), "PATCH /comments/9"));
    }

    #[tokio::test(start_paused = true)]
    async fn ambiguous_write_searches_before_it_creates_again() {
        let (found, calls) = upsert_with_mock(
            &sticky_comment(),
            vec![
                comment_list_reply(&[]),
                MockReply::ConnectionReset,
                comment_list_reply(&[own_comment("plan")]),
            ],
        )
        .await;
        assert_eq!((found, calls.len()), (Ok(Upserted::Created), 3));
        let again = vec![
            comment_list_reply(&[]),
            rest_reply(502, json!({})),
            comment_list_reply(&[]),
            rest_reply(201, json!({})),
        ];
        let (posted, calls) = upsert_with_mock(&sticky_comment(), again).await;
        assert_eq!((posted, calls.len()), (Ok(Upserted::Created), 4));
        // Three attempts, and a last look.
        let attempts = (0..3).flat_map(|_| [comment_list_reply(&[]), rest_reply(502, json!({}))]);
        let never = attempts.chain([comment_list_reply(&[])]).collect();
        assert!(matches!(upsert_with_mock(&sticky_comment(), never).await.0, Err(ApiError::Ambiguous(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn missing_permission_fails_at_once() {
        let refused = rest_reply(403, json!({"message": "Resource not accessible by integration"}));
        let (upserted, calls) =
            upsert_with_mock(&sticky_comment(), vec![comment_list_reply(&[]), refused]).await;
        assert!(matches!(upserted, Err(ApiError::Forbidden(_))));
        assert_eq!(calls.len(), 2);
    }
}
