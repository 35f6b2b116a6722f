//! Reads of many services in few calls: concurrent callers share a call. Nothing waits.
//!
//! The callers are expected to read concurrently (all in one `join_all`); the first one lets the others queue their
//! reads before it sends. Budget: aws.md §1.7 and the issue's ≤ 3 reads per second for 50 services.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::Instant;

use super::aws_clients::{AlarmState, SupportClients};
use super::client::EcsClient;
use super::error::AwsError;
use super::read::{self, EcsService, ServiceDeployment, ServiceRevision};

/// How often the first caller yields before it sends.
const YIELDS_BEFORE_SEND: usize = 3;
/// Time between speculative reads (without a hint that something changed), over all services.
const EXTRA_READ_INTERVAL: Duration = Duration::from_secs(10);

/// Batch size from which a poll may use the response of the batch before.
const CACHE_MIN_BATCH: usize = 30;
/// Maximum age of a response for a poll in large batches: every second poll of two seconds is fresh.
const CACHE_MAX_AGE: Duration = Duration::from_secs(3);

/// The response for one key; `None` if AWS does not know it.
type ReadResult = Result<Option<Value>, AwsError>;
type PendingRead = (String, oneshot::Sender<ReadResult>);

/// The shared reads of one account and region.
#[derive(Debug)]
pub struct BatchLoader {
    client: EcsClient,
    support: SupportClients,
    services: RefCell<Vec<PendingRead>>,
    deployments: RefCell<Vec<PendingRead>>,
    revisions: RefCell<Vec<PendingRead>>,
    alarms: RefCell<Vec<PendingRead>>,
    next_extra_read: Cell<Option<Instant>>,
    recent: RefCell<RecentServices>,
}

/// The services of the last batch, and its size.
#[derive(Debug, Default)]
struct RecentServices {
    last_batch_size: usize,
    services: HashMap<String, CachedService>,
}

/// What a read of a service gave; `None` when AWS did not know it.
#[derive(Debug, Clone)]
struct CachedService {
    read_at: Instant,
    service: Option<EcsService>,
}

#[derive(Clone, Copy)]
enum ReadKind {
    Services,
    Deployments,
    Revisions,
    Alarms,
}

/// Reads in the queue, and whether the first of them has to lead.
struct Waiters {
    answers: Vec<oneshot::Receiver<ReadResult>>,
    is_leader: bool,
}

/// A leader that is dropped while others wait wakes them, so that one of them sends instead.
struct BatchGuard<'a>(&'a RefCell<Vec<PendingRead>>);

impl Drop for BatchGuard<'_> {
    fn drop(&mut self) {
        self.0.borrow_mut().clear();
    }
}

/// The state of an alarm at one read.
#[derive(Debug, Clone, PartialEq)]
pub struct AlarmReading {
    /// Such as `ALARM`.
    pub state: String,
    /// Since when, in seconds since the epoch.
    pub since: f64,
}

impl AlarmReading {
    /// Whether it fires, and did so before `time`.
    pub fn fired_before(&self, time: f64) -> bool {
        self.state == "ALARM" && self.since <= time
    }
}

impl BatchLoader {
    /// Shared reads over ECS and the services around it.
    pub fn new(client: EcsClient, support: SupportClients) -> Self {
        let (services, deployments, revisions, alarms) = Default::default();
        let (next_extra_read, recent) = Default::default();
        Self { client, support, services, deployments, revisions, alarms, next_extra_read, recent }
    }

    /// The client below, for calls that are not batched.
    pub fn client(&self) -> &EcsClient {
        &self.client
    }

    /// One service; `None` if AWS does not know it.
    pub async fn service(&self, cluster: &str, name: &str) -> Result<Option<EcsService>, AwsError> {
        let key = format!("{cluster}\n{name}");
        let found = self.load_one(ReadKind::Services, key.clone()).await?;
        let service = found.as_ref().map(EcsService::from_json);
        let cached = CachedService { read_at: Instant::now(), service: service.clone() };
        self.recent.borrow_mut().services.insert(key, cached);
        Ok(service)
    }

    /// One service for a poll: fresh, or at most some seconds old in large batches.
    pub async fn service_or_recent(&self, cluster: &str, name: &str) -> Result<Option<EcsService>, AwsError> {
        let known = self.recent.borrow().fresh(&format!("{cluster}\n{name}"));
        match known {
            Some(cached) => Ok(cached.service),
            None => self.service(cluster, name).await,
        }
    }

