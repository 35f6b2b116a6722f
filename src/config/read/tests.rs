//! Errors of blocks, each on its line with what to write.

use super::super::tree::parse;
use super::*;

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Block {
    cluster: String,
    count: Option<u32>,
    inner: Option<Inner>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Inner {
    names: Vec<String>,
}

fn problems(text: &str) -> Vec<String> {
    let node = parse("f.yml", text).unwrap();
    let problems = read::<Block>("f.yml", "service `a`", &node).unwrap_err();
    problems
        .iter()
        .map(|p| format!("{}:{} {p}", p.location.as_ref().unwrap().line, p.location.as_ref().unwrap().column))
        .collect()
}

#[test]
fn every_error_is_reported_on_its_own_line() {
    insta::assert_snapshot!(problems("clustr: a\ncount: many\ninner:\n  names: [1, b]\n  nams: []\ncluster: 12\n").join("\n"), @r#"
    1:1 `clustr` is not a key of service `a`. Did you mean `cluster`? Known: `cluster`, `count`, `inner`.
    2:8 `count` of service `a` is the text `many`, but must be a whole number.
    4:11 `inner.names.0` of service `a` is `1`, but must be text. Put the value in quotes: `"1"`.
    5:3 `nams` is not a key of service `a` (in `inner`). Did you mean `names`? Known: `names`.
    6:10 `cluster` of service `a` is `12`, but must be text. Put the value in quotes: `"12"`.
    "#);
}

#[test]
fn errors_of_a_block_are_limited() {
    let lines: String = (0..2000).map(|number| format!("key{number}: x\n")).collect();
    let found = problems(&format!("cluster: a\n{lines}"));
    assert_eq!(found.len(), 21);
    assert!(found[20].contains("more errors in service `a`"), "{}", found[20]);
}

#[test]
fn valid_block_is_read() {
    let node = parse("f.yml", "cluster: a\ncount: 3\n").unwrap();
    assert_eq!(read::<Block>("f.yml", "x", &node).unwrap().cluster, "a");
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Variables {
    #[serde(default, deserialize_with = "crate::config::written_texts")]
    values: std::collections::BTreeMap<String, String>,
    count: Option<u8>,
}

#[test]
fn numbers_and_booleans_as_values_are_taken_as_they_are_written() {
    let text = "values: { A: 1.10, B: 22, C: true, D: False, E: -1, F: 0123, G: 1e3, H: \"x\", I: 1.0, J: 10000000000000000000000, K: ~x }\n";
    let node = parse("f.yml", text).unwrap();
    let read: Variables = read("f.yml", "x", &node).unwrap();
    let values: Vec<&str> = read.values.values().map(String::as_str).collect();
    assert_eq!(
        values,
        ["1.10", "22", "true", "False", "-1", "0123", "1e3", "x", "1.0", "10000000000000000000000", "~x"]
    );
}

#[test]
fn values_that_are_no_text_are_reported_beside_those_that_are() {
    let node = parse("f.yml", "values:\n  A: 1\n  B:\n  C: [x]\n  D: { y: 1 }\ncount: 300\n").unwrap();
    let problems = read::<Variables>("f.yml", "x", &node).unwrap_err();
    let lines: Vec<String> =
        problems.iter().map(|p| format!("{} {p}", p.location.as_ref().unwrap().line)).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    3 `values.B` of x has no value. For an empty text, write `""`.
    4 `values.C` of x is a list, but must be text, a number, `true` or `false`. Write the value itself, without `- ` and without `[ ]`.
    5 `values.D` of x is a block of keys, but must be text, a number, `true` or `false`.
    6 `count` of x is `300`, which is too small or too large.
    "#);
}

/// Items that were removed from a list do not move the lines of those after them.
#[test]
fn every_wrong_item_of_a_list_is_reported_on_its_line() {
    let found = problems("cluster: a\ninner:\n  names:\n    - 1\n    - b\n    - 2\n    - c\n    - [d]\n");
    let lines: Vec<&str> = found.iter().map(|text| text.split(' ').next().unwrap()).collect();
    assert_eq!(lines, ["4:7", "6:7", "8:7"], "{found:?}");
}
