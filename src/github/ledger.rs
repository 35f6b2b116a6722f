//! The deployments of an environment as GitHub keeps them, and what of them is ours: the question, the answer, and the
//! bodies of what is added. Pure. <https://docs.github.com/rest/deployments/deployments>

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::compact;
use crate::release::Record;

/// So many of the newest deployments are looked at, with so many statuses each.
const NEWEST: usize = 30;
/// Statuses of one deployment that are looked at.
const STATUSES: usize = 60;
/// The longest description of a status, in characters.
pub const DESCRIPTION: usize = 140;
/// What descriptions of ours begin with.
const NAME: &str = "Roadstead";

/// Deployments of one environment, newest first, with their statuses.
pub const QUESTION: &str = "query($owner:String!,$name:String!,$environments:[String!],$newest:Int!,$statuses:Int!){\
    repository(owner:$owner,name:$name){deployments(environments:$environments,first:$newest,\
    orderBy:{field:CREATED_AT,direction:DESC}){nodes{databaseId createdAt payload \
    statuses(first:$statuses){nodes{state description logUrl}}}}}}";

/// The variables of [`QUESTION`].
pub fn variables((owner, name): (&str, &str), environment: &str) -> Value {
    json!({ "owner": owner, "name": name, "environments": [environment], "newest": NEWEST, "statuses": STATUSES })
}

/// A record with what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What was released.
    pub record: Record,
    /// GitHub's number of the deployment.
    pub deployment: u64,
    /// When the deployment was made, on GitHub's clock.
    pub created: Option<Timestamp>,
    /// Whether we said that all of it serves, proven. What is said later does not take that away.
    pub proven: bool,
}

/// The newest deployments of an environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    environment: String,
    deployments: Vec<Deployment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Deployment {
    id: u64,
    created: Option<Timestamp>,
    ours: Option<Payload>,
    statuses: Vec<Told>,
}

/// What stands in the payload of a deployment that we made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Payload {
    roadstead: Record,
    /// Number and attempt of the run that made it.
    #[serde(default)]
    run: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    state: String,
    description: Option<String>,
    log_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    database_id: u64,
    created_at: Option<String>,
    payload: Option<Value>,
    statuses: Option<Nodes<Told>>,
}

#[derive(Deserialize)]
struct Nodes<T> {
    nodes: Option<Vec<Option<T>>>,
}

impl<T> Nodes<T> {
    fn all(self) -> impl Iterator<Item = T> {
        self.nodes.unwrap_or_default().into_iter().flatten()
    }
}

/// Reads the answer to [`QUESTION`]. `None` where there is no such answer.
pub fn read(data: &Value, environment: &str) -> Option<Ledger> {
    let answer = Nodes::<Node>::deserialize(&data["repository"]["deployments"]).ok()?;
    let deployment = |node: Node| Deployment {
        id: node.database_id,
        created: node.created_at.and_then(|at| at.parse().ok()),
        ours: node.payload.and_then(payload),
        statuses: node.statuses.map(|told| told.all().collect()).unwrap_or_default(),
    };
    Some(Ledger { environment: environment.to_owned(), deployments: answer.all().map(deployment).collect() })
}

/// GitHub gives a payload as text, and one that was sent as text as text in text.
fn payload(value: Value) -> Option<Payload> {
    match value {
        Value::String(text) => payload(serde_json::from_str(&text).ok()?),
        value => serde_json::from_value(value).ok(),
    }
}

impl Ledger {
    /// Every record of ours, the newest deployment first.
    pub fn entries(&self) -> Vec<Entry> {
        self.deployments.iter().flat_map(|deployment| deployment.entries(&self.environment)).collect()
    }

    /// The deployment that GitHub itself made for the job of run `run`, since the job names this environment.
    pub fn of_job(&self, run: u64) -> Option<u64> {
        let page = format!("/actions/runs/{run}/");
        let found = self.deployments.iter().find(|one| one.ours.is_none() && one.is_at_work_on(&page));
        found.map(|one| one.id)
    }

    /// Whether this was said about a deployment.
    pub fn says(&self, deployment: u64, status: &Status) -> bool {
        let same = |told: &Told| {
            told.state.eq_ignore_ascii_case(status.state.word())
                && told.description.as_deref() == Some(status.shown().as_str())
        };
        self.deployments.iter().any(|one| one.id == deployment && one.statuses.iter().any(same))
    }

