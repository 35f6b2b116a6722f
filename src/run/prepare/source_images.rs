//! The images that a source environment can have proven: those of the repository that its own configuration resolves to
//! for a service, and those that it lists.

use aws_config::SdkConfig;
use tokio::sync::OnceCell;

use crate::config::Environment;
use crate::image;
use crate::problem::Problem;
use crate::release::ImageRef;
use crate::run::context::RunContext;
use crate::run::prepare::placeholders::run_placeholders;
use crate::run::registry;
use crate::run::run_config::RunConfig;
use crate::targets::{self, ServiceSpec};

/// The images of a source environment.
pub(super) struct SourceImages<'r> {
    ctx: &'r RunContext,
    config: &'r RunConfig,
    name: &'r str,
    environment: Environment,
    session: Option<&'r SdkConfig>,
    own_host: OnceCell<Option<String>>,
}

impl<'r> SourceImages<'r> {
    /// Those of the environment `name`.
    pub(super) fn new(
        ctx: &'r RunContext,
        config: &'r RunConfig,
        name: &'r str,
        session: Option<&'r SdkConfig>,
    ) -> Self {
        let environment = config.document.environments().0.remove(name).unwrap_or_default();
        Self { ctx, config, name, environment, session, own_host: OnceCell::new() }
    }

    /// The environment.
    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Why an image of a service, or of one of its further containers, cannot be one that the environment proved, in a clause;
    /// `None` if it can.
    pub(super) async fn rejection(
        &self,
        service: &str,
        container: Option<&str>,
        image: &ImageRef,
    ) -> Result<Option<String>, Problem> {
        let name = image.name();
        if self.environment.image_repositories.iter().any(|pattern| pattern.matches(&name)) {
            return Ok(None);
        }
        let source = self.name;
        let subject = match container {
            None => format!("`{service}`"),
            Some(container) => format!("the container `{container}` of `{service}`"),
        };
        let Some(repository) = self.repository(service, container) else {
            return Ok(Some(format!(
                "its image is in `{name}`, and `{source}` has neither a `repository` for {subject} nor \
                 `image-repositories` that contain it"
            )));
        };
        let host = self.host(image).await?;
        let own = host.as_ref().map(|host| format!("{host}/{repository}"));
        Ok((own.as_ref() != Some(&name)).then(|| match own {
            Some(own) => {
                format!("its image is in `{name}`, and `{source}` has those of {subject} in `{own}`")
            }
            None => format!(
                "its image is in `{name}`, and the registry of `{source}` is not known: the environment has no \
                 `aws.account` or `aws.region`"
            ),
        }))
    }

    /// The `repository` that the deploy file has in the source environment for a service, or for one of its further
    /// containers.
    fn repository(&self, service: &str, container: Option<&str>) -> Option<String> {
        let targets = targets::keys(self.ctx.kinds);
        let known = run_placeholders(self.ctx, self.name);
        let wanted = [service.to_owned()];
        let (services, _) = self.config.document.services(self.name, &wanted, &targets, &known);
        let service = services.into_iter().next()?;
        let Some(container) = container else { return service.config.repository };
        let spec = ServiceSpec::read(self.ctx.kinds, &self.config.document.file, service).ok()?;
        spec.containers().into_iter().find(|it| it.name == container)?.repository
    }

    /// The registry of the source environment: of its account, else of the account of this run. A registry on this
    /// machine has no account.
    async fn host(&self, image: &ImageRef) -> Result<Option<String>, Problem> {
        let declared = self.environment.aws.as_ref();
        let account =
            declared.and_then(|aws| aws.account.as_deref().or_else(|| account_of_role(aws.role.as_deref()?)));
        let of_run = || self.session.and_then(|session| session.region()).map(ToString::to_string);
        let region = declared.and_then(|aws| aws.region.clone()).or_else(of_run);
        match account.zip(region) {
            Some((account, region)) if !crate::release::is_loopback(&image.registry) => {
                Ok(Some(image::ecr::registry_host_of(account, &region)))
            }
            _ => self.own_host().await,
        }
    }

    async fn own_host(&self) -> Result<Option<String>, Problem> {
        let read = async || match self.session {
            Some(session) => {
                registry::open_registry(self.ctx, session).await.map(|registry| Some(registry.host))
            }
            None => Ok(None),
        };
        self.own_host.get_or_try_init(read).await.cloned()
    }
}

/// The account in the ARN of a role.
fn account_of_role(role: &str) -> Option<&str> {
    let account = role.split(':').nth(4)?;
    (account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())).then_some(account)
}
