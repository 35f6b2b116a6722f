//! Why the workloads of a version do not run it, for a person who must act.

use super::causes;
use super::client::Client;
use super::managed::{Workload, workloads_of};
use super::resource_tree::ApplicationTree;
use crate::problem::Problem;
use crate::release::{Diagnosis, ImageRef};

/// What the workloads of the image and their pods are like now; `None` if no workload has an image of the repository.
pub(super) async fn diagnose(client: &Client, image: &ImageRef) -> Result<Option<Diagnosis>, Problem> {
    let (managed, tree) = tokio::join!(client.managed_resources(), client.tree());
    let (managed, tree) = (managed?, tree?);
    let workloads = workloads_of(&managed, image);
    if workloads.is_empty() {
        return Ok(None);
    }
    let counts = workloads.iter().map(|one| describe(one, &tree)).collect::<Vec<_>>().join("; ");
    let stuck = workloads.iter().find_map(|one| causes::find_stuck_pod(one, &tree));
    let failure = stuck.or_else(|| causes::from_pods(&tree.nodes, image));
    Ok(Some(Diagnosis { counts, failure }))
}

fn describe(workload: &Workload, tree: &ApplicationTree) -> String {
    let pods = tree.pods(&workload.key);
    let healthy = pods.iter().filter(|pod| pod.has_health("Healthy")).count();
    let images = workload.live_images.join(", ");
    format!("{} has {images}, {healthy} of {} pods are healthy", workload.key, pods.len())
}
