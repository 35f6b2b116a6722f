//! Pods: how one is made, and what it looks like at a time. A pod is its times and its fate; nothing about it is stepped.

use super::state::{App, Pod};
use crate::rehearsal::chance::Chance;
use crate::rehearsal::faults::{Fate, Mischief, Subject};
use crate::rehearsal::scenario::Timings;

/// What a pod is made with.
pub struct Maker<'a> {
    /// Dice.
    pub chance: &'a mut Chance,
    /// Faults.
    pub mischief: &'a mut Mischief,
    /// How long things take.
    pub timings: &'a Timings,
}

/// A pod as Kubernetes would show it.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// `Pending` or `Running`.
    pub phase: &'static str,
    /// Its reason column, such as `ContainerCreating` or `ImagePullBackOff`.
    pub reason: String,
    /// Words to the reason.
    pub message: String,
    /// Its containers are ready.
    pub ready: bool,
    /// How often containers were started again.
    pub restarts: u32,
    /// Health as Argo CD takes it.
    pub health: &'static str,
}

impl Maker<'_> {
    /// A pod of the replica set `set` with these images, made at `now`.
    pub fn pod(&mut self, app: &App, set: &str, images: &[String], now: f64) -> Pod {
        let shown = images.iter().map(String::as_str).collect();
        let subject = Subject { old: images == app.founding, service: &app.setting.name, images: shown };
        let (fate, delay) = self.mischief.fate(&subject);
        let starved = self.mischief.starved(&subject);
        let pulled = now + self.chance.seconds(self.timings.pull) * 0.5;
        let started = pulled + self.chance.seconds(self.timings.start) * 0.5 + delay;
        let ready = started + self.chance.seconds(self.timings.health) * 0.5;
        let ever = !starved && matches!(fate, Fate::Well | Fate::Flapping(_));
        Pod {
            name: format!("{set}-{}", suffix(self.chance)),
            uid: self.chance.uuid(),
            created: now,
            pulled,
            started,
            ready: if ever { ready } else { f64::INFINITY },
            fate,
            starved,
            ends: None,
        }
    }
}

/// Five letters and digits, as at the end of a pod's name.
pub fn suffix(chance: &mut Chance) -> String {
    chance.token(5).to_lowercase()
}

/// Seconds between the first failed pull and its backing off.
const BACK_OFF: f64 = 12.0;

impl Pod {
    /// Whether it was not told to end.
    pub fn active(&self) -> bool {
        self.ends.is_none()
    }

    /// Whether it is ready and was not told to end.
    pub fn available(&self, now: f64) -> bool {
        self.active() && self.is_ready(now)
    }

    fn is_ready(&self, now: f64) -> bool {
        now >= self.ready
            && match self.fate {
                // As long away as it was there.
                Fate::Flapping(healthy) => (((now - self.ready) / healthy.max(1.0)) as u64).is_multiple_of(2),
                _ => true,
            }
    }

    /// When it will next look different, after `now`.
    pub fn next(&self, now: f64) -> Option<f64> {
        let mut times = vec![self.pulled, self.pulled + BACK_OFF, self.started, self.ready];
        times.extend(self.ends);
        match self.fate {
            Fate::Crash { after, .. } => times.push(self.started + after),
            Fate::Flapping(healthy) if now >= self.ready => {
                let healthy = healthy.max(1.0);
                times.push(self.ready + (((now - self.ready) / healthy).floor() + 1.0) * healthy);
            }
            _ => {}
        }
        times.into_iter().filter(|at| *at > now && at.is_finite()).min_by(f64::total_cmp)
    }

    /// The pod at `now`. `image` is its first one, `app` the name of its application.
    pub fn seen(&self, app: &str, image: &str, now: f64) -> Seen {
        if self.starved {
            let words = "0/3 nodes are available: 3 Insufficient cpu.";
            return waiting("Unschedulable", words, "Progressing");
        }
        if now < self.pulled {
            return waiting("ContainerCreating", "", "Progressing");
        }
        match &self.fate {
            Fate::NoImage => self.unpulled(image, now),
            Fate::NoSecret => {
                let words = format!("secret \"{app}-secrets\" not found");
                waiting("CreateContainerConfigError", &words, "Degraded")
            }
            _ if now < self.started => waiting("ContainerCreating", "", "Progressing"),
            Fate::WrongPlatform => self.crashed(1.0, now),
            Fate::Crash { after, .. } => self.crashed(*after, now),
            _ => self.running(now),
        }
    }

