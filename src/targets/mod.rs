//! The targets of a release: kinds and their list, the interface of one service, and one folder for each kind. No target
//! knows another.

pub mod appconfig;
pub mod argocd;
pub mod aws_error;
pub mod compose;
mod context;
pub mod ecs;
pub mod further_images;
pub mod iam;
mod json;
mod kind;
pub mod kubernetes;
pub mod policy;
pub mod rbac;
mod registry;
mod spec;
mod target;

pub use crate::release::RunNumber;
pub use context::{CredentialUrls, PullLogin, PullLogins, RunInfo, Shared, TargetContext};
pub use kind::{DeclaredContainer, Feature, ImageUse, Kind, Needs, SourceFile, Spec};
pub use registry::{AnyBlock, AnyKind, KINDS, Kinds, Registered, find, keys, supporting};
pub use spec::{ServiceSpec, connect_all, read_specs, shared_resources};
pub use target::{ChangeError, History, Limits, MetricLabels, OneOffTasks, Target};
