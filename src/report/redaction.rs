//! A report without secrets: every text in it is redacted before any sink reads it, since a secret that was escaped for
//! Markdown or cut in half would not be recognised afterwards. Every type destructures all of its fields, so that a new
//! field does not compile until it is redacted or listed as free of untrusted text.

use super::run_report::{CanaryAnalysis, CommitLine, RunReport, ServiceReport, TimelineEntry};
use crate::action::Redactor;
use crate::problem::{Location, Problem};
use crate::release::{
    Change, Changes, ContainerImages, Digest, Failure, ImageRef, LogLine, Outcome, Version,
};
use crate::strategy::judge::{BadRates, Judgement, MetricResult};

impl RunReport {
    /// The same report with `***` for every registered secret.
    pub fn redacted(mut self, redactor: &Redactor) -> Self {
        self.redact(redactor);
        self
    }
}

/// A value that can contain secrets.
trait Redact {
    fn redact(&mut self, redactor: &Redactor);
}

impl Redact for String {
    fn redact(&mut self, redactor: &Redactor) {
        *self = redactor.redact(self);
    }
}

impl<T: Redact> Redact for Option<T> {
    fn redact(&mut self, redactor: &Redactor) {
        self.iter_mut().for_each(|value| value.redact(redactor));
    }
}

impl<T: Redact> Redact for Vec<T> {
    fn redact(&mut self, redactor: &Redactor) {
        self.iter_mut().for_each(|value| value.redact(redactor));
    }
}

fn redact_all(values: &mut [&mut dyn Redact], redactor: &Redactor) {
    values.iter_mut().for_each(|value| value.redact(redactor));
}

/// Types whose values cannot hold a secret: parsed to a fixed grammar, or constants of this program.
macro_rules! nothing_to_redact {
    ($($plain:ty),* $(,)?) => {
        $(impl Redact for $plain {
            fn redact(&mut self, _: &Redactor) {}
        })*
    };
}
nothing_to_redact!(Outcome, Digest);

impl Redact for RunReport {
    fn redact(&mut self, redactor: &Redactor) {
        let Self {
            outcome: _,
            operation,
            environment,
            reason,
            services,
            problems,
            started: _,
            finished: _,
            run_url,
            commit,
            server_url,
            repository,
            rehearsal: _,
        } = self;
        redact_all(
            &mut [
                operation,
                environment,
                reason,
                services,
                problems,
                run_url,
                commit,
                server_url,
                repository,
            ],
            redactor,
        );
    }
}

impl Redact for ServiceReport {
    fn redact(&mut self, redactor: &Redactor) {
        let Self {
            name,
            outcome: _,
            target,
            strategy,
            image,
            container_images: containers,
            digest,
            version,
            serving_version: serves,
            serving_digest: serves_digest,
            previous_version: previous,
            url,
            commit,
            origin,
            previous_commit,
            commits,
            commits_total: _,
            evidence,
            elapsed: _,
            failure,
            changes,
            redeploy_reason: again,
            declared_at: at,
            timeline,
            expected_duration: _,
            problems,
            analysis,
        } = self;
        redact_all(&mut [name, target, strategy, image, digest, version, serves, serves_digest], redactor);
        redact_all(&mut [previous, url, commit, origin, previous_commit, commits, evidence], redactor);
        redact_all(&mut [failure, changes, again, at, timeline, problems, analysis, containers], redactor);
    }
}

impl Redact for ImageRef {
    /// The name is the user's text; a secret in it would be part of every pull of the image.
    fn redact(&mut self, redactor: &Redactor) {
        let Self { registry, repository, tag, digest } = self;
        redact_all(&mut [registry, repository, tag, digest], redactor);
    }
}

impl Redact for ContainerImages {
    /// The names of containers are the user's text, too.
    fn redact(&mut self, redactor: &Redactor) {
        let redacted = std::mem::take(self).into_iter().map(|(mut name, mut image)| {
            redact_all(&mut [&mut name, &mut image], redactor);
            (name, image)
        });
        *self = redacted.collect();
    }
}

impl Redact for Version {
    fn redact(&mut self, redactor: &Redactor) {
        let Self { id, label } = self;
        redact_all(&mut [id, label], redactor);
    }
}

impl Redact for CommitLine {
    fn redact(&mut self, redactor: &Redactor) {
        let Self { sha, subject, author } = self;
        redact_all(&mut [sha, subject, author], redactor);
    }
}

