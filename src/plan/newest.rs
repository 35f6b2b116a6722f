//! An old run does not undo a newer one: which commit serves, as far as records tell, and why a run of an older one is
//! not let in. Pure.

use crate::problem::{Code, Problem};
use crate::release::{Digest, Observed, Record};

/// A record as it bears on what serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known<'r> {
    /// What a run released, or tried to.
    pub record: &'r Record,
    /// Whether that was proven.
    pub proven: bool,
}

/// The commit of what serves as `service`; `None` where it is not known. `records` are those of the environment, newest
/// first. What runs is told by its digest, so that a run that failed and was taken back does not count, and one that did
/// bring in this service before another one failed does.
pub fn serving<'r>(service: &str, seen: &'r Observed, records: &[Known<'r>]) -> Option<&'r str> {
    let digests: Vec<&Digest> =
        seen.image.iter().filter_map(|image| image.digest.as_ref()).chain(&seen.digest).collect();
    let counts = |known: &&Known<'r>| match known.record.services.get(service).map(|one| one.digest()) {
        Some(Some(digest)) if !digests.is_empty() => digests.contains(&digest),
        Some(Some(_)) => known.proven,
        _ => false,
    };
    match records.iter().find(counts) {
        Some(known) => Some(known.record.commit.as_str()).filter(|commit| !commit.is_empty()),
        None => of_provider(seen),
    }
}

/// The commit that the provider's own record names for what serves.
fn of_provider(seen: &Observed) -> Option<&str> {
    let same = seen.history.iter().find(|past| Some(&past.version) == seen.version.as_ref())?;
    same.commits.first().map(String::as_str)
}

/// Why `ours` may not replace `serving`, which has it in its past.
pub fn overtaken(service: &str, ours: &str, serving: &str) -> Problem {
    let (old, new) = (short(ours), short(serving));
    let sentence = format!(
        "This run is of commit {old}, and `{service}` serves {new} already, which is newer: an old run does not undo it."
    );
    Problem::error(Code::Superseded, sentence)
        .help(format!("To return to it on purpose, use `operation: rollback` with `to: {old}`."))
}

fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::{Past, Recorded, Version};

    fn image(digit: char) -> String {
        format!("r.example/web@sha256:{}", digit.to_string().repeat(64))
    }

    fn record(commit: &str, services: &[(&str, char)]) -> Record {
        let recorded = |(name, digit): &(&str, char)| {
            ((*name).to_owned(), Recorded { image: image(*digit).parse().unwrap() })
        };
        let services = services.iter().map(recorded).collect();
        Record { environment: "production".into(), commit: commit.into(), services }
    }

    /// A service whose definition has the first image, which runs with the digest of the second.
    fn seen(pinned: Option<char>, runs: Option<char>) -> Observed {
        let version = Version { id: "v".into(), label: "v".into() };
        let parsed = |digit: char| image(digit).parse::<crate::release::ImageRef>().unwrap();
        Observed {
            image: pinned.map(parsed),
            digest: runs.and_then(|digit| parsed(digit).digest),
            version: Some(version),
            ..Observed::blank()
        }
    }

    #[test]
    fn what_runs_is_found_by_its_digest() {
        let all = [
            (record("c5", &[("web", '5'), ("api", '5')]), false),
            (record("c4", &[("api", '4')]), true),
            (record("c3", &[("web", '3')]), true),
            (record("c2", &[("web", '3')]), true),
            (record("", &[("web", '9')]), true),
        ];
        let known: Vec<Known<'_>> =
            all.iter().map(|(record, proven)| Known { record, proven: *proven }).collect();
        for (pinned, runs, commit) in [
            (Some('3'), Some('3'), Some("c3")), // c5 was taken back
            (Some('5'), Some('7'), Some("c5")), // the other service of c5 failed
            (None, Some('3'), Some("c3")),
            (None, None, Some("c3")), // no digest: what was proven last
            (Some('8'), None, None),  // somebody else's
            (Some('9'), None, None),  // a rollback to who knows what
        ] {
            assert_eq!(serving("web", &seen(pinned, runs), &known), commit, "{pinned:?} {runs:?}");
        }
        assert_eq!(serving("other", &seen(None, None), &known), None);
    }

    #[test]
    fn where_no_record_tells_the_provider_may() {
        let mut seen = seen(Some('8'), None);
        let version = seen.version.clone().unwrap();
        let past = |version: Version, commit: &str| Past {
            version,
            image: None,
            digest: None,
            completed: None,
            commits: vec![commit.into()],
        };
        let other = Version { id: "w".into(), label: "w".into() };
        seen.history = vec![past(other, "c9"), past(version, "c8")];
        assert_eq!(serving("web", &seen, &[]), Some("c8"));
    }

    #[test]
    fn the_refusal_names_both_commits_and_the_way_back() {
        let problem = overtaken("web", "0123456789", "fedcba9876");
        insta::assert_snapshot!(problem, @"This run is of commit 0123456, and `web` serves fedcba9 already, which is newer: an old run does not undo it. To return to it on purpose, use `operation: rollback` with `to: 0123456`.");
    }
}
