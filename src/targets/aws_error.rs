//! The meaning of a failed SDK call, for every AWS service: AWS's code, whether a change may have been made, and the
//! problem to show. Codes of a single service are classified by the target that calls it.

use std::error::Error;
use std::time::Duration;

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::problem::{Code, Problem};
use crate::retry::{Jitter, RetryPolicy, SendError, SendFailure};
use crate::sys::network::connection_failure;
use crate::sys::sdk_error::{request_id_suffix, sdk_error_text};

/// Retries of a change: after 1, 2, 4, 8, 8 and 8 seconds, each shortened at random by up to half.
pub const WRITE_RETRY: RetryPolicy = RetryPolicy::with_backoff(
    &[
        Duration::from_secs(1),
        Duration::from_secs(2),
        Duration::from_secs(4),
        Duration::from_secs(8),
        Duration::from_secs(8),
        Duration::from_secs(8),
    ],
    Jitter::Shorter,
);
/// A failed call.
#[derive(Debug, Clone, PartialEq)]
pub struct AwsError {
    /// AWS's error code, such as `ClusterNotFoundException`; empty if the response could not be read.
    pub code: String,
    /// Whether the requested change may have been made although the call failed.
    pub ambiguous: bool,
    /// The same as a problem.
    pub problem: Problem,
}

/// Code, sentence and help.
pub type Classification = (Code, String, &'static str);

/// Classifies the codes of a service by operation, AWS's code and AWS's message; `None` for codes that every service
/// has.
pub type Classify = fn(&str, &str, &str) -> Option<Classification>;

impl AwsError {
    /// Classifies an SDK error of the call `operation`, such as `ecs:UpdateService`.
    pub fn from_sdk<E, R>(operation: &str, error: &SdkError<E, R>, own: Classify) -> Self
    where
        E: Error + ProvideErrorMetadata + 'static,
        R: std::fmt::Debug + 'static,
    {
        match error {
            SdkError::ServiceError(answer) => {
                let meta = answer.err().meta();
                let aws = meta.code().unwrap_or_default();
                let message = meta.message().unwrap_or_default();
                let read = Self::from_code(operation, aws.rsplit('#').next().unwrap_or(aws), message, own);
                read.with_request_id(&request_id_suffix(meta))
            }
            other => from_transport(operation, other),
        }
    }

    /// Classifies a code and a message of AWS.
    pub fn from_code(operation: &str, aws: &str, message: &str, own: Classify) -> Self {
        let meaning = own(operation, aws, message);
        let (code, sentence, help) = meaning.unwrap_or_else(|| classify_common(operation, aws));
        let cause = if message.is_empty() { aws.to_owned() } else { format!("{aws}: {message}") };
        let server_side = matches!(aws, "" | "ServerException")
            || aws.starts_with("ServiceUnavailable")
            || aws.starts_with("Internal");
        let problem = Problem::error(code, sentence).cause(cause).help(help);
        Self { code: aws.to_owned(), ambiguous: server_side, problem }
    }

    /// The id of the request, where only AWS can say more.
    fn with_request_id(mut self, suffix: &str) -> Self {
        if self.problem.code == Code::ProviderError
            && let Some(cause) = &mut self.problem.cause
        {
            cause.push_str(suffix);
        }
        self
    }

    /// Whether AWS throttled the call.
    pub fn is_throttled(&self) -> bool {
        is_throttling(&self.code)
    }

    /// Whether AWS's code is one of `codes`.
    pub fn has_code(&self, codes: &[&str]) -> bool {
        codes.contains(&self.code.as_str())
    }

    /// Whether the requested change was made, as far as the error tells.
    pub fn send_failure(&self) -> SendFailure {
        match (self.ambiguous, self.is_throttled()) {
            (true, _) => SendFailure::Ambiguous,
            (false, true) => SendFailure::RateLimited,
            (false, false) => SendFailure::Rejected,
        }
    }

    /// Whether the caller lacks the permission.
    pub fn is_denied(&self) -> bool {
        self.problem.code == Code::PermissionMissing
    }
}

impl From<AwsError> for SendError<Problem> {
    fn from(error: AwsError) -> Self {
        Self::new(error.send_failure(), error.problem)
    }
}

impl From<AwsError> for Problem {
    fn from(error: AwsError) -> Self {
        error.problem
    }
}

fn is_throttling(aws: &str) -> bool {
    aws.contains("Throttl") || matches!(aws, "RequestLimitExceeded" | "TooManyRequestsException")
}

/// Prefixes of the codes by which AWS rejects credentials.
const CREDENTIAL_ERRORS: [&str; 8] = [
    "ExpiredToken",
    "RequestExpired",
    "UnrecognizedClient",
    "InvalidClientToken",
    "InvalidSignature",
    "SignatureDoesNotMatch",
    "IncompleteSignature",
    "MissingAuthenticationToken",
];

/// Errors that every service may return.
fn classify_common(operation: &str, aws: &str) -> Classification {
    if CREDENTIAL_ERRORS.iter().any(|start| aws.starts_with(start)) {
        let help = "Get fresh credentials; with `role-to-assume` they are refreshed during the run.";
        return (Code::CredentialsMissing, format!("AWS rejected the credentials at {operation}."), help);
    }
    if is_throttling(aws) {
        return (Code::ProviderError, format!("AWS throttled {operation}."), "Try again in a minute.");
    }
    (Code::ProviderError, format!("AWS rejected {operation}."), "")
}

fn from_transport<E: Error + ProvideErrorMetadata + 'static, R: std::fmt::Debug + 'static>(
    operation: &str,
    error: &SdkError<E, R>,
) -> AwsError {
    if let Some(failure) = connection_failure(error) {
        let problem =
            Problem::error(Code::ConnectionFailed, format!("No connection could be made for {operation}."));
        // An earlier attempt of the same call may have arrived.
        return AwsError { code: String::new(), ambiguous: true, problem: failure.explain(problem) };
    }
    let cause = sdk_error_text(operation, error);
    let lower = cause.to_lowercase();
    // What a response contains is not about our credentials, whatever words a page in between has.
    let unsent = matches!(error, SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_));
    let problem = if unsent && (lower.contains("credential") || lower.contains("identity")) {
        Problem::error(Code::CredentialsMissing, "No usable AWS credentials were found.")
            .help("Set `role-to-assume` (with `permissions: id-token: write`), or set AWS_ACCESS_KEY_ID.")
    } else {
        Problem::error(Code::ProviderError, format!("{operation} returned no usable response."))
    };
    let unsure = !matches!(error, SdkError::ConstructionFailure(_)) && problem.code == Code::ProviderError;
    AwsError { code: String::new(), ambiguous: unsure, problem: problem.cause(cause) }
}
