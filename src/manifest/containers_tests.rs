//! Plain manifests before and after, byte for byte.

use super::*;

fn text_after_edit(text: &str, location: &ImageLocation, image: &str) -> String {
    let update = ImageUpdate { image: image.parse().unwrap(), pin: HelmPin::Digest };
    match edit_image(text.as_bytes(), location, &update) {
        Ok(edited) => String::from_utf8(edited.bytes).unwrap(),
        Err(refusal) => {
            let (line, column) = refusal.at.unwrap_or_default();
            format!("{line}:{column}: {} {}", refusal.reason, refusal.help).trim_end().to_owned()
        }
    }
}

fn container_named(name: &str) -> ImageLocation {
    ImageLocation::Container { name: name.into() }
}

const MANY: &str = "\
# the web
apiVersion: apps/v1
kind: Deployment
spec:
  template:
    spec:
      initContainers:
      - { name: migrate, image: 'reg.io:5000/app:v1' } # first
      containers:
      -   image:   reg.io:5000/app:v1  # live
          name: app
      - name: proxy
        image: reg.io:5000/app-proxy:v1
---
apiVersion: v1
kind: List
items:
- kind: CronJob
  spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: app, image: \"reg.io:5000/app:v1\"}]}}}}}
- kind: Pod
  spec:
    containers: [ {name: db, image: reg.io:5000/db} ]
--- # a kind of somebody else
kind: Workflow
spec:
  templates:
  - container:
      image: reg.io:5000/app
";

#[test]
fn named_containers_of_any_workload_are_edited() {
    let wanted = MANY
        .replace("image:   reg.io:5000/app:v1", "image:   reg.io:5000/app:v2")
        .replace("\"reg.io:5000/app:v1\"", "\"reg.io:5000/app:v2\"");
    assert_eq!(text_after_edit(MANY, &container_named("app"), "reg.io:5000/app:v2"), wanted);
    let wanted = MANY.replace("'reg.io:5000/app:v1'", "'x/y:v2'");
    assert_eq!(text_after_edit(MANY, &container_named("migrate"), "x/y:v2"), wanted);
}

#[test]
fn every_container_of_a_repository_is_edited() {
    let wanted = MANY
        .replace("reg.io:5000/app:v1", "reg.io:5000/app:v2")
        .replace("image: reg.io:5000/app\n", "image: reg.io:5000/app:v2\n");
    assert_eq!(text_after_edit(MANY, &ImageLocation::ContainersByRepository, "reg.io:5000/app:v2"), wanted);
}

#[test]
fn ambiguous_manifest_is_rejected() {
    let pod = |containers: &str| format!("kind: Pod\nspec:\n  containers:\n{containers}");
    for (text, location, wanted) in [
        (
            pod("  - {name: a, image: x}\n"),
            container_named("app"),
            "0:0: no container is named `app` The file has `a`.",
        ),
        (
            "kind: ConfigMap\n".to_owned(),
            container_named("app"),
            "0:0: no container is named `app` The file has no containers.",
        ),
        (
            pod("  - {name: a, image: x:1}\n"),
            ImageLocation::ContainersByRepository,
            "0:0: no image in the file is `app` The file has `x`.",
        ),
        (
            pod("  - {name: app, image: x:1}\n  - {name: app, image: y:1}\n"),
            container_named("app"),
            "5:24: several containers are named `app`, and they run different images Move them to separate files.",
        ),
        (
            pod("  - {name: app}\n"),
            container_named("app"),
            "4:5: the container `app` has no `image` of its own",
        ),
        (
            pod("  - {name: app, image: [x]}\n"),
            container_named("app"),
            "4:24: `spec.containers[0].image` is not a single value",
        ),
        (
            pod("  - {name: app, image: a, image: b}\n"),
            container_named("app"),
            "4:27: the key `image` occurs twice in the same mapping",
        ),
        (
            pod("  - &c {name: app, image: other:1}\n  - *c\n"),
            container_named("app"),
            "4:8: `spec.containers[0]` is also used elsewhere, by an alias on line 5",
        ),
        (
            format!("x: &i app:1\n{}  - {{name: b, args: [*i]}}\n", pod("  - {name: app, image: *i}\n")),
            ImageLocation::ContainersByRepository,
            "1:7: `x` is also used elsewhere, by an alias on line 6",
        ),
        (
            pod("  - name: app\n    image: {{ .Values.image }}\n"),
            container_named("app"),
            "5:12: `spec.containers[0].image` is filled in by a template Edit the values of the template instead.",
        ),
        (
            pod("  - name: app\n    image: $(IMAGE)\n"),
            container_named("app"),
            "5:12: `spec.containers[0].image` is filled in by a template Edit the values of the template instead.",
        ),
    ] {
        let said = text_after_edit(&text, &location, "app:v2");
        assert!(said.starts_with(wanted), "{text}\n{said}");
    }
}

