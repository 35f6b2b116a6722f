//! A rollback holds: what was taken back does not come again by itself. The provider's own record says what was.

use super::choice::withdrawn;
use crate::problem::{Code, Problem};
use crate::release::{Past, Release};

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

/// Versions that `starter` may not bring in again, if `release` should turn out to be one of them; newest first.
/// Where both digests are known a version with another one is none of them.
pub fn suspects<'p>(past: &'p [Past], release: &Release, starter: Starter) -> Vec<&'p Past> {
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
        Starter::Rerun => replaced(past),
    };
    all.into_iter().filter(|one| !other(one)).collect()
}

/// Versions after which another one completed, each once.
fn replaced(past: &[Past]) -> Vec<&Past> {
    let mut found: Vec<&Past> = Vec::new();
    for one in past.iter().skip(1) {
        let newest = past.first().is_some_and(|newest| newest.version == one.version);
        if !newest && !found.iter().any(|known| known.version == one.version) {
            found.push(one);
        }
    }
    found
}

/// Why the run may not bring in `version`, which `suspects` named.
pub fn hold(version: &Past, past: &[Past]) -> Problem {
    let label = &version.version.label;
    let since = past.first().map_or("another version", |newest| &newest.version.label);
    if withdrawn(past).iter().any(|one| one.version == version.version) {
        let sentence = format!("This is {label}, which was rolled back here; since then {since} serves.");
        return Problem::error(Code::RolledBackBefore, sentence).help(
            "Deploy a fix. To bring in this very version all the same, start the workflow by hand (workflow_dispatch).",
        );
    }
    let sentence = format!(
        "This run was started again and would put {label} in place of {since}, which completed later."
    );
    Problem::error(Code::RolledBackBefore, sentence)
        .help("To return to it on purpose, use `operation: rollback`, or start the workflow by hand.")
}

#[cfg(test)]
mod tests {
    use super::super::choice::tests::{past, seen};
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
            commit: None,
        }
    }

    fn held(history: &str, digit: char, starter: Starter) -> Vec<String> {
        let past = past(history);
        suspects(&past, &release(digit), starter).iter().map(|one| one.version.label.clone()).collect()
    }

    /// Histories are written oldest first: `1 2 1` is a rollback from 2 to 1.
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
            [hold(&back[1], &back).to_string(), hold(&on[1], &on).to_string()].join("\n"), @r"
        This is app:2, which was rolled back here; since then app:1 serves. Deploy a fix. To bring in this very version all the same, start the workflow by hand (workflow_dispatch).
        This run was started again and would put app:1 in place of app:2, which completed later. To return to it on purpose, use `operation: rollback`, or start the workflow by hand.
        ");
    }
}
