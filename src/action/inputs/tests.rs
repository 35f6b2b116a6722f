//! Inputs as users write them, and the reported problems.

use std::time::Duration;

use super::*;

fn variables(pairs: &[(&str, &str)]) -> Variables {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn parse_inputs(pairs: &[(&str, &str)]) -> Inputs {
    read(&variables(pairs)).unwrap().inputs
}

fn error_texts(pairs: &[(&str, &str)]) -> Vec<String> {
    let problems = read(&variables(pairs)).unwrap_err();
    assert!(problems.iter().all(|problem| problem.code == Code::InputInvalid));
    problems.into_iter().map(|problem| problem.sentence).collect()
}

#[test]
fn every_input_is_read_from_its_variable() {
    let values = [
        ("operation", "set-env"),
        ("config", "deploy.yml"),
        ("environment", "staging"),
        ("services", "a"),
        ("image", "nginx"),
        ("to", "backend:41"),
        ("set", "a.B=c"),
        ("aws-region", "eu-west-1"),
        ("role-to-assume", "arn:aws:iam::111111111111:role/x"),
        ("github-token", "t"),
        ("manifests-token", "m"),
        ("argocd-token", "a"),
        ("ssh-key", "k"),
        ("ssh-known-hosts", "h"),
        ("on-cancel", "leave"),
        ("timeout", "5m"),
    ];
    assert_eq!(values.map(|(name, _)| name).to_vec(), INPUTS.iter().map(|i| i.name).collect::<Vec<_>>());
    let pairs = values.map(|(name, value)| (format!("INPUT_{}", name.to_uppercase()), value.to_owned()));
    let RawInputs {
        operation,
        config,
        environment,
        services,
        image,
        to,
        set,
        aws_region,
        role_to_assume,
        github_token,
        manifests_token,
        argocd_token,
        ssh_key,
        ssh_known_hosts,
        on_cancel,
        timeout,
    } = raw_inputs(&pairs.into()).unwrap();
    let text = |token: Option<Secret>| token.map(|token| token.reveal().to_owned());
    let tokens = [github_token, manifests_token, argocd_token, ssh_key];
    let [token, manifests, argocd, ssh_key] = tokens.map(text);
    let found = [
        operation,
        config,
        environment,
        services,
        image,
        to,
        set,
        aws_region,
        role_to_assume,
        token,
        manifests,
        argocd,
        ssh_key,
        ssh_known_hosts,
        on_cancel,
        timeout,
    ];
    assert_eq!(found.map(Option::unwrap).to_vec(), values.map(|(_, value)| value).to_vec());
}

#[test]
fn missing_inputs_have_their_defaults() {
    let empty: Variables =
        INPUTS.iter().map(|i| (format!("INPUT_{}", i.name.to_uppercase()), " ".into())).collect();
    let written: Variables = INPUTS
        .iter()
        .filter_map(|i| Some((format!("INPUT_{}", i.name.to_uppercase()), i.default?.to_owned())))
        .filter(|(name, _)| name != "INPUT_GITHUB-TOKEN")
        .collect();
    let inputs = read(&empty).unwrap();
    assert_eq!(inputs, read(&written).unwrap());
    assert_eq!(inputs.inputs.operation, Operation::Deploy);
    assert_eq!(inputs.inputs.timeout, Duration::from_secs(3600));
    assert_eq!(inputs.warnings, []);
}

#[test]
fn token_is_trimmed_and_never_printed() {
    let inputs = parse_inputs(&[("INPUT_GITHUB-TOKEN", " s3cret\n")]);
    assert_eq!(inputs.github_token.as_ref().unwrap().reveal(), "s3cret");
    assert!(!format!("{inputs:?}").contains("s3cret"));
}

#[test]
fn all_invalid_inputs_are_reported_at_once() {
    let said = error_texts(&[
        ("INPUT_OPERATION", "deplyo"),
        ("INPUT_ON-CANCEL", "explode"),
        ("INPUT_TIMEOUT", "2h30"),
        ("INPUT_IMAGE", "Not An Image"),
        ("INPUT_SERVICES", ","),
        ("INPUT_SET", "NAME=hunter2"),
        ("INPUT_AWS-REGION", "Ireland"),
        ("INPUT_ROLE-TO-ASSUME", "deploy"),
        ("INPUT_ENVIROMENT", "x"),
    ]);
    insta::assert_snapshot!(said.join("\n"), @"
    Input `operation`: `deplyo` is not known; did you mean `deploy`.
    Input `services`: it names no service.
    Input `image`: `Not An Image`: `Not An Image` is not a repository name.
    Input `set`: `NAME` is not `service.NAME`.
    Input `aws-region`: `Ireland` is not a region such as `eu-west-1`.
    Input `role-to-assume`: `deploy` is not a role such as `arn:aws:iam::111111111111:role/deploy`.
    Input `on-cancel`: `explode` is not one of `rollback`, `leave`.
    Input `timeout`: `2h30` has no unit after its last number: write `2h30m`.
    There is no input `enviroment`; it is ignored.
    ");
}

#[test]
fn unknown_input_is_a_warning_with_a_suggestion() {
    let warnings = read(&variables(&[("INPUT_AWS_REGION", "eu-west-1"), ("OTHER", "x")])).unwrap().warnings;
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].help, "Did you mean `aws-region`?");
    let far = read(&variables(&[("INPUT_ZEBRA", "")])).unwrap().warnings;
    assert!(far[0].help.starts_with("Known inputs: `operation`"));
}

