//! Deploy files in which one thing is wrong. Each node of each file is damaged in each way: the error is one, it stands at the
//! damaged line, and it has no word of the parser's.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use roadstead::config::tree::{self, ConfigEntry, ConfigNode, ConfigValue};
use roadstead::config::{self, DeployFile, Placeholders};
use roadstead::image::Build;
use roadstead::problem::Problem;
use roadstead::targets::{self, KINDS};
use serde_json::Value;

/// A file with a key of every kind.
const WHOLE: &str = r#"
environments:
  staging: { branches: [develop, "release/*"], workflows: [deploy.yml], aws: { region: eu-west-1, role: "arn:aws:iam::111111111111:role/deploy" } }
  production: { branches: [main], promote-from: staging, image-repositories: ["ghcr.io/acme/*"], aws: { region: eu-west-1, account: "222222222222" } }
services:
  backend:
    paths: ["backend/**"]
    build: { context: backend, dockerfile: Dockerfile, args: { A: "1", B: 1.10 }, secrets: [NPM_TOKEN], platforms: [linux/amd64], cache: inline, provenance: false }
    repository: acme/backend
    ecs: { cluster: "acme-${environment}", service: backend, container: app, environment: { PORT: 8080, NAME: x }, patience: { failed-tasks: 3, placement: 5m } }
    strategy: { canary: { percent: 10, bake: 15m, metrics: [5xx, { latency: { over-ms: 300 } }], analysis: { margin: 1.5, on-inconclusive: promote } } }
    before: { run: ["./migrate", up], timeout: 5m }
    alarms: [backend-5xx]
    show-env: [PORT]
    verify: [ { http: "https://acme.dev/health", status: 200, headers: { Accept: text/html }, within: 30s } ]
    environments: { staging: { alarms: [next-5xx] } }
  analytics:
    repository: acme/analytics
    argocd: { repository: acme/manifests, branch: main, files: [ { path: "apps/kustomization.yaml", pin: tag } ], application: analytics, server: "https://argocd.acme.dev", sync: true, pull-request: { auto-merge: true } }
  flags:
    appconfig: { application: shop, environment: "${environment}", profile: flags, file: flags.json, strategy: AppConfig.AllAtOnce }
notify: { sns: "arn:aws:sns:eu-west-1:111111111111:deploys", success: true }
atomic: true
"#;

/// Words of the parser and of the program.
const FOREIGN_WORDS: [&str; 17] = [
    "invalid type",
    "invalid value",
    "invalid length",
    "unknown field",
    "unknown variant",
    "missing field",
    "did not match any variant",
    "expected struct",
    "expected a map",
    "expected a sequence",
    "expected u",
    "expected i",
    "expected f",
    "integer `",
    "floating point",
    "variant",
    "unit value",
];

fn deploy_files() -> Vec<(String, ConfigNode)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let folders = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path().join("roadstead.yml"));
    let mut texts: Vec<(String, String)> = folders
        .filter_map(|path| Some((path.display().to_string(), fs::read_to_string(&path).ok()?)))
        .collect();
    assert!(texts.len() >= 8, "{texts:?}");
    texts.push(("WHOLE".into(), WHOLE.into()));
    texts.sort();
    let parsed = texts.into_iter().map(|(name, text)| (name, tree::parse("f", &text).unwrap()));
    parsed.collect()
}

fn build_problems(node: &ConfigNode) -> Vec<Problem> {
    match config::read::<Build>("f.yml", "`build`", node) {
        Ok(build) => build.problems_at("f.yml", node),
        Err(problems) => problems,
    }
}

/// What a run says about a deploy file before its first call, for one environment.
fn problems_in(text: &str, environment: Option<&str>) -> Vec<Problem> {
    let document = match DeployFile::parse("f.yml", text) {
        Ok(document) => document,
        Err(problems) => return problems,
    };
    let (environments, mut problems) = document.environments();
    problems.extend(document.ambiguous_branch(None));
    problems.extend(document.read_atomic().1);
    let named = environment.filter(|name| environments.contains_key(*name)).map(str::to_owned);
    let name = named.or_else(|| environments.keys().next().cloned()).unwrap_or_default();
    let chosen = environments.get(&name).cloned().unwrap_or_default();
    let known: Placeholders = [("environment", name.clone())].into();
    problems.extend(document.registries(&known).1);
    problems.extend(document.notify_settings(&name, &chosen, &known).1);
    let (services, more) = document.services(&name, &[], &targets::keys(KINDS), &known);
    problems.extend(more);
    for service in &services {
        problems.extend(service.build.iter().flat_map(build_problems));
    }
    let (specs, more) = targets::read_specs(KINDS, "f.yml", services);
    problems.extend(more);
    let containers = specs.iter().flat_map(|service| service.containers());
    problems.extend(containers.filter_map(|it| it.build).flat_map(|node| build_problems(&node)));
    problems.extend(targets::shared_resources(&specs));
    problems.retain(Problem::is_error);
    problems
}

