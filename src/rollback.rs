//! Which version to return to, and the steps that lead there. Pure.
