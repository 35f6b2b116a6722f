//! The words of the command line. Doc comments are the help text.

use clap::{Args, Parser, Subcommand};

/// Takes a commit to a verified, running service, and takes it back.
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
    /// Build, push, release and watch until the outcome is proven; undo what goes bad.
    Deploy(Box<ReleaseOptions>),
    /// Say what a deploy would change. Reads only.
    Plan(Box<ReleaseOptions>),
    /// Return to the last version that completed healthy, or to a named one; watch until it is proven.
    Rollback(Box<RollbackOptions>),
    /// Bring what another environment has proven into this one, by digest; never builds.
    Promote(Box<PromoteOptions>),
    /// Say what serves, whether it is healthy, and whether its addresses answer well. Reads only.
    Verify(Box<ReleaseOptions>),
    /// Change variables of services that run and nothing else, as a deploy would; watch until it is proven.
    SetEnv(Box<SetEnvOptions>),
    /// Set the image in kustomizations, Helm values and manifests; every other byte stays.
    Edit(EditOptions),
    /// Write a first deploy file and workflow for what runs on Amazon ECS. Reads AWS, changes nothing there.
    Init(InitOptions),
    /// Print whom the role of a workflow trusts: the trust policy for GitHub's OIDC. Makes no call.
    Trust(TrustOptions),
    /// Print the smallest IAM policy for the role of an environment. Makes no call.
    Policy(PolicyOptions),
    /// Run a deploy on the embedded cloud, in virtual time, with the faults of a scenario.
    Rehearse(RehearseOptions),
    /// Serve the embedded cloud over HTTP on loopback, for any AWS client.
    Cloud(CloudOptions),
    /// Try the judge of canaries on seeded traffic, beside the rules of other tools; prints Markdown.
    Judge(JudgeOptions),
    /// Print the JSON Schema of the deploy file.
    Schema,
}

/// The inputs of the action, as options.
#[derive(Debug, Clone, Default, Args)]
pub struct ReleaseOptions {
    /// Path of the deploy file [default: .github/roadstead.yml].
    #[arg(long)]
    pub config: Option<String>,
    /// Environment of the deploy file; needed where no branch says it.
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
    /// What becomes of a rollout on Ctrl-C: rollback or leave [default: rollback].
    #[arg(long)]
    pub on_cancel: Option<String>,
    /// Upper bound of the whole operation, such as 30m [default: 60m].
    #[arg(long)]
    pub timeout: Option<String>,
}

/// Where to return to.
#[derive(Debug, Clone, Default, Args)]
pub struct RollbackOptions {
    /// A version such as backend:42 or its number, a commit or a digest [default: the last that completed healthy].
    #[arg(long)]
    pub to: Option<String>,
    /// Everything else.
    #[command(flatten)]
    pub release: ReleaseOptions,
}

/// What to promote.
#[derive(Debug, Clone, Default, Args)]
pub struct PromoteOptions {
    /// A commit or a digest that was proven [default: the newest].
    #[arg(long)]
    pub to: Option<String>,
    /// Everything else.
    #[command(flatten)]
    pub release: ReleaseOptions,
}

/// Which variables.
#[derive(Debug, Clone, Default, Args)]
pub struct SetEnvOptions {
    /// service.NAME=value; service.NAME alone takes the variable away. Give it once for each.
    #[arg(long, required = true)]
    pub set: Vec<String>,
    /// Everything else.
    #[command(flatten)]
    pub release: ReleaseOptions,
}

/// Which image, in which files.
#[derive(Debug, Clone, Args)]
#[command(group = clap::ArgGroup::new("version").required(true).multiple(true).args(["tag", "digest"]))]
pub struct EditOptions {
    /// Name of the image with its registry, as it stands in the files; no tag.
    #[arg(long)]
    pub image: String,
    /// Tag to set.
    #[arg(long)]
    pub tag: Option<String>,
    /// Digest to set: sha256: and 64 hex digits.
    #[arg(long)]
    pub digest: Option<String>,
    /// Files to edit: all of them, or none when one cannot be edited.
    #[arg(required = true)]
    pub files: Vec<String>,
}