/// The file in block style, a line for each key and each item.
#[derive(Default)]
struct Written {
    lines: Vec<String>,
    /// The line of each key, from 1, with its entry and its path.
    keys: Vec<WrittenKey>,
}

struct WrittenKey {
    line: usize,
    /// The last line of its value.
    end: usize,
    indent: usize,
    path: Vec<String>,
    value: ConfigNode,
    is_in_list: bool,
}

impl Written {
    fn of(root: &ConfigNode) -> Self {
        let mut written = Self::default();
        written.write_entries(root.entries(), 0, &[], false);
        written
    }

    fn text(&self) -> String {
        self.lines.join("\n") + "\n"
    }

    fn write_entries(&mut self, entries: &[ConfigEntry], indent: usize, path: &[String], is_in_list: bool) {
        for entry in entries {
            let path = [path, std::slice::from_ref(&entry.key)].concat();
            let at = self.keys.len();
            let head = format!("{}{}:", " ".repeat(indent), Value::from(entry.key.clone()));
            let line = self.lines.len() + 1;
            let value = entry.value.clone();
            self.keys.push(WrittenKey { line, end: line, indent, path: path.clone(), value, is_in_list });
            self.write_value(&head, &entry.value, indent + 2, &path, is_in_list);
            self.keys[at].end = self.lines.len();
        }
    }

    fn write_value(
        &mut self,
        head: &str,
        node: &ConfigNode,
        indent: usize,
        path: &[String],
        is_in_list: bool,
    ) {
        match &node.kind {
            ConfigValue::Mapping(entries) if !entries.is_empty() => {
                self.lines.push(head.to_owned());
                self.write_entries(entries, indent, path, is_in_list);
            }
            ConfigValue::Sequence(items) if !items.is_empty() => {
                self.lines.push(head.to_owned());
                for (index, item) in items.iter().enumerate() {
                    let path = [path, &[index.to_string()]].concat();
                    self.write_value(&format!("{}-", " ".repeat(indent)), item, indent + 2, &path, true);
                }
            }
            _ => self.lines.push(format!("{head} {}", write_scalar(node))),
        }
    }
}

