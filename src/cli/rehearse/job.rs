//! The job of a rehearsal: real in everything but its doors and its builder.

use std::cell::RefCell;
use std::rc::Rc;

use jiff::Timestamp;

use crate::action::files::RunnerFiles;
use crate::action::inputs::RawInputs;
use crate::action::{Context, Inputs};
use crate::aws;
use crate::rehearsal::client::http_client;
use crate::rehearsal::cloud::Cloud;
use crate::report::RunReport;
use crate::run::{self, Job};
use crate::sys::clock::Clock;

use super::Rehearsal;
use super::builder::PretendBuilder;
use super::world::{COMMIT, start, words, world};

/// Runs a rehearsal inside a runtime (whose time should be virtual) and gives the cloud back to be looked at.
pub async fn rehearse(rehearsal: Rehearsal) -> Result<(RunReport, Cloud), String> {
    fastrand::seed(rehearsal.seed);
    let (environment, scenario) = world(&rehearsal)?;
    let began = start(&scenario)?;
    let cloud = Cloud::new(scenario, rehearsal.seed);
    let report = run_on(&rehearsal, &cloud, environment, began).await?;
    Ok((report, cloud))
}

/// Runs the rehearsal's job on a cloud that exists already, as a second try does.
pub async fn run_on(
    rehearsal: &Rehearsal,
    cloud: &Cloud,
    environment: String,
    began: Timestamp,
) -> Result<RunReport, String> {
    let job = job(rehearsal, cloud, environment, began)?;
    Ok(run::run(&job).await)
}

/// The job of a rehearsal: real in everything but its doors and its builder.
pub fn job(
    rehearsal: &Rehearsal,
    cloud: &Cloud,
    environment: String,
    began: Timestamp,
) -> Result<Job, String> {
    let raw = RawInputs {
        config: Some(format!("{}\n", rehearsal.config.1)),
        environment: Some(environment),
        ..rehearsal.inputs.clone()
    };
    let inputs = Inputs::parse(raw).map_err(|problems| words(&problems))?;
    let mut variables = rehearsal.variables.clone();
    for (name, value) in CREDENTIALS {
        variables.insert((*name).into(), (*value).into());
    }
    let doors = aws::Doors { http: http_client(cloud.clone()), clock: Clock::starting_at(began), variables };
    let context = Context { sha: Some(COMMIT.into()), ..Context::read(&rehearsal.variables) };
    Ok(Job {
        inputs,
        context,
        files: RunnerFiles::read(&rehearsal.variables),
        doors,
        cancel: rehearsal.cancel.clone(),
        teller: rehearsal.teller.clone(),
        builder: Some(Rc::new(PretendBuilder(cloud.clone()))),
        workspace: rehearsal.workspace.clone(),
        rehearsal: true,
        saved: RefCell::new(None),
    })
}

/// Credentials that the embedded cloud knows; they open nothing else. The token keeps them from being taken for
/// long-lived keys.
const CREDENTIALS: &[(&str, &str)] = &[
    ("AWS_ACCESS_KEY_ID", "AKIAREHEARSAL0000001"),
    ("AWS_SECRET_ACCESS_KEY", "rehearsal-secret-key-0000000000000000000"),
    ("AWS_SESSION_TOKEN", "rehearsal"),
];
