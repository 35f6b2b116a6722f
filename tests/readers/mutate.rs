//! Damages what comes from outside: bytes of any kind, and JSON by its structure. All of it from the dice.

use fastrand::Rng;
use serde_json::{Value, json};

/// Whole answers that a proxy, an outage or an attacker sends.
const WHOLE: [&str; 9] = [
    "",
    "null",
    "[]",
    "{}",
    "\"x\"",
    "17",
    "<html><head><title>502 Bad Gateway</title></head></html>",
    "\u{feff}{}",
    "{\"a\":",
];

/// A damaged form of `bytes`.
pub(super) fn damage(dice: &mut Rng, bytes: &[u8]) -> Vec<u8> {
    match dice.u8(0..10) {
        0 => WHOLE[dice.usize(..WHOLE.len())].into(),
        1 => nested(dice).into_bytes(),
        2..=6 => damage_json(dice, bytes).unwrap_or_else(|| damage_bytes(dice, bytes)),
        _ => damage_bytes(dice, bytes),
    }
}

/// Deeper than any reader should follow, or longer than it should keep.
fn nested(dice: &mut Rng) -> String {
    match dice.u8(0..3) {
        0 => "[".repeat(dice.usize(100..20_000)),
        1 => "{\"a\":".repeat(dice.usize(100..20_000)),
        _ => format!("{{\"message\": \"{}\"}}", "x".repeat(dice.usize(1..200_000))),
    }
}

fn damage_bytes(dice: &mut Rng, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..dice.usize(1..5) {
        let at = dice.usize(..bytes.len() + 1);
        let end = (at + dice.usize(..40)).min(bytes.len());
        match dice.u8(0..5) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => bytes = [&bytes[..end], &bytes[at..]].concat(),
            3 => bytes.insert(at, dice.u8(..)),
            _ => bytes[at..end].iter_mut().for_each(|byte| *byte ^= 1 << (*byte % 8)),
        }
    }
    bytes
}

/// JSON with one value that is another, or missing; `None` for what is not JSON.
fn damage_json(dice: &mut Rng, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut value: Value = serde_json::from_slice(bytes).ok()?;
    let at = dice.usize(..count_values(&value));
    damage_value(dice, &mut value, &mut { at });
    Some(value.to_string().into_bytes())
}

fn count_values(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count_values).sum(),
        Value::Object(members) => members.values().map(count_values).sum(),
        _ => 0,
    }
}

/// Damages the value with this number, counted in depth.
fn damage_value(dice: &mut Rng, value: &mut Value, left: &mut usize) -> bool {
    if *left == 0 {
        *value = other_value(dice, value);
        return true;
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter_mut().any(|item| damage_value(dice, item, left)),
        Value::Object(members) => members.values_mut().any(|member| damage_value(dice, member, left)),
        _ => false,
    }
}

fn other_value(dice: &mut Rng, value: &Value) -> Value {
    let others = [
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(18_446_744_073_709_551_615_u64),
        json!(1e308),
        json!(""),
        json!([]),
        json!({}),
        json!([null]),
        json!("\u{202e}::error::x\r\n::set-output name=a::b"),
        json!("é".repeat(300)),
        json!([value]),
        json!({ "value": value }),
    ];
    others[dice.usize(..others.len())].clone()
}
