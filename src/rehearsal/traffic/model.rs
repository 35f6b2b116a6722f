//! Traffic minute by minute: how long which version had which share, how many requests that made, how many were bad.

use std::collections::BTreeMap;

use super::super::agenda::Event;
use super::super::balancers;
use super::super::chance::Chance;
use super::super::elbv2::forward;
use super::super::faults::{Fault, Version};
use super::super::scenario::Scenario;
use super::super::world::World;
use super::settings::{Conduct, Traffic};
use super::spread::Times;
use super::{dice, flow};

/// All traffic of a world.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// One stream for each load balancer with traffic.
    pub streams: Vec<Stream>,
    /// Dice of its own: traffic does not disturb what else is drawn.
    pub chance: Chance,
}

/// The traffic of one load balancer.
#[derive(Debug, Clone)]
pub struct Stream {
    setting: Traffic,
    /// ARN of the load balancer.
    pub balancer: String,
    /// ARN of its production rule.
    pub rule: String,
    /// Up to when shares are accounted for.
    until: f64,
    /// Seconds times share, in the minute that is not over.
    exposure: BTreeMap<(String, usize), f64>,
    lost: f64,
    /// When each version got its first request.
    first: BTreeMap<usize, f64>,
    /// Minutes that are over, by their start in epoch seconds.
    pub minutes: BTreeMap<u64, Minute>,
}

/// One minute that is over.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Minute {
    /// When CloudWatch knows it, epoch seconds.
    pub published: f64,
    /// What each target group with targets got.
    pub groups: BTreeMap<String, Vec<Part>>,
    /// Requests that no target took.
    pub lost: u64,
}

impl Stream {
    /// Whether its rule forwards to a target group.
    pub fn forwards_to(&self, world: &World, group: &str) -> bool {
        let rule = world.balancing.rules.get(&self.rule);
        rule.is_some_and(|rule| forward::weights(&rule.actions).iter().any(|(arn, _)| arn == group))
    }
}

/// What one version got through one group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// Requests that ended in a 5xx.
    pub bad: u64,
    /// Requests and their times.
    pub times: Times,
}

/// The seconds of a minute.
const MINUTE: f64 = 60.0;

/// The traffic of a scenario, and the first minute planned.
pub fn found(world: &mut World, scenario: &Scenario, seed: u64, now: f64) {
    world.traffic.chance = Chance::seeded(seed ^ 0x7261_6666_6963);
    for balancer in &scenario.balancers {
        let about = |it: &&Traffic| it.balancer.as_ref().is_none_or(|name| *name == balancer.name);
        let Some(setting) = scenario.traffic.iter().find(about) else { continue };
        let (balancer, rule) = balancers::production(world, balancer);
        let stream = Stream {
            setting: setting.clone(),
            balancer,
            rule,
            until: now,
            exposure: BTreeMap::new(),
            lost: 0.0,
            first: BTreeMap::new(),
            minutes: BTreeMap::new(),
        };
        world.traffic.streams.push(stream);
    }
    if !world.traffic.streams.is_empty() {
        world.agenda.plan((now / MINUTE).floor().mul_add(MINUTE, MINUTE), Event::Minute);
    }
}

/// Account for the time up to `now`, in which nothing has changed.
pub fn elapse(world: &mut World, now: f64) {
    for place in 0..world.traffic.streams.len() {
        let stream = &world.traffic.streams[place];
        let seconds = now - stream.until;
        if seconds <= 0.0 {
            continue;
        }
        let flow = flow::through(world, &stream.rule);
        let stream = &mut world.traffic.streams[place];
        for (part, share) in flow.parts {
            stream.first.entry(part.1).or_insert(stream.until);
            *stream.exposure.entry(part).or_default() += share * seconds;
        }
        stream.lost += flow.lost * seconds;
        stream.until = now;
    }
}

