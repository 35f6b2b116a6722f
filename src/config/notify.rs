//! Who hears of a run: `notify:` of the deploy file. Addresses of webhooks are secrets, so that a name of a variable may
//! stand for one. Nothing is sent here.

use schemars::JsonSchema;
use serde::Deserialize;

use super::bounds::Address;
use super::tree::{Kind, Node};
use crate::problem::{Code, Problem};

/// Who hears of runs that failed, were rolled back, or need a person; and of good ones, where that is wished.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Notify {
    /// ARN of an SNS topic.
    pub sns: Option<Topic>,
    /// Incoming webhook of Slack, or of what understands the same: an address, or the name of an environment variable
    /// that holds it.
    pub slack_webhook: Option<Place>,
    /// Any other webhook: JSON, signed.
    pub webhook: Option<Webhook>,
    /// Whether versions that were deployed are told as well; `false` when left out.
    pub success: Option<bool>,
}

impl Notify {
    /// These settings where `over` says nothing.
    pub fn under(self, over: Self) -> Self {
        Self {
            sns: over.sns.or(self.sns),
            slack_webhook: over.slack_webhook.or(self.slack_webhook),
            webhook: over.webhook.or(self.webhook),
            success: over.success.or(self.success),
        }
    }

    /// Whether nobody is told.
    pub fn is_empty(&self) -> bool {
        self.sns.is_none() && self.slack_webhook.is_none() && self.webhook.is_none()
    }

    /// The environment variables that must be set, each with what it is for.
    pub fn variables(&self) -> Vec<(&'static str, &Variable)> {
        let slack =
            self.slack_webhook.as_ref().and_then(Place::variable).map(|it| ("notify.slack-webhook", it));
        let url = self.webhook.as_ref().and_then(|it| it.url.variable()).map(|it| ("notify.webhook.url", it));
        let secret = self.webhook.as_ref().map(|it| ("notify.webhook.secret", &it.secret));
        [slack, url, secret].into_iter().flatten().collect()
    }
}

/// A webhook that gets JSON with a signature.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Webhook {
    /// Its address, or the name of an environment variable that holds it.
    pub url: Place,
    /// The name of the environment variable that holds the secret of the signature.
    pub secret: Variable,
}

/// An address, or the name of an environment variable that holds one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub enum Place {
    /// The address itself.
    Address(Address),
    /// The variable.
    Variable(Variable),
}

impl Place {
    /// The variable, where it is one.
    pub fn variable(&self) -> Option<&Variable> {
        match self {
            Self::Variable(name) => Some(name),
            Self::Address(_) => None,
        }
    }
}

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Ok(variable) = Variable::try_from(text.clone()) {
            return Ok(Self::Variable(variable));
        }
        secure(text).map(Self::Address)
    }
}

/// An address that what is sent to cannot be read on the way: HTTPS, or this machine itself. Errors do not repeat the
/// text, which may be a secret.
pub fn secure(text: String) -> Result<Address, String> {
    let address = Address::try_from(text).map_err(|_| {
        "neither an address with `https://` nor the name of an environment variable (`[A-Z_][A-Z0-9_]*`)"
            .to_owned()
    })?;
    let host = address.as_str().strip_prefix("http://").map(|rest| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        host.rsplit_once(':').map_or(host, |(name, _)| name).to_owned()
    });
    let own = |host: &str| ["localhost", "[::1]"].contains(&host) || host.starts_with("127.");
    match host {
        Some(host) if !own(&host) => Err("an address of a webhook begins with `https://`".into()),
        _ => Ok(address),
    }
}

/// The name of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct Variable(#[schemars(regex(pattern = r"^[A-Z_][A-Z0-9_]*$"))] String);

impl Variable {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Variable {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let first = text.starts_with(|c: char| c.is_ascii_uppercase() || c == '_');
        let plain = text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        let fits = first && plain && text.len() <= 200;
        fits.then_some(Self(text)).ok_or_else(|| {
            "this is the name of an environment variable (`[A-Z_][A-Z0-9_]*`) that holds the secret, not the secret".into()
        })
    }
}

/// ARN of an SNS topic.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct Topic(String);

impl Topic {
    /// The whole ARN.
    pub fn arn(&self) -> &str {
        &self.0
    }

    /// The region in it.
    pub fn region(&self) -> &str {
        self.0.split(':').nth(3).unwrap_or_default()
    }

    /// Whether messages keep an order there (a FIFO topic).
    pub fn is_ordered(&self) -> bool {
        self.0.ends_with(".fifo")
    }
}

