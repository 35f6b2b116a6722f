//! What one service wants written into its files, and what it expects to find there. Values only.

use crate::manifest::{Pin, Spot, Wish};
use crate::release::ImageRef;
use crate::targets::RunNumber;

/// Why something is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A new version.
    Deploy,
    /// An earlier version, because somebody asked for it.
    Rollback,
    /// The version before, because this one failed.
    Undo,
}

impl Operation {
    const ALL: [Self; 3] = [Self::Deploy, Self::Rollback, Self::Undo];

    /// The word in trailers.
    pub fn word(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Rollback => "rollback",
            Self::Undo => "undo",
        }
    }

    /// The operation of a word in a trailer.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.word() == word)
    }
}

/// A place in a file where the image of a service stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The file.
    pub path: String,
    /// Where in it.
    pub spot: Spot,
    /// What pins the image where there is no place for a digest.
    pub pin: Pin,
}

impl Site {
    /// The wish for an image as this place takes it.
    pub fn wish(&self, image: &ImageRef) -> Wish {
        Wish { image: image.clone(), pin: self.pin }
    }
}

/// What must stand in the files for the write to be ours to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// What was seen when the plan was made, place by place; a change since then by an older run is written over.
    Seen(Vec<Option<ImageRef>>),
    /// What this run wrote, and nothing else: for taking it back.
    Ours(ImageRef),
    /// Whatever this run wrote last, as the record says.
    OursByRecord,
}

/// What one service wants written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// Name of the service.
    pub service: String,
    /// The service in trailers.
    pub key: String,
    /// All places of its image.
    pub sites: Vec<Site>,
    /// The image.
    pub wish: ImageRef,
    /// What must stand there now.
    pub expect: Expect,
    /// The image before.
    pub previous: Option<ImageRef>,
    /// Why.
    pub operation: Operation,
    /// The commit that is taken back.
    pub undoes: Option<String>,
    /// The commit of the source that the image is of.
    pub source: Option<String>,
    /// The run.
    pub run: Option<RunNumber>,
}

#[cfg(test)]
pub(super) mod samples {
    use super::*;

    /// A release of `service` in production by run 70; `acme/<service>:1.2` stands there.
    pub(in crate::targets::argocd) fn intent(service: &str, wish: &str) -> Intent {
        let seen: ImageRef = format!("acme/{service}:1.2").parse().unwrap();
        let site = Site {
            path: format!("apps/{service}/kustomization.yaml"),
            spot: Spot::Kustomize { name: Some(format!("acme/{service}")) },
            pin: Pin::Digest,
        };
        Intent {
            service: service.into(),
            key: format!("production/{service}"),
            sites: vec![site],
            wish: wish.parse().unwrap(),
            expect: Expect::Seen(vec![Some(seen.clone())]),
            previous: Some(seen),
            operation: Operation::Deploy,
            undoes: None,
            source: Some("c0ffee1234567890".into()),
            run: Some(RunNumber { id: 70, attempt: 1 }),
        }
    }
}
