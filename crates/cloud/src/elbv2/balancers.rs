//! Load balancers of a scenario: their settings, and entering them into the world before it begins.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::super::ecs::scenario::{ServiceSetting, TargetGroupSetting};
use super::super::elbv2::rules::{Listener, ListenerRule};
use super::super::scenario::Scenario;
use super::super::world::World;

/// An Application Load Balancer: a listener with one rule that forwards to target groups by weight, and a listener for tests.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LoadBalancerSetting {
    /// Its name.
    pub name: String,
    /// Target groups of the production rule, by name or ARN.
    pub groups: Vec<WeightedTargetGroup>,
    /// Whether there is a second listener with a rule for test traffic to the same groups.
    #[serde(default = "default_true")]
    pub test: bool,
    /// Whether the production rule signs users in before it forwards.
    #[serde(default)]
    pub authenticate: bool,
    /// Seconds for which a user stays with a target group; nobody does when absent.
    #[serde(default)]
    pub sticky: Option<u32>,
    /// ARN of the production rule, which says the ARNs of listener and load balancer too; made from the name when absent.
    #[serde(default)]
    pub rule: Option<String>,
}

/// A target group of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WeightedTargetGroup {
    /// Name or ARN.
    pub arn: String,
    /// 0 to 999.
    #[serde(default)]
    pub weight: u32,
}

fn default_true() -> bool {
    true
}

impl LoadBalancerSetting {
    /// A load balancer with all traffic to the first of two groups.
    pub fn with_groups(name: impl Into<String>, first: impl Into<String>, second: impl Into<String>) -> Self {
        let groups = vec![
            WeightedTargetGroup { arn: first.into(), weight: 100 },
            WeightedTargetGroup { arn: second.into(), weight: 0 },
        ];
        Self { name: name.into(), groups, test: true, authenticate: false, sticky: None, rule: None }
    }
}

/// Sixteen hexadecimal digits that belong to a name, as in ARNs of load balancing.
fn arn_id(name: &str) -> String {
    hex::encode(Sha256::digest(name))[..16].to_owned()
}

fn elb_arn(world: &World, rest: &str) -> String {
    format!("arn:aws:elasticloadbalancing:{}:{}:{rest}", world.region, world.account)
}

/// The ARN of a target group: its own, or one made from a name.
pub fn target_group_arn(world: &World, name: &str) -> String {
    if name.starts_with("arn:") {
        name.into()
    } else {
        elb_arn(world, &format!("targetgroup/{name}/{}", arn_id(name)))
    }
}

/// The ARN of a load balancer.
pub fn load_balancer_arn(world: &World, name: &str) -> String {
    elb_arn(world, &format!("loadbalancer/app/{name}/{}", arn_id(name)))
}

fn listener_arn(world: &World, name: &str, port: u16) -> String {
    elb_arn(world, &format!("listener/app/{name}/{}/{}", arn_id(name), arn_id(&format!("{name}:{port}"))))
}

/// The ARN of the rule at a port of a load balancer: 443 is production, 8443 is for tests.
pub fn listener_rule_arn(world: &World, name: &str, port: u16) -> String {
    let listener = arn_id(&format!("{name}:{port}"));
    elb_arn(
        world,
        &format!(
            "listener-rule/app/{name}/{}/{listener}/{}",
            arn_id(name),
            arn_id(&format!("{name}:{port}/10"))
        ),
    )
}

/// The ARN of a load balancer and of its production rule: as its setting gives them, else made from its name.
pub fn production_arns(world: &World, setting: &LoadBalancerSetting) -> (String, String) {
    let own =
        setting.rule.as_ref().and_then(|rule| Some((parent_arn(rule, "loadbalancer", 3)?, rule.clone())));
    own.unwrap_or_else(|| {
        (load_balancer_arn(world, &setting.name), listener_rule_arn(world, &setting.name, LISTENER_PORTS[0]))
    })
}

/// The ARN of what a rule belongs to: `app/NAME/ID` of its load balancer, and one part more of its listener.
fn parent_arn(rule: &str, kind: &str, parts: usize) -> Option<String> {
    let (head, path) = rule.split_once(":listener-rule/")?;
    let path: Vec<&str> = path.split('/').collect();
    (path.len() == 5).then(|| format!("{head}:{kind}/{}", path[..parts].join("/")))
}

/// Port of production traffic, and port of test traffic.
pub const LISTENER_PORTS: [u16; 2] = [443, 8443];

