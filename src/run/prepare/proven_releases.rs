//! The releases that the source environment of a promotion has proven: records whose run, job and image were checked. The
//! core selects among them.

use std::rc::Rc;

use aws_config::SdkConfig;

use crate::github::{ApiError, DeploymentHistory, RecordedDeployment, RunRepository};
use crate::plan::promotion::{
    Candidate, PromotionRequest, ProvenRelease, choose_candidate, no_proven_ancestor, proven_container_image,
    proven_image,
};
use crate::problem::{Code, Problem};
use crate::rollback::TriggeredBy;
use crate::run::context::RunContext;
use crate::run::prepare::ancestry::AncestryCache;
use crate::run::prepare::image_copy::{PromotedImage, ProvenImage};
use crate::run::prepare::source_images::SourceImages;
use crate::run::proof::{self, RecordVerifier, Verdict};
use crate::run::run_config::RunConfig;

/// Maximum rejected records in a message.
const MAX_LISTED: usize = 5;

/// The records of the source environment, and what checks them.
pub(super) struct ProvenReleases<'r> {
    ctx: &'r RunContext,
    source: &'r str,
    repository: Rc<RunRepository>,
    /// The records as far as they were read; older ones are read while the wanted one is not among them.
    history: DeploymentHistory,
    /// What was recorded as proven, newest first, as far as it was read.
    records: Vec<RecordedDeployment>,
    verifier: RecordVerifier,
    images: SourceImages<'r>,
}

/// Records that do not count for a service, with the reasons.
#[derive(Default)]
struct Rejected(Vec<RejectedRecord>);

struct RejectedRecord {
    release: ProvenRelease,
    reason: String,
}

impl<'r> ProvenReleases<'r> {
    /// Reads the records of `source`.
    pub(super) async fn load(
        ctx: &'r RunContext,
        config: &'r RunConfig,
        source: &'r str,
        session: Option<&'r SdkConfig>,
    ) -> Result<Self, Problem> {
        let repository = Rc::new(ctx.run_repository().ok_or_else(|| no_token_problem(source))??);
        let history = repository.deployment_history(source).await;
        let history = history.map_err(|error| unreadable_problem(source, repository.repository(), &error))?;
        let images = SourceImages::new(ctx, config, source, session);
        let rules = proof::proof_rules(ctx, source, images.environment());
        let verifier = RecordVerifier::new(repository.clone(), rules, ctx.run_number());
        let records = proven_records(&history);
        Ok(Self { ctx, source, repository, history, records, verifier, images })
    }

    /// The images of a service that are promoted: its own, and those of these further containers. A record that does not
    /// count is left out, and the next one is chosen.
    pub(super) async fn select(
        &mut self,
        service: &str,
        containers: &[String],
    ) -> Result<PromotedImage, Problem> {
        self.read_own_commit(service).await?;
        let mut rejected = Rejected::default();
        let (repository, head) = (self.repository.clone(), self.ctx.context.commit().unwrap_or_default());
        let mut ancestry = AncestryCache::new(&repository, head);
        loop {
            let open = rejected.remaining(&self.records);
            let release = match self.choose(service, &open, &mut ancestry).await {
                Ok(release) => release,
                // Perhaps it is older than what was read.
                Err(problem) if problem.code == Code::PromotionUnproven && self.read_older().await? => {
                    continue;
                }
                Err(problem) => return Err(self.with_limit(rejected.explain(problem))),
            };
            match self.rejection(service, containers, &release).await? {
                None => return self.promoted(service, containers, &release),
                Some(reason) => rejected.0.push(RejectedRecord { release, reason }),
            }
        }
    }

    /// Reads until the release of the run's own commit is found: it goes before newer ones of other commits.
    async fn read_own_commit(&mut self, service: &str) -> Result<(), Problem> {
        let Some(commit) = self.ctx.context.commit().filter(|_| self.ctx.inputs.to.is_none()) else {
            return Ok(());
        };
        let is_own = |one: &RecordedDeployment| {
            one.record.commit.eq_ignore_ascii_case(commit) && one.record.services.contains_key(service)
        };
        while !self.records.iter().any(is_own) && self.read_older().await? {}
        Ok(())
    }

    async fn read_older(&mut self) -> Result<bool, Problem> {
        let older = self.repository.read_older(&mut self.history).await;
        let has_more =
            older.map_err(|error| unreadable_problem(self.source, self.repository.repository(), &error))?;
        if has_more {
            self.records = proven_records(&self.history);
        }
        Ok(has_more)
    }

    /// The problem; where older records are left unread, it does not say that there are none.
    fn with_limit(&self, problem: Problem) -> Problem {
        if self.history.is_complete() {
            return problem;
        }
        let limit = format!(
            "GitHub has more deployments of `{}` than one run reads: an older release is not known.",
            self.source
        );
        let cause = problem.cause.iter().cloned().chain([limit]).collect::<Vec<_>>().join(" ");
        problem.cause(cause)
    }

