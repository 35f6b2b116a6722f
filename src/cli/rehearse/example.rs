//! The built-in deploy file: used if the folder has none, and extended by what the scenario needs.

use roadstead_cloud::builtin::Need;

use super::ecs::EcsWorld;
use super::worlds::{World, world_of};

/// The path of the plain example in the repository.
pub(super) const NAME: &str = "examples/rehearsal/roadstead.yml";

const ANALYZED_CANARY: &str =
    "    strategy: { canary: { percent: 10, bake: 15m, metrics: [5xx, { latency: { over-ms: 300 } }] } }\n";

const CHECK: &str = "    verify: [{ http: \"https://backend.acme.example/health\" }]\n";

const PAIR: &str = "container: app, pair: { service: backend-green, rule: \
    \"arn:aws:elasticloadbalancing:eu-west-1:111111111111:listener-rule/app/acme/50dc6c495c0c9188/f2f7dc8efc522ab2/9683b2d02a6cabee\" } }";

/// A deploy file and the files that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExampleFiles {
    /// Text of the deploy file.
    pub(super) deploy_file: String,
    /// Names and texts of the others.
    pub(super) others: Vec<ExampleFile>,
}

/// A file that the deploy file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExampleFile {
    pub(super) name: &'static str,
    pub(super) text: &'static str,
}

impl ExampleFiles {
    /// A deploy file that names no other file.
    pub(super) fn of_deploy_file(text: &str) -> Self {
        Self { deploy_file: text.to_owned(), others: Vec::new() }
    }
}

/// The example with everything in `needs`.
pub(super) fn example_for(needs: &[Need]) -> ExampleFiles {
    let plain = EcsWorld.example();
    needs.iter().fold(plain, extend_example)
}

fn extend_example(example: ExampleFiles, need: &Need) -> ExampleFiles {
    let ExampleFiles { deploy_file, others } = example;
    match need {
        Need::Target(key) => {
            world_of(key).map_or(ExampleFiles { deploy_file, others }, |world| world.example())
        }
        Need::Strategy(strategies) => {
            let first = strategies.first().copied().unwrap_or("rolling");
            ExampleFiles { deploy_file: format!("{deploy_file}    strategy: {first}\n"), others }
        }
        Need::Analysis => ExampleFiles { deploy_file: deploy_file + ANALYZED_CANARY, others },
        Need::Checks => ExampleFiles { deploy_file: deploy_file + CHECK, others },
        Need::Pair => {
            let paired = deploy_file.replacen("container: app }", PAIR, 1);
            ExampleFiles { deploy_file: paired + ANALYZED_CANARY, others }
        }
    }
}
