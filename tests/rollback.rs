//! Rollback on demand, over the embedded cloud: where it goes, what it says, and that it holds.

use crate::support::{Stage, Trial, virtually};
use roadstead::action::inputs::RawInputs;
use roadstead::release::Outcome;
use roadstead::report::{RunReport, terminal};

const HOST: &str = "111111111111.dkr.ecr.eu-west-1.amazonaws.com";

/// A world whose service ran `v1` for a day, and the runs in it.
struct World(Stage);

impl World {
    fn new(scenario: &str) -> Self {
        Self(Trial::told(scenario).stage())
    }

    fn calm() -> Self {
        Self::new("faults: []\n")
    }

    /// The image that is made of `content`, tagged with the commit that begins with it.
    fn image(&self, content: &str) -> String {
        let tag = format!("sha-{content:0>7}");
        let digest = self.0.cloud.push("acme/backend", &[tag.as_str()], "linux/amd64", content);
        format!("{HOST}/acme/backend@{digest}")
    }

    async fn run(&mut self, inputs: RawInputs) -> RunReport {
        self.0.rehearsal.inputs = inputs;
        self.0.run_again().await
    }

    async fn deploy(&mut self, content: &str) -> RunReport {
        let image = Some(self.image(content));
        self.run(RawInputs { image, ..RawInputs::default() }).await
    }

    async fn deployed(&mut self, content: &str) {
        let report = self.deploy(content).await;
        assert_eq!(report.outcome, Outcome::Deployed, "{}", terminal::terminal(&report));
    }

    async fn rollback(&mut self, to: Option<&str>) -> RunReport {
        let (operation, to) = (Some("rollback".to_owned()), to.map(str::to_owned));
        self.run(RawInputs { operation, to, ..RawInputs::default() }).await
    }

    fn changes(&self) -> Vec<String> {
        let calls = self.0.cloud.calls().into_iter().filter(|call| call.mutating && call.effective);
        calls.map(|call| call.operation).collect()
    }

    fn serves(&self) -> String {
        let serving = self.0.cloud.serving("acme", "backend").unwrap();
        serving.whole().map(|arn| arn.rsplit('/').next().unwrap_or_default().to_owned()).unwrap_or_default()
    }
}

/// Everything above the list of changes, as a person reads it on a laptop.
fn told(report: &RunReport) -> String {
    let all = terminal::terminal(report);
    all.split("\n\nTimeline")
        .next()
        .unwrap_or_default()
        .replace("\n\nA rehearsal on the embedded cloud: nothing real was touched.", "")
}

#[test]
fn to_the_version_before() {
    let (report, changes, serves) = virtually(async {
        let mut world = World::calm();
        world.deployed("b").await;
        let before = world.changes().len();
        let report = world.rollback(None).await;
        (report, world.changes()[before..].to_vec(), world.serves())
    });
    insta::assert_snapshot!(told(&report), @"
    ✅ production: backend is rolled back — backend:1 serves 100 %, proven after 1 min 40 s

    service  outcome      from       to         serves now  took        how it is known
    backend  rolled-back  backend:2  backend:1  backend:1   1 min 40 s  service deployment SUCCESSFUL, 2 of 2 targets healthy

    Changes (rolling):
      image: 111111111111.dkr.ecr.eu-west-1.amazonaws…56:4eca065b771b… → 111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend:v1
    ");
    assert_eq!(changes, ["UpdateService"], "nothing is registered or built");
    assert_eq!((report.outcome, serves.as_str()), (Outcome::RolledBack, "backend:1"));
}
