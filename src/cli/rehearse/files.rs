//! Which deploy file and which environment are rehearsed, and the first line of the output, which names them.

use std::path::{Path, PathBuf};

use crate::config::{DeployFile, Service};
use crate::sys::disk;
use crate::targets;
use roadstead_cloud::builtin::Need;

use super::ScenarioSource;
use super::example::{self, ExampleFile, ExampleFiles};
use super::needs::missing_need;
use super::scenario::{format_problems, placeholders};
use crate::cli::arguments::RehearseOptions;
use crate::cli::place::{DEFAULT_PATH, DeployFilePlace};

/// What is rehearsed.
pub(super) struct ChosenFiles {
    /// The deploy file's name and text.
    pub(super) config: (String, String),
    /// The environment.
    pub(super) environment: String,
    /// The first line of the output.
    pub(super) announcement: String,
    /// The folder that paths in the deploy file are relative to.
    pub(super) workspace: PathBuf,
    /// Keeps the files of the built-in example until this is dropped.
    _example_folder: Option<tempfile::TempDir>,
}

/// The deploy file that is named, the usual one, or the built-in example with what the scenario needs. A file without
/// what the scenario needs is an error.
pub(super) fn choose_files(
    options: &RehearseOptions,
    source: &ScenarioSource,
    folder: &Path,
) -> Result<ChosenFiles, String> {
    let named = options.config.as_deref().unwrap_or(DEFAULT_PATH);
    let place = DeployFilePlace::find(folder, named);
    if options.config.is_none() && !disk::exists(&place.path()) {
        return choose_example(options, needs_of(source), folder);
    }
    let text = disk::read_text(&place.path()).map_err(|error| format!("{error:#}"))?;
    let path = place.shown_from(folder, named);
    let choice = choose_environment(&path, &text, options.environment.as_deref())?;
    if let ScenarioSource::Builtin(builtin) = source {
        let missing = missing_need(builtin, &choice.services, &choice.environment, &path);
        missing.map_or(Ok(()), Err)?;
    }
    Ok(ChosenFiles {
        announcement: format!(
            "Rehearsing `{}`: environment `{}` of {path}.{}",
            options.scenario,
            choice.environment,
            choice.alternatives(options)
        ),
        config: (path, text),
        environment: choice.environment,
        workspace: place.root,
        _example_folder: None,
    })
}

fn needs_of(source: &ScenarioSource) -> &'static [Need] {
    match source {
        ScenarioSource::Builtin(builtin) => builtin.needs,
        ScenarioSource::Custom(_) => &[],
    }
}

fn choose_example(options: &RehearseOptions, needs: &[Need], folder: &Path) -> Result<ChosenFiles, String> {
    let ExampleFiles { deploy_file, others } = example::example_for(needs);
    let own_folder = disk::private_folder().map_err(|error| format!("{error:#}"))?;
    let dockerfile = ExampleFile { name: "Dockerfile", text: "FROM scratch\n" };
    for file in others.iter().chain([&dockerfile]) {
        disk::write(&own_folder.path().join(file.name), file.text.as_bytes())
            .map_err(|error| format!("{error:#}"))?;
    }
    let choice = choose_environment(example::NAME, &deploy_file, options.environment.as_deref())?;
    Ok(ChosenFiles {
        announcement: format!(
            "Rehearsing `{}`: environment `{}` of the built-in example, because this folder has no {DEFAULT_PATH}.\n{}{}",
            options.scenario,
            choice.environment,
            advice(folder),
            choice.alternatives(options)
        ),
        config: (example::NAME.to_owned(), deploy_file),
        environment: choice.environment,
        workspace: own_folder.path().to_owned(),
        _example_folder: Some(own_folder),
    })
}

/// How to rehearse the user's own file.
fn advice(folder: &Path) -> String {
    match similar_file(folder) {
        Some(path) => {
            format!("To rehearse {path}, name it with `--config`.")
        }
        None => {
            "To rehearse your own file, run this in the root of your repository, or name it with `--config`."
                .into()
        }
    }
}

/// A deploy file that is probably meant: with another extension.
fn similar_file(folder: &Path) -> Option<String> {
    Some(DEFAULT_PATH.replace(".yml", ".yaml")).filter(|path| disk::exists(&folder.join(path)))
}

/// An environment, and its services.
struct EnvironmentChoice {
    environment: String,
    others: Vec<String>,
    services: Vec<Service>,
}

impl EnvironmentChoice {
    /// Which environments there are besides, where nobody named one.
    fn alternatives(&self, options: &RehearseOptions) -> String {
        if options.environment.is_some() || self.others.is_empty() {
            return String::new();
        }
        let others: Vec<String> = self.others.iter().map(|name| format!("`{name}`")).collect();
        format!(" `--environment` selects another one: {}.", others.join(", "))
    }
}

fn choose_environment(file: &str, text: &str, named: Option<&str>) -> Result<EnvironmentChoice, String> {
    let document = DeployFile::parse(file, text).map_err(|problems| format_problems(&problems))?;
    let (environments, mut problems) = document.environments();
    let first = || environments.keys().next().cloned();
    let environment =
        named.map(str::to_owned).or_else(first).ok_or_else(|| format!("{file} has no environment."))?;
    let (services, more) =
        document.services(&environment, &[], &targets::keys(targets::KINDS), &placeholders(&environment));
    problems.extend(more);
    if !problems.is_empty() {
        return Err(format_problems(&problems));
    }
    let others = environments.keys().filter(|name| **name != environment).cloned().collect();
    Ok(EnvironmentChoice { environment, others, services })
}
