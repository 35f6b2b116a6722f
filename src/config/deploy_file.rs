//! A deploy file as a whole: its environments, and each service merged for one of them.

use std::collections::BTreeMap;

use super::blocks::SERVICE_KEYS;
use super::branch::{BranchRule, conflicts, excess_branches};
use super::branch_fault::impossible_branches;
use super::placeholder::substitute;
use super::read::list_choices;
use super::read_layout::find_misplaced;
use super::strategy_form::{drop_replaced_strategy, expand_names};
use super::tree::{self, ConfigEntry, ConfigNode, ConfigValue};
use super::workspace_paths::{self, CheckedOutFiles};
use super::{
    Environment, NotifySettings, Placeholders, Registries, ServiceConfig, aws_settings, check, limits,
    notify, outline, paths, promotion, read, registries, resource_names, unset_placeholders,
};
use crate::problem::list::{MAX_PER_BLOCK, for_first, name_list};
use crate::problem::{Code, Location, Problem, suggest};

/// A deploy file that is valid YAML; its parts are read on demand.
#[derive(Debug, Clone)]
pub struct DeployFile {
    /// Its name, for problems.
    pub file: String,
    root: ConfigNode,
}

/// A service of the deploy file, merged for one environment, with its placeholders filled.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its location in the deploy file.
    pub location: Location,
    /// Settings of every service.
    pub config: ServiceConfig,
    /// The `build` block, for the image adapter.
    pub build: Option<ConfigNode>,
    /// The target's key, such as `ecs`.
    pub target: String,
    /// The target's settings, for the target.
    pub settings: ConfigNode,
}

/// What the input `services` may say instead of names.
const CHANGED_SERVICES: &str = "changed";

type ReadResult<T> = Result<T, Vec<Problem>>;

impl DeployFile {
    /// Reads the text of a deploy file; `file` names it in problems.
    pub fn parse(file: &str, text: &str) -> ReadResult<Self> {
        limits::text_problem(file, text).map_or(Ok(()), |problem| Err(vec![problem]))?;
        let root = tree::parse(file, text).map_err(|problem| vec![problem])?;
        let document = Self { file: file.to_owned(), root };
        let problems = outline::top_level_problems(file, &document.root);
        if problems.is_empty() { Ok(document) } else { Err(problems) }
    }

    /// Whether the services of a run belong together: if one fails, the others are rolled back. `false` by default,
    /// with the problem if the value is not valid.
    pub fn read_atomic(&self) -> (bool, Option<Problem>) {
        let Some(node) = self.root.get("atomic") else { return (false, None) };
        match node.kind {
            ConfigValue::Scalar(serde_json::Value::Bool(atomic)) => (atomic, None),
            _ => {
                let problem = Problem::error(
                    Code::ConfigInvalid,
                    "`atomic` in the deploy file must be `true` or `false`.",
                );
                (false, Some(problem.at_location(&self.file, node.line, node.column)))
            }
        }
    }

    /// The environments by name, and their problems. An environment that cannot be read is listed without its settings.
    pub fn environments(&self) -> (BTreeMap<String, Environment>, Vec<Problem>) {
        let entries = self.root.get("environments").map(ConfigNode::entries).unwrap_or_default();
        let misplaced = outline::misplaced_environment_keys(entries);
        let (mut environments, mut problems) = (BTreeMap::new(), misplaced.problems(&self.file));
        for entry in entries.iter().filter(|entry| !misplaced.contains(entry)) {
            // `staging:` without settings is an environment without branches.
            let bare = entry.value.kind == ConfigValue::Scalar(serde_json::Value::Null);
            let node = if bare { ConfigNode::empty_mapping() } else { entry.value.clone() };
            let read = read(&self.file, &format!("environment `{}`", entry.key), &node);
            problems.extend(aws_settings::problems(&self.file, &entry.key, &node));
            let environment = read.unwrap_or_else(|more| {
                problems.extend(more);
                Environment::default()
            });
            environments.insert(entry.key.clone(), environment);
        }
        problems.extend(promotion::problems(&self.file, self.root.get("environments"), &environments));
        (environments, problems)
    }

