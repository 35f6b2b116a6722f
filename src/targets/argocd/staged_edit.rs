//! What staging a version records for its commit: the image as wished and as it will read, and what stood in the files.
//! Texts only, so that another process can go on with it. Pure.

use serde::{Deserialize, Serialize};

use super::baseline::ApplicationBaseline;
use super::image_edit::{EditKind, EditRestore, ImageEdit, Precondition};
use super::parse_image;
use super::restore::FileRestore;
use crate::problem::Problem;
use crate::release::ImageRef;

/// What is recorded beside a version that was staged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedEdit {
    image: String,
    /// The image as it will read once it is written.
    written: String,
    /// What stood at each place when the version was staged.
    observed: Vec<Option<String>>,
    previous: Option<String>,
    kind: String,
    source_commit: Option<String>,
    /// The application before the commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<ApplicationBaseline>,
    /// What leads back to the files as they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub way_back: Vec<FileRestore>,
}

impl StagedEdit {
    /// Of an edit, and of the image as it will read.
    pub fn new(edit: &ImageEdit, written: &ImageRef) -> Self {
        let observed = match &edit.precondition {
            Precondition::AsObserved(images) => images.clone(),
            Precondition::OurImage(_) | Precondition::OurLastEdit => Vec::new(),
        };
        Self {
            image: edit.image.to_string(),
            written: written.to_string(),
            observed: observed.iter().map(|image| image.as_ref().map(ToString::to_string)).collect(),
            previous: edit.previous_image.as_ref().map(ToString::to_string),
            kind: edit.kind.as_str().to_owned(),
            source_commit: edit.source_commit.clone(),
            baseline: None,
            way_back: Vec::new(),
        }
    }

    /// With the application before the commit, and what leads back to the files as they were.
    pub fn with_way_back(self, baseline: Option<ApplicationBaseline>, way_back: Vec<FileRestore>) -> Self {
        Self { baseline, way_back, ..self }
    }

    /// The edit again, in an edit that knows the service.
    pub fn to_edit(&self, blank: ImageEdit) -> Result<ImageEdit, Problem> {
        let parse = |text: &Option<String>| text.as_deref().map(parse_image).transpose();
        Ok(ImageEdit {
            image: parse_image(&self.image)?,
            precondition: Precondition::AsObserved(self.observed_images()?),
            previous_image: parse(&self.previous)?,
            kind: EditKind::from_trailer(&self.kind).unwrap_or(EditKind::Deploy),
            source_commit: self.source_commit.clone(),
            ..blank
        })
    }

    fn observed_images(&self) -> Result<Vec<Option<ImageRef>>, Problem> {
        let parse = |text: &Option<String>| text.as_deref().map(parse_image).transpose();
        self.observed.iter().map(parse).collect()
    }

    /// What the files had.
    pub fn into_restore(self) -> Result<EditRestore, Problem> {
        Ok(EditRestore { images: self.observed_images()?, files: self.way_back })
    }

    /// The image as it reads once it is written.
    pub fn written_image(&self) -> Result<ImageRef, Problem> {
        parse_image(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::super::image_edit::fixtures::image_edit;
    use super::*;

    #[test]
    fn edit_survives_the_record() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for image in ["acme/web", "acme/web:1.3", &format!("registry.example/acme/web:1.3@{digest}")] {
            let edit = image_edit("web", image);
            let handle = StagedEdit::new(&edit, &edit.image);
            let text = serde_json::to_string(&handle).unwrap();
            let read: StagedEdit = serde_json::from_str(&text).unwrap();
            let blank = ImageEdit { precondition: Precondition::OurLastEdit, ..image_edit("web", "other:1") };
            assert_eq!(read.to_edit(blank).unwrap(), edit);
            assert_eq!(read.written_image().unwrap(), edit.image);
        }
    }
}
