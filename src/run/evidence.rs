//! Evidence beyond the provider's own word: gathered while a version is tested or baked, kept on the unit.

use crate::release::Health;
use crate::strategy::{self, Evidence, Step};

use super::Job;
use super::unit::Unit;

/// Brings the evidence of a unit up to date, where the step under way needs any.
pub(super) async fn gather(_job: &Job, unit: &mut Unit, health: &Health) {
    if !matches!(health, Health::Holding(_)) {
        return;
    }
    let metrics =
        strategy::analysed(&unit.service.common.strategy).map_or(0, |(_, _, metrics)| metrics.len());
    unit.evidence = match unit.step() {
        Some(Step::Test) => Evidence::Awaited("the checks have not been made".into()),
        Some(Step::Bake(_)) if metrics > 0 => Evidence::Awaited("no counts were read".into()),
        _ => Evidence::NotNeeded,
    };
}
