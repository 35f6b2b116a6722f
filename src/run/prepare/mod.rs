//! Prepares a run: deploy file, session, targets, observed state, pre-flight checks, images. What does not depend on an
//! answer is requested together. All errors are collected before the first change.

mod ancestry;
mod base_file;
mod config_source;
mod containers;
pub(in crate::run) mod deploy_file;
mod image_build;
mod image_copy;
mod image_source;
mod last_release;
pub(in crate::run) mod merged;
mod missing_file;
mod placeholders;
mod preflight;
mod promote;
mod proven_releases;
mod pushed_images;
mod registry_ahead;
mod restorable_file;
mod selection;
mod service_image;
mod set_env;
mod source_images;

use std::rc::Rc;

use aws_config::SdkConfig;
use futures::future::{join, join_all};

use crate::action::Operation;
use crate::gates::MetricSources;
use crate::github::Addresses;
use crate::image::{Registry, RegistryLogin};
use crate::plan::Start;
use crate::problem::{Code, Problem};
use crate::release::{Observed, Release};
use crate::run::context::RunContext;
use crate::run::coordination::{Coordinator, LeaseCommit};
use crate::run::event::operation;
use crate::run::notify::Channels;
use crate::run::prepare::deploy_file::load_config;
use crate::run::prepare::registry_ahead::OpenedRegistries;
use crate::run::registry::{self, RunRegistries};
use crate::run::run_config::{DeclaredService, EarlyExit, RefusedService, RunConfig};
use crate::run::service_run::{RunCandidates, ServiceRun};
use crate::run::session::{AwsSession, open_session};
use crate::run::{ahead, cancel, planning, proof, refusal, rollback_version};
use crate::sys::network::Proxies;
use crate::sys::signal::CancelLevel;
use crate::targets;
use crate::targets::Target;

/// A run that is prepared: everything that was read, and the images.
pub(in crate::run) struct PreparedRun {
    /// The environment.
    pub(in crate::run) environment: String,
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
    /// The leases and the deployment records; `None` where the run has none.
    pub(in crate::run) coordinator: Option<Coordinator>,
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
    let rules = proof::proof_rules(ctx, &config.environment_name, &config.environment);
    let mut notices = Vec::new();
    let coordinator = Coordinator::open(ctx, rules, &mut notices);
    let mut prepared = Box::pin(prepare_services(ctx, config, coordinator)).await?;
    prepared.problems.extend(notices);
    Ok(prepared)
}

/// The same for a run whose services are known.
async fn prepare_services(
    ctx: &RunContext,
    mut config: RunConfig,
    mut coordinator: Option<Coordinator>,
) -> Result<PreparedRun, EarlyExit> {
    let unreadable = std::mem::take(&mut config.refused);
    let asking = ask_github(ctx, &config, coordinator.as_mut());
    let ObservedRun { session, mut candidates, registries, mut problems } =
        ahead::beside(observe_run(ctx, &config), asking).await?;
    candidates.refused.splice(..0, unreadable);
    let candidates = Box::pin(last_release::keep_brought(ctx, &config, candidates, &mut problems)).await;
    let RunCandidates { services, refused } = candidates;
    let invalid = |problems| config.invalid(problems);
    if services.is_empty() && !refused.is_empty() {
        problems.extend(refused.into_iter().flat_map(|one| one.problems));
        return Err(invalid(problems));
    }
    let checked = preflight::check_before_build(ctx, services).await.map_err(invalid)?;
    let (services, checked_at) = checked.into_parts();
    let sources = ReleaseSources { session: &session, registries, coordinator: coordinator.as_ref() };
    let resolved = Box::pin(resolve_releases(ctx, &config, sources, services)).await;
    let ResolvedServices { services, registry, notices } = resolved.map_err(invalid)?;
    problems.extend(notices);
    let needs_lease = services.iter().any(starts_something) && operation(ctx) != Operation::Plan;
    let making = make_lease_commit(ctx, coordinator.as_ref().filter(|_| needs_lease));
    let checking = preflight::check_with_image(ctx, services, checked_at);
    let (services, lease_commit) = tokio::join!(checking, making);
    let services = services.map_err(invalid)?;
    if let Some(coordinator) = &mut coordinator {
        coordinator.session = session.aws().cloned();
        coordinator.lease_commit = lease_commit;
    }
    let channels = Channels::from_config(&config, &session);
    let environment = config.environment_name;
    Ok(PreparedRun { environment, services, refused, problems, registry, channels, coordinator })
}

async fn ask_github(ctx: &RunContext, config: &RunConfig, coordinator: Option<&mut Coordinator>) {
    if let Some(coordinator) = coordinator.filter(|_| !config.has_errors()) {
        coordinator.ask_ahead(ctx).await;
    }
}

/// Whether the plan of a service would start something, as far as is known before its lease.
fn starts_something(service: &ServiceRun) -> bool {
    refusal::is_open(service) && planning::expected_start(service).is_some_and(|start| start != Start::NoOp)
}

/// The commit for leases, made while the pre-flight checks run. If it cannot be made, that is said where it is needed.
async fn make_lease_commit(ctx: &RunContext, coordinator: Option<&Coordinator>) -> Option<LeaseCommit> {
    let coordinator = coordinator.filter(|_| ctx.cancel.level() == CancelLevel::None)?;
    cancel::until_cancelled(ctx, coordinator.create_lease_commit(ctx)).await?.ok()
}

