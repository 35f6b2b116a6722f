//! What others do to a service meanwhile: somebody else's deployment, autoscaling.

use super::super::world::World;
use super::{rollout, scheduler, task_definitions};

fn target(world: &World, name: Option<&str>, service: usize) -> usize {
    name.and_then(|name| world.ecs.services.iter().position(|it| it.name == name)).unwrap_or(service)
}

/// Somebody else deploys: a new revision of the family that the service ran when the world began.
pub fn deploy(world: &mut World, name: Option<&str>, service: usize, now: f64) {
    let service = target(world, name, service);
    let base = world.ecs.services[service].founding.unwrap_or(world.ecs.services[service].definition);
    let input = world.ecs.definitions[base].shown.clone();
    let by = format!("arn:aws:iam::{}:user/somebody-else", world.account);
    world.ecs.services[service].definition = task_definitions::enter(world, &input, &by, now);
    rollout::begin(world, service, now);
}

/// Autoscaling sets another desired count.
pub fn scale(world: &mut World, name: Option<&str>, service: usize, to: u32, now: f64) {
    let service = target(world, name, service);
    world.ecs.services[service].desired = to;
    world.ecs.services[service].steady = false;
    scheduler::stir(world, service, now);
}
