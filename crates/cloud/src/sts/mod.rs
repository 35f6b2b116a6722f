//! STS: roles for the tokens of a workflow run, and who a caller is.

/// The built-in scenarios.
mod builtin;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::builtin::Builtin;
use crate::input::str_field;
use crate::oidc::ISSUER;
use crate::request::{ServiceCall, ServiceError, ServiceResult};
use crate::scenario::Scenario;
use crate::service::{ErrorCodes, QueryApi, Service, ServiceProtocol, unsupported_operation};
use crate::time::iso8601;
use crate::world::{StsSession, World};

const AUDIENCE: &str = "sts.amazonaws.com";

/// Whom the account's roles trust.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RoleTrust {
    /// Whether the account knows GitHub as an identity provider.
    pub provider: bool,
    /// Subjects that may assume the roles; a `*` at the end stands for any rest. Everyone when empty.
    pub subjects: Vec<String>,
    /// The roles that exist, by ARN; every role when empty.
    pub roles: Vec<String>,
    /// ARNs of callers that may assume the roles with their own credentials; a `*` at the end stands for any rest. Everyone
    /// in the account of the role when empty.
    pub callers: Vec<String>,
    /// The roles' MaxSessionDuration, seconds.
    pub max_session_duration: u32,
    /// How long the sessions of those live who ask for no duration, seconds; AWS's hour unless a test is in a hurry.
    pub session_duration: u32,
}

impl Default for RoleTrust {
    fn default() -> Self {
        Self {
            provider: true,
            subjects: Vec::new(),
            roles: Vec::new(),
            callers: Vec::new(),
            max_session_duration: 3600,
            session_duration: 3600,
        }
    }
}

impl RoleTrust {
    fn is_trusted(&self, role: &str, subject: &str) -> bool {
        self.has_role(role)
            && (self.subjects.is_empty() || self.subjects.iter().any(|pattern| matches(pattern, subject)))
    }

    fn trusts_caller(&self, role: &RoleArn<'_>, caller: &str) -> bool {
        let is_listed = self.callers.iter().any(|pattern| matches(pattern, caller));
        let is_own = self.callers.is_empty() && caller.split(':').nth(4) == Some(role.account);
        self.has_role(role.arn) && (is_listed || is_own)
    }

    fn has_role(&self, role: &str) -> bool {
        self.roles.is_empty() || self.roles.iter().any(|known| known == role)
    }
}

/// Whether `text` is `pattern`; a `*` at its end stands for any rest.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(head) => text.starts_with(head),
        None => pattern == text,
    }
}

/// AWS STS.
pub struct Sts;

impl Service for Sts {
    fn name(&self) -> &'static str {
        "sts"
    }

    fn protocol(&self) -> ServiceProtocol {
        ServiceProtocol::Query(QueryApi {
            version: "2011-06-15",
            namespace: "https://sts.amazonaws.com/doc/2011-06-15/",
        })
    }

    fn errors(&self) -> &'static ErrorCodes {
        &ErrorCodes::AWS_QUERY
    }

    fn seed(&self, world: &mut World, scenario: &Scenario, _began: f64) {
        world.trust = scenario.trust.clone();
    }

    fn handle(&self, world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
        match call.operation.as_str() {
            "AssumeRoleWithWebIdentity" => assume_role(world, &call.input, now),
            "AssumeRole" => assume_as_caller(world, call, now),
            "GetCallerIdentity" => Ok(caller_identity(world, call.access_key.as_deref())),
            _ => Err(unsupported_operation(call)),
        }
    }

    /// Who has no credentials yet may ask for some, and everybody may ask who they are. In its own account a role's trust
    /// policy is enough.
    fn required_actions(&self, call: &ServiceCall) -> Vec<String> {
        match call.operation.as_str() {
            "AssumeRoleWithWebIdentity" | "AssumeRole" | "GetCallerIdentity" => Vec::new(),
            other => vec![format!("{}:{other}", self.name())],
        }
    }

    fn scenarios(&self) -> &'static [Builtin] {
        builtin::SCENARIOS
    }
}

