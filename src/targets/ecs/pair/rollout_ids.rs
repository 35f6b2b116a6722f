//! The `ids` of a pair's rollout, with which another process can continue it or roll it back. Pure.
//!
//! The ids of the member's own rollout come first (`write.rs`), then `"pair"`, then one of
//! `"rolling", SERVICE` (a rolling update of the service with the traffic);
//! `"shift", SERVICE, WEIGHTS, AT, BAKE` (traffic is shifted to this service by the weights of `0,10,100`, the last
//! requested one is AT, then a bake of BAKE seconds; WEIGHTS is `?` if an earlier run's shift was resumed);
//! `"back", SERVICE` (all traffic is shifted back to this service). The service is named as in the deploy file.

use std::time::Duration;

use crate::release::{Rollout, Version};

const PAIR_MARK: &str = "pair";
const UNKNOWN_WEIGHTS: &str = "?";

/// The kind of a pair's rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PairOperation {
    /// A rolling update of one service; weights stay.
    RollingUpdate,
    /// Traffic is shifted to the service.
    Shift(WeightShift),
    /// All traffic is shifted back to the service.
    RollBack,
}

/// A shift of traffic to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightShift {
    /// The weights in order; `None` if an earlier run chose them.
    pub weights: Option<Vec<u8>>,
    /// The last requested weight.
    pub weight: u8,
    /// The bake time with all traffic.
    pub bake: Duration,
}

impl WeightShift {
    /// The weight after the last requested one.
    pub fn next_weight(&self) -> Option<u8> {
        self.weights.as_ref()?.iter().copied().find(|weight| *weight > self.weight)
    }

    /// Whether this shift can have set a weight, also if the process that requested it ended before it could save
    /// that.
    pub fn may_have_set(&self, weight: u8) -> bool {
        weight == self.weight || self.weights.as_ref().is_none_or(|all| all.contains(&weight))
    }
}

/// A parsed rollout of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairRollout {
    /// The rollout of the member's own service.
    pub member_rollout: Rollout,
    /// The service, as the deploy file names it.
    pub service: String,
    /// The kind of the rollout.
    pub operation: PairOperation,
}

impl PairRollout {
    /// A rollout of `service` to `version`.
    pub fn new(version: &Version, service: &str, ids: Vec<String>, operation: PairOperation) -> Self {
        let member_rollout = Rollout { version: version.id.clone(), label: version.label.clone(), ids };
        Self { member_rollout, service: service.to_owned(), operation }
    }

    /// As a rollout.
    pub fn to_rollout(&self) -> Rollout {
        let mut ids = self.member_rollout.ids.clone();
        ids.push(PAIR_MARK.to_owned());
        let kind = match &self.operation {
            PairOperation::RollingUpdate => "rolling",
            PairOperation::Shift(_) => "shift",
            PairOperation::RollBack => "back",
        };
        ids.extend([kind.to_owned(), self.service.clone()]);
        if let PairOperation::Shift(shift) = &self.operation {
            let shares = shift.weights.as_ref().map(|all| all.iter().map(u8::to_string).collect::<Vec<_>>());
            let shares = shares.map_or(UNKNOWN_WEIGHTS.to_owned(), |all| all.join(","));
            ids.extend([shares, shift.weight.to_string(), shift.bake.as_secs().to_string()]);
        }
        Rollout { ids, ..self.member_rollout.clone() }
    }

    /// Parses a rollout; `None` if it is not one of a pair.
    pub fn parse(rollout: &Rollout) -> Option<Self> {
        let mark = rollout.ids.iter().position(|id| id == PAIR_MARK)?;
        let (inner, rest) = rollout.ids.split_at(mark);
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        let (service, motion) = match rest[..] {
            [_, "rolling", service] => (service, PairOperation::RollingUpdate),
            [_, "back", service] => (service, PairOperation::RollBack),
            [_, "shift", service, shares, at, bake] => {
                let shares = match shares {
                    UNKNOWN_WEIGHTS => None,
                    all => Some(all.split(',').map(str::parse).collect::<Result<_, _>>().ok()?),
                };
                let bake = Duration::from_secs(bake.parse().ok()?);
                (
                    service,
                    PairOperation::Shift(WeightShift { weights: shares, weight: at.parse().ok()?, bake }),
                )
            }
            _ => return None,
        };
        let inner = Rollout { ids: inner.to_vec(), ..rollout.clone() };
        Some(Self { member_rollout: inner, service: service.to_owned(), operation: motion })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shift(shares: Option<&[u8]>, at: u8) -> WeightShift {
        WeightShift { weights: shares.map(<[u8]>::to_vec), weight: at, bake: Duration::from_secs(300) }
    }

    #[test]
    fn rollout_ids_round_trip() {
        let version = Version { id: "arn:web:2".into(), label: "web:2".into() };
        let motions = [
            PairOperation::RollingUpdate,
            PairOperation::RollBack,
            PairOperation::Shift(shift(Some(&[0, 10, 100]), 10)),
            PairOperation::Shift(shift(None, 40)),
        ];
        for motion in motions {
            for inner in [vec![], vec!["ecs-svc/1".to_owned(), "arn:sd".to_owned()]] {
                let made = PairRollout::new(&version, "green", inner, motion.clone());
                assert_eq!(PairRollout::parse(&made.to_rollout()), Some(made));
            }
        }
        let made = PairRollout::new(
            &version,
            "green",
            vec!["ecs-svc/1".into()],
            PairOperation::Shift(shift(Some(&[0, 100]), 0)),
        );
        assert_eq!(made.to_rollout().ids, ["ecs-svc/1", "pair", "shift", "green", "0,100", "0", "300"]);
    }

    #[test]
    fn ids_of_other_rollouts_are_not_parsed() {
        let ids = |ids: &[&str]| Rollout {
            version: "v".into(),
            label: "v".into(),
            ids: ids.iter().map(ToString::to_string).collect(),
        };
        for bad in [
            &[][..],
            &["ecs-svc/1", "sd"],
            &["pair"],
            &["pair", "shift", "s", "x", "1", "1"],
            &["pair", "up", "s"],
        ] {
            assert_eq!(PairRollout::parse(&ids(bad)), None, "{bad:?}");
        }
    }

    #[test]
    fn weight_is_ours_when_it_may_have_been_requested() {
        let known = shift(Some(&[0, 10, 50, 100]), 10);
        assert_eq!(known.next_weight(), Some(50));
        assert!(known.may_have_set(10) && known.may_have_set(50) && !known.may_have_set(30));
        assert!(shift(None, 40).may_have_set(80));
        assert_eq!(shift(Some(&[0, 100]), 100).next_weight(), None);
    }
}
