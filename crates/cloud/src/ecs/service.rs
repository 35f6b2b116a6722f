//! ECS as a service of the cloud: what the shared part of the cloud asks of it.

use super::super::builtin::Builtin;
use super::super::ecr::{backing_registry, seed_default_repository};
use super::super::faults::Fault;
use super::super::one_off_commands::OneOffCommands;
use super::super::request::{ServiceCall, ServiceResult};
use super::super::scenario::{Scenario, check_one_of};
use super::super::service::{ErrorCodes, OutsideWork, Service, ServiceProtocol};
use super::super::throttle::RequestRate;
use super::super::world::World;
use super::{builtin, faults, seed};

/// Launch types of a service (API LaunchType).
const LAUNCH_TYPES: &[&str] = &["FARGATE", "EC2", "EXTERNAL", "MANAGED_INSTANCES"];

/// What ECS calls the errors that every service has.
static ERRORS: ErrorCodes = ErrorCodes::AWS_JSON.with_internal(500, "ServerException");

/// Amazon ECS.
pub struct Ecs;

impl Service for Ecs {
    fn name(&self) -> &'static str {
        "ecs"
    }

    fn protocol(&self) -> ServiceProtocol {
        ServiceProtocol::AwsJson { target: "AmazonEC2ContainerServiceV20141113" }
    }

    fn errors(&self) -> &'static ErrorCodes {
        &ERRORS
    }

    fn validate(&self, scenario: &Scenario) -> Result<(), String> {
        for service in &scenario.services {
            seed::check_service(service, &scenario.account, &scenario.region)?;
            check_one_of("status", &service.status, &["ACTIVE", "DRAINING", "INACTIVE"])?;
            check_one_of("controller", &service.controller, &["ECS", "CODE_DEPLOY", "EXTERNAL"])?;
            if let Some(launch_type) = &service.launch_type {
                check_one_of("launch-type", launch_type, LAUNCH_TYPES)?;
            }
        }
        Ok(())
    }

    fn seed(&self, world: &mut World, scenario: &Scenario, began: f64) {
        world.commands = OneOffCommands::new(&scenario.one_off);
        for name in &scenario.clusters {
            seed::seed_cluster(world, name);
        }
        for service in &scenario.services {
            if service.image.is_none() && service.task_definition.is_none() {
                seed_default_repository(world, &service.name, began);
            }
            seed::seed_service(world, service, began);
        }
    }

    fn handle(&self, world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
        super::handle(world, call, now)
    }

    /// Who registers a definition with roles passes them on.
    fn required_actions(&self, call: &ServiceCall) -> Vec<String> {
        let roles = ["executionRoleArn", "taskRoleArn"].iter().any(|member| call.input[*member].is_string());
        let mut actions = vec![format!("{}:{}", self.name(), call.operation)];
        if call.operation == "RegisterTaskDefinition" && roles {
            actions.push(PASS_ROLE.into());
        }
        actions
    }

    fn resource(&self, world: &World, call: &ServiceCall, action: &str) -> Option<String> {
        let member = |name: &str| call.input[name].as_str();
        match (action, member("service"), member("serviceDeploymentArn")) {
            (PASS_ROLE, ..) => member("executionRoleArn").or(member("taskRoleArn")).map(String::from),
            (_, Some(service), _) if !service.starts_with("arn:") => {
                let cluster = member("cluster").unwrap_or("default");
                Some(format!("arn:aws:ecs:{}:{}:service/{cluster}/{service}", world.region, world.account))
            }
            (_, service, deployment) => deployment.or(service).map(String::from),
        }
    }

    fn request_rate(&self, operation: &str) -> Option<RequestRate> {
        rate_of_operation(operation)
    }

    /// With a real registry behind ECR: which digests the images of a service have.
    fn look_outside(&self, world: &World, call: &ServiceCall) -> Option<OutsideWork> {
        match call.operation.as_str() {
            "RegisterTaskDefinition" | "CreateService" | "UpdateService" => {
                backing_registry::look_up(world, &call.input, None)
            }
            _ => None,
        }
    }

    fn fault_time(&self, fault: &Fault) -> Option<f64> {
        faults::fault_time(fault)
    }

    fn apply_fault(&self, world: &mut World, fault: &Fault, now: f64) {
        faults::apply_fault(world, fault, now);
    }

    fn scenarios(&self) -> &'static [Builtin] {
        builtin::SCENARIOS
    }

    fn add_watched_alarms(&self, scenario: &mut Scenario) {
        builtin::add_watched_alarms(scenario);
    }
}

const PASS_ROLE: &str = "iam:PassRole";

/// Burst and sustained requests a second, by ECS's page on request throttling. Stop and Continue are in no documented group
/// and share the service-modify budget.
fn rate_of_operation(operation: &str) -> Option<RequestRate> {
    Some(match operation {
        "DescribeServices" | "ListServices" => RequestRate::new("service read", 100.0, 20.0),
        "CreateService"
        | "UpdateService"
        | "DeleteService"
        | "StopServiceDeployment"
        | "ContinueServiceDeployment" => RequestRate::new("service modify", 50.0, 5.0),
        "DescribeServiceDeployments" | "ListServiceDeployments" => {
            RequestRate::new("service deployment", 50.0, 20.0)
        }
        "DescribeServiceRevisions" => RequestRate::new("service revision", 50.0, 20.0),
        "DescribeTasks" | "ListTasks" => RequestRate::new("cluster resource read", 100.0, 20.0),
        "RunTask" | "StopTask" => RequestRate::new("cluster resource modify", 100.0, 40.0),
        "RegisterTaskDefinition" | "DeregisterTaskDefinition" => {
            RequestRate::new("task definition modify", 20.0, 1.0)
        }
        "DescribeTaskDefinition" | "ListTaskDefinitions" | "ListTaskDefinitionFamilies" => {
            RequestRate::new("task definition read", 50.0, 20.0)
        }
        "DescribeClusters" | "ListClusters" => RequestRate::new("cluster read", 50.0, 20.0),
        "TagResource" | "UntagResource" => RequestRate::new("tag modify", 20.0, 10.0),
        "ListTagsForResource" => RequestRate::new("tag read", 50.0, 20.0),
        _ => return None,
    })
}
