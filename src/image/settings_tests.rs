//! Tests of `settings.rs`.

use super::*;

fn read(yaml: &str) -> Build {
    serde_saphyr::from_str(yaml).unwrap()
}

fn problems(yaml: &str) -> Vec<Problem> {
    read(yaml).faults().into_iter().map(|fault| fault.problem).collect()
}

#[test]
fn empty_build_block_builds_the_workspace() {
    assert_eq!(read("{}"), Build::default());
    assert_eq!((read("{}").context, read("{}").dockerfile), (".".into(), "Dockerfile".into()));
}

#[test]
fn unknown_build_key_is_an_error() {
    let error = serde_saphyr::from_str::<Build>("dockerfiles: x").unwrap_err().to_string();
    assert!(error.contains("dockerfiles"), "{error}");
}

#[test]
fn build_argument_may_be_a_number() {
    assert_eq!(read("args: { NODE: 22, DEBUG: true }").args["NODE"], "22");
}

#[test]
fn secrets_are_parsed_in_all_three_forms() {
    let variable =
        |id: &str, name: &str| BuildSecret { id: id.into(), source: SecretSource::Variable(name.into()) };
    let file = BuildSecret { id: "ca".into(), source: SecretSource::File("certs/ca.pem".into()) };
    for (entry, expected) in [
        ("NPM_TOKEN", variable("NPM_TOKEN", "NPM_TOKEN")),
        ("id=npm,env=NPM_TOKEN", variable("npm", "NPM_TOKEN")),
        ("id=npm", variable("npm", "npm")),
        ("type=file,id=ca,src=certs/ca.pem", file),
    ] {
        assert_eq!(parse_secret(entry), Ok(expected), "{entry}");
    }
}

#[test]
fn invalid_secrets_are_rejected() {
    for entry in ["", "id=", "id=a b", "id=a,src=", "id=a,env=1x", "env=A", "a=b", "id=a,type=ssh"] {
        assert_eq!(parse_secret(entry).map_err(|p| p.code), Err(Code::ConfigInvalid), "{entry}");
    }
}

#[test]
fn all_problems_are_reported_together() {
    let block = "{ args: { NPM_TOKEN: x, 'a b': y, PORT: z, EMPTY_TOKEN: '' }, secrets: ['a=b'], platforms: [arm64] }";
    let codes: Vec<_> = problems(block).into_iter().map(|p| (p.code, p.is_error())).collect();
    let (bad, plain) = ((Code::ConfigInvalid, true), (Code::SecretInPlainText, false));
    assert_eq!(codes, [bad, bad, plain, bad]);
}

#[test]
fn problem_is_on_the_line_of_its_item() {
    let yaml = "args:\n  NPM_TOKEN: x\nplatforms:\n  - linux/amd64\n  - arm64\ncontext: ../..\n";
    let node = crate::config::tree::parse("f.yml", yaml).unwrap();
    let found = read(yaml).problems_at("f.yml", &node);
    let lines: Vec<usize> = found.iter().filter_map(|it| it.location.as_ref()).map(|at| at.line).collect();
    assert_eq!(lines, [2, 5, 6]);
}

#[test]
fn build_reads_nothing_outside_of_the_workspace() {
    for inside in [
        "context: app",
        "{ context: app, dockerfile: ../docker/Dockerfile }",
        "secrets: ['id=ca,src=certs/../ca.pem', PASSWD]",
    ] {
        assert_eq!(problems(inside), [], "{inside}");
    }
    for (yaml, key, path) in [
        ("context: ../../..", "context", "../../.."),
        ("context: /", "context", "/"),
        ("context: app/../..", "context", "app/../.."),
        ("dockerfile: ../Dockerfile", "dockerfile", "./../Dockerfile"),
        ("dockerfile: /etc/passwd", "dockerfile", "/etc/passwd"),
        ("{ context: a, dockerfile: ../../b }", "dockerfile", "a/../../b"),
        ("secrets: ['id=a,src=/etc/passwd']", "secrets", "/etc/passwd"),
        ("secrets: ['id=a,src=../a']", "secrets", "../a"),
    ] {
        let found = problems(yaml);
        let sentence = format!("The `{key}` of a build, `{path}`, is outside of the workspace.");
        assert_eq!(found.iter().map(|it| it.sentence.as_str()).collect::<Vec<_>>(), [sentence], "{yaml}");
    }
}

#[test]
fn dockerfile_is_named_as_git_names_it() {
    for (yaml, path) in [
        ("{}", "Dockerfile"),
        ("{ context: ./api/ }", "api/Dockerfile"),
        ("{ context: ., dockerfile: docker/api.Dockerfile }", "docker/api.Dockerfile"),
        ("{ context: app, dockerfile: ../docker/Dockerfile }", "docker/Dockerfile"),
    ] {
        assert_eq!(read(yaml).dockerfile_path(), path, "{yaml}");
    }
}

#[test]
fn simple_builds_need_no_container_builder() {
    for (yaml, needed) in [
        ("{}", false),
        ("cache: inline", false),
        ("platforms: [linux/arm64]", false),
        ("provenance: false", false),
        ("provenance: true", true),
        ("cache: gha", true),
        ("cache: registry", true),
        ("platforms: [linux/amd64, linux/arm64]", true),
    ] {
        assert_eq!(read(yaml).needs_container_builder(), needed, "{yaml}");
    }
}
