//! Notifications: `notify:` of the deploy file. URLs of webhooks are secrets, so the name of a variable is
//! accepted in their place. Nothing is sent here.

use schemars::JsonSchema;
use serde::Deserialize;

use super::bounded::Address;
use super::parsed_string::parsed_string;
use super::tree::{ConfigNode, ConfigValue};
use crate::problem::{Code, Problem};
use crate::release::aws_values::Arn;
use crate::release::may_receive_credentials;

/// Notifications of runs that failed, were rolled back, or need manual action; and of successful ones if configured.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NotifySettings {
    /// ARN of an SNS topic.
    pub sns: Option<SnsTopic>,
    /// Incoming webhook of Slack or a compatible service: a URL, or the name of an environment variable
    /// that contains it.
    pub slack_webhook: Option<AddressSource>,
    /// Any other webhook: signed JSON.
    pub webhook: Option<Webhook>,
    /// Whether successful deployments are reported too; `false` by default.
    pub success: Option<bool>,
}

impl NotifySettings {
    /// These settings, as defaults of `over`.
    pub fn with_overrides(self, over: Self) -> Self {
        Self {
            sns: over.sns.or(self.sns),
            slack_webhook: over.slack_webhook.or(self.slack_webhook),
            webhook: over.webhook.or(self.webhook),
            success: over.success.or(self.success),
        }
    }

    /// Whether there is no recipient.
    pub fn is_empty(&self) -> bool {
        self.sns.is_none() && self.slack_webhook.is_none() && self.webhook.is_none()
    }

    /// The required environment variables, each with its purpose.
    pub fn variables(&self) -> Vec<(&'static str, &VariableName)> {
        let slack = self
            .slack_webhook
            .as_ref()
            .and_then(AddressSource::variable_name)
            .map(|it| ("notify.slack-webhook", it));
        let url =
            self.webhook.as_ref().and_then(|it| it.url.variable_name()).map(|it| ("notify.webhook.url", it));
        let secret = self.webhook.as_ref().map(|it| ("notify.webhook.secret", &it.secret));
        [slack, url, secret].into_iter().flatten().collect()
    }
}

/// A webhook that receives signed JSON.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Webhook {
    /// Its URL, or the name of an environment variable that contains it.
    pub url: AddressSource,
    /// The name of the environment variable that contains the secret of the signature.
    pub secret: VariableName,
}

/// A URL, or the name of an environment variable that contains one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub enum AddressSource {
    /// The URL itself.
    Address(Address),
    /// The variable.
    Variable(VariableName),
}

impl AddressSource {
    /// The variable, if it is one.
    pub fn variable_name(&self) -> Option<&VariableName> {
        match self {
            Self::Variable(name) => Some(name),
            Self::Address(_) => None,
        }
    }
}

impl TryFrom<String> for AddressSource {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Ok(variable) = VariableName::try_from(text.clone()) {
            return Ok(Self::Variable(variable));
        }
        require_https(text).map(Self::Address)
    }
}

/// A URL whose traffic cannot be read on the way: HTTPS, or loopback. Errors do not repeat the
/// text, which may be a secret.
pub fn require_https(text: String) -> Result<Address, String> {
    let address = Address::try_from(text).map_err(|_| {
        "neither a URL with `https://` nor the name of an environment variable (`[A-Z_][A-Z0-9_]*`)"
            .to_owned()
    })?;
    match may_receive_credentials(address.as_str()) {
        true => Ok(address),
        false => Err("the URL of a webhook begins with `https://`".into()),
    }
}

parsed_string!(
    /// The name of an environment variable.
    VariableName,
    #[schemars(regex(pattern = r"^[A-Z_][A-Z0-9_]*$"))]
    check_variable
);

fn check_variable(text: &str) -> Result<(), String> {
    let first = text.starts_with(|c: char| c.is_ascii_uppercase() || c == '_');
    let plain = text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    let fits = first && plain && text.len() <= 200;
    fits.then_some(()).ok_or_else(|| {
        "this is the name of an environment variable (`[A-Z_][A-Z0-9_]*`) that contains the secret, not the secret".into()
    })
}

parsed_string!(
    /// ARN of an SNS topic.
    SnsTopic,
    check_topic
);

impl SnsTopic {
    /// The whole ARN.
    pub fn arn(&self) -> &str {
        &self.0
    }

    /// The region in it.
    pub fn region(&self) -> &str {
        self.0.split(':').nth(3).unwrap_or_default()
    }

    /// Whether the topic keeps messages in order (a FIFO topic).
    pub fn is_fifo(&self) -> bool {
        self.0.ends_with(".fifo")
    }
}

