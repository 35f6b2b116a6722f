//! The places a release can go: one trait, one list, one folder per place. No target knows another.

use std::rc::Rc;
use std::time::Duration;

use async_trait::async_trait;

use crate::aws::Paces;
use crate::config::{self, Aws, Service};
use crate::problem::{Code, Problem};
use crate::release::{
    Ability, Arm, Changes, Course, Definition, Flight, Former, Health, Observed, OneOff, OneOffState, Past,
    Release, Rollout, Split, TaskRun, Version,
};

pub mod appconfig;
pub mod argocd;
pub mod ecs;
pub mod permits;
mod place;
pub mod refusal;

pub use place::{Origin, Place, RunNumber};

/// The targets that exist; each is a key of a service in the deploy file. Registering one is a line here, a variant of
/// [`Block`] and an arm in [`all`].
pub const NAMES: &[&str] = &["ecs", "argocd", "appconfig"];

/// Whether a target is reached through an AWS session.
pub fn is_of_aws(target: &str) -> bool {
    target != "argocd"
}

/// Whether a target starts containers itself, so that a command can be run once with a version, and variables of what runs
/// can be set.
pub fn runs_containers(target: &str) -> bool {
    target == "ecs"
}

fn runs_nothing() -> Problem {
    Problem::error(Code::Unsupported, "This target cannot run a command once.")
}

/// How the versions of a service reach traffic where no strategy of ours decides that, in words.
pub fn own_way(service: &Service) -> Option<String> {
    match service.target.as_str() {
        "argocd" => Some("by Git".into()),
        "appconfig" => word(service, "strategy"),
        _ => None,
    }
}

/// The file of the repository that a service is made from: what it is, for sentences, and its path.
pub fn file_of(service: &Service) -> Option<(&'static str, String)> {
    let (what, key) = match service.target.as_str() {
        "ecs" => ("task definition", "task-definition"),
        "appconfig" => ("configuration", "file"),
        _ => return None,
    };
    word(service, key).map(|path| (what, path))
}

/// A text of a service's block.
fn word(service: &Service, key: &str) -> Option<String> {
    match service.settings.get(key)?.to_value() {
        serde_json::Value::String(text) => Some(text),
        _ => None,
    }
}

/// The block of a service, read by the target that it belongs to.
enum Block {
    Ecs(Box<ecs::Settings>),
    ArgoCd(Box<argocd::Settings>),
    AppConfig(Box<appconfig::Settings>),
}

/// What is wrong with the blocks of services, each on its line; no call is made.
pub fn problems(file: &str, services: &[Service]) -> Vec<Problem> {
    services.iter().flat_map(|service| block(file, service).err().unwrap_or_default()).collect()
}

/// What can be found in a service's block and in the file that it names without any call, on the lines of that file.
pub fn lint(file: &str, service: &Service, definition: Option<&Definition>) -> Vec<Problem> {
    let found = match block(file, service) {
        Ok(Block::Ecs(settings)) => ecs::findings(&settings, definition),
        Ok(Block::ArgoCd(settings)) => argocd::findings(&settings),
        Ok(Block::AppConfig(_)) => appconfig::findings(file, service, definition),
        Err(_) => Vec::new(),
    };
    found.into_iter().map(|problem| problem.of(&service.name)).collect()
}

/// The target of each service, in their order. Errors as of [`problems`].
pub fn all(place: &Place<'_>, file: &str, services: &[Service]) -> Result<Vec<Rc<dyn Target>>, Vec<Problem>> {
    let (shared, depots) =
        (ecs::Shared::paced(place.session, Paces::of(services.len())), argocd::Depots::new(place));
    let flags = appconfig::Shared::new(place.session);
    let open = |service: &Service| match block(file, service)? {
        Block::Ecs(settings) => Ok(of_ecs(place, &shared, service, *settings)),
        Block::ArgoCd(settings) => {
            let one = argocd::ArgoCd::new(place, &depots, service, *settings);
            one.map(|one| Rc::new(one) as Rc<dyn Target>).map_err(|problem| vec![problem.of(&service.name)])
        }
        Block::AppConfig(settings) => {
            Ok(Rc::new(appconfig::AppConfig::new(place, &flags, service, *settings)) as Rc<dyn Target>)
        }
    };
    services.iter().map(open).collect()
}

