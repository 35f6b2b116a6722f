//! The addresses of a deploy file in a rehearsal: what it checks answers there as it wants, as long as the service is well,
//! and webhooks and clusters whose address or secret only the real step knows get made-up ones.

use crate::config::{Check, DeployFile, Placeholders, Redirects, Service};
use crate::sys::environment::Variables;
use crate::targets::{self, KINDS};
use roadstead_cloud::web::Site;

use super::Rehearsal;
use super::kubernetes::with_cluster_access;
use super::worlds::world_for;

/// The sites that the checks of a service ask.
pub(super) fn check_sites(service: &Service) -> Vec<Site> {
    service.config.verify.iter().filter_map(|check| check_site(service, check)).collect()
}

fn check_site(service: &Service, check: &Check) -> Option<Site> {
    let (_, rest) = check.http.as_str().split_once("://")?;
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let location = match &check.redirects {
        Redirects::To(address) => Some(address.as_str().to_owned()),
        Redirects::None | Redirects::Follow => None,
    };
    let mut site = Site {
        host: host.rsplit_once(':').map_or(host, |(name, _)| name).to_owned(),
        path: Some(if path.is_empty() { "/".into() } else { path.to_owned() }),
        service: None,
        application: None,
        status: (100..600).find(|status| check.accepts(*status)).unwrap_or(200),
        body: check.body.as_ref().map_or_else(|| "ok\n".into(), |text| format!("{}\n", text.as_str())),
        location,
    };
    if let Some(world) = world_for(service) {
        world.link_site(service, &mut site);
    }
    Some(site)
}

/// The variables with made-up addresses and secrets where `notify` or a cluster names some that are not set.
pub(super) fn with_made_up_values(
    rehearsal: &Rehearsal,
    environment: &str,
    mut variables: Variables,
) -> Variables {
    let Ok(document) = DeployFile::parse(&rehearsal.config.0, &rehearsal.config.1) else { return variables };
    let chosen = document.environments().0.get(environment).cloned().unwrap_or_default();
    let known: Placeholders = [("environment", environment.to_owned())].into();
    for (key, name) in document.notify_settings(environment, &chosen, &known).0.variables() {
        let made_up = match key.ends_with("secret") {
            true => "secret-of-a-rehearsal".to_owned(),
            false => format!("https://hooks.rehearsal.invalid/{}", name.as_str().to_lowercase()),
        };
        variables.entry(name.as_str().to_owned()).or_insert(made_up);
    }
    let (services, _) = document.services(environment, &[], &targets::keys(KINDS), &known);
    with_cluster_access(&services, variables)
}
