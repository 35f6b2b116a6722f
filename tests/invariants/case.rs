//! What a case is: a setting, a seed, and what happens at which call. A case is one line that can be read back.

use std::fmt;

/// What is released, how, and whether it can become healthy.
#[derive(Debug)]
pub(super) struct Setting {
    /// Its name in replay lines.
    pub(super) name: &'static str,
    /// The scenario of the embedded cloud.
    pub(super) scenario: &'static str,
    /// The service's `strategy` in the deploy file.
    pub(super) strategy: &'static str,
    /// Whether the new version may end up serving.
    pub(super) good: bool,
    /// The share of traffic that the new version may never exceed: nothing speaks for it (I5).
    pub(super) cap: Option<u8>,
}

const fn setting(
    name: &'static str,
    scenario: &'static str,
    strategy: &'static str,
    good: bool,
    cap: Option<u8>,
) -> Setting {
    Setting { name, scenario, strategy, good, cap }
}

const ROLLING: &str = "rolling";
const CANARY: &str = "{ canary: { percent: 10, bake: 2m, final-bake: 1m } }";
const JUDGED: &str = "{ canary: { percent: 10, bake: 6m, final-bake: 1m, metrics: [5xx] } }";

/// Everything that is played.
pub(super) const SETTINGS: &[Setting] = &[
    setting("rolling", "happy", ROLLING, true, None),
    setting("rolling-bad", "crash-on-start", ROLLING, false, None),
    setting("rolling-bake", "happy", "{ rolling: { bake: 2m } }", true, None),
    setting("stale-reads", "stale-reads", ROLLING, true, None),
    setting("response-lost", "response-lost", ROLLING, true, None),
    setting("throttled", "throttled", ROLLING, true, None),
    setting("slow-start", "slow-start", ROLLING, true, None),
    setting("blue-green", "blue-green", "{ blue-green: { bake: 2m } }", true, None),
    setting("linear", "linear", "{ linear: { step: 50, bake: 1m, final-bake: 1m } }", true, None),
    setting("canary", "canary-healthy", CANARY, true, None),
    setting("canary-unhealthy", "canary-unhealthy", CANARY, false, Some(0)),
    setting("canary-5xx", "canary-total-failure", JUDGED, false, Some(10)),
    setting("canary-no-metrics", "canary-no-metrics", JUDGED, false, Some(10)),
];

/// What strikes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blow {
    /// The runner dies before the call is sent.
    KillBefore,
    /// The runner dies after the call took effect.
    KillAfter,
    /// The call takes effect and its answer is an error.
    ErrorAfter,
    /// The call is throttled.
    Throttled,
    /// The job is cancelled.
    Cancel,
    /// The credentials have just expired.
    Expired,
    /// A newer run of the same service begins.
    SecondRun,
    /// A person changes how many copies are asked for.
    PersonScales,
    /// A person deploys something else.
    PersonDeploys,
}

pub(super) const BLOWS: [Blow; 9] = [
    Blow::KillBefore,
    Blow::KillAfter,
    Blow::ErrorAfter,
    Blow::Throttled,
    Blow::Cancel,
    Blow::Expired,
    Blow::SecondRun,
    Blow::PersonScales,
    Blow::PersonDeploys,
];

/// One case.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    pub(super) setting: &'static Setting,
    pub(super) seed: u64,
    /// Number of the call that is struck, from 0.
    pub(super) call: usize,
    pub(super) blow: Blow,
}

impl Case {
    /// The case of a seed: the seed says which setting, which call and which blow.
    pub(super) fn of(seed: u64) -> Self {
        let mut chance = fastrand::Rng::with_seed(seed);
        let setting = &SETTINGS[chance.usize(..SETTINGS.len())];
        let blow = BLOWS[chance.usize(..BLOWS.len())];
        Self { setting, seed, call: chance.usize(..70), blow }
    }

    /// The deploy file of the case.
    pub(super) fn config(&self) -> String {
        format!("{}    strategy: {}\n", crate::support::CONFIG, self.setting.strategy)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, seed, call, blow } = self;
        let blow = called(*blow);
        write!(f, "CASE='{} {seed} {call} {blow}' cargo test --test main invariants::one_case", setting.name)
    }
}

fn called(blow: Blow) -> String {
    format!("{blow:?}")
}

/// Reads the part of a replay line that stands in `CASE`.
pub(super) fn read(text: &str) -> Case {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [name, seed, call, blow] = words[..] else { panic!("CASE is `setting seed call blow`") };
    let setting = SETTINGS.iter().find(|setting| setting.name == name).expect("no such setting");
    let blow = BLOWS.into_iter().find(|known| called(*known) == blow).expect("no such blow");
    Case { setting, seed: seed.parse().unwrap(), call: call.parse().unwrap(), blow }
}
