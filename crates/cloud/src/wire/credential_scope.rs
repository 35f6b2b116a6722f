//! Who signed a request and for what, read from its SigV4 credential scope. Signatures are not verified:
//! the cloud holds no secret keys.

use bytes::Bytes;
use http::Request;

/// A credential scope. Everything is empty when the request is not signed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CredentialScope {
    /// Access key id.
    pub access_key: Option<String>,
    /// Region.
    pub region: String,
    /// Signing name of the service.
    pub service: String,
}

/// The scope of a request, from `Authorization: AWS4-HMAC-SHA256 Credential=AKID/date/region/service/aws4_request, …`
/// or from `X-Amz-Credential` in the query string.
pub fn from_request(request: &Request<Bytes>) -> CredentialScope {
    let signed = super::header_text(request.headers(), "authorization");
    let presigned = request.uri().query().unwrap_or_default();
    from_header(signed).or_else(|| from_query(presigned)).unwrap_or_default()
}

fn from_header(authorization: &str) -> Option<CredentialScope> {
    let fields = authorization.strip_prefix("AWS4-HMAC-SHA256")?;
    let credential = fields.split(',').find_map(|field| field.trim().strip_prefix("Credential="))?;
    parse_credential(credential)
}

fn from_query(query: &str) -> Option<CredentialScope> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let (_, credential) = pairs.find(|(name, _)| name == "X-Amz-Credential")?;
    parse_credential(&credential)
}

fn parse_credential(credential: &str) -> Option<CredentialScope> {
    // An access key id may itself hold a slash, so the four fixed parts are taken from the end.
    let mut parts = credential.rsplitn(5, '/');
    let ("aws4_request", service, region, _date) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?)
    else {
        return None;
    };
    Some(CredentialScope {
        access_key: Some(parts.next()?.into()),
        region: region.into(),
        service: service.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_and_presigned_query_name_key_region_and_service() {
        let signed = Request::builder()
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKID/20260102/eu-west-1/ecs/aws4_request, SignedHeaders=host, Signature=00",
            )
            .body(Bytes::new())
            .unwrap();
        let presigned = Request::builder()
            .uri("http://x/?X-Amz-Credential=AKID%2F20260102%2Feu-west-1%2Fecs%2Faws4_request")
            .body(Bytes::new())
            .unwrap();
        let scope = CredentialScope {
            access_key: Some("AKID".into()),
            region: "eu-west-1".into(),
            service: "ecs".into(),
        };
        assert_eq!(from_request(&signed), scope);
        assert_eq!(from_request(&presigned), scope);
    }

    #[test]
    fn anything_else_is_unsigned() {
        for authorization in ["", "Bearer abc", "AWS4-HMAC-SHA256 Credential=AKID", "AWS4-HMAC-SHA256"] {
            let request =
                Request::builder().header("authorization", authorization).body(Bytes::new()).unwrap();
            assert_eq!(from_request(&request), CredentialScope::default(), "{authorization}");
        }
    }
}