/// Enter a load balancer with its listeners, rules and target groups.
pub fn seed(world: &mut World, setting: &LoadBalancerSetting) {
    for group in &setting.groups {
        let arn = target_group_arn(world, &group.arn);
        world.targets.entry(arn).or_default();
    }
    let ports = if setting.test { &LISTENER_PORTS[..] } else { &LISTENER_PORTS[..1] };
    let (balancer, production) = production_arns(world, setting);
    for &port in ports {
        let made =
            || (listener_arn(world, &setting.name, port), listener_rule_arn(world, &setting.name, port));
        let own = || Some((parent_arn(&production, "listener", 4)?, production.clone()));
        let (listener, rule) = own().filter(|_| port == LISTENER_PORTS[0]).unwrap_or_else(made);
        let balancer = balancer.clone();
        world.load_balancing.listeners.insert(listener.clone(), Listener { balancer, port });
        let actions = rule_actions(world, setting, port == LISTENER_PORTS[0]);
        let path =
            json!({"Field": "path-pattern", "Values": ["/*"], "PathPatternConfig": {"Values": ["/*"]}});
        let own = ListenerRule {
            listener: listener.clone(),
            priority: "10".into(),
            conditions: vec![path],
            actions,
        };
        world.load_balancing.rules.insert(rule, own);
        let nothing =
            json!({"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}, "Order": 1});
        let rest = ListenerRule {
            listener: listener.clone(),
            priority: "default".into(),
            conditions: Vec::new(),
            actions: vec![nothing],
        };
        world
            .load_balancing
            .rules
            .insert(listener.replace(":listener/", ":listener-rule/") + "/default", rest);
    }
}

fn rule_actions(world: &World, setting: &LoadBalancerSetting, production: bool) -> Vec<Value> {
    let group = |it: &WeightedTargetGroup| json!({"TargetGroupArn": target_group_arn(world, &it.arn), "Weight": it.weight});
    let groups: Vec<Value> = setting.groups.iter().map(group).collect();
    let mut stickiness = json!({"Enabled": setting.sticky.is_some()});
    if let Some(seconds) = setting.sticky {
        stickiness["DurationSeconds"] = seconds.into();
    }
    let config = json!({"TargetGroups": groups, "TargetGroupStickinessConfig": stickiness});
    let mut actions = Vec::new();
    if production && setting.authenticate {
        actions.push(json!({"Type": "authenticate-oidc", "Order": 1, "AuthenticateOidcConfig": {
            "Issuer": "https://id.acme.dev", "AuthorizationEndpoint": "https://id.acme.dev/authorize",
            "TokenEndpoint": "https://id.acme.dev/token", "UserInfoEndpoint": "https://id.acme.dev/me",
            "ClientId": "web", "ClientSecret": "known to the load balancer alone", "OnUnauthenticatedRequest": "authenticate",
        }}));
    }
    actions.push(json!({"Type": "forward", "Order": actions.len() + 1, "ForwardConfig": config}));
    actions
}

/// `advancedConfiguration` of a service's load balancer, where its target group has an alternate one.
pub fn advanced_configuration(world: &World, group: &TargetGroupSetting) -> Option<Value> {
    let (alternate, name) = (group.alternate.as_ref()?, group.balancer.as_ref()?);
    let mut advanced = json!({
        "alternateTargetGroupArn": target_group_arn(world, alternate),
        "productionListenerRule": listener_rule_arn(world, name, LISTENER_PORTS[0]),
        "roleArn": format!("arn:aws:iam::{}:role/ecsInfrastructureRole", world.account),
    });
    let test = listener_rule_arn(world, name, LISTENER_PORTS[1]);
    if world.load_balancing.rules.contains_key(&test) {
        advanced["testListenerRule"] = test.into();
    }
    Some(advanced)
}

impl Scenario {
    /// The same world with a load balancer, an alternate target group and listener rules for every service behind a target
    /// group that no load balancer leads to: what ECS needs for blue/green, linear and canary deployments.
    pub fn with_target_group_pairs(mut self) -> Self {
        let Self { services, balancers, .. } = &mut self;
        for service in services {
            let name = service.name.clone();
            let free = |group: &&mut TargetGroupSetting| {
                group.alternate.is_none() && !has_balancer_for(balancers, &group.arn)
            };
            for (place, group) in
                service.target_groups.iter_mut().filter(free).enumerate().collect::<Vec<_>>()
            {
                let name = if place == 0 { name.clone() } else { format!("{name}-{place}") };
                let alternate = format!("{name}-alternate");
                balancers.push(LoadBalancerSetting::with_groups(&name, &group.arn, &alternate));
                (group.alternate, group.balancer) = (Some(alternate), Some(name));
            }
        }
        self
    }

    /// The same world with a second service `NAME-green` for every service behind a target group that no load balancer
    /// leads to, each with its own group, and one rule of a load balancer in front of both: all traffic to the first.
    pub fn with_service_pairs(mut self) -> Self {
        let lonely = |it: &&ServiceSetting| {
            it.target_groups.first().is_some_and(|group| !has_balancer_for(&self.balancers, &group.arn))
        };
        let firsts: Vec<_> = self.services.iter().filter(lonely).cloned().collect();
        for first in firsts {
            let name = format!("{}-green", first.name);
            self = self.with_paired_service(&first, &name, None);
        }
        self
    }

    /// The same world with a second service `name` for `first`, and the rule in front of both, with this ARN where one is
    /// given. What is there already stays as it is.
    pub fn with_paired_service(mut self, first: &ServiceSetting, name: &str, rule: Option<String>) -> Self {
        let Some(group) = first.target_groups.first() else { return self };
        if !has_balancer_for(&self.balancers, &group.arn) {
            let called =
                rule.as_deref().and_then(|rule| rule.split("listener-rule/app/").nth(1)?.split('/').next());
            let balancer = LoadBalancerSetting::with_groups(called.unwrap_or(&first.name), &group.arn, name);
            self.balancers.push(LoadBalancerSetting { rule: rule.clone(), ..balancer });
        }
        if self.services.iter().any(|it| it.cluster == first.cluster && it.name == name) {
            return self;
        }
        let mut twin = first.clone();
        twin.name = name.to_owned();
        // The same image: only the traffic tells the two apart.
        let (account, region) = (&self.account, &self.region);
        let image = format!("{account}.dkr.ecr.{region}.amazonaws.com/{}:v1", first.name);
        twin.image = first.image.clone().or(Some(image));
        twin.target_groups.truncate(1);
        twin.target_groups[0].arn = name.to_owned();
        self.services.push(twin);
        self
    }
}

/// Whether a load balancer forwards to a target group.
fn has_balancer_for(balancers: &[LoadBalancerSetting], group: &str) -> bool {
    balancers.iter().any(|balancer| balancer.groups.iter().any(|it| it.arn == group))
}
