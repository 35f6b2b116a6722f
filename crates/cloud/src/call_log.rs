//! What the emulator keeps of each call, and the hooks through which a test watches and changes calls.

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

use super::ecs::responses::serving::ServingState;
use super::request::{Delivery, ServiceCall, ServiceError};

/// How many calls are remembered, and about how many bytes of their inputs.
const MAX_LOGGED: (usize, usize) = (100_000, 64 << 20);

/// The newest calls, oldest first, as far as they fit.
#[derive(Debug, Default)]
pub struct CallLog {
    calls: VecDeque<LoggedCall>,
    bytes: usize,
}

impl CallLog {
    /// Adds a call, and forgets the oldest ones that no longer fit.
    pub fn push(&mut self, call: LoggedCall) {
        self.bytes += input_size(&call.input);
        self.calls.push_back(call);
        let (most, most_bytes) = MAX_LOGGED;
        while self.calls.len() > most || self.bytes > most_bytes && self.calls.len() > 1 {
            let Some(oldest) = self.calls.pop_front() else { return };
            self.bytes -= input_size(&oldest.input);
        }
    }

    /// What is remembered.
    pub fn iter(&self) -> impl Iterator<Item = &LoggedCall> {
        self.calls.iter()
    }
}

/// About how many bytes an input takes.
fn input_size(input: &Value) -> usize {
    let own = std::mem::size_of::<Value>();
    own + match input {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(input_size).sum(),
        Value::Object(members) => members.iter().map(|(name, value)| name.len() + input_size(value)).sum(),
    }
}

/// How a call ended for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallOutcome {
    /// It was answered.
    Answered,
    /// It was refused, with this code.
    Failed(String),
    /// The answer was lost on its way.
    ConnectionLost,
    /// Nothing came back.
    NoReply,
    /// A web page came back.
    Page,
}

impl CallOutcome {
    /// The outcome that a delivery means.
    pub fn from_delivery(delivery: &Delivery) -> Self {
        match delivery {
            Delivery::Reply(Ok(_)) => Self::Answered,
            Delivery::Reply(Err(refusal)) => Self::Failed(refusal.code.clone()),
            Delivery::ConnectionLost => Self::ConnectionLost,
            Delivery::NoReply => Self::NoReply,
            Delivery::Page(_) => Self::Page,
        }
    }
}

/// One call that the cloud received.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedCall {
    /// When, epoch seconds of the cloud's clock.
    pub at: f64,
    /// Signing name of the service.
    pub service: String,
    /// Operation.
    pub operation: String,
    /// Input members.
    pub input: Value,
    /// Who called: the access key id; empty for calls without a signature.
    pub access_key: String,
    /// How it ended for the client.
    pub outcome: CallOutcome,
    /// The operation changes something.
    pub is_mutating: bool,
    /// The service did what was asked, whether or not the client learned of it.
    pub took_effect: bool,
}

impl LoggedCall {
    /// The record as the served call log shows it.
    pub fn to_json(&self) -> Value {
        json!({
            "at": self.at, "service": self.service, "operation": self.operation, "input": self.input,
            "outcome": match &self.outcome {
                CallOutcome::Answered => "ok",
                CallOutcome::Failed(code) => code,
                CallOutcome::ConnectionLost => "lost",
                CallOutcome::NoReply => "silence",
                CallOutcome::Page => "page",
            },
            "mutating": self.is_mutating, "effective": self.took_effect,
        })
    }
}

/// Before a call takes effect, or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookPhase {
    /// Nothing has been changed yet.
    Before,
    /// What the call changes is changed.
    After,
}

/// A point at which a test may change a call.
#[derive(Debug)]
pub struct CallHook<'a> {
    /// Before or after.
    pub phase: HookPhase,
    /// Number of the call in this cloud, from 0.
    pub index: usize,
    /// Epoch seconds of the cloud's clock.
    pub at: f64,
    /// The call.
    pub call: &'a ServiceCall,
    /// The operation changes something.
    pub is_mutating: bool,
    /// What the client will get; only after.
    pub delivery: Option<&'a Delivery>,
}

/// What a test does to a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Override {
    /// Nothing.
    Pass,
    /// The connection breaks: before the effect in `HookPhase::Before`, after it in `After`.
    Disconnect,
    /// There is no answer; in `Before` no effect either.
    NoReply,
    /// It fails with this error; in `Before` without effect.
    Fail(ServiceError),
    /// The client gets this answer; in `Before` without effect.
    Reply(Value),
    /// In `Before`: these members replace those of the input.
    ReplaceInput(Value),
}

impl Override {
    /// The members that replace those of the input.
    pub fn input_members(&self) -> Option<&Map<String, Value>> {
        match self {
            Self::ReplaceInput(Value::Object(members)) => Some(members),
            _ => None,
        }
    }

    /// What the client gets; `None` to go on as usual.
    pub fn into_delivery(self) -> Option<Delivery> {
        match self {
            Self::Pass | Self::ReplaceInput(_) => None,
            Self::Reply(answer) => Some(Delivery::Reply(Ok(answer))),
            Self::Disconnect => Some(Delivery::ConnectionLost),
            Self::NoReply => Some(Delivery::NoReply),
            Self::Fail(refusal) => Some(Delivery::Reply(Err(refusal))),
        }
    }
}

/// Called before and after each call. It may ask the cloud anything.
pub type OnCall = Box<dyn FnMut(&CallHook<'_>) -> Override + Send>;

/// Called after every change of state, with the time and all services. It must not ask the cloud: it runs inside of it.
pub type OnTick = Box<dyn FnMut(f64, &[ServingState]) + Send>;

#[cfg(test)]
mod tests {
    use super::*;

    fn call(operation: usize, input: Value) -> LoggedCall {
        LoggedCall {
            at: 0.0,
            service: "ecs".into(),
            operation: operation.to_string(),
            input,
            access_key: String::new(),
            outcome: CallOutcome::Answered,
            is_mutating: false,
            took_effect: false,
        }
    }

    #[test]
    fn log_is_bounded_in_calls_and_in_bytes() {
        let mut log = CallLog::default();
        (0..MAX_LOGGED.0 + 5).for_each(|n| log.push(call(n, Value::Null)));
        assert_eq!((log.iter().count(), log.iter().next().unwrap().operation.as_str()), (MAX_LOGGED.0, "5"));
        let mut log = CallLog::default();
        let large = json!({ "body": ["x".repeat(MAX_LOGGED.1 / 4)] });
        (0..9).for_each(|n| log.push(call(n, large.clone())));
        let kept: Vec<&str> = log.iter().map(|call| call.operation.as_str()).collect();
        assert_eq!(kept, ["6", "7", "8"]);
        log.push(call(9, json!("x".repeat(2 * MAX_LOGGED.1))));
        assert_eq!(log.iter().count(), 1, "the newest call is kept, whatever its size");
    }
}
