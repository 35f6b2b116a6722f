//! Prepares a run: deploy file, session, targets, observed state, images, pre-flight checks. All errors are collected
//! before the first change.

mod ancestry;
mod base_file;
pub(in crate::run) mod deploy_file;
mod image_copy;
mod last_release;
pub(in crate::run) mod merged;
mod placeholders;
mod promote;
mod proven_releases;
mod restorable_file;
mod selection;
mod service_image;
mod set_env;
mod source_images;

use std::rc::Rc;

use aws_config::SdkConfig;
use futures::future::join_all;

use crate::gates::MetricSources;
use crate::github::Addresses;
use crate::image::Registry;
use crate::plan::proof::ProofRules;
use crate::problem::{Code, Problem};
use crate::release::{Observed, Release};
use crate::rollback;
use crate::run::context::RunContext;
use crate::run::notify::Channels;
use crate::run::prepare::deploy_file::load_config;
use crate::run::run_config::{DeclaredService, EarlyExit, RefusedService, RunConfig};
use crate::run::service_run::ServiceRun;
use crate::run::session::{AwsSession, open_session};
use crate::run::{proof, refusal, rollback_version};
use crate::sys::network::Proxies;
use crate::targets;
use crate::targets::Target;

/// A run that is prepared: everything that was read, and the images.
pub(in crate::run) struct PreparedRun {
    /// The environment.
    pub(in crate::run) environment: String,
    /// Which runs may prove versions in it.
    pub(in crate::run) proof_rules: ProofRules,
    /// The services, with what runs now.
    pub(in crate::run) services: Vec<ServiceRun>,
    /// Services of a rollback that are refused before anything of them was read.
    pub(in crate::run) refused: Vec<RefusedService>,
    /// Warnings and notices of the run as a whole.
    pub(in crate::run) problems: Vec<Problem>,
    /// The registry of the images, where one was needed.
    pub(in crate::run) registry: Option<Rc<dyn Registry>>,
    /// Where the end of the run is notified.
    pub(in crate::run) channels: Channels,
    /// What calls to AWS are made with; `None` where nothing of AWS is needed.
    pub(in crate::run) session: Option<SdkConfig>,
}

/// Reads everything that a run needs before its first change. Builds or promotes the images.
pub(in crate::run) async fn prepare(ctx: &RunContext) -> Result<PreparedRun, EarlyExit> {
    let mut config = load_config(ctx)?;
    config.problems.extend(checkout_notice(ctx));
    merged::check(ctx, &config).await?;
    if !config.has_errors() {
        Box::pin(selection::select_changed(ctx, &mut config)).await?;
        base_file::resolve_credential_urls(ctx, &mut config).await;
    }
    let session = match open_session(ctx, &config).await {
        Ok(session) => session,
        Err(problem) => return Err(config.invalid([config.problems.clone(), vec![problem]].concat())),
    };
    let mut problems = [config.problems.clone(), session.problems.clone()].concat();
    if config.has_errors() {
        return Err(config.invalid(problems));
    }
    let (services, unconnected) =
        observe_all(ctx, &config, &session).await.map_err(|problems| config.invalid(problems))?;
    let refused = std::mem::take(&mut config.refused).into_iter().chain(unconnected).collect();
    let candidates = RollbackCandidates { services, refused };
    let candidates = Box::pin(last_release::keep_brought(ctx, &config, candidates, &mut problems)).await;
    let RollbackCandidates { services, refused } = candidates;
    if services.is_empty() && !refused.is_empty() {
        problems.extend(refused.into_iter().flat_map(|one| one.problems));
        return Err(config.invalid(problems));
    }
    let resolved = Box::pin(resolve_releases(ctx, &config, &session, services)).await;
    let ResolvedServices { services, registry, notices } =
        resolved.map_err(|problems| config.invalid(problems))?;
    problems.extend(notices);
    let services = run_preflight(ctx, services).await.map_err(|problems| config.invalid(problems))?;
    let channels = Channels::from_config(&config, &session);
    let session = session.aws().cloned();
    let proof_rules = proof::proof_rules(ctx, &config.environment_name, &config.environment);
    let environment = config.environment_name;
    Ok(PreparedRun { environment, proof_rules, services, refused, problems, registry, session, channels })
}

