//! Hand-written responses of ECR: the request of each call, and the meaning of each response.

use std::sync::{Arc, Mutex};

use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::http::{
    HttpClient as SmithyHttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

use super::*;

/// Responses in order, and the calls that received them.
#[derive(Debug, Clone, Default)]
struct MockEcr {
    responses: Arc<Mutex<Vec<(u16, Value)>>>,
    calls: Arc<Mutex<Vec<(String, Value)>>>,
}

impl HttpConnector for MockEcr {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let action = request.headers().get("x-amz-target").unwrap().rsplit('.').next().unwrap().to_owned();
        let body = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        self.calls.lock().unwrap().push((action, body));
        let (status, response) = self.responses.lock().unwrap().remove(0);
        let body = SdkBody::from(response.to_string());
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), body)))
    }
}

impl SmithyHttpClient for MockEcr {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl MockEcr {
    fn ecr(responses: Vec<(u16, Value)>) -> (EcrRegistry, Self) {
        let (config, wire) = Self::config(responses);
        (EcrRegistry::new(&config, None), wire)
    }

    fn config(responses: Vec<(u16, Value)>) -> (aws_config::SdkConfig, Self) {
        let wire = Self { responses: Arc::new(Mutex::new(responses)), ..Self::default() };
        let credentials = Credentials::new("AKIA", "secret", None, None, "test");
        let config = aws_config::SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .region(aws_config::Region::new("eu-west-1"))
            .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(credentials))
            .http_client(wire.clone())
            .build();
        (config, wire)
    }

    fn calls(&self) -> Vec<(String, Value)> {
        self.calls.lock().unwrap().clone()
    }
}

fn hex(byte: &str) -> String {
    format!("sha256:{}", byte.repeat(32))
}

fn image() -> ImageRef {
    let name: ImageRef = "111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/app".parse().unwrap();
    name.with_digest(hex("ab").parse().unwrap())
}

fn image_reply(digest: &str) -> (u16, Value) {
    let manifest = json!({"manifests": [{"platform": {"os": "linux", "architecture": "arm64"}}]}).to_string();
    let id = json!({"imageDigest": digest, "imageTag": "x"});
    let kind = metadata::MANIFEST_TYPES[0];
    (
        200,
        json!({"images": [{"imageId": id, "imageManifest": manifest, "imageManifestMediaType": kind}], "failures": []}),
    )
}

fn error_reply(code: &str) -> (u16, Value) {
    (400, json!({"__type": code, "message": "because"}))
}

#[tokio::test]
async fn ecr_token_is_parsed_into_a_login() {
    let endpoint = "https://111111111111.dkr.ecr.eu-west-1.amazonaws.com";
    let data = json!({"authorizationToken": "QVdTOmh1bnRlcjI=", "expiresAt": 1_700_000_000, "proxyEndpoint": endpoint});
    let (ecr, _) = MockEcr::ecr(vec![(200, json!({"authorizationData": [data]}))]);
    let login = ecr.login().await.unwrap().unwrap();
    assert_eq!(login.server, "111111111111.dkr.ecr.eu-west-1.amazonaws.com");
    assert_eq!((login.username.as_str(), login.password.as_str()), ("AWS", "hunter2"));
    assert_eq!(login.expires_at.unwrap().as_second(), 1_700_000_000);
}

#[tokio::test(start_paused = true)]
async fn loopback_registry_is_read_directly() {
    let endpoint = |address: &str| {
        let data = json!({"authorizationToken": "QVdTOmh1bnRlcjI=", "proxyEndpoint": address});
        (200, json!({"authorizationData": [data]}))
    };
    let (config, wire) =
        MockEcr::config(vec![endpoint("http://127.0.0.1:1"), endpoint("http://127.0.0.1:1")]);
    let (registry, host) =
        super::connect_registry(&config, Some(HttpClient::direct()), Rc::new(|_| ())).await.unwrap();
    let local: ImageRef = format!("{host}/acme/app:1").parse().unwrap();
    assert_eq!(registry.find(&local).await.map_err(|problem| problem.code), Err(Code::ProviderError));
    let actions: Vec<_> = wire.calls().into_iter().map(|(action, _)| action).collect();
    assert_eq!(actions, ["GetAuthorizationToken", "GetAuthorizationToken"]);

    let address = "https://111111111111.dkr.ecr.eu-west-1.amazonaws.com";
    let (config, _) = MockEcr::config(vec![endpoint(address), image_reply(&hex("ab"))]);
    let (registry, host) =
        super::connect_registry(&config, Some(HttpClient::direct()), Rc::new(|_| ())).await.unwrap();
    assert_eq!(host, image().registry);
    assert!(registry.find(&image()).await.unwrap().is_some());
}

