//! What can go wrong in the embedded cloud, as a scenario file says it, and which of it strikes whom.
//! Faults of tasks are turned into a `Fate` here; what a fate does to a task is `ecs/tasks.rs`.

use serde::Deserialize;

use super::ecs::state::State;
use super::github::faults as github;

/// Which version of a service a fault strikes. `old` is the definition the service ran when the world began; `new` is any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Version {
    /// Definitions deployed after the world began.
    #[default]
    New,
    /// The definition that ran when the world began.
    Old,
    /// Every definition.
    All,
}

macro_rules! of_tasks {
    ($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty = $default:expr,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub struct $name {
            /// Which version it strikes.
            pub version: Version,
            /// Instead of a version: tasks whose image reference contains this text.
            pub image: Option<String>,
            /// Only this service.
            pub service: Option<String>,
            /// Only the first so many tasks.
            pub tasks: Option<u32>,
            $($(#[$fdoc])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { version: Version::New, image: None, service: None, tasks: None, $($field: $default,)* }
            }
        }

        impl $name {
            /// Whether it strikes once more.
            pub fn strikes(&self, subject: &Subject<'_>, spent: u32) -> bool {
                let version = match (&self.image, self.version) {
                    (Some(part), _) => subject.images.iter().any(|image| image.contains(part.as_str())),
                    (None, Version::All) => true,
                    (None, Version::Old) => subject.old,
                    (None, Version::New) => !subject.old,
                };
                version
                    && self.service.as_deref().is_none_or(|name| name == subject.service)
                    && self.tasks.is_none_or(|most| spent < most)
            }
        }
    };
}

of_tasks! {
    /// A fault without details.
    Plain {}
}
of_tasks! {
    /// The main process ends by itself.
    Crash {
        /// Its exit code.
        exit_code: i64 = 1,
        /// Lines it writes before it ends.
        log: Vec<String> = vec!["panic: cannot start".into()],
        /// Seconds between RUNNING and the end.
        after: f64 = 2.0,
    }
}
of_tasks! {
    /// Health comes and goes.
    Flap {
        /// Seconds of health before it goes again.
        healthy: f64 = 30.0,
    }
}
of_tasks! {
    /// Everything before RUNNING takes longer.
    Slow {
        /// Seconds more.
        seconds: f64 = 120.0,
    }
}

of_tasks! {
    /// A sync whose resources cannot be applied. `service` is an application, `tasks` how many tries are struck.
    SyncFailed {
        /// Why not.
        message: String = "Deployment.apps \"web\" is invalid: spec.template.spec.containers[0].image: Required value".into(),
    }
}
of_tasks! {
    /// A sync that cannot be carried out at all. `service` is an application, `tasks` how many syncs are struck.
    OperationError {
        /// Why not.
        message: String = "ComparisonError: Failed to load target state: failed to generate manifest for source 1 of 1: \
                           rpc error: code = Unknown desc = failed to list refs: dial tcp: i/o timeout".into(),
    }
}

macro_rules! of_applications {
    ($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty = $default:expr,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub struct $name {
            /// Only this application of Argo CD.
            pub application: Option<String>,
            $($(#[$fdoc])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { application: None, $($field: $default,)* }
            }
        }

        impl $name {
            /// Whether it is about this application.
            pub fn on(&self, application: &str) -> bool {
                self.application.as_deref().is_none_or(|name| name == application)
            }
        }
    };
}

of_applications! {
    /// Applications, without details.
    OnApplication {}
}
of_applications! {
    /// A Git server that Argo CD reads old commits from.
    StaleGit {
        /// Seconds after the first refresh that somebody asks for.
        #[serde(rename = "for")]
        lasts: f64 = 30.0,
    }
}
of_applications! {
    /// Manifests cannot be made.
    Incomparable {
        /// Why not.
        message: String = "code = Unknown desc = `kustomize build` failed exit status 1".into(),
        /// Seconds after the world began.
        after: f64 = 0.0,
    }
}
of_applications! {
    /// Somebody else's sync runs.
    ForeignSync {
        /// Seconds after the world began.
        at: f64 = 0.0,
        /// How many seconds it lasts.
        #[serde(rename = "for")]
        lasts: f64 = 120.0,
    }
}
of_applications! {
    /// Somebody changes the cluster by hand.
    ByHand {
        /// Seconds after the world began.
        at: f64 = 300.0,
        /// The image that is set.
        image: String = "somebody/else:v0".into(),
    }
}

/// Calls of one operation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Calls {
    /// Operation, such as `UpdateService`; `*` is any.
    pub operation: String,
    /// How many calls it strikes.
    #[serde(default = "once")]
    pub times: u32,
}

/// A window of time.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Burst {
    /// Seconds after the first deployment that the client starts.
    #[serde(default)]
    pub from: f64,
    /// How many seconds it lasts.
    #[serde(rename = "for")]
    pub lasts: f64,
    /// Only this operation.
    #[serde(default)]
    pub operation: Option<String>,
}

