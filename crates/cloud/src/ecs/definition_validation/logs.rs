//! Checks of log drivers and of log routers: API LogConfiguration, FirelensConfiguration.

use serde_json::Value;

use super::{Validation, invalid_definition, items, refuse_if, text, validate_one_of};

const DRIVERS: [&str; 8] =
    ["json-file", "syslog", "journald", "gelf", "fluentd", "awslogs", "splunk", "awsfirelens"];

/// What the driver awslogs takes: the reference of ECS, and Docker's manual for the rest.
const AWSLOGS_OPTIONS: &str = "awslogs-create-group awslogs-credentials-endpoint awslogs-datetime-format awslogs-endpoint \
                               awslogs-force-flush-interval-seconds awslogs-format awslogs-group \
                               awslogs-max-buffered-events awslogs-multiline-pattern awslogs-region awslogs-stream \
                               awslogs-stream-prefix env labels max-buffer-size mode tag";

pub(super) fn validate_logs(it: &Value) -> Validation {
    if it.is_null() {
        return Ok(());
    }
    let driver = text(it, "logDriver");
    refuse_if(driver.is_empty(), || "LogConfiguration.logDriver should not be null or empty.".into())?;
    validate_one_of(it, "logDriver", &DRIVERS)?;
    let required: &[&str] = match driver {
        "awslogs" => &["awslogs-group", "awslogs-region"],
        "splunk" => &["splunk-token", "splunk-url"],
        _ => &[],
    };
    let secrets = items(it, "secretOptions");
    for option in required {
        let given = !text(&it["options"], option).is_empty()
            || secrets.iter().any(|secret| secret["name"] == *option);
        refuse_if(!given, || format!("Log driver {driver} requires options: {option}."))?;
    }
    if driver == "awslogs" {
        validate_awslogs(&it["options"])?;
    }
    // The options of awsfirelens belong to a plugin of the router.
    if driver == "awsfirelens" {
        return Ok(());
    }
    validate_one_of(&it["options"], "mode", &["blocking", "non-blocking"])
}

/// amazon-ecs-firelens-examples#83 and tflint-ruleset-aws#348 have AWS's words.
fn validate_awslogs(options: &Value) -> Validation {
    let given = options.as_object().into_iter().flat_map(|given| given.keys());
    let unknown: Vec<&str> = given
        .map(String::as_str)
        .filter(|option| !AWSLOGS_OPTIONS.split_whitespace().any(|known| known == *option))
        .collect();
    refuse_if(!unknown.is_empty(), || {
        format!("Log driver awslogs disallows options: {}", unknown.join(", "))
    })?;
    refuse_if(!matches!(text(options, "awslogs-create-group"), "" | "true"), || {
        "Log driver awslogs option 'awslogs-create-group' should only be set to 'true', else omit option."
            .into()
    })
}

/// FireLens: turnerlabs/fargate#60, amazon-cloudwatch-logs-for-fluent-bit#20, terraform-aws-ecs-container-definition#97.
pub(super) fn validate_routers(containers: &[Value]) -> Validation {
    let routers: Vec<&Value> =
        containers.iter().filter(|it| it["firelensConfiguration"].is_object()).collect();
    let used = containers.iter().any(|it| it["logConfiguration"]["logDriver"] == "awsfirelens");
    refuse_if(used && routers.is_empty(), || {
        "When awsfirelens log driver is specified in log configuration, a firelens configuration object must be configured in one of the containers.".into()
    })?;
    refuse_if(!used && !routers.is_empty(), || {
        "When a firelensConfiguration object is specified, at least one container has to be configured with the awsfirelens log driver.".into()
    })?;
    refuse_if(routers.len() > 1, || {
        "Only one container can be configured with a firelensConfiguration object.".into()
    })?;
    routers.into_iter().try_for_each(validate_router)
}

fn validate_router(router: &Value) -> Validation {
    let user = text(router, "user").split(':').next().unwrap_or_default();
    refuse_if(!matches!(user, "" | "0"), || {
        "If 'user' field is specified on firelens container, then 'UID' has to be '0'.".into()
    })?;
    let configuration = &router["firelensConfiguration"];
    refuse_if(text(configuration, "type").is_empty(), || {
        "FirelensConfiguration.type should not be null or empty.".into()
    })?;
    validate_one_of(configuration, "type", &["fluentd", "fluentbit"])?;
    let options = &configuration["options"];
    validate_one_of(options, "config-file-type", &["s3", "file"])?;
    validate_one_of(options, "enable-ecs-log-metadata", &["true", "false"])?;
    if text(options, "config-file-type").is_empty() != text(options, "config-file-value").is_empty() {
        return invalid_definition(
            "The firelens options config-file-type and config-file-value must be specified together.",
        );
    }
    Ok(())
}
