//! What GitHub keeps of deployments: the records, their statuses, and what a status does to earlier deployments.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::git_objects::Oid;
use super::scenario::bot;
use super::state::{GitHubRepository, branch_ref};
use super::urls::{api_url, format_date, html_url, node_id, user_json};

/// Minutes after which a deployment without a status counts as abandoned.
const ABANDONED_AFTER: f64 = 30.0 * 60.0;

/// A deployment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GitHubDeployment {
    /// Its number.
    pub id: u64,
    /// The commit.
    pub sha: Oid,
    /// Branch, tag or commit as in the request.
    pub reference: String,
    /// Such as `deploy`.
    pub task: String,
    /// Where to; a status may change it.
    pub environment: String,
    /// Where to, as it was made.
    pub original_environment: String,
    /// Free data of the client.
    pub payload: Value,
    /// A few words.
    pub description: Option<String>,
    /// The environment goes away some day.
    pub is_transient: bool,
    /// End users meet the environment.
    pub is_production: bool,
    /// Login of its creator.
    pub creator: String,
    /// When, epoch seconds.
    pub created_at: f64,
    /// When it last changed, epoch seconds.
    pub updated_at: f64,
    /// Its statuses, oldest first.
    pub statuses: Vec<GitHubDeploymentStatus>,
}

/// What somebody says about a deployment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GitHubDeploymentStatus {
    /// Its number.
    pub id: u64,
    /// `error`, `failure`, `inactive`, `in_progress`, `queued`, `pending` or `success`.
    pub state: String,
    /// A few words.
    pub description: String,
    /// Where its log is; empty when nowhere.
    pub log_url: String,
    /// Where the environment can be visited; empty when nowhere.
    pub environment_url: String,
    /// Login of its creator.
    pub creator: String,
    /// When, epoch seconds.
    pub created_at: f64,
}

impl GitHubDeployment {
    /// The state in GraphQL's words at `now`, epoch seconds.
    pub fn graphql_state(&self, now: f64) -> String {
        match self.statuses.last() {
            None if now - self.created_at > ABANDONED_AFTER => "ABANDONED".into(),
            None => "PENDING".into(),
            Some(status) if status.state == "success" => "ACTIVE".into(),
            Some(status) => status.state.to_uppercase(),
        }
    }

    /// The payload as GraphQL has it: as JSON text.
    pub fn payload_text(&self) -> String {
        self.payload.to_string()
    }
}

/// Deployments that others made, in a scenario: jobs with `environment:` that test, plan or deploy something else.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ForeignDeploymentsSetting {
    /// The environment.
    pub environment: String,
    /// Their number.
    pub count: usize,
}

impl GitHubRepository {
    /// Others deploy to an environment: a job with `environment:` each, which succeeds.
    pub fn add_foreign_deployments(&mut self, foreign: &ForeignDeploymentsSetting, now: f64) {
        let sha = self.refs.get(&branch_ref(&self.default_branch)).cloned().unwrap_or_default();
        for _ in 0..foreign.count {
            let id = self.deploy(GitHubDeployment {
                reference: self.default_branch.clone(),
                sha: sha.clone(),
                task: "deploy".into(),
                environment: foreign.environment.clone(),
                payload: json!({}),
                is_production: foreign.environment == "production",
                creator: bot(),
                created_at: now,
                ..GitHubDeployment::default()
            });
            let log_url = html_url(self, &format!("/actions/runs/555/job/{id}"));
            let status = GitHubDeploymentStatus {
                state: "success".into(),
                log_url,
                creator: bot(),
                created_at: now,
                ..GitHubDeploymentStatus::default()
            };
            self.add_status(id, status, true);
        }
    }

    /// Keep a deployment and get its number.
    pub fn deploy(&mut self, mut deployment: GitHubDeployment) -> u64 {
        deployment.id = self.next_number();
        deployment.original_environment.clone_from(&deployment.environment);
        deployment.updated_at = deployment.created_at;
        self.deployments.push(deployment);
        self.last_number
    }

    /// A deployment by its number.
    pub fn deployment(&self, id: u64) -> Option<&GitHubDeployment> {
        self.deployments.iter().find(|it| it.id == id)
    }

