//! Updates that ECS refuses: what was not changed, and what to do about each reason. Pure.

use super::super::error::AwsError;
use crate::problem::{Code, Problem};

/// Codes with which ECS refuses an update for what it asks for.
const REFUSALS: &[&str] = &[
    "InvalidParameterException",
    "ClientException",
    "PlatformUnknownException",
    "PlatformTaskDefinitionIncompatibilityException",
    "UnsupportedFeatureException",
    "NamespaceNotFoundException",
    "LimitExceededException",
    "ServiceQuotaExceededException",
    "ConflictException",
    "UpdateInProgressException",
    "ResourceInUseException",
    "BlockedException",
];

/// Codes and words of AWS, in lower case, and what to do about them.
const ADVICE: &[(&str, &str)] = &[
    ("limitexceeded", QUOTA),
    ("quotaexceeded", QUOTA),
    ("conflictexception", IN_PROGRESS),
    ("updateinprogress", IN_PROGRESS),
    ("resourceinuse", IN_PROGRESS),
    ("blockedexception", "AWS blocked the account: ask AWS Support, and run the job again afterwards."),
    (
        "inactive",
        "The revision was deregistered, and AWS cannot restore it: deploy its image again, so that an equal revision \
         is registered.",
    ),
    (
        "launch_type",
        "Add the launch type of the service to `requiresCompatibilities` of the task definition, with what it requires.",
    ),
    (
        "capacity provider",
        "Check the capacity providers of the service and its cluster against `requiresCompatibilities` of the task \
         definition.",
    ),
    (
        "service connect",
        "Name the port in `portMappings` of the task definition as the Service Connect configuration of the service does.",
    ),
    (
        "network configuration",
        "The network mode of the task definition and the network configuration of the service must fit each other.",
    ),
    ("platform", "Check the platform version of the service, and `runtimePlatform` of the task definition."),
    (
        "container",
        "Check container names and ports of the load balancers of the service against the task definition.",
    ),
    ("volume", "Check the volume configurations of the service against `volumes` of the task definition."),
    ("namespace", "Create the Service Connect namespace, or change the service."),
];

const QUOTA: &str =
    "Remove what is not used any more, or request a higher quota in Service Quotas, and run the job again.";

const IN_PROGRESS: &str = "Somebody else changes the service or its cluster. Wait until that change is over, and run the job again.";

/// The problem if AWS refused an update for what it asks for; `None` for any other error.
pub fn refused_update(service: &str, error: &AwsError) -> Option<Problem> {
    let message = error.problem.cause.clone().unwrap_or_default();
    if !error.has_code(REFUSALS) || message.contains("Too many concurrent attempts") {
        return None;
    }
    let lower = message.to_lowercase();
    let advice = ADVICE.iter().find(|(words, _)| lower.contains(words)).map(|(_, advice)| *advice);
    let sentence = format!("AWS refused the update of the service `{service}`, so nothing was moved by it.");
    let help = advice
        .unwrap_or("Change what AWS names, in the task definition or in the service, and deploy again.");
    Some(Problem::error(Code::UpdateRefused, sentence).cause(message).help(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str, message: &str) -> AwsError {
        AwsError::from_code("ecs:UpdateService", code, message, |_, _, _| None)
    }

    #[test]
    fn refusals_name_what_to_do() {
        let table = [
            (
                "InvalidParameterException",
                "Task definition does not support launch_type FARGATE.",
                "`requiresCompatibilities`",
            ),
            (
                "InvalidParameterException",
                "portName(s) http of service connect services not found in the task definition",
                "Service Connect",
            ),
            ("ClientException", "TaskDefinition is inactive", "deregistered"),
            (
                "InvalidParameterException",
                "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
                "network mode",
            ),
            (
                "PlatformTaskDefinitionIncompatibilityException",
                "The specified platform version doesn't satisfy the required capabilities of the task definition.",
                "platform version",
            ),
            (
                "InvalidParameterException",
                "The container app does not exist in the task definition.",
                "container names",
            ),
            ("LimitExceededException", "The limit for the resource was exceeded.", "Service Quotas"),
            ("ServiceQuotaExceededException", "", "Service Quotas"),
            ("ConflictException", "The request could not be processed because of conflict.", "Wait until"),
            ("ResourceInUseException", "The specified resource is in-use.", "Wait until"),
            ("BlockedException", "Your account is currently blocked.", "AWS Support"),
            ("InvalidParameterException", "Something new.", "what AWS names"),
        ];
        for (code, message, advice) in table {
            let problem = refused_update("web", &error(code, message)).unwrap();
            assert_eq!(problem.code, Code::UpdateRefused, "{message}");
            assert!(problem.help.contains(advice), "{message}: {}", problem.help);
            assert!(problem.cause.unwrap().contains(message));
        }
    }

    #[test]
    fn other_errors_are_no_refusals() {
        for (code, message) in [
            ("ServerException", "internal"),
            ("ThrottlingException", "Rate exceeded"),
            ("AccessDeniedException", "not authorized"),
            ("ServiceNotActiveException", "Service was not ACTIVE."),
            ("ClientException", "Too many concurrent attempts to create a new revision"),
        ] {
            assert_eq!(refused_update("web", &error(code, message)), None, "{code}");
        }
    }
}
