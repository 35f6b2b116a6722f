//! Who hears of the end of a run: the variables that hold addresses and secrets are looked up, masked, and what is missing
//! is said before any change; at the end everybody is told once. Whether there is news is decided in `report`.

use aws_config::SdkConfig;
use sha2::{Digest as _, Sha256};

use crate::action::Operation;
use crate::config::{Notify, Place, Variable, secure};
use crate::notify::{self, Channel, Patience};
use crate::problem::{Code, Problem};
use crate::release::Outcome;
use crate::report::notification::is_news;
use crate::report::{ActionStep, Notification, RunReport};
use crate::sys::signal::Urgency;
use crate::sys::web::Web;

use super::declare::Declared;
use super::prepare::Session;
use super::{Job, operation, state};

/// Who is to hear of the end.
#[derive(Default)]
pub(super) struct Channels {
    notify: Notify,
    session: Option<SdkConfig>,
}

impl Channels {
    /// Everybody that the deploy file names.
    pub(super) fn of(declared: &Declared, session: &Session) -> Self {
        Self { notify: declared.notify.clone(), session: session.aws().cloned() }
    }

    /// Those who can be told without AWS.
    pub(super) fn without_session(declared: &Declared) -> Self {
        Self { notify: declared.notify.clone(), session: None }
    }
}

/// Hides everything secret that `notify` names, and says what cannot be used. A plan tells nobody, so that nothing is
/// missing there.
pub(super) fn unset(job: &Job, notify: &Notify) -> Vec<Problem> {
    for text in places(job, notify).into_iter().flatten().chain(secret(job, notify)) {
        mask(job, &text);
    }
    if operation(job) == Operation::Plan {
        return Vec::new();
    }
    let variables = notify.variables();
    variables.into_iter().filter_map(|(key, name)| missing(job, key, name)).collect()
}

fn missing(job: &Job, key: &str, name: &Variable) -> Option<Problem> {
    let problem = |what: &str| {
        let name = name.as_str();
        let sentence = format!("`{key}` names the variable `{name}`, {what}.");
        let help = format!("Give it to the step: `env: {{ {name}: ${{{{ secrets.{name} }}}} }}`.");
        Problem::error(Code::InputInvalid, sentence).help(help)
    };
    match looked_up(job, name) {
        None => Some(problem("which is not set")),
        Some(text) if !key.ends_with("secret") && secure(text.clone()).is_err() => {
            Some(problem("and what it holds is not an address that begins with `https://`"))
        }
        Some(_) => None,
    }
}

fn looked_up(job: &Job, name: &Variable) -> Option<String> {
    let value = job.doors.variables.get(name.as_str()).map(|value| value.trim());
    value.filter(|value| !value.is_empty()).map(str::to_owned)
}

fn place(job: &Job, place: &Place) -> Option<String> {
    match place {
        Place::Address(address) => Some(address.as_str().to_owned()),
        Place::Variable(name) => looked_up(job, name),
    }
}

/// The addresses of Slack and of the webhook.
fn places(job: &Job, notify: &Notify) -> [Option<String>; 2] {
    let slack = notify.slack_webhook.as_ref().and_then(|it| place(job, it));
    [slack, notify.webhook.as_ref().and_then(|it| place(job, &it.url))]
}

fn secret(job: &Job, notify: &Notify) -> Option<String> {
    looked_up(job, &notify.webhook.as_ref()?.secret)
}

/// Hides a text whole, and of an address its path, by which alone somebody could write there.
fn mask(job: &Job, text: &str) {
    job.teller.mask(text);
    let path = text.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map(|(_, path)| path);
    if let Some(path) = path.filter(|path| path.len() >= 8) {
        job.teller.mask(path);
    }
}

/// Tells everybody, where there is news, and gives the report with what did not arrive. What a cancelled main step left
/// open is told by the post step, when it is known what serves.
pub(super) async fn announce(
    job: &Job,
    channels: &Channels,
    mut report: RunReport,
    step: ActionStep,
) -> RunReport {
    let cancelled = job.cancel.urgency() != Urgency::None;
    let open = report.outcome == Outcome::Cancelled || state::is_open(job);
    let later = step == ActionStep::Main && cancelled && open && job.context.in_runner;
    let success = channels.notify.success.unwrap_or_default();
    let planned = operation(job) == Operation::Plan;
    if channels.notify.is_empty() || planned || later || !is_news(report.outcome, success) {
        return report;
    }
    let all = channels.all(job);
    let clean = report.clone().redacted(&job.teller.redactor());
    let told = Notification::new(&clean, step, job.doors.clock.now());
    let patience = if cancelled { Patience::BRIEF } else { Patience::USUAL };
    let web = Web::new(job.doors.http.clone());
    let undelivered = notify::send(&all, &told, &key(job, &clean, step), &web, patience).await;
    job.teller.line(None, &format!("told {} of {}", all.len() - undelivered.len(), all.len()));
    job.tell_all(&undelivered);
    report.problems.extend(undelivered);
    report
}

impl Channels {
    fn all(&self, job: &Job) -> Vec<Channel> {
        let sns = self.notify.sns.clone().zip(self.session.clone());
        let [slack, webhook] = places(job, &self.notify);
        let signed = webhook.zip(secret(job, &self.notify));
        let sns = sns.map(|(topic, session)| Channel::Sns(topic, Box::new(session)));
        let slack = slack.map(Channel::Slack);
        let webhook = signed.map(|(url, secret)| Channel::Webhook(url, secret));
        [sns, slack, webhook].into_iter().flatten().collect()
    }
}

/// The same for the same news of the same try of the same run.
fn key(job: &Job, report: &RunReport, step: ActionStep) -> String {
    let context = &job.context;
    let parts = [
        context.repository.as_deref().unwrap_or_default(),
        context.run_id.as_deref().unwrap_or_default(),
        context.run_attempt.as_deref().unwrap_or_default(),
        context.job.as_deref().unwrap_or_default(),
        report.environment.as_deref().unwrap_or_default(),
        report.outcome.word(),
        if step == ActionStep::Post { "post" } else { "main" },
        &report.started.to_string(),
    ];
    hex::encode(Sha256::digest(parts.join("\n")))
}
