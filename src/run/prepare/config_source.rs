//! What every way of reading the deploy file starts from: its text, the services that the run names, and the URLs that may get
//! a token.

use std::path::Path;

use crate::action::{ConfigSource, ServiceSelection};
use crate::config;
use crate::plan::Allowed;
use crate::problem::Problem;
use crate::run::context::RunContext;
use crate::run::event;
use crate::run::prepare::{missing_file, set_env};
use crate::run::run_config::INLINE_CONFIG;
use crate::sys::disk;
use crate::targets::CredentialUrls;

/// Name and text of the deploy file.
pub(super) fn read_config_text(ctx: &RunContext) -> Result<(String, String), Problem> {
    match &ctx.inputs.config {
        ConfigSource::Text(text) => Ok((INLINE_CONFIG.into(), text.clone())),
        ConfigSource::Path(path) => match read_named_file(&ctx.workspace, path) {
            Ok(text) => Ok((path.clone(), text)),
            Err(error) => Err(missing_file::deploy_file_problem(&ctx.workspace, path, &error)),
        },
    }
}

/// A deploy file of the workspace must not lead out of it; one that the workflow names elsewhere is read there.
fn read_named_file(workspace: &Path, path: &str) -> anyhow::Result<String> {
    match config::paths::leaves_workspace(path) {
        false => disk::read_text_within(workspace, Path::new(path)),
        true => disk::read_text(&workspace.join(path)),
    }
}

/// The services that the run names; none for all.
pub(super) fn requested_services(ctx: &RunContext) -> Vec<String> {
    if ctx.is_set_env() {
        return set_env::named_services(ctx);
    }
    match &ctx.inputs.services {
        ServiceSelection::Named(names) => names.clone(),
        ServiceSelection::All | ServiceSelection::Changed => Vec::new(),
    }
}

/// Whether the deploy file is of code that is not merged.
pub(super) fn is_unmerged(ctx: &RunContext) -> bool {
    event::event_decision(ctx).allowed == Allowed::PlanOnly
}

/// None of the URLs of code that is not merged, until the base branch's file is read.
pub(super) fn initial_credential_urls(ctx: &RunContext) -> CredentialUrls {
    if is_unmerged(ctx) { CredentialUrls::Only(Vec::new()) } else { CredentialUrls::Any }
}
