//! Leases as refs of the run's own repository: effects. A ref is made only where there is none, moved only forward from
//! the commit of an owner that is gone, and removed only while it is ours: of two who try the same, one succeeds.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::deployments::BRIEFLY;
use super::door::{Ask, Endurance};
use super::hub::text;
use super::lease::{Holder, Owner};
use super::names;
use super::project::Project;
use super::setback::Setback;

/// Making an object may be repeated: nobody sees it before a ref points to it.
const MAKING: Endurance = Endurance {
    whole: Duration::from_secs(20),
    pauses: &[Duration::from_millis(400), Duration::from_millis(1500), Duration::from_secs(4)],
};

impl Project {
    /// The tree of a commit: what a lease's own commit needs to have.
    pub async fn tree_of(&self, commit: &str) -> Result<String, Setback> {
        let commit = names::commit(commit).map_err(Setback::Refused)?;
        let answer = self.door.read(&Ask::get(self.route(&format!("/git/commits/{commit}"))), MAKING).await?;
        text(&answer["tree"], "sha")
    }

    /// Makes the commit that says whose a lease is; `after` is the commit of the owner that it is taken from.
    pub async fn lease_commit(
        &self,
        owner: &Owner,
        tree: &str,
        after: Option<&str>,
    ) -> Result<String, Setback> {
        let parents: Vec<&str> = after.into_iter().collect();
        let body = json!({ "message": owner.message(), "tree": tree, "parents": parents });
        let answer =
            self.door.read(&Ask::send(Method::POST, self.route("/git/commits"), body), MAKING).await?;
        text(&answer, "sha")
    }

    /// Takes a lease that nobody holds. `false` where somebody holds it.
    pub async fn take(&self, reference: &str, commit: &str) -> Result<bool, Setback> {
        let body = json!({ "ref": reference, "sha": commit });
        let answer = self.briefly(&Ask::send(Method::POST, self.route("/git/refs"), body)).await;
        match answer {
            Err(Setback::Refused(why)) if why.contains("already exists") => Ok(false),
            answer => self.settled(reference, commit, answer).await,
        }
    }

    /// Takes over the lease of an owner that is gone: `commit` has the owner's commit as its parent. `false` where
    /// somebody else was quicker.
    pub async fn take_over(&self, reference: &str, commit: &str) -> Result<bool, Setback> {
        let ask =
            Ask::send(Method::PATCH, self.route_of(reference), json!({ "sha": commit, "force": false }));
        match self.briefly(&ask).await {
            Err(Setback::Moved | Setback::Missing(_)) => Ok(false),
            answer => self.settled(reference, commit, answer).await,
        }
    }

    /// Whether a lease was taken, although the answer was perhaps lost.
    async fn settled(
        &self,
        reference: &str,
        commit: &str,
        answer: Result<Value, Setback>,
    ) -> Result<bool, Setback> {
        match answer {
            Ok(_) => Ok(true),
            Err(Setback::Uncertain(_)) => Ok(self.points_to(reference).await?.as_deref() == Some(commit)),
            Err(setback) => Err(setback),
        }
    }

    async fn points_to(&self, reference: &str) -> Result<Option<String>, Setback> {
        match self.door.read(&Ask::get(self.route_to_read(reference)), BRIEFLY).await {
            Ok(answer) => text(&answer["object"], "sha").map(Some),
            Err(Setback::Missing(_)) => Ok(None),
            Err(setback) => Err(setback),
        }
    }

    /// Who holds a lease; `None` where nobody does.
    pub async fn holder(&self, reference: &str) -> Result<Option<Holder>, Setback> {
        let Some(commit) = self.points_to(reference).await? else { return Ok(None) };
        let route = self.route(&format!("/git/commits/{}", names::encoded(&commit)));
        let answer = self.door.read(&Ask::get(route), BRIEFLY).await?;
        let owner = answer["message"].as_str().and_then(Owner::read);
        Ok(Some(Holder { commit, owner }))
    }

    /// Gives a lease back. What is not ours any more stays.
    pub async fn give_back(&self, reference: &str, commit: &str) -> Result<(), Setback> {
        if self.points_to(reference).await?.as_deref() != Some(commit) {
            return Ok(());
        }
        match self.briefly(&Ask::bare(Method::DELETE, self.route_of(reference))).await {
            Ok(_) | Err(Setback::Missing(_)) => Ok(()),
            Err(Setback::Uncertain(why)) => match self.points_to(reference).await?.as_deref() == Some(commit)
            {
                true => Err(Setback::Uncertain(why)),
                false => Ok(()),
            },
            Err(setback) => Err(setback),
        }
    }

    /// Whether `owner` is at work; `None` where it cannot be told. `own` is the run that asks: where GitHub does not
    /// know that one either, the token may not look at runs.
    pub async fn is_at_work(&self, owner: &Owner, own: u64) -> Result<Option<bool>, Setback> {
        match self.run(owner.run).await {
            Ok(run) => {
                let ended = run["status"].as_str() == Some("completed");
                let later = run["run_attempt"].as_u64().is_some_and(|attempt| attempt > owner.attempt);
                Ok(Some(!ended && !later))
            }
            Err(Setback::Missing(_)) => Ok(self.run(own).await.is_ok().then_some(false)),
            Err(Setback::Forbidden(_)) => Ok(None),
            Err(setback) => Err(setback),
        }
    }

