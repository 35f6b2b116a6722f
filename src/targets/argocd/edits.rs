//! The edit that each request of a run makes.

use super::baseline;
use super::branch_state::CurrentImage;
use super::image_edit::{EditKind, ImageEdit, Precondition};
use super::staged_edit::StagedEdit;
use super::write;
use super::{ArgoCdTarget, no_image, parse_image, requested_image, version_image};
use crate::problem::Problem;
use crate::release::{ImageRef, Release, Rollout, ShiftKind, Staged, TrafficShift, Version};

impl ArgoCdTarget {
    /// The edit of `release`, given the observed state.
    pub(super) fn build_edit(&self, release: &Release, stand: &CurrentImage) -> Result<ImageEdit, Problem> {
        let former = release.rollback_to.as_ref();
        let wanted = match former {
            Some(former) => version_image(&former.version)?,
            None => requested_image(release).ok_or_else(|| no_image(&self.service))?,
        };
        Ok(ImageEdit {
            precondition: Precondition::AsObserved(stand.by_field.clone()),
            previous_image: stand.image.clone(),
            kind: if former.is_some() { EditKind::Rollback } else { EditKind::Deploy },
            source_commit: release.commit.clone(),
            ..self.blank_edit(wanted)
        })
    }

    /// The edit of a shift; `None` for the next weight, which is the application's own.
    pub(super) async fn shift_edit(
        &self,
        staged: &Staged,
        split: &TrafficShift,
    ) -> Result<Option<ImageEdit>, Problem> {
        match &split.kind {
            ShiftKind::Start { .. } => self.start_edit(staged).await.map(Some),
            ShiftKind::RollBack(moved) => self.rollback_edit(staged, split, moved.as_ref()).map(Some),
            ShiftKind::Continue(_) => Ok(None),
        }
    }

    /// A shift as a rollout with these ids, and with the state of the application before the release.
    pub(super) fn rollout_of(&self, staged: &Staged, split: &TrafficShift, ids: Vec<String>) -> Rollout {
        let Version { id, label } = split.version.clone();
        let returns = match &split.kind {
            ShiftKind::Continue(rollout) => return rollout.clone(),
            ShiftKind::Start { .. } => false,
            ShiftKind::RollBack(_) => true,
        };
        let before = staged.read_handle::<StagedEdit>().and_then(|handle| handle.baseline);
        let before = before.map(|state| state.with_direction(returns));
        Rollout { version: id, label, ids: baseline::rollout_ids(ids, before.as_ref()) }
    }

    /// What brings in a version: what was staged, or the version as the files are now.
    pub(super) async fn start_edit(&self, staged: &Staged) -> Result<ImageEdit, Problem> {
        if let Some(handle) = staged.read_handle::<StagedEdit>() {
            return handle.to_edit(self.blank_edit(version_image(&staged.version)?));
        }
        let current = self.branch_state(&*self.snapshot().await?)?.current;
        Ok(ImageEdit {
            precondition: Precondition::AsObserved(current.by_field),
            previous_image: current.image,
            ..self.blank_edit(version_image(&staged.version)?)
        })
    }

    /// What rolls a version back.
    pub(super) fn rollback_edit(
        &self,
        staged: &Staged,
        split: &TrafficShift,
        moved: Option<&Rollout>,
    ) -> Result<ImageEdit, Problem> {
        let handle = staged.read_handle::<StagedEdit>();
        let precondition = match (moved, &handle) {
            (Some(rollout), _) => Precondition::OurImage(parse_image(&rollout.version)?),
            (None, Some(handle)) => Precondition::OurImage(handle.written_image()?),
            (None, None) => Precondition::OurLastEdit,
        };
        let restore = handle.map(StagedEdit::into_restore).transpose()?;
        // What is returned to is what the files had: an older version is written.
        let restore = restore.filter(|had| {
            let image = write::canonical_image(&had.images);
            image.is_none_or(|image| image.to_string() == split.version.id)
        });
        Ok(ImageEdit {
            precondition,
            kind: EditKind::AutoRollback,
            reverts_commit: moved.and_then(|rollout| rollout.ids.first().cloned()),
            restore,
            ..self.blank_edit(version_image(&split.version)?)
        })
    }

    /// An edit that brings in `image`, of which only the service is known.
    pub(super) fn blank_edit(&self, image: ImageRef) -> ImageEdit {
        ImageEdit {
            service: self.service.clone(),
            service_key: self.service_key.clone(),
            fields: self.fields.clone(),
            image,
            precondition: Precondition::OurLastEdit,
            previous_image: None,
            kind: EditKind::Deploy,
            reverts_commit: None,
            source_commit: None,
            run: self.run.number,
            restore: None,
        }
    }
}
