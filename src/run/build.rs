//! Which image each service gets: the one that was named, one that is built, or the one it has.

use std::rc::Rc;

use aws_config::SdkConfig;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::action::{ImageChoice, Operation};
use crate::aws::Paces;
use crate::image::{self, Build, BuildRequest, Builder, Registry};
use crate::problem::{Code, Problem};
use crate::release::ImageRef;
use crate::sys::process;

use super::{Job, Unit, operation};

/// The registry of the environment's account, and its host as image references name it.
pub(super) struct Place {
    pub(super) registry: Rc<dyn Registry>,
    pub(super) host: String,
}

/// Gives every unit its image; builds where that is what the deploy file says and a plan is not all that was asked.
/// The registry comes with it where one was needed. Without a session there is none: an image that is named is taken as
/// it is.
pub(super) async fn images(
    job: &Job,
    session: Option<&SdkConfig>,
    builds: &[Option<Build>],
    mut units: Vec<Unit>,
) -> Result<(Vec<Unit>, Option<Rc<dyn Registry>>), Vec<Problem>> {
    let problems = misnamed(job, &units);
    if !problems.is_empty() {
        return Err(problems);
    }
    if builds.iter().all(Option::is_none) && job.inputs.images.is_empty() {
        return Ok((units, None));
    }
    let place = match session {
        Some(session) => Some(place(job, session).await.map_err(|problem| vec![problem])?),
        None => None,
    };
    let wishes = wishes(job, &units, builds, place.as_ref())?;
    let got = granted(job, wishes, place.as_ref()).await.map_err(|problem| vec![problem])?;
    units.iter_mut().zip(got).for_each(|(unit, got)| got.to(job, unit));
    Ok((units, place.map(|place| place.registry)))
}

/// The wishes of all services, with their names.
fn wishes(
    job: &Job,
    units: &[Unit],
    builds: &[Option<Build>],
    place: Option<&Place>,
) -> Result<Vec<(String, Wish)>, Vec<Problem>> {
    let (mut wishes, mut problems) = (Vec::new(), Vec::new());
    for (unit, block) in units.iter().zip(builds) {
        match wish(job, unit, block, place) {
            Ok(wish) => wishes.push((unit.name().to_owned(), wish)),
            Err(problem) => problems.push(problem.of(unit.name())),
        }
    }
    if problems.is_empty() { Ok(wishes) } else { Err(problems) }
}

/// The registry that a session has a login for.
pub(super) async fn place(job: &Job, session: &SdkConfig) -> Result<Place, Problem> {
    let web = (!job.rehearsal).then(image::Web::new);
    let (registry, host) = image::ecr::registry(session, web, job.masker()).await?;
    Ok(Place { registry, host })
}

/// Images named for services that are not part of this run, or for nobody in particular among several.
fn misnamed(job: &Job, units: &[Unit]) -> Vec<Problem> {
    let names = units.iter().map(Unit::name).collect::<Vec<_>>();
    let list = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let wrong = job.inputs.images.iter().filter_map(|choice| match &choice.service {
        Some(name) if !names.contains(&name.as_str()) => Some(Problem::error(
            Code::NameUnknown,
            format!("The input `image` names `{name}`, which is not released in this run."),
        )),
        None if names.len() > 1 => Some(Problem::error(
            Code::InputInvalid,
            "The input `image` does not say which of several services it is for.",
        )),
        _ => None,
    });
    wrong
        .map(|problem| problem.help(format!("Write lines of `service=image`, with services out of {list}.")))
        .collect()
}

/// What one service gets its image from.
enum Wish {
    /// The image that it has.
    Kept,
    /// The image that the inputs name.
    Named(ImageRef),
    /// In a plan: what would be built, in words.
    WouldBuild(String),
    /// An image that is to be built.
    Built(Box<BuildRequest>),
}

fn wish(job: &Job, unit: &Unit, block: &Option<Build>, place: Option<&Place>) -> Result<Wish, Problem> {
    let named = |choice: &&ImageChoice| choice.service.as_deref().is_none_or(|name| name == unit.name());
    if let Some(choice) = job.inputs.images.iter().find(named) {
        return Ok(Wish::Named(choice.image.clone()));
    }
    let (Some(settings), Some(repository), Some(place)) = (block, &unit.service.common.repository, place)
    else {
        return Ok(Wish::Kept);
    };
    if operation(job) == Operation::Plan {
        let commit = job.context.commit();
        let commit = commit.map_or("the workspace", |commit| commit.get(..7).unwrap_or(commit));
        return Ok(Wish::WouldBuild(format!("{repository}, built from {commit}")));
    }
    let target = target(&place.host, repository)?;
    Ok(Wish::Built(Box::new(request(job, unit, settings, target))))
}

fn request(job: &Job, unit: &Unit, settings: &Build, repository: ImageRef) -> BuildRequest {
    let context = &job.context;
    BuildRequest {
        service: unit.name().to_owned(),
        repository,
        workspace: job.workspace.clone(),
        settings: settings.clone(),
        commit: context.commit().unwrap_or_default().to_owned(),
        branch: context.branch().map(str::to_owned),
        source: context.repository.as_ref().zip(context.server_url.as_ref()).map(|(r, s)| format!("{s}/{r}")),
    }
}

