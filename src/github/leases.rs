//! Leases as refs of the run's own repository: effects. A ref is created only if it does not exist, moved only forward
//! from the commit of an owner that has ended, and removed only while it is ours: of two concurrent runs, one succeeds.

use std::time::Duration;

use http::Method;
use serde_json::json;

use super::branch::text_field;
use super::client::{ApiRequest, read_policy};
use super::error::ApiError;
use super::lease::{Holder, Owner, is_lease_message};
use super::repository::RunRepository;
use super::validate;
use crate::release::WorkflowRun;
use crate::retry::{self, Look, RetryPolicy};

/// Creating an object may be repeated: it is invisible until a ref points to it.
const CREATE_RETRY: RetryPolicy = read_policy(
    Duration::from_secs(20),
    &[Duration::from_millis(400), Duration::from_millis(1500), Duration::from_secs(4)],
);

impl RunRepository {
    /// The tree of a commit: required for the commit of a lease.
    pub async fn tree_sha(&self, commit: &str) -> Result<String, ApiError> {
        let commit = validate::commit(commit).map_err(ApiError::Rejected)?;
        let response = self
            .client
            .get(&ApiRequest::get(self.route(&format!("/git/commits/{commit}"))), CREATE_RETRY)
            .await?;
        text_field(&response["tree"], "sha")
    }

    /// Creates the commit that names the holder; `after` is the commit of the previous owner, if any.
    pub async fn create_lease_commit(
        &self,
        owner: &Owner,
        tree: &str,
        after: Option<&str>,
    ) -> Result<String, ApiError> {
        let parents: Vec<&str> = after.into_iter().collect();
        let body = json!({ "message": owner.message(), "tree": tree, "parents": parents });
        let response = self
            .client
            .get(&ApiRequest::with_body(Method::POST, self.route("/git/commits"), body), CREATE_RETRY)
            .await?;
        text_field(&response, "sha")
    }

    /// Acquires a free lease. `false` if another run holds it.
    pub async fn acquire(&self, reference: &str, commit: &str) -> Result<bool, ApiError> {
        let body = json!({ "ref": reference, "sha": commit });
        let request = ApiRequest::with_body(Method::POST, self.route("/git/refs"), body);
        let is_held =
            |error: &ApiError| matches!(error, ApiError::Rejected(why) if why.contains("already exists"));
        self.point_ref(&request, reference, commit, is_held).await
    }

    /// Takes over the lease of an owner that has ended: `commit` has the owner's commit as its parent. `false` if
    /// another run was faster.
    pub async fn take_over(&self, reference: &str, commit: &str) -> Result<bool, ApiError> {
        let body = json!({ "sha": commit, "force": false });
        let request = ApiRequest::with_body(Method::PATCH, self.ref_route(reference), body);
        let has_moved = |error: &ApiError| matches!(error, ApiError::HeadMoved | ApiError::NotFound(_));
        self.point_ref(&request, reference, commit, has_moved).await
    }

    /// Sends `request`, which points a ref to `commit`. `false` where somebody else was quicker, by `is_lost` or, after
    /// a lost answer, by what the ref then points to.
    async fn point_ref(
        &self,
        request: &ApiRequest,
        reference: &str,
        commit: &str,
        is_lost: impl Fn(&ApiError) -> bool,
    ) -> Result<bool, ApiError> {
        retry::ambiguous(
            &RetryPolicy::ONCE,
            async |()| match self.with_short_timeout(request).await {
                Err(error) if is_lost(&error) => Ok(false),
                response => Ok(response.map(|_| true)?),
            },
            async |failed| match failed {
                None => Ok(Look::Send(())),
                Some(_) => Ok(Look::Done(self.points_to(reference, commit).await?)),
            },
        )
        .await
        .map_err(ApiError::from)
    }

    /// Whether a ref points to this commit.
    pub async fn points_to(&self, reference: &str, commit: &str) -> Result<bool, ApiError> {
        Ok(self.ref_target(reference).await?.as_deref() == Some(commit))
    }