/// What is known of a run before its images.
struct ObservedRun<'r> {
    session: AwsSession,
    candidates: RunCandidates,
    /// The registries of the run, opened as far as they are needed.
    registries: OpenedRegistries<'r>,
    /// Warnings and notices so far.
    problems: Vec<Problem>,
}

/// Opens the session, then observes the services and asks the registries.
async fn observe_run<'r>(ctx: &'r RunContext, config: &'r RunConfig) -> Result<ObservedRun<'r>, EarlyExit> {
    let session = match open_session(ctx, config).await {
        Ok(session) => session,
        Err(problem) => {
            // A region or role that is missing because its block is broken was reported there.
            let follows = config.has_errors() && config.environment.aws.is_none();
            let more = Some(problem).filter(|_| !follows);
            return Err(config.invalid(config.problems.iter().cloned().chain(more).collect()));
        }
    };
    let problems = [config.problems.clone(), session.problems.clone()].concat();
    if config.has_errors() {
        return Err(config.invalid(problems));
    }
    let opening = open_registries(ctx, config, &session);
    let (candidates, registries) = tokio::join!(observe_all(ctx, config, &session), opening);
    let candidates = candidates.map_err(|problems| config.invalid(problems))?;
    Ok(ObservedRun { session, candidates, registries, problems })
}

/// The registries of the run. A rollback and a promotion ask them later for what they need.
async fn open_registries<'r>(
    ctx: &'r RunContext,
    config: &'r RunConfig,
    session: &AwsSession,
) -> OpenedRegistries<'r> {
    let registries = RunRegistries::new(ctx, config, session.aws().cloned());
    let promotes = promote::source_environment(ctx, config).is_some() && !ctx.is_set_env();
    match ctx.is_rollback() || promotes {
        true => OpenedRegistries::unasked(registries),
        false => OpenedRegistries::ask(ctx, config, registries).await,
    }
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

/// Where releases come from.
struct ReleaseSources<'r> {
    session: &'r AwsSession,
    registries: OpenedRegistries<'r>,
    coordinator: Option<&'r Coordinator>,
}

/// Completes the release of each service: the version to return to, the promoted image, or the one that is built or
/// named.
async fn resolve_releases(
    ctx: &RunContext,
    config: &RunConfig,
    sources: ReleaseSources<'_>,
    services: Vec<ServiceRun>,
) -> Result<ResolvedServices, Vec<Problem>> {
    let ReleaseSources { session, registries, coordinator } = sources;
    if ctx.is_rollback() {
        let selected = rollback_version::select_versions(ctx, session.aws(), coordinator, services).await?;
        let (services, notices) = (selected.services, selected.notices);
        return Ok(ResolvedServices { services, registry: None, notices });
    }
    let (services, registry) = match promote::source_environment(ctx, config).filter(|_| !ctx.is_set_env()) {
        Some(source) => {
            promote::promote_images(ctx, config, source, session.aws(), registries, services).await
        }
        None => service_image::resolve_images(ctx, config, registries, services).await,
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
    ctx: &'s RunContext,
    session: &'s SdkConfig,
    config: &RunConfig,
) -> targets::TargetContext<'s> {
    let registry_logins = registry::file_logins(ctx, config);
    let mask = ctx.secret_masker();
    registry_logins.iter().flat_map(RegistryLogin::secret_values).for_each(|secret| mask(&secret));
    let pull_logins = registry_logins.iter().map(|login| targets::PullLogin {
        server: login.server.clone(),
        username: login.username.clone(),
        password: login.password.clone(),
    });
    targets::TargetContext {
        session,
        region: session.region().map(ToString::to_string).unwrap_or_default(),
        expected_account: config.environment.aws.as_ref().and_then(|aws| aws.account.clone()),
        http: ctx.io.http.clone(),
        remote_hosts: ctx.remote_hosts.clone(),
        pull_logins: targets::PullLogins(pull_logins.collect()),
        workspace: ctx.workspace.clone(),
        io: &ctx.io,
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
        is_plan: operation(ctx) == Operation::Plan,
        input_images: inputs.images.clone(),
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
) -> Result<RunCandidates, Vec<Problem>> {
    let (connected, failed) = connect_each(ctx, config, session);
    if !failed.is_empty() && (!ctx.is_rollback() || connected.is_empty()) {
        return Err(failed);
    }
    let observing = join_all(connected.iter().map(|(_, target)| target.observe()));
    let asking = join_all(connected.iter().map(|(_, target)| target.ask_ahead()));
    let (observed, _) = join(observing, asking).await;
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
        let containers = declared.containers.clone();
        let mut service = ServiceRun { build, containers, sources, atomic, ..service };
        if let Some(problem) = problem {
            refusal::refuse(ctx, &mut service, problem);
        }
        services.push(service);
    }
    let services = refusal::unless_all_end(services)?;
    Ok(RunCandidates { services, refused: RefusedService::from_problems(failed) })
}

/// A service of the deploy file with its target.
pub(in crate::run) type ConnectedService<'c> = (&'c DeclaredService, Rc<dyn Target>);

/// The services with their targets, and why others have none.
pub(in crate::run) fn connect_each<'c>(
    ctx: &RunContext,
    config: &'c RunConfig,
    session: &AwsSession,
) -> (Vec<ConnectedService<'c>>, Vec<Problem>) {
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
