//! A rollback without named services is about those that the last release brought. The deployment records say which; the core
//! decides. Where they do not, it is about all, and says so.

use std::rc::Rc;

use crate::action::ServiceSelection;
use crate::github::RunRepository;
use crate::plan::RecordedRelease;
use crate::plan::last_release::{ServingService, brought_services};
use crate::problem::list::name_list;
use crate::problem::{Code, Problem};
use crate::run::context::RunContext;
use crate::run::proof::{self, RecordVerifier, Verdict};
use crate::run::refusal;
use crate::run::run_config::RunConfig;
use crate::run::service_run::{RunCandidates, ServiceRun};

/// The services that a rollback is about. Others are left out, with a notice.
pub(super) async fn keep_brought(
    ctx: &RunContext,
    config: &RunConfig,
    mut candidates: RunCandidates,
    notices: &mut Vec<Problem>,
) -> RunCandidates {
    let is_named = ctx.inputs.to.is_some() || ctx.inputs.services != ServiceSelection::All;
    let count = refusal::open(&candidates.services).count() + candidates.refused.len();
    if !ctx.is_rollback() || is_named || count < 2 {
        return candidates;
    }
    match find(ctx, config, &candidates).await {
        Ok(release) => {
            notices.extend(left_out_notice(&release, &candidates));
            let is_meant = |name: &str| release.services.iter().any(|brought| brought == name);
            candidates.services.retain(|service| is_meant(service.name()));
            candidates.refused.retain(|service| is_meant(&service.name));
        }
        Err(why) => notices.push(unknown_release_warning(why)),
    }
    candidates
}

/// The last release that still serves.
struct LastRelease {
    /// The services that it brought.
    services: Vec<String>,
    /// Its commit and run, for display.
    description: String,
}

/// Finds the last release. An error says why it is not known.
async fn find(
    ctx: &RunContext,
    config: &RunConfig,
    candidates: &RunCandidates,
) -> Result<LastRelease, String> {
    let repository = match ctx.run_repository() {
        None => return Err("There is no token, or no repository, to ask GitHub about.".into()),
        Some(repository) => Rc::new(repository.map_err(|problem| problem.to_string())?),
    };
    let rules = proof::proof_rules(ctx, &config.environment_name, &config.environment);
    let verifier = RecordVerifier::new(repository.clone(), rules, ctx.run_number());
    let observed = candidates.services.iter().map(|service| ServingService {
        name: service.name(),
        observed: refusal::is_open(service).then_some(&service.observed),
    });
    let refused = candidates.refused.iter().map(|one| ServingService { name: &one.name, observed: None });
    let serving: Vec<ServingService<'_>> = observed.chain(refused).collect();
    search(&repository, &verifier, &config.environment_name, &serving).await
}

async fn search(
    repository: &RunRepository,
    verifier: &RecordVerifier,
    environment: &str,
    serving: &[ServingService<'_>],
) -> Result<LastRelease, String> {
    let reason = |error: crate::github::ApiError| error.problem(repository.repository()).to_string();
    let mut history = repository.deployment_history(environment).await.map_err(reason)?;
    loop {
        let (entries, is_complete) = (history.entries(), history.is_complete());
        let records: Vec<RecordedRelease<'_>> = entries
            .iter()
            .map(|entry| RecordedRelease { record: &entry.record, proven: entry.proven })
            .collect();
        for (at, entry) in entries.iter().enumerate() {
            let brought = brought_services(at, &records, is_complete, serving);
            // Where GitHub cannot be asked, a record counts.
            if !brought.is_empty() && !matches!(verifier.verify(entry).await, Verdict::Unbound(_)) {
                let commit = entry.record.commit.get(..7).unwrap_or("unknown");
                let run = entry.run.map(|run| format!(", run {}", run.id)).unwrap_or_default();
                let services = brought.into_iter().map(str::to_owned).collect();
                return Ok(LastRelease { services, description: format!("commit {commit}{run}") });
            }
        }
        if !repository.read_older(&mut history).await.map_err(reason)? {
            return Err("No deployment record that could be read is of what serves.".into());
        }
    }
}

fn left_out_notice(release: &LastRelease, candidates: &RunCandidates) -> Option<Problem> {
    let refused = candidates.refused.iter().map(|service| service.name.as_str());
    let others = candidates.services.iter().map(ServiceRun::name).chain(refused);
    let names: Vec<&str> =
        others.filter(|name| !release.services.iter().any(|brought| brought == name)).collect();
    let verb = if names.len() == 1 { "stays as it is" } else { "stay as they are" };
    let sentence = format!(
        "{} {verb}: the last release ({}) did not bring what serves there.",
        name_list(names.iter().copied()),
        release.description
    );
    (!names.is_empty()).then(|| {
        Problem::notice(Code::NotRolledBack, sentence)
            .help("To roll back other services, name them in the input `services`.")
    })
}

fn unknown_release_warning(why: String) -> Problem {
    let sentence = "It is not known which services the last release brought, so every service that has an earlier version \
                    is rolled back.";
    Problem::warning(Code::RecordsIncomplete, sentence)
        .cause(why)
        .help("Name the services in the input `services`.")
}
