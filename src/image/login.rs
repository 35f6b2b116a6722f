//! The private folder that a child finds as its home: the login to the registry, the build secrets, the metadata.
//! Nobody else can read it, and it is gone when the value is dropped.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::registry::Login;
use super::settings::{Secret, SecretSource};
use crate::problem::{Code, Problem};
use crate::sys::disk;
use crate::sys::environment::Variables;

/// Gets every secret before anything else happens with it, so that logs can mask it.
pub type Mask<'a> = &'a dyn Fn(&str);

/// A folder of mode 0700 with a Docker `config.json`.
#[derive(Debug)]
pub struct PrivateHome {
    folder: tempfile::TempDir,
}

impl PrivateHome {
    /// A folder with nothing in it yet.
    pub fn new() -> Result<Self, Problem> {
        disk::private_folder().map(|folder| Self { folder }).map_err(|error| unwritable(&error))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where buildx writes the digest.
    pub fn metadata(&self) -> PathBuf {
        self.path().join("metadata.json")
    }

    /// Writes the login into `config.json`, over the plain logins of `inherited` (the text of another
    /// `config.json`, for base images from private registries).
    pub fn log_in(&self, login: &Login, inherited: Option<&str>, mask: Mask<'_>) -> Result<(), Problem> {
        login.secrets().iter().for_each(|secret| mask(secret));
        let text = config(login, inherited).to_string();
        disk::write_private(&self.path().join("config.json"), text.as_bytes())
            .map_err(|error| unwritable(&error))
    }

    /// Puts the value of every secret into a file of its own and returns ids and files.
    pub fn keep(
        &self,
        secrets: &[Secret],
        workspace: &Path,
        variables: &Variables,
        mask: Mask<'_>,
    ) -> Result<Vec<(String, PathBuf)>, Problem> {
        let keep = |(index, secret): (usize, &Secret)| match &secret.source {
            SecretSource::File(path) => Ok((secret.id.clone(), file(&secret.id, &workspace.join(path))?)),
            SecretSource::Variable(name) => {
                let value = variable(&secret.id, name, variables)?;
                value.lines().filter(|line| !line.trim().is_empty()).for_each(mask);
                let path = self.path().join(format!("secret-{index}"));
                disk::write_private(&path, value.as_bytes()).map_err(|error| unwritable(&error))?;
                Ok((secret.id.clone(), path))
            }
        };
        secrets.iter().enumerate().map(keep).collect()
    }
}

fn variable<'a>(id: &str, name: &str, variables: &'a Variables) -> Result<&'a str, Problem> {
    variables.get(name).map(String::as_str).filter(|value| !value.is_empty()).ok_or_else(|| {
        let sentence =
            format!("The build secret `{id}` needs the environment variable `{name}`, which is not set.");
        Problem::error(Code::InputInvalid, sentence)
            .help(format!("Set it on the step: `env: {{ {name}: ${{{{ secrets.{name} }}}} }}`."))
    })
}

fn file(id: &str, path: &Path) -> Result<PathBuf, Problem> {
    if disk::exists(path) {
        return Ok(path.to_owned());
    }
    let sentence =
        format!("The build secret `{id}` needs the file `{}`, which is not there.", path.display());
    Err(Problem::error(Code::FileUnreadable, sentence))
}

fn unwritable(error: &anyhow::Error) -> Problem {
    Problem::error(Code::BuilderMissing, "No private folder could be made for the build.")
        .cause(format!("{error:#}"))
        .help("The folder for temporary files must be writable.")
}

/// A `config.json` with the login as plain `auths`: no credential helper is asked, ours or anybody's.
fn config(login: &Login, inherited: Option<&str>) -> Value {
    let other: Value = inherited.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let mut auths = other.get("auths").and_then(Value::as_object).cloned().unwrap_or_else(Map::new);
    auths.insert(login.server.clone(), json!({ "auth": login.basic() }));
    json!({ "auths": auths })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn login() -> Login {
        Login {
            server: "r.example".into(),
            username: "AWS".into(),
            password: "hunter2".into(),
            expires: None,
        }
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_login_is_masked_private_and_gone_afterwards() {
        let masked = RefCell::new(Vec::new());
        let home = PrivateHome::new().unwrap();
        home.log_in(&login(), None, &|secret| masked.borrow_mut().push(secret.to_owned())).unwrap();
        let (folder, file) = (home.path().to_owned(), home.path().join("config.json"));
        assert_eq!((mode(&folder), mode(&file)), (0o700, 0o600));
        assert_eq!(disk::read_text(&file).unwrap(), r#"{"auths":{"r.example":{"auth":"QVdTOmh1bnRlcjI="}}}"#);
        assert_eq!(*masked.borrow(), ["hunter2", "QVdTOmh1bnRlcjI="]);
        drop(home);
        assert!(!folder.exists());
    }

    #[test]
    fn other_logins_stay_and_helpers_do_not() {
        let inherited = r#"{"auths":{"r.example":{"auth":"old"},"registry.example":{"auth":"x"}},"credsStore":"desktop"}"#;
        let config = config(&login(), Some(inherited));
        assert_eq!(config["auths"]["registry.example"]["auth"], "x");
        assert_eq!(config["auths"]["r.example"]["auth"], "QVdTOmh1bnRlcjI=");
        assert!(config.get("credsStore").is_none());
    }

    #[test]
    fn a_secret_becomes_a_file_that_only_we_can_read() {
        let masked = RefCell::new(Vec::new());
        let home = PrivateHome::new().unwrap();
        let secret = |name: &str| Secret { id: "npm".into(), source: SecretSource::Variable(name.into()) };
        let variables: Variables = [("NPM".to_owned(), "line one\nline two\n".to_owned())].into();
        let mask = |secret: &str| masked.borrow_mut().push(secret.to_owned());
        let kept = home.keep(&[secret("NPM")], Path::new("/w"), &variables, &mask).unwrap();
        assert_eq!(
            (disk::read_text(&kept[0].1).unwrap().as_str(), mode(&kept[0].1)),
            (&*variables["NPM"], 0o600)
        );
        assert_eq!(*masked.borrow(), ["line one", "line two"]);
        let missing = home.keep(&[secret("NO")], Path::new("/w"), &variables, &mask).unwrap_err();
        assert_eq!(missing.code, Code::InputInvalid);
    }

    #[test]
    fn a_secret_file_must_be_there() {
        let home = PrivateHome::new().unwrap();
        let secret = Secret { id: "ca".into(), source: SecretSource::File("no.pem".into()) };
        let problem = home.keep(&[secret], home.path(), &Variables::new(), &|_| ()).unwrap_err();
        assert_eq!(problem.code, Code::FileUnreadable);
    }
}
