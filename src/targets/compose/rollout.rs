//! An attempt on the servers of a service: started, continued and brought back. Sequences of calls; what answers mean is in
//! `group_status`.

use std::time::Duration;

use super::group_status::{self, NextMove, WayBack};
use super::hosts::HostState;
use super::mutations::{self, AttemptRequest};
use super::rollout_ids::RolloutIds;
use super::write::{BACKUP_LIMIT, ServerRequest};
use super::{ComposeTarget, StagedAttempt};
use crate::problem::{Code, Problem};
use crate::release::{Rollout, TrafficPlan, Version};
use crate::retry::WriteError;
use crate::targets::ChangeError;

impl ComposeTarget {
    /// With several servers, an attempt waits until all of them have the release: then a lost run changes none of them.
    fn confirm_within(&self) -> Option<Duration> {
        let count = u32::try_from(self.hosts.count()).unwrap_or(1);
        let backup = if self.settings.backup.is_empty() { Duration::ZERO } else { BACKUP_LIMIT };
        let each = self.settings.start_timeout.0 + self.settings.settle.0 + backup + Duration::from_secs(120);
        (count > 1).then_some(each * count)
    }

    /// The servers that an attempt starts on: with weights on all of them, else on the first ones.
    pub(super) fn first_hosts(&self, plan: &TrafficPlan) -> Vec<usize> {
        let count = if plan.is_in_place() { self.settings.batch.0 } else { usize::MAX };
        (0..self.hosts.count()).take(count).collect()
    }

    fn attempt_request(&self, is_rollback: bool) -> ServerRequest {
        let request = self.request("start");
        if is_rollback { request.without_backup() } else { request }
    }

    pub(super) async fn start(
        &self,
        staged: StagedAttempt,
        to: &Version,
        plan: &TrafficPlan,
    ) -> Result<Rollout, ChangeError> {
        let StagedAttempt { ids, is_rollback } = staged;
        let at = self.first_hosts(plan);
        let wanted = AttemptRequest {
            request: self.attempt_request(is_rollback),
            ids: ids.clone(),
            version: to,
            plan,
            confirm_within: self.confirm_within(),
        };
        let answers = self.hosts.start(&at, &wanted).await;
        let began: Vec<usize> =
            at.iter().zip(&answers).filter(|(_, it)| it.is_ok()).map(|(at, _)| *at).collect();
        let mut errors = answers.into_iter().filter_map(Result::err);
        let Some(error) = errors.next() else { return Ok(ids.rollout(to)) };
        match began.is_empty() {
            true => Err(errors.find(WriteError::is_unknown).unwrap_or(error)),
            // The rest begins as the next servers do, or the rollout fails there.
            false if plan.is_in_place() => Ok(ids.rollout(to)),
            // Nothing has traffic yet. Without this request they go back by themselves, later.
            false => {
                let request = self.request("abort").with_attempt(ids.attempt, &ids.owner);
                let _ = self.hosts.abort(&began, &request).await;
                Err(error)
            }
        }
    }

    /// Lets a rollout go on: to more weight, to the next servers, or to its end.
    pub(super) async fn proceed(
        &self,
        staged: StagedAttempt,
        rollout: &Rollout,
        percent: u8,
    ) -> Result<(), ChangeError> {
        let StagedAttempt { ids, is_rollback } = &staged;
        let request = self.request("continue").with_attempt(ids.attempt, &ids.owner);
        if self.hosts.count() == 1 {
            return self.hosts.proceed(&[0], &request.with_weight(percent)).await;
        }
        let states = self.attempt_states(ids).await.map_err(WriteError::NotMade)?;
        match group_status::next_move(&states, ids, percent, self.settings.batch.0) {
            NextMove::Nothing => Ok(()),
            NextMove::Weight(at, weight) => self.hosts.proceed(&at, &request.with_weight(weight)).await,
            NextMove::Start(at) => {
                let to = Version { id: rollout.version.clone(), label: rollout.label.clone() };
                let plan = TrafficPlan::in_place();
                let wanted = AttemptRequest {
                    request: self.attempt_request(*is_rollback),
                    ids: ids.clone(),
                    version: &to,
                    plan: &plan,
                    confirm_within: self.confirm_within(),
                };
                self.hosts.start(&at, &wanted).await.into_iter().collect()
            }
        }
    }

