//! Plain values of YAML: what is a number, a boolean, nothing, or text.

use serde_json::{Number, Value};

/// A plain scalar by the core schema of YAML 1.2 (chapter 10.3.2), without octal and hexadecimal numbers: anything
/// not certainly a number, a boolean or null stays text.
pub(super) fn resolve_scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let decimal = digits == "0" || (digits.starts_with(|c: char| ('1'..='9').contains(&c)));
    if decimal && let Ok(number) = text.parse::<i64>() {
        return Value::Number(number.into());
    }
    let fraction = digits.starts_with(|c: char| c.is_ascii_digit()) && digits.contains('.');
    if fraction
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && let Some(number) = text.parse::<f64>().ok().and_then(Number::from_f64)
    {
        return Value::Number(number);
    }
    Value::String(text.to_owned())
}
