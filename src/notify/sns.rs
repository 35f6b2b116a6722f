//! Publishes one message to an SNS topic, in the topic's region. One call an attempt: the caller counts the attempts.

use aws_config::{Region, SdkConfig};
use aws_sdk_sns::Client;
use aws_sdk_sns::config::Builder;
use aws_sdk_sns::config::retry::RetryConfig;
use aws_sdk_sns::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_sns::types::MessageAttributeValue;

use super::DeliveryError;
use crate::config::SnsTopic;
use crate::report::Notification;
use crate::sys::network::connection_failure;
use crate::sys::sdk_error::sdk_error_text;

/// Publishes. A FIFO topic gets the environment as its message group and `key` for deduplication.
pub(super) async fn publish(
    session: &SdkConfig,
    topic: &SnsTopic,
    notification: &Notification,
    key: &str,
) -> Result<(), DeliveryError> {
    let region = Region::new(topic.region().to_owned());
    let config = Builder::from(session).region(region).retry_config(RetryConfig::disabled()).build();
    let request = Client::from_conf(config)
        .publish()
        .topic_arn(topic.arn())
        .subject(notification.subject())
        .message(notification.text());
    let attributes = [
        ("outcome", Some(notification.outcome.as_str())),
        ("environment", notification.environment.as_deref()),
    ];
    let request = attributes.into_iter().fold(request, |request, (name, value)| {
        match value.and_then(string_attribute) {
            Some(value) => request.message_attributes(name, value),
            None => request,
        }
    });
    let request = match topic.is_fifo() {
        true => request.message_group_id("roadstead").message_deduplication_id(key),
        false => request,
    };
    request.send().await.map(drop).map_err(|error| {
        let refused =
            matches!(&error, SdkError::ServiceError(answer) if answer.raw().status().is_client_error());
        if let Some(failure) = connection_failure(&error) {
            return DeliveryError { reason: failure.to_string(), is_retryable: false };
        }
        let is_retryable = !refused || error.code() == Some("Throttled");
        DeliveryError { reason: sdk_error_text("sns:Publish", &error), is_retryable }
    })
}

/// A message attribute; SNS rejects empty ones.
fn string_attribute(value: &str) -> Option<MessageAttributeValue> {
    let attribute = MessageAttributeValue::builder().data_type("String").string_value(value);
    attribute.build().ok().filter(|_| !value.is_empty())
}
