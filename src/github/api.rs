//! Asking which commits lie between two versions: effects. What is not known is a notice, after a few seconds.

use std::time::Duration;

use async_trait::async_trait;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use super::Commits;
use super::addresses::Addresses;
use super::compare::{self, History, Page};
use super::door::{Ask, Door, Endurance};
use crate::problem::{Code, Problem};

/// How long each of the one or two questions may take with its repetitions.
const ENDURANCE: Endurance =
    Endurance { whole: PATIENCE, pauses: &[Duration::from_millis(300), Duration::from_millis(900)] };
/// How long a whole answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// GitHub's history, for one token.
#[derive(Debug)]
pub struct Api {
    /// Or why there is none.
    door: Result<Door, String>,
}

impl Api {
    /// `base` is `GITHUB_API_URL`, such as `https://api.github.com` or `https://ghes.example/api/v3`. Must be called
    /// inside a runtime.
    pub fn new(http: SharedHttpClient, base: &str, token: &str) -> Self {
        Self { door: Door::new(http, &Addresses::of(base), token) }
    }

    async fn compare(&self, repository: &str, from: &str, to: &str) -> Result<History, String> {
        let door = self.door.as_ref().map_err(Clone::clone)?;
        let first = read(door, compare::route(repository, from, to, Page::FIRST)?).await?;
        let Some(last) = Page::last(first.total) else { return Ok(first) };
        let newest = read(door, compare::route(repository, from, to, last)?).await?;
        Ok(History { total: first.total, ..newest })
    }
}

#[async_trait(?Send)]
impl Commits for Api {
    async fn between(&self, repository: &str, from: &str, to: &str) -> Result<History, Problem> {
        let answer = tokio::time::timeout(PATIENCE, self.compare(repository, from, to)).await;
        let late = || Err(format!("no answer in {} s", PATIENCE.as_secs()));
        answer.unwrap_or_else(|_| late()).map_err(|why| {
            let sentence = format!("The commits between `{from}` and `{to}` could not be read.");
            let help = "The token needs `contents: read`. The release itself is not affected.";
            Problem::notice(Code::HistoryUnknown, sentence).cause(why).help(help)
        })
    }
}

async fn read(door: &Door, route: String) -> Result<History, String> {
    match door.read(&Ask::get(route), ENDURANCE).await {
        Ok(body) => compare::read(body),
        Err(setback) => Err(setback.words()),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A client as the run has it, for plain HTTP.
    fn http() -> SharedHttpClient {
        aws_smithy_http_client::Builder::new().build_http()
    }

    /// Answers each connection with the next of `answers`, keeps the head of each request, and gives what came of asking.
    async fn told(answers: Vec<(u16, String)>, token: &str) -> (Result<History, Problem>, Vec<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/api/v3/", listener.local_addr().unwrap());
        let heads = Rc::new(RefCell::new(Vec::new()));
        let serve = async {
            for (status, body) in answers {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(socket.read_u8().await.unwrap());
                }
                heads.borrow_mut().push(String::from_utf8(head).unwrap());
                let length = body.len();
                let text = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
                socket.write_all(text.as_bytes()).await.unwrap();
            }
            std::future::pending::<()>().await;
        };
        let api = Api::new(http(), &base, token);
        let result = tokio::select! {
            result = api.between("acme/shop", "c0ffee1", "beef123") => result,
            () = serve => unreachable!(),
        };
        (result, heads.take())
    }

    fn page(total: usize, numbers: std::ops::Range<usize>) -> String {
        let entry = |n: usize| serde_json::json!({ "sha": format!("{n:040}"), "commit": { "message": "m" } });
        serde_json::json!({ "total_commits": total, "commits": numbers.map(entry).collect::<Vec<_>>() })
            .to_string()
    }

    #[tokio::test]
    async fn the_question_carries_the_token_and_the_path_of_the_base() {
        let (history, heads) = told(vec![(200, page(3, 0..3))], "t0ken").await;
        assert_eq!(history.unwrap().commits.len(), 3);
        let head = heads[0].to_lowercase();
        assert!(
            head.starts_with("get /api/v3/repos/acme/shop/compare/c0ffee1...beef123?per_page=100&page=1 "),
            "{head}"
        );
        assert!(
            head.contains("\r\nauthorization: bearer t0ken\r\n") && head.contains("\r\nuser-agent: "),
            "{head}"
        );
    }

    #[tokio::test]
    async fn beyond_a_page_the_last_one_is_read() {
        let (history, heads) = told(vec![(200, page(250, 0..100)), (200, page(250, 188..250))], "t").await;
        let history = history.unwrap();
        assert_eq!((history.total, history.commits.len()), (250, 20));
        assert!(history.commits[0].sha.ends_with("249"));
        assert!(heads[1].contains("per_page=100&page=3"), "{}", heads[1]);
    }

    #[tokio::test]
    async fn an_error_of_the_server_is_asked_again_and_a_refusal_is_not() {
        let bad = || (502, "<html>".to_owned());
        let (history, heads) = told(vec![bad(), (200, page(1, 0..1))], "t").await;
        assert_eq!((history.unwrap().total, heads.len()), (1, 2));
        let (history, heads) = told(vec![bad(), bad(), bad()], "t").await;
        assert_eq!((history.unwrap_err().cause.as_deref(), heads.len()), (Some("GitHub answered 502"), 3));
        let (history, heads) = told(vec![(404, r#"{"message":"Not Found"}"#.into())], "t").await;
        let problem = history.unwrap_err();
        let gone = "what was asked for is not there, or this token may not see it";
        assert_eq!((problem.cause.as_deref(), heads.len()), (Some(gone), 1));
        assert!(!problem.is_error() && problem.code == Code::HistoryUnknown);
    }

    #[tokio::test]
    async fn nobody_there_and_a_token_that_is_none_are_notices() {
        for (base, token) in
            [("http://127.0.0.1:1", "t"), ("http://127.0.0.1:1", "a\nb"), ("no address", "t")]
        {
            let problem =
                Api::new(http(), base, token).between("acme/shop", "c0ffee1", "beef123").await.unwrap_err();
            assert_eq!(problem.code, Code::HistoryUnknown, "{base}");
            assert!(!problem.to_string().contains("a\nb"));
        }
    }
}
