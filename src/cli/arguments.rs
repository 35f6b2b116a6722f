//! The arguments of the command line. Doc comments are the help text.

use clap::{Args, Parser, Subcommand};

/// Builds, deploys and verifies a commit, and rolls it back if it fails.
#[derive(Debug, Parser)]
#[command(name = "roadstead", version, about)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build, push and deploy; wait until the rollout is verified, and roll it back if it fails.
    Deploy(Box<ReleaseOptions>),
    /// Show what a deploy or another operation would change. Reads only.
    Plan(Box<PlanOptions>),
    /// Return to the last version that completed healthy, or to a named one, and verify it.
    Rollback(Box<RollbackOptions>),
    /// Deploy what was verified in another environment, by digest; never builds.
    Promote(Box<PromoteOptions>),
    /// List the versions that a rollback can return to, with dates and digests. Reads only.
    Versions(Box<ReleaseOptions>),
    /// Report which version serves, whether it is healthy, and whether its checks pass. Reads only.
    Verify(Box<ReleaseOptions>),
    /// Change environment variables of running services and nothing else; verified like a deploy.
    SetEnv(Box<SetEnvOptions>),
    /// Set the image in kustomizations, Helm values and manifests; every other byte is preserved.
    Edit(EditOptions),
    /// Write a first deploy file and workflow for services on Amazon ECS, or of a Compose file. Changes nothing else.
    Init(InitOptions),
    /// Print the IAM trust policy for GitHub OIDC. Makes no call.
    Trust(TrustOptions),
    /// Print the minimal IAM policy for the role of an environment. Makes no call.
    Policy(PolicyOptions),
    /// Run a deploy or another operation against the emulator, in virtual time, with the faults of a scenario.
    Rehearse(RehearseOptions),
    /// Serve the emulator over HTTP on loopback, for any AWS client.
    Cloud(CloudOptions),
    /// Benchmark canary analysis on simulated traffic against the rules of other tools; prints Markdown.
    Judge(JudgeOptions),
    /// Print the JSON Schema of the deploy file, or of scenario files.
    Schema(SchemaOptions),
}

/// Which schema.
#[derive(Debug, Clone, Default, Args)]
pub struct SchemaOptions {
    /// That of scenario files, for `rehearse` and `cloud`.
    #[arg(long)]
    pub scenario: bool,
}

/// The inputs of the action, as options.
#[derive(Debug, Clone, Default, Args)]
pub struct ReleaseOptions {
    /// Path of the deploy file [default: .github/roadstead.yml of the repository]. Paths in it count from its repository.
    #[arg(long)]
    pub config: Option<String>,
    /// Environment of the deploy file; required if no branch selects it.
    #[arg(long)]
    pub environment: Option<String>,
    /// Names of services, separated by commas [default: all].
    #[arg(long)]
    pub services: Option<String>,
    /// Deploy this image instead of building: a reference, or lines of service=reference.
    #[arg(long)]
    pub image: Option<String>,
    /// AWS region, instead of the environment's.
    #[arg(long)]
    pub aws_region: Option<String>,
    /// ARN of the AWS role to assume, instead of the environment's.
    #[arg(long)]
    pub role_to_assume: Option<String>,
    /// What happens to a rollout on Ctrl-C: rollback or leave [default: rollback].
    #[arg(long)]
    pub on_cancel: Option<String>,
    /// Upper bound of the whole operation, such as 30m [default: 60m].
    #[arg(long)]
    pub timeout: Option<String>,
}

/// The operation to plan.
#[derive(Debug, Clone, Default, Args)]
pub struct PlanOptions {
    /// Plan this operation: deploy, rollback, promote or set-env [default: deploy].
    #[arg(long)]
    pub operation: Option<String>,
    /// The version to roll back to, or the release to promote.
    #[arg(long)]
    pub to: Option<String>,
    /// service.NAME=value for set-env. Repeat it for each variable.
    #[arg(long)]
    pub set: Vec<String>,
    /// The other options.
    #[command(flatten)]
    pub release: ReleaseOptions,
}

