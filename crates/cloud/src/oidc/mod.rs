//! The runner's OIDC token endpoint: tokens shaped like GitHub's for the workflow run of the scenario.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::input::str_field;
use crate::request::{ServiceCall, ServiceError, ServiceResult};
use crate::scenario::Scenario;
use crate::service::{ErrorCodes, Service, ServiceProtocol, unsupported_operation};
use crate::world::World;

/// Who issues the tokens.
pub const ISSUER: &str = "https://token.actions.githubusercontent.com";

/// Lifetime of a token in seconds, and how long before its issue it is valid (GitHub's docs).
const TOKEN_LIFETIME: f64 = 300.0;
const NOT_BEFORE_SLACK: f64 = 600.0;

/// The workflow run that tokens vouch for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Workflow {
    /// `owner/name`.
    pub repository: String,
    /// Full ref, such as `refs/heads/main`.
    pub reference: String,
    /// The job's environment.
    pub environment: Option<String>,
    /// The numbers that are in the subjects of newer repositories; without them the subject has names alone.
    pub numbers: Option<RepositoryIds>,
    /// What `ACTIONS_ID_TOKEN_REQUEST_TOKEN` must be; anything but nothing when absent.
    pub request_token: Option<String>,
}

/// The numbers of a repository that was made, renamed or transferred after 15 July 2026.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RepositoryIds {
    /// The owner's.
    pub owner: u64,
    /// The repository's.
    pub repository: u64,
}

impl Default for Workflow {
    fn default() -> Self {
        Self {
            repository: "acme/shop".into(),
            reference: "refs/heads/main".into(),
            environment: None,
            numbers: None,
            request_token: None,
        }
    }
}

impl Workflow {
    /// The `sub` claim: the environment wins over the ref.
    pub fn subject(&self) -> String {
        let (owner, name) = self.repository.split_once('/').unwrap_or((&self.repository, ""));
        let repository = match self.numbers {
            Some(numbers) => format!("{owner}@{}/{name}@{}", numbers.owner, numbers.repository),
            None => self.repository.clone(),
        };
        match &self.environment {
            Some(environment) => format!("repo:{repository}:environment:{}", environment.replace(':', "%3A")),
            None => format!("repo:{repository}:ref:{}", self.reference),
        }
    }
}

/// The runner's token endpoint.
pub struct Oidc;

impl Service for Oidc {
    fn name(&self) -> &'static str {
        "oidc"
    }

    fn protocol(&self) -> ServiceProtocol {
        ServiceProtocol::Own
    }

    fn errors(&self) -> &'static ErrorCodes {
        &ErrorCodes::AWS_JSON
    }

    fn seed(&self, world: &mut World, scenario: &Scenario, _began: f64) {
        world.workflow = scenario.workflow.clone();
    }

    fn handle(&self, world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
        answer_token_request(world, call, now)
    }

    fn required_actions(&self, _call: &ServiceCall) -> Vec<String> {
        Vec::new()
    }
}

fn answer_token_request(world: &World, call: &ServiceCall, now: f64) -> ServiceResult {
    if call.operation != "GetIdToken" {
        return Err(unsupported_operation(call));
    }
    let (bearer, audience) = (str_field(&call.input, "bearer"), str_field(&call.input, "audience"));
    if bearer.is_empty() || world.workflow.request_token.as_deref().is_some_and(|token| token != bearer) {
        let message = "The request token is missing or wrong";
        return Err(ServiceError::with_status(401, "Unauthorized", message));
    }
    Ok(json!({ "value": issue_token(&world.workflow, audience, now) }))
}

/// A token for the run. Without an audience it is for the repository's owner, as GitHub has it.
pub fn issue_token(workflow: &Workflow, audience: &str, now: f64) -> String {
    let owner = workflow.repository.split('/').next().unwrap_or_default();
    let default = format!("https://github.com/{owner}");
    let issued = now.floor();
    let mut claims = json!({
        "jti": hex::encode(&Sha256::digest(format!("{}{now}", workflow.subject()))[..16]),
        "sub": workflow.subject(),
        "aud": if audience.is_empty() { &default } else { audience },
        "ref": workflow.reference,
        "repository": workflow.repository,
        "repository_owner": owner,
        "iss": ISSUER,
        "nbf": (issued - NOT_BEFORE_SLACK) as i64,
        "exp": (issued + TOKEN_LIFETIME) as i64,
        "iat": issued as i64,
    });
    if let Some(environment) = &workflow.environment {
        claims["environment"] = json!(environment);
    }
    sign_claims(&claims)
}

/// A JSON Web Token over `claims`. The key is public on purpose: nothing trusts these tokens but the emulator.
fn sign_claims(claims: &Value) -> String {
    let header = json!({ "typ": "JWT", "alg": "HS256", "kid": "roadstead-embedded-cloud" });
    let body = [header.to_string(), claims.to_string()].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let signature = URL_SAFE_NO_PAD.encode(hmac(b"roadstead-embedded-cloud", body.as_bytes()));
    format!("{body}.{signature}")
}

/// HMAC-SHA256 (RFC 2104) with a key of at most 64 bytes.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let pad = |byte: u8| {
        let mut block = [byte; 64];
        block.iter_mut().zip(key).for_each(|(block, key)| *block ^= key);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_agrees_with_rfc_4231() {
        let mac = hmac(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(hex::encode(mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn the_environment_wins_in_the_subject() {
        let mut workflow = Workflow::default();
        assert_eq!(workflow.subject(), "repo:acme/shop:ref:refs/heads/main");
        workflow.environment = Some("prod:eu".into());
        assert_eq!(workflow.subject(), "repo:acme/shop:environment:prod%3Aeu");
        workflow.numbers = Some(RepositoryIds { owner: 71, repository: 9 });
        assert_eq!(workflow.subject(), "repo:acme@71/shop@9:environment:prod%3Aeu");
    }

    #[test]
    fn a_token_has_three_parts_and_the_claims() {
        let token = issue_token(&Workflow::default(), "sts.amazonaws.com", 1000.5);
        let parts: Vec<&str> = token.split('.').collect();
        assert_eq!(parts.len(), 3);
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
        assert_eq!(claims["aud"], "sts.amazonaws.com");
        assert_eq!(claims["exp"], 1300);
        assert_eq!(claims["nbf"], 400);
        assert_eq!(claims["repository"], "acme/shop");
    }

    #[test]
    fn a_wrong_request_token_is_unauthorized() {
        let workflow = Workflow { request_token: Some("right".into()), ..Workflow::default() };
        let world = World { workflow, ..World::default() };
        let ask = |bearer: &str| {
            let input = json!({ "audience": "a", "bearer": bearer });
            let (service, operation) = ("oidc".into(), "GetIdToken".into());
            answer_token_request(
                &world,
                &ServiceCall { service, operation, input, region: String::new(), access_key: None },
                0.0,
            )
        };
        assert!(ask("right").is_ok());
        assert_eq!(ask("wrong").unwrap_err().status, 401);
        assert_eq!(ask("").unwrap_err().status, 401);
    }
}
