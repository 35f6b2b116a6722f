//! Which variables `set-env` changes, on which services, and what is wrong with that before any call is made.

use crate::action::ServiceSelection;
use crate::problem::{Code, Problem};
use crate::release::EnvChange;
use crate::run::context::RunContext;
use crate::targets::{self, Feature, ServiceSpec};

/// The changes of one service, in the order of the input.
pub(in crate::run) fn changes_for(ctx: &RunContext, service: &str) -> Vec<EnvChange> {
    let own = ctx.inputs.set.iter().filter(|setting| setting.service == service);
    own.map(|setting| EnvChange { name: setting.name.clone(), value: setting.value.clone() }).collect()
}

/// The services that are named in the input `set`, each once.
pub(in crate::run) fn named_services(ctx: &RunContext) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for setting in &ctx.inputs.set {
        if !names.contains(&setting.service) {
            names.push(setting.service.clone());
        }
    }
    names
}

/// What is wrong with the input, as far as it is known without the deploy file's services.
pub(in crate::run) fn input_problems(ctx: &RunContext) -> Vec<Problem> {
    if !ctx.is_set_env() {
        return Vec::new();
    }
    let mut found: Vec<Problem> = ctx.inputs.set.iter().filter_map(secret_reference_problem).collect();
    found.extend(services_mismatch(ctx));
    found
}

fn secret_reference_problem(setting: &crate::action::inputs::SetEnvEntry) -> Option<Problem> {
    let change = EnvChange { name: setting.name.clone(), value: setting.value.clone() };
    change.is_secret_reference().then(|| {
        let sentence = format!(
            "Input `set`: the value of `{}.{}` says where a secret is kept, and a variable would hold that text and not the secret.",
            setting.service, setting.name
        );
        Problem::error(Code::InputInvalid, sentence)
            .help("Write it into `secrets` of the task definition (`name`, `valueFrom`) and deploy.")
    })
}

/// The input `services`, where it is given, names the same services.
fn services_mismatch(ctx: &RunContext) -> Option<Problem> {
    let named = match &ctx.inputs.services {
        ServiceSelection::All => return None,
        ServiceSelection::Named(names) => names.clone(),
        ServiceSelection::Changed => Vec::new(),
    };
    let set = named_services(ctx);
    let same = named.len() == set.len() && set.iter().all(|name| named.contains(name));
    (!same).then(|| {
        let list = set.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let sentence = format!("Input `services` does not name the services of the input `set`: {list}.");
        Problem::error(Code::InputInvalid, sentence).help("Leave `services` out: `set` says which are meant.")
    })
}

/// Services whose target cannot do what the run asks for: set variables, or run the command of the deploy file.
pub(in crate::run) fn target_problems(
    ctx: &RunContext,
    file: &str,
    services: &[ServiceSpec],
) -> Vec<Problem> {
    services.iter().filter_map(|service| target_problem(ctx, file, service)).collect()
}

fn target_problem(ctx: &RunContext, file: &str, service: &ServiceSpec) -> Option<Problem> {
    let (name, target, needs) = (&service.name, &service.target, service.needs());
    let (sentence, help) = if ctx.is_set_env() {
        let sentence = format!("The variables of `{name}` cannot be set: its target is `{target}`.");
        let list = targets::supporting(ctx.kinds, |needs| needs.env_vars);
        let otherwise = format!("Only services in {list} have variables of their own.");
        (sentence, unsupported_help(needs.env_vars, otherwise)?)
    } else {
        service.config.before.as_ref()?;
        let sentence = format!("`{name}` cannot run a command before: its target is `{target}`.");
        let list = targets::supporting(ctx.kinds, |needs| needs.one_off_tasks);
        let otherwise = format!("Give the command to a service in {list}.");
        (sentence, unsupported_help(needs.one_off_tasks, otherwise)?)
    };
    let at = &service.settings;
    let problem = Problem::error(Code::Unsupported, sentence).help(help).for_service(name);
    Some(problem.at_location(file, at.line, at.column))
}

/// What to do instead of something that a kind does not support; `None` where it supports it.
fn unsupported_help(feature: Feature, otherwise: String) -> Option<String> {
    match feature {
        Feature::Supported => None,
        Feature::Unsupported { help } => Some(help.map_or(otherwise, str::to_owned)),
    }
}
