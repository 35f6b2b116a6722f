//! Probes in virtual time, against answers of a test's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use jiff::Timestamp;

use super::{Prober, Window};
use crate::config::{Address, Metric, PerMinute, Probe, Status};
use crate::strategy::judge::Count;
use crate::sys::clock::Clock;
use crate::sys::signal::{Cancel, Urgency};
use crate::sys::web::Web;

/// Answers `good.example` with 200, `moved.example` with 301, `down.example` not at all, `mute.example` never.
#[derive(Debug, Clone, Default)]
struct Hosts(Arc<AtomicU64>);

impl HttpClient for Hosts {
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

fn web() -> (Web, Hosts) {
    let hosts = Hosts::default();
    (Web::new(SharedHttpClient::new(hosts.clone())), hosts)
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

fn virtually<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    tokio::task::LocalSet::new().block_on(&runtime.unwrap(), work)
}

/// Probes from second 600 on for so long, and what they counted in each closed minute.
async fn counted(metrics: &[Metric], seconds: u64) -> Vec<(Option<Count>, Option<Count>)> {
    let began = Timestamp::from_second(600).unwrap();
    let clock = Clock::starting_at(began);
    let prober = Prober::start(metrics, &web().0, clock, &Cancel::default());
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let minutes = prober.minutes(0, &Window::between(began, clock.now()));
    minutes.into_iter().map(|minute| (minute.canary, minute.baseline)).collect()
}

#[test]
fn an_answer_with_another_status_and_none_at_all_are_bad() {
    for (host, bad) in [("good", 0), ("moved", 30), ("down", 30), ("mute", 30)] {
        let counts = virtually(counted(&probe(host, "good", 30), 130));
        let count = |bad| Some(Count { total: 30, bad });
        assert_eq!(counts, [(count(bad), count(0)), (count(bad), count(0))], "{host}");
    }
}

#[test]
fn the_pace_is_even_and_bounded() {
    virtually(async {
        let (web, hosts) = web();
        let clock = Clock::starting_at(Timestamp::from_second(600).unwrap());
        let _prober = Prober::start(&probe("mute", "mute", 600), &web, clock, &Cancel::default());
        tokio::time::sleep(Duration::from_millis(1050)).await;
        assert_eq!(hosts.0.load(Ordering::Relaxed), 22);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let most = (61 * 10 + 12) * 2;
        assert!(hosts.0.load(Ordering::Relaxed) <= most);
    });
}

#[test]
fn they_stop_with_the_bake_and_with_a_cancel() {
    virtually(async {
        for cancelled in [true, false] {
            let ((web, hosts), cancel) = (web(), Cancel::default());
            let clock = Clock::starting_at(Timestamp::from_second(600).unwrap());
            let prober = Prober::start(&probe("good", "good", 60), &web, clock, &cancel);
            tokio::time::sleep(Duration::from_millis(2500)).await;
            let kept = if cancelled {
                cancel.raise(Urgency::Cancel);
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
