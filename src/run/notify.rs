//! Notifies the end of a run, once, to every channel of the deploy file. `report` decides whether there is anything
//! to notify.

use aws_config::SdkConfig;
use sha2::{Digest as _, Sha256};

use crate::action::Operation;
use crate::config::NotifySettings;
use crate::notify;
use crate::notify::{Channel, RetryBudget};
use crate::release::Outcome;
use crate::report::notification::should_notify;
use crate::report::{ActionStep, Notification, RunReport};
use crate::run::context::RunContext;
use crate::run::event::operation;
use crate::run::notify_settings::{webhook_addresses, webhook_secret};
use crate::run::post_state;
use crate::run::run_config::RunConfig;
use crate::run::session::AwsSession;
use crate::sys::http::HttpClient;
use crate::sys::signal::CancelLevel;

/// The channels that are notified.
#[derive(Default)]
pub(in crate::run) struct Channels {
    notify: NotifySettings,
    session: Option<SdkConfig>,
}

impl Channels {
    /// All channels of the deploy file.
    pub(in crate::run) fn from_config(config: &RunConfig, session: &AwsSession) -> Self {
        Self { notify: config.notify.clone(), session: session.aws().cloned() }
    }

    /// The channels that need no AWS.
    pub(in crate::run) fn without_session(config: &RunConfig) -> Self {
        Self { notify: config.notify.clone(), session: None }
    }
}

/// Notifies every channel, if there is anything to notify; the report gets what was not delivered. What a cancelled
/// main step left open is notified by the post step.
pub(in crate::run) async fn send_notifications(
    ctx: &RunContext,
    channels: &Channels,
    mut report: RunReport,
    step: ActionStep,
) -> RunReport {
    let cancelled = ctx.cancel.level() != CancelLevel::None;
    let open = report.outcome == Outcome::Cancelled || post_state::has_open_services(ctx);
    let later = step == ActionStep::Main && cancelled && open && ctx.context.in_runner;
    let success = channels.notify.success.unwrap_or_default();
    let planned = operation(ctx) == Operation::Plan;
    if channels.notify.is_empty() || planned || later || !should_notify(report.outcome, success) {
        return report;
    }
    let all = channels.resolve(ctx);
    let clean = report.clone().redacted(&ctx.log.redactor());
    let notification = Notification::new(&clean, step, ctx.io.clock.now());
    let retry_budget = if cancelled { RetryBudget::SHORT } else { RetryBudget::DEFAULT };
    let web = HttpClient::new(ctx.io.http.clone());
    let undelivered =
        notify::send(&all, &notification, &deduplication_key(ctx, &clean, step), &web, retry_budget).await;
    ctx.log.info(None, &format!("told {} of {}", all.len() - undelivered.len(), all.len()));
    ctx.log_problems(&undelivered);
    report.problems.extend(undelivered);
    report
}

impl Channels {
    fn resolve(&self, ctx: &RunContext) -> Vec<Channel> {
        let sns = self.notify.sns.clone().zip(self.session.clone());
        let [slack, webhook] = webhook_addresses(ctx, &self.notify);
        let signed = webhook.zip(webhook_secret(ctx, &self.notify));
        let sns = sns.map(|(topic, session)| Channel::Sns(topic, Box::new(session)));
        let slack = slack.map(Channel::Slack);
        let webhook = signed.map(|(url, secret)| Channel::Webhook(url, secret));
        [sns, slack, webhook].into_iter().flatten().collect()
    }
}

/// The same key for the same result of the same attempt of a run.
fn deduplication_key(ctx: &RunContext, report: &RunReport, step: ActionStep) -> String {
    let context = &ctx.context;
    let parts = [
        context.repository.as_deref().unwrap_or_default(),
        context.run_id.as_deref().unwrap_or_default(),
        context.run_attempt.as_deref().unwrap_or_default(),
        context.job.as_deref().unwrap_or_default(),
        report.environment.as_deref().unwrap_or_default(),
        report.outcome.as_str(),
        if step == ActionStep::Post { "post" } else { "main" },
        &report.started.to_string(),
    ];
    hex::encode(Sha256::digest(parts.join("\n")))
}