    async fn choose(
        &self,
        service: &str,
        open: &[ProvenRelease],
        ancestry: &mut AncestryCache<'_>,
    ) -> Result<ProvenRelease, Problem> {
        let (ctx, source) = (self.ctx, self.source);
        let commit = ctx.context.commit();
        let request = match (ctx.inputs.to.as_deref(), ctx.triggered_by(), commit) {
            (Some(to), ..) => PromotionRequest::Named(to),
            (None, TriggeredBy::Person, commit) => PromotionRequest::Newest(commit),
            (None, _, Some(commit)) => PromotionRequest::NewestAncestor(commit),
            (None, _, None) => return Err(no_proven_ancestor("", source, open)),
        };
        match choose_candidate(request, service, source, open)? {
            Candidate::Exact(release) => Ok(release.clone()),
            Candidate::FirstAncestor(candidates) => {
                for release in candidates {
                    if ancestry.contains(&release.record.commit).await? {
                        return Ok(release.clone());
                    }
                }
                Err(no_proven_ancestor(commit.unwrap_or_default(), source, open))
            }
        }
    }

    /// Why a record does not count for a service; `None` if it does.
    async fn rejection(
        &self,
        service: &str,
        containers: &[String],
        release: &ProvenRelease,
    ) -> Result<Option<String>, Problem> {
        let same = |one: &&RecordedDeployment| {
            one.deployment == release.deployment_id && one.record == release.record
        };
        let Some(record) = self.records.iter().find(same) else { return Ok(Some("it is gone".into())) };
        match self.verifier.verify(record).await {
            Verdict::Bound => {}
            Verdict::Unbound(reason) => return Ok(Some(reason)),
            Verdict::Unknown(reason) => return Err(unchecked_problem(self.source, reason)),
        }
        let Some((image, _)) = proven_image(release, service) else {
            return Ok(Some("it has no image of this service".into()));
        };
        if let Some(reason) = self.images.rejection(service, None, image).await? {
            return Ok(Some(reason));
        }
        for container in containers {
            let Some((image, _)) = proven_container_image(release, service, container) else {
                return Ok(Some(format!("it has no image of the container `{container}`")));
            };
            if let Some(reason) = self.images.rejection(service, Some(container), image).await? {
                return Ok(Some(reason));
            }
        }
        Ok(None)
    }

    fn promoted(
        &self,
        service: &str,
        containers: &[String],
        release: &ProvenRelease,
    ) -> Result<PromotedImage, Problem> {
        let found = proven_image(release, service);
        let (image, digest) = found.ok_or_else(|| no_proven_ancestor("", self.source, &[]))?;
        let further = |name: &String| {
            let (image, digest) = proven_container_image(release, service, name)?;
            Some((name.clone(), ProvenImage::new(image, digest)))
        };
        Ok(PromotedImage {
            own: ProvenImage::new(image, digest),
            containers: containers.iter().filter_map(further).collect(),
            commit: Some(release.record.commit.clone()).filter(|commit| !commit.is_empty()),
            origin: format!("proven in {} by deployment {}", self.source, release.deployment_id),
        })
    }
}

impl Rejected {
    /// The releases that are not rejected.
    fn remaining(&self, records: &[RecordedDeployment]) -> Vec<ProvenRelease> {
        let release = |one: &RecordedDeployment| ProvenRelease {
            record: one.record.clone(),
            deployment_id: one.deployment,
            created_at: one.created_at,
        };
        let is_open = |release: &ProvenRelease| !self.0.iter().any(|rejected| rejected.release == *release);
        records.iter().map(release).filter(is_open).collect()
    }

    /// The problem with the reasons for which records were left out.
    fn explain(&self, problem: Problem) -> Problem {
        if self.0.is_empty() {
            return problem;
        }
        let line = |one: &RejectedRecord| {
            format!("Deployment {} does not count: {}.", one.release.deployment_id, one.reason)
        };
        let mut lines: Vec<String> = self.0.iter().take(MAX_LISTED).map(line).collect();
        if self.0.len() > MAX_LISTED {
            lines.push(format!("{} more do not count either.", self.0.len() - MAX_LISTED));
        }
        problem.cause(lines.join(" "))
    }
}

fn proven_records(history: &DeploymentHistory) -> Vec<RecordedDeployment> {
    history.entries().into_iter().filter(|entry| entry.proven).collect()
}

fn unreadable_problem(source: &str, repository: &str, error: &ApiError) -> Problem {
    let problem = error.problem(repository);
    let sentence = format!("What `{source}` has proven cannot be read. {}", problem.sentence);
    let help = "The token needs `permissions: deployments: read`; without it there is no evidence, and nothing is promoted.";
    Problem { code: Code::PromotionUnproven, sentence, help: help.into(), ..problem }
}

fn no_token_problem(source: &str) -> Problem {
    let sentence = format!(
        "What `{source}` has proven cannot be read: there is no token, or no repository, to ask GitHub about."
    );
    Problem::error(Code::PromotionUnproven, sentence)
        .help("Give the input `github-token`; on a laptop set GITHUB_TOKEN and GITHUB_REPOSITORY.")
}

fn unchecked_problem(source: &str, reason: String) -> Problem {
    let sentence = format!("It cannot be checked which runs proved the versions in `{source}`.");
    let help = "Without that there is no evidence, and nothing is promoted.";
    Problem::error(Code::PromotionUnproven, sentence).cause(reason).help(help)
}
