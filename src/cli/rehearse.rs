//! `roadstead rehearse`: a deploy file through the real engine and the real AWS SDK, against the embedded cloud, in
//! virtual time.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::action::files::RunnerFiles;
use crate::action::inputs::RawInputs;
use crate::action::{Context, Inputs};
use crate::aws;
use crate::config::{Document, Placeholders};
use crate::image::Log;
use crate::image::{BuildRequest, Builder, Built, tags};
use crate::problem::{Code, Problem};
use crate::rehearsal::client::http_client;
use crate::rehearsal::cloud::Cloud;
use crate::rehearsal::scenario::{Scenario, Service};
use crate::rehearsal::scenarios::{self, Named, SCENARIOS};
use crate::report::{RunReport, summary};
use crate::run::{self, Job, Teller};
use crate::sys::clock::Clock;
use crate::sys::environment::Variables;
use crate::sys::signal::Cancel;
use crate::sys::{disk, terminal};
use crate::targets;

use super::arguments::RehearseOptions;

const EXAMPLE: &str = include_str!("../../examples/rehearsal/roadstead.yml");
const COMMIT: &str = "c0ffee1234567890c0ffee1234567890c0ffee12";

/// A run to rehearse.
#[derive(Clone)]
pub struct Rehearsal {
    /// The deploy file's name and text.
    pub config: (String, String),
    /// Where files that it names are.
    pub workspace: PathBuf,
    /// Environment; the first of the file where none is named.
    pub environment: Option<String>,
    /// What happens.
    pub story: Story,
    /// The same seed gives the same run.
    pub seed: u64,
    /// Other inputs of the action.
    pub inputs: RawInputs,
    /// Environment of the process, besides credentials for the embedded cloud.
    pub variables: Variables,
    /// Raised to cancel the run.
    pub cancel: Cancel,
    /// Who hears of what happens.
    pub teller: Teller,
}

/// Rehearses on a runtime of its own, whose time is virtual, and prints what a real run would say.
pub(super) fn main(options: &RehearseOptions) -> u8 {
    if options.list {
        let line = |named: &Named| terminal::line(&format!("{:<22} {}", named.name, named.about));
        SCENARIOS.iter().for_each(line);
        return 0;
    }
    match try_main(options) {
        Ok(report) => report.outcome.exit_code(),
        Err(words) => {
            terminal::line(&format!("error: {words}"));
            2
        }
    }
}

fn try_main(options: &RehearseOptions) -> Result<RunReport, String> {
    let config = deploy_file(options.config.as_deref())?;
    let story = story(&options.scenario)?;
    let began = start(&story.begin())?;
    let rehearsal = |teller| Rehearsal {
        config,
        workspace: PathBuf::from("."),
        environment: options.environment.clone(),
        story,
        seed: options.seed,
        inputs: RawInputs::default(),
        variables: Variables::new(),
        cancel: Cancel::default(),
        teller,
    };
    let runtime = virtual_runtime().map_err(|error| error.to_string())?;
    let report = tokio::task::LocalSet::new().block_on(&runtime, async {
        let teller = Teller::new(false, Clock::starting_at(began), terminal::line);
        let (report, _) = rehearse(rehearsal(teller.clone())).await?;
        teller.finish(&report);
        Ok::<_, String>(report)
    })?;
    if let Some(path) = &options.summary {
        disk::write(Path::new(path), summary::summary(&report).as_bytes())
            .map_err(|error| format!("{error:#}"))?;
    }
    Ok(report)
}

/// A runtime of one thread whose clock jumps to the next thing that waits.
pub fn virtual_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
}

fn deploy_file(path: Option<&str>) -> Result<(String, String), String> {
    let usual = ".github/roadstead.yml";
    match path {
        None if !disk::exists(Path::new(usual)) => {
            Ok(("examples/rehearsal/roadstead.yml".into(), EXAMPLE.into()))
        }
        path => {
            let path = path.unwrap_or(usual);
            let text = disk::read_text(Path::new(path)).map_err(|error| format!("{error:#}"))?;
            Ok((path.to_owned(), text))
        }
    }
}

