//! The embedded cloud as a value: a world behind a lock, a virtual clock, and one way in: `answer`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::agenda::Event;
use super::call::{Call, Delivery, Refusal};
use super::ecr::registry;
use super::ecs::views::{self, Serving};
use super::gate::{self, Verdict};
use super::record::{Interrupt, Moment, OnCall, OnTick, Outcome, Phase, Record};
use super::scenario::Scenario;
use super::traffic::model;
use super::wire::Answerer;
use super::world::World;
use super::{appconfig, argocd, dispatch, ecs, github, mishaps, setup};

/// How many calls are remembered.
const REMEMBERED: usize = 100_000;

/// A cloud. Clones share one world.
#[derive(Clone)]
pub struct Cloud {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Cloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cloud").field("now", &self.now()).finish_non_exhaustive()
    }
}

struct Shared {
    began: f64,
    started: Instant,
    speed: f64,
    served: bool,
    throttling: bool,
    inside: Mutex<Inside>,
    on_call: Mutex<Option<OnCall>>,
}

struct Inside {
    world: World,
    records: VecDeque<Record>,
    received: usize,
    on_tick: Option<OnTick>,
}

impl Cloud {
    /// A cloud in this process: its clock is the runtime's, so paused time makes it virtual. Call inside a runtime.
    pub fn new(scenario: Scenario, seed: u64) -> Self {
        Self::with(&scenario, seed, 1.0, false)
    }

    /// A cloud to be served to others: virtual time runs `speed` times faster than the runtime's, and calls take no time.
    pub fn served(scenario: Scenario, seed: u64, speed: f64) -> Self {
        Self::with(&scenario, seed, speed, true)
    }

