//! The embedded cloud: an in-process AWS with a virtual clock and faults. Knows wire protocols, not the core.
