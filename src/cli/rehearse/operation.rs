//! The operations of a rehearsal: what happened before a rollback or a promotion, images that exist, and a cancel at a second.

use std::time::Duration;

use jiff::Timestamp;

use crate::action::inputs::RawInputs;
use crate::config::{DeployFile, Service};
use crate::release::Outcome;
use crate::report::RunReport;
use crate::run::ProgressLog;
use crate::sys::clock::Clock;
use crate::sys::environment::Variables;
use crate::sys::signal::{CancelLevel, CancelToken};
use crate::targets::{self, KINDS};
use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::faults::FaultState;

use super::Rehearsal;
use super::promotion;
use super::run_context::run_against;
use super::scenario::{declared_environment, format_problems, placeholders, scenario_of, start_time};
use crate::cli::arguments::RehearseOptions;

/// From the release before the operation to the operation.
const TIME_BETWEEN: Duration = Duration::from_secs(3600);

/// The variable that makes the release before a rollback another version.
const MARKER: &str = "ROADSTEAD_REHEARSAL";

/// The inputs of the action that the options stand for.
pub(super) fn inputs(options: &RehearseOptions) -> RawInputs {
    RawInputs {
        operation: Some(options.operation.clone()).filter(|operation| !operation.is_empty()),
        services: options.services.clone(),
        image: options.image.clone(),
        to: options.to.clone(),
        set: Some(options.set.join("\n")).filter(|lines| !lines.is_empty()),
        on_cancel: options.on_cancel.clone(),
        timeout: options.timeout.clone(),
        ..RawInputs::default()
    }
}

/// Rehearses the operation. Before a rollback another version is released, and before a promotion an image is released in the
/// environment that it comes from, in a world without faults.
pub(super) async fn rehearse_operation(
    rehearsal: &Rehearsal,
    options: &RehearseOptions,
) -> Result<RunReport, String> {
    fastrand::seed(rehearsal.seed);
    let target = declared_environment(rehearsal, rehearsal.environment.as_deref())?;
    let source = promotion::source_of(&options.operation, &target.environment);
    let source = source.map(|name| declared_environment(rehearsal, Some(name))).transpose()?;
    let mut scenario = scenario_of(rehearsal, &target, source.as_ref())?;
    for reference in image_references(options) {
        scenario = scenario.with_image(&reference, "linux/amd64");
    }
    let mut earlier = match options.operation.ends_with("rollback") {
        true => earlier_releases(rehearsal, &target.name)?,
        false => Vec::new(),
    };
    if let Some(source) = &source {
        let (with_images, run) = promotion::proven_release(rehearsal, scenario, source);
        scenario = with_images;
        earlier.push(run);
    }
    let mut began = start_time(&scenario)?;
    let cloud = Cloud::new(scenario, rehearsal.seed);
    if !earlier.is_empty() {
        began = release_earlier(rehearsal, &cloud, earlier, began).await?;
    }
    let promoting = source.as_ref().map(|source| {
        promotion::name_workflow(&cloud, rehearsal, source);
        promotion::promoting(rehearsal)
    });
    let rehearsal = promoting.as_ref().unwrap_or(rehearsal);
    if let Some(seconds) = options.cancel_at {
        cancel_later(&rehearsal.cancel, Duration::from_secs(seconds.into()));
    }
    run_against(rehearsal, &cloud, target.name, began).await
}

/// The images that the options name, without the names of services.
fn image_references(options: &RehearseOptions) -> Vec<String> {
    let text = options.image.as_deref().unwrap_or_default();
    let parts = text.split(['\n', ',']).map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| part.split_once('=').map_or(part, |(_, image)| image).trim().to_owned()).collect()
}

fn cancel_later(cancel: &CancelToken, after: Duration) {
    let cancel = cancel.clone();
    tokio::task::spawn_local(async move {
        tokio::time::sleep(after).await;
        cancel.set(CancelLevel::Cancel);
    });
}

