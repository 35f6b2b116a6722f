//! The action as the runner starts it: `INPUT_*` and `GITHUB_*` variables, files for outputs, state and summary, an
//! event; the emulator replaces AWS.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use async_trait::async_trait;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use roadstead::action::GithubContext;
use roadstead::cli::action_step::{self, StepIo};
use roadstead::cli::rehearse;
use roadstead::github::CommitHistory;
use roadstead::image::{BuildLog, BuildOutput, BuildRequest, ImageBuilder};
use roadstead::problem::{Code, Problem};
use roadstead::sys::clock::Clock;
use roadstead::sys::environment::Variables;
use roadstead::sys::network::PrivateClients;
use roadstead::sys::signal::{CancelLevel, CancelToken};
use roadstead_cloud::call_log::LoggedCall;
use roadstead_cloud::client::http_client;
use roadstead_cloud::cloud::Cloud;

use super::tamper::Tamper;
use super::{TestRun, run_in_virtual_time};

pub(crate) const ROLE: &str = "arn:aws:iam::111111111111:role/deploy";
pub(crate) const TOKEN: &str = "ghs_0123456789abcdefghijklmnopqrstuvwxyz";
pub(crate) const OIDC_REQUEST_TOKEN: &str = "request-token-of-this-job";
pub(crate) const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

