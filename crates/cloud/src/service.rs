//! What a service of the cloud is, and the list of them. A service is a folder (or a file) and a line in `SERVICES`; what is
//! shared asks it through this trait and names none.

use std::future::Future;
use std::pin::Pin;

use super::builtin::Builtin;
use super::faults::Fault;
use super::request::{Delivery, ServiceCall, ServiceError, ServiceResult};
use super::scenario::Scenario;
use super::throttle::RequestRate;
use super::world::World;
use super::{
    appconfig, argocd, autoscaling, cloudwatch, compose, ecr, ecs, elbv2, github, iam, kubernetes, logs,
    oidc, sns, sts, web,
};

/// The services of this cloud, in the order in which a world is made: what others stand on comes first.
pub static SERVICES: &[&dyn Service] = &[
    &iam::Iam,
    &sts::Sts,
    &oidc::Oidc,
    &github::GitHub,
    &cloudwatch::CloudWatch,
    &logs::Logs,
    &ecr::Ecr,
    &ecr::distribution::Registry,
    &web::Web,
    &sns::Sns,
    &elbv2::Elbv2,
    &ecs::Ecs,
    &autoscaling::AutoScaling,
    &appconfig::AppConfig,
    &argocd::ArgoCd,
    &compose::ComposeHosts,
    &kubernetes::eks::Eks,
    &kubernetes::Kubernetes,
];

/// One emulated service.
pub trait Service: Sync {
    /// The name that requests are signed for, or one of its own where nothing is signed.
    fn name(&self) -> &'static str;

    /// Its protocol.
    fn protocol(&self) -> ServiceProtocol;

    /// Its names for the errors that every service has.
    fn errors(&self) -> &'static ErrorCodes;

    /// What is wrong with its part of a scenario, beyond what types say.
    fn validate(&self, _scenario: &Scenario) -> Result<(), String> {
        Ok(())
    }

    /// Its part of a scenario becomes its part of a world that begins at `began`, epoch seconds.
    fn seed(&self, _world: &mut World, _scenario: &Scenario, _began: f64) {}

    /// Handles an admitted call at `now`, epoch seconds.
    fn handle(&self, world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult;

    /// Whether an operation changes anything.
    fn is_mutating(&self, operation: &str) -> bool {
        !READING_VERBS.iter().any(|verb| operation.starts_with(verb))
    }

    /// IAM's names of the actions that a call takes; none where it needs no permission, or one that is not the caller's.
    fn required_actions(&self, call: &ServiceCall) -> Vec<String> {
        vec![format!("{}:{}", self.name(), call.operation)]
    }

    /// The resource of a call, as a denial names it; `None` when its input does not have it.
    fn resource(&self, _world: &World, _call: &ServiceCall, _action: &str) -> Option<String> {
        None
    }

    /// The message of a denial.
    fn denial_message(&self, denied: &DeniedCall<'_>) -> String {
        denied.to_string()
    }

    /// The documented rate of an operation.
    fn request_rate(&self, _operation: &str) -> Option<RequestRate> {
        None
    }

    /// The checks of a call before it.
    fn gatekeeper(&self) -> Gatekeeper {
        Gatekeeper::Shared
    }

    /// The error that a fault returns for a call that took effect.
    fn replace_answer(&self, _world: &mut World, _call: &ServiceCall) -> Option<ServiceError> {
        None
    }

    /// What has to be looked up outside of the cloud before a call can be answered.
    fn look_outside(&self, _world: &World, _call: &ServiceCall) -> Option<OutsideWork> {
        None
    }

    /// What a call that took effect changes outside of the cloud, whether or not its answer arrives.
    fn change_outside(&self, _world: &World, _call: &ServiceCall) -> Option<OutsideWork> {
        None
    }

    /// Until when an answer has to wait for something to happen in the cloud, epoch seconds.
    fn answer_due_at(&self, _world: &World, _call: &ServiceCall, _delivery: &Delivery) -> Option<f64> {
        None
    }

    /// The answer of a call that has waited.
    fn delayed_answer(&self, _world: &World, call: &ServiceCall, _now: f64) -> ServiceResult {
        Err(unsupported_operation(call))
    }

    /// The time of one of its faults: seconds after the first deployment that the client starts.
    fn fault_time(&self, _fault: &Fault) -> Option<f64> {
        None
    }

    /// The time of one of its faults has come.
    fn apply_fault(&self, _world: &mut World, _fault: &Fault, _now: f64) {}

    /// The built-in scenarios that are about it.
    fn scenarios(&self) -> &'static [Builtin] {
        &[]
    }

