//! What the targets of a run are given: how AWS, GitHub and Argo CD are reached, and which run it is. Values only.

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::github::Addresses;
use crate::release::ImageRef;

/// Where the targets of one environment are reached.
pub struct Place<'s> {
    /// The AWS session.
    pub session: &'s SdkConfig,
    /// Region of the session.
    pub region: String,
    /// The account that the environment declares.
    pub account: Option<String>,
    /// Where requests go that are not for AWS.
    pub http: SharedHttpClient,
    /// The run.
    pub origin: Origin,
}

/// The run that releases.
#[derive(Clone)]
pub struct Origin {
    /// Name of the environment in the deploy file.
    pub environment: String,
    /// Where GitHub is.
    pub addresses: Addresses,
    /// The repository of the run, `owner/name`.
    pub repository: Option<String>,
    /// Its number; `None` on a laptop.
    pub run: Option<RunNumber>,
    /// Its page.
    pub run_url: Option<String>,
    /// Token for the repository of manifests.
    pub manifests_token: Option<String>,
    /// Token for Argo CD.
    pub argocd_token: Option<String>,
    /// Images that the inputs name, by service; `None` stands for the only one.
    pub images: Vec<(Option<String>, ImageRef)>,
}

/// Number and attempt of a run. GitHub counts runs upwards, so a larger number is a newer run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunNumber {
    /// `GITHUB_RUN_ID`.
    pub id: u64,
    /// `GITHUB_RUN_ATTEMPT`, from 1.
    pub attempt: u32,
}

impl Origin {
    /// The image that the inputs name for a service.
    pub fn image(&self, service: &str) -> Option<&ImageRef> {
        let fits = |of: &Option<String>| of.as_deref().is_none_or(|name| name == service);
        self.images.iter().find(|(of, _)| fits(of)).map(|(_, image)| image)
    }
}
