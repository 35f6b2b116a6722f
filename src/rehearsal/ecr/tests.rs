//! ECR as its clients see it, call by call.

use super::*;

const AT: f64 = 1_767_225_600.0;

fn world(immutable: bool) -> (World, Made) {
    let made = make_image(&["linux/amd64", "linux/arm64"], "1").tagged(&["v1"], AT);
    let repository = Repository {
        immutable,
        images: made.images.clone(),
        blobs: made.blobs.clone(),
        ..Repository::default()
    };
    let repositories = [("acme/shop".to_owned(), repository)].into();
    let world = World {
        account: "111111111111".into(),
        region: "eu-west-1".into(),
        repositories,
        ..World::default()
    };
    (world, made)
}

fn ask(world: &mut World, operation: &str, more: Value) -> Answer {
    let mut input = json!({ "repositoryName": "acme/shop" });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let call = Call {
        service: "ecr".into(),
        operation: operation.into(),
        input,
        region: String::new(),
        access_key: None,
    };
    answer(world, &call, AT + 60.0)
}

fn refused(answer: Answer) -> (String, String) {
    answer.map_err(|refusal| (refusal.code, refusal.message)).unwrap_err()
}

#[test]
fn the_token_decodes_to_user_and_password_and_lives_for_twelve_hours() {
    let (mut world, _) = world(false);
    let login = |answer: &Value| {
        let token = text(&answer["authorizationData"][0], "authorizationToken").to_owned();
        String::from_utf8(STANDARD.decode(token).unwrap()).unwrap()
    };
    let answer = ask(&mut world, "GetAuthorizationToken", json!({})).unwrap();
    assert!(login(&answer).starts_with("AWS:"));
    assert_eq!(answer["authorizationData"][0]["expiresAt"], json!(AT + 60.0 + 43_200.0));
    assert_eq!(
        answer["authorizationData"][0]["proxyEndpoint"],
        "https://111111111111.dkr.ecr.eu-west-1.amazonaws.com"
    );
    world.registry = Some(super::super::world::Registry {
        endpoint: "127.0.0.1:5077".into(),
        username: "u".into(),
        password: "p".into(),
    });
    let answer = ask(&mut world, "GetAuthorizationToken", json!({})).unwrap();
    assert_eq!(login(&answer), "u:p");
    assert_eq!(answer["authorizationData"][0]["proxyEndpoint"], "http://127.0.0.1:5077");
}

#[test]
fn images_are_found_by_tag_or_digest_and_missing_ones_are_errors() {
    let (mut world, made) = world(false);
    let both = json!({ "imageIds": [{ "imageTag": "v1" }, { "imageDigest": made.digest() }] });
    let answer = ask(&mut world, "DescribeImages", both).unwrap();
    assert_eq!(answer["imageDetails"].as_array().unwrap().len(), 1);
    assert_eq!(answer["imageDetails"][0]["imageDigest"], made.digest());
    assert_eq!(answer["imageDetails"][0]["imageTags"], json!(["v1"]));
    assert!(answer["imageDetails"][0]["imageSizeInBytes"].as_u64().unwrap() > 0);
    assert_eq!(
        ask(&mut world, "DescribeImages", json!({})).unwrap()["imageDetails"].as_array().unwrap().len(),
        3
    );
    assert_eq!(
        refused(ask(&mut world, "DescribeImages", json!({ "imageIds": [{ "imageTag": "v9" }] }))),
        (
            "ImageNotFoundException".into(),
            "The image with imageId {imageDigest:null, imageTag:'v9'} does not exist within the repository with \
             name 'acme/shop' in the registry with id '111111111111'"
                .into()
        )
    );
    let unknown = ask(&mut world, "DescribeImages", json!({ "repositoryName": "x" }));
    assert_eq!(refused(unknown).0, "RepositoryNotFoundException");
}

#[test]
fn the_platform_of_an_image_can_be_learned_from_index_manifest_and_config() {
    let (mut world, _) = world(false);
    let top = ask(&mut world, "BatchGetImage", json!({ "imageIds": [{ "imageTag": "v1" }] })).unwrap();
    assert_eq!(top["images"][0]["imageManifestMediaType"], make::INDEX);
    let index: Value = serde_json::from_str(text(&top["images"][0], "imageManifest")).unwrap();
    let child = json!({ "imageIds": [{ "imageDigest": index["manifests"][1]["digest"] }] });
    let child = ask(&mut world, "BatchGetImage", child).unwrap();
    let manifest: Value = serde_json::from_str(text(&child["images"][0], "imageManifest")).unwrap();
    let digest = json!({ "layerDigest": manifest["config"]["digest"] });
    let link = ask(&mut world, "GetDownloadUrlForLayer", digest.clone()).unwrap();
    assert!(text(&link, "downloadUrl").starts_with("/ecr-layer/acme/shop/sha256:"), "{link}");
    let config = ask(&mut world, "GetLayer", digest).unwrap();
    let config: Value = serde_json::from_str(config.as_str().unwrap()).unwrap();
    assert_eq!(config["architecture"], "arm64");
}

