//! The places of a service's image, from its block of the deploy file. Pure.

use super::intent::Site;
use super::settings::{self, File, Settings};
use crate::manifest::{Pin, Spot};
use crate::problem::{Code, Problem};
use crate::release::ImageRef;

/// All places that a block names.
pub fn sites(settings: &Settings, name: Option<&ImageRef>) -> Vec<Site> {
    settings.files.0.iter().map(|file| site(file, name)).collect()
}

fn site(file: &File, name: Option<&ImageRef>) -> Site {
    let pin = match file.pin {
        settings::Pin::Digest => Pin::Digest,
        settings::Pin::Tag => Pin::Tag,
    };
    Site { path: file.path.as_str().to_owned(), spot: spot(file, name), pin }
}

fn spot(file: &File, name: Option<&ImageRef>) -> Spot {
    match (&file.container, &file.image) {
        (Some(name), _) => Spot::Container { name: name.clone() },
        (None, Some(name)) if is_kustomization(file) => Spot::Kustomize { name: Some(name.clone()) },
        (None, Some(path)) => Spot::values(path),
        // The registry is that of the environment, which is not known yet when the files are read.
        (None, None) => match name {
            Some(name) => Spot::KustomizeOf { repository: name.repository.clone() },
            None => Spot::Kustomize { name: None },
        },
    }
}

/// The names that Kustomize itself looks for.
fn is_kustomization(file: &File) -> bool {
    let name = file.path.as_str().rsplit('/').next().unwrap_or_default();
    ["kustomization.yaml", "kustomization.yml", "Kustomization"].contains(&name)
}

/// What is wrong with a block that its types cannot say.
pub fn findings(settings: &Settings) -> Vec<Problem> {
    let invalid = |sentence: String| Problem::error(Code::ConfigInvalid, sentence);
    let mut found = Vec::new();
    for file in &settings.files.0 {
        let path = file.path.as_str();
        if file.image.is_some() && file.container.is_some() {
            found.push(invalid(format!(
                "`{path}` has both `image` and `container`; one says where the image is."
            )));
        }
        if file.image.is_none() && file.container.is_none() && !is_kustomization(file) {
            let sentence = format!("It is not said where in `{path}` the image is.");
            found.push(invalid(sentence).help(
                "Give `image` (the path in Helm values, such as `backend.image`) or `container` (plain manifests).",
            ));
        }
    }
    if settings.server.is_some() && settings.application.is_none() {
        let sentence = "There is a `server` to ask, but no `application` to ask about.";
        found.push(invalid(sentence.into()).help("Give the name of the Argo CD application."));
    }
    if settings.sync && settings.server.is_none() {
        found.push(invalid("`sync` needs a `server` to start the sync at.".into()));
    }
    found
}

/// The name by which an entry is looked for that the deploy file does not name.
pub fn name(settings: &Settings, repository: Option<&str>, given: Option<&ImageRef>) -> Option<ImageRef> {
    let named =
        settings.files.0.iter().filter(|file| is_kustomization(file)).find_map(|file| file.image.as_deref());
    let parsed = |text: &str| text.parse::<ImageRef>().ok();
    given.cloned().or_else(|| repository.and_then(parsed)).or_else(|| named.and_then(parsed))
}
