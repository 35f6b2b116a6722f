//! The main step and the post step of the action: inputs in, run, files and exit code out. The caller passes the io:
//! `live` passes the real one, tests pass the emulator's.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::action::files::RunnerFiles;
use crate::action::inputs::{self, ParsedInputs};
use crate::action::redact::Secret;
use crate::action::{ConfigSource, GithubContext, Inputs, checkout, sanitize};
use crate::aws;
use crate::github::CommitHistory;
use crate::image::ImageBuilder;
use crate::problem::{self, Problem};
use crate::release::Outcome;
use crate::report::RunReport;
use crate::report::versions::version_lines;
use crate::run::{self, ProgressLog, RunContext, RunEnvironment};
use crate::sys::clock::Clock;
use crate::sys::disk;
use crate::sys::environment::Variables;
use crate::sys::network::{PrivateClients, Proxies};
use crate::sys::signal::CancelToken;
use crate::sys::ssh::{SshClient, SshCredentials};
use crate::targets::KINDS;

use super::finish;

/// Creates the client that reads commits, once the inputs are known.
pub type CommitHistoryFactory = dyn Fn(&Inputs, &GithubContext) -> Option<Rc<dyn CommitHistory>>;

/// Everything outside of this process that a step uses.
pub struct StepIo {
    /// The environment of the process.
    pub variables: Variables,
    /// The transport of calls to AWS.
    pub http: SharedHttpClient,
    /// Makes clients for servers with an authority of their own.
    pub private_clients: PrivateClients,
    /// Real or virtual time.
    pub clock: Clock,
    /// The request to cancel.
    pub cancel: CancelToken,
    /// The image builder; `None` means buildx.
    pub builder: Option<Rc<dyn ImageBuilder>>,
    /// The folder that paths in the deploy file count from; `None` for the runner's workspace, or the current folder.
    pub workspace: Option<PathBuf>,
    /// Creates the reader of commits for the token of the inputs.
    pub commits: Box<CommitHistoryFactory>,
    /// Whether the run is a rehearsal on the emulator.
    pub is_rehearsal: bool,
}

/// A step with its secrets masked and its environment read.
struct PreparedStep {
    context: GithubContext,
    log: ProgressLog,
    files: RunnerFiles,
    io: StepIo,
}

/// The main step: reads `INPUT_*`, runs, writes the runner's files and returns the exit code. `write` receives the
/// lines of the log.
pub async fn run_main(io: StepIo, write: impl FnMut(&str) + 'static) -> u8 {
    let read = inputs::read(&io.variables);
    run_inputs(read, io, write).await
}

/// As [`run_main`], with inputs that were read elsewhere.
pub(super) async fn run_inputs(
    read: Result<ParsedInputs, Vec<Problem>>,
    io: StepIo,
    write: impl FnMut(&str) + 'static,
) -> u8 {
    let step = PreparedStep::prepare(io, write);
    match read {
        Ok(read) => {
            let ctx = step.into_run_context(read.inputs);
            // Boxed because the future is large.
            let mut report = Box::pin(run::run(&ctx)).await;
            report.problems.extend(read.warnings);
            finish::finish(&ctx.log, &ctx.files, &report)
        }
        Err(problems) => step.fail_early(problems),
    }
}

/// Lists the versions that a rollback can return to. The exit code is 2 if some could not be read.
pub(super) async fn run_versions(
    read: Result<ParsedInputs, Vec<Problem>>,
    io: StepIo,
    mut write: impl FnMut(&str) + Clone + 'static,
) -> u8 {
    let step = PreparedStep::prepare(io, write.clone());
    let ctx = match read {
        Ok(read) => step.into_run_context(read.inputs),
        Err(problems) => return step.fail_early(problems),
    };
    match Box::pin(run::list_versions(&ctx)).await {
        Ok(list) => {
            let redactor = ctx.log.redactor();
            version_lines(&list)
                .iter()
                .for_each(|line| write(&sanitize::sanitize_line(&redactor.redact(line))));
            let is_incomplete = list.problems.iter().any(Problem::is_error)
                || list.services.iter().any(|service| service.error.is_some());
            if is_incomplete { 2 } else { 0 }
        }
        Err(report) => finish::finish(&ctx.log, &ctx.files, &report),
    }
}

/// The post step: reports what serves after a main step that was interrupted; does nothing otherwise.
pub async fn run_post(io: StepIo, write: impl FnMut(&str) + 'static) -> u8 {
    let step = PreparedStep::prepare(io, write);
    if !run::needs_post_step(&step.io.variables) {
        step.log.info(None, "the main step completed; the post step has nothing to do");
        return 0;
    }
    let ctx = match inputs::read(&step.io.variables) {
        Ok(read) => step.into_run_context(read.inputs),
        Err(problems) => return step.fail_early(problems),
    };
    match Box::pin(run::run_post_step(&ctx)).await {
        Some(report) => finish::finish_post_step(&ctx.log, &ctx.files, &report),
        None => 0,
    }
}