fn check_topic(text: &str) -> Result<(), String> {
    let arn = Arn::parse(text).filter(|arn| arn.service == "sns").ok_or_else(|| invalid_topic(text))?;
    arn.check_place().map_err(|why| format!("{}: {why}", invalid_topic(text)))?;
    let name = arn.resource;
    let base = name.strip_suffix(".fifo").unwrap_or(name);
    let named = (1..=256).contains(&name.len())
        && !base.is_empty()
        && base.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if named { Ok(()) } else { Err(invalid_topic(text)) }
}

fn invalid_topic(text: &str) -> String {
    format!("`{text}` is not the ARN of a topic, such as `arn:aws:sns:eu-west-1:111111111111:releases`")
}

/// URLs of Slack webhooks written in the file: everyone who can read the file can post to the channel.
pub(super) fn warnings(file: &str, block: &ConfigNode) -> Vec<Problem> {
    let url = block.get("webhook").and_then(|webhook| webhook.get("url"));
    let places = [block.get("slack-webhook"), url].into_iter().flatten();
    let open = places.filter(|node| match &node.kind {
        ConfigValue::Scalar(serde_json::Value::String(text)) => text.starts_with("https://hooks.slack.com/"),
        _ => false,
    });
    open.map(|node| {
        let sentence = "The deploy file contains the URL of a Slack webhook: everyone who can read the file can post to the channel.";
        Problem::warning(Code::SecretInPlainText, sentence)
            .help("Store it as a secret, pass it to the step with `env: { SLACK_WEBHOOK: … }`, and write `SLACK_WEBHOOK` here.")
            .at_location(file, node.line, node.column)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{read, tree};
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let node = tree::parse("f.yml", text).unwrap();
        let read = read::<NotifySettings>("f.yml", "`notify`", &node).err().unwrap_or_default();
        let all = read.into_iter().chain(warnings("f.yml", &node));
        all.map(|p| format!("{} {p}", p.location.as_ref().unwrap().line)).collect()
    }

    #[test]
    fn errors_are_reported_on_their_line_without_the_url() {
        let text = "sns: arn:aws:sns:eu-west-1:1:x\nslack-webhook: http://hooks.example/S3CRET\nwebhook:\n  url: hooks.example/S3CRET\n  secret: s3cret-itself\nsucces: true\n";
        let found = problems(text).join("\n");
        assert!(!found.to_lowercase().contains("s3cret"), "{found}");
        insta::assert_snapshot!(found, @"
        1 `sns` of `notify`: `arn:aws:sns:eu-west-1:1:x` is not the ARN of a topic, such as `arn:aws:sns:eu-west-1:111111111111:releases`: `1` has 1 digit, and the id of an AWS account has 12.
        2 `slack-webhook` of `notify`: the URL of a webhook begins with `https://`.
        4 `webhook.url` of `notify`: neither a URL with `https://` nor the name of an environment variable (`[A-Z_][A-Z0-9_]*`).
        5 `webhook.secret` of `notify`: this is the name of an environment variable (`[A-Z_][A-Z0-9_]*`) that contains the secret, not the secret.
        6 `succes` is not a key of `notify`. Did you mean `success`? Known: `sns`, `slack-webhook`, `webhook`, `success`.
        ");
        insta::assert_snapshot!(problems("slack-webhook: https://hooks.slack.com/services/T/B/x\n").join("\n"), @"1 The deploy file contains the URL of a Slack webhook: everyone who can read the file can post to the channel. Store it as a secret, pass it to the step with `env: { SLACK_WEBHOOK: … }`, and write `SLACK_WEBHOOK` here.");
    }

    #[test]
    fn environment_settings_override_the_shared_ones() {
        let of = |text: &str| read::<NotifySettings>("f", "x", &tree::parse("f", text).unwrap()).unwrap();
        let all = of(
            "{ sns: \"arn:aws:sns:eu-west-1:111111111111:all.fifo\", slack-webhook: HOOK, success: true }",
        );
        let both = all.with_overrides(of("{ slack-webhook: \"http://127.0.0.1:8080/x\", success: false }"));
        let topic = both.sns.as_ref().unwrap();
        assert_eq!((topic.region(), topic.is_fifo(), both.success), ("eu-west-1", true, Some(false)));
        assert!(matches!(&both.slack_webhook, Some(AddressSource::Address(_))));
        let webhook = of("{ webhook: { url: HOOK, secret: KEY } }");
        let names: Vec<_> = webhook.variables().into_iter().map(|(key, name)| (key, name.as_str())).collect();
        assert_eq!(names, [("notify.webhook.url", "HOOK"), ("notify.webhook.secret", "KEY")]);
    }
}
