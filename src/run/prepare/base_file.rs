//! The deploy file of the base branch: code that is not merged must not decide which server gets a credential of the
//! run. Reads GitHub; `git` is not needed.

use crate::action::ConfigSource;
use crate::config::DeployFile;
use crate::github::{BranchClient, SnapshotQuery};
use crate::plan::Allowed;
use crate::problem::{Code, Problem};
use crate::run::context::RunContext;
use crate::run::event::event_decision;
use crate::run::prepare::placeholders::run_placeholders;
use crate::run::run_config::RunConfig;
use crate::targets::{self, CredentialUrls, ServiceSpec};

/// Decides which URLs of the deploy file may get a credential, with a warning for each that may not.
pub(in crate::run) async fn resolve_credential_urls(ctx: &RunContext, config: &mut RunConfig) {
    let decision = event_decision(ctx);
    let wants: Vec<(String, String)> =
        config.services.iter().flat_map(|one| named_urls(&one.service)).collect();
    if decision.allowed != Allowed::PlanOnly || wants.is_empty() {
        return;
    }
    let base = read_base_urls(ctx, config, decision.branch.unwrap_or_default()).await;
    let (allowed, cause) = match base {
        Ok(urls) => (CredentialUrls::Only(urls), None),
        Err(why) => (CredentialUrls::Only(Vec::new()), Some(why)),
    };
    let refused = wants.into_iter().filter(|(_, url)| !allowed.allows(url));
    config.problems.extend(refused.map(|(service, url)| withheld_warning(&service, &url, cause.as_deref())));
    config.credential_urls = allowed;
}

fn named_urls(service: &ServiceSpec) -> Vec<(String, String)> {
    service.credential_urls().into_iter().map(|url| (service.name.clone(), url)).collect()
}

fn withheld_warning(service: &str, url: &str, cause: Option<&str>) -> Problem {
    let sentence = match cause {
        None => format!(
            "The deploy file of the base branch does not name the server `{url}`, so no token was sent to it."
        ),
        Some(_) => format!(
            "It is not known whether the deploy file of the base branch names the server `{url}`, so no token was sent to it."
        ),
    };
    let problem = Problem::warning(Code::CredentialWithheld, sentence)
        .help("The plan shows nothing of that server. Merge the change of the server to get a plan with it.")
        .for_service(service);
    match cause {
        Some(cause) => problem.cause(cause),
        None => problem,
    }
}

/// The URLs that get a credential by the base branch's file, in the same environment. An error says why they are not
/// known.
async fn read_base_urls(ctx: &RunContext, config: &RunConfig, branch: &str) -> Result<Vec<String>, String> {
    let ConfigSource::Path(path) = &ctx.inputs.config else {
        return Err(
            "the deploy file is in the input `config`, which belongs to code that is not merged".into()
        );
    };
    let Some(text) = read_base_text(ctx, path, branch).await? else { return Ok(Vec::new()) };
    let document =
        DeployFile::parse(path, &text).map_err(|_| format!("`{path}` of `{branch}` is not valid"))?;
    if !document.environments().0.contains_key(&config.environment_name) {
        // Its name would fill the placeholders of the URLs, and only code that is not merged has chosen it.
        return Ok(Vec::new());
    }
    let (keys, known) = (targets::keys(ctx.kinds), run_placeholders(ctx, &config.environment_name));
    let (services, _) = document.services(&config.environment_name, &[], &keys, &known);
    let (specs, _) = targets::read_specs(ctx.kinds, path, services);
    Ok(specs.iter().flat_map(ServiceSpec::credential_urls).collect())
}

async fn read_base_text(ctx: &RunContext, path: &str, branch: &str) -> Result<Option<String>, String> {
    let (token, repository) = match (&ctx.inputs.github_token, &ctx.context.repository) {
        (Some(token), Some(repository)) => (token.reveal(), repository.clone()),
        _ => return Err("there is no token, or no repository, to ask GitHub about".into()),
    };
    let addresses = crate::github::Addresses::from_variables(&ctx.io.variables);
    let client =
        BranchClient::new(ctx.io.http.clone(), &addresses, token).map_err(|problem| problem.to_string())?;
    let path = path.trim_start_matches("./").to_owned();
    let (branch, paths) = (Some(branch.to_owned()), vec![path.clone()]);
    let query = SnapshotQuery { repository, branch, paths, history_depth: 0 };
    let mut snapshot = client.snapshot(&query).await.map_err(crate::github::ApiError::reason)?;
    let file = snapshot.files.remove(&path);
    Ok(file.map(|file| String::from_utf8_lossy(&file.bytes).into_owned()))
}
