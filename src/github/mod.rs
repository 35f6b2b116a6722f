//! GitHub's API, typed. Effects only.
