//! A service of the deploy file with its kind and its settings, which are parsed once per run.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::rc::Rc;

use super::kind::{DeclaredContainer, ImageUse, Needs, SourceFile, Spec};
use super::policy::{Permission, PolicyScope};
use super::rbac::RbacRule;
use super::registry::{self, AnyBlock, AnyKind, Kinds};
use super::{Target, TargetContext};
use crate::config::Service;
use crate::problem::{Code, Problem};
use crate::release::DefinitionFile;

/// A service of the deploy file, its kind and its settings.
#[derive(Clone)]
pub struct ServiceSpec {
    service: Service,
    file: Rc<str>,
    kind: &'static dyn AnyKind,
    block: Rc<dyn AnyBlock>,
}

impl Deref for ServiceSpec {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

impl ServiceSpec {
    /// Parses the settings of a service. Errors name each wrong line.
    pub fn read(kinds: Kinds, file: &str, service: Service) -> Result<Self, Vec<Problem>> {
        let read = registry::find(kinds, &service.target)
            .map_err(|problem| vec![problem])
            .and_then(|kind| Ok((kind, kind.read_block(file, &service)?)));
        match read {
            Ok((kind, block)) => Ok(Self { service, file: file.into(), kind, block }),
            Err(problems) => Err(for_service(problems, &service)),
        }
    }

    /// What services of its kind need and support.
    pub fn needs(&self) -> Needs {
        Needs { aws: self.block.uses_aws(), ..self.kind.needs() }
    }

    /// Where it is in a few words, such as `ecs acme/backend`.
    pub fn location(&self) -> String {
        format!("{} {}", self.kind.key(), self.block.location())
    }

    /// The file of the repository that its releases are made from.
    pub fn source_file(&self) -> Option<SourceFile> {
        self.block.source_file()
    }

    /// What it changes, and no other service of the environment may.
    pub fn resources(&self) -> Vec<String> {
        self.block.resources()
    }

    /// How its versions reach traffic where no `strategy` decides that, in words.
    pub fn own_rollout(&self) -> Option<String> {
        self.block.own_rollout()
    }

    /// What a rollout survives before it is rolled back, where the deploy file changes that, in words.
    pub fn patience(&self) -> Option<String> {
        self.block.patience()
    }

    /// The URLs of its settings that get a credential of the run.
    pub fn credential_urls(&self) -> Vec<String> {
        self.block.credential_urls()
    }

    /// The containers whose images are deployed beside that of the service.
    pub fn containers(&self) -> Vec<DeclaredContainer> {
        self.block.containers(&self.spec(None))
    }

    /// Problems of its settings and its source file that need no call, at the lines of that file.
    pub fn lint(&self, source: Option<&DefinitionFile>) -> Vec<Problem> {
        let mut found = self.block.lint(&self.spec(source));
        if self.needs().image == ImageUse::None {
            found.extend(self.unused_image_keys());
        }
        for_service(found, &self.service)
    }

    /// What the role of the run must be allowed for it.
    pub fn permissions(&self, source: Option<&DefinitionFile>, scope: &PolicyScope) -> Vec<Permission> {
        self.block.permissions(&self.spec(source), scope)
    }

    /// What a run must be allowed for it in a cluster that has access control of its own.
    pub fn rbac_rules(&self) -> Vec<RbacRule> {
        self.block.rbac_rules(&self.spec(None))
    }

    fn connect(&self, run: &TargetContext<'_>) -> Result<Rc<dyn Target>, Vec<Problem>> {
        let connected = self.block.connect(&self.spec(None), run);
        connected.map_err(|problem| for_service(vec![problem], &self.service))
    }

    fn spec<'s>(&'s self, source: Option<&'s DefinitionFile>) -> Spec<'s, ()> {
        Spec { file: &self.file, service: &self.service, settings: &(), source }
    }

    /// Keys of an image beside a target that deploys none.
    fn unused_image_keys(&self) -> Vec<Problem> {
        let Service { build, config, settings, .. } = &self.service;
        let keys = [("build", build.is_some()), ("repository", config.repository.is_some())];
        let problem = |key: &str| {
            let sentence =
                format!("`{key}` does not apply to `{}`, because no image is built.", self.kind.key());
            let node = build.as_ref().unwrap_or(settings);
            Problem::error(Code::ConfigInvalid, sentence).help(format!("Remove `{key}`.")).at_location(
                &*self.file,
                node.line,
                node.column,
            )
        };
        keys.iter().filter(|(_, is_given)| *is_given).map(|(key, _)| problem(key)).collect()
    }
}

/// Reads the blocks of services: those that can be read, and what is wrong with the others.
pub fn read_specs(kinds: Kinds, file: &str, services: Vec<Service>) -> (Vec<ServiceSpec>, Vec<Problem>) {
    let (mut specs, mut problems) = (Vec::new(), Vec::new());
    for service in services {
        match ServiceSpec::read(kinds, file, service) {
            Ok(spec) => specs.push(spec),
            Err(more) => problems.extend(more),
        }
    }
    (specs, problems)
}

/// Services that change the same thing, each at its line: they would replace each other's releases.
pub fn shared_resources(specs: &[ServiceSpec]) -> Vec<Problem> {
    let mut owners: BTreeMap<String, Vec<&ServiceSpec>> = BTreeMap::new();
    for spec in specs {
        let own: BTreeSet<String> = spec.resources().into_iter().collect();
        own.into_iter().for_each(|resource| owners.entry(resource).or_default().push(spec));
    }
    let shared = owners.iter().filter(|(_, specs)| specs.len() > 1);
    shared
        .flat_map(|(resource, specs)| specs.iter().map(move |spec| shared_problem(resource, specs, spec)))
        .collect()
}

fn shared_problem(resource: &str, specs: &[&ServiceSpec], spec: &ServiceSpec) -> Problem {
    let names: Vec<String> = specs.iter().map(|spec| format!("`{}`", spec.name)).collect();
    let sentence = format!("The services {} of the deploy file are all {resource}.", names.join(" and "));
    let help = "Keep one of them: two releases of one service would replace each other.";
    let at = &spec.location;
    Problem::error(Code::ConfigInvalid, sentence)
        .help(help)
        .at_location(&at.file, at.line, at.column)
        .for_service(&spec.name)
}

/// The target of each service, in their order.
pub fn connect_all(
    run: &TargetContext<'_>,
    specs: &[ServiceSpec],
) -> Result<Vec<Rc<dyn Target>>, Vec<Problem>> {
    specs.iter().map(|spec| spec.connect(run)).collect()
}

fn for_service(problems: Vec<Problem>, service: &Service) -> Vec<Problem> {
    problems.into_iter().map(|problem| problem.for_service(&service.name)).collect()
}
