//! Amazon SNS: topics, and what is published to them. Rules and messages by the API reference of `Publish`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::input::str_field;
use crate::request::{ServiceCall, ServiceError, ServiceResult};
use crate::scenario::Scenario;
use crate::service::{DeniedCall, ErrorCodes, QueryApi, Service, ServiceProtocol, unsupported_operation};
use crate::world::World;

/// A topic.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TopicState {
    /// What was published, oldest first.
    pub messages: Vec<SnsMessage>,
    /// When each deduplication id was taken first, and the message it made.
    deduplicated: BTreeMap<String, (f64, String)>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnsMessage {
    /// Its id.
    pub id: String,
    /// The subject; empty when there is none.
    pub subject: String,
    /// The text.
    pub text: String,
}

/// Bytes of a message at most.
const MAX_MESSAGE_BYTES: usize = 262_144;
/// Seconds for which a FIFO topic remembers a deduplication id.
const DEDUPLICATION_SECONDS: f64 = 300.0;

/// Enter a topic, by ARN or name.
pub fn seed(world: &mut World, name: &str) {
    let arn = match name.starts_with("arn:") {
        true => name.to_owned(),
        false => format!("arn:aws:sns:{}:{}:{name}", world.region, world.account),
    };
    world.topics.entry(arn).or_default();
}

/// What SNS calls the errors that every service has.
static ERRORS: ErrorCodes =
    ErrorCodes::AWS_QUERY.with_throttled(429, "Throttled").with_denied(403, "AuthorizationError");

/// Amazon SNS.
pub struct Sns;

impl Service for Sns {
    fn name(&self) -> &'static str {
        "sns"
    }

    fn protocol(&self) -> ServiceProtocol {
        ServiceProtocol::Query(QueryApi {
            version: "2010-03-31",
            namespace: "http://sns.amazonaws.com/doc/2010-03-31/",
        })
    }

    fn errors(&self) -> &'static ErrorCodes {
        &ERRORS
    }

    fn seed(&self, world: &mut World, scenario: &Scenario, _began: f64) {
        scenario.topics.iter().for_each(|topic| seed(world, topic));
    }

    fn handle(&self, world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
        match call.operation.as_str() {
            "Publish" => publish(world, call, now),
            _ => Err(unsupported_operation(call)),
        }
    }

    fn resource(&self, _world: &World, call: &ServiceCall, _action: &str) -> Option<String> {
        Some(str_field(&call.input, "TopicArn").to_owned())
    }

    /// SNS writes its own name in capitals.
    fn denial_message(&self, denied: &DeniedCall<'_>) -> String {
        denied.to_string().replace("sns:P", "SNS:P")
    }
}

fn invalid_parameter(words: &str) -> ServiceError {
    ServiceError::new("InvalidParameter", format!("Invalid parameter: {words}"))
}

fn publish(world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
    let (input, arn) = (&call.input, str_field(&call.input, "TopicArn").to_owned());
    if arn.is_empty() {
        return Err(invalid_parameter("TopicArn or TargetArn Reason: no value for required parameter"));
    }
    let parts: Vec<&str> = arn.split(':').collect();
    if parts.len() != 6 || parts[2] != "sns" || parts[3] != call.region {
        return Err(invalid_parameter("TopicArn"));
    }
    let ordered = arn.ends_with(".fifo");
    validate_message(input)?;
    validate_attributes(&input["MessageAttributes"])?;
    validate_fifo(input, ordered)?;
    let id = format!("{:08x}-0000-5000-8000-{:012x}", world.topics.len(), count_messages(world) + 1);
    let topic = world
        .topics
        .get_mut(&arn)
        .ok_or_else(|| ServiceError::with_status(404, "NotFound", "Topic does not exist"))?;
    let key = str_field(input, "MessageDeduplicationId").to_owned();
    if let Some((_, first)) =
        topic.deduplicated.get(&key).filter(|(at, _)| ordered && now - at < DEDUPLICATION_SECONDS)
    {
        return Ok(json!({ "MessageId": first, "SequenceNumber": sequence_number(topic.messages.len()) }));
    }
    topic.deduplicated.insert(key, (now, id.clone()));
    let (subject, text) = (str_field(input, "Subject").to_owned(), str_field(input, "Message").to_owned());
    topic.messages.push(SnsMessage { id: id.clone(), subject, text });
    let sequence = ordered.then(|| sequence_number(topic.messages.len()));
    Ok(json!({ "MessageId": id, "SequenceNumber": sequence }))
}

fn count_messages(world: &World) -> usize {
    world.topics.values().map(|topic| topic.messages.len()).sum()
}

fn sequence_number(place: usize) -> String {
    format!("1000000000000000{place:04}")
}