    /// The notifications of `environment`, and their problems.
    pub fn notify_settings(
        &self,
        name: &str,
        environment: &Environment,
        known: &Placeholders,
    ) -> (NotifySettings, Vec<Problem>) {
        let mut node = self.root.get("notify").cloned().unwrap_or_else(ConfigNode::empty_mapping);
        let mut problems = substitute(&self.file, &mut node, known);
        let all = read::<NotifySettings>(&self.file, "`notify`", &node).unwrap_or_else(|more| {
            problems.extend(more);
            NotifySettings::default()
        });
        let own = self.root.get("environments").and_then(|all| all.get(name)?.get("notify"));
        for block in [Some(&node), own].into_iter().flatten() {
            problems.extend(notify::warnings(&self.file, block));
        }
        (all.with_overrides(environment.notify.clone().unwrap_or_default()), problems)
    }

    /// The logins of registries, and their problems.
    pub fn registries(&self, known: &Placeholders) -> (Registries, Vec<Problem>) {
        let mut node = self.root.get("registries").cloned().unwrap_or_else(ConfigNode::empty_mapping);
        let mut problems = substitute(&self.file, &mut node, known);
        problems.extend(registries::problems(&self.file, &node));
        if !problems.is_empty() {
            return (Registries::new(), problems);
        }
        match read::<Registries>(&self.file, "`registries`", &node) {
            Ok(registries) => (registries, problems),
            Err(problems) => (Registries::new(), problems),
        }
    }

    /// Branches that can never match or that two environments match, each with its line. `branch` is that of the run, if there is one: two
    /// patterns may overlap, and only names show whether they do.
    pub fn ambiguous_branch(&self, branch: Option<&str>) -> Vec<Problem> {
        let environments = self.root.get("environments").map(ConfigNode::entries).unwrap_or_default();
        let claims: Vec<BranchRule<'_>> = environments.iter().flat_map(branch_rules).collect();
        let wrong = [excess_branches(&self.file, &claims), impossible_branches(&self.file, &claims)].concat();
        if wrong.is_empty() { conflicts(&self.file, &claims, branch) } else { wrong }
    }

    /// Problems of the `paths` of a service that the checked-out files show. `context` is the folder of
    /// its build.
    pub fn workspace_problems(
        &self,
        service: &Service,
        context: Option<&str>,
        files: &dyn CheckedOutFiles,
    ) -> Vec<Problem> {
        let Some(node) = self.root.get("services").and_then(|all| all.get(&service.name)?.get("paths"))
        else {
            return Vec::new();
        };
        let mut found = workspace_paths::workspace_problems(&self.file, &service.name, node, files);
        let outside =
            context.and_then(|context| workspace_paths::context_outside(&service.config.paths, context));
        let is_clean = found.is_empty();
        let warning = outside.filter(|_| is_clean).map(|context| {
            let sentence = format!(
                "The build of `{}` reads the folder `{context}`, and none of its `paths` is there.",
                service.name
            );
            Problem::warning(Code::ConfigInvalid, sentence)
                .help(format!(
                    "Add `{context}/**`: with `services: changed`, a change there does not deploy it."
                ))
                .at_location(&self.file, node.line, node.column)
        });
        found.extend(warning);
        found.into_iter().map(|problem| problem.for_service(&service.name)).collect()
    }

    /// The names of the services, in the order of the file.
    pub fn service_names(&self) -> Vec<String> {
        self.root
            .get("services")
            .map(ConfigNode::entries)
            .unwrap_or_default()
            .iter()
            .map(|e| e.key.clone())
            .collect()
    }

    /// The services `wanted` (all if that is empty) merged for `environment`, and their problems.
    /// `targets` are the supported targets, `known` the placeholders besides `${service}`.
    pub fn services(
        &self,
        environment: &str,
        wanted: &[String],
        targets: &[&str],
        known: &Placeholders,
    ) -> (Vec<Service>, Vec<Problem>) {
        let (mut services, mut problems) = (Vec::new(), self.unknown_services(wanted));
        let entries = self.root.get("services").map(ConfigNode::entries).unwrap_or_default();
        let misplaced = outline::misplaced_service_keys(entries, targets);
        let is_wanted = |entry: &&ConfigEntry| wanted.is_empty() || wanted.contains(&entry.key);
        problems.extend(misplaced.problems_of(&self.file, is_wanted));
        for entry in entries.iter().filter(is_wanted) {
            // What is missing in a service stands beside it, and was reported.
            if misplaced.contains(entry) || misplaced.is_owner(entry) {
                continue;
            }
            let (service, more) = self.read_service(entry, environment, targets, known);
            services.extend(service);
            problems.extend(more.into_iter().map(|problem| problem.for_service(&entry.key)));
        }
        (services, problems)
    }

