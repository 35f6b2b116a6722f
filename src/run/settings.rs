//! Which variables `set-env` changes, on which services, and what is wrong with that before any call is made.

use crate::action::Services;
use crate::config::Service;
use crate::problem::{Code, Problem};
use crate::release::EnvChange;
use crate::targets;

use super::{Job, sets_variables};

/// The changes of one service, in the order of the input.
pub(super) fn of(job: &Job, service: &str) -> Vec<EnvChange> {
    let own = job.inputs.set.iter().filter(|setting| setting.service == service);
    own.map(|setting| EnvChange { name: setting.name.clone(), value: setting.value.clone() }).collect()
}

/// The services that are named in the input `set`, each once.
pub(super) fn services(job: &Job) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for setting in &job.inputs.set {
        if !names.contains(&setting.service) {
            names.push(setting.service.clone());
        }
    }
    names
}

/// What is wrong with the input, as far as it is known without the deploy file's services.
pub(super) fn input_problems(job: &Job) -> Vec<Problem> {
    if !sets_variables(job) {
        return Vec::new();
    }
    let mut found: Vec<Problem> = job.inputs.set.iter().filter_map(reference).collect();
    found.extend(contradiction(job));
    found
}

fn reference(setting: &crate::action::inputs::Setting) -> Option<Problem> {
    let change = EnvChange { name: setting.name.clone(), value: setting.value.clone() };
    change.is_reference().then(|| {
        let sentence = format!(
            "Input `set`: the value of `{}.{}` says where a secret is kept, and a variable would hold that text and not the secret.",
            setting.service, setting.name
        );
        Problem::error(Code::InputInvalid, sentence)
            .help("Write it into `secrets` of the task definition (`name`, `valueFrom`) and deploy.")
    })
}

/// The input `services`, where it is given, names the same services.
fn contradiction(job: &Job) -> Option<Problem> {
    let named = match &job.inputs.services {
        Services::All => return None,
        Services::Named(names) => names.clone(),
        Services::Changed => Vec::new(),
    };
    let set = services(job);
    let same = named.len() == set.len() && set.iter().all(|name| named.contains(name));
    (!same).then(|| {
        let list = set.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let sentence = format!("Input `services` does not name the services of the input `set`: {list}.");
        Problem::error(Code::InputInvalid, sentence).help("Leave `services` out: `set` says which are meant.")
    })
}

/// Services whose target has no variables of its own.
pub(super) fn target_problems(job: &Job, file: &str, services: &[Service]) -> Vec<Problem> {
    let foreign = services.iter().filter(|service| !targets::runs_containers(&service.target));
    let problem = |service: &Service| {
        let Service { name, target, .. } = service;
        let (sentence, help) = match (sets_variables(job), &service.common.before) {
            (true, _) => (
                format!("The variables of `{name}` cannot be set: its target is `{target}`."),
                match target.as_str() {
                    "argocd" => "They stand in its manifests: change them there, and commit.",
                    _ => "Only services in `ecs` have variables of their own.",
                },
            ),
            (false, Some(_)) => (
                format!("`{name}` cannot run a command before: its target is `{target}`."),
                match target.as_str() {
                    "argocd" => {
                        "In Argo CD that is a hook of the manifests: a Job with `argocd.argoproj.io/hook: PreSync`."
                    }
                    _ => "Give the command to a service in `ecs`.",
                },
            ),
            (false, None) => return None,
        };
        let at = &service.settings;
        let problem = Problem::error(Code::Unsupported, sentence).help(help).of(&service.name);
        Some(problem.at(file, at.line, at.column))
    };
    foreign.filter_map(problem).collect()
}