fn of_ecs(
    place: &Place<'_>,
    shared: &ecs::Shared,
    service: &Service,
    settings: ecs::Settings,
) -> Rc<dyn Target> {
    let declared = ecs::Declared { account: place.account.clone(), region: Some(place.region.clone()) };
    let alarms = service.common.alarms.clone();
    let runs = service.common.before.as_ref().map(|before| before.container.clone());
    if let Some(pair) = settings.pair.clone() {
        let wish = ecs::pair::Wish::of(&service.common.strategy);
        let (held, reach) = ((declared, alarms), (shared, place.session));
        return Rc::new(ecs::pair::Pair::new(&settings, pair, held, reach, wish).running(runs));
    }
    let shifts = !matches!(service.common.strategy, config::Strategy::Rolling(_));
    Rc::new(ecs::Ecs::new(settings, declared, alarms, shared).shifting(shifts).running(runs))
}

/// The smallest policy for the role of an environment: a JSON document of IAM. `role` is the ARN of that role, where the
/// deploy file names it. No call is made. Errors as of [`problems`].
pub fn policy(
    file: &str,
    aws: &Aws,
    services: &[(Service, Option<Definition>)],
) -> Result<serde_json::Value, Vec<Problem>> {
    promoting(file, aws, services, &|_| None)
}

/// As [`policy`], for an environment whose images are copied: `source` names the repository that a service's is pulled
/// from, where that is another one.
pub fn promoting(
    file: &str,
    aws: &Aws,
    services: &[(Service, Option<Definition>)],
    source: &dyn Fn(&Service) -> Option<ecs::grants::Pulled>,
) -> Result<serde_json::Value, Vec<Problem>> {
    let region = aws.region.as_deref().unwrap_or("*");
    let of_role = aws.role.as_deref().and_then(|role| role.split(':').nth(4));
    let account = aws.account.as_deref().or(of_role).unwrap_or("*");
    let subject = |(service, definition): &(Service, Option<Definition>)| {
        let Block::Ecs(settings) = block(file, service)? else { return Ok(None) };
        let scope = ecs::grants::Scope::of(&settings, region, account);
        let scope = ecs::grants::Scope { caller: aws.role.clone(), source: source(service), ..scope };
        Ok(Some(ecs::policy::Subject::new(scope, &service.common, definition.as_ref())))
    };
    let subjects: Result<Vec<_>, Vec<Problem>> = services.iter().map(subject).collect();
    let mut policy = ecs::policy::policy(&subjects?.into_iter().flatten().collect::<Vec<_>>());
    let configures = services.iter().any(|(service, _)| service.target == "appconfig");
    if let Some(statements) = policy["Statement"].as_array_mut().filter(|_| configures) {
        statements.extend(appconfig::grants::statements(region, account, aws.role.as_deref()));
    }
    Ok(policy)
}

/// The place of a service in a few words, such as `ecs acme/backend`.
pub fn words(service: &Service) -> String {
    let word = |key: &str| word(service, key).unwrap_or_default();
    let (outer, inner) = match service.target.as_str() {
        "argocd" => (word("repository"), word("application")),
        "appconfig" => (format!("{}/{}", word("application"), word("environment")), word("profile")),
        _ => (word("cluster"), word("service")),
    };
    let parts: Vec<String> = [outer, inner].into_iter().filter(|part| !part.is_empty()).collect();
    format!("{} {}", service.target, parts.join("/"))
}

fn block(file: &str, service: &Service) -> Result<Block, Vec<Problem>> {
    match service.target.as_str() {
        "argocd" => settings(file, service).map(|settings| Block::ArgoCd(Box::new(settings))),
        "appconfig" => settings(file, service).map(|settings| Block::AppConfig(Box::new(settings))),
        _ => settings(file, service).map(|settings| Block::Ecs(Box::new(settings))),
    }
}

