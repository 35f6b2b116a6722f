//! What the codes of ECS, and of the services around it, mean.

use std::error::Error;

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::problem::Code;
use crate::targets::refusal::Meaning;

pub use crate::targets::refusal::Refusal;

/// Reads an SDK error of the call `operation`, such as `ecs:UpdateService`.
pub fn refusal<E, R>(operation: &str, error: &SdkError<E, R>) -> Refusal
where
    E: Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug,
{
    Refusal::read(operation, error, own)
}

fn own(operation: &str, aws: &str, message: &str) -> Option<Meaning> {
    let meaning: Meaning = match aws {
        "ClusterNotFoundException" => (
            Code::ClusterMissing,
            "The ECS cluster does not exist in this account and region.".into(),
            "Check `ecs.cluster`, `aws.region` and the role.",
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
        format!("The role may not pass the roles of the task definition (iam:PassRole) at {operation}.")
    } else {
        format!("The permission {operation} is missing.")
    }
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
            ("ClusterNotFoundException", "Cluster not found.", Code::ClusterMissing),
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
            let refusal = of("ecs:UpdateService", aws, message);
            assert_eq!(refusal.problem.code, code, "{aws}");
            assert_eq!(refusal.problem.cause.as_deref(), Some(format!("{aws}: {message}").as_str()));
            assert!(!refusal.unsure, "{aws}");
        }
    }

    #[test]
    fn only_a_server_error_leaves_a_change_in_doubt() {
        assert!(of("ecs:UpdateService", "ServerException", "").unsure);
        assert!(of("ecs:UpdateService", "", "").unsure);
        let throttled = of("ecs:UpdateService", "ThrottlingException", "Rate exceeded");
        assert!(throttled.throttled() && !throttled.unsure);
    }

    #[test]
    fn a_missing_pass_role_is_named() {
        let text = "User is not authorized to perform: iam:PassRole on resource: arn:aws:iam::1:role/x";
        let refusal = of("ecs:UpdateService", "AccessDeniedException", text);
        assert!(refusal.problem.sentence.contains("iam:PassRole"));
    }
}
