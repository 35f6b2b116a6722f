//! What can come between a wish and GitHub, told apart by what the caller has to do next.

use std::time::Duration;

use crate::problem::{Code, Problem};

/// Why there is no result. The texts are GitHub's, or in its stead ours; they are untrusted and hold no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setback {
    /// The branch is not where it was: read it anew and decide again. Nothing was changed.
    Moved,
    /// A repository, branch, commit or path, as a noun, is not there, or this token may not see it.
    Missing(String),
    /// The token is not accepted, or has no right to do this. Nothing was changed.
    Forbidden(String),
    /// A rule of the branch refuses it: another try changes nothing. Nothing was changed.
    Protected(String),
    /// Too many requests: nothing was done, and should not be tried for so long.
    Limited {
        /// How long, at least.
        wait: Duration,
        /// In words.
        why: String,
    },
    /// A change may have happened: look before anything is sent again.
    Uncertain(String),
    /// Something could not be read, though it was asked several times. Nothing was changed.
    Passing(String),
    /// It will not be done as it was asked. Nothing was changed.
    Refused(String),
}

impl Setback {
    /// What came between, as a cause for a sentence of somebody else's.
    pub fn words(self) -> String {
        match self {
            Self::Moved => "the branch moved".into(),
            Self::Missing(what) => format!("{what} is not there, or this token may not see it"),
            Self::Forbidden(why)
            | Self::Protected(why)
            | Self::Limited { why, .. }
            | Self::Uncertain(why)
            | Self::Passing(why)
            | Self::Refused(why) => why,
        }
    }

    /// What happened and what to do, for somebody who wanted something of `repository`.
    pub fn problem(&self, repository: &str) -> Problem {
        let sentence = self.sentence(repository);
        let (code, help) = self.advice();
        let problem = Problem::error(code, sentence).help(help);
        match self {
            Self::Moved | Self::Missing(_) => problem,
            Self::Forbidden(why)
            | Self::Protected(why)
            | Self::Limited { why, .. }
            | Self::Uncertain(why)
            | Self::Passing(why)
            | Self::Refused(why) => problem.cause(why.clone()),
        }
    }

    fn sentence(&self, repository: &str) -> String {
        match self {
            Self::Moved => format!("The branch of `{repository}` got other commits again and again."),
            Self::Missing(what) => {
                format!("In `{repository}`, {what} is not there, or this token may not see it.")
            }
            Self::Forbidden(_) => format!("GitHub does not let this token work on `{repository}`."),
            Self::Protected(_) => format!("A rule of the branch in `{repository}` refuses the commit."),
            Self::Limited { wait, .. } => format!(
                "GitHub takes no more requests of this token for {} s (`{repository}`).",
                wait.as_secs()
            ),
            Self::Uncertain(_) => format!("Whether `{repository}` was changed is not known."),
            Self::Passing(_) => format!("`{repository}` could not be read from GitHub."),
            Self::Refused(_) => format!("This cannot be done in `{repository}`."),
        }
    }

    fn advice(&self) -> (Code, &'static str) {
        match self {
            Self::Moved => (Code::CommitConflict, "Nothing was forced. Run the job again."),
            Self::Missing(_) => (
                Code::RepositoryMissing,
                "Check the names. For another repository than that of the run, give a token of an App or of a person \
                 who may see it.",
            ),
            Self::Forbidden(_) => (
                Code::TokenRefused,
                "The job's own token needs `permissions: contents: write` (and `pull-requests: write` for pull \
                 requests) and reaches its own repository only.",
            ),
            Self::Protected(_) => (
                Code::BranchProtected,
                "Propose instead of committing (`pull-request: true`), or let an App that may bypass the rule commit.",
            ),
            Self::Limited { .. } => (Code::RateLimited, "Run the job again later."),
            Self::Uncertain(_) => {
                (Code::CommitUncertain, "Run the job again: it looks first, and does nothing twice.")
            }
            Self::Passing(_) => (Code::ProviderError, "Run the job again later."),
            Self::Refused(_) => (Code::CommitRefused, ""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_says_what_happened_and_what_to_do() {
        let why = || "GitHub said so".to_owned();
        let all = [
            (Setback::Moved, Code::CommitConflict),
            (Setback::Missing("the branch `main`".into()), Code::RepositoryMissing),
            (Setback::Forbidden(why()), Code::TokenRefused),
            (Setback::Protected(why()), Code::BranchProtected),
            (Setback::Limited { wait: Duration::from_secs(90), why: why() }, Code::RateLimited),
            (Setback::Uncertain(why()), Code::CommitUncertain),
            (Setback::Passing(why()), Code::ProviderError),
            (Setback::Refused(why()), Code::CommitRefused),
        ];
        for (setback, code) in all {
            let problem = setback.problem("acme/manifests");
            assert_eq!(problem.code, code);
            assert!(
                problem.sentence.contains("acme/manifests") && problem.sentence.ends_with('.'),
                "{problem}"
            );
            let told = matches!(setback, Setback::Moved | Setback::Missing(_));
            assert_eq!(problem.cause.as_deref(), (!told).then_some("GitHub said so"));
        }
        let missing = Setback::Missing("the branch `main`".into()).problem("acme/manifests");
        assert!(missing.sentence.contains("the branch `main`"), "{missing}");
    }
}
