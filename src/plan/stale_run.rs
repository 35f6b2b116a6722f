//! Stale runs: which commit serves according to the records, and why a run of an older commit is blocked. Pure.

use crate::problem::{Code, Problem};
use crate::release::{DeploymentRecord, Observed};

/// A deployment record, as far as it matters for the serving commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedRelease<'r> {
    /// What a run released or tried to release.
    pub record: &'r DeploymentRecord,
    /// Whether that was proven.
    pub proven: bool,
}

/// What is known of the commit of a serving version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServingCommits<'r> {
    /// The commits of all records of the serving digest, newest first: a run is stale if one of them that is no forgery
    /// contains its commit. So a forged record hides none.
    OfDigest(Vec<RecordedCommit<'r>>),
    /// The digest is not known: the commits of all proven releases, newest first. The first that is no forgery decides.
    NewestProven(Vec<RecordedCommit<'r>>),
}

/// The commit of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedCommit<'r> {
    /// The place of the record in the list.
    pub record: usize,
    /// The commit, in full; empty if the record names none.
    pub commit: &'r str,
}

/// The commits that the serving version of `service` may be of. `records` are those of the environment, newest first.
/// The serving version is identified by its digest: a run that failed and was rolled back does not count, and a run that
/// brought this service to success before another one failed does.
pub fn serving_commits<'r>(
    service: &str,
    observed: &Observed,
    records: &[RecordedRelease<'r>],
) -> ServingCommits<'r> {
    let digests = observed.recorded_digests();
    let counts = |known: &RecordedRelease<'r>| match known.record.services.get(service) {
        Some(recorded) if !digests.is_empty() => observed.runs(recorded),
        Some(recorded) => recorded.digest().is_some() && known.proven,
        None => false,
    };
    let commit = |(record, known): (usize, &RecordedRelease<'r>)| RecordedCommit {
        record,
        commit: known.record.commit.as_str(),
    };
    let commits = records.iter().enumerate().filter(|(_, known)| counts(known)).map(commit).collect();
    if digests.is_empty() { ServingCommits::NewestProven(commits) } else { ServingCommits::OfDigest(commits) }
}

/// The commit that the provider's own record names for the serving version.
pub fn provider_commit(observed: &Observed) -> Option<&str> {
    let same =
        observed.history.iter().find(|completed| Some(&completed.version) == observed.version.as_ref())?;
    same.commits.first().map(String::as_str)
}

/// Why `ours` may not replace `serving`, which is newer.
pub fn stale_run(service: &str, ours: &str, serving: &str) -> Problem {
    let (old, new) = (short_sha(ours), short_sha(serving));
    let sentence = format!(
        "This run is stale: it is of commit {old}, and `{service}` already serves the newer commit {new}."
    );
    Problem::error(Code::Superseded, sentence)
        .help(format!("To return to the older commit, use `operation: rollback` with `to: {old}`."))
}

fn short_sha(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::{CompletedVersion, RecordedService, Version};

    fn image(digit: char) -> String {
        format!("r.example/web@sha256:{}", digit.to_string().repeat(64))
    }

    fn record(commit: &str, services: &[(&str, char)]) -> DeploymentRecord {
        let recorded = |(name, digit): &(&str, char)| {
            ((*name).to_owned(), RecordedService::brought(image(*digit).parse().unwrap()))
        };
        let services = services.iter().map(recorded).collect();
        DeploymentRecord { environment: "production".into(), commit: commit.into(), services }
    }

    /// A service whose definition has the first image and which runs the digest of the second.
    fn observed(pinned: Option<char>, runs: Option<char>) -> Observed {
        let version = Version { id: "v".into(), label: "v".into() };
        let parsed = |digit: char| image(digit).parse::<crate::release::ImageRef>().unwrap();
        Observed {
            image: pinned.map(parsed),
            digest: runs.and_then(|digit| parsed(digit).digest),
            version: Some(version),
            ..Observed::for_tests()
        }
    }

    #[test]
    fn serving_commit_is_found_by_digest() {
        let all = [
            (record("c5", &[("web", '5'), ("api", '5')]), false),
            (record("c4", &[("api", '4')]), true),
            (record("c3", &[("web", '3')]), true),
            (record("c2", &[("web", '3')]), true),
            (record("", &[("web", '9')]), true),
        ];
        let known: Vec<RecordedRelease<'_>> =
            all.iter().map(|(record, proven)| RecordedRelease { record, proven: *proven }).collect();
        let found = |observed: &Observed, service: &str| {
            let text =
                |all: Vec<RecordedCommit<'_>>| all.iter().map(|one| one.commit).collect::<Vec<_>>().join(" ");
            match serving_commits(service, observed, &known) {
                ServingCommits::OfDigest(all) => text(all),
                ServingCommits::NewestProven(all) => format!("proven: {}", text(all)),
            }
        };
        for (pinned, runs, commits) in [
            (Some('3'), Some('3'), "c3 c2"), // c5 was rolled back
            (Some('5'), Some('7'), "c5"),    // the other service of c5 failed
            (None, Some('3'), "c3 c2"),
            (None, None, "proven: c3 c2 "), // no digest: what was proven last
            (Some('8'), None, ""),          // another user's
            (Some('9'), None, ""),          // a rollback to an unknown version
        ] {
            assert_eq!(found(&observed(pinned, runs), "web"), commits, "{pinned:?} {runs:?}");
        }
        assert_eq!(found(&observed(None, None), "other"), "proven: ");
    }

    #[test]
    fn provider_commit_is_that_of_the_serving_version() {
        let mut observed = observed(Some('8'), None);
        let version = observed.version.clone().unwrap();
        let completed = |version: Version, commit: &str| CompletedVersion {
            version,
            image: None,
            container_images: Default::default(),
            digest: None,
            completed_at: None,
            commits: vec![commit.into()],
        };
        let other = Version { id: "w".into(), label: "w".into() };
        observed.history = vec![completed(other, "c9"), completed(version, "c8")];
        assert_eq!(provider_commit(&observed), Some("c8"));
    }

    #[test]
    fn stale_run_problem_names_both_commits_and_the_rollback() {
        let problem = stale_run("web", "0123456789", "fedcba9876");
        insta::assert_snapshot!(problem, @"This run is stale: it is of commit 0123456, and `web` already serves the newer commit fedcba9. To return to the older commit, use `operation: rollback` with `to: 0123456`.");
    }
}
