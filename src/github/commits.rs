//! Reads the commits between two versions: effects. An unknown list is a notice, after a few seconds.

use std::time::Duration;

use async_trait::async_trait;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use super::CommitHistory;
use super::addresses::Addresses;
use super::client::{ApiRequest, Client, read_policy};
use super::compare::{self, ComparedCommits, Page};
use crate::problem::{Code, Problem};
use crate::retry::RetryPolicy;

/// Time limit of each of the one or two requests with their retries.
const READ_RETRY: RetryPolicy =
    read_policy(TIMEOUT, &[Duration::from_millis(300), Duration::from_millis(900)]);
/// Time limit of a complete result.
const TIMEOUT: Duration = Duration::from_secs(5);

/// GitHub's history, for one token.
#[derive(Debug)]
pub struct CommitsClient {
    /// The repository, or why there is none.
    client: Result<Client, String>,
}

impl CommitsClient {
    /// `base` is `GITHUB_API_URL`, such as `https://api.github.com` or `https://ghes.example/api/v3`. Must be called
    /// inside a runtime.
    pub fn new(http: SharedHttpClient, base: &str, token: &str) -> Self {
        Self { client: Client::new(http, &Addresses::from_api_url(base), token) }
    }

    async fn fetch_range(&self, repository: &str, from: &str, to: &str) -> Result<ComparedCommits, String> {
        let client = self.client.as_ref().map_err(Clone::clone)?;
        let first = fetch_page(client, compare::compare_route(repository, from, to, Page::FIRST)?).await?;
        let Some(last) = Page::last_page(first.total) else { return Ok(first) };
        let newest = fetch_page(client, compare::compare_route(repository, from, to, last)?).await?;
        Ok(ComparedCommits { total: first.total, ..newest })
    }
}

#[async_trait(?Send)]
impl CommitHistory for CommitsClient {
    async fn commits_between(
        &self,
        repository: &str,
        from: &str,
        to: &str,
    ) -> Result<ComparedCommits, Problem> {
        let result = tokio::time::timeout(TIMEOUT, self.fetch_range(repository, from, to)).await;
        let late = || Err(format!("no response within {} s", TIMEOUT.as_secs()));
        result.unwrap_or_else(|_| late()).map_err(|why| {
            let sentence = format!("The commits between `{from}` and `{to}` could not be read.");
            let help = "The release itself is not affected. Give the token `contents: read`.";
            Problem::notice(Code::HistoryUnknown, sentence).cause(why).help(help)
        })
    }
}

async fn fetch_page(client: &Client, route: String) -> Result<ComparedCommits, String> {
    match client.get(&ApiRequest::get(route), READ_RETRY).await {
        Ok(body) => compare::parse_page(body),
        Err(error) => Err(error.reason()),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A client as in a run, for plain HTTP.
    fn http() -> SharedHttpClient {
        aws_smithy_http_client::Builder::new().build_http()
    }

    /// Responds to each connection with the next of `answers`, records the head of each request, and returns the
    /// result.
    async fn commits_from_mock(
        answers: Vec<(u16, String)>,
        token: &str,
    ) -> (Result<ComparedCommits, Problem>, Vec<String>) {
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
        let api = CommitsClient::new(http(), &base, token);
        let result = tokio::select! {
            result = api.commits_between("acme/shop", "c0ffee1", "beef123") => result,
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
    async fn request_carries_token_and_base_path() {
        let (history, heads) = commits_from_mock(vec![(200, page(3, 0..3))], "t0ken").await;
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
    async fn long_comparison_reads_the_last_page() {
        let (history, heads) =
            commits_from_mock(vec![(200, page(250, 0..100)), (200, page(250, 188..250))], "t").await;
        let history = history.unwrap();
        assert_eq!((history.total, history.commits.len()), (250, 20));
        assert!(history.commits[0].sha.ends_with("249"));
        assert!(heads[1].contains("per_page=100&page=3"), "{}", heads[1]);
    }

    #[tokio::test]
    async fn server_error_is_retried_and_rejection_is_not() {
        let bad = || (502, "<html>".to_owned());
        let (history, heads) = commits_from_mock(vec![bad(), (200, page(1, 0..1))], "t").await;
        assert_eq!((history.unwrap().total, heads.len()), (1, 2));
        let (history, heads) = commits_from_mock(vec![bad(), bad(), bad()], "t").await;
        assert_eq!(
            (history.unwrap_err().cause.as_deref(), heads.len()),
            (Some("GitHub responded with 502"), 3)
        );
        let (history, heads) = commits_from_mock(vec![(404, r#"{"message":"Not Found"}"#.into())], "t").await;
        let problem = history.unwrap_err();
        let gone = "the requested object does not exist, or this token cannot read it";
        assert_eq!((problem.cause.as_deref(), heads.len()), (Some(gone), 1));
        assert!(!problem.is_error() && problem.code == Code::HistoryUnknown);
    }

    #[tokio::test]
    async fn unreachable_server_and_invalid_token_are_notices() {
        for (base, token) in
            [("http://127.0.0.1:1", "t"), ("http://127.0.0.1:1", "a\nb"), ("no address", "t")]
        {
            let problem = CommitsClient::new(http(), base, token)
                .commits_between("acme/shop", "c0ffee1", "beef123")
                .await
                .unwrap_err();
            assert_eq!(problem.code, Code::HistoryUnknown, "{base}");
            assert!(!problem.to_string().contains("a\nb"));
        }
    }
}
