//! How requests to one registry are authorized: with the login itself, or with a token of the registry's own token service,
//! as the registry demands. <https://distribution.github.io/distribution/spec/auth/token/>

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::registry::{LoginSource, RegistryLogin};
use super::registry_help::login_help;
use crate::problem::{Code, Problem};
use crate::release::{ImageRef, may_receive_credentials};
use crate::sys::http::{HttpClient, Request, Response};

/// Timeout of one request to a token service.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How often one request is authorized again, before its rejection is final.
const MAX_RENEWALS: u32 = 2;

/// The authorization of requests to a registry. Its token service gives one token for each repository.
pub(super) struct RegistryAuth {
    http: HttpClient,
    source: Rc<dyn LoginSource>,
    known: RefCell<KnownAuth>,
}

#[derive(Default)]
struct KnownAuth {
    login: Option<RegistryLogin>,
    /// Whether the registry takes the login itself.
    takes_login: bool,
    /// Tokens by repository.
    tokens: BTreeMap<String, String>,
}

/// What a registry demands of a request that it rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Challenge {
    /// The login itself.
    Basic,
    /// A token of the service at `realm`.
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

/// How often a request was authorized again.
#[derive(Debug, Default)]
pub(super) struct Renewals {
    count: u32,
    has_new_login: bool,
}

impl RegistryAuth {
    pub(super) fn new(http: HttpClient, source: Rc<dyn LoginSource>) -> Self {
        Self { http, source, known: RefCell::default() }
    }

    /// The request with what is known to be accepted for `repository`. A registry that always takes the login itself gets it
    /// at once, any other one when it asks for it.
    pub(super) async fn authorize(&self, request: Request, repository: &str) -> Result<Request, Problem> {
        if let Some(token) = self.known.borrow().tokens.get(repository) {
            return Ok(request.header("authorization", &format!("Bearer {token}")));
        }
        let login = self.login().await?;
        let takes_login = self.known.borrow().takes_login;
        Ok(match login.filter(|login| takes_login || login.is_sent_unasked()) {
            Some(login) => request.header("authorization", &format!("Basic {}", login.basic_auth())),
            None => request,
        })
    }

    /// Gets what `response`, a 401, demands. Whether the request is worth sending again.
    pub(super) async fn renew(
        &self,
        response: &Response,
        image: &ImageRef,
        renewals: &mut Renewals,
    ) -> Result<bool, Problem> {
        renewals.count += 1;
        if renewals.count > MAX_RENEWALS {
            return Ok(false);
        }
        match challenge(response) {
            Some(Challenge::Bearer { realm, service, scope }) => {
                self.known.borrow_mut().tokens.remove(&image.repository);
                let scope = scope.unwrap_or_else(|| format!("repository:{}:pull", image.repository));
                let token = self.fetch_token(&image.registry, &realm, service.as_deref(), &scope).await?;
                self.known.borrow_mut().tokens.insert(image.repository.clone(), token);
                Ok(true)
            }
            // Without a challenge, too: some registries leave it out when a login has expired.
            Some(Challenge::Basic) | None => self.renew_login(renewals).await,
        }
    }

    /// Sends the login where it was not sent yet, and another one, once, where it was rejected.
    async fn renew_login(&self, renewals: &mut Renewals) -> Result<bool, Problem> {
        let was_sent = {
            let mut known = self.known.borrow_mut();
            let is_sent_unasked = known.login.as_ref().is_some_and(RegistryLogin::is_sent_unasked);
            std::mem::replace(&mut known.takes_login, true) || is_sent_unasked
        };
        if was_sent && std::mem::replace(&mut renewals.has_new_login, true) {
            return Ok(false);
        }
        if was_sent {
            self.known.borrow_mut().login = None;
        }
        Ok(self.login().await?.is_some())
    }

    async fn login(&self) -> Result<Option<RegistryLogin>, Problem> {
        let known = self.known.borrow().login.clone();
        match known {
            Some(login) => Ok(Some(login)),
            None => self.fetch_login().await,
        }
    }

    /// A new login.
    pub(super) async fn fetch_login(&self) -> Result<Option<RegistryLogin>, Problem> {
        let login = self.source.login().await?;
        self.known.borrow_mut().login = login.clone();
        Ok(login)
    }

    async fn fetch_token(
        &self,
        host: &str,
        realm: &str,
        service: Option<&str>,
        scope: &str,
    ) -> Result<String, Problem> {
        let login = self.login().await?;
        if !may_receive_credentials(realm) {
            let sentence =
                format!("The registry `{host}` wants its login to be sent to `{realm}`, which is not HTTPS.");
            return Err(Problem::error(Code::RegistryLoginFailed, sentence)
                .help("Check the address of the registry."));
        }
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(service) = service {
            query.append_pair("service", service);
        }
        for scope in scope.split(' ') {
            query.append_pair("scope", scope);
        }
        let joint = if realm.contains('?') { '&' } else { '?' };
        let mut request = Request::get(format!("{realm}{joint}{}", query.finish()));
        if let Some(login) = &login {
            request = request.header("authorization", &format!("Basic {}", login.basic_auth()));
        }
        let response = self.http.send(request, TIMEOUT).await.map_err(|error| {
            let sentence = format!("The token service of the registry `{host}` did not respond.");
            error.explain(Problem::error(Code::ProviderError, sentence))
        })?;
        token_of(host, &response, login.is_some())
    }
}

