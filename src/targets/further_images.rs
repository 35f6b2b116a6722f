//! Further containers of a service whose images are deployed beside its own, in the same version (`images` of a target): what the
//! deploy file says of them, and what is wrong with that. Pure. No name of a target may stand here.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kind::{DeclaredContainer, Spec};
use crate::config::tree::{ConfigEntry, ConfigNode};
use crate::config::{BuildBlock, Service};
use crate::problem::{Code, Location, Problem};
use crate::release::ImageRef;

/// The settings of further containers, by name.
pub type FurtherImages = BTreeMap<String, ContainerSettings>;

/// Where the image of a further container comes from: built and pushed to `repository`, or fixed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ContainerSettings {
    /// How the image is built, with the keys of the `build` of a service. Default: the `Dockerfile` of the repository root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<BuildBlock>,
    /// Repository of the image, such as `acme/nginx`, or with its registry, such as `ghcr.io/acme/nginx`. With the repository of
    /// the service the container gets the image of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// A fixed image such as `public.ecr.aws/nginx/nginx:1.27`, instead of one that is built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// The containers in the order of the deploy file.
pub fn declared_containers(spec: &Spec<'_, FurtherImages>) -> Vec<DeclaredContainer> {
    entries(spec.service).iter().filter_map(|entry| declared_container(spec, entry)).collect()
}

fn entries(service: &Service) -> &[ConfigEntry] {
    service.settings.get("images").map(ConfigNode::entries).unwrap_or_default()
}

fn declared_container(spec: &Spec<'_, FurtherImages>, entry: &ConfigEntry) -> Option<DeclaredContainer> {
    let settings = spec.settings.get(&entry.key)?;
    Some(DeclaredContainer {
        name: entry.key.clone(),
        location: Location { file: spec.file.to_owned(), line: entry.line, column: entry.column },
        repository: settings.repository.clone(),
        build: entry.value.get("build").cloned(),
        image: settings.image.as_deref().and_then(|image| image.parse().ok()),
    })
}

/// What is wrong with the containers, each at its line of the deploy file. `key` is that of the target, and `name_problem` what
/// the target has against the name of a container.
pub fn problems(
    key: &str,
    spec: &Spec<'_, FurtherImages>,
    name_problem: impl Fn(&str) -> Option<Problem>,
) -> Vec<Problem> {
    let declared = declared_containers(spec);
    let of_container = |container: &DeclaredContainer| {
        let source =
            source_problem(key, spec, container).or_else(|| repository_problem(spec, &declared, container));
        let location = Some(container.location.clone());
        let own = name_problem(&container.name).into_iter().chain(source);
        own.map(|problem| Problem { location: location.clone(), ..problem }).collect::<Vec<_>>()
    };
    declared.iter().flat_map(of_container).collect()
}

/// A container that gets the image of the service, which `main` is the container of.
pub fn deployed_twice(key: &str, main: Option<&str>, name: &str) -> Option<Problem> {
    (main == Some(name)).then(|| {
        let sentence =
            format!("The container `{name}` gets the image of the service and is in `{key}.images`, too.");
        let help =
            format!("Remove it from `images`, or name the container of the service in `{key}.container`.");
        Problem::error(Code::ConfigInvalid, sentence).help(help)
    })
}

/// A container without a source of its image, or with two.
fn source_problem(
    key: &str,
    spec: &Spec<'_, FurtherImages>,
    container: &DeclaredContainer,
) -> Option<Problem> {
    let name = &container.name;
    let fixed = spec.settings.get(name)?.image.as_deref();
    let wrong = |sentence: String, help: &str| Some(Problem::error(Code::ConfigInvalid, sentence).help(help));
    match (fixed, &container.build, &container.repository) {
        (Some(_), None, None) => match fixed?.parse::<ImageRef>() {
            Ok(_) => None,
            Err(why) => wrong(format!("The `image` of the container `{name}` cannot be used: {why}."), ""),
        },
        (Some(_), ..) => wrong(
            format!("The container `{name}` has a fixed `image`, and a `build` or `repository`, too."),
            "Keep `image` for an image that is not built here, or `build` and `repository` for one that is.",
        ),
        (None, None, None) => wrong(
            format!(
                "The container `{name}` in `{key}.images` has neither `build` nor `repository` nor `image`."
            ),
            "Add `repository` and `build` for an image that is built, or `image` for a fixed one.",
        ),
        (None, Some(_), None) => wrong(
            format!("There is a `build` of the container `{name}`, but no `repository` to push to."),
            "Add `repository`.",
        ),
        (None, _, Some(_)) => None,
    }
}

/// Two builds that are pushed to one repository: both would get the tag of the commit.
fn repository_problem(
    spec: &Spec<'_, FurtherImages>,
    declared: &[DeclaredContainer],
    container: &DeclaredContainer,
) -> Option<Problem> {
    let (build, repository) = (container.build.as_ref()?, container.repository.as_ref()?);
    let value = |build: &ConfigNode| build.to_value();
    let service = spec.service;
    let is_of_service = service.config.repository.as_ref() == Some(repository);
    let before = declared.iter().take_while(|other| other.name != container.name);
    let same = before.filter(|other| other.repository.as_ref() == Some(repository));
    let other = match is_of_service {
        true if service.build.as_ref().map(value) != Some(value(build)) => Some("the service".to_owned()),
        true => None,
        false => same
            .filter(|other| other.build.as_ref().is_some_and(|other| value(other) != value(build)))
            .map(|other| format!("the container `{}`", other.name))
            .next(),
    };
    let other = other?;
    let name = &container.name;
    let sentence = format!(
        "The images of the container `{name}` and of {other} are different builds with the same repository `{repository}`, \
         so both would get the same tag."
    );
    let help = "Give each its own repository. Without `build`, the container gets the same image.";
    Some(Problem::error(Code::ConfigInvalid, sentence).help(help))
}
