//! Discovery of the ECS services in an account, for users without a deploy file: the sequence of calls and the meaning
//! of the responses. Reads only; the caller decides how to use them.

use aws_config::SdkConfig;
use serde_json::Value;

use super::client::EcsClient;
use super::error::AwsError;
use super::preflight::rules;
use super::read::{EcsService, list_field, optional_str, str_field};
use super::rollout::ecs_strategy;
use super::task_definition::definition;
use crate::aws::RateLimiters;
use crate::problem::{Code, Problem};

/// An existing service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiscoveredService {
    /// Name of its cluster.
    pub cluster: String,
    /// Its name.
    pub service: String,
    /// The account, 12 digits.
    pub account: String,
    /// The region, such as `eu-west-1`.
    pub region: String,
    /// The container that receives the traffic: behind the load balancer, else the only or the only essential one, else
    /// the first.
    pub container: Option<String>,
    /// The image of that container in its task definition.
    pub image: Option<String>,
    /// The repository of that image, if it is in the registry of this account and region.
    pub repository: Option<String>,
    /// The alarms that stop its deployments.
    pub alarms: Vec<String>,
    /// Whether its load balancer can shift traffic by weight.
    pub can_shift_traffic: bool,
    /// Why Roadstead cannot deploy to it as it is; a sentence.
    pub unsupported_reason: Option<String>,
}

/// The services to discover; all by default.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Name or ARN of the cluster.
    pub cluster: Option<String>,
    /// Name of the service.
    pub service: Option<String>,
}

/// The most pages of a list that are read: 10,000 clusters or services of a cluster are twice AWS's quotas.
const MAX_PAGES: usize = 100;

/// All services, by cluster and name. Errors if a call fails or a named cluster does not exist.
pub async fn discover_services(config: &SdkConfig, only: &Filter) -> Result<Vec<DiscoveredService>, Problem> {
    let client = EcsClient::new(config, RateLimiters::unlimited());
    let clusters = match &only.cluster {
        Some(cluster) => vec![cluster.clone()],
        None => list_all(async |next| client.list_clusters(next).await, "clusterArns").await?,
    };
    let mut found = Vec::new();
    for cluster in clusters {
        let services =
            list_all(async |next| client.list_services(&cluster, next).await, "serviceArns").await?;
        let wanted = |arn: &String| only.service.as_ref().is_none_or(|name| last_segment(arn) == name);
        let services: Vec<String> = services.into_iter().filter(wanted).collect();
        // DescribeServices takes ten.
        for ten in services.chunks(10) {
            let answer = client.describe_services(&cluster, ten.to_vec()).await?;
            for service in list_field(&answer, "services") {
                found.push(read_service(&client, &cluster, service).await?);
            }
        }
    }
    found.sort_by(|a, b| (&a.cluster, &a.service).cmp(&(&b.cluster, &b.service)));
    Ok(found)
}

/// All items of a paginated list.
async fn list_all(
    ask: impl AsyncFn(Option<String>) -> Result<Value, AwsError>,
    member: &str,
) -> Result<Vec<String>, Problem> {
    let (mut all, mut next) = (Vec::new(), None);
    for _ in 0..MAX_PAGES {
        let answer = ask(next).await?;
        all.extend(list_field(&answer, member).iter().filter_map(|arn| arn.as_str().map(str::to_owned)));
        next = optional_str(&answer, "nextToken");
        if next.is_none() {
            return Ok(all);
        }
    }
    let sentence = format!("AWS's list of {member} has too many pages.");
    Err(Problem::error(Code::ProviderError, sentence).help("Narrow the search with --cluster and --service."))
}

/// A service with its task definition. If the definition cannot be read, the service is listed with that reason.
async fn read_service(client: &EcsClient, cluster: &str, raw: &Value) -> Result<DiscoveredService, Problem> {
    let service = EcsService::from_json(raw);
    match client.describe_task_definition(&service.definition).await {
        Ok(answer) => Ok(discovered_service(cluster, &service, &definition::with_tags(&answer))),
        Err(refusal) if refusal.is_denied() => Err(refusal.problem),
        Err(refusal) => {
            let against = Some(format!("Its task definition cannot be read. {}", refusal.problem));
            Ok(DiscoveredService {
                unsupported_reason: against,
                ..discovered_service(cluster, &service, &Value::Null)
            })
        }
    }
}

