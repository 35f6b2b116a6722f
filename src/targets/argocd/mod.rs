//! GitOps: the image is committed to manifests, and Argo CD rolls it out. Sequences of calls only.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Mutex;

use super::{ChangeError, History, Limits, RunInfo, Target, TargetContext};
use crate::config::Service;
use crate::github::Snapshot;
use crate::problem::{Code, Problem};
use crate::release::{
    Changes, CompletedVersion, Diagnosis, Handoff, ImageRef, Observed, Release, RollbackTarget, Rollout,
    RolloutStatus, Staged, TrafficControl, TrafficShift, TrafficSupport, Version,
};
use crate::sys::http::HttpClient;

pub mod baseline;
pub mod branch_state;
pub mod branch_writer;
pub mod branch_writers;
pub mod causes;
pub mod client;
pub mod commit_batch;
pub mod commit_message;
mod diagnose;
mod edits;
pub mod image_edit;
pub mod image_fields;
pub mod kind;
pub mod live_image;
pub mod managed;
mod observe;
pub mod obstacles;
mod preflight;
pub mod pull_request;
pub mod read;
pub mod resource_tree;
pub mod restore;
pub mod rollouts;
pub mod settings;
pub mod sources;
pub mod staged_edit;
pub mod status;
pub mod trailers;
pub mod watch;
pub mod write;

#[cfg(test)]
mod status_tests;
#[cfg(test)]
mod write_tests;

pub use branch_writers::BranchWriters;
pub use image_fields::lint;
pub use settings::Settings;

use baseline::ApplicationBaseline;
use branch_state::{BranchState, CurrentImage};
use branch_writers::BranchWriter;
use commit_batch::EditDelivery;
use image_edit::ImageField;
use settings::OnFailure;
use staged_edit::StagedEdit;
use status::Expected;
use watch::{RolloutMemory, RolloutWatch, WatchedCommit};

/// One service with its image in manifests.
pub struct ArgoCdTarget {
    service: String,
    service_key: String,
    settings: Settings,
    fields: Vec<ImageField>,
    /// The name that finds an entry if the deploy file names none.
    image_name: Option<ImageRef>,
    /// Whether its image is built if the inputs name none.
    builds_image: bool,
    run: RunInfo,
    writer: Rc<BranchWriter>,
    client: Option<client::Client>,
    rollout_memories: RefCell<BTreeMap<Vec<String>, Rc<Mutex<RolloutMemory>>>>,
}

impl ArgoCdTarget {
    /// The service with its settings. Errors if neither the deploy file nor the run names the repository.
    pub fn new(
        place: &TargetContext<'_>,
        depots: &BranchWriters,
        service: &Service,
        settings: Settings,
    ) -> Result<Self, Problem> {
        let origin = place.run.clone();
        let own = origin.repository.clone();
        let repository = settings.repository.as_ref().map(|name| name.as_str().to_owned()).or(own);
        let repository = repository.ok_or_else(no_repository)?;
        let name = image_fields::image_name(
            &settings,
            service.config.repository.as_deref(),
            origin.input_image(&service.name),
        );
        let sites = image_fields::image_fields(&settings, name.as_ref());
        let paths: Vec<String> = sites.iter().map(|site| site.path.clone()).collect();
        let branch = settings.branch.as_ref().map(settings::BranchName::as_str);
        Ok(Self {
            service: service.name.clone(),
            service_key: commit_message::service_key(&origin.environment, &service.name),
            image_name: name,
            builds_image: service.config.repository.is_some(),
            writer: depots.branch_for(&repository, branch, &paths)?,
            client: connect(&settings, &origin, HttpClient::new(place.http.clone())),
            fields: sites,
            settings,
            run: origin,
            rollout_memories: RefCell::default(),
        })
    }

    fn version(&self, image: &ImageRef) -> Version {
        trailers::image_version(&self.service, image)
    }

    async fn snapshot(&self) -> Result<Rc<Snapshot>, Problem> {
        self.writer.snapshot().await.map_err(|setback| setback.problem(&self.writer.repository))
    }

    /// A problem of a file: with its location in the run's own repository, else with the position in the sentence.
    fn locate_problem(&self, problem: Problem) -> Problem {
        let own = self.run.repository.as_deref() == Some(self.writer.repository.as_str());
        if own { problem } else { write::in_other_repository(problem) }
    }

    fn branch_state(&self, snapshot: &Snapshot) -> Result<BranchState, Problem> {
        let sight = BranchState::from_snapshot(
            snapshot,
            (&self.service, &self.service_key),
            &self.fields,
            self.image_name.as_ref(),
        );
        sight.map_err(|problem| self.locate_problem(problem))
    }

