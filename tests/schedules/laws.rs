//! The laws, held at every call that changes a service and at every tick, by what GitHub and the cloud hold: not by what
//! the runs say.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use roadstead::rehearsal::call::{Call, Delivery};
use roadstead::rehearsal::cloud::Cloud;
use roadstead::rehearsal::github::commits;
use roadstead::rehearsal::record::{Interrupt, Moment, Phase};

use super::plan::SERVICES;
use super::play::Wire;

/// A run, and its attempt.
pub(super) type Who = (u64, u64);

/// What was seen.
#[derive(Default)]
struct Seen {
    /// The commit of every version, by its ARN.
    versions: BTreeMap<String, u64>,
    /// What each service was wholly on, and since when (epoch seconds); nothing while it moves.
    whole: Vec<(f64, &'static str, Option<u64>)>,
    /// What a service was wholly on when a run gave its lease back.
    given: BTreeMap<(Who, &'static str), Option<u64>>,
    /// Laws that were broken.
    broken: Vec<String>,
    /// Leases that were taken over.
    taken_over: u64,
}

/// Holds the laws in a world.
#[derive(Clone)]
pub(super) struct Watch {
    cloud: Cloud,
    seen: Arc<Mutex<Seen>>,
    commits: Arc<BTreeMap<Who, u64>>,
}

/// The access key of a run.
pub(super) fn key((run, attempt): Who) -> String {
    format!("AKIASCHEDULES{run:05}{attempt:02}")
}

fn who(key: &str) -> Option<Who> {
    let digits = key.strip_prefix("AKIASCHEDULES")?;
    digits.split_at_checked(5).and_then(|(run, attempt)| Some((run.parse().ok()?, attempt.parse().ok()?)))
}

/// Whose the lease of a service is, as the ref's own commit says.
pub(super) fn holder(cloud: &Cloud, service: &str) -> Option<Who> {
    let message = cloud.read(|world| {
        let repository = world.github.repositories.get("acme/shop")?;
        let commit = repository.refs.get(&format!("refs/roadstead/lease/production/{service}"))?;
        commits::read(&repository.objects, commit).map(|commit| commit.message)
    })?;
    let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    Some((field("run:")?, field("attempt:")?))
}

impl Watch {
    /// Holds the laws from now on; `wire` makes the engine misbehave. `commits` are those of the runs.
    pub(super) fn over(cloud: &Cloud, commits: BTreeMap<Who, u64>, wire: Option<Wire>) -> Self {
        let watch = Self { cloud: cloud.clone(), seen: Arc::default(), commits: Arc::new(commits) };
        let (ticks, calls) = (watch.clone(), watch.clone());
        cloud.on_tick(Box::new(move |at, all| {
            let mut seen = ticks.seen.lock().unwrap();
            for serving in all {
                let Some(service) = SERVICES.into_iter().find(|name| *name == serving.service) else {
                    continue;
                };
                let version = serving.whole().map(|version| seen.versions.get(version).copied().unwrap_or(0));
                let last = seen.whole.iter().rev().find(|(_, name, _)| *name == service).map(|(.., it)| *it);
                if last != Some(version) {
                    seen.whole.push((at, service, version));
                }
            }
        }));
        cloud.on_call(Box::new(move |moment| {
            calls.look(moment);
            wire.and_then(|wire| wire(moment)).unwrap_or(Interrupt::Pass)
        }));
        watch
    }

    fn look(&self, moment: &Moment<'_>) {
        match (moment.call.operation.as_str(), moment.phase) {
            ("UpdateService" | "StopServiceDeployment" | "ContinueServiceDeployment", Phase::Before) => {
                self.change(moment.call, moment.at);
            }
            ("RegisterTaskDefinition", Phase::After) => self.registered(moment),
            ("git/delete-ref", Phase::Before) => self.given_back(moment.call),
            ("git/update-ref", Phase::After) if matches!(moment.delivery, Some(Delivery::Answer(Ok(_)))) => {
                self.seen.lock().unwrap().taken_over += 1;
            }
            _ => {}
        }
    }

    /// A version is of the commit whose image it runs.
    fn registered(&self, moment: &Moment<'_>) {
        let Some(Delivery::Answer(Ok(answer))) = moment.delivery else { return };
        let image = moment.call.input["containerDefinitions"][0]["image"].as_str().unwrap_or_default();
        let digest = image.rsplit_once('@').map_or("", |(_, digest)| digest);
        let tags = self.cloud.read(|world| {
            let all = world.repositories.values().flat_map(|repository| &repository.images);
            let same = all.filter(|image| image.digest == digest).flat_map(|image| image.tags.clone());
            same.collect::<Vec<_>>()
        });
        let named = |commit: &u64| tags.iter().any(|tag| tag.contains(&format!("c{commit}00000")));
        let arn = answer["taskDefinition"]["taskDefinitionArn"].as_str().unwrap_or_default();
        let commit = (1..=9).find(named).unwrap_or(0);
        self.seen.lock().unwrap().versions.insert(arn.to_owned(), commit);
    }

    fn change(&self, call: &Call, at: f64) {
        let Some((own, service)) = who(call.access_key.as_deref().unwrap_or_default()).zip(service(call))
        else {
            return;
        };
        let (holder, serving) = (holder(&self.cloud, service), self.cloud.serving("acme", service));
        let primary = serving.map(|serving| serving.primary).unwrap_or_default();
        let mut seen = self.seen.lock().unwrap();
        if holder != Some(own) {
            seen.broken
                .push(format!("one writer: {own:?} changes {service} at {at}, whose lease has {holder:?}"));
        }
        let commit = |version: &str| seen.versions.get(version).copied().unwrap_or(0);
        let Some(wanted) = call.input["taskDefinition"].as_str().map(commit) else { return };
        let (stands, mine) = (commit(&primary), self.commits.get(&own).copied().unwrap_or(0));
        if wanted == mine && stands > mine {
            seen.broken
                .push(format!("newest wins: {own:?} puts commit {mine} of {service} over {stands} at {at}"));
        }
        if wanted != mine && stands != mine && stands != wanted {
            seen.broken.push(format!(
                "newest wins: {own:?} of commit {mine} takes back {stands} of {service} at {at}"
            ));
        }
    }

    fn given_back(&self, call: &Call) {
        let reference = call.input["ref"].as_str().unwrap_or_default();
        let Some(service) = SERVICES.into_iter().find(|name| reference.ends_with(&format!("/{name}"))) else {
            return;
        };
        let (Some(owner), Some(serving)) =
            (holder(&self.cloud, service), self.cloud.serving("acme", service))
        else {
            return;
        };
        let mut seen = self.seen.lock().unwrap();
        let version = serving.whole().map(|version| seen.versions.get(version).copied().unwrap_or(0));
        seen.given.insert((owner, service), version);
    }

    /// A run ended, its post step too: it left nothing behind.
    pub(super) fn ended(&self, own: Who) {
        for service in SERVICES {
            if holder(&self.cloud, service) == Some(own) {
                self.broke(format!("no lease is left: {own:?} ended and holds {service}"));
            }
        }
    }

    /// A run says that `service` serves its commit: then it did so when the lease was given back, or while the run looked.
    pub(super) fn serves(&self, own: Who, service: &'static str, outcome: &str, (from, to): (f64, f64)) {
        let commit = self.commits.get(&own).copied();
        let seen = self.seen.lock().unwrap();
        let proven = match outcome {
            "deployed" => seen.given.get(&(own, service)).copied().flatten() == commit,
            "unchanged" => {
                let spells: Vec<_> = seen.whole.iter().filter(|(_, name, _)| *name == service).collect();
                let until = |place: usize| spells.get(place + 1).map_or(f64::MAX, |(at, ..)| *at);
                let mut spells = spells.iter().enumerate();
                spells.any(|(place, (at, _, what))| *what == commit && *at <= to && until(place) >= from)
            }
            _ => false,
        };
        drop(seen);
        if !proven {
            self.broke(format!(
                "exit 0 is proven: {own:?} says {outcome}, and {service} did not serve commit {commit:?}"
            ));
        }
    }

    pub(super) fn broke(&self, why: String) {
        self.seen.lock().unwrap().broken.push(why);
    }

    /// What was broken, and how many leases were taken over.
    pub(super) fn found(&self) -> (Vec<String>, u64) {
        let seen = self.seen.lock().unwrap();
        (seen.broken.clone(), seen.taken_over)
    }
}

/// The service that a call changes.
fn service(call: &Call) -> Option<&'static str> {
    let text = |name: &str| call.input[name].as_str().unwrap_or_default();
    let deployment = text("serviceDeploymentArn");
    let is = |name: &&str| text("service").ends_with(*name) || deployment.contains(&format!("/{name}/"));
    SERVICES.into_iter().find(is)
}
