//! What a pair's rollout carries in its `ids`, so that another process can go on with it or take it back. Pure.
//!
//! The ids of the one service's own rollout come first (`write.rs`), then `"pair"`, then one of
//! `"rolling", SERVICE` (a rolling update of the service that has the traffic);
//! `"shift", SERVICE, SHARES, AT, BAKE` (traffic moves to this service by the shares of `0,10,100`, the last one asked
//! for was AT, then BAKE seconds of watching; SHARES is `?` where an earlier run's shift was taken up);
//! `"back", SERVICE` (all traffic goes back to this service). The service is named as in the deploy file.

use std::time::Duration;

use crate::release::{Rollout, Version};

const MARK: &str = "pair";
const UNKNOWN: &str = "?";

/// How a pair moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Motion {
    /// A rolling update of one service; weights stay.
    Rolling,
    /// Traffic moves to the service.
    Shift(Shift),
    /// All traffic goes back to the service.
    Back,
}

/// Traffic on its way to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shift {
    /// The shares in order; `None` where an earlier run chose them.
    pub shares: Option<Vec<u8>>,
    /// The last share that was asked for.
    pub at: u8,
    /// How long the version is watched with all traffic.
    pub bake: Duration,
}

impl Shift {
    /// The share that follows the one asked for last.
    pub fn next(&self) -> Option<u8> {
        self.shares.as_ref()?.iter().copied().find(|share| *share > self.at)
    }

    /// Whether a share that is seen can be of this shift's making, also when the process that asked for it died before
    /// it could write that down.
    pub fn may_have_set(&self, share: u8) -> bool {
        share == self.at || self.shares.as_ref().is_none_or(|shares| shares.contains(&share))
    }
}

/// A rollout of a pair, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The rollout of the one service alone.
    pub inner: Rollout,
    /// The service, as the deploy file names it.
    pub service: String,
    /// How the pair moves.
    pub motion: Motion,
}

impl Move {
    /// A motion of `service` to `version`.
    pub fn new(version: &Version, service: &str, ids: Vec<String>, motion: Motion) -> Self {
        let inner = Rollout { version: version.id.clone(), label: version.label.clone(), ids };
        Self { inner, service: service.to_owned(), motion }
    }

    /// As a rollout.
    pub fn rollout(&self) -> Rollout {
        let mut ids = self.inner.ids.clone();
        ids.push(MARK.to_owned());
        let kind = match &self.motion {
            Motion::Rolling => "rolling",
            Motion::Shift(_) => "shift",
            Motion::Back => "back",
        };
        ids.extend([kind.to_owned(), self.service.clone()]);
        if let Motion::Shift(shift) = &self.motion {
            let shares = shift.shares.as_ref().map(|all| all.iter().map(u8::to_string).collect::<Vec<_>>());
            let shares = shares.map_or(UNKNOWN.to_owned(), |all| all.join(","));
            ids.extend([shares, shift.at.to_string(), shift.bake.as_secs().to_string()]);
        }
        Rollout { ids, ..self.inner.clone() }
    }

    /// Reads a rollout; `None` where it is not one of a pair.
    pub fn read(rollout: &Rollout) -> Option<Self> {
        let mark = rollout.ids.iter().position(|id| id == MARK)?;
        let (inner, rest) = rollout.ids.split_at(mark);
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        let (service, motion) = match rest[..] {
            [_, "rolling", service] => (service, Motion::Rolling),
            [_, "back", service] => (service, Motion::Back),
            [_, "shift", service, shares, at, bake] => {
                let shares = match shares {
                    UNKNOWN => None,
                    all => Some(all.split(',').map(str::parse).collect::<Result<_, _>>().ok()?),
                };
                let bake = Duration::from_secs(bake.parse().ok()?);
                (service, Motion::Shift(Shift { shares, at: at.parse().ok()?, bake }))
            }
            _ => return None,
        };
        let inner = Rollout { ids: inner.to_vec(), ..rollout.clone() };
        Some(Self { inner, service: service.to_owned(), motion })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shift(shares: Option<&[u8]>, at: u8) -> Shift {
        Shift { shares: shares.map(<[u8]>::to_vec), at, bake: Duration::from_secs(300) }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let version = Version { id: "arn:web:2".into(), label: "web:2".into() };
        let motions = [
            Motion::Rolling,
            Motion::Back,
            Motion::Shift(shift(Some(&[0, 10, 100]), 10)),
            Motion::Shift(shift(None, 40)),
        ];
        for motion in motions {
            for inner in [vec![], vec!["ecs-svc/1".to_owned(), "arn:sd".to_owned()]] {
                let made = Move::new(&version, "green", inner, motion.clone());
                assert_eq!(Move::read(&made.rollout()), Some(made));
            }
        }
        let made =
            Move::new(&version, "green", vec!["ecs-svc/1".into()], Motion::Shift(shift(Some(&[0, 100]), 0)));
        assert_eq!(made.rollout().ids, ["ecs-svc/1", "pair", "shift", "green", "0,100", "0", "300"]);
    }

    #[test]
    fn what_is_no_rollout_of_a_pair_is_not_taken_for_one() {
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
            assert_eq!(Move::read(&ids(bad)), None, "{bad:?}");
        }
    }

    #[test]
    fn a_share_is_ours_when_we_may_have_asked_for_it() {
        let known = shift(Some(&[0, 10, 50, 100]), 10);
        assert_eq!(known.next(), Some(50));
        assert!(known.may_have_set(10) && known.may_have_set(50) && !known.may_have_set(30));
        assert!(shift(None, 40).may_have_set(80));
        assert_eq!(shift(Some(&[0, 100]), 100).next(), None);
    }
}
