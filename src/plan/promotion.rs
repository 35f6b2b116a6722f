//! Which proven release is promoted: a digest proven in the source environment, and no other. Pure. Whether one commit
//! contains another is read elsewhere, for the candidates named here.

use jiff::Timestamp;

use crate::problem::{Code, Problem};
use crate::release::{DeploymentRecord, Digest, ImageRef, RecordedService};

/// Minimum digits of a shortened commit, as in image tags.
const MIN_SHA_LENGTH: usize = 7;
/// Maximum proven releases in a list for users.
const MAX_LISTED: usize = 5;

/// A release that was proven in an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenRelease {
    /// What was released.
    pub record: DeploymentRecord,
    /// The id of its GitHub deployment.
    pub deployment_id: u64,
    /// When it was created, if known.
    pub created_at: Option<Timestamp>,
}

/// Which proven release is requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromotionRequest<'w> {
    /// The one of this commit (seven digits or more) or digest.
    Named(&'w str),
    /// The one of the run's commit, else the newest that the commit contains: for runs that nobody watches.
    NewestAncestor(&'w str),
    /// The one of the run's commit, else the newest: a person decides.
    Newest(Option<&'w str>),
}

/// What is promoted for a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Candidate<'p> {
    /// This one.
    Exact(&'p ProvenRelease),
    /// The first of these, newest first, whose commit is contained in the commit of the run.
    FirstAncestor(Vec<&'p ProvenRelease>),
}

/// Chooses for `service` among the proven releases of `source`, newest first. Errors are `promotion-unproven` and list
/// the newest proven releases.
pub fn choose_candidate<'p>(
    request: PromotionRequest<'_>,
    service: &str,
    source: &str,
    proofs: &'p [ProvenRelease],
) -> Result<Candidate<'p>, Problem> {
    let known: Vec<&ProvenRelease> =
        proofs.iter().filter(|proof| proven_image(proof, service).is_some()).collect();
    let Some(newest) = known.first() else { return Err(never_proven_problem(service, source, proofs)) };
    let of = |commit: &str| known.iter().find(|proof| proof.record.commit.eq_ignore_ascii_case(commit));
    match request {
        PromotionRequest::Named(to) => find_named(to, service, source, proofs).map(Candidate::Exact),
        PromotionRequest::NewestAncestor(commit) => Ok(match of(commit) {
            Some(exact) => Candidate::Exact(exact),
            None => Candidate::FirstAncestor(
                known.into_iter().filter(|proof| is_commit_sha(&proof.record.commit)).collect(),
            ),
        }),
        PromotionRequest::Newest(commit) => Ok(Candidate::Exact(commit.and_then(of).unwrap_or(newest))),
    }
}

/// The image of a service in a proven release, with its digest.
pub fn proven_image<'p>(proof: &'p ProvenRelease, service: &str) -> Option<(&'p ImageRef, &'p Digest)> {
    let recorded: &RecordedService = proof.record.services.get(service)?;
    Some((&recorded.image, recorded.digest()?))
}

/// The image of a further container of a service in a proven release, with its digest.
pub fn proven_container_image<'p>(
    proof: &'p ProvenRelease,
    service: &str,
    container: &str,
) -> Option<(&'p ImageRef, &'p Digest)> {
    let image = proof.record.services.get(service)?.container_images.get(container)?;
    Some((image, image.digest.as_ref()?))
}

fn is_commit_sha(text: &str) -> bool {
    (MIN_SHA_LENGTH..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn find_named<'p>(
    to: &str,
    service: &str,
    source: &str,
    proofs: &'p [ProvenRelease],
) -> Result<&'p ProvenRelease, Problem> {
    let digest: Option<Digest> = to.parse().ok();
    if digest.is_none() && !is_commit_sha(to) {
        let sentence = format!("`{to}` is neither a commit of seven digits or more nor a digest.");
        return Err(Problem::error(Code::InputInvalid, sentence).help(list_releases(source, proofs)));
    }
    let start = to.to_ascii_lowercase();
    let of_commit = |proof: &&ProvenRelease| match &digest {
        Some(digest) => proven_image(proof, service).is_some_and(|(_, own)| own == digest),
        None => proof.record.commit.to_ascii_lowercase().starts_with(&start),
    };
    let fitting: Vec<&ProvenRelease> = proofs.iter().filter(of_commit).collect();
    if let Some(other) = fitting.iter().find(|proof| proof.record.commit != fitting[0].record.commit)
        && digest.is_none()
    {
        let (one, other) = (&fitting[0].record.commit, &other.record.commit);
        let sentence = format!("`{to}` matches several commits proven in `{source}`: {one} and {other}.");
        return Err(
            Problem::error(Code::PromotionUnproven, sentence).help("Write more digits of the commit.")
        );
    }
    match fitting.iter().find(|proof| proven_image(proof, service).is_some()) {
        Some(proof) => Ok(proof),
        None => Err(not_proven_problem(to, source, proofs, fitting.first().copied())),
    }
}