/// What a run can be about: the services that were observed, and those of a rollback that cannot be.
struct RollbackCandidates {
    services: Vec<ServiceRun>,
    refused: Vec<RefusedService>,
}

/// Says that the run is about another commit than its event. A rollback and `set-env` are about none.
fn checkout_notice(ctx: &RunContext) -> Option<Problem> {
    let checkout = ctx.context.other_checkout().filter(|_| !ctx.is_rollback() && !ctx.is_set_env())?;
    let short = |commit: &str| commit.get(..7).unwrap_or(commit).to_owned();
    let (ours, event) = (short(checkout), ctx.context.event_commit().map(short).unwrap_or_default());
    let sentence = format!(
        "The job checked out the commit {ours}, and its event is of {event}: this run builds, tags, records and reports {ours}."
    );
    Some(Problem::notice(Code::CheckoutDiffers, sentence).help(
        "If that is not meant, check out the commit of the event: leave `ref` of `actions/checkout` out.",
    ))
}

/// Services with their release.
struct ResolvedServices {
    services: Vec<ServiceRun>,
    /// The registry of the images, if one was needed.
    registry: Option<Rc<dyn Registry>>,
    /// What is worth knowing of services that are left out.
    notices: Vec<Problem>,
}

/// Completes the release of each service: the version to return to, the promoted image, or the one that is built or
/// named.
async fn resolve_releases(
    ctx: &RunContext,
    config: &RunConfig,
    session: &AwsSession,
    services: Vec<ServiceRun>,
) -> Result<ResolvedServices, Vec<Problem>> {
    if ctx.is_rollback() {
        let selected = rollback_version::select_versions(ctx, session.aws(), services).await?;
        let (services, notices) = (selected.services, selected.notices);
        return Ok(ResolvedServices { services, registry: None, notices });
    }
    let (services, registry) = match promote::source_environment(ctx, config).filter(|_| !ctx.is_set_env()) {
        Some(source) => promote::promote_images(ctx, config, source, session.aws(), services).await,
        None => service_image::resolve_images(ctx, session.aws(), services).await,
    }?;
    Ok(ResolvedServices { services, registry, notices: Vec::new() })
}

/// Sources of metrics and checks. The emulator has no TLS, so a rehearsal sees no certificate.
pub(in crate::run) fn create_sources(ctx: &RunContext, session: &SdkConfig) -> MetricSources {
    let blind = ctx.rehearsal.then_some("a rehearsal makes no handshake");
    let proxies = Proxies::from_variables(&ctx.io.variables).unwrap_or_default();
    MetricSources::new(session, ctx.io.http.clone(), ctx.io.clock)
        .with_proxies(proxies)
        .without_certificates(blind)
}

/// Where the targets of an environment are.
fn target_context<'s>(
    ctx: &RunContext,
    session: &'s SdkConfig,
    config: &RunConfig,
) -> targets::TargetContext<'s> {
    targets::TargetContext {
        session,
        region: session.region().map(ToString::to_string).unwrap_or_default(),
        expected_account: config.environment.aws.as_ref().and_then(|aws| aws.account.clone()),
        http: ctx.io.http.clone(),
        run: run_info(ctx, config),
        service_count: config.services.len(),
        shared: targets::Shared::default(),
    }
}

/// The run as targets know it.
fn run_info(ctx: &RunContext, config: &RunConfig) -> targets::RunInfo {
    let inputs = &ctx.inputs;
    let own = inputs.github_token.as_ref();
    let of_argocd = inputs.argocd_token.as_ref().map(|token| token.reveal().to_owned());
    let variable = |name: &str| ctx.io.variables.get(name).filter(|token| !token.is_empty()).cloned();
    let of_github = inputs.manifests_token.as_ref().or(own).map(|token| token.reveal().to_owned());
    targets::RunInfo {
        environment: config.environment_name.clone(),
        addresses: Addresses::from_variables(&ctx.io.variables),
        repository: ctx.context.repository.clone(),
        number: ctx.run_number(),
        run_url: ctx.context.run_url(),
        manifests_token: of_github.or_else(|| variable("GITHUB_TOKEN")),
        argocd_token: of_argocd.or_else(|| variable("ARGOCD_AUTH_TOKEN")),
        credential_urls: config.credential_urls.clone(),
        passes_firing_alarms: ctx.passes_firing_alarms(),
        input_images: inputs
            .images
            .iter()
            .map(|choice| (choice.service.clone(), choice.image.clone()))
            .collect(),
    }
}

