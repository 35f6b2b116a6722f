//! One comment of ours at a pull request, found again by a hidden mark. Only what a bot wrote, or who we are, is ever
//! changed: a person may copy the mark, and what people write is theirs.
//! <https://docs.github.com/rest/issues/comments>

use http::Method;
use serde_json::{Value, json};

use super::door::Ask;
use super::kept::{Kept, LOOKING, PAGE, PAUSE, TRIES};
use super::project::Project;
use super::reply::named;
use super::setback::Setback;

/// So many pages of comments are looked through.
const PAGES: usize = 50;

/// A comment that is to be there once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Number of the pull request.
    pub number: u64,
    /// How the body begins, and no other comment of ours does.
    pub mark: String,
    /// The whole body, mark and all: Markdown of at most 65,536 characters.
    pub body: String,
    /// Whether it is only brought up to date, and not made where there is none.
    pub if_there: bool,
}

/// A comment as GitHub has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    id: u64,
    body: String,
    author: String,
    bot: bool,
}

impl Project {
    /// Has the comment there as it should be. [`Setback::Forbidden`] means that the token may not write comments.
    pub async fn keep_note(&self, note: &Note) -> Result<Kept, Setback> {
        let mut last = Setback::Uncertain("nothing was sent".into());
        for tried in 0..TRIES {
            tokio::time::sleep(PAUSE * tried).await;
            let done = match self.known_note(note).await? {
                Some(known) if same(&known.body, &note.body) => {
                    return Ok(if tried == 0 { Kept::Same } else { Kept::Made });
                }
                Some(known) => self.edit_note(known.id, &note.body).await.map(|()| Kept::Updated),
                None if note.if_there => return Ok(Kept::Same),
                None => self.post_note(note).await.map(|()| Kept::Made),
            };
            match done {
                Err(uncertain @ Setback::Uncertain(_)) => last = uncertain,
                other => return other,
            }
        }
        Err(last)
    }

    async fn known_note(&self, note: &Note) -> Result<Option<Known>, Setback> {
        let mut people = Vec::new();
        for page in 1..=PAGES {
            let rest = format!("/issues/{}/comments?per_page={PAGE}&page={page}", note.number);
            let noun = |setback| named(setback, format!("pull request #{}", note.number));
            let list = self.door.read(&Ask::get(self.route(&rest)), LOOKING).await.map_err(noun)?;
            let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
            let marked = list.iter().filter_map(known).filter(|known| known.body.starts_with(&note.mark));
            for known in marked {
                match known.bot {
                    true => return Ok(Some(known)),
                    false => people.push(known),
                }
            }
            if list.len() < PAGE {
                break;
            }
        }
        self.own(people).await
    }

    /// With the token of a person, our comments are that person's.
    async fn own(&self, people: Vec<Known>) -> Result<Option<Known>, Setback> {
        if people.is_empty() {
            return Ok(None);
        }
        let (data, _) = self.door.query("query{viewer{login}}", json!({}), LOOKING).await?;
        let login = data["viewer"]["login"].as_str().unwrap_or_default();
        Ok(people.into_iter().find(|known| !login.is_empty() && known.author == login))
    }

    async fn post_note(&self, note: &Note) -> Result<(), Setback> {
        let route = self.route(&format!("/issues/{}/comments", note.number));
        self.door.write(&Ask::send(Method::POST, route, json!({ "body": note.body }))).await.map(drop)
    }

    async fn edit_note(&self, id: u64, body: &str) -> Result<(), Setback> {
        let route = self.route(&format!("/issues/comments/{id}"));
        self.door.write(&Ask::send(Method::PATCH, route, json!({ "body": body }))).await.map(drop)
    }
}

fn known(entry: &Value) -> Option<Known> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (id, bot) = (entry["id"].as_u64()?, entry["user"]["type"] == "Bot");
    Some(Known { id, body: text(&entry["body"]), author: text(&entry["user"]["login"]), bot })
}