    async fn run(&self, run: u64) -> Result<Value, Setback> {
        self.door.read(&Ask::get(self.route(&format!("/actions/runs/{run}"))), BRIEFLY).await
    }

    /// Refs are changed below `git/refs` and read below `git/ref`.
    fn route_of(&self, reference: &str) -> String {
        self.route(&format!("/git/{}", names::encoded(reference)))
    }

    fn route_to_read(&self, reference: &str) -> String {
        let name = reference.strip_prefix("refs/").unwrap_or(reference);
        self.route(&format!("/git/ref/{}", names::encoded(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::scripted::{Reply, Script, rest};
    use super::*;

    const LEASE: &str = "refs/roadstead/lease/production/a=2fb";

    fn points_to(commit: &str) -> Reply {
        rest(200, json!({"ref": LEASE, "object": {"type": "commit", "sha": commit}}))
    }

    fn message(status: u16, text: &str) -> Reply {
        rest(status, json!({ "message": text }))
    }

    fn owner(run: u64, attempt: u64) -> Owner {
        let text = || "x".to_owned();
        Owner { run, attempt, runner: text(), url: text(), since: text(), nonce: text() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_taken_where_there_is_none_and_a_lost_answer_is_looked_for() {
        let exists = || message(422, "Reference already exists");
        for (replies, taken) in [
            (vec![rest(201, json!({}))], Ok(true)),
            (vec![exists()], Ok(false)),
            (vec![Reply::Lost, points_to("c1")], Ok(true)),
            (vec![Reply::Silence, points_to("c2")], Ok(false)),
            (vec![message(502, ""), message(404, "Not Found")], Ok(false)),
            (vec![message(403, "Resource not accessible by integration")], Err(())),
        ] {
            let (project, script) = Script::project(replies);
            assert_eq!(project.take(LEASE, "c1").await.map_err(drop), taken);
            let asked = script.asked();
            assert_eq!(asked[0].body, json!({"ref": LEASE, "sha": "c1"}));
            assert_eq!(asked.iter().filter(|one| one.call.starts_with("POST")).count(), 1);
            script.calls();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_who_take_over_one_is_told_that_it_came_too_late() {
        for (reply, taken) in [
            (rest(200, json!({})), Ok(true)),
            (message(422, "Update is not a fast forward"), Ok(false)),
            (message(422, "Reference does not exist"), Ok(false)),
            (message(403, "Resource not accessible by integration"), Err(())),
        ] {
            let (project, script) = Script::project(vec![reply]);
            assert_eq!(project.take_over(LEASE, "c1").await.map_err(drop), taken);
            assert_eq!(script.asked()[0].body, json!({"sha": "c1", "force": false}));
            assert_eq!(
                script.calls(),
                ["PATCH /repos/acme/shop/git/refs/roadstead/lease/production/a%3D2fb"]
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_is_ours_is_given_back() {
        let route = "/repos/acme/shop/git/ref/roadstead/lease/production/a%3D2fb";
        let gone = || rest(204, Value::Null);
        for (replies, removed) in [
            (vec![points_to("c1"), gone()], true),
            (vec![points_to("c2")], false),
            (vec![message(404, "Not Found")], false),
            (vec![points_to("c1"), message(422, "Reference does not exist")], true),
            (vec![points_to("c1"), Reply::Lost, message(404, "Not Found")], true),
        ] {
            let (project, script) = Script::project(replies);
            assert_eq!(project.give_back(LEASE, "c1").await, Ok(()));
            let calls = script.calls();
            assert_eq!(calls[0], format!("GET {route}"));
            assert_eq!(calls.iter().any(|call| call.starts_with("DELETE")), removed, "{calls:?}");
        }
        let (project, _) = Script::project(vec![points_to("c1"), Reply::Lost, points_to("c1")]);
        assert!(matches!(project.give_back(LEASE, "c1").await, Err(Setback::Uncertain(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_is_gone_where_github_says_so_and_nothing_else() {
        let run = |status: &str, attempt: u64| rest(200, json!({"status": status, "run_attempt": attempt}));
        let unknown = || message(404, "Not Found");
        for (replies, at_work) in [
            (vec![run("in_progress", 1)], Some(true)),
            (vec![run("queued", 1)], Some(true)),
            (vec![run("completed", 1)], Some(false)),
            (vec![run("in_progress", 2)], Some(false)),
            (vec![unknown(), run("in_progress", 1)], Some(false)),
            (vec![unknown(), unknown()], None),
            (vec![message(403, "Resource not accessible by integration")], None),
        ] {
            let (project, script) = Script::project(replies);
            assert_eq!(project.is_at_work(&owner(5, 1), 7).await, Ok(at_work));
            script.calls();
        }
    }
}
