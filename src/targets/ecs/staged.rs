//! What staging a version records for its shift: the deployment that the plan was made for. Pure.

use serde::{Deserialize, Serialize};

use super::read::{EcsService, ServiceDeployment};
use crate::release::Observed;

/// What is recorded beside a version that was staged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StagedHandle {
    /// The service that was observed.
    service: String,
    /// Its PRIMARY deployment, where it had one.
    primary: Option<ObservedPrimary>,
}

/// The PRIMARY deployment that a plan was made for: nothing is started over a newer one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObservedPrimary {
    /// `ecs-svc/…`.
    pub id: String,
    /// Epoch seconds on AWS's clock.
    pub created_at: f64,
    /// The last service deployment then, if AWS reported one.
    #[serde(default)]
    pub service_deployment: Option<String>,
}

impl ObservedPrimary {
    /// Of a service as it was read.
    pub fn from_service(service: &EcsService) -> Option<Self> {
        service.primary().map(|primary| Self {
            id: primary.id.clone(),
            created_at: primary.created_at,
            service_deployment: service.service_deployment_arn.clone(),
        })
    }

    /// Whether a service deployment started after it. One that ECS rolled back can be younger than the PRIMARY deployment.
    pub fn is_older_than(&self, deployment: &ServiceDeployment) -> bool {
        deployment.created_at > self.created_at && self.service_deployment.as_ref() != Some(&deployment.arn)
    }
}

impl StagedHandle {
    /// Of what was observed of `service`.
    pub fn from_observed(service: &str, observed: &Observed) -> Self {
        let primary = ObservedPrimary::from_service(&EcsService::from_json(&observed.raw));
        Self { service: service.to_owned(), primary }
    }

    /// The deployment that was observed of `service`; of another service nothing is known.
    pub fn primary_of(&self, service: &str) -> Option<&ObservedPrimary> {
        self.primary.as_ref().filter(|_| self.service == service)
    }
}
