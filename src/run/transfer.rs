//! How an image that was proven elsewhere comes into the registry of this environment: it is there, it is copied, or it is
//! taken from where it is. All sources are looked at before the first copy.

use std::rc::Rc;

use aws_config::SdkConfig;

use crate::aws;
use crate::image::{self, Copied, Depot, Registry, tags};
use crate::problem::{Code, Problem};
use crate::release::{Digest, ImageRef};
use crate::sys::web::Web;

use super::build::{self, Place};
use super::declare::Declared;
use super::prepare;
use super::promote::Promoted;
use super::{Job, Unit};

/// Where the image of a service is, and where it has to be.
enum Errand {
    /// In a registry that is not ours: it is deployed from there, as it was where it was proven.
    AsItIs,
    /// In its place.
    Here(ImageRef),
    /// In another repository.
    Copy { from: Box<Depot>, to: Box<Depot>, image: ImageRef },
}

/// Gives every unit its image, by digest, and the registry that has them.
pub(super) async fn bring(
    job: &Job,
    declared: &Declared,
    source: &str,
    session: Option<&SdkConfig>,
    units: &mut [Unit],
    promoted: &[Promoted],
) -> Result<Option<Rc<dyn Registry>>, Vec<Problem>> {
    let place = match session.filter(|_| units.iter().any(|unit| unit.service.common.repository.is_some())) {
        Some(session) => Some(build::place(job, session).await.map_err(|problem| vec![problem])?),
        None => None,
    };
    let ways = Ways { job, declared, source, session, place: place.as_ref() };
    let (mut errands, mut problems) = (Vec::new(), Vec::new());
    for (unit, one) in units.iter().zip(promoted) {
        match ways.errand(unit, one).await {
            Ok(errand) => errands.push(errand),
            Err(problem) => problems.push(problem.of(unit.name())),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    for ((unit, one), errand) in units.iter_mut().zip(promoted).zip(errands) {
        carry(job, unit, one, errand, place.as_ref())
            .await
            .map_err(|problem| vec![problem.of(unit.name())])?;
    }
    Ok(place.map(|place| place.registry))
}

/// What is known of the ways to an image.
struct Ways<'r> {
    job: &'r Job,
    declared: &'r Declared,
    /// The environment that proved it.
    source: &'r str,
    session: Option<&'r SdkConfig>,
    /// The registry of this environment.
    place: Option<&'r Place>,
}

impl Ways<'_> {
    async fn errand(&self, unit: &Unit, one: &Promoted) -> Result<Errand, Problem> {
        let Some((repository, place)) = unit.service.common.repository.as_deref().zip(self.place) else {
            return Ok(Errand::AsItIs);
        };
        let image = build::target(&place.host, repository)?.pinned(one.digest.clone());
        if image.name() == one.image.name() {
            let found = place.registry.find(&image).await?;
            return found.map(|_| Errand::Here(image)).ok_or_else(|| gone(&one.image, self.source));
        }
        let to = self.depot(&image, place.registry.clone());
        if to.manifest(&one.digest).await?.is_some() {
            return Ok(Errand::Here(image));
        }
        match self.origin(&one.image, &one.digest, place).await? {
            Some(from) => Ok(Errand::Copy { from: Box::new(from), to: Box::new(to), image }),
            None => Ok(Errand::AsItIs),
        }
    }

    fn depot(&self, image: &ImageRef, logins: Rc<dyn Registry>) -> Depot {
        Depot::new(Web::new(self.job.doors.http.clone()), image, logins)
    }

    /// The repository of the proof, where this run may read it: with its own role, or else with that of the environment
    /// that proved it. `None` where the registry is none of AWS's accounts, so that nobody here has a login for it.
    async fn origin(
        &self,
        image: &ImageRef,
        digest: &Digest,
        place: &Place,
    ) -> Result<Option<Depot>, Problem> {
        let reached =
            image::ecr::region(&image.registry).is_some() || image::registry::is_loopback(&image.registry);
        if !reached {
            return Ok(None);
        }
        let mut refused = None;
        for attempt in 0..2 {
            let logins = match attempt {
                0 => self.own(image, place).await,
                _ => self.theirs(image).await,
            };
            let logins = match logins {
                Ok(Some(logins)) => logins,
                Ok(None) => continue,
                Err(problem) => {
                    refused.get_or_insert(problem);
                    continue;
                }
            };
            let depot = self.depot(image, logins);
            match depot.manifest(digest).await {
                Ok(Some(_)) => return Ok(Some(depot)),
                Ok(None) => return Err(gone(image, self.source)),
                Err(problem) if is_refusal(&problem) => {
                    refused.get_or_insert(problem);
                }
                Err(problem) => return Err(problem),
            }
        }
        refused.map_or(Ok(None), |problem| Err(unreadable(problem, image, self.source)))
    }

    /// A login with the run's own credentials. A token of ECR opens the registries of its own region.
    async fn own(&self, image: &ImageRef, place: &Place) -> Result<Option<Rc<dyn Registry>>, Problem> {
        if image.registry == place.host {
            return Ok(Some(place.registry.clone()));
        }
        let (Some(session), Some(region)) = (self.session, image::ecr::region(&image.registry)) else {
            return Ok(None);
        };
        let region = aws_config::Region::new(region.to_owned());
        let there = session.clone().into_builder().region(region).build();
        build::place(self.job, &there).await.map(|place| Some(place.registry))
    }

    /// A login with the role of the environment that proved the image.
    async fn theirs(&self, image: &ImageRef) -> Result<Option<Rc<dyn Registry>>, Problem> {
        let (environments, _) = self.declared.document.environments();
        let Some(aws) = environments.get(self.source).and_then(|environment| environment.aws.clone()) else {
            return Ok(None);
        };
        if aws.role.is_none() {
            return Ok(None);
        }
        let region = image::ecr::region(&image.registry).map(str::to_owned).or(aws.region);
        let wanted = aws::Wanted { region, role: aws.role, session_name: prepare::session_name(self.job) };
        let (session, _) = aws::open(&self.job.doors, &wanted).await?;
        let place = build::place(self.job, &session).await?;
        Ok((place.host == image.registry).then_some(place.registry))
    }
}

