//! The version that a rollback on demand goes to: the one that is named, or the last good one. Never "revision minus
//! one", and nothing that never completed.

use crate::problem::{Code, Problem, capital};
use crate::release::{Digest, Health, Observed, Past, Version};

/// So many versions are listed for people at most.
const LISTED: usize = 10;
/// A shortened commit has at least so many digits: as many as the tags of images have.
const SHORTEST: usize = 7;

/// Chooses out of `past` (newest first, the same version once for each time). `to` is a version (`backend:42`, its
/// number, its ARN), a commit or a digest. The answer may be what serves already. Errors are `version-unknown`, with
/// the list of what can be returned to.
pub fn choose(to: Option<&str>, past: &[Past], seen: &Observed) -> Result<Past, Problem> {
    match to {
        Some(to) => named(to, past, seen),
        None => last_good(past, seen),
    }
}

/// Whether `to` could be a commit, so that the commits of the images must be known to find it.
pub fn asks_for_commit(to: &str, past: &[Past]) -> bool {
    matches!(wanted(to), Ok(Wanted::Commit(_))) && !past.iter().any(|one| has_number(&one.version, to))
}

/// Versions that were taken back after they had completed: since their last completion a version that is older than
/// they are, by its first completion here, has completed again.
pub fn withdrawn(past: &[Past]) -> Vec<&Past> {
    let first = |version: &Version| past.iter().rposition(|one| one.version == *version);
    let taken_back = |(last, one): &(usize, &Past)| {
        past[..*last].iter().any(|later| first(&later.version) > first(&one.version))
    };
    let latest = past
        .iter()
        .enumerate()
        .filter(|(at, one)| past.iter().position(|other| other.version == one.version) == Some(*at));
    latest.filter(taken_back).map(|(_, one)| one).collect()
}

/// What `to` can stand for.
enum Wanted<'t> {
    Digest(Digest),
    Version(&'t str),
    Number(&'t str),
    Commit(String),
}

fn wanted(to: &str) -> Result<Wanted<'_>, String> {
    let hex = to.bytes().all(|b| b.is_ascii_hexdigit());
    if to.starts_with("sha256:") {
        to.parse().map(Wanted::Digest)
    } else if to.contains(':') {
        Ok(Wanted::Version(to))
    } else if hex && (SHORTEST..=40).contains(&to.len()) {
        Ok(Wanted::Commit(to.to_ascii_lowercase()))
    } else if !to.is_empty() && to.bytes().all(|b| b.is_ascii_digit()) {
        Ok(Wanted::Number(to))
    } else if hex {
        Err(format!("`{to}` has {} digits; a commit is given by {SHORTEST} to 40", to.len()))
    } else {
        Err(format!("`{to}` is neither a version such as `backend:42`, nor a commit, nor a digest"))
    }
}

fn has_number(version: &Version, number: &str) -> bool {
    version.label.rsplit_once(':').is_some_and(|(_, own)| own == number)
}

fn named(to: &str, past: &[Past], seen: &Observed) -> Result<Past, Problem> {
    let wanted = wanted(to).map_err(|why| unknown(format!("{}.", capital(&why)), past, seen))?;
    let numbered = || past.iter().any(|one| has_number(&one.version, to));
    let fits = |one: &Past| match &wanted {
        Wanted::Digest(digest) => {
            one.digest.as_ref() == Some(digest)
                || one.image.as_ref().is_some_and(|image| image.digest.as_ref() == Some(digest))
        }
        Wanted::Version(text) => one.version.id == *text || one.version.label == *text,
        Wanted::Number(number) => has_number(&one.version, number),
        Wanted::Commit(number) if numbered() => has_number(&one.version, number),
        Wanted::Commit(commit) => one.commits.iter().any(|own| same_commit(own, commit)),
    };
    let mut found: Vec<&Past> = Vec::new();
    for one in past.iter().filter(|one| fits(one)) {
        if !found.iter().any(|known| known.version == one.version) {
            found.push(one);
        }
    }
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(unknown(format!("{} completed here.", nothing(&wanted, to)), past, seen)),
        several => {
            let labels = several.iter().map(|one| format!("`{}`", one.version.label)).collect::<Vec<_>>();
            let sentence =
                format!("`{to}` stands for several versions that completed here: {}.", labels.join(", "));
            Err(unknown(sentence, past, seen))
        }
    }
}

