//! The Compose part of a rehearsal's world: for every `compose` service the server that the deploy file names, with an earlier image
//! that somebody started there.

use crate::config::Service;
use crate::targets::Kind;
use crate::targets::compose::kind::ComposeKind;
use crate::targets::compose::settings::SshAddress;
use roadstead_cloud::compose::scenario::{ComposeHostSetting, ComposeServiceSetting};
use roadstead_cloud::scenario::Scenario;

use super::example::{ExampleFile, ExampleFiles};
use super::worlds::{SeedContext, World};

const EXAMPLE: &str = "environments:
  production: { branches: [main] }
services:
  shop:
    repository: ghcr.io/acme/shop
    build: { context: . }
    compose: { hosts: [{ ssh: deploy@app1.acme.example }], directory: /srv/shop, service: web }
";

const COMPOSE_FILE: &str = "services:
  web:
    image: ghcr.io/acme/shop
    logging: { options: { max-size: 10m } }
";

const DOCKERFILE: &str = "FROM scratch\n";

/// The image that runs when a rehearsal begins.
const EARLIER_DIGEST: &str = "sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";

/// The variables of what runs when a rehearsal begins.
const EARLIER_VARIABLES: &str = "LOG_LEVEL=info\n";

/// The world of servers.
pub(super) struct ComposeWorld;

impl World for ComposeWorld {
    fn key(&self) -> &'static str {
        ComposeKind::KEY
    }

    fn example(&self) -> ExampleFiles {
        let file = |name, text| ExampleFile { name, text };
        let others = vec![file("compose.yaml", COMPOSE_FILE), file("Dockerfile", DOCKERFILE)];
        ExampleFiles { others, ..ExampleFiles::of_deploy_file(EXAMPLE) }
    }

    fn seed(
        &self,
        mut scenario: Scenario,
        services: &[&Service],
        _: &SeedContext<'_>,
    ) -> Result<Scenario, String> {
        services.iter().for_each(|service| seed_service(&mut scenario, service));
        Ok(scenario)
    }
}

/// Servers that the scenario has already stay as they are, and so do services on them.
fn seed_service(scenario: &mut Scenario, service: &Service) {
    let block = service.settings.to_value();
    let text = |key: &str| block[key].as_str().unwrap_or_default().to_owned();
    let (directory, name) = (text("directory").trim_end_matches('/').to_owned(), text("service"));
    let repository = service.config.repository.as_ref().map(ToString::to_string);
    let repository = repository.unwrap_or_else(|| format!("ghcr.io/acme/{}", service.name));
    let has_env = block["env-file"].is_string();
    let seeded = ComposeServiceSetting {
        directory,
        name,
        image: Some(format!("{repository}@{EARLIER_DIGEST}")),
        env: has_env.then(|| EARLIER_VARIABLES.to_owned()),
    };
    let hosts = block["hosts"].as_array().map(Vec::as_slice).unwrap_or_default();
    for host in hosts {
        let address = host["ssh"].as_str().unwrap_or_default().to_owned();
        let Ok(address) = SshAddress::try_from(address) else { continue };
        seed_host(scenario, address.host(), &seeded);
    }
}

fn seed_host(scenario: &mut Scenario, name: &str, service: &ComposeServiceSetting) {
    let at = scenario.compose.iter().position(|host| host.name == name).unwrap_or_else(|| {
        scenario.compose.push(ComposeHostSetting::named(name));
        scenario.compose.len() - 1
    });
    let host = &mut scenario.compose[at];
    let is_same =
        |known: &ComposeServiceSetting| known.directory == service.directory && known.name == service.name;
    if !host.services.iter().any(is_same) {
        host.services.push(service.clone());
    }
}
