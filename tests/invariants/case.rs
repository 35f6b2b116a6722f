//! What a case is: a setting, a seed, and what happens at which call. A case is one line that can be read back.

use std::fmt;

use roadstead::cli::rehearse::{self, ScenarioSource};
use roadstead_cloud::scenario::Scenario;

/// What is done, how, and whether it can end well.
#[derive(Debug)]
pub(super) struct Fixture {
    /// Its name in replay lines.
    pub(super) name: &'static str,
    /// The scenario of the embedded cloud, or the faults of one.
    scenario_name: &'static str,
    /// The service's `strategy` in the deploy file.
    strategy: &'static str,
    /// Whether what is asked for may end up serving.
    pub(super) can_succeed: bool,
    /// The share of traffic that the new version may never exceed: nothing speaks for it (I5).
    pub(super) max_weight: Option<u8>,
    /// Whether a second service takes turns with it behind one rule.
    pub(super) is_pair: bool,
    /// Whether the run that is struck is a rollback, after an earlier run that deployed.
    pub(super) is_rollback: bool,
    /// Whether a command runs once before any traffic moves.
    pub(super) has_before_command: bool,
    /// Whether the run that is struck sets a variable and nothing else.
    pub(super) is_set_env: bool,
}

const fn fixture(
    name: &'static str,
    scenario: &'static str,
    strategy: &'static str,
    good: bool,
    cap: Option<u8>,
) -> Fixture {
    Fixture {
        name,
        scenario_name: scenario,
        strategy,
        can_succeed: good,
        max_weight: cap,
        is_pair: false,
        is_rollback: false,
        has_before_command: false,
        is_set_env: false,
    }
}

impl Fixture {
    const fn with_pair(self) -> Self {
        Self { is_pair: true, ..self }
    }

    const fn with_rollback(self) -> Self {
        Self { is_rollback: true, ..self }
    }

    const fn with_before_command(self) -> Self {
        Self { has_before_command: true, ..self }
    }

    const fn with_set_env(self) -> Self {
        Self { is_set_env: true, ..self }
    }

    /// What the embedded cloud plays.
    pub(super) fn scenario_source(&self) -> ScenarioSource {
        let told = || {
            ScenarioSource::Custom(Box::new(
                Scenario::parse(&format!("faults: {}", self.scenario_name)).unwrap(),
            ))
        };
        if self.scenario_name.starts_with('[') {
            told()
        } else {
            rehearse::find_source(self.scenario_name).unwrap()
        }
    }
}

const ROLLING: &str = "rolling";
const CANARY: &str = "{ canary: { percent: 10, bake: 2m, final-bake: 1m } }";
/// Wide enough for a ruling from a few minutes of steady traffic.
const CANARY_PASSES: &str =
    "{ canary: { percent: 20, bake: 6m, final-bake: 1m, metrics: [5xx], analysis: { margin: 3 } } }";
/// Short: nothing is known at its end either.
const CANARY_WITHOUT_METRICS: &str = "{ canary: { percent: 10, bake: 4m, final-bake: 1m, metrics: [5xx] } }";
const CANARY_ANALYZED: &str = "{ canary: { percent: 10, bake: 6m, final-bake: 1m, metrics: [5xx] } }";

/// Everything that is played.
pub(super) const FIXTURES: &[Fixture] = &[
    fixture("rolling", "happy", ROLLING, true, None),
    fixture("rolling-bad", "crash-on-start", ROLLING, false, None),
    fixture("rolling-bake", "happy", "{ rolling: { bake: 2m } }", true, None),
    fixture("stale-reads", "stale-reads", ROLLING, true, None),
    fixture("response-lost", "response-lost", ROLLING, true, None),
    fixture("throttled", "throttled", ROLLING, true, None),
    fixture("slow-start", "slow-start", ROLLING, true, None),
    fixture("blue-green", "blue-green", "{ blue-green: { bake: 2m } }", true, None),
    fixture("linear", "linear", "{ linear: { step: 50, bake: 1m, final-bake: 1m } }", true, None),
    fixture("canary", "canary-healthy", CANARY, true, None),
    fixture("canary-judged", "canary-healthy", CANARY_PASSES, true, None),
    fixture("canary-unhealthy", "canary-unhealthy", CANARY, false, Some(0)),
    fixture("canary-5xx", "canary-total-failure", CANARY_ANALYZED, false, Some(10)),
    fixture("canary-no-metrics", "canary-no-metrics", CANARY_WITHOUT_METRICS, false, Some(10)),
    fixture("pair", "[]", CANARY, true, None).with_pair(),
    fixture("pair-judged", "canary-healthy", CANARY_PASSES, true, None).with_pair(),
    fixture("pair-bad", "[crash-on-start: {}]", CANARY, false, Some(0)).with_pair(),
    fixture("pair-falls-ill", "[flapping-health: { healthy: 90 }]", CANARY, false, Some(10)).with_pair(),
    fixture("pair-rolling", "[]", ROLLING, true, None).with_pair(),
    fixture("before", "[]", ROLLING, true, None).with_before_command(),
    fixture("before-canary", "canary-healthy", CANARY, true, None).with_before_command(),
    fixture("set-env", "[]", ROLLING, true, None).with_set_env(),
    fixture("set-env-bad", "crash-on-start", ROLLING, false, None).with_set_env(),
    fixture("rollback", "[]", ROLLING, true, None).with_rollback(),
    fixture("rollback-broken", "[rollback-fails: {}]", ROLLING, false, None).with_rollback(),
    fixture("rollback-canary", "canary-healthy", CANARY, true, None).with_rollback(),
    fixture("rollback-pair", "[]", CANARY, true, None).with_pair().with_rollback(),
];

