//! Certificate authorities: those of the system, and those of the files and folders that the variables name. None
//! replaces another.

use std::path::{Path, PathBuf};

use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use base64::Engine as _;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::failure::ConnectionFailure;
use crate::sys::disk;
use crate::sys::environment::Variables;

/// Variables that name a file of certificates.
const FILE_VARIABLES: [&str; 3] = ["AWS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"];
/// The variable that names folders of such files.
const FOLDER_VARIABLE: &str = "SSL_CERT_DIR";
/// Where systems keep the certificates of the authorities that they trust.
const SYSTEM_BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// The largest file that is read.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// The authorities of a run.
#[derive(Debug, Clone, Default)]
pub struct Authorities {
    /// All of them as PEM, if there are more than those of the system.
    bundle: Option<String>,
    /// Whether those of the system are not in the bundle, because they are in no file that is known here.
    needs_platform: bool,
}

/// A file of certificates, and what named it.
struct Source {
    variable: &'static str,
    path: PathBuf,
}

impl Authorities {
    /// Reads the files that `variables` name. The error names a variable whose file has no certificate.
    pub fn load(variables: &Variables) -> Result<Self, ConnectionFailure> {
        let sources = sources(variables)?;
        if sources.is_empty() {
            return Ok(Self::default());
        }
        let mut found = Vec::new();
        for source in &sources {
            found.extend(read_source(source)?);
        }
        let system = SYSTEM_BUNDLES.iter().find_map(|path| read_certificates(Path::new(path)).ok());
        let needs_platform = system.is_none();
        let all = system.into_iter().flatten().chain(found);
        Ok(Self { bundle: Some(write_bundle(all)), needs_platform })
    }

    /// The certificates in `pem`, and not those of the system.
    pub(super) fn only(pem: &str) -> Result<Self, String> {
        let found = accepted_certificates(pem.as_bytes())?;
        Ok(Self { bundle: Some(write_bundle(found.into_iter())), needs_platform: false })
    }

    /// The certificates of all authorities as PEM; `None` if there are only those of the system.
    pub fn bundle(&self) -> Option<&str> {
        self.bundle.as_deref()
    }

    /// The same for the HTTP client.
    pub(super) fn tls_context(&self) -> TlsContext {
        let Some(bundle) = &self.bundle else { return TlsContext::default() };
        let store = TrustStore::empty().with_native_roots(self.needs_platform);
        let store = store.with_pem_certificate(bundle.as_bytes());
        TlsContext::builder().with_trust_store(store).build().unwrap_or_default()
    }
}

/// The files that variables name, without those of the system.
fn sources(variables: &Variables) -> Result<Vec<Source>, ConnectionFailure> {
    let value = |name: &str| variables.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    let is_own = |path: &Path| !SYSTEM_BUNDLES.iter().any(|system| path == Path::new(system));
    let files =
        FILE_VARIABLES.iter().filter_map(|variable| Some((*variable, PathBuf::from(value(variable)?))));
    let mut all: Vec<Source> =
        files.filter(|(_, path)| is_own(path)).map(|(variable, path)| Source { variable, path }).collect();
    for folder in value(FOLDER_VARIABLE).into_iter().flat_map(|list| list.split(':')) {
        let folder = Path::new(folder);
        if folder.as_os_str().is_empty() || folder == Path::new("/etc/ssl/certs") {
            continue;
        }
        let entries = std::fs::read_dir(folder)
            .map_err(|error| unreadable(FOLDER_VARIABLE, folder, &error.to_string()))?;
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        all.extend(paths.into_iter().map(|path| Source { variable: FOLDER_VARIABLE, path }));
    }
    Ok(all)
}

/// The certificates of one file. In a folder other files are allowed.
fn read_source(source: &Source) -> Result<Vec<CertificateDer<'static>>, ConnectionFailure> {
    match read_certificates(&source.path) {
        Err(_) if source.variable == FOLDER_VARIABLE => Ok(Vec::new()),
        other => other.map_err(|why| unreadable(source.variable, &source.path, &why)),
    }
}

