//! `services: changed`: the services that a run is about. GitHub says what changed; the core says which services that
//! affects.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::action::{ConfigSource, ServiceSelection};
use crate::github::{
    ApiError, ChangedFile, CommitComparison, DeploymentHistory, RecordEnd, RecordedDeployment, RunRepository,
};
use crate::image::Build;
use crate::plan::affected::{BaseCommit, ChangedPath, PathScope, affected_by, base_commits};
use crate::plan::proof::ProofRules;
use crate::problem::{Code, Problem};
use crate::run::context::RunContext;
use crate::run::prepare::containers;
use crate::run::proof::{self, RecordVerifier, Verdict};
use crate::run::run_config::{DeclaredService, EarlyExit, RunConfig};

/// Keeps the services that the changes affect. If it is not known what changed, all stay, with a notice. If none is
/// affected, there is nothing to do.
pub(in crate::run) async fn select_changed(
    ctx: &RunContext,
    config: &mut RunConfig,
) -> Result<(), EarlyExit> {
    if ctx.inputs.services != ServiceSelection::Changed {
        return Ok(());
    }
    let reasons = match affected_reasons(ctx, config).await {
        Ok(reasons) => reasons,
        Err(why) => {
            config.problems.push(all_services_notice(why));
            return Ok(());
        }
    };
    for (declared, reason) in config.services.iter().zip(&reasons) {
        let text = reason.as_deref().unwrap_or("not concerned by what changed; left out of this run");
        ctx.log.info(Some(&declared.service.name), text);
    }
    let is_empty = config.services.is_empty();
    retain_affected(config, reasons);
    match config.services.is_empty() && !is_empty {
        true => Err(EarlyExit::Skipped("what changed concerns none of the services".into())),
        false => Ok(()),
    }
}

/// Keeps the services that have a reason, and the problems of the run and of those services.
fn retain_affected(config: &mut RunConfig, reasons: Vec<Option<String>>) {
    let services = std::mem::take(&mut config.services);
    for (declared, reason) in services.into_iter().zip(reasons) {
        match reason {
            Some(_) => config.services.push(declared),
            None => {
                let name = Some(declared.service.name.clone());
                config.problems.retain(|problem| problem.service != name);
            }
        }
    }
}

fn all_services_notice(why: String) -> Problem {
    Problem::notice(
        Code::ChangesUnknown,
        "It is not known which services changed, so this run is about all of them.",
    )
    .cause(why)
    .help("Services that are as they should be are left alone.")
}

/// Why each service is affected (`None`: it is not). An error says why that is not known for any.
async fn affected_reasons(ctx: &RunContext, config: &RunConfig) -> Result<Vec<Option<String>>, String> {
    let mut reader = ChangeReader::open(ctx)?;
    let rules = proof::proof_rules(ctx, &config.environment_name, &config.environment);
    let mut releases = ReleaseReader::open(ctx, rules, reader.repository.clone()).await?;
    let mut reasons = Vec::new();
    for declared in &config.services {
        let recorded = releases.newest(&declared.service.name).await?;
        let changes = reader.changes_since(&base_commits_of(ctx, recorded.as_ref())).await?;
        reasons.push(affected_reason(ctx, declared, &changes));
    }
    Ok(reasons)
}

fn affected_reason(ctx: &RunContext, declared: &DeclaredService, changes: &ServiceChanges) -> Option<String> {
    let paths = match changes {
        ServiceChanges::Paths(paths) => paths,
        ServiceChanges::Unknown(why) => return Some(format!("counts as changed: {why}")),
    };
    let definition = declared.definition.iter().map(|definition| definition.path.clone());
    let builds = declared.build.iter().chain(containers::further_builds(declared));
    let own: Vec<String> = definition.chain(builds.map(Build::dockerfile_path)).collect();
    let deploy_file = match &ctx.inputs.config {
        ConfigSource::Path(path) => Some(path.as_str()),
        ConfigSource::Text(_) => None,
    };
    let patterns = &declared.service.config.paths;
    let own_folders = containers::build_contexts(declared);
    affected_by(&PathScope { patterns, own_files: &own, own_folders: &own_folders, deploy_file }, paths)
}

/// What changed for a service since it was last released.
enum ServiceChanges {
    /// These paths.
    Paths(Vec<ChangedPath>),
    /// GitHub cannot say, for this reason: the service counts as changed.
    Unknown(String),
}

/// Reads changes from GitHub; each pair of commits is compared once.
struct ChangeReader<'c> {
    repository: Rc<RunRepository>,
    head: &'c str,
    compared: BTreeMap<String, Result<CommitComparison, ApiError>>,
}

impl<'c> ChangeReader<'c> {
    fn open(ctx: &'c RunContext) -> Result<Self, String> {
        let head = ctx.context.commit().ok_or("the run has no commit")?;
        let repository = match ctx.run_repository() {
            None => return Err("there is no token, or no repository, to ask GitHub about".into()),
            Some(repository) => repository.map_err(|problem| problem.to_string())?,
        };
        Ok(Self { repository: Rc::new(repository), head, compared: BTreeMap::new() })
    }

