//! Plain manifests before and after, byte for byte.

use super::*;

fn after(text: &str, spot: &Spot, image: &str) -> String {
    let wish = Wish { image: image.parse().unwrap(), pin: Pin::Digest };
    match edit(text.as_bytes(), spot, &wish) {
        Ok(edited) => String::from_utf8(edited.bytes).unwrap(),
        Err(refusal) => {
            let (line, column) = refusal.at.unwrap_or_default();
            format!("{line}:{column}: {} {}", refusal.why, refusal.help).trim_end().to_owned()
        }
    }
}

fn called(name: &str) -> Spot {
    Spot::Container { name: name.into() }
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
fn named_containers_of_any_workload() {
    let wanted = MANY
        .replace("image:   reg.io:5000/app:v1", "image:   reg.io:5000/app:v2")
        .replace("\"reg.io:5000/app:v1\"", "\"reg.io:5000/app:v2\"");
    assert_eq!(after(MANY, &called("app"), "reg.io:5000/app:v2"), wanted);
    let wanted = MANY.replace("'reg.io:5000/app:v1'", "'x/y:v2'");
    assert_eq!(after(MANY, &called("migrate"), "x/y:v2"), wanted);
}

#[test]
fn every_container_of_a_repository() {
    let wanted = MANY
        .replace("reg.io:5000/app:v1", "reg.io:5000/app:v2")
        .replace("image: reg.io:5000/app\n", "image: reg.io:5000/app:v2\n");
    assert_eq!(after(MANY, &Spot::Repository, "reg.io:5000/app:v2"), wanted);
}

#[test]
fn what_is_not_clear_is_refused() {
    let pod = |containers: &str| format!("kind: Pod\nspec:\n  containers:\n{containers}");
    for (text, spot, wanted) in [
        (pod("  - {name: a, image: x}\n"), called("app"), "0:0: no container is called `app` It has `a`."),
        (
            "kind: ConfigMap\n".to_owned(),
            called("app"),
            "0:0: no container is called `app` It has no containers at all.",
        ),
        (
            pod("  - {name: a, image: x:1}\n"),
            Spot::Repository,
            "0:0: no container runs an image of `app` It has `x`.",
        ),
        (
            pod("  - {name: app, image: x:1}\n  - {name: app, image: y:1}\n"),
            called("app"),
            "5:24: several containers are called `app`, and they run different images Keep them in files of their own.",
        ),
        (pod("  - {name: app}\n"), called("app"), "4:5: the container `app` has no `image` of its own there"),
        (
            pod("  - {name: app, image: [x]}\n"),
            called("app"),
            "4:24: `spec.containers[0].image` is no single value",
        ),
        (
            pod("  - {name: app, image: a, image: b}\n"),
            called("app"),
            "4:27: the key `image` stands twice in the same mapping",
        ),
        (
            pod("  - &c {name: app, image: app:1}\n  - *c\n"),
            called("app"),
            "4:8: `spec.containers[0]` is used in other places too, by an alias",
        ),
        (
            format!("x: &i app:1\n{}", pod("  - {name: app, image: *i}\n")),
            Spot::Repository,
            "5:24: `spec.containers[0].image` is an alias of a value that stands elsewhere",
        ),
        (
            format!("x: &c {{name: app, image: app:1}}\n{}", pod("  - *c\n")),
            Spot::Repository,
            "1:7: `x` is used in other places too, by an alias",
        ),
        (
            format!("x: &c {{image: app:1}}\n{}", pod("  - {<<: *c, name: app}\n")),
            called("app"),
            "1:7: `x` is used in other places too, by an alias",
        ),
        (
            pod("  - name: app\n    image: {{ .Values.image }}\n"),
            called("app"),
            "5:12: `spec.containers[0].image` is filled in by a template Point to the values that the template is filled with.",
        ),
        (
            pod("  - name: app\n    image: $(IMAGE)\n"),
            called("app"),
            "5:12: `spec.containers[0].image` is filled in by a template Point to the values that the template is filled with.",
        ),
    ] {
        let said = after(&text, &spot, "app:v2");
        assert!(said.starts_with(wanted), "{text}\n{said}");
    }
}

#[test]
fn a_json_manifest_stays_json() {
    let text =
        "{\n\t\"kind\": \"Pod\",\n\t\"spec\": {\"containers\": [{\"name\":\"app\",\"image\":\"app:1\"}]}\n}";
    assert_eq!(after(text, &called("app"), "app:2"), text.replace("app:1", "app:2"));
}

#[test]
fn bounds_hold() {
    let wish = Wish { image: "app:v2".parse().unwrap(), pin: Pin::Digest };
    let refuse = |text: &[u8]| edit(text, &called("app"), &wish).unwrap_err();
    let deep = format!("a: {}{}", "[".repeat(101), "]".repeat(101));
    let blocks: String = (0..101).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let many = format!("a: [{}]", "a,".repeat(1_000_001));
    let large = vec![b' '; (8 << 20) + 1];
    for (text, why) in [
        (deep.as_bytes(), "it is not YAML that can be read"),
        (blocks.as_bytes(), "it is not YAML that can be read"),
        (many.as_bytes(), "it has too many values"),
        (&large, "its 8388609 bytes are more than 8 MiB"),
        (b"a: \xff\xfe\n", "it is not UTF-8"),
        (b"a: b\0c\n", "it is not YAML that can be read"),
        (b"\xff\xfea\0", "it is not UTF-8"),
        (b"a: [b\n", "it is not YAML that can be read"),
    ] {
        let refusal = refuse(text);
        assert!(refusal.why.starts_with(why), "{refusal:?}");
        assert_eq!(refusal.code, crate::problem::Code::ManifestUnreadable);
    }
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for i in 1..2000 {
        bomb += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(","));
    }
    bomb += "spec: {containers: [{name: app, image: app:v1}]}\n";
    assert!(edit(bomb.as_bytes(), &called("app"), &wish).is_ok());
}

#[test]
fn many_comments_in_a_row_are_no_matter() {
    let comments = "# a commented-out block\n".repeat(500);
    let text = format!(
        "kind: Pod\nspec:\n{comments}  containers:\n{comments}  - name: app\n    image: app:v1\n{comments}"
    );
    assert_eq!(after(&text, &called("app"), "app:v2"), text.replace("app:v1", "app:v2"));
}

#[test]
fn a_problem_says_where() {
    let refusal = edit(b"a: [", &Spot::Repository, &Wish { image: "app:1".parse().unwrap(), pin: Pin::Tag })
        .unwrap_err();
    let problem = refusal.problem("x.yaml");
    assert_eq!(problem.at.as_ref().map(|at| (at.file.as_str(), at.line)), Some(("x.yaml", 1)));
    assert!(problem.to_string().starts_with("`x.yaml` is left as it is: it is not YAML"), "{problem}");
    let nothing = Wish { image: "app".parse().unwrap(), pin: Pin::Tag };
    assert!(edit(b"image: app", &Spot::ValuesOf, &nothing).is_err());
}
