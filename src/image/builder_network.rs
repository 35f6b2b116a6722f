//! What buildx, and a builder in a container, get of the network settings: proxies and certificate authorities. A
//! password is in no argument, since every process can read arguments.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::docker_config::DockerConfigDir;
use super::dockerfile::Dockerfile;
use crate::problem::{Code, Problem};
use crate::release::ImageRef;
use crate::sys::disk;
use crate::sys::environment::Variables;
use crate::sys::network::Network;

/// The proxy settings that Docker passes to every build without storing them in the image.
pub(super) const PROXY_VARIABLES: [&str; 6] =
    ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"];

/// Our variables, with the network settings in the form that buildx reads. The authorities are written below `home`.
pub(super) fn prepare_variables(variables: &Variables, home: &DockerConfigDir) -> Result<Variables, Problem> {
    let network = Network::from_variables(variables)?;
    let mut prepared = variables.clone();
    PROXY_VARIABLES.iter().for_each(|name| drop(prepared.remove(*name)));
    prepared.extend(network.proxies.child_variables());
    if let Some(bundle) = network.authorities.bundle() {
        let path = bundle_path(home);
        disk::write_private(&path, bundle.as_bytes()).map_err(|error| unwritable_problem(&error))?;
        prepared.insert("SSL_CERT_FILE".into(), path.display().to_string());
        prepared.remove("SSL_CERT_DIR");
    }
    Ok(prepared)
}

fn bundle_path(home: &DockerConfigDir) -> PathBuf {
    home.path().join("authorities.pem")
}

/// Writes the settings that buildx gives to each builder that it creates with this `home`: the authorities, for the
/// registries of the image and of the Dockerfile.
pub(super) fn write_daemon_config(
    home: &DockerConfigDir,
    image: &ImageRef,
    dockerfile: &str,
) -> Result<(), Problem> {
    let bundle = bundle_path(home);
    if !disk::exists(&bundle) {
        return Ok(());
    }
    let mut hosts = Dockerfile::parse(dockerfile).registries();
    hosts.insert(image.registry.clone());
    let path = home.path().join("buildx/buildkitd.default.toml");
    disk::write(&path, daemon_config(&hosts, &bundle).as_bytes()).map_err(|error| unwritable_problem(&error))
}

fn daemon_config(hosts: &BTreeSet<String>, bundle: &Path) -> String {
    // A string of JSON is a string of TOML, too.
    let quoted = |text: &str| Value::from(text).to_string();
    let bundle = quoted(&bundle.display().to_string());
    hosts.iter().map(|host| format!("[registry.{}]\n  ca = [{bundle}]\n", quoted(host))).collect()
}

/// Adds the proxies whose URL has a password to the container builder `name`, which buildx has created and not started.
/// Only this user can read the file.
pub(super) fn add_secret_proxies(home: &Path, name: &str, variables: &Variables) -> Result<(), Problem> {
    let secret = secret_proxies(variables);
    if secret.is_empty() {
        return Ok(());
    }
    let path = home.join("buildx/instances").join(name);
    let text = disk::read_text(&path).map_err(|error| format!("{error:#}"));
    let extended = text.and_then(|text| extend_instance(&text, &secret).ok_or("it has no nodes".into()));
    let written =
        extended.and_then(|text| disk::write(&path, text.as_bytes()).map_err(|error| format!("{error:#}")));
    written.map_err(|why| {
        let sentence = "The proxy could not be passed to the builder in a container.";
        Problem::error(Code::DockerUnavailable, sentence)
            .cause(why)
            .help("Use a proxy without a login, or settings that the engine's own builder supports.")
    })
}

