//! Copies between the registries of the emulator: sent, mounted and skipped blobs, and faults in between.

use std::cell::RefCell;
use std::rc::Rc;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use serde_json::json;

use super::copy::{CopySummary, copy_image};
use super::{EcrRegistry, RepositoryClient};
use crate::problem::{Code, Problem};
use crate::release::Digest;
use crate::sys::http::HttpClient;
use roadstead_cloud::call_log::{HookPhase, Override};
use roadstead_cloud::client::http_client;
use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::ecr::registries::RegistryId;
use roadstead_cloud::scenario::Scenario;

const OWN: &str = "222222222222.dkr.ecr.eu-west-1.amazonaws.com";
const OTHER: &str = "111111111111.dkr.ecr.eu-west-1.amazonaws.com";
const SCENARIO: &str = "
account: \"222222222222\"
repositories: { acme/web: {}, acme/old: { images: [{ tags: [v0] }, { tags: [v1], platform: \"linux/amd64, linux/arm64\" }] } }
registries:
  - account: \"111111111111\"
    region: eu-west-1
    repositories: { acme/web: { readers: [\"222222222222\"], images: [{ tags: [v1], platform: \"linux/amd64, linux/arm64\" }] } }
";

fn cloud_with(more: &str) -> Cloud {
    Cloud::new(Scenario::parse(&format!("{SCENARIO}{more}")).unwrap(), 1)
}

fn repository_client(cloud: &Cloud, place: &str) -> RepositoryClient {
    let config = SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(aws_config::Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "AKIATEST", "secret", None, None, "test",
        )))
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .http_client(http_client(cloud.clone()))
        .build();
    let web = HttpClient::new(http_client(cloud.clone()));
    RepositoryClient::new(web, &place.parse().unwrap(), Rc::new(EcrRegistry::new(&config, None)))
}

/// The digest of a tag of the emulator.
fn digest(cloud: &Cloud, host: &str, repository: &str, tag: &str) -> Digest {
    cloud.read(|world| {
        let shelf = match host {
            OWN => world.repositories(),
            _ => &world.registries[&RegistryId::new("111111111111", "eu-west-1")],
        };
        let mut images = shelf[repository].images.iter();
        images.find(|image| image.tags.iter().any(|known| known == tag)).unwrap().digest.parse().unwrap()
    })
}

/// Whether the image, and every part of it, is in `acme/web` of our own account.
fn is_complete(cloud: &Cloud, digest: &Digest) -> bool {
    cloud.read(|world| {
        let here = &world.repositories()["acme/web"];
        let wanted = &world.registries[&RegistryId::new("111111111111", "eu-west-1")]["acme/web"];
        here.images.iter().any(|image| image.digest == digest.as_str())
            && wanted.images.iter().all(|image| here.images.iter().any(|it| it.manifest == image.manifest))
            && wanted.blobs.iter().all(|(name, bytes)| here.blobs.get(name) == Some(bytes))
    })
}

async fn copy_across_accounts(cloud: &Cloud) -> (Result<CopySummary, Problem>, Vec<String>) {
    let digest = digest(cloud, OTHER, "acme/web", "v1");
    let (from, to) = (
        repository_client(cloud, &format!("{OTHER}/acme/web")),
        repository_client(cloud, &format!("{OWN}/acme/web")),
    );
    let lines = RefCell::new(Vec::new());
    let copied = copy_image(&from, &to, &digest, &|line| lines.borrow_mut().push(line.to_owned())).await;
    assert_eq!(copied.is_ok(), is_complete(cloud, &digest));
    (copied, lines.take())
}

fn operations(cloud: &Cloud) -> Vec<String> {
    cloud.calls().into_iter().filter(|call| call.service == "registry").map(|call| call.operation).collect()
}

#[tokio::test(start_paused = true)]
async fn index_is_copied_byte_for_byte_from_another_account() {
    let cloud = cloud_with("");
    let (copied, _) = copy_across_accounts(&cloud).await;
    let copied = copied.unwrap();
    assert_eq!((copied.existing, copied.mounted, copied.sent), (0, 0, 4));
    let puts: Vec<_> = cloud.calls().into_iter().filter(|call| call.operation == "PutManifest").collect();
    assert_eq!(puts.len(), 3);
    let last = puts.last().unwrap().input["mediaType"].clone();
    assert_eq!(last, "application/vnd.oci.image.index.v1+json", "the index comes after what it names");
}

#[tokio::test(start_paused = true)]
async fn existing_blobs_are_not_sent_again() {
    let cloud = cloud_with("");
    copy_across_accounts(&cloud).await.0.unwrap();
    let before = operations(&cloud).len();
    assert_eq!(copy_across_accounts(&cloud).await.0.unwrap(), CopySummary::default());
    assert_eq!(operations(&cloud)[before..], ["GetManifest", "GetManifest"]);
}

#[tokio::test(start_paused = true)]
async fn layers_within_a_registry_are_mounted_when_supported_and_else_sent() {
    for (more, expected) in [("blob-mounting: true\n", (4, 0)), ("", (0, 4))] {
        let cloud = cloud_with(more);
        let digest = digest(&cloud, OWN, "acme/old", "v1");
        let (from, to) = (
            repository_client(&cloud, &format!("{OWN}/acme/old")),
            repository_client(&cloud, &format!("{OWN}/acme/web")),
        );
        let copied = copy_image(&from, &to, &digest, &|_| ()).await.unwrap();
        assert_eq!((copied.mounted, copied.sent), expected, "{more}");
    }
}

#[tokio::test(start_paused = true)]
async fn deleted_image_is_missing_and_nothing_is_sent() {
    let cloud = cloud_with("");
    let digest: Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
    let (from, to) = (
        repository_client(&cloud, &format!("{OTHER}/acme/web")),
        repository_client(&cloud, &format!("{OWN}/acme/web")),
    );
    let problem = copy_image(&from, &to, &digest, &|_| ()).await.unwrap_err();
    assert_eq!(problem.code, Code::ImageMissing);
    assert_eq!(operations(&cloud), ["GetManifest", "GetManifest"]);
}

#[tokio::test(start_paused = true)]
async fn layer_with_wrong_digest_is_rejected_and_not_stored() {
    let cloud = cloud_with("");
    cloud.on_call(Box::new(|moment| {
        let struck = moment.phase == HookPhase::After && moment.call.operation == "GetLayer";
        // The real fault would be a layer of the same length with other content; here a longer one is sufficient.
        if struck { Override::Reply(json!("x".repeat(900))) } else { Override::Pass }
    }));
    let (copied, _) = copy_across_accounts(&cloud).await;
    assert_eq!(copied.unwrap_err().code, Code::DigestMismatch);
    assert!(cloud.read(|world| world.repositories()["acme/web"].blobs.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn transient_failure_is_retried_and_persistent_failure_is_reported() {
    for operation in [
        "GetManifest",
        "GetBlobHead",
        "GetBlob",
        "GetLayer",
        "InitiateBlobUpload",
        "CompleteBlobUpload",
        "PutManifest",
    ] {
        // The blob storage is not throttled.
        let faults =
            if operation == "GetLayer" { &["response-lost"][..] } else { &["response-lost", "throttle"] };
        for fault in faults {
            let strike = |times: u32| {
                cloud_with(&format!("faults: [{fault}: {{ operation: {operation}, times: {times} }}]\n"))
            };
            let (copied, _) = copy_across_accounts(&strike(2)).await;
            assert!(copied.is_ok(), "{fault} {operation}: {copied:?}");
            let (copied, _) = copy_across_accounts(&strike(99)).await;
            let expected = match (*fault, operation) {
                // The bytes arrive, and another read shows it.
                ("response-lost", "CompleteBlobUpload") => None,
                (_, "GetBlob" | "GetLayer" | "CompleteBlobUpload") => Some(Code::PushFailed),
                ("throttle", _) => Some(Code::PushFailed),
                _ => Some(Code::ProviderError),
            };
            assert_eq!(copied.err().map(|problem| problem.code), expected, "{fault} {operation}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn interrupted_copy_continues_where_it_stopped() {
    let cloud = cloud_with("");
    let seen = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let strikes = seen.clone();
    cloud.on_call(Box::new(move |moment| {
        let put = moment.phase == HookPhase::Before && moment.call.operation == "CompleteBlobUpload";
        let struck = put && strikes.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= 2;
        if struck { Override::Disconnect } else { Override::Pass }
    }));
    assert_eq!(copy_across_accounts(&cloud).await.0.unwrap_err().code, Code::PushFailed);
    cloud.on_call(Box::new(|_| Override::Pass));
    let copied = copy_across_accounts(&cloud).await.0.unwrap();
    assert_eq!((copied.existing, copied.sent), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn missing_pull_or_push_permission_names_the_repository() {
    let cloud = cloud_with("");
    cloud.change(|world, _| {
        for shelf in world.registries.values_mut() {
            shelf.values_mut().for_each(|repository| repository.readers.clear());
        }
    });
    let problem = copy_across_accounts(&cloud).await.0.unwrap_err();
    assert_eq!(problem.code, Code::PermissionMissing);
    assert!(problem.sentence.contains(OTHER), "{problem}");
    let cloud = cloud_with("policy: { deny: [\"ecr:InitiateLayerUpload\"] }\n");
    let problem = copy_across_accounts(&cloud).await.0.unwrap_err();
    assert_eq!(problem.code, Code::PermissionMissing);
    assert!(problem.sentence.contains(OWN), "{problem}");
}
