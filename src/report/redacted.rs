//! A report without secrets: every text in it goes through the redactor before any sink sees it, since a secret that
//! was escaped for Markdown or cut in half would not be recognised afterwards.

use super::values::{Analysis, CommitLine, Moment, RunReport, ServiceReport};
use crate::action::Redactor;
use crate::problem::Problem;
use crate::release::{Change, Changes, Failure, LogLine, Version};

impl RunReport {
    /// The same report with `***` for every registered secret.
    pub fn redacted(mut self, redactor: &Redactor) -> Self {
        let clean = |text: &mut String| *text = redactor.redact(text);
        clean(&mut self.operation);
        let options = [
            &mut self.environment,
            &mut self.reason,
            &mut self.run_url,
            &mut self.commit,
            &mut self.server_url,
            &mut self.repository,
        ];
        options.into_iter().flatten().for_each(clean);
        self.problems.iter_mut().for_each(|problem| clean_problem(problem, redactor));
        self.services.iter_mut().for_each(|service| clean_service(service, redactor));
        self
    }
}

fn clean_service(service: &mut ServiceReport, redactor: &Redactor) {
    let clean = |text: &mut String| *text = redactor.redact(text);
    [&mut service.name, &mut service.target, &mut service.strategy, &mut service.evidence]
        .into_iter()
        .for_each(clean);
    [
        &mut service.url,
        &mut service.commit,
        &mut service.origin,
        &mut service.previous_commit,
        &mut service.again,
    ]
    .into_iter()
    .flatten()
    .for_each(clean);
    if let Some(at) = &mut service.at {
        clean(&mut at.file);
    }
    for Version { id, label } in
        [&mut service.version, &mut service.serves, &mut service.previous].into_iter().flatten()
    {
        [id, label].into_iter().for_each(clean);
    }
    for CommitLine { sha, subject, author } in &mut service.commits {
        [sha, subject, author].into_iter().for_each(clean);
    }
    for Moment { text, .. } in &mut service.timeline {
        clean(text);
    }
    let Changes(changes) = &mut service.changes;
    for Change { field, from, to } in changes {
        clean(field);
        [from, to].into_iter().flatten().for_each(clean);
    }
    if let Some(Failure { problem, logs, .. }) = &mut service.failure {
        clean_problem(problem, redactor);
        logs.iter_mut().for_each(|LogLine { text, .. }| clean(text));
    }
    service.problems.iter_mut().for_each(|problem| clean_problem(problem, redactor));
    if let Some(Analysis { opinion, .. }) = &mut service.analysis {
        clean(&mut opinion.reason);
        for finding in &mut opinion.findings {
            [&mut finding.name, &mut finding.reason].into_iter().for_each(clean);
        }
    }
}

fn clean_problem(problem: &mut Problem, redactor: &Redactor) {
    let clean = |text: &mut String| *text = redactor.redact(text);
    [&mut problem.sentence, &mut problem.help].into_iter().for_each(clean);
    [&mut problem.cause, &mut problem.service].into_iter().flatten().for_each(clean);
    if let Some(at) = &mut problem.at {
        clean(&mut at.file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Secret;
    use crate::problem::Code;
    use crate::release::Outcome;
    use crate::report::samples;
    use crate::strategy::judge::{Series, Settings, rule};

    #[test]
    fn no_text_of_a_report_keeps_a_secret() {
        let s = "s3cr_et*";
        let mut report = samples::ended(Outcome::Failed);
        let problem = || Problem::error(Code::Internal, s).help(s).cause(s).at(s, 1, 1).of(s);
        let version = || Some(Version { id: s.into(), label: s.into() });
        (report.operation, report.problems) = (s.into(), vec![problem()]);
        (report.environment, report.reason, report.run_url) =
            (Some(s.into()), Some(s.into()), Some(s.into()));
        (report.commit, report.server_url, report.repository) =
            (Some(s.into()), Some(s.into()), Some(s.into()));
        let service = &mut report.services[0];
        (service.name, service.target, service.strategy) = (s.into(), s.into(), s.into());
        (service.evidence, service.url, service.commit) = (s.into(), Some(s.into()), Some(s.into()));
        (service.version, service.serves, service.previous) = (version(), version(), version());
        (service.previous_commit, service.origin, service.again) =
            (Some(s.into()), Some(s.into()), Some(s.into()));
        service.at = problem().at;
        service.commits = vec![samples::commit(s, s, s)];
        service.moment(samples::at(0), s);
        service.changes = Changes(vec![samples::change(s, Some(s), Some(s))]);
        let failure = service.failure.as_mut().unwrap();
        failure.problem = problem();
        failure.logs[0].text = s.into();
        service.problems = vec![problem()];
        let series = Series { name: s.into(), minutes: Vec::new(), share: None };
        let opinion = rule(&Settings::default(), &[series], false);
        service.analysis = Some(Analysis { opinion, share: 10 });
        let mut redactor = Redactor::default();
        redactor.add(&Secret::new(s));
        let shown = format!("{:?}", report.redacted(&redactor));
        assert!(!shown.contains(s), "{shown}");
    }
}
