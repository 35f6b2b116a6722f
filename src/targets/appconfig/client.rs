//! Calls to AppConfig and the APIs it depends on, one function a call. No decision is taken here.

use std::collections::BTreeSet;
use std::fmt;

use aws_config::SdkConfig;
use aws_sdk_appconfig::primitives::Blob;
use aws_sdk_appconfig::types::BadRequestDetails;
use aws_sdk_appconfig::types::error::BadRequestException;
use aws_sdk_cloudwatch::types::AlarmType;
use aws_smithy_types::retry::RetryConfig;

use super::aws_error::{AwsError, from_sdk_error};
use super::read::{
    self, AppConfigLocation, ConfigurationProfile, Deployment, DeploymentDetail, DeploymentStrategy,
    NamedResource, detail,
};
use crate::targets::iam::{PermissionCheck, RequiredPermission, evaluate};

/// Pages of a list of names that are read at most: 1,000 names.
const MAX_PAGES: usize = 20;

/// The AppConfig of one account and region.
#[derive(Clone)]
pub struct Client {
    appconfig: aws_sdk_appconfig::Client,
    cloudwatch: aws_sdk_cloudwatch::Client,
    iam: aws_sdk_iam::Client,
    sts: aws_sdk_sts::Client,
    region: String,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("region", &self.region).finish_non_exhaustive()
    }
}

/// Collects all pages of a list, mapping each item with a function.
macro_rules! pages {
    ($operation:literal, $call:expr, $read:expr) => {{
        let (mut found, mut next) = (Vec::new(), None);
        for _ in 0..MAX_PAGES {
            let answer = $call.max_results(50).set_next_token(next).send().await;
            let answer = answer.map_err(|error| from_sdk_error($operation, &error))?;
            found.extend(answer.items().iter().map($read));
            next = answer.next_token().map(str::to_owned);
            if next.is_none() {
                break;
            }
        }
        Ok(found)
    }};
}

/// No retry by the SDK: a change is sent again only after reading whether the first attempt happened.
fn without_retries() -> aws_sdk_appconfig::config::Builder {
    aws_sdk_appconfig::Config::builder().retry_config(RetryConfig::disabled())
}

/// Details of a rejected configuration, in addition to its message.
fn with_reasons(mut refusal: AwsError, bad: Option<&BadRequestException>) -> AwsError {
    let Some(BadRequestDetails::InvalidConfiguration(all)) = bad.and_then(BadRequestException::details)
    else {
        return refusal;
    };
    let reasons = all.iter().filter_map(|one| one.reason().or(one.constraint()));
    let reasons = reasons.take(5).collect::<Vec<_>>().join("; ");
    let cause = refusal.problem.cause.take().unwrap_or_default();
    refusal.problem.cause = Some(format!("{cause} ({reasons})"));
    refusal
}

