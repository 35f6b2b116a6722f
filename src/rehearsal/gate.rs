//! What stands between a call and the service it is for: credentials, permissions, request rates, and faults of calls.

use super::call::{Call, Refusal};
use super::faults::Fault;
use super::github;
use super::members::text;
use super::policy::{Denial, action};
use super::world::World;

/// What becomes of a call before any service sees it.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It goes on.
    Pass,
    /// It goes on, and its answer is lost.
    Lose,
    /// It goes on, and this stands in the place of its answer.
    Replace(Refusal),
    /// It is never answered.
    Silence,
    /// It is refused.
    Refuse(Refusal),
}

/// Judge a call.
pub fn judge(world: &mut World, call: &Call, throttling: bool, now: f64) -> Verdict {
    let refusal = match call.service.as_str() {
        "github" => github::gate::refused(world, call, throttling, now),
        _ => refused(world, call, throttling, now),
    };
    if let Some(refusal) = refusal {
        return Verdict::Refuse(refusal);
    }
    let operation = call.operation.as_str();
    let struck = |world: &mut World, kind: fn(&Fault) -> Option<&super::faults::Calls>| {
        world.mischief.strike(|fault, spent| kind(fault).is_some_and(|calls| calls.strikes(operation, spent)))
    };
    let silent = struck(world, |fault| match fault {
        Fault::NoAnswer(calls) => Some(calls),
        _ => None,
    });
    if silent {
        return Verdict::Silence;
    }
    let lost = struck(world, |fault| match fault {
        Fault::ResponseLost(calls) => Some(calls),
        _ => None,
    });
    if lost {
        return Verdict::Lose;
    }
    github::gate::replaced(world, call).map_or(Verdict::Pass, Verdict::Replace)
}

/// The refusal that a call to AWS meets before anything is done.
fn refused(world: &mut World, call: &Call, throttling: bool, now: f64) -> Option<Refusal> {
    let credentials =
        unknown(world, call).or_else(|| expired(world, call, now)).or_else(|| denied(world, call));
    if credentials.is_some() {
        return credentials;
    }
    let operation = call.operation.as_str();
    let throttled = world.mischief.strike(|fault, spent| match fault {
        Fault::Throttle(calls) => calls.strikes(operation, spent),
        _ => false,
    });
    if throttled || throttling && !world.buckets.take(&call.service, operation, now) {
        return Some(throttled_by(&call.service));
    }
    failing(world, call, now)
}

/// Services of the query protocol have their own names for common errors.
fn speaks_query(service: &str) -> bool {
    matches!(service, "sns" | "sts" | "iam" | "elasticloadbalancing" | "monitoring")
}

/// The status of a refusal for want of rights: only services with paths have one of its own for it.
fn plainly(service: &str) -> u16 {
    if service == "appconfig" { 403 } else { 400 }
}

fn throttled_by(service: &str) -> Refusal {
    let words = "Rate exceeded";
    match service {
        "argocd" => Refusal::of(429, "ResourceExhausted", words),
        "registry" => Refusal::of(429, "TOOMANYREQUESTS", words),
        "sns" => Refusal::of(429, "Throttled", words),
        service if speaks_query(service) => Refusal::new("Throttling", words),
        _ => Refusal::new("ThrottlingException", words),
    }
}

/// Temporary keys that STS never issued. Any other key is taken for a user's, and no signature is verified:
/// the cloud holds no secret keys.
fn unknown(world: &World, call: &Call) -> Option<Refusal> {
    let key = call.access_key.as_deref().filter(|key| key.starts_with("ASIA"))?;
    if world.sessions.contains_key(key) {
        return None;
    }
    let (status, code) = match speaks_query(&call.service) {
        true => (403, "InvalidClientTokenId"),
        false => (plainly(&call.service), "UnrecognizedClientException"),
    };
    let message = "The security token included in the request is invalid";
    Some(Refusal::of(status, code, message))
}

fn expired(world: &World, call: &Call, now: f64) -> Option<Refusal> {
    let key = call.access_key.as_deref()?;
    let session = world.sessions.get(key);
    let cut = world.mischief.faults.iter().find_map(|fault| match fault {
        Fault::ExpiredCredentials(expiry) => Some(world.mischief.began + expiry.after),
        _ => None,
    });
    let by_fault = cut.is_some_and(|at| now >= at && session.is_none_or(|session| session.issued < at));
    let by_time = session.is_some_and(|session| now >= session.expires);
    (by_fault || by_time).then(|| {
        let (status, code) = match speaks_query(&call.service) {
            true => (403, "ExpiredToken"),
            false => (plainly(&call.service), "ExpiredTokenException"),
        };
        Refusal::of(status, code, "The security token included in the request is expired")
    })
}

