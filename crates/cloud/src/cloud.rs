//! The emulator as a value: a world behind a lock, a virtual clock, and one way in: `answer`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::admission::{self, Admission};
use super::call_log::{CallHook, CallLog, CallOutcome, HookPhase, LoggedCall, OnCall, OnTick, Override};
use super::ecs::responses::serving;
use super::request::{Delivery, ServiceCall, ServiceError};
use super::scenario::Scenario;
use super::seed;
use super::service::{OutsideWork, find_service};
use super::traffic::stream;
use super::wire::Handler;
use super::world::World;

/// A cloud. Clones share one world.
#[derive(Clone)]
pub struct Cloud {
    shared: Arc<SharedCloud>,
}

impl std::fmt::Debug for Cloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cloud").field("now", &self.now()).finish_non_exhaustive()
    }
}

struct SharedCloud {
    started_at: f64,
    started_instant: Instant,
    speed: f64,
    is_server: bool,
    throttling: bool,
    state: Mutex<CloudState>,
    on_call: Mutex<Option<OnCall>>,
}

struct CloudState {
    world: World,
    calls: CallLog,
    received_count: usize,
    on_tick: Option<OnTick>,
}

impl Cloud {
    /// A cloud in this process: its clock is the runtime's, so paused time makes it virtual. Call inside a runtime.
    pub fn new(scenario: Scenario, seed: u64) -> Self {
        Self::from_scenario(&scenario, seed, 1.0, false)
    }

    /// A cloud to be served to others: virtual time runs `speed` times faster than the runtime's, and calls take no time.
    pub fn new_server(scenario: Scenario, seed: u64, speed: f64) -> Self {
        Self::from_scenario(&scenario, seed, speed, true)
    }

