//! Whether ECS has a login for an image outside of ECR. Pure.

use crate::problem::{Code, Problem};
use crate::release::{DefinitionFile, is_ecr_host, is_loopback, registry_of};
use crate::targets::Spec;

use super::Settings;
use super::task_definition::definition::{containers, find_container};
use super::task_definition::document::TaskDefinitionDocument;

/// Registries whose repositories are public unless somebody made them private.
const PUBLIC_REGISTRIES: [&str; 3] = ["docker.io", "index.docker.io", "public.ecr.aws"];

/// The warnings that ECS will probably not be allowed to pull the image of the service, or that of a further container.
pub(super) fn missing_credentials(spec: &Spec<'_, Settings>, file: &DefinitionFile) -> Vec<Problem> {
    let own = (spec.service.config.repository.as_deref(), spec.settings.container.as_deref());
    let further = spec.settings.images.iter();
    let further = further.map(|(name, image)| (image.repository.as_deref(), Some(name.as_str())));
    let all = std::iter::once(own).chain(further);
    all.filter_map(|(repository, container)| missing_credential(repository?, container, file)).collect()
}

/// The warning that ECS will probably not be allowed to pull from `repository` for a container.
fn missing_credential(repository: &str, container: Option<&str>, file: &DefinitionFile) -> Option<Problem> {
    let host = registry_of(repository)?;
    if PUBLIC_REGISTRIES.contains(&host) || is_loopback(host) || is_ecr_host(host) {
        return None;
    }
    let document = TaskDefinitionDocument::parse(&file.path, &file.text).ok()?;
    let index = find_container(&document.value, container).ok()?;
    let definition = containers(&document.value).get(index)?;
    if definition["repositoryCredentials"]["credentialsParameter"].is_string() {
        return None;
    }
    let sentence =
        format!("The image is in `{host}`, and the container has no `repositoryCredentials` for it.");
    let problem = Problem::warning(Code::TaskDefinitionInvalid, sentence).help(
        "If the repository is private, ECS cannot pull the image: write `repositoryCredentials: { credentialsParameter: … }` with \
         the ARN of a secret that has `username` and `password`, and let the execution role read it. A public one needs nothing.",
    );
    Some(document.at_pointer(&format!("/containerDefinitions/{index}"), problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_registry_without_credentials_is_warned_about() {
        let plain = r#"{"family":"a","containerDefinitions":[{"name":"app","image":"x"},{"name":"log","image":"y"}]}"#;
        let with = r#"{"family":"a","containerDefinitions":[{"name":"app","image":"x",
            "repositoryCredentials":{"credentialsParameter":"arn:aws:secretsmanager:eu-west-1:111111111111:secret:ghcr"}}]}"#;
        let found = |repository: &str, text: &str, container: Option<&str>| {
            let file = DefinitionFile { path: "d.json".into(), text: text.into() };
            missing_credential(repository, container, &file)
        };
        let problem = found("ghcr.io/acme/app", plain, Some("app")).unwrap();
        assert!(!problem.is_error() && problem.location.is_some(), "{problem}");
        for (repository, text, container) in [
            ("ghcr.io/acme/app", with, Some("app")),
            ("acme/app", plain, Some("app")),
            ("docker.io/acme/app", plain, Some("app")),
            ("111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/app", plain, Some("app")),
            ("127.0.0.1:5000/acme/app", plain, Some("app")),
            ("ghcr.io/acme/app", "{}", Some("app")),
            ("ghcr.io/acme/app", "not JSON: [", None),
        ] {
            assert_eq!(found(repository, text, container), None, "{repository} {text}");
        }
    }
}
