//! What answers at addresses. Sites come first; of the listeners of load balancers any host leads to the one whose name the
//! host begins with, else to the first, and the port for tests to its listener for tests. What is posted is taken.

/// The built-in scenarios.
mod builtin;
/// What can go wrong.
pub mod faults;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use self::faults::BadResponses;
use crate::builtin::Builtin;
use crate::ecs::responses::serving;
use crate::elbv2::balancers::{self, LISTENER_PORTS};
use crate::faults::{Fault, VersionFilter};
use crate::input::{count_field, str_field};
use crate::request::{ErrorDetails, ServiceCall, ServiceError, ServiceResult};
use crate::scenario::Scenario;
use crate::service::{ErrorCodes, Service, ServiceProtocol};
use crate::traffic::stream;
use crate::wire::plain_http::HTTP_RESPONSE;
use crate::world::World;

/// An address, and what a good version answers there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Site {
    /// Its host, without a port.
    pub host: String,
    /// Its path; every one when absent.
    #[serde(default)]
    pub path: Option<String>,
    /// The service of ECS that answers, as `cluster/name`.
    #[serde(default)]
    pub service: Option<String>,
    /// Or the application of Argo CD.
    #[serde(default)]
    pub application: Option<String>,
    /// The status of a good answer.
    #[serde(default = "default_status")]
    pub status: u16,
    /// Its body.
    #[serde(default = "default_body")]
    pub body: String,
    /// Where it leads.
    #[serde(default)]
    pub location: Option<String>,
}

fn default_status() -> u16 {
    200
}

fn default_body() -> String {
    "ok\n".into()
}

/// Who answers a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Responder {
    /// Nobody is well enough to.
    Nobody,
    /// A version that ran when the world began, or a newer one.
    Version { is_seed: bool },
}

/// What stands at addresses.
pub struct Web;

impl Service for Web {
    fn name(&self) -> &'static str {
        "web"
    }

    fn protocol(&self) -> ServiceProtocol {
        ServiceProtocol::Own
    }

    fn errors(&self) -> &'static ErrorCodes {
        &ErrorCodes::AWS_JSON
    }

    fn seed(&self, world: &mut World, scenario: &Scenario, _began: f64) {
        world.sites = scenario.sites.clone();
    }

    fn handle(&self, world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
        answer_visit(world, call, now)
    }

    fn required_actions(&self, _call: &ServiceCall) -> Vec<String> {
        Vec::new()
    }

    fn scenarios(&self) -> &'static [Builtin] {
        builtin::SCENARIOS
    }
}

/// Answers one visit at `now`, epoch seconds, as the version that it is led to would.
fn answer_visit(world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
    let site = find_site(world, call).cloned();
    let who = site.as_ref().map(|site| choose_responder(world, site));
    if let Some(bad) = take_bad_response(world, call, who, now) {
        world.delay = bad.takes;
        return http_response(bad.status, &bad.body, bad.location.as_deref());
    }
    if call.operation == "Post" {
        return Ok(Value::String(default_body()));
    }
    let through = match (&site, who) {
        (Some(_), Some(Responder::Nobody)) => 503,
        (Some(_), _) if world.traffic.streams.is_empty() => 200,
        _ => visit_listener(world, call, now)?,
    };
    match (site, through) {
        (Some(site), 200) => http_response(site.status, &site.body, site.location.as_deref()),
        (None, 200) => Ok(Value::String(default_body())),
        (_, status) => http_response(status, &format!("status {status}"), None),
    }
}

/// An answer as it is written: everything but a bare 200 is an error of its own kind on the way out.
fn http_response(status: u16, body: &str, location: Option<&str>) -> ServiceResult {
    if (status, location) == (200, None) {
        return Ok(Value::String(body.to_owned()));
    }
    let headers = location.map(|to| ("location".to_owned(), to.to_owned())).into_iter().collect();
    let more = Some(Box::new(ErrorDetails { headers, ..ErrorDetails::default() }));
    Err(ServiceError { details: more, ..ServiceError::with_status(status, HTTP_RESPONSE, body) })
}

