//! Calls that only a pair needs, one function a call: the listener rule, and the desired count with the definition. No
//! decision is taken here.

use std::fmt;

use aws_config::SdkConfig;
use aws_sdk_elasticloadbalancingv2::types::{Action, Rule};
use aws_smithy_types::retry::RetryConfig;

use super::super::error::{AwsError, aws_error};
use crate::problem::{Code, Problem};

/// The load balancers and the ECS of one account and region.
#[derive(Clone)]
pub struct PairClient {
    elb: aws_sdk_elasticloadbalancingv2::Client,
    ecs: aws_sdk_ecs::Client,
}

impl fmt::Debug for PairClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PairClient").finish_non_exhaustive()
    }
}

impl PairClient {
    /// Clients over a configuration with credentials, region, retries and transport.
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            elb: aws_sdk_elasticloadbalancingv2::Client::new(config),
            ecs: aws_sdk_ecs::Client::new(config),
        }
    }

    /// DescribeRules of one rule.
    pub async fn read_rule(&self, arn: &str) -> Result<Rule, AwsError> {
        let answer = self.elb.describe_rules().rule_arns(arn).send().await;
        let answer = answer.map_err(|error| {
            classify_rule_error(aws_error("elasticloadbalancing:DescribeRules", &error), arn)
        })?;
        answer.rules.unwrap_or_default().into_iter().next().ok_or_else(|| rule_missing(arn))
    }

    /// ModifyRule with a complete action list; conditions stay. Sent once.
    pub async fn modify_rule(&self, arn: &str, actions: Vec<Action>) -> Result<(), AwsError> {
        let once = aws_sdk_elasticloadbalancingv2::Config::builder().retry_config(RetryConfig::disabled());
        let call = self.elb.modify_rule().rule_arn(arn).set_actions(Some(actions));
        let answer = call.customize().config_override(once).send().await;
        answer.map(drop).map_err(|error| aws_error("elasticloadbalancing:ModifyRule", &error))
    }

    /// UpdateService with a desired count, and a definition if one is given. Sent once.
    pub async fn scale(
        &self,
        cluster: &str,
        service: &str,
        tasks: u32,
        definition: Option<&str>,
    ) -> Result<(), AwsError> {
        let once = aws_sdk_ecs::Config::builder().retry_config(RetryConfig::disabled());
        let call = self.ecs.update_service().cluster(cluster).service(service);
        let call = call.desired_count(i32::try_from(tasks).unwrap_or(i32::MAX));
        let call = call.set_task_definition(definition.map(Into::into));
        let answer = call.customize().config_override(once).send().await;
        answer.map(drop).map_err(|error| aws_error("ecs:UpdateService", &error))
    }
}

fn classify_rule_error(refusal: AwsError, arn: &str) -> AwsError {
    if refusal.has_code(&["RuleNotFound", "RuleNotFoundException"]) { rule_missing(arn) } else { refusal }
}

fn rule_missing(arn: &str) -> AwsError {
    let sentence = format!("The listener rule {arn} does not exist.");
    let problem = Problem::error(Code::ServiceMissing, sentence).help(
        "Check `ecs.pair.rule`, account and region; list the rules with `aws elbv2 describe-rules --listener-arn …`.",
    );
    AwsError { code: "RuleNotFound".into(), ambiguous: false, problem }
}
