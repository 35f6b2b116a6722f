//! What runs now, from the fewest reads: the service, its definition, its last deployments and their revisions.

use std::collections::BTreeMap;

use serde_json::Value;

use super::configuration;
use super::definition;
use super::look::Eyes;
use super::read::{Revision, Service, ServiceDeployment, version};
use super::verdict;
use super::versions;
use super::write;
use crate::problem::{Code, Problem};
use crate::release::{Failure, Health, InFlight, Observed, Progress, Proof, Rollout};

/// At most so many revisions are asked about (one call).
const REVISIONS: usize = 20;

/// What was read.
struct Seen {
    service: Service,
    definition: Value,
    history: Vec<ServiceDeployment>,
    current: Option<ServiceDeployment>,
    revisions: BTreeMap<String, Revision>,
}

/// Reads the service. `previous` is the newest service deployment that ended SUCCESSFUL with another definition
/// than the one that is wished for now.
pub async fn observe(eyes: &Eyes) -> Result<Observed, Problem> {
    let service = eyes.service().await?;
    if service.status == "INACTIVE" {
        let sentence = format!("The service `{}` is INACTIVE (it was deleted).", eyes.settings.service);
        return Err(Problem::error(Code::ServiceMissing, sentence).help("Create the service again."));
    }
    let client = eyes.loader.client();
    let current = async {
        match &service.current {
            Some(arn) => eyes.loader.deployment(arn).await,
            None => Ok(None),
        }
    };
    let definition = client.describe_task_definition(&service.definition);
    let (definition, history, current) = tokio::try_join!(definition, eyes.history(), current)?;
    let definition = definition::with_tags(&definition);
    let mut seen = Seen { service, definition, history, current, revisions: BTreeMap::new() };
    let revisions = eyes.loader.revisions(&seen.wanted_revisions()).await?;
    seen.revisions = revisions.into_iter().map(|revision| (revision.arn.clone(), revision)).collect();
    Ok(seen.told(eyes))
}

impl Seen {
    /// Revisions that matter: what runs, what flies, and what succeeded before.
    fn wanted_revisions(&self) -> Vec<String> {
        let flying = self.current.iter().filter_map(|deployment| deployment.target.clone());
        let good = self.history.iter().filter(|deployment| deployment.status == "SUCCESSFUL");
        let good = good.filter_map(|deployment| deployment.target.clone());
        let mut all: Vec<String> = Vec::new();
        for arn in self.service.revisions.iter().cloned().chain(flying).chain(good) {
            if !all.contains(&arn) && all.len() < REVISIONS {
                all.push(arn);
            }
        }
        all
    }

    fn definition_of(&self, revision: Option<&String>) -> Option<&str> {
        Some(self.revisions.get(revision?)?.definition.as_str())
    }

    fn told(self, eyes: &Eyes) -> Observed {
        let container = definition::container_name(&self.definition, eyes.settings.container.as_deref());
        let container = container.unwrap_or_default();
        let image = definition::image(&self.definition, &container);
        let digest = self.serving().and_then(|revision| verdict::digest(revision, &container));
        Observed {
            version: Some(version(&self.service.definition)),
            digest: digest.or_else(|| image.as_ref().and_then(|image| image.digest.clone())),
            image,
            health: self.health(&container),
            previous: self.previous(),
            history: versions::completions(&self.history, &self.revisions, &container),
            in_flight: self.in_flight(),
            desired: self.service.desired,
            leftover: configuration::our_hook(&self.service.raw["deploymentConfiguration"]).is_some(),
            url: Some(super::url(eyes.loader.client().region(), &eyes.settings)),
            raw: self.service.raw,
            definition: self.definition,
        }
    }

    /// The revision that runs the definition wished for now.
    fn serving(&self) -> Option<&Revision> {
        let current = self.service.revisions.iter().filter_map(|arn| self.revisions.get(arn));
        let flying = self.current.iter().filter_map(|d| self.revisions.get(d.target.as_ref()?));
        current.chain(flying).find(|revision| revision.definition == self.service.definition)
    }

    fn previous(&self) -> Option<crate::release::Version> {
        let good = self.history.iter().filter(|deployment| deployment.status == "SUCCESSFUL");
        let mut definitions = good.filter_map(|deployment| self.definition_of(deployment.target.as_ref()));
        definitions.find(|definition| *definition != self.service.definition).map(version)
    }

    fn flying(&self) -> Option<&ServiceDeployment> {
        self.current.as_ref().filter(|deployment| deployment.in_flight())
    }

    fn in_flight(&self) -> Option<InFlight> {
        let moving = self.service.primary().is_some_and(|primary| primary.rollout == "IN_PROGRESS");
        let Some(flying) = self.flying() else {
            let rollout = write::started(&self.service, &self.service.definition);
            return moving.then_some(InFlight { rollout, rolling_back: false });
        };
        let target = self.definition_of(flying.target.as_ref()).unwrap_or(&self.service.definition);
        let mine = self.service.deployments.iter().find(|deployment| deployment.definition == target);
        let id = mine.map(|deployment| deployment.id.clone()).unwrap_or_default();
        let version = version(target);
        let rollout =
            Rollout { version: version.id, label: version.label, ids: vec![id, flying.arn.clone()] };
        Some(InFlight { rollout, rolling_back: flying.rolling_back() })
    }

    /// How the wished version fares, without proof by targets: that is what `probe` is for.
    fn health(&self, container: &str) -> Health {
        let Some(primary) = self.service.primary() else {
            return Health::Unknown("the service shows no PRIMARY deployment".into());
        };
        let status = self.current.as_ref().map(|deployment| deployment.status.as_str()).unwrap_or_default();
        match (primary.rollout.as_str(), status) {
            ("COMPLETED", "" | "SUCCESSFUL" | "ROLLBACK_SUCCESSFUL") => Health::Healthy(Proof {
                version: version(&primary.definition),
                digest: self.serving().and_then(|revision| verdict::digest(revision, container)),
                evidence: format!("rollout COMPLETED {status}").trim_end().to_owned(),
            }),
            ("FAILED", _) => Health::Stopped(stopped(&primary.reason)),
            ("IN_PROGRESS" | "COMPLETED", _) => Health::Progressing(Progress {
                running: primary.running,
                pending: primary.pending,
                desired: primary.desired,
                failed: primary.failed,
                stage: status.to_owned(),
                events: Vec::new(),
            }),
            (other, _) => Health::Unknown(format!("rollout state `{other}`")),
        }
    }
}

fn stopped(words: &str) -> Failure {
    let sentence = "The last deployment failed and nothing took it back.";
    let problem = Problem::error(Code::DeploymentStopped, sentence).cause(words);
    Failure::permanent(problem)
}