    fn unknown_services(&self, wanted: &[String]) -> Vec<Problem> {
        let names = self.service_names();
        let known = names.iter().map(String::as_str).collect::<Vec<_>>();
        let list = name_list(known.iter().copied());
        for_first(wanted.iter().filter(|name| !names.contains(name)), |name| {
            let near = suggest(name, known.iter().copied().chain([CHANGED_SERVICES]));
            let help = match near {
                Some(near) => format!("Did you mean `{near}`? Known: {list}."),
                None if matches!(name.to_ascii_lowercase().as_str(), "all" | "*" | "**") => {
                    format!("For all services, leave the input `services` out. Known: {list}.")
                }
                None => format!("Known: {list}."),
            };
            Problem::error(Code::NameUnknown, format!("There is no service `{name}` in the deploy file."))
                .help(help)
        })
    }

    fn read_service(
        &self,
        entry: &ConfigEntry,
        environment: &str,
        targets: &[&str],
        known: &Placeholders,
    ) -> (Option<Service>, Vec<Problem>) {
        let name = entry.key.as_str();
        if let Some(problem) = outline::form_problem(&self.file, &format!("service `{name}`"), &entry.value) {
            return (None, vec![problem.at_location(&self.file, entry.line, entry.column)]);
        }
        let slipped = outline::slipped_keys(&self.file, &entry.value, targets);
        if !slipped.is_empty() {
            return (None, slipped);
        }
        let (mut merged, overrides) = merge_overrides(entry, environment);
        let mut problems = self.override_problems(name, overrides.as_ref());
        unset_placeholders::drop_unset(&mut merged, known);
        let placeholders = known.clone().into_iter().chain([("service", name.to_owned())]).collect();
        problems.extend(substitute(&self.file, &mut merged, &placeholders));
        let (merged, build) = merged.take_key("build");
        let target = self.read_target(name, &merged, targets);
        let common = self.read_service_config(name, &merged, targets);
        match (target, common) {
            (Ok((target, settings)), Ok(common)) => {
                let at = Location { file: self.file.clone(), line: entry.line, column: entry.column };
                (
                    Some(Service {
                        name: name.to_owned(),
                        location: at,
                        config: common,
                        build,
                        target,
                        settings,
                    }),
                    problems,
                )
            }
            (target, common) => {
                problems.extend(target.err().flatten());
                problems.extend(common.err().unwrap_or_default());
                (None, problems)
            }
        }
    }

    /// Problems of the names and the form of a service's `environments`.
    fn override_problems(&self, service: &str, overrides: Option<&ConfigNode>) -> Vec<Problem> {
        let Some(overrides) = overrides else { return Vec::new() };
        let what = format!("`environments` of service `{service}`");
        if let Some(problem) = outline::form_problem(&self.file, &what, overrides) {
            return vec![problem];
        }
        let names: Vec<String> = self
            .root
            .get("environments")
            .map(ConfigNode::entries)
            .unwrap_or_default()
            .iter()
            .map(|entry| entry.key.clone())
            .collect();
        let unknown = overrides.entries().iter().filter(|entry| !names.contains(&entry.key));
        // Each look reads the whole block.
        let mut first = unknown.take(MAX_PER_BLOCK);
        let slipped = first.find_map(|entry| find_misplaced(overrides, &entry.key, &names));
        if let Some(slipped) = slipped {
            return vec![slipped.problem(&self.file)];
        }
        let (known, unknown): (Vec<_>, Vec<_>) =
            overrides.entries().iter().partition(|entry| names.contains(&entry.key));
        let forms = known.iter().filter_map(|entry| {
            let what = format!("`environments.{}` of service `{service}`", entry.key);
            outline::form_problem(&self.file, &what, &entry.value)
        });
        let unknown =
            for_first(unknown, |entry| {
                let sentence = format!("There is no environment `{}` in the deploy file.", entry.key);
                Problem::error(Code::NameUnknown, sentence)
                    .help(list_choices(&entry.key, &names))
                    .at_location(&self.file, entry.line, entry.column)
            });
        forms.chain(unknown).collect()
    }

