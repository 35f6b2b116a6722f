//! The permissions for a configuration: each action with its resource. Actions without resource-level permissions
//! follow the Service Authorization Reference. Pure.

use super::read::AppConfigLocation;
use crate::targets::iam::{RequiredPermission, partition};
use crate::targets::policy::{Permission, PolicyScope, StatementId};

const APPLICATION_STATEMENT: StatementId = StatementId { rank: 100, sid: "AppConfig" };
const UNSCOPED_STATEMENT: StatementId = StatementId { rank: 101, sid: "AppConfigEverything" };
const CALLER_STATEMENT: StatementId = StatementId { rank: 102, sid: "AppConfigCaller" };

/// Actions on the application and its children. The deploy file has names and ARNs have ids: ids are unknown here, so
/// the policy covers every application.
const APPLICATION_ACTIONS: &[&str] = &[
    "appconfig:CreateHostedConfigurationVersion",
    "appconfig:GetDeployment",
    "appconfig:GetHostedConfigurationVersion",
    "appconfig:ListConfigurationProfiles",
    "appconfig:ListDeployments",
    "appconfig:ListEnvironments",
    "appconfig:ListHostedConfigurationVersions",
    "appconfig:StartDeployment",
    "appconfig:StopDeployment",
];
/// Actions without resource-level permissions; all of them read.
const UNSCOPED_ACTIONS: &[&str] =
    &["appconfig:ListApplications", "appconfig:ListDeploymentStrategies", "cloudwatch:DescribeAlarms"];

/// The permissions to simulate: the changes of a run and its rollback, and what only the end of a run reads. `makes`:
/// whether a version is created, which a rollback does not.
pub fn required_permissions(
    place: &AppConfigLocation,
    region: &str,
    account: &str,
    makes: bool,
) -> Vec<RequiredPermission> {
    let arn = |rest: String| {
        let application = &place.application.id;
        format!("arn:{}:appconfig:{region}:{account}:application/{application}/{rest}", partition(region))
    };
    let environment = format!("environment/{}", place.environment.id);
    let profile = format!("configurationprofile/{}", place.profile.id);
    let need = |action: &'static str, rest: String| RequiredPermission { action, resource: arn(rest) };
    let made = makes.then(|| need("appconfig:CreateHostedConfigurationVersion", profile));
    let rest = [
        need("appconfig:StartDeployment", environment.clone()),
        need("appconfig:StopDeployment", format!("{environment}/deployment/*")),
        need("appconfig:GetDeployment", format!("{environment}/deployment/*")),
    ];
    made.into_iter().chain(rest).collect()
}

/// What the role of a run must be allowed for any configuration in `scope`.
pub fn permissions(scope: &PolicyScope) -> Vec<Permission> {
    let any_role = format!("arn:{}:iam::{}:role/*", partition(&scope.region), scope.account);
    let resources = [scope.arn("appconfig", "application/*"), scope.arn("appconfig", "deploymentstrategy/*")];
    let own = APPLICATION_ACTIONS
        .iter()
        .map(|action| Permission::new(APPLICATION_STATEMENT, action, resources.to_vec()));
    let unscoped =
        UNSCOPED_ACTIONS.iter().map(|action| Permission::new(UNSCOPED_STATEMENT, action, vec!["*".into()]));
    let role = scope.role.clone().unwrap_or(any_role);
    let caller = Permission::new(CALLER_STATEMENT, "iam:SimulatePrincipalPolicy", vec![role]);
    own.chain(unscoped).chain([caller]).collect()
}