/// The version to return to.
#[derive(Debug, Clone, Default, Args)]
pub struct RollbackOptions {
    /// A version such as backend:42 or its number, a commit or a digest [default: the last version that completed healthy].
    #[arg(long)]
    pub to: Option<String>,
    /// The other options.
    #[command(flatten)]
    pub release: ReleaseOptions,
}

/// The release to promote.
#[derive(Debug, Clone, Default, Args)]
pub struct PromoteOptions {
    /// A verified commit or digest [default: the newest].
    #[arg(long)]
    pub to: Option<String>,
    /// The other options.
    #[command(flatten)]
    pub release: ReleaseOptions,
}

/// The variables to change.
#[derive(Debug, Clone, Default, Args)]
pub struct SetEnvOptions {
    /// service.NAME=value; service.NAME alone removes the variable. Repeat it for each variable.
    #[arg(long, required = true)]
    pub set: Vec<String>,
    /// The other options.
    #[command(flatten)]
    pub release: ReleaseOptions,
}

/// The image and the files.
#[derive(Debug, Clone, Args)]
#[command(group = clap::ArgGroup::new("version").required(true).multiple(true).args(["tag", "digest"]))]
pub struct EditOptions {
    /// Name of the image with its registry, as written in the files; no tag.
    #[arg(long)]
    pub image: String,
    /// Tag to set.
    #[arg(long)]
    pub tag: Option<String>,
    /// Digest to set: sha256: and 64 hex digits.
    #[arg(long)]
    pub digest: Option<String>,
    /// Files to edit. If one of them cannot be edited, none is changed.
    #[arg(required = true)]
    pub files: Vec<String>,
}

/// What to search for in AWS, and where to write.
#[derive(Debug, Clone, Args)]
pub struct InitOptions {
    /// AWS region [default: AWS_REGION].
    #[arg(long)]
    pub region: Option<String>,
    /// Only services of this cluster.
    #[arg(long)]
    pub cluster: Option<String>,
    /// Only services with this name.
    #[arg(long)]
    pub service: Option<String>,
    /// Instead of AWS: the services of this Compose file, whose path counts from the folder of the repository.
    #[arg(long, conflicts_with_all = ["region", "cluster", "service"])]
    pub compose: Option<String>,
    /// With --compose: the server, as user@host [default: deploy@server.example].
    #[arg(long)]
    pub host: Option<String>,
    /// With --compose: the folder of the application on the server [default: /srv and the name of the project].
    #[arg(long)]
    pub directory: Option<String>,
    /// Name of the environment, in the deploy file and on GitHub.
    #[arg(long, default_value = "production")]
    pub environment: String,
    /// Branch that is deployed there.
    #[arg(long, default_value = "main")]
    pub branch: String,
    /// Folder of the repository.
    #[arg(long, default_value = ".")]
    pub output: String,
    /// Overwrite existing files.
    #[arg(long)]
    pub force: bool,
}

/// The jobs and their repository.
#[derive(Debug, Clone, Default, Args)]
#[command(group = clap::ArgGroup::new("jobs").required(true).multiple(true).args(["environment", "branch", "pull_requests"]))]
pub struct TrustOptions {
    /// Repository, as owner/name; case-sensitive.
    #[arg(long)]
    pub repository: String,
    /// Jobs with this `environment:`, on any branch; can be repeated.
    #[arg(long)]
    pub environment: Vec<String>,
    /// Jobs without an `environment:`, on this branch; can be repeated.
    #[arg(long)]
    pub branch: Vec<String>,
    /// Jobs without an `environment:`, of pull requests; for a read-only role.
    #[arg(long)]
    pub pull_requests: bool,
    /// Numeric id of the owner on GitHub, for subjects that stay valid only for this owner.
    #[arg(long, requires = "repository_id")]
    pub owner_id: Option<u64>,
    /// Numeric id of the repository on GitHub.
    #[arg(long, requires = "owner_id")]
    pub repository_id: Option<u64>,
    /// AWS account of the role, 12 digits.
    #[arg(long)]
    pub account: String,
    /// Partition of that account: aws, aws-cn or aws-us-gov.
    #[arg(long, default_value = "aws")]
    pub partition: String,
}

