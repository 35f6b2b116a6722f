//! The release before a promotion: the source environment has its services, deploys an image and records that, as a run of a
//! workflow does. Without it nothing is proven in a world that has just begun.

use crate::action::inputs::RawInputs;
use crate::config::{Environment, Service};
use crate::image::ecr::registry_host_of;
use crate::release::{is_ecr_host, registry_of};
use crate::sys::environment::Variables;
use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::scenario::Scenario;

use super::Rehearsal;
use super::operation::EarlierRun;
use super::scenario::{COMMIT, DeclaredEnvironment};

/// The tag of the image that is proven.
const TAG: &str = "proven";

/// A digest for images of registries that are not emulated: they are taken to exist.
const DIGEST: &str = "sha256:5a1ec0de5a1ec0de5a1ec0de5a1ec0de5a1ec0de5a1ec0de5a1ec0de5a1ec0de";

/// The environment that an operation in `environment` promotes from; `None` where it promotes nothing.
pub(super) fn source_of<'e>(operation: &str, environment: &'e Environment) -> Option<&'e str> {
    let promotes = matches!(operation, "" | "deploy" | "plan" | "promote" | "plan promote");
    environment.promote_from.as_deref().filter(|_| promotes)
}

/// The scenario with the images that the source environment deploys, and the run that deploys them.
pub(super) fn proven_release(
    rehearsal: &Rehearsal,
    mut scenario: Scenario,
    source: &DeclaredEnvironment,
) -> (Scenario, EarlierRun) {
    let aws = source.environment.aws.clone().unwrap_or_default();
    let account = aws.account.unwrap_or_else(|| scenario.account.clone());
    let region = aws.region.unwrap_or_else(|| scenario.region.clone());
    let host = registry_host_of(&account, &region);
    let mut lines = Vec::new();
    for service in &source.services {
        let Some(image) = proven_image(service, &host) else { continue };
        let own = service.config.repository.as_ref().and_then(|name| scenario.repositories.get(name));
        let platform = own.and_then(|repository| repository.platform.clone());
        scenario = scenario.with_image(&image, platform.as_deref().unwrap_or("linux/amd64,linux/arm64"));
        lines.push((service.name.clone(), image));
    }
    let names: Vec<&str> = lines.iter().map(|(name, _)| name.as_str()).collect();
    let images: Vec<String> = lines.iter().map(|(name, image)| format!("{name}={image}")).collect();
    let run = EarlierRun {
        environment: source.name.clone(),
        inputs: RawInputs {
            services: Some(names.join(",")).filter(|names| !names.is_empty()),
            image: Some(images.join("\n")).filter(|images| !images.is_empty()),
            ..RawInputs::default()
        },
        instead: None,
        variables: RehearsedJob { run: "1", event: "push", branch: releasing_branch(&source.environment) }
            .variables(rehearsal),
    };
    (scenario, run)
}

/// The image of a service that has a repository.
fn proven_image(service: &Service, host: &str) -> Option<String> {
    let repository = service.config.repository.as_deref()?;
    Some(match registry_of(repository) {
        None => format!("{host}/{repository}:{TAG}"),
        Some(host) if is_ecr_host(host) => format!("{repository}:{TAG}"),
        Some(_) => format!("{repository}@{DIGEST}"),
    })
}

/// The rehearsal of the promotion, as a job that a person starts on `main`: which records count depends on its workflow.
pub(super) fn promoting(rehearsal: &Rehearsal) -> Rehearsal {
    let job = RehearsedJob { run: "2", event: "workflow_dispatch", branch: "main" };
    Rehearsal { variables: job.variables(rehearsal), ..rehearsal.clone() }
}

/// GitHub says that the run in the source environment was of a workflow that may prove versions there.
pub(super) fn name_workflow(cloud: &Cloud, rehearsal: &Rehearsal, source: &DeclaredEnvironment) {
    let Some(file) = source.environment.workflows.first() else { return };
    let (repository, path) = (repository(rehearsal), file.path());
    cloud.change(|world, _| {
        let runs = world.github.repositories.get_mut(&repository).map(|it| it.workflow_runs.as_mut_slice());
        for run in runs.into_iter().flatten().filter(|run| run.id == 1) {
            run.path.clone_from(&path);
        }
    });
}

fn repository(rehearsal: &Rehearsal) -> String {
    let named = rehearsal.variables.get("GITHUB_REPOSITORY").cloned();
    named.unwrap_or_else(|| rehearsal.source.base_scenario().workflow.repository)
}

/// What the runner tells a job: a record counts only if the run that it names may deploy to its environment.
struct RehearsedJob<'j> {
    run: &'j str,
    event: &'j str,
    branch: &'j str,
}

impl RehearsedJob<'_> {
    fn variables(&self, rehearsal: &Rehearsal) -> Variables {
        let (branch, repository) = (self.branch, repository(rehearsal));
        let pairs = [
            ("GITHUB_EVENT_NAME", self.event.to_owned()),
            ("GITHUB_REF", format!("refs/heads/{branch}")),
            ("GITHUB_REF_NAME", branch.to_owned()),
            ("GITHUB_REF_TYPE", "branch".to_owned()),
            ("GITHUB_SHA", COMMIT.to_owned()),
            ("GITHUB_SERVER_URL", "https://github.com".to_owned()),
            ("GITHUB_API_URL", "https://api.github.com".to_owned()),
            ("GITHUB_WORKFLOW_REF", format!("{repository}/.github/workflows/deploy.yml@refs/heads/{branch}")),
            ("GITHUB_RUN_ID", self.run.to_owned()),
            ("GITHUB_RUN_ATTEMPT", "1".to_owned()),
            ("GITHUB_REPOSITORY", repository),
        ];
        let mut variables = rehearsal.variables.clone();
        variables.extend(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)));
        variables
    }
}

/// The branch whose runs deploy to an environment.
fn releasing_branch(environment: &Environment) -> &str {
    let literal = environment.branches.iter().find(|pattern| !pattern.contains(['*', '?', '[']));
    literal.map_or("main", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promotion_needs_a_source_and_an_operation_that_releases() {
        let environment = Environment { promote_from: Some("staging".into()), ..Environment::default() };
        for operation in ["", "deploy", "promote", "plan", "plan promote"] {
            assert_eq!(source_of(operation, &environment), Some("staging"), "{operation}");
        }
        for operation in ["rollback", "plan rollback", "verify", "set-env"] {
            assert_eq!(source_of(operation, &environment), None, "{operation}");
        }
        assert_eq!(source_of("promote", &Environment::default()), None);
    }
}
