//! Reading: session, targets, and what runs now. Every error at once, before any change.

use std::rc::Rc;

use aws_config::SdkConfig;

use crate::aws;
use crate::config::{Environment, Service};
use crate::gates::Sources;
use crate::github::Addresses;
use crate::image::Registry;
use crate::problem::Problem;
use crate::release::{Definition, Release};
use crate::targets::{self, Target};

use super::announce::Channels;
use super::declare::{Declared, Stop, declared};
use super::{Job, Unit, build, promote, returning, returns, selection, sets_variables, settings};

/// Everything that was read.
pub(super) struct Prepared {
    /// The environment.
    pub(super) environment: String,
    /// The services, with what runs now.
    pub(super) units: Vec<Unit>,
    /// Warnings and notices of the run as a whole.
    pub(super) problems: Vec<Problem>,
    /// The registry of the images, where one was needed.
    pub(super) registry: Option<Rc<dyn Registry>>,
    /// Who hears of the end.
    pub(super) channels: Channels,
    /// What calls to AWS are made with; `None` where nothing of AWS is needed.
    pub(super) session: Option<SdkConfig>,
}

/// Reads everything that a walk needs.
pub(super) async fn prepare(job: &Job) -> Result<Prepared, Stop> {
    let mut declared = declared(job)?;
    if !declared.is_wrong() {
        selection::narrow(job, &mut declared).await?;
    }
    let wrong = |problems: Vec<Problem>| Stop::Wrong(Some(declared.name.clone()), problems);
    let mut problems = declared.problems.clone();
    let session = match session(job, &declared).await {
        Ok(session) => session,
        Err(problem) => return Err(wrong(problems.into_iter().chain([problem]).collect())),
    };
    problems.extend(session.problems.clone());
    if declared.is_wrong() {
        return Err(wrong(problems));
    }
    let place = place(job, &session.config, &declared);
    let targets = targets::all(&place, &declared.document.file, &declared.services).map_err(wrong)?;
    let releases = releases(job, &declared);
    let mut units = observe(&declared, targets, releases).await.map_err(wrong)?;
    let sources = Rc::new(sources(job, &session.config));
    let together = declared.atomic && units.len() > 1 && !returns(job);
    for unit in &mut units {
        (unit.sources, unit.together) = (Some(sources.clone()), together);
    }
    let (units, registry) = match promote::source(job, &declared) {
        _ if returns(job) => (returning::choose(job, session.aws(), units).await.map_err(wrong)?, None),
        Some(source) if !sets_variables(job) => {
            promote::images(job, &declared, source, session.aws(), units).await.map_err(wrong)?
        }
        _ => build::images(job, session.aws(), &declared.builds, units).await.map_err(wrong)?,
    };
    let units = check(job, units).await.map_err(wrong)?;
    let channels = Channels::of(&declared, &session);
    let session = session.aws().cloned();
    Ok(Prepared { environment: declared.name, units, problems, registry, session, channels })
}

/// Where evidence comes from. The embedded cloud makes no handshakes, so that no certificate is seen in a rehearsal.
pub(super) fn sources(job: &Job, session: &SdkConfig) -> Sources {
    let blind = job.rehearsal.then_some("a rehearsal makes no handshake");
    Sources::new(session, job.doors.http.clone(), job.doors.clock).blind(blind)
}

/// Where the targets of an environment are.
pub(super) fn place<'s>(job: &Job, session: &'s SdkConfig, declared: &Declared) -> targets::Place<'s> {
    targets::Place {
        session,
        region: session.region().map(ToString::to_string).unwrap_or_default(),
        account: declared.environment.aws.as_ref().and_then(|aws| aws.account.clone()),
        http: job.doors.http.clone(),
        origin: origin(job, declared),
    }
}

/// The run as targets know it.
fn origin(job: &Job, declared: &Declared) -> targets::Origin {
    let inputs = &job.inputs;
    let own = inputs.github_token.as_ref();
    let of_argocd = inputs.argocd_token.as_ref().map(|token| token.expose().to_owned());
    let variable = |name: &str| job.doors.variables.get(name).filter(|token| !token.is_empty()).cloned();
    let of_github = inputs.manifests_token.as_ref().or(own).map(|token| token.expose().to_owned());
    targets::Origin {
        environment: declared.name.clone(),
        addresses: Addresses::from_variables(&job.doors.variables),
        repository: job.context.repository.clone(),
        run: run_number(job),
        run_url: job.context.run_url(),
        manifests_token: of_github.or_else(|| variable("GITHUB_TOKEN")),
        argocd_token: of_argocd.or_else(|| variable("ARGOCD_AUTH_TOKEN")),
        images: inputs.images.iter().map(|choice| (choice.service.clone(), choice.image.clone())).collect(),
    }
}