/// Operations that need no permission, or whose permission is not the caller's.
const FREE: [&str; 4] = ["AssumeRoleWithWebIdentity", "GetCallerIdentity", "GetIdToken", "GetLayer"];

fn denied(world: &World, call: &Call) -> Option<Refusal> {
    let operation = call.operation.as_str();
    if matches!(call.service.as_str(), "oidc" | "web") || FREE.contains(&operation) {
        return None;
    }
    if call.service == "argocd" {
        let words = "permission denied";
        let denied = denial(world, &action(&call.service, operation));
        return denied.map(|_| Refusal::of(403, "PermissionDenied", words));
    }
    let wanted = action(&call.service, operation);
    let passes = operation == "RegisterTaskDefinition"
        && ["executionRoleArn", "taskRoleArn"].iter().any(|member| call.input[*member].is_string());
    let roles = passes.then(|| "iam:PassRole".to_string());
    [Some(wanted), roles].into_iter().flatten().find_map(|action| {
        let denial = denial(world, &action)?;
        Some(refuse(world, call, &action, denial))
    })
}

fn denial(world: &World, action: &str) -> Option<Denial> {
    let fault = world.mischief.faults.iter().any(|fault| match fault {
        Fault::Deny(deny) => super::policy::matches(&deny.action, action),
        _ => false,
    });
    if fault { Some(Denial::Implicit) } else { world.policy.denies(action) }
}

/// Whether the caller may take an action, with the faults of the scenario. For SimulatePrincipalPolicy.
pub fn permits(world: &World, action: &str) -> Option<Denial> {
    denial(world, action)
}

fn refuse(world: &World, call: &Call, action: &str, denial: Denial) -> Refusal {
    let who = world.caller_arn(call.access_key.as_deref());
    let resource = resource(world, call, action);
    let why = match denial {
        Denial::Implicit => format!("because no identity-based policy allows the {action} action"),
        Denial::Explicit => "with an explicit deny in an identity-based policy".into(),
    };
    if call.service == "sns" {
        let topic = text(&call.input, "TopicArn");
        let message =
            format!("User: {who} is not authorized to perform: {action} on resource: {topic} {why}");
        return Refusal::of(403, "AuthorizationError", message.replace("sns:P", "SNS:P"));
    }
    let (status, code) = match call.service.as_str() {
        "registry" => (403, "DENIED"),
        service if speaks_query(service) => (403, "AccessDenied"),
        service => (plainly(service), "AccessDeniedException"),
    };
    let message = format!("User: {who} is not authorized to perform: {action} on resource: {resource} {why}");
    Refusal::of(status, code, message)
}

/// What the caller wanted to act on, as far as the input says.
fn resource(world: &World, call: &Call, action: &str) -> String {
    let member = |name: &str| call.input[name].as_str();
    let named = match (action, member("service"), member("serviceDeploymentArn")) {
        ("iam:PassRole", ..) => member("executionRoleArn").or(member("taskRoleArn")).map(String::from),
        (_, Some(service), _) if !service.starts_with("arn:") => {
            let cluster = member("cluster").unwrap_or("default");
            Some(format!("arn:aws:ecs:{}:{}:service/{cluster}/{service}", world.region, world.account))
        }
        (_, service, deployment) => deployment.or(service).map(String::from),
    };
    named.unwrap_or_else(|| "*".into())
}

fn failing(world: &World, call: &Call, now: f64) -> Option<Refusal> {
    let deployed = world.mischief.deployed.map(|(at, _)| at).or(world.argocd.changed)?;
    let burst = world.mischief.faults.iter().any(|fault| match fault {
        Fault::ServerErrors(burst) => {
            let from = deployed + burst.from;
            (from..from + burst.lasts).contains(&now)
                && burst.operation.as_ref().is_none_or(|only| *only == call.operation)
        }
        _ => false,
    });
    burst.then(|| {
        let code = match call.service.as_str() {
            "ecs" | "ecr" => "ServerException",
            "logs" => "ServiceUnavailableException",
            "appconfig" => "InternalServerException",
            // What stands in front of it answers in its place.
            "argocd" => return Refusal::of(502, "BadGateway", "502 Bad Gateway"),
            _ => "InternalFailure",
        };
        let status = if code == "ServiceUnavailableException" { 503 } else { 500 };
        Refusal::of(status, code, "Service Unavailable. Please try again later.")
    })
}
