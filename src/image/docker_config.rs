//! The private folder that a child uses as its home: the login to the registry, the build secrets, the metadata.
//! Nobody else can read it, and it is deleted when the value is dropped.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::registry::{RegistryLogin, docker_config_key};
use super::settings::{BuildSecret, SecretSource, looks_like_secret};
use crate::problem::{Code, Problem};
use crate::sys::disk;
use crate::sys::environment::Variables;

/// The largest file that is passed as a secret: BuildKit's own limit.
const MAX_SECRET_BYTES: u64 = 500 * 1024;

/// Receives every secret before it is used, so that logs can mask it.
pub type MaskSecret<'a> = &'a dyn Fn(&str);

/// A folder of mode 0700 with a Docker `config.json`.
#[derive(Debug)]
pub struct DockerConfigDir {
    folder: tempfile::TempDir,
}

impl DockerConfigDir {
    /// An empty folder.
    pub fn new() -> Result<Self, Problem> {
        disk::private_folder().map(|folder| Self { folder }).map_err(|error| unwritable_problem(&error))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where buildx writes the digest.
    pub fn metadata_file(&self) -> PathBuf {
        self.path().join("metadata.json")
    }

    /// Writes the logins into `config.json`, over the plain logins of `inherited` (the text of another `config.json`, for
    /// base images from private registries).
    pub fn write_logins<'l>(
        &self,
        logins: impl Iterator<Item = &'l RegistryLogin>,
        inherited: Option<&str>,
        mask: MaskSecret<'_>,
    ) -> Result<(), Problem> {
        inherited.map(inherited_secrets).unwrap_or_default().iter().for_each(|secret| mask(secret));
        let logins = logins.inspect(|login| login.secret_values().iter().for_each(|secret| mask(secret)));
        let text = config_json(logins, inherited).to_string();
        disk::write_private(&self.path().join("config.json"), text.as_bytes())
            .map_err(|error| unwritable_problem(&error))
    }

    /// Writes the value of every secret to a separate file and returns ids and files.
    pub fn store(
        &self,
        secrets: &[BuildSecret],
        workspace: &Path,
        variables: &Variables,
        mask: MaskSecret<'_>,
    ) -> Result<Vec<(String, PathBuf)>, Problem> {
        let keep = |(index, secret): (usize, &BuildSecret)| {
            let value = secret_value(secret, workspace, variables)?;
            mask_value(&value, mask);
            // The builder gets what was masked, also if the file of the workspace changes later.
            let path = self.path().join(format!("secret-{index}"));
            disk::write_private(&path, &value).map_err(|error| unwritable_problem(&error))?;
            Ok((secret.id.clone(), path))
        };
        secrets.iter().enumerate().map(keep).collect()
    }
}

/// The value of a build secret.
pub(super) fn secret_value(
    secret: &BuildSecret,
    workspace: &Path,
    variables: &Variables,
) -> Result<Vec<u8>, Problem> {
    match &secret.source {
        SecretSource::File(path) => read_secret_file(&secret.id, workspace, path),
        SecretSource::Variable(name) => {
            secret_variable(&secret.id, name, variables).map(|value| value.clone().into_bytes())
        }
    }
}

/// Masks a secret as a whole and each of its lines. A certificate is public, and masking its lines would hide much of a
/// log; what is not text is masked as base64, which is how tools print it.
fn mask_value(value: &[u8], mask: MaskSecret<'_>) {
    match std::str::from_utf8(value) {
        Ok(text) => {
            secret_text(text).iter().for_each(|part| mask(part));
            text.lines().filter_map(named_secret).for_each(mask);
        }
        Err(_) => mask(&STANDARD.encode(value)),
    }
}

/// The value of a line such as `_authToken=…` or `password: …`, which tools print alone.
fn named_secret(line: &str) -> Option<&str> {
    let (name, value) = line.split_once('=').or_else(|| line.split_once(": "))?;
    let value = value.trim().trim_matches(['"', '\'']);
    looks_like_secret(name).then_some(value).filter(|value| !value.is_empty())
}

