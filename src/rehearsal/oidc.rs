//! The runner's OIDC token endpoint: tokens shaped like GitHub's for the workflow run of the scenario.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::call::{Answer, Call, Refusal};
use super::dispatch::not_modelled;
use super::members::text;
use super::world::World;

/// Who issues the tokens.
pub const ISSUER: &str = "https://token.actions.githubusercontent.com";

/// A token lives for so many seconds, and counts as good from so long before it was issued (facts of GitHub's docs).
const LIFE: f64 = 300.0;
const SLACK: f64 = 600.0;

/// The workflow run that tokens vouch for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Workflow {
    /// `owner/name`.
    pub repository: String,
    /// Full ref, such as `refs/heads/main`.
    pub reference: String,
    /// The job's environment.
    pub environment: Option<String>,
    /// The numbers that are in the subjects of newer repositories; without them the subject has names alone.
    pub numbers: Option<Numbers>,
    /// What `ACTIONS_ID_TOKEN_REQUEST_TOKEN` must be; anything but nothing when absent.
    pub request_token: Option<String>,
}

/// The numbers of a repository that was made, renamed or transferred after 15 July 2026.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Numbers {
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

/// Answers a call to the token endpoint at `now`, epoch seconds.
pub fn answer(world: &World, call: &Call, now: f64) -> Answer {
    if call.operation != "GetIdToken" {
        return Err(not_modelled(call));
    }
    let (bearer, audience) = (text(&call.input, "bearer"), text(&call.input, "audience"));
    if bearer.is_empty() || world.workflow.request_token.as_deref().is_some_and(|token| token != bearer) {
        let message = "The request token is missing or wrong";
        return Err(Refusal::of(401, "Unauthorized", message));
    }
    Ok(json!({ "value": token(&world.workflow, audience, now) }))
}

/// A token for the run. Without an audience it is for the repository's owner, as GitHub has it.
pub fn token(workflow: &Workflow, audience: &str, now: f64) -> String {
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
        "nbf": (issued - SLACK) as i64,
        "exp": (issued + LIFE) as i64,
        "iat": issued as i64,
    });
    if let Some(environment) = &workflow.environment {
        claims["environment"] = json!(environment);
    }
    signed(&claims)
}

/// A JSON Web Token over `claims`. The key is public on purpose: nothing trusts these tokens but the embedded cloud.
fn signed(claims: &Value) -> String {
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
        workflow.numbers = Some(Numbers { owner: 71, repository: 9 });
        assert_eq!(workflow.subject(), "repo:acme@71/shop@9:environment:prod%3Aeu");
    }

    #[test]
    fn a_token_has_three_parts_and_the_claims() {
        let token = token(&Workflow::default(), "sts.amazonaws.com", 1000.5);
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
            answer(&world, &Call { service, operation, input, region: String::new(), access_key: None }, 0.0)
        };
        assert!(ask("right").is_ok());
        assert_eq!(ask("wrong").unwrap_err().status, 401);
        assert_eq!(ask("").unwrap_err().status, 401);
    }
}
