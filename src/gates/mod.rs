//! Metric sources: counts of both versions from CloudWatch, Prometheus and our own probes, and HTTP
//! checks. They read, minute by minute; the judge interprets the counts.

mod certificate;
pub mod cloudwatch;
#[cfg(test)]
mod cloudwatch_tests;
pub mod expectations;
pub mod http_checker;
pub mod probe;
#[cfg(test)]
mod probe_tests;
pub mod prometheus;
pub mod window;

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::config::Metric;
use crate::problem::Problem;
use crate::release::{Variant, Variants, Version};
use crate::strategy::judge::{MetricSeries, Minute};
use crate::sys::clock::Clock;
use crate::sys::http::HttpClient;
use crate::sys::network::Proxies;

pub use http_checker::HttpChecker;
pub use probe::Prober;
pub use window::{AnalysisWindow, IngestionLag};

/// The metric sources of a run.
#[derive(Clone, Debug)]
pub struct MetricSources {
    cloudwatch: aws_sdk_cloudwatch::Client,
    checker: HttpChecker,
}

/// The two versions, as the sources identify them.
#[derive(Debug, Clone)]
pub struct ComparedVariants<'r> {
    /// The version that is analyzed.
    pub canary: &'r Version,
    /// The version that it is compared with.
    pub baseline: &'r Version,
    /// The metric labels of both; `None` if the target cannot tell their traffic apart.
    pub variants: Option<&'r Variants>,
    /// The weight of the canary, in percent.
    pub canary_weight: u8,
}

/// Counts of both versions, as far as they are complete.
#[derive(Debug, Clone, PartialEq)]
pub struct VariantCounts {
    /// One entry for each metric.
    pub series: Vec<MetricSeries>,
    /// Whether the window is over: it lasted long enough, and no minute of it is pending.
    pub is_complete: bool,
}

impl MetricSources {
    /// Sources in the account and region of a session, with requests sent through `http`.
    pub fn new(session: &SdkConfig, http: SharedHttpClient, clock: Clock) -> Self {
        let (http, proxies) = (HttpClient::new(http), Arc::default());
        let checker = HttpChecker { http, clock, proxies, no_certificates_reason: None };
        Self { cloudwatch: aws_sdk_cloudwatch::Client::new(session), checker }
    }

    /// The same if certificates are read through proxies.
    pub fn with_proxies(self, proxies: Proxies) -> Self {
        Self { checker: HttpChecker { proxies: Arc::new(proxies), ..self.checker }, ..self }
    }

    /// The same if certificates cannot be checked, for this reason.
    pub fn without_certificates(self, why: Option<&'static str>) -> Self {
        Self { checker: HttpChecker { no_certificates_reason: why, ..self.checker }, ..self }
    }

    /// HTTP requests, through the same client.
    pub fn http(&self) -> &HttpClient {
        &self.checker.http
    }

    /// Runs the HTTP checks.
    pub fn checker(&self) -> &HttpChecker {
        &self.checker
    }

    /// The counts of all `metrics` since the window began. An error means that a source returned no usable response:
    /// then
    /// nothing is known, which is never a pass.
    pub async fn read_counts(
        &self,
        metrics: &[Metric],
        compared: &ComparedVariants<'_>,
        window: &AnalysisWindow,
        prober: Option<&Prober>,
    ) -> Result<VariantCounts, Problem> {
        let measured = self.read_cloudwatch(metrics, compared, window).await?;
        let mut counts = VariantCounts { series: Vec::new(), is_complete: true };
        for (index, metric) in metrics.iter().enumerate() {
            let minutes = match metric {
                Metric::Errors(_) | Metric::Latency(_) => measured
                    .as_ref()
                    .map_or_else(Vec::new, |all| cloudwatch::minute_counts(all, metric, window)),
                Metric::Prometheus(settings) => {
                    prometheus::minute_counts(self.http(), settings, compared, window).await?
                }
                Metric::Probe(_) => {
                    prober.map_or_else(Vec::new, |prober| prober.minute_counts(index, window))
                }
            };
            let (minutes, over) = window.drop_late_minutes(ingestion_lag(metric), minutes);
            counts.is_complete &= over;
            counts.series.push(MetricSeries {
                name: metric_name(metric),
                minutes,
                share: expected_fraction(metric, compared),
            });
        }
        Ok(counts)
    }

    /// The counts of all CloudWatch metrics, in one request; `None` if there are none.
    async fn read_cloudwatch(
        &self,
        metrics: &[Metric],
        compared: &ComparedVariants<'_>,
        window: &AnalysisWindow,
    ) -> Result<Option<cloudwatch::QueryResults>, Problem> {
        let queries = cloudwatch::build_queries(metrics, compared.variants);
        match queries {
            Ok(queries) if queries.is_empty() => Ok(None),
            Ok(queries) => cloudwatch::get_metric_data(&self.cloudwatch, queries, window).await.map(Some),
            Err(problem) => Err(problem),
        }
    }

    /// Requests and errors that the load balancer counted for a service in a window; `None` if it counted nothing.
    pub async fn recent_traffic(
        &self,
        variants: &[Variant],
        window: &AnalysisWindow,
    ) -> Result<Option<(f64, f64)>, Problem> {
        if variants.is_empty() {
            return Ok(None);
        }
        let queries = cloudwatch::build_traffic_queries(variants)?;
        Ok(cloudwatch::sum_traffic(&cloudwatch::get_metric_data(&self.cloudwatch, queries, window).await?))
    }
}

/// The display name of a metric.
pub fn metric_name(metric: &Metric) -> String {
    match metric {
        Metric::Errors(_) => "5xx".into(),
        Metric::Latency(latency) => format!("latency over {} ms", latency.over_ms.0),
        Metric::Prometheus(prometheus) => prometheus.name.clone(),
        Metric::Probe(_) => "probe".into(),
    }
}

fn ingestion_lag(metric: &Metric) -> IngestionLag {
    match metric {
        Metric::Errors(_) | Metric::Latency(_) => cloudwatch::LAG,
        Metric::Prometheus(_) => prometheus::LAG,
        Metric::Probe(_) => probe::LAG,
    }
}

/// The weight to check counts against: probes go to both versions alike.
fn expected_fraction(metric: &Metric, compared: &ComparedVariants<'_>) -> Option<f64> {
    (!matches!(metric, Metric::Probe(_))).then(|| f64::from(compared.canary_weight) / 100.0)
}

/// Pairs the minutes of both versions.
fn pair_minutes(
    window: &AnalysisWindow,
    span: IngestionLag,
    of: impl Fn(bool, i64) -> Option<crate::strategy::judge::Count>,
) -> Vec<Minute> {
    window.minute_starts(span).map(|at| Minute { canary: of(true, at), baseline: of(false, at) }).collect()
}