/// What to look for in AWS, and what to write.
#[derive(Debug, Clone, Args)]
pub struct InitOptions {
    /// AWS region [default: AWS_REGION].
    #[arg(long)]
    pub region: Option<String>,
    /// Only services of this cluster.
    #[arg(long)]
    pub cluster: Option<String>,
    /// Only services of this name.
    #[arg(long)]
    pub service: Option<String>,
    /// Name of the environment, in the deploy file and at GitHub.
    #[arg(long, default_value = "production")]
    pub environment: String,
    /// Branch that is deployed there.
    #[arg(long, default_value = "main")]
    pub branch: String,
    /// Folder of the repository.
    #[arg(long, default_value = ".")]
    pub output: String,
    /// Overwrite the files that are there.
    #[arg(long)]
    pub force: bool,
}

/// Which jobs of which repository.
#[derive(Debug, Clone, Default, Args)]
#[command(group = clap::ArgGroup::new("jobs").required(true).multiple(true).args(["environment", "branch", "pull_requests"]))]
pub struct TrustOptions {
    /// Repository, as owner/name; capitals count.
    #[arg(long)]
    pub repository: String,
    /// Jobs with this `environment:`, whatever their branch; may be given several times.
    #[arg(long)]
    pub environment: Vec<String>,
    /// Jobs without an `environment:`, on this branch; may be given several times.
    #[arg(long)]
    pub branch: Vec<String>,
    /// Jobs without an `environment:`, of pull requests: for a role that reads only.
    #[arg(long)]
    pub pull_requests: bool,
    /// The owner's number at GitHub, for the subjects that cannot be taken over with a name.
    #[arg(long, requires = "repository_id")]
    pub owner_id: Option<u64>,
    /// The repository's number at GitHub.
    #[arg(long, requires = "owner_id")]
    pub repository_id: Option<u64>,
    /// AWS account of the role, 12 digits.
    #[arg(long)]
    pub account: String,
    /// Partition of that account: aws, aws-cn or aws-us-gov.
    #[arg(long, default_value = "aws")]
    pub partition: String,
}

/// Whose policy.
#[derive(Debug, Clone, Args)]
pub struct PolicyOptions {
    /// Environment of the deploy file.
    #[arg(long)]
    pub environment: String,
    /// Path of the deploy file.
    #[arg(long, default_value = ".github/roadstead.yml")]
    pub config: String,
}

/// What to rehearse.
#[derive(Debug, Clone, Args)]
pub struct RehearseOptions {
    /// A scenario file, or the name of a built-in scenario.
    #[arg(default_value = "happy")]
    pub scenario: String,
    /// Deploy file to rehearse [default: .github/roadstead.yml, or a built-in example where there is none].
    #[arg(long)]
    pub config: Option<String>,
    /// Environment of the deploy file [default: the first].
    #[arg(long)]
    pub environment: Option<String>,
    /// The same seed gives the same run.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Write the job summary, in Markdown, to this file.
    #[arg(long)]
    pub summary: Option<String>,
    /// List the built-in scenarios.
    #[arg(long)]
    pub list: bool,
}

/// How to serve the embedded cloud.
#[derive(Debug, Clone, Args)]
pub struct CloudOptions {
    /// Address on loopback, such as 127.0.0.1:4566; port 0 takes a free one.
    #[arg(long)]
    pub listen: std::net::SocketAddr,
    /// How much faster than real time the cloud's clock runs.
    #[arg(long, default_value_t = 1.0)]
    pub speed: f64,
    /// The same seed and calls give the same answers.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// A scenario file, or the name of a built-in scenario.
    #[arg(default_value = "happy")]
    pub scenario: String,
}

/// How to try the judge.
#[derive(Debug, Clone, Args)]
pub struct JudgeOptions {
    /// Judge simulated canaries, of which it is known how bad they are.
    #[arg(long, required = true)]
    pub simulate: bool,
    /// Runs a cell; the rank test gets at most 150 of them.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub runs: u32,
    /// One-minute intervals of a run.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(10..=1440))]
    pub minutes: u32,
    /// The same seed gives the same table.
    #[arg(long, default_value_t = 20_261_120)]
    pub seed: u64,
    /// Our judge alone; fail when it breaks a limit.
    #[arg(long)]
    pub gate: bool,
}
