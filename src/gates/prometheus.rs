//! Counts from a Prometheus server: one range query for all, one for the bad requests of each version.
//! <https://prometheus.io/docs/prometheus/latest/querying/api/>

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::Compared;
use super::window::{Span, Window};
use crate::config;
use crate::problem::{Code, Problem};
use crate::strategy::judge::{Count, Minute};
use crate::sys::web::Web;

/// A scrape and its ingestion take less.
pub const LAG: Span = Span(Duration::from_secs(60));
/// How long one query may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Times that an answer of the server is quoted for.
const QUOTE: usize = 300;

type Points = BTreeMap<i64, f64>;

/// The counts of both versions in each minute. What the server gives no number for is missing; an error means that it
/// gave no usable answer at all.
pub async fn minutes(
    web: &Web,
    settings: &config::Prometheus,
    compared: &Compared<'_>,
    window: &Window,
) -> Result<Vec<Minute>, Problem> {
    let Some((first, end)) = window.bounds(LAG) else { return Ok(Vec::new()) };
    let arms = [("canary", &compared.canary.label), ("baseline", &compared.baseline.label)];
    let ask = |query: &str, (arm, version): (&str, &String)| {
        let url = address(settings.url.as_str(), &filled(query, arm, version), first, end);
        async move {
            let page = web.get(&url, PATIENCE).await.map_err(|why| unreadable(settings, &why))?;
            points(page.status, &page.body).map_err(|why| unreadable(settings, &why))
        }
    };
    let (total, bad) = (settings.total.as_str(), settings.bad.as_str());
    let all = futures::future::try_join4(
        ask(total, arms[0]),
        ask(bad, arms[0]),
        ask(total, arms[1]),
        ask(bad, arms[1]),
    );
    let (canary_total, canary_bad, baseline_total, baseline_bad) = all.await?;
    let canary = (canary_total, canary_bad);
    let baseline = (baseline_total, baseline_bad);
    Ok(super::beside(window, LAG, |is_canary, at| {
        let (total, bad) = if is_canary { &canary } else { &baseline };
        // The value at the end of a minute is about that minute.
        Count::read(*total.get(&(at + 60))?, *bad.get(&(at + 60))?)
    }))
}

fn unreadable(settings: &config::Prometheus, why: &str) -> Problem {
    let sentence = format!("The metric `{}` could not be read from Prometheus.", settings.name);
    Problem::error(Code::MetricsUnreadable, sentence).cause(why.chars().take(QUOTE).collect::<String>())
}

/// A query for one version, its values as text inside of a quoted label value (invariant I7).
fn filled(query: &str, arm: &str, version: &str) -> String {
    query.replace("{{arm}}", arm).replace("{{version}}", &escaped(version))
}

/// Text that stays inside of the quotes of a label value, whichever of the three kinds they are: what could end them,
/// or does not belong into a name, is written as an escape or left out.
fn escaped(text: &str) -> String {
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

/// The address of a query over minutes that begin at `first` and are over at `end`.
fn address(server: &str, query: &str, first: i64, end: i64) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("query", query)
        .append_pair("start", &(first + 60).to_string())
        .append_pair("end", &end.to_string())
        .append_pair("step", "60")
        .append_pair("timeout", &format!("{}s", PATIENCE.as_secs()));
    format!("{}/api/v1/query_range?{}", server.trim_end_matches('/'), form.finish())
}

/// The points of an answer by their second. Errors when it is no answer, or about more than one series: which of them
/// is meant is not ours to guess.
fn points(status: u16, body: &[u8]) -> Result<Points, String> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|_| format!("it answered {status} with something that is not JSON"))?;
    if value["status"] != "success" {
        let kind = value["errorType"].as_str().unwrap_or("error");
        return Err(format!("it answered {status}, {kind}: {}", value["error"].as_str().unwrap_or_default()));
    }
    let result = value["data"]["result"].as_array().filter(|_| value["data"]["resultType"] == "matrix");
    let result = result.ok_or("the answer is not a range of values")?;
    match result.as_slice() {
        [] => Ok(Points::new()),
        [one] => Ok(one["values"].as_array().into_iter().flatten().filter_map(point).collect()),
        several => Err(format!(
            "the query gives {} series, and one is needed: put `sum(…)` around it",
            several.len()
        )),
    }
}

/// A time and its number; NaN and infinities are no counts.
fn point(pair: &Value) -> Option<(i64, f64)> {
    let at = pair.get(0)?.as_f64().filter(|at| at.fract() == 0.0)?;
    let value: f64 = pair.get(1)?.as_str()?.parse().ok()?;
    value.is_finite().then_some((at as i64, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_version_leaves_its_quotes() {
        let query = r#"sum(increase(r_total{v="{{version}}",a='{{arm}}'}[1m]))"#;
        let hostile = "a\"} or vector(1) #\\\n'`";
        insta::assert_snapshot!(filled(query, "canary", hostile), @r#"sum(increase(r_total{v="a\"} or vector(1) #\\\n\'",a='canary'}[1m]))"#);
    }

    #[test]
    fn the_address_asks_for_the_end_of_each_minute() {
        let url = address("https://p.example/x/", "up{a=\"b\"}", 600, 780);
        assert_eq!(
            url,
            "https://p.example/x/api/v1/query_range?query=up%7Ba%3D%22b%22%7D&start=660&end=780&step=60&timeout=5s"
        );
    }

    fn answer(result: &str) -> Vec<u8> {
        let text = r#"{"status":"success","data":{"resultType":"matrix","result":RESULT}}"#;
        text.replace("RESULT", result).into_bytes()
    }

    #[test]
    fn what_is_no_number_is_missing() {
        let body = answer(
            r#"[{"metric":{},"values":[[660,"10"],[720,"NaN"],[780,"+Inf"],[840,"-Inf"],[900,"0"],[960.5,"1"],[1020,7]]}]"#,
        );
        let read = points(200, &body).unwrap();
        assert_eq!(read.into_iter().collect::<Vec<_>>(), [(660, 10.0), (900, 0.0)]);
        assert_eq!(points(200, &answer("[]")), Ok(Points::new()));
    }

    #[test]
    fn an_error_or_several_series_are_no_answer() {
        let error = br#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
        assert_eq!(points(400, error), Err("it answered 400, bad_data: parse error".into()));
        assert!(points(502, b"<html>").unwrap_err().contains("502"));
        let two = answer(r#"[{"values":[[660,"1"]]},{"values":[[660,"1"]]}]"#);
        assert!(points(200, &two).unwrap_err().contains("2 series"));
        let scalar = br#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#;
        assert!(points(200, scalar).is_err());
    }
}
