//! The deploy file: its types, its checks, and the merge of inputs over file over defaults. No I/O.
