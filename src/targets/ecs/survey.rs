//! What runs on ECS in an account, for somebody who has no deploy file yet: the order of calls, and what the answers
//! say. Reads only; what is made of it is not decided here.

use aws_config::SdkConfig;
use serde_json::Value;

use super::client::Client;
use super::definition;
use super::native;
use super::preflight_rules;
use super::read::{Service, list, some_text, text};
use super::refusal::Refusal;
use crate::aws::Paces;
use crate::problem::{Code, Problem};

/// A service that exists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Name of its cluster.
    pub cluster: String,
    /// Its name.
    pub service: String,
    /// The account, 12 digits.
    pub account: String,
    /// The region, such as `eu-west-1`.
    pub region: String,
    /// The container that takes the traffic: behind the load balancer, else the only or the only essential one, else the
    /// first.
    pub container: Option<String>,
    /// The image of that container, as its task definition has it.
    pub image: Option<String>,
    /// The repository of that image, where it is in the registry of this account and region.
    pub repository: Option<String>,
    /// The alarms that stop its deployments.
    pub alarms: Vec<String>,
    /// Whether its load balancer can shift traffic in shares.
    pub shifts: bool,
    /// Why it cannot be released to as it is; a sentence.
    pub against: Option<String>,
}

/// Which services are looked for; all where nothing is said.
#[derive(Debug, Clone, Default)]
pub struct Only {
    /// Name or ARN of the one cluster.
    pub cluster: Option<String>,
    /// Name of the service.
    pub service: Option<String>,
}

/// So many pages of a list are read at most: ten thousand clusters, or as many services of one, are twice AWS's quotas.
const PAGES: usize = 100;

/// Everything that runs, by cluster and name. Errors when AWS cannot be asked, or a named cluster does not exist.
pub async fn survey(config: &SdkConfig, only: &Only) -> Result<Vec<Found>, Problem> {
    let client = Client::new(config, Paces::free());
    let clusters = match &only.cluster {
        Some(cluster) => vec![cluster.clone()],
        None => every(async |next| client.list_clusters(next).await, "clusterArns").await?,
    };
    let mut found = Vec::new();
    for cluster in clusters {
        let services = every(async |next| client.list_services(&cluster, next).await, "serviceArns").await?;
        let wanted = |arn: &String| only.service.as_ref().is_none_or(|name| last(arn) == name);
        let services: Vec<String> = services.into_iter().filter(wanted).collect();
        // DescribeServices takes ten.
        for ten in services.chunks(10) {
            let answer = client.describe_services(&cluster, ten.to_vec()).await?;
            for service in list(&answer, "services") {
                found.push(one(&client, &cluster, service).await?);
            }
        }
    }
    found.sort_by(|a, b| (&a.cluster, &a.service).cmp(&(&b.cluster, &b.service)));
    Ok(found)
}

/// All members of a list that comes in pages.
async fn every(
    ask: impl AsyncFn(Option<String>) -> Result<Value, Refusal>,
    member: &str,
) -> Result<Vec<String>, Problem> {
    let (mut all, mut next) = (Vec::new(), None);
    for _ in 0..PAGES {
        let answer = ask(next).await?;
        all.extend(list(&answer, member).iter().filter_map(|arn| arn.as_str().map(str::to_owned)));
        next = some_text(&answer, "nextToken");
        if next.is_none() {
            return Ok(all);
        }
    }
    let sentence = format!("AWS's list of {member} does not end.");
    Err(Problem::error(Code::ProviderError, sentence).help("Narrow it with --cluster and --service."))
}

/// A service with its definition. One whose definition cannot be read is there all the same, and says so.
async fn one(client: &Client, cluster: &str, raw: &Value) -> Result<Found, Problem> {
    let service = Service::read(raw);
    match client.describe_task_definition(&service.definition).await {
        Ok(answer) => Ok(found(cluster, &service, &definition::with_tags(&answer))),
        Err(refusal) if refusal.denied() => Err(refusal.problem),
        Err(refusal) => {
            let against = Some(format!("Its task definition cannot be read. {}", refusal.problem));
            Ok(Found { against, ..found(cluster, &service, &Value::Null) })
        }
    }
}

