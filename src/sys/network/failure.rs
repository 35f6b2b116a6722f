//! Why no connection was made, and whether another attempt can help. The classification is pure.

use std::error::Error;
use std::fmt;

use rustls::{CertificateError, Error as TlsError};

use super::proxy::Destination;
use crate::problem::{Code, Problem, capitalize};

/// A connection that cannot be made with these settings: another attempt does not help, and nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionFailure {
    /// The reason, as a clause. No password.
    pub reason: String,
    /// What to do.
    pub help: &'static str,
}

impl ConnectionFailure {
    /// Whether the authority of the server's certificate is not trusted here.
    pub fn is_untrusted(&self) -> bool {
        self.help == TRUST_HELP
    }

    /// The failure as a problem of its own.
    pub fn problem(&self) -> Problem {
        Problem::error(Code::ConnectionFailed, format!("{}.", capitalize(&self.reason))).help(self.help)
    }

    /// The failure as the reason of `problem`.
    pub fn explain(&self, problem: Problem) -> Problem {
        Problem { code: Code::ConnectionFailed, ..problem }.cause(self.reason.clone()).help(self.help)
    }
}

impl fmt::Display for ConnectionFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.reason, self.help)
    }
}

impl Error for ConnectionFailure {}

/// The connection failure among the causes of an error.
pub fn connection_failure<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e ConnectionFailure> {
    causes(error).find_map(<dyn Error>::downcast_ref)
}

/// `problem`, explained by the connection failure among the causes of `error`; unchanged if there is none.
pub fn explain(error: &(dyn Error + 'static), problem: Problem) -> Problem {
    match connection_failure(error) {
        Some(failure) => failure.explain(problem),
        None => problem,
    }
}

/// What a failed attempt to connect means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Another attempt does not help.
    Final(ConnectionFailure),
    /// The host has no address. It may get one in a moment.
    UnknownHost,
    /// The proxy rejected the tunnel, for a reason that the client does not tell.
    TunnelRejected,
    /// Another attempt may help.
    Transient,
}

const TRUST_HELP: &str = "If a proxy or a server of your company uses its own certificate authority, set AWS_CA_BUNDLE or SSL_CERT_FILE \
of the step to a file in the workspace with that authority's certificate (PEM).";
const CERTIFICATE_HELP: &str = "Check the address, and the certificate that the server presents.";
const LOGIN_HELP: &str = "Write user and password into the proxy's URL: `USER:PASSWORD@` before the host of HTTPS_PROXY, each \
percent-encoded, from a secret.";
const REFUSED_HELP: &str =
    "Allow the host in the proxy, or add it to NO_PROXY if the runner reaches it without the proxy.";
const UNKNOWN_HOST_HELP: &str = "Check the spelling of the host, and the DNS server of the runner. If only a proxy can resolve it, set HTTPS_PROXY.";

