//! The laws, held at every call that changes a service and at every tick, by what GitHub and the cloud hold: not by what
//! the runs say.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use roadstead::rehearsal::call::{Call, Delivery};
use roadstead::rehearsal::cloud::Cloud;
use roadstead::rehearsal::github::commits;
use roadstead::rehearsal::record::{Interrupt, Moment, Phase};

use super::plan::{NEWEST, SERVICES};
use super::play::Wire;

/// A run, and its attempt.
pub(super) type Who = (u64, u64);

/// An environment, and a service of it.
pub(super) type Place = (&'static str, &'static str);

/// Where anything can serve.
pub(super) const PLACES: [Place; 3] =
    [("production", SERVICES[0]), ("production", SERVICES[1]), ("staging", SERVICES[0])];

/// What a run was asked for.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    /// The commit that it deploys; a run that promotes finds one itself.
    pub(super) commit: Option<u64>,
    /// Whether it promotes.
    pub(super) promotes: bool,
}

/// What was seen.
#[derive(Default)]
struct Seen {
    /// The commit of every version, by its ARN; 0 is what was there before.
    versions: BTreeMap<String, u64>,
    /// What each service was wholly on, and since when (epoch seconds); nothing while it moves.
    whole: Vec<(f64, Place, Option<u64>)>,
    /// The commit that a run brings in.
    brought: BTreeMap<(Who, Place), u64>,
    /// What a service was wholly on when a run gave its lease back.
    given: BTreeMap<(Who, Place), Option<u64>>,
    /// Laws that were broken.
    broken: Vec<String>,
    /// Leases that were taken over.
    taken_over: u64,
}

impl Seen {
    fn commit(&self, version: &str) -> u64 {
        self.versions.get(version).copied().unwrap_or_default()
    }

    /// Whether a service was wholly on a commit at some time between two.
    fn stood(&self, place: Place, commit: u64, (from, to): (f64, f64)) -> bool {
        let spells: Vec<_> = self.whole.iter().filter(|(_, other, _)| *other == place).collect();
        let until = |number: usize| spells.get(number + 1).map_or(f64::MAX, |(at, ..)| *at);
        let mut spells = spells.iter().enumerate();
        spells.any(|(number, (at, _, what))| *what == Some(commit) && *at <= to && until(number) >= from)
    }
}

/// Holds the laws in a world.
#[derive(Clone)]
pub(super) struct Watch {
    cloud: Cloud,
    seen: Arc<Mutex<Seen>>,
    asked: Arc<BTreeMap<Who, Asked>>,
}

/// The access key of a run.
pub(super) fn key((run, attempt): Who) -> String {
    format!("AKIASCHEDULES{run:05}{attempt:02}")
}

fn who(call: &Call) -> Option<Who> {
    let digits = call.access_key.as_deref()?.strip_prefix("AKIASCHEDULES")?;
    digits.split_at_checked(5).and_then(|(run, attempt)| Some((run.parse().ok()?, attempt.parse().ok()?)))
}

/// Whose the lease of a service is, as the ref's own commit says.
pub(super) fn holder(cloud: &Cloud, (environment, service): Place) -> Option<Who> {
    let message = cloud.read(|world| {
        let repository = world.github.repositories.get("acme/shop")?;
        let commit = repository.refs.get(&format!("refs/roadstead/lease/{environment}/{service}"))?;
        commits::read(&repository.objects, commit).map(|commit| commit.message)
    })?;
    let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    Some((field("run:")?, field("attempt:")?))
}

