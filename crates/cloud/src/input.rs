//! Reading members of a call's input, and cutting answers into pages: the habits that AWS's services share.

use serde_json::Value;

/// A text member; empty when absent.
pub fn str_field<'a>(input: &'a Value, name: &str) -> &'a str {
    input.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A list of text; empty when absent.
pub fn str_list_field(input: &Value, name: &str) -> Vec<String> {
    list_field(input, name).iter().filter_map(|item| item.as_str().map(String::from)).collect()
}

/// A list; empty when absent.
pub fn list_field<'a>(input: &'a Value, name: &str) -> &'a [Value] {
    input.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A positive number; `None` when absent or not positive.
pub fn count_field(input: &Value, name: &str) -> Option<usize> {
    input.get(name).and_then(Value::as_u64).filter(|n| *n > 0).and_then(|n| usize::try_from(n).ok())
}

/// One page of `items`, at most `limit` long, and the token of the next. The token is opaque to clients, and `None`
/// comes back for one that was not issued here.
pub fn paginate<T>(items: Vec<T>, limit: usize, token: &str) -> Option<(Vec<T>, Option<String>)> {
    let from = match token {
        "" => 0,
        token => usize::from_str_radix(token.strip_prefix("page-")?, 16)
            .ok()
            .filter(|from| *from <= items.len())?,
    };
    let next = from.saturating_add(limit);
    let more = (next < items.len()).then(|| format!("page-{next:08x}"));
    Some((items.into_iter().skip(from).take(limit).collect(), more))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_to_the_end() {
        let (first, token) = paginate(vec![1, 2, 3], 2, "").unwrap();
        assert_eq!(first, [1, 2]);
        let (last, none) = paginate(vec![1, 2, 3], 2, &token.unwrap()).unwrap();
        assert_eq!((last.as_slice(), none), ([3].as_slice(), None));
        assert_eq!(paginate(vec![1], 2, "forged"), None);
        assert_eq!(paginate(vec![1], 2, "page-ffff"), None);
    }
}