    /// Gives an alarm to everything in its part of a scenario that can watch one, for scenarios about alarms.
    fn add_watched_alarms(&self, _scenario: &mut Scenario) {}
}

/// How AWS's operations begin that change nothing.
const READING_VERBS: [&str; 10] =
    ["Describe", "List", "Get", "BatchGet", "BatchCheck", "Simulate", "Assume", "Lookup", "Filter", "Test"];

/// The protocol of a service, with what the wire needs to find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceProtocol {
    /// AWS JSON.
    AwsJson {
        /// The prefix of the operation in `X-Amz-Target`.
        target: &'static str,
    },
    /// AWS REST-JSON.
    RestJson,
    /// AWS query.
    Query(QueryApi),
    /// AWS JSON, CBOR and query, as the client likes.
    JsonCborQuery {
        /// The prefix of the operation in `X-Amz-Target`, and a part of the path of CBOR.
        target: &'static str,
        /// The same service as query.
        query: QueryApi,
    },
    /// A protocol of its own, found by its URLs.
    Own,
}

/// A service of the query protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryApi {
    /// `Version` of its requests.
    pub version: &'static str,
    /// XML namespace of its answers.
    pub namespace: &'static str,
}

impl ServiceProtocol {
    /// The prefix of the operation in `X-Amz-Target`.
    pub fn target(self) -> Option<&'static str> {
        match self {
            Self::AwsJson { target } | Self::JsonCborQuery { target, .. } => Some(target),
            Self::RestJson | Self::Query(_) | Self::Own => None,
        }
    }

    /// The service as query.
    pub fn query(self) -> Option<QueryApi> {
        match self {
            Self::Query(query) | Self::JsonCborQuery { query, .. } => Some(query),
            Self::AwsJson { .. } | Self::RestJson | Self::Own => None,
        }
    }
}

/// An error as the response has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorCode {
    /// HTTP status.
    pub status: u16,
    /// Its name.
    pub code: &'static str,
    /// What it says.
    pub message: &'static str,
}

impl ErrorCode {
    /// The error as it is answered.
    pub fn to_error(self) -> ServiceError {
        ServiceError::with_status(self.status, self.code, self.message)
    }

    const fn with(self, status: u16, code: &'static str) -> Self {
        Self { status, code, message: self.message }
    }
}

/// What a service calls the errors that every service has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorCodes {
    /// Too many requests.
    pub throttled: ErrorCode,
    /// A permission is missing. Its message is made by `denial_message`.
    pub denied: ErrorCode,
    /// The credentials have expired.
    pub expired: ErrorCode,
    /// The credentials are unknown.
    pub unknown_token: ErrorCode,
    /// The service itself has failed.
    pub internal: ErrorCode,
}

const fn code(status: u16, code: &'static str, message: &'static str) -> ErrorCode {
    ErrorCode { status, code, message }
}

impl ErrorCodes {
    /// The names of AWS's JSON protocols.
    pub const AWS_JSON: Self = Self {
        throttled: code(400, "ThrottlingException", "Rate exceeded"),
        denied: code(400, "AccessDeniedException", ""),
        expired: code(400, "ExpiredTokenException", "The security token included in the request is expired"),
        unknown_token: code(
            400,
            "UnrecognizedClientException",
            "The security token included in the request is invalid",
        ),
        internal: code(500, "InternalFailure", "Service Unavailable. Please try again later."),
    };

    /// The names of AWS's query protocol.
    pub const AWS_QUERY: Self = Self::AWS_JSON
        .with_throttled(400, "Throttling")
        .with_denied(403, "AccessDenied")
        .with_expired(403, "ExpiredToken")
        .with_unknown_token(403, "InvalidClientTokenId");

