//! Runs with the real io: as the action, as its post step, or from a laptop.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::action::inputs::{self, ParsedInputs, RawInputs};
use crate::action::redact::Secret;
use crate::action::{GithubContext, Inputs};
use crate::aws;
use crate::github::{self, CommitHistory};
use crate::problem::{Code, Problem};
use crate::run::{self, ProgressLog};
use crate::sys::clock::Clock;
use crate::sys::environment::Variables;
use crate::sys::network::{Network, PrivateClients};
use crate::sys::supervisor::Supervision;
use crate::sys::terminal;

use super::Release;
use super::action_step::{self, StepIo};
use super::arguments::{InitOptions, ReleaseOptions};
use super::init;
use super::place::{DEFAULT_PATH, DeployFilePlace};

/// The main step of the action.
pub(super) async fn run_action(supervision: Supervision, variables: Variables) -> u8 {
    let read = inputs::read(&variables);
    limit_run(&supervision, read.as_ref().ok());
    match real_io(supervision, variables) {
        Ok(io) => action_step::run_inputs(read, io, terminal::stdout_line).await,
        Err(refused) => action_step::fail_early(refused.0, terminal::stdout_line, vec![refused.1]),
    }
}

/// The arguments that only some operations take.
#[derive(Debug, Default)]
pub(super) struct OperationArgs {
    /// The version to roll back to, or the release to promote.
    pub(super) to: Option<String>,
    /// The lines of `set-env`.
    pub(super) set: Option<String>,
}

/// The same operations on a laptop.
pub(super) async fn run_release(release: Release, supervision: Supervision, variables: Variables) -> u8 {
    let (read, workspace) = read_options(release, &variables);
    limit_run(&supervision, read.as_ref().ok());
    match real_io(supervision, variables) {
        Ok(io) => {
            let io = StepIo { workspace, ..io };
            action_step::run_inputs(read, io, terminal::stdout_line).await
        }
        Err(refused) => action_step::fail_early(refused.0, terminal::stdout_line, vec![refused.1]),
    }
}

/// The versions that a rollback can return to.
pub(super) async fn run_versions(
    options: ReleaseOptions,
    supervision: Supervision,
    variables: Variables,
) -> u8 {
    let release = Release { operation: "plan rollback".into(), options, extra: OperationArgs::default() };
    let (read, workspace) = read_options(release, &variables);
    match real_io(supervision, variables) {
        Ok(io) => {
            let io = StepIo { workspace, ..io };
            action_step::run_versions(read, io, terminal::stdout_line).await
        }
        Err(refused) => action_step::fail_early(refused.0, terminal::stdout_line, vec![refused.1]),
    }
}

type ReadOptions = Result<ParsedInputs, Vec<Problem>>;

/// The inputs of a command line, and the folder that paths in the deploy file count from. In a job that is the runner's own.
fn read_options(release: Release, variables: &Variables) -> (ReadOptions, Option<PathBuf>) {
    let Release { operation, options, extra } = release;
    let token = variables.get("GITHUB_TOKEN").filter(|token| !token.is_empty());
    let named = options.config.unwrap_or_else(|| DEFAULT_PATH.to_owned());
    let is_path = !variables.contains_key("GITHUB_WORKSPACE") && !named.contains('\n');
    let place = is_path.then(|| DeployFilePlace::find(Path::new("."), &named));
    let raw = RawInputs {
        github_token: token.map(|token| Secret::new(token.clone())),
        operation: Some(operation),
        config: Some(place.as_ref().map_or(named, |place| place.config.clone())),
        environment: options.environment,
        services: options.services,
        image: options.image,
        to: extra.to,
        set: extra.set,
        aws_region: options.aws_region,
        role_to_assume: options.role_to_assume,
        on_cancel: options.on_cancel,
        timeout: options.timeout,
        ..RawInputs::default()
    };
    let read = Inputs::parse(raw).map(|inputs| ParsedInputs { inputs, warnings: Vec::new() });
    (read, place.map(|place| place.root))
}

/// A first deploy file, from what this machine's credentials can read.
pub(super) async fn run_init(options: &InitOptions, variables: Variables) -> u8 {
    let log = ProgressLog::new(false, Clock::real(), terminal::stdout_line);
    let mask = aws::Mask::new(log.secret_sink());
    let network = match Network::from_variables(&variables) {
        Ok(network) => network,
        Err(problem) => {
            log.problem(&problem);
            return 2;
        }
    };
    let (http, private_clients) = (network.client(), PrivateClients::Network(Box::new(network)));
    let io = aws::Io { http, clock: Clock::real(), variables, mask, private_clients };
    init::main(options, &io, terminal::stdout_line).await
}

/// The post step of the action.
pub(super) async fn run_post(supervision: Supervision, variables: Variables) -> u8 {
    match real_io(supervision, variables) {
        Ok(io) => action_step::run_post(io, terminal::stdout_line).await,
        Err(refused) => action_step::fail_early(refused.0, terminal::stdout_line, vec![refused.1]),
    }
}

/// Bounds a run from outside, in case it blocks: a little later than it bounds itself.
fn limit_run(supervision: &Supervision, read: Option<&ParsedInputs>) {
    if let Some(read) = read {
        supervision.set_limit(run::time_limit(read.inputs.timeout) + BLOCKED_GRACE);
    }
}

/// How much longer than its time limit a run may take before it counts as blocked.
const BLOCKED_GRACE: Duration = Duration::from_secs(60);

/// The io of this machine. If signals cannot be handled, or the network settings cannot be used, the error carries the io
/// for reporting the problem.
fn real_io(supervision: Supervision, variables: Variables) -> Result<StepIo, Box<(StepIo, Problem)>> {
    let (cancel, signal_problem) = (supervision.cancel, supervision.signal_error.map(unsignalled_problem));
    let (network, network_problem) = match Network::from_variables(&variables) {
        Ok(network) => (network, None),
        Err(problem) => (Network::default(), Some(problem)),
    };
    let http = network.client();
    let github = http.clone();
    let io = StepIo {
        variables,
        http,
        private_clients: PrivateClients::Network(Box::new(network)),
        clock: Clock::real(),
        cancel,
        builder: None,
        workspace: None,
        commits: Box::new(move |inputs, context| commit_history(&github, inputs, context)),
        is_rehearsal: false,
    };
    match signal_problem.or(network_problem) {
        None => Ok(io),
        Some(problem) => Err(Box::new((io, problem))),
    }
}

fn unsignalled_problem(reason: String) -> Problem {
    Problem::error(Code::Internal, "Signals cannot be handled on this machine.").cause(reason)
}

/// GitHub, if the run has a token and knows its GitHub server.
fn commit_history(
    http: &SharedHttpClient,
    inputs: &Inputs,
    context: &GithubContext,
) -> Option<Rc<dyn CommitHistory>> {
    let (token, api) = (inputs.github_token.as_ref()?, context.api_url.as_deref()?);
    Some(Rc::new(github::CommitsClient::new(http.clone(), api, token.reveal())))
}