    /// The status of the application, and the application as it is; a handoff if no server is set.
    async fn application_status(
        &self,
        version: &Version,
        image: &ImageRef,
        commit: WatchedCommit<'_>,
    ) -> Result<(RolloutStatus, Option<ApplicationBaseline>), Problem> {
        let Some(client) = &self.client else {
            return Ok((self.handoff_status(version, image, commit.oid), None));
        };
        let application = self.settings.application.as_ref().map_or("", |name| name.as_str());
        let branch = self.branch_name().await?;
        let starts_sync = self.settings.sync;
        let watch = RolloutWatch { client, writer: &self.writer, branch: &branch, application, starts_sync };
        let memory = self.rollout_memory(&version.id, commit.oid);
        let mut memory = memory.lock().await;
        // Boxed, because the futures of a poll are deeply nested.
        let polled = Box::pin(watch.poll(Expected { version, image }, commit, &mut memory)).await;
        let (status, seen) = polled?;
        Ok((status, Some(seen)))
    }

    async fn branch_name(&self) -> Result<String, Problem> {
        self.writer.branch_name().await.map_err(|setback| setback.problem(&self.writer.repository))
    }

    fn rollout_memory(&self, version: &str, commit: Option<&str>) -> Rc<Mutex<RolloutMemory>> {
        let key = [Some(version), commit].into_iter().flatten().map(str::to_owned).collect();
        self.rollout_memories.borrow_mut().entry(key).or_default().clone()
    }

    fn handoff_status(&self, version: &Version, image: &ImageRef, commit: Option<&str>) -> RolloutStatus {
        let repository = &self.writer.repository;
        let stands = match commit {
            Some(oid) => format!("committed to {repository} as {}", commit_message::short_sha(oid)),
            None => format!("it is in {repository}"),
        };
        let evidence = format!("{stands}; its rollout was not watched, because no Argo CD server is set");
        RolloutStatus::HandedOff(Handoff {
            version: version.clone(),
            digest: image.digest.clone(),
            evidence,
            needs_merge: false,
        })
    }

    async fn poll_status(&self, rollout: &Rollout) -> Result<RolloutStatus, Problem> {
        let image = parse_image(&rollout.version)?;
        let version = Version { id: rollout.version.clone(), label: rollout.label.clone() };
        if let Some(handed) = pull_request::open_handoff(rollout, &version, &image) {
            return Ok(RolloutStatus::HandedOff(handed));
        }
        let before = baseline::of_rollout(rollout);
        let commit =
            WatchedCommit { oid: rollout.ids.first().map(String::as_str), baseline: before.as_ref() };
        let (health, _) = self.application_status(&version, &image, commit).await?;
        self.check_superseded(&image, health).await
    }

    /// Superseded if another writer replaced our image before its rollout.
    async fn check_superseded(
        &self,
        image: &ImageRef,
        health: RolloutStatus,
    ) -> Result<RolloutStatus, Problem> {
        if !matches!(health, RolloutStatus::Progressing(_)) {
            return Ok(health);
        }
        // A failed read is repeated at the next poll.
        let Some(snapshot) = self.writer.poll_snapshot().await else { return Ok(health) };
        Ok(self.branch_state(&snapshot)?.replaced_by(image).map_or(health, RolloutStatus::Superseded))
    }
}

fn connect(settings: &Settings, origin: &RunInfo, web: HttpClient) -> Option<client::Client> {
    let (server, application) = (settings.server.as_ref()?, settings.application.as_ref()?);
    let token = origin.argocd_token.clone().filter(|_| origin.credential_urls.allows(server.as_str()))?;
    let namespace = settings.application_namespace.as_ref().map(|name| name.as_str());
    Some(client::Client::new(web, token, server.as_str(), application.as_str(), namespace))
}

/// The image of a release, with its tag.
fn requested_image(release: &Release) -> Option<ImageRef> {
    let image = release.image.clone()?;
    Some(ImageRef { tag: image.tag.clone().or_else(|| release.tag.clone()), ..image })
}

fn version_image(version: &Version) -> Result<ImageRef, Problem> {
    parse_image(&version.id)
}

/// The identifier of a version is its image.
fn parse_image(text: &str) -> Result<ImageRef, Problem> {
    text.parse().map_err(|why: String| {
        Problem::error(Code::VersionUnknown, format!("`{text}` is not an image reference.")).cause(why)
    })
}

fn no_repository() -> Problem {
    Problem::error(Code::ConfigInvalid, "The repository of the manifests is not set.")
        .help("Set `repository: owner/name`; in a workflow, the default is the workflow's own repository.")
}

fn no_image(service: &str) -> Problem {
    Problem::error(Code::ConfigInvalid, format!("No image is set for `{service}`."))
        .help("Set `repository` of the service to build one, or pass the input `image`.")
}

#[async_trait(?Send)]
impl Target for ArgoCdTarget {
    fn limits(&self, _: &Observed) -> Limits {
        let lacks = "The application shifts traffic itself, with an Argo Rollouts `Rollout` in its manifests. Remove `strategy`.";
        let traffic = TrafficSupport { control: TrafficControl::InPlace, missing: Some(lacks.into()) };
        let keeps_failed_version = self.settings.on_failure == OnFailure::Leave;
        Limits { keeps_failed_version, ..traffic.into() }
    }

