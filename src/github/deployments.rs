//! Deployments of the run's own repository: effects. A record is worth seconds and never a release: timeouts are short,
//! and a possible write is searched for, not repeated.

use http::Method;
use serde::Deserialize as _;
use serde_json::Value;

use super::client::{ApiRequest, SHORT_TIMEOUT};
use super::deployment_history::{DeploymentHistory, RecordedDeployment};
use super::deployment_pages::{self, DeploymentPage, EnvironmentPlace, OwnDeployment, UnreadDeployments};
use super::error::ApiError;
use super::new_deployment::{DeploymentStatus, NewDeployment};
use super::repository::RunRepository;
use super::validate;
use crate::retry::RetryPolicy;

/// Deployments among which something is looked for that this run wrote a moment ago.
const MAX_RECENT: usize = 300;

impl RunRepository {
    /// The newest deployments of an environment: one request. [`read_older`](Self::read_older) reads on.
    pub async fn deployment_history(&self, environment: &str) -> Result<DeploymentHistory, ApiError> {
        let mut history = DeploymentHistory::unread(environment);
        self.read_older(&mut history).await?;
        Ok(history)
    }

    /// Reads the next older deployments: one or two requests. `false` if nothing older exists, or if the limit of one run
    /// is reached and the others stay unread.
    pub async fn read_older(&self, history: &mut DeploymentHistory) -> Result<bool, ApiError> {
        let page = match history.unread.clone() {
            UnreadDeployments::Newest { after, page } => {
                self.newest_page(&history.environment, after.as_deref(), page).await?
            }
            UnreadDeployments::Own { page } => self.own_page(history, page).await?,
            UnreadDeployments::None | UnreadDeployments::BeyondLimit => return Ok(false),
        };
        history.add(page);
        Ok(true)
    }

    /// The newest deployments of an environment, and older ones until `found` holds. Nothing older than the last few
    /// hundred: for what this run wrote itself.
    pub async fn recent_deployments(
        &self,
        environment: &str,
        found: impl Fn(&DeploymentHistory) -> bool,
    ) -> Result<DeploymentHistory, ApiError> {
        let mut history = self.deployment_history(environment).await?;
        while !found(&history) && history.len() < MAX_RECENT && self.read_older(&mut history).await? {}
        Ok(history)
    }

    /// The releases that are recorded as proven in an environment, newest first, as far as they can be read. Whoever may
    /// write deployments can have written them.
    pub async fn proven_deployments(&self, environment: &str) -> Result<Vec<RecordedDeployment>, ApiError> {
        let mut history = self.deployment_history(environment).await?;
        while self.read_older(&mut history).await? {}
        Ok(history.entries().into_iter().filter(|entry| entry.proven).collect())
    }

    async fn newest_page(
        &self,
        environment: &str,
        after: Option<&str>,
        page: usize,
    ) -> Result<DeploymentPage, ApiError> {
        let (owner, name) = validate::repository(&self.repository).map_err(ApiError::Rejected)?;
        let variables =
            deployment_pages::newest_variables(EnvironmentPlace { owner, name, environment }, after);
        let data = self.query_deployments(deployment_pages::NEWEST_QUERY, variables).await?;
        deployment_pages::parse_newest(&data, page).ok_or_else(no_deployments)
    }

    /// A page of the deployments with our marker, with the statuses of those that are new.
    async fn own_page(&self, history: &DeploymentHistory, page: usize) -> Result<DeploymentPage, ApiError> {
        let route = self.route(&deployment_pages::own_route(&history.environment, page));
        let listed = self.client.get(&ApiRequest::get(route), RetryPolicy::SHORT).await?;
        let listed = Vec::<OwnDeployment>::deserialize(listed).map_err(|_| no_deployments())?;
        let unread = deployment_pages::unread_after_own(page, listed.len());
        let new = listed.into_iter().filter(|one| !history.contains(one.id));
        let ids: Vec<String> = new.map(|one| one.node_id).collect();
        if ids.is_empty() {
            return Ok(DeploymentPage { deployments: Vec::new(), unread });
        }
        let variables = deployment_pages::nodes_variables(&ids);
        let data = self.query_deployments(deployment_pages::NODES_QUERY, variables).await?;
        let deployments = deployment_pages::parse_nodes(&data).ok_or_else(no_deployments)?;
        Ok(DeploymentPage { deployments, unread })
    }

    async fn query_deployments(&self, document: &str, variables: Value) -> Result<Value, ApiError> {
        let (data, errors) = self.client.query(document, variables, RetryPolicy::SHORT).await?;
        match errors.first() {
            Some(error) => Err(super::reply::classify(error, super::reply::Access::Read)),
            None => Ok(data),
        }
    }

