//! The block `traffic` of the deploy file.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::settings::ObjectName;

/// What splits the traffic of a Deployment between two versions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "TrafficBlock")]
#[schemars(with = "TrafficBlock")]
pub struct TrafficSettings {
    /// The HTTPRoute.
    pub httproute: ObjectName,
    /// The Service of the workload.
    pub service: Option<ObjectName>,
}

/// The route whose weights are set.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TrafficBlock {
    /// Name of an HTTPRoute of the Gateway API, in the namespace of the workload. One of its rules sends traffic to the Service.
    #[serde(default)]
    httproute: Option<ObjectName>,
    /// Name of the Service of the workload. Default: the name of the workload.
    #[serde(default)]
    service: Option<ObjectName>,
    #[serde(default)]
    #[schemars(skip)]
    app_mesh: Option<serde_json::Value>,
    #[serde(default)]
    #[schemars(skip)]
    smi: Option<serde_json::Value>,
}

impl TryFrom<TrafficBlock> for TrafficSettings {
    type Error = String;

    fn try_from(block: TrafficBlock) -> Result<Self, String> {
        let TrafficBlock { httproute, service, app_mesh, smi } = block;
        let instead = "use `httproute`, which names an HTTPRoute of the Gateway API";
        if app_mesh.is_some() {
            return Err(format!("AWS App Mesh ended on 2026-09-30: {instead}"));
        }
        if smi.is_some() {
            return Err(format!("the Service Mesh Interface was archived in 2023: {instead}"));
        }
        let httproute = httproute.ok_or("`traffic` needs `httproute`: the name of an HTTPRoute")?;
        Ok(Self { httproute, service })
    }
}
