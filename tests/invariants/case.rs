//! What a case is: a setting, a seed, and what happens at which call. A case is one line that can be read back.

use std::fmt;

use roadstead::cli::rehearse::{self, Story};
use roadstead::rehearsal::scenario::Scenario;

/// What is done, how, and whether it can end well.
#[derive(Debug)]
pub(super) struct Setting {
    /// Its name in replay lines.
    pub(super) name: &'static str,
    /// The scenario of the embedded cloud, or the faults of one.
    scenario: &'static str,
    /// The service's `strategy` in the deploy file.
    strategy: &'static str,
    /// Whether what is asked for may end up serving.
    pub(super) good: bool,
    /// The share of traffic that the new version may never exceed: nothing speaks for it (I5).
    pub(super) cap: Option<u8>,
    /// Whether a second service takes turns with it behind one rule.
    pub(super) pair: bool,
    /// Whether the run that is struck is a rollback, after an earlier run that deployed.
    pub(super) rollback: bool,
    /// Whether a command runs once before any traffic moves.
    pub(super) before: bool,
    /// Whether the run that is struck sets a variable and nothing else.
    pub(super) sets: bool,
}

const fn setting(
    name: &'static str,
    scenario: &'static str,
    strategy: &'static str,
    good: bool,
    cap: Option<u8>,
) -> Setting {
    Setting { name, scenario, strategy, good, cap, pair: false, rollback: false, before: false, sets: false }
}

impl Setting {
    const fn in_pair(self) -> Self {
        Self { pair: true, ..self }
    }

    const fn back(self) -> Self {
        Self { rollback: true, ..self }
    }

    const fn after_a_command(self) -> Self {
        Self { before: true, ..self }
    }

    const fn by_variables(self) -> Self {
        Self { sets: true, ..self }
    }

    /// What the embedded cloud plays.
    pub(super) fn story(&self) -> Story {
        let told = || Story::Told(Box::new(Scenario::parse(&format!("faults: {}", self.scenario)).unwrap()));
        if self.scenario.starts_with('[') { told() } else { rehearse::story(self.scenario).unwrap() }
    }
}

const ROLLING: &str = "rolling";
const CANARY: &str = "{ canary: { percent: 10, bake: 2m, final-bake: 1m } }";
/// Wide enough for a ruling from a few minutes of steady traffic.
const PASSES: &str =
    "{ canary: { percent: 20, bake: 6m, final-bake: 1m, metrics: [5xx], analysis: { margin: 3 } } }";
/// Short: nothing is known at its end either.
const BLIND: &str = "{ canary: { percent: 10, bake: 4m, final-bake: 1m, metrics: [5xx] } }";
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
    setting("canary-judged", "canary-healthy", PASSES, true, None),
    setting("canary-unhealthy", "canary-unhealthy", CANARY, false, Some(0)),
    setting("canary-5xx", "canary-total-failure", JUDGED, false, Some(10)),
    setting("canary-no-metrics", "canary-no-metrics", BLIND, false, Some(10)),
    setting("pair", "[]", CANARY, true, None).in_pair(),
    setting("pair-judged", "canary-healthy", PASSES, true, None).in_pair(),
    setting("pair-bad", "[crash-on-start: {}]", CANARY, false, Some(0)).in_pair(),
    setting("pair-falls-ill", "[flapping-health: { healthy: 60 }]", CANARY, false, Some(10)).in_pair(),
    setting("pair-rolling", "[]", ROLLING, true, None).in_pair(),
    setting("before", "[]", ROLLING, true, None).after_a_command(),
    setting("before-canary", "canary-healthy", CANARY, true, None).after_a_command(),
    setting("set-env", "[]", ROLLING, true, None).by_variables(),
    setting("set-env-bad", "crash-on-start", ROLLING, false, None).by_variables(),
    setting("rollback", "[]", ROLLING, true, None).back(),
    setting("rollback-broken", "[rollback-fails: {}]", ROLLING, false, None).back(),
    setting("rollback-canary", "canary-healthy", CANARY, true, None).back(),
    setting("rollback-pair", "[]", CANARY, true, None).in_pair().back(),
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
    /// The run of an older commit, which had deployed before, is started again.
    OldRun,
}

pub(super) const BLOWS: [Blow; 10] = [
    Blow::KillBefore,
    Blow::KillAfter,
    Blow::ErrorAfter,
    Blow::Throttled,
    Blow::Cancel,
    Blow::Expired,
    Blow::SecondRun,
    Blow::PersonScales,
    Blow::PersonDeploys,
    Blow::OldRun,
];

impl Blow {
    /// Whether it can strike in a setting: an older version can only have been deployed where new ones become healthy,
    /// and a person's version that falls ill after it was deployed is nobody's fault here.
    pub(super) fn fits(self, setting: &Setting) -> bool {
        match self {
            Self::OldRun => setting.good || setting.rollback,
            Self::PersonDeploys => setting.good || !setting.pair,
            _ => true,
        }
    }
}

/// Random cases strike one of so many first calls; a run makes up to twice as many.
const REACH: usize = 110;

/// The rule in front of the two services of a pair.
pub(super) const RULE: &str = "arn:aws:elasticloadbalancing:eu-west-1:111111111111:listener-rule/app/web/0123456789abcdef/fedcba9876543210/1";

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
        let fitting: Vec<Blow> = BLOWS.into_iter().filter(|blow| blow.fits(setting)).collect();
        let blow = fitting[chance.usize(..fitting.len())];
        Self { setting, seed, call: chance.usize(..REACH), blow }
    }

    /// Whether an earlier run deployed before the one that is struck.
    pub(super) fn has_past(&self) -> bool {
        self.setting.rollback || self.blow == Blow::OldRun
    }

    /// The deploy file of the case.
    pub(super) fn config(&self) -> String {
        let pair = format!("container: app, pair: {{ service: backend-green, rule: \"{RULE}\" }} }}");
        let base = match self.setting.pair {
            true => crate::support::CONFIG.replace("container: app }", &pair),
            false => crate::support::CONFIG.to_owned(),
        };
        let before = if self.setting.before { "    before: { run: [./migrate, up] }\n" } else { "" };
        format!("{base}    strategy: {}\n{before}", self.setting.strategy)
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
