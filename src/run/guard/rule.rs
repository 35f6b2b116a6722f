//! The one shape of a guard. What a guard says, and what a dry run makes of it, is applied by the caller.

use async_trait::async_trait;

use crate::plan::ServicePlan;
use crate::problem::Problem;
use crate::release::Outcome;
use crate::run::context::RunContext;
use crate::run::service_run::ServiceRun;

/// A rule that may stop a service before its first change.
#[async_trait(?Send)]
pub(super) trait Guard {
    /// Checks one planned service. What is worth knowing and stops nothing goes into its report.
    async fn check(
        &self,
        ctx: &RunContext,
        service: &mut ServiceRun,
        plan: &ServicePlan,
    ) -> Result<(), Blocked>;
}

/// Why a service is stopped, and the outcome that gives it.
pub(super) struct Blocked {
    pub(super) outcome: Outcome,
    pub(super) problem: Problem,
}
