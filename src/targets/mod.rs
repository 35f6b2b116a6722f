//! The places a release can go: one trait, one list, one folder per place. No target knows another.

use std::rc::Rc;

use async_trait::async_trait;
use aws_config::SdkConfig;

use crate::config::{self, Aws, Service};
use crate::problem::Problem;
use crate::release::{
    Ability, Arm, Changes, Course, Definition, Flight, Former, Health, Observed, Past, Release, Rollout,
    Split, Version,
};

pub mod ecs;

/// The targets that exist; each is a key of a service in the deploy file. Registering one is a line here and an arm
/// in [`all`].
pub const NAMES: &[&str] = &["ecs"];

/// Where the targets of one environment are reached.
pub struct Place<'s> {
    /// The AWS session.
    pub session: &'s SdkConfig,
    /// Region of the session.
    pub region: String,
    /// The account that the environment declares.
    pub account: Option<String>,
}

/// What is wrong with the blocks of services, each on its line; no call is made.
pub fn problems(file: &str, services: &[Service]) -> Vec<Problem> {
    let blocks = services.iter().map(|service| settings(file, service).err().unwrap_or_default());
    blocks.flatten().collect()
}

/// What can be found in a service's block and in the file that it names without any call, on the lines of that file.
pub fn lint(file: &str, service: &Service, definition: Option<&Definition>) -> Vec<Problem> {
    let found =
        settings(file, service).map(|settings| ecs::findings(&settings, definition)).unwrap_or_default();
    found.into_iter().map(|problem| problem.of(&service.name)).collect()
}

/// The target of each service, in their order. Errors as of [`problems`].
pub fn all(place: &Place<'_>, file: &str, services: &[Service]) -> Result<Vec<Rc<dyn Target>>, Vec<Problem>> {
    let shared = ecs::Shared::new(place.session);
    let declared = ecs::Declared { account: place.account.clone(), region: Some(place.region.clone()) };
    let open = |service: &Service| {
        let (settings, alarms) = (settings(file, service)?, service.common.alarms.clone());
        if let Some(pair) = settings.pair.clone() {
            let (held, reach) = ((declared.clone(), alarms), (&shared, place.session));
            let wish = ecs::pair::Wish::of(&service.common.strategy);
            return Ok(Rc::new(ecs::pair::Pair::new(&settings, pair, held, reach, wish)) as Rc<dyn Target>);
        }
        let shifts = !matches!(service.common.strategy, config::Strategy::Rolling(_));
        let ecs = ecs::Ecs::new(settings, declared.clone(), alarms, &shared).shifting(shifts);
        Ok(Rc::new(ecs) as Rc<dyn Target>)
    };
    services.iter().map(open).collect()
}

/// The smallest policy for the role of an environment: a JSON document of IAM. `role` is the ARN of that role, where the
/// deploy file names it. No call is made. Errors as of [`problems`].
pub fn policy(
    file: &str,
    aws: &Aws,
    services: &[(Service, Option<Definition>)],
) -> Result<serde_json::Value, Vec<Problem>> {
    let region = aws.region.as_deref().unwrap_or("*");
    let of_role = aws.role.as_deref().and_then(|role| role.split(':').nth(4));
    let account = aws.account.as_deref().or(of_role).unwrap_or("*");
    let subject = |(service, definition): &(Service, Option<Definition>)| {
        let scope = ecs::grants::Scope::of(&settings(file, service)?, region, account);
        let scope = ecs::grants::Scope { caller: aws.role.clone(), ..scope };
        Ok(ecs::policy::Subject::new(scope, &service.common, definition.as_ref()))
    };
    let subjects: Result<Vec<_>, Vec<Problem>> = services.iter().map(subject).collect();
    Ok(ecs::policy::policy(&subjects?))
}

fn settings(file: &str, service: &Service) -> Result<ecs::Settings, Vec<Problem>> {
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

    /// Takes away what a movement that has ended left behind: settings made for it, copies without traffic. Never
    /// touches what the user set. Asking twice is fine.
    async fn retire(&self, rollout: &Rollout) -> Result<(), Problem>;
}
