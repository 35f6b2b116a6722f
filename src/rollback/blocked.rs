//! Blocked versions: automated runs do not redeploy a rolled-back version. The provider's history shows which were, and
//! the deployment records show which were rolled back only because their run was cut off.

use super::cut_off::{ReleaseAttempt, is_rolling_back_cut_off, newest_cut_off, without_cut_off};
use super::selection::rolled_back_versions;
use crate::problem::{Code, Problem};
use crate::release::{CompletedVersion, Release, Version, digests_agree};

/// Who started a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TriggeredBy {
    /// A person, who may deploy any version.
    Person,
    /// An event, such as a push.
    Event,
    /// An event whose run was started again, perhaps long after.
    Rerun,
}

/// Versions that `starter` may not deploy again, if `release` turns out to be one of them; newest first. `requested`
/// is the version that the service is requested to run, completed or not. If both digests are known, a version with
/// another digest does not match. `attempts` are the recorded releases of the service, newest first: without them every
/// rolled-back version counts as bad.
pub fn blocked_versions<'p>(
    history: &'p [CompletedVersion],
    attempts: &[ReleaseAttempt<'_>],
    release: &Release,
    starter: TriggeredBy,
    requested: Option<&Version>,
) -> Vec<&'p CompletedVersion> {
    let image = release.image.as_ref().and_then(|image| image.digest.as_ref());
    let other = |one: &&CompletedVersion| match (image, &one.digest) {
        (Some(wanted), Some(digest)) => {
            let pinned = one.image.as_ref().and_then(|image| image.digest.as_ref());
            wanted != digest && Some(wanted) != pinned
        }
        _ => false,
    };
    let other = |one: &&CompletedVersion| {
        other(one) || !digests_agree(&release.container_images, &one.container_images)
    };
    let newest = newest_cut_off(history, attempts);
    let all: Vec<&CompletedVersion> = match starter {
        TriggeredBy::Person => Vec::new(),
        // The run that was cut off goes on: nothing else was released since.
        TriggeredBy::Rerun if newest.has_own || is_rolling_back_cut_off(history, attempts, requested) => {
            bad_versions(history, attempts)
        }
        TriggeredBy::Event => bad_versions(history, attempts),
        TriggeredBy::Rerun => replaced_versions(&history[newest.completions..], requested),
    };
    all.into_iter().filter(|one| !other(one)).collect()
}

/// Versions that were rolled back, and not only because their run was cut off.
fn bad_versions<'p>(
    history: &'p [CompletedVersion],
    attempts: &[ReleaseAttempt<'_>],
) -> Vec<&'p CompletedVersion> {
    let kept: Vec<CompletedVersion> = without_cut_off(history, attempts).into_iter().cloned().collect();
    let bad = rolled_back_versions(&kept);
    let newest = |version: &Version| history.iter().find(|one| one.version == *version);
    bad.iter().filter_map(|one| newest(&one.version)).collect()
}

/// Versions after which another one completed or is in progress, each once.
fn replaced_versions<'p>(
    history: &'p [CompletedVersion],
    requested: Option<&Version>,
) -> Vec<&'p CompletedVersion> {
    let newest = requested.or_else(|| history.first().map(|newest| &newest.version));
    let mut found: Vec<&CompletedVersion> = Vec::new();
    for one in history.iter().filter(|one| newest != Some(&one.version)) {
        if !found.iter().any(|known| known.version == one.version) {
            found.push(one);
        }
    }
    found
}

/// Why the run may not deploy `version`, which is one of the blocked versions.
pub fn blocked_problem(
    version: &CompletedVersion,
    history: &[CompletedVersion],
    requested: Option<&Version>,
) -> Problem {
    let label = &version.version.label;
    let newest = history.first().map(|newest| &newest.version);
    let since = newest.map_or("another version", |newest| &newest.label);
    if rolled_back_versions(history).iter().any(|one| one.version == version.version) {
        let sentence = format!("{label} was rolled back here and is blocked; {since} serves since then.");
        return Problem::error(Code::VersionBlockedAfterRollback, sentence).help(
            "Deploy a fix. To deploy this version anyway, start the workflow manually (`workflow_dispatch`).",
        );
    }
    let sentence = match requested.filter(|requested| Some(*requested) != newest) {
        Some(requested) => {
            let newer = &requested.label;
            format!(
                "This run was started again and would replace {newer}, which was requested later, with {label}."
            )
        }
        None => {
            format!(
                "This run was started again and would replace {since}, which completed later, with {label}."
            )
        }
    };
    Problem::error(Code::VersionBlockedAfterRollback, sentence)
        .help("To return to this version, use `operation: rollback` or start the workflow manually.")
}

