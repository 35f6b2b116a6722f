//! `roadstead init --compose`: a first deploy file and workflow for the services of a Compose file. Reads that file only. What the
//! user must know or add is a line of the answer. Pure, but for the two callers in `mod.rs`.

use serde_json::Value;

use super::names::sanitize_name;
use super::yaml::{comment, scalar, value_scalar};
use crate::problem::list::name_list;
use crate::problem::{Code, Problem};
use crate::release::ImageRef;

/// What is written about a Compose file.
#[derive(Debug, Clone)]
pub(super) struct ComposePlan {
    /// Path of the Compose file in the repository.
    pub(super) file: String,
    /// Where the server is, as `user@host`.
    pub(super) host: String,
    /// The folder of the application on the server.
    pub(super) directory: String,
    /// The services that are deployed.
    pub(super) services: Vec<ComposeService>,
    /// The others, each with the reason.
    pub(super) left_out: Vec<String>,
}

/// A service that is deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ComposeService {
    name: String,
    /// The `build` block of the deploy file; `None` for an image that is built elsewhere.
    build: Option<String>,
    repository: String,
    env_file: Option<String>,
    hints: Vec<String>,
}

/// Reads a Compose file. `directory` is that of the options; without it, it is `/srv/PROJECT`.
pub(super) fn read_plan(
    file: &str,
    text: &str,
    host: &str,
    directory: Option<&str>,
) -> Result<ComposePlan, Problem> {
    let whole: Value = serde_saphyr::from_str(text).map_err(|error| {
        Problem::error(Code::ComposeFileInvalid, format!("The Compose file `{file}` cannot be read."))
            .cause(error.to_string())
            .help("Correct its YAML; `docker compose config` checks it.")
    })?;
    let all = whole.get("services").and_then(Value::as_object).cloned().unwrap_or_default();
    let has_build = all.values().any(|service| service.get("build").is_some());
    let is_deployed = |service: &Value| match has_build {
        true => service.get("build").is_some(),
        false => service.get("image").is_some(),
    };
    let services: Vec<ComposeService> = all
        .iter()
        .filter(|(_, service)| is_deployed(service))
        .map(|(name, service)| read_service(name, service, file))
        .collect();
    if services.is_empty() {
        let sentence = format!("The Compose file `{file}` has no service with `build` or `image`.");
        return Err(Problem::error(Code::ServiceMissing, sentence).help("Name another file with --compose."));
    }
    let others = all.iter().filter(|(_, service)| !is_deployed(service));
    let left_out = others.map(|(name, _)| comment(&format!("{name}: its image is not built here"))).collect();
    let project = whole.get("name").and_then(Value::as_str).filter(|name| !name.contains('$'));
    let own = || format!("/srv/{}", sanitize_name(project.unwrap_or("app")).to_lowercase());
    let directory = directory.map_or_else(own, str::to_owned);
    Ok(ComposePlan { file: file.to_owned(), host: host.to_owned(), directory, services, left_out })
}

fn read_service(name: &str, service: &Value, file: &str) -> ComposeService {
    let text = |pointer: &str| service.pointer(pointer).and_then(Value::as_str);
    let first = |value: Option<&Value>| match value {
        Some(Value::Array(list)) => list.first().cloned(),
        other => other.cloned(),
    };
    let env_file = first(service.get("env_file"));
    let env_file = env_file.and_then(|it| it.as_str().or(it["path"].as_str()).map(str::to_owned));
    ComposeService {
        name: name.to_owned(),
        build: service.get("build").map(|build| build_block(build, file)),
        repository: repository(text("/image"), name),
        env_file: env_file.filter(|path| !path.contains('$')),
        hints: hints(name, service),
    }
}

/// Paths of a Compose file count from its folder, those of the deploy file from the repository.
fn in_repository(path: &str, file: &str) -> String {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let path = path.trim_start_matches("./").trim_end_matches('/');
    match (folder, path) {
        ("", "" | ".") => ".".to_owned(),
        ("", path) => path.to_owned(),
        (folder, "" | ".") => folder.to_owned(),
        (folder, path) => format!("{folder}/{path}"),
    }
}

fn build_block(build: &Value, file: &str) -> String {
    let text = |key: &str| build.get(key).and_then(Value::as_str).filter(|text| !text.contains('$'));
    let context = build.as_str().or(text("context")).unwrap_or(".");
    let pairs = [
        ("context", Some(in_repository(context, file))),
        ("dockerfile", text("dockerfile").map(str::to_owned)),
        ("target", text("target").map(str::to_owned)),
    ];
    let pairs = pairs.into_iter().filter_map(|(key, text)| Some(format!("{key}: {}", value_scalar(&text?))));
    format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
}