fn same_commit(a: &str, b: &str) -> bool {
    let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    a.len() >= SHORTEST && b.len() >= SHORTEST && (a.starts_with(&b) || b.starts_with(&a))
}

fn nothing(wanted: &Wanted<'_>, to: &str) -> String {
    match wanted {
        Wanted::Digest(_) => format!("No version with the digest `{to}` ever"),
        Wanted::Commit(_) => format!("No version whose image is tagged with the commit `{to}` ever"),
        Wanted::Version(_) | Wanted::Number(_) => format!("The version `{to}` never"),
    }
}

/// The last version that completed and neither is what the service is to leave nor was taken back itself.
fn last_good(past: &[Past], seen: &Observed) -> Result<Past, Problem> {
    let left = leaving(seen);
    let taken_back = withdrawn(past);
    let other = |one: &&Past| !left.contains(&&one.version);
    let good = |one: &&Past| !taken_back.iter().any(|back| back.version == one.version);
    if let Some(one) = past.iter().filter(other).find(good) {
        return Ok(one.clone());
    }
    let sentence = if past.iter().any(|one| other(&one)) {
        "Every other version that completed here was rolled back itself; name the one that is meant."
    } else {
        "No other version ever completed here, so there is nothing to roll back to."
    };
    Err(unknown(sentence.into(), past, seen))
}

/// The versions that a rollback leaves: the one that is wished for, and the one in flight. While the provider is
/// taking a version back by itself, what it goes back to is wished for already and is just where to go.
fn leaving(seen: &Observed) -> Vec<&Version> {
    let returning = seen.in_flight.as_ref().is_some_and(|flight| flight.rolling_back);
    seen.version.iter().filter(|_| !returning).collect()
}

fn unknown(sentence: String, past: &[Past], seen: &Observed) -> Problem {
    Problem::error(Code::VersionUnknown, sentence).help(list(past, seen))
}

/// What can be returned to, in words.
fn list(past: &[Past], seen: &Observed) -> String {
    let serves = |version: &Version| {
        matches!(seen.health, Health::Healthy(_) | Health::Handed(_))
            && seen.version.as_ref() == Some(version)
    };
    let mut known: Vec<&Version> = Vec::new();
    let mut lines = Vec::new();
    for one in past.iter().filter(|one| !serves(&one.version)) {
        if !known.contains(&&one.version) {
            known.push(&one.version);
            lines.push(line(one));
        }
    }
    let more = lines.len().saturating_sub(LISTED);
    lines.truncate(LISTED);
    match (lines.as_slice(), more) {
        ([], _) => "Deploy a good version first.".into(),
        (lines, 0) => format!("It can return to: {}.", lines.join(", ")),
        (lines, more) => format!("It can return to: {}, and {more} older ones.", lines.join(", ")),
    }
}

fn line(one: &Past) -> String {
    let mut about: Vec<String> =
        one.commits.iter().take(1).map(|commit| format!("commit {commit}")).collect();
    about.extend(one.digest.as_ref().map(|digest| format!("digest {}…", digest.short())));
    about.extend(one.completed.map(|at| format!("completed {}", at.strftime("%Y-%m-%d %H:%M UTC"))));
    let about = if about.is_empty() { String::new() } else { format!(" ({})", about.join("; ")) };
    format!("`{}`{about}", one.version.label)
}

#[cfg(test)]
pub(in crate::rollback) mod tests;
