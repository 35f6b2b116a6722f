//! What the user's Compose file says about a deployment.

use super::Settings;
use super::compose_file::{lint, project_name};
use crate::release::DefinitionFile;

fn settings(extra: &str) -> Settings {
    let text = format!(
        r#"{{"hosts":[{{"ssh":"deploy@app1"}}],"directory":"/srv/My.Shop/","service":"web"{extra}}}"#
    );
    serde_json::from_str(&text).unwrap()
}

fn file(text: &str) -> DefinitionFile {
    DefinitionFile { path: "compose.yaml".into(), text: text.into() }
}

#[test]
fn project_is_named_as_compose_names_it() {
    let plain = file("services: {}");
    assert_eq!(project_name(&settings(""), std::slice::from_ref(&plain)), "myshop");
    assert_eq!(project_name(&settings(""), &[file("name: store")]), "store");
    assert_eq!(project_name(&settings(""), &[file("name: \"${X}\"")]), "myshop");
    assert_eq!(project_name(&settings(r#","project":"mine""#), &[file("name: store")]), "mine");
    assert_eq!(project_name(&settings(""), &[]), "myshop");
}

#[test]
fn each_obstacle_has_its_line() {
    let proxy = r#","proxy":{"nginx":"web.conf","container":"edge","port":80}"#;
    let logging = "    logging: { options: { max-size: 10m } }\n";
    let found = |extra: &str, text: &str| {
        let each = lint(&settings(extra), &file(text)).into_iter().map(|problem| {
            let line = problem.location.as_ref().map_or(0, |at| at.line);
            format!("{line}: {}", problem.sentence)
        });
        let each: Vec<String> = each.collect();
        if each.is_empty() { "nothing".to_owned() } else { each.join("\n") }
    };
    let all = [
        found("", &format!("services:\n  web:\n    image: x\n    ports: [\"80:80\"]\n{logging}")),
        found(
            proxy,
            &format!(
                "services:\n  db:\n    container_name: y\n  web:\n    image: x\n    container_name: z\n    ports:\n      - \"80:80\"\n{logging}"
            ),
        ),
        found(proxy, &format!("services:\n  web:\n    ports: [\"80\", {{ target: 80 }}]\n{logging}")),
        found(proxy, &format!("services:\n  web:\n    network_mode: host\n{logging}")),
        found("", &format!("services:\n  web:\n    deploy:\n      replicas: 3\n{logging}")),
        found("", &format!("services:\n  web:\n    image: x\n    deploy: {{ \"replicas\": 2 }}\n{logging}")),
        found("", "services:\n  web:\n    image: x\n"),
        found("", "services:\n  api: {}\n  db: {}\n"),
        found("", "services: [\n"),
        found(r#","files":["compose.yaml","more.yaml"]"#, "services:\n  api: {}\n"),
    ];
    insta::assert_snapshot!(all.join("\n--\n"), @"
    nothing
    --
    6: The service `web` has a fixed `container_name`, so two containers of it cannot run at the same time.
    7: The service `web` has a published port, so two containers of it cannot run at the same time.
    --
    nothing
    --
    3: The service `web` has `network_mode: host`, so two containers of it cannot run at the same time.
    --
    4: The service `web` has 3 copies; one copy is supported.
    --
    4: The service `web` has 2 copies; one copy is supported.
    --
    2: The logs of the service `web` have no size limit in `compose.yaml`.
    --
    1: The Compose file `compose.yaml` has no service `web`.
    --
    1: The Compose file `compose.yaml` cannot be read.
    --
    nothing
    ");
}
