//! The laws, held at every call that changes a service and at every tick, by what GitHub and the cloud hold: not by what
//! the runs say.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use roadstead_cloud::call_log::{CallHook, HookPhase, Override};
use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::github::commits;
use roadstead_cloud::request::{Delivery, ServiceCall};

use super::plan::{NEWEST_COMMIT, SERVICES};
use super::run::CallMutation;

/// A run, and its attempt.
pub(super) type RunKey = (u64, u64);

/// An environment, and a service of it.
pub(super) type ServiceKey = (&'static str, &'static str);

/// Where anything can serve.
pub(super) const SERVICE_KEYS: [ServiceKey; 3] =
    [("production", SERVICES[0]), ("production", SERVICES[1]), ("staging", SERVICES[0])];

/// The request of a run.
#[derive(Clone, Copy)]
pub(super) struct RunRequest {
    /// The commit that it deploys; a run that promotes finds one itself.
    pub(super) commit: Option<u64>,
    /// Whether it promotes.
    pub(super) promotes: bool,
}

/// What was seen.
#[derive(Default)]
struct Observations {
    /// The commit of every version, by its ARN; 0 is what was there before.
    version_commits: BTreeMap<String, u64>,
    /// What each service was wholly on, and since when (epoch seconds); nothing while it moves.
    stable_commits: Vec<(f64, ServiceKey, Option<u64>)>,
    /// The commit that a run brings in.
    introduced_commits: BTreeMap<(RunKey, ServiceKey), u64>,
    /// What a service was wholly on when a run gave its lease back.
    commit_at_release: BTreeMap<(RunKey, ServiceKey), Option<u64>>,
    /// Laws that were broken.
    violations: Vec<String>,
    /// Leases that were taken over.
    leases_taken_over: u64,
}

impl Observations {
    fn commit_of_version(&self, version: &str) -> u64 {
        self.version_commits.get(version).copied().unwrap_or_default()
    }

    /// Whether a service was wholly on a commit at some time between two.
    fn was_stable_on(&self, place: ServiceKey, commit: u64, (from, to): (f64, f64)) -> bool {
        let spells: Vec<_> = self.stable_commits.iter().filter(|(_, other, _)| *other == place).collect();
        let until = |number: usize| spells.get(number + 1).map_or(f64::MAX, |(at, ..)| *at);
        let mut spells = spells.iter().enumerate();
        spells.any(|(number, (at, _, what))| *what == Some(commit) && *at <= to && until(number) >= from)
    }
}

/// Holds the laws in a world.
#[derive(Clone)]
pub(super) struct InvariantWatch {
    cloud: Cloud,
    observations: Arc<Mutex<Observations>>,
    requests: Arc<BTreeMap<RunKey, RunRequest>>,
}

/// The access key of a run.
pub(super) fn access_key((run, attempt): RunKey) -> String {
    format!("AKIASCHEDULES{run:05}{attempt:02}")
}

fn run_of_call(call: &ServiceCall) -> Option<RunKey> {
    let digits = call.access_key.as_deref()?.strip_prefix("AKIASCHEDULES")?;
    digits.split_at_checked(5).and_then(|(run, attempt)| Some((run.parse().ok()?, attempt.parse().ok()?)))
}

/// Whose the lease of a service is, as the ref's own commit says.
pub(super) fn lease_holder(cloud: &Cloud, (environment, service): ServiceKey) -> Option<RunKey> {
    let message = cloud.read(|world| {
        let repository = world.github.repositories.get("acme/shop")?;
        let commit = repository.refs.get(&format!("refs/roadstead/lease/{environment}/{service}"))?;
        commits::read_commit(&repository.objects, commit).map(|commit| commit.message)
    })?;
    let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    Some((field("run:")?, field("attempt:")?))
}

