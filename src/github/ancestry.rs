//! Which of two commits of the run's own repository has the other in its past: one question to GitHub.

use super::deployments::BRIEFLY;
use super::door::Ask;
use super::names;
use super::project::Project;
use super::setback::Setback;

/// How a commit stands to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kinship {
    /// They are the same.
    Same,
    /// It has the other one in its past.
    Descendant,
    /// The other one has it in its past.
    Ancestor,
    /// Each has what the other one has not.
    Diverged,
}

impl Project {
    /// How `commit` stands to `other`, both by their hexadecimal names. [`Setback::Missing`] where one of them is not
    /// there (any more), or they share no past.
    pub async fn kinship(&self, commit: &str, other: &str) -> Result<Kinship, Setback> {
        let (to, from) = (names::commit(commit), names::commit(other));
        let (to, from) = (to.map_err(Setback::Refused)?, from.map_err(Setback::Refused)?);
        let ask = Ask::get(self.route(&format!("/compare/{from}...{to}?per_page=1")));
        let answer = self.door.read(&ask, BRIEFLY).await?;
        match answer["status"].as_str() {
            Some("identical") => Ok(Kinship::Same),
            Some("ahead") => Ok(Kinship::Descendant),
            Some("behind") => Ok(Kinship::Ancestor),
            Some("diverged") => Ok(Kinship::Diverged),
            _ => Err(Setback::Passing("the comparison says nothing".into())),
        }
    }
}
