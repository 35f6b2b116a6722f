//! The container that ended a task first. ECS reports no order, so it is read from reasons and exit codes: a container
//! that was stopped in consequence exits with 143 (SIGTERM) or 137 (SIGKILL). Pure.

use super::super::read::TaskContainer;

const SIGKILL: i64 = 137;
const SIGTERM: i64 = 143;

/// The container that ended first; `None` if no container has an exit code or a reason. `essential` are the names of the
/// containers that end the task with them; empty if they are not known.
pub fn find_first_exited<'a>(
    containers: &'a [TaskContainer],
    essential: &[String],
) -> Option<&'a TaskContainer> {
    let ended = |it: &&TaskContainer| it.exit_code.is_some() || !it.reason.is_empty();
    let counts = |it: &&TaskContainer| essential.is_empty() || essential.contains(&it.name);
    let essential_first = containers.iter().filter(ended).filter(counts).min_by_key(|it| suspicion(it));
    essential_first.or_else(|| containers.iter().filter(ended).min_by_key(|it| suspicion(it)))
}

/// Whether a container was killed for its memory use.
pub fn is_out_of_memory(container: &TaskContainer) -> bool {
    container.reason.to_lowercase().contains("outofmemory")
}

/// 0 is the most suspicious.
fn suspicion(container: &TaskContainer) -> u8 {
    match container.exit_code {
        _ if is_out_of_memory(container) => 0,
        _ if !container.reason.is_empty() => 1,
        Some(0) => 3,
        Some(SIGKILL) => 4,
        Some(SIGTERM) => 5,
        Some(_) => 2,
        None => 6,
    }
}

/// What its end looked like, as a sentence, and what to do.
pub fn describe(container: &TaskContainer) -> (String, &'static str) {
    let name = &container.name;
    match container.exit_code {
        _ if is_out_of_memory(container) => (
            format!("The container `{name}` was killed because it exceeded its memory limit."),
            "Raise the memory of the container or of the task.",
        ),
        Some(0) => (
            format!("The container `{name}` ended by itself with exit code 0."),
            "A service must keep running: check command and entry point, and that the process stays in the foreground.",
        ),
        Some(SIGKILL) => (
            format!("The container `{name}` was killed with exit code {SIGKILL}."),
            "Check its memory use, its stop timeout and its log lines.",
        ),
        Some(code) => (format!("The container `{name}` exits with code {code}."), "Check its log lines."),
        None => (format!("The container `{name}` ended."), "Check its log lines."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `app=1 envoy=143 init=0` as containers; `!` after the code is a reason of its own.
    fn containers(text: &str) -> Vec<TaskContainer> {
        let one = |part: &str| {
            let (name, code) = part.split_once('=').unwrap();
            let reason = if code.ends_with('!') { "CannotStartContainerError: no" } else { "" };
            let exit_code = code.trim_end_matches('!').parse().ok();
            TaskContainer { name: name.into(), exit_code, reason: reason.into(), ..TaskContainer::default() }
        };
        text.split_whitespace().map(one).collect()
    }

    #[test]
    fn first_exited_is_never_one_that_was_stopped_in_consequence() {
        let table = [
            ("app=1 envoy=143", "", Some("app")),
            ("app=143 envoy=1", "", Some("envoy")),
            ("app=137 envoy=1", "", Some("envoy")),
            ("app=0 envoy=1", "", Some("envoy")),
            ("app=0 envoy=143", "", Some("app")),
            ("app=0 envoy=137", "", Some("app")),
            ("app=143 envoy=0", "", Some("envoy")),
            ("app=143 envoy=137", "", Some("envoy")),
            ("app=139 envoy=0", "", Some("app")),
            ("app=143 envoy=?!", "", Some("envoy")),
            ("app=? envoy=143", "", Some("envoy")),
            ("app=? envoy=?", "", None),
            ("", "", None),
            // What is not essential does not end a task.
            ("init=1 app=3", "app", Some("app")),
            ("init=0 app=0 envoy=143", "app envoy", Some("app")),
            ("init=1 app=143 envoy=0", "app envoy", Some("envoy")),
            // But what is left is named where nothing essential has ended.
            ("init=1 app=?", "app", Some("init")),
        ];
        for (all, essential, expected) in table {
            let all_containers = containers(all);
            let essential: Vec<String> = essential.split_whitespace().map(Into::into).collect();
            let found = find_first_exited(&all_containers, &essential);
            assert_eq!(found.map(|it| it.name.as_str()), expected, "{all}");
        }
    }
}