/// Reads that lag behind.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Stale {
    /// Seconds after an UpdateService during which service reads show the time before it.
    #[serde(rename = "for")]
    pub lasts: f64,
    /// The answer of the update, too, does not know the new service deployment yet.
    #[serde(default)]
    pub in_answer: bool,
}

/// A denied action.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Deny {
    /// Such as `ecs:UpdateService`; `*` matches any run of characters.
    pub action: String,
}

/// Credentials that run out.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Expiry {
    /// Seconds after the world began; what STS issues later is good again.
    pub after: f64,
}

/// Somebody else's deployment of the same service.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Superseding {
    /// Seconds after the first deployment that the client starts.
    pub at: f64,
    /// The service; the one that the client deployed when absent.
    #[serde(default)]
    pub service: Option<String>,
}

/// An alarm that goes off.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Red {
    /// Its name; every alarm of the world when absent.
    #[serde(default)]
    pub alarm: Option<String>,
    /// Seconds after the first deployment that the client starts; red from the beginning when absent.
    #[serde(default)]
    pub at: Option<f64>,
}

/// Autoscaling sets another desired count.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scaling {
    /// Seconds after the first deployment that the client starts.
    pub at: f64,
    /// The new desired count.
    pub to: u32,
    /// The service; the one that the client deployed when absent.
    #[serde(default)]
    pub service: Option<String>,
}

/// Answers at addresses that are not the wanted ones.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct BadAnswers {
    /// Only at this host. What is posted is only met by faults that name a host.
    pub host: Option<String>,
    /// Only at this path.
    pub path: Option<String>,
    /// Whose answers.
    pub version: Version,
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
    /// Where it leads.
    pub location: Option<String>,
    /// Seconds until the answer comes.
    pub takes: f64,
    /// Seconds after the first deployment that the client starts.
    pub from: f64,
    /// How many seconds it lasts; for ever when absent.
    #[serde(rename = "for")]
    pub lasts: Option<f64>,
    /// How many visits it strikes; all when absent.
    pub times: Option<u32>,
}

impl Default for BadAnswers {
    fn default() -> Self {
        Self {
            host: None,
            path: None,
            version: Version::New,
            status: 500,
            body: "Internal Server Error\n".into(),
            location: None,
            takes: 0.0,
            from: 0.0,
            lasts: None,
            times: None,
        }
    }
}

/// A time.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct At {
    /// Seconds after the first deployment that the client starts.
    pub at: f64,
}

