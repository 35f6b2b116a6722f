//! ECR as its clients see it, call by call.

use super::*;

const AT: f64 = 1_767_225_600.0;

fn world(immutable: bool) -> (World, BuiltImage) {
    let made = build_image(&["linux/amd64", "linux/arm64"], "1").with_tags(&["v1"], AT);
    let repository = EcrRepository {
        immutable,
        images: made.images.clone(),
        blobs: made.blobs.clone(),
        ..EcrRepository::default()
    };
    let mut world = World { account: "111111111111".into(), region: "eu-west-1".into(), ..World::default() };
    world.repositories_mut().insert("acme/shop".to_owned(), repository);
    (world, made)
}

fn call_ecr(world: &mut World, operation: &str, more: Value) -> ServiceResult {
    let mut input = json!({ "repositoryName": "acme/shop" });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let call = ServiceCall {
        service: "ecr".into(),
        operation: operation.into(),
        input,
        region: String::new(),
        access_key: None,
    };
    handle(world, &call, AT + 60.0)
}

fn error_of(answer: ServiceResult) -> (String, String) {
    answer.map_err(|refusal| (refusal.code, refusal.message)).unwrap_err()
}

#[test]
fn the_token_decodes_to_user_and_password_and_lives_for_twelve_hours() {
    let (mut world, _) = world(false);
    let login = |answer: &Value| {
        let token = str_field(&answer["authorizationData"][0], "authorizationToken").to_owned();
        String::from_utf8(STANDARD.decode(token).unwrap()).unwrap()
    };
    let answer = call_ecr(&mut world, "GetAuthorizationToken", json!({})).unwrap();
    assert!(login(&answer).starts_with("AWS:"));
    assert_eq!(answer["authorizationData"][0]["expiresAt"], json!(AT + 60.0 + 43_200.0));
    assert_eq!(
        answer["authorizationData"][0]["proxyEndpoint"],
        "https://111111111111.dkr.ecr.eu-west-1.amazonaws.com"
    );
    world.backing_registry = Some(super::super::world::BackingRegistry {
        endpoint: "127.0.0.1:5077".into(),
        username: "u".into(),
        password: "p".into(),
    });
    let answer = call_ecr(&mut world, "GetAuthorizationToken", json!({})).unwrap();
    assert_eq!(login(&answer), "u:p");
    assert_eq!(answer["authorizationData"][0]["proxyEndpoint"], "http://127.0.0.1:5077");
}

#[test]
fn images_are_found_by_tag_or_digest_and_missing_ones_are_errors() {
    let (mut world, made) = world(false);
    let both = json!({ "imageIds": [{ "imageTag": "v1" }, { "imageDigest": made.digest() }] });
    let answer = call_ecr(&mut world, "DescribeImages", both).unwrap();
    assert_eq!(answer["imageDetails"].as_array().unwrap().len(), 1);
    assert_eq!(answer["imageDetails"][0]["imageDigest"], made.digest());
    assert_eq!(answer["imageDetails"][0]["imageTags"], json!(["v1"]));
    assert!(answer["imageDetails"][0]["imageSizeInBytes"].as_u64().unwrap() > 0);
    assert_eq!(
        call_ecr(&mut world, "DescribeImages", json!({})).unwrap()["imageDetails"].as_array().unwrap().len(),
        3
    );
    assert_eq!(
        error_of(call_ecr(&mut world, "DescribeImages", json!({ "imageIds": [{ "imageTag": "v9" }] }))),
        (
            "ImageNotFoundException".into(),
            "The image with imageId {imageDigest:null, imageTag:'v9'} does not exist within the repository with \
             name 'acme/shop' in the registry with id '111111111111'"
                .into()
        )
    );
    let unknown = call_ecr(&mut world, "DescribeImages", json!({ "repositoryName": "x" }));
    assert_eq!(error_of(unknown).0, "RepositoryNotFoundException");
}

#[test]
fn the_platform_of_an_image_can_be_learned_from_index_manifest_and_config() {
    let (mut world, _) = world(false);
    let top = call_ecr(&mut world, "BatchGetImage", json!({ "imageIds": [{ "imageTag": "v1" }] })).unwrap();
    assert_eq!(top["images"][0]["imageManifestMediaType"], image_factory::INDEX);
    let index: Value = serde_json::from_str(str_field(&top["images"][0], "imageManifest")).unwrap();
    let child = json!({ "imageIds": [{ "imageDigest": index["manifests"][1]["digest"] }] });
    let child = call_ecr(&mut world, "BatchGetImage", child).unwrap();
    let manifest: Value = serde_json::from_str(str_field(&child["images"][0], "imageManifest")).unwrap();
    let digest = json!({ "layerDigest": manifest["config"]["digest"] });
    let link = call_ecr(&mut world, "GetDownloadUrlForLayer", digest.clone()).unwrap();
    assert!(str_field(&link, "downloadUrl").starts_with("/ecr-layer/acme/shop/sha256:"), "{link}");
    let config = call_ecr(&mut world, "GetLayer", digest).unwrap();
    let config: Value = serde_json::from_str(config.as_str().unwrap()).unwrap();
    assert_eq!(config["architecture"], "arm64");
}