    fn with(scenario: &Scenario, seed: u64, speed: f64, served: bool) -> Self {
        let world = setup::world(scenario, seed);
        let began = world.mischief.began;
        let inside = Inside { world, records: VecDeque::new(), received: 0, on_tick: None };
        let shared = Shared {
            began,
            started: Instant::now(),
            speed,
            served,
            throttling: scenario.throttling,
            inside: Mutex::new(inside),
            on_call: Mutex::new(None),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Now, epoch seconds of this cloud's clock.
    pub fn now(&self) -> f64 {
        self.shared.began + self.shared.started.elapsed().as_secs_f64() * self.shared.speed
    }

    /// Answer a call. Its effect lies between the two halves of its latency: dropping this future early is a lost client.
    pub async fn answer(&self, call: Call) -> Delivery {
        let latency = if self.shared.served { 0.0 } else { self.latency() };
        if latency > 0.0 {
            tokio::time::sleep(Duration::from_secs_f64(latency * 0.5)).await;
        }
        let delivery = match self.look(&call).await {
            Ok(()) => self.take(&call),
            Err(refusal) => Delivery::Answer(Err(refusal)),
        };
        let held = std::mem::take(&mut self.inside().world.held);
        if held > 0.0 {
            tokio::time::sleep(Duration::from_secs_f64(held / self.shared.speed)).await;
        }
        let delivery = self.store(&call, delivery).await;
        let delivery = self.wait(&call, delivery).await;
        if latency > 0.0 {
            tokio::time::sleep(Duration::from_secs_f64(latency * 0.5)).await;
        }
        delivery
    }

    /// With a real registry behind ECR: look at what it holds, where the answer depends on it.
    async fn look(&self, call: &Call) -> Result<(), Refusal> {
        let look = registry::look(&self.inside().world, call);
        if let Some(look) = look {
            let found = look.up().await?;
            found.settle(&mut self.inside().world, self.now());
        }
        Ok(())
    }

    /// With a real registry behind ECR: put into it what the call put into the world.
    async fn store(&self, call: &Call, delivery: Delivery) -> Delivery {
        let put = registry::put(&self.inside().world, call);
        let stored = match put {
            Some(put) => put.store().await,
            None => Ok(()),
        };
        match (stored, delivery) {
            (Err(refusal), Delivery::Answer(Ok(_))) => Delivery::Answer(Err(refusal)),
            (_, delivery) => delivery,
        }
    }

    /// An answer that comes only when something has happened in the cloud: wait for it, and look again.
    async fn wait(&self, call: &Call, delivery: Delivery) -> Delivery {
        let until = argocd::awaited(&self.inside().world, call, &delivery);
        let Some(until) = until else { return delivery };
        // The runtime's timers count whole milliseconds: one more, so that what is awaited is due.
        let seconds = (until - self.now()).max(0.0) / self.shared.speed + 0.001;
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        let now = self.now();
        Delivery::Answer(self.read(|world| argocd::after_waiting(world, call, now)))
    }

    fn latency(&self) -> f64 {
        let world = &mut self.inside().world;
        let span = world.timings.latency;
        world.chance.seconds(span)
    }

    fn take(&self, call: &Call) -> Delivery {
        let now = self.now();
        let index = {
            let mut inside = self.inside();
            inside.catch_up(now);
            inside.received += 1;
            inside.received - 1
        };
        let mutating = dispatch::mutates(&call.operation);
        let moment = Moment { phase: Phase::Before, index, at: now, call, mutating, delivery: None };
        let interrupt = self.interrupt(&moment);
        let changed = interrupt.members().map(|members| with(call.clone(), members));
        let call = changed.as_ref().unwrap_or(call);
        let (delivery, effective) = match interrupt.delivery() {
            Some(instead) => (instead, false),
            None => self.inside().apply(call, self.shared.throttling, mutating, now),
        };
        let moment = Moment { phase: Phase::After, call, delivery: Some(&delivery), ..moment };
        let instead = self.interrupt(&moment).delivery();
        let delivery = instead.unwrap_or(delivery);
        self.inside().remember(Record {
            at: now,
            service: call.service.clone(),
            operation: call.operation.clone(),
            input: call.input.clone(),
            key: call.access_key.clone().unwrap_or_default(),
            outcome: Outcome::of(&delivery),
            mutating,
            effective,
        });
        delivery
    }

    fn interrupt(&self, moment: &Moment<'_>) -> Interrupt {
        let mut hook = self.shared.on_call.lock().unwrap_or_else(PoisonError::into_inner);
        hook.as_mut().map_or(Interrupt::Pass, |hook| hook(moment))
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.shared.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Let a test watch and interfere with every call.
    pub fn on_call(&self, hook: OnCall) {
        *self.shared.on_call.lock().unwrap_or_else(PoisonError::into_inner) = Some(hook);
    }

    /// Let a test see every state that the services go through.
    pub fn on_tick(&self, hook: OnTick) {
        self.inside().on_tick = Some(hook);
    }

    /// Every call received, oldest first.
    pub fn calls(&self) -> Vec<Record> {
        self.inside().records.iter().cloned().collect()
    }

    /// What serves of a service now.
    pub fn serving(&self, cluster: &str, service: &str) -> Option<Serving> {
        self.read(|world| views::serving(world, cluster, service))
    }

    /// Look at the world as it is now. The look must not ask the cloud: it runs inside of it.
    pub fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        let mut inside = self.inside();
        inside.catch_up(self.now());
        look(&inside.world)
    }

    /// Change the world as it is now, as somebody else would. The change must not ask the cloud: it runs inside of it.
    pub fn change<T>(&self, change: impl FnOnce(&mut World, f64) -> T) -> T {
        let now = self.now();
        let mut inside = self.inside();
        inside.catch_up(now);
        let result = change(&mut inside.world, now);
        inside.tick(now);
        result
    }

    /// A person pushes a commit to a branch of GitHub and gets its id; `None` where there is no such branch.
    pub fn commit(
        &self,
        repository: &str,
        branch: &str,
        author: &str,
        message: &str,
        changes: &[(&str, Option<&[u8]>)],
    ) -> Option<String> {
        self.change(|world, now| {
            let oid = world.github.commit(repository, branch, author, message, changes, now)?;
            github::moves::to(world, repository, &format!("refs/heads/{branch}"), Some(oid.clone()), now);
            Some(oid)
        })
    }

    /// A run of the action begins: somebody pushed its commit, where it is not there yet, and GitHub knows the run.
    pub fn start(&self, start: github::project::Start<'_>) {
        self.change(|world, now| {
            let environment =
                start.environment.map(str::to_owned).or_else(|| world.workflow.environment.clone());
            let start = github::project::Start { environment: environment.as_deref(), ..start };
            world.github.start(start, now);
        });
    }

    /// A run ends, in one of GitHub's words such as `success` or `cancelled`: its runner may be long gone.
    pub fn end(&self, repository: &str, run: u64, conclusion: &str) {
        self.change(|world, now| world.github.end(repository, run, conclusion, now));
    }

    /// Put an image into a repository as a build would, and get its digest. The same content has the same digest.
    pub fn push(&self, repository: &str, tags: &[&str], platform: &str, content: &str) -> String {
        let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
        self.change(|world, now| setup::push(world, repository, &tags, platform, content, now))
    }
}

/// `call` with `members` in place of those of the same name.
fn with(mut call: Call, members: &Map<String, Value>) -> Call {
    if let Value::Object(input) = &mut call.input {
        input.extend(members.clone());
    }
    call
}

impl Answerer for Cloud {
    async fn answer(&self, call: Call) -> Delivery {
        Self::answer(self, call).await
    }

    fn log(&self) -> Value {
        self.inside().records.iter().map(Record::to_json).collect()
    }
}

impl Inside {
    /// Let everything happen that is due.
    fn catch_up(&mut self, now: f64) {
        while let Some((at, event)) = self.world.agenda.due(now) {
            model::elapse(&mut self.world, at);
            match event {
                Event::Minute => model::close(&mut self.world, at),
                Event::Ecs(happening) => ecs::happen(&mut self.world, happening, at),
                Event::AppConfig(happening) => appconfig::happen(&mut self.world, happening, at),
                Event::Argocd(happening) => argocd::happen(&mut self.world, happening, at),
                Event::Fault(place) => mishaps::strike(&mut self.world, place, at),
                Event::GitHub(met) => github::moves::meet(&mut self.world, &met, at),
            }
            self.tick(at);
        }
        model::elapse(&mut self.world, now);
    }

    fn tick(&mut self, at: f64) {
        if let Some(hook) = &mut self.on_tick {
            hook(at, &views::all(&self.world));
        }
    }

    fn apply(&mut self, call: &Call, throttling: bool, mutating: bool, now: f64) -> (Delivery, bool) {
        let instead = match gate::judge(&mut self.world, call, throttling, now) {
            Verdict::Refuse(refusal) => return (Delivery::Answer(Err(refusal)), false),
            Verdict::Silence => return (Delivery::Silence, false),
            Verdict::Lose => Some(Delivery::Lost),
            Verdict::Replace(refusal) => Some(Delivery::Answer(Err(refusal))),
            Verdict::Pass => None,
        };
        let answer = dispatch::dispatch(&mut self.world, call, now);
        let effective = answer.is_ok();
        if mutating {
            self.tick(now);
        }
        (instead.unwrap_or(Delivery::Answer(answer)), effective)
    }

    fn remember(&mut self, record: Record) {
        if self.records.len() == REMEMBERED {
            self.records.pop_front();
        }
        self.records.push_back(record);
    }
}
