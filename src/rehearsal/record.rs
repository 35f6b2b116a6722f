//! What the embedded cloud keeps of each call, and the hooks through which a test watches and interferes.

use serde_json::{Map, Value, json};

use super::call::{Call, Delivery, Refusal};
use super::ecs::views::Serving;

/// How a call ended for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Answered,
    /// It was refused, with this code.
    Refused(String),
    /// The answer was lost on its way.
    Lost,
    /// Nothing came back.
    Silence,
}

impl Outcome {
    /// The outcome that a delivery means.
    pub fn of(delivery: &Delivery) -> Self {
        match delivery {
            Delivery::Answer(Ok(_)) => Self::Answered,
            Delivery::Answer(Err(refusal)) => Self::Refused(refusal.code.clone()),
            Delivery::Lost => Self::Lost,
            Delivery::Silence => Self::Silence,
        }
    }
}

/// One call that the cloud received.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// When, epoch seconds of the cloud's clock.
    pub at: f64,
    /// Signing name of the service.
    pub service: String,
    /// Operation.
    pub operation: String,
    /// Input members.
    pub input: Value,
    /// Who called: the access key id; empty for calls without a signature.
    pub key: String,
    /// How it ended for the client.
    pub outcome: Outcome,
    /// The operation changes something.
    pub mutating: bool,
    /// The service did what was asked, whether or not the client learned of it.
    pub effective: bool,
}

impl Record {
    /// The record as the served call log shows it.
    pub fn to_json(&self) -> Value {
        json!({
            "at": self.at, "service": self.service, "operation": self.operation, "input": self.input,
            "outcome": match &self.outcome {
                Outcome::Answered => "ok",
                Outcome::Refused(code) => code,
                Outcome::Lost => "lost",
                Outcome::Silence => "silence",
            },
            "mutating": self.mutating, "effective": self.effective,
        })
    }
}

/// Before a call takes effect, or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing has been changed yet.
    Before,
    /// What the call changes is changed.
    After,
}

/// A point at which a test may interfere.
#[derive(Debug)]
pub struct Moment<'a> {
    /// Before or after.
    pub phase: Phase,
    /// Number of the call in this cloud, from 0.
    pub index: usize,
    /// Epoch seconds of the cloud's clock.
    pub at: f64,
    /// The call.
    pub call: &'a Call,
    /// The operation changes something.
    pub mutating: bool,
    /// What the client will get; only after.
    pub delivery: Option<&'a Delivery>,
}

/// What a test does to a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Interrupt {
    /// Nothing.
    Pass,
    /// The connection breaks: before the effect when said before, after it when said after.
    Lose,
    /// Nothing comes back; no effect when said before.
    Silence,
    /// It is refused; no effect when said before.
    Refuse(Refusal),
    /// The client gets this answer instead; no effect when said before.
    Answer(Value),
    /// These members stand in its input instead, when said before.
    Instead(Value),
}

impl Interrupt {
    /// What stands in the input instead.
    pub fn members(&self) -> Option<&Map<String, Value>> {
        match self {
            Self::Instead(Value::Object(members)) => Some(members),
            _ => None,
        }
    }

    /// What the client gets; `None` to go on as usual.
    pub fn delivery(self) -> Option<Delivery> {
        match self {
            Self::Pass | Self::Instead(_) => None,
            Self::Answer(answer) => Some(Delivery::Answer(Ok(answer))),
            Self::Lose => Some(Delivery::Lost),
            Self::Silence => Some(Delivery::Silence),
            Self::Refuse(refusal) => Some(Delivery::Answer(Err(refusal))),
        }
    }
}

/// Called before and after each call. It may ask the cloud anything.
pub type OnCall = Box<dyn FnMut(&Moment<'_>) -> Interrupt + Send>;

/// Called after every change of state, with the time and all services. It must not ask the cloud: it runs inside of it.
pub type OnTick = Box<dyn FnMut(f64, &[Serving]) + Send>;
