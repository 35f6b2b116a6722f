//! Argo CD's API, one function a call. <https://argo-cd.readthedocs.io/en/stable/developer-guide/api-docs/>

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::managed::{ManagedResource, ManagedResources};
use super::obstacles::SyncWindows;
use super::read::{Application, ResourceStatus};
use super::resource_tree::{self, ApplicationTree, KubernetesEvent, KubernetesEventList, ResourceNode};
use crate::problem::{Code, Problem};
use crate::release::LogLine;
use crate::sys::http::{HttpClient, Method, Request, RequestError, json_error_text};

/// Timeout of a response: a refresh responds when it is done.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// The most lines of a pod that are read.
const MAX_LOG_LINES: usize = 20;

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

    /// A client of another application on the same server.
    pub fn for_application(&self, application: &str, namespace: &str) -> Self {
        Self {
            http: self.http.clone(),
            token: self.token.clone(),
            server: self.server.clone(),
            application: application.to_owned(),
            namespace: Some(namespace.to_owned()).filter(|name| !name.is_empty()),
        }
    }

    /// URL of the application's page.
    pub fn page_url(&self) -> String {
        format!("{}/applications/{}", self.server, self.qualified_name())
    }

    /// The name of the application, after its namespace if it has one of its own.
    fn qualified_name(&self) -> String {
        let namespace = self.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        format!("{namespace}{}", self.application)
    }

    /// The application as Argo CD knows it.
    pub async fn application(&self) -> Result<Application, Problem> {
        self.get("", Vec::new()).await
    }

    /// The application once Argo CD has read Git. It answers when the manifests are rendered: an error can mean that this
    /// takes longer than a request may.
    pub async fn refreshed_application(&self) -> Result<Application, Problem> {
        self.get("", vec![("refresh", "normal".to_owned())]).await
    }

    /// The managed resources as the last comparison left them.
    pub async fn managed_resources(&self) -> Result<Vec<ManagedResource>, Problem> {
        Ok(self.get::<ManagedResources>("/managed-resources", Vec::new()).await?.items)
    }

    /// The sync windows of the application.
    pub async fn sync_windows(&self) -> Result<SyncWindows, Problem> {
        self.get("/syncwindows", Vec::new()).await
    }

    /// Whether the token may do something with the application; `None` if the server does not say.
    pub async fn is_allowed(&self, action: &str, project: &str) -> Option<bool> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            value: String,
        }
        let subject = format!("{project}/{}", self.qualified_name());
        let url = format!("{}/api/v1/account/can-i/applications/{action}/{subject}", self.server);
        let answer: Answer = self.send(Request::get(url)).await.ok()?;
        ["yes", "no"].contains(&answer.value.as_str()).then(|| answer.value == "yes")
    }

    /// Ends the running operation. Without its content type the server refuses the request.
    pub async fn terminate_operation(&self) -> Result<(), Problem> {
        let request = Request::new(Method::DELETE, self.url("/operation", Vec::new())).json(b"{}".to_vec());
        self.send::<Value>(request).await.map(drop)
    }

    /// All resources of the application.
    pub async fn tree(&self) -> Result<ApplicationTree, Problem> {
        self.get("/resource-tree", Vec::new()).await
    }

    /// The events of a resource, which is found by uid, name and namespace together.
    pub async fn events(&self, resource: &ResourceNode) -> Result<Vec<KubernetesEvent>, Problem> {
        let query = vec![
            ("resourceNamespace", resource.namespace.clone()),
            ("resourceName", resource.name.clone()),
            ("resourceUID", resource.uid.clone()),
        ];
        Ok(self.get::<KubernetesEventList>("/events", query).await?.items)
    }

    /// The last lines that a pod wrote. It needs the right `logs, get`.
    pub async fn pod_logs(&self, pod: &ResourceNode) -> Result<Vec<LogLine>, Problem> {
        let query = vec![
            ("podName", pod.name.clone()),
            ("namespace", pod.namespace.clone()),
            ("tailLines", MAX_LOG_LINES.to_string()),
        ];
        let body = self.send_raw(Request::get(self.url("/logs", query))).await?;
        Ok(resource_tree::parse_logs(&body))
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

    /// Starts a sync to where the sources point: to name a commit needs a right of its own. `false` if another operation
    /// is in progress.
    pub async fn sync(&self) -> Result<bool, Problem> {
        let body = json!({ "name": self.application, "appNamespace": self.namespace });
        let request = Request::new(Method::POST, self.url("/sync", Vec::new()));
        let request = request.json(body.to_string().into_bytes());
        match self.send::<Value>(request).await {
            Err(problem)
                if problem.cause.as_deref().is_some_and(|reason| reason.contains("another operation")) =>
            {
                Ok(false)
            }
            answer => answer.map(|_| true),
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
        let body = self.send_raw(request).await?;
        serde_json::from_slice(&body).map_err(|error| {
            let reason = format!("its response cannot be read: {}", json_error_text(&error));
            unreachable_problem(&self.server, reason.into())
        })
    }

    async fn send_raw(&self, request: Request) -> Result<Vec<u8>, Problem> {
        let request = request.header("authorization", &format!("Bearer {}", self.token));
        let answer = self
            .http
            .send(request, REQUEST_TIMEOUT)
            .await
            .map_err(|error| unreachable_problem(&self.server, error))?;
        if !(200..300).contains(&answer.status) {
            return Err(self.status_problem(answer.status, &answer.body));
        }
        Ok(answer.body)
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
