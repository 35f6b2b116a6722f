//! What is wrong with `ecs.images`, at which line, and what a definition becomes.

use serde_json::{Value, json};

use super::Settings;
use super::container_images::{apply_images, definition_problems};
use crate::config::DeployFile;
use crate::release::{DefinitionFile, Release};
use crate::targets::{self, KINDS};

const DEFINITION: &str = r#"{"family":"shop","cpu":"256","memory":"512","networkMode":"awsvpc","requiresCompatibilities":["FARGATE"],"executionRoleArn":"arn:aws:iam::1:role/exec",
"containerDefinitions":[{"name":"php","image":""},{"name":"nginx","image":"<NGINX>"},{"name":"log","image":"log:1"}]}"#;

/// The problems of a service whose container is `php`, with these lines of `images` from line 11 on.
fn lint(images: &str, definition: Option<&str>) -> Vec<String> {
    let images: String = images.lines().map(|line| format!("        {line}\n")).collect();
    let text = format!(
        "environments: {{ production: {{}} }}\nservices:\n  shop:\n    build: {{ context: php }}\n    repository: acme/php\n    \
         ecs:\n      cluster: c\n      service: s\n      container: php\n      images:\n{images}"
    );
    let document =
        DeployFile::parse("f.yml", &text).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
    let (services, problems) =
        document.services("production", &[], &targets::keys(KINDS), &Default::default());
    assert_eq!(problems, [], "{text}");
    let (specs, problems) = targets::read_specs(KINDS, "f.yml", services);
    assert_eq!(problems, [], "{text}");
    let file = definition.map(|text| DefinitionFile { path: "td.json".into(), text: text.to_owned() });
    let found = specs[0].lint(file.as_ref());
    let line = |problem: &crate::problem::Problem| {
        let at = problem.location.as_ref().unwrap();
        format!("{}:{} {} {}", at.file, at.line, problem.sentence, problem.help).trim_end().to_owned()
    };
    found.iter().map(line).collect()
}

fn lint_file(images: &str) -> Vec<String> {
    lint(images, Some(DEFINITION))
}

#[test]
fn entries_that_can_be_deployed_have_no_problem() {
    for images in [
        "nginx: { build: { context: nginx }, repository: acme/nginx }",
        "nginx: { repository: acme/nginx }",
        "nginx: { repository: acme/php }",
        "nginx: { repository: acme/php, build: { context: php } }",
        "nginx: { image: \"public.ecr.aws/nginx/nginx:1.27\" }",
        "nginx: { repository: acme/side, build: { context: side } }\nlog: { repository: acme/side }",
        "nginx: { repository: acme/side, build: { context: side } }\nlog: { repository: acme/side, build: { context: side } }",
    ] {
        assert_eq!(lint_file(images), [""; 0], "{images}");
    }
}

#[test]
fn wrong_entries_are_named_at_their_lines() {
    let both = lint_file(
        "ngnix: { repository: acme/nginx }\nphp: { repository: acme/other }\nnginx: {}\nlog: { build: { context: log } }",
    );
    insta::assert_snapshot!(both.join("\n"), @"
    f.yml:11 The task definition has no container `ngnix`. Did you mean `nginx`? The containers are `php`, `nginx`, `log`.
    f.yml:12 The container `php` gets the image of the service and is in `ecs.images`, too. Remove it from `images`, or name the container of the service in `ecs.container`.
    f.yml:13 The container `nginx` in `ecs.images` has neither `build` nor `repository` nor `image`. Add `repository` and `build` for an image that is built, or `image` for a fixed one.
    f.yml:14 There is a `build` of the container `log`, but no `repository` to push to. Add `repository`.
    ");
    for (entry, expected) in [
        (
            "nginx: { image: nginx, repository: a }",
            "has a fixed `image`, and a `build` or `repository`, too.",
        ),
        ("nginx: { image: nginx, build: {} }", "has a fixed `image`, and a `build` or `repository`, too."),
        ("nginx: { image: \"Nginx 1\" }", "The `image` of the container `nginx` cannot be used"),
        (
            "nginx: { repository: acme/php, build: { context: nginx } }",
            "of the container `nginx` and of the service are different builds with the same repository `acme/php`",
        ),
        (
            "log: { repository: a/b, build: { context: x } }\nnginx: { repository: a/b, build: { context: y } }",
            "of the container `nginx` and of the container `log` are different builds",
        ),
    ] {
        let found = lint_file(entry);
        assert!(found.len() == 1 && found[0].contains(expected), "{entry}: {found:?}");
    }
}

/// Without a file the definition is known only when the service was read.
#[test]
fn container_of_the_running_definition_is_checked_too() {
    let twice = lint("php: { repository: acme/other }", None);
    assert!(twice.len() == 1 && twice[0].contains("and is in `ecs.images`, too."), "{twice:?}");
    assert_eq!(lint("ngnix: { repository: acme/nginx }", None), [""; 0]);
    let settings = |images: Value| -> Settings {
        serde_json::from_value(json!({ "cluster": "c", "service": "s", "images": images })).unwrap()
    };
    let running =
        json!({ "containerDefinitions": [{ "name": "php" }, { "name": "nginx", "essential": false }] });
    let sentences = |images: Value| {
        let found = definition_problems(&running, &settings(images));
        found.iter().map(|problem| format!("{} {}", problem.sentence, problem.help)).collect::<Vec<_>>()
    };
    let entry = json!({ "repository": "r" });
    assert_eq!(sentences(json!({ "nginx": entry })), [""; 0]);
    let found = sentences(json!({ "ngnix": entry, "php": entry }));
    assert!(found.len() == 2 && found[0].contains("Did you mean `nginx`?"), "{found:?}");
    assert!(
        found[1].contains("`php` gets the image of the service and is in `ecs.images`, too."),
        "{found:?}"
    );
}

#[test]
fn images_of_the_release_replace_those_of_the_file_and_others_stay() {
    let settings: Settings = serde_json::from_value(
        json!({ "cluster": "c", "service": "s", "images": { "nginx": {}, "log": {} } }),
    )
    .unwrap();
    let mut wanted: Value = serde_json::from_str(DEFINITION).unwrap();
    let running = json!({ "containerDefinitions": [{ "name": "log", "image": "log:running" }] });
    let release = Release {
        container_images: [("nginx".to_owned(), "acme/nginx:2".parse().unwrap())].into(),
        ..Release::of("shop", "production")
    };
    apply_images(&mut wanted, &settings, &release, &running);
    let images: Vec<&str> = wanted["containerDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["image"].as_str().unwrap())
        .collect();
    assert_eq!(images, ["", "acme/nginx:2", "log:running"]);
}
