//! Argo CD's API, one function a call. <https://argo-cd.readthedocs.io/en/stable/developer-guide/api-docs/>

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::read::{Application, ApplicationTree, KubernetesEvent, KubernetesEventList, ResourceStatus};
use crate::problem::{Code, Problem};
use crate::sys::http::{HttpClient, Method, Request, RequestError, json_error_text};

/// Timeout of a response: a refresh responds when it is done.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// One application on one server.
pub struct Client {
    http: HttpClient,
    token: String,
    server: String,
    application: String,
    namespace: Option<String>,
}

impl Client {
    /// A client of `server` with `token`, for one application.
    pub fn new(
        http: HttpClient,
        token: String,
        server: &str,
        application: &str,
        namespace: Option<&str>,
    ) -> Self {
        let (server, namespace) = (server.trim_end_matches('/').to_owned(), namespace.map(str::to_owned));
        Self { http, token, server, application: application.to_owned(), namespace }
    }

    /// URL of the application's page.
    pub fn page_url(&self) -> String {
        let namespace = self.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        format!("{}/applications/{namespace}{}", self.server, self.application)
    }

    /// The application; with `refresh` Argo CD reads Git first.
    pub async fn application(&self, refresh: bool) -> Result<Application, Problem> {
        let query = if refresh { vec![("refresh", "normal".to_owned())] } else { Vec::new() };
        self.get("", query).await
    }

    /// All resources of the application.
    pub async fn tree(&self) -> Result<ApplicationTree, Problem> {
        self.get("/resource-tree", Vec::new()).await
    }

    /// The events of a resource.
    pub async fn events(&self, resource: &ResourceStatus) -> Result<Vec<KubernetesEvent>, Problem> {
        let query =
            vec![("resourceNamespace", resource.namespace.clone()), ("resourceName", resource.name.clone())];
        Ok(self.get::<KubernetesEventList>("/events", query).await?.items)
    }

    /// A resource as it is in the cluster.
    pub async fn live_manifest(&self, resource: &ResourceStatus) -> Result<Value, Problem> {
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

    /// Starts a sync to a commit. A sync already in progress is not an error.
    pub async fn sync(&self, revision: &str) -> Result<(), Problem> {
        let body = json!({ "name": self.application, "appNamespace": self.namespace, "revision": revision });
        let request = Request::new(Method::POST, self.url("/sync", Vec::new()));
        let request = request.json(body.to_string().into_bytes());
        match self.send::<Value>(request).await {
            Err(problem)
                if problem.cause.as_deref().is_some_and(|reason| reason.contains("another operation")) =>
            {
                Ok(())
            }
            answer => answer.map(drop),
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, query: Vec<(&str, String)>) -> Result<T, Problem> {
        self.send(Request::get(self.url(path, query))).await
    }

    fn url(&self, path: &str, mut query: Vec<(&str, String)>) -> String {
        query.extend(self.namespace.clone().map(|namespace| ("appNamespace", namespace)));
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}/api/v1/applications/{}{path}{mark}{query}", self.server, self.application)
    }

    async fn send<T: DeserializeOwned>(&self, request: Request) -> Result<T, Problem> {
        let request = request.header("authorization", &format!("Bearer {}", self.token));
        let answer = self
            .http
            .send(request, REQUEST_TIMEOUT)
            .await
            .map_err(|error| unreachable_problem(&self.server, error))?;
        if !(200..300).contains(&answer.status) {
            return Err(self.status_problem(answer.status, &answer.body));
        }
        serde_json::from_slice(&answer.body).map_err(|error| {
            let reason = format!("its response cannot be read: {}", json_error_text(&error));
            unreachable_problem(&self.server, reason.into())
        })
    }

    fn status_problem(&self, status: u16, body: &[u8]) -> Problem {
        // Only the message of an object: a derived reader would take the first item of a list for it.
        let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
        let message = parsed.get("message").and_then(Value::as_str);
        let reason = message.map_or_else(|| format!("status {status}"), str::to_owned);
        let (code, sentence, help) = match status {
            401 => (
                Code::CredentialsMissing,
                format!("Argo CD at `{}` does not accept the token.", self.server),
                "Create a new one (`argocd account generate-token`, or for a project's role) for the input `argocd-token`.",
            ),
            403 | 404 => (
                Code::PermissionMissing,
                format!(
                    "The token has no access to the application `{}`, or the application does not exist.",
                    self.application
                ),
                "Argo CD's response is the same for both. Grant the role `applications, get` (and `sync` for `sync: true`).",
            ),
            _ => return unreachable_problem(&self.server, reason.into()),
        };
        Problem::error(code, sentence).cause(reason).help(help)
    }
}

fn unreachable_problem(server: &str, error: RequestError) -> Problem {
    let problem =
        Problem::error(Code::ProviderError, format!("The request to Argo CD at `{server}` failed."))
            .help("Check `server`, and that the runner can reach it.");
    error.explain(problem)
}
