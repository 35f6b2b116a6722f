//! Pods: how one is made, and what it looks like at a time. A pod is its times and its outcome; its state is computed from them.

use super::state::{ArgoCdApp, Pod};
use crate::faults::{FaultState, FaultTarget, TaskOutcome};
use crate::rng::Rng;
use crate::scenario::Timings;

/// What a pod is made with.
pub struct PodFactory<'a> {
    /// Dice.
    pub rng: &'a mut Rng,
    /// Faults.
    pub faults: &'a mut FaultState,
    /// How long things take.
    pub timings: &'a Timings,
}

/// A pod as Kubernetes would show it.
#[derive(Debug, Clone, PartialEq)]
pub struct PodStatus {
    /// `Pending` or `Running`.
    pub phase: &'static str,
    /// Its reason column, such as `ContainerCreating` or `ImagePullBackOff`.
    pub reason: String,
    /// Words to the reason.
    pub message: String,
    /// Its containers are ready.
    pub is_ready: bool,
    /// How often containers were started again.
    pub restarts: u32,
    /// Health as Argo CD takes it.
    pub health: &'static str,
}

impl PodFactory<'_> {
    /// A pod of the replica set `set`, made at `now`.
    pub fn create_pod(&mut self, subject: &FaultTarget<'_>, set: &str, now: f64) -> Pod {
        let (outcome, delay) = self.faults.choose_outcome(subject);
        let outcome = if outcome.is_of_ecs() { TaskOutcome::Healthy } else { outcome };
        let starved = self.faults.trigger_no_capacity(subject, now);
        let pulled = now + self.rng.pick_seconds(self.timings.pull) * 0.5;
        let started = pulled + self.rng.pick_seconds(self.timings.start) * 0.5 + delay;
        let ready = started + self.rng.pick_seconds(self.timings.health) * 0.5;
        let ever = !starved && matches!(outcome, TaskOutcome::Healthy | TaskOutcome::Flapping(_));
        Pod {
            name: format!("{set}-{}", random_suffix(self.rng)),
            uid: self.rng.uuid(),
            created_at: now,
            pulled_at: pulled,
            started_at: started,
            ready_at: if ever { ready } else { f64::INFINITY },
            outcome,
            is_unschedulable: starved,
            ends_at: None,
        }
    }
}

impl ArgoCdApp {
    /// What faults of pods with these images apply to.
    pub fn fault_target<'a>(&'a self, images: &'a [String]) -> FaultTarget<'a> {
        FaultTarget {
            is_seed_version: images == self.initial_images,
            service: &self.spec.name,
            images: images.iter().map(String::as_str).collect(),
        }
    }
}

/// Five letters and digits, as at the end of a pod's name.
pub fn random_suffix(rng: &mut Rng) -> String {
    rng.token(5).to_lowercase()
}

/// Seconds between the first failed pull and its backing off.
const PULL_BACK_OFF_DELAY: f64 = 12.0;

impl Pod {
    /// Whether it is not terminating.
    pub fn is_active(&self) -> bool {
        self.ends_at.is_none()
    }

    /// Whether it is ready and not terminating.
    pub fn is_available(&self, now: f64) -> bool {
        self.is_active() && self.is_ready(now)
    }

    fn is_ready(&self, now: f64) -> bool {
        now >= self.ready_at
            && match self.outcome {
                // As long away as it was there.
                TaskOutcome::Flapping(healthy) => {
                    (((now - self.ready_at) / healthy.max(1.0)) as u64).is_multiple_of(2)
                }
                _ => true,
            }
    }

    /// When it will next look different, after `now`.
    pub fn next_change(&self, now: f64) -> Option<f64> {
        let mut times =
            vec![self.pulled_at, self.pulled_at + PULL_BACK_OFF_DELAY, self.started_at, self.ready_at];
        times.extend(self.ends_at);
        match self.outcome {
            TaskOutcome::Crash { after, .. } => times.push(self.started_at + after),
            TaskOutcome::Flapping(healthy) if now >= self.ready_at => {
                let healthy = healthy.max(1.0);
                times.push(self.ready_at + (((now - self.ready_at) / healthy).floor() + 1.0) * healthy);
            }
            _ => {}
        }
        times.into_iter().filter(|at| *at > now && at.is_finite()).min_by(f64::total_cmp)
    }

    /// The pod at `now`. `image` is its first one, `app` the name of its application.
    pub fn status_at(&self, app: &str, image: &str, now: f64) -> PodStatus {
        if self.is_unschedulable {
            let words = "0/3 nodes are available: 3 Insufficient cpu.";
            return waiting_status("Unschedulable", words, "Progressing");
        }
        if now < self.pulled_at {
            return waiting_status("ContainerCreating", "", "Progressing");
        }
        match &self.outcome {
            TaskOutcome::ImageNotFound => self.pull_error_status(image, now),
            TaskOutcome::SecretMissing => {
                let words = format!("secret \"{app}-secrets\" not found");
                waiting_status("CreateContainerConfigError", &words, "Degraded")
            }
            _ if now < self.started_at => waiting_status("ContainerCreating", "", "Progressing"),
            TaskOutcome::WrongPlatform => self.crash_status(1.0, now),
            TaskOutcome::Crash { after, .. } => self.crash_status(*after, now),
            _ => self.running_status(now),
        }
    }

