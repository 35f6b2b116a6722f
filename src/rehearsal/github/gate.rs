//! What GitHub refuses before it looks at a request: bad tokens, rates, and faults of requests.

use super::answers::with_headers;
use super::caller;
use super::limits::Limit;
use super::settings::Access;
use crate::rehearsal::call::{Call, Refusal};
use crate::rehearsal::faults::Fault;
use crate::rehearsal::world::World;

/// The refusal that a request meets before anything is done.
pub fn refused(world: &mut World, call: &Call, throttling: bool, now: f64) -> Option<Refusal> {
    if call.operation == "git/get-file" {
        return None;
    }
    let refusal = unauthorized(world, call)
        .or_else(|| limited(world, call, now))
        .or_else(|| throttled(world, call))
        .or_else(|| rate(world, call, throttling, now))
        .or_else(|| failing(world, call, now))?;
    let usage = caller::usage(&world.github, call);
    let headers = world.github.limits.headers(usage, now);
    with_headers(Err(refusal), headers).err()
}

/// The refusal that stands in the place of the answer to something that was done.
pub fn replaced(world: &mut World, call: &Call) -> Option<Refusal> {
    let struck = world.mischief.strike(|fault, spent| match fault {
        Fault::BadGateway(it) => {
            call.service == "github" && it.effect && spent < it.times && names(&it.operation, call)
        }
        _ => false,
    });
    struck.then(bad_gateway)
}

fn names(operation: &str, call: &Call) -> bool {
    operation == "*" || operation == call.operation
}

fn bad_gateway() -> Refusal {
    Refusal::of(502, "BadGateway", "Server Error")
}

fn unauthorized(world: &World, call: &Call) -> Option<Refusal> {
    let token = caller::token(&world.github, call);
    match token {
        Some(token) if token.access == Access::Invalid => {
            Some(Refusal::of(401, "Unauthorized", "Bad credentials"))
        }
        None if caller::usage(&world.github, call).resource == "graphql" => {
            Some(Refusal::of(401, "Unauthorized", "This endpoint requires you to be authenticated."))
        }
        _ => None,
    }
}

/// A rate limit of the scenario.
fn limited(world: &mut World, call: &Call, now: f64) -> Option<Refusal> {
    let mut found = None;
    world.mischief.strike(|fault, spent| match fault {
        Fault::RateLimit(it) if spent < it.times && names(&it.operation, call) => {
            found = Some(it.clone());
            true
        }
        _ => false,
    });
    let it = found?;
    let usage = caller::usage(&world.github, call);
    match it.resets_after {
        Some(seconds) => {
            world.github.limits.exhaust(usage, now + seconds);
            Some(refusal(Limit::Primary, None, call))
        }
        None => Some(refusal(Limit::Secondary, it.retry_after, call)),
    }
}

/// The throttling of a scenario, as for any service.
fn throttled(world: &mut World, call: &Call) -> Option<Refusal> {
    let struck = world.mischief.strike(|fault, spent| match fault {
        Fault::Throttle(calls) => calls.strikes(&call.operation, spent),
        _ => false,
    });
    struck.then(|| refusal(Limit::Secondary, Some(60), call))
}

/// The rates that GitHub documents.
fn rate(world: &mut World, call: &Call, throttling: bool, now: f64) -> Option<Refusal> {
    // A primary limit that a scenario set holds without throttling too.
    let usage = caller::usage(&world.github, call);
    let taken = world.github.limits.take(usage, now);
    match taken {
        Err(Limit::Secondary) if !throttling => None,
        Err(limit) => Some(refusal(limit, Some(60), call)),
        Ok(()) => None,
    }
}

fn refusal(limit: Limit, retry_after: Option<u32>, call: &Call) -> Refusal {
    let who = call.access_key.as_deref().map_or("this address", |_| "installation");
    let refusal = match limit {
        Limit::Primary => {
            let message = format!("API rate limit exceeded for {who}.");
            Refusal::of(403, "RateLimited", message)
        }
        Limit::Secondary => Refusal::of(
            403,
            "SecondaryRateLimit",
            "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
        ),
    };
    let header = retry_after.filter(|_| limit == Limit::Secondary);
    let headers = header.map(|seconds| ("retry-after".to_owned(), seconds.to_string()));
    let refusal = super::answers::with(
        refusal,
        [("documentation_url", "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api".into())],
    );
    match with_headers(Err(refusal), headers.into_iter().collect()) {
        Err(refusal) => refusal,
        Ok(_) => bad_gateway(),
    }
}

/// Server errors: by count, or for a while from the client's first deployment or the world's beginning.
fn failing(world: &mut World, call: &Call, now: f64) -> Option<Refusal> {
    let began = world.mischief.deployed.as_ref().map_or(world.mischief.began, |(at, _)| *at);
    let struck = world.mischief.strike(|fault, spent| match fault {
        Fault::BadGateway(it) => !it.effect && spent < it.times && names(&it.operation, call),
        Fault::ServerErrors(burst) => {
            let from = began + burst.from;
            (from..from + burst.lasts).contains(&now)
                && burst.operation.as_deref().is_none_or(|only| names(only, call))
        }
        _ => false,
    });
    struck.then(bad_gateway)
}
