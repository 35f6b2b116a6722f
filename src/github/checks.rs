//! One check run of ours at a commit, with its annotations in requests of fifty. GitHub adds the annotations of each
//! request to those that are there, so nothing is sent twice: after a lost answer, and after a run that was cut off, it
//! goes on behind those that GitHub counts. <https://docs.github.com/rest/checks/runs>

use http::Method;
use serde_json::{Value, json};

use super::door::Ask;
use super::kept::{Kept, LOOKING, PAGE, PAUSE, TRIES};
use super::names;
use super::project::Project;
use super::reply::named;
use super::setback::Setback;

/// The most annotations of one request.
pub const CHUNK: usize = 50;
/// The longest message and title of an annotation, in bytes; GitHub takes 64 KB and 255 characters.
const LONGEST: [usize; 2] = [8 << 10, 250];

/// A check run that is to be there once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its name, such as `roadstead / plan`.
    pub name: String,
    /// The commit, in full.
    pub head_sha: String,
    /// Our own name for it: the one by which it is found again.
    pub external_id: String,
    /// The run's own page.
    pub details_url: Option<String>,
    /// One line.
    pub title: String,
    /// Markdown, at most 65,535 characters.
    pub summary: String,
    /// How it ended.
    pub conclusion: Conclusion,
    /// What stands on lines of files.
    pub remarks: Vec<Remark>,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    /// It may be merged.
    Success,
    /// There was nothing to look at.
    Neutral,
    /// It should not be merged as it is.
    Failure,
}

impl Conclusion {
    fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Neutral => "neutral",
            Self::Failure => "failure",
        }
    }
}

/// An annotation: plain text at a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Path in the repository.
    pub path: String,
    /// Line, from 1.
    pub line: usize,
    /// How much it matters.
    pub level: Level,
    /// Its heading.
    pub title: String,
    /// Its text; may have several lines.
    pub message: String,
}

/// How much an annotation matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Good to know.
    Notice,
    /// Probably not what was meant.
    Warning,
    /// It cannot go on like this.
    Failure,
}

/// A check as GitHub has it, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    id: u64,
    title: String,
    summary: String,
    conclusion: Option<String>,
    annotations: usize,
}

impl Known {
    /// Whether nothing has to be taken back in it: the same words, and not more annotations than ours.
    fn goes_on(&self, check: &Check) -> bool {
        let words = self.title == check.title && self.summary.trim_end() == check.summary.trim_end();
        let ended = self.conclusion.is_some();
        let all = self.annotations == check.remarks.len();
        self.annotations == 0 || (words && (all || (!ended && self.annotations < check.remarks.len())))
    }

    fn is(&self, check: &Check) -> bool {
        self.goes_on(check)
            && self.title == check.title
            && self.summary.trim_end() == check.summary.trim_end()
            && self.annotations == check.remarks.len()
            && self.conclusion.as_deref() == Some(check.conclusion.word())
    }
}

impl Project {
    /// Has the check there as it should be. One of the same commit that says something else on lines is left as it is,
    /// and a new one takes its place: annotations cannot be taken back. [`Setback::Forbidden`] means that the token may
    /// not write checks.
    pub async fn keep_check(&self, check: &Check) -> Result<Kept, Setback> {
        names::commit(&check.head_sha).map_err(Setback::Refused)?;
        let mut last = Setback::Uncertain("nothing was sent".into());
        for tried in 0..TRIES {
            tokio::time::sleep(PAUSE * tried).await;
            let known = self.known_check(check).await?.filter(|known| known.goes_on(check));
            let (done, sent) = match known {
                Some(known) if known.is(check) => return Ok(Kept::Same),
                Some(known) => (Kept::Updated, self.go_on(check, known.id, known.annotations).await),
                None => (Kept::Made, self.make_check(check).await),
            };
            match sent {
                Err(uncertain @ Setback::Uncertain(_)) => last = uncertain,
                other => return other.map(|()| done),
            }
        }
        Err(last)
    }