    /// The deployment that attempt `run` (see [`run_name`]) made and did not close.
    pub fn opened_by(&self, run: &str) -> Option<u64> {
        let open = |one: &&Deployment| {
            let closed = one.statuses.iter().any(|told| told.is_ours() && told.is_final());
            !closed && one.ours.as_ref().is_some_and(|ours| ours.run == run)
        };
        self.deployments.iter().find(open).map(|one| one.id)
    }
}

impl Deployment {
    fn entries(&self, environment: &str) -> Vec<Entry> {
        let entry =
            |record: Record, proven| Entry { record, deployment: self.id, created: self.created, proven };
        match &self.ours {
            Some(ours) => vec![entry(ours.roadstead.clone(), self.is_proven(None))],
            None => {
                let descriptions = self.statuses.iter().filter_map(|told| told.description.as_deref());
                let found = compact::decoded(environment, descriptions);
                found.into_iter().map(|(tag, record)| entry(record, self.is_proven(Some(&tag)))).collect()
            }
        }
    }

    fn is_proven(&self, tag: Option<&str>) -> bool {
        let ours = prefix(tag);
        self.statuses.iter().any(|told| {
            told.state == "SUCCESS" && told.description.as_ref().is_some_and(|words| words.starts_with(&ours))
        })
    }

    /// Whether GitHub said of it that a job with this page is at work, and not yet that the job ended.
    fn is_at_work_on(&self, page: &str) -> bool {
        let mut githubs = self.statuses.iter().filter(|told| !told.is_ours());
        let named = |told: &Told| told.log_url.as_ref().is_some_and(|url| url.contains(page));
        self.statuses.iter().any(named) && !githubs.any(Told::is_final)
    }
}

impl Told {
    fn is_ours(&self) -> bool {
        self.description.as_ref().is_some_and(|words| words.starts_with(NAME) || compact::is_part(words))
    }

    fn is_final(&self) -> bool {
        matches!(self.state.as_str(), "SUCCESS" | "FAILURE" | "ERROR")
    }
}

/// A run as a payload names it.
pub fn run_name(id: u64, attempt: u32) -> String {
    format!("{id}/{attempt}")
}

/// A deployment to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDeployment {
    /// The commit that GitHub shows, in full.
    pub commit: String,
    /// What is released.
    pub record: Record,
    /// The run, by [`run_name`].
    pub run: String,
    /// For people.
    pub description: String,
}

impl NewDeployment {
    /// The body. GitHub would merge the default branch into the commit, and wait for checks of which this job is one.
    pub fn body(&self) -> Value {
        json!({
            "ref": self.commit,
            "task": "deploy",
            "auto_merge": false,
            "required_contexts": [],
            "environment": self.record.environment,
            "description": cut(&self.description, DESCRIPTION),
            "payload": { "roadstead": self.record, "run": self.run },
        })
    }
}

/// What is said about a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is under way.
    InProgress,
    /// It was handed over to somebody, and nobody saw it serve.
    Queued,
    /// All of it serves, proven.
    Success,
    /// It did not become healthy; what served before serves.
    Failure,
    /// Nothing came of it, or nobody knows what did.
    Error,
    /// Somebody newer serves.
    Inactive,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Queued => "queued",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
            Self::Inactive => "inactive",
        }
    }
}

/// A status to be added to a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What is said.
    pub state: State,
    /// In words: see [`words`] and [`compact::encoded`].
    pub description: String,
    /// The page of the run.
    pub log_url: Option<String>,
    /// Where people reach what was released.
    pub environment_url: Option<String>,
}

impl Status {
    /// The description as far as there is room for it.
    fn shown(&self) -> String {
        cut(&self.description, DESCRIPTION)
    }

    /// The body.
    pub fn body(&self) -> Value {
        let mut body = json!({ "state": self.state.word(), "description": self.shown() });
        for (name, value) in [("log_url", &self.log_url), ("environment_url", &self.environment_url)] {
            if let Some(value) = value {
                body[name] = json!(value);
            }
        }
        body
    }
}

/// A description of ours; `tag` names the record that it is about where that stands in statuses, too.
pub fn words(tag: Option<&str>, text: &str) -> String {
    cut(&format!("{}{text}", prefix(tag)), DESCRIPTION)
}

fn prefix(tag: Option<&str>) -> String {
    tag.map_or_else(|| format!("{NAME}: "), |tag| format!("{NAME} {tag}: "))
}

/// `text` with at most so many characters.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests;