/// No details.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Metrics that come late.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Late {
    /// Seconds more than usual.
    pub seconds: f64,
}

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The image cannot be pulled: there is none.
    ImageNotFound(Plain),
    /// The image is for another platform.
    WrongPlatform(Plain),
    /// A secret of the definition does not exist.
    SecretMissing(Plain),
    /// No task can be placed.
    NoCapacity(Plain),
    /// The main process ends soon after its start.
    CrashOnStart(Crash),
    /// The container is killed for its memory use.
    OutOfMemory(Plain),
    /// The health check never passes.
    FailingHealthCheck(Plain),
    /// The health check passes, then fails, again and again.
    FlappingHealth(Flap),
    /// Tasks take long to start.
    SlowStart(Slow),
    /// The version that ran at the beginning cannot start again.
    RollbackFails(Plain),
    /// Calls are refused with ThrottlingException.
    Throttle(Calls),
    /// Calls fail with a server error for a while.
    ServerErrors(Burst),
    /// Service reads lag behind an update.
    StaleReads(Stale),
    /// A change is made, and the connection breaks before its answer.
    ResponseLost(Calls),
    /// A call is never answered, and nothing is changed.
    NoAnswer(Calls),
    /// An action is denied.
    Deny(Deny),
    /// The credentials expire.
    ExpiredCredentials(Expiry),
    /// Somebody else deploys the same service.
    SupersedingDeployment(Superseding),
    /// An alarm is red, from the beginning or from some time on.
    AlarmRed(Red),
    /// CloudWatch has no metrics at all.
    MetricsMissing(Nothing),
    /// Metrics come later than usual.
    MetricsLate(Late),
    /// Every second minute is missing, and CloudWatch says so.
    MetricsPartial(Nothing),
    /// Two target groups are taken for each other.
    MetricsSwapped(Nothing),
    /// Metrics may not be read: said inside of an answer that is none the worse.
    MetricsForbidden(Nothing),
    /// Addresses answer badly.
    BadAnswers(BadAnswers),
    /// The desired count changes during the deployment.
    DesiredCount(Scaling),
    /// Argo CD compares and never starts a sync by itself.
    ArgocdNeverSyncs(OnApplication),
    /// What is synced cannot be applied.
    ArgocdSyncFailed(SyncFailed),
    /// A sync ends in an error before anything is applied.
    ArgocdOperationError(OperationError),
    /// Argo CD sees its branch as it was.
    ArgocdStale(StaleGit),
    /// Argo CD cannot compare.
    ArgocdComparisonError(Incomparable),
    /// The workload is deleted right after it was synced. `service` is an application, `tasks` how many times.
    ArgocdMissing(Plain),
    /// The workload is paused.
    ArgocdSuspended(OnApplication),
    /// Somebody else's sync is in progress.
    ArgocdBusy(ForeignSync),
    /// The cluster is changed by hand.
    ArgocdDrift(ByHand),
    /// The analysis of a canary fails. `service` is an application, `tasks` how many runs.
    ArgocdAnalysisFailed(Plain),
    /// Somebody stops the deployment of AppConfig that is in progress.
    AppconfigStopped(At),
    /// The token of Argo CD expires.
    ArgocdTokenExpires(Expiry),
    /// Somebody else's commit lands on the branch just before the client's.
    RivalCommit(github::Rival),
    /// GitHub refuses requests for their rate.
    RateLimit(github::RateLimit),
    /// GitHub's gateway gives up.
    BadGateway(github::BadGateway),
    /// GitHub's reads lag behind a branch that moved.
    ReplicaLag(github::ReplicaLag),
}

/// A task about to be started.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// It runs the definition that the service ran when the world began.
    pub old: bool,
    /// Name of the service.
    pub service: &'a str,
    /// Image references of its containers.
    pub images: Vec<&'a str>,
}

/// What becomes of a task.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Fate {
    /// It starts, becomes healthy and stays so.
    #[default]
    Well,
    /// There is no such image.
    NoImage,
    /// The image is not for this platform.
    WrongPlatform,
    /// A secret cannot be read.
    NoSecret,
    /// It ends by itself.
    Crash {
        /// Exit code of the essential container.
        code: i64,
        /// The container's reason, such as the out-of-memory one.
        reason: Option<String>,
        /// Lines written before the end.
        log: Vec<String>,
        /// Seconds of running.
        after: f64,
    },
    /// Its health check never passes.
    Sick,
    /// Its health check passes for so many seconds, then fails.
    Flapping(f64),
}

