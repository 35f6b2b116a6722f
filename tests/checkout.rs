//! The commit that is checked out is the one that is tagged, recorded and reported; one notice says where it is not that of
//! the event.

use crate::support::recorded_deployments::{HISTORY, MultiRunHarness, full_sha};
use crate::support::run_in_virtual_time;

#[test]
fn checked_out_commit_is_tagged_recorded_and_reported() {
    run_in_virtual_time(async {
        let world = MultiRunHarness::new(HISTORY);
        let head = full_sha("c2");
        let runner = world
            .runner(7, "c3")
            .with_variable("GITHUB_EVENT_NAME", "workflow_dispatch")
            .with_file("workspace/.git/HEAD", &head);
        let step = world.run(&runner).await;
        assert_eq!((step.exit_code, step.output("commit")), (0, head.as_str()), "{:#?}", step.lines);
        insta::assert_snapshot!(step.annotation_lines(), @"::notice title=checkout differs::The job checked out the commit c200000, and its event is of c300000: this run builds, tags, records and reports c200000.%0AIf that is not meant, check out the commit of the event: leave `ref` of `actions/checkout` out.");
        assert_eq!(world.proven_commits("production").await, ["c2"]);
        let built = world.cloud.change(|cloud, _| {
            let images = cloud.repositories_mut()["backend"].images.clone();
            images.iter().flat_map(|image| image.tags.clone()).collect::<Vec<String>>()
        });
        assert!(
            built.contains(&"sha-c200000".to_owned()) && !built.contains(&"sha-c300000".to_owned()),
            "{built:?}"
        );
        world.assert_valid_requests();
    });
}

#[test]
fn checkout_of_the_event_is_no_news() {
    run_in_virtual_time(async {
        let world = MultiRunHarness::new(HISTORY);
        let runner = world
            .runner(7, "c3")
            .with_file("workspace/.git/HEAD", "ref: refs/heads/main\n")
            .with_file("workspace/.git/refs/heads/main", &full_sha("c3"));
        let step = world.run(&runner).await;
        assert_eq!((step.exit_code, step.annotation_lines().as_str()), (0, ""));
        assert_eq!(world.proven_commits("production").await, ["c3"]);
    });
}

/// The checkout of an older commit is as old as an older run.
#[test]
fn older_checkout_does_not_undo_a_newer_release() {
    run_in_virtual_time(async {
        let world = MultiRunHarness::new(HISTORY);
        world.run(&world.runner(7, "c2")).await;
        let runner = world.runner(8, "c3").with_file("workspace/.git/HEAD", &full_sha("c1"));
        let step = world.run(&runner).await;
        assert_eq!((step.exit_code, step.output("outcome")), (5, "superseded"), "{:#?}", step.lines);
    });
}