impl Client {
    /// Clients over a configuration with credentials, region, retries, time and transport.
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            appconfig: aws_sdk_appconfig::Client::new(config),
            cloudwatch: aws_sdk_cloudwatch::Client::new(config),
            iam: aws_sdk_iam::Client::new(config),
            sts: aws_sdk_sts::Client::new(config),
            region: config.region().map(ToString::to_string).unwrap_or_default(),
        }
    }

    /// The region of the clients.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// ListApplications.
    pub async fn applications(&self) -> Result<Vec<NamedResource>, AwsError> {
        pages!("appconfig:ListApplications", self.appconfig.list_applications(), read::application)
    }

    /// ListEnvironments of an application, each with its monitored alarms.
    pub async fn environments(
        &self,
        application: &str,
    ) -> Result<Vec<(NamedResource, Vec<String>)>, AwsError> {
        let call = || self.appconfig.list_environments().application_id(application);
        pages!("appconfig:ListEnvironments", call(), read::environment)
    }

    /// ListConfigurationProfiles of an application.
    pub async fn profiles(&self, application: &str) -> Result<Vec<ConfigurationProfile>, AwsError> {
        let call = || self.appconfig.list_configuration_profiles().application_id(application);
        pages!("appconfig:ListConfigurationProfiles", call(), read::profile)
    }

    /// ListDeploymentStrategies.
    pub async fn strategies(&self) -> Result<Vec<DeploymentStrategy>, AwsError> {
        let call = || self.appconfig.list_deployment_strategies();
        pages!("appconfig:ListDeploymentStrategies", call(), read::strategy)
    }

    /// ListDeployments: one page of fifty, newest first, and the token of the next page.
    pub async fn deployments(
        &self,
        place: &AppConfigLocation,
        next: Option<String>,
    ) -> Result<(Vec<Deployment>, Option<String>), AwsError> {
        let call = self.appconfig.list_deployments().application_id(&place.application.id);
        let call = call.environment_id(&place.environment.id).max_results(50).set_next_token(next);
        let answer =
            call.send().await.map_err(|error| from_sdk_error("appconfig:ListDeployments", &error))?;
        let items = answer.items().iter().map(read::deployment).collect();
        Ok((items, answer.next_token().map(str::to_owned)))
    }

    /// GetDeployment.
    pub async fn deployment(
        &self,
        place: &AppConfigLocation,
        number: i32,
    ) -> Result<DeploymentDetail, AwsError> {
        let call = self.appconfig.get_deployment().application_id(&place.application.id);
        let answer = call.environment_id(&place.environment.id).deployment_number(number).send().await;
        let answer = answer.map_err(|error| from_sdk_error("appconfig:GetDeployment", &error))?;
        Ok(detail!(answer))
    }

    /// ListHostedConfigurationVersions: the largest number of the newest page; 0 if there is none.
    pub async fn latest_version(&self, place: &AppConfigLocation) -> Result<i32, AwsError> {
        let call = self.appconfig.list_hosted_configuration_versions().max_results(50);
        let call = call.application_id(&place.application.id).configuration_profile_id(&place.profile.id);
        let answer = call.send().await;
        let answer =
            answer.map_err(|error| from_sdk_error("appconfig:ListHostedConfigurationVersions", &error))?;
        Ok(answer.items().iter().map(|one| one.version_number()).max().unwrap_or_default())
    }

    /// GetHostedConfigurationVersion: its content.
    pub async fn content(&self, place: &AppConfigLocation, number: i32) -> Result<String, AwsError> {
        let call = self.appconfig.get_hosted_configuration_version().version_number(number);
        let call = call.application_id(&place.application.id).configuration_profile_id(&place.profile.id);
        let answer = call.send().await;
        let answer =
            answer.map_err(|error| from_sdk_error("appconfig:GetHostedConfigurationVersion", &error))?;
        let bytes = answer.content().map(Blob::as_ref).unwrap_or_default();
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    /// CreateHostedConfigurationVersion after the version `latest`, and no other. Sent once.
    pub async fn create_version(
        &self,
        place: &AppConfigLocation,
        text: &str,
        mime: &str,
        latest: i32,
    ) -> Result<i32, AwsError> {
        let call = self.appconfig.create_hosted_configuration_version().content(Blob::new(text));
        let call = call.application_id(&place.application.id).configuration_profile_id(&place.profile.id);
        let call = call.content_type(mime).set_latest_version_number((latest > 0).then_some(latest));
        match call.customize().config_override(without_retries()).send().await {
            Ok(answer) => Ok(answer.version_number()),
            Err(error) => {
                use aws_sdk_appconfig::operation::create_hosted_configuration_version::CreateHostedConfigurationVersionError as Wrong;
                let refusal = from_sdk_error("appconfig:CreateHostedConfigurationVersion", &error);
                let bad = match error.as_service_error() {
                    Some(Wrong::BadRequestException(bad)) => Some(bad),
                    _ => None,
                };
                Err(with_reasons(refusal, bad))
            }
        }
    }

    /// StartDeployment after the deployment `latest`, and no other. Sent once.
    pub async fn start_deployment(
        &self,
        place: &AppConfigLocation,
        request: &StartRequest<'_>,
        latest: i32,
    ) -> Result<DeploymentDetail, AwsError> {
        let call = self.appconfig.start_deployment().application_id(&place.application.id);
        let call = call.environment_id(&place.environment.id).configuration_profile_id(&place.profile.id);
        let call = call.configuration_version(request.version).deployment_strategy_id(request.strategy_id);
        let call = call.description(request.description);
        let call = call.set_latest_deployment_number((latest > 0).then_some(latest));
        match call.customize().config_override(without_retries()).send().await {
            Ok(answer) => Ok(detail!(answer)),
            Err(error) => {
                use aws_sdk_appconfig::operation::start_deployment::StartDeploymentError as Wrong;
                let refusal = from_sdk_error("appconfig:StartDeployment", &error);
                let bad = match error.as_service_error() {
                    Some(Wrong::BadRequestException(bad)) => Some(bad),
                    _ => None,
                };
                Err(with_reasons(refusal, bad))
            }
        }
    }

    /// StopDeployment: a deployment in progress rolls back; one that completed within 72 hours is reverted.
    pub async fn stop_deployment(&self, place: &AppConfigLocation, number: i32) -> Result<(), AwsError> {
        // Without `allow_revert`, only a deployment in progress can be stopped.
        let call = self.appconfig.stop_deployment().deployment_number(number).allow_revert(true);
        let call = call.application_id(&place.application.id).environment_id(&place.environment.id);
        let answer = call.send().await;
        answer.map(drop).map_err(|error| from_sdk_error("appconfig:StopDeployment", &error))
    }

    /// DescribeAlarms: which of these alarms are firing.
    pub async fn firing_alarms(&self, names: Vec<String>) -> Result<Vec<String>, AwsError> {
        let call = self.cloudwatch.describe_alarms().set_alarm_names(Some(names)).max_records(100);
        let call = call.alarm_types(AlarmType::MetricAlarm).alarm_types(AlarmType::CompositeAlarm);
        let answer =
            call.send().await.map_err(|error| from_sdk_error("cloudwatch:DescribeAlarms", &error))?;
        let is_red = |state: Option<&str>| state == Some("ALARM");
        let metric =
            answer.metric_alarms().iter().filter(|one| is_red(one.state_value().map(|s| s.as_str())));
        let composite =
            answer.composite_alarms().iter().filter(|one| is_red(one.state_value().map(|s| s.as_str())));
        let names = metric.filter_map(|one| one.alarm_name());
        Ok(names.chain(composite.filter_map(|one| one.alarm_name())).map(str::to_owned).collect())
    }

    /// GetCallerIdentity: account and ARN of the caller.
    pub async fn caller_identity(&self) -> Result<(String, String), AwsError> {
        let who = self.sts.get_caller_identity().send().await;
        let who = who.map_err(|error| from_sdk_error("sts:GetCallerIdentity", &error))?;
        Ok((who.account().unwrap_or_default().to_owned(), who.arn().unwrap_or_default().to_owned()))
    }

    /// SimulatePrincipalPolicy: whether `principal` is allowed each permission on its own resource.
    pub async fn simulate_permissions(
        &self,
        principal: &str,
        needs: Vec<RequiredPermission>,
    ) -> Result<Vec<PermissionCheck>, AwsError> {
        let actions: BTreeSet<String> = needs.iter().map(|need| need.action.to_owned()).collect();
        let resources: BTreeSet<String> = needs.iter().map(|need| need.resource.clone()).collect();
        let call = self.iam.simulate_principal_policy().policy_source_arn(principal).max_items(1000);
        let call = call.set_action_names(Some(actions.into_iter().collect()));
        let answer = call.set_resource_arns(Some(resources.into_iter().collect())).send().await;
        let answer = answer.map_err(|error| from_sdk_error("iam:SimulatePrincipalPolicy", &error))?;
        Ok(needs.into_iter().map(|need| evaluate(answer.evaluation_results(), need)).collect())
    }
}

/// A deployment to start.
#[derive(Debug, Clone, Copy)]
pub struct StartRequest<'w> {
    /// The version of the configuration.
    pub version: &'w str,
    /// Id of the strategy.
    pub strategy_id: &'w str,
    /// The description of the deployment.
    pub description: &'w str,
}
