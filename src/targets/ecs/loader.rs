//! Reads of many services in few calls: whoever asks at the same moment shares a call. Nothing waits.
//!
//! The callers are expected to ask together (all in one `join_all`); the first one lets the others add their
//! question before it sends. Budget: aws.md §1.7 and the issue's ≤ 3 reads per second for 50 services.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::Instant;

use super::client::Client;
use super::neighbours::{AlarmState, Neighbours};
use super::read::{self, Revision, Service, ServiceDeployment};
use super::refusal::Refusal;

/// How often the first caller steps back before it sends.
const PATIENCE: usize = 3;
/// Guesses (reads that nothing hints at) are allowed this often, over all services.
const GUESS_EVERY: Duration = Duration::from_secs(10);

/// From so many services in one flush on, a glance may be answered by the flush before.
const CROWD: usize = 30;
/// How old the answer to a glance may be in a crowd: every second look of two seconds is fresh.
const RECENT: Duration = Duration::from_secs(3);

/// What one call answers for one key; `None` when AWS knows nothing of it.
type Found = Result<Option<Value>, Refusal>;
type Question = (String, oneshot::Sender<Found>);

/// The shared reads of one account and region.
#[derive(Debug)]
pub struct Loader {
    client: Client,
    around: Neighbours,
    services: RefCell<Vec<Question>>,
    deployments: RefCell<Vec<Question>>,
    revisions: RefCell<Vec<Question>>,
    alarms: RefCell<Vec<Question>>,
    guess_at: Cell<Option<Instant>>,
    recent: RefCell<Recent>,
}

/// The last services that were read, how many together.
#[derive(Debug, Default)]
struct Recent {
    together: usize,
    services: HashMap<String, (Instant, Option<Service>)>,
}

#[derive(Clone, Copy)]
enum Kind {
    Services,
    Deployments,
    Revisions,
    Alarms,
}

/// Questions that stand in line, and whether the first of them has to lead.
struct Waits {
    answers: Vec<oneshot::Receiver<Found>>,
    first: bool,
}

/// Whoever gives up while others wait for it wakes them, so that one of them asks instead.
struct Leader<'a>(&'a RefCell<Vec<Question>>);

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        self.0.borrow_mut().clear();
    }
}

impl Loader {
    /// Shared reads over ECS and the services around it.
    pub fn new(client: Client, around: Neighbours) -> Self {
        let (services, deployments, revisions, alarms) = Default::default();
        let (guess_at, recent) = Default::default();
        Self { client, around, services, deployments, revisions, alarms, guess_at, recent }
    }

    /// The client beneath.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// One service; `None` when AWS does not know it.
    pub async fn service(&self, cluster: &str, name: &str) -> Result<Option<Service>, Refusal> {
        let key = format!("{cluster}\n{name}");
        let found = self.ask(Kind::Services, key.clone()).await?;
        let service = found.as_ref().map(Service::read);
        self.recent.borrow_mut().services.insert(key, (Instant::now(), service.clone()));
        Ok(service)
    }

    /// One service as the wait sees it: fresh, or at most some seconds old where many wait together.
    pub async fn glance(&self, cluster: &str, name: &str) -> Result<Option<Service>, Refusal> {
        let known = self.recent.borrow().known(&format!("{cluster}\n{name}"));
        match known {
            Some(service) => Ok(service),
            None => self.service(cluster, name).await,
        }
    }

    /// One service deployment; `None` when AWS does not know it (yet).
    pub async fn deployment(&self, arn: &str) -> Result<Option<ServiceDeployment>, Refusal> {
        let found = self.ask(Kind::Deployments, arn.to_owned()).await?;
        Ok(found.as_ref().map(ServiceDeployment::read))
    }

    /// One service revision; `None` when AWS does not know it (older than 90 days).
    pub async fn revision(&self, arn: &str) -> Result<Option<Revision>, Refusal> {
        let found = self.ask(Kind::Revisions, arn.to_owned()).await?;
        Ok(found.as_ref().map(Revision::read))
    }

