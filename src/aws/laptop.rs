//! A role where there is no OIDC token: it is assumed with the credentials that are there.

use std::error::Error as _;

use aws_config::SdkConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_credential_types::provider::error::CredentialsError;

use super::role::{RoleProvider, RoleSource};
use super::session::{Io, SessionRequest, in_runner};
use crate::problem::{Code, Problem};
use crate::sys::network;
use crate::sys::sdk_error::sdk_error_text;

/// Assumes `role` with the credentials `own`. Those of the role itself are used as they are. On a laptop, so are those of
/// somebody in the account of the role who may not assume it: that person may do more or less than the role, which a
/// warning says.
pub(super) async fn assume_role(
    io: &Io,
    wanted: &SessionRequest,
    bare: &SdkConfig,
    role: &str,
    own: SharedCredentialsProvider,
) -> Result<(SharedCredentialsProvider, Option<Problem>), Problem> {
    let session = bare.to_builder().credentials_provider(own.clone()).build();
    let caller = caller_arn(&session).await?;
    if is_session_of(&caller, role) {
        return Ok((own, None));
    }
    let source = RoleSource::Caller(caller.clone());
    let provider = RoleProvider::new(&session, io, source, role, &wanted.session_name);
    match provider.assume_now().await {
        Ok(()) => Ok((SharedCredentialsProvider::new(provider), None)),
        Err(problem)
            if problem.code == Code::RoleRefused && !in_runner(io) && account(&caller) == account(role) =>
        {
            Ok((own, Some(own_used_warning(problem))))
        }
        Err(problem) => Err(problem),
    }
}

async fn caller_arn(session: &SdkConfig) -> Result<String, Problem> {
    let answer = aws_sdk_sts::Client::new(session).get_caller_identity().send().await;
    let answer = answer.map_err(|error| {
        let sentence = "AWS does not accept the credentials that are there.";
        let problem = Problem::error(Code::CredentialsMissing, sentence)
            .cause(sdk_error_text("sts:GetCallerIdentity", &error));
        network::explain(&error, problem.help(SIGN_IN_HELP))
    })?;
    Ok(answer.arn().unwrap_or_default().to_owned())
}

/// Whether `caller` is a session of `role`. The ARN of a session has no path of its role.
fn is_session_of(caller: &str, role: &str) -> bool {
    let name = role.rsplit('/').next().unwrap_or_default();
    let session =
        caller.split_once(":assumed-role/").map(|(_, rest)| rest.split('/').next().unwrap_or_default());
    account(caller) == account(role) && session.is_some_and(|session| session == name)
}

fn account(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}

fn own_used_warning(refusal: Problem) -> Problem {
    let sentence = format!("{} The credentials that are there are used instead.", refusal.sentence);
    let warning = Problem::warning(Code::RoleRefused, sentence);
    Problem { cause: refusal.cause, help: refusal.help, ..warning }
}

const SIGN_IN_HELP: &str = "Sign in first: `aws sso login --profile NAME`, then `export AWS_PROFILE=NAME`. Or set \
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.";

/// A laptop without credentials that can be used.
pub(super) fn no_credentials(error: &CredentialsError) -> Problem {
    let mut words = vec![error.to_string()];
    let mut source = error.source();
    while let Some(inner) = source.filter(|_| words.len() < 5) {
        words.push(inner.to_string());
        source = inner.source();
    }
    Problem::error(Code::CredentialsMissing, "There are no AWS credentials that can be used on this machine.")
        .cause(words.join(": "))
        .help(SIGN_IN_HELP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_of_the_role_is_recognized() {
        let role = "arn:aws:iam::111111111111:role/ci/deploy";
        for (caller, expected) in [
            ("arn:aws:sts::111111111111:assumed-role/deploy/ann", true),
            ("arn:aws:sts::222222222222:assumed-role/deploy/ann", false),
            ("arn:aws:sts::111111111111:assumed-role/deploy2/ann", false),
            ("arn:aws:iam::111111111111:user/deploy", false),
            ("", false),
        ] {
            assert_eq!(is_session_of(caller, role), expected, "{caller}");
        }
    }
}
