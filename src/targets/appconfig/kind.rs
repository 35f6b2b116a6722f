//! AWS AppConfig as a kind of target: needs, lint, permissions, connection.

use std::rc::Rc;

use super::{AppConfigTarget, Settings, SharedClients, content, grants};
use crate::problem::Problem;
use crate::targets::policy::{Permission, PolicyScope};
use crate::targets::{Feature, ImageUse, Kind, Needs, SourceFile, Spec, Target, TargetContext};

/// Configuration profiles of AWS AppConfig.
pub struct AppConfigKind;

impl Kind for AppConfigKind {
    const KEY: &'static str = "appconfig";
    const NEEDS: Needs = Needs {
        aws: true,
        image: ImageUse::None,
        one_off_tasks: Feature::Unsupported { help: None },
        env_vars: Feature::Unsupported { help: None },
    };
    type Settings = Settings;

    fn location(settings: &Settings) -> String {
        let Settings { application, environment, profile, .. } = settings;
        format!("{}/{}/{}", application.as_str(), environment.as_str(), profile.as_str())
    }

    fn source_file(settings: &Settings) -> Option<SourceFile> {
        Some(SourceFile { description: "configuration", path: settings.file.clone() })
    }

    fn own_rollout(settings: &Settings) -> Option<String> {
        Some(settings.strategy.as_str().to_owned())
    }

    fn lint(spec: &Spec<'_, Settings>) -> Vec<Problem> {
        spec.source.map(content::lint).unwrap_or_default()
    }

    fn permissions(_: &Spec<'_, Settings>, scope: &PolicyScope) -> Vec<Permission> {
        grants::permissions(scope)
    }

    fn connect(spec: &Spec<'_, Settings>, run: &TargetContext<'_>) -> Result<Rc<dyn Target>, Problem> {
        let shared = run.shared.get_or_init(|| SharedClients::new(run.session));
        Ok(Rc::new(AppConfigTarget::new(run, &shared, spec.service, spec.settings.clone())))
    }
}
