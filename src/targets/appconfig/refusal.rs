//! What the codes of AppConfig mean.

use std::error::Error;

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::problem::Code;
use crate::targets::refusal::Meaning;

pub use crate::targets::refusal::Refusal;

/// Reads an SDK error of the call `operation`, such as `appconfig:StartDeployment`.
pub fn refusal<E, R>(operation: &str, error: &SdkError<E, R>) -> Refusal
where
    E: Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug,
{
    Refusal::read(operation, error, own)
}

/// Whether waiting and asking again makes sense.
pub fn passes(refusal: &Refusal) -> bool {
    refusal.unsure || refusal.throttled()
}

fn own(operation: &str, aws: &str, _message: &str) -> Option<Meaning> {
    let meaning: Meaning = match aws {
        _ if aws.starts_with("AccessDenied") => (
            Code::PermissionMissing,
            format!("The permission {operation} is missing."),
            "Add it to the policy of the role; `roadstead policy` prints what is needed.",
        ),
        "ResourceNotFoundException" => (
            Code::ServiceMissing,
            format!("AppConfig does not know what {operation} was asked about."),
            "Check the block `appconfig`, `aws.region` and the role; somebody may have deleted it meanwhile.",
        ),
        _ => return None,
    };
    Some(meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(operation: &str, aws: &str, message: &str) -> Refusal {
        Refusal::of(operation, aws, message, own)
    }

    #[test]
    fn aws_codes_become_ours() {
        let table = [
            ("AccessDeniedException", Code::PermissionMissing, false),
            ("ResourceNotFoundException", Code::ServiceMissing, false),
            ("ExpiredTokenException", Code::CredentialsMissing, false),
            ("ThrottlingException", Code::ProviderError, true),
            ("InternalServerException", Code::ProviderError, true),
            ("ConflictException", Code::ProviderError, false),
        ];
        for (aws, code, again) in table {
            let refusal = of("appconfig:StartDeployment", aws, "words");
            assert_eq!((refusal.problem.code, passes(&refusal)), (code, again), "{aws}");
        }
        let throttled = of("appconfig:StartDeployment", "ThrottlingException", "");
        assert!(!throttled.unsure, "a call that was throttled has changed nothing");
    }
}