    fn from_scenario(scenario: &Scenario, seed: u64, speed: f64, served: bool) -> Self {
        let world = seed::build_world(scenario, seed);
        let began = world.faults.started_at;
        let inside = CloudState { world, calls: CallLog::default(), received_count: 0, on_tick: None };
        let shared = SharedCloud {
            started_at: began,
            started_instant: Instant::now(),
            speed,
            is_server: served,
            throttling: scenario.throttling,
            state: Mutex::new(inside),
            on_call: Mutex::new(None),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Now, epoch seconds of this cloud's clock.
    pub fn now(&self) -> f64 {
        self.shared.started_at + self.shared.started_instant.elapsed().as_secs_f64() * self.shared.speed
    }

    /// Answer a call. Its effect lies between the two halves of its latency: dropping this future early is a lost client.
    pub async fn handle(&self, call: ServiceCall) -> Delivery {
        let latency = if self.shared.is_server { 0.0 } else { self.pick_latency() };
        if latency > 0.0 {
            tokio::time::sleep(Duration::from_secs_f64(latency * 0.5)).await;
        }
        let delivery = match self.look_outside(&call).await {
            Ok(()) => self.process(&call),
            Err(refusal) => Delivery::Reply(Err(refusal)),
        };
        let held = std::mem::take(&mut self.lock_state().world.delay);
        if held > 0.0 {
            tokio::time::sleep(Duration::from_secs_f64(held / self.shared.speed)).await;
        }
        let delivery = self.change_outside(&call, delivery).await;
        let delivery = self.wait_for_change(&call, delivery).await;
        if latency > 0.0 {
            tokio::time::sleep(Duration::from_secs_f64(latency * 0.5)).await;
        }
        delivery
    }

    /// What has to be looked up outside of the cloud before the call can be answered.
    async fn look_outside(&self, call: &ServiceCall) -> Result<(), ServiceError> {
        let work = find_service(&call.service).look_outside(&self.lock_state().world, call);
        self.work_outside(work).await
    }

    /// What the call changes outside of the cloud, now that it took effect.
    async fn change_outside(&self, call: &ServiceCall, delivery: Delivery) -> Delivery {
        let work = find_service(&call.service).change_outside(&self.lock_state().world, call);
        match (self.work_outside(work).await, delivery) {
            (Err(refusal), Delivery::Reply(Ok(_))) => Delivery::Reply(Err(refusal)),
            (_, delivery) => delivery,
        }
    }

    async fn work_outside(&self, work: Option<OutsideWork>) -> Result<(), ServiceError> {
        if let Some(work) = work {
            let change = work.await?;
            change(&mut self.lock_state().world, self.now());
        }
        Ok(())
    }

    /// An answer that comes only when something has happened in the cloud: wait for it, and look again.
    async fn wait_for_change(&self, call: &ServiceCall, delivery: Delivery) -> Delivery {
        let service = find_service(&call.service);
        let until = service.answer_due_at(&self.lock_state().world, call, &delivery);
        let Some(until) = until else { return delivery };
        // The runtime's timers count whole milliseconds: one more, so that what is awaited is due.
        let seconds = (until - self.now()).max(0.0) / self.shared.speed + 0.001;
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        let now = self.now();
        Delivery::Reply(self.read(|world| service.delayed_answer(world, call, now)))
    }

    fn pick_latency(&self) -> f64 {
        let world = &mut self.lock_state().world;
        let span = world.timings.latency;
        world.rng.pick_seconds(span)
    }

    fn process(&self, call: &ServiceCall) -> Delivery {
        let now = self.now();
        let index = {
            let mut inside = self.lock_state();
            inside.run_due_events(now);
            inside.received_count += 1;
            inside.received_count - 1
        };
        let mutating = find_service(&call.service).is_mutating(&call.operation);
        let moment = CallHook {
            phase: HookPhase::Before,
            index,
            at: now,
            call,
            is_mutating: mutating,
            delivery: None,
        };
        let interrupt = self.run_call_hook(&moment);
        let changed = interrupt.input_members().map(|members| with_input(call.clone(), members));
        let call = changed.as_ref().unwrap_or(call);
        let (delivery, effective) = match interrupt.into_delivery() {
            Some(instead) => (instead, false),
            None => self.lock_state().apply(call, self.shared.throttling, mutating, now),
        };
        let moment = CallHook { phase: HookPhase::After, call, delivery: Some(&delivery), ..moment };
        let instead = self.run_call_hook(&moment).into_delivery();
        let delivery = instead.unwrap_or(delivery);
        self.lock_state().log_call(LoggedCall {
            at: now,
            service: call.service.clone(),
            operation: call.operation.clone(),
            input: call.input.clone(),
            access_key: call.access_key.clone().unwrap_or_default(),
            outcome: CallOutcome::from_delivery(&delivery),
            is_mutating: mutating,
            took_effect: effective,
        });
        delivery
    }

    fn run_call_hook(&self, moment: &CallHook<'_>) -> Override {
        let mut hook = self.shared.on_call.lock().unwrap_or_else(PoisonError::into_inner);
        hook.as_mut().map_or(Override::Pass, |hook| hook(moment))
    }

    fn lock_state(&self) -> MutexGuard<'_, CloudState> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a test watch and change every call.
    pub fn on_call(&self, hook: OnCall) {
        *self.shared.on_call.lock().unwrap_or_else(PoisonError::into_inner) = Some(hook);
    }

    /// Let a test see every state that the services go through.
    pub fn on_tick(&self, hook: OnTick) {
        self.lock_state().on_tick = Some(hook);
    }

    /// Every call received, oldest first.
    pub fn calls(&self) -> Vec<LoggedCall> {
        self.lock_state().calls.iter().cloned().collect()
    }

    /// Look at the world as it is now. The look must not ask the cloud: it runs inside of it.
    pub fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        let mut inside = self.lock_state();
        inside.run_due_events(self.now());
        look(&inside.world)
    }

    /// Change the world as it is now, as somebody else would. The change must not ask the cloud: it runs inside of it.
    pub fn change<T>(&self, change: impl FnOnce(&mut World, f64) -> T) -> T {
        let now = self.now();
        let mut inside = self.lock_state();
        inside.run_due_events(now);
        let result = change(&mut inside.world, now);
        inside.notify_tick(now);
        result
    }
}

/// `call` with `members` in place of those of the same name.
fn with_input(mut call: ServiceCall, members: &Map<String, Value>) -> ServiceCall {
    if let Value::Object(input) = &mut call.input {
        input.extend(members.clone());
    }
    call
}

impl Handler for Cloud {
    async fn handle(&self, call: ServiceCall) -> Delivery {
        Self::handle(self, call).await
    }

    fn call_log(&self) -> Value {
        self.lock_state().calls.iter().map(LoggedCall::to_json).collect()
    }
}

impl CloudState {
    /// Let everything happen that is due.
    fn run_due_events(&mut self, now: f64) {
        while let Some((at, event)) = self.world.events.pop_due(now) {
            stream::account_until(&mut self.world, at);
            event.run(&mut self.world, at);
            self.notify_tick(at);
        }
        stream::account_until(&mut self.world, now);
    }

    fn notify_tick(&mut self, at: f64) {
        if let Some(hook) = &mut self.on_tick {
            hook(at, &serving::all_serving_states(&self.world));
        }
    }

    fn apply(&mut self, call: &ServiceCall, throttling: bool, mutating: bool, now: f64) -> (Delivery, bool) {
        let instead = match admission::admit(&mut self.world, call, throttling, now) {
            Admission::Reject(refusal) => return (Delivery::Reply(Err(refusal)), false),
            Admission::NoReply => return (Delivery::NoReply, false),
            Admission::Deliver(delivery) => return (delivery, false),
            Admission::AdmitAndDisconnect => Some(Delivery::ConnectionLost),
            Admission::AdmitAndFail(refusal) => Some(Delivery::Reply(Err(refusal))),
            Admission::Admit => None,
        };
        let answer = find_service(&call.service).handle(&mut self.world, call, now);
        let effective = answer.is_ok();
        if mutating {
            self.notify_tick(now);
        }
        (instead.unwrap_or(Delivery::Reply(answer)), effective)
    }

    fn log_call(&mut self, record: LoggedCall) {
        self.calls.push(record);
    }
}