#[test]
fn missing_images_are_failures_with_a_code() {
    let (mut world, made) = world(false);
    let ids = json!([
        { "imageTag": "v9" }, { "imageDigest": "sha256:1" }, {},
        { "imageTag": "v9", "imageDigest": made.digest() },
    ]);
    let answer = call_ecr(&mut world, "BatchGetImage", json!({ "imageIds": ids })).unwrap();
    let codes: Vec<&str> = answer["failures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failure| str_field(failure, "failureCode"))
        .collect();
    assert_eq!(
        codes,
        ["ImageNotFound", "InvalidImageDigest", "MissingDigestAndTag", "ImageTagDoesNotMatchDigest"]
    );
    let narrow =
        json!({ "imageIds": [{ "imageTag": "v1" }], "acceptedMediaTypes": [image_factory::MANIFEST] });
    assert_eq!(
        call_ecr(&mut world, "BatchGetImage", narrow).unwrap()["failures"][0]["failureCode"],
        "ImageNotFound"
    );
}

#[test]
fn tag_is_added_moved_and_immutable() {
    let put = |world: &mut World, made: &BuiltImage, tag: &str| {
        let manifest = &made.images.last().unwrap().manifest;
        call_ecr(world, "PutImage", json!({ "imageManifest": manifest, "imageTag": tag }))
    };
    let holder = |world: &World, tag: &str| {
        let id = json!({ "imageTag": tag });
        store::find_image(&world.repositories()["acme/shop"], &id).unwrap().digest.clone()
    };
    let (mut free, one) = world(false);
    let two = build_image(&["linux/amd64"], "2");
    assert_eq!(error_of(put(&mut free, &two, "v1")).0, "LayersNotFoundException");
    free.repositories_mut().get_mut("acme/shop").unwrap().blobs.extend(two.blobs.clone());
    assert_eq!(put(&mut free, &one, "v2").unwrap()["image"]["imageId"]["imageDigest"], one.digest());
    assert_eq!(error_of(put(&mut free, &one, "v2")).0, "ImageAlreadyExistsException");
    put(&mut free, &two, "v1").unwrap();
    assert_eq!((holder(&free, "v1"), holder(&free, "v2")), (two.digest().into(), one.digest().into()));

    let (mut fixed, one) = world(true);
    fixed.repositories_mut().get_mut("acme/shop").unwrap().blobs.extend(two.blobs.clone());
    assert_eq!(error_of(put(&mut fixed, &two, "v1")).0, "ImageTagAlreadyExistsException");
    assert_eq!(error_of(put(&mut fixed, &one, "v1")).0, "ImageAlreadyExistsException");
    put(&mut fixed, &two, "v2").unwrap();
    assert_eq!(holder(&fixed, "v1"), one.digest());
}

#[test]
fn put_image_without_its_layers_is_rejected() {
    let (mut world, made) = world(false);
    let manifest = &made.images.last().unwrap().manifest;
    let wrong = json!({ "imageManifest": manifest, "imageTag": "x", "imageDigest": image_factory::sha256_digest("other") });
    assert_eq!(error_of(call_ecr(&mut world, "PutImage", wrong)).0, "ImageDigestDoesNotMatchException");
    let index = build_image(&["linux/amd64", "linux/arm64"], "2").images.pop().unwrap().manifest;
    let alone = json!({ "imageManifest": index, "imageTag": "x" });
    assert_eq!(error_of(call_ecr(&mut world, "PutImage", alone)).0, "ReferencedImagesNotFoundException");
    let nonsense = json!({ "imageManifest": "{", "imageTag": "x" });
    assert_eq!(error_of(call_ecr(&mut world, "PutImage", nonsense)).0, "InvalidParameterException");
}

#[test]
fn layer_availability_and_tag_mutability_are_shown() {
    let (mut world, made) = world(true);
    let digests: Vec<String> =
        made.blobs.keys().take(1).cloned().chain([image_factory::sha256_digest("x"), "x".into()]).collect();
    let answer =
        call_ecr(&mut world, "BatchCheckLayerAvailability", json!({ "layerDigests": digests })).unwrap();
    assert_eq!(answer["layers"][0]["layerAvailability"], "AVAILABLE");
    assert_eq!(answer["layers"][1]["layerAvailability"], "UNAVAILABLE");
    assert_eq!(answer["failures"][0]["failureCode"], "InvalidLayerDigest");
    let answer =
        call_ecr(&mut world, "DescribeRepositories", json!({ "repositoryNames": ["acme/shop"] })).unwrap();
    assert_eq!(answer["repositories"][0]["imageTagMutability"], "IMMUTABLE");
    assert_eq!(
        answer["repositories"][0]["repositoryUri"],
        "111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/shop"
    );
}