#[test]
fn contradicting_inputs_are_rejected() {
    assert_eq!(
        error_texts(&[("INPUT_TO", "42"), ("INPUT_SET", "a.B=c")]),
        [
            "Input `to`: it is for `rollback` and `promote`; the operation is `deploy`.",
            "Input `set`: it is for `set-env`; the operation is `deploy`."
        ]
    );
    assert_eq!(
        error_texts(&[("INPUT_OPERATION", "set-env")]),
        ["Input `set`: set-env needs lines of `service.NAME=value`."]
    );
    assert_eq!(
        error_texts(&[("INPUT_OPERATION", "rollback"), ("INPUT_IMAGE", "nginx")]),
        ["Input `image`: the operation `rollback` takes no image."]
    );
}

#[test]
fn services_input_is_all_changed_or_a_list() {
    assert_eq!(parse_inputs(&[]).services, ServiceSelection::All);
    assert_eq!(parse_inputs(&[("INPUT_SERVICES", "changed")]).services, ServiceSelection::Changed);
    assert_eq!(
        parse_inputs(&[("INPUT_SERVICES", "b, a\nb")]).services,
        ServiceSelection::Named(vec!["b".into(), "a".into()])
    );
    assert_eq!(
        error_texts(&[("INPUT_SERVICES", "a,changed")]),
        ["Input `services`: `changed` cannot be combined with names."]
    );
}

#[test]
fn image_input_is_one_reference_or_one_per_service() {
    assert_eq!(parse_inputs(&[("INPUT_IMAGE", "nginx:1")]).images[0].service, None);
    let two = parse_inputs(&[("INPUT_IMAGE", "a = nginx:1\nb=localhost:5000/x:2")]).images;
    assert_eq!(two[0].service.as_deref(), Some("a"));
    assert_eq!(two[1].image.to_string(), "localhost:5000/x:2");
    assert_eq!(error_texts(&[("INPUT_IMAGE", "nginx\na=nginx")]).len(), 1);
    assert_eq!(
        error_texts(&[("INPUT_IMAGE", "a=nginx\na=nginx:2")]),
        ["Input `image`: `a` has two references."]
    );
    assert_eq!(
        error_texts(&[("INPUT_IMAGE", "=nginx")]),
        ["Input `image`: `=nginx` names no service before the `=`."]
    );
}

#[test]
fn set_input_sets_and_removes_variables() {
    let set =
        parse_inputs(&[("INPUT_OPERATION", "set-env"), ("INPUT_SET", "a.X=1=2, 3\na.spring.url=\nb.Y")]).set;
    let seen: Vec<_> =
        set.iter().map(|s| (s.service.as_str(), s.name.as_str(), s.value.as_deref())).collect();
    assert_eq!(seen, [("a", "X", Some("1=2, 3")), ("a", "spring.url", Some("")), ("b", "Y", None)]);
    assert_eq!(
        error_texts(&[("INPUT_OPERATION", "set-env"), ("INPUT_SET", "a.X\na.X=1")]),
        ["Input `set`: `a.X` occurs twice."]
    );
}

#[test]
fn config_input_with_several_lines_is_the_deploy_file() {
    assert_eq!(parse_inputs(&[("INPUT_CONFIG", "x.yml\n")]).config, ConfigSource::Path("x.yml".into()));
    assert_eq!(
        parse_inputs(&[("INPUT_CONFIG", "a: 1\nb: 2\n")]).config,
        ConfigSource::Text("a: 1\nb: 2".into())
    );
}

#[test]
fn line_break_in_a_name_is_rejected() {
    assert_eq!(error_texts(&[("INPUT_ENVIRONMENT", "a\n::add-mask::b")]).len(), 1);
}

proptest::proptest! {
    #[test]
    fn no_text_breaks_the_reader(values in proptest::collection::vec(".{0,40}", INPUTS.len())) {
        let pairs = INPUTS.iter().zip(values).map(|(i, value)| (format!("INPUT_{}", i.name.to_uppercase()), value));
        let _ = read(&pairs.collect());
    }
}
