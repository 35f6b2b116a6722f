//! What the controllers do as time passes: the lies of `Progressing`, and the pod of a StatefulSet that nobody replaces.

use serde_json::{Value, json};

use super::api::change_spec;
use super::objects::workload_json;
use super::state::Workload;
use crate::scenario::Scenario;
use crate::seed::build_world;
use crate::world::World;

fn world(workload: &str, faults: &str) -> World {
    let text = format!(
        "faults: {faults}\nkubernetes: {{ clusters: [{{ workloads: [{{ name: api, {workload} containers: [{{ name: app, image: \"x/api:v1\" }}] }}] }}] }}"
    );
    build_world(&Scenario::parse(&text).unwrap(), 1)
}

fn work(world: &World) -> &Workload {
    &world.kubernetes.clusters[0].workloads[0]
}

fn began(world: &World) -> f64 {
    world.faults.started_at
}

fn advance(world: &mut World, until: f64) {
    while let Some((at, event)) = world.events.pop_due(until) {
        event.run(world, at);
    }
}

fn set_image(world: &mut World, image: &str, now: f64) {
    advance(world, now);
    world.faults.first_deployment.get_or_insert(now);
    let mut spec = work(world).spec.clone();
    spec["template"]["spec"]["containers"][0]["image"] = json!(image);
    change_spec(world, 0, 0, &spec, "test", now);
}

fn status(world: &World, now: f64) -> Value {
    workload_json(work(world), now)["status"].clone()
}

fn reason(world: &World, now: f64) -> String {
    let conditions = status(world, now)["conditions"].clone();
    let all = conditions.as_array().unwrap();
    all.iter().find(|one| one["type"] == "Progressing").unwrap()["reason"].as_str().unwrap().to_owned()
}

#[test]
fn rolling_update_ends_complete_and_an_old_template_gets_the_next_number() {
    let mut world = world("replicas: 4,", "[]");
    let start = began(&world);
    assert_eq!(status(&world, start)["availableReplicas"], 4);
    set_image(&mut world, "x/api:v2", start + 1.0);
    advance(&mut world, start + 300.0);
    let end = status(&world, start + 300.0);
    assert_eq!(
        (&end["updatedReplicas"], &end["replicas"], &end["availableReplicas"]),
        (&json!(4), &json!(4), &json!(4))
    );
    assert_eq!(reason(&world, start + 300.0), "NewReplicaSetAvailable");
    set_image(&mut world, "x/api:v1", start + 301.0);
    advance(&mut world, start + 600.0);
    let revision = work(&world).revisions.last().unwrap();
    assert_eq!((revision.number, revision.past_numbers.as_slice()), (3, &[1][..]));
}

/// After the template of a failed rollout was put back, the condition is still that of the failure, although the controller has
/// seen the change.
#[test]
fn condition_of_the_rollout_before_is_carried_over() {
    let faults = "[image-not-found: {}]";
    let mut world = world("strategy: Recreate, progress-deadline: 60,", faults);
    let start = began(&world);
    set_image(&mut world, "x/api:v2", start + 1.0);
    advance(&mut world, start + 200.0);
    assert_eq!(reason(&world, start + 200.0), "ProgressDeadlineExceeded");
    set_image(&mut world, "x/api:v1", start + 200.0);
    let soon = start + 200.32;
    advance(&mut world, soon);
    assert_eq!(work(&world).observed_generation, work(&world).generation);
    assert_eq!(reason(&world, soon), "ProgressDeadlineExceeded");
    advance(&mut world, start + 400.0);
    assert_eq!(reason(&world, start + 400.0), "NewReplicaSetAvailable");
}

/// A template that served before, whose pods cannot be made: the condition says that all is well, and no deadline ends that.
#[test]
fn template_that_served_before_has_no_deadline() {
    let mut world = world("progress-deadline: 12,", "[kubernetes-quota: { old: true }]");
    let start = began(&world);
    set_image(&mut world, "x/api:v2", start + 1.0);
    advance(&mut world, start + 300.0);
    assert_eq!(reason(&world, start + 300.0), "NewReplicaSetAvailable");
    set_image(&mut world, "x/api:v1", start + 301.0);
    advance(&mut world, start + 900.0);
    let end = status(&world, start + 900.0);
    assert_eq!(reason(&world, start + 900.0), "NewReplicaSetAvailable");
    assert_eq!((&end["updatedReplicas"], &end["availableReplicas"]), (&Value::Null, &json!(2)));
    assert!(end["conditions"].to_string().contains("exceeded quota"));
}

#[test]
fn stateful_set_keeps_a_pod_that_does_not_become_ready() {
    let mut world = world("kind: StatefulSet, replicas: 3,", "[crash-on-start: {}]");
    let start = began(&world);
    set_image(&mut world, "x/api:v2", start + 1.0);
    advance(&mut world, start + 120.0);
    set_image(&mut world, "x/api:v1", start + 121.0);
    advance(&mut world, start + 900.0);
    let work = work(&world);
    let stuck = work.pods.iter().find(|one| one.ordinal == Some(2)).unwrap();
    assert_ne!(stuck.revision, work.update_revision());
    assert!(!stuck.pod.is_available(start + 900.0));
}

#[test]
fn daemon_set_repairs_itself() {
    let mut world = world("kind: DaemonSet, replicas: 3,", "[crash-on-start: {}]");
    let start = began(&world);
    set_image(&mut world, "x/api:v2", start + 1.0);
    advance(&mut world, start + 120.0);
    assert_eq!(status(&world, start + 120.0)["updatedNumberScheduled"], 1, "one node at a time");
    set_image(&mut world, "x/api:v1", start + 121.0);
    advance(&mut world, start + 900.0);
    let end = status(&world, start + 900.0);
    assert_eq!((&end["updatedNumberScheduled"], &end["numberAvailable"]), (&json!(3), &json!(3)));
}
