//! What others do to a service meanwhile: somebody else's deployment, autoscaling.

use super::super::world::World;
use super::{deployment_start, scheduler, task_definitions};

fn find_service(world: &World, name: Option<&str>, service: usize) -> usize {
    name.and_then(|name| world.ecs.services.iter().position(|it| it.name == name)).unwrap_or(service)
}

/// Somebody else deploys: a new revision of the family that the service ran when the world began.
pub fn deploy(world: &mut World, name: Option<&str>, service: usize, now: f64) {
    let service = find_service(world, name, service);
    let base = world.ecs.services[service].seed_definition.unwrap_or(world.ecs.services[service].definition);
    let input = world.ecs.definitions[base].response.clone();
    let by = format!("arn:aws:iam::{}:user/somebody-else", world.account);
    world.ecs.services[service].definition = task_definitions::add_revision(world, &input, &by, now);
    deployment_start::start_deployment(world, service, now);
}

/// Somebody else forces a new deployment of what the service is.
pub fn redeploy(world: &mut World, name: Option<&str>, service: usize, now: f64) {
    let service = find_service(world, name, service);
    deployment_start::start_deployment(world, service, now);
}

/// Autoscaling sets another desired count.
pub fn scale(world: &mut World, name: Option<&str>, service: usize, to: u32, now: f64) {
    let service = find_service(world, name, service);
    world.ecs.services[service].desired = to;
    world.ecs.services[service].is_steady = false;
    scheduler::reconcile_later(world, service, now);
}