/// The token in a response of a token service.
fn token_of(host: &str, response: &Response, has_login: bool) -> Result<String, Problem> {
    let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let token = ["token", "access_token"].iter().find_map(|key| body[*key].as_str());
    match (response.status, token) {
        (200, Some(token)) if !token.is_empty() => Ok(token.to_owned()),
        (400 | 401 | 403, _) => {
            let sentence = match has_login {
                true => format!("The registry `{host}` rejected the login."),
                false => format!("The registry `{host}` needs a login."),
            };
            let help = crate::problem::capitalize(&login_help(host));
            Err(Problem::error(Code::RegistryLoginFailed, sentence).help(help))
        }
        (status, _) => {
            let sentence =
                format!("The token service of the registry `{host}` responded with {status} and no token.");
            Err(Problem::error(Code::ProviderError, sentence).help("Run the job again."))
        }
    }
}

/// What the response demands; a token, if both are accepted.
fn challenge(response: &Response) -> Option<Challenge> {
    let own = response.headers.iter().filter(|(name, _)| name == "www-authenticate");
    let found: Vec<Challenge> = own.filter_map(|(_, value)| parse_challenge(value)).collect();
    let bearer = found.iter().find(|it| matches!(it, Challenge::Bearer { .. }));
    bearer.or(found.first()).cloned()
}

fn parse_challenge(text: &str) -> Option<Challenge> {
    let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    let mut fields = scheme.eq_ignore_ascii_case("bearer").then(|| parse_fields(rest))?;
    let mut take = |name: &str| fields.remove(name).filter(|value| !value.is_empty());
    Some(Challenge::Bearer { realm: take("realm")?, service: take("service"), scope: take("scope") })
}

/// `name="value",name=value`; a comma in quotes belongs to the value.
fn parse_fields(text: &str) -> BTreeMap<String, String> {
    let (mut fields, mut rest) = (BTreeMap::new(), text);
    while let Some((name, after)) = rest.split_once('=') {
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        fields.insert(name.trim_matches([' ', ',']).to_ascii_lowercase(), value.trim().to_owned());
        rest = left.trim_start_matches([' ', ',']);
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Some(Challenge::Bearer { realm: realm.into(), service: own(service), scope: own(scope) })
    }

    #[test]
    fn challenges_of_registries_are_read() {
        for (text, expected) in [
            (
                "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"repository:a/b:pull,push\"",
                bearer(
                    "https://auth.docker.io/token",
                    Some("registry.docker.io"),
                    Some("repository:a/b:pull,push"),
                ),
            ),
            (
                "bearer realm=https://x.example/t , service=\"y\"",
                bearer("https://x.example/t", Some("y"), None),
            ),
            ("Basic realm=\"Registry\"", Some(Challenge::Basic)),
            ("Basic", Some(Challenge::Basic)),
            ("Bearer", None),
            ("Bearer realm=\"\"", None),
            ("Bearer service=\"x\"", None),
            ("Negotiate", None),
            ("", None),
        ] {
            assert_eq!(parse_challenge(text), expected, "{text}");
        }
    }

    #[test]
    fn token_is_preferred_to_the_login() {
        let header = |value: &str| ("www-authenticate".to_owned(), value.to_owned());
        let headers = vec![header("Basic realm=\"x\""), header("Bearer realm=\"https://t.example\"")];
        let response = Response { status: 401, headers, body: Vec::new() };
        assert_eq!(challenge(&response), bearer("https://t.example", None, None));
    }

    #[test]
    fn answer_of_a_token_service_is_a_token_or_a_problem() {
        let answer = |status, body: &str| Response { status, headers: Vec::new(), body: body.into() };
        assert_eq!(token_of("h", &answer(200, r#"{"token":"t"}"#), true), Ok("t".into()));
        assert_eq!(token_of("h", &answer(200, r#"{"access_token":"t"}"#), true), Ok("t".into()));
        for (status, body, has_login, sentence) in [
            (401, "SENTINEL", true, "The registry `ghcr.io` rejected the login."),
            (403, "", false, "The registry `ghcr.io` needs a login."),
            (
                200,
                "SENTINEL",
                true,
                "The token service of the registry `ghcr.io` responded with 200 and no token.",
            ),
            (500, "", true, "The token service of the registry `ghcr.io` responded with 500 and no token."),
        ] {
            let problem = token_of("ghcr.io", &answer(status, body), has_login).unwrap_err();
            assert_eq!(problem.sentence, sentence);
            assert!(!problem.to_string().contains("SENTINEL"));
        }
    }
}