/// The proxies that must not be arguments.
fn secret_proxies(variables: &Variables) -> Variables {
    let own = variables.iter().filter(|(name, _)| PROXY_VARIABLES.contains(&name.as_str()));
    own.filter(|(_, value)| value.contains('@')).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The description of a builder, with more variables for each of its nodes.
fn extend_instance(text: &str, variables: &Variables) -> Option<String> {
    let mut instance: Value = serde_json::from_str(text).ok()?;
    let nodes = instance.get_mut("Nodes")?.as_array_mut().filter(|nodes| !nodes.is_empty())?;
    for node in nodes {
        let options =
            node.as_object_mut()?.entry("DriverOpts").or_insert_with(|| Value::Object(Default::default()));
        if options.is_null() {
            *options = Value::Object(Default::default());
        }
        let options = options.as_object_mut()?;
        options.extend(variables.iter().map(|(name, value)| (format!("env.{name}"), value.clone().into())));
    }
    Some(instance.to_string())
}

fn unwritable_problem(error: &anyhow::Error) -> Problem {
    Problem::error(Code::DockerUnavailable, "The network settings of the build could not be written.")
        .cause(format!("{error:#}"))
        .help("Make the folder for temporary files writable.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn daemon_config_names_the_authorities_of_each_registry() {
        let hosts = ["b.example".to_owned(), "a.example:5000".to_owned()].into();
        insta::assert_snapshot!(daemon_config(&hosts, Path::new("/p/authorities.pem")), @r#"
        [registry."a.example:5000"]
          ca = ["/p/authorities.pem"]
        [registry."b.example"]
          ca = ["/p/authorities.pem"]
        "#);
    }

    #[test]
    fn prepared_variables_have_proxies_in_both_cases_and_one_bundle() {
        let home = DockerConfigDir::new().unwrap();
        let plain = variables(&[
            ("PATH", "/bin"),
            ("ALL_PROXY", "http://u:w@p:1"),
            ("SSL_CERT_DIR", "/etc/ssl/certs"),
        ]);
        let prepared = prepare_variables(&plain, &home).unwrap();
        assert_eq!(prepared["https_proxy"], "http://u:w@p:1");
        assert_eq!(
            [&prepared["HTTP_PROXY"], &prepared["SSL_CERT_DIR"]],
            ["http://u:w@p:1", "/etc/ssl/certs"]
        );
        write_daemon_config(&home, &"r.example/a".parse().unwrap(), "").unwrap();
        assert!(!disk::exists(&home.path().join("buildx")), "there are no other authorities");
        let der = include_bytes!("../../tests/fixtures/certificates/long.der");
        use base64::Engine as _;
        let encoded = base64::engine::general_purpose::STANDARD.encode(der);
        let file = home.path().join("corporate.pem");
        let pem = format!("-----BEGIN CERTIFICATE-----\n{encoded}\n-----END CERTIFICATE-----\n");
        disk::write(&file, pem.as_bytes()).unwrap();
        let path = file.display().to_string();
        let prepared = prepare_variables(
            &variables(&[("AWS_CA_BUNDLE", &path), ("SSL_CERT_DIR", "/etc/ssl/certs")]),
            &home,
        )
        .unwrap();
        assert!(!prepared.contains_key("SSL_CERT_DIR"));
        let bundle = disk::read_text(Path::new(&prepared["SSL_CERT_FILE"])).unwrap();
        assert!(bundle.replace('\n', "").contains(&encoded));
        write_daemon_config(&home, &"r.example/a".parse().unwrap(), "FROM b.example/c").unwrap();
        let config = disk::read_text(&home.path().join("buildx/buildkitd.default.toml")).unwrap();
        assert_eq!(config.matches(&prepared["SSL_CERT_FILE"]).count(), 3, "{config}");
    }

    #[test]
    fn proxy_with_a_password_is_added_to_the_description_of_the_builder() {
        // As buildx 0.13.1 writes it.
        let text = r#"{"Name":"t1","Driver":"docker-container","Nodes":[{"Name":"t10","Endpoint":"unix:///var/run/docker.sock","Platforms":null,"DriverOpts":{"env.NO_PROXY":"a"},"Flags":["--allow-insecure-entitlement=network.host"],"Files":null}],"Dynamic":false}"#;
        let all = variables(&[("HTTPS_PROXY", "http://u:w@p:1"), ("NO_PROXY", "a"), ("NPM", "x@y")]);
        let secret = secret_proxies(&all);
        let extended = extend_instance(text, &secret).unwrap();
        insta::assert_snapshot!(extended, @r#"{"Name":"t1","Driver":"docker-container","Nodes":[{"Name":"t10","Endpoint":"unix:///var/run/docker.sock","Platforms":null,"DriverOpts":{"env.NO_PROXY":"a","env.HTTPS_PROXY":"http://u:w@p:1"},"Flags":["--allow-insecure-entitlement=network.host"],"Files":null}],"Dynamic":false}"#);
        assert!(extend_instance(&text.replace(r#"{"env.NO_PROXY":"a"}"#, "null"), &secret).is_some());
        for odd in ["", "[]", "{}", r#"{"Nodes":[]}"#, r#"{"Nodes":[5]}"#] {
            assert_eq!(extend_instance(odd, &secret), None, "{odd}");
        }
        let home = tempfile::tempdir().unwrap();
        assert!(add_secret_proxies(home.path(), "t1", &variables(&[("HTTPS_PROXY", "http://p:1")])).is_ok());
        let missing = add_secret_proxies(home.path(), "t1", &all).unwrap_err();
        assert!(!missing.to_string().contains("u:w"), "{missing}");
    }
}