#[cfg(test)]
mod tests {
    use super::super::selection::tests::{completed_versions, observed, version};
    use super::*;
    use crate::release::RecordedService;

    fn release(digit: char) -> Release {
        let digest = format!("sha256:{}", digit.to_string().repeat(64));
        Release {
            image: Some(format!("acme/app@{digest}").parse().unwrap()),
            ..Release::of("app", "production")
        }
    }

    fn blocked_labels(history: &str, digit: char, starter: TriggeredBy) -> Vec<String> {
        let (history, newer) = history.split_once(" > ").unwrap_or((history, ""));
        let history = completed_versions(history);
        let requested = (!newer.is_empty()).then(|| version(newer));
        let found = blocked_versions(&history, &[], &release(digit), starter, requested.as_ref());
        found.iter().map(|one| one.version.label.clone()).collect()
    }

    /// Records, oldest first: `2x@1` is version 2, cut off, recorded before the completion with index 1 (from 0). `f` is
    /// a failure, `o` a release of this run that was cut off, and no letter a proven one.
    fn blocked_with_records(history: &str, records: &str, digit: char, starter: TriggeredBy) -> Vec<String> {
        let (history, newer) = history.split_once(" > ").unwrap_or((history, ""));
        let history = completed_versions(history);
        let requested = (!newer.is_empty()).then(|| version(newer));
        let released = |digit: &str| {
            RecordedService::brought(format!("acme/app@sha256:{}", digit.repeat(64)).parse().unwrap())
        };
        let parsed: Vec<_> = records
            .split_whitespace()
            .map(|word| {
                let (name, at) = word.split_once('@').unwrap();
                let completed =
                    history[history.len() - 1 - at.parse::<usize>().unwrap()].completed_at.unwrap();
                (released(&name[..1]), completed - jiff::Span::new().minutes(30), name[1..].to_owned())
            })
            .collect();
        let mut attempts = Vec::new();
        for (released, recorded_at, end) in parsed.iter().rev() {
            let is_own = end == "o";
            let (recorded_at, is_cut_off) = (*recorded_at, is_own || end == "x");
            attempts.push(ReleaseAttempt { released, recorded_at, is_cut_off, is_own });
        }
        let found = blocked_versions(&history, &attempts, &release(digit), starter, requested.as_ref());
        found.iter().map(|one| one.version.label.clone()).collect()
    }

