//! From a scenario to a world that has just begun; and images that look like real ones.

use serde_json::json;
use sha2::{Digest, Sha256};

use super::chance::Chance;
use super::faults::Mischief;
use super::scenario::Scenario;
use super::world::{Alarm, Image, Repository, World};
use super::{ecs, mishaps};

/// The world of a scenario at its beginning.
pub fn world(scenario: &Scenario, seed: u64) -> World {
    let began = scenario.began().unwrap_or(0.0);
    let mut world = World {
        account: scenario.account.clone(),
        region: scenario.region.clone(),
        caller: format!("arn:aws:sts::{}:assumed-role/deploy/roadstead", scenario.account),
        registry: scenario.registry.clone(),
        policy: scenario.policy.clone(),
        timings: scenario.timings.clone(),
        chance: Chance::seeded(seed),
        mischief: Mischief::new(scenario.faults.clone(), began),
        ..World::default()
    };
    for alarm in &scenario.alarms {
        let it = Alarm { state: alarm.state.clone(), since: began - 86_400.0, composite: alarm.composite };
        world.alarms.insert(alarm.name.clone(), it);
    }
    for (name, setting) in &scenario.repositories {
        world
            .repositories
            .insert(name.clone(), Repository { immutable: setting.immutable, ..Repository::default() });
        for image in &setting.images {
            push(&mut world, name, &image.tags, &image.platform, &image.tags.join(" "), began - 90_000.0);
        }
    }
    for name in &scenario.clusters {
        ecs::founding::cluster(&mut world, name);
    }
    for service in &scenario.services {
        ecs::founding::service(&mut world, service, began);
    }
    mishaps::at_start(&mut world, began);
    world
}

/// Put an image into a repository, made from `content`: the same content has the same digest. Tags move to it.
pub fn push(
    world: &mut World,
    repository: &str,
    tags: &[String],
    platform: &str,
    content: &str,
    now: f64,
) -> String {
    let (os, architecture) = platform.split_once('/').unwrap_or(("linux", platform));
    let layer = digest(&format!("layer of {repository}: {content}"));
    let config = json!({
        "os": os,
        "architecture": architecture,
        "config": {"Labels": {"content": content}},
        "rootfs": {"type": "layers", "diff_ids": [layer]},
    })
    .to_string();
    let (kind, config_kind, layer_kind) = (
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.oci.image.layer.v1.tar+gzip",
    );
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": kind,
        "config": {"mediaType": config_kind, "digest": digest(&config), "size": config.len()},
        "layers": [{"mediaType": layer_kind, "digest": layer, "size": 1_048_576}],
    })
    .to_string();
    let it = world.repositories.entry(repository.into()).or_default();
    it.blobs.insert(digest(&config), config);
    it.images.iter_mut().for_each(|image| image.tags.retain(|tag| !tags.contains(tag)));
    let digest = digest(&manifest);
    match it.images.iter_mut().find(|image| image.digest == digest) {
        Some(known) => known.tags.extend(tags.iter().cloned()),
        None => it.images.push(Image {
            digest: digest.clone(),
            manifest,
            media_type: kind.into(),
            tags: tags.to_vec(),
            pushed_at: now,
        }),
    }
    digest
}

fn digest(text: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(text)))
}
