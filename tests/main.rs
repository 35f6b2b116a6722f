//! The one integration binary. It needs nothing but Rust; what needs more lives in `tests/external/`.

mod architecture;
mod contract;
mod invariants;
mod rehearsal;
mod support;
