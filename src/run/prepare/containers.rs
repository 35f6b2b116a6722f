//! The further containers of a service, as the deploy file has them: where the image of each comes from, and which of them
//! share one. No call is made.

use std::collections::BTreeMap;

use crate::config;
use crate::config::paths;
use crate::image::Build;
use crate::problem::Problem;
use crate::release::ImageRef;
use crate::run::run_config::{ContainerSource, DeclaredService, ReleasedContainer};
use crate::run::service_run::ServiceRun;
use crate::targets::{DeclaredContainer, ServiceSpec};

/// The further containers of a service, and what is wrong with their builds. A container that the kind rejects is left out:
/// its problem is known.
pub(in crate::run) fn read(file: &str, service: &ServiceSpec) -> (Vec<ReleasedContainer>, Vec<Problem>) {
    let declared = service.containers();
    let (mut containers, mut problems) = (Vec::new(), Vec::new());
    for container in &declared {
        let SourceReading { source, problems: more } = read_source(file, service, &declared, container);
        // Containers that share a build share its problems.
        problems.extend(more.into_iter().filter(|problem| !problems.contains(problem)).collect::<Vec<_>>());
        containers.extend(source.map(|source| ReleasedContainer {
            name: container.name.clone(),
            repository: container.repository.clone(),
            source,
        }));
    }
    (containers, problems)
}

/// Where an image comes from, as far as it can be read, and what is wrong with it.
struct SourceReading {
    source: Option<ContainerSource>,
    problems: Vec<Problem>,
}

impl SourceReading {
    fn without_problems(source: Option<ContainerSource>) -> Self {
        Self { source, problems: Vec::new() }
    }
}

/// Where the image of a container comes from. One repository has one build: that of the service, or of any container that
/// has it.
fn read_source(
    file: &str,
    service: &ServiceSpec,
    declared: &[DeclaredContainer],
    container: &DeclaredContainer,
) -> SourceReading {
    if let Some(image) = &container.image {
        return SourceReading::without_problems(Some(ContainerSource::Fixed(image.clone())));
    }
    if container.repository.is_none() {
        return SourceReading::without_problems(None);
    }
    if container.repository == service.config.repository {
        return SourceReading::without_problems(Some(ContainerSource::OfService));
    }
    let same = declared.iter().filter(|other| other.repository == container.repository);
    let owner = same.clone().find(|other| other.build.is_some()).unwrap_or(container);
    read_build(file, service, owner)
}

fn read_build(file: &str, service: &ServiceSpec, owner: &DeclaredContainer) -> SourceReading {
    let built = |build: Build| Some(ContainerSource::Built(Box::new(build)));
    let Some(node) = &owner.build else { return SourceReading::without_problems(built(Build::default())) };
    let what = format!("`build` of the container `{}` of service `{}`", owner.name, service.name);
    match config::read::<Build>(file, &what, node) {
        Ok(build) => {
            let problems = build.problems_at(file, node);
            SourceReading { source: built(build), problems }
        }
        Err(problems) => SourceReading { source: None, problems },
    }
}

/// Which containers of a service get an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::run) struct ImageSlot {
    /// Name of the service.
    pub(in crate::run) service: String,
    /// Whether it is the image of the service.
    pub(in crate::run) is_of_service: bool,
    /// The further containers that get it.
    pub(in crate::run) containers: Vec<String>,
}

impl ImageSlot {
    /// The slot of the image of a service.
    pub(in crate::run) fn of_service(service: &ServiceRun) -> Self {
        let shared = service.containers.iter().filter(|it| it.source == ContainerSource::OfService);
        let containers = shared.map(|it| it.name.clone()).collect();
        Self { service: service.name().to_owned(), is_of_service: true, containers }
    }

    fn of_containers(service: &ServiceRun, containers: Vec<String>) -> Self {
        Self { service: service.name().to_owned(), is_of_service: false, containers }
    }

    /// What the image is for, in log lines and as the scope of caches.
    pub(in crate::run) fn label(&self) -> String {
        match self.containers.first().filter(|_| !self.is_of_service) {
            Some(container) => format!("{}/{container}", self.service),
            None => self.service.clone(),
        }
    }
}

/// An image that is built for further containers.
pub(in crate::run) struct BuiltSlot<'s> {
    /// The containers.
    pub(in crate::run) slot: ImageSlot,
    /// How it is built.
    pub(in crate::run) build: &'s Build,
    /// Where it is pushed to.
    pub(in crate::run) repository: &'s str,
}

/// The images that are built for further containers of a service: one for each repository.
pub(in crate::run) fn built_slots(service: &ServiceRun) -> Vec<BuiltSlot<'_>> {
    let built = service.containers.iter().filter_map(|it| match &it.source {
        ContainerSource::Built(build) => Some((it.repository.as_deref()?, &**build)),
        ContainerSource::Fixed(_) | ContainerSource::OfService => None,
    });
    let by_repository: BTreeMap<&str, &Build> = built.collect();
    let slot = |(repository, build)| {
        let same = service.containers.iter().filter(|it| it.repository.as_deref() == Some(repository));
        let containers = same.map(|it| it.name.clone()).collect();
        BuiltSlot { slot: ImageSlot::of_containers(service, containers), build, repository }
    };
    by_repository.into_iter().map(slot).collect()
}

/// The fixed images of further containers of a service.
pub(in crate::run) fn fixed_slots(service: &ServiceRun) -> impl Iterator<Item = (ImageSlot, ImageRef)> {
    service.containers.iter().filter_map(|container| match &container.source {
        ContainerSource::Fixed(image) => {
            Some((ImageSlot::of_containers(service, vec![container.name.clone()]), image.clone()))
        }
        ContainerSource::OfService | ContainerSource::Built(_) => None,
    })
}

/// The build contexts of further containers: their changes are changes of the service. The root of the repository is none:
/// every file is in it, so that `paths` decides.
pub(in crate::run) fn build_contexts(declared: &DeclaredService) -> Vec<String> {
    let contexts = further_builds(declared).map(|build| paths::to_git_path(&build.context));
    contexts.filter(|context| !context.is_empty()).collect()
}

/// The builds of further containers.
pub(in crate::run) fn further_builds(declared: &DeclaredService) -> impl Iterator<Item = &Build> {
    declared.containers.iter().filter_map(|container| match &container.source {
        ContainerSource::Built(build) => Some(&**build),
        ContainerSource::Fixed(_) | ContainerSource::OfService => None,
    })
}
