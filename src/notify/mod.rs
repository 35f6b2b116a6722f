//! Notifications of how a run ended: SNS, Slack, any webhook. Best effort, with a few bounded attempts; `report`
//! decides whether there is something to send, and its text.

mod sns;
mod webhook;

use std::time::Duration;

use aws_config::SdkConfig;
use futures::future::join_all;

use crate::config::SnsTopic;
use crate::problem::{Code, Problem};
use crate::report::{Notification, slack};
use crate::sys::http::HttpClient;

/// A recipient.
#[derive(Clone)]
pub enum Channel {
    /// An SNS topic, with the session that may publish to it.
    Sns(SnsTopic, Box<SdkConfig>),
    /// The URL of an incoming webhook of Slack.
    Slack(String),
    /// The URL of a webhook, and the secret that its messages are signed with.
    Webhook(String, String),
}

/// Retry settings.
#[derive(Debug, Clone, Copy)]
pub struct RetryBudget {
    /// Maximum attempts.
    pub max_attempts: u32,
    /// Timeout of each attempt.
    pub timeout: Duration,
}

impl RetryBudget {
    /// At the end of a run.
    pub const DEFAULT: Self = Self { max_attempts: 2, timeout: Duration::from_secs(5) };
    /// When the run has been cancelled and must end.
    pub const SHORT: Self = Self { max_attempts: 1, timeout: Duration::from_secs(2) };
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct DeliveryError {
    /// The reason, without the URL, which is a secret.
    reason: String,
    /// Whether another attempt may help.
    is_retryable: bool,
}

/// Notifies every channel, all at the same time. Failed deliveries are returned as warnings; `key` is the same for the
/// same notification, so that a FIFO topic accepts it once.
pub async fn send(
    channels: &[Channel],
    notification: &Notification,
    key: &str,
    web: &HttpClient,
    budget: RetryBudget,
) -> Vec<Problem> {
    let sent =
        join_all(channels.iter().map(|channel| deliver(channel, notification, key, web, budget))).await;
    sent.into_iter().filter_map(Result::err).collect()
}

async fn deliver(
    channel: &Channel,
    notification: &Notification,
    key: &str,
    web: &HttpClient,
    budget: RetryBudget,
) -> Result<(), Problem> {
    let mut tried = 0;
    loop {
        tried += 1;
        let sending = deliver_once(channel, notification, key, web, budget.timeout);
        let late = || {
            Err(DeliveryError {
                reason: format!("no response within {} s", budget.timeout.as_secs()),
                is_retryable: true,
            })
        };
        let sent = tokio::time::timeout(budget.timeout, sending).await.unwrap_or_else(|_| late());
        match sent {
            Ok(()) => return Ok(()),
            Err(miss) if miss.is_retryable && tried < budget.max_attempts => {
                tokio::time::sleep(Duration::from_secs(1)).await
            }
            Err(miss) => return Err(undelivered_problem(channel, miss.reason)),
        }
    }
}

async fn deliver_once(
    channel: &Channel,
    notification: &Notification,
    key: &str,
    web: &HttpClient,
    timeout: Duration,
) -> Result<(), DeliveryError> {
    match channel {
        Channel::Sns(topic, session) => sns::publish(session, topic, notification, key).await,
        Channel::Slack(url) => {
            let body = serde_json::to_vec(&slack::message(notification)).unwrap_or_default();
            webhook::post(web, url, body, None, timeout).await
        }
        Channel::Webhook(url, secret) => {
            webhook::post(web, url, notification.json(), Some(secret), timeout).await
        }
    }
}

fn undelivered_problem(channel: &Channel, why: String) -> Problem {
    let (whom, help) = match channel {
        Channel::Sns(topic, _) => (
            format!("The topic `{}`", topic.arn()),
            "Allow the role sns:Publish on the topic, and kms:GenerateDataKey and kms:Decrypt if it is encrypted.",
        ),
        Channel::Slack(_) => {
            ("The Slack webhook".into(), "Check that `notify.slack-webhook` is the URL that Slack shows.")
        }
        Channel::Webhook(..) => {
            ("The webhook".into(), "Check `notify.webhook`, and that the runner can reach it.")
        }
    };
    let sentence = format!("{whom} could not be notified of the result; the run itself is not affected.");
    Problem::warning(Code::NotificationFailed, sentence).cause(why).help(help)
}