#[test]
fn what_cannot_be_got_is_a_failure_with_its_code() {
    let (mut world, made) = world(false);
    let ids = json!([
        { "imageTag": "v9" }, { "imageDigest": "sha256:1" }, {},
        { "imageTag": "v9", "imageDigest": made.digest() },
    ]);
    let answer = ask(&mut world, "BatchGetImage", json!({ "imageIds": ids })).unwrap();
    let codes: Vec<&str> =
        answer["failures"].as_array().unwrap().iter().map(|failure| text(failure, "failureCode")).collect();
    assert_eq!(
        codes,
        ["ImageNotFound", "InvalidImageDigest", "MissingDigestAndTag", "ImageTagDoesNotMatchDigest"]
    );
    let narrow = json!({ "imageIds": [{ "imageTag": "v1" }], "acceptedMediaTypes": [make::MANIFEST] });
    assert_eq!(
        ask(&mut world, "BatchGetImage", narrow).unwrap()["failures"][0]["failureCode"],
        "ImageNotFound"
    );
}

#[test]
fn a_tag_is_added_moved_and_kept_from_moving() {
    let put = |world: &mut World, made: &Made, tag: &str| {
        let manifest = &made.images.last().unwrap().manifest;
        ask(world, "PutImage", json!({ "imageManifest": manifest, "imageTag": tag }))
    };
    let holder = |world: &World, tag: &str| {
        let id = json!({ "imageTag": tag });
        store::find(&world.repositories["acme/shop"], &id).unwrap().digest.clone()
    };
    let (mut free, one) = world(false);
    let two = make_image(&["linux/amd64"], "2");
    assert_eq!(refused(put(&mut free, &two, "v1")).0, "LayersNotFoundException");
    free.repositories.get_mut("acme/shop").unwrap().blobs.extend(two.blobs.clone());
    assert_eq!(put(&mut free, &one, "v2").unwrap()["image"]["imageId"]["imageDigest"], one.digest());
    assert_eq!(refused(put(&mut free, &one, "v2")).0, "ImageAlreadyExistsException");
    put(&mut free, &two, "v1").unwrap();
    assert_eq!((holder(&free, "v1"), holder(&free, "v2")), (two.digest().into(), one.digest().into()));

    let (mut fixed, one) = world(true);
    fixed.repositories.get_mut("acme/shop").unwrap().blobs.extend(two.blobs.clone());
    assert_eq!(refused(put(&mut fixed, &two, "v1")).0, "ImageTagAlreadyExistsException");
    assert_eq!(refused(put(&mut fixed, &one, "v1")).0, "ImageAlreadyExistsException");
    put(&mut fixed, &two, "v2").unwrap();
    assert_eq!(holder(&fixed, "v1"), one.digest());
}

#[test]
fn a_manifest_is_only_taken_whole() {
    let (mut world, made) = world(false);
    let manifest = &made.images.last().unwrap().manifest;
    let wrong = json!({ "imageManifest": manifest, "imageTag": "x", "imageDigest": make::digest("other") });
    assert_eq!(refused(ask(&mut world, "PutImage", wrong)).0, "ImageDigestDoesNotMatchException");
    let index = make_image(&["linux/amd64", "linux/arm64"], "2").images.pop().unwrap().manifest;
    let alone = json!({ "imageManifest": index, "imageTag": "x" });
    assert_eq!(refused(ask(&mut world, "PutImage", alone)).0, "ReferencedImagesNotFoundException");
    let nonsense = json!({ "imageManifest": "{", "imageTag": "x" });
    assert_eq!(refused(ask(&mut world, "PutImage", nonsense)).0, "InvalidParameterException");
}

#[test]
fn layers_are_available_or_not_and_mutability_is_told() {
    let (mut world, made) = world(true);
    let digests: Vec<String> =
        made.blobs.keys().take(1).cloned().chain([make::digest("x"), "x".into()]).collect();
    let answer = ask(&mut world, "BatchCheckLayerAvailability", json!({ "layerDigests": digests })).unwrap();
    assert_eq!(answer["layers"][0]["layerAvailability"], "AVAILABLE");
    assert_eq!(answer["layers"][1]["layerAvailability"], "UNAVAILABLE");
    assert_eq!(answer["failures"][0]["failureCode"], "InvalidLayerDigest");
    let answer =
        ask(&mut world, "DescribeRepositories", json!({ "repositoryNames": ["acme/shop"] })).unwrap();
    assert_eq!(answer["repositories"][0]["imageTagMutability"], "IMMUTABLE");
    assert_eq!(
        answer["repositories"][0]["repositoryUri"],
        "111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/shop"
    );
}