fn find_site<'w>(world: &'w World, call: &ServiceCall) -> Option<&'w Site> {
    let (host, path) = (str_field(&call.input, "host"), str_field(&call.input, "path"));
    world.sites.iter().find(|site| site.host == host && site.path.as_deref().is_none_or(|own| own == path))
}

/// Which version answers at a site: one of the healthy ones, by their shares of the traffic.
fn choose_responder(world: &mut World, site: &Site) -> Responder {
    if let Some(name) = &site.application {
        let app = world.argocd.apps.iter().find(|app| app.spec.name == *name);
        let live = app.and_then(|app| Some((app, app.applied.as_ref()?)));
        let old =
            live.is_none_or(|(app, live)| live.images.iter().all(|image| app.initial_images.contains(image)));
        return Responder::Version { is_seed: old };
    }
    let Some((cluster, name)) = site.service.as_deref().and_then(|it| it.split_once('/')) else {
        return Responder::Version { is_seed: false };
    };
    let Some(serving) = serving::serving_state(world, cluster, name) else { return Responder::Nobody };
    let mut left = 100.0 * world.traffic.rng.fraction();
    for (arn, share) in &serving.traffic {
        if left < *share {
            return Responder::Version { is_seed: world.ecs.is_seed_definition(arn) };
        }
        left -= share;
    }
    Responder::Nobody
}

/// The fault whose response replaces the one of the site, if there is one.
fn take_bad_response(
    world: &mut World,
    call: &ServiceCall,
    who: Option<Responder>,
    now: f64,
) -> Option<BadResponses> {
    let (host, path) = (str_field(&call.input, "host"), str_field(&call.input, "path"));
    let posted = call.operation == "Post";
    let since = world.faults.first_change_at().map(|at| now - at);
    let mut found = None;
    world.faults.trigger_first(|fault, spent| {
        let Fault::BadAnswers(bad) = fault else { return false };
        let here = bad.host.as_deref().map_or(!posted, |own| own == host)
            && bad.path.as_deref().is_none_or(|own| own == path);
        let version = match (bad.version, who) {
            (VersionFilter::All, _) => true,
            (_, None) => posted,
            (VersionFilter::Old, Some(who)) => who == Responder::Version { is_seed: true },
            (VersionFilter::New, Some(who)) => who == Responder::Version { is_seed: false },
        };
        let lasting = bad.lasts.map_or(f64::INFINITY, |lasts| bad.from + lasts);
        let timely = match since {
            Some(since) => (bad.from..lasting).contains(&since),
            // Before the first deployment only what is not counted from it.
            None => bad.from == 0.0 && bad.lasts.is_none(),
        };
        let applies = here && version && timely && bad.times.is_none_or(|most| spent < most);
        if applies {
            found = Some(bad.clone());
        }
        applies
    });
    found
}

/// The status by which a visit through a listener ends.
fn visit_listener(world: &mut World, call: &ServiceCall, now: f64) -> Result<u16, ServiceError> {
    let host = str_field(&call.input, "host");
    let names: Vec<String> =
        world.traffic.streams.iter().filter_map(|stream| balancer_name(&stream.balancer)).collect();
    let meant = names.iter().position(|name| host.starts_with(name.as_str())).unwrap_or(0);
    let Some(name) = names.get(meant) else {
        let message = format!("Nothing at {}", str_field(&call.input, "path"));
        return Err(ServiceError::with_status(404, "NotFound", message));
    };
    let rule = match count_field(&call.input, "port") == Some(usize::from(LISTENER_PORTS[1])) {
        true => balancers::listener_rule_arn(world, name, LISTENER_PORTS[1]),
        false => world.traffic.streams[meant].rule.clone(),
    };
    Ok(stream::serve_request(world, meant, &rule, now))
}

/// The name of a load balancer by its ARN.
fn balancer_name(arn: &str) -> Option<String> {
    arn.split("loadbalancer/app/").nth(1)?.split('/').next().map(str::to_owned)
}
