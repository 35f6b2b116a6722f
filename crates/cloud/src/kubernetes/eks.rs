//! Amazon EKS, as far as a client needs it to find a cluster: DescribeCluster.

use base64::Engine as _;
use serde_json::json;

use crate::input::str_field;
use crate::request::{ServiceCall, ServiceError, ServiceResult};
use crate::service::{ErrorCodes, Service, ServiceProtocol, unsupported_operation};
use crate::world::World;

/// What EKS calls the errors that every service has.
static ERRORS: ErrorCodes = ErrorCodes::AWS_JSON
    .with_denied(403, "AccessDeniedException")
    .with_expired(403, "ExpiredTokenException")
    .with_unknown_token(403, "UnrecognizedClientException")
    .with_internal(500, "ServerException");

/// The authority of every cluster's certificate. The emulator has no TLS, so nothing is signed by it.
const AUTHORITY: &str = include_str!("authority.pem");

/// Amazon EKS.
pub struct Eks;

impl Service for Eks {
    fn name(&self) -> &'static str {
        "eks"
    }

    fn protocol(&self) -> ServiceProtocol {
        ServiceProtocol::Own
    }

    fn errors(&self) -> &'static ErrorCodes {
        &ERRORS
    }

    fn handle(&self, world: &mut World, call: &ServiceCall, _now: f64) -> ServiceResult {
        match call.operation.as_str() {
            "DescribeCluster" => describe_cluster(world, str_field(&call.input, "name")),
            _ => Err(unsupported_operation(call)),
        }
    }

    fn resource(&self, world: &World, call: &ServiceCall, _action: &str) -> Option<String> {
        let name = str_field(&call.input, "name");
        Some(format!("arn:aws:eks:{}:{}:cluster/{name}", world.region, world.account))
    }
}

fn describe_cluster(world: &World, name: &str) -> ServiceResult {
    let cluster = world.kubernetes.clusters.iter().find(|one| one.setting.eks && one.setting.name == name);
    let Some(cluster) = cluster else {
        let words = format!("No cluster found for name: {name}.");
        return Err(ServiceError::with_status(404, "ResourceNotFoundException", words));
    };
    let authority = base64::engine::general_purpose::STANDARD.encode(AUTHORITY);
    Ok(json!({ "cluster": {
        "name": name,
        "arn": format!("arn:aws:eks:{}:{}:cluster/{name}", world.region, world.account),
        "version": "1.33",
        "status": cluster.setting.status,
        "endpoint": format!("https://{}", cluster.host),
        "certificateAuthority": { "data": authority },
        "resourcesVpcConfig": {
            "endpointPublicAccess": cluster.setting.public, "endpointPrivateAccess": true,
            "publicAccessCidrs": if cluster.setting.public { json!(["0.0.0.0/0"]) } else { json!([]) },
        },
        "accessConfig": { "authenticationMode": "API" },
    } }))
}