/// Classifies the error of an attempt to reach `to`.
pub(super) fn classify(error: &(dyn Error + 'static), to: &Destination) -> Meaning {
    if let Some(TlsError::InvalidCertificate(why)) = causes(error).find_map(<dyn Error>::downcast_ref) {
        return Meaning::Final(certificate_failure(to, why));
    }
    // The types of these errors are not public.
    let texts: Vec<String> = causes(error).map(ToString::to_string).collect();
    let says = |text: &str| texts.iter().any(|known| known.contains(text));
    if says("tunnel error: proxy authorization required") {
        Meaning::Final(ConnectionFailure { reason: "the proxy requires a login".into(), help: LOGIN_HELP })
    } else if says("tunnel error: unsuccessful") {
        Meaning::TunnelRejected
    } else if UNKNOWN_HOST.iter().any(|text| says(text)) {
        Meaning::UnknownHost
    } else {
        Meaning::Transient
    }
}

/// The words of the C libraries for a name without an address. A DNS server that does not respond has other words.
const UNKNOWN_HOST: [&str; 5] = [
    "Name or service not known",
    "No address associated with hostname",
    "Name does not resolve",
    "Name has no usable address",
    "nodename nor servname provided",
];

fn certificate_failure(to: &Destination, why: &CertificateError) -> ConnectionFailure {
    let (words, help) = match why {
        CertificateError::UnknownIssuer => {
            ("no authority that is trusted here has issued it".to_owned(), TRUST_HELP)
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            ("it is for another name".to_owned(), CERTIFICATE_HELP)
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            ("it has expired".to_owned(), CERTIFICATE_HELP)
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ("it is not valid yet".to_owned(), "Check the clock of the runner, and the certificate.")
        }
        other => (other.to_string(), TRUST_HELP),
    };
    ConnectionFailure { reason: format!("the certificate of `{}` is not trusted: {words}", to.host), help }
}

/// The failure of a tunnel that the proxy rejected with `status`; `None` if another attempt may help.
pub(super) fn rejected_tunnel(proxy: &str, to: &Destination, status: u16) -> Option<ConnectionFailure> {
    let help = match status {
        407 => LOGIN_HELP,
        400..=499 => REFUSED_HELP,
        _ => return None,
    };
    let reason = format!("the proxy `{proxy}` rejected the connection to `{to}` with status {status}");
    Some(ConnectionFailure { reason, help })
}

/// The failure for a host without an address.
pub(super) fn unknown_host(host: &str) -> ConnectionFailure {
    ConnectionFailure { reason: format!("the host `{host}` has no address"), help: UNKNOWN_HOST_HELP }
}

/// An error and its causes. The cause of an I/O error is the error that it wraps, which `source` leaves out.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<std::io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => error.source(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to() -> Destination {
        Destination::of_url("https://sts.example/").unwrap()
    }

    fn io(error: impl Into<Box<dyn Error + Send + Sync>>) -> std::io::Error {
        std::io::Error::other(error)
    }

    #[test]
    fn certificate_errors_are_final_and_say_why() {
        for (why, words, help) in [
            (CertificateError::UnknownIssuer, "no authority that is trusted here", "AWS_CA_BUNDLE"),
            (CertificateError::NotValidForName, "it is for another name", "Check the address"),
            (CertificateError::Expired, "it has expired", "Check the address"),
            (CertificateError::NotValidYet, "not valid yet", "clock"),
            (CertificateError::Revoked, "Revoked", "AWS_CA_BUNDLE"),
        ] {
            // As the client wraps it: twice in an I/O error.
            let error = io(io(TlsError::InvalidCertificate(why)));
            let Meaning::Final(failure) = classify(&error, &to()) else { panic!("{words}") };
            assert!(failure.reason.contains("`sts.example`") && failure.reason.contains(words), "{failure}");
            assert!(failure.help.contains(help), "{failure}");
        }
    }

    #[test]
    fn proxy_and_name_errors_are_told_apart() {
        let lookup = "failed to lookup address information: ";
        for (text, meaning) in [
            ("tunnel error: unsuccessful".to_owned(), Meaning::TunnelRejected),
            (format!("{lookup}Name or service not known"), Meaning::UnknownHost),
            (format!("{lookup}Temporary failure in name resolution"), Meaning::Transient),
            ("tunnel error: unexpected end of file".to_owned(), Meaning::Transient),
            ("Connection refused (os error 111)".to_owned(), Meaning::Transient),
        ] {
            assert_eq!(classify(&io(text.clone()), &to()), meaning, "{text}");
        }
        let login = classify(&io("tunnel error: proxy authorization required"), &to());
        assert!(matches!(login, Meaning::Final(failure) if failure.help.contains("USER:PASSWORD")));
    }

    #[test]
    fn rejected_tunnel_is_final_unless_the_proxy_is_busy() {
        let help = |status| rejected_tunnel("p:3128", &to(), status).map(|failure| failure.help);
        assert_eq!(help(407), Some(LOGIN_HELP));
        assert_eq!([help(403), help(404)], [Some(REFUSED_HELP); 2]);
        assert_eq!([help(502), help(503), help(504), help(301)], [None; 4]);
        let reason = rejected_tunnel("p:3128", &to(), 403).unwrap().reason;
        assert_eq!(reason, "the proxy `p:3128` rejected the connection to `sts.example:443` with status 403");
    }

    #[test]
    fn connection_failure_is_found_among_causes() {
        let failure = unknown_host("x.example");
        let wrapped = io(io(failure.clone()));
        assert_eq!(connection_failure(&wrapped), Some(&failure));
        assert_eq!(connection_failure(&io("x")), None);
        assert!(failure.problem().sentence.starts_with("The host `x.example` has no address."));
    }
}