pub(crate) const CONFIG: &str = "environments:
  staging: { branches: [develop], aws: { region: eu-west-1, role: \"arn:aws:iam::111111111111:role/deploy\" } }
  production: { branches: [main], aws: { region: eu-west-1, role: \"arn:aws:iam::111111111111:role/deploy\" } }
services:
  backend:
    repository: backend
    ecs: { cluster: acme, service: backend, container: app }
";

/// The result of a step.
pub(crate) struct StepResult {
    pub(crate) exit_code: u8,
    pub(crate) lines: Vec<String>,
    pub(crate) outputs: Vec<(String, String)>,
    pub(crate) summary: String,
    pub(crate) state: Option<String>,
    pub(crate) calls: Vec<LoggedCall>,
    pub(crate) elapsed: Duration,
}

impl StepResult {
    pub(crate) fn output(&self, name: &str) -> &str {
        self.outputs.iter().rev().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The outputs that are not empty and not JSON, a line each.
    pub(crate) fn plain_outputs(&self) -> String {
        let short = self
            .outputs
            .iter()
            .filter(|(key, value)| !value.is_empty() && !["plan", "services"].contains(&key.as_str()));
        short.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("\n")
    }

    /// The summary without random parts and without events of ECS.
    pub(crate) fn stable_summary(&self) -> String {
        let lines = self.summary.lines().filter(|line| !line.contains(" | (service "));
        lines.map(stabilize).collect::<Vec<_>>().join("\n").trim_end().to_owned()
    }

    /// The same up to its first folded part.
    pub(crate) fn visible_summary(&self) -> String {
        let steady = self.stable_summary();
        steady.split("\n<details>").next().unwrap_or_default().trim_end().to_owned()
    }

    /// The annotations, a line each.
    pub(crate) fn annotation_lines(&self) -> String {
        stabilize(&self.annotations().join("\n"))
    }

    /// The workflow commands of the log.
    pub(crate) fn workflow_commands(&self) -> Vec<&str> {
        self.lines.iter().map(String::as_str).filter(|line| line.starts_with("::")).collect()
    }

    pub(crate) fn annotations(&self) -> Vec<&str> {
        let kinds = ["::error", "::warning", "::notice"];
        self.workflow_commands()
            .into_iter()
            .filter(|line| kinds.iter().any(|kind| line.starts_with(kind)))
            .collect()
    }

    /// The number of effective calls of the operation `name`.
    pub(crate) fn count_calls(&self, name: &str) -> usize {
        self.calls.iter().filter(|call| call.operation == name).count()
    }

    pub(crate) fn count_changes(&self) -> usize {
        self.calls.iter().filter(|call| call.is_mutating && call.took_effect).count()
    }
}

/// A runner with a job.
pub(crate) struct Runner {
    test_run: TestRun,
    folder: tempfile::TempDir,
    pub(crate) variables: Variables,
    pub(crate) commits: fn() -> Option<Rc<dyn CommitHistory>>,
    /// After how long the job is cancelled.
    pub(crate) cancel_after: Option<Duration>,
    /// Services whose image cannot be built.
    broken_builds: Vec<&'static str>,
    /// How long a build takes.
    build_time: Duration,
    /// What stands between the run and the emulator.
    pub(crate) wrap_http: Option<HttpWrapper>,
}

/// A builder that takes its time, and cannot build the images of some services.
struct BreakingBuilder {
    inner: Rc<dyn ImageBuilder>,
    broken: Vec<&'static str>,
    build_time: Duration,
}

#[async_trait(?Send)]
impl ImageBuilder for BreakingBuilder {
    async fn build(&self, request: &BuildRequest, log: BuildLog<'_>) -> Result<BuildOutput, Problem> {
        tokio::time::sleep(self.build_time).await;
        match self.broken.contains(&request.service.as_str()) {
            true => Err(Problem::error(Code::BuildFailed, "The image could not be built.")),
            false => self.inner.build(request, log).await,
        }
    }

    async fn clean_up(&self) {
        self.inner.clean_up().await;
    }
}

/// Makes a client of another one.
pub(crate) type HttpWrapper = Rc<dyn Fn(SharedHttpClient) -> SharedHttpClient>;

impl Runner {
    /// A push to `main` in a built-in scenario.
    pub(crate) fn builtin(scenario: &str) -> Self {
        Self::from_test_run(TestRun::builtin(scenario))
    }

    /// A push to `main` in a custom scenario.
    pub(crate) fn custom(scenario: &str) -> Self {
        Self::from_test_run(TestRun::custom(scenario))
    }

    fn from_test_run(trial: TestRun) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let trial = TestRun { workspace: folder.path().join("workspace"), ..trial };
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let pairs = [
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_EVENT_NAME", "push".into()),
            ("GITHUB_EVENT_PATH", path("event.json")),
            ("GITHUB_REF", "refs/heads/main".into()),
            ("GITHUB_REF_NAME", "main".into()),
            ("GITHUB_REF_TYPE", "branch".into()),
            ("GITHUB_SHA", SHA.into()),
            ("GITHUB_REPOSITORY", "acme/shop".into()),
            ("GITHUB_SERVER_URL", "https://github.com".into()),
            ("GITHUB_API_URL", "https://api.github.com".into()),
            ("GITHUB_WORKFLOW_REF", "acme/shop/.github/workflows/deploy.yml@refs/heads/main".into()),
            ("GITHUB_RUN_ID", "7".into()),
            ("GITHUB_RUN_ATTEMPT", "1".into()),
            ("GITHUB_ACTOR", "ann".into()),
            ("GITHUB_WORKSPACE", path("workspace")),
            ("GITHUB_OUTPUT", path("output")),
            ("GITHUB_STATE", path("state")),
            ("GITHUB_STEP_SUMMARY", path("summary")),
            ("INPUT_OPERATION", "deploy".into()),
            ("INPUT_CONFIG", ".github/roadstead.yml".into()),
            ("INPUT_ENVIRONMENT", String::new()),
            ("INPUT_SERVICES", String::new()),
            ("INPUT_IMAGE", String::new()),
            ("INPUT_ROLE-TO-ASSUME", String::new()),
            ("INPUT_GITHUB-TOKEN", TOKEN.into()),
            ("INPUT_ON-CANCEL", "rollback".into()),
            ("INPUT_TIMEOUT", "60m".into()),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://runner.invalid/oidc/token?api-version=2.0".into()),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", OIDC_REQUEST_TOKEN.into()),
        ];
        let variables = pairs.map(|(name, value)| (name.to_owned(), value)).into();
        let runner = Self {
            test_run: trial,
            folder,
            variables,
            commits: || None,
            cancel_after: None,
            broken_builds: Vec::new(),
            build_time: Duration::ZERO,
            wrap_http: None,
        };
        let runner = runner.with_file("event.json", "{}").with_file("workspace/Dockerfile", "FROM scratch\n");
        runner.with_file("workspace/.github/roadstead.yml", CONFIG)
    }

    /// The deploy file.
    pub(crate) fn with_config(mut self, text: &str) -> Self {
        self.test_run.config = text.into();
        self.with_file("workspace/.github/roadstead.yml", text)
    }

    /// A variable; an empty one counts as unset.
    pub(crate) fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// The images of these services cannot be built.
    pub(crate) fn with_broken_builds(self, services: &[&'static str]) -> Self {
        Self { broken_builds: services.to_vec(), ..self }
    }

    /// Every build takes so long.
    pub(crate) fn with_build_time(self, build_time: Duration) -> Self {
        Self { build_time, ..self }
    }

    /// The seed of its world.
    pub(crate) fn with_seed(mut self, seed: u64) -> Self {
        self.test_run.seed = seed;
        self
    }

    /// A file below the runner's folder.
    pub(crate) fn with_file(self, name: &str, text: &str) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The main step.
    pub(crate) fn run_main(&self) -> StepResult {
        run_in_virtual_time(async {
            let (cloud, clock) = self.start_cloud();
            self.run_main_on(&cloud, clock).await
        })
    }

    /// The main step and, on the same cloud and right after it, the post step.
    pub(crate) fn run_main_and_post(&self) -> (StepResult, StepResult) {
        run_in_virtual_time(async {
            let (cloud, clock) = self.start_cloud();
            let main = self.run_main_on(&cloud, clock).await;
            (main, self.run_post_on(&cloud, clock).await)
        })
    }

    pub(crate) fn start_cloud(&self) -> (Cloud, Clock) {
        let stage = self.test_run.set_up();
        (stage.cloud, Clock::starting_at(stage.start))
    }

    pub(crate) async fn run_main_on(&self, cloud: &Cloud, clock: Clock) -> StepResult {
        let cancel = CancelToken::default();
        if let Some(after) = self.cancel_after {
            let cancel = cancel.clone();
            tokio::task::spawn_local(async move {
                tokio::time::sleep(after).await;
                cancel.set(CancelLevel::Cancel);
            });
        }
        let lines = Rc::new(RefCell::new(Vec::new()));
        let code =
            action_step::run_main(self.io(cloud, clock, cancel, Vec::new()), line_collector(&lines)).await;
        self.collect_result(code, lines.take(), cloud, clock)
    }

    pub(crate) async fn run_post_on(&self, cloud: &Cloud, clock: Clock) -> StepResult {
        let state: Vec<(String, String)> = self
            .read_pairs("state")
            .into_iter()
            .map(|(key, value)| (format!("STATE_{key}"), value))
            .collect();
        for name in ["output", "summary"] {
            fs::remove_file(self.path(name)).unwrap_or_default();
        }
        let lines = Rc::new(RefCell::new(Vec::new()));
        let code = action_step::run_post(
            self.io(cloud, clock, CancelToken::default(), state),
            line_collector(&lines),
        )
        .await;
        self.collect_result(code, lines.take(), cloud, clock)
    }

    /// What every answer of the emulator passes through.
    pub(crate) fn with_tamper(self, tamper: &Tamper) -> Self {
        let tamper = tamper.clone();
        Self { wrap_http: Some(Rc::new(move |http| tamper.wrap(http))), ..self }
    }

    fn io(&self, cloud: &Cloud, clock: Clock, cancel: CancelToken, state: Vec<(String, String)>) -> StepIo {
        rehearse::register_run(cloud, &GithubContext::from_variables(&self.variables));
        let http = match &self.wrap_http {
            Some(wrap) => wrap(http_client(cloud.clone())),
            None => http_client(cloud.clone()),
        };
        StepIo {
            variables: self.variables.clone().into_iter().chain(state).collect(),
            private_clients: PrivateClients::Fixed(http.clone()),
            http,
            clock,
            cancel,
            workspace: None,
            builder: Some(Rc::new(BreakingBuilder {
                inner: rehearse::emulated_builder(cloud),
                broken: self.broken_builds.clone(),
                build_time: self.build_time,
            })),
            commits: match (self.commits)() {
                Some(commits) => Box::new(move |_, _| Some(commits.clone())),
                None => Box::new(|_, _| None),
            },
            is_rehearsal: true,
        }
    }

    fn collect_result(&self, code: u8, lines: Vec<String>, cloud: &Cloud, clock: Clock) -> StepResult {
        let read = |name: &str| fs::read_to_string(self.path(name)).ok();
        StepResult {
            exit_code: code,
            lines,
            outputs: self.read_pairs("output"),
            summary: read("summary").unwrap_or_default(),
            state: read("state"),
            calls: cloud.calls(),
            elapsed: clock.elapsed(),
        }
    }

    /// The pairs of one of the runner's files, as the runner reads them.
    fn read_pairs(&self, name: &str) -> Vec<(String, String)> {
        let text = fs::read_to_string(self.path(name)).unwrap_or_default();
        let (mut pairs, mut lines) = (Vec::new(), text.split('\n'));
        while let Some((key, delimiter)) = lines.next().and_then(|line| line.split_once("<<")) {
            let value: Vec<&str> = lines.by_ref().take_while(|line| *line != delimiter).collect();
            pairs.push((key.to_owned(), value.join("\n")));
        }
        pairs
    }
}

/// `text` with every time of day as `hh:mm:ss` or `hh:mm`, every span of time as `… s`, and made-up identifiers as `…`.
fn stabilize(text: &str) -> String {
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).count();
    let two = |part: &str| part.len() == 2 && digits(part) == 2;
    let is_clock = |text: Option<&str>| text.is_some_and(|text| text.split(':').all(two));
    let (mut out, mut rest) = (String::new(), text);
    while let Some(first) = rest.chars().next() {
        let number = digits(rest);
        let ends = |after: &str| !after.starts_with(char::is_alphabetic);
        let unit =
            [" min", " s"].into_iter().find(|unit| rest[number..].strip_prefix(unit).is_some_and(ends));
        let (words, length) = if is_clock(rest.get(..8)) {
            ("hh:mm:ss", 8)
        } else if is_clock(rest.get(..5)) {
            ("hh:mm", 5)
        } else if let (true, Some(unit)) = (number > 0, unit) {
            let again = out.ends_with("… s ");
            out.truncate(out.len() - usize::from(again));
            (if again { "" } else { "… s" }, number + unit.len())
        } else if number > 12 {
            ("…", number)
        } else {
            let length = number.max(first.len_utf8());
            (&rest[..length], length)
        };
        out.push_str(words);
        rest = &rest[length..];
    }
    out
}

fn line_collector(lines: &Rc<RefCell<Vec<String>>>) -> impl FnMut(&str) + 'static {
    let lines = lines.clone();
    move |line| lines.borrow_mut().push(line.to_owned())
}