    fn history(&self) -> &dyn History {
        self
    }

    async fn observe(&self) -> Result<Observed, Problem> {
        self.observe_service().await
    }

    fn diff(&self, release: &Release, seen: &Observed) -> Result<Changes, Vec<Problem>> {
        if release.image.is_none() && release.rollback_to.is_none() {
            return Ok(Changes::default());
        }
        let tree = branch_state::observed_files(seen);
        let stand = CurrentImage::read(&tree, &self.fields, self.image_name.as_ref().or(seen.image.as_ref()));
        let intent =
            stand.and_then(|stand| self.build_edit(release, &stand)).map_err(|problem| vec![problem])?;
        branch_state::diff(&tree, &intent).map_err(|problem| vec![self.locate_problem(problem)])
    }

    async fn preflight(&self, release: &Release, _: &Observed) -> Vec<Problem> {
        let mut problems = Vec::new();
        // In a plan nothing is built, so the image is not known yet.
        if release.image.is_none() && release.rollback_to.is_none() && !self.builds_image {
            problems.push(no_image(&self.service));
        }
        match self.snapshot().await {
            Ok(snapshot) => problems.extend(branch_state::write_problem(
                &snapshot,
                &self.settings,
                &self.writer.repository,
            )),
            Err(problem) => problems.push(problem),
        }
        if let Some(client) = &self.client {
            problems.extend(self.application_problems(client, release).await);
        } else if self.settings.server.is_some() {
            problems.push(preflight::no_token_warning());
        }
        problems.into_iter().map(|problem| problem.for_service(&release.service)).collect()
    }

    /// Creates nothing: the image exists. The edit is tried on the files as they were observed.
    async fn stage(&self, release: &Release, observed: &Observed) -> Result<Staged, Problem> {
        let snapshot = self.snapshot().await?;
        let edit = self.build_edit(release, &self.branch_state(&snapshot)?.current)?;
        let tree = commit_batch::snapshot_files(&snapshot);
        let (files, written) =
            write::preview_edit(&tree, &edit).map_err(|problem| self.locate_problem(problem))?;
        let way_back = files
            .iter()
            .filter_map(|(path, after)| restore::FileRestore::between(path, tree.get(path)?, after));
        let baseline = serde_json::from_value(observed.raw.clone()).ok();
        let handle = StagedEdit::new(&edit, &written).with_way_back(baseline, way_back.collect());
        Ok(Staged::new(self.version(&written), &handle))
    }

    async fn shift(&self, staged: &Staged, split: &TrafficShift) -> Result<Rollout, ChangeError> {
        let Some(edit) = self.shift_edit(staged, split).await.map_err(ChangeError::NotMade)? else {
            return Ok(self.rollout_of(staged, split, Vec::new()));
        };
        let settings::PullRequestOptions { is_enabled: wanted, auto_merge } = self.settings.pull_request;
        let how = if wanted { EditDelivery::PullRequest { auto_merge } } else { EditDelivery::Commit };
        let reverted = edit.reverts_commit.clone();
        let ids = self.writer.write_edit(edit, how).await?;
        if let (Some(client), Some(commit)) = (&self.client, reverted) {
            self.end_failing_sync(client, &commit).await;
        }
        Ok(self.rollout_of(staged, split, ids))
    }

    async fn find_shift(&self, staged: &Staged, split: &TrafficShift) -> Result<Option<Rollout>, Problem> {
        let found = match self.shift_edit(staged, split).await? {
            Some(edit) => self.writer.find_edit(&edit).await?,
            None => Some(Vec::new()),
        };
        Ok(found.map(|ids| self.rollout_of(staged, split, ids)))
    }

    async fn status(&self, rollout: &Rollout) -> Result<RolloutStatus, Problem> {
        self.poll_status(rollout).await
    }

    async fn diagnose(&self, version: &Version) -> Result<Option<Diagnosis>, Problem> {
        match &self.client {
            Some(client) => diagnose::diagnose(client, &version_image(version)?).await,
            None => Ok(None),
        }
    }
}

#[async_trait(?Send)]
impl History for ArgoCdTarget {
    async fn list(&self) -> Result<Vec<CompletedVersion>, Problem> {
        let snapshot = self.snapshot().await?;
        Ok(self.branch_state(&snapshot)?.completed_versions(None))
    }

    async fn load(&self, version: &Version) -> Result<RollbackTarget, Problem> {
        let image = version_image(version)?;
        Ok(RollbackTarget {
            version: version.clone(),
            definition: Value::String(image.to_string()),
            digest: image.digest,
        })
    }

    fn matches(&self, release: &Release, _: &Observed, former: &RollbackTarget) -> bool {
        let (Some(wanted), Ok(former)) = (requested_image(release), version_image(&former.version)) else {
            return false;
        };
        match (&wanted.digest, &former.digest) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => wanted.tag.is_some() && wanted.tag == former.tag && wanted.repository == former.repository,
        }
    }
}
