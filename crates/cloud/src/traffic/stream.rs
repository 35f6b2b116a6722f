//! Traffic minute by minute: how long which version had which share, how many requests that made, how many were bad.

use std::collections::BTreeMap;

use super::super::elbv2::balancers;
use super::super::elbv2::forward;
use super::super::events::Event;
use super::super::faults::{Fault, VersionFilter};
use super::super::rng::Rng;
use super::super::scenario::Scenario;
use super::super::world::World;
use super::latency::LatencySample;
use super::settings::{Degradation, TrafficSetting, VersionBehavior};
use super::{distributions, routing};

/// All traffic of a world.
#[derive(Debug, Clone, Default)]
pub struct TrafficState {
    /// One stream for each load balancer with traffic.
    pub streams: Vec<TrafficStream>,
    /// A generator of its own: traffic does not change other random choices.
    pub rng: Rng,
}

/// The traffic of one load balancer.
#[derive(Debug, Clone)]
pub struct TrafficStream {
    setting: TrafficSetting,
    /// ARN of the load balancer.
    pub balancer: String,
    /// ARN of its production rule.
    pub rule: String,
    /// Up to when shares are accounted for.
    accounted_until: f64,
    /// Seconds times share, in the minute that is not over.
    share_seconds: BTreeMap<(String, usize), f64>,
    lost_seconds: f64,
    /// When each version got its first request.
    first_request_at: BTreeMap<usize, f64>,
    /// Minutes that are over, by their start in epoch seconds.
    pub minutes: BTreeMap<u64, TrafficMinute>,
}

/// One minute that is over.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrafficMinute {
    /// When CloudWatch knows it, epoch seconds.
    pub published_at: f64,
    /// What each target group with targets got.
    pub groups: BTreeMap<String, Vec<VersionRequests>>,
    /// Requests that no target took.
    pub lost_requests: u64,
}

impl TrafficStream {
    /// Whether its rule forwards to a target group.
    pub fn forwards_to(&self, world: &World, group: &str) -> bool {
        let rule = world.load_balancing.rules.get(&self.rule);
        rule.is_some_and(|rule| forward::forward_weights(&rule.actions).iter().any(|(arn, _)| arn == group))
    }
}

/// What one version got through one group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VersionRequests {
    /// Requests that ended in a 5xx.
    pub bad_requests: u64,
    /// Requests and their times.
    pub latency: LatencySample,
}

/// The seconds of a minute.
const MINUTE_SECONDS: f64 = 60.0;

/// The traffic of a scenario, and the first minute planned.
pub fn seed(world: &mut World, scenario: &Scenario, seed: u64, now: f64) {
    world.traffic.rng = Rng::from_seed(seed ^ 0x7261_6666_6963);
    for balancer in &scenario.balancers {
        let about = |it: &&TrafficSetting| it.balancer.as_ref().is_none_or(|name| *name == balancer.name);
        let Some(setting) = scenario.traffic.iter().find(about) else { continue };
        let (balancer, rule) = balancers::production_arns(world, balancer);
        let stream = TrafficStream {
            setting: setting.clone(),
            balancer,
            rule,
            accounted_until: now,
            share_seconds: BTreeMap::new(),
            lost_seconds: 0.0,
            first_request_at: BTreeMap::new(),
            minutes: BTreeMap::new(),
        };
        world.traffic.streams.push(stream);
    }
    if !world.traffic.streams.is_empty() {
        world
            .events
            .schedule((now / MINUTE_SECONDS).floor().mul_add(MINUTE_SECONDS, MINUTE_SECONDS), minute_end());
    }
}

/// Account for the time up to `now`, in which nothing has changed.
pub fn account_until(world: &mut World, now: f64) {
    for place in 0..world.traffic.streams.len() {
        let stream = &world.traffic.streams[place];
        let seconds = now - stream.accounted_until;
        if seconds <= 0.0 {
            continue;
        }
        let flow = routing::route_traffic(world, &stream.rule);
        let stream = &mut world.traffic.streams[place];
        for (part, share) in flow.shares {
            stream.first_request_at.entry(part.1).or_insert(stream.accounted_until);
            *stream.share_seconds.entry(part).or_default() += share * seconds;
        }
        stream.lost_seconds += flow.lost_share * seconds;
        stream.accounted_until = now;
    }
}

fn minute_end() -> Event {
    Event::new("end of a minute of traffic", close_minute)
}

