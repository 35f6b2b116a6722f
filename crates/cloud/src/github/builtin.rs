//! The built-in scenarios of GitHub, for commits of a service whose version is in Git.

use super::scenario::BranchProtection;
use crate::argocd::builtin::gitops_scenario;
use crate::builtin::Builtin;
use crate::scenario::Scenario;

/// All of them.
pub(super) const SCENARIOS: &[Builtin] = &[
    gitops_scenario(
        "git-moved-head",
        "Somebody else commits just before, three times.",
        "[rival-commit: { times: 3 }]",
    ),
    gitops_scenario("git-protected", "The branch can be changed only by pull requests with a review.", "[]")
        .with_setup(&[with_protection]),
    gitops_scenario(
        "git-rate-limited",
        "GitHub rejects the commit for its rate, twice.",
        "[rate-limit: { operation: createCommitOnBranch, times: 2, retry-after: 60 }]",
    ),
    gitops_scenario(
        "git-lost-answer",
        "The commit is made, and the connection breaks before its answer.",
        "[response-lost: { operation: createCommitOnBranch }]",
    ),
    gitops_scenario(
        "git-bad-gateway",
        "The commit is made, and GitHub's gateway responds with 502.",
        "[bad-gateway: { operation: createCommitOnBranch, effect: true }]",
    ),
    gitops_scenario(
        "git-replica-lag",
        "For ten seconds after a commit, GitHub shows the branch as it was.",
        "[replica-lag: { for: 10 }]",
    ),
];

/// In every repository without a protected branch, the default branch requires a review.
fn with_protection(mut world: Scenario) -> Result<Scenario, String> {
    for repository in world.github.repositories.iter_mut().filter(|it| it.protected.is_empty()) {
        let branch = repository.default_branch.clone();
        repository.protected.push(BranchProtection { branch, required_reviews: 1, ..Default::default() });
    }
    Ok(world)
}
