//! Files that are no task definition of the ECS API but come from something close to it: each is named in one sentence.
//! Pure.

use serde_json::Value;

/// What a file is instead, and what to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherFormat {
    /// What it is, as the end of a sentence.
    pub description: &'static str,
    /// What to do.
    pub help: &'static str,
}

const AS_PRINTED: &str = "Write the definition as `aws ecs describe-task-definition --task-definition FAMILY` prints it (camelCase), or leave `task-definition` out: then the running definition is used.";

const fn other(description: &'static str) -> Option<OtherFormat> {
    Some(OtherFormat { description, help: AS_PRINTED })
}

/// What a parsed file is, if it is no task definition; `None` if it is one or nothing that is known.
pub fn recognize(value: &Value) -> Option<OtherFormat> {
    match value {
        Value::Array(items) => recognize_list(items),
        Value::Object(_) => recognize_object(value),
        _ => None,
    }
}

fn has_any(value: &Value, keys: &[&str]) -> bool {
    keys.iter().any(|key| value.get(key).is_some())
}

fn recognize_list(items: &[Value]) -> Option<OtherFormat> {
    if items.iter().any(|item| has_any(item, &["imageUri"])) {
        return Some(OtherFormat {
            description: "a list of images for CodePipeline (`imagedefinitions.json`)",
            help: "Name the task definition itself; the image is the one that this run deploys.",
        });
    }
    if items.iter().any(|item| has_any(item, &["image", "Image"])) {
        return Some(OtherFormat {
            description: "a list of container definitions, as Terraform's `container_definitions` takes it",
            help: "Put the list into an object with `family` and `containerDefinitions`, or leave `task-definition` out: then the running definition is used.",
        });
    }
    other("a list")
}

fn recognize_object(value: &Value) -> Option<OtherFormat> {
    let is_list = |key: &str| value.get(key).is_some_and(Value::is_array);
    if has_any(value, &["AWSEBDockerrunVersion"]) {
        return other("a file for Elastic Beanstalk (`Dockerrun.aws.json`)");
    }
    if is_list("Resources") {
        return other("an AppSpec file of CodeDeploy");
    }
    let cased = ["AWSTemplateFormatVersion", "Resources", "ContainerDefinitions", "Properties"];
    if has_any(value, &cased) || has_cased_containers(value) {
        return other("in the spelling of CloudFormation");
    }
    if has_any(value, &["resource", "container_definitions", "requires_compatibilities"]) {
        return other("in the spelling of Terraform");
    }
    if value.get("containerDefinitions").is_some() {
        return None;
    }
    recognize_request(value)
}

/// `[{"Name": …, "Image": …}]` below the right key.
fn has_cased_containers(value: &Value) -> bool {
    let all = value.get("containerDefinitions").and_then(Value::as_array);
    all.into_iter()
        .flatten()
        .any(|container| has_any(container, &["Name", "Image"]) && !has_any(container, &["name", "image"]))
}

/// Requests and responses of the API that are about something else, and files of other orchestrators.
fn recognize_request(value: &Value) -> Option<OtherFormat> {
    if has_any(value, &["serviceName", "desiredCount", "serviceArn"]) {
        return other("the description of a service");
    }
    let starts_task =
        has_any(value, &["overrides", "startedBy", "launchType", "networkConfiguration", "count"]);
    if starts_task || value.get("taskDefinition").is_some_and(Value::is_string) {
        return other("a request to run a task (`aws ecs run-task`)");
    }
    if has_any(value, &["taskDefinitionArns", "tasks", "serviceArns"])
        || value.get("services").is_some_and(Value::is_array)
    {
        return other("a response of AWS about something else");
    }
    if value.get("services").is_some_and(Value::is_object) {
        return other("a Compose file");
    }
    if has_any(value, &["apiVersion"]) && has_any(value, &["kind"]) {
        return other("a manifest of Kubernetes");
    }
    None
}

