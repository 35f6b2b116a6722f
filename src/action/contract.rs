//! The contract with workflows: every input and output by name. Tests compare `action.yml` and the README with it.

/// An input of the action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Input {
    /// Its name, in kebab-case.
    pub name: &'static str,
    /// The default; `None` if the description explains the absence.
    pub default: Option<&'static str>,
    /// Its meaning, as in `action.yml`.
    pub description: &'static str,
}

/// An output of the action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// Its name.
    pub name: &'static str,
    /// Its meaning, as in `action.yml`.
    pub description: &'static str,
}

const fn input(name: &'static str, default: Option<&'static str>, description: &'static str) -> Input {
    Input { name, default, description }
}

const fn output(name: &'static str, description: &'static str) -> Output {
    Output { name, description }
}

/// Every input, in the order of the documentation.
pub const INPUTS: &[Input] = &[
    input(
        "operation",
        Some("deploy"),
        "What to do: deploy, plan, rollback, promote, verify or set-env. `plan rollback` shows what a rollback would do.",
    ),
    input(
        "config",
        Some(".github/roadstead.yml"),
        "Path of the deploy file, or the YAML itself if the value has more than one line.",
    ),
    input(
        "environment",
        None,
        "Environment of the deploy file. Without it, the one whose branches match the ref.",
    ),
    input(
        "services",
        None,
        "Services of the deploy file, separated by commas or lines; `changed` means those whose paths changed. Without it, all.",
    ),
    input(
        "image",
        None,
        "Deploy this image instead of building: a reference for one service, or lines of service=reference.",
    ),
    input(
        "to",
        None,
        "For rollback: the version, commit or digest to return to. For promote: the commit or digest to promote. Without it, the last version that completed, or the newest proven one.",
    ),
    input("set", None, "For set-env: lines of service.NAME=value; service.NAME alone removes the variable."),
    input("aws-region", None, "AWS region. Without it, the environment's."),
    input(
        "role-to-assume",
        None,
        "ARN of the AWS role to assume with the job's OIDC token; needs `id-token: write`. Without it, the environment's role or the credentials of the job.",
    ),
    input(
        "github-token",
        Some("${{ github.token }}"),
        "Token for GitHub's API: deployment records, leases, plans as checks and comments, the commits between two versions, and commits to manifests.",
    ),
    input(
        "manifests-token",
        None,
        "Token for the repository of the manifests, if that is another repository. Without it, github-token.",
    ),
    input(
        "argocd-token",
        None,
        "Token for Argo CD's API, to watch the rollout. Without it, the variable ARGOCD_AUTH_TOKEN.",
    ),
    input(
        "ssh-key",
        None,
        "Private key for the hosts of Compose services. If it is encrypted, the variable ROADSTEAD_SSH_PASSPHRASE has its passphrase.",
    ),
    input(
        "ssh-known-hosts",
        None,
        "Keys of these hosts: lines of known_hosts, or fingerprints such as SHA256:…. They count beside `host-keys` of the deploy file.",
    ),
    input(
        "on-cancel",
        Some("rollback"),
        "What happens to a rollout when the job is cancelled: rollback or leave.",
    ),
    input(
        "timeout",
        Some("60m"),
        "Upper bound of the whole operation, such as 90s, 30m or 1h30m; from 1m to 24h.",
    ),
];

/// Every output, in the order of the documentation.
pub const OUTPUTS: &[Output] = &[
    output(
        "outcome",
        "Outcome of the run: deployed, committed, proposed, unchanged, planned, verified, rolled-back, skipped, invalid, failed, stranded, superseded, inconclusive or cancelled.",
    ),
    output("environment", "The environment of the deploy file."),
    output("image", "The requested image, by digest. Empty for several services."),
    output("digest", "The digest serving now. Empty for several services."),
    output("version", "The version serving now, such as backend:42. Empty for several services."),
    output("previous", "The version that served before the run. Empty for several services."),
    output("url", "URL of the service, or of its console page. Empty for several services."),
    output("commit", "The requested commit."),
    output("plan", "What would change, or has changed, as JSON: service by service, field by field."),
    output("services", "All of these outputs for each service, as a JSON object by service name."),
];

/// Whether `name` is an output.
pub fn is_output(name: &str) -> bool {
    OUTPUTS.iter().any(|output| output.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn manifest() -> Value {
        serde_saphyr::from_str(include_str!("../../action.yml")).unwrap()
    }

    #[test]
    fn action_yml_declares_exactly_these_inputs() {
        let manifest = manifest();
        let declared: Vec<_> = manifest["inputs"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, input)| {
                assert_eq!(input["required"], Value::Null, "{name}: nothing is always required");
                (name.as_str(), input["default"].as_str(), input["description"].as_str().unwrap())
            })
            .collect();
        let known: Vec<_> = INPUTS.iter().map(|i| (i.name, i.default, i.description)).collect();
        assert_eq!(declared, known);
    }

    #[test]
    fn action_yml_declares_exactly_these_outputs() {
        let manifest = manifest();
        let declared: Vec<_> = manifest["outputs"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, output)| (name.as_str(), output["description"].as_str().unwrap()))
            .collect();
        let known: Vec<_> = OUTPUTS.iter().map(|o| (o.name, o.description)).collect();
        assert_eq!(declared, known);
    }

    #[test]
    fn manifest_runs_the_binary_without_args() {
        let runs = manifest()["runs"].clone();
        assert_eq!(runs["using"], "docker");
        assert_eq!(runs["image"], "Dockerfile");
        assert_eq!(runs["post-entrypoint"], "/roadstead-post");
        // `args` would be joined into one string and parsed again; inputs arrive as INPUT_* alone.
        assert_eq!(runs.as_object().unwrap().len(), 3, "{runs}");
    }
}
