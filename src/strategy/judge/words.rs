//! Why the judge ruled so, for people. Rates are shown in percent, differences in percentage points.

use super::bound::least_sample;
use super::ledger::{LAST, Ledger, Scales};
use super::opinion::{Finding, MOST_EVIDENCE, shown};
use super::{Count, Ruling};

/// The reason of the ruling over all metrics.
pub(super) fn opinion(ruling: Ruling, findings: &[Finding]) -> String {
    if findings.is_empty() {
        return "nothing was measured".into();
    }
    let decisive = findings.iter().filter(|finding| finding.ruling == ruling);
    let told: Vec<String> = decisive.map(|finding| format!("{}: {}", finding.name, finding.reason)).collect();
    told.join("; ")
}

/// The reason of one metric's ruling.
pub(super) fn finding(ruling: Ruling, ledger: &Ledger, scales: &Scales) -> String {
    match ruling {
        Ruling::Fail => format!("{}; {}", both(ledger), evidence(ledger, scales)),
        Ruling::Pass => bound(ledger, scales),
        Ruling::Undecided => format!("{}; {}", both(ledger), evidence(ledger, scales)),
        Ruling::Inconclusive => doubt(ledger, scales),
    }
}

fn doubt(ledger: &Ledger, scales: &Scales) -> String {
    let (used, rejected) = ledger.minutes();
    if ledger.is_mislabelled() {
        return mislabelled(ledger);
    }
    if used == 0 {
        return "no minute has counts of both versions".into();
    }
    if ledger.silent() >= LAST {
        return format!("the counts of the last {} minutes are missing", ledger.silent());
    }
    if ledger.has_gaps() {
        return format!("the counts of {rejected} of {} minutes are missing", used + rejected);
    }
    if ledger.is_grave(scales) {
        let (both, evidence) = (both(ledger), evidence(ledger, scales));
        return format!("{both}, but the bad ones come in bursts that prove little; {evidence}");
    }
    if !ledger.has_enough(scales) {
        let need = (least_sample(ledger.settings().margin) * scales.dispersion).ceil() as u64;
        let had = grouped(ledger.sums().0.total);
        return format!("the canary had {had} requests, and at least {} are needed", grouped(need));
    }
    format!("{}; {}", bound(ledger, scales), evidence(ledger, scales))
}

fn mislabelled(ledger: &Ledger) -> String {
    let (canary, baseline) = ledger.sums();
    let seen = canary.total as f64 / (canary.total + baseline.total).max(1) as f64;
    let configured = ledger.share().unwrap_or_default();
    format!(
        "the canary got {} of the traffic where {} was configured, so it is not certain whose counts these are",
        percent(seen),
        percent(configured)
    )
}

fn both(ledger: &Ledger) -> String {
    let (canary, baseline) = ledger.sums();
    let arm = |count: Count| {
        let rate = count.rate().map_or("–".to_owned(), percent);
        format!("{rate} of {} requests", grouped(count.total))
    };
    format!("bad were {} of the canary, and {} of the baseline", arm(canary), arm(baseline))
}

fn evidence(ledger: &Ledger, scales: &Scales) -> String {
    let limit = shown(ledger.limit());
    format!(
        "the evidence against it is {} where {} is needed to stop it",
        number(scales.shown()),
        number(limit)
    )
}

fn bound(ledger: &Ledger, scales: &Scales) -> String {
    let limit = points(ledger.settings().margin);
    match scales.upper {
        None => "one of the versions had no requests".into(),
        Some(upper) if upper <= 0.0 => {
            format!("with 95 % confidence the canary is no worse (limit {limit} percentage points)")
        }
        Some(upper) => format!(
            "with 95 % confidence the canary is at most {} percentage points worse (limit {limit})",
            points(upper)
        ),
    }
}

/// A share in percent: `0.09 %`.
fn percent(share: f64) -> String {
    format!("{} %", points(share))
}

/// A share in percentage points.
fn points(share: f64) -> String {
    let points = 100.0 * share;
    if points.abs() < 1.0 { format!("{points:.2}") } else { format!("{points:.1}") }
}

/// A measure of evidence: one decimal where it is small, and no more than is worth telling.
pub fn number(value: f64) -> String {
    match value {
        _ if value >= MOST_EVIDENCE => format!("more than {}", grouped(MOST_EVIDENCE as u64)),
        _ if value < 10.0 => format!("{value:.1}"),
        _ => grouped(value.round() as u64),
    }
}

/// A number with commas between thousands.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
