//! Argo CD's API: effects, one function a call. <https://argo-cd.readthedocs.io/en/stable/developer-guide/api-docs/>

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::read::{Application, Event, Events, Resource, Tree};
use crate::problem::{Code, Problem};
use crate::sys::web::{Method, Request, Web};

/// How long one answer may take: a refresh is answered when it is done.
const PATIENCE: Duration = Duration::from_secs(20);

/// One application on one server.
pub struct Client {
    web: Web,
    token: String,
    server: String,
    application: String,
    namespace: Option<String>,
}

impl Client {
    /// Asks `server` with `token` about an application.
    pub fn new(web: Web, token: String, server: &str, application: &str, namespace: Option<&str>) -> Self {
        let (server, namespace) = (server.trim_end_matches('/').to_owned(), namespace.map(str::to_owned));
        Self { web, token, server, application: application.to_owned(), namespace }
    }

    /// The page of the application.
    pub fn page(&self) -> String {
        let namespace = self.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        format!("{}/applications/{namespace}{}", self.server, self.application)
    }

    /// The application; with `refresh` Argo CD looks at Git first.
    pub async fn application(&self, refresh: bool) -> Result<Application, Problem> {
        let query = if refresh { vec![("refresh", "normal".to_owned())] } else { Vec::new() };
        self.get("", query).await
    }

    /// Everything that the application owns.
    pub async fn tree(&self) -> Result<Tree, Problem> {
        self.get("/resource-tree", Vec::new()).await
    }

    /// The events of a resource.
    pub async fn events(&self, resource: &Resource) -> Result<Vec<Event>, Problem> {
        let query =
            vec![("resourceNamespace", resource.namespace.clone()), ("resourceName", resource.name.clone())];
        Ok(self.get::<Events>("/events", query).await?.items)
    }

    /// A resource as it is in the cluster.
    pub async fn live(&self, resource: &Resource) -> Result<Value, Problem> {
        #[derive(Deserialize)]
        struct Live {
            #[serde(default)]
            manifest: String,
        }
        let query = vec![
            ("namespace", resource.namespace.clone()),
            ("resourceName", resource.name.clone()),
            ("version", resource.version.clone()),
            ("group", resource.group.clone()),
            ("kind", resource.kind.clone()),
        ];
        let live: Live = self.get("/resource", query).await?;
        Ok(serde_json::from_str(&live.manifest).unwrap_or_default())
    }

    /// Starts a sync to a commit. That another one is under way already is fine.
    pub async fn sync(&self, revision: &str) -> Result<(), Problem> {
        let body = json!({ "name": self.application, "appNamespace": self.namespace, "revision": revision });
        let request = Request::new(Method::POST, self.url("/sync", Vec::new()));
        let request = request.json(body.to_string().into_bytes());
        match self.ask::<Value>(request).await {
            Err(problem) if problem.cause.as_deref().is_some_and(|why| why.contains("another operation")) => {
                Ok(())
            }
            answer => answer.map(drop),
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, query: Vec<(&str, String)>) -> Result<T, Problem> {
        self.ask(Request::get(self.url(path, query))).await
    }

    fn url(&self, path: &str, mut query: Vec<(&str, String)>) -> String {
        query.extend(self.namespace.clone().map(|namespace| ("appNamespace", namespace)));
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}/api/v1/applications/{}{path}{mark}{query}", self.server, self.application)
    }

    async fn ask<T: DeserializeOwned>(&self, request: Request) -> Result<T, Problem> {
        let request = request.header("authorization", &format!("Bearer {}", self.token));
        let answer = self.web.ask(request, PATIENCE).await.map_err(|why| unanswered(&self.server, why))?;
        if !(200..300).contains(&answer.status) {
            return Err(self.refused(answer.status, &answer.body));
        }
        serde_json::from_slice(&answer.body)
            .map_err(|error| unanswered(&self.server, format!("its answer cannot be read: {error}")))
    }

    fn refused(&self, status: u16, body: &[u8]) -> Problem {
        #[derive(Deserialize)]
        struct Said {
            message: String,
        }
        let said = serde_json::from_slice::<Said>(body).map(|said| said.message);
        let why = said.unwrap_or_else(|_| format!("status {status}"));
        let (code, sentence, help) = match status {
            401 => (
                Code::CredentialsMissing,
                format!("Argo CD at `{}` does not accept the token.", self.server),
                "Make a new one (`argocd account generate-token`, or of a project's role) for the input `argocd-token`.",
            ),
            403 | 404 => (
                Code::PermissionMissing,
                format!(
                    "The token may not do this with the application `{}`, or there is none.",
                    self.application
                ),
                "Argo CD says the same for both. The role needs `applications, get` (and `sync` for `sync: true`).",
            ),
            _ => return unanswered(&self.server, why),
        };
        Problem::error(code, sentence).cause(why).help(help)
    }
}

fn unanswered(server: &str, why: String) -> Problem {
    Problem::error(Code::ProviderError, format!("Argo CD at `{server}` could not be asked."))
        .cause(why)
        .help("Check `server`, and that the runner can reach it.")
}
