//! From a scenario to a world that has just begun: each service makes its part.

use super::faults::FaultState;
use super::rng::Rng;
use super::scenario::Scenario;
use super::service::SERVICES;
use super::traffic;
use super::world::World;

/// The world of a scenario at its beginning.
pub fn build_world(scenario: &Scenario, seed: u64) -> World {
    let began = scenario.start_time().unwrap_or(0.0);
    let mut world = World {
        account: scenario.account.clone(),
        region: scenario.region.clone(),
        caller: format!("arn:aws:sts::{}:assumed-role/deploy/roadstead", scenario.account),
        policy: scenario.policy.clone(),
        timings: scenario.timings.clone(),
        rng: Rng::from_seed(seed),
        faults: FaultState::new(scenario.faults.clone(), began),
        ..World::default()
    };
    for service in SERVICES {
        service.seed(&mut world, scenario, began);
    }
    traffic::stream::seed(&mut world, scenario, seed, began);
    world
}
