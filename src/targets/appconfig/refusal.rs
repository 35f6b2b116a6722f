//! What a call to AppConfig that failed means: whether asking again makes sense, and the problem to show.

use std::error::Error;

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::problem::{Code, Problem};

/// A call that failed.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// AWS's error code; empty when no answer could be read.
    pub aws: String,
    /// Whether a change that was asked for may have been made although the call failed.
    pub unsure: bool,
    /// The same for people.
    pub problem: Problem,
}

impl Refusal {
    /// Whether AWS's code is this one.
    pub fn is(&self, code: &str) -> bool {
        self.aws == code
    }

    /// Whether waiting and asking again makes sense.
    pub fn passes(&self) -> bool {
        self.unsure || self.aws.contains("Throttl") || self.aws == "TooManyRequestsException"
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        refusal.problem
    }
}

/// Reads an SDK error of the call `operation`, such as `appconfig:StartDeployment`.
pub fn refusal<E, R>(operation: &str, error: &SdkError<E, R>) -> Refusal
where
    E: Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug,
{
    match error {
        SdkError::ServiceError(answer) => {
            let meta = answer.err().meta();
            from_service(operation, meta.code().unwrap_or_default(), meta.message().unwrap_or_default())
        }
        other => from_transport(operation, other),
    }
}

fn from_service(operation: &str, aws: &str, message: &str) -> Refusal {
    let (code, sentence, help) = meaning(operation, aws);
    let cause = if message.is_empty() { aws.to_owned() } else { format!("{aws}: {message}") };
    let unsure = aws.is_empty() || aws.starts_with("Internal") || aws.starts_with("ServiceUnavailable");
    let problem = Problem::error(code, sentence).cause(cause).help(help);
    Refusal { aws: aws.to_owned(), unsure, problem }
}

fn meaning(operation: &str, aws: &str) -> (Code, String, &'static str) {
    let credentials = ["ExpiredToken", "UnrecognizedClient", "InvalidClientToken", "InvalidSignature"];
    let more =
        ["SignatureDoesNotMatch", "IncompleteSignature", "MissingAuthenticationToken", "RequestExpired"];
    if credentials.iter().chain(&more).any(|start| aws.starts_with(start)) {
        let help = "Get fresh credentials; with `role-to-assume` they are refreshed during the run.";
        return (Code::CredentialsMissing, format!("AWS refused the credentials at {operation}."), help);
    }
    match aws {
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
        _ if aws.contains("Throttl") => {
            (Code::ProviderError, format!("AWS throttles {operation}."), "Try again in a minute.")
        }
        _ => (Code::ProviderError, format!("AWS refused {operation}."), ""),
    }
}

fn from_transport<E: Error + 'static, R: std::fmt::Debug>(
    operation: &str,
    error: &SdkError<E, R>,
) -> Refusal {
    let text = DisplayErrorContext(error).to_string();
    let lower = text.to_lowercase();
    let cause = text.split(" (DispatchFailure").next().unwrap_or(&text).to_owned();
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
            ("AccessDeniedException", Code::PermissionMissing, false),
            ("ResourceNotFoundException", Code::ServiceMissing, false),
            ("ExpiredTokenException", Code::CredentialsMissing, false),
            ("ThrottlingException", Code::ProviderError, true),
            ("InternalServerException", Code::ProviderError, true),
            ("ConflictException", Code::ProviderError, false),
        ];
        for (aws, code, passes) in table {
            let refusal = from_service("appconfig:StartDeployment", aws, "words");
            assert_eq!((refusal.problem.code, refusal.passes()), (code, passes), "{aws}");
        }
        let throttled = from_service("appconfig:StartDeployment", "ThrottlingException", "");
        assert!(!throttled.unsure, "a call that was throttled has changed nothing");
    }
}
