//! The registries of a run: that of the environment, in ECR, and any other one that a `repository` or an image names. Each is
//! opened when it is needed, so a run asks for no login that it does not use.

use std::rc::Rc;

use aws_config::{Region, SdkConfig};
use tokio::sync::OnceCell;

use crate::image::{self, LoginSource, Registry, RegistryAccess, RegistryLogin, RegistryLogins, ecr};
use crate::problem::{Code, Problem};
use crate::release::{ImageRef, is_loopback, registry_of};
use crate::run::context::RunContext;
use crate::run::run_config::RunConfig;
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

/// A repository, and the registry that it is in.
pub(in crate::run) struct Repository {
    /// The repository, without tag and digest.
    pub(in crate::run) name: ImageRef,
    /// Its registry.
    pub(in crate::run) registry: Rc<dyn Registry>,
}

/// The registries of a run.
pub(in crate::run) struct RunRegistries<'r> {
    ctx: &'r RunContext,
    config: &'r RunConfig,
    session: Option<SdkConfig>,
    /// The registry of the environment, or why it cannot be opened: it is asked for once.
    own: OnceCell<Result<EnvironmentRegistry, Problem>>,
}

impl<'r> RunRegistries<'r> {
    /// The registries that `config` and the job have logins for. Nothing is asked.
    pub(in crate::run) fn new(
        ctx: &'r RunContext,
        config: &'r RunConfig,
        session: Option<SdkConfig>,
    ) -> Self {
        Self { ctx, config, session, own: OnceCell::new() }
    }

    /// What calls to AWS are made with; `None` where the run has no session.
    pub(in crate::run) fn session(&self) -> Option<&SdkConfig> {
        self.session.as_ref()
    }

    /// The registry of the environment.
    pub(in crate::run) async fn own(&self) -> Result<&EnvironmentRegistry, Problem> {
        let Some(session) = &self.session else {
            let sentence = "A repository without a registry is in ECR, and this run has no AWS session.";
            return Err(Problem::error(Code::CredentialsMissing, sentence)
                .help("Give the environment `aws: { region: …, role: … }`, or name the registry: `ghcr.io/acme/app`."));
        };
        let opened = self.own.get_or_init(|| open_registry(self.ctx, session)).await;
        opened.as_ref().map_err(Problem::clone)
    }

    /// The registry of the environment, if it was needed.
    pub(in crate::run) fn opened(self) -> Option<Rc<dyn Registry>> {
        self.own.into_inner().and_then(Result::ok).map(|own| own.client)
    }

    /// The repository that the deploy file names.
    pub(in crate::run) async fn repository(&self, text: &str) -> Result<Repository, Problem> {
        if registry_of(text).is_none() {
            let own = self.own().await?;
            return Ok(Repository {
                name: parse_name(&format!("{}/{text}", own.host))?,
                registry: own.client.clone(),
            });
        }
        let name = parse_name(text)?;
        let registry = self.named(&name.registry).await?;
        Ok(Repository { name, registry })
    }

    /// The registry of an image that somebody named; `None` if nobody here can read it.
    pub(in crate::run) async fn of_image(
        &self,
        image: &ImageRef,
    ) -> Result<Option<Rc<dyn Registry>>, Problem> {
        let is_own = self.is_own(image);
        match self.session.as_ref().filter(|_| is_own) {
            Some(_) => {
                let own = self.own().await?;
                Ok((own.host == image.registry).then(|| own.client.clone()))
            }
            // The emulator has no registry but ECR.
            None => Ok((!is_own && !self.ctx.rehearsal).then(|| self.access().registry(&image.registry))),
        }
    }

    /// Whether the registry of the environment is asked for what is pushed to this repository.
    pub(in crate::run) fn needs_own(&self, repository: &str) -> bool {
        registry_of(repository).is_none_or(|host| ecr::region_of_host(host).is_some())
    }

    /// Whether the image can be in the registry of an environment: in ECR, or on this machine.
    pub(in crate::run) fn is_own(&self, image: &ImageRef) -> bool {
        ecr::region_of_host(&image.registry).is_some() || is_loopback(&image.registry)
    }

    /// The registry at `host`.
    async fn named(&self, host: &str) -> Result<Rc<dyn Registry>, Problem> {
        if let Some(session) = &self.session
            && let Some(region) = ecr::region_of_host(host)
        {
            let own = self.own().await?;
            if own.host == host {
                return Ok(own.client.clone());
            }
            let there = session.clone().into_builder().region(Region::new(region.to_owned())).build();
            let opened = open_registry(self.ctx, &there).await?;
            return match opened.host == host {
                true => Ok(opened.client),
                false => Err(foreign_account_problem(host, &opened.host)),
            };
        }
        self.check_login(host)?;
        Ok(self.access().registry(host))
    }

