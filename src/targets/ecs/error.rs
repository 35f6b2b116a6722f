//! The meaning of the error codes of ECS and of the APIs around it.

use std::error::Error;

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::problem::Code;
use crate::targets::aws_error::Classification;

pub use crate::targets::aws_error::AwsError;

/// Classifies an SDK error of the call `operation`, such as `ecs:UpdateService`.
pub fn aws_error<E, R>(operation: &str, error: &SdkError<E, R>) -> AwsError
where
    E: Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug + 'static,
{
    AwsError::from_sdk(operation, error, classify)
}

fn classify(operation: &str, aws: &str, message: &str) -> Option<Classification> {
    let meaning: Classification = match aws {
        "ClusterNotFoundException" => (
            Code::ClusterMissing,
            "The ECS cluster does not exist in this account and region.".into(),
            "Check `ecs.cluster`, `aws.region` and the role.",
        ),
        "InvalidParameterException" if message.contains("Identifier is for") => (
            Code::ClusterMissing,
            "The ARN of the ECS cluster or service is of another account or region than the role.".into(),
            "Check `ecs.cluster`, `ecs.service`, `aws.region` and the role.",
        ),
        "ServiceNotFoundException" | "ServiceNotActiveException" => (
            Code::ServiceMissing,
            "The ECS service does not exist or is not active.".into(),
            "Check `ecs.service` and `ecs.cluster`; create the service before the first deployment.",
        ),
        _ if aws.starts_with("AccessDenied") || aws.starts_with("UnauthorizedOperation") => (
            Code::PermissionMissing,
            denied_sentence(operation, message),
            "Add it to the policy of the role.",
        ),
        _ => return None,
    };
    Some(meaning)
}

fn denied_sentence(operation: &str, message: &str) -> String {
    if message.contains("iam:PassRole") {
        format!(
            "The role is not allowed to pass the roles of the task definition (iam:PassRole) at {operation}."
        )
    } else {
        format!("The permission {operation} is missing.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_from_code(operation: &str, aws: &str, message: &str) -> AwsError {
        AwsError::from_code(operation, aws, message, classify)
    }

    #[test]
    fn aws_codes_map_to_problem_codes() {
        let table = [
            ("ClusterNotFoundException", "Cluster not found.", Code::ClusterMissing),
            (
                "InvalidParameterException",
                "Identifier is for 111111111111. Your accountId is 222222222222",
                Code::ClusterMissing,
            ),
            ("InvalidParameterException", "Invalid identifier: nothing", Code::ProviderError),
            ("ServiceNotFoundException", "Service not found.", Code::ServiceMissing),
            ("ServiceNotActiveException", "Service was not ACTIVE.", Code::ServiceMissing),
            ("AccessDeniedException", "User: … is not authorized to perform", Code::PermissionMissing),
            (
                "ExpiredTokenException",
                "The security token included in the request is expired",
                Code::CredentialsMissing,
            ),
            ("InvalidClientTokenId", "The security token is invalid", Code::CredentialsMissing),
            ("ClientException", "Too many concurrent attempts", Code::ProviderError),
        ];
        for (aws, message, code) in table {
            let refusal = error_from_code("ecs:UpdateService", aws, message);
            assert_eq!(refusal.problem.code, code, "{aws}");
            assert_eq!(refusal.problem.cause.as_deref(), Some(format!("{aws}: {message}").as_str()));
            assert!(!refusal.ambiguous, "{aws}");
        }
    }

    #[test]
    fn only_server_error_is_ambiguous() {
        assert!(error_from_code("ecs:UpdateService", "ServerException", "").ambiguous);
        assert!(error_from_code("ecs:UpdateService", "", "").ambiguous);
        let throttled = error_from_code("ecs:UpdateService", "ThrottlingException", "Rate exceeded");
        assert!(throttled.is_throttled() && !throttled.ambiguous);
    }

    #[test]
    fn missing_pass_role_is_named() {
        let text = "User is not authorized to perform: iam:PassRole on resource: arn:aws:iam::1:role/x";
        let refusal = error_from_code("ecs:UpdateService", "AccessDeniedException", text);
        assert!(refusal.problem.sentence.contains("iam:PassRole"));
    }
}