/// What a text is that could not be parsed.
pub fn recognize_text(text: &str) -> Option<OtherFormat> {
    if text.contains("aws_ecs_task_definition") || text.contains("container_definitions") {
        return other("in the spelling of Terraform");
    }
    if text.contains("AWS::") || text.contains("ContainerDefinitions") {
        return other("in the spelling of CloudFormation");
    }
    None
}

/// JSON with a comment in it.
pub const COMMENTED_JSON: OtherFormat = OtherFormat {
    description: "JSON with comments, and JSON has none",
    help: "Remove the comments, or write the file as YAML, where `#` begins a comment.",
};

/// Line and column of the first comment of a text in JSON, outside of its strings.
pub fn first_comment(text: &str) -> Option<(usize, usize)> {
    let (mut in_string, mut line, mut column) = (false, 1, 0);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        column += 1;
        match character {
            '\n' => (line, column) = (line + 1, 0),
            '\\' if in_string => {
                characters.next();
                column += 1;
            }
            '"' => in_string = !in_string,
            '/' if !in_string && matches!(characters.peek(), Some('/' | '*')) => return Some((line, column)),
            '#' if !in_string => return Some((line, column)),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn other_formats_are_named() {
        let tell = |value: Value| recognize(&value).map_or("a task definition", |it| it.description);
        insta::assert_snapshot!([
            tell(json!([{"name":"app","imageUri":"x"}])),
            tell(json!([{"name":"app","image":"x"}])),
            tell(json!([])),
            tell(json!({"AWSEBDockerrunVersion":2,"containerDefinitions":[]})),
            tell(json!({"version":0.0,"Resources":[{"TargetService":{}}]})),
            tell(json!({"AWSTemplateFormatVersion":"2010-09-09"})),
            tell(json!({"Type":"AWS::ECS::TaskDefinition","Properties":{}})),
            tell(json!({"Family":"f","ContainerDefinitions":[]})),
            tell(json!({"family":"f","containerDefinitions":[{"Name":"app","Image":"x"}]})),
            tell(json!({"resource":{"aws_ecs_task_definition":{}}})),
            tell(json!({"family":"f","container_definitions":"[]"})),
            tell(json!({"cluster":"c","serviceName":"s","taskDefinition":"f:1"})),
            tell(json!({"cluster":"c","taskDefinition":"f:1","overrides":{}})),
            tell(json!({"taskDefinition":"f:1"})),
            tell(json!({"taskDefinitionArns":[]})),
            tell(json!({"services":[{"status":"ACTIVE"}]})),
            tell(json!({"services":{"web":{"image":"x"}}})),
            tell(json!({"apiVersion":"apps/v1","kind":"Deployment"})),
            tell(json!({"family":"f","containerDefinitions":[{"name":"app"}]})),
            tell(json!({"family":"f"})),
        ].join("\n"), @"
        a list of images for CodePipeline (`imagedefinitions.json`)
        a list of container definitions, as Terraform's `container_definitions` takes it
        a list
        a file for Elastic Beanstalk (`Dockerrun.aws.json`)
        an AppSpec file of CodeDeploy
        in the spelling of CloudFormation
        in the spelling of CloudFormation
        in the spelling of CloudFormation
        in the spelling of CloudFormation
        in the spelling of Terraform
        in the spelling of Terraform
        the description of a service
        a request to run a task (`aws ecs run-task`)
        a request to run a task (`aws ecs run-task`)
        a response of AWS about something else
        a response of AWS about something else
        a Compose file
        a manifest of Kubernetes
        a task definition
        a task definition
        ");
    }

    #[test]
    fn first_comment_is_found_outside_of_strings() {
        let table = [
            ("{\"a\": 1}", None),
            ("{\"a\": \"http://x # \\\" // \"}", None),
            ("// a\n{}", Some((1, 1))),
            ("{\n  /* a */ \"a\": 1}", Some((2, 3))),
            ("{\"a\": 1, # a\n}", Some((1, 10))),
        ];
        for (text, place) in table {
            assert_eq!(first_comment(text), place, "{text}");
        }
    }
}
