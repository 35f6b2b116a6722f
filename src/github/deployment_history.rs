//! The deployments of an environment on GitHub, as far as they were read, and our records in them. Pure.
//! <https://docs.github.com/rest/deployments/deployments>

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::deployment_pages::{DeploymentPage, UnreadDeployments};
use super::new_deployment::{DeploymentStatus, truncate};
use super::status_encoding;
use crate::release::{DeploymentRecord, RecordedService, RunNumber};

/// Maximum description of a status, in characters.
pub const MAX_DESCRIPTION_CHARS: usize = 140;
/// The prefix of our descriptions.
const OWN_PREFIX: &str = "Roadstead";
/// How the description of a release begins that was cut off, and whose end was confirmed.
pub const CUT_OFF_THEN: &str = "cut off; then ";

/// A record with its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedDeployment {
    /// What was released.
    pub record: DeploymentRecord,
    /// The id of its GitHub deployment.
    pub deployment: u64,
    /// When the deployment was created, on GitHub's clock.
    pub created_at: Option<Timestamp>,
    /// Whether it says that it was proven: every service verified. A later `inactive` does not revoke that; a failure of
    /// ours does.
    pub proven: bool,
    /// When the status was written that says so, on GitHub's clock.
    pub proven_at: Option<Timestamp>,
    /// How it ended.
    pub end: RecordEnd,
    /// The run that it names.
    pub run: Option<RunNumber>,
    /// Whether another record names the same attempt of the run and another image for one of its services.
    pub contested: bool,
}

/// How a recorded release ended, as its own statuses say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordEnd {
    /// It has not ended, or its run could not record that.
    Open,
    /// It was handed over to another system, and its rollout was not watched.
    HandedOff,
    /// It was cut off, mostly by a cancel, and rolled back for that: nothing was found against it.
    CutOff,
    /// It failed, or another release replaced it.
    Failed,
    /// It was proven.
    Proven,
}

impl RecordedDeployment {
    /// Whether both name the same attempt of a run, and different images for a service.
    fn contradicts(&self, other: &Self) -> bool {
        let differs = |(name, one): (&String, &RecordedService)| {
            other.record.services.get(name).is_some_and(|known| !known.has_same_images(one))
        };
        self.run.is_some() && self.run == other.run && self.record.services.iter().any(differs)
    }
}

/// The newest deployments of an environment, as far as they were read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeploymentHistory {
    pub(super) environment: String,
    deployments: Vec<ListedDeployment>,
    /// What was not read yet.
    pub(super) unread: UnreadDeployments,
}

/// A deployment with its statuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListedDeployment {
    id: u64,
    created_at: Option<Timestamp>,
    payload: Option<DeploymentPayload>,
    statuses: Vec<StatusNode>,
}

/// The payload of a deployment that we created.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct DeploymentPayload {
    roadstead: DeploymentRecord,
    /// Number and attempt of the run that created it.
    #[serde(default)]
    run: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatusNode {
    state: String,
    description: Option<String>,
    log_url: Option<String>,
    created_at: Option<String>,
}

/// A deployment in a response of GraphQL.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeploymentNode {
    database_id: u64,
    created_at: Option<String>,
    payload: Option<Value>,
    statuses: Option<NodeList<StatusNode>>,
}

/// The nodes of a list in a response of GraphQL.
#[derive(Deserialize)]
pub(super) struct NodeList<T> {
    nodes: Option<Vec<Option<T>>>,
}

impl<T> NodeList<T> {
    pub(super) fn into_items(self) -> impl Iterator<Item = T> {
        self.nodes.unwrap_or_default().into_iter().flatten()
    }
}

impl From<DeploymentNode> for ListedDeployment {
    fn from(node: DeploymentNode) -> Self {
        Self {
            id: node.database_id,
            created_at: node.created_at.and_then(|at| at.parse().ok()),
            payload: node.payload.and_then(parse_payload),
            statuses: node.statuses.map(|connection| connection.into_items().collect()).unwrap_or_default(),
        }
    }
}

/// GitHub returns a payload as text, and one that was sent as text as text in text.
fn parse_payload(value: Value) -> Option<DeploymentPayload> {
    match value {
        Value::String(text) => parse_payload(serde_json::from_str(&text).ok()?),
        value => serde_json::from_value(value).ok(),
    }
}

