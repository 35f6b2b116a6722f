//! Everything that can be known to go wrong before the first change: which reads, in which order. All of them are
//! made, so that all problems come at once. What the answers mean is said by `preflight_rules`.

use serde_json::Value;

use super::blob;
use super::definition;
use super::image::{self, EcrImage};
use super::look::Eyes;
use super::neighbours::Manifest;
use super::permissions::{self, Doing};
use super::preflight_rules as rules;
use super::read::{Service, text};
use super::refusal::Refusal;
use super::settings::Declared;
use super::versions;
use crate::problem::{Problem, Severity};
use crate::release::{Former, Observed, Version};

/// What is about to be done.
#[derive(Debug)]
pub struct Intent<'a> {
    /// Where it is allowed.
    pub declared: &'a Declared,
    /// The definition that would be registered, or is there already.
    pub wanted: &'a Value,
    /// The earlier version that is to serve again, where it is one.
    pub former: Option<&'a Former>,
    /// What runs now.
    pub seen: &'a Observed,
    /// Whether traffic is shifted in shares.
    pub shifts: bool,
    /// Whether a command runs once before.
    pub runs: bool,
}

/// All problems that can be found by reading.
pub async fn check(eyes: &Eyes, intent: &Intent<'_>) -> Vec<Problem> {
    let service = Service::read(&intent.seen.raw);
    let region = eyes.loader.client().region();
    let mut found = rules::region(intent.declared, region);
    found.extend(rules::service(&service, &eyes.settings.service));
    if !intent.shifts {
        found.extend(rules::own_strategy(&service, &eyes.settings.service));
        found.extend(rules::percentages(&service));
    }
    found.extend(rules::container(&service, intent.wanted));
    let (who, alarms, images, refuge, readable, carried) = tokio::join!(
        caller(eyes, intent, &service),
        alarms(eyes, &service, &eyes.alarms),
        images(eyes, intent),
        refuge(eyes, intent),
        readable(eyes, &service, intent.wanted),
        carried(eyes, intent, &service),
    );
    found.extend([who, alarms, images, refuge, readable, carried].into_iter().flatten());
    found
}

/// Who we are, and what we may do.
async fn caller(eyes: &Eyes, intent: &Intent<'_>, service: &Service) -> Vec<Problem> {
    match eyes.around.caller().await {
        Ok((account, arn)) => {
            let permissions = allowed(eyes, &arn, intent, service).await;
            rules::account(intent.declared, &account).into_iter().chain(permissions).collect()
        }
        Err(refusal) => vec![refusal.problem],
    }
}

async fn allowed(eyes: &Eyes, caller: &str, intent: &Intent<'_>, service: &Service) -> Vec<Problem> {
    let Some(principal) = permissions::principal(caller) else {
        return vec![permissions::unchecked(None)];
    };
    let doing = Doing { registers: intent.former.is_none(), shifts: intent.shifts, runs: intent.runs };
    match eyes.around.simulate(&principal, permissions::needs(service, intent.wanted, doing)).await {
        Ok(results) => permissions::missing(&results),
        Err(refusal) => vec![permissions::unchecked(Some(&refusal))],
    }
}

async fn alarms(eyes: &Eyes, service: &Service, declared: &[String]) -> Vec<Problem> {
    let names = rules::alarm_names(service, declared);
    if names.is_empty() {
        return Vec::new();
    }
    match eyes.around.alarms(names.clone()).await {
        Ok(states) => rules::alarms(&names, &states),
        Err(refusal) => vec![refusal.problem],
    }
}

/// Every image that is new in the definition must be there, for the task's platform. An earlier version ran already:
/// it must still be able to start.
async fn images(eyes: &Eyes, intent: &Intent<'_>) -> Vec<Problem> {
    let (wanted, seen) = (intent.wanted, intent.seen);
    if let Some(former) = intent.former {
        let gone = images_gone(eyes, &former.version.label, &former.definition).await;
        let moved = image_moved(eyes, former).await;
        return versions::startable(former).into_iter().chain(gone).chain(moved).collect();
    }
    let running = rules::images(&seen.definition);
    let platform = image::wanted_platform(wanted);
    let mut found = Vec::new();
    for reference in rules::images(wanted) {
        let fresh = !running.contains(&reference);
        found.extend(match image::ecr(&reference) {
            Some(ecr) if fresh => present(eyes, &reference, &ecr, &platform).await,
            None if fresh => Some(rules::image_unchecked(&reference)),
            _ => None,
        });
    }
    found
}

async fn present(eyes: &Eyes, reference: &str, ecr: &EcrImage, platform: &str) -> Option<Problem> {
    if ecr.region != eyes.loader.client().region() {
        return Some(rules::image_unchecked(reference));
    }
    match eyes.around.manifest(&ecr.account, &ecr.repository, ecr.id()).await {
        Ok(None) => Some(rules::image_missing(reference)),
        Ok(Some(manifest)) => rules::platform(reference, platform, &platforms(eyes, ecr, &manifest).await),
        Err(refusal) => Some(not_read(reference, &refusal)),
    }
}