impl Redact for TimelineEntry {
    fn redact(&mut self, redactor: &Redactor) {
        let Self { at: _, text, source: _ } = self;
        text.redact(redactor);
    }
}

impl Redact for Changes {
    fn redact(&mut self, redactor: &Redactor) {
        let Self(changes) = self;
        changes.redact(redactor);
    }
}

impl Redact for Change {
    fn redact(&mut self, redactor: &Redactor) {
        let Self { field, from, to, hidden: _ } = self;
        redact_all(&mut [field, from, to], redactor);
    }
}

impl Redact for Failure {
    fn redact(&mut self, redactor: &Redactor) {
        let Self { problem, exit_code: _, logs, permanent: _ } = self;
        redact_all(&mut [problem, logs], redactor);
    }
}

impl Redact for LogLine {
    fn redact(&mut self, redactor: &Redactor) {
        let Self { at_ms: _, text } = self;
        text.redact(redactor);
    }
}

impl Redact for Problem {
    fn redact(&mut self, redactor: &Redactor) {
        let Self { code: _, severity: _, sentence, help, cause, location: at, service } = self;
        redact_all(&mut [sentence, help, cause, at, service], redactor);
    }
}

impl Redact for Location {
    fn redact(&mut self, redactor: &Redactor) {
        let Self { file, line: _, column: _ } = self;
        file.redact(redactor);
    }
}

impl Redact for CanaryAnalysis {
    fn redact(&mut self, redactor: &Redactor) {
        let Self { judgement, weight: _ } = self;
        judgement.redact(redactor);
    }
}

impl Redact for Judgement {
    fn redact(&mut self, redactor: &Redactor) {
        let Self { verdict: _, reason, metric_results } = self;
        redact_all(&mut [reason, metric_results], redactor);
    }
}

impl Redact for MetricResult {
    fn redact(&mut self, redactor: &Redactor) {
        let Self {
            name,
            verdict: _,
            reason,
            canary: _,
            baseline: _,
            share: _,
            e_value: _,
            max_e_value: _,
            e_value_limit: _,
            dispersion: _,
            upper_bound: _,
            margin: _,
            minutes_used: _,
            minutes_rejected: _,
            rates,
        } = self;
        redact_all(&mut [name, reason, rates], redactor);
    }
}

impl Redact for BadRates {
    fn redact(&mut self, _: &Redactor) {
        let Self { canary: _, baseline: _ } = self;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Secret;
    use crate::problem::Code;
    use crate::release::Outcome;
    use crate::report::fixtures;
    use crate::strategy::judge::{JudgeSettings, MetricSeries, judge};

    #[test]
    fn report_contains_no_secret_after_redaction() {
        let s = "s3cr_et*";
        let mut report = fixtures::sample_report(Outcome::Failed);
        let problem =
            || Problem::error(Code::Internal, s).help(s).cause(s).at_location(s, 1, 1).for_service(s);
        let version = || Some(Version { id: s.into(), label: s.into() });
        (report.operation, report.problems) = (s.into(), vec![problem()]);
        (report.environment, report.reason, report.run_url) =
            (Some(s.into()), Some(s.into()), Some(s.into()));
        (report.commit, report.server_url, report.repository) =
            (Some(s.into()), Some(s.into()), Some(s.into()));
        let service = &mut report.services[0];
        (service.name, service.target, service.strategy) = (s.into(), s.into(), s.into());
        (service.evidence, service.url, service.commit) = (s.into(), Some(s.into()), Some(s.into()));
        (service.version, service.serving_version, service.previous_version) =
            (version(), version(), version());
        (service.previous_commit, service.origin, service.redeploy_reason) =
            (Some(s.into()), Some(s.into()), Some(s.into()));
        service.declared_at = problem().location;
        service.commits = vec![fixtures::commit_line(s, s, s)];
        service.add_timeline_entry(fixtures::sample_time(0), s);
        service.changes = Changes(vec![fixtures::change(s, Some(s), Some(s))]);
        let failure = service.failure.as_mut().unwrap();
        failure.problem = problem();
        failure.logs[0].text = s.into();
        service.problems = vec![problem()];
        let series = MetricSeries { name: s.into(), minutes: Vec::new(), share: None };
        let judgement = judge(&JudgeSettings::default(), &[series], false);
        service.analysis = Some(CanaryAnalysis { judgement, weight: 10 });
        let mut redactor = Redactor::default();
        redactor.register(&Secret::new(s));
        let shown = format!("{:?}", report.redacted(&redactor));
        assert!(!shown.contains(s), "{shown}");
    }
}
