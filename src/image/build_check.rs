//! What would make a build fail for certain, found in the files and variables of the job before anything is built: for
//! plans, and so that all errors are reported at once. Nothing is run and nothing is changed.

use std::path::Path;

use super::build_error::unknown_stage_problem;
use super::builder::BuildRequest;
use super::context_faults;
use super::docker_config::secret_value;
use super::dockerfile::Dockerfile;
use super::source_digest::{context_files, unreadable_context};
use crate::problem::{Code, Problem};
use crate::sys::disk;
use crate::sys::environment::Variables;

/// All reasons for which the build cannot succeed.
pub fn check_build(request: &BuildRequest, variables: &Variables) -> Vec<Problem> {
    let mut problems = check_files(request);
    problems.extend(check_secrets(request, variables));
    problems
}

/// The reasons that the files of the workspace have: context, Dockerfile and target.
pub fn check_files(request: &BuildRequest) -> Vec<Problem> {
    let context = disk::resolve_within(&request.workspace, Path::new(&request.settings.context));
    let context = match context {
        Ok(context) if disk::is_folder(&context) => context,
        Ok(_) => return vec![unreadable_context(request, "it is not a folder".into())],
        Err(error) => return vec![unreadable_context(request, format!("{error:#}"))],
    };
    let mut problems: Vec<Problem> = check_dockerfile(request).into_iter().collect();
    match context_files(request, &context) {
        Ok(files) => problems.extend(context_faults::find(request, &context, &files)),
        Err(problem) => problems.push(problem),
    }
    problems.into_iter().map(|problem| problem.for_service(&request.service)).collect()
}

fn check_dockerfile(request: &BuildRequest) -> Option<Problem> {
    let dockerfile = match read_dockerfile(request) {
        Ok(text) => Dockerfile::parse(&String::from_utf8_lossy(&text)),
        Err(problem) => return Some(problem),
    };
    let target = request.settings.target.as_deref()?;
    (!dockerfile.has_stage(target)).then(|| unknown_stage_problem(target, &dockerfile))
}

/// The text of the Dockerfile.
pub(super) fn read_dockerfile(request: &BuildRequest) -> Result<Vec<u8>, Problem> {
    disk::read_bytes_within(&request.workspace, &request.dockerfile_path()).map_err(|error| {
        let sentence = format!("The Dockerfile `{}` cannot be read.", request.dockerfile_name());
        Problem::error(Code::FileUnreadable, sentence)
            .cause(format!("{error:#}"))
            .help(dockerfile_help(request))
            .for_service(&request.service)
    })
}

/// Paths of `docker/build-push-action` are relative to the workspace: what was probably meant is named.
fn dockerfile_help(request: &BuildRequest) -> String {
    let settings = &request.settings;
    let exists = |path: &str| disk::exists(&request.workspace.join(path));
    let meant = settings.dockerfile.trim_start_matches("./");
    if Path::new(&settings.context) != Path::new(".") && exists(meant) {
        let context = settings.context.trim_start_matches("./").trim_end_matches('/');
        let inner = meant.strip_prefix(&format!("{context}/"));
        let up = "../".repeat(Path::new(context).components().count());
        let path = inner.map_or_else(|| format!("{up}{meant}"), str::to_owned);
        return format!("`dockerfile` is relative to `context`: write `dockerfile: {path}`.");
    }
    "Check the path: `dockerfile` is relative to `context`, which is relative to the workspace.".into()
}

/// The secrets that have no value.
pub fn check_secrets(request: &BuildRequest, variables: &Variables) -> Vec<Problem> {
    let secrets = match request.settings.parse_secrets() {
        Ok(secrets) => secrets,
        Err(problem) => return vec![problem.for_service(&request.service)],
    };
    let values = secrets.iter().map(|secret| secret_value(secret, &request.workspace, variables));
    values.filter_map(Result::err).map(|problem| problem.for_service(&request.service)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)], settings: &str) -> Vec<String> {
        let folder = disk::private_folder().unwrap();
        for (path, text) in files {
            disk::write(&folder.path().join(path), text.as_bytes()).unwrap();
        }
        let request = BuildRequest {
            service: "app".into(),
            repository: "r.example/acme/app".parse().unwrap(),
            workspace: folder.path().into(),
            settings: serde_saphyr::from_str(settings).unwrap(),
            commit: "c0ffee".into(),
            branch: None,
            tag_suffix: None,
            source: None,
        };
        let variables = [("SET".to_owned(), "x".to_owned())].into();
        let problems = check_build(&request, &variables);
        problems
            .iter()
            .map(|problem| format!("{} {} {}", problem.code.name(), problem.sentence, problem.help))
            .collect()
    }

    #[test]
    fn complete_build_has_no_problems() {
        let files = [("app/Dockerfile", "FROM a AS run"), ("app/x", "y"), ("ca.pem", "z")];
        let settings = "{ context: app, target: run, secrets: [SET, 'id=ca,src=ca.pem'] }";
        assert_eq!(found(&files, settings), [""; 0]);
    }

    #[test]
    fn everything_that_is_missing_is_reported_at_once() {
        let files = [("app/Dockerfile", "FROM a AS build\nFROM b AS run")];
        let settings = "{ context: app, target: rum, secrets: [UNSET, 'id=ca,src=ca.pem'] }";
        insta::assert_snapshot!(found(&files, settings).join("\n"), @r"
        build-failed The Dockerfile has no stage `rum`. Did you mean `run`? Its stages: `build`, `run`.
        input-invalid The build secret `UNSET` needs the environment variable `UNSET`, which is not set. Pass it to the step: `env: { UNSET: ${{ secrets.UNSET }} }`.
        file-unreadable The build secret `ca` needs the file `ca.pem`, which cannot be read. Name a regular file of the workspace of at most 500 KB, and create it before this step.
        ");
    }

    #[test]
    fn missing_dockerfile_says_what_was_probably_meant() {
        for (settings, files, expected) in [
            ("{}", &["x"][..], "Check the path"),
            ("{ context: app }", &["app/x", "Dockerfile"], "write `dockerfile: ../Dockerfile`"),
            (
                "{ context: ./a/b/, dockerfile: docker/Dockerfile }",
                &["a/b/x", "docker/Dockerfile"],
                "write `dockerfile: ../../docker/Dockerfile`",
            ),
            (
                "{ context: app, dockerfile: ./app/Dockerfile }",
                &["app/Dockerfile"],
                "write `dockerfile: Dockerfile`",
            ),
        ] {
            let files: Vec<(&str, &str)> = files.iter().map(|path| (*path, "FROM a")).collect();
            let found = found(&files, settings);
            assert!(found.len() == 1 && found[0].contains(expected), "{settings}: {found:?}");
        }
    }

    #[test]
    fn missing_context_is_one_problem() {
        for (settings, files) in [("context: app", &[("x", "y")][..]), ("context: app", &[("app", "a file")])]
        {
            let found = found(files, settings);
            assert!(found.len() == 1 && found[0].contains("build context `app`"), "{found:?}");
        }
    }
}
