//! Why a request has no response, and whether it may have arrived.

use std::error::Error as StdError;
use std::fmt;

use super::network::{ConnectionFailure, connection_failure};
use crate::problem::Problem;

/// Why there is no complete response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestError {
    /// No connection can be made with these settings: nothing was sent, and another attempt does not help.
    NotConnected(ConnectionFailure),
    /// Another reason. The request may have arrived.
    NoResponse(String),
}

impl RequestError {
    /// Classifies an error of the HTTP client. Its messages are kept, never its debug form, which may repeat a response.
    pub fn from_error(error: &(dyn StdError + 'static)) -> Self {
        match connection_failure(error) {
            Some(failure) => Self::NotConnected(failure.clone()),
            None => Self::NoResponse(error_text(error)),
        }
    }

    /// Whether another attempt cannot help.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::NotConnected(_))
    }

    /// This error as the cause of `problem`. If no connection can be made, that is its code and its help, too.
    pub fn explain(self, problem: Problem) -> Problem {
        match self {
            Self::NotConnected(failure) => failure.explain(problem),
            Self::NoResponse(reason) => problem.cause(reason),
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected(failure) => failure.fmt(f),
            Self::NoResponse(reason) => f.write_str(reason),
        }
    }
}

impl From<RequestError> for String {
    fn from(error: RequestError) -> Self {
        error.to_string()
    }
}

impl From<String> for RequestError {
    fn from(reason: String) -> Self {
        Self::NoResponse(reason)
    }
}

/// The messages of an error and its causes, each once.
pub fn error_text(error: &(dyn StdError + 'static)) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !words.iter().any(|known| known.contains(&text)) {
            words.push(text);
        }
        next = error.source();
    }
    words.join(": ")
}
