//! Query answers: members to XML, lists as `<member>`, errors as `<ErrorResponse>`.

use std::fmt::Write as _;

use serde_json::Value;

use super::shapes;
use crate::request::ServiceError;
use crate::service::find_service;
use crate::time;

fn namespace(service: &str) -> &'static str {
    find_service(service).protocol().query().map_or("", |query| query.namespace)
}

/// `<XResponse><XResult>…</XResult><ResponseMetadata>…`.
pub(super) fn write_body(service: &str, operation: &str, value: &Value, id: &str) -> Vec<u8> {
    let mut out = format!("<{operation}Response xmlns=\"{}\">", namespace(service));
    write_element(&mut out, &format!("{operation}Result"), "", value);
    let _ =
        write!(out, "<ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></{operation}Response>");
    out.into_bytes()
}

/// `<ErrorResponse><Error>…`.
pub(super) fn write_error(refusal: &ServiceError, id: &str) -> Vec<u8> {
    let fault = if refusal.status < 500 { "Sender" } else { "Receiver" };
    let mut out = format!("<ErrorResponse><Error><Type>{fault}</Type><Code>");
    write_escaped(&mut out, &refusal.code);
    out.push_str("</Code><Message>");
    write_escaped(&mut out, &refusal.message);
    let _ = write!(out, "</Message></Error><RequestId>{id}</RequestId></ErrorResponse>");
    out.into_bytes()
}

/// `tag` is what is written; `member` is the name in the model, which an item of a list takes from its list.
fn write_element(out: &mut String, tag: &str, member: &str, value: &Value) {
    if value.is_null() {
        return;
    }
    let _ = write!(out, "<{tag}>");
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| write_element(out, name, name, value));
        }
        Value::Array(items) => items.iter().for_each(|item| write_element(out, "member", member, item)),
        Value::String(text) => write_escaped(out, text),
        Value::Number(n) if shapes::is_timestamp(member) => {
            out.push_str(&time::iso8601(n.as_f64().unwrap_or_default()));
        }
        other => out.push_str(&other.to_string()),
    }
    let _ = write!(out, "</{tag}>");
}

/// Text for an element. Control characters that XML 1.0 cannot carry become U+FFFD.
fn write_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(c),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn structures_lists_timestamps_and_text_are_what_the_query_protocol_says() {
        let value = json!({ "Credentials": { "Expiration": 0.0 }, "L": ["a<b", "c&d"], "E": [], "N": null, "F": true });
        let xml = String::from_utf8(write_body("sts", "X", &value, "id")).unwrap();
        insta::assert_snapshot!(xml, @r#"<XResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><XResult><Credentials><Expiration>1970-01-01T00:00:00Z</Expiration></Credentials><L><member>a&lt;b</member><member>c&amp;d</member></L><E></E><F>true</F></XResult><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></XResponse>"#);
    }

    #[test]
    fn an_error_names_its_side() {
        let xml = String::from_utf8(write_error(&ServiceError::new("AccessDenied", "no <b>"), "id")).unwrap();
        insta::assert_snapshot!(xml, @"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no &lt;b&gt;</Message></Error><RequestId>id</RequestId></ErrorResponse>");
    }
}