impl DeploymentHistory {
    /// That of an environment of which nothing was read yet.
    pub(super) fn unread(environment: &str) -> Self {
        let unread = UnreadDeployments::Newest { after: None, page: 1 };
        Self { environment: environment.to_owned(), deployments: Vec::new(), unread }
    }

    /// Whether every deployment of the environment was read. What an incomplete history does not show may exist.
    pub fn is_complete(&self) -> bool {
        self.unread == UnreadDeployments::None
    }

    /// The number of deployments that were read.
    pub fn len(&self) -> usize {
        self.deployments.len()
    }

    /// Whether no deployment was read.
    pub fn is_empty(&self) -> bool {
        self.deployments.is_empty()
    }

    /// Whether a deployment was read.
    pub fn contains(&self, deployment: u64) -> bool {
        self.deployments.iter().any(|one| one.id == deployment)
    }

    /// Adds older deployments. Those that were read before stay as they were read: a list that grows shows them twice.
    pub(super) fn add(&mut self, page: DeploymentPage) {
        let new = page.deployments.into_iter().filter(|one| !self.contains(one.id)).collect::<Vec<_>>();
        self.deployments.extend(new);
        self.unread = page.unread;
    }

    /// Every record of ours, newest deployment first.
    pub fn entries(&self) -> Vec<RecordedDeployment> {
        let all: Vec<RecordedDeployment> =
            self.deployments.iter().flat_map(|deployment| deployment.entries(&self.environment)).collect();
        let contested = |one: &RecordedDeployment| all.iter().any(|other| one.contradicts(other));
        all.iter().map(|one| RecordedDeployment { contested: contested(one), ..one.clone() }).collect()
    }

    /// The deployment that GitHub created for the job of run `run`, since the job names this environment.
    pub fn job_deployment(&self, run: u64) -> Option<u64> {
        let page = format!("/actions/runs/{run}/");
        let found = self.deployments.iter().find(|one| one.payload.is_none() && one.is_running_job(&page));
        found.map(|one| one.id)
    }

    /// Whether a deployment has this status.
    pub fn has_status(&self, deployment: u64, status: &DeploymentStatus) -> bool {
        let same = |existing: &StatusNode| {
            existing.state.eq_ignore_ascii_case(status.state.as_str())
                && existing.description.as_deref() == Some(status.truncated_description().as_str())
        };
        self.deployments.iter().any(|one| one.id == deployment && one.statuses.iter().any(same))
    }

    /// The deployment that attempt `run` (see [`run_name`]) created and did not close, to close it.
    pub fn open_deployment_of(&self, run: &str) -> Option<u64> {
        self.deployments.iter().find(|one| one.is_open_of(run)).map(|one| one.id)
    }

    /// As [`open_deployment_of`](Self::open_deployment_of), with exactly this record, to continue it: a token that may
    /// write deployments can have created one that names this run.
    pub fn open_deployment_with(&self, run: &str, record: &DeploymentRecord) -> Option<u64> {
        let same = |one: &&ListedDeployment| {
            one.is_open_of(run) && one.payload.as_ref().is_some_and(|ours| ours.roadstead == *record)
        };
        self.deployments.iter().find(same).map(|one| one.id)
    }
}

impl ListedDeployment {
    fn entries(&self, environment: &str) -> Vec<RecordedDeployment> {
        let entry = |record: DeploymentRecord, tag: Option<&str>| RecordedDeployment {
            record,
            deployment: self.id,
            created_at: self.created_at,
            proven: self.success(tag).is_some(),
            proven_at: self.success(tag).and_then(|status| status.created_at.as_deref()?.parse().ok()),
            end: self.end(tag),
            run: self.named_run(tag),
            contested: false,
        };
        match &self.payload {
            Some(ours) => vec![entry(ours.roadstead.clone(), None)],
            None => {
                let descriptions =
                    self.statuses.iter().filter_map(|existing| existing.description.as_deref());
                let found = status_encoding::decode(environment, descriptions);
                found.into_iter().map(|(tag, record)| entry(record, Some(&tag))).collect()
            }
        }
    }

    /// A proof stays one unless a status of ours contradicts it, and a failure stays one, whatever is said later.
    fn end(&self, tag: Option<&str>) -> RecordEnd {
        if self.success(tag).is_some() {
            return RecordEnd::Proven;
        }
        let prefix = description_prefix(tag);
        let own = |existing: &StatusNode| {
            let text = existing.description.as_deref()?.strip_prefix(&prefix)?;
            existing.end(text).filter(|end| *end != RecordEnd::Proven)
        };
        self.statuses.iter().filter_map(own).max().unwrap_or(RecordEnd::Open)
    }

