//! A notification as Slack's incoming webhooks take it: what comes from outside is plain text, never Slack's markup.

use serde_json::{Value, json};

use super::notification::Notification;

/// Characters of the text of a block (Slack: 3000), and of the fallback.
const LONGEST: usize = 2900;
/// Blocks of services and causes; a message has fifty at most.
const BLOCKS: usize = 15;

/// The body of the request.
pub fn message(told: &Notification) -> Value {
    let mut blocks = vec![plain(&told.sentence)];
    let lines: Vec<String> = told.services.iter().map(|service| service.line()).collect();
    if lines.len() > 1 {
        blocks.extend(lines.chunks(20).take(BLOCKS).map(|some| plain(&some.join("\n"))));
    }
    let causes = told.causes();
    blocks.extend(causes.iter().take(BLOCKS).map(|cause| plain(&format!("Cause: {cause}"))));
    blocks.push(json!({ "type": "context", "elements": [context(told)] }));
    json!({
        "text": escaped(&told.sentence),
        "blocks": blocks,
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

/// Plain text is shown as it is: no mention, no link, no formatting.
fn plain(text: &str) -> Value {
    json!({ "type": "section", "text": { "type": "plain_text", "text": shortened(text), "emoji": false } })
}

/// The link to the run, which only markup can be.
fn context(told: &Notification) -> Value {
    let address = told.run.as_deref().filter(|address| is_plain(address));
    let date = told.sent.strftime("%Y-%m-%d %H:%M UTC");
    let run = address.map_or_else(String::new, |address| format!("<{address}|run> · "));
    json!({ "type": "mrkdwn", "text": format!("{run}Roadstead · {date}"), "verbatim": true })
}

/// Whether an address can stand in a link and be nothing else.
fn is_plain(address: &str) -> bool {
    let begins = address.starts_with("https://") || address.starts_with("http://");
    begins && address.len() < 1000 && address.chars().all(|c| c.is_ascii_graphic() && !"<>|&".contains(c))
}

/// Slack reads `&`, `<` and `>` in the fallback, and `@channel` where a workspace still links names.
fn escaped(text: &str) -> String {
    let whole =
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('@', "@\u{200b}");
    shortened(&whole)
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::Outcome;
    use crate::report::{ActionStep, RunReport, samples};

    fn of(report: &RunReport) -> Value {
        message(&Notification::new(report, ActionStep::Main, samples::at(80)))
    }

    #[test]
    fn a_failed_deployment_as_slack_shows_it() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&of(&samples::ended(Outcome::Failed))).unwrap(), @r#"
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
    fn hostile_names_stay_within_slacks_limits_and_ping_nobody() {
        let mut report = samples::ended(Outcome::Failed);
        let evil = "<!channel> @here <https://evil.example|click> & ".repeat(200);
        report.environment = Some(evil.clone());
        report.run_url = Some("https://github.com/x|<!here>".into());
        report.services = (0..300).map(|_| samples::service(&evil, Outcome::Failed)).collect();
        let body = of(&report);
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
