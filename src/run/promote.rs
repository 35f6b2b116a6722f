//! Promotion: each service gets the image that another environment proved, by digest. It is never built and no tag is
//! looked up. What is promoted is chosen by the core; how the image comes into the registry is `transfer`.

use std::rc::Rc;

use aws_config::SdkConfig;

use crate::action::Operation;
use crate::config::Environment;
use crate::github::Project;
use crate::image::Registry;
use crate::plan::promotion::{self, Choice, Proof, Wish, choose, uncontained};
use crate::problem::{Code, Problem, Severity};
use crate::release::{Digest, ImageRef};
use crate::rollback::Starter;

use super::declare::Declared;
use super::lineage::Lineage;
use super::{Job, Unit, hold, operation, transfer};

/// What is promoted for one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Promoted {
    /// The image where it was proven, by its digest.
    pub(super) image: ImageRef,
    /// Its digest.
    pub(super) digest: Digest,
    /// The commit that it is of, in full; `None` where the proof names none.
    pub(super) commit: Option<String>,
    /// Where it was proven, such as `proven in staging by deployment 17`.
    pub(super) origin: String,
}

/// What cannot be asked for: a promotion where none is declared, an image where one is.
pub(super) fn misused(job: &Job, name: &str, environment: &Environment) -> Option<Problem> {
    let inputs = &job.inputs;
    match (&environment.promote_from, inputs.operation) {
        (None, Operation::Promote) => Some(
            Problem::error(
                Code::InputInvalid,
                format!("`{name}` has no `promote-from`, so nothing can be promoted into it."),
            )
            .help(
                "Say in the deploy file which environment proves its versions, or use `operation: deploy`.",
            ),
        ),
        (Some(source), Operation::Deploy | Operation::Plan) if !inputs.images.is_empty() => {
            let sentence =
                format!("`{name}` takes only what `{source}` has proven, so no image can be named.");
            let help = "Leave out the input `image`. `operation: promote` with `to` takes a proven commit or digest.";
            Some(Problem::error(Code::InputInvalid, sentence).help(help))
        }
        _ => None,
    }
}

/// The environment that this run promotes from; `None` where it builds or takes images otherwise.
pub(super) fn source<'d>(job: &Job, declared: &'d Declared) -> Option<&'d str> {
    let promotes = matches!(job.inputs.operation, Operation::Deploy | Operation::Plan | Operation::Promote);
    declared.environment.promote_from.as_deref().filter(|_| promotes)
}

/// Gives every unit the image that `source` proved for it, in the registry of this environment; in a plan, says which one
/// it would be. Errors come before any image is copied, all at once.
pub(super) async fn images(
    job: &Job,
    declared: &Declared,
    source: &str,
    session: Option<&SdkConfig>,
    mut units: Vec<Unit>,
) -> Result<(Vec<Unit>, Option<Rc<dyn Registry>>), Vec<Problem>> {
    let planning = operation(job) == Operation::Plan;
    let (mut chosen, mut problems) = (Vec::new(), Vec::new());
    let evidence = Evidence::gather(job, source).await;
    for unit in &mut units {
        let found = match &evidence {
            Ok(evidence) => evidence.of(job, source, unit.name()).await,
            Err(problem) => Err(problem.clone()),
        };
        match found.map_err(|problem| problem.of(unit.name())) {
            Ok(promoted) => {
                tell(job, unit, &promoted);
                chosen.push(promoted);
            }
            Err(problem) if planning => {
                unit.report.problems.push(Problem { severity: Severity::Warning, ..problem });
            }
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    if planning {
        return Ok((units, None));
    }
    let registry = transfer::bring(job, declared, source, session, &mut units, &chosen).await?;
    Ok((units, registry))
}

/// Says where the image comes from; a plan says the same of what would come.
fn tell(job: &Job, unit: &mut Unit, promoted: &Promoted) {
    let of =
        promoted.commit.as_deref().map_or("an unknown commit", |commit| commit.get(..7).unwrap_or(commit));
    let words = format!("{of} ({}…), {}", promoted.digest.short(), promoted.origin);
    job.teller.line(Some(unit.name()), &format!("promotes {words}"));
    unit.report.moment(job.doors.clock.now(), format!("promotes {words}"));
    unit.would_build = (operation(job) == Operation::Plan).then_some(words);
    unit.report.origin = Some(promoted.origin.clone());
    unit.report.commit = promoted.commit.clone();
    unit.report.digest = Some(promoted.digest.clone());
    unit.release.commit = promoted.commit.clone();
}

/// What the source environment has proven, and how commits lie to each other.
struct Evidence {
    project: Project,
    proofs: Vec<Proof>,
}

impl Evidence {
    async fn gather(job: &Job, source: &str) -> Result<Self, Problem> {
        let nobody = || {
            let sentence = format!(
                "What `{source}` has proven cannot be read: there is no token, or no repository, to ask GitHub about."
            );
            Problem::error(Code::PromotionUnproven, sentence)
                .help("Give the input `github-token`; on a laptop set GITHUB_TOKEN and GITHUB_REPOSITORY.")
        };
        let project = job.project().ok_or_else(nobody)??;
        let proven = project.proven(source).await.map_err(|setback| {
            let problem = setback.problem(project.repository());
            let sentence = format!("What `{source}` has proven cannot be read. {}", problem.sentence);
            let help = "The token needs `permissions: deployments: read`; without it there is no evidence, and nothing is promoted.";
            Problem { code: Code::PromotionUnproven, sentence, help: help.into(), ..problem }
        })?;
        let proof = |one: crate::github::Proven| Proof {
            record: one.record,
            deployment: one.deployment,
            at: one.created,
        };
        Ok(Self { project, proofs: proven.into_iter().map(proof).collect() })
    }

    async fn of(&self, job: &Job, source: &str, service: &str) -> Result<Promoted, Problem> {
        let commit = job.context.commit();
        let wish = match (job.inputs.to.as_deref(), hold::starter(job), commit) {
            (Some(to), ..) => Wish::Named(to),
            (None, Starter::Person, commit) => Wish::Newest(commit),
            (None, _, Some(commit)) => Wish::Contained(commit),
            (None, _, None) => return Err(uncontained("", source, &self.proofs)),
        };
        let proof = match choose(wish, service, source, &self.proofs)? {
            Choice::This(proof) => proof,
            Choice::FirstContained(candidates) => {
                let head = commit.unwrap_or_default();
                let first = self.first_contained(head, &candidates).await?;
                first.ok_or_else(|| uncontained(head, source, &self.proofs))?
            }
        };
        let found = promotion::image(proof, service);
        let (image, digest) = found.ok_or_else(|| uncontained("", source, &self.proofs))?;
        Ok(Promoted {
            image: image.pinned(digest.clone()),
            digest: digest.clone(),
            commit: Some(proof.record.commit.clone()).filter(|commit| !commit.is_empty()),
            origin: format!("proven in {source} by deployment {}", proof.deployment),
        })
    }

    async fn first_contained<'p>(
        &self,
        head: &str,
        candidates: &[&'p Proof],
    ) -> Result<Option<&'p Proof>, Problem> {
        let mut lineage = Lineage::of(&self.project, head);
        for proof in candidates {
            if lineage.contains(&proof.record.commit).await? {
                return Ok(Some(proof));
            }
        }
        Ok(None)
    }
}
