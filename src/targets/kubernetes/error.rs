//! Errors of an API server: what kind they are, and the problem to show. Pure.

use std::fmt;

use serde_json::Value;

use crate::problem::{Code, Problem};
use crate::retry::SendError;
use crate::sys::http::{RequestError, Response};

/// How the API server words a JSON Patch that cannot be applied, a failed `test` among them.
const FAILED_TEST: &str = "the server rejected our request due to an error in our request";
/// Other authorities than the cluster's own do not count for it.
const AUTHORITY_HELP: &str = "Give the certificate of the cluster's authority: `ca` beside `server`, or \
`certificate-authority-data` of the kubeconfig.";

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// It did not leave.
    NotSent,
    /// There is no answer: it may have been carried out.
    NoAnswer,
    /// The token is refused.
    Unauthorized,
    /// A right is missing.
    Forbidden,
    /// There is no such object.
    NotFound,
    /// Another change came first, or the object exists already.
    Conflict,
    /// The object or the patch breaks a rule, a failed `test` among them.
    Invalid,
    /// There are too many requests.
    RateLimited,
    /// The server failed: the change may have been made.
    ServerError,
    /// Another refusal.
    Refused,
}

/// An error of an API server.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    /// What became of the request.
    pub kind: ErrorKind,
    /// The server's own words.
    pub message: String,
    /// The same as a problem.
    pub problem: Problem,
}

impl ApiError {
    /// The request was never made, for this reason.
    pub fn before_request(problem: Problem) -> Self {
        let message = problem.cause.clone().unwrap_or_default();
        Self { kind: ErrorKind::NotSent, message, problem }
    }

    /// There was no answer of a cluster.
    pub fn no_answer(cluster: &str, error: RequestError) -> Self {
        let kind = if error.is_final() { ErrorKind::NotSent } else { ErrorKind::NoAnswer };
        let message = error.to_string();
        let problem = Problem::error(Code::ProviderError, format!("There is no answer of {cluster}."));
        let is_untrusted = matches!(&error, RequestError::NotConnected(failure) if failure.is_untrusted());
        let help = "Check that the runner can reach the API server: a private endpoint answers only inside of its network.";
        let problem = error.explain(problem.help(help));
        Self { kind, message, problem: if is_untrusted { problem.help(AUTHORITY_HELP) } else { problem } }
    }

    /// Whether a `test` of a patch failed, or another change came first. A rule that is broken is 422, too: of the object's
    /// validation, of a ValidatingAdmissionPolicy, or of a webhook.
    pub fn is_raced(&self) -> bool {
        match self.kind {
            ErrorKind::Conflict => true,
            ErrorKind::Invalid => self.message.starts_with(FAILED_TEST),
            _ => false,
        }
    }

    /// The meaning of a response that is no success.
    pub fn from_response(cluster: &str, answer: &Response) -> Self {
        let kind = error_kind(answer.status);
        let message = status_message(answer);
        let (code, sentence, help) = match kind {
            ErrorKind::Unauthorized => (
                Code::CredentialsMissing,
                format!("The API server of {cluster} does not accept the token."),
                "Give a token that has not expired. For EKS, the role of the run needs an access entry of the cluster.",
            ),
            ErrorKind::Forbidden => (
                Code::PermissionMissing,
                format!("A right is missing in {cluster}."),
                "Bind the Role that `roadstead policy --rbac` prints to the user that the message names.",
            ),
            ErrorKind::NotFound => {
                (Code::ServiceMissing, format!("An object does not exist in {cluster}."), "Check its name.")
            }
            ErrorKind::Invalid | ErrorKind::Conflict | ErrorKind::Refused => (
                Code::UpdateRefused,
                format!("The API server of {cluster} refuses the request."),
                "The message says why.",
            ),
            ErrorKind::NotSent | ErrorKind::NoAnswer | ErrorKind::RateLimited | ErrorKind::ServerError => (
                Code::ProviderError,
                format!("The API server of {cluster} could not answer."),
                "Run the job again; if it lasts, look at the control plane of the cluster.",
            ),
        };
        let problem = Problem::error(code, sentence).cause(message.clone()).help(help);
        Self { kind, message, problem }
    }

    /// How a failed change is to be treated.
    pub fn into_write_error(self) -> SendError<Problem> {
        match self.kind {
            ErrorKind::NoAnswer | ErrorKind::ServerError => SendError::ambiguous(self.problem),
            ErrorKind::RateLimited => SendError::new(crate::retry::SendFailure::RateLimited, self.problem),
            ErrorKind::NotSent
            | ErrorKind::Unauthorized
            | ErrorKind::Forbidden
            | ErrorKind::NotFound
            | ErrorKind::Conflict
            | ErrorKind::Invalid
            | ErrorKind::Refused => SendError::rejected(self.problem),
        }
    }

    /// How a failed read is to be treated.
    pub fn into_read_error(self) -> SendError<Self> {
        match self.kind {
            ErrorKind::NoAnswer | ErrorKind::ServerError | ErrorKind::RateLimited => {
                SendError::transient(self)
            }
            _ => SendError::rejected(self),
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

fn error_kind(status: u16) -> ErrorKind {
    match status {
        401 => ErrorKind::Unauthorized,
        403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        409 => ErrorKind::Conflict,
        422 => ErrorKind::Invalid,
        429 => ErrorKind::RateLimited,
        500..600 => ErrorKind::ServerError,
        _ => ErrorKind::Refused,
    }
}

/// The message of a `Status`; some errors are plain text.
fn status_message(answer: &Response) -> String {
    let parsed: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let message = parsed.get("message").and_then(Value::as_str).map(str::to_owned);
    let text = || answer.text().trim().chars().take(300).collect::<String>();
    let message = message.unwrap_or_else(text);
    if message.is_empty() { format!("status {}", answer.status) } else { message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, body: &str) -> ApiError {
        let answer = Response { status, headers: Vec::new(), body: body.as_bytes().to_vec() };
        ApiError::from_response("the cluster at `https://k`", &answer)
    }

    #[test]
    fn statuses_and_texts_are_read() {
        let denied = error(403, r#"{"kind":"Status","message":"pods is forbidden: User \"x\""}"#);
        assert_eq!(
            (denied.kind, denied.message.as_str()),
            (ErrorKind::Forbidden, "pods is forbidden: User \"x\"")
        );
        assert_eq!(denied.problem.code, Code::PermissionMissing);
        let late = error(429, "Too many requests, please try again later.\n");
        assert_eq!(
            (late.kind, late.message.as_str()),
            (ErrorKind::RateLimited, "Too many requests, please try again later.")
        );
        assert_eq!(error(503, "").message, "status 503");
    }

    #[test]
    fn only_missing_answers_leave_a_change_in_doubt() {
        let doubtful: Vec<u16> =
            (400..600).filter(|status| error(*status, "").into_write_error().is_ambiguous()).collect();
        assert_eq!(doubtful, (500..600).collect::<Vec<_>>());
    }
}
