//! What a rehearsal's cloud has for each kind of target before a run: one file and one line a kind.

use std::path::Path;

use crate::config::Service;
use roadstead_cloud::scenario::Scenario;
use roadstead_cloud::web::Site;

use super::example::ExampleFiles;
use super::{appconfig, argocd, compose, ecs, kubernetes};

/// The world of one kind of target.
pub(super) trait World: Sync {
    /// The kind's key in the deploy file.
    fn key(&self) -> &'static str;

    /// A small deploy file of this kind, rehearsed if a scenario needs the kind and there is no deploy file.
    fn example(&self) -> ExampleFiles;

    /// The scenario with what the services of this kind need. What it has of that already stays as it is.
    fn seed(
        &self,
        scenario: Scenario,
        services: &[&Service],
        context: &SeedContext<'_>,
    ) -> Result<Scenario, String>;

    /// Says which emulated workload answers at an address that a service checks.
    fn link_site(&self, _service: &Service, _site: &mut Site) {}
}

/// What stands around the deploy file of a rehearsal.
pub(super) struct SeedContext<'c> {
    /// The checked-out files.
    pub(super) workspace: &'c Path,
    /// The repository of the run: its files are the user's own.
    pub(super) repository: &'c str,
}

/// The worlds, one for each kind of [`crate::targets::KINDS`].
pub(super) static WORLDS: &[&dyn World] = &[
    &ecs::EcsWorld,
    &appconfig::AppConfigWorld,
    &argocd::ArgoCdWorld,
    &compose::ComposeWorld,
    &kubernetes::KubernetesWorld,
];

/// The world of the kind with this key.
pub(super) fn world_of(key: &str) -> Option<&'static dyn World> {
    WORLDS.iter().copied().find(|world| world.key() == key)
}

/// The world of a service.
pub(super) fn world_for(service: &Service) -> Option<&'static dyn World> {
    world_of(&service.target)
}

/// The scenario with what all services need.
pub(super) fn seed_all(
    scenario: Scenario,
    services: &[Service],
    context: &SeedContext<'_>,
) -> Result<Scenario, String> {
    if let Some(service) = services.iter().find(|service| world_for(service).is_none()) {
        return Err(format!("`{}` cannot be rehearsed: `{}` is not emulated", service.name, service.target));
    }
    WORLDS.iter().try_fold(scenario, |scenario, world| {
        let own: Vec<&Service> = services.iter().filter(|service| service.target == world.key()).collect();
        world.seed(scenario, &own, context)
    })
}

#[cfg(test)]
mod tests {
    use super::WORLDS;
    use crate::targets::{KINDS, keys};

    #[test]
    fn worlds_cover_every_kind() {
        let mut worlds: Vec<&str> = WORLDS.iter().map(|world| world.key()).collect();
        let mut kinds = keys(KINDS);
        worlds.sort_unstable();
        kinds.sort_unstable();
        assert_eq!(worlds, kinds);
    }
}
