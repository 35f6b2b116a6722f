//! The two steps of the action, in whatever world they are given: inputs in, run, files and exit code out. The real
//! world is `live`; tests give the embedded cloud.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::action::files::RunnerFiles;
use crate::action::inputs::{self, Read};
use crate::action::{Context, Inputs};
use crate::aws;
use crate::github::Commits;
use crate::image::Builder;
use crate::problem::Problem;
use crate::release::Outcome;
use crate::report::RunReport;
use crate::run::{self, Job, Teller};
use crate::sys::clock::Clock;
use crate::sys::disk;
use crate::sys::environment::Variables;
use crate::sys::signal::Cancel;

use super::finish;

/// Finds who reads commits, once the inputs are known.
pub type FindCommits = dyn Fn(&Inputs, &Context) -> Option<Rc<dyn Commits>>;

/// Everything outside of this process that a step touches.
pub struct Outside {
    /// The environment of the process.
    pub variables: Variables,
    /// Where calls to AWS go.
    pub http: SharedHttpClient,
    /// Where time comes from.
    pub clock: Clock,
    /// The wish to end early.
    pub cancel: Cancel,
    /// Who builds images; `None` means buildx.
    pub builder: Option<Rc<dyn Builder>>,
    /// Makes the one who knows commits, for the token of the inputs.
    pub commits: Box<FindCommits>,
    /// Whether nothing of it is real.
    pub rehearsal: bool,
}

/// A step whose secrets are masked and whose surroundings are read.
struct Step {
    context: Context,
    teller: Teller,
    files: RunnerFiles,
    outside: Outside,
}

/// The main step: reads `INPUT_*`, runs, writes the runner's files and gives the exit code. `write` takes the lines of
/// the log.
pub async fn main(outside: Outside, write: impl FnMut(&str) + 'static) -> u8 {
    let read = inputs::read(&outside.variables);
    run_with(read, outside, write).await
}

/// As [`main`], with inputs that were read elsewhere.
pub(super) async fn run_with(
    read: Result<Read, Vec<Problem>>,
    outside: Outside,
    write: impl FnMut(&str) + 'static,
) -> u8 {
    let step = Step::open(outside, write);
    match read {
        Ok(read) => {
            let job = step.job(read.inputs);
            // Boxed, because it is large and deep: whoever waits for it should not have to be.
            let mut report = Box::pin(run::run(&job)).await;
            report.problems.extend(read.warnings);
            finish::finish(&job.teller, &job.files, &report)
        }
        Err(problems) => step.refuse(problems),
    }
}

/// The post step: confirms what serves after a main step that did not end by itself, and is silent otherwise.
pub async fn post(outside: Outside, write: impl FnMut(&str) + 'static) -> u8 {
    let step = Step::open(outside, write);
    if !run::unfinished(&step.outside.variables) {
        step.teller.line(None, "the main step ended by itself; nothing is left to confirm");
        return 0;
    }
    let job = match inputs::read(&step.outside.variables) {
        Ok(read) => step.job(read.inputs),
        Err(problems) => return step.refuse(problems),
    };
    match Box::pin(run::post(&job)).await {
        Some(report) => finish::confirm(&job.teller, &job.files, &report),
        None => 0,
    }
}

/// Ends a step that could not begin.
pub(super) fn refuse(outside: Outside, write: impl FnMut(&str) + 'static, problems: Vec<Problem>) -> u8 {
    Step::open(outside, write).refuse(problems)
}

impl Step {
    fn open(outside: Outside, write: impl FnMut(&str) + 'static) -> Self {
        let variables = &outside.variables;
        let context = Context::read(variables);
        let event = context.event_path.as_ref().and_then(|path| disk::read_text(path.as_ref()).ok());
        let context = match event {
            Some(text) => context.with_event(&text),
            None => context,
        };
        let teller = Teller::new(context.in_runner, outside.clock, write);
        for name in SECRETS {
            if let Some(value) = variables.get(*name).filter(|value| !value.is_empty()) {
                teller.mask(value);
            }
        }
        let files = RunnerFiles::read(variables);
        Self { context, teller, files, outside }
    }

    fn job(self, inputs: Inputs) -> Job {
        let Outside { variables, http, clock, cancel, builder, commits, rehearsal } = self.outside;
        let mask = aws::Mask::new(self.teller.keeper());
        Job {
            commits: commits(&inputs, &self.context),
            inputs,
            doors: aws::Doors { http, clock, variables, mask },
            cancel,
            teller: self.teller,
            builder,
            workspace: PathBuf::from(self.context.workspace.clone().unwrap_or_else(|| ".".into())),
            context: self.context,
            files: self.files,
            rehearsal,
            saved: RefCell::new(None),
            held: RefCell::default(),
        }
    }

    fn refuse(self, problems: Vec<Problem>) -> u8 {
        let now = self.outside.clock.now();
        let report = run::blank_report(Outcome::Invalid, "deploy", now, &self.context);
        let report = RunReport { problems, rehearsal: self.outside.rehearsal, ..report };
        finish::finish(&self.teller, &self.files, &report)
    }
}

/// Variables whose values must never show. Account ids and key ids are no secrets, and masking them would hide ARNs.
const SECRETS: &[&str] = &[
    "INPUT_GITHUB-TOKEN",
    "INPUT_MANIFESTS-TOKEN",
    "INPUT_ARGOCD-TOKEN",
    "ARGOCD_AUTH_TOKEN",
    "GITHUB_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
];