fn found(cluster: &str, service: &Service, definition: &Value) -> Found {
    let name = text(&service.raw, "serviceName");
    let arn = text(&service.raw, "serviceArn");
    let part = |at: usize| arn.split(':').nth(at).unwrap_or_default().to_owned();
    let (region, account) = (part(3), part(4));
    let container = container(service, definition);
    let image = container.as_deref().and_then(|name| image(definition, name));
    let against = preflight_rules::service(service, &name).into_iter().next().map(|problem| problem.sentence);
    let without = container.is_none().then(|| "Its task definition has no container.".to_owned());
    Found {
        cluster: last(cluster).to_owned(),
        repository: image.as_deref().and_then(|image| repository(image, &account, &region)),
        alarms: alarms(&service.raw["deploymentConfiguration"]["alarms"]),
        shifts: native::ability(service).lacks.is_none(),
        against: against.or(without),
        service: name,
        account,
        region,
        container,
        image,
    }
}

/// The last part of an ARN; a name is its own.
fn last(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

fn container(service: &Service, definition: &Value) -> Option<String> {
    let behind = list(&service.raw, "loadBalancers").iter().find_map(|it| some_text(it, "containerName"));
    let all = definition::containers(definition);
    let first =
        || all.iter().find(|it| definition::is_essential(it)).or(all.first()).map(|it| text(it, "name"));
    behind.or_else(|| definition::container_name(definition, None)).or_else(first)
}

fn image(definition: &Value, container: &str) -> Option<String> {
    let found = definition::containers(definition).iter().find(|it| it["name"] == container)?;
    some_text(found, "image")
}

/// The repository of an image in the registry of this account and region.
fn repository(image: &str, account: &str, region: &str) -> Option<String> {
    let image: crate::release::ImageRef = image.parse().ok()?;
    let own = format!("{account}.dkr.ecr.{region}.amazonaws.com");
    let host = image.registry.strip_suffix(".cn").unwrap_or(&image.registry);
    (host == own).then_some(image.repository)
}

fn alarms(of: &Value) -> Vec<String> {
    match of["enable"].as_bool() {
        Some(true) => {
            list(of, "alarmNames").iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(more: Value) -> Service {
        let mut raw = json!({
            "serviceName": "web", "status": "ACTIVE",
            "serviceArn": "arn:aws:ecs:eu-west-1:111111111111:service/acme/web",
        });
        for (key, value) in more.as_object().unwrap() {
            raw[key] = value.clone();
        }
        Service::read(&raw)
    }

    fn look(more: Value, containers: Value) -> Found {
        let cluster = "arn:aws:ecs:eu-west-1:111111111111:cluster/acme";
        found(cluster, &service(more), &json!({ "containerDefinitions": containers }))
    }

    #[test]
    fn the_container_is_the_one_with_the_traffic() {
        let all = json!([{"name":"proxy","essential":false},{"name":"app"},{"name":"log"}]);
        let of = |more: Value| look(more, all.clone()).container.unwrap();
        assert_eq!(of(json!({"loadBalancers":[{"containerName":"proxy"}]})), "proxy");
        assert_eq!(of(json!({})), "app", "the first essential one where two are");
        assert_eq!(look(json!({}), json!([{"name":"a","essential":false}])).container.unwrap(), "a");
        assert_eq!(
            look(json!({}), json!([])).against.as_deref(),
            Some("Its task definition has no container.")
        );
    }

    #[test]
    fn a_repository_is_one_of_this_account_and_region() {
        let of = |image: &str| repository(image, "111111111111", "eu-west-1");
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
    fn what_cannot_be_released_to_says_why() {
        let app = json!([{"name":"app"}]);
        let foreign = look(json!({"deploymentController":{"type":"CODE_DEPLOY"}}), app.clone());
        assert!(foreign.against.unwrap().contains("driven by CODE_DEPLOY"));
        assert!(look(json!({"status":"DRAINING"}), app.clone()).against.unwrap().contains("DRAINING"));
        assert_eq!(look(json!({}), app).against, None);
    }

    #[test]
    fn alarms_count_when_they_are_watched() {
        assert_eq!(alarms(&json!({"enable":true,"alarmNames":["5xx"]})), ["5xx"]);
        assert!(alarms(&json!({"enable":false,"alarmNames":["5xx"]})).is_empty());
        assert!(alarms(&Value::Null).is_empty());
    }
}
