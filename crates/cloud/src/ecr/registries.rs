//! Registries by account and region: which one a call means, and who may do what there.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::input::str_field;
use crate::request::{ServiceCall, ServiceError};
use crate::service::{DeniedCall, find_service};
use crate::world::{EcrRepository, World};

/// Which registry: there is one in each region of an account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct RegistryId {
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
}

impl RegistryId {
    /// The registry of an account in a region.
    pub fn new(account: &str, region: &str) -> Self {
        Self { account: account.into(), region: region.into() }
    }
}

/// Repositories by name.
pub type Repositories = BTreeMap<String, EcrRepository>;

static NO_REPOSITORIES: Repositories = Repositories::new();

impl World {
    /// The registry of the world's own account and region.
    pub fn own_registry(&self) -> RegistryId {
        RegistryId::new(&self.account, &self.region)
    }

    /// The repositories of the world's own registry.
    pub fn repositories(&self) -> &Repositories {
        self.repositories_at(&self.own_registry())
    }

    /// The same, to change them.
    pub fn repositories_mut(&mut self) -> &mut Repositories {
        self.registries.entry(self.own_registry()).or_default()
    }

    /// The repositories of a registry.
    pub(super) fn repositories_at(&self, at: &RegistryId) -> &Repositories {
        self.registries.get(at).unwrap_or(&NO_REPOSITORIES)
    }

    /// A repository of a registry, to change it.
    pub(super) fn repository_mut(&mut self, at: &RegistryId, name: &str) -> Option<&mut EcrRepository> {
        self.registries.get_mut(at)?.get_mut(name)
    }
}

/// What a repository's policy lets another account do: pull, and nothing else.
const PULL_ACTIONS: [&str; 3] =
    ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"];

/// The account that calls: that of the session, of the login to the registry, or else the world's own.
pub(super) fn caller_account(world: &World, call: &ServiceCall) -> String {
    let key = call.access_key.as_deref().unwrap_or_default();
    let of_session = world.sessions.get(key).and_then(|session| session.arn.split(':').nth(4));
    let of_login = world.logins.get(key).map(|login| login.account.as_str());
    of_session.or(of_login).unwrap_or(&world.account).to_owned()
}

/// The registry of a call, if the caller has the permission there. Where the world has no such registry, its
/// own is meant.
pub(super) fn find_registry(world: &World, call: &ServiceCall) -> Result<RegistryId, ServiceError> {
    let caller = caller_account(world, call);
    let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.to_owned() };
    let region = or(str_field(&call.input, "registryRegion"), &or(&call.region, &world.region));
    let meant = RegistryId { account: or(str_field(&call.input, "registryId"), &caller), region };
    let own = world.own_registry();
    if meant == own || !world.registries.contains_key(&meant) {
        return Ok(own);
    }
    match check_access(world, call, &caller, &meant) {
        Some(refusal) => Err(refusal),
        None => Ok(meant),
    }
}

/// The refusal that somebody of another account meets.
fn check_access(world: &World, call: &ServiceCall, caller: &str, at: &RegistryId) -> Option<ServiceError> {
    let service = find_service(&call.service);
    let action = service.required_actions(call).pop().unwrap_or_default();
    let reads = PULL_ACTIONS.contains(&action.as_str());
    let repository = world.repositories_at(at).get(str_field(&call.input, "repositoryName"));
    let invited = repository.is_some_and(|it| it.readers.iter().any(|reader| reader == caller));
    // A link to a layer carries its own authorization, and a token is the caller's own.
    let free = ["", "ecr:GetAuthorizationToken"].contains(&action.as_str());
    if caller == at.account || free || reads && invited {
        return None;
    }
    let who = world.caller_arn(call.access_key.as_deref());
    let name = match &call.input["repositoryName"] {
        Value::String(name) => name,
        _ => "*",
    };
    let resource = format!("arn:aws:ecr:{}:{}:repository/{name}", at.region, at.account);
    let why = format!("because no resource-based policy allows the {action} action");
    let denied = DeniedCall { who, action: &action, resource: &resource, why: &why };
    let code = service.errors().denied;
    Some(ServiceError::with_status(code.status, code.code, denied.to_string()))
}
