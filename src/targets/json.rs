//! Values in the answers of APIs that are written in Go, whatever the target.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

/// A time; none where it is missing or cannot be read.
pub(super) fn lenient_timestamp<'d, D: Deserializer<'d>>(input: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(input)?;
    Ok(text.and_then(|text| text.parse().ok()))
}
