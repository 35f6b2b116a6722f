//! Docker Compose on servers as a kind of target: needs, lint, permissions, connection.

use std::rc::Rc;

use super::{ComposeTarget, Settings, compose_file};
use crate::problem::{Code, Problem};
use crate::targets::policy::{Permission, PolicyScope, push_permissions};
use crate::targets::{Feature, ImageUse, Kind, Needs, SourceFile, Spec, Target, TargetContext};

/// Services of a Compose file on a server.
pub struct ComposeKind;

const COMMAND_HELP: &str = "Use `compose.backup` for a command on the server, or a service in the Compose file that others \
                            depend on with `service_completed_successfully`.";
const VARIABLES_HELP: &str =
    "They are in its Compose file or in `compose.env-file`: change them there and deploy.";

impl Kind for ComposeKind {
    const KEY: &'static str = "compose";
    const NEEDS: Needs = Needs {
        aws: false,
        image: ImageUse::Deployed,
        one_off_tasks: Feature::Unsupported { help: Some(COMMAND_HELP) },
        env_vars: Feature::Unsupported { help: Some(VARIABLES_HELP) },
    };
    type Settings = Settings;

    fn location(settings: &Settings) -> String {
        format!("{}{} {}", settings.hosts.address(), settings.directory.as_str(), settings.service.as_str())
    }

    fn source_file(settings: &Settings) -> Option<SourceFile> {
        settings.files.0.first().map(|path| SourceFile { description: "Compose file", path: path.clone() })
    }

    fn resources(settings: &Settings) -> Vec<String> {
        let (service, folder) =
            (settings.service.as_str(), settings.directory.as_str().trim_end_matches('/'));
        vec![format!("the Compose service `{service}` in `{folder}` on `{}`", settings.hosts.address())]
    }

    fn credential_urls(settings: &Settings) -> Vec<String> {
        vec![settings.hosts.url()]
    }

    fn lint(spec: &Spec<'_, Settings>) -> Vec<Problem> {
        spec.source.map(|file| compose_file::lint(spec.settings, file)).unwrap_or_default()
    }

    /// The server needs nothing of AWS; an image that is pushed to ECR does.
    fn permissions(spec: &Spec<'_, Settings>, scope: &PolicyScope) -> Vec<Permission> {
        let repository = spec.service.config.ecr_repository();
        repository.map(|name| push_permissions(name, scope)).unwrap_or_default()
    }

    fn connect(spec: &Spec<'_, Settings>, run: &TargetContext<'_>) -> Result<Rc<dyn Target>, Problem> {
        let url = spec.settings.hosts.url();
        if !run.run.credential_urls.allows(&url) {
            return Err(withheld_problem(&url));
        }
        let target = ComposeTarget::new(run, spec.service, spec.settings.clone())?;
        match target.credential_problem() {
            Some(problem) => Err(problem),
            None => Ok(Rc::new(target)),
        }
    }
}

/// Code that is not merged names the host: the key is for those that merged code names.
fn withheld_problem(url: &str) -> Problem {
    let sentence =
        format!("The host `{url}` was not connected to, because only code that is not merged names it.");
    Problem::error(Code::CredentialWithheld, sentence)
        .help("Review the host and merge the change; later plans connect to it.")
}