fn not_read(reference: &str, refusal: &Refusal) -> Problem {
    let unchecked = rules::image_unchecked(reference);
    Problem { cause: refusal.problem.cause.clone(), ..unchecked }
}

/// The platforms of an image: those of the index, or the one its config names; empty when that cannot be read.
async fn platforms(eyes: &Eyes, ecr: &EcrImage, manifest: &Manifest) -> Vec<String> {
    if let Some(platforms) = image::platforms(&manifest.text) {
        return platforms;
    }
    let Some(digest) = image::config_digest(&manifest.text) else { return Vec::new() };
    let config = blob::read(&eyes.around, ecr, &digest).await;
    config.and_then(|config| image::config_platform(&config)).into_iter().collect()
}

/// The version that an undo leads to must be able to start: its definition is ACTIVE and its image is there. A rollback
/// goes on without: it is itself the way to a version that can.
async fn refuge(eyes: &Eyes, intent: &Intent<'_>) -> Vec<Problem> {
    let Some(refuge) = intent.seen.refuge() else { return vec![rules::no_refuge()] };
    let former = intent.former.map(|former| &former.version);
    if former == Some(refuge) {
        return Vec::new();
    }
    let mut found = broken(eyes, refuge, intent.seen).await;
    if former.is_some() {
        found.iter_mut().for_each(|problem| problem.severity = Severity::Warning);
    }
    found
}

async fn broken(eyes: &Eyes, refuge: &Version, seen: &Observed) -> Vec<Problem> {
    let serves = seen.version.as_ref() == Some(refuge);
    let definition = if serves {
        seen.definition.clone()
    } else {
        match eyes.loader.client().describe_task_definition(&refuge.id).await {
            Ok(answer) => definition::with_tags(&answer),
            Err(refusal) => return vec![refusal.problem],
        }
    };
    if definition["status"].as_str().is_some_and(|status| status != "ACTIVE") {
        return vec![rules::refuge_broken(&refuge.label, "its task definition is not ACTIVE any more")];
    }
    images_gone(eyes, &refuge.label, &definition).await
}

/// Whether the tag of our container's image, where its definition has no more, still names what completed then.
async fn image_moved(eyes: &Eyes, former: &Former) -> Option<Problem> {
    let container = definition::container_name(&former.definition, eyes.settings.container.as_deref())?;
    let reference = definition::image(&former.definition, &container)?.to_string();
    let ecr = image::ecr(&reference).filter(|ecr| ecr.region == eyes.loader.client().region())?;
    let manifest = eyes.around.manifest(&ecr.account, &ecr.repository, ecr.id()).await.ok()??;
    versions::moved(former, &reference, &manifest.text)
}

/// Images of an earlier version that ECR has no longer.
async fn images_gone(eyes: &Eyes, label: &str, definition: &Value) -> Vec<Problem> {
    let mut found = Vec::new();
    for reference in rules::images(definition) {
        let Some(ecr) = image::ecr(&reference) else { continue };
        let here = ecr.region == eyes.loader.client().region();
        if here && let Ok(None) = eyes.around.manifest(&ecr.account, &ecr.repository, ecr.id()).await {
            let why = format!("its image {reference} is not in ECR any more");
            found.push(rules::refuge_broken(label, &why));
        }
    }
    found
}

/// The production rules must forward to both groups of each pair, or ECS takes the deployment back.
async fn carried(eyes: &Eyes, intent: &Intent<'_>, service: &Service) -> Vec<Problem> {
    let pairs = if intent.shifts { rules::pairs(service) } else { Vec::new() };
    let mut found = Vec::new();
    for pair in &pairs {
        match eyes.around.forwarded(&pair.rule).await {
            Ok(groups) => found.extend(rules::carries(pair, groups.as_deref())),
            Err(refusal) => found.push(refusal.problem),
        }
    }
    if let Some(pair) = pairs.first() {
        found.extend(eyes.around.load_balancers(&pair.groups[0]).await.err().map(Problem::from));
    }
    found
}

/// The reads that the wait and the proof need are tried once: better to miss a permission now than at the end.
async fn readable(eyes: &Eyes, service: &Service, wanted: &Value) -> Vec<Problem> {
    let denied = |refusal: Refusal| refusal.denied().then_some(refusal.problem);
    let mut found = Vec::new();
    if let Some(group) = service.target_groups.first() {
        found.extend(eyes.around.targets(group).await.err().and_then(denied));
    }
    let (cluster, name) = (&eyes.settings.cluster, &eyes.settings.service);
    let client = eyes.loader.client();
    found.extend(client.list_tasks(cluster, name, true).await.err().and_then(denied));
    let family = text(wanted, "family");
    found.extend(client.list_task_definitions(&family, 1).await.err().and_then(denied));
    found
}
