//! The kinds of targets that exist, and their erased face, so that no kind writes a downcast and no caller names one.

use std::marker::PhantomData;
use std::rc::Rc;

use schemars::{Schema, schema_for};

use super::kind::{DeclaredContainer, Feature, Kind, Needs, SourceFile, Spec};
use super::policy::{Permission, PolicyScope};
use super::rbac::RbacRule;
use super::{Target, TargetContext};
use super::{appconfig, argocd, compose, ecs, kubernetes};
use crate::config::{self, Service};
use crate::problem::{Code, Problem};

/// The kinds that a run knows.
pub type Kinds = &'static [&'static dyn AnyKind];

/// The kinds of this program. A new target is one line here and one folder.
pub static KINDS: Kinds = &[
    &Registered::<ecs::kind::EcsKind>::NEW,
    &Registered::<argocd::kind::ArgoCdKind>::NEW,
    &Registered::<appconfig::kind::AppConfigKind>::NEW,
    &Registered::<compose::kind::ComposeKind>::NEW,
    &Registered::<kubernetes::kind::KubernetesKind>::NEW,
];

/// A kind whose settings type is erased.
pub trait AnyKind: Sync {
    /// Key in the deploy file.
    fn key(&self) -> &'static str;
    /// What its services need and support.
    fn needs(&self) -> Needs;
    /// Schema of its settings.
    fn schema(&self) -> Schema;
    /// The settings of a service. Errors name each wrong line.
    fn read_block(&self, file: &str, service: &Service) -> Result<Rc<dyn AnyBlock>, Vec<Problem>>;
}

/// Parsed settings with their type erased.
pub trait AnyBlock {
    /// As [`Kind::location`].
    fn location(&self) -> String;
    /// As [`Kind::source_file`].
    fn source_file(&self) -> Option<SourceFile>;
    /// As [`Kind::resources`].
    fn resources(&self) -> Vec<String>;
    /// As [`Kind::own_rollout`].
    fn own_rollout(&self) -> Option<String>;
    /// As [`Kind::uses_aws`].
    fn uses_aws(&self) -> bool;
    /// As [`Kind::patience`].
    fn patience(&self) -> Option<String>;
    /// As [`Kind::credential_urls`].
    fn credential_urls(&self) -> Vec<String>;
    /// As [`Kind::containers`].
    fn containers(&self, spec: &Spec<'_, ()>) -> Vec<DeclaredContainer>;
    /// As [`Kind::lint`].
    fn lint(&self, spec: &Spec<'_, ()>) -> Vec<Problem>;
    /// As [`Kind::permissions`].
    fn permissions(&self, spec: &Spec<'_, ()>, scope: &PolicyScope) -> Vec<Permission>;
    /// As [`Kind::rbac_rules`].
    fn rbac_rules(&self, spec: &Spec<'_, ()>) -> Vec<RbacRule>;
    /// As [`Kind::connect`].
    fn connect(&self, spec: &Spec<'_, ()>, run: &TargetContext<'_>) -> Result<Rc<dyn Target>, Problem>;
}

/// The erased face of a kind.
pub struct Registered<K>(PhantomData<fn() -> K>);

impl<K: Kind> Registered<K> {
    /// The only value.
    pub const NEW: Self = Self(PhantomData);
}

impl<K: Kind> AnyKind for Registered<K> {
    fn key(&self) -> &'static str {
        K::KEY
    }

    fn needs(&self) -> Needs {
        K::NEEDS
    }

    fn schema(&self) -> Schema {
        schema_for!(K::Settings)
    }

    fn read_block(&self, file: &str, service: &Service) -> Result<Rc<dyn AnyBlock>, Vec<Problem>> {
        let what = format!("`{}` of service `{}`", K::KEY, service.name);
        let settings = config::read::<K::Settings>(file, &what, &service.settings)?;
        Ok(Rc::new(Block::<K>(settings)))
    }
}

struct Block<K: Kind>(K::Settings);

impl<K: Kind> AnyBlock for Block<K> {
    fn location(&self) -> String {
        K::location(&self.0)
    }

    fn source_file(&self) -> Option<SourceFile> {
        K::source_file(&self.0)
    }

    fn resources(&self) -> Vec<String> {
        K::resources(&self.0)
    }

    fn own_rollout(&self) -> Option<String> {
        K::own_rollout(&self.0)
    }

    fn uses_aws(&self) -> bool {
        K::uses_aws(&self.0)
    }

    fn patience(&self) -> Option<String> {
        K::patience(&self.0)
    }

    fn credential_urls(&self) -> Vec<String> {
        K::credential_urls(&self.0)
    }

    fn containers(&self, spec: &Spec<'_, ()>) -> Vec<DeclaredContainer> {
        K::containers(&spec.with_settings(&self.0))
    }

    fn lint(&self, spec: &Spec<'_, ()>) -> Vec<Problem> {
        K::lint(&spec.with_settings(&self.0))
    }

    fn permissions(&self, spec: &Spec<'_, ()>, scope: &PolicyScope) -> Vec<Permission> {
        K::permissions(&spec.with_settings(&self.0), scope)
    }

    fn rbac_rules(&self, spec: &Spec<'_, ()>) -> Vec<RbacRule> {
        K::rbac_rules(&spec.with_settings(&self.0))
    }

    fn connect(&self, spec: &Spec<'_, ()>, run: &TargetContext<'_>) -> Result<Rc<dyn Target>, Problem> {
        K::connect(&spec.with_settings(&self.0), run)
    }
}

/// The keys of these kinds, in their order.
pub fn keys(kinds: Kinds) -> Vec<&'static str> {
    kinds.iter().map(|kind| kind.key()).collect()
}

/// The kind with this key. An unknown key is an error that lists those that exist.
pub fn find(kinds: Kinds, key: &str) -> Result<&'static dyn AnyKind, Problem> {
    let unknown = || {
        let list = quote_all(&keys(kinds));
        Problem::error(Code::Unsupported, format!("There is no target `{key}`."))
            .help(format!("The targets are: {list}."))
    };
    kinds.iter().copied().find(|kind| kind.key() == key).ok_or_else(unknown)
}

/// The keys of the kinds that support a feature, for sentences.
pub fn supporting(kinds: Kinds, feature: fn(&Needs) -> Feature) -> String {
    let keys: Vec<&str> =
        kinds.iter().filter(|kind| feature(&kind.needs()).is_supported()).map(|kind| kind.key()).collect();
    quote_all(&keys)
}

fn quote_all(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