/// GitHub may change line ends, and drops blanks at the end.
fn same(one: &str, other: &str) -> bool {
    let plain = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
    plain(one) == plain(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::github::scripted::{Reply, Script, data, rest};

    const MARK: &str = "<!-- roadstead:plan:x -->";

    fn note() -> Note {
        Note { number: 7, mark: MARK.into(), body: format!("{MARK}\nplan"), if_there: false }
    }

    fn comment(id: u64, kind: &str, login: &str, body: &str) -> Value {
        json!({"id": id, "body": body, "user": {"login": login, "type": kind}})
    }

    fn ours(body: &str) -> Value {
        comment(5, "Bot", "github-actions[bot]", &format!("{MARK}\n{body}"))
    }

    fn listed(list: &[Value]) -> Reply {
        rest(200, json!(list))
    }

    async fn kept(note: &Note, replies: Vec<Reply>) -> (Result<Kept, Setback>, Vec<String>) {
        let (project, script) = Script::project(replies);
        let kept = project.keep_note(note).await;
        let calls = script.calls().into_iter().map(|call| call.replace("/repos/acme/shop/issues", ""));
        (kept, calls.collect())
    }

    const LIST: &str = "GET /7/comments?per_page=100&page=1";

    #[tokio::test(start_paused = true)]
    async fn the_first_is_posted_a_later_one_is_edited_and_the_same_is_left() {
        let (first, calls) = kept(&note(), vec![listed(&[]), rest(201, json!({"id": 5}))]).await;
        assert_eq!((first, calls), (Ok(Kept::Made), vec![LIST.into(), "POST /7/comments".into()]));
        let (later, calls) = kept(&note(), vec![listed(&[ours("old")]), rest(200, json!({"id": 5}))]).await;
        assert_eq!((later, calls), (Ok(Kept::Updated), vec![LIST.into(), "PATCH /comments/5".into()]));
        let (same, calls) = kept(&note(), vec![listed(&[ours("plan\r\n")])]).await;
        assert_eq!((same, calls), (Ok(Kept::Same), vec![LIST.into()]));
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_found_on_any_page_and_not_made_where_it_is_only_wanted_if_there() {
        let others: Vec<Value> = (0..100).map(|id| comment(id + 10, "User", "ann", "hello")).collect();
        let (found, calls) =
            kept(&note(), vec![listed(&others), listed(&[ours("old")]), rest(200, json!({}))]).await;
        assert_eq!((found, calls.len()), (Ok(Kept::Updated), 3));
        assert_eq!(calls[1], "GET /7/comments?per_page=100&page=2");
        let (none, calls) = kept(&Note { if_there: true, ..note() }, vec![listed(&[])]).await;
        assert_eq!((none, calls.len()), (Ok(Kept::Same), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_person_wrote_is_left_alone_unless_the_token_is_that_persons() {
        let copied = comment(9, "User", "eve", &format!("{MARK}\nold"));
        let quoted = comment(8, "Bot", "other[bot]", &format!("> {MARK}"));
        let viewer = |login: &str| data(json!({"viewer": {"login": login}}));
        let list = || listed(&[quoted.clone(), copied.clone()]);
        let (made, calls) =
            kept(&note(), vec![list(), viewer("github-actions[bot]"), rest(201, json!({}))]).await;
        assert_eq!((made, calls[2].as_str()), (Ok(Kept::Made), "POST /7/comments"));
        let (updated, calls) = kept(&note(), vec![list(), viewer("eve"), rest(200, json!({}))]).await;
        assert_eq!((updated, calls[2].as_str()), (Ok(Kept::Updated), "PATCH /comments/9"));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_lost_answer_it_looks_before_it_posts_again() {
        let (found, calls) = kept(&note(), vec![listed(&[]), Reply::Lost, listed(&[ours("plan")])]).await;
        assert_eq!((found, calls.len()), (Ok(Kept::Made), 3));
        let again = vec![listed(&[]), rest(502, json!({})), listed(&[]), rest(201, json!({}))];
        let (posted, calls) = kept(&note(), again).await;
        assert_eq!((posted, calls.len()), (Ok(Kept::Made), 4));
        let never = (0..3).flat_map(|_| [listed(&[]), rest(502, json!({}))]).collect();
        assert!(matches!(kept(&note(), never).await.0, Err(Setback::Uncertain(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_without_the_right_is_told_so_at_once() {
        let refused = rest(403, json!({"message": "Resource not accessible by integration"}));
        let (kept, calls) = kept(&note(), vec![listed(&[]), refused]).await;
        assert!(matches!(kept, Err(Setback::Forbidden(_))));
        assert_eq!(calls.len(), 2);
    }
}