/// The release of a service, as far as the deploy file defines it.
pub(in crate::run) fn release_for(
    ctx: &RunContext,
    config: &RunConfig,
    declared: &DeclaredService,
) -> Release {
    let name = &declared.service.name;
    Release {
        definition: declared.definition.clone(),
        env_changes: if ctx.is_set_env() { set_env::changes_for(ctx, name) } else { Vec::new() },
        // A version with other variables stays one of the commit that it was made from.
        commit: ctx.context.commit().filter(|_| !ctx.is_rollback() && !ctx.is_set_env()).map(str::to_owned),
        ..Release::of(name, &config.environment_name)
    }
}

/// Connects to the target of each service and reads what runs. A rollback goes on without a service that it cannot connect
/// to.
async fn observe_all(
    ctx: &RunContext,
    config: &RunConfig,
    session: &AwsSession,
) -> Result<(Vec<ServiceRun>, Vec<RefusedService>), Vec<Problem>> {
    let (connected, failed) = connect_each(ctx, config, session);
    if !failed.is_empty() && (!ctx.is_rollback() || connected.is_empty()) {
        return Err(failed);
    }
    let observed = join_all(connected.iter().map(|(_, target)| target.observe())).await;
    let sources = Rc::new(create_sources(ctx, &session.config));
    let atomic = config.atomic && connected.len() > 1 && !ctx.is_rollback();
    let mut services = Vec::new();
    for ((declared, target), observed) in connected.into_iter().zip(observed) {
        let (observed, problem) = match observed {
            Ok(observed) => (observed, None),
            Err(problem) => (Observed::unreadable(problem.sentence.clone()), Some(problem)),
        };
        let release = release_for(ctx, config, declared);
        let service = ServiceRun::new(declared.service.clone(), target, release, observed);
        let (build, sources) = (declared.build.clone(), Some(sources.clone()));
        let mut service = ServiceRun { build, sources, atomic, ..service };
        if let Some(problem) = problem {
            refusal::refuse(ctx, &mut service, problem);
        }
        services.push(service);
    }
    Ok((refusal::unless_all_end(services)?, RefusedService::from_problems(failed)))
}

/// The services with their targets, and why others have none.
pub(in crate::run) fn connect_each<'c>(
    ctx: &RunContext,
    config: &'c RunConfig,
    session: &AwsSession,
) -> (Vec<(&'c DeclaredService, Rc<dyn Target>)>, Vec<Problem>) {
    let context = target_context(ctx, &session.config, config);
    let (mut connected, mut failed) = (Vec::new(), Vec::new());
    for declared in &config.services {
        match targets::connect_all(&context, std::slice::from_ref(&declared.service)) {
            Ok(targets) => connected.extend(targets.into_iter().map(|target| (declared, target))),
            Err(problems) => failed.extend(problems),
        }
    }
    (connected, failed)
}

/// The target of each service, in the order of the deploy file.
pub(in crate::run) fn connect_targets(
    ctx: &RunContext,
    config: &RunConfig,
    session: &AwsSession,
) -> Result<Vec<Rc<dyn Target>>, Vec<Problem>> {
    let context = target_context(ctx, &session.config, config);
    targets::connect_all(&context, &config.plain_services())
}

async fn run_preflight(
    ctx: &RunContext,
    mut services: Vec<ServiceRun>,
) -> Result<Vec<ServiceRun>, Vec<Problem>> {
    ctx.log.info(None, "Running pre-flight checks");
    let checking =
        refusal::open(&services).map(|service| service.target.preflight(&service.release, &service.observed));
    let found = join_all(checking).await;
    for (service, problems) in refusal::open_mut(&mut services).zip(found) {
        for problem in problems {
            let is_passable = ctx.is_rollback() && !rollback::is_obstacle(problem.code);
            let problem = if is_passable { problem.into_warning() } else { problem };
            match problem.is_error() {
                true => refusal::refuse(ctx, service, problem),
                false => service.report.problems.push(problem.for_service(service.name())),
            }
        }
    }
    refusal::unless_all_end(services)
}
