//! Which proof is promoted: the digest that an environment proved, and no other. Pure. Whether one commit contains another
//! is asked elsewhere, of the candidates that are named here.

use jiff::Timestamp;

use crate::problem::{Code, Problem};
use crate::release::{Digest, ImageRef, Record, Recorded};

/// A shortened commit has at least so many digits, as in the tags of images.
const SHORTEST: usize = 7;
/// So many proofs are listed for people at most.
const LISTED: usize = 5;

/// Something that was released into an environment, and proven there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// What was released.
    pub record: Record,
    /// GitHub's number of the deployment that says so.
    pub deployment: u64,
    /// When that was made, where it is known.
    pub at: Option<Timestamp>,
}

/// Which proof is wished for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish<'w> {
    /// The one of this commit, of seven digits at least, or of this digest.
    Named(&'w str),
    /// That of the run's own commit, else the newest that the commit contains: nobody looks when an event starts a run.
    Contained(&'w str),
    /// That of the run's own commit, else the newest: a person decides.
    Newest(Option<&'w str>),
}

/// What is promoted for a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice<'p> {
    /// This one.
    This(&'p Proof),
    /// The first of these, newest first, whose commit is contained in that of the run.
    FirstContained(Vec<&'p Proof>),
}

/// Chooses for `service` among what `source` proved, newest first. Errors are `promotion-unproven`: they say what was
/// proven last.
pub fn choose<'p>(
    wish: Wish<'_>,
    service: &str,
    source: &str,
    proofs: &'p [Proof],
) -> Result<Choice<'p>, Problem> {
    let known: Vec<&Proof> = proofs.iter().filter(|proof| image(proof, service).is_some()).collect();
    let Some(newest) = known.first() else { return Err(never(service, source, proofs)) };
    let of = |commit: &str| known.iter().find(|proof| proof.record.commit.eq_ignore_ascii_case(commit));
    match wish {
        Wish::Named(to) => named(to, service, source, proofs).map(Choice::This),
        Wish::Contained(commit) => Ok(match of(commit) {
            Some(exact) => Choice::This(exact),
            None => Choice::FirstContained(
                known.into_iter().filter(|proof| is_commit(&proof.record.commit)).collect(),
            ),
        }),
        Wish::Newest(commit) => Ok(Choice::This(commit.and_then(of).unwrap_or(newest))),
    }
}

/// The image that a proof has of a service, with its digest.
pub fn image<'p>(proof: &'p Proof, service: &str) -> Option<(&'p ImageRef, &'p Digest)> {
    let recorded: &Recorded = proof.record.services.get(service)?;
    Some((&recorded.image, recorded.digest()?))
}

fn is_commit(text: &str) -> bool {
    (SHORTEST..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn named<'p>(to: &str, service: &str, source: &str, proofs: &'p [Proof]) -> Result<&'p Proof, Problem> {
    let digest: Option<Digest> = to.parse().ok();
    if digest.is_none() && !is_commit(to) {
        let sentence = format!("`{to}` is neither a commit of seven digits or more nor a digest.");
        return Err(Problem::error(Code::InputInvalid, sentence).help(list(source, proofs)));
    }
    let start = to.to_ascii_lowercase();
    let of_commit = |proof: &&Proof| match &digest {
        Some(digest) => image(proof, service).is_some_and(|(_, own)| own == digest),
        None => proof.record.commit.to_ascii_lowercase().starts_with(&start),
    };
    let fitting: Vec<&Proof> = proofs.iter().filter(of_commit).collect();
    if let Some(other) = fitting.iter().find(|proof| proof.record.commit != fitting[0].record.commit)
        && digest.is_none()
    {
        let (one, other) = (&fitting[0].record.commit, &other.record.commit);
        let sentence =
            format!("`{to}` stands for several commits that `{source}` proved: {one} and {other}.");
        return Err(Problem::error(Code::PromotionUnproven, sentence).help("Write more of its digits."));
    }
    match fitting.iter().find(|proof| image(proof, service).is_some()) {
        Some(proof) => Ok(proof),
        None => Err(not_this(to, source, proofs, fitting.first().copied())),
    }
}

