//! Which module answers for which service, apart from ECS, which needs more than the shared world.

use super::call::{Answer, Call};
use super::world::World;
use super::{cloudwatch, ecr, elbv2, iam, logs, oidc, sts};

/// Answers a call at `now`, epoch seconds; `None` when the service is not one of these.
pub fn answer(world: &mut World, call: &Call, now: f64) -> Option<Answer> {
    Some(match call.service.as_str() {
        "sts" => sts::answer(world, call, now),
        "oidc" => oidc::answer(world, call, now),
        "iam" => iam::answer(world, call),
        "ecr" => ecr::answer(world, call, now),
        "elasticloadbalancing" => elbv2::answer(world, call),
        "monitoring" => cloudwatch::answer(world, call),
        "logs" => logs::answer(world, call),
        _ => return None,
    })
}

#[cfg(test)]
mod roundtrip;
