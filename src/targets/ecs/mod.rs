//! Amazon ECS: order of calls only.