/// The certificates in a file, as far as they can be those of an authority.
fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    // A link is allowed: such files are often links.
    let path = std::fs::canonicalize(path).map_err(|error| error.to_string())?;
    let bytes = disk::read_regular(&path, MAX_FILE_BYTES).map_err(|error| format!("{error:#}"))?;
    accepted_certificates(&bytes)
}

/// The certificates in a text, as far as they can be those of an authority.
fn accepted_certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all = CertificateDer::pem_slice_iter(text).filter_map(Result::ok);
    let mut accepted = RootCertStore::empty();
    let found: Vec<_> = all.filter(|certificate| accepted.add(certificate.clone()).is_ok()).collect();
    if found.is_empty() { Err("it has no certificate in the form PEM".into()) } else { Ok(found) }
}

fn unreadable(variable: &str, path: &Path, why: &str) -> ConnectionFailure {
    ConnectionFailure {
        reason: format!("the variable `{variable}` names `{}`, which cannot be used: {why}", path.display()),
        help: "Name a file with certificates in the form PEM. The container of the action sees the workspace and \
               RUNNER_TEMP only: put the file there, and name it as ${{ github.workspace }}/FILE.",
    }
}

fn write_bundle(certificates: impl Iterator<Item = CertificateDer<'static>>) -> String {
    let (mut text, mut known) = (String::new(), std::collections::BTreeSet::new());
    for certificate in certificates.filter(|certificate| known.insert(certificate.to_vec())) {
        let encoded = base64::engine::general_purpose::STANDARD.encode(&certificate);
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in encoded.as_bytes().chunks(64) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &[u8] = include_bytes!("../../../tests/fixtures/certificates/long.der");
    const SHORT: &[u8] = include_bytes!("../../../tests/fixtures/certificates/short.der");

    fn pem(der: &'static [u8]) -> String {
        write_bundle([CertificateDer::from(der)].into_iter())
    }

    fn variables(pairs: &[(&str, &Path)]) -> Variables {
        pairs.iter().map(|(name, path)| ((*name).to_owned(), path.display().to_string())).collect()
    }

    #[test]
    fn every_variable_adds_to_the_system() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("long.pem"), format!("# a comment\n{}", pem(LONG))).unwrap();
        std::fs::create_dir(at("more")).unwrap();
        std::fs::write(at("more/short.crt"), pem(SHORT)).unwrap();
        std::fs::write(at("more/README"), "no certificate").unwrap();
        std::os::unix::fs::symlink(at("long.pem"), at("link.pem")).unwrap();
        let (file, link, more) = (at("long.pem"), at("link.pem"), at("more"));
        let bundle = |pairs: &[(&str, &Path)]| {
            let loaded = Authorities::load(&variables(pairs)).unwrap();
            loaded.tls_context();
            loaded.bundle().unwrap_or_default().to_owned()
        };
        for (name, path, der) in [
            ("AWS_CA_BUNDLE", &file, LONG),
            ("SSL_CERT_FILE", &link, LONG),
            ("NODE_EXTRA_CA_CERTS", &file, LONG),
            ("SSL_CERT_DIR", &more, SHORT),
        ] {
            let text = bundle(&[(name, path)]);
            assert!(text.ends_with(&pem(der)), "{name}");
        }
        let both = bundle(&[("AWS_CA_BUNDLE", &file), ("SSL_CERT_FILE", &link), ("SSL_CERT_DIR", &more)]);
        assert_eq!([both.matches(&pem(LONG)).count(), both.matches(&pem(SHORT)).count()], [1, 1]);
        assert_eq!(bundle(&[("SSL_CERT_FILE", Path::new(SYSTEM_BUNDLES[0]))]), "");
        assert_eq!(bundle(&[]), "");
    }

    #[test]
    fn file_without_certificates_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n").unwrap();
        for path in [empty, folder.path().join("missing.pem"), folder.path().to_owned()] {
            let failure = Authorities::load(&variables(&[("AWS_CA_BUNDLE", &path)])).unwrap_err();
            assert!(failure.reason.starts_with("the variable `AWS_CA_BUNDLE` names `"), "{failure}");
            assert!(failure.help.contains("github.workspace"));
        }
        assert!(Authorities::load(&variables(&[("SSL_CERT_DIR", &folder.path().join("no"))])).is_err());
    }
}