fn settings<T: serde::de::DeserializeOwned>(file: &str, service: &Service) -> Result<T, Vec<Problem>> {
    let what = format!("`{}` of service `{}`", service.target, service.name);
    let read = config::read(file, &what, &service.settings);
    read.map_err(|problems| problems.into_iter().map(|problem: Problem| problem.of(&service.name)).collect())
}

/// One capability: bring a release into service at a place, and take it back.
///
/// `observe`, `check` and `probe` read only; `stage` makes a version exist without traffic; `route` is the only
/// one that changes what users see.
#[async_trait(?Send)]
pub trait Target {
    /// What this place can do with the traffic of a service that is set up as was seen. Pure.
    fn ability(&self, seen: &Observed) -> Ability;

    /// How the movement in flight that was seen relates to `course`, where there is one. Pure.
    fn flight(&self, _seen: &Observed, _course: &Course) -> Flight {
        Flight::Along
    }

    /// How long its place takes to bring a version in by a course of its own, as the service is set up; `None` where that
    /// is not known or the strategy says it. Pure.
    fn duration(&self, _seen: &Observed) -> Option<Duration> {
        None
    }

    /// What runs now. Errors when it cannot be read or does not exist.
    async fn observe(&self) -> Result<Observed, Problem>;

    /// What `release` would change, field by field; empty means unchanged. Pure.
    fn changes(&self, release: &Release, seen: &Observed) -> Result<Changes, Vec<Problem>>;

    /// Everything that can be known to go wrong before the first change; reads only.
    async fn check(&self, release: &Release, seen: &Observed) -> Vec<Problem>;

    /// Everything that completed healthy here, newest first, the same version once for each time: what a rollback can
    /// return to. Reads only.
    async fn versions(&self) -> Result<Vec<Past>, Problem>;

    /// What an earlier version is made of. Errors with `rollback-target-broken` where it is gone. Reads only.
    async fn recall(&self, version: &Version) -> Result<Former, Problem>;

    /// Whether staging `release` would give what `former` is, be it under another name. Pure.
    fn equals(&self, release: &Release, seen: &Observed, former: &Former) -> bool;

    /// Makes the new version exist, without traffic; the same release twice gives the same version. An earlier version
    /// exists already, and nothing is made.
    async fn stage(&self, release: &Release, seen: &Observed) -> Result<Version, Problem>;

    /// Moves traffic; the only one that changes what users see. Asking twice moves once.
    async fn route(&self, split: &Split) -> Result<Rollout, Problem>;

    /// One look at a rollout, without waiting. An error is neither healthy nor failed.
    async fn probe(&self, rollout: &Rollout) -> Result<Health, Problem>;

    /// What sources of evidence know the traffic of the service by, whichever version gets it; empty where the place
    /// cannot say.
    async fn arms(&self, seen: &Observed) -> Result<Vec<Arm>, Problem>;

    /// Starts a command once with a version that was staged, beside the service and without traffic. Asked for twice with
    /// the same key it runs once; what an earlier attempt of the same run started, and still runs, is taken up.
    async fn run_once(
        &self,
        _version: &Version,
        _command: &OneOff,
        _seen: &Observed,
    ) -> Result<TaskRun, Problem> {
        Err(runs_nothing())
    }

    /// The command that this owner started and that still runs. Reads only.
    async fn find_once(&self, _owner: &str) -> Result<Option<TaskRun>, Problem> {
        Err(runs_nothing())
    }

    /// One look at a command that was started, without waiting. An error says nothing about it.
    async fn watch_once(&self, _task: &TaskRun) -> Result<OneOffState, Problem> {
        Err(runs_nothing())
    }

    /// Tells a command that was started to stop. Asking twice is fine.
    async fn stop_once(&self, _task: &TaskRun) -> Result<(), Problem> {
        Err(runs_nothing())
    }

    /// Whether a version that fails stays where it is, because the deploy file says so.
    fn leaves_failed(&self) -> bool {
        false
    }

    /// Takes away what a movement that has ended left behind: settings made for it, copies without traffic. Never
    /// touches what the user set. Asking twice is fine.
    async fn retire(&self, rollout: &Rollout) -> Result<(), Problem>;
}
