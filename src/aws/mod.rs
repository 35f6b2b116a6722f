//! One AWS session for a run: HTTP client, clock, retries, region, and credentials that renew themselves.
//! Every AWS client of every adapter is made from it. Nothing here knows a service or a release.

mod mask;
mod oidc;
mod pace;
mod role;
mod session;

pub use mask::Mask;
pub use oidc::TokenEndpoint;
pub use pace::{Pace, Paces};
pub use session::{Doors, Wanted, https_client, nowhere, open};