    /// Creates a deployment and returns its id. After [`ApiError::Ambiguous`], search for it by its run before
    /// another one.
    pub async fn create_deployment(&self, new: &NewDeployment) -> Result<u64, ApiError> {
        let request = ApiRequest::with_body(Method::POST, self.route("/deployments"), new.body());
        let response = self.with_short_timeout(&request).await?;
        response["id"].as_u64().ok_or_else(|| ApiError::Rejected("GitHub created no deployment".into()))
    }

    /// Adds a status to a deployment.
    pub async fn add_status(&self, deployment: u64, status: &DeploymentStatus) -> Result<(), ApiError> {
        let route = self.route(&format!("/deployments/{deployment}/statuses"));
        self.with_short_timeout(&ApiRequest::with_body(Method::POST, route, status.body())).await.map(drop)
    }

    /// Writes once, with a short timeout.
    pub(super) async fn with_short_timeout(
        &self,
        request: &ApiRequest,
    ) -> Result<serde_json::Value, ApiError> {
        let late = || Err(ApiError::Ambiguous(format!("no response within {} s", SHORT_TIMEOUT.as_secs())));
        tokio::time::timeout(SHORT_TIMEOUT, self.client.send_once(request)).await.unwrap_or_else(|_| late())
    }
}

fn no_deployments() -> ApiError {
    ApiError::Transient("GitHub returned no deployments".into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::mock::{MockGitHub, MockReply, graphql_error_reply, graphql_reply, rest_reply};
    use super::*;
    use crate::github::DeploymentState;
    use crate::release::DeploymentRecord;

    fn new_deployment() -> NewDeployment {
        let record =
            DeploymentRecord { environment: "staging".into(), commit: "c0ffee".into(), services: [].into() };
        NewDeployment { commit: "c0ffee".into(), record, run: "7/1".into(), description: "d".into() }
    }

    #[tokio::test(start_paused = true)]
    async fn deployment_is_created_once_for_any_reply() {
        for (reply, expected) in [
            (MockReply::ConnectionReset, "Ambiguous"),
            (MockReply::NoResponse, "Ambiguous"),
            (rest_reply(502, json!({})), "Ambiguous"),
            (rest_reply(202, json!({"message": "Auto-merged master into topic on deployment."})), "Rejected"),
            (rest_reply(403, json!({"message": "Resource not accessible by integration"})), "Forbidden"),
        ] {
            let (project, script) = MockGitHub::run_repository(vec![reply]);
            let error = project.create_deployment(&new_deployment()).await.unwrap_err();
            assert!(format!("{error:?}").starts_with(expected), "{error:?}");
            assert_eq!(script.calls(), ["POST /repos/acme/shop/deployments"]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_have_the_expected_bodies() {
        let (project, script) =
            MockGitHub::run_repository(vec![rest_reply(201, json!({"id": 5})), rest_reply(201, json!({}))]);
        assert_eq!(project.create_deployment(&new_deployment()).await, Ok(5));
        let status = DeploymentStatus {
            state: DeploymentState::InProgress,
            description: "x".repeat(200),
            log_url: Some("https://github.com/acme/shop/actions/runs/7".into()),
            environment_url: None,
        };
        project.add_status(5, &status).await.unwrap();
        let asked = script.asked();
        let record = json!({"environment": "staging", "commit": "c0ffee", "services": {}});
        assert_eq!(
            asked[0].body,
            json!({"ref": "c0ffee", "task": "roadstead", "auto_merge": false, "required_contexts": [],
                "environment": "staging", "description": "d", "payload": {"roadstead": record, "run": "7/1"}})
        );
        assert!(asked[1].call.ends_with("/deployments/5/statuses"));
        assert_eq!(asked[1].body["state"], "in_progress");
        assert_eq!(asked[1].body["description"].as_str().map(|text| text.chars().count()), Some(140));
        assert_eq!(asked[1].body.get("environment_url"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn read_is_retried_and_rejection_is_not() {
        let empty = || graphql_reply(json!({"repository": {"deployments": {"nodes": []}}}));
        let (project_, script) = MockGitHub::run_repository(vec![rest_reply(502, json!({})), empty()]);
        assert_eq!(project_.proven_deployments("staging").await, Ok(vec![]));
        assert_eq!(script.asked()[1].body["variables"]["environments"], json!(["staging"]));
        let (project, script) = MockGitHub::run_repository(vec![graphql_error_reply(
            "FORBIDDEN",
            "Resource not accessible by integration",
        )]);
        assert!(matches!(project.deployment_history("staging").await, Err(ApiError::Forbidden(_))));
        assert_eq!(script.calls().len(), 1);
    }
}
