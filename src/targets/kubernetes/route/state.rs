//! What was read of a routed workload: the workload, the route, the Services and the canary.

use super::super::error::{ApiError, ErrorKind};
use super::super::read::WorkloadObject;
use super::RoutedWorkload;
use super::backends::{RouteObject, RouteSplit, read_split};
use super::canary::{self, ServiceObject, ready_endpoints, saved_weights};
use crate::problem::{Code, Problem};

/// The state of a routed workload.
#[derive(Debug, Clone)]
pub struct RouteState {
    /// The workload.
    pub workload: WorkloadObject,
    /// The Service of the workload.
    pub service: ServiceObject,
    /// The route.
    pub route: RouteObject,
    /// The Deployment of the canary, ours or not.
    pub canary: Option<WorkloadObject>,
}

impl RouteState {
    /// How traffic is split.
    pub fn split(&self, target: &RoutedWorkload) -> RouteSplit {
        read_split(&self.route.spec.rules, &target.names)
    }

    /// The canary, if it is ours.
    pub fn own_canary(&self) -> Option<&WorkloadObject> {
        self.canary.as_ref().filter(|one| canary::is_ours(&one.metadata, &self.workload.metadata.name))
    }

    /// The weights that the route has without the canary.
    pub fn whole_weights(&self) -> Vec<Option<u64>> {
        self.own_canary().map(saved_weights).unwrap_or_default()
    }
}

impl RoutedWorkload {
    /// Reads everything now.
    pub(super) async fn read_state(&self) -> Result<RouteState, Problem> {
        let client = &self.main.client;
        let (workload, service, route, canary) = tokio::join!(
            client.workload(&self.main.name),
            client.service(&self.names.stable),
            client.route(&self.names.route),
            client.workload(&self.canary.name),
        );
        let unreadable = |error: ApiError| error.problem;
        let canary = match canary {
            Ok(raw) => Some(client.interpret(raw).map_err(unreadable)?),
            Err(error) if error.kind == ErrorKind::NotFound => None,
            Err(error) => return Err(error.problem),
        };
        Ok(RouteState {
            workload: client
                .interpret(workload.map_err(|error| self.main.missing(error))?)
                .map_err(unreadable)?,
            service: service.map_err(|error| self.missing("Service", &self.names.stable, error))?,
            route: route.map_err(|error| self.missing("HTTPRoute", &self.names.route, error))?,
            canary,
        })
    }

    /// The same; `None` where the route or its Service does not exist, so that no traffic is split. A rollback must not fail for that.
    pub(super) async fn find_state(&self) -> Result<Option<RouteState>, Problem> {
        match self.read_state().await {
            Ok(state) => Ok(Some(state)),
            Err(problem) if problem.code == Code::ServiceMissing => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    /// The ready endpoints of a Service.
    pub(super) async fn count_ready(&self, service: &str) -> Result<usize, Problem> {
        let slices = self.main.client.endpoint_slices(service).await.map_err(|error| error.problem)?;
        Ok(ready_endpoints(&slices))
    }

    fn missing(&self, kind: &str, name: &str, error: ApiError) -> Problem {
        if error.kind != ErrorKind::NotFound {
            return error.problem;
        }
        let client = &self.main.client;
        let sentence = format!(
            "There is no {kind} `{name}` in the namespace `{}` of {}. Nothing was changed.",
            client.namespace(),
            client.title()
        );
        // A cluster without the CRDs of the Gateway API answers with a text.
        let lacks_api = error.message.contains("page not found");
        let help = match lacks_api {
            true => "The cluster does not have the Gateway API: install it, or remove `traffic`.",
            false => {
                "Check `traffic`: `httproute` names the route, and `service` the Service of the workload."
            }
        };
        Problem::error(Code::ServiceMissing, sentence).cause(error.message).help(help)
    }
}
