//! The variables that `notify` names: looked up and masked. What is missing is a problem before the first change.

use crate::action::Operation;
use crate::config::{AddressSource, NotifySettings, VariableName, require_https};
use crate::problem::{Code, Problem};
use crate::run::context::RunContext;
use crate::run::event::operation;

/// Masks the secrets that `notify` names; what cannot be used is a problem. A dry run sends nothing, so nothing is
/// missing there.
pub(in crate::run) fn missing_variables(ctx: &RunContext, notify: &NotifySettings) -> Vec<Problem> {
    for text in webhook_addresses(ctx, notify).into_iter().flatten().chain(webhook_secret(ctx, notify)) {
        mask_address(ctx, &text);
    }
    if operation(ctx) == Operation::Plan {
        return Vec::new();
    }
    let variables = notify.variables();
    variables.into_iter().filter_map(|(key, name)| missing_variable(ctx, key, name)).collect()
}

fn missing_variable(ctx: &RunContext, key: &str, name: &VariableName) -> Option<Problem> {
    let problem = |what: &str| {
        let name = name.as_str();
        let sentence = format!("`{key}` names the variable `{name}`, {what}.");
        let help = format!("Give it to the step: `env: {{ {name}: ${{{{ secrets.{name} }}}} }}`.");
        Problem::error(Code::InputInvalid, sentence).help(help)
    };
    match read_variable(ctx, name) {
        None => Some(problem("which is not set")),
        Some(text) if !key.ends_with("secret") && require_https(text.clone()).is_err() => {
            Some(problem("and its value is not a URL that begins with `https://`"))
        }
        Some(_) => None,
    }
}

fn read_variable(ctx: &RunContext, name: &VariableName) -> Option<String> {
    let value = ctx.io.variables.get(name.as_str()).map(|value| value.trim());
    value.filter(|value| !value.is_empty()).map(str::to_owned)
}

fn resolve_address(ctx: &RunContext, source: &AddressSource) -> Option<String> {
    match source {
        AddressSource::Address(address) => Some(address.as_str().to_owned()),
        AddressSource::Variable(name) => read_variable(ctx, name),
    }
}

/// The addresses of Slack and of the webhook.
pub(in crate::run) fn webhook_addresses(ctx: &RunContext, notify: &NotifySettings) -> [Option<String>; 2] {
    let slack = notify.slack_webhook.as_ref().and_then(|it| resolve_address(ctx, it));
    [slack, notify.webhook.as_ref().and_then(|it| resolve_address(ctx, &it.url))]
}

pub(in crate::run) fn webhook_secret(ctx: &RunContext, notify: &NotifySettings) -> Option<String> {
    read_variable(ctx, &notify.webhook.as_ref()?.secret)
}

/// Masks a whole text, and of a URL also the path: it alone lets others post there.
fn mask_address(ctx: &RunContext, text: &str) {
    ctx.log.mask(text);
    let path = text.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map(|(_, path)| path);
    if let Some(path) = path.filter(|path| path.len() >= 8) {
        ctx.log.mask(path);
    }
}
