//! What a kind of target is: everything the program may ask about a target before any service of it is connected.
//! Pure but for `connect`. No name of a target may stand here.

use std::rc::Rc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::policy::{Permission, PolicyScope};
use super::rbac::RbacRule;
use super::{Target, TargetContext};
use crate::config::Service;
use crate::config::tree::ConfigNode;
use crate::problem::{Location, Problem};
use crate::release::{DefinitionFile, ImageRef};

/// A kind of target: one folder in `targets/`, one line in [`super::KINDS`].
pub trait Kind: 'static {
    /// Key of the settings in the deploy file; also the name of the folder and of the page in `docs/targets`.
    const KEY: &'static str;
    /// What services of this kind need and support.
    const NEEDS: Needs;
    /// The settings of a service in the deploy file.
    type Settings: DeserializeOwned + JsonSchema + 'static;

    /// Where the service is, for people, such as `acme/backend`; the key is put before it.
    fn location(settings: &Self::Settings) -> String;

    /// The file of the repository that a release is made from.
    fn source_file(_settings: &Self::Settings) -> Option<SourceFile> {
        None
    }

    /// What a service changes, named the same for the same thing, such as ``the ECS service `acme/web` ``: two services
    /// of an environment must not share one. By default there is nothing that they could not share.
    fn resources(_settings: &Self::Settings) -> Vec<String> {
        Vec::new()
    }

    /// How traffic moves where no `strategy` of the deploy file decides that, such as `by Git`.
    fn own_rollout(_settings: &Self::Settings) -> Option<String> {
        None
    }

    /// Whether a service needs an AWS session, where not all services of the kind do.
    fn uses_aws(_settings: &Self::Settings) -> bool {
        Self::NEEDS.aws
    }

    /// What a rollout survives before it is rolled back, where the deploy file changes that, in words.
    fn patience(_settings: &Self::Settings) -> Option<String> {
        None
    }

    /// The URLs of the settings that get a credential of the run.
    fn credential_urls(_settings: &Self::Settings) -> Vec<String> {
        Vec::new()
    }

    /// The containers whose images are deployed beside that of the service, in the same version.
    fn containers(_spec: &Spec<'_, Self::Settings>) -> Vec<DeclaredContainer> {
        Vec::new()
    }

    /// Problems of the settings and their source file that need no call.
    fn lint(_spec: &Spec<'_, Self::Settings>) -> Vec<Problem> {
        Vec::new()
    }

    /// What the role of the run must be allowed for a service.
    fn permissions(_spec: &Spec<'_, Self::Settings>, _scope: &PolicyScope) -> Vec<Permission> {
        Vec::new()
    }

    /// What a run must be allowed for a service in a cluster that has access control of its own.
    fn rbac_rules(_spec: &Spec<'_, Self::Settings>) -> Vec<RbacRule> {
        Vec::new()
    }

    /// The service itself. Errors when the deploy file and the run leave open how to reach it; no call is made.
    fn connect(spec: &Spec<'_, Self::Settings>, run: &TargetContext<'_>) -> Result<Rc<dyn Target>, Problem>;
}

/// What services of a kind need and support.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Whether an AWS session is needed; [`Kind::uses_aws`] says it of one service.
    pub aws: bool,
    /// Whether an image is deployed.
    pub image: ImageUse,
    /// Whether a command can run once with a new version (`before`).
    pub one_off_tasks: Feature,
    /// Whether `set-env` can change variables of what runs.
    pub env_vars: Feature,
}

/// Whether a kind deploys an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageUse {
    /// An image that is built, promoted or named by an input.
    Deployed,
    /// No image: `build` and `repository` are errors.
    None,
}

/// Whether a kind supports something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// It does.
    Supported,
    /// It does not; the help is what to do instead. Where it is `None`, the kinds that support it are listed.
    Unsupported {
        /// What to do instead, as a sentence.
        help: Option<&'static str>,
    },
}

impl Feature {
    /// Whether it is supported.
    pub fn is_supported(self) -> bool {
        self == Self::Supported
    }
}

/// A file of the repository that a release is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// What it is, for sentences, such as `task definition`.
    pub description: &'static str,
    /// Its path, relative to the repository.
    pub path: String,
}

/// A container whose image is deployed beside that of the service, as the deploy file has it.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclaredContainer {
    /// Its name.
    pub name: String,
    /// Its position in the deploy file.
    pub location: Location,
    /// The repository that its image is built for.
    pub repository: Option<String>,
    /// Its `build` block, for the image adapter.
    pub build: Option<ConfigNode>,
    /// Its fixed image.
    pub image: Option<ImageRef>,
}

/// A service's settings, with the rest of the service.
#[derive(Debug)]
pub struct Spec<'s, S> {
    /// Name of the deploy file, for problems.
    pub file: &'s str,
    /// The service.
    pub service: &'s Service,
    /// Its settings.
    pub settings: &'s S,
    /// The file that its releases are made from, if it was read.
    pub source: Option<&'s DefinitionFile>,
}

impl<'s, S> Spec<'s, S> {
    /// The same with another type of settings.
    pub fn with_settings<'n, T>(&self, settings: &'n T) -> Spec<'n, T>
    where
        's: 'n,
    {
        Spec { file: self.file, service: self.service, settings, source: self.source }
    }
}
