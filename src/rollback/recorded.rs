//! Versions of a target that cannot say which of them was ever healthy, weighed by what the deployment records say. Pure.

use crate::release::{CompletedVersion, Version};

/// What the newest deployment record of a version says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordedResult {
    /// It was verified.
    Proven,
    /// It failed.
    Failed,
    /// No record says anything.
    None,
}

/// A version with what its records say.
#[derive(Debug, Clone)]
pub struct RecordedVersion {
    /// The version.
    pub version: CompletedVersion,
    /// The result.
    pub result: RecordedResult,
}

/// The versions that a rollback without `to` may choose from: none that failed, and only proven ones if there is one beside
/// `current`. Without records, all of them.
pub fn without_recorded_failures(
    versions: Vec<RecordedVersion>,
    current: Option<&Version>,
) -> Vec<CompletedVersion> {
    let is_other = |one: &RecordedVersion| Some(&one.version.version) != current;
    let has_proven = versions.iter().any(|one| one.result == RecordedResult::Proven && is_other(one));
    let may_serve = |one: &RecordedVersion| match one.result {
        RecordedResult::Proven => true,
        RecordedResult::Failed => !is_other(one),
        RecordedResult::None => !has_proven || !is_other(one),
    };
    versions.into_iter().filter(may_serve).map(|one| one.version).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollback::select;
    use crate::rollback::selection::tests::{completed_versions, observed};

    /// The version that a rollback chooses from the first of these, which are listed newest first.
    fn chosen(results: &[(&str, RecordedResult)]) -> Option<String> {
        let names: Vec<&str> = results.iter().rev().map(|(name, _)| *name).collect();
        let history = completed_versions(&names.join(" "));
        let observed = observed(&history, results[0].0);
        let results = results.iter().map(|(_, result)| *result);
        let versions =
            history.into_iter().zip(results).map(|(version, result)| RecordedVersion { version, result });
        let left = without_recorded_failures(versions.collect(), observed.version.as_ref());
        select(None, &left, &observed).ok().map(|one| one.version.label)
    }

    #[test]
    fn proven_version_is_preferred_and_a_failed_one_is_never_chosen() {
        use RecordedResult::{Failed, None as Unrecorded, Proven};
        type Row = (&'static [(&'static str, RecordedResult)], Option<&'static str>);
        let table: [Row; 6] = [
            (&[("9", Failed), ("3", Unrecorded), ("2", Unrecorded)], Some("app:3")),
            (&[("9", Proven), ("3", Failed), ("2", Unrecorded)], Some("app:2")),
            (&[("9", Unrecorded), ("3", Unrecorded), ("2", Proven)], Some("app:2")),
            (&[("9", Unrecorded), ("3", Failed), ("2", Unrecorded), ("1", Proven)], Some("app:1")),
            (&[("9", Proven), ("3", Failed)], None),
            (&[("9", Proven), ("3", Unrecorded)], Some("app:3")),
        ];
        for (results, expected) in table {
            assert_eq!(chosen(results).as_deref(), expected, "{results:?}");
        }
    }
}
