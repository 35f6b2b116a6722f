//! What AWS must allow for a configuration: which action, on what. What supports no resource is so by the Service
//! Authorization Reference. Pure.

use serde_json::{Value, json};

use super::read::Place;
use crate::targets::permits::{Need, partition};

/// Actions on the application and what is in it. The deploy file knows names, and ARNs have ids: of those it is not known
/// which they are, so they stand for every application.
const INSIDE: &[&str] = &[
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
/// Actions that AWS cannot limit to a resource; all of them read.
const ANYWHERE: &[&str] =
    &["appconfig:ListApplications", "appconfig:ListDeploymentStrategies", "cloudwatch:DescribeAlarms"];

/// The changes that a run and its rollback make, and what only the end of a run reads: what is simulated. The rest is
/// tried. `makes`: a version is made, which a rollback does not.
pub fn needs(place: &Place, region: &str, account: &str, makes: bool) -> Vec<Need> {
    let arn = |rest: String| {
        let application = &place.application.id;
        format!("arn:{}:appconfig:{region}:{account}:application/{application}/{rest}", partition(region))
    };
    let environment = format!("environment/{}", place.environment.id);
    let profile = format!("configurationprofile/{}", place.profile.id);
    let need = |action: &'static str, rest: String| Need { action, resource: arn(rest) };
    let made = makes.then(|| need("appconfig:CreateHostedConfigurationVersion", profile));
    let rest = [
        need("appconfig:StartDeployment", environment.clone()),
        need("appconfig:StopDeployment", format!("{environment}/deployment/*")),
        need("appconfig:GetDeployment", format!("{environment}/deployment/*")),
    ];
    made.into_iter().chain(rest).collect()
}

/// The statements of a policy; `role` is the ARN of the role itself, where it is known.
pub fn statements(region: &str, account: &str, role: Option<&str>) -> Vec<Value> {
    let partition = partition(region);
    let arn = |rest: &str| format!("arn:{partition}:appconfig:{region}:{account}:{rest}");
    let any_role = format!("arn:{partition}:iam::{account}:role/*");
    vec![
        json!({
            "Sid": "AppConfig", "Effect": "Allow", "Action": INSIDE,
            "Resource": [arn("application/*"), arn("deploymentstrategy/*")],
        }),
        json!({ "Sid": "AppConfigEverything", "Effect": "Allow", "Action": ANYWHERE, "Resource": ["*"] }),
        json!({
            "Sid": "AppConfigCaller", "Effect": "Allow", "Action": ["iam:SimulatePrincipalPolicy"],
            "Resource": [role.unwrap_or(&any_role)],
        }),
    ]
}