/// The faults of a run, and how often each has struck.
#[derive(Debug, Clone, Default)]
pub struct Mischief {
    /// In the order of the scenario.
    pub faults: Vec<Fault>,
    /// How often each has struck.
    pub spent: Vec<u32>,
    /// When the world began, epoch seconds.
    pub began: f64,
    /// When the client's first deployment began, and its service (index in ECS's state) where it is one of ECS.
    pub deployed: Option<(f64, Option<usize>)>,
    /// What service reads show until that time (epoch seconds), when they lag.
    pub stale: Option<(f64, Box<State>)>,
}

impl Mischief {
    /// All of a scenario's faults, none struck yet.
    pub fn new(faults: Vec<Fault>, began: f64) -> Self {
        Self { spent: vec![0; faults.len()], faults, began, deployed: None, stale: None }
    }

    /// The fate of a task about to start, and by how many seconds its start is delayed.
    pub fn fate(&mut self, subject: &Subject<'_>) -> (Fate, f64) {
        let (mut fate, mut delay) = (Fate::Well, 0.0);
        for (fault, spent) in self.faults.iter().zip(&mut self.spent) {
            if let Fault::SlowStart(slow) = fault {
                if slow.strikes(subject, *spent) {
                    *spent += 1;
                    delay += slow.seconds;
                }
            } else if fate == Fate::Well
                && let Some(struck) = fault.fate(subject, *spent)
            {
                *spent += 1;
                fate = struck;
            }
        }
        (fate, delay)
    }

    /// What keeps a task from starting that no service started; what happens to a process that runs is the command's own.
    pub fn start_fate(&mut self, subject: &Subject<'_>) -> Fate {
        for (fault, spent) in self.faults.iter().zip(&mut self.spent) {
            let fate = fault.fate(subject, *spent);
            if let Some(fate @ (Fate::NoImage | Fate::WrongPlatform | Fate::NoSecret)) = fate {
                *spent += 1;
                return fate;
            }
        }
        Fate::Well
    }

    /// Whether there is no capacity for this task.
    pub fn starved(&mut self, subject: &Subject<'_>) -> bool {
        self.strike(|fault, spent| matches!(fault, Fault::NoCapacity(plain) if plain.strikes(subject, spent)))
    }

    /// Let the first fault strike that says so; `false` when none does.
    pub fn strike(&mut self, mut strikes: impl FnMut(&Fault, u32) -> bool) -> bool {
        for (fault, spent) in self.faults.iter().zip(&mut self.spent) {
            if strikes(fault, *spent) {
                *spent += 1;
                return true;
            }
        }
        false
    }
}

impl Calls {
    /// Whether it strikes this operation once more.
    pub fn strikes(&self, operation: &str, spent: u32) -> bool {
        (self.operation == "*" || self.operation == operation) && spent < self.times
    }
}

impl Fault {
    fn fate(&self, subject: &Subject<'_>, spent: u32) -> Option<Fate> {
        let plain = |plain: &Plain, fate: Fate| plain.strikes(subject, spent).then_some(fate);
        match self {
            Self::ImageNotFound(on) => plain(on, Fate::NoImage),
            Self::WrongPlatform(on) => plain(on, Fate::WrongPlatform),
            Self::SecretMissing(on) => plain(on, Fate::NoSecret),
            Self::OutOfMemory(on) => plain(on, out_of_memory()),
            Self::FailingHealthCheck(on) => plain(on, Fate::Sick),
            Self::FlappingHealth(flap) => {
                flap.strikes(subject, spent).then_some(Fate::Flapping(flap.healthy))
            }
            Self::RollbackFails(on) => {
                let meant = on.service.as_deref().is_none_or(|name| name == subject.service);
                (meant && subject.old).then_some(Fate::NoImage)
            }
            Self::CrashOnStart(crash) => crash.strikes(subject, spent).then(|| Fate::Crash {
                code: crash.exit_code,
                reason: None,
                log: crash.log.clone(),
                after: crash.after,
            }),
            _ => None,
        }
    }
}

fn out_of_memory() -> Fate {
    Fate::Crash {
        code: 137,
        reason: Some("OutOfMemoryError: Container killed due to memory usage".into()),
        log: vec!["loading everything into memory".into()],
        after: 6.0,
    }
}

fn once() -> u32 {
    1
}