impl Watch {
    /// Holds the laws from now on; `wire` makes the engine misbehave.
    pub(super) fn over(cloud: &Cloud, asked: BTreeMap<Who, Asked>, wire: Option<Wire>) -> Self {
        let watch = Self { cloud: cloud.clone(), seen: Arc::default(), asked: Arc::new(asked) };
        let (ticks, calls) = (watch.clone(), watch.clone());
        cloud.on_tick(Box::new(move |at, all| {
            let mut seen = ticks.seen.lock().unwrap();
            for serving in all {
                let place = PLACES.into_iter().find(|(environment, service)| {
                    serving.service == *service && serving.cluster.ends_with(environment)
                });
                let Some(place) = place else { continue };
                let commit = serving.whole().map(|version| seen.commit(version));
                let last = seen.whole.iter().rev().find(|(_, other, _)| *other == place).map(|(.., it)| *it);
                if last != Some(commit) {
                    seen.whole.push((at, place, commit));
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
        let answered = matches!(moment.delivery, Some(Delivery::Answer(Ok(_))));
        match (moment.call.operation.as_str(), moment.phase) {
            ("UpdateService" | "StopServiceDeployment" | "ContinueServiceDeployment", Phase::Before) => {
                self.change(moment.call, moment.at);
            }
            ("RegisterTaskDefinition", Phase::After) => self.registered(moment),
            ("git/delete-ref", Phase::Before) => self.given_back(moment.call),
            ("git/update-ref", Phase::After) if answered => self.seen.lock().unwrap().taken_over += 1,
            _ => {}
        }
    }

    /// The commit that an image was built from, by the tags of its digest.
    pub(super) fn commit_of(&self, image: &str) -> Option<u64> {
        let (_, digest) = image.rsplit_once('@')?;
        let tags: Vec<String> = self.cloud.read(|world| {
            let all = world.repositories.values().flat_map(|repository| &repository.images);
            all.filter(|image| image.digest == digest).flat_map(|image| image.tags.clone()).collect()
        });
        (1..=NEWEST).find(|commit| tags.iter().any(|tag| tag.contains(&format!("c{commit}00000"))))
    }

    /// A version is of the commit whose image it runs. One for production is what staging proved (I3).
    fn registered(&self, moment: &Moment<'_>) {
        let Some(Delivery::Answer(Ok(answer))) = moment.delivery else { return };
        let definition = &answer["taskDefinition"];
        let image = moment.call.input["containerDefinitions"][0]["image"].as_str().unwrap_or_default();
        let commit = self.commit_of(image);
        let own = who(moment.call);
        let promotes = own.and_then(|own| self.asked.get(&own)).is_some_and(|asked| asked.promotes);
        let proven = !promotes || self.proven(image, commit, moment.at);
        let mut seen = self.seen.lock().unwrap();
        let arn = definition["taskDefinitionArn"].as_str().unwrap_or_default();
        seen.versions.insert(arn.to_owned(), commit.unwrap_or_default());
        if !proven {
            seen.broken.push(format!("only what staging proved: {own:?} brings {image} into production"));
        }
    }

    /// Whether staging stood wholly on this image before, and a deployment says so.
    fn proven(&self, image: &str, commit: Option<u64>, now: f64) -> bool {
        let Some((commit, (_, digest))) = commit.zip(image.rsplit_once('@')) else { return false };
        let recorded = self.cloud.read(|world| {
            let all = world.github.repositories.get("acme/shop").map(|it| &it.deployments);
            all.into_iter().flatten().any(|one| {
                one.environment == "staging"
                    && one.statuses.iter().any(|status| status.state == "success")
                    && one.payload.to_string().contains(digest)
            })
        });
        recorded && self.seen.lock().unwrap().stood(("staging", SERVICES[0]), commit, (0.0, now))
    }

    fn change(&self, call: &Call, at: f64) {
        let Some((own, place)) = who(call).zip(place(call)) else { return };
        let holder = holder(&self.cloud, place);
        let serving = self.cloud.serving(&format!("acme-{}", place.0), place.1);
        let primary = serving.map(|serving| serving.primary).unwrap_or_default();
        let mut seen = self.seen.lock().unwrap();
        if holder != Some(own) {
            seen.broken
                .push(format!("one writer: {own:?} changes {place:?} at {at}, whose lease has {holder:?}"));
        }
        let Some(wanted) = call.input["taskDefinition"].as_str().map(|version| seen.commit(version)) else {
            return;
        };
        let stands = seen.commit(&primary);
        // Where a run finds a commit itself, what it asks for first is what it brings in. Anything else is its way back, also
        // from a rollout of its commit that another run began and it took up.
        let own_commit = self.asked.get(&own).and_then(|asked| asked.commit);
        let brings = *seen.brought.entry((own, place)).or_insert(own_commit.unwrap_or(wanted));
        if wanted == brings && stands > wanted {
            seen.broken
                .push(format!("newest wins: {own:?} puts {wanted} of {place:?} over {stands} at {at}"));
        }
        if wanted != brings && stands != brings && stands != wanted {
            seen.broken.push(format!(
                "newest wins: {own:?}, which brought {brings}, takes back {stands} of {place:?}"
            ));
        }
    }

    fn given_back(&self, call: &Call) {
        let reference = call.input["ref"].as_str().unwrap_or_default();
        let ends = |(environment, service): &Place| reference.ends_with(&format!("/{environment}/{service}"));
        let Some(place) = PLACES.into_iter().find(ends) else { return };
        let serving = self.cloud.serving(&format!("acme-{}", place.0), place.1);
        let (Some(owner), Some(serving)) = (holder(&self.cloud, place), serving) else { return };
        let mut seen = self.seen.lock().unwrap();
        let commit = serving.whole().map(|version| seen.commit(version));
        seen.given.insert((owner, place), commit);
    }

    /// A run ended, its post step too: it left nothing behind.
    pub(super) fn ended(&self, own: Who) {
        for place in PLACES {
            if holder(&self.cloud, place) == Some(own) {
                self.broke(format!("no lease is left: {own:?} ended and holds {place:?}"));
            }
        }
    }

    /// A run says that a service serves `image`: then it did so when the lease was given back, or while the run looked;
    /// and it is what was asked for.
    pub(super) fn serves(&self, own: Who, place: Place, (outcome, image): (&str, &str), time: (f64, f64)) {
        let commit = self.commit_of(image);
        let asked = self.asked.get(&own).and_then(|asked| asked.commit);
        let seen = self.seen.lock().unwrap();
        let proven = match (outcome, commit) {
            ("deployed", Some(commit)) => seen.given.get(&(own, place)) == Some(&Some(commit)),
            ("unchanged", Some(commit)) => seen.stood(place, commit, time),
            _ => false,
        };
        drop(seen);
        if !proven || asked.is_some_and(|asked| commit != Some(asked)) {
            self.broke(format!("exit 0 is proven: {own:?} says {outcome} of {place:?}, asked for {asked:?}, and that {commit:?} serves"));
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

/// What a call changes.
fn place(call: &Call) -> Option<Place> {
    let text = |name: &str| call.input[name].as_str().unwrap_or_default();
    let deployment = text("serviceDeploymentArn");
    let is = |(environment, service): &Place| {
        (text("service").ends_with(service) && text("cluster").ends_with(environment))
            || deployment.contains(&format!("/acme-{environment}/{service}/"))
    };
    PLACES.into_iter().find(is)
}
