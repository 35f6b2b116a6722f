//! Which image each service gets: the one that was named, one that is built, or the one it has.

use std::rc::Rc;

use aws_config::SdkConfig;

use crate::action::Operation;
use crate::image::{self, Build, BuildRequest, Builder, Registry};
use crate::problem::{Code, Problem};
use crate::release::ImageRef;

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
    for (unit, block) in units.iter_mut().zip(builds) {
        let chosen = chosen(job, unit, block.clone(), place.as_ref())
            .await
            .map_err(|problem| vec![problem.of(unit.name())])?;
        unit.report.image = chosen.clone();
        unit.report.digest = chosen.as_ref().and_then(|image| image.digest.clone());
        unit.release.image = chosen;
    }
    Ok((units, place.map(|place| place.registry)))
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

async fn chosen(
    job: &Job,
    unit: &mut Unit,
    block: Option<Build>,
    place: Option<&Place>,
) -> Result<Option<ImageRef>, Problem> {
    let named = job
        .inputs
        .images
        .iter()
        .find(|choice| choice.service.as_deref().is_none_or(|name| name == unit.name()));
    if let Some(choice) = named {
        unit.release.tag = choice.image.tag.clone();
        return pinned(job, &choice.image, place).await.map(Some);
    }
    match (block, unit.service.common.repository.clone().zip(place)) {
        (Some(_), Some((repository, _))) if operation(job) == Operation::Plan => {
            let commit =
                job.context.commit().map_or("the workspace", |commit| commit.get(..7).unwrap_or(commit));
            unit.would_build = Some(format!("{repository}, built from {commit}"));
            Ok(None)
        }
        (Some(settings), Some((repository, place))) => {
            build(job, unit, settings, &repository, place).await.map(Some)
        }
        _ => Ok(None),
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

async fn build(
    job: &Job,
    unit: &mut Unit,
    settings: Build,
    repository: &str,
    place: &Place,
) -> Result<ImageRef, Problem> {
    let target = target(&place.host, repository)?;
    let request = BuildRequest {
        service: unit.name().to_owned(),
        repository: target,
        workspace: job.workspace.clone(),
        settings,
        commit: job.context.commit().unwrap_or_default().to_owned(),
        branch: job.context.branch().map(str::to_owned),
        source: job
            .context
            .repository
            .as_ref()
            .zip(job.context.server_url.as_ref())
            .map(|(r, s)| format!("{s}/{r}")),
    };
    let built = run_builder(job, &request, &place.registry).await?;
    let words = if built.reused {
        "the same source is in the repository already: nothing was built"
    } else {
        "built and pushed"
    };
    unit.report.moment(job.doors.clock.now(), format!("{words}: {}", built.image));
    unit.report.problems.extend(built.notices);
    unit.built = true;
    unit.release.tag = named(&request.commit, &built.tags);
    Ok(built.image)
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
) -> Result<image::Built, Problem> {
    let builder: Rc<dyn Builder> = match &job.builder {
        Some(builder) => builder.clone(),
        None => job.real_builder(registry.clone()),
    };
    job.teller.group(&format!("build {} → {}", request.service, request.repository));
    let mut log = |line: &str| job.teller.outside(&request.service, line);
    let result = tokio::select! {
        result = builder.build(request, &mut log) => result,
        () = job.cancel.reached(crate::sys::signal::Urgency::Cancel) => Err(cancelled()),
    };
    builder.close().await;
    job.teller.end_group();
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
