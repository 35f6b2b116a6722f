//! What stands between a call and the service it is for: credentials, permissions, request rates, and faults of calls.
//! Error codes and required permissions are those of the service.

use super::faults::{Fault, OperationCalls};
use super::outage;
use super::policy::{Denial, matches_pattern};
use super::request::{Delivery, ServiceCall, ServiceError};
use super::service::{DeniedCall, Gatekeeper, Service, find_service};
use super::world::World;

/// What becomes of a call before any service sees it.
#[derive(Debug, Clone, PartialEq)]
pub enum Admission {
    /// It goes on.
    Admit,
    /// It goes on, and its answer is lost.
    AdmitAndDisconnect,
    /// It takes effect, and this replaces its answer.
    AdmitAndFail(ServiceError),
    /// It is never answered.
    NoReply,
    /// It does not go on, and the client gets this.
    Deliver(Delivery),
    /// It is refused.
    Reject(ServiceError),
}

/// Judge a call.
pub fn admit(world: &mut World, call: &ServiceCall, throttling: bool, now: f64) -> Admission {
    if let Some(struck) = outage::strike(world, call, now) {
        return struck;
    }
    let service = find_service(&call.service);
    if let Some(refusal) = check_call(service, world, call, throttling, now) {
        return Admission::Reject(refusal);
    }
    let operation = call.operation.as_str();
    let triggered = |world: &mut World, kind: fn(&Fault) -> Option<&OperationCalls>| {
        world
            .faults
            .trigger_first(|fault, spent| kind(fault).is_some_and(|calls| calls.applies_to(operation, spent)))
    };
    let silent = triggered(world, |fault| match fault {
        Fault::NoAnswer(calls) => Some(calls),
        _ => None,
    });
    if silent {
        return Admission::NoReply;
    }
    let lost = triggered(world, |fault| match fault {
        Fault::ResponseLost(calls) => Some(calls),
        _ => None,
    });
    if lost {
        return Admission::AdmitAndDisconnect;
    }
    service.replace_answer(world, call).map_or(Admission::Admit, Admission::AdmitAndFail)
}

/// The refusal that a call meets before anything is done.
fn check_call(
    service: &dyn Service,
    world: &mut World,
    call: &ServiceCall,
    throttling: bool,
    now: f64,
) -> Option<ServiceError> {
    if let Gatekeeper::Own(check) = service.gatekeeper() {
        return check(world, call, throttling, now);
    }
    check_known_key(service, world, call)
        .or_else(|| check_expiry(service, world, call, now))
        .or_else(|| check_permission(service, world, call))
        .or_else(|| check_rate(service, world, call, throttling, now))
        .or_else(|| check_server_errors(service, world, call, now))
}

/// Temporary keys that were never issued. Any other key is taken for a user's, and no signature is verified: the cloud
/// holds no secret keys.
fn check_known_key(service: &dyn Service, world: &World, call: &ServiceCall) -> Option<ServiceError> {
    let key = call.access_key.as_deref().filter(|key| key.starts_with("ASIA"))?;
    (!world.sessions.contains_key(key)).then(|| service.errors().unknown_token.to_error())
}

fn check_expiry(service: &dyn Service, world: &World, call: &ServiceCall, now: f64) -> Option<ServiceError> {
    let key = call.access_key.as_deref()?;
    let session = world.sessions.get(key);
    let cut = world.faults.list.iter().find_map(|fault| match fault {
        Fault::ExpiredCredentials(expiry) => Some(world.faults.started_at + expiry.after),
        _ => None,
    });
    let by_fault = cut.is_some_and(|at| now >= at && session.is_none_or(|session| session.issued < at));
    let by_time = session.is_some_and(|session| now >= session.expires);
    (by_fault || by_time).then(|| service.errors().expired.to_error())
}

fn check_permission(service: &dyn Service, world: &World, call: &ServiceCall) -> Option<ServiceError> {
    service.required_actions(call).iter().find_map(|action| {
        let denial = simulate_action(world, action)?;
        Some(access_denied_error(service, world, call, action, denial))
    })
}

/// Whether the caller may take an action, with the faults of the scenario.
pub fn simulate_action(world: &World, action: &str) -> Option<Denial> {
    let fault = world.faults.list.iter().any(|fault| match fault {
        Fault::Deny(deny) => matches_pattern(&deny.action, action),
        _ => false,
    });
    if fault { Some(Denial::Implicit) } else { world.policy.denial_of(action) }
}

fn access_denied_error(
    service: &dyn Service,
    world: &World,
    call: &ServiceCall,
    action: &str,
    denial: Denial,
) -> ServiceError {
    let why = match denial {
        Denial::Implicit => format!("because no identity-based policy allows the {action} action"),
        Denial::Explicit => "with an explicit deny in an identity-based policy".into(),
    };
    let resource = service.resource(world, call, action).unwrap_or_else(|| "*".into());
    let who = world.caller_arn(call.access_key.as_deref());
    let message = service.denial_message(&DeniedCall { who, action, resource: &resource, why: &why });
    let denied = service.errors().denied;
    ServiceError::with_status(denied.status, denied.code, message)
}

fn check_rate(
    service: &dyn Service,
    world: &mut World,
    call: &ServiceCall,
    throttling: bool,
    now: f64,
) -> Option<ServiceError> {
    let operation = call.operation.as_str();
    let by_fault = world.faults.trigger_first(|fault, spent| match fault {
        Fault::Throttle(calls) => calls.applies_to(operation, spent),
        _ => false,
    });
    let rate = service.request_rate(operation).filter(|_| throttling && !by_fault);
    let exceeded = rate.is_some_and(|rate| !world.rate_limits.take_token(rate, now));
    (by_fault || exceeded).then(|| service.errors().throttled.to_error())
}

fn check_server_errors(
    service: &dyn Service,
    world: &World,
    call: &ServiceCall,
    now: f64,
) -> Option<ServiceError> {
    let deployed = world.faults.first_change_at()?;
    let burst = world.faults.list.iter().any(|fault| match fault {
        Fault::ServerErrors(burst) => {
            let from = deployed + burst.from;
            (from..from + burst.lasts).contains(&now)
                && burst.operation.as_ref().is_none_or(|only| *only == call.operation)
        }
        _ => false,
    });
    burst.then(|| service.errors().internal.to_error())
}