    /// Those of several service revisions that AWS knows.
    pub async fn revisions(&self, arns: &[String]) -> Result<Vec<Revision>, Refusal> {
        let found: Result<Vec<_>, Refusal> = self.ask_all(Kind::Revisions, arns).await.into_iter().collect();
        Ok(found?.iter().flatten().map(Revision::read).collect())
    }

    /// The state of an alarm, such as `ALARM`; `None` when there is no such alarm.
    pub async fn alarm(&self, name: &str) -> Result<Option<String>, Refusal> {
        let found = self.ask(Kind::Alarms, name.to_owned()).await?;
        Ok(found.as_ref().map(|alarm| read::text(alarm, "state")))
    }

    /// Whether a read that nothing hints at fits the budget now; taking it uses it up.
    pub fn may_guess(&self) -> bool {
        let now = Instant::now();
        let free = self.guess_at.get().is_none_or(|at| now >= at);
        if free {
            self.guess_at.set(Some(now + GUESS_EVERY));
        }
        free
    }

    fn queue(&self, kind: Kind) -> &RefCell<Vec<Question>> {
        match kind {
            Kind::Services => &self.services,
            Kind::Deployments => &self.deployments,
            Kind::Revisions => &self.revisions,
            Kind::Alarms => &self.alarms,
        }
    }

    async fn ask(&self, kind: Kind, key: String) -> Found {
        loop {
            let waits = self.line_up(kind, std::slice::from_ref(&key));
            if waits.first {
                self.lead(kind).await;
            }
            for wait in waits.answers {
                // Nothing comes when the one that led was dropped before it sent: then ask again.
                if let Ok(found) = wait.await {
                    return found;
                }
            }
        }
    }

    /// Several at once, in as few calls as they fit.
    async fn ask_all(&self, kind: Kind, keys: &[String]) -> Vec<Found> {
        let waits = self.line_up(kind, keys);
        if waits.first {
            self.lead(kind).await;
        }
        let mut all = Vec::with_capacity(keys.len());
        for (key, wait) in keys.iter().zip(waits.answers) {
            all.push(match wait.await {
                Ok(found) => found,
                Err(_) => self.ask(kind, key.clone()).await,
            });
        }
        all
    }

    fn line_up(&self, kind: Kind, keys: &[String]) -> Waits {
        let mut queue = self.queue(kind).borrow_mut();
        let first = queue.is_empty() && !keys.is_empty();
        let answers = keys.iter().map(|key| {
            let (answer, wait) = oneshot::channel();
            queue.push((key.clone(), answer));
            wait
        });
        Waits { answers: answers.collect(), first }
    }

    async fn lead(&self, kind: Kind) {
        let queue = self.queue(kind);
        let leader = Leader(queue);
        for _ in 0..PATIENCE {
            yield_now().await;
        }
        let asked = queue.take();
        drop(leader);
        if matches!(kind, Kind::Services) {
            self.recent.borrow_mut().together = asked.len();
        }
        self.send(kind, asked).await;
    }

    async fn send(&self, kind: Kind, asked: Vec<Question>) {
        let mut rest = asked;
        while !rest.is_empty() {
            let (group, others) = next_group(kind, rest);
            rest = others;
            let keys = unique(&group);
            let answer = match kind {
                Kind::Services => self.services_of(&keys).await,
                Kind::Deployments => self.client.describe_service_deployments(keys).await,
                Kind::Revisions => self.client.describe_service_revisions(keys).await,
                Kind::Alarms => self.alarms_of(keys).await,
            };
            for (key, wait) in group {
                let found = answer.clone().map(|value| pick(kind, &value, &key));
                // Nobody may be waiting any more; that is its own business.
                let _ = wait.send(found);
            }
        }
    }

    async fn services_of(&self, keys: &[String]) -> Result<Value, Refusal> {
        let cluster = keys.first().map_or("", |key| cluster_of(key));
        let names = keys.iter().filter_map(|key| key.split_once('\n')).map(|(_, name)| name.to_owned());
        self.client.describe_services(cluster, names.collect()).await
    }