fn not_proven_problem(
    to: &str,
    source: &str,
    proofs: &[ProvenRelease],
    other: Option<&ProvenRelease>,
) -> Problem {
    let sentence = match other {
        Some(proof) => format!(
            "`{to}` is proven in `{source}`, but without this service (deployment {}: {}).",
            proof.deployment_id,
            list_services(proof)
        ),
        None => format!("`{to}` is not proven in `{source}`, so it is not promoted."),
    };
    Problem::error(Code::PromotionUnproven, sentence).help(list_releases(source, proofs))
}

fn never_proven_problem(service: &str, source: &str, proofs: &[ProvenRelease]) -> Problem {
    let sentence = match proofs.first() {
        Some(_) => {
            format!(
                "No release of the service `{service}` is proven in `{source}`, so there is nothing to promote."
            )
        }
        None => format!("Nothing is proven in `{source}` yet, so there is nothing to promote."),
    };
    Problem::error(Code::PromotionUnproven, sentence).help(list_releases(source, proofs))
}

/// The problem of an event whose commit contains no proven release.
pub fn no_proven_ancestor(commit: &str, source: &str, proofs: &[ProvenRelease]) -> Problem {
    let sentence = format!(
        "The commit {} contains no release proven in `{source}`, so nothing is promoted.",
        short_sha(commit)
    );
    let help = format!(
        "{} Merge the proven commit (a squash or a rebase creates other commits), or start the workflow manually \
         (workflow_dispatch), which promotes the newest one, or the one in the input `to`.",
        list_releases(source, proofs)
    );
    Problem::error(Code::PromotionUnproven, sentence).help(help)
}

/// The proven releases as text, newest first.
fn list_releases(source: &str, proofs: &[ProvenRelease]) -> String {
    let lines: Vec<String> = proofs.iter().take(MAX_LISTED).map(describe_release).collect();
    match proofs.len().saturating_sub(MAX_LISTED) {
        _ if lines.is_empty() => {
            format!(
                "Deploy to `{source}` first; its job needs `permissions: deployments: write` to record proven releases."
            )
        }
        0 => format!("Proven there, newest first: {}.", lines.join(", ")),
        more => format!("Proven there, newest first: {}, and {more} older.", lines.join(", ")),
    }
}

fn describe_release(proof: &ProvenRelease) -> String {
    let at =
        proof.created_at.map(|at| format!(", {}", at.strftime("%Y-%m-%d %H:%M UTC"))).unwrap_or_default();
    let commit = short_sha(&proof.record.commit);
    format!("{commit} ({}; deployment {}{at})", list_services(proof), proof.deployment_id)
}

