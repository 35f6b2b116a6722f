//! Proposing instead of committing.
use super::ArgoCd;
use super::intent::Intent;
use crate::problem::Problem;
use crate::release::{Handed, ImageRef, Rollout, Version};

/// Not yet.
pub fn open(_: &Rollout, _: &Version, _: &ImageRef) -> Option<Handed> {
    None
}
impl ArgoCd {
    pub(super) async fn propose(&self, _: Intent) -> Result<Vec<String>, Problem> {
        Ok(Vec::new())
    }
}