#[test]
fn shared_value_is_edited_if_all_that_read_it_are_the_image() {
    let pod = |containers: &str| format!("kind: Pod\nspec:\n  containers:\n{containers}");
    for (text, location) in [
        (pod("  - &c {name: app, image: app:1}\n  - *c\n"), container_named("app")),
        (
            format!("x: &i app:1\n{}", pod("  - {name: app, image: *i}\n")),
            ImageLocation::ContainersByRepository,
        ),
        (
            pod("  - {name: a, image: &i app:1}\n  - {name: app, image: *i}\n"),
            ImageLocation::ContainersByRepository,
        ),
        (pod("  - {name: a, image: &i app:1}\n  - {name: app, image: *i}\n"), container_named("app")),
        (
            format!("x: &c {{name: app, image: app:1}}\n{}", pod("  - *c\n")),
            ImageLocation::ContainersByRepository,
        ),
        (format!("x: &c {{image: app:1}}\n{}", pod("  - {<<: *c, name: app}\n")), container_named("app")),
    ] {
        assert_eq!(text_after_edit(&text, &location, "app:v2"), text.replace("app:1", "app:v2"), "{text}");
    }
}

#[test]
fn spelling_of_the_registry_is_kept() {
    let pod =
        |image: &str| format!("kind: Pod\nspec:\n  containers:\n  - {{name: app, image: \"{image}\"}}\n");
    for (now, image, wanted) in [
        ("docker.io/acme/api:v1", "acme/api:v2", "docker.io/acme/api:v2"),
        ("docker.io/library/redis:7", "redis:7.2", "docker.io/library/redis:7.2"),
        ("index.docker.io/acme/api", "docker.io/acme/api:v2", "index.docker.io/acme/api:v2"),
        ("redis:7", "docker.io/library/redis:7.2", "redis:7.2"),
    ] {
        for location in [ImageLocation::ContainersByRepository, container_named("app")] {
            assert_eq!(text_after_edit(&pod(now), &location, image), pod(wanted));
        }
    }
}

#[test]
fn containers_of_tekton_are_edited() {
    let task = "apiVersion: tekton.dev/v1\nkind: Task\nspec:\n  stepTemplate: {image: app:1}\n  steps:\n  - name: a\n    image: app:1\n  - name: b\n    image: other:1\n  sidecars:\n  - {name: c, image: app:1}\n";
    assert_eq!(
        text_after_edit(task, &ImageLocation::ContainersByRepository, "app:v2"),
        task.replace("app:1", "app:v2")
    );
    assert_eq!(
        text_after_edit(task, &container_named("a"), "app:v2"),
        task.replace("name: a\n    image: app:1", "name: a\n    image: app:v2")
    );
    let rollout = "kind: Rollout\nspec:\n  steps: [{setWeight: 10}, {name: app}]\n";
    assert!(
        text_after_edit(rollout, &container_named("app"), "app:v2").contains("no container is named `app`")
    );
}

#[test]
fn json_manifest_stays_json() {
    let text =
        "{\n\t\"kind\": \"Pod\",\n\t\"spec\": {\"containers\": [{\"name\":\"app\",\"image\":\"app:1\"}]}\n}";
    assert_eq!(text_after_edit(text, &container_named("app"), "app:2"), text.replace("app:1", "app:2"));
}

#[test]
fn size_and_depth_are_limited() {
    let update = ImageUpdate { image: "app:v2".parse().unwrap(), pin: HelmPin::Digest };
    let refuse = |text: &[u8]| edit_image(text, &container_named("app"), &update).unwrap_err();
    let deep = format!("a: {}{}", "[".repeat(101), "]".repeat(101));
    let blocks: String = (0..101).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let many = format!("a: [{}]", "a,".repeat(1_000_001));
    let large = vec![b' '; (8 << 20) + 1];
    for (text, why) in [
        (deep.as_bytes(), "it is not valid YAML"),
        (blocks.as_bytes(), "it is not valid YAML"),
        (many.as_bytes(), "it has too many values"),
        (&large, "its 8388609 bytes are more than 8 MiB"),
        (b"a: \xff\xfe\n", "it is not UTF-8"),
        (b"a: b\0c\n", "it is not valid YAML"),
        (b"\xff\xfea\0", "it is not UTF-8"),
        (b"a: [b\n", "it is not valid YAML"),
    ] {
        let refusal = refuse(text);
        assert!(refusal.reason.starts_with(why), "{refusal:?}");
        assert_eq!(refusal.code, crate::problem::Code::ManifestUnreadable);
    }
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for i in 1..2000 {
        bomb += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(","));
    }
    bomb += "spec: {containers: [{name: app, image: app:v1}]}\n";
    assert!(edit_image(bomb.as_bytes(), &container_named("app"), &update).is_ok());
}

#[test]
fn many_comments_in_a_row_are_accepted() {
    let comments = "# a commented-out block\n".repeat(500);
    let text = format!(
        "kind: Pod\nspec:\n{comments}  containers:\n{comments}  - name: app\n    image: app:v1\n{comments}"
    );
    assert_eq!(text_after_edit(&text, &container_named("app"), "app:v2"), text.replace("app:v1", "app:v2"));
}

#[test]
fn problem_names_its_position() {
    let refusal = edit_image(
        b"a: [",
        &ImageLocation::ContainersByRepository,
        &ImageUpdate { image: "app:1".parse().unwrap(), pin: HelmPin::Tag },
    )
    .unwrap_err();
    let problem = refusal.problem("x.yaml");
    assert_eq!(problem.location.as_ref().map(|at| (at.file.as_str(), at.line)), Some(("x.yaml", 1)));
    assert!(problem.to_string().starts_with("`x.yaml` was not changed: it is not valid YAML"), "{problem}");
    let nothing = ImageUpdate { image: "app".parse().unwrap(), pin: HelmPin::Tag };
    assert!(edit_image(b"image: app", &ImageLocation::ValuesByRepository, &nothing).is_err());
}
