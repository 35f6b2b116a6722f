//! The version that a requested rollback goes to: the named one, or the last known good one. Never "revision minus
//! one", and nothing that never completed.

use crate::problem::{Code, Problem, capitalize};
use crate::release::{CompletedVersion, Digest, Observed, RolloutStatus, Version};

/// Maximum versions in a list for users.
const MAX_LISTED: usize = 10;
/// Minimum digits of a shortened commit, as in image tags.
const MIN_SHA_LENGTH: usize = 7;

/// Chooses from `history` (newest first, one entry for each completion). `to` is a version (`backend:42`, its
/// number, its ARN), a commit or a digest. The result may be the serving version. Errors are `version-unknown`, with
/// the list of possible versions.
pub fn select(
    to: Option<&str>,
    history: &[CompletedVersion],
    observed: &Observed,
) -> Result<CompletedVersion, Problem> {
    match to {
        Some(to) => find_named(to, history, observed),
        None => find_last_good(history, observed),
    }
}

/// What `to` says of `service`. `api:4` is a version with this label or id; of the service `api` it is also the version 4, if
/// its target calls its versions otherwise.
pub fn selector_for<'t>(to: &'t str, service: &str, history: &[CompletedVersion]) -> &'t str {
    let Some((name, rest)) = to.split_once(':').filter(|(name, _)| *name == service) else { return to };
    let is_label = |one: &CompletedVersion| {
        one.version.id == to || one.version.label.split_once(':').is_some_and(|(family, _)| family == name)
    };
    if history.iter().any(is_label) { to } else { rest }
}

/// Whether `to` can be a commit, so that the commits of the images are needed to find it.
pub fn names_commit(to: &str, history: &[CompletedVersion]) -> bool {
    matches!(parse_selector(to), Ok(RollbackSelector::Commit(_)))
        && !history.iter().any(|one| has_number(&one.version, to))
}

/// Versions that were rolled back after they had completed: since their last completion, a version that is older than
/// they are, by its first completion here, has completed again.
pub fn rolled_back_versions(history: &[CompletedVersion]) -> Vec<&CompletedVersion> {
    let first = |version: &Version| history.iter().rposition(|one| one.version == *version);
    let rolled_back = |(last, one): &(usize, &CompletedVersion)| {
        history[..*last].iter().any(|later| first(&later.version) > first(&one.version))
    };
    let latest = history
        .iter()
        .enumerate()
        .filter(|(at, one)| history.iter().position(|other| other.version == one.version) == Some(*at));
    latest.filter(rolled_back).map(|(_, one)| one).collect()
}

/// The forms of `to`.
enum RollbackSelector<'t> {
    Digest(Digest),
    Version(&'t str),
    Number(&'t str),
    Commit(String),
}

fn parse_selector(to: &str) -> Result<RollbackSelector<'_>, String> {
    let hex = to.bytes().all(|b| b.is_ascii_hexdigit());
    if to.starts_with("sha256:") {
        to.parse().map(RollbackSelector::Digest)
    } else if to.contains(':') {
        Ok(RollbackSelector::Version(to))
    } else if hex && (MIN_SHA_LENGTH..=40).contains(&to.len()) {
        Ok(RollbackSelector::Commit(to.to_ascii_lowercase()))
    } else if !to.is_empty() && to.bytes().all(|b| b.is_ascii_digit()) {
        Ok(RollbackSelector::Number(to))
    } else if hex {
        Err(format!("`{to}` has {} digits; a commit has {MIN_SHA_LENGTH} to 40", to.len()))
    } else {
        Err(format!("`{to}` is neither a version such as `backend:42`, nor a commit, nor a digest"))
    }
}

fn has_number(version: &Version, number: &str) -> bool {
    version.label.rsplit_once(':').is_some_and(|(_, own)| own == number)
}

fn find_named(
    to: &str,
    history: &[CompletedVersion],
    observed: &Observed,
) -> Result<CompletedVersion, Problem> {
    let wanted = parse_selector(to)
        .map_err(|why| unknown_version_problem(format!("{}.", capitalize(&why)), history, observed))?;
    let numbered = || history.iter().any(|one| has_number(&one.version, to));
    let fits = |one: &CompletedVersion| match &wanted {
        RollbackSelector::Digest(digest) => {
            one.digest.as_ref() == Some(digest)
                || one.image.as_ref().is_some_and(|image| image.digest.as_ref() == Some(digest))
        }
        RollbackSelector::Version(text) => one.version.id == *text || one.version.label == *text,
        RollbackSelector::Number(number) => has_number(&one.version, number),
        RollbackSelector::Commit(number) if numbered() => has_number(&one.version, number),
        RollbackSelector::Commit(commit) => one.commits.iter().any(|own| is_same_commit(own, commit)),
    };
    let mut found: Vec<&CompletedVersion> = Vec::new();
    for one in history.iter().filter(|one| fits(one)) {
        if !found.iter().any(|known| known.version == one.version) {
            found.push(one);
        }
    }
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(unknown_version_problem(
            format!("{} completed here.", no_match_clause(&wanted, to)),
            history,
            observed,
        )),
        several => {
            let labels = several.iter().map(|one| format!("`{}`", one.version.label)).collect::<Vec<_>>();
            let sentence =
                format!("`{to}` matches several versions that completed here: {}.", labels.join(", "));
            Err(unknown_version_problem(sentence, history, observed))
        }
    }
}

