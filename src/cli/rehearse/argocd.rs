//! The GitOps part of a rehearsal's world: for every `argocd` service its repository with the files that the deploy file
//! names, each with an earlier image, and an application of Argo CD that runs it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::config::Service;
use crate::sys::disk;
use crate::targets::Kind;
use crate::targets::argocd::kind::ArgoCdKind;
use roadstead_cloud::argocd::scenario::{AppSourceSetting, ArgoCdAppSetting};
use roadstead_cloud::scenario::Scenario;
use roadstead_cloud::web::Site;

use super::example::ExampleFiles;
use super::worlds::{SeedContext, World};

const EXAMPLE: &str = "environments:
  production: { branches: [main], aws: { region: eu-west-1 } }
services:
  backend:
    repository: acme/backend
    argocd:
      repository: acme/manifests
      files: [ { path: \"apps/backend/kustomization.yaml\" } ]
      application: backend
      server: https://argocd.acme.example
";

/// The world of services that Argo CD syncs.
pub(super) struct ArgoCdWorld;

impl World for ArgoCdWorld {
    fn key(&self) -> &'static str {
        ArgoCdKind::KEY
    }

    fn example(&self) -> ExampleFiles {
        ExampleFiles::of_deploy_file(EXAMPLE)
    }

    fn seed(
        &self,
        mut scenario: Scenario,
        services: &[&Service],
        context: &SeedContext<'_>,
    ) -> Result<Scenario, String> {
        let mut repositories: BTreeMap<String, ManifestRepository> = BTreeMap::new();
        for service in services {
            seed_service(&mut scenario, &mut repositories, service, context)?;
        }
        for (name, place) in repositories {
            if !scenario.github.repositories.iter().any(|it| it.name == name) {
                let setting =
                    json!({ "name": name, "default-branch": place.branch, "files": place.into_files() });
                let repository = serde_json::from_value(setting).map_err(|error| error.to_string())?;
                scenario.github.repositories.push(repository);
            }
        }
        Ok(scenario)
    }

    fn link_site(&self, service: &Service, site: &mut Site) {
        site.application = text_at(&service.settings.to_value(), "application");
    }
}

/// The files and the application of one service.
fn seed_service(
    scenario: &mut Scenario,
    repositories: &mut BTreeMap<String, ManifestRepository>,
    service: &Service,
    context: &SeedContext<'_>,
) -> Result<(), String> {
    let block = service.settings.to_value();
    let repository = text_at(&block, "repository").unwrap_or_else(|| context.repository.to_owned());
    let branch = text_at(&block, "branch").unwrap_or_else(|| "main".into());
    let image = earlier_image(scenario, service);
    let place = repositories.entry(repository.clone()).or_insert_with(|| ManifestRepository::new(&branch));
    let files = block["files"].as_array().cloned().unwrap_or_default();
    for file in &files {
        let path = text_at(file, "path").unwrap_or_default();
        let is_own = repository == context.repository;
        let users = if is_own { read_user_file(context.workspace, &path)? } else { None };
        place.add_file(&path, file, &service.name, &image, users);
    }
    if let Some(name) = text_at(&block, "application") {
        let paths = files.iter().filter_map(|file| text_at(file, "path")).collect();
        let source = AppSourceSetting { repository, branch, files: paths, chart: None };
        add_application(scenario, &block, name, source);
    }
    Ok(())
}

fn text_at(block: &Value, key: &str) -> Option<String> {
    block.get(key)?.as_str().map(str::to_owned)
}

/// The image without tag: as the deploy file has it, in the account's registry where it names no other.
fn earlier_image(scenario: &Scenario, service: &Service) -> String {
    let repository = service.config.repository.clone().unwrap_or_else(|| service.name.clone());
    let first = repository.split('/').next().unwrap_or_default();
    if first.contains(['.', ':']) && repository.contains('/') {
        return repository;
    }
    format!("{}.dkr.ecr.{}.amazonaws.com/{repository}", scenario.account, scenario.region)
}

fn read_user_file(workspace: &Path, path: &str) -> Result<Option<String>, String> {
    let at = workspace.join(path);
    if path.is_empty() || !disk::exists(&at) {
        return Ok(None);
    }
    disk::read_text_within(workspace, Path::new(path)).map(Some).map_err(|error| format!("{error:#}"))
}

/// An application that follows the files; one of this name that the scenario has already gets its sources from here
/// when it has none.
fn add_application(scenario: &mut Scenario, block: &Value, name: String, source: AppSourceSetting) {
    let argo_namespace = text_at(block, "application-namespace");
    let known = |app: &&mut ArgoCdAppSetting| app.name == name && app.argo_namespace == argo_namespace;
    if let Some(there) = scenario.argocd.applications.iter_mut().find(known) {
        for file in source.files {
            let mut same = there.sources.iter_mut().filter(|it| it.repository == source.repository);
            match same.next() {
                Some(it) if !it.files.contains(&file) => it.files.push(file),
                _ => {}
            }
        }
        return;
    }
    let automated = !block["sync"].as_bool().unwrap_or_default();
    let sources = vec![source];
    scenario.argocd.applications.push(ArgoCdAppSetting {
        name,
        argo_namespace,
        sources,
        automated,
        ..ArgoCdAppSetting::default()
    });
}

/// A repository in the making.
struct ManifestRepository {
    branch: String,
    /// Texts that are there already.
    texts: BTreeMap<String, String>,
    /// Entries of kustomizations.
    kustomizations: BTreeMap<String, Vec<(String, String)>>,
    /// Values of charts, by the path of the image in them.
    values: BTreeMap<String, Vec<(String, String)>>,
    /// Manifests: name of the service, container, image.
    manifests: BTreeMap<String, Vec<(String, String, String)>>,
}

impl ManifestRepository {
    fn new(branch: &str) -> Self {
        Self {
            branch: branch.into(),
            texts: BTreeMap::new(),
            kustomizations: BTreeMap::new(),
            values: BTreeMap::new(),
            manifests: BTreeMap::new(),
        }
    }

    fn add_file(&mut self, path: &str, file: &Value, service: &str, image: &str, users: Option<String>) {
        let name = path.rsplit('/').next().unwrap_or(path);
        let kustomization = name.to_lowercase().starts_with("kustomization");
        if let Some(text) = users {
            self.texts.insert(path.into(), text);
        } else if let Some(container) = text_at(file, "container") {
            let entry = (service.to_owned(), container, image.to_owned());
            self.manifests.entry(path.into()).or_default().push(entry);
        } else if let (false, Some(at)) = (kustomization, text_at(file, "image")) {
            self.values.entry(path.into()).or_default().push((at, image.to_owned()));
        } else {
            let entry = text_at(file, "image").unwrap_or_else(|| image.to_owned());
            self.kustomizations.entry(path.into()).or_default().push((entry, image.to_owned()));
        }
    }

    fn into_files(self) -> BTreeMap<String, String> {
        let mut files = self.texts;
        let kustomizations =
            self.kustomizations.iter().map(|(path, all)| (path.clone(), kustomization_text(all)));
        files.extend(kustomizations);
        files.extend(self.values.iter().map(|(path, all)| (path.clone(), values_text(all))));
        files.extend(self.manifests.iter().map(|(path, all)| (path.clone(), manifests_text(all))));
        files
    }
}

fn kustomization_text(entries: &[(String, String)]) -> String {
    let mut made =
        String::from("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n\nimages:\n");
    for (name, image) in entries {
        made += &format!("  - name: {name}\n");
        if name != image {
            made += &format!("    newName: {image}\n");
        }
        made += "    newTag: v1 # what runs now\n";
    }
    made
}

/// Each image below its path, as charts of many teams have it.
fn values_text(entries: &[(String, String)]) -> String {
    let mut tree = Map::new();
    for (path, image) in entries {
        let keys: Vec<&str> = path.split('.').collect();
        insert_image(&mut tree, &keys, image);
    }
    format!("# Values of the chart.\n{}", to_yaml(&tree, 0))
}

fn insert_image(tree: &mut Map<String, Value>, keys: &[&str], image: &str) {
    let Some((first, rest)) = keys.split_first() else {
        tree.insert("repository".into(), json!(image));
        tree.insert("tag".into(), json!("v1"));
        return;
    };
    if let Value::Object(below) = tree.entry(*first).or_insert_with(|| json!({})) {
        insert_image(below, rest, image);
    }
}

/// A tree of texts as YAML.
fn to_yaml(tree: &Map<String, Value>, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    let line = |(key, value): (&String, &Value)| match value {
        Value::Object(below) => format!("{indent}{key}:\n{}", to_yaml(below, depth + 1)),
        other => format!("{indent}{key}: {other}\n"),
    };
    tree.iter().map(line).collect()
}

fn manifests_text(entries: &[(String, String, String)]) -> String {
    let one = |(service, container, image): &(String, String, String)| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {service}\nspec:\n  replicas: 2\n  selector:\n    \
             matchLabels: {{ app: {service} }}\n  template:\n    metadata:\n      labels: {{ app: {service} }}\n    spec:\n      \
             containers:\n        - name: {container}\n          image: {image}:v1\n"
        )
    };
    entries.iter().map(one).collect::<Vec<_>>().join("---\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DeployFile, Placeholders};
    use roadstead_cloud::seed;

    const FILE: &str = r#"
environments: { production: { branches: [main] } }
services:
  web:
    repository: acme/web
    argocd:
      repository: acme/manifests
      files: [{ path: apps/kustomization.yaml }, { path: "apps/${environment}/values.yaml", image: backend.image }]
      application: shop
  worker:
    repository: ghcr.io/acme/worker
    argocd:
      repository: acme/manifests
      files: [{ path: apps/kustomization.yaml, image: worker }, { path: apps/deploy.yaml, container: app }]
      application: shop
      sync: true
  own:
    argocd: { files: [{ path: Cargo.toml }] }
"#;

    fn seed_from(scenario: Scenario, services: &[Service], workspace: &Path) -> Scenario {
        let context = SeedContext { workspace, repository: "acme/shop" };
        ArgoCdWorld.seed(scenario, &services.iter().collect::<Vec<_>>(), &context).unwrap()
    }

    fn scenario() -> Scenario {
        let document = DeployFile::parse("roadstead.yml", FILE).unwrap();
        let known: Placeholders = [("environment", "production".to_owned())].into();
        let (services, problems) = document.services("production", &[], &[ArgoCdKind::KEY], &known);
        assert!(problems.is_empty(), "{problems:?}");
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR"));
        seed_from(Scenario::default(), &services, workspace)
    }

    #[test]
    fn seed_every_file_has_an_earlier_image_that_runs() {
        let world = seed::build_world(&scenario(), 1);
        let app = &world.argocd.apps[0];
        let own = "111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/web:v1";
        assert_eq!(app.initial_images, [own, "ghcr.io/acme/worker:v1"], "in the order of the deploy file");
        assert_eq!((app.health.0.as_str(), app.comparison.status.as_str()), ("Healthy", "Synced"));
        assert_eq!(app.spec.sources[0].files.len(), 3);
        let head = world.github.head("acme/manifests", "main").unwrap();
        let file = |path: &str| {
            world.github.read_file("acme/manifests", &head, path).map(|it| String::from_utf8(it).unwrap())
        };
        let values = file("apps/production/values.yaml").unwrap();
        assert!(values.contains("backend:\n  image:\n    repository: \"1111"), "{values}");
        let kustomization = file("apps/kustomization.yaml").unwrap();
        assert!(
            kustomization.contains("- name: worker\n    newName: ghcr.io/acme/worker\n"),
            "{kustomization}"
        );
        assert!(file("apps/deploy.yaml").unwrap().contains("image: ghcr.io/acme/worker:v1"));
    }

    #[test]
    fn seed_takes_files_of_the_own_repository_from_the_workspace() {
        let world = seed::build_world(&scenario(), 1);
        let head = world.github.head("acme/shop", "main").unwrap();
        let text = world.github.read_file("acme/shop", &head, "Cargo.toml").unwrap();
        assert!(String::from_utf8(text).unwrap().contains("name = \"roadstead\""));
    }

    #[test]
    fn seed_keeps_what_the_scenario_has() {
        let begun = Scenario::parse(
            "github: { repositories: [{ name: acme/manifests, files: { x: 'y' } }] }\n\
             argocd: { applications: [{ name: shop, workload: Rollout, sources: [{ repository: acme/manifests }] }] }",
        );
        let document = DeployFile::parse("roadstead.yml", FILE).unwrap();
        let known: Placeholders = [("environment", "production".to_owned())].into();
        let (services, _) = document.services("production", &[], &[ArgoCdKind::KEY], &known);
        let made = seed_from(begun.unwrap(), &services, Path::new("/nowhere"));
        assert_eq!(made.github.repositories.iter().filter(|it| it.name == "acme/manifests").count(), 1);
        assert_eq!(made.argocd.applications.len(), 1);
        assert_eq!(made.argocd.applications[0].workload, "Rollout");
        assert_eq!(made.argocd.applications[0].sources[0].files.len(), 3);
    }
}
