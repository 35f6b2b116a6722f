//! What an SDK call that failed means: AWS's code, whether a change may have been made, and the problem to show.

use std::error::Error;

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::problem::{Code, Problem};

/// A call that failed.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// AWS's error code, such as `ClusterNotFoundException`; empty when no answer could be read.
    pub aws: String,
    /// Whether a change that was asked for may have been made although the call failed.
    pub unsure: bool,
    /// The same for people.
    pub problem: Problem,
}

impl Refusal {
    /// Whether AWS asked for patience.
    pub fn throttled(&self) -> bool {
        is_throttling(&self.aws)
    }

    /// Whether AWS's code is one of `codes`.
    pub fn is(&self, codes: &[&str]) -> bool {
        codes.contains(&self.aws.as_str())
    }

    /// Whether the caller may not do this.
    pub fn denied(&self) -> bool {
        self.problem.code == Code::PermissionMissing
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        refusal.problem
    }
}

fn is_throttling(aws: &str) -> bool {
    let known = ["Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded"];
    known.contains(&aws) || aws == "TooManyRequestsException" || aws == "RequestThrottled"
}

/// Reads an SDK error of the call `operation`, such as `ecs:UpdateService`.
pub fn refusal<E, R>(operation: &str, error: &SdkError<E, R>) -> Refusal
where
    E: Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug,
{
    match error {
        SdkError::ServiceError(answer) => {
            let meta = answer.err().meta();
            let aws = meta.code().unwrap_or_default();
            let message = meta.message().unwrap_or_default();
            from_service(operation, aws.rsplit('#').next().unwrap_or(aws), message)
        }
        other => from_transport(operation, other),
    }
}

fn from_service(operation: &str, aws: &str, message: &str) -> Refusal {
    let (code, sentence, help) = meaning(operation, aws, message);
    let cause = if message.is_empty() { aws.to_owned() } else { format!("{aws}: {message}") };
    let server_side = matches!(aws, "" | "ServerException" | "InternalFailure" | "InternalServerError")
        || aws.starts_with("ServiceUnavailable")
        || aws.starts_with("Internal");
    Refusal {
        aws: aws.to_owned(),
        unsure: server_side,
        problem: Problem::error(code, sentence).cause(cause).help(help),
    }
}

fn meaning(operation: &str, aws: &str, message: &str) -> (Code, String, &'static str) {
    match aws {
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
        "ExpiredTokenException"
        | "ExpiredToken"
        | "RequestExpired"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationToken" => (
            Code::CredentialsMissing,
            format!("AWS refused the credentials at {operation}."),
            "Get fresh credentials; with `role-to-assume` they are refreshed during the run.",
        ),
        _ if aws.starts_with("AccessDenied") || aws.starts_with("UnauthorizedOperation") => (
            Code::PermissionMissing,
            denied_sentence(operation, message),
            "Add it to the policy of the role.",
        ),
        _ if is_throttling(aws) => {
            (Code::ProviderError, format!("AWS throttles {operation}."), "Try again in a minute.")
        }
        _ => (Code::ProviderError, format!("AWS refused {operation}."), ""),
    }
}

fn denied_sentence(operation: &str, message: &str) -> String {
    if message.contains("iam:PassRole") {
        format!("The role may not pass the roles of the task definition (iam:PassRole) at {operation}.")
    } else {
        format!("The permission {operation} is missing.")
    }
}

fn from_transport<E: Error + 'static, R: std::fmt::Debug>(
    operation: &str,
    error: &SdkError<E, R>,
) -> Refusal {
    let text = DisplayErrorContext(error).to_string();
    let without_debug = text.split(" (DispatchFailure").next().unwrap_or(&text);
    let cause = without_debug.split(" (ConstructionFailure").next().unwrap_or(without_debug).to_owned();
    let lower = text.to_lowercase();
    let problem = if lower.contains("credential") || lower.contains("identity") {
        Problem::error(Code::CredentialsMissing, "There are no usable AWS credentials.")
            .help("Set `role-to-assume` (with `permissions: id-token: write`) or give AWS_ACCESS_KEY_ID.")
    } else {
        Problem::error(Code::ProviderError, format!("No usable answer came back from {operation}."))
    };
    let unsure = !matches!(error, SdkError::ConstructionFailure(_)) && problem.code == Code::ProviderError;
    Refusal { aws: String::new(), unsure, problem: problem.cause(cause) }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let refusal = from_service("ecs:UpdateService", aws, message);
            assert_eq!(refusal.problem.code, code, "{aws}");
            assert_eq!(refusal.problem.cause.as_deref(), Some(format!("{aws}: {message}").as_str()));
            assert!(!refusal.unsure, "{aws}");
        }
    }

    #[test]
    fn only_a_server_error_leaves_a_change_in_doubt() {
        assert!(from_service("ecs:UpdateService", "ServerException", "").unsure);
        assert!(from_service("ecs:UpdateService", "", "").unsure);
        let throttled = from_service("ecs:UpdateService", "ThrottlingException", "Rate exceeded");
        assert!(throttled.throttled() && !throttled.unsure);
    }

    #[test]
    fn a_missing_pass_role_is_named() {
        let text = "User is not authorized to perform: iam:PassRole on resource: arn:aws:iam::1:role/x";
        let refusal = from_service("ecs:UpdateService", "AccessDeniedException", text);
        assert!(refusal.problem.sentence.contains("iam:PassRole"));
    }
}
