//! The core nouns: what is released, what was seen, how it fares, how it ended. Values only; no I/O, no time.

mod course;
mod health;
mod image;
mod observed;
mod one_off;
mod outcome;
mod past;
mod record;
mod span;

pub use course::{Arm, Arms, Course, Flight, Hold, Split, Way};
pub use health::{Failure, Handed, Health, LogLine, Progress, Proof};
pub use image::{Digest, ImageRef};
pub use observed::{Ability, Change, Changes, InFlight, Observed, Rollout, Traffic, Version};
pub use one_off::{EnvChange, OneOff, OneOffState, TaskRun};
pub use outcome::Outcome;
pub use past::{Former, Past};
pub use record::{Record, Recorded};
pub use span::Span;

/// What a target is asked to bring into service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Name of the service in the deploy file.
    pub service: String,
    /// Name of the environment in the deploy file.
    pub environment: String,
    /// The image, by digest; `None` where only settings change.
    pub image: Option<ImageRef>,
    /// A tag that names the same image, for places that write tags beside digests.
    pub tag: Option<String>,
    /// The definition from the user's file, if the deploy file names one.
    pub definition: Option<Definition>,
    /// The earlier version that is to serve again as it was, instead of anything new; then neither `image` nor
    /// `definition` is applied.
    pub former: Option<Former>,
    /// Variables that change in what runs now, and nothing else with them; then neither `image` nor `definition` is applied.
    pub settings: Vec<EnvChange>,
    /// The commit this comes from, for records and links.
    pub commit: Option<String>,
}

impl Release {
    /// Whether it brings a version that was made for it: not an earlier one again, and not what runs with other variables.
    pub fn is_new(&self) -> bool {
        self.former.is_none() && self.settings.is_empty()
    }
}

/// A definition file of the user's, as read from disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Its path as the user wrote it.
    pub path: String,
    /// Its text, unchanged.
    pub text: String,
}
