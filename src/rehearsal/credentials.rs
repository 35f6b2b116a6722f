//! Whether a call's credentials are still good. Signatures are not verified: the cloud holds no secret keys.

use super::call::{Call, Refusal};
use super::world::World;

/// Checks the access key of a call at `now`, epoch seconds. Call it before any service.
///
/// Keys that STS issued (`ASIA…`) must be known and must not have expired; any other key is taken for a user's.
/// A request without a signature is let through, so that a plain `curl` can look at the cloud.
pub fn check(world: &World, call: &Call, now: f64) -> Result<(), Refusal> {
    let Some(key) = call.access_key.as_deref().filter(|key| key.starts_with("ASIA")) else { return Ok(()) };
    match world.sessions.get(key) {
        None => Err(unknown(call)),
        Some(session) if session.expires <= now => Err(expired(call)),
        Some(_) => Ok(()),
    }
}

/// The refusal for credentials that ran out. The services of the query protocol spell its code otherwise.
pub fn expired(call: &Call) -> Refusal {
    let words = "The security token included in the request is expired";
    match speaks_query(&call.service) {
        true => Refusal { status: 403, code: "ExpiredToken".into(), message: words.into() },
        false => Refusal::new("ExpiredTokenException", words),
    }
}

fn unknown(call: &Call) -> Refusal {
    let words = "The security token included in the request is invalid";
    match speaks_query(&call.service) {
        true => Refusal { status: 403, code: "InvalidClientTokenId".into(), message: words.into() },
        false => Refusal::new("UnrecognizedClientException", words),
    }
}

/// Whether the service's errors are those of the query protocol.
pub fn speaks_query(service: &str) -> bool {
    ["sts", "iam", "elasticloadbalancing"].contains(&service)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rehearsal::world::Session;

    fn refused(service: &str, key: Option<&str>, now: f64) -> Option<(u16, String)> {
        let session = Session { issued: 0.0, expires: 900.0, arn: String::new() };
        let world = World { sessions: [("ASIA1".to_owned(), session)].into(), ..World::default() };
        let call = Call {
            service: service.into(),
            operation: "X".into(),
            input: json!({}),
            region: String::new(),
            access_key: key.map(String::from),
        };
        check(&world, &call, now).err().map(|refusal| (refusal.status, refusal.code))
    }

    #[test]
    fn temporary_keys_end_and_others_do_not() {
        assert_eq!(refused("ecs", Some("ASIA1"), 899.0), None);
        assert_eq!(refused("ecs", Some("ASIA1"), 900.0), Some((400, "ExpiredTokenException".into())));
        assert_eq!(refused("sts", Some("ASIA1"), 900.0), Some((403, "ExpiredToken".into())));
        assert_eq!(refused("ecs", Some("ASIA2"), 0.0), Some((400, "UnrecognizedClientException".into())));
        assert_eq!(refused("iam", Some("ASIA2"), 0.0), Some((403, "InvalidClientTokenId".into())));
        assert_eq!(refused("ecs", Some("AKIA1"), 1e9), None);
        assert_eq!(refused("ecs", None, 1e9), None);
    }
}