/// A minute is over: throw its dice, and plan the end of the next.
pub fn close(world: &mut World, now: f64) {
    elapse(world, now);
    for place in 0..world.traffic.streams.len() {
        let minute = minute(world, place, now);
        world.traffic.streams[place].minutes.insert((now - MINUTE).round() as u64, minute);
    }
    world.agenda.plan(now + MINUTE, Event::Minute);
}

fn minute(world: &mut World, place: usize, now: f64) -> Minute {
    let stream = &mut world.traffic.streams[place];
    let exposure = std::mem::take(&mut stream.exposure);
    let (lost, rate) = (std::mem::take(&mut stream.lost), stream.setting.requests_per_minute / MINUTE);
    let late = world.mischief.faults.iter().find_map(|fault| match fault {
        Fault::MetricsLate(late) => Some(late.seconds),
        _ => None,
    });
    let lag = world.traffic.chance.seconds(world.timings.metrics_lag) + late.unwrap_or(0.0);
    let mut groups: BTreeMap<String, Vec<Part>> = BTreeMap::new();
    for (group, targets) in &world.targets {
        if !targets.is_empty() {
            groups.insert(group.clone(), Vec::new());
        }
    }
    for ((group, definition), seconds) in exposure {
        let conduct = conduct(world, place, definition, now);
        let dice = &mut world.traffic.chance;
        let requests = dice::poisson(dice, rate * seconds);
        let bad = dice::binomial(dice, requests, conduct.bad_rate);
        let wobble = dice::normal(dice);
        let times = Times { requests, median: conduct.median, spread: conduct.spread, wobble };
        groups.entry(group).or_default().push(Part { bad, times });
    }
    let lost = dice::poisson(&mut world.traffic.chance, rate * lost);
    Minute { published: now + lag, groups, lost }
}

/// The status that one more request through a rule gets.
pub fn visit(world: &mut World, place: usize, rule: &str, now: f64) -> u16 {
    let mut left = world.traffic.chance.unit();
    for ((_, definition), share) in flow::through(world, rule).parts {
        if left < share {
            let bad_rate = conduct(world, place, definition, now).bad_rate;
            return if world.traffic.chance.unit() < bad_rate { 500 } else { 200 };
        }
        left -= share;
    }
    503
}

/// How a version behaves in the minute that ends now.
fn conduct(world: &World, place: usize, definition: usize, now: f64) -> Conduct {
    let stream = &world.traffic.streams[place];
    let subject = world.ecs.version(definition);
    let about = |it: &&Conduct| match (&it.image, it.version) {
        (Some(part), _) => subject.1.iter().any(|image| image.contains(part.as_str())),
        (None, Version::All) => true,
        (None, Version::Old) => subject.0,
        (None, Version::New) => !subject.0,
    };
    let mut it = stream.setting.versions.iter().find(about).cloned().unwrap_or_default();
    let began = stream.first.get(&definition).copied().unwrap_or(now);
    // What ran before the world began is warm.
    if let Some(warm_up) = it.warm_up.clone().filter(|_| began > world.mischief.began) {
        worsen(&mut it, overlap(now, began, warm_up.lasts), warm_up.bad_rate, warm_up.slowdown);
    }
    if let Some((deployed, _)) = world.mischief.deployed {
        for outage in &stream.setting.outages {
            let share = overlap(now, deployed + outage.from, outage.lasts);
            worsen(&mut it, share, outage.bad_rate, outage.slowdown);
        }
    }
    it
}

/// Which share of the minute that ends now lies in a span.
fn overlap(now: f64, from: f64, lasts: f64) -> f64 {
    ((now.min(from + lasts) - (now - MINUTE).max(from)) / MINUTE).clamp(0.0, 1.0)
}

fn worsen(it: &mut Conduct, share: f64, bad_rate: f64, slowdown: f64) {
    it.bad_rate += share * (bad_rate - it.bad_rate).max(0.0);
    it.median *= share.mul_add(slowdown - 1.0, 1.0);
}
