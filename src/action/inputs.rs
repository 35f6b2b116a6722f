//! The requested operation: the inputs of the action, and the same values from a command line. All errors are
//! reported at once.

mod values;

use std::time::Duration;

use serde::Deserialize;

use self::values::{
    config_source, find_duplicates, quoted_list, read_env_entry, read_on_cancel, read_operation,
    read_services, split_dry_run,
};
use super::contract::INPUTS;
use super::parse;
use super::redact::Secret;
use crate::problem::{Code, Problem, suggest};
use crate::release::ImageOverride;
use crate::sys::environment::Variables;

/// The operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Deploy a release.
    Deploy,
    /// Show what a deploy would do; reads only.
    Plan,
    /// Roll back to an earlier version.
    Rollback,
    /// Deploy a release that is proven in another environment, by digest.
    Promote,
    /// Check the serving version; reads only.
    Verify,
    /// Change variables of services and nothing else.
    SetEnv,
}

impl Operation {
    /// Every operation, in the order of the documentation.
    pub const ALL: [Operation; 6] =
        [Self::Deploy, Self::Plan, Self::Rollback, Self::Promote, Self::Verify, Self::SetEnv];

    /// Its name as users write it.
    pub fn as_str(self) -> &'static str {
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
    pub fn is_read_only(self) -> bool {
        matches!(self, Self::Plan | Self::Verify)
    }
}

/// The source of the deploy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigSource {
    /// A path, relative to the workspace.
    Path(String),
    /// The YAML itself.
    Text(String),
}

/// The selected services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceSelection {
    /// All of the deploy file.
    All,
    /// Those whose paths changed.
    Changed,
    /// These, in the order in which they were named, each once.
    Named(Vec<String>),
}

/// A variable to set or to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetEnvEntry {
    /// The service of the variable.
    pub service: String,
    /// The variable's name.
    pub name: String,
    /// Its value; `None` removes it.
    pub value: Option<String>,
}

/// What happens to a rollout when the run is cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnCancel {
    /// It is rolled back.
    Rollback,
    /// It continues.
    Leave,
}

/// The validated inputs; names are checked against the deploy file later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inputs {
    /// The operation.
    pub operation: Operation,
    /// Whether the operation is only planned: `plan rollback`.
    pub dry_run: bool,
    /// The source of the deploy file.
    pub config: ConfigSource,
    /// Environment of the deploy file; `None` means the one whose branches match.
    pub environment: Option<String>,
    /// The selected services.
    pub services: ServiceSelection,
    /// Images to deploy instead of built ones; at most one per service.
    pub images: Vec<ImageOverride>,
    /// Version, commit or digest to roll back to; commit or digest to promote.
    pub to: Option<String>,
    /// Variables to set or remove; at least one for `set-env`, none otherwise.
    pub set: Vec<SetEnvEntry>,
    /// AWS region, instead of the environment's.
    pub aws_region: Option<String>,
    /// ARN of the role to assume, instead of the environment's.
    pub role_to_assume: Option<String>,
    /// Token for GitHub's API.
    pub github_token: Option<Secret>,
    /// Token for the repository of the manifests, if that is another one; `None` means the one for GitHub's API.
    pub manifests_token: Option<Secret>,
    /// Token for Argo CD's API.
    pub argocd_token: Option<Secret>,
    /// Private key for hosts that are reached by SSH.
    pub ssh_key: Option<Secret>,
    /// Keys of these hosts, as lines of `known_hosts` or fingerprints.
    pub ssh_known_hosts: Option<String>,
    /// What happens to a rollout on a cancel.
    pub on_cancel: OnCancel,
    /// Upper bound of the whole operation, 1 minute to 24 hours.
    pub timeout: Duration,
}

