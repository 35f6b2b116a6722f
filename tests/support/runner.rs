//! The action as the runner starts it: `INPUT_*` and `GITHUB_*` variables, files for outputs, state and summary, an
//! event; and the embedded cloud where AWS would be.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use roadstead::action::Context;
use roadstead::cli::rehearse;
use roadstead::cli::step::{self, Outside};
use roadstead::github::Commits;
use roadstead::rehearsal::client::http_client;
use roadstead::rehearsal::cloud::Cloud;
use roadstead::rehearsal::record::Record;
use roadstead::sys::clock::Clock;
use roadstead::sys::environment::Variables;
use roadstead::sys::signal::{Cancel, Urgency};

use super::{Trial, virtually};

pub(crate) const ROLE: &str = "arn:aws:iam::111111111111:role/deploy";
pub(crate) const TOKEN: &str = "ghs_0123456789abcdefghijklmnopqrstuvwxyz";
pub(crate) const BEARER: &str = "request-token-of-this-job";
pub(crate) const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

pub(crate) const CONFIG: &str = "environments:
  staging: { branches: [develop], aws: { region: eu-west-1, role: \"arn:aws:iam::111111111111:role/deploy\" } }
  production: { branches: [main], aws: { region: eu-west-1, role: \"arn:aws:iam::111111111111:role/deploy\" } }
services:
  backend:
    repository: backend
    ecs: { cluster: acme, service: backend, container: app }
";

/// What a step left.
pub(crate) struct Step {
    pub(crate) code: u8,
    pub(crate) lines: Vec<String>,
    pub(crate) outputs: Vec<(String, String)>,
    pub(crate) summary: String,
    pub(crate) state: Option<String>,
    pub(crate) calls: Vec<Record>,
    pub(crate) took: Duration,
}

impl Step {
    pub(crate) fn output(&self, name: &str) -> &str {
        self.outputs.iter().rev().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The outputs that are not empty and not JSON, a line each.
    pub(crate) fn short_outputs(&self) -> String {
        let short = self
            .outputs
            .iter()
            .filter(|(key, value)| !value.is_empty() && !["plan", "services"].contains(&key.as_str()));
        short.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("\n")
    }

    /// The summary without what chance and the cloud's own events put into it.
    pub(crate) fn steady(&self) -> String {
        let lines = self.summary.lines().filter(|line| !line.contains(" | (service "));
        lines.map(steady).collect::<Vec<_>>().join("\n").trim_end().to_owned()
    }

    /// The same up to its first folded part: what somebody sees without a click.
    pub(crate) fn top(&self) -> String {
        let steady = self.steady();
        steady.split("\n<details>").next().unwrap_or_default().trim_end().to_owned()
    }

    /// The annotations, a line each.
    pub(crate) fn annotated(&self) -> String {
        steady(&self.annotations().join("\n"))
    }

    /// The workflow commands of the log.
    pub(crate) fn commands(&self) -> Vec<&str> {
        self.lines.iter().map(String::as_str).filter(|line| line.starts_with("::")).collect()
    }

    pub(crate) fn annotations(&self) -> Vec<&str> {
        let kinds = ["::error", "::warning", "::notice"];
        self.commands().into_iter().filter(|line| kinds.iter().any(|kind| line.starts_with(kind))).collect()
    }

    /// Operations that the cloud did, of those named `name`.
    pub(crate) fn times(&self, name: &str) -> usize {
        self.calls.iter().filter(|call| call.operation == name).count()
    }

    pub(crate) fn changes(&self) -> usize {
        self.calls.iter().filter(|call| call.mutating && call.effective).count()
    }
}

/// A runner with a job.
pub(crate) struct Runner {
    trial: Trial,
    folder: tempfile::TempDir,
    pub(crate) variables: Variables,
    pub(crate) commits: fn() -> Option<Rc<dyn Commits>>,
    /// After how long the job is cancelled.
    pub(crate) cancel_after: Option<Duration>,
}

impl Runner {
    /// A push to `main` in a built-in scenario.
    pub(crate) fn named(scenario: &str) -> Self {
        Self::of(Trial::named(scenario))
    }

    /// A push to `main` in a scenario of the test's own.
    pub(crate) fn told(scenario: &str) -> Self {
        Self::of(Trial::told(scenario))
    }

    fn of(trial: Trial) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let trial = Trial { workspace: folder.path().join("workspace"), ..trial };
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
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", BEARER.into()),
        ];
        let variables = pairs.map(|(name, value)| (name.to_owned(), value)).into();
        let runner = Self { trial, folder, variables, commits: || None, cancel_after: None };
        runner.file("event.json", "{}").file("workspace/.github/roadstead.yml", CONFIG)
    }

    /// The deploy file.
    pub(crate) fn config(mut self, text: &str) -> Self {
        self.trial.config = text.into();
        self.file("workspace/.github/roadstead.yml", text)
    }

    /// A variable; an empty one is as good as none.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// The seed of chance in the world that it makes.
    pub(crate) fn seeded(mut self, seed: u64) -> Self {
        self.trial.seed = seed;
        self
    }

    /// A file below the runner's folder.
    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The main step.
    pub(crate) fn main(&self) -> Step {
        virtually(async {
            let (cloud, clock) = self.cloud();
            self.main_on(&cloud, clock).await
        })
    }

    /// The main step and, on the same cloud and right after it, the post step.
    pub(crate) fn main_and_post(&self) -> (Step, Step) {
        virtually(async {
            let (cloud, clock) = self.cloud();
            let main = self.main_on(&cloud, clock).await;
            (main, self.post_on(&cloud, clock).await)
        })
    }

    pub(crate) fn cloud(&self) -> (Cloud, Clock) {
        let stage = self.trial.stage();
        (stage.cloud, Clock::starting_at(stage.start))
    }

    pub(crate) async fn main_on(&self, cloud: &Cloud, clock: Clock) -> Step {
        let cancel = Cancel::default();
        if let Some(after) = self.cancel_after {
            let cancel = cancel.clone();
            tokio::task::spawn_local(async move {
                tokio::time::sleep(after).await;
                cancel.raise(Urgency::Cancel);
            });
        }
        let lines = Rc::new(RefCell::new(Vec::new()));
        let code = step::main(self.outside(cloud, clock, cancel, Vec::new()), keep(&lines)).await;
        self.left(code, lines.take(), cloud, clock)
    }

    pub(crate) async fn post_on(&self, cloud: &Cloud, clock: Clock) -> Step {
        let state: Vec<(String, String)> =
            self.pairs("state").into_iter().map(|(key, value)| (format!("STATE_{key}"), value)).collect();
        for name in ["output", "summary"] {
            fs::remove_file(self.path(name)).unwrap_or_default();
        }
        let lines = Rc::new(RefCell::new(Vec::new()));
        let code = step::post(self.outside(cloud, clock, Cancel::default(), state), keep(&lines)).await;
        self.left(code, lines.take(), cloud, clock)
    }

    fn outside(&self, cloud: &Cloud, clock: Clock, cancel: Cancel, state: Vec<(String, String)>) -> Outside {
        rehearse::begin(cloud, &Context::read(&self.variables));
        Outside {
            variables: self.variables.clone().into_iter().chain(state).collect(),
            http: http_client(cloud.clone()),
            clock,
            cancel,
            builder: Some(rehearse::builder(cloud)),
            commits: match (self.commits)() {
                Some(commits) => Box::new(move |_, _| Some(commits.clone())),
                None => Box::new(|_, _| None),
            },
            rehearsal: true,
        }
    }

    fn left(&self, code: u8, lines: Vec<String>, cloud: &Cloud, clock: Clock) -> Step {
        let read = |name: &str| fs::read_to_string(self.path(name)).ok();
        Step {
            code,
            lines,
            outputs: self.pairs("output"),
            summary: read("summary").unwrap_or_default(),
            state: read("state"),
            calls: cloud.calls(),
            took: clock.elapsed(),
        }
    }

    /// The pairs of one of the runner's files, as the runner reads them.
    fn pairs(&self, name: &str) -> Vec<(String, String)> {
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
fn steady(text: &str) -> String {
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

fn keep(lines: &Rc<RefCell<Vec<String>>>) -> impl FnMut(&str) + 'static {
    let lines = lines.clone();
    move |line| lines.borrow_mut().push(line.to_owned())
}
