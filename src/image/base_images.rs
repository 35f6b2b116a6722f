//! Which base images a build starts from now: their digests, as their registries have them. Reads only.

use std::rc::Rc;

use futures::future::join_all;

use super::builder::BuildRequest;
use super::dockerfile::Dockerfile;
use super::registry::Registry;
use super::registry_logins::RegistryAccess;
use crate::release::ImageRef;
use crate::sys::disk;

/// A base image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BaseImage {
    /// The image with its digest.
    Resolved(String),
    /// Why its digest is not known.
    Unknown(String),
}

/// The base images of the Dockerfile, in its order. `own` is the registry that the image is pushed to.
pub(super) async fn resolve(
    request: &BuildRequest,
    own: &Rc<dyn Registry>,
    access: &RegistryAccess,
) -> Vec<BaseImage> {
    let text = disk::read_text_within(&request.workspace, &request.dockerfile_path()).unwrap_or_default();
    let images = Dockerfile::parse(&text).base_images(&request.settings.args);
    let resolving = images.iter().map(|name| async move {
        let image: ImageRef = match name.parse() {
            Ok(image) => image,
            Err(why) => return BaseImage::Unknown(format!("the base image {why}")),
        };
        if image.digest.is_some() {
            return BaseImage::Resolved(name.clone());
        }
        let registry = match image.registry == request.repository.registry {
            true => Rc::clone(own),
            false => access.registry(&image.registry),
        };
        match registry.find(&image).await {
            Ok(Some(found)) => BaseImage::Resolved(format!("{name}@{}", found.digest)),
            Ok(None) => BaseImage::Unknown(format!("`{name}` is not in its registry")),
            Err(problem) => BaseImage::Unknown(format!("`{name}`: {}", problem.sentence)),
        }
    });
    join_all(resolving).await
}
