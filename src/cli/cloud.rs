//! `roadstead cloud`: the embedded cloud for clients that are not in this process.

use crate::rehearsal::cloud::Cloud;
use crate::rehearsal::server;
use crate::sys::signal::{Cancel, Urgency};
use crate::sys::terminal;

use super::arguments::CloudOptions;
use super::rehearse::scenario;

/// Serves until a signal comes.
pub(super) async fn serve(options: CloudOptions) -> u8 {
    match try_serve(options).await {
        Ok(()) => 0,
        Err(words) => {
            terminal::line(&format!("error: {words}"));
            2
        }
    }
}

async fn try_serve(options: CloudOptions) -> Result<(), String> {
    if !(options.speed > 0.0 && options.speed.is_finite()) {
        return Err(format!("--speed {} is not a positive number", options.speed));
    }
    let scenario = scenario(&options.scenario)?;
    let listener = server::listen(options.listen).await.map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let cancel = Cancel::from_signals().map_err(|error| error.to_string())?;
    let cloud = Cloud::served(scenario, options.seed, options.speed);
    terminal::line(&format!(
        "the embedded cloud listens on http://{address} at {} times real time",
        options.speed
    ));
    server::serve(cloud, listener, cancel.reached(Urgency::Cancel)).await.map_err(|error| error.to_string())
}
