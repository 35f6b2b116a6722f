//! The listeners of load balancers, as a visitor sees them: any host leads to the one whose name the host begins with,
//! else to the first; the port for tests to its listener for tests.

use serde_json::Value;

use super::balancers::{self, PORTS};
use super::call::{Answer, Call, Refusal};
use super::members::{count, text};
use super::traffic::model;
use super::world::World;

/// Answers one GET at `now`, epoch seconds, as the version that it is led to would.
pub fn answer(world: &mut World, call: &Call, now: f64) -> Answer {
    let host = text(&call.input, "host");
    let names: Vec<String> =
        world.traffic.streams.iter().filter_map(|stream| name(&stream.balancer)).collect();
    let meant = names.iter().position(|name| host.starts_with(name.as_str())).unwrap_or(0);
    let Some(name) = names.get(meant) else {
        let message = format!("Nothing at {}", text(&call.input, "path"));
        return Err(Refusal::of(404, "NotFound", message));
    };
    let port = if count(&call.input, "port") == Some(usize::from(PORTS[1])) { PORTS[1] } else { PORTS[0] };
    let rule = balancers::rule(world, name, port);
    match model::visit(world, meant, &rule, now) {
        200 => Ok(Value::String("ok\n".into())),
        status => Err(Refusal::of(status, "Answered", format!("status {status}"))),
    }
}

/// The name of a load balancer by its ARN.
fn name(arn: &str) -> Option<String> {
    arn.split("loadbalancer/app/").nth(1)?.split('/').next().map(str::to_owned)
}
