//! Text that everybody writes without quotes: numbers and booleans as values of variables and build arguments. They are
//! taken as the file has them, so `1.10` stays `1.10`.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// What [`WrittenText`] accepts. The reader of blocks recognizes it, and replaces a number by its text.
pub(super) const WRITTEN_VALUE: &str = "text, a number, `true` or `false`";
/// As [`WRITTEN_VALUE`], for a single key.
pub(super) const WRITTEN_DIGITS: &str = "text or a number";

/// The value of a variable, a label or a build argument. A number or a boolean is taken as it is written.
pub struct WrittenText(String);

struct TextVisitor(&'static str);

impl Visitor<'_> for TextVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
}

impl<'de> Deserialize<'de> for WrittenText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(TextVisitor(WRITTEN_VALUE)).map(Self)
    }
}

impl JsonSchema for WrittenText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "WrittenText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Text. A number, `true` or `false` is taken as it is written.",
            "type": ["string", "number", "boolean"],
        })
    }
}

/// Reads values by name, of which some may be numbers or booleans.
pub fn written_texts<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let read = BTreeMap::<String, WrittenText>::deserialize(from)?;
    Ok(read.into_iter().map(|(name, text)| (name, text.0)).collect())
}

/// Reads digits that are text, with or without quotes.
pub(super) fn written_digits<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    from.deserialize_str(TextVisitor(WRITTEN_DIGITS))
}
