//! Which service answers a call. One line a service; no behaviour.

use super::call::{Answer, Call, Refusal};
use super::world::World;
use super::{appconfig, argocd, cloudwatch, ecr, ecs, elbv2, github, iam, logs, oidc, sns, sts, web};

type Service = fn(&mut World, &Call, f64) -> Answer;

/// The services of this cloud, by signing name.
const SERVICES: &[(&str, Service)] = &[
    ("ecs", ecs::answer),
    ("appconfig", appconfig::answer),
    ("argocd", argocd::answer),
    ("ecr", ecr::answer),
    ("registry", ecr::distribution::answer),
    ("sns", |world, call, now| sns::answer(world, call, now)),
    ("sts", sts::answer),
    ("web", web::answer),
    ("oidc", |world, call, now| oidc::answer(world, call, now)),
    ("iam", |world, call, _| iam::answer(world, call)),
    ("elasticloadbalancing", |world, call, _| elbv2::answer(world, call)),
    ("monitoring", |world, call, now| cloudwatch::answer(world, call, now)),
    ("logs", |world, call, _| logs::answer(world, call)),
    ("github", github::answer),
];

/// Have the service that a call is for answer it.
pub fn dispatch(world: &mut World, call: &Call, now: f64) -> Answer {
    match SERVICES.iter().find(|(name, _)| *name == call.service) {
        Some((_, answer)) => answer(world, call, now),
        None => Err(not_modelled(call)),
    }
}

/// The refusal of a call that this cloud does not model: never an empty success.
pub fn not_modelled(call: &Call) -> Refusal {
    Refusal::of(
        501,
        "NotModelled",
        format!("the embedded cloud does not model {} of {}", call.operation, call.service),
    )
}

/// Whether an operation changes anything.
pub fn mutates(operation: &str) -> bool {
    // GitHub's operations are a part of its API and a verb; its queries are `graphql` and a name.
    if operation == "graphql" || operation.starts_with("graphql/") {
        return false;
    }
    if let Some((_, verb)) = operation.split_once('/') {
        return !["get", "list", "compare"].iter().any(|start| verb.starts_with(start));
    }
    let reads = [
        "Describe",
        "List",
        "Get",
        "BatchGet",
        "BatchCheck",
        "Simulate",
        "Assume",
        "Lookup",
        "Filter",
        "Test",
        "ResourceTree",
    ];
    !reads.iter().any(|start| operation.starts_with(start))
}
