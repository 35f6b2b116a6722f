//! A rollback holds: what was taken back does not come again by itself. The provider's own record says what was.

use super::choice::withdrawn;
use crate::problem::{Code, Problem};
use crate::release::{Past, Release, Version};

/// Who started a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Starter {
    /// A person, who may bring in whatever is there.
    Person,
    /// An event, such as a push.
    Event,
    /// An event whose run was started once more, perhaps long after.
    Rerun,
}

/// Versions that `starter` may not bring in again, if `release` should turn out to be one of them; newest first. `wish`
/// is the version that the service is asked to run, completed or not. Where both digests are known a version with
/// another one is none of them.
pub fn suspects<'p>(
    past: &'p [Past],
    release: &Release,
    starter: Starter,
    wish: Option<&Version>,
) -> Vec<&'p Past> {
    let image = release.image.as_ref().and_then(|image| image.digest.as_ref());
    let other = |one: &&Past| match (image, &one.digest) {
        (Some(wanted), Some(digest)) => {
            let pinned = one.image.as_ref().and_then(|image| image.digest.as_ref());
            wanted != digest && Some(wanted) != pinned
        }
        _ => false,
    };
    let all: Vec<&Past> = match starter {
        Starter::Person => Vec::new(),
        Starter::Event => withdrawn(past),
        Starter::Rerun => replaced(past, wish),
    };
    all.into_iter().filter(|one| !other(one)).collect()
}

/// Versions after which another one completed, or is on its way, each once.
fn replaced<'p>(past: &'p [Past], wish: Option<&Version>) -> Vec<&'p Past> {
    let newest = wish.or_else(|| past.first().map(|newest| &newest.version));
    let mut found: Vec<&Past> = Vec::new();
    for one in past.iter().filter(|one| newest != Some(&one.version)) {
        if !found.iter().any(|known| known.version == one.version) {
            found.push(one);
        }
    }
    found
}

/// Why the run may not bring in `version`, which `suspects` named.
pub fn hold(version: &Past, past: &[Past], wish: Option<&Version>) -> Problem {
    let label = &version.version.label;
    let newest = past.first().map(|newest| &newest.version);
    let since = newest.map_or("another version", |newest| &newest.label);
    if withdrawn(past).iter().any(|one| one.version == version.version) {
        let sentence = format!("This is {label}, which was rolled back here; since then {since} serves.");
        return Problem::error(Code::RolledBackBefore, sentence).help(
            "Deploy a fix. To bring in this very version all the same, start the workflow by hand (workflow_dispatch).",
        );
    }
    let sentence = match wish.filter(|wish| Some(*wish) != newest) {
        Some(wish) => {
            let coming = &wish.label;
            format!(
                "This run was started again and would put {label} in place of {coming}, which was asked for later."
            )
        }
        None => {
            format!(
                "This run was started again and would put {label} in place of {since}, which completed later."
            )
        }
    };
    Problem::error(Code::RolledBackBefore, sentence)
        .help("To return to it on purpose, use `operation: rollback`, or start the workflow by hand.")
}

#[cfg(test)]
mod tests {
    use super::super::choice::tests::{past, seen, version};
    use super::*;

    fn release(digit: char) -> Release {
        let digest = format!("sha256:{}", digit.to_string().repeat(64));
        Release {
            service: "app".into(),
            environment: "production".into(),
            image: Some(format!("acme/app@{digest}").parse().unwrap()),
            tag: None,
            definition: None,
            former: None,
            settings: Vec::new(),
            commit: None,
        }
    }

    fn held(history: &str, digit: char, starter: Starter) -> Vec<String> {
        let (history, coming) = history.split_once(" > ").unwrap_or((history, ""));
        let past = past(history);
        let wish = (!coming.is_empty()).then(|| version(coming));
        let found = suspects(&past, &release(digit), starter, wish.as_ref());
        found.iter().map(|one| one.version.label.clone()).collect()
    }

    /// Histories are written oldest first: `1 2 1` is a rollback from 2 to 1; `1 > 2` means that 2 is on its way.
    #[test]
    fn what_was_taken_back_is_held() {
        use Starter::*;
        let none: &[&str] = &[];
        let table = [
            ("1 2", '2', Event, none),
            ("1 2", '3', Event, none),
            ("1 2 1", '2', Event, &["app:2"]),
            ("1 2 1", '2', Person, none),
            ("1 2 1", '1', Event, none),
            ("1 2 1", '3', Event, none),
            ("1 2 1 3", '2', Event, &["app:2"]),
            // It was brought in again by hand, and is no longer held.
            ("1 2 1 2", '2', Event, none),
            ("1 2 1 2", '1', Event, none),
            ("1 2 3 1", '2', Event, &["app:2"]),
            ("1 2 3 1", '3', Event, &["app:3"]),
            // A deploy that moves on to an earlier version by itself (a revert) is fine, a run that is started again is not.
            ("1 2", '1', Event, none),
            ("1 2", '1', Rerun, &["app:1"]),
            ("1 2", '2', Rerun, none),
            ("1 2 1", '2', Rerun, &["app:2"]),
            ("1 2 1", '1', Rerun, none),
            // Nor one that is started again while a newer one is on its way.
            ("1 2 > 3", '2', Rerun, &["app:2"]),
            ("1 2 > 3", '3', Rerun, none),
            ("1 2 > 3", '2', Event, none),
            ("1 2 > 1", '2', Rerun, &["app:2"]),
        ];
        for (history, digit, starter, expected) in table {
            assert_eq!(held(history, digit, starter), expected, "{history}, then {digit} by {starter:?}");
        }
        assert!(seen(&past("1"), "1").in_flight.is_none());
    }

    #[test]
    fn the_reason_is_said() {
        let (back, on) = (past("1 2 1"), past("1 2"));
        insta::assert_snapshot!(
            [
                hold(&back[1], &back, None).to_string(),
                hold(&on[1], &on, None).to_string(),
                hold(&on[0], &on, Some(&version("3"))).to_string(),
            ].join("\n"), @r"
        This is app:2, which was rolled back here; since then app:1 serves. Deploy a fix. To bring in this very version all the same, start the workflow by hand (workflow_dispatch).
        This run was started again and would put app:1 in place of app:2, which completed later. To return to it on purpose, use `operation: rollback`, or start the workflow by hand.
        This run was started again and would put app:2 in place of app:3, which was asked for later. To return to it on purpose, use `operation: rollback`, or start the workflow by hand.
        ");
    }
}
