//! Docker Compose on servers as a kind of target: needs, lint, permissions, connection.

use std::rc::Rc;

use super::{ComposeTarget, Settings, compose_file};
use crate::problem::{Code, Problem};
use crate::sys::ssh::RemoteHost;
use crate::targets::policy::{Permission, PolicyScope, push_permissions};
use crate::targets::{Feature, ImageUse, Kind, Needs, SourceFile, Spec, Target, TargetContext};

/// Services of a Compose file on a server.
pub struct ComposeKind;

impl Kind for ComposeKind {
    const KEY: &'static str = "compose";
    const NEEDS: Needs = Needs {
        aws: false,
        image: ImageUse::Deployed,
        one_off_tasks: Feature::Supported,
        env_vars: Feature::Supported,
    };
    type Settings = Settings;

    fn location(settings: &Settings) -> String {
        let hosts = settings.hosts.addresses().join(", ");
        format!("{hosts}{} {}", settings.directory.as_str(), settings.service.as_str())
    }

    fn source_file(settings: &Settings) -> Option<SourceFile> {
        settings.files.0.first().map(|path| SourceFile { description: "Compose file", path: path.clone() })
    }

    fn resources(settings: &Settings) -> Vec<String> {
        let (service, folder) =
            (settings.service.as_str(), settings.directory.as_str().trim_end_matches('/'));
        // Whoever logs in there.
        let place = |host: &RemoteHost| match host.port {
            22 => host.name.to_lowercase(),
            port => format!("{}:{port}", host.name.to_lowercase()),
        };
        let on =
            |host: RemoteHost| format!("the Compose service `{service}` in `{folder}` on `{}`", place(&host));
        settings.hosts.remote_hosts().into_iter().map(on).collect()
    }

    fn credential_urls(settings: &Settings) -> Vec<String> {
        settings.hosts.urls()
    }

    fn lint(spec: &Spec<'_, Settings>) -> Vec<Problem> {
        let of_file = spec.source.map(|file| compose_file::lint(spec.settings, file)).unwrap_or_default();
        of_file.into_iter().chain(command_problem(spec)).collect()
    }

    /// The server needs nothing of AWS; an image that is pushed to ECR does.
    fn permissions(spec: &Spec<'_, Settings>, scope: &PolicyScope) -> Vec<Permission> {
        let repository = spec.service.config.ecr_repository();
        repository.map(|name| push_permissions(name, scope)).unwrap_or_default()
    }

    fn connect(spec: &Spec<'_, Settings>, run: &TargetContext<'_>) -> Result<Rc<dyn Target>, Problem> {
        let urls = spec.settings.hosts.urls();
        if let Some(url) = urls.iter().find(|url| !run.run.credential_urls.allows(url)) {
            return Err(withheld_problem(url));
        }
        let target = ComposeTarget::new(run, spec.settings.clone());
        match target.hosts.credential_problem() {
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

/// The command runs in a container of the service itself.
fn command_problem(spec: &Spec<'_, Settings>) -> Option<Problem> {
    let before = spec.service.config.before.as_ref()?;
    let service = spec.settings.service.as_str();
    let container = before.container.as_ref().filter(|name| *name != service)?;
    let sentence = format!(
        "`{}`: the command before the rollout runs in a container of `{service}`, not of `{container}`.",
        spec.service.name
    );
    let at = &spec.service.settings;
    Some(
        Problem::error(Code::Unsupported, sentence)
            .help("Remove `before.container`.")
            .for_service(&spec.service.name)
            .at_location(spec.file, at.line, at.column),
    )
}
