//! What a deployment does as time passes: the share grows, it bakes, it completes; and it rolls back when an alarm of
//! its environment is red before that.

use super::super::agenda::Event;
use super::super::world::World;
use super::growth;
use super::resources::alarm_arn;
use super::state::Deployment;

/// Application, environment and deployment, by their places.
pub(super) type Place = (usize, usize, usize);

/// Something that happens to a deployment at a time of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Happening {
    place: Place,
    step: Step,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    /// So many percent of the clients get it.
    Grow(f64),
    /// It is at all of them, and watched.
    Bake,
    /// It is over.
    Complete,
    /// The alarms are looked at.
    Look,
    /// The clients have the configuration of before.
    Returned,
}

/// A deployment begins.
pub(super) fn begin(world: &mut World, place: Place, now: f64) {
    let strategy = deployment(world, place).strategy.clone();
    for (after, share) in growth::schedule(&strategy) {
        plan(world, place, Step::Grow(share), now + after);
    }
    let grown = now + f64::from(strategy.minutes) * 60.0;
    plan(world, place, Step::Bake, grown);
    // A bake of no time still takes a moment.
    let moment = world.chance.seconds(world.timings.schedule);
    plan(world, place, Step::Complete, grown + (f64::from(strategy.bake) * 60.0).max(moment));
    look_again(world, place, now);
}

fn plan(world: &mut World, place: Place, step: Step, at: f64) {
    world.agenda.plan(at, Event::AppConfig(Happening { place, step }));
}

fn look_again(world: &mut World, place: Place, now: f64) {
    let pause = world.chance.seconds(world.timings.alarm_poll);
    plan(world, place, Step::Look, now + pause);
}

fn deployment(world: &mut World, (application, environment, at): Place) -> &mut Deployment {
    &mut world.appconfig.applications[application].environments[environment].deployments[at]
}

/// Lets something happen. What was planned for a deployment that rolls back meanwhile does not.
pub fn happen(world: &mut World, Happening { place, step }: Happening, now: f64) {
    let it = deployment(world, place);
    match (step, it.state) {
        (Step::Grow(share), "DEPLOYING") => {
            it.percent = share;
            let words = format!("Configuration available to {share:.2}% of clients");
            it.note("PERCENTAGE_UPDATED", "APPCONFIG", words, now);
        }
        (Step::Bake, "DEPLOYING") => {
            it.state = "BAKING";
            it.note("BAKE_TIME_STARTED", "APPCONFIG", "Deployment bake time started", now);
        }
        (Step::Complete, "BAKING") => {
            (it.state, it.completed) = ("COMPLETE", Some(now));
            it.note("DEPLOYMENT_COMPLETED", "APPCONFIG", "Deployment completed", now);
        }
        (Step::Look, "DEPLOYING" | "BAKING") => look(world, place, now),
        (Step::Returned, "ROLLING_BACK") => {
            (it.state, it.completed) = ("ROLLED_BACK", Some(now));
            it.note("ROLLBACK_COMPLETED", "APPCONFIG", "Rollback completed", now);
        }
        _ => {}
    }
}

fn look(world: &mut World, place: Place, now: f64) {
    let monitors = &world.appconfig.applications[place.0].environments[place.1].monitors;
    let red = |name: &&String| world.alarms.get(*name).is_some_and(|alarm| alarm.state == "ALARM");
    match monitors.iter().find(red).map(|name| alarm_arn(world, name)) {
        Some(arn) => {
            let words = format!("Rollback initiated by CloudWatch Alarm: {arn}");
            roll_back(world, place, "CLOUDWATCH_ALARM", &words, now);
        }
        None => look_again(world, place, now),
    }
}

/// A deployment begins to roll back.
pub(super) fn roll_back(world: &mut World, place: Place, by: &'static str, words: &str, now: f64) {
    let it = deployment(world, place);
    it.state = "ROLLING_BACK";
    it.note("ROLLBACK_STARTED", by, words, now);
    let lasts = world.chance.seconds(world.timings.traffic_shift);
    plan(world, place, Step::Returned, now + lasts);
}

/// Somebody stops the deployment that is in flight in any environment.
pub fn somebody_stops(world: &mut World, now: f64) {
    let mut flying = Vec::new();
    for (application, one) in world.appconfig.applications.iter().enumerate() {
        for (environment, it) in one.environments.iter().enumerate() {
            let going = |it: &Deployment| matches!(it.state, "DEPLOYING" | "BAKING");
            let found = it.deployments.iter().position(going);
            flying.extend(found.map(|at| (application, environment, at)));
        }
    }
    for place in flying {
        roll_back(world, place, "USER", "Rollback initiated by user", now);
    }
}
