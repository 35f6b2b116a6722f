//! GitOps: the image is committed to manifests, and Argo CD rolls it out. Order of calls only.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Mutex;

use super::{Origin, Place, Target};
use crate::config::Service;
use crate::github::Snapshot;
use crate::problem::{Code, Problem};
use crate::release::{
    Ability, Arm, Changes, Former, Handed, Health, ImageRef, Observed, Past, Release, Rollout, Split,
    Traffic, Version, Way,
};
use crate::sys::web::Web;

pub mod causes;
pub mod client;
pub mod depot;
pub mod depots;
pub mod intent;
pub mod message;
pub mod propose;
pub mod queue;
pub mod read;
pub mod record;
pub mod rollouts;
pub mod settings;
pub mod sight;
pub mod sites;
pub mod verdict;
pub mod watch;
pub mod write;

#[cfg(test)]
mod verdict_tests;
#[cfg(test)]
mod write_tests;

pub use depots::Depots;
pub use settings::Settings;
pub use sites::findings;

use depots::Depot;
use intent::{Expect, Intent, Operation, Site};
use queue::How;
use settings::OnFailure;
use sight::{Sight, Stand};
use verdict::Want;
use watch::{Memory, Watch};

/// One service whose image stands in manifests.
pub struct ArgoCd {
    service: String,
    key: String,
    settings: Settings,
    sites: Vec<Site>,
    /// By which name an entry is looked for that the deploy file does not name.
    name: Option<ImageRef>,
    /// Whether its image is built where the inputs name none.
    builds: bool,
    origin: Origin,
    depot: Rc<Depot>,
    client: Option<client::Client>,
    /// What was last staged, for its route, and the image as it will be read.
    staged: RefCell<Option<(Intent, ImageRef)>>,
    memories: RefCell<BTreeMap<Vec<String>, Rc<Mutex<Memory>>>>,
}

impl ArgoCd {
    /// The service as its block says. Errors when the deploy file and the run leave open where that is.
    pub fn new(
        place: &Place<'_>,
        depots: &Depots,
        service: &Service,
        settings: Settings,
    ) -> Result<Self, Problem> {
        let origin = place.origin.clone();
        let own = origin.repository.clone();
        let repository = settings.repository.as_ref().map(|name| name.as_str().to_owned()).or(own);
        let repository = repository.ok_or_else(no_repository)?;
        let name = sites::name(&settings, service.common.repository.as_deref(), origin.image(&service.name));
        let sites = sites::sites(&settings, name.as_ref());
        let paths: Vec<String> = sites.iter().map(|site| site.path.clone()).collect();
        let branch = settings.branch.as_ref().map(settings::BranchName::as_str);
        Ok(Self {
            service: service.name.clone(),
            key: message::key(&origin.environment, &service.name),
            name,
            builds: service.common.repository.is_some(),
            depot: depots.open(&repository, branch, &paths)?,
            client: client(&settings, &origin, Web::new(place.http.clone())),
            sites,
            settings,
            origin,
            staged: RefCell::default(),
            memories: RefCell::default(),
        })
    }

    fn version(&self, image: &ImageRef) -> Version {
        record::version(&self.service, image)
    }

    async fn seen(&self) -> Result<Rc<Snapshot>, Problem> {
        self.depot.seen().await.map_err(|setback| setback.problem(&self.depot.repository))
    }

    /// A problem of a file: with its line where that is a line of the run's own repository, else in words.
    fn placed(&self, problem: Problem) -> Problem {
        let own = self.origin.repository.as_deref() == Some(self.depot.repository.as_str());
        if own { problem } else { write::elsewhere(problem) }
    }

    fn sight(&self, snapshot: &Snapshot) -> Result<Sight, Problem> {
        let sight = Sight::of(snapshot, (&self.service, &self.key), &self.sites, self.name.as_ref());
        sight.map_err(|problem| self.placed(problem))
    }

    /// What `release` wants written, given what was seen.
    fn intent(&self, release: &Release, stand: &Stand) -> Result<Intent, Problem> {
        let former = release.former.as_ref();
        let wish = match former {
            Some(former) => image_of(&former.version)?,
            None => wished(release).ok_or_else(|| no_image(&self.service))?,
        };
        Ok(Intent {
            service: self.service.clone(),
            key: self.key.clone(),
            sites: self.sites.clone(),
            wish,
            expect: Expect::Seen(stand.found.clone()),
            previous: stand.image.clone(),
            operation: if former.is_some() { Operation::Rollback } else { Operation::Deploy },
            undoes: None,
            source: release.commit.clone(),
            run: self.origin.run,
        })
    }

    /// What takes a movement back.
    fn undo(&self, split: &Split, moved: Option<&Rollout>) -> Result<Intent, Problem> {
        let staged = self.staged.borrow();
        let ours = match (moved, staged.as_ref()) {
            (Some(rollout), _) => Expect::Ours(image_text(&rollout.version)?),
            (None, Some((_, written))) => Expect::Ours(written.clone()),
            (None, None) => Expect::OursByRecord,
        };
        Ok(Intent {
            service: self.service.clone(),
            key: self.key.clone(),
            sites: self.sites.clone(),
            wish: image_of(&split.version)?,
            expect: ours,
            previous: None,
            operation: Operation::Undo,
            undoes: moved.and_then(|rollout| rollout.ids.first().cloned()),
            source: None,
            run: self.origin.run,
        })
    }

