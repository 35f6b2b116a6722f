//! What is known of a service's next reads: the resources that it named when it was observed, and answers that are kept for
//! their first use. Nothing is decided here.

use std::cell::RefCell;
use std::collections::HashMap;

use serde_json::Value;

use super::error::AwsError;
use super::observe::NamedResources;
use super::read::list_field;

/// The platforms of an image in ECR; `None` if it is not there.
pub type ImageAnswer = Result<Option<Vec<String>>, AwsError>;

/// The next reads of one service, and answers for them.
#[derive(Debug, Default)]
pub struct AskedAhead {
    named: RefCell<Option<NamedResources>>,
    revisions: RefCell<Option<ListedRevisions>>,
    /// Revisions with their tags, by ARN: all but their status and tags never changes.
    definitions: RefCell<HashMap<String, Value>>,
    image: RefCell<Option<FoundImage>>,
}

/// What ECR has of an image.
#[derive(Debug)]
struct FoundImage {
    reference: String,
    answer: ImageAnswer,
}

/// The response to the list of a family's newest revisions.
#[derive(Debug)]
struct ListedRevisions {
    family: String,
    answer: Value,
}

impl AskedAhead {
    /// What the service named when it was last observed.
    pub fn named(&self) -> Option<NamedResources> {
        self.named.borrow().clone()
    }

    /// Remembers what the service names now.
    pub fn set_named(&self, named: NamedResources) {
        self.named.replace(Some(named));
    }

    /// Keeps the newest revisions of a family, as they are now; without an answer none are known.
    pub fn keep_revisions(&self, family: &str, answer: Option<Value>) {
        let listed = answer.map(|answer| ListedRevisions { family: family.to_owned(), answer });
        self.revisions.replace(listed);
    }

    /// The newest revisions of a family that were kept, once.
    pub fn take_revisions(&self, family: &str) -> Option<Value> {
        self.revisions.take().filter(|listed| listed.family == family).map(|listed| listed.answer)
    }

    /// The family whose newest revisions are kept.
    pub fn listed_family(&self) -> Option<String> {
        self.revisions.borrow().as_ref().map(|listed| listed.family.clone())
    }

    /// The ARNs of the revisions that were listed and are not kept.
    pub fn unread_revisions(&self) -> Vec<String> {
        let (revisions, definitions) = (self.revisions.borrow(), self.definitions.borrow());
        let listed = revisions.iter().flat_map(|listed| list_field(&listed.answer, "taskDefinitionArns"));
        let arns = listed.filter_map(Value::as_str).filter(|arn| !definitions.contains_key(*arn));
        arns.map(str::to_owned).collect()
    }

    /// Keeps a revision.
    pub fn keep_definition(&self, arn: &str, definition: Value) {
        self.definitions.borrow_mut().insert(arn.to_owned(), definition);
    }

    /// A revision that was kept.
    pub fn definition(&self, arn: &str) -> Option<Value> {
        self.definitions.borrow().get(arn).cloned()
    }

    /// Keeps what ECR has of an image.
    pub fn keep_image(&self, reference: &str, answer: ImageAnswer) {
        self.image.replace(Some(FoundImage { reference: reference.to_owned(), answer }));
    }

    /// What ECR has of an image, if that was kept, once.
    pub fn take_image(&self, reference: &str) -> Option<ImageAnswer> {
        let mut image = self.image.borrow_mut();
        image.take_if(|found| found.reference == reference).map(|found| found.answer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn revisions_are_given_once_and_for_their_family_only() {
        let ahead = AskedAhead::default();
        let listed = json!({"taskDefinitionArns": ["web:2", "web:1"]});
        ahead.keep_revisions("web", Some(listed.clone()));
        ahead.keep_definition("web:1", json!({"family": "web"}));
        assert_eq!(ahead.unread_revisions(), ["web:2"]);
        assert_eq!(ahead.take_revisions("web"), Some(listed.clone()));
        assert_eq!((ahead.take_revisions("web"), ahead.unread_revisions().len()), (None, 0));
        ahead.keep_revisions("web", Some(listed.clone()));
        assert_eq!(ahead.take_revisions("api"), None);
        ahead.keep_revisions("web", Some(listed));
        ahead.keep_revisions("web", None);
        assert_eq!(ahead.take_revisions("web"), None);
    }

    #[test]
    fn image_is_given_once_and_for_its_reference_only() {
        let ahead = AskedAhead::default();
        ahead.keep_image("r/web@sha256:1", Ok(None));
        assert!(ahead.take_image("r/web@sha256:2").is_none());
        assert!(matches!(ahead.take_image("r/web@sha256:1"), Some(Ok(None))));
        assert!(ahead.take_image("r/web@sha256:1").is_none());
    }
}
