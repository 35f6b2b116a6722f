//! Event, configuration and observed state in; steps, and why, out. Pure.