fn not_this(to: &str, source: &str, proofs: &[Proof], other: Option<&Proof>) -> Problem {
    let sentence = match other {
        Some(proof) => format!(
            "`{source}` proved `{to}`, but without this service (deployment {}: {}).",
            proof.deployment,
            services(proof)
        ),
        None => format!("`{source}` has not proven `{to}`, so it is not promoted."),
    };
    Problem::error(Code::PromotionUnproven, sentence).help(list(source, proofs))
}

fn never(service: &str, source: &str, proofs: &[Proof]) -> Problem {
    let sentence = match proofs.first() {
        Some(_) => {
            format!("`{source}` has never proven the service `{service}`, so nothing of it is promoted.")
        }
        None => format!("`{source}` has not proven anything yet, so there is nothing to promote."),
    };
    Problem::error(Code::PromotionUnproven, sentence).help(list(source, proofs))
}

/// The problem of an event whose commit contains nothing that was proven.
pub fn uncontained(commit: &str, source: &str, proofs: &[Proof]) -> Problem {
    let sentence = format!(
        "Nothing that `{source}` has proven is contained in the commit {}, so nothing is promoted.",
        short(commit)
    );
    let help = format!(
        "{} Merge what was proven (a squash or a rebase makes other commits), or start the workflow by hand \
         (workflow_dispatch), which takes the newest or what the input `to` names.",
        list(source, proofs)
    );
    Problem::error(Code::PromotionUnproven, sentence).help(help)
}

/// What was proven, newest first, in words.
fn list(source: &str, proofs: &[Proof]) -> String {
    let lines: Vec<String> = proofs.iter().take(LISTED).map(line).collect();
    match proofs.len().saturating_sub(LISTED) {
        _ if lines.is_empty() => {
            format!(
                "Deploy to `{source}` first; its job needs `permissions: deployments: write` to say what it proved."
            )
        }
        0 => format!("Proven there, newest first: {}.", lines.join(", ")),
        more => format!("Proven there, newest first: {}, and {more} older.", lines.join(", ")),
    }
}

fn line(proof: &Proof) -> String {
    let at = proof.at.map(|at| format!(", {}", at.strftime("%Y-%m-%d %H:%M UTC"))).unwrap_or_default();
    let commit = short(&proof.record.commit);
    format!("{commit} ({}; deployment {}{at})", services(proof), proof.deployment)
}

