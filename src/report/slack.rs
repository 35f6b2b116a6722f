//! A notification for Slack's incoming webhooks: untrusted text is plain text, never Slack's markup.

use serde_json::{Value, json};

use super::notification::Notification;

/// Characters of the text of a block (Slack: 3000), and of the fallback.
const MAX_TEXT_CHARS: usize = 2900;
/// Blocks of services and causes; Slack limits a message to fifty.
const MAX_BLOCKS: usize = 15;

/// The body of the request.
pub fn message(notification: &Notification) -> Value {
    let mut blocks = vec![plain_section(&notification.sentence)];
    let lines: Vec<String> = notification.services.iter().map(|service| service.summary_line()).collect();
    if lines.len() > 1 {
        blocks.extend(lines.chunks(20).take(MAX_BLOCKS).map(|some| plain_section(&some.join("\n"))));
    }
    let causes = notification.causes();
    blocks.extend(causes.iter().take(MAX_BLOCKS).map(|cause| plain_section(&format!("Cause: {cause}"))));
    blocks.push(json!({ "type": "context", "elements": [context_line(notification)] }));
    json!({
        "text": escape_text(&notification.sentence),
        "blocks": blocks,
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

/// Plain text is shown as it is: no mention, no link, no formatting.
fn plain_section(text: &str) -> Value {
    json!({ "type": "section", "text": { "type": "plain_text", "text": truncate_text(text), "emoji": false } })
}

/// The link to the run, which requires markup.
fn context_line(notification: &Notification) -> Value {
    let address = notification.run_url.as_deref().filter(|address| is_safe_url(address));
    let date = notification.sent.strftime("%Y-%m-%d %H:%M UTC");
    let run = address.map_or_else(String::new, |address| format!("<{address}|run> · "));
    json!({ "type": "mrkdwn", "text": format!("{run}Roadstead · {date}"), "verbatim": true })
}

/// Whether a URL is safe inside a link.
fn is_safe_url(address: &str) -> bool {
    let begins = address.starts_with("https://") || address.starts_with("http://");
    begins && address.len() < 1000 && address.chars().all(|c| c.is_ascii_graphic() && !"<>|&".contains(c))
}

/// Slack interprets `&`, `<` and `>` in the fallback, and `@channel` in workspaces that still link names.
fn escape_text(text: &str) -> String {
    let whole =
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('@', "@\u{200b}");
    truncate_text(&whole)
}

fn truncate_text(text: &str) -> String {
    if text.chars().count() <= MAX_TEXT_CHARS {
        return text.to_owned();
    }
    text.chars().take(MAX_TEXT_CHARS - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::Outcome;
    use crate::report::{ActionStep, RunReport, fixtures};

    fn message_of(report: &RunReport) -> Value {
        message(&Notification::new(report, ActionStep::Main, fixtures::sample_time(80)))
    }

    #[test]
    fn a_failed_deployment_as_slack_shows_it() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&message_of(&fixtures::sample_report(Outcome::Failed))).unwrap(), @r#"
        {
          "text": "❌ production: backend failed and was rolled back — backend:41 serves, as before",
          "blocks": [
            {
              "type": "section",
              "text": {
                "type": "plain_text",
                "text": "❌ production: backend failed and was rolled back — backend:41 serves, as before",
                "emoji": false
              }
            },
            {
              "type": "section",
              "text": {
                "type": "plain_text",
                "text": "Cause: backend: The container `app` exits by itself, twice in 18 s. (EssentialContainerExited: Essential container in task exited)",
                "emoji": false
              }
            },
            {
              "type": "context",
              "elements": [
                {
                  "type": "mrkdwn",
                  "text": "<https://github.com/acme/app/actions/runs/12/attempts/1|run> · Roadstead · 2026-11-21 12:05 UTC",
                  "verbatim": true
                }
              ]
            }
          ],
          "unfurl_links": false,
          "unfurl_media": false
        }
        "#);
    }

    #[test]
    fn hostile_names_stay_within_limits_and_mention_nobody() {
        let mut report = fixtures::sample_report(Outcome::Failed);
        let evil = "<!channel> @here <https://evil.example|click> & ".repeat(200);
        report.environment = Some(evil.clone());
        report.run_url = Some("https://github.com/x|<!here>".into());
        report.services = (0..300).map(|_| fixtures::sample_service(&evil, Outcome::Failed)).collect();
        let body = message_of(&report);
        let text = body["text"].as_str().unwrap();
        assert!(!text.contains('<') && !text.contains("@here"), "{text}");
        let blocks = body["blocks"].as_array().unwrap();
        assert!(blocks.len() <= 50, "{}", blocks.len());
        for block in blocks {
            let text = &block["text"];
            assert!(block["type"] == "context" || text["type"] == "plain_text", "{block}");
            let letters = text["text"].as_str().map_or(0, |text| text.chars().count());
            assert!(letters <= 3000, "{letters}");
        }
        let context = &blocks.last().unwrap()["elements"][0]["text"];
        assert!(!context.as_str().unwrap().contains('<'), "{context}");
    }
}