impl InvariantWatch {
    /// Holds the laws from now on; `wire` makes the engine misbehave.
    pub(super) fn install(
        cloud: &Cloud,
        asked: BTreeMap<RunKey, RunRequest>,
        wire: Option<CallMutation>,
    ) -> Self {
        let watch = Self { cloud: cloud.clone(), observations: Arc::default(), requests: Arc::new(asked) };
        let (ticks, calls) = (watch.clone(), watch.clone());
        cloud.on_tick(Box::new(move |at, all| {
            let mut seen = ticks.observations.lock().unwrap();
            for serving in all {
                let place = SERVICE_KEYS.into_iter().find(|(environment, service)| {
                    serving.service == *service && serving.cluster.ends_with(environment)
                });
                let Some(place) = place else { continue };
                let commit = serving.only_version().map(|version| seen.commit_of_version(version));
                let last = seen
                    .stable_commits
                    .iter()
                    .rev()
                    .find(|(_, other, _)| *other == place)
                    .map(|(.., it)| *it);
                if last != Some(commit) {
                    seen.stable_commits.push((at, place, commit));
                }
            }
        }));
        cloud.on_call(Box::new(move |moment| {
            calls.on_call(moment);
            wire.and_then(|wire| wire(moment)).unwrap_or(Override::Pass)
        }));
        watch
    }

    fn on_call(&self, moment: &CallHook<'_>) {
        let answered = matches!(moment.delivery, Some(Delivery::Reply(Ok(_))));
        match (moment.call.operation.as_str(), moment.phase) {
            ("UpdateService" | "StopServiceDeployment" | "ContinueServiceDeployment", HookPhase::Before) => {
                self.check_change(moment.call, moment.at);
            }
            ("RegisterTaskDefinition", HookPhase::After) => self.on_registered(moment),
            ("git/delete-ref", HookPhase::Before) => self.on_lease_released(moment.call),
            ("git/update-ref", HookPhase::After) if answered => {
                self.observations.lock().unwrap().leases_taken_over += 1
            }
            _ => {}
        }
    }

    /// The commit that an image was built from, by the tags of its digest.
    pub(super) fn image_commit(&self, image: &str) -> Option<u64> {
        let (_, digest) = image.rsplit_once('@')?;
        let tags: Vec<String> = self.cloud.read(|world| {
            let all = world.repositories().values().flat_map(|repository| &repository.images);
            all.filter(|image| image.digest == digest).flat_map(|image| image.tags.clone()).collect()
        });
        (1..=NEWEST_COMMIT).find(|commit| tags.iter().any(|tag| tag.contains(&format!("c{commit}00000"))))
    }

    /// A version is of the commit whose image it runs. One for production is what staging proved (I3).
    fn on_registered(&self, moment: &CallHook<'_>) {
        let Some(Delivery::Reply(Ok(answer))) = moment.delivery else { return };
        let definition = &answer["taskDefinition"];
        let image = moment.call.input["containerDefinitions"][0]["image"].as_str().unwrap_or_default();
        let commit = self.image_commit(image);
        let own = run_of_call(moment.call);
        let promotes = own.and_then(|own| self.requests.get(&own)).is_some_and(|asked| asked.promotes);
        let proven = !promotes || self.is_proven(image, commit, moment.at);
        let mut seen = self.observations.lock().unwrap();
        let arn = definition["taskDefinitionArn"].as_str().unwrap_or_default();
        seen.version_commits.insert(arn.to_owned(), commit.unwrap_or_default());
        if !proven {
            seen.violations.push(format!("only what staging proved: {own:?} brings {image} into production"));
        }
    }

    /// Whether staging stood wholly on this image before, and a deployment says so.
    fn is_proven(&self, image: &str, commit: Option<u64>, now: f64) -> bool {
        let Some((commit, (_, digest))) = commit.zip(image.rsplit_once('@')) else { return false };
        let recorded = self.cloud.read(|world| {
            let all = world.github.repositories.get("acme/shop").map(|it| &it.deployments);
            all.into_iter().flatten().any(|one| {
                one.environment == "staging"
                    && one.statuses.iter().any(|status| status.state == "success")
                    && one.payload.to_string().contains(digest)
            })
        });
        recorded
            && self.observations.lock().unwrap().was_stable_on(("staging", SERVICES[0]), commit, (0.0, now))
    }