#[tokio::test]
async fn image_is_found_with_its_platforms_in_the_account_of_its_host() {
    let (ecr, wire) = MockEcr::ecr(vec![image_reply(&hex("ab"))]);
    let found = ecr.find(&image()).await.unwrap().unwrap();
    assert_eq!((found.digest.to_string(), found.platforms), (hex("ab"), vec!["linux/arm64".to_owned()]));
    let (action, body) = wire.calls().remove(0);
    assert_eq!((action.as_str(), &body["registryId"]), ("BatchGetImage", &json!("111111111111")));
    assert_eq!(body["imageIds"], json!([{"imageDigest": hex("ab")}]));
    assert_eq!(body["acceptedMediaTypes"], json!(metadata::MANIFEST_TYPES));
}

#[tokio::test]
async fn missing_image_is_distinguished_from_missing_permission() {
    let failure = |code: &str| {
        (200, json!({"images": [], "failures": [{"failureCode": code, "failureReason": "because"}]}))
    };
    let (ecr, _) = MockEcr::ecr(vec![failure("ImageNotFound")]);
    assert_eq!(ecr.find(&image()).await, Ok(None));
    for (response, code) in [
        (failure("ImageInaccessible"), Code::ProviderError),
        (error_reply("RepositoryNotFoundException"), Code::ImageMissing),
        (error_reply("AccessDeniedException"), Code::PermissionMissing),
        (error_reply("UnrecognizedClientException"), Code::CredentialsMissing),
    ] {
        let (ecr, _) = MockEcr::ecr(vec![response.clone()]);
        assert_eq!(ecr.find(&image()).await.map_err(|p| p.code), Err(code), "{response:?}");
    }
}

#[tokio::test]
async fn tag_is_added_with_the_same_bytes_and_digest() {
    let (ecr, wire) = MockEcr::ecr(vec![image_reply(&hex("ab")), (200, json!({}))]);
    ecr.tag(&image(), "main").await.unwrap();
    let (action, body) = wire.calls().remove(1);
    assert_eq!(
        (action.as_str(), &body["imageTag"], &body["imageDigest"]),
        ("PutImage", &json!("main"), &json!(hex("ab")))
    );
    assert_eq!(body["imageManifestMediaType"], metadata::MANIFEST_TYPES[0]);
    assert_eq!(body["imageManifest"], image_reply("").1["images"][0]["imageManifest"]);
}

#[tokio::test]
async fn immutable_tag_is_accepted_for_the_same_image_and_rejected_for_another() {
    let (ecr, _) = MockEcr::ecr(vec![image_reply(&hex("ab")), error_reply("ImageAlreadyExistsException")]);
    assert_eq!(ecr.tag(&image(), "main").await, Ok(()));
    let taken = || error_reply("ImageTagAlreadyExistsException");
    let (ecr, _) = MockEcr::ecr(vec![image_reply(&hex("ab")), taken(), image_reply(&hex("ab"))]);
    assert_eq!(ecr.tag(&image(), "main").await, Ok(()));
    let (ecr, wire) = MockEcr::ecr(vec![image_reply(&hex("ab")), taken(), image_reply(&hex("cd"))]);
    let problem = ecr.tag(&image(), "main").await.unwrap_err();
    assert_eq!((problem.code, problem.sentence.contains(&hex("cd"))), (Code::TagImmutable, true));
    let actions: Vec<_> = wire.calls().into_iter().map(|(action, _)| action).collect();
    assert_eq!(actions, ["BatchGetImage", "PutImage", "BatchGetImage"], "something else was changed");
}