/// Ends a step that could not start.
pub(super) fn fail_early(io: StepIo, write: impl FnMut(&str) + 'static, problems: Vec<Problem>) -> u8 {
    PreparedStep::prepare(io, write).fail_early(problems)
}

impl PreparedStep {
    fn prepare(io: StepIo, write: impl FnMut(&str) + 'static) -> Self {
        let variables = &io.variables;
        let context = GithubContext::from_variables(variables);
        let event = context.event_path.as_ref().and_then(|path| disk::read_text(path.as_ref()).ok());
        let context = match event {
            Some(text) => context.with_event(&text),
            None => context,
        };
        let log = ProgressLog::new(context.in_runner, io.clock, write);
        for name in SECRET_VARIABLES {
            if let Some(value) = variables.get(*name).filter(|value| !value.is_empty()) {
                log.mask(value);
            }
        }
        // A setting that cannot be used is reported by the caller.
        for secret in Proxies::from_variables(variables).map(|proxies| proxies.secrets()).unwrap_or_default()
        {
            log.mask(&secret);
        }
        let files = RunnerFiles::from_variables(variables);
        Self { context, log, files, io }
    }

    fn into_run_context(self, inputs: Inputs) -> RunContext {
        let StepIo {
            variables,
            http,
            private_clients,
            clock,
            cancel,
            builder,
            workspace,
            commits,
            is_rehearsal,
        } = self.io;
        let of_runner = || self.context.workspace.clone().unwrap_or_else(|| ".".into());
        let workspace = workspace.unwrap_or_else(|| PathBuf::from(of_runner()));
        let checkout = checked_out_commit(&self.context, &inputs, &workspace);
        let context = GithubContext { checkout, ..self.context };
        let mask = aws::Mask::new(self.log.secret_sink());
        let remote_hosts = Rc::new(SshClient::new(ssh_credentials(&inputs, &variables)));
        let environment = RunEnvironment {
            kinds: KINDS,
            remote_hosts,
            commit_history: commits(&inputs, &context),
            io: aws::Io { http, clock, variables, mask, private_clients },
            cancel,
            log: self.log,
            builder,
            workspace,
            files: self.files,
            rehearsal: is_rehearsal,
        };
        RunContext::new(inputs, context, environment)
    }

    fn fail_early(self, problems: Vec<Problem>) -> u8 {
        let now = self.io.clock.now();
        let report = run::blank_report(Outcome::Invalid, "deploy", now, &self.context);
        let problems = problem::list::bounded(problems);
        let report = RunReport { problems, rehearsal: self.io.is_rehearsal, ..report };
        finish::finish(&self.log, &self.files, &report)
    }
}

/// What a job has checked out, in the repository that the deploy file is in. On a laptop files may differ from every commit.
fn checked_out_commit(context: &GithubContext, inputs: &Inputs, workspace: &Path) -> Option<String> {
    let folder = match &inputs.config {
        ConfigSource::Path(path) => Path::new(path).parent().unwrap_or(Path::new("")),
        ConfigSource::Text(_) => Path::new(""),
    };
    let repository = context.repository.as_deref();
    context.in_runner.then(|| checkout::checked_out_commit(workspace, folder, repository)).flatten()
}

/// The variable with the passphrase of the private key.
const SSH_PASSPHRASE: &str = "ROADSTEAD_SSH_PASSPHRASE";
/// The variables with the private key and the keys of hosts, where no input has them, as on a laptop.
const SSH_KEY: &str = "ROADSTEAD_SSH_KEY";
const SSH_KNOWN_HOSTS: &str = "ROADSTEAD_SSH_KNOWN_HOSTS";

/// What the run has to log in to hosts with.
fn ssh_credentials(inputs: &Inputs, variables: &Variables) -> SshCredentials {
    let variable = |name: &str| variables.get(name).map(String::as_str);
    let key = inputs.ssh_key.as_ref().map(Secret::reveal).or(variable(SSH_KEY));
    let known_hosts = inputs.ssh_known_hosts.as_deref().or(variable(SSH_KNOWN_HOSTS));
    SshCredentials::read(key, variable(SSH_PASSPHRASE), known_hosts)
}

/// Variables whose values are secrets. Account ids and key ids are not, and masking them would hide ARNs.
const SECRET_VARIABLES: &[&str] = &[
    "INPUT_GITHUB-TOKEN",
    "INPUT_MANIFESTS-TOKEN",
    "INPUT_ARGOCD-TOKEN",
    "INPUT_SSH-KEY",
    SSH_KEY,
    SSH_PASSPHRASE,
    "ARGOCD_AUTH_TOKEN",
    "GITHUB_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
];
