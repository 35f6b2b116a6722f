//! Sources of evidence: counts of both versions from CloudWatch, Prometheus and probes of our own, and checks of an
//! address. They read, minute by minute; what the counts mean is the judge's business.

pub mod answer;
mod certificate;
pub mod cloudwatch;
#[cfg(test)]
mod cloudwatch_tests;
pub mod http;
pub mod probe;
#[cfg(test)]
mod probe_tests;
pub mod prometheus;
pub mod window;

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::config::Metric;
use crate::problem::Problem;
use crate::release::{Arm, Arms, Version};
use crate::strategy::judge::{Minute, Series};
use crate::sys::clock::Clock;
use crate::sys::web::Web;

pub use http::Visitor;
pub use probe::Prober;
pub use window::{Span, Window};

/// How to reach the sources.
#[derive(Clone, Debug)]
pub struct Sources {
    cloudwatch: aws_sdk_cloudwatch::Client,
    visitor: Visitor,
}

/// The two versions, as the sources are asked about them.
#[derive(Debug, Clone)]
pub struct Compared<'r> {
    /// The version that is judged.
    pub canary: &'r Version,
    /// The version that it is compared with.
    pub baseline: &'r Version,
    /// What tells their traffic apart; `None` where the place cannot say.
    pub arms: Option<&'r Arms>,
    /// The share of the traffic that the canary has, in percent.
    pub percent: u8,
}

/// Counts of both versions, as far as they are in.
#[derive(Debug, Clone, PartialEq)]
pub struct Counts {
    /// One entry for each metric.
    pub series: Vec<Series>,
    /// Whether the window is over: it lasted long enough, and no minute of it is still being waited for.
    pub over: bool,
}

impl Sources {
    /// Sources in the account and region of a session, with addresses asked through `http`.
    pub fn new(session: &SdkConfig, http: SharedHttpClient, clock: Clock) -> Self {
        let visitor = Visitor { web: Web::new(http), clock, blind: None };
        Self { cloudwatch: aws_sdk_cloudwatch::Client::new(session), visitor }
    }

    /// The same where certificates cannot be looked at, for this reason.
    pub fn blind(self, why: Option<&'static str>) -> Self {
        Self { visitor: Visitor { blind: why, ..self.visitor }, ..self }
    }

    /// Addresses, asked through the same door.
    pub fn web(&self) -> &Web {
        &self.visitor.web
    }

    /// Who asks them for checks.
    pub fn visitor(&self) -> &Visitor {
        &self.visitor
    }

    /// The counts of all `metrics` since the window began. An error means that a source gave no usable answer: then
    /// nothing is known, which is never good.
    pub async fn counts(
        &self,
        metrics: &[Metric],
        compared: &Compared<'_>,
        window: &Window,
        prober: Option<&Prober>,
    ) -> Result<Counts, Problem> {
        let measured = self.measured(metrics, compared, window).await?;
        let mut counts = Counts { series: Vec::new(), over: true };
        for (index, metric) in metrics.iter().enumerate() {
            let minutes = match metric {
                Metric::Errors(_) | Metric::Latency(_) => {
                    measured.as_ref().map_or_else(Vec::new, |all| cloudwatch::minutes(all, metric, window))
                }
                Metric::Prometheus(settings) => {
                    prometheus::minutes(self.web(), settings, compared, window).await?
                }
                Metric::Probe(_) => prober.map_or_else(Vec::new, |prober| prober.minutes(index, window)),
            };
            let (minutes, over) = window.settled(lag(metric), minutes);
            counts.over &= over;
            counts.series.push(Series { name: name(metric), minutes, share: share(metric, compared) });
        }
        Ok(counts)
    }

    /// What CloudWatch knows of all metrics that it has, in one request; `None` where it has none of them.
    async fn measured(
        &self,
        metrics: &[Metric],
        compared: &Compared<'_>,
        window: &Window,
    ) -> Result<Option<cloudwatch::Answers>, Problem> {
        let queries = cloudwatch::queries(metrics, compared.arms);
        match queries {
            Ok(queries) if queries.is_empty() => Ok(None),
            Ok(queries) => cloudwatch::read(&self.cloudwatch, queries, window).await.map(Some),
            Err(problem) => Err(problem),
        }
    }

    /// Requests and errors that the load balancer counted for a service in a window; `None` where it counted nothing.
    pub async fn traffic(&self, arms: &[Arm], window: &Window) -> Result<Option<(f64, f64)>, Problem> {
        if arms.is_empty() {
            return Ok(None);
        }
        let queries = cloudwatch::traffic_queries(arms)?;
        Ok(cloudwatch::traffic(&cloudwatch::read(&self.cloudwatch, queries, window).await?))
    }
}

/// What people call a metric.
pub fn name(metric: &Metric) -> String {
    match metric {
        Metric::Errors(_) => "5xx".into(),
        Metric::Latency(latency) => format!("latency over {} ms", latency.over_ms.0),
        Metric::Prometheus(prometheus) => prometheus.name.clone(),
        Metric::Probe(_) => "probe".into(),
    }
}

fn lag(metric: &Metric) -> Span {
    match metric {
        Metric::Errors(_) | Metric::Latency(_) => cloudwatch::LAG,
        Metric::Prometheus(_) => prometheus::LAG,
        Metric::Probe(_) => probe::LAG,
    }
}

/// The share to check counts against: probes go to both versions alike.
fn share(metric: &Metric, compared: &Compared<'_>) -> Option<f64> {
    (!matches!(metric, Metric::Probe(_))).then(|| f64::from(compared.percent) / 100.0)
}

/// Puts the minutes of both versions side by side.
fn beside(
    window: &Window,
    span: Span,
    of: impl Fn(bool, i64) -> Option<crate::strategy::judge::Count>,
) -> Vec<Minute> {
    window.starts(span).map(|at| Minute { canary: of(true, at), baseline: of(false, at) }).collect()
}