fn validate_message(input: &Value) -> Result<(), ServiceError> {
    let message = str_field(input, "Message");
    if message.is_empty() {
        return Err(invalid_parameter("Empty message"));
    }
    if message.len() > MAX_MESSAGE_BYTES {
        return Err(invalid_parameter("Message too long"));
    }
    let Some(subject) = input.get("Subject").and_then(Value::as_str) else { return Ok(()) };
    let begins = subject.starts_with(|c: char| c.is_ascii_alphanumeric() || c.is_ascii_punctuation());
    let plain = subject.chars().all(|c| (' '..='~').contains(&c));
    if begins && plain && subject.len() < 100 { Ok(()) } else { Err(invalid_parameter("Subject")) }
}

fn validate_attributes(all: &Value) -> Result<(), ServiceError> {
    for (name, attribute) in all.as_object().into_iter().flatten() {
        let kind = str_field(attribute, "DataType");
        if !["String", "String.Array", "Number", "Binary"]
            .iter()
            .any(|known| kind.split('.').next() == known.split('.').next())
        {
            let words = format!(
                "The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String."
            );
            return Err(ServiceError::new("ParameterValueInvalid", words));
        }
        if str_field(attribute, "StringValue").is_empty() && str_field(attribute, "BinaryValue").is_empty() {
            let words = format!(
                "The message attribute '{name}' must contain non-empty message attribute value for message attribute type '{kind}'."
            );
            return Err(ServiceError::new("ParameterValueInvalid", words));
        }
    }
    Ok(())
}

fn validate_fifo(input: &Value, ordered: bool) -> Result<(), ServiceError> {
    let has = |name: &str| !str_field(input, name).is_empty();
    match (ordered, has("MessageGroupId"), has("MessageDeduplicationId")) {
        (true, false, _) => {
            Err(invalid_parameter("The MessageGroupId parameter is required for FIFO topics"))
        }
        (true, true, false) => Err(invalid_parameter(
            "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
        )),
        (false, _, true) => Err(invalid_parameter(
            "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for this topic type",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:sns:eu-west-1:111111111111:releases";

    fn publish_with(change: &[(&str, Value)]) -> Result<String, String> {
        let mut world =
            World { region: "eu-west-1".into(), account: "111111111111".into(), ..World::default() };
        seed(&mut world, "releases");
        seed(&mut world, "releases.fifo");
        let mut input = json!({ "TopicArn": ARN, "Message": "m" });
        change.iter().for_each(|(key, value)| input[*key] = value.clone());
        let call = ServiceCall {
            service: "sns".into(),
            operation: "Publish".into(),
            input,
            region: "eu-west-1".into(),
            access_key: None,
        };
        let answers = [Sns.handle(&mut world, &call, 0.0), Sns.handle(&mut world, &call, 10.0)];
        let many = count_messages(&world);
        answers[1]
            .clone()
            .map(|_| format!("{many} messages"))
            .map_err(|it| format!("{} {}", it.code, it.message))
    }

    #[test]
    fn invalid_messages_are_rejected() {
        let fifo = ("TopicArn", json!(format!("{ARN}.fifo")));
        let cases: Vec<Vec<(&str, Value)>> = vec![
            vec![],
            vec![("TopicArn", json!(""))],
            vec![("TopicArn", json!("arn:aws:sns:us-east-1:111111111111:releases"))],
            vec![("TopicArn", json!("arn:aws:sns:eu-west-1:111111111111:other"))],
            vec![("Message", json!(""))],
            vec![("Message", json!("x".repeat(262_145)))],
            vec![("Subject", json!("two\nlines"))],
            vec![("Subject", json!("x".repeat(100)))],
            vec![("MessageAttributes", json!({ "outcome": { "DataType": "String", "StringValue": "" } }))],
            vec![("MessageDeduplicationId", json!("k"))],
            vec![fifo.clone()],
            vec![fifo.clone(), ("MessageGroupId", json!("g"))],
            vec![fifo, ("MessageGroupId", json!("g")), ("MessageDeduplicationId", json!("k"))],
        ];
        let all: Vec<String> =
            cases.iter().map(|case| publish_with(case).unwrap_or_else(|why| why)).collect();
        insta::assert_snapshot!(all.join("\n"), @"
        2 messages
        InvalidParameter Invalid parameter: TopicArn or TargetArn Reason: no value for required parameter
        InvalidParameter Invalid parameter: TopicArn
        NotFound Topic does not exist
        InvalidParameter Invalid parameter: Empty message
        InvalidParameter Invalid parameter: Message too long
        InvalidParameter Invalid parameter: Subject
        InvalidParameter Invalid parameter: Subject
        ParameterValueInvalid The message attribute 'outcome' must contain non-empty message attribute value for message attribute type 'String'.
        InvalidParameter Invalid parameter: MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for this topic type
        InvalidParameter Invalid parameter: The MessageGroupId parameter is required for FIFO topics
        InvalidParameter Invalid parameter: The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly
        1 messages
        ");
    }
}