/// The environment of the policy.
#[derive(Debug, Clone, Args)]
pub struct PolicyOptions {
    /// Environment of the deploy file.
    #[arg(long)]
    pub environment: String,
    /// Path of the deploy file.
    #[arg(long, default_value = ".github/roadstead.yml")]
    pub config: String,
    /// Only what plans and `verify` need: no action that changes anything.
    #[arg(long)]
    pub read_only: bool,
    /// Instead of the IAM policy, the Roles of Kubernetes for the clusters of the environment, as YAML for `kubectl apply`.
    #[arg(long)]
    pub rbac: bool,
}

/// The scenario and the deploy file.
#[derive(Debug, Clone, Default, Args)]
pub struct RehearseOptions {
    /// A scenario file, or the name of a built-in scenario.
    #[arg(default_value = "happy")]
    pub scenario: String,
    /// Deploy file to rehearse [default: .github/roadstead.yml of the repository, or a built-in example if there is none].
    #[arg(long)]
    pub config: Option<String>,
    /// Environment of the deploy file [default: the first in alphabetical order].
    #[arg(long)]
    pub environment: Option<String>,
    /// Operation to rehearse: deploy, plan, rollback, verify or set-env. Before a rollback, another version is released.
    #[arg(long, default_value = "deploy")]
    pub operation: String,
    /// Names of services, separated by commas [default: all].
    #[arg(long)]
    pub services: Option<String>,
    /// Deploy this image instead of building: a reference, or lines of service=reference. It exists in the emulator.
    #[arg(long)]
    pub image: Option<String>,
    /// The version to roll back to.
    #[arg(long)]
    pub to: Option<String>,
    /// service.NAME=value for set-env. Repeat it for each variable.
    #[arg(long)]
    pub set: Vec<String>,
    /// Cancel the run so many seconds after its start.
    #[arg(long)]
    pub cancel_at: Option<u32>,
    /// What happens to a rollout on the cancel: rollback or leave [default: rollback].
    #[arg(long)]
    pub on_cancel: Option<String>,
    /// Upper bound of the whole operation, such as 30m [default: 60m].
    #[arg(long)]
    pub timeout: Option<String>,
    /// Seed of the random numbers; the same seed gives the same run.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Write the job summary, in Markdown, to this file.
    #[arg(long)]
    pub summary: Option<String>,
    /// List the built-in scenarios.
    #[arg(long)]
    pub list: bool,
}

/// Options of the emulator's server.
#[derive(Debug, Clone, Args)]
pub struct CloudOptions {
    /// Loopback address, such as 127.0.0.1:4566; port 0 selects a free one.
    #[arg(long)]
    pub listen: std::net::SocketAddr,
    /// Answer to this host name too, besides those of loopback; `.amazonaws.com` stands for all names below it. May be
    /// repeated.
    #[arg(long)]
    pub host: Vec<String>,
    /// Speed of the emulator's clock, as a multiple of real time.
    #[arg(long, default_value_t = 1.0)]
    pub speed: f64,
    /// Seed of the random numbers; the same seed and calls give the same responses.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// A scenario file, or the name of a built-in scenario.
    #[arg(default_value = "happy")]
    pub scenario: String,
}

/// Options of the benchmark.
#[derive(Debug, Clone, Args)]
pub struct JudgeOptions {
    /// Run the simulation: canaries with a known error rate.
    #[arg(long, required = true)]
    pub simulate: bool,
    /// Runs per cell; the rank test gets at most 150 of them.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub runs: u32,
    /// One-minute intervals per run.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(10..=1440))]
    pub minutes: u32,
    /// Seed of the random numbers; the same seed gives the same table.
    #[arg(long, default_value_t = 20_261_120)]
    pub seed: u64,
    /// Only Roadstead's own analysis; fail if a limit is exceeded.
    #[arg(long)]
    pub gate: bool,
}