    fn pull_error_status(&self, image: &str, now: f64) -> PodStatus {
        if now < self.pulled_at + PULL_BACK_OFF_DELAY {
            let words = format!(
                "rpc error: code = NotFound desc = failed to pull and unpack image \"{image}\": failed to resolve \
                 reference \"{image}\": {image}: not found"
            );
            return waiting_status("ErrImagePull", &words, "Degraded");
        }
        let words = format!("Back-off pulling image \"{image}\"");
        waiting_status("ImagePullBackOff", &words, "Degraded")
    }

    fn crash_status(&self, after: f64, now: f64) -> PodStatus {
        let since = now - self.started_at - after;
        if since < 0.0 {
            return self.running_status(now);
        }
        let (restarts, pause) = crash_back_off(since);
        let name = &self.name;
        let words =
            format!("back-off {pause} restarting failed container=app pod={name}_default({})", self.uid);
        PodStatus { phase: "Running", restarts, ..waiting_status("CrashLoopBackOff", &words, "Degraded") }
    }

    fn running_status(&self, now: f64) -> PodStatus {
        let ready = self.is_ready(now);
        let health = if ready { "Healthy" } else { "Progressing" };
        let message = String::new();
        PodStatus {
            phase: "Running",
            reason: "Running".into(),
            message,
            is_ready: ready,
            restarts: 0,
            health,
        }
    }
}

fn waiting_status(reason: &str, words: &str, health: &'static str) -> PodStatus {
    let (reason, message) = (reason.to_owned(), words.to_owned());
    PodStatus { phase: "Pending", reason, message, is_ready: false, restarts: 0, health }
}

/// Restarts after this number of seconds of crashes, and the back-off of the kubelet: 10 s, doubled up to 5 minutes.
fn crash_back_off(since: f64) -> (u32, &'static str) {
    let pauses = [(10.0, "10s"), (20.0, "20s"), (40.0, "40s"), (80.0, "1m20s"), (160.0, "2m40s")];
    let mut begins = 0.0;
    for (restarts, (seconds, words)) in (1..).zip(pauses) {
        if since < begins + seconds {
            return (restarts, words);
        }
        begins += seconds;
    }
    (6 + ((since - begins) / 300.0) as u32, "5m0s")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod_with_outcome(outcome: TaskOutcome) -> Pod {
        let ready = if matches!(outcome, TaskOutcome::Healthy | TaskOutcome::Flapping(_)) {
            10.0
        } else {
            f64::INFINITY
        };
        Pod {
            name: "web-1-a".into(),
            uid: "u".into(),
            created_at: 0.0,
            pulled_at: 3.0,
            started_at: 5.0,
            ready_at: ready,
            outcome,
            is_unschedulable: false,
            ends_at: None,
        }
    }

    fn status_timeline(pod: &Pod) -> Vec<(f64, String, &'static str)> {
        let mut now = 0.0;
        let mut seen = Vec::new();
        while seen.len() < 6 {
            let at = pod.status_at("web", "reg/web:v2", now);
            seen.push((now, at.reason, at.health));
            match pod.next_change(now) {
                Some(next) => now = next,
                None => break,
            }
        }
        seen
    }

    #[test]
    fn healthy_pod_is_created_started_and_ready() {
        let seen = status_timeline(&pod_with_outcome(TaskOutcome::Healthy));
        let last = seen.iter().rfind(|(at, ..)| *at == 10.0).unwrap();
        assert_eq!((last.1.as_str(), last.2), ("Running", "Healthy"));
        assert_eq!(seen[0].2, "Progressing");
    }

    #[test]
    fn failed_pull_backs_off_and_crash_loops() {
        let missing = pod_with_outcome(TaskOutcome::ImageNotFound);
        assert_eq!(missing.status_at("web", "i", 3.0).reason, "ErrImagePull");
        let late = missing.status_at("web", "i", 20.0);
        assert_eq!((late.reason.as_str(), late.health), ("ImagePullBackOff", "Degraded"));
        assert_eq!(late.message, "Back-off pulling image \"i\"");
        let crash = pod_with_outcome(TaskOutcome::Crash {
            container: None,
            exit_code: 1,
            reason: None,
            log_lines: vec![],
            after: 2.0,
        });
        assert_eq!(crash.status_at("web", "i", 6.0).health, "Progressing");
        let looping = crash.status_at("web", "i", 20.0);
        assert_eq!((looping.reason.as_str(), looping.restarts), ("CrashLoopBackOff", 2));
        assert!(looping.message.starts_with("back-off 20s restarting failed container=app pod=web-1-a_"));
        assert_eq!(crash.status_at("web", "i", 5000.0).restarts, 6 + 15);
    }

    #[test]
    fn flapping_pod_alternates_health() {
        let flapping = pod_with_outcome(TaskOutcome::Flapping(30.0));
        assert!(flapping.is_available(10.0) && !flapping.is_available(41.0) && flapping.is_available(71.0));
        assert_eq!(flapping.next_change(41.0), Some(70.0));
    }
}