    /// The newest of ours at the commit.
    async fn known_check(&self, check: &Check) -> Result<Option<Known>, Setback> {
        let name = names::encoded(&check.name).replace('/', "%2F");
        let rest =
            format!("/commits/{}/check-runs?check_name={name}&filter=all&per_page={PAGE}", check.head_sha);
        let noun = |setback| named(setback, format!("the commit `{}`", check.head_sha));
        let answer = self.door.read(&Ask::get(self.route(&rest)), LOOKING).await.map_err(noun)?;
        let list = answer["check_runs"].as_array().into_iter().flatten();
        let ours = list.filter(|run| run["external_id"] == check.external_id.as_str()).filter_map(known);
        Ok(ours.max_by_key(|known| known.id))
    }

    async fn make_check(&self, check: &Check) -> Result<(), Setback> {
        let (first, rest) = check.remarks.split_at(check.remarks.len().min(CHUNK));
        let mut body = part(check, first, rest.is_empty());
        body["name"] = json!(check.name);
        body["head_sha"] = json!(check.head_sha);
        body["external_id"] = json!(check.external_id);
        if let Some(url) = &check.details_url {
            body["details_url"] = json!(url);
        }
        let ask = Ask::send(Method::POST, self.route("/check-runs"), body);
        let made = self.door.write(&ask).await?;
        let id =
            made["id"].as_u64().ok_or_else(|| Setback::Uncertain("GitHub answered without an id".into()))?;
        if rest.is_empty() { Ok(()) } else { self.go_on(check, id, first.len()).await }
    }

    /// Sends what is missing behind the annotations that are there; the last request says how the check ended.
    async fn go_on(&self, check: &Check, id: u64, there: usize) -> Result<(), Setback> {
        let mut rest = check.remarks.get(there..).unwrap_or_default();
        loop {
            let (next, later) = rest.split_at(rest.len().min(CHUNK));
            let route = self.route(&format!("/check-runs/{id}"));
            self.door.write(&Ask::send(Method::PATCH, route, part(check, next, later.is_empty()))).await?;
            if later.is_empty() {
                return Ok(());
            }
            rest = later;
        }
    }
}

/// The body of one request.
fn part(check: &Check, remarks: &[Remark], last: bool) -> Value {
    let mut output = json!({ "title": check.title, "summary": check.summary });
    if !remarks.is_empty() {
        output["annotations"] = remarks.iter().map(annotation).collect();
    }
    match last {
        true => json!({ "status": "completed", "conclusion": check.conclusion.word(), "output": output }),
        false => json!({ "status": "in_progress", "output": output }),
    }
}

fn annotation(remark: &Remark) -> Value {
    let level = match remark.level {
        Level::Notice => "notice",
        Level::Warning => "warning",
        Level::Failure => "failure",
    };
    let line = remark.line.max(1);
    json!({
        "path": remark.path, "start_line": line, "end_line": line, "annotation_level": level,
        "title": kept(&remark.title, LONGEST[1]), "message": kept(&remark.message, LONGEST[0]),
    })
}

/// The start of a text; GitHub wants at least one character.
fn kept(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    if end == 0 { "–" } else { &text[..end] }
}

