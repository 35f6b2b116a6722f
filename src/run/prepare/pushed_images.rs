//! The images that the services of the deploy file push, also those that are not part of this run: images that are built
//! differently for one repository get tags of their own.

use serde_json::Value;

use crate::config::Service;
use crate::run::context::RunContext;
use crate::run::prepare::placeholders::run_placeholders;
use crate::run::run_config::RunConfig;
use crate::targets::{self, DeclaredContainer, ServiceSpec};

/// An image that a service pushes.
#[derive(Debug, Clone, PartialEq)]
struct PushedImage {
    service: String,
    repository: String,
    /// Its `build` block.
    build: Option<Value>,
}

/// The images that all services push in an environment.
pub(super) struct PushedImages(Vec<PushedImage>);

impl PushedImages {
    /// Those of the environment of this run.
    pub(super) fn read(ctx: &RunContext, config: &RunConfig) -> Self {
        let (targets, known) = (targets::keys(ctx.kinds), run_placeholders(ctx, &config.environment_name));
        let (services, _) = config.document.services(&config.environment_name, &[], &targets, &known);
        let mut images: Vec<PushedImage> = services.iter().filter_map(image_of_service).collect();
        let specs = services
            .into_iter()
            .filter_map(|service| ServiceSpec::read(ctx.kinds, &config.document.file, service).ok());
        images.extend(specs.flat_map(|spec| images_of_containers(&spec)));
        Self(images)
    }

    /// What the tags of an image of a service end with: the name of the service, if another one builds other images for the
    /// same repository.
    pub(super) fn tag_suffix(&self, service: &str, repository: &str) -> Option<String> {
        let own = self.0.iter().find(|it| it.service == service && it.repository == repository)?;
        let is_rival = |other: &PushedImage| {
            other.service != service && other.repository == repository && other.build != own.build
        };
        self.0.iter().any(is_rival).then(|| service.to_owned())
    }
}

fn image_of_service(service: &Service) -> Option<PushedImage> {
    Some(PushedImage {
        service: service.name.clone(),
        repository: service.config.repository.clone()?,
        build: service.build.as_ref().map(|node| node.to_value()),
    })
}

/// The images of further containers with a repository of their own. Those of one repository have one build.
fn images_of_containers(spec: &ServiceSpec) -> Vec<PushedImage> {
    let declared = spec.containers();
    let build = |container: &DeclaredContainer| {
        let same = declared.iter().filter(|other| other.repository == container.repository);
        same.filter_map(|other| other.build.as_ref()).map(|node| node.to_value()).next()
    };
    let own = declared.iter().filter(|container| container.repository != spec.config.repository);
    let image = |container: &DeclaredContainer| {
        let (repository, build) = (container.repository.clone()?, build(container));
        Some(PushedImage { service: spec.name.clone(), repository, build })
    };
    own.filter_map(image).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_have_a_suffix_where_another_service_builds_other_images() {
        let image = |service: &str, repository: &str, context: &str| PushedImage {
            service: service.into(),
            repository: repository.into(),
            build: Some(serde_json::json!({ "context": context })),
        };
        // `shop` has a further container with the repository of `web`.
        let images = |context: &str| {
            PushedImages(vec![
                image("shop", "acme/php", "php"),
                image("web", "acme/nginx", "nginx"),
                image("shop", "acme/nginx", context),
            ])
        };
        for (context, service, repository, expected) in [
            ("nginx", "shop", "acme/nginx", None),
            ("other", "shop", "acme/nginx", Some("shop")),
            ("other", "web", "acme/nginx", Some("web")),
            ("other", "shop", "acme/php", None),
            ("other", "shop", "acme/unknown", None),
        ] {
            let suffix = images(context).tag_suffix(service, repository);
            assert_eq!(suffix.as_deref(), expected, "{context} {service} {repository}");
        }
    }
}