/// What came of a wish.
#[derive(Default)]
struct Got {
    image: Option<ImageRef>,
    tag: Option<String>,
    would_build: Option<String>,
    built: Option<image::Built>,
}

impl Got {
    /// Gives it to its service.
    fn to(self, job: &Job, unit: &mut Unit) {
        if let Some(built) = self.built {
            let words = match built.reused {
                true => "the same source is in the repository already: nothing was built",
                false => "built and pushed",
            };
            unit.report.moment(job.doors.clock.now(), format!("{words}: {}", built.image));
            unit.report.problems.extend(built.notices);
            unit.built = true;
        }
        unit.report.image = self.image.clone();
        unit.report.digest = self.image.as_ref().and_then(|image| image.digest.clone());
        unit.release.tag = self.tag;
        unit.release.image = self.image;
        unit.would_build = self.would_build;
    }
}

/// Grants all wishes, as many at once as the machine has cores for builds. The first error ends them all: what is being
/// built for the others would not be released.
async fn granted(job: &Job, wishes: Vec<(String, Wish)>, place: Option<&Place>) -> Result<Vec<Got>, Problem> {
    let builds = wishes.iter().filter(|(_, wish)| matches!(wish, Wish::Built(_))).count();
    if builds > 1 {
        job.teller.group(&format!("build {builds} images"));
    }
    let paces = &Paces::of(wishes.len());
    let one = |(service, wish): (String, Wish)| async move {
        paces.reads.turn().await;
        grant(job, wish, place, builds == 1).await.map_err(|problem| problem.of(&service))
    };
    let at_once = process::cores().max(1);
    let got = stream::iter(wishes).map(one).buffered(at_once).try_collect().await;
    if builds > 1 {
        job.teller.end_group();
    }
    got
}

async fn grant(job: &Job, wish: Wish, place: Option<&Place>, alone: bool) -> Result<Got, Problem> {
    match (wish, place) {
        (Wish::Named(image), _) => {
            let tag = image.tag.clone();
            Ok(Got { image: Some(pinned(job, &image, place).await?), tag, ..Got::default() })
        }
        (Wish::WouldBuild(words), _) => Ok(Got { would_build: Some(words), ..Got::default() }),
        (Wish::Built(request), Some(place)) => {
            let built = run_builder(job, &request, &place.registry, alone).await?;
            let (image, tag) = (Some(built.image.clone()), named(&request.commit, &built.tags));
            Ok(Got { image, tag, built: Some(built), would_build: None })
        }
        _ => Ok(Got::default()),
    }
}

/// A tag can move between the check and the start of a task: what is deployed is the digest it stands for now.
async fn pinned(job: &Job, image: &ImageRef, place: Option<&Place>) -> Result<ImageRef, Problem> {
    let Some(place) = place.filter(|place| image.digest.is_none() && place.host == image.registry) else {
        return Ok(image.clone());
    };
    let found = place.registry.find(image).await?.ok_or_else(|| {
        Problem::error(Code::ImageMissing, format!("The image `{image}` is not in the registry."))
            .help("Check repository and tag, and that the image was pushed to this account and region.")
    })?;
    job.teller.line(None, &format!("{image} is {}", found.digest));
    Ok(image.pinned(found.digest))
}

/// The `repository` of a service in a registry.
pub(super) fn target(host: &str, repository: &str) -> Result<ImageRef, Problem> {
    format!("{host}/{repository}")
        .parse()
        .map_err(|why| Problem::error(Code::ConfigInvalid, format!("`repository` cannot be used: {why}.")))
}

/// The tag that says most: that of the commit, else any.
fn named(commit: &str, tags: &[String]) -> Option<String> {
    let of_commit = image::tags::of_commit(commit);
    tags.iter().find(|tag| **tag == of_commit).or(tags.first()).cloned()
}

async fn run_builder(
    job: &Job,
    request: &BuildRequest,
    registry: &Rc<dyn Registry>,
    alone: bool,
) -> Result<image::Built, Problem> {
    let builder: Rc<dyn Builder> = match &job.builder {
        Some(builder) => builder.clone(),
        None => job.real_builder(registry.clone()),
    };
    // Folds do not nest, and lines of several builds mix: each says whose it is.
    let title = format!("build {} → {}", request.service, request.repository);
    if alone {
        job.teller.group(&title)
    } else {
        job.teller.line(Some(&request.service), &title)
    }
    let mut log = |line: &str| job.teller.outside(&request.service, line);
    let result = tokio::select! {
        result = builder.build(request, &mut log) => result,
        () = job.cancel.reached(crate::sys::signal::Urgency::Cancel) => Err(cancelled()),
    };
    builder.close().await;
    if alone {
        job.teller.end_group();
    }
    result
}

impl Job {
    fn real_builder(&self, registry: Rc<dyn Registry>) -> Rc<dyn Builder> {
        Rc::new(image::Buildx::new(self.doors.variables.clone(), registry, self.masker()))
    }

    /// Hides whatever it is given, from the log and from everything written after.
    pub(super) fn masker(&self) -> Rc<dyn Fn(&str)> {
        let teller = self.teller.clone();
        Rc::new(move |secret| teller.mask(secret))
    }
}

fn cancelled() -> Problem {
    Problem::error(Code::Cancelled, "The run was cancelled while the image was built; nothing was released.")
}
