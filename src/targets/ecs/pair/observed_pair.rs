//! What an observation keeps of both services and their rule, beside the service that was observed. Pure.

use serde::{Deserialize, Serialize};

use super::state::{PairPosition, PairState};
use crate::release::Observed;

/// Its key in the raw observation.
const RAW_KEY: &str = "observedPair";

/// The pair at the moment of an observation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedPair {
    /// Why no traffic can be shifted between the two; `None` where it can.
    pub missing: Option<String>,
    /// The new service's percent of the traffic, during a shift.
    pub shifting_percent: Option<u8>,
    /// The weights of the rule, for people.
    pub weights: String,
}

impl ObservedPair {
    /// Of both services and the rule as they were read.
    pub fn from_state(state: &PairState) -> Self {
        let shifting_percent = match state.position() {
            PairPosition::Shifting { percent, .. } => Some(percent),
            PairPosition::Serving(_) | PairPosition::NoTraffic => None,
        };
        Self { missing: state.missing_requirements(), shifting_percent, weights: state.describe_weights() }
    }

    /// The observation, with this in it.
    #[must_use]
    pub fn save(&self, mut observed: Observed) -> Observed {
        if let Some(raw) = observed.raw.as_object_mut() {
            raw.insert(RAW_KEY.into(), serde_json::to_value(self).unwrap_or_default());
        }
        observed
    }

    /// What an observation keeps.
    pub fn read(observed: &Observed) -> Self {
        Self::deserialize(&observed.raw[RAW_KEY]).unwrap_or_default()
    }
}
