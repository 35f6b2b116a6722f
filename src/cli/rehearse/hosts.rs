//! The servers of a rehearsal: scripts go to the embedded cloud instead of over SSH.

use async_trait::async_trait;

use crate::sys::ssh::{RemoteHost, RemoteHosts, ScriptCall, ScriptReply, SshError, SshStage};
use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::compose;
use roadstead_cloud::request::Delivery;

/// Hosts of the embedded cloud. They ask for no key.
pub(super) struct EmulatedHosts(pub(super) Cloud);

#[async_trait(?Send)]
impl RemoteHosts for EmulatedHosts {
    fn find_faults(&self, _: &RemoteHost) -> Vec<SshError> {
        Vec::new()
    }

    async fn run(&self, host: &RemoteHost, call: &ScriptCall) -> Result<ScriptReply, SshError> {
        let name = host.name.clone();
        let asked = self.0.handle(compose::call(call.operation, &name, &call.script));
        match asked.await {
            Delivery::Reply(Ok(answer)) => {
                let (lines, exit) = compose::read_answer(&answer);
                Ok(ScriptReply { lines, exit })
            }
            Delivery::Reply(Err(error)) => Err(SshError::Unreachable { host: name, why: error.message }),
            Delivery::ConnectionLost => Err(SshError::Lost(name)),
            Delivery::NoReply => {
                tokio::time::sleep(call.limit).await;
                Err(SshError::TimedOut { host: name, stage: SshStage::Script })
            }
            Delivery::Page(text) => Err(SshError::NoFrame { host: name, text }),
        }
    }
}