    /// The same with another name for a rate that is exceeded.
    pub const fn with_throttled(self, status: u16, code: &'static str) -> Self {
        Self { throttled: self.throttled.with(status, code), ..self }
    }

    /// The same with another name for a denial.
    pub const fn with_denied(self, status: u16, code: &'static str) -> Self {
        Self { denied: self.denied.with(status, code), ..self }
    }

    /// The same with another name for expired credentials.
    pub const fn with_expired(self, status: u16, code: &'static str) -> Self {
        Self { expired: self.expired.with(status, code), ..self }
    }

    /// The same with another name for credentials that nobody issued.
    pub const fn with_unknown_token(self, status: u16, code: &'static str) -> Self {
        Self { unknown_token: self.unknown_token.with(status, code), ..self }
    }

    /// The same with another name for a failure of the service.
    pub const fn with_internal(self, status: u16, code: &'static str) -> Self {
        Self { internal: self.internal.with(status, code), ..self }
    }
}

/// A call without the required permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeniedCall<'a> {
    /// ARN of the caller.
    pub who: &'a str,
    /// IAM's name of the action.
    pub action: &'a str,
    /// The resource.
    pub resource: &'a str,
    /// The reason, in IAM's words.
    pub why: &'a str,
}

impl std::fmt::Display for DeniedCall<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { who, action, resource, why } = self;
        write!(f, "User: {who} is not authorized to perform: {action} on resource: {resource} {why}")
    }
}

/// Checks a call before it takes effect: with the world, whether request rates are enforced, and the time.
pub type OwnChecks = fn(&mut World, &ServiceCall, bool, f64) -> Option<ServiceError>;

/// The checks of a call before its service handles it.
#[derive(Clone, Copy)]
pub enum Gatekeeper {
    /// Those of AWS: credentials, permissions, rates, faults.
    Shared,
    /// The service itself.
    Own(OwnChecks),
}

/// A change of the world by the result of work outside.
pub type WorldChange = Box<dyn FnOnce(&mut World, f64) + Send>;

/// Work outside of the cloud, and what it changes inside.
pub type OutsideWork = Pin<Box<dyn Future<Output = Result<WorldChange, ServiceError>> + Send>>;

/// The service with this name; else one that rejects every call.
pub fn find_service(name: &str) -> &'static dyn Service {
    SERVICES.iter().copied().find(|service| service.name() == name).unwrap_or(&UnmodelledService)
}

/// A service that the emulator does not have.
struct UnmodelledService;

impl Service for UnmodelledService {
    fn name(&self) -> &'static str {
        "unmodelled"
    }

    fn protocol(&self) -> ServiceProtocol {
        ServiceProtocol::Own
    }

    fn errors(&self) -> &'static ErrorCodes {
        &ErrorCodes::AWS_JSON
    }

    fn handle(&self, _world: &mut World, call: &ServiceCall, _now: f64) -> ServiceResult {
        Err(unsupported_operation(call))
    }

    fn required_actions(&self, call: &ServiceCall) -> Vec<String> {
        vec![format!("{}:{}", call.service, call.operation)]
    }
}

/// The error of a call that the emulator does not have: never an empty success.
pub fn unsupported_operation(call: &ServiceCall) -> ServiceError {
    ServiceError::with_status(
        501,
        "NotModelled",
        format!("the embedded cloud does not model {} of {}", call.operation, call.service),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_targets_are_unique() {
        for (place, service) in SERVICES.iter().enumerate() {
            let earlier = &SERVICES[..place];
            assert!(earlier.iter().all(|other| other.name() != service.name()), "{}", service.name());
            let target = service.protocol().target();
            assert!(target.is_none() || earlier.iter().all(|other| other.protocol().target() != target));
            let query = service.protocol().query().map(|query| query.version);
            let taken = |other: &&dyn Service| other.protocol().query().map(|query| query.version) == query;
            assert!(query.is_none() || !earlier.iter().any(taken), "{}", service.name());
        }
    }
}
