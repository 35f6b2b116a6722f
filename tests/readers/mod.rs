//! Every reader of outside bytes, with damaged bytes. Whole runs in which one answer is damaged: AWS in JSON, XML and CBOR,
//! GitHub REST and GraphQL, Argo CD, the registry. And events, deploy files and the state of the post step, each read
//! alone. No reader panics, every run ends, and `deployed` is never false. `READERS=n` plays so many, `FROM=k` begins there.

mod mutate;

use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use roadstead::action::GithubContext;
use roadstead::cli::policy::policy_json;
use roadstead::sys::clock::Clock;
use serde_json::Value;

use crate::gitops;
use crate::support::run_in_virtual_time;
use crate::support::runner::{CONFIG, OIDC_REQUEST_TOKEN, Runner, StepResult, TOKEN};

const STACK_SIZE: usize = 16 << 20;
/// A run has 60 minutes; its post step and its last requests have a little more.
const LONGEST_RUN: Duration = Duration::from_secs(65 * 60);

fn env_number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The seeds to play, `count` of them by default.
fn seeds(count: u64) -> std::ops::Range<u64> {
    let from = env_number("FROM", 0);
    from..from + env_number("READERS", count)
}

/// Plays seeds on as many threads as there are processors. A panic is a violation like any other.
fn play_all(name: &str, seeds: std::ops::Range<u64>, play: fn(u64) -> Result<(), String>) {
    let (next, found) = (Mutex::new(seeds), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let take = || next.lock().unwrap().next();
    std::thread::scope(|scope| {
        let work = || {
            while let Some(seed) = take() {
                let played = std::panic::catch_unwind(|| play(seed));
                let why = match played {
                    Ok(Ok(())) => continue,
                    Ok(Err(why)) => why,
                    Err(_) => "a reader panicked".into(),
                };
                let replay = format!("READERS=1 FROM={seed} cargo test --test main readers::{name}");
                found.lock().unwrap().push(format!("{replay}: {why}"));
            }
        };
        for _ in 0..threads {
            std::thread::Builder::new().stack_size(STACK_SIZE).spawn_scoped(scope, work).unwrap();
        }
    });
    let found = found.into_inner().unwrap();
    assert!(found.is_empty(), "{} laws were broken:\n{}", found.len(), found.join("\n"));
}

/// A client that damages one answer.
#[derive(Debug, Clone)]
struct DamagingClient {
    inner: SharedHttpClient,
    damage: Damage,
}

/// Which answer is damaged, and how.
#[derive(Debug, Clone)]
struct Damage {
    seed: u64,
    /// Answers until the one that is damaged.
    nth: usize,
    received: Arc<AtomicUsize>,
}

impl HttpClient for DamagingClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        parts: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, parts);
        SharedHttpConnector::new(DamagingConnector { inner, damage: self.damage.clone() })
    }
}

#[derive(Debug)]
struct DamagingConnector {
    inner: SharedHttpConnector,
    damage: Damage,
}

impl HttpConnector for DamagingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (answer, damage) = (self.inner.call(request), self.damage.clone());
        HttpConnectorFuture::new(async move {
            let mut answer = answer.await?;
            if damage.received.fetch_add(1, Ordering::Relaxed) == damage.nth {
                let mut dice = fastrand::Rng::with_seed(damage.seed);
                let bytes = answer.body().bytes().unwrap_or_default().to_vec();
                *answer.body_mut() = SdkBody::from(mutate::damage(&mut dice, &bytes));
                answer.headers_mut().remove("content-length");
            }
            Ok(answer)
        })
    }
}

/// A world whose run reads from everything that its fixture has.
fn fixture(seed: u64) -> Runner {
    let with = |strategy: &str| format!("{CONFIG}    strategy: {strategy}\n");
    match seed % 4 {
        0 => Runner::builtin("happy"),
        1 => Runner::builtin("blue-green").with_config(&with("{ blue-green: { bake: 1m } }")),
        2 => Runner::builtin("canary-healthy").with_config(&with(
            "{ canary: { percent: 20, bake: 6m, final-bake: 1m, metrics: [5xx], analysis: { margin: 3 } } }",
        )),
        _ => Runner::builtin("gitops-happy")
            .with_config(gitops::WATCHED)
            .with_variable("INPUT_ARGOCD-TOKEN", "argocd-s3cret-token"),
    }
}

fn play_conversation(seed: u64) -> Result<(), String> {
    let mut dice = fastrand::Rng::with_seed(seed);
    let damage = Damage { seed, nth: dice.usize(..90), received: Arc::default() };
    let mut runner = fixture(seed).with_seed(seed);
    runner.wrap_http =
        Some(Rc::new(move |inner| SharedHttpClient::new(DamagingClient { inner, damage: damage.clone() })));
    run_in_virtual_time(async {
        let (cloud, clock) = runner.start_cloud();
        let step = Box::pin(runner.run_main_on(&cloud, clock)).await;
        Box::pin(runner.run_post_on(&cloud, Clock::starting_at(clock.now()))).await;
        check_end(&step)?;
        let Some(serving) = cloud.serving_state("acme", "backend").filter(|_| seed % 4 != 3) else {
            return Ok(());
        };
        let served = |digest: &str| serving.versions.values().all(|version| version.digests.contains(digest));
        let is_true = !matches!(step.output("outcome"), "deployed" | "unchanged")
            || serving.only_version().is_some() && served(step.output("digest"));
        is_true.then_some(()).ok_or_else(|| format!("a false `{}`: {serving:?}", step.output("outcome")))
    })
}

