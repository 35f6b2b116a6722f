//! Guard: a canary whose metrics may not be read is not begun. From the traffic of the last hour it also estimates how
//! long the analysis will take.

use std::time::Duration;

use async_trait::async_trait;

use crate::config::Metric;
use crate::gates::AnalysisWindow;
use crate::plan::ServicePlan;
use crate::problem::{Code, Problem, Severity};
use crate::release::{HumanDuration, Outcome};
use crate::run::cancel;
use crate::run::context::RunContext;
use crate::run::guard::rule::{Blocked, Guard};
use crate::run::service_run::ServiceRun;
use crate::strategy;
use crate::strategy::Step;
use crate::strategy::judge::{JudgeSettings, minutes_needed};

/// The time over which traffic is measured.
const LOOKBACK: Duration = Duration::from_secs(3600);

/// Stops a service whose canary is analyzed by the counts of a load balancer that the role may not read.
pub(super) struct AnalysisForecast;

#[async_trait(?Send)]
impl Guard for AnalysisForecast {
    async fn check(
        &self,
        ctx: &RunContext,
        service: &mut ServiceRun,
        plan: &ServicePlan,
    ) -> Result<(), Blocked> {
        if !is_analyzed(service, plan) {
            return Ok(());
        }
        match cancel::until_cancelled(ctx, recent_traffic(ctx, service)).await {
            None => {}
            Some(Ok(Some(traffic))) => log_forecast(ctx, service, plan, &traffic),
            Some(Ok(None)) => {
                let text = "the last hour has no counts, so it is not known how long the judge will need";
                ctx.log.info(Some(service.name()), text);
            }
            Some(Err(problem)) if problem.code == Code::PermissionMissing => {
                return Err(Blocked { outcome: Outcome::Invalid, problem });
            }
            Some(Err(problem)) => {
                let warning = Problem { severity: Severity::Warning, ..problem };
                service.report.problems.push(warning.for_service(service.name()));
            }
        }
        Ok(())
    }
}

fn is_analyzed(service: &ServiceRun, plan: &ServicePlan) -> bool {
    let bakes =
        !plan.traffic_plan.is_in_place() && plan.steps.iter().any(|step| matches!(step, Step::Bake(_)));
    let is_counted = |metric: &Metric| matches!(metric, Metric::Errors(_) | Metric::Latency(_));
    let analysis = strategy::analysis_config(&service.declared.config.strategy);
    bakes && analysis.is_some_and(|(_, _, metrics)| metrics.iter().any(is_counted))
}

/// Traffic of a service, as measured.
struct Traffic {
    requests_per_minute: f64,
    /// Share of the requests that ended in a 5xx.
    error_rate: f64,
}

async fn recent_traffic(ctx: &RunContext, service: &ServiceRun) -> Result<Option<Traffic>, Problem> {
    let Some(sources) = &service.sources else { return Ok(None) };
    let labels = match service.target.metric_labels() {
        Some(labels) => labels.read(&service.observed).await?,
        None => Vec::new(),
    };
    let now = ctx.io.clock.now();
    let window = AnalysisWindow::from_range(now - LOOKBACK, now);
    let counts = sources.recent_traffic(&labels, &window).await?;
    Ok(counts.map(|(requests, errors)| Traffic {
        requests_per_minute: requests / (LOOKBACK.as_secs_f64() / 60.0),
        error_rate: if requests > 0.0 { (errors / requests).min(1.0) } else { 0.0 },
    }))
}

fn log_forecast(ctx: &RunContext, service: &mut ServiceRun, plan: &ServicePlan, traffic: &Traffic) {
    let strategy = &service.declared.config.strategy;
    let (Some((_, analysis, _)), Some(longest)) =
        (strategy::analysis_config(strategy), strategy::max_bake(strategy))
    else {
        return;
    };
    let settings = strategy::judge_settings(analysis);
    let weight = plan.traffic_plan.weights.iter().find(|weight| **weight > 0).copied().unwrap_or(100);
    let forecast = Forecast::new(&settings, traffic, weight, longest);
    ctx.log.info(Some(service.name()), &forecast.text);
    if !forecast.is_sufficient {
        let problem = Problem::warning(Code::Inconclusive, forecast.text).for_service(service.name()).help(
            "Give it more traffic (`percent`), more time (`analysis.max-window`), a wider `analysis.margin`, or requests of its own (metric `probe`).",
        );
        service.report.problems.push(problem);
    }
}

/// How long a PASS will take, as people read it, and whether that is within the longest time it may take.
struct Forecast {
    text: String,
    is_sufficient: bool,
}

impl Forecast {
    fn new(settings: &JudgeSettings, traffic: &Traffic, weight: u8, longest: Duration) -> Self {
        let total = traffic.requests_per_minute;
        let canary = total * f64::from(weight) / 100.0;
        let needed = minutes_needed(settings, canary, total - canary, traffic.error_rate);
        let is_sufficient = u64::from(needed) * 60 <= longest.as_secs();
        let measured = format!(
            "In the last hour there were {} requests per minute; with {weight} % of them",
            format_rate(total)
        );
        let text = match (needed, is_sufficient) {
            (u32::MAX, _) => format!("{measured} a PASS is out of reach."),
            (_, true) => format!("{measured} a PASS needs about {needed} minutes."),
            (_, false) => {
                let longest = HumanDuration(longest);
                format!(
                    "{measured} a PASS needs about {needed} minutes, and it is watched for {longest} at most."
                )
            }
        };
        Self { text, is_sufficient }
    }
}

fn format_rate(value: f64) -> String {
    if value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimate_names_the_minutes_until_pass() {
        let half_an_hour = LOOKBACK / 2;
        let say = |requests_per_minute, error_rate| {
            let traffic = Traffic { requests_per_minute, error_rate };
            let forecast = Forecast::new(&JudgeSettings::default(), &traffic, 10, half_an_hour);
            format!("{}: {}", forecast.is_sufficient, forecast.text)
        };
        let all = [say(6000.0, 0.001), say(60.0, 0.0), say(0.0, 0.0)];
        insta::assert_snapshot!(all.join("\n"), @r"
        true: In the last hour there were 6000 requests per minute; with 10 % of them a PASS needs about 4 minutes.
        false: In the last hour there were 60 requests per minute; with 10 % of them a PASS needs about 48 minutes, and it is watched for 30m at most.
        false: In the last hour there were 0.0 requests per minute; with 10 % of them a PASS is out of reach.
        ");
    }
}
