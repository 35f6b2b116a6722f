//! Deployments of the run's own repository: effects. A record is worth seconds and never a release: patience is short,
//! and what may have been written is looked for, not written again.

use std::time::Duration;

use http::Method;

use super::door::{Ask, Endurance};
use super::ledger::{self, Ledger, NewDeployment, Status};
use super::names;
use super::project::Project;
use super::setback::Setback;
use crate::release::Record;

/// How long reading may take.
pub(super) const BRIEFLY: Endurance =
    Endurance { whole: PATIENCE, pauses: &[Duration::from_millis(400), Duration::from_millis(1500)] };
/// How long one thing may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A record that we said to be proven: every service of it was seen to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// What was released.
    pub record: Record,
    /// GitHub's number of the deployment.
    pub deployment: u64,
    /// When the deployment was made, on GitHub's clock.
    pub created: Option<jiff::Timestamp>,
}

impl Project {
    /// The newest deployments of an environment: one request.
    pub async fn ledger(&self, environment: &str) -> Result<Ledger, Setback> {
        let place = names::repository(&self.repository).map_err(Setback::Refused)?;
        let variables = ledger::variables(place, environment);
        let (data, complaints) = self.door.query(ledger::QUESTION, variables, BRIEFLY).await?;
        if let Some(complaint) = complaints.first() {
            return Err(super::reply::verdict(complaint, super::reply::Aim::Read));
        }
        ledger::read(&data, environment)
            .ok_or_else(|| Setback::Passing("GitHub answered without deployments".into()))
    }

    /// What was proven in an environment, newest first, as far back as the newest deployments go.
    pub async fn proven(&self, environment: &str) -> Result<Vec<Proven>, Setback> {
        let entries = self.ledger(environment).await?.entries().into_iter().filter(|entry| entry.proven);
        let proven = |entry: ledger::Entry| Proven {
            record: entry.record,
            deployment: entry.deployment,
            created: entry.created,
        };
        Ok(entries.map(proven).collect())
    }

    /// Makes a deployment and gives its number. After [`Setback::Uncertain`], look with [`Ledger::opened_by`].
    pub async fn create_deployment(&self, new: &NewDeployment) -> Result<u64, Setback> {
        let ask = Ask::send(Method::POST, self.route("/deployments"), new.body());
        let answer = self.briefly(&ask).await?;
        answer["id"].as_u64().ok_or_else(|| Setback::Refused("GitHub made no deployment".into()))
    }

    /// Says something about a deployment.
    pub async fn add_status(&self, deployment: u64, status: &Status) -> Result<(), Setback> {
        let route = self.route(&format!("/deployments/{deployment}/statuses"));
        self.briefly(&Ask::send(Method::POST, route, status.body())).await.map(drop)
    }

    /// Writes once, and does not wait long for the answer.
    pub(super) async fn briefly(&self, ask: &Ask) -> Result<serde_json::Value, Setback> {
        let late = || Err(Setback::Uncertain(format!("no answer in {} s", PATIENCE.as_secs())));
        tokio::time::timeout(PATIENCE, self.door.write(ask)).await.unwrap_or_else(|_| late())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::scripted::{Reply, Script, complaint, data, rest};
    use super::*;
    use crate::github::ledger::State;

    fn new() -> NewDeployment {
        let record = Record { environment: "staging".into(), commit: "c0ffee".into(), services: [].into() };
        NewDeployment { commit: "c0ffee".into(), record, run: "7/1".into(), description: "d".into() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deployment_is_made_once_whatever_comes_back() {
        for (reply, setback) in [
            (Reply::Lost, "Uncertain"),
            (Reply::Silence, "Uncertain"),
            (rest(502, json!({})), "Uncertain"),
            (rest(202, json!({"message": "Auto-merged master into topic on deployment."})), "Refused"),
            (rest(403, json!({"message": "Resource not accessible by integration"})), "Forbidden"),
        ] {
            let (project, script) = Script::project(vec![reply]);
            let answer = project.create_deployment(&new()).await.unwrap_err();
            assert!(format!("{answer:?}").starts_with(setback), "{answer:?}");
            assert_eq!(script.calls(), ["POST /repos/acme/shop/deployments"]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_is_exactly_this() {
        let (project, script) = Script::project(vec![rest(201, json!({"id": 5})), rest(201, json!({}))]);
        assert_eq!(project.create_deployment(&new()).await, Ok(5));
        let status = Status {
            state: State::InProgress,
            description: "x".repeat(200),
            log_url: Some("https://github.com/acme/shop/actions/runs/7".into()),
            environment_url: None,
        };
        project.add_status(5, &status).await.unwrap();
        let asked = script.asked();
        let record = json!({"environment": "staging", "commit": "c0ffee", "services": {}});
        assert_eq!(
            asked[0].body,
            json!({"ref": "c0ffee", "task": "deploy", "auto_merge": false, "required_contexts": [],
                "environment": "staging", "description": "d", "payload": {"roadstead": record, "run": "7/1"}})
        );
        assert!(asked[1].call.ends_with("/deployments/5/statuses"));
        assert_eq!(asked[1].body["state"], "in_progress");
        assert_eq!(asked[1].body["description"].as_str().map(|text| text.chars().count()), Some(140));
        assert_eq!(asked[1].body.get("environment_url"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn reading_is_repeated_and_a_refusal_is_not() {
        let empty = || data(json!({"repository": {"deployments": {"nodes": []}}}));
        let (project_, script) = Script::project(vec![rest(502, json!({})), empty()]);
        assert_eq!(project_.proven("staging").await, Ok(vec![]));
        assert_eq!(script.asked()[1].body["variables"]["environments"], json!(["staging"]));
        let (project, script) =
            Script::project(vec![complaint("FORBIDDEN", "Resource not accessible by integration")]);
        assert!(matches!(project.ledger("staging").await, Err(Setback::Forbidden(_))));
        assert_eq!(script.calls().len(), 1);
    }
}
