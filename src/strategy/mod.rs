//! How a release reaches traffic: strategies as steps. Pure.