fn discovered_service(cluster: &str, service: &EcsService, definition: &Value) -> DiscoveredService {
    let name = str_field(&service.raw, "serviceName");
    let arn = str_field(&service.raw, "serviceArn");
    let part = |at: usize| arn.split(':').nth(at).unwrap_or_default().to_owned();
    let (region, account) = (part(3), part(4));
    let container = traffic_container(service, definition);
    let image = container.as_deref().and_then(|name| container_image(definition, name));
    let against = rules::check_service(service, &name).into_iter().next().map(|problem| problem.sentence);
    let without = container.is_none().then(|| "Its task definition has no container.".to_owned());
    DiscoveredService {
        cluster: last_segment(cluster).to_owned(),
        repository: image.as_deref().and_then(|image| own_repository(image, &account, &region)),
        alarms: enabled_alarms(&service.raw["deploymentConfiguration"]["alarms"]),
        can_shift_traffic: ecs_strategy::traffic_support(service).missing.is_none(),
        unsupported_reason: against.or(without),
        service: name,
        account,
        region,
        container,
        image,
    }
}

/// The last part of an ARN; a name stays as it is.
fn last_segment(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

fn traffic_container(service: &EcsService, definition: &Value) -> Option<String> {
    let behind =
        list_field(&service.raw, "loadBalancers").iter().find_map(|it| optional_str(it, "containerName"));
    let all = definition::containers(definition);
    let first =
        || all.iter().find(|it| definition::is_essential(it)).or(all.first()).map(|it| str_field(it, "name"));
    behind.or_else(|| definition::container_name(definition, None)).or_else(first)
}

fn container_image(definition: &Value, container: &str) -> Option<String> {
    let found = definition::containers(definition).iter().find(|it| it["name"] == container)?;
    optional_str(found, "image")
}

/// The repository of an image in the registry of this account and region.
fn own_repository(image: &str, account: &str, region: &str) -> Option<String> {
    let image: crate::release::ImageRef = image.parse().ok()?;
    let own = format!("{account}.dkr.ecr.{region}.amazonaws.com");
    let host = image.registry.strip_suffix(".cn").unwrap_or(&image.registry);
    (host == own).then_some(image.repository)
}

fn enabled_alarms(of: &Value) -> Vec<String> {
    match of["enable"].as_bool() {
        Some(true) => {
            list_field(of, "alarmNames").iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(more: Value) -> EcsService {
        let mut raw = json!({
            "serviceName": "web", "status": "ACTIVE",
            "serviceArn": "arn:aws:ecs:eu-west-1:111111111111:service/acme/web",
        });
        for (key, value) in more.as_object().unwrap() {
            raw[key] = value.clone();
        }
        EcsService::from_json(&raw)
    }

    fn discovered(more: Value, containers: Value) -> DiscoveredService {
        let cluster = "arn:aws:ecs:eu-west-1:111111111111:cluster/acme";
        discovered_service(cluster, &service(more), &json!({ "containerDefinitions": containers }))
    }

    #[test]
    fn container_is_the_one_with_the_traffic() {
        let all = json!([{"name":"proxy","essential":false},{"name":"app"},{"name":"log"}]);
        let of = |more: Value| discovered(more, all.clone()).container.unwrap();
        assert_eq!(of(json!({"loadBalancers":[{"containerName":"proxy"}]})), "proxy");
        assert_eq!(of(json!({})), "app", "the first essential one of two");
        assert_eq!(discovered(json!({}), json!([{"name":"a","essential":false}])).container.unwrap(), "a");
        assert_eq!(
            discovered(json!({}), json!([])).unsupported_reason.as_deref(),
            Some("Its task definition has no container.")
        );
    }

    #[test]
    fn repository_is_in_this_account_and_region() {
        let of = |image: &str| own_repository(image, "111111111111", "eu-west-1");
        assert_eq!(
            of("111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/web:v1").as_deref(),
            Some("acme/web")
        );
        for other in [
            "222222222222.dkr.ecr.eu-west-1.amazonaws.com/acme/web:v1",
            "111111111111.dkr.ecr.us-east-1.amazonaws.com/acme/web:v1",
            "nginx:1.27",
            "public.ecr.aws/nginx/nginx",
            "not an image",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn unsupported_service_has_a_reason() {
        let app = json!([{"name":"app"}]);
        let foreign = discovered(json!({"deploymentController":{"type":"CODE_DEPLOY"}}), app.clone());
        assert!(foreign.unsupported_reason.unwrap().contains("controller CODE_DEPLOY"));
        assert!(
            discovered(json!({"status":"DRAINING"}), app.clone())
                .unsupported_reason
                .unwrap()
                .contains("DRAINING")
        );
        assert_eq!(discovered(json!({}), app).unsupported_reason, None);
    }

    #[test]
    fn alarms_are_listed_only_if_enabled() {
        assert_eq!(enabled_alarms(&json!({"enable":true,"alarmNames":["5xx"]})), ["5xx"]);
        assert!(enabled_alarms(&json!({"enable":false,"alarmNames":["5xx"]})).is_empty());
        assert!(enabled_alarms(&Value::Null).is_empty());
    }
}