/// What is to happen: a scenario that comes with the cloud, or one from a file.
#[derive(Debug, Clone)]
pub enum Story {
    /// A built-in one: faults for whatever world there is.
    Named(&'static Named),
    /// One from a file: a world and its faults.
    Told(Box<Scenario>),
}

impl Story {
    /// The world without its faults, where the story brings one.
    fn begin(&self) -> Scenario {
        match self {
            Self::Named(_) => Scenario::default(),
            Self::Told(scenario) => (**scenario).clone(),
        }
    }

    /// Lets it happen in a world that was made from [`Story::begin`].
    fn happen(&self, world: Scenario) -> Result<Scenario, String> {
        match self {
            Self::Named(named) => named.in_world(world),
            Self::Told(_) => Ok(world),
        }
    }
}

/// The scenario as it is, for a cloud that is served.
pub(super) fn scenario(name: &str) -> Result<Scenario, String> {
    let story = story(name)?;
    story.happen(story.begin())
}

/// A scenario by its built-in name or its path.
pub fn story(name: &str) -> Result<Story, String> {
    if let Some(named) = scenarios::find(name) {
        return Ok(Story::Named(named));
    }
    let path = Path::new(name);
    if !disk::exists(path) {
        let known = SCENARIOS.iter().map(|named| named.name).collect::<Vec<_>>().join(", ");
        return Err(format!("there is no scenario `{name}`, neither a file nor one of: {known}"));
    }
    let text = disk::read_text(path).map_err(|error| format!("{error:#}"))?;
    let scenario = Scenario::parse(&text).map_err(|why| format!("{name}: {why}"))?;
    Ok(Story::Told(Box::new(scenario)))
}

/// Runs a rehearsal inside a runtime (whose time should be virtual) and gives the cloud back to be looked at.
pub async fn rehearse(rehearsal: Rehearsal) -> Result<(RunReport, Cloud), String> {
    fastrand::seed(rehearsal.seed);
    let (environment, scenario) = world(&rehearsal)?;
    let began = start(&scenario)?;
    let cloud = Cloud::new(scenario, rehearsal.seed);
    let report = run_on(&rehearsal, &cloud, environment, began).await?;
    Ok((report, cloud))
}

/// Runs the rehearsal's job on a cloud that exists already, as a second try does.
pub async fn run_on(
    rehearsal: &Rehearsal,
    cloud: &Cloud,
    environment: String,
    began: Timestamp,
) -> Result<RunReport, String> {
    let job = job(rehearsal, cloud, environment, began)?;
    Ok(run::run(&job).await)
}

/// The job of a rehearsal: real in everything but its doors and its builder.
pub fn job(
    rehearsal: &Rehearsal,
    cloud: &Cloud,
    environment: String,
    began: Timestamp,
) -> Result<Job, String> {
    let raw = RawInputs {
        config: Some(format!("{}\n", rehearsal.config.1)),
        environment: Some(environment),
        ..rehearsal.inputs.clone()
    };
    let inputs = Inputs::parse(raw).map_err(|problems| words(&problems))?;
    let mut variables = rehearsal.variables.clone();
    for (name, value) in CREDENTIALS {
        variables.insert((*name).into(), (*value).into());
    }
    let doors = aws::Doors { http: http_client(cloud.clone()), clock: Clock::starting_at(began), variables };
    let context = Context { sha: Some(COMMIT.into()), ..Context::read(&rehearsal.variables) };
    Ok(Job {
        inputs,
        context,
        files: RunnerFiles::read(&rehearsal.variables),
        doors,
        cancel: rehearsal.cancel.clone(),
        teller: rehearsal.teller.clone(),
        builder: Some(Rc::new(PretendBuilder(cloud.clone()))),
        workspace: rehearsal.workspace.clone(),
        rehearsal: true,
        saved: RefCell::new(None),
    })
}

/// Credentials that the embedded cloud knows; they open nothing else. The token keeps them from being taken for
/// long-lived keys.
const CREDENTIALS: &[(&str, &str)] = &[
    ("AWS_ACCESS_KEY_ID", "AKIAREHEARSAL0000001"),
    ("AWS_SECRET_ACCESS_KEY", "rehearsal-secret-key-0000000000000000000"),
    ("AWS_SESSION_TOKEN", "rehearsal"),
];

/// The world of a story before anything happens in it.
pub fn begin(story: &Story) -> Scenario {
    story.begin()
}

/// When a scenario begins.
pub fn start(scenario: &Scenario) -> Result<Timestamp, String> {
    Timestamp::from_microsecond((scenario.began()? * 1e6) as i64).map_err(|error| error.to_string())
}

/// The environment to rehearse, and the scenario's world with every service of the deploy file in it.
pub fn world(rehearsal: &Rehearsal) -> Result<(String, Scenario), String> {
    let (file, text) = &rehearsal.config;
    let document = Document::parse(file, text).map_err(|problems| words(&problems))?;
    let environments = document.environments().map_err(|problems| words(&problems))?;
    let first = || environments.keys().next().cloned();
    let name = rehearsal.environment.clone().or_else(first).ok_or("the deploy file has no environment")?;
    let aws = environments.get(&name).and_then(|environment| environment.aws.clone()).unwrap_or_default();
    let mut scenario = rehearsal.story.begin();
    scenario.region = aws.region.unwrap_or(scenario.region);
    scenario.account = aws.account.unwrap_or(scenario.account);
    let known: Placeholders = [
        ("environment", name.clone()),
        ("branch", "main".into()),
        ("sha", COMMIT.into()),
        ("short-sha", COMMIT[..7].into()),
    ]
    .into();
    let services =
        document.services(&name, &[], targets::NAMES, &known).map_err(|problems| words(&problems))?;
    for service in &services {
        let word = |key: &str| {
            service.settings.get(key).and_then(|node| node.to_value().as_str().map(str::to_owned))
        };
        if let (Some(cluster), Some(service)) = (word("cluster"), word("service")) {
            let there = scenario.services.iter().any(|have| have.cluster == cluster && have.name == service);
            scenario = if there { scenario } else { scenario.with_service(Service::named(cluster, service)) };
        }
    }
    Ok((name, rehearsal.story.happen(scenario)?))
}

fn words(problems: &[Problem]) -> String {
    let line = |problem: &Problem| match &problem.at {
        Some(at) => format!("{}:{}:{}: {problem}", at.file, at.line, at.column),
        None => problem.to_string(),
    };
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Stands for a build: the image appears in the embedded registry, with a digest of its own.
struct PretendBuilder(Cloud);

#[async_trait(?Send)]
impl Builder for PretendBuilder {
    async fn build(&self, request: &BuildRequest, log: Log<'_>) -> Result<Built, Problem> {
        let branch = request.branch.as_deref().and_then(tags::of_branch);
        let tags: Vec<String> = [tags::of_commit(&request.commit)].into_iter().chain(branch).collect();
        log(
            "rehearsal: nothing is built; an image with a digest of its own appears in the embedded registry",
        );
        let names = tags.iter().map(String::as_str).collect::<Vec<_>>();
        let platform = request.settings.platforms.first().map_or("linux/amd64", String::as_str);
        let digest = self.0.push(&request.repository.repository, &names, platform, &request.commit);
        let digest = digest.parse().map_err(|why| {
            Problem::error(Code::Internal, format!("The embedded registry gave no digest: {why}."))
        })?;
        Ok(Built { image: request.repository.pinned(digest), tags, reused: false, notices: Vec::new() })
    }

    async fn close(&self) {}
}
