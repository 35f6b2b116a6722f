//! The command line: the same operations on a laptop, and the wiring of adapters. No decision about a release.