/// The image without a variable in its tag or digest; `None` if another part of it is a variable.
fn literal_image(image: &str) -> Option<ImageRef> {
    let cut = [":$", "@$"].iter().filter_map(|mark| image.find(mark)).min();
    let (before, after) = image.split_at(cut.unwrap_or(image.len()));
    let is_literal = !before.contains('$') && !after.contains('/');
    if is_literal { before.parse().ok() } else { None }
}

/// The repository of an image, without tag and digest. What has no registry is on Docker Hub for Compose, and in ECR for us.
fn repository(image: Option<&str>, name: &str) -> String {
    match image.and_then(literal_image) {
        Some(image) => {
            let registry =
                if image.registry.is_empty() { "docker.io".to_owned() } else { image.registry.clone() };
            ImageRef { registry, tag: None, digest: None, ..image }.to_string()
        }
        None => format!("ghcr.io/owner/{}", sanitize_name(name).to_lowercase()),
    }
}

/// What the user should know of a service.
fn hints(name: &str, service: &Value) -> Vec<String> {
    let has = |key: &str| service.get(key).is_some();
    let mut found = Vec::new();
    if !has("healthcheck") {
        found.push(format!("{name} has no `healthcheck`: it counts as healthy while it runs"));
    }
    if has("ports") || has("container_name") {
        found.push(format!(
            "{name} has `ports` or `container_name`: it is replaced in place, and nobody answers for a few seconds"
        ));
    }
    if service.pointer("/logging/options/max-size").is_none() {
        found.push(format!("{name} has no `logging.options.max-size`: its logs can fill the disk"));
    }
    if service.get("image").and_then(Value::as_str).and_then(literal_image).is_none() {
        found.push(format!(
            "{name} has no `image` that names a repository: write that of your registry into the deploy file"
        ));
    }
    let left_out = build_keys_left_out(service);
    if !left_out.is_empty() {
        found.push(format!(
            "{name} has {left_out} in `build`: write what the image needs into the deploy file"
        ));
    }
    if service.get("extends").is_some() {
        found.push(format!("{name} has `extends`: another file that it names must be on the server"));
    }
    found
}

/// The keys of `build` that the deploy file does not get.
fn build_keys_left_out(service: &Value) -> String {
    let keys = service.get("build").and_then(Value::as_object).into_iter().flat_map(|build| build.keys());
    name_list(keys.map(String::as_str).filter(|key| !["context", "dockerfile", "target"].contains(key)))
}

/// The deploy file.
pub(super) fn deploy_file_text(plan: &ComposePlan, environment: &str, branch: &str) -> String {
    let mut text = format!(
        "# The services of {}, as `roadstead init --compose` found them. Every key: docs/targets/compose.md of Roadstead.\n\
         environments:\n  {}:\n    branches: [{}]\n\nservices:\n",
        comment(&plan.file),
        scalar(environment),
        scalar(branch),
    );
    for service in &plan.services {
        text += &service_block(plan, service);
    }
    for one in &plan.left_out {
        text += &format!("  # Left out: {one}\n");
    }
    text
}

fn service_block(plan: &ComposePlan, service: &ComposeService) -> String {
    let mut lines = vec![format!("  {}:", scalar(&sanitize_name(&service.name)))];
    lines.extend(service.build.iter().map(|build| format!("    build: {build}")));
    lines.push(format!("    repository: {}", value_scalar(&service.repository)));
    lines.push("    compose:".into());
    lines.push(format!("      hosts: [{{ ssh: {} }}]", value_scalar(&plan.host)));
    lines.push(
        "      # host-keys of the host: ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub, on the server"
            .into(),
    );
    lines.push(format!("      directory: {}", value_scalar(&plan.directory)));
    if plan.file != "compose.yaml" {
        lines.push(format!("      files: [{}]", value_scalar(&plan.file)));
    }
    lines.push(format!("      service: {}", value_scalar(&service.name)));
    if let Some(path) = &service.env_file {
        let path = value_scalar(&in_repository(path, &plan.file));
        lines.push(format!(
            "      # env-file: {path}   # if the file is in the repository, or a step before writes it"
        ));
    }
    lines.join("\n") + "\n"
}

