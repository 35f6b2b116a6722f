//! The release that a run brings: what it is made of, and how it is put on the servers.

use super::facts::ReleaseFacts;
use super::hosts::HostState;
use super::source::ReleaseSource;
use super::write::{NewRelease, ReleaseFiles, ServerRequest};
use super::{ComposeTarget, observe, set_env};
use crate::problem::{Code, Problem};
use crate::release::Release;

impl ComposeTarget {
    /// The facts of the release that would serve; `None` if its image is not known.
    pub(super) fn wanted_facts(
        &self,
        release: &Release,
        seen: &[HostState],
    ) -> Result<Option<ReleaseFacts>, Vec<Problem>> {
        if !release.env_changes.is_empty() {
            let changed = set_env::changed_release(&self.settings, seen, &release.env_changes);
            return changed.map(|changed| Some(changed.facts)).map_err(|problem| vec![problem]);
        }
        match &release.rollback_to {
            Some(former) => Ok(former.definition.as_str().and_then(ReleaseFacts::parse)),
            None if release.image.is_none() => Ok(None),
            None => Ok(Some(ReleaseFacts::of(release, self.source.as_ref().map_err(Clone::clone)?))),
        }
    }

    /// The facts of a release whose image is not built yet: those of its files. A file that cannot be read is a problem of the
    /// pre-flight checks.
    pub(super) fn unbuilt_facts(&self, release: &Release) -> Option<ReleaseFacts> {
        let is_unbuilt = release.image.is_none() && release.rollback_to.is_none();
        let source = self.source.as_ref().ok().filter(|_| is_unbuilt)?;
        Some(ReleaseFacts::of(release, source))
    }

    /// Puts the release on every server, unless the same one is there. Its number, which is the same on all of them.
    pub(super) async fn create_release(&self, release: &Release, seen: &[HostState]) -> Result<u32, Problem> {
        if !release.env_changes.is_empty() {
            let changed = set_env::changed_release(&self.settings, seen, &release.env_changes)?;
            let files = ReleaseFiles::OfRelease(changed.base);
            return self.stage_release(&changed.facts, files, Some(&changed.env), seen).await;
        }
        let source = self.source.as_ref().map_err(|problems| first_problem(problems))?;
        let ReleaseSource { files, env } = source;
        let facts = ReleaseFacts::of(release, source);
        self.stage_release(&facts, ReleaseFiles::New(files), env.as_deref(), seen).await
    }

    async fn stage_release(
        &self,
        facts: &ReleaseFacts,
        files: ReleaseFiles<'_>,
        env: Option<&str>,
        seen: &[HostState],
    ) -> Result<u32, Problem> {
        let number = observe::release_number(seen, facts);
        let request = self.with_login(self.request("stage").with_release(&number.to_string()), facts);
        let requests = seen.iter().map(|host| {
            let facts = host.state.facts(Some(number)).unwrap_or(facts);
            let adopts = host.state.serving.is_none() && !host.state.containers.is_empty();
            request.clone().with_new_release(&NewRelease { facts, files, env, adopts })
        });
        self.hosts.stage(requests.collect()).await.map(|()| number)
    }

    /// The request with the login of the deploy file for the registry of the image, if it has one.
    fn with_login(&self, request: ServerRequest, facts: &ReleaseFacts) -> ServerRequest {
        let login = facts.image.as_ref().and_then(|image| self.logins.find(&image.registry));
        match login {
            Some(login) => request.with_login(login),
            None => request,
        }
    }
}

fn first_problem(problems: &[Problem]) -> Problem {
    let unknown = || Problem::error(Code::Internal, "The files of the release could not be read.");
    problems.first().cloned().unwrap_or_else(unknown)
}