/// What holds at the end of every run.
fn check_end(step: &StepResult) -> Result<(), String> {
    if step.elapsed > LONGEST_RUN {
        return Err(format!("it took {:?}", step.elapsed));
    }
    let outcome = step.output("outcome");
    if outcome.is_empty() || step.summary.is_empty() {
        return Err(format!("it ended {} without outcome or summary", step.exit_code));
    }
    let text = step.lines.join("\n") + &step.summary;
    let visible =
        text.lines().filter(|line| !line.starts_with("::add-mask::")).collect::<Vec<_>>().join("\n");
    for secret in [TOKEN, OIDC_REQUEST_TOKEN, "argocd-s3cret-token"] {
        if visible.contains(secret) {
            return Err(format!("{secret} stands in the log or the summary"));
        }
    }
    match visible.lines().find(|line| line.trim_start().starts_with("::set-output")) {
        Some(line) => Err(format!("text from outside is a command: {line}")),
        None => Ok(()),
    }
}

#[test]
fn conversation_with_a_damaged_answer_ends_in_the_truth() {
    play_all("conversation", seeds(120), play_conversation);
}

/// GitHub's own examples of webhooks, a line each.
const EVENTS: &str = include_str!("../fixtures/webhooks/examples.jsonl");

fn play_event(seed: u64) -> Result<(), String> {
    let mut dice = fastrand::Rng::with_seed(seed);
    let examples: Vec<&str> = EVENTS.lines().collect();
    let example: Value = serde_json::from_str(examples[dice.usize(..examples.len())]).unwrap();
    let text = mutate::damage(&mut dice, example["payload"].to_string().as_bytes());
    let text = String::from_utf8_lossy(&text);
    let variables = [("GITHUB_EVENT_NAME", example["event"].as_str().unwrap_or_default())];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let context = GithubContext::from_variables(&variables).with_event(&text);
    let read = (context.branch(), context.base_branch(), context.commit(), context.pull_request());
    drop((read, context.is_from_fork(), context.run_url()));
    Ok(())
}

#[test]
fn damaged_event_is_read_without_panic() {
    play_all("damaged_event", seeds(3000), play_event);
}

/// Deploy files of the documentation and of the examples.
fn deploy_files() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![CONFIG.to_owned(), gitops::WATCHED.to_owned()];
    let mut folders = vec![root.join("examples"), root.join("tests/readers/deploy-files")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "yml") {
                files.extend(std::fs::read_to_string(&path).ok().filter(|text| text.contains("\nservices:")));
            }
        }
    }
    files.sort();
    files
}

fn play_deploy_file(seed: u64) -> Result<(), String> {
    let mut dice = fastrand::Rng::with_seed(seed);
    let files = deploy_files();
    let file = &files[dice.usize(..files.len())];
    let text = mutate::damage(&mut dice, file.as_bytes());
    let started = std::time::Instant::now();
    let _ = policy_json(
        Path::new("/nonexistent"),
        "roadstead.yml",
        &String::from_utf8_lossy(&text),
        "production",
    );
    let took = started.elapsed();
    if took > Duration::from_secs(5) { Err(format!("it took {took:?}")) } else { Ok(()) }
}

#[test]
fn damaged_deploy_file_is_read_without_panic_and_in_time() {
    play_all("damaged_deploy_file", seeds(600), play_deploy_file);
}

fn play_state(seed: u64) -> Result<(), String> {
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut runner = Runner::builtin("happy").with_seed(seed);
    runner.cancel_after = Some(Duration::from_secs(dice.u64(1..100)));
    run_in_virtual_time(async {
        let (cloud, clock) = runner.start_cloud();
        let main = Box::pin(runner.run_main_on(&cloud, clock)).await;
        let state = main.state.unwrap_or_default();
        let (head, rest) = state.split_once('\n').unwrap_or_default();
        let (value, delimiter) = rest.trim_end().rsplit_once('\n').unwrap_or_default();
        let damaged = mutate::damage(&mut dice, value.as_bytes());
        let damaged = String::from_utf8_lossy(&damaged).replace('\n', " ");
        let runner = runner.with_file("state", &format!("{head}\n{damaged}\n{delimiter}\n"));
        let post = Box::pin(runner.run_post_on(&cloud, Clock::starting_at(clock.now()))).await;
        let bound = Duration::from_secs(180);
        if post.elapsed > bound { Err(format!("the post step took {:?}", post.elapsed)) } else { Ok(()) }
    })
}

#[test]
fn damaged_state_neither_stops_nor_delays_the_post_step() {
    play_all("damaged_state", seeds(60), play_state);
}