fn assume_role(world: &mut World, input: &Value, now: f64) -> ServiceResult {
    let role = RoleArn::parse(str_field(input, "RoleArn"))?;
    let name = validate_session_name(str_field(input, "RoleSessionName"))?;
    let duration = requested_duration(&world.trust, input)?;
    let claims = decode_claims(str_field(input, "WebIdentityToken"))?;
    check_claims(&world.trust, &claims, now)?;
    let subject = str_field(&claims, "sub");
    if !world.trust.is_trusted(role.arn, subject) {
        let message = "Not authorized to perform sts:AssumeRoleWithWebIdentity";
        return Err(ServiceError::with_status(403, "AccessDenied", message));
    }
    let mut answer = begin_session(world, &role, name, now, duration);
    answer["SubjectFromWebIdentityToken"] = subject.into();
    answer["Provider"] =
        format!("arn:aws:iam::{}:oidc-provider/token.actions.githubusercontent.com", role.account).into();
    answer["Audience"] = AUDIENCE.into();
    Ok(answer)
}

/// A session of a role from `now` on, for `duration` seconds.
fn begin_session(world: &mut World, role: &RoleArn<'_>, name: &str, now: f64, duration: f64) -> Value {
    let keys = TemporaryKeys::new(role.arn, name, world.sessions.len(), now);
    let arn = format!("arn:aws:sts::{}:assumed-role/{}/{name}", role.account, role.name);
    let expires = now.floor() + duration;
    world.sessions.insert(keys.id.clone(), StsSession { issued: now, expires, arn: arn.clone() });
    json!({
        "Credentials": {
            "AccessKeyId": keys.id, "SecretAccessKey": keys.secret, "SessionToken": keys.token, "Expiration": expires,
        },
        "AssumedRoleUser": { "AssumedRoleId": format!("{}:{name}", unique_id("AROA", &arn)), "Arn": arn },
    })
}

/// The role with the caller's own credentials.
fn assume_as_caller(world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
    let role = RoleArn::parse(str_field(&call.input, "RoleArn"))?;
    let name = validate_session_name(str_field(&call.input, "RoleSessionName"))?;
    let duration = requested_duration(&world.trust, &call.input)?;
    let identity = caller_identity(world, call.access_key.as_deref());
    let caller = str_field(&identity, "Arn");
    if !world.trust.trusts_caller(&role, caller) {
        let message =
            format!("User: {caller} is not authorized to perform: sts:AssumeRole on resource: {}", role.arn);
        return Err(ServiceError::with_status(403, "AccessDenied", message));
    }
    Ok(begin_session(world, &role, name, now, duration))
}

struct RoleArn<'a> {
    arn: &'a str,
    account: &'a str,
    /// Without its path, which the ARN of a session leaves out.
    name: &'a str,
}

impl<'a> RoleArn<'a> {
    fn parse(arn: &'a str) -> Result<Self, ServiceError> {
        let invalid = || ServiceError::new("ValidationError", "Request ARN is invalid");
        let rest = arn.strip_prefix("arn:aws:iam::").ok_or_else(invalid)?;
        let (account, role) = rest.split_once(":role/").ok_or_else(invalid)?;
        let name = role.rsplit('/').next().unwrap_or_default();
        let sound = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()) && !name.is_empty();
        if sound { Ok(Self { arn, account, name }) } else { Err(invalid()) }
    }
}

fn validate_session_name(name: &str) -> Result<&str, ServiceError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if (2..=64).contains(&name.len()) && name.chars().all(fits) {
        return Ok(name);
    }
    Err(constraint_error(
        name,
        "roleSessionName",
        "Member must satisfy regular expression pattern: [\\w+=,.@-]*",
    ))
}