    /// The first status that says that a record is proven; `None` if another one of ours says that it failed.
    fn success(&self, tag: Option<&str>) -> Option<&StatusNode> {
        let own: Vec<&StatusNode> = self.own_statuses(tag).filter(|existing| existing.is_final()).collect();
        let agree = own.iter().all(|existing| existing.state == "SUCCESS");
        own.into_iter().filter(|_| agree).min_by_key(|existing| existing.created_at.clone())
    }

    /// The statuses of a record that have its prefix.
    fn own_statuses(&self, tag: Option<&str>) -> impl Iterator<Item = &StatusNode> {
        let prefix = description_prefix(tag);
        let starts = move |existing: &&StatusNode| {
            existing.description.as_ref().is_some_and(|words| words.starts_with(&prefix))
        };
        self.statuses.iter().filter(starts)
    }

    /// The run that a record names: in the payload, or with the page of its statuses.
    fn named_run(&self, tag: Option<&str>) -> Option<RunNumber> {
        if let Some(ours) = &self.payload {
            return parse_run_name(&ours.run);
        }
        let fragments = self.statuses.iter().filter(|existing| existing.is_own());
        let mut pages = self.own_statuses(tag).chain(fragments).filter_map(|one| one.log_url.as_deref());
        pages.find_map(parse_run_page)
    }

    fn is_open_of(&self, run: &str) -> bool {
        let closed = self.statuses.iter().any(|existing| existing.is_own() && existing.is_final());
        !closed && self.payload.as_ref().is_some_and(|ours| ours.run == run)
    }

    /// Whether GitHub's statuses report that a job with this page is running, and not yet that it ended.
    fn is_running_job(&self, page: &str) -> bool {
        let mut githubs = self.statuses.iter().filter(|existing| !existing.is_own());
        let named = |existing: &StatusNode| existing.log_url.as_ref().is_some_and(|url| url.contains(page));
        self.statuses.iter().any(named) && !githubs.any(StatusNode::is_final)
    }
}

impl StatusNode {
    fn is_own(&self) -> bool {
        self.description
            .as_ref()
            .is_some_and(|words| words.starts_with(OWN_PREFIX) || status_encoding::is_fragment(words))
    }

    /// The end that this status of ours states, with `text` after the prefix; `None` if it states none.
    fn end(&self, text: &str) -> Option<RecordEnd> {
        match self.state.as_str() {
            "SUCCESS" => Some(RecordEnd::Proven),
            "ERROR" if text.starts_with(CUT_OFF_THEN) => Some(RecordEnd::CutOff),
            // Its runner was lost: what became of it is not known.
            "ERROR" if text.starts_with("cut off") => None,
            "ERROR" | "FAILURE" | "INACTIVE" => Some(RecordEnd::Failed),
            "QUEUED" => Some(RecordEnd::HandedOff),
            _ => None,
        }
    }

    fn is_final(&self) -> bool {
        matches!(self.state.as_str(), "SUCCESS" | "FAILURE" | "ERROR")
    }
}

/// A run as a payload names it.
pub fn run_name(id: u64, attempt: u32) -> String {
    format!("{id}/{attempt}")
}

fn parse_run_name(name: &str) -> Option<RunNumber> {
    let (id, attempt) = name.split_once('/')?;
    Some(RunNumber { id: id.parse().ok()?, attempt: attempt.parse().ok()? })
}

/// The run in the page of an attempt: `…/actions/runs/7/attempts/1`.
fn parse_run_page(page: &str) -> Option<RunNumber> {
    let (_, rest) = page.split_once("/actions/runs/")?;
    let (id, attempt) = rest.split_once("/attempts/")?;
    let attempt = attempt.split('/').next().unwrap_or_default();
    Some(RunNumber { id: id.parse().ok()?, attempt: attempt.parse().ok()? })
}

/// A description of ours; `tag` names its record if that is encoded in statuses too.
pub fn status_description(tag: Option<&str>, text: &str) -> String {
    truncate(&format!("{}{text}", description_prefix(tag)), MAX_DESCRIPTION_CHARS)
}

fn description_prefix(tag: Option<&str>) -> String {
    tag.map_or_else(|| format!("{OWN_PREFIX}: "), |tag| format!("{OWN_PREFIX} {tag}: "))
}

#[cfg(test)]
mod tests;