    /// An attempt that has not ended goes back by itself when it is asked to; after its end another attempt goes back.
    pub(super) async fn roll_back(
        &self,
        moved: Option<&RolloutIds>,
        to: &Version,
    ) -> Result<Rollout, ChangeError> {
        let unknown = || Problem::error(Code::Internal, "It is not known what to roll back.");
        let moved = moved.ok_or_else(|| WriteError::NotMade(unknown()))?;
        let states = self.attempt_states(moved).await.map_err(WriteError::NotMade)?;
        let ways: Vec<WayBack> = states.iter().map(|host| self.way_back(host, moved, to)).collect();
        let with =
            |wanted: WayBack| -> Vec<usize> { (0..ways.len()).filter(|at| ways[*at] == wanted).collect() };
        let request = self.request("abort").with_attempt(moved.attempt, &moved.owner);
        let back = moved.back();
        let plan = TrafficPlan::in_place();
        let wanted = AttemptRequest {
            request: self.attempt_request(true),
            ids: back.clone(),
            version: to,
            plan: &plan,
            confirm_within: None,
        };
        let (aborting, returning) = (with(WayBack::Abort), with(WayBack::Attempt));
        let (aborted, began) =
            tokio::join!(self.hosts.abort(&aborting, &request), self.hosts.start(&returning, &wanted));
        aborted?;
        began.into_iter().collect::<Result<(), _>>()?;
        let goes_back_itself = self.hosts.count() == 1 && returning.is_empty();
        Ok(if goes_back_itself { moved.rollout(to) } else { back.rollout(to) })
    }

    fn way_back(&self, host: &HostState, moved: &RolloutIds, to: &Version) -> WayBack {
        let number = to.id.parse().unwrap_or_default();
        group_status::way_back(host, moved, number, self.hosts.count() == 1)
    }

    /// Whether an attempt of this rollout is on each of these servers.
    pub(super) async fn has_started(&self, ids: &RolloutIds, at: &[usize]) -> Result<bool, Problem> {
        let states = self.attempt_states(ids).await?;
        let attempts = at.iter().filter_map(|at| states.get(*at)).map(|host| host.state.attempt.as_ref());
        let mut found = attempts.map(|attempt| attempt.filter(|attempt| attempt.number == ids.attempt));
        let foreign = found.clone().flatten().any(|attempt| attempt.owner != ids.owner);
        if foreign { Err(mutations::refusal_problem("taken", "")) } else { Ok(found.all(|it| it.is_some())) }
    }

    /// The rollout that goes back from `moved`, if every server goes back that has to.
    pub(super) async fn find_way_back(
        &self,
        moved: &RolloutIds,
        to: &Version,
    ) -> Result<Option<Rollout>, Problem> {
        let back = moved.back();
        let states = self.attempt_states(&back).await?;
        let newest = |host: &HostState| host.state.attempt.as_ref().map(|attempt| attempt.number);
        let goes_back = |host: &HostState| {
            newest(host) == Some(back.attempt) || self.way_back(host, moved, to) == WayBack::None
        };
        // An attempt that was asked to go back may have done so meanwhile.
        let itself = |host: &HostState| {
            let attempt = host.state.attempt.as_ref().filter(|attempt| attempt.number == moved.attempt);
            attempt.is_some_and(|attempt| matches!(attempt.word(), "rolling-back" | "rolled-back"))
        };
        let is_one = self.hosts.count() == 1 && states.iter().all(itself);
        if is_one {
            return Ok(Some(moved.rollout(to)));
        }
        Ok(states.iter().all(goes_back).then(|| back.rollout(to)))
    }
}
