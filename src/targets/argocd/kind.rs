//! GitOps with Argo CD as a kind of target: needs, lint, permissions, connection.

use std::rc::Rc;

use super::{ArgoCdTarget, BranchWriters, Settings, lint};
use crate::problem::Problem;
use crate::targets::policy::{Permission, PolicyScope, push_permissions};
use crate::targets::{Feature, ImageUse, Kind, Needs, Spec, Target, TargetContext};

/// Services with their image in manifests that Argo CD syncs.
pub struct ArgoCdKind;

const COMMAND_HELP: &str =
    "In Argo CD that is a hook of the manifests: a Job with `argocd.argoproj.io/hook: PreSync`.";
const VARIABLES_HELP: &str = "They are in its manifests: change them there and commit.";

impl Kind for ArgoCdKind {
    const KEY: &'static str = "argocd";
    const NEEDS: Needs = Needs {
        aws: false,
        image: ImageUse::Deployed,
        one_off_tasks: Feature::Unsupported { help: Some(COMMAND_HELP) },
        env_vars: Feature::Unsupported { help: Some(VARIABLES_HELP) },
    };
    type Settings = Settings;

    fn location(settings: &Settings) -> String {
        let repository = settings.repository.as_ref().map(|name| name.as_str());
        let application = settings.application.as_ref().map(|name| name.as_str());
        [repository, application].into_iter().flatten().collect::<Vec<_>>().join("/")
    }

    fn own_rollout(_: &Settings) -> Option<String> {
        Some("by Git".into())
    }

    fn credential_urls(settings: &Settings) -> Vec<String> {
        settings.server.iter().map(|server| server.as_str().to_owned()).collect()
    }

    fn lint(spec: &Spec<'_, Settings>) -> Vec<Problem> {
        lint(spec.settings)
    }

    /// Manifests need nothing of AWS; an image that is pushed to ECR does.
    fn permissions(spec: &Spec<'_, Settings>, scope: &PolicyScope) -> Vec<Permission> {
        let repository = spec.service.config.repository.as_deref();
        repository.map(|name| push_permissions(name, scope)).unwrap_or_default()
    }

    fn connect(spec: &Spec<'_, Settings>, run: &TargetContext<'_>) -> Result<Rc<dyn Target>, Problem> {
        let branches = run.shared.get_or_init(|| BranchWriters::new(run));
        Ok(Rc::new(ArgoCdTarget::new(run, &branches, spec.service, spec.settings.clone())?))
    }
}