fn is_same_commit(a: &str, b: &str) -> bool {
    let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    a.len() >= MIN_SHA_LENGTH && b.len() >= MIN_SHA_LENGTH && (a.starts_with(&b) || b.starts_with(&a))
}

fn no_match_clause(wanted: &RollbackSelector<'_>, to: &str) -> String {
    match wanted {
        RollbackSelector::Digest(_) => format!("No version with the digest `{to}` ever"),
        RollbackSelector::Commit(_) => {
            format!("No version whose image is tagged with the commit `{to}` ever")
        }
        RollbackSelector::Version(_) | RollbackSelector::Number(_) => format!("The version `{to}` never"),
    }
}

/// The newest completed version that is neither the one to leave nor a rolled-back one.
fn find_last_good(history: &[CompletedVersion], observed: &Observed) -> Result<CompletedVersion, Problem> {
    let left = current_versions(observed);
    let rolled_back = rolled_back_versions(history);
    let other = |one: &&CompletedVersion| !left.contains(&&one.version);
    let good = |one: &&CompletedVersion| !rolled_back.iter().any(|back| back.version == one.version);
    if let Some(one) = history.iter().filter(other).find(good) {
        return Ok(one.clone());
    }
    let sentence = if history.iter().any(|one| other(&one)) {
        "Every other version that completed here was rolled back too, so there is no default. Name the version in `to`."
    } else {
        "No other version has completed here, so there is nothing to roll back to."
    };
    Err(unknown_version_problem(sentence.into(), history, observed))
}

/// The versions that a rollback leaves: the requested one, and the one in progress. While the provider rolls a version
/// back, the version it returns to is already the requested one, and is a valid rollback target.
fn current_versions(observed: &Observed) -> Vec<&Version> {
    let returning = observed.in_flight.as_ref().is_some_and(|flight| flight.rolling_back);
    observed.version.iter().filter(|_| !returning).collect()
}

fn unknown_version_problem(sentence: String, history: &[CompletedVersion], observed: &Observed) -> Problem {
    Problem::error(Code::VersionUnknown, sentence).help(list_versions(history, observed))
}

/// Each version of a history once, with its last completion, newest first.
pub fn distinct_versions(history: &[CompletedVersion]) -> Vec<&CompletedVersion> {
    let mut distinct: Vec<&CompletedVersion> = Vec::new();
    for one in history {
        if !distinct.iter().any(|known| known.version == one.version) {
            distinct.push(one);
        }
    }
    distinct
}

/// Versions with what is known of them, in one line.
pub fn describe_versions(versions: &[&CompletedVersion]) -> String {
    let lines: Vec<String> = versions.iter().take(MAX_LISTED).map(|one| describe_version(one)).collect();
    match versions.len().saturating_sub(MAX_LISTED) {
        0 => lines.join(", "),
        more => format!("{}, and {more} older ones", lines.join(", ")),
    }
}

/// The list of possible versions, for display.
fn list_versions(history: &[CompletedVersion], observed: &Observed) -> String {
    let serves = |version: &Version| {
        matches!(observed.status, RolloutStatus::Healthy(_) | RolloutStatus::HandedOff(_))
            && observed.version.as_ref() == Some(version)
    };
    let mut possible = distinct_versions(history);
    possible.retain(|one| !serves(&one.version));
    match possible.as_slice() {
        [] => "Deploy a working version first.".into(),
        possible => format!("Possible versions: {}.", describe_versions(possible)),
    }
}

fn describe_version(one: &CompletedVersion) -> String {
    let mut about: Vec<String> =
        one.commits.iter().take(1).map(|commit| format!("commit {commit}")).collect();
    about.extend(one.digest.as_ref().map(|digest| format!("digest {}…", digest.short())));
    about.extend(one.completed_at.map(|at| format!("completed {}", at.strftime("%Y-%m-%d %H:%M UTC"))));
    let about = if about.is_empty() { String::new() } else { format!(" ({})", about.join("; ")) };
    format!("`{}`{about}", one.version.label)
}

#[cfg(test)]
pub(in crate::rollback) mod tests;
