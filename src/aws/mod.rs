//! One AWS session for a run: HTTP client, clock, retries, region, and credentials that renew themselves.
//! Every AWS client of every adapter is created from it. No service or release is known here.

mod body_limit;
mod laptop;
mod mask;
mod oidc;
mod rate_limit;
mod role;
mod session;

pub use mask::Mask;
pub use oidc::OidcTokenSource;
pub use rate_limit::{RateLimiter, RateLimiters};
pub use session::{Io, SessionRequest, disconnected, open_session};