/// A run before the one that is rehearsed.
pub(super) struct EarlierRun {
    /// Its environment.
    pub(super) environment: String,
    /// Its inputs.
    pub(super) inputs: RawInputs,
    /// The inputs of another run, made if this one is invalid.
    pub(super) instead: Option<RawInputs>,
    /// What the runner tells it.
    pub(super) variables: Variables,
}

/// Makes these runs in a world without faults; gives the time after them.
async fn release_earlier(
    rehearsal: &Rehearsal,
    cloud: &Cloud,
    runs: Vec<EarlierRun>,
    began: Timestamp,
) -> Result<Timestamp, String> {
    let faults = cloud.change(|world, _| std::mem::take(&mut world.faults));
    for run in runs {
        let mut report = run_once(rehearsal, cloud, &run, run.inputs.clone(), began).await?;
        if let Some(inputs) = run.instead.clone().filter(|_| report.outcome == Outcome::Invalid) {
            report = run_once(rehearsal, cloud, &run, inputs, began).await?;
        }
        if !matches!(report.outcome, Outcome::Deployed | Outcome::Committed | Outcome::Unchanged) {
            let problems: Vec<_> = report.all_problems().into_iter().cloned().collect();
            return Err(format!(
                "The release in `{}` before this operation ended as {}:\n{}",
                run.environment,
                report.outcome,
                format_problems(&problems)
            ));
        }
    }
    tokio::time::sleep(TIME_BETWEEN).await;
    let now = cloud.change(|world, now| {
        world.faults = FaultState::new(faults.list, now);
        now
    });
    Timestamp::from_microsecond((now * 1e6) as i64).map_err(|error| error.to_string())
}

async fn run_once(
    rehearsal: &Rehearsal,
    cloud: &Cloud,
    run: &EarlierRun,
    inputs: RawInputs,
    began: Timestamp,
) -> Result<RunReport, String> {
    let release = Rehearsal {
        inputs,
        variables: run.variables.clone(),
        cancel: CancelToken::default(),
        log: ProgressLog::new(false, Clock::starting_at(began), |_| ()),
        ..rehearsal.clone()
    };
    run_against(&release, cloud, run.environment.clone(), began).await
}

/// The runs before a rollback: a changed variable where a target has variables, which needs neither a build nor a proof, and a
/// deploy of the other services. A service can lack variables where its target has them: then all are deployed.
fn earlier_releases(rehearsal: &Rehearsal, environment: &str) -> Result<Vec<EarlierRun>, String> {
    let (file, text) = &rehearsal.config;
    let document = DeployFile::parse(file, text).map_err(|problems| format_problems(&problems))?;
    let (services, _) =
        document.services(environment, &[], &targets::keys(KINDS), &placeholders(environment));
    let has_variables = |service: &&Service| {
        targets::find(KINDS, &service.target).is_ok_and(|kind| kind.needs().env_vars.is_supported())
    };
    let (with_variables, others): (Vec<&Service>, Vec<&Service>) = services.iter().partition(has_variables);
    let lines: Vec<String> =
        with_variables.iter().map(|service| format!("{}.{MARKER}=1", service.name)).collect();
    let set_env = (!lines.is_empty()).then(|| RawInputs {
        operation: Some("set-env".into()),
        set: Some(lines.join("\n")),
        ..RawInputs::default()
    });
    let deploy_of = |services: &[&Service]| {
        let names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
        (!names.is_empty()).then(|| RawInputs { services: Some(names.join(",")), ..RawInputs::default() })
    };
    let run = |inputs, instead| EarlierRun {
        environment: environment.to_owned(),
        inputs,
        instead,
        variables: rehearsal.variables.clone(),
    };
    let first = set_env.map(|inputs| run(inputs, deploy_of(&with_variables)));
    let second = deploy_of(&others).map(|inputs| run(inputs, None));
    Ok(first.into_iter().chain(second).collect())
}
