//! Image edits of files as they are found in the wild, and of files as nobody writes them: only the bytes of the
//! value change.

mod corpus;
mod generator;
mod property;
mod yaml_writer;

use corpus::{CorpusCase, SHAPE_COUNT, generate_corpus_case};
use generator::generate_case;
use roadstead::manifest::{self, FileKind};
use yaml_writer::EditCase;

#[allow(unreachable_pub, reason = "a crate of its own uses it too")]
#[path = "../../fuzz/body.rs"]
mod body;

/// Every file changes exactly where its generator put the value, once.
#[test]
fn fifteen_hundred_files_keep_every_other_byte() {
    let mut kinds = std::collections::BTreeMap::new();
    for seed in 0..1500 {
        let EditCase { shape_name: shape, location: spot, update, before, after, changed_values: values } =
            generate_case(seed);
        let name = format!("seed {seed}, {shape}");
        let edited = match manifest::edit_image(before.as_bytes(), &spot, &update) {
            Ok(edited) => edited,
            Err(refusal) => panic!("{name}: {refusal:?}\n{before}"),
        };
        let now = String::from_utf8(edited.bytes).unwrap();
        assert_eq!(now, after, "{name}");
        assert_eq!(edited.replacements.len(), values, "{name}: {:?}\n{before}", edited.replacements);
        for it in &edited.replacements {
            let line = now.lines().nth(it.line - 1).unwrap();
            let at = line.chars().skip(it.column - 1).collect::<String>();
            let added = it.from.is_none() && it.path == "images[0]";
            let to = if added { "name: " } else { it.to.as_deref().unwrap_or_default() };
            assert!(at.trim_start_matches(['"', '\'']).starts_with(to), "{name}: {line} {it:?}");
        }
        let found = manifest::find_image(now.as_bytes(), &spot, &update.image).unwrap();
        assert_eq!(found.image.map(|it| it.to_string()), Some(update.image.to_string()), "{name}\n{now}");
        assert!(
            manifest::edit_image(now.as_bytes(), &spot, &update).unwrap().replacements.is_empty(),
            "{name}"
        );
        body::check_edit(before.as_bytes(), &spot, &update);
        *kinds.entry(shape).or_insert(0) += 1;
    }
    assert!(kinds.len() >= 12 && kinds.values().all(|n| *n >= 40), "{kinds:?}");
}

/// What is wrong with the outcome of a case, if anything.
fn corpus_fault(seed: u64, CorpusCase { edit, rejection }: &CorpusCase) -> Option<String> {
    let name = format!("seed {seed}, {}", edit.shape_name);
    let edited = manifest::edit_image(edit.before.as_bytes(), &edit.location, &edit.update);
    let now = match (edited, rejection) {
        (Err(refusal), Some(reason)) if refusal.reason.contains(reason) => return None,
        (Err(refusal), _) => return Some(format!("{name}: {refusal:?}\n{}", edit.before)),
        (Ok(edited), _) => String::from_utf8(edited.bytes).unwrap(),
    };
    if rejection.is_some() || now != edit.after {
        return Some(format!("{name}: {:?}\n{now}\n--- wanted\n{}", edit.location, edit.after));
    }
    let found = manifest::find_image(now.as_bytes(), &edit.location, &edit.update.image).unwrap();
    let wanted = Some(edit.update.image.to_string());
    let again = manifest::edit_image(now.as_bytes(), &edit.location, &edit.update).unwrap();
    let read = found.image.map(|it| it.to_string());
    (read != wanted || !again.replacements.is_empty()).then(|| format!("{name}: read as {read:?}\n{now}"))
}

/// Files of Argo CD, Flux, Tekton and of charts: the value changes where it is, and no other byte, or the true reason is
/// given.
#[test]
fn shapes_that_people_have_are_edited_or_rejected_with_the_reason() {
    let count = 100 * SHAPE_COUNT as u64;
    let faults: Vec<String> =
        (0..count).filter_map(|seed| corpus_fault(seed, &generate_corpus_case(seed))).collect();
    let share = faults.len() as f64 / count as f64;
    assert!(
        faults.is_empty(),
        "{} of {count} ({share:.3}):\n{}",
        faults.len(),
        faults[..faults.len().min(8)].join("\n===\n")
    );
}

/// The command line finds the same places by itself.
#[test]
fn file_kind_is_detected() {
    for seed in 0..300 {
        let case = generate_case(seed);
        let wanted = match case.shape_name {
            shape if shape.starts_with("kustom") => FileKind::Kustomize,
            shape if shape.starts_with("values") => FileKind::Values,
            _ => FileKind::Manifest,
        };
        assert_eq!(
            manifest::detect_kind("file.yaml", case.before.as_bytes()),
            wanted,
            "{}\n{}",
            case.shape_name,
            case.before
        );
    }
}

/// Files with a few bytes wrong: the body of the fuzzer, a bounded number of times, always the same.
#[test]
fn damaged_files_are_rejected_or_edited_correctly() {
    let rounds = std::env::var("FUZZ_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(3_000);
    for seed in 0..rounds {
        let mut random = fastrand::Rng::with_seed(seed ^ 0x9e37_79b9);
        let mut bytes = generate_case(seed % 1500).before.into_bytes();
        for _ in 0..random.usize(0..6) {
            damage_bytes(&mut bytes, &mut random);
        }
        let mut data = vec![random.u8(..), random.u8(..)];
        data.append(&mut bytes);
        body::check_input(&data);
    }
}

fn damage_bytes(bytes: &mut Vec<u8>, random: &mut fastrand::Rng) {
    const BITS: [&str; 28] = [
        "&a ",
        "*a",
        "<<: *a",
        "? ",
        ": ",
        "- ",
        "\t",
        "\"",
        "'",
        "{",
        "}",
        "[",
        "]",
        "#",
        " # x",
        "\n",
        "\r\n",
        "|\n",
        ">-\n",
        "{{ .x }}",
        "---\n",
        "...\n",
        "\u{feff}",
        "é",
        "!!str ",
        "!x ",
        ",",
        "image: app:v1\n",
    ];
    let at = random.usize(0..=bytes.len());
    match random.u8(0..5) {
        0 if at < bytes.len() => drop(bytes.remove(at)),
        1 if at < bytes.len() => bytes[at] = random.u8(..),
        2 => {
            let end = (at + random.usize(0..40)).min(bytes.len());
            let piece = bytes[at..end].to_vec();
            let to = random.usize(0..=bytes.len());
            bytes.splice(to..to, piece);
        }
        _ => drop(bytes.splice(at..at, random.choice(BITS).unwrap_or_default().bytes())),
    }
}