/// What strikes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
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
    /// The call takes effect, its answer is lost, and its service answers with a web page for a minute.
    Outage,
}

pub(super) const FAULTS: [Fault; 11] = [
    Fault::KillBefore,
    Fault::KillAfter,
    Fault::ErrorAfter,
    Fault::Throttled,
    Fault::Cancel,
    Fault::Expired,
    Fault::SecondRun,
    Fault::PersonScales,
    Fault::PersonDeploys,
    Fault::OldRun,
    Fault::Outage,
];

impl Fault {
    /// Whether it can strike in a setting: an older version can only have been deployed where new ones become healthy,
    /// and a person's version that falls ill after it was deployed is nobody's fault here.
    pub(super) fn applies_to(self, setting: &Fixture) -> bool {
        match self {
            Self::OldRun => setting.can_succeed || setting.is_rollback,
            Self::PersonDeploys => setting.can_succeed || !setting.is_pair,
            _ => true,
        }
    }
}

/// Random cases strike one of so many first calls; a run makes up to twice as many.
const MAX_CALL: usize = 110;

/// The rule in front of the two services of a pair.
pub(super) const RULE: &str = "arn:aws:elasticloadbalancing:eu-west-1:111111111111:listener-rule/app/web/0123456789abcdef/fedcba9876543210/1";

/// One case.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    pub(super) fixture: &'static Fixture,
    pub(super) seed: u64,
    /// Number of the call that is struck, from 0.
    pub(super) call: usize,
    pub(super) fault: Fault,
}

impl Case {
    /// The case of a seed: the seed says which fixture, which call and which fault.
    pub(super) fn from_seed(seed: u64) -> Self {
        let mut chance = fastrand::Rng::with_seed(seed);
        let fixture = &FIXTURES[chance.usize(..FIXTURES.len())];
        let fitting: Vec<Fault> = FAULTS.into_iter().filter(|blow| blow.applies_to(fixture)).collect();
        let fault = fitting[chance.usize(..fitting.len())];
        Self { fixture, seed, call: chance.usize(..MAX_CALL), fault }
    }

    /// Whether an earlier run deployed before the one that is struck.
    pub(super) fn has_earlier_run(&self) -> bool {
        self.fixture.is_rollback || self.fault == Fault::OldRun
    }

    /// The deploy file of the case.
    pub(super) fn config(&self) -> String {
        let pair = format!("container: app, pair: {{ service: backend-green, rule: \"{RULE}\" }} }}");
        let base = match self.fixture.is_pair {
            true => crate::support::CONFIG.replace("container: app }", &pair),
            false => crate::support::CONFIG.to_owned(),
        };
        let before =
            if self.fixture.has_before_command { "    before: { run: [./migrate, up] }\n" } else { "" };
        format!("{base}    strategy: {}\n{before}", self.fixture.strategy)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fixture: setting, seed, call, fault: blow } = self;
        let blow = fault_name(*blow);
        write!(f, "CASE='{} {seed} {call} {blow}' cargo test --test main invariants::one_case", setting.name)
    }
}

fn fault_name(blow: Fault) -> String {
    format!("{blow:?}")
}

/// Reads the part of a replay line that stands in `CASE`.
pub(super) fn parse_case(text: &str) -> Case {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [name, seed, call, fault] = words[..] else { panic!("CASE is `fixture seed call fault`") };
    let setting = FIXTURES.iter().find(|setting| setting.name == name).expect("no such setting");
    let blow = FAULTS.into_iter().find(|known| fault_name(*known) == fault).expect("no such blow");
    Case { fixture: setting, seed: seed.parse().unwrap(), call: call.parse().unwrap(), fault: blow }
}