/// A minute is over: draw its numbers, and schedule the end of the next.
pub fn close_minute(world: &mut World, now: f64) {
    account_until(world, now);
    for place in 0..world.traffic.streams.len() {
        let minute = sample_minute(world, place, now);
        world.traffic.streams[place].minutes.insert((now - MINUTE_SECONDS).round() as u64, minute);
    }
    world.events.schedule(now + MINUTE_SECONDS, minute_end());
}

fn sample_minute(world: &mut World, place: usize, now: f64) -> TrafficMinute {
    let stream = &mut world.traffic.streams[place];
    let exposure = std::mem::take(&mut stream.share_seconds);
    let (lost, rate) =
        (std::mem::take(&mut stream.lost_seconds), stream.setting.requests_per_minute / MINUTE_SECONDS);
    let late = world.faults.list.iter().find_map(|fault| match fault {
        Fault::MetricsLate(late) => Some(late.seconds),
        _ => None,
    });
    let lag = world.traffic.rng.pick_seconds(world.timings.metrics_lag) + late.unwrap_or(0.0);
    let mut groups: BTreeMap<String, Vec<VersionRequests>> = BTreeMap::new();
    for (group, targets) in &world.targets {
        if !targets.is_empty() {
            groups.insert(group.clone(), Vec::new());
        }
    }
    for ((group, definition), seconds) in exposure {
        let behavior = behavior_of(world, place, definition, now);
        let rng = &mut world.traffic.rng;
        let requests = distributions::sample_poisson(rng, rate * seconds);
        let bad = distributions::sample_binomial(rng, requests, behavior.bad_rate);
        let sampling_error = distributions::sample_normal(rng);
        let times =
            LatencySample { requests, median: behavior.median, spread: behavior.spread, sampling_error };
        groups.entry(group).or_default().push(VersionRequests { bad_requests: bad, latency: times });
    }
    let lost = distributions::sample_poisson(&mut world.traffic.rng, rate * lost);
    TrafficMinute { published_at: now + lag, groups, lost_requests: lost }
}

/// The status that one more request through a rule gets.
pub fn serve_request(world: &mut World, place: usize, rule: &str, now: f64) -> u16 {
    let mut left = world.traffic.rng.fraction();
    for ((_, definition), share) in routing::route_traffic(world, rule).shares {
        if left < share {
            let bad_rate = behavior_of(world, place, definition, now).bad_rate;
            return if world.traffic.rng.fraction() < bad_rate { 500 } else { 200 };
        }
        left -= share;
    }
    503
}

/// How a version behaves in the minute that ends now.
fn behavior_of(world: &World, place: usize, definition: usize, now: f64) -> VersionBehavior {
    let stream = &world.traffic.streams[place];
    let subject = world.ecs.seed_and_images(definition);
    let about = |it: &&VersionBehavior| match (&it.image, it.version) {
        (Some(part), _) => subject.1.iter().any(|image| image.contains(part.as_str())),
        (None, VersionFilter::All) => true,
        (None, VersionFilter::Old) => subject.0,
        (None, VersionFilter::New) => !subject.0,
    };
    let mut it = stream.setting.versions.iter().find(about).cloned().unwrap_or_default();
    let began = stream.first_request_at.get(&definition).copied().unwrap_or(now);
    // What ran before the world began is warm.
    if let Some(warm_up) = it.warm_up.clone().filter(|_| began > world.faults.started_at) {
        degrade_behavior(&mut it, &warm_up, began, now);
    }
    if let Some(deployed) = world.faults.first_deployment {
        for outage in &stream.setting.outages {
            degrade_behavior(&mut it, outage, deployed, now);
        }
    }
    it
}

/// Which share of the minute that ends now lies in a span.
fn minute_overlap(now: f64, from: f64, lasts: f64) -> f64 {
    ((now.min(from + lasts) - (now - MINUTE_SECONDS).max(from)) / MINUTE_SECONDS).clamp(0.0, 1.0)
}

/// Makes the minute that ends now worse, by how much of it lies in a degradation counted from `began`.
fn degrade_behavior(it: &mut VersionBehavior, by: &Degradation, began: f64, now: f64) {
    let share = minute_overlap(now, began + by.from, by.lasts);
    it.bad_rate += share * (by.bad_rate - it.bad_rate).max(0.0);
    it.median *= share.mul_add(by.slowdown - 1.0, 1.0);
}