/// The inputs as text, by their names; `None` means not given. Created by `envy` or from a command line.
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
    /// See [`Inputs::ssh_key`].
    pub ssh_key: Option<Secret>,
    /// See [`Inputs::ssh_known_hosts`].
    pub ssh_known_hosts: Option<String>,
    /// See [`Inputs::on_cancel`].
    pub on_cancel: Option<String>,
    /// See [`Inputs::timeout`].
    pub timeout: Option<String>,
}

/// Valid inputs, and warnings about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedInputs {
    /// The inputs.
    pub inputs: Inputs,
    /// Warnings, such as an input that does not exist.
    pub warnings: Vec<Problem>,
}

/// Reads the inputs that the runner passes as `INPUT_*`. Errors are all wrong values at once, with the
/// warnings after them, since a typo in a name is often the cause.
pub fn read(variables: &Variables) -> Result<ParsedInputs, Vec<Problem>> {
    let warnings = unknown_input_warnings(variables);
    let result = raw_inputs(variables).map_err(|problem| vec![problem]).and_then(Inputs::parse);
    match result {
        Ok(inputs) => Ok(ParsedInputs { inputs, warnings }),
        Err(errors) => Err(errors.into_iter().chain(warnings).collect()),
    }
}

/// The runner passes inputs that are not set as empty ones, so empty means not given.
fn raw_inputs(variables: &Variables) -> Result<RawInputs, Problem> {
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

fn unknown_input_warnings(variables: &Variables) -> Vec<Problem> {
    let names = variables.keys().filter_map(|name| name.strip_prefix("INPUT_"));
    let names = names.map(str::to_lowercase).filter(|name| INPUTS.iter().all(|known| known.name != name));
    names
        .map(|name| {
            let help = match suggest(&name, INPUTS.iter().map(|known| known.name)) {
                Some(near) => format!("Did you mean `{near}`?"),
                None => format!("Known inputs: {}.", quoted_list(INPUTS.iter().map(|known| known.name))),
            };
            Problem::warning(Code::InputInvalid, format!("There is no input `{name}`; it is ignored."))
                .help(help)
        })
        .collect()
}

impl Inputs {
    /// Reads every value alone and then in combination. Errors are all problems.
    pub fn parse(raw: RawInputs) -> Result<Self, Vec<Problem>> {
        let mut errors = InputErrors::default();
        let (operation, dry_run) = split_dry_run(raw.operation.as_deref().unwrap_or("deploy"));
        let on_cancel = raw.on_cancel.as_deref().unwrap_or("rollback");
        let inputs = Self {
            operation: errors.ok_or_record("operation", read_operation(operation)).unwrap_or(Operation::Plan),
            dry_run,
            config: config_source(raw.config),
            environment: errors.read_text("environment", raw.environment, parse::name),
            services: raw
                .services
                .and_then(|text| errors.ok_or_record("services", read_services(&text)))
                .unwrap_or(ServiceSelection::All),
            images: raw.image.map(|text| errors.read_images(&text)).unwrap_or_default(),
            to: errors.read_text("to", raw.to, parse::name),
            set: raw.set.as_deref().map(|text| errors.read_env_entries(text)).unwrap_or_default(),
            aws_region: errors.read_text("aws-region", raw.aws_region, parse::region),
            role_to_assume: errors.read_text("role-to-assume", raw.role_to_assume, parse::role),
            github_token: raw.github_token,
            manifests_token: raw.manifests_token,
            argocd_token: raw.argocd_token,
            ssh_key: raw.ssh_key,
            ssh_known_hosts: raw.ssh_known_hosts,
            on_cancel: errors
                .ok_or_record("on-cancel", read_on_cancel(on_cancel))
                .unwrap_or(OnCancel::Rollback),
            timeout: errors
                .ok_or_record("timeout", parse::timeout(raw.timeout.as_deref().unwrap_or("60m")))
                .unwrap_or_default(),
        };
        if !errors.has_error_for("operation") {
            errors.check_combinations(&inputs);
        }
        if errors.0.is_empty() { Ok(inputs) } else { Err(errors.0) }
    }
}

/// The problems so far.
#[derive(Default)]
struct InputErrors(Vec<Problem>);

impl InputErrors {
    fn push(&mut self, name: &str, why: impl std::fmt::Display) {
        self.0.push(Problem::error(Code::InputInvalid, format!("Input `{name}`: {why}.")));
    }

    fn ok_or_record<T>(&mut self, name: &str, value: Result<T, String>) -> Option<T> {
        value.map_err(|why| self.push(name, why)).ok()
    }

    fn read_text(
        &mut self,
        name: &str,
        value: Option<String>,
        parse: fn(&str) -> Result<String, String>,
    ) -> Option<String> {
        value.and_then(|text| self.ok_or_record(name, parse(&text)))
    }

    fn has_error_for(&self, name: &str) -> bool {
        self.0.iter().any(|problem| problem.sentence.starts_with(&format!("Input `{name}`:")))
    }

    fn read_images(&mut self, text: &str) -> Vec<ImageOverride> {
        let mut images: Vec<ImageOverride> = Vec::new();
        for part in parse::list(text) {
            let (service, reference) = match part.split_once('=') {
                Some((service, reference)) => (Some(service.trim().to_owned()), reference.trim()),
                None => (None, part),
            };
            if service.as_deref() == Some("") {
                self.push("image", format!("`{part}` names no service before the `=`"));
            }
            if let Some(image) = self.ok_or_record("image", reference.parse()) {
                images.push(ImageOverride { service, image });
            }
        }
        if images.len() > 1 && images.iter().any(|choice| choice.service.is_none()) {
            self.push("image", "it mixes a single reference with lines of `service=reference`");
        }
        for twice in find_duplicates(images.iter().filter_map(|choice| choice.service.as_deref())) {
            self.push("image", format!("`{twice}` has two references"));
        }
        images
    }

    fn read_env_entries(&mut self, text: &str) -> Vec<SetEnvEntry> {
        let read: Vec<SetEnvEntry> = parse::lines(text)
            .into_iter()
            .filter_map(|line| self.ok_or_record("set", read_env_entry(line)))
            .collect();
        let names: Vec<String> = read.iter().map(|s| format!("{}.{}", s.service, s.name)).collect();
        for twice in find_duplicates(names.iter().map(String::as_str)) {
            self.push("set", format!("`{twice}` occurs twice"));
        }
        read
    }

    /// Inputs that contradict each other. Ignoring one of them would hide it.
    fn check_combinations(&mut self, inputs: &Inputs) {
        let operation = inputs.operation;
        if inputs.dry_run && operation.is_read_only() {
            let word = operation.as_str();
            self.push("operation", format!("`{word}` changes nothing, so there is no plan of it"));
        }
        if inputs.to.is_some() && !matches!(operation, Operation::Rollback | Operation::Promote) {
            let word = operation.as_str();
            let why = format!("it is for `rollback` and `promote`; the operation is `{word}`");
            self.push("to", why);
        }
        if inputs.services == ServiceSelection::Changed
            && matches!(operation, Operation::Rollback | Operation::Verify | Operation::SetEnv)
        {
            let word = operation.as_str();
            let why = format!("`changed` is for the changes of a commit; the operation is `{word}`");
            self.push("services", why);
        }
        if operation == Operation::SetEnv && inputs.set.is_empty() && !self.has_error_for("set") {
            self.push("set", "set-env needs lines of `service.NAME=value`");
        }
        if operation != Operation::SetEnv && !inputs.set.is_empty() {
            self.push("set", format!("it is for `set-env`; the operation is `{}`", operation.as_str()));
        }
        let imageless = matches!(
            operation,
            Operation::Rollback | Operation::Promote | Operation::Verify | Operation::SetEnv
        );
        if imageless && !inputs.images.is_empty() {
            self.push("image", format!("the operation `{}` takes no image", operation.as_str()));
        }
    }
}

#[cfg(test)]
mod tests;