    fn unpulled(&self, image: &str, now: f64) -> Seen {
        if now < self.pulled + BACK_OFF {
            let words = format!(
                "rpc error: code = NotFound desc = failed to pull and unpack image \"{image}\": failed to resolve \
                 reference \"{image}\": {image}: not found"
            );
            return waiting("ErrImagePull", &words, "Degraded");
        }
        let words = format!("Back-off pulling image \"{image}\"");
        waiting("ImagePullBackOff", &words, "Degraded")
    }

    fn crashed(&self, after: f64, now: f64) -> Seen {
        let since = now - self.started - after;
        if since < 0.0 {
            return self.running(now);
        }
        let (restarts, pause) = back_off(since);
        let name = &self.name;
        let words =
            format!("back-off {pause} restarting failed container=app pod={name}_default({})", self.uid);
        Seen { phase: "Running", restarts, ..waiting("CrashLoopBackOff", &words, "Degraded") }
    }

    fn running(&self, now: f64) -> Seen {
        let ready = self.is_ready(now);
        let health = if ready { "Healthy" } else { "Progressing" };
        let message = String::new();
        Seen { phase: "Running", reason: "Running".into(), message, ready, restarts: 0, health }
    }
}

fn waiting(reason: &str, words: &str, health: &'static str) -> Seen {
    let (reason, message) = (reason.to_owned(), words.to_owned());
    Seen { phase: "Pending", reason, message, ready: false, restarts: 0, health }
}

/// Restarts after so many seconds of crashing, and the pause that the kubelet makes then: 10 s, doubled up to 5 minutes.
fn back_off(since: f64) -> (u32, &'static str) {
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

    fn pod(fate: Fate) -> Pod {
        let ready = if matches!(fate, Fate::Well | Fate::Flapping(_)) { 10.0 } else { f64::INFINITY };
        Pod {
            name: "web-1-a".into(),
            uid: "u".into(),
            created: 0.0,
            pulled: 3.0,
            started: 5.0,
            ready,
            fate,
            starved: false,
            ends: None,
        }
    }

    fn story(pod: &Pod) -> Vec<(f64, String, &'static str)> {
        let mut now = 0.0;
        let mut seen = Vec::new();
        while seen.len() < 6 {
            let at = pod.seen("web", "reg/web:v2", now);
            seen.push((now, at.reason, at.health));
            match pod.next(now) {
                Some(next) => now = next,
                None => break,
            }
        }
        seen
    }

    #[test]
    fn a_good_pod_is_created_started_and_ready() {
        let seen = story(&pod(Fate::Well));
        let last = seen.iter().rfind(|(at, ..)| *at == 10.0).unwrap();
        assert_eq!((last.1.as_str(), last.2), ("Running", "Healthy"));
        assert_eq!(seen[0].2, "Progressing");
    }

    #[test]
    fn pulls_back_off_and_crashes_loop() {
        let missing = pod(Fate::NoImage);
        assert_eq!(missing.seen("web", "i", 3.0).reason, "ErrImagePull");
        let late = missing.seen("web", "i", 20.0);
        assert_eq!((late.reason.as_str(), late.health), ("ImagePullBackOff", "Degraded"));
        assert_eq!(late.message, "Back-off pulling image \"i\"");
        let crash = pod(Fate::Crash { code: 1, reason: None, log: vec![], after: 2.0 });
        assert_eq!(crash.seen("web", "i", 6.0).health, "Progressing");
        let looping = crash.seen("web", "i", 20.0);
        assert_eq!((looping.reason.as_str(), looping.restarts), ("CrashLoopBackOff", 2));
        assert!(looping.message.starts_with("back-off 20s restarting failed container=app pod=web-1-a_"));
        assert_eq!(crash.seen("web", "i", 5000.0).restarts, 6 + 15);
    }

    #[test]
    fn health_flaps_for_ever() {
        let flapping = pod(Fate::Flapping(30.0));
        assert!(flapping.available(10.0) && !flapping.available(41.0) && flapping.available(71.0));
        assert_eq!(flapping.next(41.0), Some(70.0));
    }
}
