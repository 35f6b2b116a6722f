//! What a deployment does as time passes: the share grows, it bakes, it completes; and it rolls back when an alarm of
//! its environment is red before that.

use super::super::events::Event;
use super::super::world::World;
use super::growth_curve;
use super::resources::alarm_arn;
use super::state::AppConfigDeployment;

/// Application, environment and deployment, by their places.
pub(super) type DeploymentIndex = (usize, usize, usize);

/// Something that happens to a deployment at a time of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AppConfigEvent {
    deployment: DeploymentIndex,
    step: ProgressStep,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq)]
enum ProgressStep {
    /// So many percent of the clients get it.
    Grow(f64),
    /// It is at all of them, and watched.
    Bake,
    /// It is over.
    Complete,
    /// The alarms are looked at.
    CheckAlarms,
    /// The clients have the configuration of before.
    RollbackDone,
}

impl From<AppConfigEvent> for Event {
    fn from(happening: AppConfigEvent) -> Self {
        Self::new("appconfig", move |world, at| on_event(world, happening, at))
    }
}

/// A deployment begins.
pub(super) fn schedule_progress(world: &mut World, place: DeploymentIndex, now: f64) {
    let strategy = deployment_mut(world, place).strategy.clone();
    for (after, share) in growth_curve::growth_schedule(&strategy) {
        schedule_step(world, place, ProgressStep::Grow(share), now + after);
    }
    let grown = now + f64::from(strategy.duration_minutes) * 60.0;
    schedule_step(world, place, ProgressStep::Bake, grown);
    // A bake of no time still takes a moment.
    let moment = world.rng.pick_seconds(world.timings.schedule);
    schedule_step(
        world,
        place,
        ProgressStep::Complete,
        grown + (f64::from(strategy.bake_minutes) * 60.0).max(moment),
    );
    schedule_alarm_check(world, place, now);
}

fn schedule_step(world: &mut World, place: DeploymentIndex, step: ProgressStep, at: f64) {
    world.events.schedule(at, AppConfigEvent { deployment: place, step });
}

fn schedule_alarm_check(world: &mut World, place: DeploymentIndex, now: f64) {
    let pause = world.rng.pick_seconds(world.timings.alarm_poll);
    schedule_step(world, place, ProgressStep::CheckAlarms, now + pause);
}

fn deployment_mut(
    world: &mut World,
    (application, environment, at): DeploymentIndex,
) -> &mut AppConfigDeployment {
    &mut world.appconfig.applications[application].environments[environment].deployments[at]
}

/// Lets something happen. What was planned for a deployment that rolls back meanwhile does not.
fn on_event(world: &mut World, AppConfigEvent { deployment: place, step }: AppConfigEvent, now: f64) {
    let it = deployment_mut(world, place);
    match (step, it.state) {
        (ProgressStep::Grow(share), "DEPLOYING") => {
            it.percent = share;
            let words = format!("Configuration available to {share:.2}% of clients");
            it.log_event("PERCENTAGE_UPDATED", "APPCONFIG", words, now);
        }
        (ProgressStep::Bake, "DEPLOYING") => {
            it.state = "BAKING";
            it.log_event("BAKE_TIME_STARTED", "APPCONFIG", "Deployment bake time started", now);
        }
        (ProgressStep::Complete, "BAKING") => {
            (it.state, it.completed_at) = ("COMPLETE", Some(now));
            it.log_event("DEPLOYMENT_COMPLETED", "APPCONFIG", "Deployment completed", now);
        }
        (ProgressStep::CheckAlarms, "DEPLOYING" | "BAKING") => check_alarms(world, place, now),
        (ProgressStep::RollbackDone, "ROLLING_BACK") => {
            (it.state, it.completed_at) = ("ROLLED_BACK", Some(now));
            it.log_event("ROLLBACK_COMPLETED", "APPCONFIG", "Rollback completed", now);
        }
        _ => {}
    }
}

fn check_alarms(world: &mut World, place: DeploymentIndex, now: f64) {
    let monitors = &world.appconfig.applications[place.0].environments[place.1].monitors;
    let red = |name: &&String| world.alarms.get(*name).is_some_and(|alarm| alarm.state == "ALARM");
    match monitors.iter().find(red).map(|name| alarm_arn(world, name)) {
        Some(arn) => {
            let words = format!("Rollback initiated by CloudWatch Alarm: {arn}");
            roll_back(world, place, "CLOUDWATCH_ALARM", &words, now);
        }
        None => schedule_alarm_check(world, place, now),
    }
}

/// A deployment begins to roll back.
pub(super) fn roll_back(world: &mut World, place: DeploymentIndex, by: &'static str, words: &str, now: f64) {
    let it = deployment_mut(world, place);
    it.state = "ROLLING_BACK";
    it.log_event("ROLLBACK_STARTED", by, words, now);
    let lasts = world.rng.pick_seconds(world.timings.traffic_shift);
    schedule_step(world, place, ProgressStep::RollbackDone, now + lasts);
}

/// Somebody stops the deployment that is in flight in any environment.
pub fn stop_in_flight(world: &mut World, now: f64) {
    let mut flying = Vec::new();
    for (application, one) in world.appconfig.applications.iter().enumerate() {
        for (environment, it) in one.environments.iter().enumerate() {
            let going = |it: &AppConfigDeployment| matches!(it.state, "DEPLOYING" | "BAKING");
            let found = it.deployments.iter().position(going);
            flying.extend(found.map(|at| (application, environment, at)));
        }
    }
    for place in flying {
        roll_back(world, place, "USER", "Rollback initiated by user", now);
    }
}
