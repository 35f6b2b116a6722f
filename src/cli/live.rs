//! Runs on the real world: as the action, as its post step, or from a laptop.

use std::cell::RefCell;
use std::path::PathBuf;

use crate::action::files::RunnerFiles;
use crate::action::inputs::{self, RawInputs, Read};
use crate::action::{Context, Inputs};
use crate::aws;
use crate::problem::{Code, Problem};
use crate::release::Outcome;
use crate::report::RunReport;
use crate::run::{self, Job, Teller};
use crate::sys::clock::Clock;
use crate::sys::environment::Variables;
use crate::sys::signal::Cancel;
use crate::sys::{disk, terminal};

use super::arguments::ReleaseOptions;
use super::finish;

/// The main step of the action.
pub(super) async fn action(variables: Variables) -> u8 {
    let read = inputs::read(&variables);
    whole_run(read, variables).await
}

/// The same operations on a laptop.
pub(super) async fn command(operation: &str, options: ReleaseOptions, variables: Variables) -> u8 {
    let raw = RawInputs {
        operation: Some(operation.to_owned()),
        config: options.config,
        environment: options.environment,
        services: options.services,
        image: options.image,
        aws_region: options.aws_region,
        on_cancel: options.on_cancel,
        timeout: options.timeout,
        ..RawInputs::default()
    };
    let read = Inputs::parse(raw).map(|inputs| Read { inputs, warnings: Vec::new() });
    whole_run(read, variables).await
}

async fn whole_run(read: Result<Read, Vec<Problem>>, variables: Variables) -> u8 {
    let (context, teller) = surroundings(&variables);
    let files = RunnerFiles::read(&variables);
    match read {
        Ok(read) => match job(read.inputs, context, teller, variables) {
            Ok(job) => {
                let mut report = run::run(&job).await;
                report.problems.extend(read.warnings);
                finish::finish(&job.teller, &job.files, &report)
            }
            Err(problem) => refused(&surroundings(&Variables::new()).1, &files, vec![problem]),
        },
        Err(problems) => refused(&teller, &files, problems),
    }
}

/// The post step of the action.
pub(super) async fn post(variables: Variables) -> u8 {
    let (context, teller) = surroundings(&variables);
    let files = RunnerFiles::read(&variables);
    let job = match inputs::read(&variables) {
        Ok(read) => job(read.inputs, context, teller.clone(), variables),
        Err(problems) => return refused(&teller, &files, problems),
    };
    match job {
        Ok(job) => match run::post(&job).await {
            Some(report) => finish::confirm(&job.teller, &job.files, &report),
            None => {
                job.teller.line(None, "the main step ended by itself; nothing is left to confirm");
                0
            }
        },
        Err(problem) => refused(&teller, &files, vec![problem]),
    }
}

fn refused(teller: &Teller, files: &RunnerFiles, problems: Vec<Problem>) -> u8 {
    let mut report = RunReport::new(Outcome::Invalid, "deploy", Clock::real().now());
    report.problems = problems;
    finish::finish(teller, files, &report)
}

fn surroundings(variables: &Variables) -> (Context, Teller) {
    let context = Context::read(variables);
    let event = context.event_path.as_ref().and_then(|path| disk::read_text(path.as_ref()).ok());
    let context = match event {
        Some(text) => context.with_event(&text),
        None => context,
    };
    let teller = Teller::new(context.in_runner, Clock::real(), terminal::line);
    for name in SECRETS {
        if let Some(value) = variables.get(*name).filter(|value| !value.is_empty()) {
            teller.mask(value);
        }
    }
    (context, teller)
}

/// Variables whose values must never show. Account ids and key ids are no secrets, and masking them would hide ARNs.
const SECRETS: &[&str] = &[
    "INPUT_GITHUB-TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
];

fn job(inputs: Inputs, context: Context, teller: Teller, variables: Variables) -> Result<Job, Problem> {
    let cancel = Cancel::from_signals().map_err(|error| {
        Problem::error(Code::Internal, "Signals cannot be handled on this machine.").cause(error.to_string())
    })?;
    let workspace = PathBuf::from(context.workspace.clone().unwrap_or_else(|| ".".into()));
    let doors = aws::Doors { http: aws::https_client(), clock: Clock::real(), variables };
    let files = RunnerFiles::read(&doors.variables);
    let saved = RefCell::new(None);
    Ok(Job {
        inputs,
        context,
        doors,
        cancel,
        teller,
        builder: None,
        workspace,
        files,
        rehearsal: false,
        saved,
    })
}
