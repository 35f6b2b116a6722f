//! Pull requests as they are kept.

use super::objects::Oid;

/// A pull request.
#[derive(Debug, Clone, PartialEq)]
pub struct Pull {
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: Option<String>,
    /// The branch that it comes from.
    pub head: String,
    /// The branch that it goes to.
    pub base: String,
    /// Where the head was when it was closed or merged.
    pub last_head: Option<Oid>,
    /// Login of whoever opened it.
    pub author: String,
    /// It is open.
    pub open: bool,
    /// It cannot be merged yet.
    pub draft: bool,
    /// Commit that merged it, and when (epoch seconds).
    pub merged: Option<(Oid, f64)>,
    /// GitHub merges it, in this way, once it may: `merge`, `squash` or `rebase`.
    pub auto_merge: Option<String>,
    /// When it was opened, epoch seconds.
    pub created: f64,
    /// When it last changed, epoch seconds.
    pub updated: f64,
    /// Head for which its requirements are met.
    pub met: Option<Oid>,
}
