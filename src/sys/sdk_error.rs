//! What a failed call of the AWS SDK says: AWS's code, message and request id, or how the call failed. Never the debug
//! form of an error: it repeats the response, whose headers and body may contain secrets.

use std::error::Error;

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::{ErrorMetadata, ProvideErrorMetadata};

use super::http::error_text;

/// Where the SDK keeps the id of a request.
const REQUEST_ID: &str = "aws_request_id";

/// The text of `error`, of the call `operation`, such as `ecr:GetAuthorizationToken`.
pub fn sdk_error_text<E, R>(operation: &str, error: &SdkError<E, R>) -> String
where
    E: Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug + 'static,
{
    match error {
        SdkError::ServiceError(answer) => rejection_text(operation, answer.err().meta()),
        // The parser's error may quote the content.
        SdkError::ResponseError(_) => unreadable_text(operation, error),
        _ => error_text(error),
    }
}

/// ` (request …)` with the id that AWS's support asks for; empty if there is none.
pub fn request_id_suffix(meta: &ErrorMetadata) -> String {
    meta.extra(REQUEST_ID).map(|id| format!(" (request {id})")).unwrap_or_default()
}

fn rejection_text(operation: &str, meta: &ErrorMetadata) -> String {
    let words = [meta.code(), meta.message()].into_iter().flatten().collect::<Vec<_>>().join(": ");
    let words = if words.is_empty() { format!("{operation} failed without an error code") } else { words };
    words + &request_id_suffix(meta)
}

/// Distinguishes a lost connection from content that is not that of the operation.
fn unreadable_text(operation: &str, error: &(dyn Error + 'static)) -> String {
    let reason = match lost_connection(error) {
        Some(kind) => format!("the connection failed ({kind})"),
        None => "its content is not what this operation returns".to_owned(),
    };
    format!("the response of {operation} could not be read: {reason}")
}

fn lost_connection(error: &(dyn Error + 'static)) -> Option<std::io::ErrorKind> {
    let lost = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    lost.or_else(|| lost_connection(error.source()?))
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("SENTINEL")]
    struct Answer(ErrorMetadata);

    impl ProvideErrorMetadata for Answer {
        fn meta(&self) -> &ErrorMetadata {
            &self.0
        }
    }

    fn raw() -> HttpResponse {
        HttpResponse::new(StatusCode::try_from(200).unwrap(), SdkBody::from("{\"token\":\"SENTINEL\"}"))
    }

    fn rejected(
        code: Option<&str>,
        message: Option<&str>,
        id: Option<&str>,
    ) -> SdkError<Answer, HttpResponse> {
        let mut meta = ErrorMetadata::builder();
        meta = code.into_iter().fold(meta, ErrorMetadataBuilder::code);
        meta = message.into_iter().fold(meta, ErrorMetadataBuilder::message);
        meta = id.into_iter().fold(meta, |meta, id| meta.custom(REQUEST_ID, id));
        SdkError::service_error(Answer(meta.build()), raw())
    }

    type ErrorMetadataBuilder = aws_smithy_types::error::metadata::Builder;

    #[test]
    fn sdk_error_text_has_words_of_aws_and_never_the_response() {
        let io = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "SENTINEL");
        let texts = [
            rejected(Some("Denied"), Some("not allowed"), Some("r-1")),
            rejected(Some("Denied"), None, None),
            rejected(None, None, None),
            SdkError::response_error("invalid token `SENTINEL` at 7", raw()),
            SdkError::response_error(io, raw()),
            SdkError::timeout_error("no response in 5 s"),
            SdkError::construction_failure("no region"),
        ]
        .map(|error| sdk_error_text("ecr:GetAuthorizationToken", &error));
        assert!(!texts.concat().contains("SENTINEL"), "{texts:#?}");
        insta::assert_snapshot!(texts.join("\n"), @r"
        Denied: not allowed (request r-1)
        Denied
        ecr:GetAuthorizationToken failed without an error code
        the response of ecr:GetAuthorizationToken could not be read: its content is not what this operation returns
        the response of ecr:GetAuthorizationToken could not be read: the connection failed (connection reset)
        request has timed out: no response in 5 s
        failed to construct request: no region
        ");
    }
}
