//! `roadstead cloud`: the emulator for clients in other processes.

use crate::sys::signal::{CancelLevel, CancelToken};
use crate::sys::terminal;
use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::origin::HostNames;
use roadstead_cloud::server;

use super::arguments::CloudOptions;
use super::rehearse::load_scenario;

/// Serves until a signal arrives.
pub(super) async fn serve(options: CloudOptions) -> u8 {
    match try_serve(options).await {
        Ok(()) => 0,
        Err(reason) => {
            terminal::stdout_line(&format!("error: {reason}"));
            2
        }
    }
}

async fn try_serve(options: CloudOptions) -> Result<(), String> {
    if !(options.speed > 0.0 && options.speed.is_finite()) {
        return Err(format!("--speed {} is not a positive number", options.speed));
    }
    let scenario = load_scenario(&options.scenario)?;
    let listener = server::listen(options.listen).await.map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let cancel = CancelToken::from_signals().map_err(|error| error.to_string())?;
    // What the scenario file declares is addressed by its name.
    let sites = scenario.sites.iter().map(|site| site.host.clone());
    let names = HostNames::new(options.host.into_iter().chain(sites));
    let cloud = Cloud::new_server(scenario, options.seed, options.speed);
    terminal::stdout_line(&format!(
        "the emulator listens on http://{address} at {} times real time",
        options.speed
    ));
    server::serve(cloud, names, listener, cancel.wait_for(CancelLevel::Cancel))
        .await
        .map_err(|error| error.to_string())
}