fn known(run: &Value) -> Option<Known> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let output = &run["output"];
    Some(Known {
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
    use crate::github::scripted::{Reply, Script, rest};

    const LIST: &str =
        "GET /commits/c0ffee1/check-runs?check_name=roadstead%20%2F%20plan&filter=all&per_page=100";

    fn check(remarks: usize) -> Check {
        let remark = |line: usize| Remark {
            path: "f.yml".into(),
            line,
            level: Level::Notice,
            title: "t".into(),
            message: "m".into(),
        };
        Check {
            name: "roadstead / plan".into(),
            head_sha: "c0ffee1".into(),
            external_id: "roadstead:plan:f.yml".into(),
            details_url: None,
            title: "1 service would change".into(),
            summary: "plan".into(),
            conclusion: Conclusion::Success,
            remarks: (1..=remarks).map(remark).collect(),
        }
    }

    fn listed(summary: &str, annotations: usize, conclusion: Value) -> Reply {
        let output =
            json!({"title": "1 service would change", "summary": summary, "annotations_count": annotations});
        let run = json!({"id": 9, "external_id": "roadstead:plan:f.yml", "conclusion": conclusion, "output": output});
        let other =
            json!({"id": 99, "external_id": "roadstead:plan:other", "conclusion": null, "output": {}});
        rest(200, json!({"total_count": 2, "check_runs": [other, run]}))
    }

    fn none() -> Reply {
        rest(200, json!({"total_count": 0, "check_runs": []}))
    }

    fn made() -> Reply {
        rest(201, json!({"id": 9}))
    }

    /// What was kept, and each call with the number of its annotations and its conclusion.
    async fn keep(check: &Check, replies: Vec<Reply>) -> (Result<Kept, Setback>, Vec<String>) {
        let (project, script) = Script::project(replies);
        let kept = project.keep_check(check).await;
        let calls = script.calls().into_iter().zip(script.asked()).map(|(call, asked)| {
            let sent = asked.body["output"]["annotations"].as_array().map_or(0, Vec::len);
            let end = asked.body["conclusion"].as_str().unwrap_or("-");
            let call = call.replace("/repos/acme/shop", "");
            if call.starts_with("GET") { call } else { format!("{call} {sent} {end}") }
        });
        (kept, calls.collect())
    }

    #[tokio::test(start_paused = true)]
    async fn annotations_go_in_fifties_and_the_last_request_ends_it() {
        let ok = || rest(200, json!({"id": 9}));
        let (kept, calls) = keep(&check(120), vec![none(), made(), ok(), ok()]).await;
        assert_eq!(kept, Ok(Kept::Made));
        let patch = "PATCH /check-runs/9";
        let sent =
            ["POST /check-runs 50 -".to_owned(), format!("{patch} 50 -"), format!("{patch} 20 success")];
        assert_eq!(calls[1..], sent);
        let (kept, calls) = keep(&check(50), vec![none(), made()]).await;
        assert_eq!((kept, calls), (Ok(Kept::Made), vec![LIST.into(), "POST /check-runs 50 success".into()]));
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_is_left_and_other_words_are_brought_up_to_date() {
        let (same, calls) = keep(&check(3), vec![listed("plan", 3, json!("success"))]).await;
        assert_eq!((same, calls), (Ok(Kept::Same), vec![LIST.into()]));
        let (updated, calls) =
            keep(&check(0), vec![listed("other", 0, json!("failure")), rest(200, json!({}))]).await;
        assert_eq!((updated, calls[1].as_str()), (Ok(Kept::Updated), "PATCH /check-runs/9 0 success"));
        let (ended, calls) =
            keep(&check(3), vec![listed("plan", 3, json!("failure")), rest(200, json!({}))]).await;
        assert_eq!((ended, calls[1].as_str()), (Ok(Kept::Updated), "PATCH /check-runs/9 0 success"));
    }

    #[tokio::test(start_paused = true)]
    async fn annotations_that_say_something_else_are_not_mixed_with_ours() {
        let (made, calls) = keep(&check(3), vec![listed("other", 2, json!("success")), made()]).await;
        assert_eq!((made, calls[1].as_str()), (Ok(Kept::Made), "POST /check-runs 3 success"));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_lost_answer_it_goes_on_behind_what_is_there() {
        let lost = vec![none(), made(), Reply::Lost, listed("plan", 100, Value::Null), rest(200, json!({}))];
        let (kept, calls) = keep(&check(120), lost).await;
        assert_eq!((kept, calls[4].as_str()), (Ok(Kept::Updated), "PATCH /check-runs/9 20 success"));
        let created = vec![none(), rest(502, json!({})), listed("plan", 3, json!("success"))];
        let (kept, calls) = keep(&check(3), created).await;
        assert_eq!((kept, calls.len()), (Ok(Kept::Same), 3));
        let never = (0..3).flat_map(|_| [none(), Reply::Lost]).collect();
        assert!(matches!(keep(&check(3), never).await.0, Err(Setback::Uncertain(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_without_the_right_is_told_so_at_once() {
        let refused = rest(403, json!({"message": "Resource not accessible by integration"}));
        let (kept, calls) = keep(&check(3), vec![none(), refused]).await;
        assert!(matches!(kept, Err(Setback::Forbidden(_))));
        assert_eq!(calls.len(), 2);
        let odd = Check { head_sha: "../x".into(), ..check(1) };
        assert!(matches!(keep(&odd, vec![]).await.0, Err(Setback::Refused(_))));
    }
}