    /// Nothing can be pushed without a login: that is said before anything is built.
    fn check_login(&self, host: &str) -> Result<(), Problem> {
        if self.ctx.rehearsal || self.ctx.context.lacks_secrets() {
            return Ok(());
        }
        let host = image::registry::canonical_host(host);
        if let Some(credentials) = self.config.registries.get(host)
            && self.variable(credentials.password.as_str()).is_none()
        {
            let name = credentials.password.as_str();
            let sentence =
                format!("The login for `{host}` needs the environment variable `{name}`, which is not set.");
            return Err(Problem::error(Code::InputInvalid, sentence)
                .help(format!("Pass it to the step: `env: {{ {name}: ${{{{ secrets.{name} }}}} }}`.")));
        }
        let is_known = is_loopback(host) || self.access().logins.get(host).is_some();
        is_known.then_some(()).ok_or_else(|| image::registry::missing_login_problem(host))
    }

    /// How registries other than ECR are reached.
    pub(in crate::run) fn access(&self) -> RegistryAccess {
        let mask = self.ctx.secret_masker();
        let logins = self.logins();
        // Inputs are masked when they are read.
        let token = self.ctx.inputs.github_token.as_ref().map(|token| token.reveal());
        let others = logins.iter().filter(|login| token != Some(login.password.as_str()));
        others.flat_map(RegistryLogin::secret_values).for_each(|secret| mask(&secret));
        RegistryAccess { http: HttpClient::new(self.ctx.io.http.clone()), logins }
    }

    /// The logins of the job: its token for GitHub's registry, its Docker configuration, and the deploy file, which wins.
    fn logins(&self) -> RegistryLogins {
        let token = self.ctx.inputs.github_token.as_ref().map(|token| RegistryLogin {
            server: image::registry::GITHUB_REGISTRY.into(),
            username: self.ctx.context.actor.clone().unwrap_or_else(|| "token".into()),
            password: token.reveal().to_owned(),
            expires_at: None,
        });
        let config = image::docker_config::inherited_config(&self.ctx.io.variables).unwrap_or_default();
        let inherited = RegistryLogins::from_docker_config(&config);
        let of_job = inherited.iter().cloned();
        let of_file = file_logins(self.ctx, self.config);
        let of_file = of_file.iter().cloned();
        token.into_iter().chain(of_job).chain(of_file).fold(RegistryLogins::default(), RegistryLogins::with)
    }

    fn variable(&self, name: &str) -> Option<&String> {
        self.ctx.io.variables.get(name).filter(|value| !value.is_empty())
    }

    /// The login of a registry other than ECR.
    pub(in crate::run) fn login_source(&self, host: &str) -> Rc<dyn LoginSource> {
        self.access().login_source(host)
    }
}

/// The logins that the deploy file names, as far as their variables are set.
pub(in crate::run) fn file_logins(ctx: &RunContext, config: &RunConfig) -> RegistryLogins {
    let variable = |name: &str| ctx.io.variables.get(name).filter(|value| !value.is_empty());
    let logins = config.registries.iter().filter_map(|(host, credentials)| {
        Some(RegistryLogin {
            server: image::registry::canonical_host(host).to_owned(),
            username: credentials.username.as_str().to_owned(),
            password: variable(credentials.password.as_str())?.clone(),
            expires_at: None,
        })
    });
    logins.fold(RegistryLogins::default(), RegistryLogins::with)
}

fn parse_name(text: &str) -> Result<ImageRef, Problem> {
    let parsed =
        text.parse::<ImageRef>().and_then(|image| match image.tag.is_none() && image.digest.is_none() {
            true => Ok(image),
            false => Err(format!("`{text}` has a tag or a digest")),
        });
    parsed.map_err(|why| Problem::error(Code::ConfigInvalid, format!("`repository` cannot be used: {why}.")))
}

fn foreign_account_problem(host: &str, own: &str) -> Problem {
    let sentence =
        format!("The repository is in `{host}`, and the AWS session of this run is one of `{own}`.");
    Problem::error(Code::AccountMismatch, sentence)
        .help("Push to the registry of the environment's own account, or give the environment a role of the other account.")
}
