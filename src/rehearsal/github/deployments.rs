//! What GitHub keeps of deployments: the records, their statuses, and what a status does to earlier deployments.

use serde_json::{Value, json};

use super::links::{api, date, node, user};
use super::objects::Oid;
use super::state::Repository;

/// Minutes after which a deployment that nobody said anything about counts as abandoned.
const ABANDONED: f64 = 30.0 * 60.0;

/// A deployment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Deployment {
    /// Its number.
    pub id: u64,
    /// The commit.
    pub sha: Oid,
    /// Branch, tag or commit as it was asked for.
    pub reference: String,
    /// Such as `deploy`.
    pub task: String,
    /// Where to; a status may change it.
    pub environment: String,
    /// Where to, as it was made.
    pub original: String,
    /// Whatever the client wants to find again.
    pub payload: Value,
    /// A few words.
    pub description: Option<String>,
    /// The environment goes away some day.
    pub transient: bool,
    /// End users meet the environment.
    pub production: bool,
    /// Login of whoever made it.
    pub creator: String,
    /// When, epoch seconds.
    pub created: f64,
    /// When it last changed, epoch seconds.
    pub updated: f64,
    /// What was said about it, oldest first.
    pub statuses: Vec<Status>,
}

/// What somebody says about a deployment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Status {
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
    /// Login of whoever says so.
    pub creator: String,
    /// When, epoch seconds.
    pub created: f64,
}

impl Deployment {
    /// The state in GraphQL's words at `now`, epoch seconds.
    pub fn state(&self, now: f64) -> String {
        match self.statuses.last() {
            None if now - self.created > ABANDONED => "ABANDONED".into(),
            None => "PENDING".into(),
            Some(status) if status.state == "success" => "ACTIVE".into(),
            Some(status) => status.state.to_uppercase(),
        }
    }

    /// The payload as GraphQL has it: as JSON text.
    pub fn text(&self) -> String {
        self.payload.to_string()
    }
}

impl Repository {
    /// Keep a deployment and get its number.
    pub fn deploy(&mut self, mut deployment: Deployment) -> u64 {
        deployment.id = self.fresh();
        deployment.original.clone_from(&deployment.environment);
        deployment.updated = deployment.created;
        self.deployments.push(deployment);
        self.last
    }

    /// A deployment by its number.
    pub fn deployment(&self, id: u64) -> Option<&Deployment> {
        self.deployments.iter().find(|it| it.id == id)
    }

    /// Say something about a deployment; `auto_inactive` ends those that it takes the place of.
    pub fn say(&mut self, deployment: u64, mut status: Status, auto_inactive: bool) -> Option<u64> {
        let place = self.deployments.iter().position(|it| it.id == deployment)?;
        status.id = self.fresh();
        let (id, at) = (status.id, status.created);
        if auto_inactive && status.state == "success" {
            self.supersede(place, &status.creator, at);
        }
        let it = &mut self.deployments[place];
        it.updated = at;
        it.statuses.push(status);
        Some(id)
    }

    /// Earlier deployments to the same environment that succeeded become inactive, unless they are transient or of a
    /// production environment.
    fn supersede(&mut self, place: usize, creator: &str, at: f64) {
        let environment = self.deployments[place].environment.clone();
        for other in 0..place {
            let it = &self.deployments[other];
            let stands = it.statuses.last().is_some_and(|status| status.state == "success");
            if it.environment != environment || it.transient || it.production || !stands {
                continue;
            }
            let (id, state, creator) = (self.fresh(), "inactive".into(), creator.to_owned());
            let status = Status { id, state, creator, created: at, ..Status::default() };
            self.deployments[other].statuses.push(status);
        }
    }
}

/// A deployment as the REST API shows it.
pub fn view(it: &Repository, deployment: &Deployment) -> Value {
    let address = api(it, &format!("/deployments/{}", deployment.id));
    json!({
        "id": deployment.id, "node_id": node("DE", it, &deployment.id.to_string()), "url": address,
        "sha": deployment.sha, "ref": deployment.reference, "task": deployment.task, "payload": deployment.payload,
        "environment": deployment.environment, "original_environment": deployment.original,
        "description": deployment.description, "creator": user(&deployment.creator),
        "created_at": date(deployment.created), "updated_at": date(deployment.updated),
        "statuses_url": format!("{address}/statuses"), "repository_url": api(it, ""),
        "transient_environment": deployment.transient, "production_environment": deployment.production,
        "performed_via_github_app": null,
    })
}

/// A status as the REST API shows it.
pub fn status_view(it: &Repository, deployment: &Deployment, status: &Status) -> Value {
    let address = api(it, &format!("/deployments/{}", deployment.id));
    json!({
        "id": status.id, "node_id": node("DES", it, &status.id.to_string()), "state": status.state,
        "url": format!("{address}/statuses/{}", status.id), "creator": user(&status.creator),
        "description": status.description, "environment": deployment.environment,
        "target_url": status.log_url, "log_url": status.log_url, "environment_url": status.environment_url,
        "created_at": date(status.created), "updated_at": date(status.created),
        "deployment_url": address, "repository_url": api(it, ""), "performed_via_github_app": null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployed(it: &mut Repository, environment: &str, production: bool) -> u64 {
        let id =
            it.deploy(Deployment { environment: environment.into(), production, ..Deployment::default() });
        it.say(id, Status { state: "success".into(), ..Status::default() }, true);
        id
    }

    #[test]
    fn a_success_ends_what_it_takes_the_place_of() {
        let mut it = Repository::default();
        let first = deployed(&mut it, "staging", false);
        let elsewhere = deployed(&mut it, "review", false);
        let live = deployed(&mut it, "production", true);
        let (second, again) = (deployed(&mut it, "staging", false), deployed(&mut it, "production", true));
        let state = |id: u64| it.deployment(id).unwrap().state(0.0);
        assert_eq!(state(first), "INACTIVE");
        for id in [elsewhere, live, second, again] {
            assert_eq!(state(id), "ACTIVE");
        }
    }

    #[test]
    fn what_nobody_speaks_of_is_abandoned() {
        let deployment = Deployment { created: 100.0, ..Deployment::default() };
        assert_eq!(deployment.state(200.0), "PENDING");
        assert_eq!(deployment.state(2000.0), "ABANDONED");
    }
}
