//! Copies between the registries of the embedded cloud: what is sent, mounted and left; and what strikes on the way.

use std::cell::RefCell;
use std::rc::Rc;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use serde_json::json;

use super::copy::{Copied, copy};
use super::{Depot, Ecr};
use crate::problem::{Code, Problem};
use crate::rehearsal::client::http_client;
use crate::rehearsal::cloud::Cloud;
use crate::rehearsal::record::{Interrupt, Phase};
use crate::rehearsal::scenario::Scenario;
use crate::release::Digest;
use crate::sys::web::Web;

const OWN: &str = "222222222222.dkr.ecr.eu-west-1.amazonaws.com";
const OTHER: &str = "111111111111.dkr.ecr.eu-west-1.amazonaws.com";
const WORLD: &str = "
account: \"222222222222\"
repositories: { acme/web: {}, acme/old: { images: [{ tags: [v0] }, { tags: [v1], platform: \"linux/amd64, linux/arm64\" }] } }
registries:
  - account: \"111111111111\"
    region: eu-west-1
    repositories: { acme/web: { readers: [\"222222222222\"], images: [{ tags: [v1], platform: \"linux/amd64, linux/arm64\" }] } }
";

fn world(more: &str) -> Cloud {
    Cloud::new(Scenario::parse(&format!("{WORLD}{more}")).unwrap(), 1)
}

fn depot(cloud: &Cloud, place: &str) -> Depot {
    let config = SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(aws_config::Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "AKIATEST", "secret", None, None, "test",
        )))
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .http_client(http_client(cloud.clone()))
        .build();
    let web = Web::new(http_client(cloud.clone()));
    Depot::new(web, &place.parse().unwrap(), Rc::new(Ecr::new(&config, None)))
}

/// The digest of what a tag of the world names.
fn digest(cloud: &Cloud, host: &str, repository: &str, tag: &str) -> Digest {
    cloud.read(|world| {
        let shelf = match host {
            OWN => &world.repositories,
            _ => &world.abroad[&("111111111111".to_owned(), "eu-west-1".to_owned())],
        };
        let mut images = shelf[repository].images.iter();
        images.find(|image| image.tags.iter().any(|known| known == tag)).unwrap().digest.parse().unwrap()
    })
}

/// Whether the image, and every part of it, is in `acme/web` of our own account.
fn is_whole(cloud: &Cloud, digest: &Digest) -> bool {
    cloud.read(|world| {
        let here = &world.repositories["acme/web"];
        let wanted = &world.abroad[&("111111111111".to_owned(), "eu-west-1".to_owned())]["acme/web"];
        here.images.iter().any(|image| image.digest == digest.as_str())
            && wanted.images.iter().all(|image| here.images.iter().any(|it| it.manifest == image.manifest))
            && wanted.blobs.iter().all(|(name, bytes)| here.blobs.get(name) == Some(bytes))
    })
}

async fn from_abroad(cloud: &Cloud) -> (Result<Copied, Problem>, Vec<String>) {
    let digest = digest(cloud, OTHER, "acme/web", "v1");
    let (from, to) = (depot(cloud, &format!("{OTHER}/acme/web")), depot(cloud, &format!("{OWN}/acme/web")));
    let lines = RefCell::new(Vec::new());
    let copied = copy(&from, &to, &digest, &|line| lines.borrow_mut().push(line.to_owned())).await;
    assert_eq!(copied.is_ok(), is_whole(cloud, &digest));
    (copied, lines.take())
}

fn operations(cloud: &Cloud) -> Vec<String> {
    cloud.calls().into_iter().filter(|call| call.service == "registry").map(|call| call.operation).collect()
}

#[tokio::test(start_paused = true)]
async fn an_index_comes_whole_and_byte_for_byte_from_another_account() {
    let cloud = world("");
    let (copied, _) = from_abroad(&cloud).await;
    let copied = copied.unwrap();
    assert_eq!((copied.there, copied.mounted, copied.sent), (0, 0, 4));
    let puts: Vec<_> = cloud.calls().into_iter().filter(|call| call.operation == "PutManifest").collect();
    assert_eq!(puts.len(), 3);
    let last = puts.last().unwrap().input["mediaType"].clone();
    assert_eq!(last, "application/vnd.oci.image.index.v1+json", "the index comes after what it names");
}

#[tokio::test(start_paused = true)]
async fn what_is_there_already_is_not_sent_again() {
    let cloud = world("");
    from_abroad(&cloud).await.0.unwrap();
    let before = operations(&cloud).len();
    assert_eq!(from_abroad(&cloud).await.0.unwrap(), Copied::default());
    assert_eq!(operations(&cloud)[before..], ["GetManifest", "GetManifest"]);
}

#[tokio::test(start_paused = true)]
async fn within_a_registry_layers_are_mounted_where_that_is_on_and_sent_where_it_is_not() {
    for (more, expected) in [("blob-mounting: true\n", (4, 0)), ("", (0, 4))] {
        let cloud = world(more);
        let digest = digest(&cloud, OWN, "acme/old", "v1");
        let (from, to) =
            (depot(&cloud, &format!("{OWN}/acme/old")), depot(&cloud, &format!("{OWN}/acme/web")));
        let copied = copy(&from, &to, &digest, &|_| ()).await.unwrap();
        assert_eq!((copied.mounted, copied.sent), expected, "{more}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_gone_is_missing_and_nothing_is_sent() {
    let cloud = world("");
    let digest: Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
    let (from, to) = (depot(&cloud, &format!("{OTHER}/acme/web")), depot(&cloud, &format!("{OWN}/acme/web")));
    let problem = copy(&from, &to, &digest, &|_| ()).await.unwrap_err();
    assert_eq!(problem.code, Code::ImageMissing);
    assert_eq!(operations(&cloud), ["GetManifest", "GetManifest"]);
}

#[tokio::test(start_paused = true)]
async fn a_layer_with_other_content_is_refused_and_not_kept() {
    let cloud = world("");
    cloud.on_call(Box::new(|moment| {
        let struck = moment.phase == Phase::After && moment.call.operation == "GetLayer";
        // As long as the real one is what a changed layer would be; here a longer one will do.
        if struck { Interrupt::Answer(json!("x".repeat(900))) } else { Interrupt::Pass }
    }));
    let (copied, _) = from_abroad(&cloud).await;
    assert_eq!(copied.unwrap_err().code, Code::DigestMismatch);
    assert!(cloud.read(|world| world.repositories["acme/web"].blobs.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_ridden_out_and_what_lasts_is_told() {
    for operation in [
        "GetManifest",
        "GetBlobHead",
        "GetBlob",
        "GetLayer",
        "InitiateBlobUpload",
        "CompleteBlobUpload",
        "PutManifest",
    ] {
        // Where the bytes are kept nobody is throttled.
        let faults =
            if operation == "GetLayer" { &["response-lost"][..] } else { &["response-lost", "throttle"] };
        for fault in faults {
            let strike = |times: u32| {
                world(&format!("faults: [{fault}: {{ operation: {operation}, times: {times} }}]\n"))
            };
            let (copied, _) = from_abroad(&strike(2)).await;
            assert!(copied.is_ok(), "{fault} {operation}: {copied:?}");
            let (copied, _) = from_abroad(&strike(99)).await;
            let expected = match (*fault, operation) {
                // The bytes arrive, and looking again shows it.
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
async fn a_copy_that_broke_off_goes_on_where_it_was() {
    let cloud = world("");
    let seen = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let strikes = seen.clone();
    cloud.on_call(Box::new(move |moment| {
        let put = moment.phase == Phase::Before && moment.call.operation == "CompleteBlobUpload";
        let struck = put && strikes.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= 2;
        if struck { Interrupt::Lose } else { Interrupt::Pass }
    }));
    assert_eq!(from_abroad(&cloud).await.0.unwrap_err().code, Code::PushFailed);
    cloud.on_call(Box::new(|_| Interrupt::Pass));
    let copied = from_abroad(&cloud).await.0.unwrap();
    assert_eq!((copied.there, copied.sent), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn whoever_may_not_pull_or_push_is_told_which_repository() {
    let cloud = world("");
    cloud.change(|world, _| {
        for shelf in world.abroad.values_mut() {
            shelf.values_mut().for_each(|repository| repository.readers.clear());
        }
    });
    let problem = from_abroad(&cloud).await.0.unwrap_err();
    assert_eq!(problem.code, Code::PermissionMissing);
    assert!(problem.sentence.contains(OTHER), "{problem}");
    let cloud = world("policy: { deny: [\"ecr:InitiateLayerUpload\"] }\n");
    let problem = from_abroad(&cloud).await.0.unwrap_err();
    assert_eq!(problem.code, Code::PermissionMissing);
    assert!(problem.sentence.contains(OWN), "{problem}");
}
