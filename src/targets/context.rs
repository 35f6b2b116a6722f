//! The context of a run's targets: access to AWS, GitHub and Argo CD, and the run itself. Values only.

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::aws::Io;
use crate::github::Addresses;
use crate::release::{ImageOverride, ImageRef, RunNumber, canonical_registry};
use crate::sys::ssh::RemoteHosts;

/// Access to the APIs of one environment.
pub struct TargetContext<'s> {
    /// The AWS session.
    pub session: &'s SdkConfig,
    /// Region of the session.
    pub region: String,
    /// The declared account of the environment.
    pub expected_account: Option<String>,
    /// The transport of requests to other APIs than AWS.
    pub http: SharedHttpClient,
    /// Hosts that are reached by SSH.
    pub remote_hosts: Rc<dyn RemoteHosts>,
    /// The logins that the deploy file names for registries: for targets that pull images elsewhere.
    pub pull_logins: PullLogins,
    /// The checked-out files.
    pub workspace: PathBuf,
    /// Clock, variables and mask of the run, and clients for servers with an authority of their own.
    pub io: &'s Io,
    /// The run.
    pub run: RunInfo,
    /// How many services the run has: rate limits are shared by them.
    pub service_count: usize,
    /// Values that the services of a kind share in this run.
    pub shared: Shared,
}

/// A login of a registry.
#[derive(Clone, PartialEq, Eq)]
pub struct PullLogin {
    /// Host with optional port, as in image references; `docker.io` for Docker Hub.
    pub server: String,
    /// User name.
    pub username: String,
    /// Password; the run masks it.
    pub password: String,
}

/// The logins of the deploy file, one for each registry.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PullLogins(pub Vec<PullLogin>);

impl PullLogins {
    /// The login for the registry of an image.
    pub fn find(&self, registry: &str) -> Option<&PullLogin> {
        let name = canonical_registry(registry);
        self.0.iter().find(|login| login.server == name)
    }
}

/// Values that the services of a run share, one of each type: clients that read in batches, branches that are written in
/// one commit. The list of kinds knows nothing of it.
#[derive(Default)]
pub struct Shared(RefCell<HashMap<TypeId, Rc<dyn Any>>>);

impl Shared {
    /// The value of this type; created at the first call.
    pub fn get_or_init<T: 'static>(&self, make: impl FnOnce() -> T) -> Rc<T> {
        let known = self.0.borrow().get(&TypeId::of::<T>()).cloned();
        if let Some(known) = known.and_then(|known| known.downcast().ok()) {
            return known;
        }
        let made = Rc::new(make());
        self.0.borrow_mut().insert(TypeId::of::<T>(), made.clone());
        made
    }
}

/// The run.
#[derive(Clone)]
pub struct RunInfo {
    /// Name of the environment in the deploy file.
    pub environment: String,
    /// The URLs of GitHub.
    pub addresses: Addresses,
    /// The repository of the run, `owner/name`.
    pub repository: Option<String>,
    /// Its number; `None` on a laptop.
    pub number: Option<RunNumber>,
    /// URL of its page.
    pub run_url: Option<String>,
    /// Token for the repository of the manifests.
    pub manifests_token: Option<String>,
    /// Token for Argo CD.
    pub argocd_token: Option<String>,
    /// Which URLs of the deploy file may get a token.
    pub credential_urls: CredentialUrls,
    /// Whether alarms that fire before the first change neither stop nor fail the release.
    pub passes_firing_alarms: bool,
    /// Whether the run is a plan, whose credentials may be allowed to read only.
    pub is_plan: bool,
    /// The images that the inputs name.
    pub input_images: Vec<ImageOverride>,
}

/// The URLs of the deploy file that may get a credential of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialUrls {
    /// All of them: the file is that of merged code, or of a person's laptop.
    Any,
    /// These, which the base branch's file names: the file itself is of code that is not merged.
    Only(Vec<String>),
}

impl CredentialUrls {
    /// Whether a credential may be sent to `url`.
    pub fn allows(&self, url: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Only(urls) => urls.iter().any(|known| known == url),
        }
    }
}

impl RunInfo {
    /// The image of a service in the inputs.
    pub fn input_image(&self, service: &str) -> Option<&ImageRef> {
        ImageOverride::find(&self.input_images, service).map(|choice| &choice.image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_gets_a_credential_only_if_the_base_file_names_it() {
        let only = CredentialUrls::Only(vec!["https://argocd.example".into()]);
        let urls = ["https://argocd.example", "https://argocd.example.evil", "https://argocd.example/x", ""];
        assert_eq!(urls.map(|url| only.allows(url)), [true, false, false, false]);
        assert!(CredentialUrls::Any.allows("https://x"));
    }

    #[test]
    fn login_is_found_by_every_name_of_its_registry() {
        let login =
            |server: &str| PullLogin { server: server.into(), username: "u".into(), password: "p".into() };
        let logins = PullLogins(vec![login("docker.io"), login("ghcr.io")]);
        let found = |name: &str| logins.find(name).map(|login| login.server.clone()).unwrap_or_default();
        let names = ["", "docker.io", "index.docker.io", "ghcr.io", "ghcr.io:443", "evil.example"];
        assert_eq!(names.map(found), ["docker.io", "docker.io", "docker.io", "ghcr.io", "", ""]);
    }

    #[test]
    fn shared_values_are_made_once_for_each_type() {
        let shared = Shared::default();
        assert_eq!(*shared.get_or_init(|| 1_u8), 1);
        assert_eq!(*shared.get_or_init(|| 2_u8), 1);
        assert_eq!(*shared.get_or_init(|| 2_u16), 2);
    }
}
