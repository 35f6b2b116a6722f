//! Errors of GitHub, distinguished by the caller's next action.

use std::time::Duration;

use crate::problem::{Code, Problem};
use crate::retry::{SendError, WriteError};
use crate::sys::network::ConnectionFailure;

/// Why there is no result. The texts are GitHub's, or ours if it sent none; they are untrusted and contain no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiError {
    /// The branch has moved: read it again and decide again. Nothing was changed.
    HeadMoved,
    /// A repository, branch, commit or path, as a noun, does not exist, or this token cannot read it.
    NotFound(String),
    /// The token is not accepted, or has no permission. Nothing was changed.
    Forbidden(String),
    /// A rule of the branch rejects it: retrying cannot help. Nothing was changed.
    Protected(String),
    /// The rate limit is reached: nothing was done. Wait before the next attempt.
    RateLimited {
        /// The minimum wait.
        retry_after: Duration,
        /// The message.
        reason: String,
    },
    /// No connection can be made with this machine's network settings. Nothing was sent.
    NotConnected(ConnectionFailure),
    /// A change may have happened: read the state before anything is sent again.
    Ambiguous(String),
    /// A read failed after several attempts. Nothing was changed.
    Transient(String),
    /// GitHub rejected the request. Nothing was changed.
    Rejected(String),
}

impl From<ApiError> for SendError<ApiError> {
    /// Only a lost response is a reason to look and send again.
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Ambiguous(_) => Self::ambiguous(error),
            other => Self::rejected(other),
        }
    }
}

impl From<WriteError<ApiError>> for ApiError {
    /// The doubt stays, whatever error the last look had.
    fn from(error: WriteError<ApiError>) -> Self {
        match error {
            WriteError::Unknown(error) => Self::Ambiguous(error.reason()),
            WriteError::NotMade(error) | WriteError::Rejected(error) => error,
        }
    }
}

impl ApiError {
    /// Whether a change may have happened.
    pub fn is_ambiguous(&self) -> bool {
        matches!(self, Self::Ambiguous(_))
    }

    /// The error as a cause of another sentence.
    pub fn reason(self) -> String {
        match self {
            Self::HeadMoved => "the branch moved".into(),
            Self::NotFound(what) => format!("{what} does not exist, or this token cannot read it"),
            Self::NotConnected(failure) => failure.to_string(),
            Self::Forbidden(why)
            | Self::Protected(why)
            | Self::RateLimited { reason: why, .. }
            | Self::Ambiguous(why)
            | Self::Transient(why)
            | Self::Rejected(why) => why,
        }
    }

    /// The problem, for a caller that used `repository`.
    pub fn problem(&self, repository: &str) -> Problem {
        let sentence = self.sentence(repository);
        let (code, help) = self.advice();
        let problem = Problem::error(code, sentence).help(help);
        match self {
            Self::HeadMoved | Self::NotFound(_) => problem,
            Self::NotConnected(failure) => failure.explain(problem),
            Self::Forbidden(why)
            | Self::Protected(why)
            | Self::RateLimited { reason: why, .. }
            | Self::Ambiguous(why)
            | Self::Transient(why)
            | Self::Rejected(why) => problem.cause(why.clone()),
        }
    }

    fn sentence(&self, repository: &str) -> String {
        match self {
            Self::HeadMoved => format!("Other commits kept arriving on the branch of `{repository}`."),
            Self::NotFound(what) => {
                format!("In `{repository}`, {what} does not exist, or this token cannot read it.")
            }
            Self::Forbidden(_) => format!("The GitHub token has no permission for this in `{repository}`."),
            Self::Protected(_) => format!("A branch rule of `{repository}` rejected the commit."),
            Self::RateLimited { retry_after: wait, .. } => format!(
                "GitHub's rate limit for this token is reached; the next request is possible in {} s (`{repository}`).",
                wait.as_secs()
            ),
            Self::NotConnected(_) => format!("GitHub could not be reached for `{repository}`."),
            Self::Ambiguous(_) => format!("It is not known whether `{repository}` was changed."),
            Self::Transient(_) => format!("`{repository}` could not be read from GitHub."),
            Self::Rejected(_) => format!("GitHub rejected the request in `{repository}`."),
        }
    }

    fn advice(&self) -> (Code, &'static str) {
        match self {
            Self::HeadMoved => (Code::CommitConflict, "Nothing was forced. Run the job again."),
            Self::NotFound(_) => (
                Code::RepositoryMissing,
                "Check the names. For another repository than that of the run, use the token of an App or of a person \
                 with access to it.",
            ),
            Self::Forbidden(_) => (
                Code::TokenRefused,
                "Add `permissions: contents: write` to the job (and `pull-requests: write` for pull \
                 requests). The job's token has access to its own repository only.",
            ),
            Self::Protected(_) => (
                Code::BranchProtected,
                "Open a pull request instead of committing (`pull-request: true`), or use the token of an App that can bypass the rule.",
            ),
            Self::RateLimited { .. } => (Code::RateLimited, "Run the job again later."),
            Self::NotConnected(failure) => (Code::ConnectionFailed, failure.help),
            Self::Ambiguous(_) => (
                Code::CommitOutcomeUnknown,
                "Run the job again. It checks first whether the change was made, and does nothing twice.",
            ),
            Self::Transient(_) => (Code::ProviderError, "Run the job again later."),
            Self::Rejected(_) => (Code::CommitRefused, ""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_a_code_and_names_the_repository() {
        let why = || "GitHub said so".to_owned();
        let all = [
            (ApiError::HeadMoved, Code::CommitConflict),
            (ApiError::NotFound("the branch `main`".into()), Code::RepositoryMissing),
            (ApiError::Forbidden(why()), Code::TokenRefused),
            (ApiError::Protected(why()), Code::BranchProtected),
            (
                ApiError::RateLimited { retry_after: Duration::from_secs(90), reason: why() },
                Code::RateLimited,
            ),
            (ApiError::Ambiguous(why()), Code::CommitOutcomeUnknown),
            (ApiError::Transient(why()), Code::ProviderError),
            (ApiError::Rejected(why()), Code::CommitRefused),
        ];
        for (error, code) in all {
            let problem = error.problem("acme/manifests");
            assert_eq!(problem.code, code);
            assert!(
                problem.sentence.contains("acme/manifests") && problem.sentence.ends_with('.'),
                "{problem}"
            );
            let has_no_cause = matches!(error, ApiError::HeadMoved | ApiError::NotFound(_));
            assert_eq!(problem.cause.as_deref(), (!has_no_cause).then_some("GitHub said so"));
        }
        let missing = ApiError::NotFound("the branch `main`".into()).problem("acme/manifests");
        assert!(missing.sentence.contains("the branch `main`"), "{missing}");
    }
}