    /// One service deployment; `None` if AWS does not know it (yet).
    pub async fn deployment(&self, arn: &str) -> Result<Option<ServiceDeployment>, AwsError> {
        let found = self.load_one(ReadKind::Deployments, arn.to_owned()).await?;
        Ok(found.as_ref().map(ServiceDeployment::from_json))
    }

    /// One service revision; `None` if AWS does not know it (older than 90 days).
    pub async fn revision(&self, arn: &str) -> Result<Option<ServiceRevision>, AwsError> {
        let found = self.load_one(ReadKind::Revisions, arn.to_owned()).await?;
        Ok(found.as_ref().map(ServiceRevision::from_json))
    }

    /// Those of several service revisions that AWS knows.
    pub async fn revisions(&self, arns: &[String]) -> Result<Vec<ServiceRevision>, AwsError> {
        let found: Result<Vec<_>, AwsError> =
            self.load_all(ReadKind::Revisions, arns).await.into_iter().collect();
        Ok(found?.iter().flatten().map(ServiceRevision::from_json).collect())
    }

    /// The state of an alarm; `None` if it does not exist.
    pub async fn alarm(&self, name: &str) -> Result<Option<AlarmReading>, AwsError> {
        let found = self.load_one(ReadKind::Alarms, name.to_owned()).await?;
        Ok(found.as_ref().map(|alarm| AlarmReading {
            state: read::str_field(alarm, "state"),
            since: read::seconds_field(alarm, "since"),
        }))
    }

    /// Whether a speculative read fits the budget now; if so, it is used up.
    pub fn take_read_budget(&self) -> bool {
        let now = Instant::now();
        let free = self.next_extra_read.get().is_none_or(|at| now >= at);
        if free {
            self.next_extra_read.set(Some(now + EXTRA_READ_INTERVAL));
        }
        free
    }

    fn queue(&self, kind: ReadKind) -> &RefCell<Vec<PendingRead>> {
        match kind {
            ReadKind::Services => &self.services,
            ReadKind::Deployments => &self.deployments,
            ReadKind::Revisions => &self.revisions,
            ReadKind::Alarms => &self.alarms,
        }
    }

    async fn load_one(&self, kind: ReadKind, key: String) -> ReadResult {
        loop {
            let waits = self.enqueue(kind, std::slice::from_ref(&key));
            if waits.is_leader {
                self.flush(kind).await;
            }
            for wait in waits.answers {
                // No response arrives if the leader was dropped before it sent: then send again.
                if let Ok(found) = wait.await {
                    return found;
                }
            }
        }
    }

    /// Several at once, in as few calls as they fit.
    async fn load_all(&self, kind: ReadKind, keys: &[String]) -> Vec<ReadResult> {
        let waits = self.enqueue(kind, keys);
        if waits.is_leader {
            self.flush(kind).await;
        }
        let mut all = Vec::with_capacity(keys.len());
        for (key, wait) in keys.iter().zip(waits.answers) {
            all.push(match wait.await {
                Ok(found) => found,
                Err(_) => self.load_one(kind, key.clone()).await,
            });
        }
        all
    }

    fn enqueue(&self, kind: ReadKind, keys: &[String]) -> Waiters {
        let mut queue = self.queue(kind).borrow_mut();
        let first = queue.is_empty() && !keys.is_empty();
        let answers = keys.iter().map(|key| {
            let (answer, wait) = oneshot::channel();
            queue.push((key.clone(), answer));
            wait
        });
        Waiters { answers: answers.collect(), is_leader: first }
    }

    async fn flush(&self, kind: ReadKind) {
        let queue = self.queue(kind);
        let leader = BatchGuard(queue);
        for _ in 0..YIELDS_BEFORE_SEND {
            yield_now().await;
        }
        let asked = queue.take();
        drop(leader);
        if matches!(kind, ReadKind::Services) {
            self.recent.borrow_mut().last_batch_size = asked.len();
        }
        self.send_batches(kind, asked).await;
    }

    async fn send_batches(&self, kind: ReadKind, asked: Vec<PendingRead>) {
        let mut rest = asked;
        while !rest.is_empty() {
            let (group, others) = next_group(kind, rest);
            rest = others;
            let keys = unique_keys(&group);
            let answer = match kind {
                ReadKind::Services => self.read_services(&keys).await,
                ReadKind::Deployments => self.client.describe_service_deployments(keys).await,
                ReadKind::Revisions => self.client.describe_service_revisions(keys).await,
                ReadKind::Alarms => self.read_alarms(keys).await,
            };
            for (key, wait) in group {
                let found = answer.clone().map(|value| find_answer(kind, &value, &key));
                // The caller may have been dropped; that is not an error.
                let _ = wait.send(found);
            }
        }
    }