fn services(proof: &Proof) -> String {
    proof.record.services.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn short(commit: &str) -> String {
    match commit.get(..SHORTEST) {
        Some(short) => short.to_owned(),
        None => "an unknown commit".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(deployment: u64, commit: &str, services: &[(&str, char)]) -> Proof {
        let image = |digit: &char| {
            format!("r.example/acme/x@sha256:{}", digit.to_string().repeat(64)).parse().unwrap()
        };
        let services =
            services.iter().map(|(name, digit)| ((*name).into(), Recorded { image: image(digit) }));
        let record =
            Record { environment: "staging".into(), commit: commit.repeat(10), services: services.collect() };
        Proof { record, deployment, at: Some(Timestamp::UNIX_EPOCH) }
    }

    /// Newest first, as they are read.
    fn proofs() -> Vec<Proof> {
        vec![
            proof(9, "dddd", &[("web", 'd')]),
            proof(8, "cccc", &[("api", 'c'), ("web", 'c')]),
            proof(7, "bbbb", &[("api", 'b'), ("web", 'b')]),
            proof(6, "bbbb", &[("web", '6')]),
        ]
    }

    fn chosen(wish: Wish<'_>, service: &str, proofs: &[Proof]) -> String {
        match choose(wish, service, "staging", proofs) {
            Ok(Choice::This(proof)) => proof.deployment.to_string(),
            Ok(Choice::FirstContained(all)) => {
                format!("contained of {:?}", all.iter().map(|proof| proof.deployment).collect::<Vec<_>>())
            }
            Err(problem) => format!("{}: {problem}", problem.code),
        }
    }

    #[test]
    fn a_commit_or_a_digest_is_taken_by_name_and_else_the_run_decides() {
        let commit = "bbbb".repeat(10);
        let upper = commit.to_uppercase();
        let digest = format!("sha256:{}", "6".repeat(64));
        let other = "ffff".repeat(10);
        for (wish, service, expected) in [
            (Wish::Named(&commit), "web", "7"),
            (Wish::Named(&upper), "web", "7"),
            (Wish::Named("bbbbbbb"), "api", "7"),
            (Wish::Named(&digest), "web", "6"),
            (Wish::Contained(&commit), "web", "7"),
            (Wish::Contained(&other), "web", "contained of [9, 8, 7, 6]"),
            (Wish::Contained(&other), "api", "contained of [8, 7]"),
            (Wish::Newest(Some(&commit)), "api", "7"),
            (Wish::Newest(Some(&other)), "web", "9"),
            (Wish::Newest(None), "api", "8"),
        ] {
            assert_eq!(chosen(wish, service, &proofs()), expected, "{wish:?} {service}");
        }
    }

    #[test]
    fn without_a_proof_nothing_is_chosen_and_the_last_one_is_named() {
        let (digest, other) = (format!("sha256:{}", "0".repeat(64)), "ffff".repeat(10));
        insta::assert_snapshot!([
            chosen(Wish::Newest(None), "web", &[]),
            chosen(Wish::Newest(None), "worker", &proofs()),
            chosen(Wish::Named(&other), "web", &proofs()[..1]),
            chosen(Wish::Named("ddddddd"), "api", &proofs()[..2]),
            chosen(Wish::Named(&digest), "web", &proofs()[..1]),
            chosen(Wish::Named("main"), "web", &proofs()[..1]),
            uncontained(&other, "staging", &proofs()[..1]).to_string(),
        ].join("\n"), @"
        promotion-unproven: `staging` has not proven anything yet, so there is nothing to promote. Deploy to `staging` first; its job needs `permissions: deployments: write` to say what it proved.
        promotion-unproven: `staging` has never proven the service `worker`, so nothing of it is promoted. Proven there, newest first: ddddddd (`web`; deployment 9, 1970-01-01 00:00 UTC), ccccccc (`api`, `web`; deployment 8, 1970-01-01 00:00 UTC), bbbbbbb (`api`, `web`; deployment 7, 1970-01-01 00:00 UTC), bbbbbbb (`web`; deployment 6, 1970-01-01 00:00 UTC).
        promotion-unproven: `staging` has not proven `ffffffffffffffffffffffffffffffffffffffff`, so it is not promoted. Proven there, newest first: ddddddd (`web`; deployment 9, 1970-01-01 00:00 UTC).
        promotion-unproven: `staging` proved `ddddddd`, but without this service (deployment 9: `web`). Proven there, newest first: ddddddd (`web`; deployment 9, 1970-01-01 00:00 UTC), ccccccc (`api`, `web`; deployment 8, 1970-01-01 00:00 UTC).
        promotion-unproven: `staging` has not proven `sha256:0000000000000000000000000000000000000000000000000000000000000000`, so it is not promoted. Proven there, newest first: ddddddd (`web`; deployment 9, 1970-01-01 00:00 UTC).
        input-invalid: `main` is neither a commit of seven digits or more nor a digest. Proven there, newest first: ddddddd (`web`; deployment 9, 1970-01-01 00:00 UTC).
        Nothing that `staging` has proven is contained in the commit fffffff, so nothing is promoted. Proven there, newest first: ddddddd (`web`; deployment 9, 1970-01-01 00:00 UTC). Merge what was proven (a squash or a rebase makes other commits), or start the workflow by hand (workflow_dispatch), which takes the newest or what the input `to` names.
        ");
    }

    #[test]
    fn a_short_name_of_two_commits_is_not_guessed_and_no_digest_is_no_proof() {
        let mut two = vec![proof(2, "aaaa", &[("web", 'a')]), proof(1, "aaaa", &[("web", 'b')])];
        two[1].record.commit = format!("{}b", &two[1].record.commit[..39]);
        assert!(chosen(Wish::Named("aaaaaaa"), "web", &two).contains("stands for several commits"));
        two[0].record.services.get_mut("web").unwrap().image.digest = None;
        assert_eq!(chosen(Wish::Newest(None), "web", &two), "1");
        // A record of services of several commits names none.
        two[1].record.commit = String::new();
        assert_eq!(chosen(Wish::Contained(&"c".repeat(40)), "web", &two), "contained of []");
    }
}