    /// Say something about a deployment; `auto_inactive` ends those that it takes the place of.
    pub fn add_status(
        &mut self,
        deployment: u64,
        mut status: GitHubDeploymentStatus,
        auto_inactive: bool,
    ) -> Option<u64> {
        let place = self.deployments.iter().position(|it| it.id == deployment)?;
        status.id = self.next_number();
        let (id, at) = (status.id, status.created_at);
        if auto_inactive && status.state == "success" {
            self.deactivate_earlier(place, &status.creator, at);
        }
        let it = &mut self.deployments[place];
        it.updated_at = at;
        it.statuses.push(status);
        Some(id)
    }

    /// Earlier deployments to the same environment that succeeded become inactive, unless they are transient or of a
    /// production environment.
    fn deactivate_earlier(&mut self, place: usize, creator: &str, at: f64) {
        let environment = self.deployments[place].environment.clone();
        for other in 0..place {
            let it = &self.deployments[other];
            let stands = it.statuses.last().is_some_and(|status| status.state == "success");
            if it.environment != environment || it.is_transient || it.is_production || !stands {
                continue;
            }
            let (id, state, creator) = (self.next_number(), "inactive".into(), creator.to_owned());
            let status = GitHubDeploymentStatus {
                id,
                state,
                creator,
                created_at: at,
                ..GitHubDeploymentStatus::default()
            };
            self.deployments[other].statuses.push(status);
        }
    }
}

/// A deployment as the REST API shows it.
pub fn deployment_json(it: &GitHubRepository, deployment: &GitHubDeployment) -> Value {
    let address = api_url(it, &format!("/deployments/{}", deployment.id));
    json!({
        "id": deployment.id, "node_id": node_id("DE", it, &deployment.id.to_string()), "url": address,
        "sha": deployment.sha, "ref": deployment.reference, "task": deployment.task, "payload": deployment.payload,
        "environment": deployment.environment, "original_environment": deployment.original_environment,
        "description": deployment.description, "creator": user_json(&deployment.creator),
        "created_at": format_date(deployment.created_at), "updated_at": format_date(deployment.updated_at),
        "statuses_url": format!("{address}/statuses"), "repository_url": api_url(it, ""),
        "transient_environment": deployment.is_transient, "production_environment": deployment.is_production,
        "performed_via_github_app": null,
    })
}

/// A status as the REST API shows it.
pub fn status_json(
    it: &GitHubRepository,
    deployment: &GitHubDeployment,
    status: &GitHubDeploymentStatus,
) -> Value {
    let address = api_url(it, &format!("/deployments/{}", deployment.id));
    json!({
        "id": status.id, "node_id": node_id("DES", it, &status.id.to_string()), "state": status.state,
        "url": format!("{address}/statuses/{}", status.id), "creator": user_json(&status.creator),
        "description": status.description, "environment": deployment.environment,
        "target_url": status.log_url, "log_url": status.log_url, "environment_url": status.environment_url,
        "created_at": format_date(status.created_at), "updated_at": format_date(status.created_at),
        "deployment_url": address, "repository_url": api_url(it, ""), "performed_via_github_app": null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add_successful(it: &mut GitHubRepository, environment: &str, production: bool) -> u64 {
        let id = it.deploy(GitHubDeployment {
            environment: environment.into(),
            is_production: production,
            ..GitHubDeployment::default()
        });
        it.add_status(
            id,
            GitHubDeploymentStatus { state: "success".into(), ..GitHubDeploymentStatus::default() },
            true,
        );
        id
    }

    #[test]
    fn success_deactivates_earlier_deployments() {
        let mut it = GitHubRepository::default();
        let first = add_successful(&mut it, "staging", false);
        let elsewhere = add_successful(&mut it, "review", false);
        let live = add_successful(&mut it, "production", true);
        let (second, again) =
            (add_successful(&mut it, "staging", false), add_successful(&mut it, "production", true));
        let state = |id: u64| it.deployment(id).unwrap().graphql_state(0.0);
        assert_eq!(state(first), "INACTIVE");
        for id in [elsewhere, live, second, again] {
            assert_eq!(state(id), "ACTIVE");
        }
    }

    #[test]
    fn deployment_without_status_is_abandoned() {
        let deployment = GitHubDeployment { created_at: 100.0, ..GitHubDeployment::default() };
        assert_eq!(deployment.graphql_state(200.0), "PENDING");
        assert_eq!(deployment.graphql_state(2000.0), "ABANDONED");
    }
}
