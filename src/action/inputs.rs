//! What was asked for: the inputs of the action, and the same values from a command line. All errors come at once.

use std::time::Duration;

use serde::Deserialize;

use super::parse;
use super::redact::Secret;
use super::table::INPUTS;
use crate::problem::{Code, Problem, suggest};
use crate::release::ImageRef;
use crate::sys::environment::Variables;

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Bring a release into service.
    Deploy,
    /// Say what a deploy would do; reads only.
    Plan,
    /// Return to an earlier version.
    Rollback,
    /// Bring what another environment runs into this one, by digest.
    Promote,
    /// Look at what serves; reads only.
    Verify,
    /// Change variables of services and nothing else.
    SetEnv,
}

impl Operation {
    /// Every operation, in the order of the documentation.
    pub const ALL: [Operation; 6] =
        [Self::Deploy, Self::Plan, Self::Rollback, Self::Promote, Self::Verify, Self::SetEnv];

    /// The word people write.
    pub fn word(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Plan => "plan",
            Self::Rollback => "rollback",
            Self::Promote => "promote",
            Self::Verify => "verify",
            Self::SetEnv => "set-env",
        }
    }

    /// Whether it only reads.
    pub fn reads_only(self) -> bool {
        matches!(self, Self::Plan | Self::Verify)
    }
}

/// Where the deploy file comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigSource {
    /// A path, relative to the workspace.
    Path(String),
    /// The YAML itself.
    Text(String),
}

/// Which services are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Services {
    /// All of the deploy file.
    All,
    /// Those whose paths changed.
    Changed,
    /// These, in the order in which they were named, each once.
    Named(Vec<String>),
}

/// An image that is to be deployed instead of a built one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageChoice {
    /// The service it is for; `None` means the only one.
    pub service: Option<String>,
    /// The image.
    pub image: ImageRef,
}

/// A variable to set or to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The service whose variable it is.
    pub service: String,
    /// The variable's name.
    pub name: String,
    /// Its value; `None` removes it.
    pub value: Option<String>,
}

/// What becomes of a deployment in flight when the run is cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnCancel {
    /// It is taken back.
    Rollback,
    /// It goes on by itself.
    Leave,
}

/// What was asked for, read and checked in itself; names are checked against the deploy file later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inputs {
    /// What to do.
    pub operation: Operation,
    /// Where the deploy file comes from.
    pub config: ConfigSource,
    /// Environment of the deploy file; `None` means the one whose branches match.
    pub environment: Option<String>,
    /// Which services are meant.
    pub services: Services,
    /// Images that are deployed instead of built ones; at most one per service.
    pub images: Vec<ImageChoice>,
    /// Version, commit or digest that a rollback returns to; commit or digest that is promoted.
    pub to: Option<String>,
    /// Variables to set or remove; at least one for `set-env`, none otherwise.
    pub set: Vec<Setting>,
    /// AWS region, instead of the environment's.
    pub aws_region: Option<String>,
    /// ARN of the role to assume, instead of the environment's.
    pub role_to_assume: Option<String>,
    /// Token for GitHub's API.
    pub github_token: Option<Secret>,
    /// Token for the repository of manifests, where that is another one; `None` means the one for GitHub's API.
    pub manifests_token: Option<Secret>,
    /// Token for Argo CD's API.
    pub argocd_token: Option<Secret>,
    /// What becomes of a deployment in flight on a cancel.
    pub on_cancel: OnCancel,
    /// Upper bound of the whole operation, 1 minute to 24 hours.
    pub timeout: Duration,
}

/// The inputs as text, by their names; `None` means not given. Made by `envy` or by a command line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct RawInputs {
    /// See [`Inputs::operation`].
    pub operation: Option<String>,
    /// See [`Inputs::config`].
    pub config: Option<String>,
    /// See [`Inputs::environment`].
    pub environment: Option<String>,
    /// See [`Inputs::services`].
    pub services: Option<String>,
    /// See [`Inputs::images`].
    pub image: Option<String>,
    /// See [`Inputs::to`].
    pub to: Option<String>,
    /// See [`Inputs::set`].
    pub set: Option<String>,
    /// See [`Inputs::aws_region`].
    pub aws_region: Option<String>,
    /// See [`Inputs::role_to_assume`].
    pub role_to_assume: Option<String>,
    /// See [`Inputs::github_token`].
    pub github_token: Option<Secret>,
    /// See [`Inputs::manifests_token`].
    pub manifests_token: Option<Secret>,
    /// See [`Inputs::argocd_token`].
    pub argocd_token: Option<Secret>,
    /// See [`Inputs::on_cancel`].
    pub on_cancel: Option<String>,
    /// See [`Inputs::timeout`].
    pub timeout: Option<String>,
}

