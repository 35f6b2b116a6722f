//! What to do about a registry that refuses, in words for each registry that people use. Pure.

use super::ecr;
use super::registry::GITHUB_REGISTRY;
use crate::release::DOCKER_HUB;

/// How this run gets a login for a registry.
pub(super) fn login_help(host: &str) -> String {
    if ecr::region_of_host(host).is_some() {
        return "allow the role ecr:GetAuthorizationToken on `*`, and to pull in the repository's policy."
            .into();
    }
    let general = format!(
        "write `registries: {{ {host}: {{ username: …, password: VARIABLE }} }}` into the deploy file, and pass the variable to \
         the step with `env`."
    );
    match host {
        GITHUB_REGISTRY => format!(
            "give the job `permissions: packages: write` (`read` to pull), and let this repository use the package (\
             package settings, *Manage Actions access*). For another owner's package {general}"
        ),
        DOCKER_HUB => format!("{general} The password is an access token of Docker Hub."),
        _ if is_gitlab(host) => {
            format!("{general} The password is a deploy token with `read_registry` and `write_registry`.")
        }
        _ => general,
    }
}

/// What allows a login that is valid to push.
pub(super) fn push_help(host: &str) -> String {
    if ecr::region_of_host(host).is_some() {
        return "For ECR, allow ecr:InitiateLayerUpload, ecr:UploadLayerPart, ecr:CompleteLayerUpload, \
                ecr:BatchCheckLayerAvailability, ecr:BatchGetImage and ecr:PutImage on the repository."
            .into();
    }
    match host {
        GITHUB_REGISTRY => "Give the job `permissions: packages: write`, and let this repository write the package (package \
                            settings, *Manage Actions access*). The name begins with the owner, in lower case."
            .into(),
        DOCKER_HUB => "Use an access token with *Read & Write*, of a user who may push to the repository. The repository \
                             is `namespace/name`."
            .into(),
        _ if is_gitlab(host) => "Use a deploy token with `write_registry`, of the project that the repository belongs to.".into(),
        _ => "Let the user of `registries` push to the repository.".into(),
    }
}

fn is_gitlab(host: &str) -> bool {
    host.split('.').any(|part| part == "gitlab")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_is_about_the_registry() {
        for (host, login, push) in [
            ("111111111111.dkr.ecr.eu-west-1.amazonaws.com", "ecr:GetAuthorizationToken", "ecr:PutImage"),
            ("ghcr.io", "packages: write", "packages: write"),
            ("docker.io", "access token of Docker Hub", "Read & Write"),
            ("registry.gitlab.com", "deploy token", "write_registry"),
            ("registry.acme.dev:5000", "`registries: { registry.acme.dev:5000: {", "push to the repository"),
        ] {
            assert!(login_help(host).contains(login), "{host}: {}", login_help(host));
            assert!(push_help(host).contains(push), "{host}: {}", push_help(host));
        }
    }
}
