//! Servers, and on them services with their containers, releases and attempts. Plain data.

use std::collections::BTreeMap;

use super::scenario::ComposeHostSetting;
use crate::faults::TaskOutcome;

/// All servers by name.
#[derive(Debug, Clone, Default)]
pub struct ComposeState {
    hosts: BTreeMap<String, ComposeHost>,
}

/// A server.
#[derive(Debug, Clone)]
pub struct ComposeHost {
    /// What it was seeded with.
    pub(super) setting: ComposeHostSetting,
    services: BTreeMap<(String, String), ComposeService>,
}

/// A service of a Compose file on a server.
#[derive(Debug, Clone, Default)]
pub struct ComposeService {
    /// Its containers, newest first.
    pub containers: Vec<ComposeContainer>,
    /// Its releases by number.
    pub releases: BTreeMap<u32, ComposeRelease>,
    /// The release that completed last.
    pub serving: Option<u32>,
    /// Changes of traffic by number.
    pub attempts: BTreeMap<u32, ComposeAttempt>,
    /// The containers that the proxy's file names, with their weights.
    pub proxied: Vec<(String, u8)>,
    /// The text of `.env` in its folder.
    pub env: Option<String>,
    /// Commands that ran once, by name.
    pub(super) tasks: BTreeMap<String, super::tasks::ComposeTask>,
    created: u32,
}

/// A container.
#[derive(Debug, Clone, PartialEq)]
pub struct ComposeContainer {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its image, by digest.
    pub image: String,
    /// `running`, `exited`, `restarting`.
    pub status: String,
    /// `healthy`, `unhealthy`, `starting` or `none`.
    pub health: String,
    /// How often it was started again.
    pub restarts: u32,
    /// Its last exit code.
    pub exit_code: i64,
    /// Whether it was there before the client came.
    pub is_seed: bool,
}

/// A release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeRelease {
    /// What the client noted of it.
    pub facts: String,
    /// When it completed, epoch seconds.
    pub completed: Vec<i64>,
    /// Its variables, if it has any of its own.
    pub env: Option<String>,
}

/// A change of traffic.
#[derive(Debug, Clone)]
pub struct ComposeAttempt {
    /// Who started it.
    pub owner: String,
    /// The release that it brings.
    pub release: u32,
    /// The release that served before.
    pub old_release: Option<u32>,
    /// Its state, as the server writes it.
    pub state: String,
    /// Whether its process lives.
    pub is_alive: bool,
    /// Whether somebody asked it to go back.
    pub is_aborted: bool,
    /// The weight that it may go on to.
    pub continue_weight: u8,
    /// Reason and last lines of a failure.
    pub failure: Option<(String, i64, Vec<String>)>,
    pub(super) request: super::request::Request,
    pub(super) outcome: TaskOutcome,
    /// The container that it created.
    pub(super) new: Option<String>,
    /// How many of the weights it has reached.
    pub(super) step: usize,
    /// When its state ends by itself, epoch seconds.
    pub(super) due: f64,
}

impl ComposeState {
    pub(super) fn from_settings(settings: &[ComposeHostSetting]) -> Self {
        let host = |setting: &ComposeHostSetting| {
            let mut host = ComposeHost { setting: setting.clone(), services: BTreeMap::new() };
            for service in &setting.services {
                let key = (service.directory.clone(), service.name.clone());
                host.services.insert(key, ComposeService::seeded(service));
            }
            (setting.name.clone(), host)
        };
        Self { hosts: settings.iter().map(host).collect() }
    }

    pub(super) fn host(&self, name: &str) -> Option<&ComposeHost> {
        self.hosts.get(name)
    }

    /// A service; made empty where the host has none of that name.
    pub fn service_mut(&mut self, host: &str, directory: &str, name: &str) -> Option<&mut ComposeService> {
        let services = &mut self.hosts.get_mut(host)?.services;
        Some(services.entry((directory.to_owned(), name.to_owned())).or_default())
    }

    /// Takes a server away, as where it cannot be reached any more.
    pub fn remove_host(&mut self, name: &str) {
        self.hosts.remove(name);
    }

    /// All services of all servers.
    pub fn services_mut(&mut self) -> impl Iterator<Item = &mut ComposeService> {
        self.hosts.values_mut().flat_map(|host| host.services.values_mut())
    }
}

impl ComposeService {
    fn seeded(setting: &super::scenario::ComposeServiceSetting) -> Self {
        let mut service = Self { env: setting.env.clone(), ..Self::default() };
        if let Some(image) = &setting.image {
            let project = setting.directory.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            service.create(&format!("{project}-{}", setting.name), image, true);
            service.containers[0].health = "healthy".into();
            service.proxied = vec![(service.containers[0].name.clone(), 100)];
        }
        service
    }

    /// A new container with the next free number; its index is 0.
    pub(super) fn create(&mut self, stem: &str, image: &str, is_seed: bool) {
        self.created += 1;
        let free = (1..).map(|number| format!("{stem}-{number}"));
        let mut free = free.filter(|name| self.containers.iter().all(|it| it.name != *name));
        let container = ComposeContainer {
            id: format!("{:064x}", self.created),
            name: free.next().unwrap_or_default(),
            image: image.to_owned(),
            status: "running".into(),
            health: "starting".into(),
            restarts: 0,
            exit_code: 0,
            is_seed,
        };
        self.containers.insert(0, container);
    }

    /// What somebody brought without the client becomes release 0.
    pub(super) fn adopt(&mut self, now: f64) {
        let Some(container) = self.containers.first().filter(|_| self.serving.is_none()) else { return };
        let facts = format!("{} none none none", container.image);
        let release = ComposeRelease { facts, completed: vec![now as i64], env: self.env.clone() };
        self.releases.insert(0, release);
        self.serving = Some(0);
    }

    /// How many commands ran once.
    pub fn task_count(&self) -> usize {
        self.tasks.len()
    }

    /// The variables of a release become those of the folder.
    pub(super) fn install_env(&mut self, release: u32) {
        let env = self.releases.get(&release).and_then(|release| release.env.clone());
        self.env = env.or(self.env.take());
    }

    /// The process of the attempt in progress is killed. What it started stays.
    pub fn kill(&mut self) {
        self.attempts.values_mut().for_each(|attempt| attempt.is_alive = false);
    }
}
