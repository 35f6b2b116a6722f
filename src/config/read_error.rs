//! What serde reports about a block, as values, and in the words of the deploy file. None of serde's own words is shown.

use serde_json::Value;

use super::tree::{ConfigNode, ConfigValue};
use super::written_text::{WRITTEN_DIGITS, WRITTEN_VALUE};

/// An error of reading a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ReadError {
    /// A key that the block does not have, and those that it has.
    UnknownKey(String, Vec<String>),
    /// A name that is none of these.
    UnknownName(String, Vec<String>),
    /// A required key.
    MissingKey(String),
    /// A value of another form.
    WrongForm(WantedForm),
    /// A text of ours: the end of a sentence about the value.
    Rejected(String),
}

/// The form that a value must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WantedForm {
    Text,
    /// Text that may be written as a number or boolean: a value in a mapping of such values.
    WrittenValue,
    /// The same for a single key.
    WrittenDigits,
    Boolean,
    WholeNumber,
    Number,
    List,
    /// Values by names that the user chooses.
    Names,
    /// Keys that the deploy file defines.
    Block,
    /// One name, or one key, of several.
    Choice,
    /// No value.
    Nothing,
    /// As a type of ours describes it.
    Described(String),
}

impl ReadError {
    /// Reads the text of an error.
    pub(super) fn parse(error: &str) -> Self {
        if let Some((name, known)) = parse_unknown(error, "unknown field `") {
            return Self::UnknownKey(name, known);
        }
        if let Some((name, known)) = parse_unknown(error, "unknown variant `") {
            return Self::UnknownName(name, known);
        }
        if let Some((key, _)) = error.strip_prefix("missing field `").and_then(|rest| rest.split_once('`')) {
            return Self::MissingKey(key.to_owned());
        }
        if error.starts_with("data did not match any variant") {
            return Self::WrongForm(WantedForm::Described("in one of the forms of the documentation".into()));
        }
        match parse_wanted(error) {
            Some(wanted) => Self::WrongForm(WantedForm::parse(wanted)),
            None => Self::Rejected(error.to_owned()),
        }
    }
}

/// serde's "unknown field `x`, expected one of `a`, `b`".
fn parse_unknown(error: &str, prefix: &str) -> Option<(String, Vec<String>)> {
    let (name, rest) = error.strip_prefix(prefix)?.split_once('`')?;
    Some((name.to_owned(), rest.split('`').skip(1).step_by(2).map(str::to_owned).collect()))
}

/// What was expected, of serde's "invalid type: integer `1`, expected a string".
fn parse_wanted(error: &str) -> Option<&str> {
    let is_serde = ["invalid type: ", "invalid value: ", "invalid length "].iter();
    is_serde.clone().any(|prefix| error.starts_with(prefix)).then_some(())?;
    error.rsplit_once(", expected ").map(|(_, wanted)| wanted)
}

impl WantedForm {
    fn parse(wanted: &str) -> Self {
        let first = wanted.split(' ').next().unwrap_or_default();
        match wanted {
            WRITTEN_VALUE => Self::WrittenValue,
            WRITTEN_DIGITS => Self::WrittenDigits,
            "a string" | "a character" | "string" => Self::Text,
            "a boolean" | "bool" => Self::Boolean,
            "a map" => Self::Names,
            "a sequence" | "an array" => Self::List,
            "unit" | "null" => Self::Nothing,
            "string or map" | "map with a single key" | "newtype variant" | "struct variant" => Self::Choice,
            _ => match first {
                "struct" | "internally" => Self::Block,
                "enum" | "variant" => Self::Choice,
                "tuple" => Self::List,
                "an" if wanted.starts_with("an array") => Self::List,
                "f32" | "f64" => Self::Number,
                _ if is_integer_name(first) => Self::WholeNumber,
                _ => Self::Described(wanted.to_owned()),
            },
        }
    }

    /// The form, as the end of "must be …".
    pub(super) fn describe(&self) -> &str {
        match self {
            Self::Text => "text",
            Self::WrittenValue => WRITTEN_VALUE,
            Self::WrittenDigits => WRITTEN_DIGITS,
            Self::Boolean => "`true` or `false`",
            Self::WholeNumber => "a whole number",
            Self::Number => "a number",
            Self::List => "a list",
            Self::Names => "names with their values",
            Self::Block => "a block of keys",
            Self::Choice => "one of the names that are known here",
            Self::Nothing => "empty",
            Self::Described(text) => text,
        }
    }
}

fn is_integer_name(word: &str) -> bool {
    let digits = word.strip_prefix(['u', 'i']).unwrap_or_default();
    digits == "size" || (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What a value is, as the predicate of a sentence.
pub(super) fn describe_given(node: &ConfigNode) -> String {
    match &node.kind {
        ConfigValue::Scalar(Value::Null) => "has no value".into(),
        ConfigValue::Scalar(Value::String(text)) if is_showable(text) => format!("is the text `{text}`"),
        ConfigValue::Scalar(Value::String(_)) => "is text".into(),
        ConfigValue::Scalar(value) => {
            let written = node.written.clone().unwrap_or_else(|| value.to_string());
            format!("is `{written}`")
        }
        ConfigValue::Sequence(_) => "is a list".into(),
        ConfigValue::Mapping(entries) if entries.is_empty() => "is an empty block".into(),
        ConfigValue::Mapping(_) => "is a block of keys".into(),
    }
}

/// Whether a value may be repeated in a message: it is short, and no URL, which may carry a secret.
pub(super) fn is_showable(text: &str) -> bool {
    let is_plain = text.chars().all(|c| !c.is_control() && c != '`');
    !text.is_empty() && text.len() <= 80 && !text.contains("://") && is_plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_of_serde_becomes_a_value() {
        for (error, read) in [
            (
                "unknown field `a`, expected one of `b`, `c`",
                ReadError::UnknownKey("a".into(), vec!["b".into(), "c".into()]),
            ),
            ("unknown field `a`, there are no fields", ReadError::UnknownKey("a".into(), Vec::new())),
            ("unknown variant `a`, expected `b`", ReadError::UnknownName("a".into(), vec!["b".into()])),
            ("missing field `a`", ReadError::MissingKey("a".into())),
            ("invalid type: integer `1`, expected a string", ReadError::WrongForm(WantedForm::Text)),
            (
                "invalid type: string \", expected u8\", expected struct Build",
                ReadError::WrongForm(WantedForm::Block),
            ),
            ("invalid value: integer `-1`, expected u32", ReadError::WrongForm(WantedForm::WholeNumber)),
            (
                "invalid length 3, expected struct Build with 2 elements",
                ReadError::WrongForm(WantedForm::Block),
            ),
            ("`x` is not a URL", ReadError::Rejected("`x` is not a URL".into())),
        ] {
            assert_eq!(ReadError::parse(error), read, "{error}");
        }
    }
}
