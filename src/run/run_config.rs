//! What the deploy file says about a run, and the reasons for which a run ends before it starts. Values only.

use crate::config::{DeployFile, Environment, NotifySettings, Registries};
use crate::image::Build;
use crate::problem::{self, Code, Problem};
use crate::release::{DefinitionFile, ImageRef, Outcome};
use crate::report::{RunReport, ServiceReport};
use crate::targets::{CredentialUrls, ServiceSpec};

/// Name of a deploy file that stands in the input itself.
pub(in crate::run) const INLINE_CONFIG: &str = "input config";

/// What the deploy file says about a run.
pub(in crate::run) struct RunConfig {
    pub(in crate::run) document: DeployFile,
    pub(in crate::run) environment_name: String,
    pub(in crate::run) environment: Environment,
    pub(in crate::run) services: Vec<DeclaredService>,
    /// Services that a rollback is about and that it cannot read.
    pub(in crate::run) refused: Vec<RefusedService>,
    /// Where the end of the run is notified.
    pub(in crate::run) notify: NotifySettings,
    /// The logins of registries.
    pub(in crate::run) registries: Registries,
    /// Whether the run is atomic: all services, or none.
    pub(in crate::run) atomic: bool,
    /// Which of its URLs may get a credential.
    pub(in crate::run) credential_urls: CredentialUrls,
    /// Errors, warnings and notices. With an error nothing may be changed.
    pub(in crate::run) problems: Vec<Problem>,
}

/// A service that is refused before there is a target for it.
pub(in crate::run) struct RefusedService {
    pub(in crate::run) name: String,
    /// Why, at least one error.
    pub(in crate::run) problems: Vec<Problem>,
}

impl RefusedService {
    /// The services that these problems are of.
    pub(in crate::run) fn from_problems(problems: Vec<Problem>) -> Vec<Self> {
        let mut refused: Vec<Self> = Vec::new();
        for problem in problems {
            let name = problem.service.clone().unwrap_or_default();
            match refused.iter_mut().find(|known| known.name == name) {
                Some(known) => known.problems.push(problem),
                None => refused.push(Self { name, problems: vec![problem] }),
            }
        }
        refused
    }

    /// Its end: nothing of it was changed.
    pub(in crate::run) fn into_report(self) -> ServiceReport {
        let report = ServiceReport::new(&self.name, Outcome::Invalid);
        ServiceReport { problems: self.problems, evidence: "nothing was changed".into(), ..report }
    }
}

/// A service of the deploy file, with what belongs to it.
pub(in crate::run) struct DeclaredService {
    pub(in crate::run) service: ServiceSpec,
    /// How its image is built; `None` if it is not.
    pub(in crate::run) build: Option<Build>,
    /// The further containers whose images are released with it.
    pub(in crate::run) containers: Vec<ReleasedContainer>,
    /// The file that its release is made from; `None` if it names none.
    pub(in crate::run) definition: Option<DefinitionFile>,
}

/// A further container whose image is released with its service.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::run) struct ReleasedContainer {
    /// Its name.
    pub(in crate::run) name: String,
    /// Its repository, where its image is built or promoted.
    pub(in crate::run) repository: Option<String>,
    /// Where its image comes from, unless it is promoted.
    pub(in crate::run) source: ContainerSource,
}

/// Where the image of a further container comes from.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::run) enum ContainerSource {
    /// The deploy file names it.
    Fixed(ImageRef),
    /// It is the image of the service.
    OfService,
    /// It is built.
    Built(Box<Build>),
}

impl RunConfig {
    /// Whether an error was found.
    pub(in crate::run) fn has_errors(&self) -> bool {
        self.problems.iter().any(Problem::is_error)
    }

    /// The end of the run because of `problems`, before any change.
    pub(in crate::run) fn invalid(&self, problems: Vec<Problem>) -> EarlyExit {
        EarlyExit::Invalid(Some(self.environment_name.clone()), problems)
    }

    /// The services as the deploy file has them.
    pub(in crate::run) fn plain_services(&self) -> Vec<ServiceSpec> {
        self.services.iter().map(|declared| declared.service.clone()).collect()
    }
}

/// Why a run ends before it starts.
pub(in crate::run) enum EarlyExit {
    /// Nothing has to be done, for this reason.
    Skipped(String),
    /// Something is wrong, in an environment if one was selected; nothing was changed.
    Invalid(Option<String>, Vec<Problem>),
    /// The run was cancelled; nothing was changed.
    Cancelled,
}

impl EarlyExit {
    /// The report of such a run.
    pub(in crate::run) fn into_report(self, mut report: RunReport) -> RunReport {
        match self {
            Self::Skipped(reason) => {
                report.outcome = Outcome::Skipped;
                report.reason = Some(reason);
            }
            Self::Invalid(environment, problems) => {
                let cancelled = problems.iter().any(|problem| problem.code == Code::Cancelled);
                report.outcome = if cancelled { Outcome::Cancelled } else { Outcome::Invalid };
                report.environment = environment;
                report.problems = problem::list::bounded(problems);
            }
            Self::Cancelled => {
                report.outcome = Outcome::Cancelled;
                let reason = "the job was cancelled before any change; what served before serves still";
                report.reason = Some(reason.into());
            }
        }
        report
    }
}
