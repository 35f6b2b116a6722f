//! The registry of the environment that a run deploys to.

use std::rc::Rc;

use aws_config::SdkConfig;

use crate::image;
use crate::image::Registry;
use crate::problem::Problem;
use crate::run::context::RunContext;
use crate::sys::http::HttpClient;

/// The registry of the environment's account, and its host as image references name it.
pub(in crate::run) struct EnvironmentRegistry {
    /// The client that is logged in there.
    pub(in crate::run) client: Rc<dyn Registry>,
    /// Its host, as image references name it.
    pub(in crate::run) host: String,
}

/// The registry that a session has a login for.
pub(in crate::run) async fn open_registry(
    ctx: &RunContext,
    session: &SdkConfig,
) -> Result<EnvironmentRegistry, Problem> {
    let web = (!ctx.rehearsal).then(|| HttpClient::new(ctx.io.http.clone()));
    let (client, host) = image::ecr::connect_registry(session, web, ctx.secret_masker()).await?;
    Ok(EnvironmentRegistry { client, host })
}
