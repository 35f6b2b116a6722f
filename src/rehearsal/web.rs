//! What answers at addresses. Sites come first; of the listeners of load balancers any host leads to the one whose name the
//! host begins with, else to the first, and the port for tests to its listener for tests. What is posted is taken.

use serde::Deserialize;
use serde_json::Value;

use super::balancers::{self, PORTS};
use super::call::{Answer, Call, More, Refusal};
use super::ecs::views;
use super::faults::{BadAnswers, Fault, Version};
use super::members::{count, text};
use super::traffic::model;
use super::wire::get::ANSWERED;
use super::world::World;

/// An address, and what a good version answers there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
    #[serde(default = "fine")]
    pub status: u16,
    /// Its body.
    #[serde(default = "ok")]
    pub body: String,
    /// Where it leads.
    #[serde(default)]
    pub location: Option<String>,
}

fn fine() -> u16 {
    200
}

fn ok() -> String {
    "ok\n".into()
}

/// Who answers a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// Nobody is well enough to.
    Nobody,
    /// A version that ran when the world began, or a newer one.
    Version { old: bool },
}

/// Answers one visit at `now`, epoch seconds, as the version that it is led to would.
pub fn answer(world: &mut World, call: &Call, now: f64) -> Answer {
    let site = site(world, call).cloned();
    let who = site.as_ref().map(|site| who(world, site));
    if let Some(bad) = badly(world, call, who, now) {
        world.held = bad.takes;
        return spoken(bad.status, &bad.body, bad.location.as_deref());
    }
    if call.operation == "Post" {
        return Ok(Value::String(ok()));
    }
    let through = match (&site, who) {
        (Some(_), Some(Who::Nobody)) => 503,
        (Some(_), _) if world.traffic.streams.is_empty() => 200,
        _ => listener(world, call, now)?,
    };
    match (site, through) {
        (Some(site), 200) => spoken(site.status, &site.body, site.location.as_deref()),
        (None, 200) => Ok(Value::String(ok())),
        (_, status) => spoken(status, &format!("status {status}"), None),
    }
}

/// An answer as it is written: everything but a bare 200 is an error of its own kind on the way out.
fn spoken(status: u16, body: &str, location: Option<&str>) -> Answer {
    if (status, location) == (200, None) {
        return Ok(Value::String(body.to_owned()));
    }
    let headers = location.map(|to| ("location".to_owned(), to.to_owned())).into_iter().collect();
    let more = Some(Box::new(More { headers, ..More::default() }));
    Err(Refusal { more, ..Refusal::of(status, ANSWERED, body) })
}

fn site<'w>(world: &'w World, call: &Call) -> Option<&'w Site> {
    let (host, path) = (text(&call.input, "host"), text(&call.input, "path"));
    world.sites.iter().find(|site| site.host == host && site.path.as_deref().is_none_or(|own| own == path))
}

/// Which version answers at a site: one of the healthy ones, by their shares of the traffic.
fn who(world: &mut World, site: &Site) -> Who {
    if let Some(name) = &site.application {
        let app = world.argocd.apps.iter().find(|app| app.setting.name == *name);
        let live = app.and_then(|app| Some((app, app.live.as_ref()?)));
        let old = live.is_none_or(|(app, live)| live.images.iter().all(|image| app.founding.contains(image)));
        return Who::Version { old };
    }
    let Some((cluster, name)) = site.service.as_deref().and_then(|it| it.split_once('/')) else {
        return Who::Version { old: false };
    };
    let Some(serving) = views::serving(world, cluster, name) else { return Who::Nobody };
    let mut left = 100.0 * world.traffic.chance.unit();
    for (arn, share) in &serving.traffic {
        if left < *share {
            return Who::Version { old: world.ecs.is_founding(arn) };
        }
        left -= share;
    }
    Who::Nobody
}

/// The fault that answers in the place of whoever is there, when one does.
fn badly(world: &mut World, call: &Call, who: Option<Who>, now: f64) -> Option<BadAnswers> {
    let (host, path) = (text(&call.input, "host"), text(&call.input, "path"));
    let posted = call.operation == "Post";
    let since = world.mischief.deployed.map(|(at, _)| at).or(world.argocd.changed).map(|at| now - at);
    let mut struck = None;
    world.mischief.strike(|fault, spent| {
        let Fault::BadAnswers(bad) = fault else { return false };
        let here = bad.host.as_deref().map_or(!posted, |own| own == host)
            && bad.path.as_deref().is_none_or(|own| own == path);
        let version = match (bad.version, who) {
            (Version::All, _) => true,
            (_, None) => posted,
            (Version::Old, Some(who)) => who == Who::Version { old: true },
            (Version::New, Some(who)) => who == Who::Version { old: false },
        };
        let lasting = bad.lasts.map_or(f64::INFINITY, |lasts| bad.from + lasts);
        let timely = match since {
            Some(since) => (bad.from..lasting).contains(&since),
            // Before the first deployment only what is not counted from it.
            None => bad.from == 0.0 && bad.lasts.is_none(),
        };
        let strikes = here && version && timely && bad.times.is_none_or(|most| spent < most);
        if strikes {
            struck = Some(bad.clone());
        }
        strikes
    });
    struck
}

/// The status by which a visit through a listener ends.
fn listener(world: &mut World, call: &Call, now: f64) -> Result<u16, Refusal> {
    let host = text(&call.input, "host");
    let names: Vec<String> =
        world.traffic.streams.iter().filter_map(|stream| name(&stream.balancer)).collect();
    let meant = names.iter().position(|name| host.starts_with(name.as_str())).unwrap_or(0);
    let Some(name) = names.get(meant) else {
        let message = format!("Nothing at {}", text(&call.input, "path"));
        return Err(Refusal::of(404, "NotFound", message));
    };
    let rule = match count(&call.input, "port") == Some(usize::from(PORTS[1])) {
        true => balancers::rule(world, name, PORTS[1]),
        false => world.traffic.streams[meant].rule.clone(),
    };
    Ok(model::visit(world, meant, &rule, now))
}

/// The name of a load balancer by its ARN.
fn name(arn: &str) -> Option<String> {
    arn.split("loadbalancer/app/").nth(1)?.split('/').next().map(str::to_owned)
}