pub(super) fn run_number(job: &Job) -> Option<targets::RunNumber> {
    let attempt = job.context.run_attempt.as_deref().and_then(|text| text.parse().ok()).unwrap_or(1);
    let id = job.context.run_id.as_deref()?.parse().ok()?;
    Some(targets::RunNumber { id, attempt })
}

/// What calls to AWS are made with.
pub(super) struct Session {
    /// Credentials and region; empty where nothing of AWS is needed.
    pub(super) config: SdkConfig,
    /// What is worth knowing about them.
    pub(super) problems: Vec<Problem>,
    /// Whether there are any.
    opened: bool,
}

impl Session {
    /// The session, where there is one.
    pub(super) fn aws(&self) -> Option<&SdkConfig> {
        self.opened.then_some(&self.config)
    }
}

/// The AWS session of an environment. Inputs win over the file. A run that touches nothing of AWS needs none.
pub(super) async fn session(job: &Job, declared: &Declared) -> Result<Session, Problem> {
    let needed = declared.environment.aws.is_some()
        || declared.notify.sns.is_some()
        || declared.builds.iter().any(Option::is_some)
        || declared.services.is_empty()
        || declared.services.iter().any(|service| targets::is_of_aws(&service.target));
    if !needed {
        return Ok(Session { config: aws::nowhere(&job.doors), problems: Vec::new(), opened: false });
    }
    let (config, problems) = open(job, &declared.environment).await?;
    Ok(Session { config, problems, opened: true })
}

async fn open(job: &Job, environment: &Environment) -> Result<(SdkConfig, Vec<Problem>), Problem> {
    let aws = environment.aws.clone().unwrap_or_default();
    let wanted = aws::Wanted {
        region: job.inputs.aws_region.clone().or(aws.region),
        role: job.inputs.role_to_assume.clone().or(aws.role),
        session_name: session_name(job),
    };
    aws::open(&job.doors, &wanted).await
}

/// The name of a session, for the account's audit log.
pub(super) fn session_name(job: &Job) -> String {
    let run = job.context.run_id.as_deref().unwrap_or("local");
    format!("roadstead-{}-{run}", job.context.repository.as_deref().unwrap_or("laptop"))
}

/// What each service is asked to be, as far as the deploy file says it.
pub(super) fn releases(job: &Job, declared: &Declared) -> Vec<Release> {
    let release = |(service, definition): (&Service, &Option<Definition>)| Release {
        service: service.name.clone(),
        environment: declared.name.clone(),
        image: None,
        tag: None,
        definition: definition.clone(),
        former: None,
        settings: if sets_variables(job) { settings::of(job, &service.name) } else { Vec::new() },
        // What runs with other variables is of the commit that it was of before.
        commit: job.context.commit().filter(|_| !returns(job) && !sets_variables(job)).map(str::to_owned),
    };
    declared.services.iter().zip(&declared.definitions).map(release).collect()
}

async fn observe(
    declared: &Declared,
    targets: Vec<Rc<dyn Target>>,
    releases: Vec<Release>,
) -> Result<Vec<Unit>, Vec<Problem>> {
    let seen = futures::future::join_all(targets.iter().map(|target| target.observe())).await;
    let (mut units, mut problems) = (Vec::new(), Vec::new());
    for (((service, target), release), seen) in declared.services.iter().zip(targets).zip(releases).zip(seen)
    {
        match seen {
            Ok(seen) => units.push(Unit::new(service.clone(), target, release, seen)),
            Err(problem) => problems.push(problem.of(&service.name)),
        }
    }
    if problems.is_empty() { Ok(units) } else { Err(problems) }
}

async fn check(job: &Job, mut units: Vec<Unit>) -> Result<Vec<Unit>, Vec<Problem>> {
    job.teller.line(None, "pre-flight: looking for what could go wrong, before any change");
    let found =
        futures::future::join_all(units.iter().map(|unit| unit.target.check(&unit.release, &unit.seen)))
            .await;
    let mut errors = Vec::new();
    for (unit, problems) in units.iter_mut().zip(found) {
        let problems = named(problems, &unit.release);
        errors.extend(problems.iter().filter(|problem| problem.is_error()).cloned());
        unit.report.problems.extend(problems);
    }
    if errors.is_empty() {
        return Ok(units);
    }
    // With an error the warnings are still worth reading: they may be its cause.
    Err(units.into_iter().flat_map(|unit| unit.report.problems).collect())
}

fn named(problems: Vec<Problem>, release: &Release) -> Vec<Problem> {
    problems.into_iter().map(|problem| problem.of(&release.service)).collect()
}