impl TryFrom<String> for Topic {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(':').collect();
        let ["arn", partition, "sns", region, account, name] = parts.as_slice() else {
            return Err(no_topic(&text));
        };
        let word =
            |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        let base = name.strip_suffix(".fifo").unwrap_or(name);
        let named = (1..=256).contains(&name.len())
            && !base.is_empty()
            && base.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        let numbered = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let placed = partition.starts_with("aws") && word(partition) && !region.is_empty() && word(region);
        if placed && numbered && named { Ok(Self(text)) } else { Err(no_topic(&text)) }
    }
}

fn no_topic(text: &str) -> String {
    format!("`{text}` is not the ARN of a topic, such as `arn:aws:sns:eu-west-1:111111111111:releases`")
}

/// Addresses of Slack's webhooks that stand in the file: whoever reads it may write to the channel.
pub(super) fn dubious(file: &str, block: &Node) -> Vec<Problem> {
    let url = block.get("webhook").and_then(|webhook| webhook.get("url"));
    let places = [block.get("slack-webhook"), url].into_iter().flatten();
    let open = places.filter(|node| match &node.kind {
        Kind::Scalar(serde_json::Value::String(text)) => text.starts_with("https://hooks.slack.com/"),
        _ => false,
    });
    open.map(|node| {
        let sentence = "The address of a Slack webhook stands in the file: whoever reads it may write to the channel.";
        Problem::warning(Code::SecretInPlainText, sentence)
            .help("Keep it in a secret, give that to the step as `env: { SLACK_WEBHOOK: … }`, and write `SLACK_WEBHOOK` here.")
            .at(file, node.line, node.column)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{read, tree};
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let node = tree::parse("f.yml", text).unwrap();
        let read = read::<Notify>("f.yml", "`notify`", &node).err().unwrap_or_default();
        let all = read.into_iter().chain(dubious("f.yml", &node));
        all.map(|p| format!("{} {p}", p.at.as_ref().unwrap().line)).collect()
    }

    #[test]
    fn every_slip_stands_on_its_line_and_no_address_is_repeated() {
        let text = "sns: arn:aws:sns:eu-west-1:1:x\nslack-webhook: http://hooks.example/S3CRET\nwebhook:\n  url: hooks.example/S3CRET\n  secret: s3cret-itself\nsucces: true\n";
        let found = problems(text).join("\n");
        assert!(!found.to_lowercase().contains("s3cret"), "{found}");
        insta::assert_snapshot!(found, @"
        1 `sns` of `notify`: `arn:aws:sns:eu-west-1:1:x` is not the ARN of a topic, such as `arn:aws:sns:eu-west-1:111111111111:releases`.
        2 `slack-webhook` of `notify`: an address of a webhook begins with `https://`.
        4 `webhook.url` of `notify`: neither an address with `https://` nor the name of an environment variable (`[A-Z_][A-Z0-9_]*`).
        5 `webhook.secret` of `notify`: this is the name of an environment variable (`[A-Z_][A-Z0-9_]*`) that holds the secret, not the secret.
        ");
        insta::assert_snapshot!(problems("slack-webhook: https://hooks.slack.com/services/T/B/x\n").join("\n"), @"1 The address of a Slack webhook stands in the file: whoever reads it may write to the channel. Keep it in a secret, give that to the step as `env: { SLACK_WEBHOOK: … }`, and write `SLACK_WEBHOOK` here.");
    }

    #[test]
    fn an_environment_lays_its_own_over() {
        let of = |text: &str| read::<Notify>("f", "x", &tree::parse("f", text).unwrap()).unwrap();
        let all = of(
            "{ sns: \"arn:aws:sns:eu-west-1:111111111111:all.fifo\", slack-webhook: HOOK, success: true }",
        );
        let both = all.under(of("{ slack-webhook: \"http://127.0.0.1:8080/x\", success: false }"));
        let topic = both.sns.as_ref().unwrap();
        assert_eq!((topic.region(), topic.is_ordered(), both.success), ("eu-west-1", true, Some(false)));
        assert!(matches!(&both.slack_webhook, Some(Place::Address(_))));
        let webhook = of("{ webhook: { url: HOOK, secret: KEY } }");
        let names: Vec<_> = webhook.variables().into_iter().map(|(key, name)| (key, name.as_str())).collect();
        assert_eq!(names, [("notify.webhook.url", "HOOK"), ("notify.webhook.secret", "KEY")]);
    }
}