    /// Alarms in the shape that ECS's answers have.
    async fn alarms_of(&self, names: Vec<String>) -> Result<Value, Refusal> {
        let states = self.around.alarms(names).await?;
        let each = |alarm: &AlarmState| json!({ "name": alarm.name, "state": alarm.state });
        Ok(json!({ "alarms": states.iter().map(each).collect::<Vec<_>>() }))
    }
}

impl Recent {
    fn known(&self, key: &str) -> Option<Option<Service>> {
        let (at, service) = self.services.get(key).filter(|_| self.together >= CROWD)?;
        (at.elapsed() < RECENT).then(|| service.clone())
    }
}

fn cluster_of(key: &str) -> &str {
    key.split_once('\n').map_or("", |(cluster, _)| cluster)
}

/// The questions that fit one call (same cluster; 10 services, 20 ARNs, 100 alarms), and those that do not.
fn next_group(kind: Kind, asked: Vec<Question>) -> (Vec<Question>, Vec<Question>) {
    let most = match kind {
        Kind::Services => 10,
        Kind::Deployments | Kind::Revisions => 20,
        Kind::Alarms => 100,
    };
    let cluster = asked.first().map(|(key, _)| cluster_of(key).to_owned()).unwrap_or_default();
    let (mut group, mut rest): (Vec<Question>, Vec<Question>) = (Vec::new(), Vec::new());
    for question in asked {
        let known = group.iter().any(|(key, _)| *key == question.0);
        let fits = known || unique(&group).len() < most;
        if fits && cluster_of(&question.0) == cluster { &mut group } else { &mut rest }.push(question);
    }
    (group, rest)
}

fn unique(group: &[Question]) -> Vec<String> {
    let mut keys: Vec<String> = group.iter().map(|(key, _)| key.clone()).collect();
    keys.sort();
    keys.dedup();
    keys
}

fn pick(kind: Kind, answer: &Value, key: &str) -> Option<Value> {
    let (members, fields, wanted): (_, &[&str], _) = match kind {
        Kind::Services => {
            let name = key.split_once('\n').map_or(key, |(_, name)| name);
            ("services", &["serviceName", "serviceArn"], name)
        }
        Kind::Deployments => ("serviceDeployments", &["serviceDeploymentArn"], key),
        Kind::Revisions => ("serviceRevisions", &["serviceRevisionArn"], key),
        Kind::Alarms => ("alarms", &["name"], key),
    };
    let fits = |member: &&Value| fields.iter().any(|field| member[field] == wanted);
    read::list(answer, members).iter().find(fits).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn questions(keys: &[&str]) -> Vec<Question> {
        keys.iter().map(|key| ((*key).to_owned(), oneshot::channel().0)).collect()
    }

    #[test]
    fn calls_hold_ten_services_of_one_cluster() {
        let names: Vec<String> =
            (0..23).map(|i| format!("{}\ns{i:02}", if i % 2 == 0 { "a" } else { "b" })).collect();
        let mut rest = questions(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let mut sizes = Vec::new();
        while !rest.is_empty() {
            let (group, others) = next_group(Kind::Services, rest);
            assert!(group.iter().all(|(key, _)| cluster_of(key) == cluster_of(&group[0].0)));
            sizes.push(group.len());
            rest = others;
        }
        assert_eq!(sizes, [10, 10, 2, 1]);
        let (group, rest) = next_group(Kind::Deployments, questions(&["x"; 30]));
        assert_eq!((group.len(), unique(&group).len(), rest.len()), (30, 1, 0));
    }

    #[test]
    fn services_are_found_by_name_or_arn() {
        let answer = json!({"services":[{"serviceName":"a","serviceArn":"arn:a"},{"serviceName":"b"}]});
        assert!(pick(Kind::Services, &answer, "c\narn:a").is_some());
        assert!(pick(Kind::Services, &answer, "c\nb").is_some());
        assert!(pick(Kind::Services, &answer, "c\nz").is_none());
    }
}
