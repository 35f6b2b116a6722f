//! Credentials of a role, assumed with the job's OIDC token and renewed for as long as the run waits.

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use aws_smithy_types::error::display::DisplayErrorContext;
use base64::Engine as _;
use serde_json::Value;

use super::oidc::TokenEndpoint;
use super::session::Doors;

/// Assumes one role again and again.
#[derive(Debug)]
pub(super) struct RoleProvider {
    client: aws_sdk_sts::Client,
    doors: Doors,
    endpoint: TokenEndpoint,
    role: String,
    session_name: String,
}

impl RoleProvider {
    /// `bare` is the session without credentials: this call is not signed.
    pub(super) fn new(
        bare: &SdkConfig,
        doors: &Doors,
        endpoint: TokenEndpoint,
        role: &str,
        session_name: &str,
    ) -> Self {
        Self {
            client: aws_sdk_sts::Client::new(bare),
            doors: doors.clone(),
            endpoint,
            role: role.to_owned(),
            session_name: session_name_of(session_name),
        }
    }

    async fn assume(&self) -> provider::Result {
        let token = self
            .endpoint
            .token(&self.doors, "sts.amazonaws.com")
            .await
            .map_err(CredentialsError::provider_error)?;
        let answer = self
            .client
            .assume_role_with_web_identity()
            .role_arn(&self.role)
            .role_session_name(&self.session_name)
            .web_identity_token(&token)
            .send()
            .await
            .map_err(|error| refused(&self.role, &token, &DisplayErrorContext(&error).to_string()))?;
        let given = answer
            .credentials()
            .ok_or_else(|| CredentialsError::provider_error("STS answered without credentials"))?;
        let expires = std::time::SystemTime::try_from(*given.expiration()).ok();
        Ok(Credentials::new(
            given.access_key_id(),
            given.secret_access_key(),
            Some(given.session_token().to_owned()),
            expires,
            "oidc",
        ))
    }
}

impl ProvideCredentials for RoleProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.assume())
    }
}

/// Says which claims the role's trust policy was held against; the token itself is never shown.
fn refused(role: &str, token: &str, why: &str) -> CredentialsError {
    let claims = claims(token);
    let claim = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
    CredentialsError::provider_error(format!(
        "the role {role} refused this job's token (sub `{}`, aud `{}`, environment `{}`): {why}",
        claim("sub"),
        claim("aud"),
        claim("environment"),
    ))
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap_or_default();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// STS takes 2 to 64 characters of `[\w+=,.@-]`.
fn session_name_of(text: &str) -> String {
    let good: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "_+=,.@-".contains(c) { c } else { '-' })
        .take(64)
        .collect();
    if good.len() < 2 { "roadstead".into() } else { good }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_names_fit_what_sts_takes() {
        assert_eq!(session_name_of("acme/app run 7"), "acme-app-run-7");
        assert_eq!(session_name_of(""), "roadstead");
        assert_eq!(session_name_of(&"x".repeat(100)).len(), 64);
    }

    #[test]
    fn a_refusal_names_the_claims_and_not_the_token() {
        let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .encode(r#"{"sub":"repo:a/b:ref:x","aud":"sts.amazonaws.com"}"#);
        let token = format!("h.{payload}.signature");
        let text = DisplayErrorContext(&refused("arn:role", &token, "AccessDenied")).to_string();
        assert!(text.contains("repo:a/b:ref:x") && !text.contains("signature"), "{text}");
    }
}
