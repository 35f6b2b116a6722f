//! From a scenario to a world that has just begun; and images that look like real ones.

use std::collections::BTreeMap;

use super::chance::Chance;
use super::commands::Commands;
use super::faults::Mischief;
use super::scenario::{RepositorySetting, Scenario};
use super::world::{Alarm, Repository, World};
use super::{appconfig, argocd, balancers, ecr, ecs, github, mishaps, sns, traffic};

/// The world of a scenario at its beginning.
pub fn world(scenario: &Scenario, seed: u64) -> World {
    let began = scenario.began().unwrap_or(0.0);
    let mut world = World {
        account: scenario.account.clone(),
        region: scenario.region.clone(),
        caller: format!("arn:aws:sts::{}:assumed-role/deploy/roadstead", scenario.account),
        registry: scenario.registry.clone(),
        trust: scenario.trust.clone(),
        workflow: scenario.workflow.clone(),
        policy: scenario.policy.clone(),
        blob_mounting: scenario.blob_mounting,
        appconfig: appconfig::founding::found(&scenario.appconfig, began),
        timings: scenario.timings.clone(),
        github: github::state::State::founded(&scenario.github, began),
        chance: Chance::seeded(seed),
        commands: Commands::new(&scenario.one_off),
        mischief: Mischief::new(scenario.faults.clone(), began),
        ..World::default()
    };
    world.github.ensure(&scenario.workflow.repository, began);
    for alarm in &scenario.alarms {
        let it = Alarm { state: alarm.state.clone(), since: began - 86_400.0, composite: alarm.composite };
        world.alarms.insert(alarm.name.clone(), it);
    }
    world.repositories = shelf(&scenario.repositories, began);
    for registry in &scenario.registries {
        let place = (registry.account.clone(), registry.region.clone());
        world.abroad.insert(place, shelf(&registry.repositories, began));
    }
    for name in &scenario.clusters {
        ecs::founding::cluster(&mut world, name);
    }
    world.sites = scenario.sites.clone();
    for topic in &scenario.topics {
        sns::found(&mut world, topic);
    }
    for balancer in &scenario.balancers {
        balancers::found(&mut world, balancer);
    }
    for service in &scenario.services {
        ecs::founding::service(&mut world, service, began);
    }
    argocd::founding::found(&mut world, &scenario.argocd, began);
    traffic::model::found(&mut world, scenario, seed, began);
    mishaps::at_start(&mut world, began);
    world
}

/// The repositories of a registry.
fn shelf(settings: &BTreeMap<String, RepositorySetting>, began: f64) -> BTreeMap<String, Repository> {
    let mut shelf = BTreeMap::new();
    for (name, setting) in settings {
        let (immutable, readers) = (setting.immutable, setting.readers.clone());
        let mut repository = Repository { immutable, readers, ..Repository::default() };
        for image in &setting.images {
            let made = made(name, &image.platform, &image.tags.join(" "));
            ecr::store::push(&mut repository, made, &image.tags, began - 90_000.0);
        }
        shelf.insert(name.clone(), repository);
    }
    shelf
}

fn made(repository: &str, platform: &str, content: &str) -> ecr::Made {
    let platforms: Vec<&str> = platform.split(',').map(str::trim).collect();
    ecr::make_image(&platforms, &format!("{repository}: {content}"))
}

/// Put an image into a repository, made from `content`: the same content has the same digest, which is returned.
/// Tags move to it. Several platforms, with commas between them, make an index.
pub fn push(
    world: &mut World,
    repository: &str,
    tags: &[String],
    platform: &str,
    content: &str,
    now: f64,
) -> String {
    let made = made(repository, platform, content);
    let digest = made.digest().to_owned();
    ecr::store::push(world.repositories.entry(repository.into()).or_default(), made, tags, now);
    digest
}