fn is_refusal(problem: &Problem) -> bool {
    matches!(problem.code, Code::PermissionMissing | Code::RegistryLoginFailed | Code::RoleRefused)
}

fn gone(image: &ImageRef, source: &str) -> Problem {
    let sentence = format!("The image `{image}`, which `{source}` proved, is not in the registry any more.");
    Problem::error(Code::ImageMissing, sentence).help(format!(
        "Check the lifecycle policy of that repository; deploy to `{source}` again, so that it is built and proven anew."
    ))
}

fn unreadable(problem: Problem, image: &ImageRef, source: &str) -> Problem {
    let name = image.name();
    let cause = match &problem.cause {
        Some(cause) => format!("{} {cause}", problem.sentence),
        None => problem.sentence.clone(),
    };
    let sentence = format!("The image that `{source}` proved cannot be read from `{name}`.");
    Problem::error(problem.code, sentence).cause(cause).help(format!(
        "Let the policy of that repository allow this environment's account to pull (ecr:BatchGetImage, \
         ecr:GetDownloadUrlForLayer, ecr:BatchCheckLayerAvailability), or let this job assume the role of `{source}`."
    ))
}

async fn carry(
    job: &Job,
    unit: &mut Unit,
    one: &Promoted,
    errand: Errand,
    place: Option<&Place>,
) -> Result<(), Problem> {
    let image = match errand {
        Errand::AsItIs => one.image.clone(),
        Errand::Here(image) => image,
        Errand::Copy { from, to, image } => {
            let copied = copied(job, unit.name(), &from, &to, &one.digest).await?;
            let words = format!("copied from {} to {}: {}", from.name(), to.name(), summed(&copied));
            job.teller.line(Some(unit.name()), &words);
            unit.report.moment(job.doors.clock.now(), words);
            image
        }
    };
    unit.release.tag = match place.filter(|place| place.host == image.registry).zip(one.commit.as_deref()) {
        Some((place, commit)) => tagged(unit, place, &image, &tags::of_commit(commit)).await,
        None => None,
    };
    unit.report.image = Some(image.clone());
    unit.release.image = Some(image);
    unit.built = one.commit.is_some();
    Ok(())
}

fn summed(copied: &Copied) -> String {
    let Copied { there, mounted, sent, bytes } = copied;
    format!("{sent} parts sent ({} MB), {mounted} mounted, {there} there already", bytes >> 20)
}

/// The copy, within the time that is not kept for the way back.
async fn copied(
    job: &Job,
    service: &str,
    from: &Depot,
    to: &Depot,
    digest: &Digest,
) -> Result<Copied, Problem> {
    job.teller
        .line(Some(service), &format!("copying {}… from {} to {}", digest.short(), from.name(), to.name()));
    let left = job.inputs.timeout.saturating_sub(job.reserve()).saturating_sub(job.doors.clock.elapsed());
    let tell = |words: &str| job.teller.line(Some(service), words);
    match tokio::time::timeout(left, image::copy(from, to, digest, &tell)).await {
        Ok(copied) => copied,
        Err(_) => Err(Problem::error(
            Code::TimedOut,
            "The image was not copied in the time given; nothing was released.",
        )
        .help("Give the input `timeout` more. Run the job again: what arrived already is not sent again.")),
    }
}

/// The tag of the commit names the image here, too, for people, for lifecycle policies and for later runs. What is
/// deployed is the digest: without the tag nothing but a name is missing.
async fn tagged(unit: &mut Unit, place: &Place, image: &ImageRef, tag: &str) -> Option<String> {
    let known = place.registry.tags(image).await.unwrap_or_default();
    if known.iter().any(|known| known == tag) {
        return Some(tag.to_owned());
    }
    match place.registry.tag(image, tag).await {
        Ok(()) => Some(tag.to_owned()),
        Err(problem) => {
            let sentence =
                format!("The tag `{tag}` could not be put on `{image}`; it is deployed by its digest.");
            let notice = Problem::notice(problem.code, sentence).cause(problem.to_string());
            unit.report.problems.push(notice.of(unit.name()));
            None
        }
    }
}