    pub(super) async fn ref_target(&self, reference: &str) -> Result<Option<String>, ApiError> {
        match self.client.get(&ApiRequest::get(self.ref_read_route(reference)), RetryPolicy::SHORT).await {
            Ok(response) => text_field(&response["object"], "sha").map(Some),
            Err(ApiError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The holder of a lease; `None` if it is free.
    pub async fn holder(&self, reference: &str) -> Result<Option<Holder>, ApiError> {
        let Some(commit) = self.ref_target(reference).await? else { return Ok(None) };
        let route = self.route(&format!("/git/commits/{}", validate::percent_encoded(&commit)));
        let response = match self.client.get(&ApiRequest::get(route), RetryPolicy::SHORT).await {
            Ok(response) => response,
            // It points to something else than a commit, which cannot be moved forward.
            Err(ApiError::NotFound(_)) => return Ok(Some(Holder { commit, owner: None, is_foreign: false })),
            Err(error) => return Err(error),
        };
        let message = response["message"].as_str().unwrap_or_default();
        let is_foreign = !is_lease_message(message);
        Ok(Some(Holder { commit, owner: Owner::parse(message), is_foreign }))
    }

    /// Releases a lease. A lease that is no longer ours is not touched.
    pub async fn release(&self, reference: &str, commit: &str) -> Result<(), ApiError> {
        self.release_if(self.points_to(reference, commit).await?, reference, commit).await
    }

    /// As [`release`](Self::release), for a lease that was looked at just now. After a lost answer it is looked at again.
    pub async fn release_if(&self, is_ours: bool, reference: &str, commit: &str) -> Result<(), ApiError> {
        let request = ApiRequest::without_body(Method::DELETE, self.ref_route(reference));
        retry::ambiguous(
            &RetryPolicy::ONCE,
            async |()| match self.with_short_timeout(&request).await {
                Ok(_) | Err(ApiError::NotFound(_)) => Ok(()),
                Err(error) => Err(error.into()),
            },
            async |failed| {
                let is_ours = match failed {
                    None => is_ours,
                    Some(_) => self.points_to(reference, commit).await?,
                };
                Ok(if is_ours { Look::Send(()) } else { Look::Done(()) })
            },
        )
        .await
        .map_err(ApiError::from)
    }

    /// Whether the run of `owner` is running; `None` if unknown. `own` is the current run: if GitHub does not
    /// return that one either, the token cannot read runs. A run that `may_change` rules out holds no lease, whatever a
    /// ref says.
    pub async fn is_running(
        &self,
        owner: &Owner,
        own: u64,
        may_change: impl Fn(&WorkflowRun) -> bool,
    ) -> Result<Option<bool>, ApiError> {
        match self.workflow_run(owner.run).await {
            Ok(run) => {
                let later = run.last_attempt.is_some_and(|attempt| attempt > owner.attempt);
                Ok(Some(run.has_ended != Some(true) && !later && may_change(&run)))
            }
            Err(ApiError::NotFound(_)) => Ok(self.workflow_run(own).await.is_ok().then_some(false)),
            Err(ApiError::Forbidden(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Refs are changed below `git/refs` and read below `git/ref`.
    fn ref_route(&self, reference: &str) -> String {
        self.route(&format!("/git/{}", validate::percent_encoded(reference)))
    }

    fn ref_read_route(&self, reference: &str) -> String {
        let name = reference.strip_prefix("refs/").unwrap_or(reference);
        self.route(&format!("/git/ref/{}", validate::percent_encoded(name)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::mock::{MockGitHub, MockReply, rest_reply};
    use super::*;

    const LEASE: &str = "refs/roadstead/lease/production/a=2fb";

    fn ref_reply(commit: &str) -> MockReply {
        rest_reply(200, json!({"ref": LEASE, "object": {"type": "commit", "sha": commit}}))
    }

    fn error_reply(status: u16, text: &str) -> MockReply {
        rest_reply(status, json!({ "message": text }))
    }

    fn owner(run: u64, attempt: u64) -> Owner {
        let text = || "x".to_owned();
        Owner { run, attempt, runner: text(), url: text(), held_since: text(), nonce: text() }
    }

    #[tokio::test(start_paused = true)]
    async fn free_lease_is_acquired_and_an_ambiguous_write_is_checked() {
        let exists = || error_reply(422, "Reference already exists");
        for (replies, taken) in [
            (vec![rest_reply(201, json!({}))], Ok(true)),
            (vec![exists()], Ok(false)),
            (vec![MockReply::ConnectionReset, ref_reply("c1")], Ok(true)),
            (vec![MockReply::NoResponse, ref_reply("c2")], Ok(false)),
            (vec![error_reply(502, ""), error_reply(404, "Not Found")], Ok(false)),
            (vec![error_reply(403, "Resource not accessible by integration")], Err(())),
        ] {
            let (project, script) = MockGitHub::run_repository(replies);
            assert_eq!(project.acquire(LEASE, "c1").await.map_err(drop), taken);
            let asked = script.asked();
            assert_eq!(asked[0].body, json!({"ref": LEASE, "sha": "c1"}));
            assert_eq!(asked.iter().filter(|one| one.call.starts_with("POST")).count(), 1);
            script.calls();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn second_take_over_loses() {
        for (reply, taken) in [
            (rest_reply(200, json!({})), Ok(true)),
            (error_reply(422, "Update is not a fast forward"), Ok(false)),
            (error_reply(422, "Reference does not exist"), Ok(false)),
            (error_reply(403, "Resource not accessible by integration"), Err(())),
        ] {
            let (project, script) = MockGitHub::run_repository(vec![reply]);
            assert_eq!(project.take_over(LEASE, "c1").await.map_err(drop), taken);
            assert_eq!(script.asked()[0].body, json!({"sha": "c1", "force": false}));
            assert_eq!(
                script.calls(),
                ["PATCH /repos/acme/shop/git/refs/roadstead/lease/production/a%3D2fb"]
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_own_lease_is_released() {
        let route = "/repos/acme/shop/git/ref/roadstead/lease/production/a%3D2fb";
        let gone = || rest_reply(204, Value::Null);
        for (replies, removed) in [
            (vec![ref_reply("c1"), gone()], true),
            (vec![ref_reply("c2")], false),
            (vec![error_reply(404, "Not Found")], false),
            (vec![ref_reply("c1"), error_reply(422, "Reference does not exist")], true),
            (vec![ref_reply("c1"), MockReply::ConnectionReset, error_reply(404, "Not Found")], true),
        ] {
            let (project, script) = MockGitHub::run_repository(replies);
            assert_eq!(project.release(LEASE, "c1").await, Ok(()));
            let calls = script.calls();
            assert_eq!(calls[0], format!("GET {route}"));
            assert_eq!(calls.iter().any(|call| call.starts_with("DELETE")), removed, "{calls:?}");
        }
        let (project, _) =
            MockGitHub::run_repository(vec![ref_reply("c1"), MockReply::ConnectionReset, ref_reply("c1")]);
        assert!(matches!(project.release(LEASE, "c1").await, Err(ApiError::Ambiguous(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn run_has_ended_only_when_github_reports_it() {
        let run =
            |status: &str, attempt: u64| rest_reply(200, json!({"status": status, "run_attempt": attempt}));
        let unknown = || error_reply(404, "Not Found");
        for (replies, at_work) in [
            (vec![run("in_progress", 1)], Some(true)),
            (vec![run("queued", 1)], Some(true)),
            (vec![run("completed", 1)], Some(false)),
            (vec![run("in_progress", 2)], Some(false)),
            (vec![rest_reply(200, json!({"status": "in_progress", "event": "pull_request"}))], Some(false)),
            (vec![unknown(), run("in_progress", 1)], Some(false)),
            (vec![unknown(), unknown()], None),
            (vec![error_reply(403, "Resource not accessible by integration")], None),
        ] {
            let (project, script) = MockGitHub::run_repository(replies);
            assert_eq!(
                project.is_running(&owner(5, 1), 7, |run| run.event != "pull_request").await,
                Ok(at_work)
            );
            script.calls();
        }
    }
}
