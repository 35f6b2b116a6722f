//! Runs on the real world: as the action, as its post step, or from a laptop.

use std::rc::Rc;

use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::action::inputs::{RawInputs, Read};
use crate::action::redact::Secret;
use crate::action::{Context, Inputs};
use crate::aws;
use crate::github::{self, Commits};
use crate::problem::{Code, Problem};
use crate::run::Teller;
use crate::sys::clock::Clock;
use crate::sys::environment::Variables;
use crate::sys::signal::Cancel;
use crate::sys::terminal;

use super::arguments::{InitOptions, ReleaseOptions};
use super::init;
use super::step::{self, Outside};

/// The main step of the action.
pub(super) async fn action(variables: Variables) -> u8 {
    match real(variables) {
        Ok(outside) => step::main(outside, terminal::line).await,
        Err(refused) => step::refuse(refused.0, terminal::line, vec![refused.1]),
    }
}

/// What single operations take beside what all of them do.
#[derive(Debug, Default)]
pub(super) struct Extra {
    /// Where a rollback returns to.
    pub(super) to: Option<String>,
    /// The lines of `set-env`.
    pub(super) set: Option<String>,
}

/// The same operations on a laptop.
pub(super) async fn command(
    operation: &str,
    options: ReleaseOptions,
    extra: Extra,
    variables: Variables,
) -> u8 {
    let token = variables.get("GITHUB_TOKEN").filter(|token| !token.is_empty());
    let raw = RawInputs {
        github_token: token.map(|token| Secret::new(token.clone())),
        operation: Some(operation.to_owned()),
        config: options.config,
        environment: options.environment,
        services: options.services,
        image: options.image,
        to: extra.to,
        set: extra.set,
        aws_region: options.aws_region,
        on_cancel: options.on_cancel,
        timeout: options.timeout,
        ..RawInputs::default()
    };
    let read = Inputs::parse(raw).map(|inputs| Read { inputs, warnings: Vec::new() });
    match real(variables) {
        Ok(outside) => step::run_with(read, outside, terminal::line).await,
        Err(refused) => step::refuse(refused.0, terminal::line, vec![refused.1]),
    }
}

/// A first deploy file, from what this machine's credentials can see.
pub(super) async fn init(options: &InitOptions, variables: Variables) -> u8 {
    let teller = Teller::new(false, Clock::real(), terminal::line);
    let mask = aws::Mask::new(teller.keeper());
    let doors = aws::Doors { http: aws::https_client(), clock: Clock::real(), variables, mask };
    init::main(options, &doors, terminal::line).await
}

/// The post step of the action.
pub(super) async fn post(variables: Variables) -> u8 {
    match real(variables) {
        Ok(outside) => step::post(outside, terminal::line).await,
        Err(refused) => step::refuse(refused.0, terminal::line, vec![refused.1]),
    }
}

/// This machine and the network. Errors when signals cannot be handled, with what is left to say so.
fn real(variables: Variables) -> Result<Outside, Box<(Outside, Problem)>> {
    let (cancel, why) = match Cancel::from_signals() {
        Ok(cancel) => (cancel, None),
        Err(error) => (Cancel::default(), Some(error.to_string())),
    };
    let http = aws::https_client();
    let github = http.clone();
    let outside = Outside {
        variables,
        http,
        clock: Clock::real(),
        cancel,
        builder: None,
        commits: Box::new(move |inputs, context| commits(&github, inputs, context)),
        rehearsal: false,
    };
    let unsignalled =
        |why| Problem::error(Code::Internal, "Signals cannot be handled on this machine.").cause(why);
    match why {
        None => Ok(outside),
        Some(why) => Err(Box::new((outside, unsignalled(why)))),
    }
}

/// GitHub, where the run has a token and knows which GitHub it is.
fn commits(http: &SharedHttpClient, inputs: &Inputs, context: &Context) -> Option<Rc<dyn Commits>> {
    let (token, api) = (inputs.github_token.as_ref()?, context.api_url.as_deref()?);
    Some(Rc::new(github::Api::new(http.clone(), api, token.expose())))
}