    #[test]
    fn version_that_was_only_cut_off_is_not_blocked() {
        use TriggeredBy::*;
        let none: &[&str] = &[];
        let bad: &[&str] = &["app:2"];
        let table = [
            // The run was cancelled: it, and any other, may deploy the version again.
            ("1 2 1", "1@0 2x@1", Event, none),
            ("1 2 1", "1@0 2x@1", Rerun, none),
            ("1 2 1", "1@0 2o@1", Rerun, none),
            ("1 2 1 2 1", "1@0 2x@1 2x@3", Event, none),
            ("1 2 1 2 1", "1@0 2o@1 2o@3", Rerun, none),
            ("2 1", "2x@0", Rerun, none),
            // The rollback is still in progress.
            ("1 2 > 1", "1@0 2o@1", Rerun, none),
            ("1 2 > 1", "1@0 2x@1", Rerun, none),
            ("1 2 > 1", "1@0 2f@1", Rerun, bad),
            ("1 2 > 3", "1@0 2o@1", Rerun, bad),
            // It failed, or it was rolled back later and on purpose.
            ("1 2 1", "1@0 2f@1", Event, bad),
            ("1 2 1", "1@0 2f@1", Rerun, bad),
            ("1 2 1", "1@0 2@1", Event, bad),
            ("1 2 1", "1@0 2x@1 1@2", Event, bad),
            ("1 2 1", "1@0 2x@1 1@2", Rerun, bad),
            // A failure stays one when a later try of the version is cancelled.
            ("1 2 1 2 1", "1@0 2f@1 2x@3", Event, bad),
            ("1 2 1 2 1", "1@0 2f@1 2o@3", Rerun, bad),
            // The record is of something else, or there is none: nobody knows, so the version is blocked.
            ("1 2 1", "", Event, bad),
            ("1 2 1", "", Rerun, bad),
            ("1 2 1", "1@0 3x@1", Event, bad),
            ("1 2 1", "1@0", Rerun, bad),
            // Something else completed since: a new event may deploy it, a run that is started again may not.
            ("1 2 1 3", "1@0 2x@1 3@3", Event, none),
            ("1 2 1 3", "1@0 2o@1 3@3", Rerun, bad),
            // An earlier version was requested (a revert), and its run was cancelled: that run goes on, an older one does not.
            ("1 2 3 2 3", "1@0 2@1 3@2 2o@3", Rerun, none),
            ("1 2 3 2 3", "1@0 2@1 3@2 2x@3", Rerun, bad),
            // It did not return to the version before, so that it was not the cancel.
            ("1 2 3", "1@0 2x@1", Rerun, bad),
        ];
        for (history, records, starter, expected) in table {
            let found = blocked_with_records(history, records, '2', starter);
            assert_eq!(found, expected, "{history}, records {records}, by {starter:?}");
        }
    }

    /// Histories are written oldest first: `1 2 1` is a rollback from 2 to 1; `1 > 2` means that 2 is in progress.
    #[test]
    fn rolled_back_version_is_blocked() {
        use TriggeredBy::*;
        let none: &[&str] = &[];
        let table = [
            ("1 2", '2', Event, none),
            ("1 2", '3', Event, none),
            ("1 2 1", '2', Event, &["app:2"]),
            ("1 2 1", '2', Person, none),
            ("1 2 1", '1', Event, none),
            ("1 2 1", '3', Event, none),
            ("1 2 1 3", '2', Event, &["app:2"]),
            // It was redeployed manually, and is no longer blocked.
            ("1 2 1 2", '2', Event, none),
            ("1 2 1 2", '1', Event, none),
            ("1 2 3 1", '2', Event, &["app:2"]),
            ("1 2 3 1", '3', Event, &["app:3"]),
            // A deploy that moves to an earlier version (a revert) is allowed, a rerun of an old run is not.
            ("1 2", '1', Event, none),
            ("1 2", '1', Rerun, &["app:1"]),
            ("1 2", '2', Rerun, none),
            ("1 2 1", '2', Rerun, &["app:2"]),
            ("1 2 1", '1', Rerun, none),
            // Nor is a rerun while a newer version is in progress.
            ("1 2 > 3", '2', Rerun, &["app:2"]),
            ("1 2 > 3", '3', Rerun, none),
            ("1 2 > 3", '2', Event, none),
            ("1 2 > 1", '2', Rerun, &["app:2"]),
        ];
        for (history, digit, starter, expected) in table {
            assert_eq!(
                blocked_labels(history, digit, starter),
                expected,
                "{history}, then {digit} by {starter:?}"
            );
        }
        assert!(observed(&completed_versions("1"), "1").in_flight.is_none());
    }

    #[test]
    fn blocked_problem_gives_the_reason() {
        let (back, on) = (completed_versions("1 2 1"), completed_versions("1 2"));
        insta::assert_snapshot!(
            [
                blocked_problem(&back[1], &back, None).to_string(),
                blocked_problem(&on[1], &on, None).to_string(),
                blocked_problem(&on[0], &on, Some(&version("3"))).to_string(),
            ].join("\n"), @r"
        app:2 was rolled back here and is blocked; app:1 serves since then. Deploy a fix. To deploy this version anyway, start the workflow manually (`workflow_dispatch`).
        This run was started again and would replace app:2, which completed later, with app:1. To return to this version, use `operation: rollback` or start the workflow manually.
        This run was started again and would replace app:3, which was requested later, with app:2. To return to this version, use `operation: rollback` or start the workflow manually.
        ");
    }
}
