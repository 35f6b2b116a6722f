//! Amazon SNS: topics, and what is published to them. Rules and messages by the API reference of `Publish`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::call::{Answer, Call, Refusal};
use super::dispatch::not_modelled;
use super::members::text;
use super::world::World;

/// A topic.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Topic {
    /// What was published, oldest first.
    pub messages: Vec<Message>,
    /// When each deduplication id was taken first, and the message it made.
    taken: BTreeMap<String, (f64, String)>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// The subject; empty when there is none.
    pub subject: String,
    /// The text.
    pub text: String,
}

/// Bytes of a message at most.
const LONGEST: usize = 262_144;
/// Seconds for which a FIFO topic remembers a deduplication id.
const REMEMBERED: f64 = 300.0;

/// Enter a topic, by ARN or name.
pub fn found(world: &mut World, name: &str) {
    let arn = match name.starts_with("arn:") {
        true => name.to_owned(),
        false => format!("arn:aws:sns:{}:{}:{name}", world.region, world.account),
    };
    world.topics.entry(arn).or_default();
}

/// Answers a call to SNS.
pub fn answer(world: &mut World, call: &Call, now: f64) -> Answer {
    match call.operation.as_str() {
        "Publish" => publish(world, call, now),
        _ => Err(not_modelled(call)),
    }
}

fn invalid(words: &str) -> Refusal {
    Refusal::new("InvalidParameter", format!("Invalid parameter: {words}"))
}

fn publish(world: &mut World, call: &Call, now: f64) -> Answer {
    let (input, arn) = (&call.input, text(&call.input, "TopicArn").to_owned());
    if arn.is_empty() {
        return Err(invalid("TopicArn or TargetArn Reason: no value for required parameter"));
    }
    let parts: Vec<&str> = arn.split(':').collect();
    if parts.len() != 6 || parts[2] != "sns" || parts[3] != call.region {
        return Err(invalid("TopicArn"));
    }
    let ordered = arn.ends_with(".fifo");
    message(input)?;
    attributes(&input["MessageAttributes"])?;
    order(input, ordered)?;
    let id = format!("{:08x}-0000-5000-8000-{:012x}", world.topics.len(), messages(world) + 1);
    let topic =
        world.topics.get_mut(&arn).ok_or_else(|| Refusal::of(404, "NotFound", "Topic does not exist"))?;
    let key = text(input, "MessageDeduplicationId").to_owned();
    if let Some((_, first)) = topic.taken.get(&key).filter(|(at, _)| ordered && now - at < REMEMBERED) {
        return Ok(json!({ "MessageId": first, "SequenceNumber": number(topic.messages.len()) }));
    }
    topic.taken.insert(key, (now, id.clone()));
    let (subject, text) = (text(input, "Subject").to_owned(), text(input, "Message").to_owned());
    topic.messages.push(Message { id: id.clone(), subject, text });
    let sequence = ordered.then(|| number(topic.messages.len()));
    Ok(json!({ "MessageId": id, "SequenceNumber": sequence }))
}

fn messages(world: &World) -> usize {
    world.topics.values().map(|topic| topic.messages.len()).sum()
}

fn number(place: usize) -> String {
    format!("1000000000000000{place:04}")
}

fn message(input: &Value) -> Result<(), Refusal> {
    let message = text(input, "Message");
    if message.is_empty() {
        return Err(invalid("Empty message"));
    }
    if message.len() > LONGEST {
        return Err(invalid("Message too long"));
    }
    let Some(subject) = input.get("Subject").and_then(Value::as_str) else { return Ok(()) };
    let begins = subject.starts_with(|c: char| c.is_ascii_alphanumeric() || c.is_ascii_punctuation());
    let plain = subject.chars().all(|c| (' '..='~').contains(&c));
    if begins && plain && subject.len() < 100 { Ok(()) } else { Err(invalid("Subject")) }
}

fn attributes(all: &Value) -> Result<(), Refusal> {
    for (name, attribute) in all.as_object().into_iter().flatten() {
        let kind = text(attribute, "DataType");
        if !["String", "String.Array", "Number", "Binary"]
            .iter()
            .any(|known| kind.split('.').next() == known.split('.').next())
        {
            let words = format!(
                "The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String."
            );
            return Err(Refusal::new("ParameterValueInvalid", words));
        }
        if text(attribute, "StringValue").is_empty() && text(attribute, "BinaryValue").is_empty() {
            let words = format!(
                "The message attribute '{name}' must contain non-empty message attribute value for message attribute type '{kind}'."
            );
            return Err(Refusal::new("ParameterValueInvalid", words));
        }
    }
    Ok(())
}

fn order(input: &Value, ordered: bool) -> Result<(), Refusal> {
    let has = |name: &str| !text(input, name).is_empty();
    match (ordered, has("MessageGroupId"), has("MessageDeduplicationId")) {
        (true, false, _) => Err(invalid("The MessageGroupId parameter is required for FIFO topics")),
        (true, true, false) => Err(invalid(
            "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
        )),
        (false, _, true) => Err(invalid(
            "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for this topic type",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:sns:eu-west-1:111111111111:releases";

    fn said(change: &[(&str, Value)]) -> Result<String, String> {
        let mut world =
            World { region: "eu-west-1".into(), account: "111111111111".into(), ..World::default() };
        found(&mut world, "releases");
        found(&mut world, "releases.fifo");
        let mut input = json!({ "TopicArn": ARN, "Message": "m" });
        change.iter().for_each(|(key, value)| input[*key] = value.clone());
        let call = Call {
            service: "sns".into(),
            operation: "Publish".into(),
            input,
            region: "eu-west-1".into(),
            access_key: None,
        };
        let answers = [answer(&mut world, &call, 0.0), answer(&mut world, &call, 10.0)];
        let many = messages(&world);
        answers[1]
            .clone()
            .map(|_| format!("{many} messages"))
            .map_err(|it| format!("{} {}", it.code, it.message))
    }

    #[test]
    fn what_sns_refuses_is_refused() {
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
        let all: Vec<String> = cases.iter().map(|case| said(case).unwrap_or_else(|why| why)).collect();
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
