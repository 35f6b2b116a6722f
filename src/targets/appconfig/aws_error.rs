//! The meaning of AppConfig's error codes.

use std::error::Error;

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::problem::Code;
use crate::targets::aws_error::Classification;

pub use crate::targets::aws_error::AwsError;

/// Classifies an SDK error of the call `operation`, such as `appconfig:StartDeployment`.
pub fn from_sdk_error<E, R>(operation: &str, error: &SdkError<E, R>) -> AwsError
where
    E: Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug + 'static,
{
    AwsError::from_sdk(operation, error, classify)
}

fn classify(operation: &str, aws: &str, _message: &str) -> Option<Classification> {
    let meaning: Classification = match aws {
        _ if aws.starts_with("AccessDenied") => (
            Code::PermissionMissing,
            format!("The permission {operation} is missing."),
            "Add it to the policy of the role; `roadstead policy` prints what is needed.",
        ),
        "ResourceNotFoundException" => (
            Code::ServiceMissing,
            format!("AppConfig did not find the resource of {operation}."),
            "Check the settings `appconfig`, `aws.region` and the role; the resource may have been deleted.",
        ),
        _ => return None,
    };
    Some(meaning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retry::SendFailure;

    fn aws_error(operation: &str, aws: &str, message: &str) -> AwsError {
        AwsError::from_code(operation, aws, message, classify)
    }

    #[test]
    fn aws_errors_are_classified() {
        let table = [
            ("AccessDeniedException", Code::PermissionMissing, SendFailure::Rejected),
            ("ResourceNotFoundException", Code::ServiceMissing, SendFailure::Rejected),
            ("ExpiredTokenException", Code::CredentialsMissing, SendFailure::Rejected),
            ("ThrottlingException", Code::ProviderError, SendFailure::RateLimited),
            ("InternalServerException", Code::ProviderError, SendFailure::Ambiguous),
            ("ConflictException", Code::ProviderError, SendFailure::Rejected),
        ];
        for (aws, code, failure) in table {
            let error = aws_error("appconfig:StartDeployment", aws, "words");
            assert_eq!((error.problem.code, error.send_failure()), (code, failure), "{aws}");
        }
        let throttled = aws_error("appconfig:StartDeployment", "ThrottlingException", "");
        assert!(!throttled.ambiguous, "a throttled call has changed nothing");
    }
}