    async fn read_services(&self, keys: &[String]) -> Result<Value, AwsError> {
        let cluster = keys.first().map_or("", |key| cluster_from_key(key));
        let names = keys.iter().filter_map(|key| key.split_once('\n')).map(|(_, name)| name.to_owned());
        self.client.describe_services(cluster, names.collect()).await
    }

    /// Alarms in the shape of ECS's responses.
    async fn read_alarms(&self, names: Vec<String>) -> Result<Value, AwsError> {
        let states = self.support.alarm_states(names).await?;
        let each =
            |alarm: &AlarmState| json!({ "name": alarm.name, "state": alarm.state, "since": alarm.since });
        Ok(json!({ "alarms": states.iter().map(each).collect::<Vec<_>>() }))
    }
}

impl RecentServices {
    fn fresh(&self, key: &str) -> Option<CachedService> {
        let cached = self.services.get(key).filter(|_| self.last_batch_size >= CACHE_MIN_BATCH)?;
        Some(cached.clone()).filter(|cached| cached.read_at.elapsed() < CACHE_MAX_AGE)
    }
}

fn cluster_from_key(key: &str) -> &str {
    key.split_once('\n').map_or("", |(cluster, _)| cluster)
}

/// The reads that fit one call (same cluster; 10 services, 20 ARNs, 100 alarms), and the rest.
fn next_group(kind: ReadKind, asked: Vec<PendingRead>) -> (Vec<PendingRead>, Vec<PendingRead>) {
    let most = match kind {
        ReadKind::Services => 10,
        ReadKind::Deployments | ReadKind::Revisions => 20,
        ReadKind::Alarms => 100,
    };
    let cluster = asked.first().map(|(key, _)| cluster_from_key(key).to_owned()).unwrap_or_default();
    let (mut group, mut rest): (Vec<PendingRead>, Vec<PendingRead>) = (Vec::new(), Vec::new());
    for question in asked {
        let known = group.iter().any(|(key, _)| *key == question.0);
        let fits = known || unique_keys(&group).len() < most;
        if fits && cluster_from_key(&question.0) == cluster { &mut group } else { &mut rest }.push(question);
    }
    (group, rest)
}

fn unique_keys(group: &[PendingRead]) -> Vec<String> {
    let mut keys: Vec<String> = group.iter().map(|(key, _)| key.clone()).collect();
    keys.sort();
    keys.dedup();
    keys
}

fn find_answer(kind: ReadKind, answer: &Value, key: &str) -> Option<Value> {
    let (members, fields, wanted): (_, &[&str], _) = match kind {
        ReadKind::Services => {
            let name = key.split_once('\n').map_or(key, |(_, name)| name);
            ("services", &["serviceName", "serviceArn"], name)
        }
        ReadKind::Deployments => ("serviceDeployments", &["serviceDeploymentArn"], key),
        ReadKind::Revisions => ("serviceRevisions", &["serviceRevisionArn"], key),
        ReadKind::Alarms => ("alarms", &["name"], key),
    };
    let fits = |member: &&Value| fields.iter().any(|field| member[field] == wanted);
    read::list_field(answer, members).iter().find(fits).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending_reads(keys: &[&str]) -> Vec<PendingRead> {
        keys.iter().map(|key| ((*key).to_owned(), oneshot::channel().0)).collect()
    }

    #[test]
    fn batches_have_ten_services_of_one_cluster() {
        let names: Vec<String> =
            (0..23).map(|i| format!("{}\ns{i:02}", if i % 2 == 0 { "a" } else { "b" })).collect();
        let mut rest = pending_reads(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let mut sizes = Vec::new();
        while !rest.is_empty() {
            let (group, others) = next_group(ReadKind::Services, rest);
            assert!(group.iter().all(|(key, _)| cluster_from_key(key) == cluster_from_key(&group[0].0)));
            sizes.push(group.len());
            rest = others;
        }
        assert_eq!(sizes, [10, 10, 2, 1]);
        let (group, rest) = next_group(ReadKind::Deployments, pending_reads(&["x"; 30]));
        assert_eq!((group.len(), unique_keys(&group).len(), rest.len()), (30, 1, 0));
    }

    #[test]
    fn services_are_found_by_name_or_arn() {
        let answer = json!({"services":[{"serviceName":"a","serviceArn":"arn:a"},{"serviceName":"b"}]});
        assert!(find_answer(ReadKind::Services, &answer, "c\narn:a").is_some());
        assert!(find_answer(ReadKind::Services, &answer, "c\nb").is_some());
        assert!(find_answer(ReadKind::Services, &answer, "c\nz").is_none());
    }
}