/// Inputs that could be read, and what is odd about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// What was asked for.
    pub inputs: Inputs,
    /// Warnings, such as an input that does not exist.
    pub warnings: Vec<Problem>,
}

/// Reads the inputs that the runner hands over as `INPUT_*`. Errors are every wrong value at once, with the
/// warnings after them, since a slip in a name is often the cause.
pub fn read(variables: &Variables) -> Result<Read, Vec<Problem>> {
    let warnings = unknown(variables);
    let result = raw(variables).map_err(|problem| vec![problem]).and_then(Inputs::parse);
    match result {
        Ok(inputs) => Ok(Read { inputs, warnings }),
        Err(errors) => Err(errors.into_iter().chain(warnings).collect()),
    }
}

/// The runner gives inputs that are not set as empty ones, so empty means not given.
fn raw(variables: &Variables) -> Result<RawInputs, Problem> {
    let given = variables
        .iter()
        .filter(|(name, value)| name.starts_with("INPUT_") && !value.trim().is_empty())
        .map(|(name, value)| (name.clone(), value.trim().to_owned()));
    envy::prefixed("INPUT_").from_iter(given).map_err(|error| {
        Problem::error(Code::InputInvalid, "An input is given twice, in upper and in lower case.")
            .cause(error.to_string())
            .help("Give it once.")
    })
}

fn unknown(variables: &Variables) -> Vec<Problem> {
    let names = variables.keys().filter_map(|name| name.strip_prefix("INPUT_"));
    let names = names.map(str::to_lowercase).filter(|name| INPUTS.iter().all(|known| known.name != name));
    names
        .map(|name| {
            let help = match suggest(&name, INPUTS.iter().map(|known| known.name)) {
                Some(near) => format!("Did you mean `{near}`?"),
                None => format!("Known inputs: {}.", words(INPUTS.iter().map(|known| known.name))),
            };
            Problem::warning(Code::InputInvalid, format!("There is no input `{name}`; it is ignored."))
                .help(help)
        })
        .collect()
}

impl Inputs {
    /// Reads every value by itself and then together. Errors are all that is wrong.
    pub fn parse(raw: RawInputs) -> Result<Self, Vec<Problem>> {
        let mut errors = Errors::default();
        let operation = raw.operation.as_deref().unwrap_or("deploy");
        let on_cancel = raw.on_cancel.as_deref().unwrap_or("rollback");
        let inputs = Self {
            operation: errors.read("operation", read_operation(operation)).unwrap_or(Operation::Plan),
            config: config(raw.config),
            environment: errors.named("environment", raw.environment, parse::name),
            services: raw
                .services
                .and_then(|text| errors.read("services", read_services(&text)))
                .unwrap_or(Services::All),
            images: raw.image.map(|text| errors.images(&text)).unwrap_or_default(),
            to: errors.named("to", raw.to, parse::name),
            set: raw.set.as_deref().map(|text| errors.settings(text)).unwrap_or_default(),
            aws_region: errors.named("aws-region", raw.aws_region, parse::region),
            role_to_assume: errors.named("role-to-assume", raw.role_to_assume, parse::role),
            github_token: raw.github_token,
            manifests_token: raw.manifests_token,
            argocd_token: raw.argocd_token,
            on_cancel: errors.read("on-cancel", read_on_cancel(on_cancel)).unwrap_or(OnCancel::Rollback),
            timeout: errors
                .read("timeout", parse::timeout(raw.timeout.as_deref().unwrap_or("60m")))
                .unwrap_or_default(),
        };
        if !errors.of("operation") {
            errors.together(&inputs);
        }
        if errors.0.is_empty() { Ok(inputs) } else { Err(errors.0) }
    }
}

/// What is wrong so far.
#[derive(Default)]
struct Errors(Vec<Problem>);

impl Errors {
    fn push(&mut self, name: &str, why: impl std::fmt::Display) {
        self.0.push(Problem::error(Code::InputInvalid, format!("Input `{name}`: {why}.")));
    }

    fn read<T>(&mut self, name: &str, value: Result<T, String>) -> Option<T> {
        value.map_err(|why| self.push(name, why)).ok()
    }

    fn named(
        &mut self,
        name: &str,
        value: Option<String>,
        parse: fn(&str) -> Result<String, String>,
    ) -> Option<String> {
        value.and_then(|text| self.read(name, parse(&text)))
    }

    fn of(&self, name: &str) -> bool {
        self.0.iter().any(|problem| problem.sentence.starts_with(&format!("Input `{name}`:")))
    }