    /// Looks at the application, or says that there is none to look at.
    async fn fares(
        &self,
        version: &Version,
        image: &ImageRef,
        commit: Option<&str>,
    ) -> Result<Health, Problem> {
        let Some(client) = &self.client else { return Ok(self.handed(version, image, commit)) };
        let application = self.settings.application.as_ref().map_or("", |name| name.as_str());
        let watch = Watch { client, depot: &self.depot, application, sync: self.settings.sync };
        let memory = self.memory(&version.id, commit);
        let mut memory = memory.lock().await;
        watch.look(Want { version, image }, commit, &mut memory).await
    }

    fn memory(&self, version: &str, commit: Option<&str>) -> Rc<Mutex<Memory>> {
        let key = [Some(version), commit].into_iter().flatten().map(str::to_owned).collect();
        self.memories.borrow_mut().entry(key).or_default().clone()
    }

    fn handed(&self, version: &Version, image: &ImageRef, commit: Option<&str>) -> Health {
        let repository = &self.depot.repository;
        let stands = match commit {
            Some(oid) => format!("committed to {repository} as {}", message::short_oid(oid)),
            None => format!("it stands in {repository}"),
        };
        let evidence = format!("{stands}; without an Argo CD server to ask, its rollout was not observed");
        Health::Handed(Handed {
            version: version.clone(),
            digest: image.digest.clone(),
            evidence,
            proposed: false,
        })
    }

    async fn look(&self, rollout: &Rollout) -> Result<Health, Problem> {
        let image = image_text(&rollout.version)?;
        let version = Version { id: rollout.version.clone(), label: rollout.label.clone() };
        if let Some(handed) = propose::open(rollout, &version, &image) {
            return Ok(Health::Handed(handed));
        }
        let health = self.fares(&version, &image, rollout.ids.first().map(String::as_str)).await?;
        self.overtaken(&image, health).await
    }

    /// Where our image will not come because somebody wrote another one after us.
    async fn overtaken(&self, image: &ImageRef, health: Health) -> Result<Health, Problem> {
        if !matches!(health, Health::Progressing(_)) {
            return Ok(health);
        }
        // What cannot be read now can be read at a later look.
        let Some(snapshot) = self.depot.now_and_then().await else { return Ok(health) };
        Ok(self.sight(&snapshot)?.other_than(image).map_or(health, Health::Superseded))
    }
}

fn client(settings: &Settings, origin: &Origin, web: Web) -> Option<client::Client> {
    let (server, application) = (settings.server.as_ref()?, settings.application.as_ref()?);
    let token = origin.argocd_token.clone()?;
    let namespace = settings.application_namespace.as_ref().map(|name| name.as_str());
    Some(client::Client::new(web, token, server.as_str(), application.as_str(), namespace))
}

/// The image of a release, with the tag that it has too.
fn wished(release: &Release) -> Option<ImageRef> {
    let image = release.image.clone()?;
    Some(ImageRef { tag: image.tag.clone().or_else(|| release.tag.clone()), ..image })
}

fn image_of(version: &Version) -> Result<ImageRef, Problem> {
    image_text(&version.id)
}

/// The identifier of a version is its image.
fn image_text(text: &str) -> Result<ImageRef, Problem> {
    text.parse().map_err(|why: String| {
        Problem::error(Code::VersionUnknown, format!("`{text}` is not an image that could stand in a file."))
            .cause(why)
    })
}

fn no_repository() -> Problem {
    Problem::error(Code::ConfigInvalid, "It is not said in which repository the manifests are.")
        .help("Give `repository: owner/name`; in a workflow it may be left out for the workflow's own.")
}

fn no_image(service: &str) -> Problem {
    Problem::error(Code::ConfigInvalid, format!("There is no image for `{service}` to commit."))
        .help("Give the service a `repository`, so that it is built, or name an image in the input `image`.")
}

#[async_trait(?Send)]
impl Target for ArgoCd {
    fn ability(&self, _: &Observed) -> Ability {
        let lacks = "Traffic is shifted by the application itself here: an Argo Rollouts `Rollout` in the manifests. Leave `strategy` out.";
        Ability { traffic: Traffic::Whole, lacks: Some(lacks.into()) }
    }

    async fn observe(&self) -> Result<Observed, Problem> {
        let snapshot = self.seen().await?;
        let sight = self.sight(&snapshot)?;
        let health = match &sight.stand.image {
            Some(image) => self.fares(&self.version(image), image, sight.written_by()).await?,
            None => Health::Unknown("the files carry no image of this service yet".into()),
        };
        Ok(sight.observed(&snapshot, health, self.client.as_ref().map(client::Client::page)))
    }