/// The parts of a text that are secret: without its certificates.
fn secret_text(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut in_certificate = false;
    for line in text.lines() {
        in_certificate |= line.trim() == "-----BEGIN CERTIFICATE-----";
        match (in_certificate, parts.last_mut()) {
            (false, Some(part)) => {
                part.push_str(line);
                part.push('\n');
            }
            _ if line.trim() == "-----END CERTIFICATE-----" => {
                in_certificate = false;
                parts.push(String::new());
            }
            _ => {}
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

fn secret_variable<'a>(id: &str, name: &str, variables: &'a Variables) -> Result<&'a String, Problem> {
    variables.get(name).filter(|value| !value.is_empty()).ok_or_else(|| {
        let sentence =
            format!("The build secret `{id}` needs the environment variable `{name}`, which is not set.");
        Problem::error(Code::InputInvalid, sentence)
            .help(format!("Pass it to the step: `env: {{ {name}: ${{{{ secrets.{name} }}}} }}`."))
    })
}

/// The content of a regular file of the workspace.
fn read_secret_file(id: &str, workspace: &Path, path: &str) -> Result<Vec<u8>, Problem> {
    let problem = |cause: String| {
        let sentence = format!("The build secret `{id}` needs the file `{path}`, which cannot be read.");
        Problem::error(Code::FileUnreadable, sentence)
            .cause(cause)
            .help("Name a regular file of the workspace of at most 500 KB, and create it before this step.")
    };
    let read = disk::resolve_within(workspace, Path::new(path))
        .and_then(|found| disk::read_regular(&found, MAX_SECRET_BYTES));
    let bytes = read.map_err(|error| problem(format!("{error:#}")))?;
    let fits = bytes.len() as u64 <= MAX_SECRET_BYTES;
    fits.then_some(bytes).ok_or_else(|| problem("it is larger than 500 KB".into()))
}

fn unwritable_problem(error: &anyhow::Error) -> Problem {
    Problem::error(Code::DockerUnavailable, "The temporary folder of the build could not be created.")
        .cause(format!("{error:#}"))
        .help("Make the folder for temporary files writable.")
}

/// The secrets in the logins of another `config.json`, in every form that could occur in a log.
fn inherited_secrets(text: &str) -> Vec<String> {
    let config: Value = serde_json::from_str(text).unwrap_or_default();
    let logins = config.get("auths").and_then(Value::as_object);
    let mut secrets = Vec::new();
    for login in logins.into_iter().flat_map(Map::values) {
        let field = |name: &str| login.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        secrets.extend(
            ["auth", "password", "identitytoken", "registrytoken"]
                .into_iter()
                .filter_map(field)
                .map(str::to_owned),
        );
        secrets.extend(field("auth").and_then(decode_password));
    }
    secrets
}

/// The password of `base64(user:password)`.
fn decode_password(auth: &str) -> Option<String> {
    let text = String::from_utf8(STANDARD.decode(auth).ok()?).ok()?;
    let (_, password) = text.split_once(':')?;
    Some(password.trim_end_matches('\0').to_owned()).filter(|password| !password.is_empty())
}

/// The text of the Docker configuration that the job has.
pub fn inherited_config(variables: &Variables) -> Option<String> {
    let folder = |name: &str, below: &str| Some(PathBuf::from(variables.get(name)?).join(below));
    let candidates = [folder("DOCKER_CONFIG", "config.json"), folder("HOME", ".docker/config.json")];
    candidates.into_iter().flatten().find_map(|path| disk::read_text(&path).ok())
}

/// A `config.json` with the logins as plain `auths`: no credential helper is called.
fn config_json<'l>(logins: impl Iterator<Item = &'l RegistryLogin>, inherited: Option<&str>) -> Value {
    let other: Value = inherited.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let mut auths = other.get("auths").and_then(Value::as_object).cloned().unwrap_or_else(Map::new);
    for login in logins {
        auths.insert(docker_config_key(&login.server).to_owned(), json!({ "auth": login.basic_auth() }));
    }
    json!({ "auths": auths })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn login() -> RegistryLogin {
        RegistryLogin {
            server: "r.example".into(),
            username: "AWS".into(),
            password: "hunter2".into(),
            expires_at: None,
        }
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn login_is_masked_private_and_deleted_afterwards() {
        let masked = RefCell::new(Vec::new());
        let home = DockerConfigDir::new().unwrap();
        home.write_logins([login()].iter(), None, &|secret| masked.borrow_mut().push(secret.to_owned()))
            .unwrap();
        let (folder, file) = (home.path().to_owned(), home.path().join("config.json"));
        assert_eq!((mode(&folder), mode(&file)), (0o700, 0o600));
        assert_eq!(disk::read_text(&file).unwrap(), r#"{"auths":{"r.example":{"auth":"QVdTOmh1bnRlcjI="}}}"#);
        assert_eq!(*masked.borrow(), ["hunter2", "QVdTOmh1bnRlcjI="]);
        drop(home);
        assert!(!folder.exists());
    }

    #[test]
    fn other_logins_are_kept_and_credential_helpers_are_not() {
        let inherited = r#"{"auths":{"r.example":{"auth":"old"},"registry.example":{"auth":"x"}},"credsStore":"desktop"}"#;
        let config = config_json([login()].iter(), Some(inherited));
        assert_eq!(config["auths"]["registry.example"]["auth"], "x");
        assert_eq!(config["auths"]["r.example"]["auth"], "QVdTOmh1bnRlcjI=");
        assert!(config.get("credsStore").is_none());
    }

    #[test]
    fn inherited_logins_are_masked() {
        let masked = RefCell::new(Vec::new());
        let home = DockerConfigDir::new().unwrap();
        let inherited = format!(
            r#"{{"auths":{{"a.example":{{"auth":"{}"}},"b.example":{{"auth":"","identitytoken":"token-b"}},"c.example":{{}},"d":5}}}}"#,
            STANDARD.encode("ann:s3cr:et")
        );
        home.write_logins([login()].iter(), Some(&inherited), &|secret| {
            masked.borrow_mut().push(secret.to_owned())
        })
        .unwrap();
        assert_eq!(
            masked.borrow()[..3],
            [STANDARD.encode("ann:s3cr:et"), "s3cr:et".into(), "token-b".into()]
        );
        for odd in ["", "[]", "{}", r#"{"auths":5}"#, r#"{"auths":{"x":{"auth":"%%"}}}"#] {
            assert!(inherited_secrets(odd).len() <= 1, "{odd}");
        }
    }

    #[test]
    fn secret_is_written_to_a_private_file() {
        let masked = RefCell::new(Vec::new());
        let home = DockerConfigDir::new().unwrap();
        let secret =
            |name: &str| BuildSecret { id: "npm".into(), source: SecretSource::Variable(name.into()) };
        let variables: Variables = [("NPM".to_owned(), "line one\nline two\n".to_owned())].into();
        let mask = |secret: &str| masked.borrow_mut().push(secret.to_owned());
        let kept = home.store(&[secret("NPM")], Path::new("/w"), &variables, &mask).unwrap();
        assert_eq!(
            (disk::read_text(&kept[0].1).unwrap().as_str(), mode(&kept[0].1)),
            (&*variables["NPM"], 0o600)
        );
        assert_eq!(*masked.borrow(), ["line one\nline two"]);
        let missing = home.store(&[secret("NO")], Path::new("/w"), &variables, &mask).unwrap_err();
        assert_eq!(missing.code, Code::InputInvalid);
    }

    fn masked_of_file(bytes: &[u8]) -> Vec<String> {
        let masked = RefCell::new(Vec::new());
        let (home, workspace) = (DockerConfigDir::new().unwrap(), tempfile::tempdir().unwrap());
        disk::write(&workspace.path().join("sec.txt"), bytes).unwrap();
        let secret = BuildSecret { id: "f".into(), source: SecretSource::File("sec.txt".into()) };
        let mask = |secret: &str| masked.borrow_mut().push(secret.to_owned());
        let kept = home.store(&[secret], workspace.path(), &Variables::new(), &mask).unwrap();
        assert_eq!((disk::read_bytes(&kept[0].1).unwrap().as_slice(), mode(&kept[0].1)), (bytes, 0o600));
        assert!(kept[0].1.starts_with(home.path()), "the builder gets what was masked");
        masked.into_inner()
    }

    #[test]
    fn secret_from_a_file_is_masked_like_one_from_a_variable() {
        assert_eq!(masked_of_file(b"hunter2hunter2"), ["hunter2hunter2"]);
        assert_eq!(
            masked_of_file(b"user: app\n\npassword: x1y2z3\n"),
            ["user: app\n\npassword: x1y2z3", "x1y2z3"]
        );
        assert_eq!(masked_of_file(b"//r.example/:_authToken=\"npm_1\"")[1..], ["npm_1"]);
        let pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        assert_eq!(masked_of_file(pem.as_bytes()), Vec::<String>::new());
        let key = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n";
        assert_eq!(masked_of_file(format!("{pem}{key}{pem}a").as_bytes()), [key.trim(), "a"]);
        assert_eq!(masked_of_file(&[0, 159, 146, 150]), ["AJ+Slg=="]);
    }

    #[test]
    fn secret_file_is_a_regular_file_of_the_workspace() {
        let (home, workspace) = (DockerConfigDir::new().unwrap(), disk::private_folder().unwrap());
        disk::write(&workspace.path().join("ca.pem"), b"x").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", workspace.path().join("link")).unwrap();
        let store = |path: &str| {
            let secret = BuildSecret { id: "ca".into(), source: SecretSource::File(path.into()) };
            home.store(&[secret], workspace.path(), &Variables::new(), &|_| ())
        };
        assert_eq!(disk::read_bytes(&store("ca.pem").unwrap()[0].1).unwrap(), b"x");
        for path in ["no.pem", "link", "/etc/passwd", "../../etc/passwd", "."] {
            let problem = store(path).unwrap_err();
            assert_eq!(problem.code, Code::FileUnreadable, "{path}");
        }
    }
}
