//! Probes in virtual time, against the test's own responses.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient as SmithyHttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings,
    SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use jiff::Timestamp;

use super::{AnalysisWindow, Prober};
use crate::config::{Address, Metric, PerMinute, Probe, Status};
use crate::strategy::judge::Count;
use crate::sys::clock::Clock;
use crate::sys::http::HttpClient;
use crate::sys::signal::{CancelLevel, CancelToken};

/// Responds for `good.example` with 200, `moved.example` with 301, `down.example` with an error, `mute.example` never.
#[derive(Debug, Clone, Default)]
struct Hosts(Arc<AtomicU64>);

impl SmithyHttpClient for Hosts {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Hosts {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.0.fetch_add(1, Ordering::Relaxed);
        let uri = request.uri().to_owned();
        HttpConnectorFuture::new(async move {
            let status = match uri {
                uri if uri.contains("good.example") => 200_u16,
                uri if uri.contains("moved.example") => 301,
                uri if uri.contains("down.example") => {
                    return Err(ConnectorError::io("connection refused".into()));
                }
                _ => std::future::pending().await,
            };
            Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from("hello")))
        })
    }
}

fn web() -> (HttpClient, Hosts) {
    let hosts = Hosts::default();
    (HttpClient::new(SharedHttpClient::new(hosts.clone())), hosts)
}

fn probe(canary: &str, baseline: &str, per_minute: u16) -> [Metric; 1] {
    let address = |host: &str| Address::try_from(format!("https://{host}.example/")).unwrap();
    [Metric::Probe(Probe {
        canary: address(canary),
        baseline: address(baseline),
        status: Status::OK,
        per_minute: PerMinute(per_minute),
    })]
}

fn run_in_virtual_time<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    tokio::task::LocalSet::new().block_on(&runtime.unwrap(), work)
}

/// Probes from second 600 on for a given time, and the counts of each closed minute.
async fn probe_counts(metrics: &[Metric], seconds: u64) -> Vec<(Option<Count>, Option<Count>)> {
    let began = Timestamp::from_second(600).unwrap();
    let clock = Clock::starting_at(began);
    let prober = Prober::start(metrics, &web().0, clock, &CancelToken::default());
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let minutes = prober.minute_counts(0, &AnalysisWindow::from_range(began, clock.now()));
    minutes.into_iter().map(|minute| (minute.canary, minute.baseline)).collect()
}

#[test]
fn probe_other_status_or_no_response_counts_as_bad() {
    for (host, bad) in [("good", 0), ("moved", 30), ("down", 30), ("mute", 30)] {
        let counts = run_in_virtual_time(probe_counts(&probe(host, "good", 30), 130));
        let count = |bad| Some(Count { total: 30, bad });
        assert_eq!(counts, [(count(bad), count(0)), (count(bad), count(0))], "{host}");
    }
}

#[test]
fn prober_rate_is_even_and_bounded() {
    run_in_virtual_time(async {
        let (web, hosts) = web();
        let clock = Clock::starting_at(Timestamp::from_second(600).unwrap());
        let _prober = Prober::start(&probe("mute", "mute", 600), &web, clock, &CancelToken::default());
        tokio::time::sleep(Duration::from_millis(1050)).await;
        assert_eq!(hosts.0.load(Ordering::Relaxed), 22);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let most = (61 * 10 + 12) * 2;
        assert!(hosts.0.load(Ordering::Relaxed) <= most);
    });
}

#[test]
fn prober_stops_when_dropped_or_cancelled() {
    run_in_virtual_time(async {
        for cancelled in [true, false] {
            let ((web, hosts), cancel) = (web(), CancelToken::default());
            let clock = Clock::starting_at(Timestamp::from_second(600).unwrap());
            let prober = Prober::start(&probe("good", "good", 60), &web, clock, &cancel);
            tokio::time::sleep(Duration::from_millis(2500)).await;
            let kept = if cancelled {
                cancel.set(CancelLevel::Cancel);
                Some(prober)
            } else {
                drop(prober);
                None
            };
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert_eq!(hosts.0.load(Ordering::Relaxed), 6, "{cancelled}");
            drop(kept);
        }
    });
}