    fn changes(&self, release: &Release, seen: &Observed) -> Result<Changes, Vec<Problem>> {
        if release.image.is_none() && release.former.is_none() {
            return Ok(Changes::default());
        }
        let tree = sight::tree_of(seen);
        let stand = Stand::read(&tree, &self.sites, self.name.as_ref().or(seen.image.as_ref()));
        let intent = stand.and_then(|stand| self.intent(release, &stand)).map_err(|problem| vec![problem])?;
        sight::changes(&tree, &intent).map_err(|problem| vec![self.placed(problem)])
    }

    async fn check(&self, release: &Release, _: &Observed) -> Vec<Problem> {
        let mut problems = Vec::new();
        // In a plan nothing is built, and the image is not known yet.
        if release.image.is_none() && release.former.is_none() && !self.builds {
            problems.push(no_image(&self.service));
        }
        match self.seen().await {
            Ok(snapshot) => {
                problems.extend(sight::writable(&snapshot, &self.settings, &self.depot.repository))
            }
            Err(problem) => problems.push(problem),
        }
        if let Some(client) = &self.client {
            problems.extend(self.syncs(client).await);
        } else if self.settings.server.is_some() {
            problems.push(unwatched());
        }
        problems.into_iter().map(|problem| problem.of(&release.service)).collect()
    }

    async fn versions(&self) -> Result<Vec<Past>, Problem> {
        let snapshot = self.seen().await?;
        Ok(self.sight(&snapshot)?.past(None))
    }

    async fn recall(&self, version: &Version) -> Result<Former, Problem> {
        let image = image_of(version)?;
        Ok(Former {
            version: version.clone(),
            definition: Value::String(image.to_string()),
            digest: image.digest,
        })
    }

    fn equals(&self, release: &Release, _: &Observed, former: &Former) -> bool {
        let (Some(wished), Ok(former)) = (wished(release), image_of(&former.version)) else { return false };
        match (&wished.digest, &former.digest) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => wished.tag.is_some() && wished.tag == former.tag && wished.repository == former.repository,
        }
    }

    /// Nothing has to be made: the image is there. What is to be written is tried out on the files as they were seen.
    async fn stage(&self, release: &Release, _: &Observed) -> Result<Version, Problem> {
        let snapshot = self.seen().await?;
        let intent = self.intent(release, &self.sight(&snapshot)?.stand)?;
        let (_, written) =
            write::preview(&queue::tree(&snapshot), &intent).map_err(|problem| self.placed(problem))?;
        let version = self.version(&written);
        self.staged.replace(Some((intent, written)));
        Ok(version)
    }

    async fn route(&self, split: &Split) -> Result<Rollout, Problem> {
        let intent = match &split.way {
            Way::Start { .. } => self.staged.borrow().clone().ok_or_else(nothing_staged)?.0,
            Way::Back(moved) => self.undo(split, moved.as_ref())?,
            Way::Onward(rollout) => return Ok(rollout.clone()),
        };
        let settings::PullRequest { wanted, auto_merge } = self.settings.pull_request;
        let how = if wanted { How::Propose { auto_merge } } else { How::Commit };
        let Version { id, label } = split.version.clone();
        Ok(Rollout { version: id, label, ids: self.depot.write(intent, how).await? })
    }

    async fn probe(&self, rollout: &Rollout) -> Result<Health, Problem> {
        self.look(rollout).await
    }

    async fn arms(&self, _: &Observed) -> Result<Vec<Arm>, Problem> {
        Ok(Vec::new())
    }

    fn leaves_failed(&self) -> bool {
        self.settings.on_failure == OnFailure::Leave
    }

    /// Git keeps what was; nothing of ours is left anywhere else.
    async fn retire(&self, _: &Rollout) -> Result<(), Problem> {
        Ok(())
    }
}

fn nothing_staged() -> Problem {
    Problem::error(Code::Internal, "A commit was asked for before anything was staged.")
}

fn unwatched() -> Problem {
    Problem::warning(
        Code::CredentialsMissing,
        "There is a `server`, but no token for it: the rollout will not be watched.",
    )
    .help("Give the input `argocd-token`, or set ARGOCD_AUTH_TOKEN.")
}

impl ArgoCd {
    /// Whether the application will sync at all.
    async fn syncs(&self, client: &client::Client) -> Option<Problem> {
        let application = match client.application(false).await {
            Ok(application) => application,
            Err(problem) => return Some(problem),
        };
        let name = self.settings.application.as_ref().map_or("", |name| name.as_str());
        if application.source_of(&self.depot.repository).is_none() {
            return Some(verdict::foreign(name, &self.depot.repository));
        }
        let stays = !application.is_automated() && !self.settings.sync && !self.settings.pull_request.wanted;
        stays.then(|| {
            let sentence = format!("The application `{name}` does not sync by itself, so the commit would wait for a person.");
            Problem::error(Code::Unsupported, sentence)
                .help("Set `sync: true`, or give the application `syncPolicy: { automated: {} }`. To commit without waiting, leave out `server`.")
        })
    }
}