    fn images(&mut self, text: &str) -> Vec<ImageChoice> {
        let mut images: Vec<ImageChoice> = Vec::new();
        for part in parse::list(text) {
            let (service, reference) = match part.split_once('=') {
                Some((service, reference)) => (Some(service.trim().to_owned()), reference.trim()),
                None => (None, part),
            };
            if service.as_deref() == Some("") {
                self.push("image", format!("`{part}` names no service before the `=`"));
            }
            if let Some(image) = self.read("image", reference.parse()) {
                images.push(ImageChoice { service, image });
            }
        }
        if images.len() > 1 && images.iter().any(|choice| choice.service.is_none()) {
            self.push("image", "one reference for one service, or lines of `service=reference`, not both");
        }
        for twice in repeated(images.iter().filter_map(|choice| choice.service.as_deref())) {
            self.push("image", format!("`{twice}` has two references"));
        }
        images
    }

    fn settings(&mut self, text: &str) -> Vec<Setting> {
        let read: Vec<Setting> =
            parse::lines(text).into_iter().filter_map(|line| self.read("set", read_setting(line))).collect();
        let names: Vec<String> = read.iter().map(|s| format!("{}.{}", s.service, s.name)).collect();
        for twice in repeated(names.iter().map(String::as_str)) {
            self.push("set", format!("`{twice}` is there twice"));
        }
        read
    }

    /// Inputs that do not go together. Silence would mean that one of them is not obeyed.
    fn together(&mut self, inputs: &Inputs) {
        let operation = inputs.operation;
        if inputs.to.is_some() && !matches!(operation, Operation::Rollback | Operation::Promote) {
            let word = operation.word();
            let why = format!("it is for a rollback or a promotion, and the operation is `{word}`");
            self.push("to", why);
        }
        if inputs.services == Services::Changed
            && matches!(operation, Operation::Rollback | Operation::Verify | Operation::SetEnv)
        {
            let word = operation.word();
            let why = format!("`changed` is for what a commit brings, and the operation is `{word}`");
            self.push("services", why);
        }
        if operation == Operation::SetEnv && inputs.set.is_empty() && !self.of("set") {
            self.push("set", "set-env needs lines of `service.NAME=value`");
        }
        if operation != Operation::SetEnv && !inputs.set.is_empty() {
            self.push("set", format!("it is for set-env, and the operation is `{}`", operation.word()));
        }
        let imageless = matches!(
            operation,
            Operation::Rollback | Operation::Promote | Operation::Verify | Operation::SetEnv
        );
        if imageless && !inputs.images.is_empty() {
            self.push("image", format!("`{}` takes no image", operation.word()));
        }
    }
}

fn config(value: Option<String>) -> ConfigSource {
    match value {
        Some(text) if text.contains('\n') => ConfigSource::Text(text),
        Some(path) => ConfigSource::Path(path),
        None => ConfigSource::Path(".github/roadstead.yml".into()),
    }
}

fn read_operation(text: &str) -> Result<Operation, String> {
    let known = Operation::ALL.into_iter().find(|operation| operation.word() == text);
    known.ok_or_else(|| not_one_of(text, &Operation::ALL.map(Operation::word)))
}

fn read_on_cancel(text: &str) -> Result<OnCancel, String> {
    match text {
        "rollback" => Ok(OnCancel::Rollback),
        "leave" => Ok(OnCancel::Leave),
        _ => Err(not_one_of(text, &["rollback", "leave"])),
    }
}

fn read_services(text: &str) -> Result<Services, String> {
    let names = parse::list(text);
    match names.as_slice() {
        [] => Err("it names no service".into()),
        ["changed"] => Ok(Services::Changed),
        names if names.contains(&"changed") => Err("`changed` stands alone, without names".into()),
        names => {
            let mut once: Vec<String> = Vec::new();
            for name in names {
                if !once.iter().any(|known| known == name) {
                    once.push(parse::name(name)?);
                }
            }
            Ok(Services::Named(once))
        }
    }
}

fn read_setting(line: &str) -> Result<Setting, String> {
    let (key, value) = match line.split_once('=') {
        Some((key, value)) => (key.trim(), Some(value.trim().to_owned())),
        None => (line, None),
    };
    match key.split_once('.') {
        Some((service, name))
            if !service.is_empty() && !name.is_empty() && !key.contains(char::is_whitespace) =>
        {
            Ok(Setting { service: service.into(), name: name.into(), value })
        }
        // The value may be a secret; only the key is repeated.
        _ => Err(format!("`{key}` is not `service.NAME`")),
    }
}

fn not_one_of(text: &str, known: &[&str]) -> String {
    match suggest(text, known.iter().copied()) {
        Some(near) => format!("`{text}` is not known; did you mean `{near}`"),
        None => format!("`{text}` is not one of {}", words(known.iter().copied())),
    }
}

fn words<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn repeated<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let (mut seen, mut twice) = (Vec::new(), Vec::new());
    for name in names {
        let into = if seen.contains(&name) { &mut twice } else { &mut seen };
        if !into.contains(&name) {
            into.push(name);
        }
    }
    twice
}

#[cfg(test)]
mod tests;