fn write_scalar(node: &ConfigNode) -> String {
    match &node.kind {
        ConfigValue::Scalar(Value::Null) => String::new(),
        ConfigValue::Scalar(Value::String(text)) => Value::from(text.clone()).to_string(),
        ConfigValue::Scalar(value) => node.written.clone().unwrap_or_else(|| value.to_string()),
        ConfigValue::Sequence(_) => "[]".into(),
        ConfigValue::Mapping(_) => "{}".into(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Damage {
    Typo,
    Remove,
    Mapping,
    List,
    Text,
    Number,
    Empty,
    Unindent,
    Duplicate,
}

const DAMAGES: [Damage; 9] = [
    Damage::Typo,
    Damage::Remove,
    Damage::Mapping,
    Damage::List,
    Damage::Text,
    Damage::Number,
    Damage::Empty,
    Damage::Unindent,
    Damage::Duplicate,
];

/// The lines with one key damaged; `None` if it cannot be damaged so.
fn damage(written: &Written, key: &WrittenKey, damage: Damage) -> Option<Vec<String>> {
    let mut lines = written.lines.clone();
    let own = key.line - 1..key.end;
    let name = key.path.last()?;
    let head = format!("{}{}:", " ".repeat(key.indent), Value::from(name.clone()));
    let is_scalar = matches!(key.value.kind, ConfigValue::Scalar(_));
    let with = |text: &str| vec![format!("{head} {text}")];
    let replaced = match damage {
        Damage::Typo => {
            let mut letters: Vec<char> = name.chars().collect();
            let at = letters.windows(2).position(|pair| pair[0] != pair[1])?;
            letters.swap(at, at + 1);
            let typo: String = letters.into_iter().collect();
            let first = lines[own.start].replacen(name.as_str(), &typo, 1);
            std::iter::once(first).chain(lines[own.start + 1..own.end].iter().cloned()).collect()
        }
        Damage::Remove => Vec::new(),
        Damage::Mapping if is_scalar => with("{ x: \"y\" }"),
        Damage::List => with("[\"a\", \"b\"]"),
        Damage::Text if !is_scalar || !key.value.to_value().is_string() => with("\"some text\""),
        Damage::Number if !key.value.to_value().is_number() => with("12"),
        Damage::Empty => with(""),
        Damage::Unindent if key.indent >= 2 => {
            lines[own.clone()].iter().map(|line| line[2..].to_owned()).collect()
        }
        Damage::Duplicate => [&lines[own.clone()], &lines[own.clone()]].concat(),
        _ => return None,
    };
    lines.splice(own, replaced);
    Some(lines)
}

/// Whether users choose the names at a path, so that another name is no error.
fn is_open_name(path: &[String]) -> bool {
    let above: Vec<&str> = path[..path.len() - 1].iter().map(String::as_str).collect();
    matches!(above[..], ["environments"] | ["services"] | ["registries"] | [_, _, "environments"])
        || above.last().is_some_and(|last| matches!(*last, "args" | "labels" | "headers" | "images"))
        || above.len() > 2 && above.ends_with(&["environment"])
}

/// Whether a damage must be an error.
fn must_fail(key: &WrittenKey, damage: Damage) -> bool {
    let path: Vec<&str> = key.path.iter().map(String::as_str).collect();
    let is_variable = is_open_name(&key.path) && matches!(key.value.kind, ConfigValue::Scalar(_));
    match damage {
        Damage::Typo => !is_open_name(&key.path),
        Damage::Remove => false,
        // A share or a number, a list or one, one status or several.
        Damage::Text | Damage::Number if is_variable => false,
        Damage::List if matches!(key.value.kind, ConfigValue::Sequence(_)) => false,
        // An environment needs no settings, and the name of a strategy or of a metric stands for its defaults.
        Damage::Empty => {
            let above = path.get(path.len().saturating_sub(2)).copied();
            !matches!(path[..], ["environments", _])
                && above != Some("strategy")
                && !path.contains(&"metrics")
        }
        Damage::Number => !matches!(path.last(), Some(&"account")),
        Damage::Unindent => !is_variable,
        Damage::Mapping | Damage::List | Damage::Text | Damage::Duplicate => true,
    }
}

/// What is wrong with what is said about a damage; empty if nothing is.
fn violations(
    name: &str,
    key: &WrittenKey,
    kind: Damage,
    text: &str,
    environments: &[String],
) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_error = false;
    for environment in environments {
        let problems = problems_in(text, Some(environment));
        is_error |= !problems.is_empty();
        let said: Vec<String> = problems
            .iter()
            .map(|problem| format!("{}: {problem}", problem.location.as_ref().map_or(0, |at| at.line)))
            .collect();
        let case = format!(
            "{name} {kind:?} {} (line {}) in {environment}:\n    {}",
            key.path.join("."),
            key.line,
            said.join("\n    ")
        );
        let is_list = matches!(key.value.kind, ConfigValue::Sequence(_));
        let limit = match kind {
            Damage::Remove => MAX_REMOVED,
            // Both items are wrong.
            Damage::List if is_list => 2,
            _ => 1,
        };
        if problems.len() > limit {
            found.push(format!("{} errors: {case}", problems.len()));
        }
        if problems.iter().any(|problem| problem.location.is_none()) {
            found.push(format!("no line: {case}"));
        }
        if FOREIGN_WORDS.iter().any(|word| said.iter().any(|text| text.contains(word))) {
            found.push(format!("foreign words: {case}"));
        }
        let near = key.line.saturating_sub(1)..=key.end + key.end - key.line + 2;
        let is_near = |problem: &Problem| problem.location.as_ref().is_some_and(|at| near.contains(&at.line));
        if kind != Damage::Remove && !problems.is_empty() && !problems.iter().any(is_near) {
            found.push(format!("another line: {case}"));
        }
    }
    if must_fail(key, kind) && !is_error {
        found.push(format!("no error: {name} {kind:?} {} (line {})", key.path.join("."), key.line));
    }
    found
}

/// A key that is gone can be missed in several places: an environment by its branches, its promotions and its overrides.
const MAX_REMOVED: usize = 4;

#[test]
fn one_damage_is_one_error_at_its_line() {
    let mut found = BTreeSet::new();
    let mut count = 0;
    for (name, root) in deploy_files() {
        let written = Written::of(&root);
        let environments: Vec<String> =
            root.get("environments").unwrap().entries().iter().map(|entry| entry.key.clone()).collect();
        for environment in &environments {
            let clean = problems_in(&written.text(), Some(environment));
            assert!(clean.is_empty(), "{name}: {clean:?}\n{}", written.text());
        }
        for key in &written.keys {
            for kind in DAMAGES {
                // Names refer to each other: `promote-from`, overrides.
                if kind == Damage::Typo && is_open_name(&key.path)
                    || kind == Damage::Unindent && key.is_in_list
                {
                    continue;
                }
                if let Some(lines) = damage(&written, key, kind) {
                    count += 1;
                    found.extend(violations(&name, key, kind, &(lines.join("\n") + "\n"), &environments));
                }
            }
        }
    }
    assert!(count > 1000, "{count} damages");
    let all: Vec<String> = found.into_iter().collect();
    assert!(all.is_empty(), "{} of {count} damages:\n{}", all.len(), all.join("\n"));
}
