//! Whether Fargate has the role that it pulls the deployed images with, found before anything is built. Pure.

use crate::problem::{Code, Problem};
use crate::release::{DefinitionFile, is_ecr_host, registry_of};
use crate::targets::Spec;

use super::Settings;
use super::read::str_field;
use super::task_definition::definition::{containers, find_container};
use super::task_definition::document::TaskDefinitionDocument;
use super::task_definition::lint::is_fargate;
use super::task_definition::lint_fargate::is_in_ecr;

/// A container whose image is deployed, and the repository of the image if the deploy file names one.
struct DeployedContainer<'s> {
    name: Option<&'s str>,
    repository: Option<&'s str>,
}

/// A Fargate task without an execution role that would pull a deployed image from ECR: an error where the deploy file names
/// the repository; a warning where only the image in the definition is known, because a run can bring another one.
pub(super) fn missing_role(spec: &Spec<'_, Settings>, file: &DefinitionFile) -> Option<Problem> {
    let own = DeployedContainer {
        name: spec.settings.container.as_deref(),
        repository: spec.service.config.repository.as_deref(),
    };
    let further = spec.settings.images.iter().map(|(name, image)| DeployedContainer {
        name: Some(name.as_str()),
        repository: image.repository.as_deref(),
    });
    let document = TaskDefinitionDocument::parse(&file.path, &file.text).ok()?;
    let all = std::iter::once(own).chain(further);
    let found: Vec<Problem> = all.filter_map(|container| container_problem(&document, &container)).collect();
    found.iter().find(|problem| problem.is_error()).or(found.first()).cloned()
}

fn container_problem(
    document: &TaskDefinitionDocument,
    container: &DeployedContainer<'_>,
) -> Option<Problem> {
    let has_role = !str_field(&document.value, "executionRoleArn").is_empty();
    if has_role || !is_fargate(&document.value) {
        return None;
    }
    let index = find_container(&document.value, container.name).ok()?;
    let sentence = "Fargate needs `executionRoleArn` to pull the image from ECR.";
    let problem = match container.repository {
        Some(repository) if registry_of(repository).is_none_or(is_ecr_host) => {
            Problem::error(Code::TaskDefinitionInvalid, sentence)
        }
        None if is_in_ecr(&str_field(containers(&document.value).get(index)?, "image")) => {
            Problem::warning(Code::TaskDefinitionInvalid, sentence)
        }
        Some(_) | None => return None,
    };
    let help = "Set `executionRoleArn` to a role with the policy AmazonECSTaskExecutionRolePolicy.";
    Some(document.at_pointer(&format!("/containerDefinitions/{index}"), problem.help(help)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the finding for a container of a definition with these members of the task is an error.
    fn found(task: &str, image: &str, repository: Option<&str>) -> Option<bool> {
        let text = format!(
            r#"{{"family":"a",{task}"containerDefinitions":[{{"name":"app","image":"{image}"}},{{"name":"log","image":"y"}}]}}"#
        );
        let document = TaskDefinitionDocument::parse("td.json", &text).unwrap();
        let container = DeployedContainer { name: Some("app"), repository };
        container_problem(&document, &container).map(|problem| problem.is_error())
    }

    #[test]
    fn missing_role_is_an_error_where_the_repository_is_in_ecr() {
        let fargate = r#""requiresCompatibilities":["FARGATE"],"#;
        let with_role = r#""requiresCompatibilities":["FARGATE"],"executionRoleArn":"exec","#;
        let ecr = "111111111111.dkr.ecr.eu-west-1.amazonaws.com/x:1";
        let whole = Some("111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/web");
        assert_eq!(found(fargate, "x", Some("acme/web")), Some(true));
        assert_eq!(found(fargate, "x", whole), Some(true));
        assert_eq!(found(fargate, ecr, Some("ghcr.io/acme/web")), None);
        assert_eq!(found(fargate, "x", None), None);
        assert_eq!(found(fargate, ecr, None), Some(false));
        assert_eq!(found(with_role, ecr, Some("acme/web")), None);
        assert_eq!(found("", "x", Some("acme/web")), None);
    }
}
