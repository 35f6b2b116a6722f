//! Edits of files of 100,000 lines, beside the limit of a second: `scripts/bench edit`.
// A benchmark may print, may look at the clock, and may fail loudly.
#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::expect_used, clippy::exit)]

use std::fmt::Write as _;
use std::time::Instant;

use roadstead::manifest::{self, HelmPin, ImageLocation, ImageUpdate};

const LINES: usize = 100_000;
const LIMIT_MS: f64 = 1000.0;
const ROUNDS: usize = 11;

fn main() {
    let update =
        ImageUpdate { image: "reg.io:5000/acme/app:v2".parse().expect("a reference"), pin: HelmPin::Digest };
    let container = ImageLocation::Container { name: "app".into() };
    let cases = [
        ("kustomization, last entry", kustomization(), ImageLocation::Kustomize { name: None }),
        ("Helm values, by path", values(), ImageLocation::from_values_path("service24999.image")),
        ("Helm values, by repository", values(), ImageLocation::ValuesByRepository),
        ("manifests, one named container", manifests(1), container),
        ("manifests, every container changes", manifests(12_500), ImageLocation::ContainersByRepository),
    ];
    println!("{:<38}{:>9}{:>9}{:>9}{:>12}", "edit of 100,000 lines", "KB", "changes", "median", "slowest");
    let mut missed = 0;
    for (name, text, spot) in cases {
        let (mut times, mut changes) = (Vec::new(), 0);
        for _ in 0..ROUNDS {
            let begin = Instant::now();
            let edited = manifest::edit_image(text.as_bytes(), &spot, &update).expect("an edit");
            times.push(begin.elapsed().as_secs_f64() * 1000.0);
            changes = edited.replacements.len();
        }
        times.sort_by(f64::total_cmp);
        let (median, slowest) = (times[ROUNDS / 2], times[ROUNDS - 1]);
        missed += usize::from(slowest > LIMIT_MS);
        let met = if slowest > LIMIT_MS { "MISSED" } else { "met" };
        println!(
            "{name:<38}{:>9}{changes:>9}{median:>6.0} ms{slowest:>9.0} ms   ≤ 1 s   {met}",
            text.len() / 1024
        );
    }
    std::process::exit(i32::from(missed > 0));
}

fn kustomization() -> String {
    let mut text = String::from("images:\n");
    for number in 0..LINES / 4 - 1 {
        let _ = write!(
            text,
            "- name: acme/other-{number}\n  # why\n  newName: reg.io/acme/{number}\n  newTag: v{number}\n"
        );
    }
    text + "- name: reg.io:5000/acme/app\n  newTag: v1\n"
}

fn values() -> String {
    let mut text = String::new();
    for number in 0..LINES / 4 {
        let repository = if number == LINES / 4 - 1 { "app" } else { "other" };
        let _ = write!(
            text,
            "service{number}: # one of many\n  image:\n    repository: reg.io:5000/acme/{repository}\n    tag: v1\n"
        );
    }
    text
}

fn manifests(ours: usize) -> String {
    let mut text = String::new();
    for number in 0..LINES / 8 {
        let (name, image) = if number < ours { ("app", "app") } else { ("other", "other") };
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{ name: pod-{number} }}\nspec:\n  containers:\n  - name: {name}\n    image: reg.io:5000/acme/{image}:v1\n"
        );
    }
    text
}
