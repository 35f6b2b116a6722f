//! Counts from a Prometheus server: one range query for all, one for the bad requests of each version.
//! <https://prometheus.io/docs/prometheus/latest/querying/api/>

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::ComparedVariants;
use super::window::{AnalysisWindow, IngestionLag};
use crate::config;
use crate::problem::{Code, Problem};
use crate::strategy::judge::{Count, Minute};
use crate::sys::http::HttpClient;

/// The maximum delay of a scrape and its ingestion.
pub const LAG: IngestionLag = IngestionLag(Duration::from_secs(60));
/// Timeout of one query.
const QUERY_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum length of a quoted server response.
const MAX_QUOTED_CHARS: usize = 300;

type Points = BTreeMap<i64, f64>;

/// The counts of both versions in each minute. A minute without a number is missing; an error means that the server
/// gave no usable response.
pub async fn minute_counts(
    web: &HttpClient,
    settings: &config::Prometheus,
    compared: &ComparedVariants<'_>,
    window: &AnalysisWindow,
) -> Result<Vec<Minute>, Problem> {
    let Some((first, end)) = window.bounds(LAG) else { return Ok(Vec::new()) };
    let variants = [("canary", &compared.canary.label), ("baseline", &compared.baseline.label)];
    let query_points = |query: &str, (variant, version): (&str, &String)| {
        let url = query_url(settings.url.as_str(), &fill_template(query, variant, version), first, end);
        async move {
            let page =
                web.get(&url, QUERY_TIMEOUT).await.map_err(|error| error.explain(unreadable(settings)))?;
            parse_points(page.status, &page.body).map_err(|why| unreadable_problem(settings, &why))
        }
    };
    let (total, bad) = (settings.total.as_str(), settings.bad.as_str());
    let all = futures::future::try_join4(
        query_points(total, variants[0]),
        query_points(bad, variants[0]),
        query_points(total, variants[1]),
        query_points(bad, variants[1]),
    );
    let (canary_total, canary_bad, baseline_total, baseline_bad) = all.await?;
    let canary = (canary_total, canary_bad);
    let baseline = (baseline_total, baseline_bad);
    Ok(super::pair_minutes(window, LAG, |is_canary, at| {
        let (total, bad) = if is_canary { &canary } else { &baseline };
        // The value at the end of a minute covers that minute.
        Count::from_numbers(*total.get(&(at + 60))?, *bad.get(&(at + 60))?)
    }))
}

fn unreadable_problem(settings: &config::Prometheus, why: &str) -> Problem {
    unreadable(settings).cause(why.chars().take(MAX_QUOTED_CHARS).collect::<String>())
}

fn unreadable(settings: &config::Prometheus) -> Problem {
    let sentence = format!("The metric `{}` could not be read from Prometheus.", settings.name);
    Problem::error(Code::MetricsUnreadable, sentence)
}

/// A query for one version, its values as text inside a quoted label value (invariant I7).
fn fill_template(query: &str, variant: &str, version: &str) -> String {
    query.replace("{{variant}}", variant).replace("{{version}}", &escape_label_value(version))
}

/// Text that stays inside the quotes of a label value, whichever of the three kinds they are: characters that could end
/// them, or do not belong into a name, are escaped or left out.
fn escape_label_value(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().filter(|c| *c != '`' && (!c.is_control() || *c == '\n')) {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\'' => out.push_str("\\'"),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
    out
}

/// The URL of a query over minutes that begin at `first` and end at `end`.
fn query_url(server: &str, query: &str, first: i64, end: i64) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("query", query)
        .append_pair("start", &(first + 60).to_string())
        .append_pair("end", &end.to_string())
        .append_pair("step", "60")
        .append_pair("timeout", &format!("{}s", QUERY_TIMEOUT.as_secs()));
    format!("{}/api/v1/query_range?{}", server.trim_end_matches('/'), form.finish())
}

/// The points of a response by their second. An error if it is not valid, or has more than one series: choosing
/// one would be a guess.
fn parse_points(status: u16, body: &[u8]) -> Result<Points, String> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|_| format!("it responded with {status} and a body that is not JSON"))?;
    if value["status"] != "success" {
        let kind = value["errorType"].as_str().unwrap_or("error");
        return Err(format!(
            "it responded with {status}, {kind}: {}",
            value["error"].as_str().unwrap_or_default()
        ));
    }
    let result = value["data"]["result"].as_array().filter(|_| value["data"]["resultType"] == "matrix");
    let result = result.ok_or("the response is not a range of values")?;
    match result.as_slice() {
        [] => Ok(Points::new()),
        [one] => Ok(one["values"].as_array().into_iter().flatten().filter_map(parse_point).collect()),
        several => {
            Err(format!("the query returns {} series instead of one: put `sum(…)` around it", several.len()))
        }
    }
}

/// A time and its number; NaN and infinities are not counts.
fn parse_point(pair: &Value) -> Option<(i64, f64)> {
    let at = pair.get(0)?.as_f64().filter(|at| at.fract() == 0.0)?;
    let value: f64 = pair.get(1)?.as_str()?.parse().ok()?;
    value.is_finite().then_some((at as i64, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fill_template_escapes_label_values() {
        let query = r#"sum(increase(r_total{v="{{version}}",a='{{variant}}'}[1m]))"#;
        let hostile = "a\"} or vector(1) #\\\n'`";
        insta::assert_snapshot!(fill_template(query, "canary", hostile), @r#"sum(increase(r_total{v="a\"} or vector(1) #\\\n\'",a='canary'}[1m]))"#);
    }

    #[test]
    fn query_url_covers_the_end_of_each_minute() {
        let url = query_url("https://p.example/x/", "up{a=\"b\"}", 600, 780);
        assert_eq!(
            url,
            "https://p.example/x/api/v1/query_range?query=up%7Ba%3D%22b%22%7D&start=660&end=780&step=60&timeout=5s"
        );
    }

    fn response(result: &str) -> Vec<u8> {
        let text = r#"{"status":"success","data":{"resultType":"matrix","result":RESULT}}"#;
        text.replace("RESULT", result).into_bytes()
    }

    #[test]
    fn parse_points_skips_values_that_are_not_numbers() {
        let body = response(
            r#"[{"metric":{},"values":[[660,"10"],[720,"NaN"],[780,"+Inf"],[840,"-Inf"],[900,"0"],[960.5,"1"],[1020,7]]}]"#,
        );
        let read = parse_points(200, &body).unwrap();
        assert_eq!(read.into_iter().collect::<Vec<_>>(), [(660, 10.0), (900, 0.0)]);
        assert_eq!(parse_points(200, &response("[]")), Ok(Points::new()));
    }

    #[test]
    fn parse_points_error_or_several_series_is_error() {
        let error = br#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
        assert_eq!(parse_points(400, error), Err("it responded with 400, bad_data: parse error".into()));
        assert!(parse_points(502, b"<html>").unwrap_err().contains("502"));
        let two = response(r#"[{"values":[[660,"1"]]},{"values":[[660,"1"]]}]"#);
        assert!(parse_points(200, &two).unwrap_err().contains("2 series"));
        let scalar = br#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#;
        assert!(parse_points(200, scalar).is_err());
    }
}
