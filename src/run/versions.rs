//! `roadstead versions`: what there is to return to, and what a rollback would select. It only reads.

use std::rc::Rc;

use futures::future::join_all;

use crate::github::{DeploymentHistory, RecordedDeployment, RunRepository};
use crate::problem::Problem;
use crate::release::{CompletedVersion, RecordedService, digests_agree};
use crate::report::RunReport;
use crate::report::versions::{ProofRecord, ServiceVersions, VersionList, VersionRow};
use crate::rollback;
use crate::run::context::RunContext;
use crate::run::prepare::{self, deploy_file};
use crate::run::proof::{self, RecordVerifier, Verdict};
use crate::run::run_config::{EarlyExit, RunConfig};
use crate::run::session;
use crate::targets::{ServiceSpec, Target};

/// Pages of deployment records that are read at most.
const MAX_PAGES: usize = 10;

/// The versions of every service of the run. Errors are the report of a run that could not begin.
pub async fn list_versions(ctx: &RunContext) -> Result<VersionList, Box<RunReport>> {
    let listed = Box::pin(list(ctx)).await;
    listed.map_err(|exit| Box::new(ctx.finished_now(exit.into_report(ctx.blank_report()))))
}

async fn list(ctx: &RunContext) -> Result<VersionList, EarlyExit> {
    let config = deploy_file::load_config(ctx)?;
    if config.has_errors() {
        return Err(config.invalid(config.problems.clone()));
    }
    let session = session::open_session(ctx, &config).await;
    let session = session.map_err(|problem| config.invalid(vec![problem]))?;
    let (connected, failed) = prepare::connect_each(ctx, &config, &session);
    let records = match ReadRecords::read(ctx, &config).await {
        Ok(records) => Records::Read(Box::new(records)),
        Err(why) => Records::Unread(why),
    };
    let reading =
        connected.iter().map(|(declared, target)| read_service(&declared.service, target.clone(), &records));
    let services = join_all(reading).await;
    let refused = config.refused.iter().flat_map(|one| one.problems.clone());
    let problems = [config.problems.clone(), session.problems.clone(), failed].concat();
    Ok(VersionList {
        environment: config.environment_name.clone(),
        services,
        problems: problems.into_iter().chain(refused).collect(),
        unread_records: records.unread_reason().map(str::to_owned),
    })
}

async fn read_service(service: &ServiceSpec, target: Rc<dyn Target>, records: &Records) -> ServiceVersions {
    let (name, location) = (service.name.clone(), service.location());
    let reading = async { Ok::<_, Problem>((target.observe().await?, target.history().list().await?)) };
    let (observed, history) = match reading.await {
        Ok(read) => read,
        Err(problem) => {
            return ServiceVersions {
                name,
                location,
                rows: Vec::new(),
                rolls_back_to: None,
                error: Some(problem),
            };
        }
    };
    let selected = rollback::select(None, &history, &observed).ok().map(|one| one.version);
    let rolled_back = rollback::rolled_back_versions(&history);
    let mut rows = Vec::new();
    for one in rollback::distinct_versions(&history) {
        let proof = records.proof_of(&service.name, one).await;
        rows.push(VersionRow {
            label: one.version.label.clone(),
            completed_at: one.completed_at,
            digest: one.digest.clone(),
            commit: proof.commit().or_else(|| one.commits.first().cloned()),
            proof,
            is_serving: observed.version.as_ref() == Some(&one.version),
            was_rolled_back: rolled_back.iter().any(|back| back.version == one.version),
            is_selected: selected.as_ref() == Some(&one.version),
        });
    }
    let rolls_back_to = selected.map(|version| version.label);
    ServiceVersions { name, location, rows, rolls_back_to, error: None }
}

/// The deployment records of the environment.
enum Records {
    Read(Box<ReadRecords>),
    /// They could not be read, for this reason.
    Unread(String),
}

impl Records {
    fn unread_reason(&self) -> Option<&str> {
        match self {
            Self::Read(_) => None,
            Self::Unread(why) => Some(why),
        }
    }

    /// What the records say of the digest of a version.
    async fn proof_of(&self, service: &str, version: &CompletedVersion) -> ProofRecord {
        match self {
            Self::Unread(_) => ProofRecord::Unknown,
            Self::Read(records) => records.proof_of(service, version).await,
        }
    }
}

struct ReadRecords {
    history: DeploymentHistory,
    verifier: RecordVerifier,
}

impl ReadRecords {
    async fn read(ctx: &RunContext, config: &RunConfig) -> Result<Self, String> {
        let repository = match ctx.run_repository() {
            None => return Err("there is no token, or no repository, to ask GitHub about".into()),
            Some(repository) => Rc::new(repository.map_err(|problem| problem.to_string())?),
        };
        let rules = proof::proof_rules(ctx, &config.environment_name, &config.environment);
        let verifier = RecordVerifier::new(repository.clone(), rules, ctx.run_number());
        let history = read_pages(&repository, &config.environment_name).await?;
        Ok(Self { history, verifier })
    }

    async fn proof_of(&self, service: &str, version: &CompletedVersion) -> ProofRecord {
        let Some(digest) = version.digest.as_ref() else { return ProofRecord::None };
        let is_proof = |recorded: &RecordedService| {
            recorded.digest() == Some(digest)
                && digests_agree(&recorded.container_images, &version.container_images)
        };
        let entries = self.history.entries();
        let is_of_version = |entry: &&RecordedDeployment| {
            entry.proven && entry.record.services.get(service).is_some_and(is_proof)
        };
        for entry in entries.iter().filter(is_of_version) {
            if self.verifier.verify(entry).await == Verdict::Bound {
                let commit = Some(entry.record.commit.clone()).filter(|commit| !commit.is_empty());
                return ProofRecord::Proven { deployment: entry.deployment, commit };
            }
        }
        ProofRecord::None
    }
}

async fn read_pages(repository: &RunRepository, environment: &str) -> Result<DeploymentHistory, String> {
    let reason = |error: crate::github::ApiError| error.problem(repository.repository()).to_string();
    let mut history = repository.deployment_history(environment).await.map_err(reason)?;
    for _ in 1..MAX_PAGES {
        if !repository.read_older(&mut history).await.map_err(reason)? {
            break;
        }
    }
    Ok(history)
}
