//! Traffic through load balancers: how much there is, where weights and healthy targets lead it, what the versions make of it
//! minute by minute, and the metrics that CloudWatch shows of it. It changes nothing else in the world.

/// Random counts.
pub mod distributions;
/// Percentiles and shares of response times.
pub mod latency;
/// GetMetricData.
pub mod metrics;
/// Where traffic goes at one moment.
pub mod routing;
/// Traffic in a scenario file.
pub mod settings;
/// Minute by minute.
pub mod stream;
