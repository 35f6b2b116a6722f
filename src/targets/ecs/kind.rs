//! Amazon ECS as a kind of target: needs, lint, permissions, and which of its two shapes a service has.

use std::rc::Rc;

use super::grants::GrantScope;
use super::pair::{PairOptions, ServicePair, member_settings};
use super::policy::ServicePermissions;
use super::{
    CommandContainer, Ecs, ExpectedAccount, Settings, SharedClients, container_images, execution_role,
    lint_service, repository_credentials,
};
use crate::aws::RateLimiters;
use crate::config::Strategy;
use crate::problem::Problem;
use crate::targets::policy::{Permission, PolicyScope};
use crate::targets::{
    DeclaredContainer, Feature, ImageUse, Kind, Needs, SourceFile, Spec, Target, TargetContext,
    further_images,
};

/// Services on Amazon ECS.
pub struct EcsKind;

impl Kind for EcsKind {
    const KEY: &'static str = "ecs";
    const NEEDS: Needs = Needs {
        aws: true,
        image: ImageUse::Deployed,
        one_off_tasks: Feature::Supported,
        env_vars: Feature::Supported,
    };
    type Settings = Settings;

    fn location(settings: &Settings) -> String {
        format!("{}/{}", settings.cluster, settings.service)
    }

    fn source_file(settings: &Settings) -> Option<SourceFile> {
        let path = settings.task_definition.clone()?;
        Some(SourceFile { description: "task definition", path })
    }

    fn patience(settings: &Settings) -> Option<String> {
        settings.patience.describe()
    }

    fn resources(settings: &Settings) -> Vec<String> {
        let second = settings.pair.iter().map(|pair| pair.service.as_str());
        let services = std::iter::once(settings.service.as_str()).chain(second);
        services.map(|service| resource_name(&settings.cluster, service)).collect()
    }

    fn lint(spec: &Spec<'_, Settings>) -> Vec<Problem> {
        let mut found = lint_service(spec.settings, spec.source);
        found.extend(container_images::lint(spec));
        if let Some(file) = spec.source {
            found.extend(repository_credentials::missing_credentials(spec, file));
            found.extend(execution_role::missing_role(spec, file));
        }
        found
    }

    fn containers(spec: &Spec<'_, Settings>) -> Vec<DeclaredContainer> {
        further_images::declared_containers(&spec.with_settings(&spec.settings.images))
    }

    fn permissions(spec: &Spec<'_, Settings>, scope: &PolicyScope) -> Vec<Permission> {
        let of_service = GrantScope {
            caller_role: scope.role.clone(),
            pull_sources: scope.pull_sources.clone(),
            ..GrantScope::from_settings(spec.settings, &scope.region, &scope.account)
        };
        ServicePermissions::new(of_service, spec, scope).permissions()
    }

    fn connect(spec: &Spec<'_, Settings>, run: &TargetContext<'_>) -> Result<Rc<dyn Target>, Problem> {
        let rate_limits = || RateLimiters::for_services(run.service_count);
        let shared = run.shared.get_or_init(|| SharedClients::with_rate_limits(run.session, rate_limits()));
        Ok(match &spec.settings.pair {
            None => Rc::new(connect_service(spec, spec.settings.clone(), run, &shared)),
            Some(pair) => {
                let members = member_settings(spec.settings, pair)
                    .map(|settings| connect_service(spec, settings, run, &shared).with_traffic_shift(false));
                let options = PairOptions::from_strategy(&spec.service.config.strategy);
                Rc::new(ServicePair::new(members, pair.clone(), &shared, options))
            }
        })
    }
}

/// A service by names, whichever of name and ARN the deploy file has; without a cluster it is in the default one.
fn resource_name(cluster: &str, service: &str) -> String {
    let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    let cluster = Some(last(cluster)).filter(|name| !name.is_empty()).unwrap_or_else(|| "default".to_owned());
    format!("the ECS service `{cluster}/{}`", last(service))
}

/// One ECS service, as `settings` name it.
fn connect_service(
    spec: &Spec<'_, Settings>,
    settings: Settings,
    run: &TargetContext<'_>,
    shared: &SharedClients,
) -> Ecs {
    let expected_account =
        ExpectedAccount { account: run.expected_account.clone(), region: Some(run.region.clone()) };
    let config = &spec.service.config;
    let command = config.before.as_ref().map(|before| CommandContainer::new(before.container.clone()));
    // Where requests are spaced, one that may not be needed delays the others.
    let named = run.run.input_image(&spec.service.name).filter(|image| image.digest.is_some());
    let named = named.filter(|_| !RateLimiters::are_needed(run.service_count));
    Ecs::new(settings, expected_account, config.alarms.clone(), shared)
        .with_named_image(named.map(ToString::to_string))
        .with_traffic_shift(!matches!(config.strategy, Strategy::Rolling(_)))
        .with_firing_alarms_passed(run.run.passes_firing_alarms)
        .with_command(command)
        .with_shown_env(config.show_env.iter().map(|name| name.as_str().to_owned()).collect())
}