    fn check_change(&self, call: &ServiceCall, at: f64) {
        let Some((own, place)) = run_of_call(call).zip(service_of_call(call)) else { return };
        let holder = lease_holder(&self.cloud, place);
        let serving = self.cloud.serving_state(&format!("acme-{}", place.0), place.1);
        let primary = serving.map(|serving| serving.primary).unwrap_or_default();
        let mut seen = self.observations.lock().unwrap();
        if holder != Some(own) {
            seen.violations
                .push(format!("one writer: {own:?} changes {place:?} at {at}, whose lease has {holder:?}"));
        }
        let Some(wanted) =
            call.input["taskDefinition"].as_str().map(|version| seen.commit_of_version(version))
        else {
            return;
        };
        let stands = seen.commit_of_version(&primary);
        // Where a run finds a commit itself, what it asks for first is what it brings in. Anything else is its way back, also
        // from a rollout of its commit that another run began and it took up.
        let own_commit = self.requests.get(&own).and_then(|asked| asked.commit);
        let brings = *seen.introduced_commits.entry((own, place)).or_insert(own_commit.unwrap_or(wanted));
        if wanted == brings && stands > wanted {
            seen.violations
                .push(format!("newest wins: {own:?} puts {wanted} of {place:?} over {stands} at {at}"));
        }
        if wanted != brings && stands != brings && stands != wanted {
            seen.violations.push(format!(
                "newest wins: {own:?}, which brings {brings}, rolls back {stands} of {place:?}"
            ));
        }
    }

    fn on_lease_released(&self, call: &ServiceCall) {
        let reference = call.input["ref"].as_str().unwrap_or_default();
        let ends =
            |(environment, service): &ServiceKey| reference.ends_with(&format!("/{environment}/{service}"));
        let Some(place) = SERVICE_KEYS.into_iter().find(ends) else { return };
        let serving = self.cloud.serving_state(&format!("acme-{}", place.0), place.1);
        let (Some(owner), Some(serving)) = (lease_holder(&self.cloud, place), serving) else { return };
        let mut seen = self.observations.lock().unwrap();
        let commit = serving.only_version().map(|version| seen.commit_of_version(version));
        seen.commit_at_release.insert((owner, place), commit);
    }

    /// A run ended, its post step too: it left nothing behind.
    pub(super) fn check_ended(&self, own: RunKey) {
        for place in SERVICE_KEYS {
            if lease_holder(&self.cloud, place) == Some(own) {
                self.add_violation(format!("no lease is left: {own:?} ended and holds {place:?}"));
            }
        }
    }

    /// A run says that a service serves `image`: then it did so when the lease was given back, or while the run looked;
    /// and it is the requested commit.
    pub(super) fn check_serving(
        &self,
        own: RunKey,
        place: ServiceKey,
        (outcome, image): (&str, &str),
        time: (f64, f64),
    ) {
        let commit = self.image_commit(image);
        let asked = self.requests.get(&own).and_then(|asked| asked.commit);
        let seen = self.observations.lock().unwrap();
        let proven = match (outcome, commit) {
            ("deployed", Some(commit)) => seen.commit_at_release.get(&(own, place)) == Some(&Some(commit)),
            ("unchanged", Some(commit)) => seen.was_stable_on(place, commit, time),
            _ => false,
        };
        drop(seen);
        if !proven || asked.is_some_and(|asked| commit != Some(asked)) {
            self.add_violation(format!("exit 0 is proven: {own:?} says {outcome} of {place:?}, requested {asked:?}, and that {commit:?} serves"));
        }
    }

    pub(super) fn add_violation(&self, why: String) {
        self.observations.lock().unwrap().violations.push(why);
    }

    /// What was broken, and how many leases were taken over.
    pub(super) fn results(&self) -> (Vec<String>, u64) {
        let seen = self.observations.lock().unwrap();
        (seen.violations.clone(), seen.leases_taken_over)
    }
}

/// What a call changes.
fn service_of_call(call: &ServiceCall) -> Option<ServiceKey> {
    let text = |name: &str| call.input[name].as_str().unwrap_or_default();
    let deployment = text("serviceDeploymentArn");
    let is = |(environment, service): &ServiceKey| {
        (text("service").ends_with(service) && text("cluster").ends_with(environment))
            || deployment.contains(&format!("/acme-{environment}/{service}/"))
    };
    SERVICE_KEYS.into_iter().find(is)
}
