//! The AWS session of a run. A run that touches nothing of AWS has none.

use aws_config::SdkConfig;

use crate::aws;
use crate::config::Environment;
use crate::problem::Problem;
use crate::release::{ImageOverride, is_ecr_host};
use crate::run::context::RunContext;
use crate::run::run_config::{DeclaredService, RunConfig};

/// The AWS session of a run, if it has one.
pub(in crate::run) struct AwsSession {
    /// Credentials and region; empty if nothing of AWS is needed.
    pub(in crate::run) config: SdkConfig,
    /// Warnings and notices about it.
    pub(in crate::run) problems: Vec<Problem>,
    /// Whether there is a session.
    is_open: bool,
}

impl AwsSession {
    /// The session; `None` if nothing of AWS is needed.
    pub(in crate::run) fn aws(&self) -> Option<&SdkConfig> {
        self.is_open.then_some(&self.config)
    }
}

/// The AWS session of an environment. Inputs win over the file. A run that touches nothing of AWS needs none.
pub(in crate::run) async fn open_session(
    ctx: &RunContext,
    config: &RunConfig,
) -> Result<AwsSession, Problem> {
    if !needs_aws(ctx, config) {
        return Ok(AwsSession { config: aws::disconnected(&ctx.io), problems: Vec::new(), is_open: false });
    }
    let (config, problems) = open_aws(ctx, &config.environment).await?;
    Ok(AwsSession { config, problems, is_open: true })
}

fn needs_aws(ctx: &RunContext, config: &RunConfig) -> bool {
    let uses =
        |declared: &DeclaredService| declared.service.needs().aws || uses_registry(ctx, config, declared);
    config.environment.aws.is_some()
        || config.notify.sns.is_some()
        || (config.services.is_empty() && !config.has_errors())
        || config.services.iter().any(uses)
}

/// Whether the image of a service is built or looked up in ECR. One that the inputs name is neither, if it has its digest
/// or is elsewhere.
fn uses_registry(ctx: &RunContext, config: &RunConfig, declared: &DeclaredService) -> bool {
    let given = ImageOverride::find(&ctx.inputs.images, &declared.service.name).map(|choice| &choice.image);
    let is_complete = given.is_some_and(|it| it.digest.is_some() || !is_ecr_host(&it.registry));
    let is_taken = is_complete && !ctx.is_rollback() && config.environment.promote_from.is_none();
    let pushes_to_ecr = declared.build.is_some() && declared.service.config.ecr_repository().is_some();
    pushes_to_ecr && !is_taken
}

async fn open_aws(ctx: &RunContext, environment: &Environment) -> Result<(SdkConfig, Vec<Problem>), Problem> {
    let aws = environment.aws.clone().unwrap_or_default();
    let request = aws::SessionRequest {
        region: ctx.inputs.aws_region.clone().or(aws.region),
        role: ctx.inputs.role_to_assume.clone().or(aws.role),
        session_name: session_name(ctx),
    };
    aws::open_session(&ctx.io, &request).await
}

/// The name of a session, for the account's audit log.
pub(in crate::run) fn session_name(ctx: &RunContext) -> String {
    let run = ctx.context.run_id.as_deref().unwrap_or("local");
    format!("roadstead-{}-{run}", ctx.context.repository.as_deref().unwrap_or("laptop"))
}
