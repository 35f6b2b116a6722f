//! The fields of a service's image, from its settings. Pure.

use super::image_edit::ImageField;
use super::settings::{self, File, Settings};
use crate::manifest::{HelmPin, ImageLocation};
use crate::problem::{Code, Problem};
use crate::release::ImageRef;

/// All fields that the settings name.
pub fn image_fields(settings: &Settings, name: Option<&ImageRef>) -> Vec<ImageField> {
    settings.files.0.iter().map(|file| image_field(file, name)).collect()
}

fn image_field(file: &File, name: Option<&ImageRef>) -> ImageField {
    let pin = match file.pin {
        settings::PinSetting::Digest => HelmPin::Digest,
        settings::PinSetting::Tag => HelmPin::Tag,
    };
    ImageField { path: file.path.as_str().to_owned(), location: image_location(file, name), pin }
}

fn image_location(file: &File, name: Option<&ImageRef>) -> ImageLocation {
    match (&file.container, &file.image) {
        (Some(name), _) => ImageLocation::Container { name: name.clone() },
        (None, Some(name)) if is_kustomization(file) => ImageLocation::Kustomize { name: Some(name.clone()) },
        (None, Some(path)) => ImageLocation::from_values_path(path),
        // The registry is the environment's, which is not known yet when the files are read.
        (None, None) => match name {
            Some(name) => ImageLocation::KustomizeByRepository { repository: name.repository.clone() },
            None => ImageLocation::Kustomize { name: None },
        },
    }
}

/// The file names that Kustomize itself recognises.
fn is_kustomization(file: &File) -> bool {
    let name = file.path.as_str().rsplit('/').next().unwrap_or_default();
    ["kustomization.yaml", "kustomization.yml", "Kustomization"].contains(&name)
}

/// Errors of the settings that their types cannot express.
pub fn lint(settings: &Settings) -> Vec<Problem> {
    let invalid = |sentence: String| Problem::error(Code::ConfigInvalid, sentence);
    let mut found = Vec::new();
    for file in &settings.files.0 {
        let path = file.path.as_str();
        if file.image.is_some() && file.container.is_some() {
            found.push(invalid(format!("`{path}` has both `image` and `container`; remove one of them.")));
        }
        if file.image.is_none() && file.container.is_none() && !is_kustomization(file) {
            let sentence = format!("The field of the image in `{path}` is missing.");
            found.push(invalid(sentence).help(
                "Set `image` (the path in Helm values, such as `backend.image`) or `container` (plain manifests).",
            ));
        }
    }
    if settings.server.is_some() && settings.application.is_none() {
        let sentence = "`server` is set but `application` is missing.";
        found
            .push(invalid(sentence.into()).help("Set `application` to the name of the Argo CD application."));
    }
    if settings.sync && settings.server.is_none() {
        found.push(invalid("`sync` requires `server`.".into()));
    }
    found
}

/// The name that finds an entry if the deploy file names none.
pub fn image_name(
    settings: &Settings,
    repository: Option<&str>,
    given: Option<&ImageRef>,
) -> Option<ImageRef> {
    let named =
        settings.files.0.iter().filter(|file| is_kustomization(file)).find_map(|file| file.image.as_deref());
    let parsed = |text: &str| text.parse::<ImageRef>().ok();
    given.cloned().or_else(|| repository.and_then(parsed)).or_else(|| named.and_then(parsed))
}