    fn read_service_config(
        &self,
        name: &str,
        node: &ConfigNode,
        targets: &[&str],
    ) -> ReadResult<ServiceConfig> {
        let mut problems = paths::problems(&self.file, name, node.get("paths"));
        problems.extend(resource_names::problems(&self.file, name, node));
        problems.extend(check::problems(&self.file, node));
        let is_common = |entry: &&ConfigEntry| SERVICE_KEYS.contains(&entry.key.as_str());
        problems.extend(outline::unknown_service_keys(&self.file, name, node, targets));
        let common = node.entries().iter().filter(is_common).cloned().collect();
        let common = ConfigNode { kind: ConfigValue::Mapping(common), written: None, ..*node };
        match read(&self.file, &format!("service `{name}`"), &expand_names(common)) {
            Ok(common) if problems.is_empty() => Ok(common),
            Ok(_) => Err(problems),
            Err(more) => Err(problems.into_iter().chain(more).collect()),
        }
    }

    /// The target of a service with its settings. `None` as an error: what is wrong is an unknown key, which is reported.
    fn read_target(
        &self,
        name: &str,
        node: &ConfigNode,
        targets: &[&str],
    ) -> Result<(String, ConfigNode), Option<Problem>> {
        let is_target = |entry: &&ConfigEntry| outline::is_target_key(&entry.key, targets);
        let given: Vec<_> = node.entries().iter().filter(is_target).collect();
        let exist = name_list(targets.iter().copied());
        let problem = |code, sentence: String, help: String, line, column| {
            Some(Problem::error(code, sentence).help(help).at_location(&self.file, line, column))
        };
        match given.as_slice() {
            [one] if targets.contains(&one.key.as_str()) => Ok((one.key.clone(), one.value.clone())),
            [one] => {
                let sentence = format!("Target `{}` is not supported.", one.key);
                let help = format!("Supported targets: {exist}.");
                Err(problem(Code::Unsupported, sentence, help, one.line, one.column))
            }
            [] if outline::has_misspelled_target(node, targets) => Err(None),
            [] => {
                let sentence = format!("Service `{name}` has no target.");
                let help = format!("Add exactly one target: {exist}.");
                Err(problem(Code::ConfigInvalid, sentence, help, node.line, node.column))
            }
            [first, second, ..] => {
                let sentence =
                    format!("Service `{name}` has two targets, `{}` and `{}`.", first.key, second.key);
                let help = "Split it into two services.".to_owned();
                Err(problem(Code::ConfigInvalid, sentence, help, second.line, second.column))
            }
        }
    }
}

/// The branches of an environment.
fn branch_rules(environment: &ConfigEntry) -> Vec<BranchRule<'_>> {
    let list = environment.value.get("branches").map(|node| &node.kind);
    let Some(ConfigValue::Sequence(items)) = list else { return Vec::new() };
    let claim = |item: &ConfigNode| match &item.kind {
        ConfigValue::Scalar(serde_json::Value::String(pattern)) => Some(BranchRule {
            environment: &environment.key,
            pattern: pattern.clone(),
            line: item.line,
            column: item.column,
        }),
        _ => None,
    };
    items.iter().filter_map(claim).collect()
}

/// A service with what `environment` overrides, and the overrides of all environments.
fn merge_overrides(entry: &ConfigEntry, environment: &str) -> (ConfigNode, Option<ConfigNode>) {
    let (node, overrides) = entry.value.clone().take_key("environments");
    let over = overrides.as_ref().and_then(|all| all.get(environment)).cloned();
    let over = over.filter(|over| matches!(over.kind, ConfigValue::Mapping(_)));
    let merged = match over {
        Some(over) => drop_replaced_strategy(node, &over).with_overrides(over),
        None => node,
    };
    (merged, overrides)
}

mod restorable;
#[cfg(test)]
mod tests;