fn list_services(proof: &ProvenRelease) -> String {
    proof.record.services.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn short_sha(commit: &str) -> String {
    match commit.get(..MIN_SHA_LENGTH) {
        Some(short) => short.to_owned(),
        None => "an unknown commit".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proven_release(deployment: u64, commit: &str, services: &[(&str, char)]) -> ProvenRelease {
        let image = |digit: &char| {
            format!("r.example/acme/x@sha256:{}", digit.to_string().repeat(64)).parse().unwrap()
        };
        let services =
            services.iter().map(|(name, digit)| ((*name).into(), RecordedService::brought(image(digit))));
        let record = DeploymentRecord {
            environment: "staging".into(),
            commit: commit.repeat(10),
            services: services.collect(),
        };
        ProvenRelease { record, deployment_id: deployment, created_at: Some(Timestamp::UNIX_EPOCH) }
    }

    /// Newest first, as they are read.
    fn proven_releases() -> Vec<ProvenRelease> {
        vec![
            proven_release(9, "dddd", &[("web", 'd')]),
            proven_release(8, "cccc", &[("api", 'c'), ("web", 'c')]),
            proven_release(7, "bbbb", &[("api", 'b'), ("web", 'b')]),
            proven_release(6, "bbbb", &[("web", '6')]),
        ]
    }

    fn chosen(request: PromotionRequest<'_>, service: &str, proofs: &[ProvenRelease]) -> String {
        match choose_candidate(request, service, "staging", proofs) {
            Ok(Candidate::Exact(proof)) => proof.deployment_id.to_string(),
            Ok(Candidate::FirstAncestor(all)) => {
                format!("contained of {:?}", all.iter().map(|proof| proof.deployment_id).collect::<Vec<_>>())
            }
            Err(problem) => format!("{}: {problem}", problem.code),
        }
    }

    #[test]
    fn named_commit_or_digest_is_promoted_else_that_of_the_run() {
        let commit = "bbbb".repeat(10);
        let upper = commit.to_uppercase();
        let digest = format!("sha256:{}", "6".repeat(64));
        let other = "ffff".repeat(10);
        for (request, service, expected) in [
            (PromotionRequest::Named(&commit), "web", "7"),
            (PromotionRequest::Named(&upper), "web", "7"),
            (PromotionRequest::Named("bbbbbbb"), "api", "7"),
            (PromotionRequest::Named(&digest), "web", "6"),
            (PromotionRequest::NewestAncestor(&commit), "web", "7"),
            (PromotionRequest::NewestAncestor(&other), "web", "contained of [9, 8, 7, 6]"),
            (PromotionRequest::NewestAncestor(&other), "api", "contained of [8, 7]"),
            (PromotionRequest::Newest(Some(&commit)), "api", "7"),
            (PromotionRequest::Newest(Some(&other)), "web", "9"),
            (PromotionRequest::Newest(None), "api", "8"),
        ] {
            assert_eq!(chosen(request, service, &proven_releases()), expected, "{request:?} {service}");
        }
    }

    #[test]
    fn without_a_proven_release_nothing_is_chosen_and_the_newest_is_listed() {
        let (digest, other) = (format!("sha256:{}", "0".repeat(64)), "ffff".repeat(10));
        insta::assert_snapshot!([
            chosen(PromotionRequest::Newest(None), "web", &[]),
            chosen(PromotionRequest::Newest(None), "worker", &proven_releases()),
            chosen(PromotionRequest::Named(&other), "web", &proven_releases()[..1]),
            chosen(PromotionRequest::Named("ddddddd"), "api", &proven_releases()[..2]),
            chosen(PromotionRequest::Named(&digest), "web", &proven_releases()[..1]),
            chosen(PromotionRequest::Named("main"), "web", &proven_releases()[..1]),
            no_proven_ancestor(&other, "staging", &proven_releases()[..1]).to_string(),
        ].join("\n"), @"
        promotion-unproven: Nothing is proven in `staging` yet, so there is nothing to promote. Deploy to `staging` first; its job needs `permissions: deployments: write` to record proven releases.
        promotion-unproven: No release of the service `worker` is proven in `staging`, so there is nothing to promote. Proven there, newest first: ddddddd (`web`; deployment 9, 1970-01-01 00:00 UTC), ccccccc (`api`, `web`; deployment 8, 1970-01-01 00:00 UTC), bbbbbbb (`api`, `web`; deployment 7, 1970-01-01 00:00 UTC), bbbbbbb (`web`; deployment 6, 1970-01-01 00:00 UTC).
        promotion-unproven: `ffffffffffffffffffffffffffffffffffffffff` is not proven in `staging`, so it is not promoted. Proven there, newest first: ddddddd (`web`; deployment 9, 1970-01-01 00:00 UTC).
        promotion-unproven: `ddddddd` is proven in `staging`, but without this service (deployment 9: `web`). Proven there, newest first: ddddddd (`web`; deployment 9, 1970-01-01 00:00 UTC), ccccccc (`api`, `web`; deployment 8, 1970-01-01 00:00 UTC).
        promotion-unproven: `sha256:0000000000000000000000000000000000000000000000000000000000000000` is not proven in `staging`, so it is not promoted. Proven there, newest first: ddddddd (`web`; deployment 9, 1970-01-01 00:00 UTC).
        input-invalid: `main` is neither a commit of seven digits or more nor a digest. Proven there, newest first: ddddddd (`web`; deployment 9, 1970-01-01 00:00 UTC).
        The commit fffffff contains no release proven in `staging`, so nothing is promoted. Proven there, newest first: ddddddd (`web`; deployment 9, 1970-01-01 00:00 UTC). Merge the proven commit (a squash or a rebase creates other commits), or start the workflow manually (workflow_dispatch), which promotes the newest one, or the one in the input `to`.
        ");
    }

    #[test]
    fn ambiguous_commit_and_missing_digest_are_rejected() {
        let mut two =
            vec![proven_release(2, "aaaa", &[("web", 'a')]), proven_release(1, "aaaa", &[("web", 'b')])];
        two[1].record.commit = format!("{}b", &two[1].record.commit[..39]);
        assert!(chosen(PromotionRequest::Named("aaaaaaa"), "web", &two).contains("matches several commits"));
        two[0].record.services.get_mut("web").unwrap().image.digest = None;
        assert_eq!(chosen(PromotionRequest::Newest(None), "web", &two), "1");
        // A record of services of several commits names none.
        two[1].record.commit = String::new();
        assert_eq!(chosen(PromotionRequest::NewestAncestor(&"c".repeat(40)), "web", &two), "contained of []");
    }
}
