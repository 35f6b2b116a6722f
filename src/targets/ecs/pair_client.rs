//! Effects that only a pair needs, one function a call: the listener rule, and the number of tasks beside the
//! definition. No decision is taken here.

use std::fmt;

use aws_config::SdkConfig;
use aws_sdk_elasticloadbalancingv2::types::{Action, Rule};
use aws_smithy_types::retry::RetryConfig;

use super::refusal::{Refusal, refusal};
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
    /// Clients from a configuration that says credentials, region, retries and transport.
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            elb: aws_sdk_elasticloadbalancingv2::Client::new(config),
            ecs: aws_sdk_ecs::Client::new(config),
        }
    }

    /// DescribeRules of one rule.
    pub async fn rule(&self, arn: &str) -> Result<Rule, Refusal> {
        let answer = self.elb.describe_rules().rule_arns(arn).send().await;
        let answer =
            answer.map_err(|error| missing(refusal("elasticloadbalancing:DescribeRules", &error), arn))?;
        answer.rules.unwrap_or_default().into_iter().next().ok_or_else(|| absent(arn))
    }

    /// ModifyRule with a whole action list; conditions stay. Never repeated by itself.
    pub async fn modify_rule(&self, arn: &str, actions: Vec<Action>) -> Result<(), Refusal> {
        let once = aws_sdk_elasticloadbalancingv2::Config::builder().retry_config(RetryConfig::disabled());
        let call = self.elb.modify_rule().rule_arn(arn).set_actions(Some(actions));
        let answer = call.customize().config_override(once).send().await;
        answer.map(drop).map_err(|error| refusal("elasticloadbalancing:ModifyRule", &error))
    }

    /// UpdateService with a number of tasks, and a definition where one is given. Never repeated by itself.
    pub async fn scale(
        &self,
        cluster: &str,
        service: &str,
        tasks: u32,
        definition: Option<&str>,
    ) -> Result<(), Refusal> {
        let once = aws_sdk_ecs::Config::builder().retry_config(RetryConfig::disabled());
        let call = self.ecs.update_service().cluster(cluster).service(service);
        let call = call.desired_count(i32::try_from(tasks).unwrap_or(i32::MAX));
        let call = call.set_task_definition(definition.map(Into::into));
        let answer = call.customize().config_override(once).send().await;
        answer.map(drop).map_err(|error| refusal("ecs:UpdateService", &error))
    }
}

fn missing(refusal: Refusal, arn: &str) -> Refusal {
    if refusal.is(&["RuleNotFound", "RuleNotFoundException"]) { absent(arn) } else { refusal }
}

fn absent(arn: &str) -> Refusal {
    let sentence = format!("The listener rule {arn} does not exist.");
    let problem = Problem::error(Code::ServiceMissing, sentence).help(
        "Check `ecs.pair.rule`, account and region; `aws elbv2 describe-rules --listener-arn …` lists them.",
    );
    Refusal { aws: "RuleNotFound".into(), unsure: false, problem }
}
