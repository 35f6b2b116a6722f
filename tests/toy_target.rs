//! A target that is added the way CONTRIBUTING says: a kind, its settings, an instance, one line in a list of kinds. It goes
//! through whole runs: a deploy, a version that fails and is rolled back, and a rollback on demand.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use async_trait::async_trait;
use roadstead::action::inputs::RawInputs;
use roadstead::problem::{Code, Problem};
use roadstead::release::{
    Change, Changes, CompletedVersion, Failure, Observed, Outcome, Proof, Release, RollbackTarget, Rollout,
    RolloutStatus, Staged, TrafficControl, TrafficShift, TrafficSupport, Version,
};
use roadstead::report::RunReport;
use roadstead::targets::{
    ChangeError, Feature, History, ImageUse, Kind, Kinds, Limits, Needs, Registered, Spec, Target,
    TargetContext,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::support::{TestRun, run_in_virtual_time};

/// The versions that completed on each shelf, oldest first. The last one serves.
type Shelves = Rc<RefCell<BTreeMap<String, Vec<String>>>>;

thread_local!(static SHELVES: Shelves = Shelves::default());

static KINDS: Kinds = &[&Registered::<ToyKind>::NEW];

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ToySettings {
    shelf: String,
}

struct ToyKind;

impl Kind for ToyKind {
    const KEY: &'static str = "toy";
    const NEEDS: Needs = Needs {
        aws: false,
        image: ImageUse::Deployed,
        one_off_tasks: Feature::Unsupported { help: None },
        env_vars: Feature::Unsupported { help: None },
    };
    type Settings = ToySettings;

    fn location(settings: &ToySettings) -> String {
        settings.shelf.clone()
    }

    fn connect(spec: &Spec<'_, ToySettings>, _: &TargetContext<'_>) -> Result<Rc<dyn Target>, Problem> {
        let shelves = SHELVES.with(Rc::clone);
        Ok(Rc::new(ToyTarget { shelf: spec.settings.shelf.clone(), shelves }))
    }
}

struct ToyTarget {
    shelf: String,
    shelves: Shelves,
}

fn version(id: &str) -> Version {
    Version { id: id.into(), label: id.into() }
}

fn proven(id: &str) -> RolloutStatus {
    RolloutStatus::Healthy(Proof {
        version: version(id),
        digest: None,
        evidence: format!("{id} is on the shelf"),
        remarks: Vec::new(),
    })
}

impl ToyTarget {
    fn versions(&self) -> Vec<String> {
        self.shelves.borrow().get(&self.shelf).cloned().unwrap_or_default()
    }

    fn completed(&self) -> Vec<CompletedVersion> {
        let completed = |id: &String| CompletedVersion {
            version: version(id),
            image: id.parse().ok(),
            container_images: Default::default(),
            digest: None,
            completed_at: None,
            commits: Vec::new(),
        };
        self.versions().iter().rev().map(completed).collect()
    }
}

#[async_trait(?Send)]
impl Target for ToyTarget {
    async fn observe(&self) -> Result<Observed, Problem> {
        let versions = self.versions();
        let serving = versions.last();
        Ok(Observed {
            version: serving.map(|id| version(id)),
            image: serving.and_then(|id| id.parse().ok()),
            container_images: Default::default(),
            digest: None,
            status: serving.map_or(RolloutStatus::Unknown("the shelf is empty".into()), |id| proven(id)),
            previous: versions.iter().rev().nth(1).map(|id| version(id)),
            history: self.completed(),
            in_flight: None,
            desired_count: 1,
            needs_cleanup: false,
            definition: Value::Null,
            raw: Value::Null,
            url: None,
        })
    }

    fn diff(&self, release: &Release, observed: &Observed) -> Result<Changes, Vec<Problem>> {
        let to = wanted(release);
        let from = observed.version.as_ref().map(|version| version.id.clone());
        let change = Change::shown("image", from.clone(), to.clone());
        Ok(Changes(if to.is_none() || to == from { Vec::new() } else { vec![change] }))
    }

    async fn preflight(&self, _: &Release, _: &Observed) -> Vec<Problem> {
        Vec::new()
    }

    async fn stage(&self, release: &Release, _: &Observed) -> Result<Staged, Problem> {
        let id = wanted(release).ok_or_else(|| Problem::error(Code::ConfigInvalid, "There is no image."))?;
        Ok(Staged::existing(version(&id)))
    }

    async fn shift(&self, _: &Staged, shift: &TrafficShift) -> Result<Rollout, ChangeError> {
        let Version { id, label } = shift.version.clone();
        Ok(Rollout { version: id, label, ids: Vec::new() })
    }

    async fn find_shift(&self, _: &Staged, shift: &TrafficShift) -> Result<Option<Rollout>, Problem> {
        let Version { id, label } = shift.version.clone();
        let found = self.versions().contains(&id);
        Ok(found.then(|| Rollout { version: id, label, ids: Vec::new() }))
    }

    async fn status(&self, rollout: &Rollout) -> Result<RolloutStatus, Problem> {
        if rollout.version.ends_with("broken") {
            let problem = Problem::error(Code::ProviderError, "It fell from the shelf.");
            return Ok(RolloutStatus::Failed(Failure::permanent(problem)));
        }
        let mut shelves = self.shelves.borrow_mut();
        let versions = shelves.entry(self.shelf.clone()).or_default();
        if versions.last() != Some(&rollout.version) {
            versions.push(rollout.version.clone());
        }
        Ok(proven(&rollout.version))
    }

    fn limits(&self, _: &Observed) -> Limits {
        TrafficSupport { control: TrafficControl::InPlace, missing: None }.into()
    }

    fn history(&self) -> &dyn History {
        self
    }
}

#[async_trait(?Send)]
impl History for ToyTarget {
    async fn list(&self) -> Result<Vec<CompletedVersion>, Problem> {
        Ok(self.completed())
    }

    async fn load(&self, version: &Version) -> Result<RollbackTarget, Problem> {
        Ok(RollbackTarget { version: version.clone(), definition: Value::Null, digest: None })
    }

    fn matches(&self, release: &Release, _: &Observed, former: &RollbackTarget) -> bool {
        wanted(release).as_ref() == Some(&former.version.id)
    }
}

fn wanted(release: &Release) -> Option<String> {
    let former = release.rollback_to.as_ref().map(|former| former.version.id.clone());
    former.or_else(|| release.image.as_ref().map(ToString::to_string))
}

const CONFIG: &str =
    "environments: { production: { branches: [main] } }\nservices: { web: { toy: { shelf: top } } }\n";

async fn run(operation: &str, image: Option<&str>) -> RunReport {
    let harness = TestRun::builtin("happy").set_up();
    let mut rehearsal = harness.rehearsal;
    rehearsal.config.1 = CONFIG.into();
    rehearsal.inputs = RawInputs {
        operation: Some(operation.into()),
        image: image.map(str::to_owned),
        ..RawInputs::default()
    };
    let began = harness.start;
    let mut context =
        roadstead::cli::rehearse::run_context(&rehearsal, &harness.cloud, "production".into(), began)
            .unwrap();
    context.kinds = KINDS;
    roadstead::run::run(&context).await
}

fn serving(report: &RunReport) -> Option<&str> {
    report.services[0].serving_version.as_ref().map(|version| version.id.as_str())
}

#[test]
fn toy_target_goes_through_deploy_failure_and_rollback() {
    run_in_virtual_time(async {
        let first = run("deploy", Some("acme/web:1")).await;
        assert_eq!((first.outcome, serving(&first)), (Outcome::Deployed, Some("acme/web:1")), "{first:?}");
        assert_eq!(first.services[0].target, "toy top");
        let second = run("deploy", Some("acme/web:2")).await;
        assert_eq!((second.outcome, serving(&second)), (Outcome::Deployed, Some("acme/web:2")));
        let failed = run("deploy", Some("acme/web:broken")).await;
        assert_eq!((failed.outcome, serving(&failed)), (Outcome::Failed, Some("acme/web:2")));
        let back = run("rollback", None).await;
        assert_eq!((back.outcome, serving(&back)), (Outcome::RolledBack, Some("acme/web:1")));
        let same = run("deploy", Some("acme/web:1")).await;
        assert_eq!(same.outcome, Outcome::Unchanged);
    });
}

#[test]
fn deploy_file_lists_the_kinds_of_the_run() {
    run_in_virtual_time(async {
        let mut harness = TestRun::builtin("happy").set_up();
        harness.rehearsal.config.1 = CONFIG.replace("toy:", "ecs: { cluster: a, service: b }, toy:");
        let unknown = roadstead::cli::rehearse::run_context(
            &harness.rehearsal,
            &harness.cloud,
            "production".into(),
            harness.start,
        );
        let mut context = unknown.unwrap();
        context.kinds = KINDS;
        let report = roadstead::run::run(&context).await;
        assert_eq!(report.outcome, Outcome::Invalid);
        let known = report.problems[0].help.contains("`environments`, `toy`");
        assert!(known, "the list of targets is that of the run: {:?}", report.problems);
    });
}
