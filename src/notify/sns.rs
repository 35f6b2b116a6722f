//! One message to a topic of SNS, in the topic's own region. One call a try: the tries are counted above.

use aws_config::{Region, SdkConfig};
use aws_sdk_sns::Client;
use aws_sdk_sns::config::Builder;
use aws_sdk_sns::config::retry::RetryConfig;
use aws_sdk_sns::error::{DisplayErrorContext, ProvideErrorMetadata as _, SdkError};
use aws_sdk_sns::types::MessageAttributeValue;

use super::Miss;
use crate::config::Topic;
use crate::report::Notification;

/// Publishes. A topic that keeps an order gets the environment as its group and `key` against doubles.
pub(super) async fn publish(
    session: &SdkConfig,
    topic: &Topic,
    told: &Notification,
    key: &str,
) -> Result<(), Miss> {
    let region = Region::new(topic.region().to_owned());
    let config = Builder::from(session).region(region).retry_config(RetryConfig::disabled()).build();
    let request = Client::from_conf(config)
        .publish()
        .topic_arn(topic.arn())
        .subject(told.subject())
        .message(told.text());
    let attributes = [("outcome", Some(told.outcome.word())), ("environment", told.environment.as_deref())];
    let request = attributes.into_iter().fold(request, |request, (name, value)| match value.and_then(text) {
        Some(value) => request.message_attributes(name, value),
        None => request,
    });
    let request = match topic.is_ordered() {
        true => request.message_group_id("roadstead").message_deduplication_id(key),
        false => request,
    };
    request.send().await.map(drop).map_err(|error| {
        let refused =
            matches!(&error, SdkError::ServiceError(answer) if answer.raw().status().is_client_error());
        let why = match (error.code(), error.message()) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            _ => DisplayErrorContext(&error).to_string(),
        };
        Miss { why, again: !refused || error.code() == Some("Throttled") }
    })
}

/// A value of an attribute; SNS takes no empty one.
fn text(value: &str) -> Option<MessageAttributeValue> {
    let attribute = MessageAttributeValue::builder().data_type("String").string_value(value);
    attribute.build().ok().filter(|_| !value.is_empty())
}