#[tokio::test]
async fn failed_login_names_the_missing_permission() {
    let (ecr, _) = MockEcr::ecr(vec![error_reply("AccessDeniedException")]);
    let problem = ecr.login().await.unwrap_err();
    assert_eq!(problem.code, Code::RegistryLoginFailed);
    assert!(problem.help.contains("ecr:GetAuthorizationToken"), "{problem}");
}

#[test]
fn account_is_read_from_ecr_hosts_only() {
    for (host, expected) in [
        ("111111111111.dkr.ecr.eu-west-1.amazonaws.com", Some("111111111111")),
        ("111111111111.dkr.ecr-fips.us-east-1.amazonaws.com", Some("111111111111")),
        ("127.0.0.1:5077", None),
        ("111111111111.example.com", None),
        ("public.ecr.aws", None),
    ] {
        assert_eq!(account_of_host(host).as_deref(), expected, "{host}");
    }
}

#[tokio::test]
async fn tags_are_requested_by_digest() {
    let detail = json!({"imageDetails": [{"imageDigest": hex("ab"), "imageTags": ["main", "sha-0123456"]}]});
    let gone = json!({"__type": "ImageNotFoundException", "message": "gone"});
    let denied = json!({"__type": "AccessDeniedException", "message": "no"});
    let (ecr, wire) = MockEcr::ecr(vec![(200, detail), (400, gone), (400, denied)]);
    assert_eq!(ecr.tags(&image()).await.unwrap(), ["main", "sha-0123456"]);
    assert_eq!(ecr.tags(&image()).await.unwrap(), Vec::<String>::new());
    assert_eq!(ecr.tags(&image()).await.unwrap_err().code, Code::PermissionMissing);
    let (action, body) = wire.calls().remove(0);
    assert_eq!(
        (action.as_str(), &body["imageIds"]),
        ("DescribeImages", &json!([{"imageDigest": hex("ab")}]))
    );
    assert_eq!(body["registryId"], json!("111111111111"));
    assert_eq!(ecr.tags(&image().with_tag("main")).await.unwrap(), Vec::<String>::new());
    assert_eq!(wire.calls().len(), 3, "without a digest nothing is asked");
}

#[tokio::test]
async fn password_is_masked_before_first_use() {
    let token = "QVdTOmh1bnRlcjI="; // AWS:hunter2
    let endpoint = "https://111111111111.dkr.ecr.eu-west-1.amazonaws.com";
    let data = json!({"authorizationToken": token, "proxyEndpoint": endpoint, "expiresAt": 1_800_000_000});
    let (config, _) = MockEcr::config(vec![(200, json!({ "authorizationData": [data] }))]);
    let masked = Rc::new(std::cell::RefCell::new(Vec::new()));
    let keep = masked.clone();
    let mask = Rc::new(move |secret: &str| keep.borrow_mut().push(secret.to_owned()));
    let (_, host) = connect_registry(&config, None, mask).await.unwrap();
    assert_eq!(host, "111111111111.dkr.ecr.eu-west-1.amazonaws.com");
    assert_eq!(*masked.borrow(), ["hunter2", token]);
}

#[test]
fn only_aws_hosts_are_ecr_registries() {
    for (host, expected) in [
        ("111111111111.dkr.ecr.eu-west-1.amazonaws.com", Some("eu-west-1")),
        ("111111111111.dkr.ecr-fips.us-east-1.amazonaws.com", Some("us-east-1")),
        ("111111111111.dkr.ecr.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
        ("111111111111.dkr.ecr.eu-west-1.amazonaws.com.evil.example", None),
        ("111111111111.dkr.ecr.eu-west-1.evil.example", None),
        ("111111111111.dkr.ecr.eu-west-1", None),
        ("1.dkr.ecr.eu-west-1.amazonaws.com", None),
        ("ghcr.io", None),
        ("127.0.0.1:5000", None),
    ] {
        assert_eq!(region_of_host(host), expected, "{host}");
    }
}
