//! Telling people and machines how a run ended: SNS, Slack, any webhook. Best effort, with a few bounded tries; whether
//! there is news, and what it says, is decided in `report`.

mod sns;
mod webhook;

use std::time::Duration;

use aws_config::SdkConfig;
use futures::future::join_all;

use crate::config::Topic;
use crate::problem::{Code, Problem};
use crate::report::{Notification, slack};
use crate::sys::web::Web;

/// A place that is told.
#[derive(Clone)]
pub enum Channel {
    /// A topic of SNS, with the session that may publish to it.
    Sns(Topic, Box<SdkConfig>),
    /// The address of an incoming webhook of Slack.
    Slack(String),
    /// The address of a webhook, and the secret that its messages are signed with.
    Webhook(String, String),
}

/// How much is tried.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How often.
    pub tries: u32,
    /// How long each try may take.
    pub each: Duration,
}

impl Patience {
    /// At the end of a run.
    pub const USUAL: Self = Self { tries: 2, each: Duration::from_secs(5) };
    /// When the run has been cancelled and must leave.
    pub const BRIEF: Self = Self { tries: 1, each: Duration::from_secs(2) };
}

/// Why a try did not reach anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Miss {
    /// In words, without the address, which is a secret.
    why: String,
    /// Whether trying again may help.
    again: bool,
}

/// Tells every channel, all at the same time. What did not arrive comes back as warnings; `key` is the same for the same
/// news, so that a topic that keeps an order takes it once.
pub async fn send(
    channels: &[Channel],
    told: &Notification,
    key: &str,
    web: &Web,
    patience: Patience,
) -> Vec<Problem> {
    let sent = join_all(channels.iter().map(|channel| deliver(channel, told, key, web, patience))).await;
    sent.into_iter().filter_map(Result::err).collect()
}

async fn deliver(
    channel: &Channel,
    told: &Notification,
    key: &str,
    web: &Web,
    patience: Patience,
) -> Result<(), Problem> {
    let mut tried = 0;
    loop {
        tried += 1;
        let sending = once(channel, told, key, web, patience.each);
        let late = || Err(Miss { why: format!("no answer in {} s", patience.each.as_secs()), again: true });
        let sent = tokio::time::timeout(patience.each, sending).await.unwrap_or_else(|_| late());
        match sent {
            Ok(()) => return Ok(()),
            Err(miss) if miss.again && tried < patience.tries => {
                tokio::time::sleep(Duration::from_secs(1)).await
            }
            Err(miss) => return Err(undelivered(channel, miss.why)),
        }
    }
}

async fn once(
    channel: &Channel,
    told: &Notification,
    key: &str,
    web: &Web,
    patience: Duration,
) -> Result<(), Miss> {
    match channel {
        Channel::Sns(topic, session) => sns::publish(session, topic, told, key).await,
        Channel::Slack(url) => {
            let body = serde_json::to_vec(&slack::message(told)).unwrap_or_default();
            webhook::post(web, url, body, None, patience).await
        }
        Channel::Webhook(url, secret) => webhook::post(web, url, told.json(), Some(secret), patience).await,
    }
}

fn undelivered(channel: &Channel, why: String) -> Problem {
    let (whom, help) = match channel {
        Channel::Sns(topic, _) => (
            format!("The topic `{}`", topic.arn()),
            "The role needs sns:Publish on it, and kms:GenerateDataKey and kms:Decrypt where it is encrypted.",
        ),
        Channel::Slack(_) => {
            ("The Slack webhook".into(), "Check that `notify.slack-webhook` is the address that Slack shows.")
        }
        Channel::Webhook(..) => {
            ("The webhook".into(), "Check `notify.webhook`, and that the runner can reach it.")
        }
    };
    let sentence = format!("{whom} could not be told how the run ended; the run itself is not affected.");
    Problem::warning(Code::NotificationFailed, sentence).cause(why).help(help)
}