    /// What changed since the first of `bases` that can be compared. An error means that GitHub did not answer.
    async fn changes_since(&mut self, bases: &[BaseCommit<'_>]) -> Result<ServiceChanges, String> {
        let mut reason = "no release of it is recorded as proven here".to_owned();
        for base in bases {
            if !self.compared.contains_key(base.commit()) {
                let comparison = self.repository.list_changes(base.commit(), self.head).await;
                self.compared.insert(base.commit().to_owned(), comparison);
            }
            match self.compared.get(base.commit()) {
                Some(Ok(comparison)) => match usable_changes(base, comparison) {
                    Ok(paths) => return Ok(ServiceChanges::Paths(paths)),
                    Err(why) => reason = why,
                },
                Some(Err(ApiError::NotFound(_) | ApiError::Rejected(_))) => {
                    reason = format!("the commit {} is not in the repository any more", base.commit());
                }
                Some(Err(error)) => return Err(error_text(error, &self.repository, Reading::Contents)),
                None => {}
            }
        }
        Ok(ServiceChanges::Unknown(reason))
    }
}

/// Reads the releases that were proven in the environment, or handed over to another system, as far back as needed.
struct ReleaseReader {
    repository: Rc<RunRepository>,
    verifier: RecordVerifier,
    history: DeploymentHistory,
    /// Its records, as far as they were read: all services look among the same ones.
    entries: Vec<RecordedDeployment>,
}

impl ReleaseReader {
    async fn open(
        ctx: &RunContext,
        rules: ProofRules,
        repository: Rc<RunRepository>,
    ) -> Result<Self, String> {
        let history = repository.deployment_history(&rules.environment).await;
        let history = history.map_err(|error| error_text(&error, &repository, Reading::Deployments))?;
        let verifier = RecordVerifier::new(repository.clone(), rules, ctx.run_number());
        let entries = history.entries();
        Ok(Self { repository, verifier, history, entries })
    }

    /// The newest record of a service whose run made it: a forged one must not hide a change. An error means that it is
    /// not known whether there is one. Without one the change of the service is due, also if older records are unread.
    async fn newest(&mut self, service: &str) -> Result<Option<RecordedDeployment>, String> {
        let mut checked = 0;
        loop {
            for record in self.entries.iter().skip(checked).filter(|one| is_release_of(one, service)) {
                match self.verifier.verify(record).await {
                    Verdict::Bound => return Ok(Some(record.clone())),
                    Verdict::Unbound(_) => {}
                    Verdict::Unknown(why) => return Err(why),
                }
            }
            checked = self.entries.len();
            let older = self.repository.read_older(&mut self.history).await;
            if !older.map_err(|error| error_text(&error, &self.repository, Reading::Deployments))? {
                return Ok(None);
            }
            self.entries = self.history.entries();
        }
    }
}

/// Whether a record says that a service was released: proven, or handed over where no rollout is watched. A release that
/// failed, was cut off or never ended leaves its change due.
fn is_release_of(entry: &RecordedDeployment, service: &str) -> bool {
    let is_released = matches!(entry.end, RecordEnd::Proven | RecordEnd::HandedOff);
    is_released && entry.record.services.contains_key(service)
}

/// The commits to count the changes of a service from, best first.
fn base_commits_of<'c>(ctx: &'c RunContext, record: Option<&'c RecordedDeployment>) -> Vec<BaseCommit<'c>> {
    let recorded = record.map(|one| one.record.commit.as_str()).filter(|commit| !commit.is_empty());
    let pull = ctx.context.event.pull_request.as_ref().filter(|_| ctx.context.is_pull_request());
    base_commits(recorded, pull.and_then(|pull| pull.base_sha.as_deref()))
}

fn usable_changes(base: &BaseCommit<'_>, comparison: &CommitComparison) -> Result<Vec<ChangedPath>, String> {
    if !base.is_comparable(comparison.relation.contains_base()) {
        return Err(format!("the commit {} is not among the ancestors of this one", base.commit()));
    }
    if !comparison.complete {
        return Err("300 files or more changed".into());
    }
    let changed_path =
        |file: &ChangedFile| ChangedPath { path: file.path.clone(), is_submodule: file.is_submodule };
    Ok(comparison.files.iter().map(changed_path).collect())
}

/// What a token must be allowed to read.
#[derive(Clone, Copy)]
enum Reading {
    Deployments,
    Contents,
}

fn error_text(error: &ApiError, repository: &RunRepository, reading: Reading) -> String {
    let permission = match reading {
        Reading::Deployments => "deployments: read",
        Reading::Contents => "contents: read",
    };
    let problem = error.problem(repository.repository());
    match error {
        ApiError::Forbidden(_) => {
            problem.help(format!("Add `permissions: {permission}` to the job.")).to_string()
        }
        _ => problem.to_string(),
    }
}