fn requested_duration(trust: &RoleTrust, input: &Value) -> Result<f64, ServiceError> {
    let usual = i64::from(trust.session_duration);
    let seconds = input.get("DurationSeconds").and_then(Value::as_i64).unwrap_or(usual);
    if seconds < 900 {
        let words = "Member must have value greater than or equal to 900";
        return Err(constraint_error(&seconds.to_string(), "durationSeconds", words));
    }
    if seconds > i64::from(trust.max_session_duration) {
        let words = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
        return Err(ServiceError::new("ValidationError", words));
    }
    Ok(seconds as f64)
}

fn constraint_error(value: &str, member: &str, words: &str) -> ServiceError {
    ServiceError::new(
        "ValidationError",
        format!(
            "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {words}"
        ),
    )
}

/// The claims of a token that has the shape of one.
fn decode_claims(token: &str) -> Result<Value, ServiceError> {
    let parts: Vec<&str> = token.split('.').collect();
    let read = |part: &str| -> Option<Value> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok().filter(Value::is_object)
    };
    let [header, claims, signature] = parts.as_slice() else { return Err(invalid_token_error()) };
    match (read(header), read(claims)) {
        (Some(header), Some(claims)) if header.get("alg").is_some() && !signature.is_empty() => Ok(claims),
        _ => Err(invalid_token_error()),
    }
}

fn invalid_token_error() -> ServiceError {
    let words =
        "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)";
    ServiceError::new("InvalidIdentityToken", words)
}

/// Issuer, audience and time of a token.
fn check_claims(trust: &RoleTrust, claims: &Value, now: f64) -> Result<(), ServiceError> {
    let invalid = |words: String| Err(ServiceError::new("InvalidIdentityToken", words));
    let issuer = str_field(claims, "iss");
    if issuer != ISSUER || !trust.provider {
        return invalid(format!("No OpenIDConnect provider found in your account for {issuer}"));
    }
    if str_field(claims, "aud") != AUDIENCE {
        return invalid("Incorrect token audience".into());
    }
    let Some(expires) = claims.get("exp").and_then(Value::as_f64) else {
        return invalid("Missing a required claim: exp".into());
    };
    if expires <= now {
        let words = format!(
            "Token expired: current date/time {} must be before the expiration date/time {}",
            iso8601(now.floor()),
            iso8601(expires)
        );
        return Err(ServiceError::new("ExpiredTokenException", words));
    }
    Ok(())
}

/// Temporary credentials: different for every session, and the same in every run.
struct TemporaryKeys {
    id: String,
    secret: String,
    token: String,
}

impl TemporaryKeys {
    fn new(role: &str, name: &str, nth: usize, now: f64) -> Self {
        let seed = format!("{role} {name} {nth} {now}");
        let part = |what: &str| Sha256::digest(format!("{what} {seed}"));
        let token = [part("token 1"), part("token 2"), part("token 3")].concat();
        Self {
            id: unique_id("ASIA", &seed),
            secret: STANDARD.encode(&part("secret")[..30]),
            token: STANDARD.encode(token),
        }
    }
}

/// An IAM unique id: a prefix that says of what, and sixteen more letters and digits.
fn unique_id(prefix: &str, seed: &str) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let hash = Sha256::digest(seed);
    let rest = hash.iter().take(16).map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
    prefix.chars().chain(rest).collect()
}

fn caller_identity(world: &World, access_key: Option<&str>) -> Value {
    let session = access_key.and_then(|key| world.sessions.get(key));
    let user = format!("arn:aws:iam::{}:user/deployer", world.account);
    let arn = session.map_or(if world.caller.is_empty() { &user } else { &world.caller }, |known| &known.arn);
    let account = arn.split(':').nth(4).unwrap_or_default();
    let id = match session {
        Some(_) => format!("{}:{}", unique_id("AROA", arn), arn.rsplit('/').next().unwrap_or_default()),
        None => unique_id("AIDA", arn),
    };
    json!({ "UserId": id, "Account": account, "Arn": arn })
}

#[cfg(test)]
mod tests;