/// The lines for the user.
pub(super) fn closing_text(plan: &ComposePlan, environment: &str, written: &[String]) -> Vec<String> {
    let mut lines = vec![format!("found in {}:", plan.file)];
    for service in &plan.services {
        lines.push(format!("  {}: repository {}", service.name, service.repository));
        lines.extend(service.hints.iter().map(|hint| format!("  note: {hint}")));
    }
    lines.extend(plan.left_out.iter().map(|one| format!("  {one}: left out")));
    lines.extend(written.iter().map(|path| format!("wrote {path}")));
    let next = [
        String::new(),
        "next:".into(),
        format!("  1. prepare the server {}: docs/targets/compose.md has ten lines", plan.host),
        "  2. store the private key of its user as the secret SSH_KEY, and its fingerprint in `host-keys`"
            .into(),
        "  3. replace the zeros in the workflow with the commit of a release".into(),
        "  4. roadstead rehearse: the whole release against the emulator, in seconds".into(),
        format!("  5. roadstead plan --environment {environment}: what would change"),
    ];
    lines.extend(next);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(file: &str, text: &str) -> Result<ComposePlan, Problem> {
        read_plan(file, text, "deploy@app1.example", None)
    }

    #[test]
    fn services_with_a_build_are_deployed_and_others_left_out() {
        let text = "name: shop\nservices:\n  web:\n    build: { context: ./app, dockerfile: Dockerfile.web, target: run }\n    \
                    image: ghcr.io/acme/shop:latest\n    env_file: [.env]\n    healthcheck: { test: [CMD, \"true\"] }\n    \
                    logging: { options: { max-size: 10m } }\n  worker: { build: ., ports: [\"80:80\"] }\n  db: { image: postgres:17 }\n";
        let plan = plan("deploy/compose.yml", text).unwrap();
        insta::assert_snapshot!(deploy_file_text(&plan, "production", "main"), @"
        # The services of deploy/compose.yml, as `roadstead init --compose` found them. Every key: docs/targets/compose.md of Roadstead.
        environments:
          production:
            branches: [main]

        services:
          web:
            build: { context: deploy/app, dockerfile: Dockerfile.web, target: run }
            repository: ghcr.io/acme/shop
            compose:
              hosts: [{ ssh: \"deploy@app1.example\" }]
              # host-keys of the host: ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub, on the server
              directory: \"/srv/shop\"
              files: [deploy/compose.yml]
              service: web
              # env-file: deploy/.env   # if the file is in the repository, or a step before writes it
          worker:
            build: { context: deploy }
            repository: ghcr.io/owner/worker
            compose:
              hosts: [{ ssh: \"deploy@app1.example\" }]
              # host-keys of the host: ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub, on the server
              directory: \"/srv/shop\"
              files: [deploy/compose.yml]
              service: worker
          # Left out: db: its image is not built here
        ");
        insta::assert_snapshot!(closing_text(&plan, "production", &["FILE".into()])[..8].join("\n"), @"
        found in deploy/compose.yml:
          web: repository ghcr.io/acme/shop
          worker: repository ghcr.io/owner/worker
          note: worker has no `healthcheck`: it counts as healthy while it runs
          note: worker has `ports` or `container_name`: it is replaced in place, and nobody answers for a few seconds
          note: worker has no `logging.options.max-size`: its logs can fill the disk
          note: worker has no `image` that names a repository: write that of your registry into the deploy file
          db: its image is not built here: left out
        ");
    }

    #[test]
    fn images_alone_are_deployed_where_nothing_is_built() {
        let table = [
            ("ghcr.io/acme/shop:1", "ghcr.io/acme/shop"),
            ("acme/shop", "docker.io/acme/shop"),
            (
                "registry.acme.dev:5000/shop@sha256:1111111111111111111111111111111111111111111111111111111111111111",
                "registry.acme.dev:5000/shop",
            ),
            ("${IMAGE}", "ghcr.io/owner/web"),
            ("ghcr.io/acme/shop:${TAG:-latest}", "ghcr.io/acme/shop"),
            ("registry.acme.dev:5000/shop:$TAG", "registry.acme.dev:5000/shop"),
            ("registry.acme.dev:$PORT/shop:1", "ghcr.io/owner/web"),
            ("${REGISTRY}/shop:${TAG}", "ghcr.io/owner/web"),
            ("ghcr.io/acme/shop:${TAG:-a/b}", "ghcr.io/owner/web"),
        ];
        for (image, expected) in table {
            let read =
                plan("compose.yaml", &format!("services: {{ web: {{ image: '{image}' }} }}\n")).unwrap();
            assert_eq!(read.services[0].repository, expected, "{image}");
        }
    }

    #[test]
    fn file_without_services_is_an_error() {
        for text in ["", "services: {}\n", "services: { web: {} }\n", "services: [\n", "- a\n"] {
            assert!(plan("compose.yaml", text).is_err(), "{text}");
        }
    }
}
