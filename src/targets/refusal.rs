//! What an SDK call that failed means, whichever service of AWS it was for: AWS's code, whether a change may have been made,
//! and the problem to show. What a service's own codes mean is said by the target that calls it.

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

/// Code, sentence and help.
pub type Meaning = (Code, String, &'static str);

/// What a target knows of the codes of its service, for the operation, AWS's code and AWS's message; `None` for what every
/// service has.
pub type Own = fn(&str, &str, &str) -> Option<Meaning>;

impl Refusal {
    /// Reads an SDK error of the call `operation`, such as `ecs:UpdateService`.
    pub fn read<E, R>(operation: &str, error: &SdkError<E, R>, own: Own) -> Self
    where
        E: Error + ProvideErrorMetadata + 'static,
        R: std::fmt::Debug,
    {
        match error {
            SdkError::ServiceError(answer) => {
                let meta = answer.err().meta();
                let aws = meta.code().unwrap_or_default();
                let message = meta.message().unwrap_or_default();
                Self::of(operation, aws.rsplit('#').next().unwrap_or(aws), message, own)
            }
            other => from_transport(operation, other),
        }
    }

    /// What a code and a message of AWS mean.
    pub fn of(operation: &str, aws: &str, message: &str, own: Own) -> Self {
        let meaning = own(operation, aws, message);
        let (code, sentence, help) = meaning.unwrap_or_else(|| common(operation, aws));
        let cause = if message.is_empty() { aws.to_owned() } else { format!("{aws}: {message}") };
        let server_side = matches!(aws, "" | "ServerException")
            || aws.starts_with("ServiceUnavailable")
            || aws.starts_with("Internal");
        let problem = Problem::error(code, sentence).cause(cause).help(help);
        Self { aws: aws.to_owned(), unsure: server_side, problem }
    }

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
    aws.contains("Throttl") || matches!(aws, "RequestLimitExceeded" | "TooManyRequestsException")
}

/// Beginnings of the codes by which AWS refuses credentials.
const CREDENTIALS: [&str; 8] = [
    "ExpiredToken",
    "RequestExpired",
    "UnrecognizedClient",
    "InvalidClientToken",
    "InvalidSignature",
    "SignatureDoesNotMatch",
    "IncompleteSignature",
    "MissingAuthenticationToken",
];

/// What every service may answer.
fn common(operation: &str, aws: &str) -> Meaning {
    if CREDENTIALS.iter().any(|start| aws.starts_with(start)) {
        let help = "Get fresh credentials; with `role-to-assume` they are refreshed during the run.";
        return (Code::CredentialsMissing, format!("AWS refused the credentials at {operation}."), help);
    }
    if is_throttling(aws) {
        return (Code::ProviderError, format!("AWS throttles {operation}."), "Try again in a minute.");
    }
    (Code::ProviderError, format!("AWS refused {operation}."), "")
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
