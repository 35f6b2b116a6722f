//! A listener rule that splits its traffic between two target groups: what prevents shifting by it, the weight of each
//! group, and the action list with other weights. Pure.

use aws_sdk_elasticloadbalancingv2::types::{Action, ActionTypeEnum, Rule, TargetGroupTuple};

/// The load balancer's default weight of a target group.
const DEFAULT_WEIGHT: i32 = 1;

/// One of the two services of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairMember {
    /// The service of `ecs.service`.
    First,
    /// The service of `ecs.pair.service`.
    Second,
}

impl PairMember {
    /// Both, in order.
    pub const BOTH: [Self; 2] = [Self::First, Self::Second];

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// Its element of an array of two.
    pub fn select<T>(self, two: &[T; 2]) -> &T {
        let [first, second] = two;
        match self {
            Self::First => first,
            Self::Second => second,
        }
    }
}

/// The weights of two target groups in a rule, in the order of [`PairMember::BOTH`]; 0 for a group it does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleWeights(pub [i32; 2]);

impl RuleWeights {
    /// `percent` for one member and the rest for the other, so that the sum is 100 and both are never 0.
    pub fn with_weight(side: PairMember, percent: u8) -> Self {
        let (given, rest) = (i32::from(percent.min(100)), 100 - i32::from(percent.min(100)));
        match side {
            PairMember::First => Self([given, rest]),
            PairMember::Second => Self([rest, given]),
        }
    }

    /// The weight of a member in whole percent, never rounded to 0 or 100; `None` if neither member has traffic.
    pub fn percent(self, side: PairMember) -> Option<u8> {
        let (mine, theirs) = (*side.select(&self.0), *side.other().select(&self.0));
        let rounded = |sum: i32| u8::try_from((mine * 100 + sum / 2) / sum).unwrap_or(100);
        match (mine > 0, theirs > 0) {
            (false, false) => None,
            (false, true) => Some(0),
            (true, false) => Some(100),
            (true, true) => Some(rounded(mine + theirs).clamp(1, 99)),
        }
    }

    /// The member with all traffic.
    pub fn all_traffic_to(self) -> Option<PairMember> {
        PairMember::BOTH.into_iter().find(|side| self.percent(*side) == Some(100))
    }
}

fn is_forward(action: &Action) -> bool {
    action.r#type() == Some(&ActionTypeEnum::Forward)
}

fn forward_action(rule: &Rule) -> Option<&Action> {
    rule.actions().iter().find(|action| is_forward(action))
}

/// The target groups that a rule forwards to, each with its weight.
fn group_weights(rule: &Rule) -> Vec<(&str, i32)> {
    let Some(action) = forward_action(rule) else { return Vec::new() };
    let listed = action.forward_config().map(|config| config.target_groups()).unwrap_or_default();
    let read = |group: &TargetGroupTuple| group.weight().unwrap_or(DEFAULT_WEIGHT);
    let listed: Vec<_> =
        listed.iter().map(|group| (group.target_group_arn().unwrap_or_default(), read(group))).collect();
    let alone = || action.target_group_arn().map(|arn| (arn, DEFAULT_WEIGHT)).into_iter().collect();
    if listed.is_empty() { alone() } else { listed }
}

/// The weights of two target groups in a rule.
pub fn rule_weights(rule: &Rule, groups: &[String; 2]) -> RuleWeights {
    let all = group_weights(rule);
    RuleWeights(groups.each_ref().map(|arn| {
        let mine = all.iter().filter(|(known, _)| known == arn);
        mine.map(|(_, weight)| (*weight).max(0)).sum()
    }))
}

/// Why this rule cannot shift traffic between the target groups, and what to do; `None` if it can.
pub fn missing_requirements(rule: &Rule, groups: &[String; 2]) -> Option<String> {
    if rule.is_default() == Some(true) {
        return Some(
            "The rule is the default rule of its listener, which ModifyRule cannot change. Create a rule with a \
             condition of its own, such as the path pattern `/*`, that forwards to both target groups."
                .into(),
        );
    }
    if let Some(action) = rule.actions().iter().find(|action| is_unknown_action(action)) {
        let kind = action.r#type().map_or("none", ActionTypeEnum::as_str);
        return Some(format!(
            "The rule has an action of the type `{kind}`, which this version cannot preserve."
        ));
    }
    let all = group_weights(rule);
    let missing: Vec<&str> =
        groups.iter().map(String::as_str).filter(|arn| !all.iter().any(|(known, _)| known == arn)).collect();
    if !missing.is_empty() {
        return Some(format!(
            "The rule does not forward to {}. Forward to the target groups of both services, with the weights \
             100 and 0.",
            missing.join(" and ")
        ));
    }
    if let Some((other, _)) = all.iter().find(|(known, _)| !groups.iter().any(|arn| arn == known)) {
        return Some(format!(
            "The rule forwards to {other} too, which belongs to neither service. Remove it from the rule."
        ));
    }
    is_sticky(rule).then(|| {
        "The rule has target group stickiness, so clients with a cookie ignore the weights: \
         switch it off (`TargetGroupStickinessConfig`: `Enabled` false)."
            .into()
    })
}

fn is_unknown_action(action: &Action) -> bool {
    let known = ActionTypeEnum::values();
    action.r#type().is_none_or(|kind| !known.contains(&kind.as_str()))
}

fn is_sticky(rule: &Rule) -> bool {
    let config = forward_action(rule).and_then(|action| action.forward_config());
    config.and_then(|config| config.target_group_stickiness_config()).and_then(|config| config.enabled())
        == Some(true)
}

/// The complete action list with other weights for the two target groups and nothing else changed.
///
/// The load balancer never returns a client secret, so an `authenticate-oidc` action comes without one: the request
/// keeps the existing secret.
pub fn with_weights(rule: &Rule, groups: &[String; 2], weights: RuleWeights) -> Vec<Action> {
    let new = |arn: &str| PairMember::BOTH.into_iter().find(|side| side.select(groups) == arn);
    let mut actions = rule.actions().to_vec();
    for action in &mut actions {
        if let Some(config) = action.authenticate_oidc_config.as_mut()
            && config.client_secret.is_none()
        {
            config.use_existing_client_secret = Some(true);
        }
        let config = action.forward_config.as_mut();
        for group in config.and_then(|config| config.target_groups.as_mut()).into_iter().flatten() {
            let side = group.target_group_arn.as_deref().and_then(new);
            group.weight = side.map_or(group.weight, |side| Some(*side.select(&weights.0)));
        }
    }
    actions
}

/// The load balancer of a rule as metrics name it: `arn:…:listener-rule/app/web/50dc/f2f7/9683` is
/// `app/web/50dc`.
pub fn load_balancer_label(rule: &str) -> Option<String> {
    let (_, path) = rule.split_once(":listener-rule/")?;
    let parts: Vec<&str> = path.split('/').take(3).collect();
    (parts.len() == 3).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use aws_sdk_elasticloadbalancingv2::types::{
        AuthenticateOidcActionConfig, ForwardActionConfig, TargetGroupStickinessConfig,
    };
    use proptest::prelude::*;

    use super::*;
    use crate::targets::ecs::rollout::ecs_strategy::target_group_label;

    fn groups() -> [String; 2] {
        ["arn:blue".into(), "arn:green".into()]
    }

    fn tuple(arn: &str, weight: Option<i32>) -> TargetGroupTuple {
        TargetGroupTuple::builder().target_group_arn(arn).set_weight(weight).build()
    }

    fn forward_to(groups: &[(&str, Option<i32>)], sticky: Option<i32>) -> Action {
        let stickiness = TargetGroupStickinessConfig::builder().enabled(sticky.is_some());
        let config = ForwardActionConfig::builder()
            .set_target_groups(Some(groups.iter().map(|(arn, weight)| tuple(arn, *weight)).collect()))
            .target_group_stickiness_config(stickiness.set_duration_seconds(sticky).build());
        Action::builder().r#type(ActionTypeEnum::Forward).forward_config(config.build()).order(2).build()
    }

    fn oidc(secret: Option<&str>) -> Action {
        let config = AuthenticateOidcActionConfig::builder()
            .issuer("https://id.acme.dev")
            .authorization_endpoint("https://id.acme.dev/a")
            .token_endpoint("https://id.acme.dev/t")
            .user_info_endpoint("https://id.acme.dev/u")
            .client_id("web")
            .scope("openid email")
            .session_timeout(3600)
            .set_client_secret(secret.map(Into::into));
        Action::builder()
            .r#type(ActionTypeEnum::AuthenticateOidc)
            .authenticate_oidc_config(config.build())
            .order(1)
            .build()
    }

    fn rule(actions: Vec<Action>) -> Rule {
        Rule::builder().rule_arn("arn:rule").is_default(false).set_actions(Some(actions)).build()
    }

    fn pair(blue: i32, green: i32) -> Rule {
        rule(vec![forward_to(&[("arn:blue", Some(blue)), ("arn:green", Some(green))], None)])
    }

    #[test]
    fn weights_are_whole_percent_and_never_rounded_away() {
        let share = |blue, green| {
            let weights = rule_weights(&pair(blue, green), &groups());
            (
                weights.percent(PairMember::First),
                weights.percent(PairMember::Second),
                weights.all_traffic_to(),
            )
        };
        assert_eq!(share(100, 0), (Some(100), Some(0), Some(PairMember::First)));
        assert_eq!(share(0, 1), (Some(0), Some(100), Some(PairMember::Second)));
        assert_eq!(share(90, 10), (Some(90), Some(10), None));
        assert_eq!(share(999, 1), (Some(99), Some(1), None));
        assert_eq!(share(1, 3), (Some(25), Some(75), None));
        assert_eq!(share(0, 0), (None, None, None));
    }

    #[test]
    fn missing_requirements_are_named() {
        let missing = |rule: &Rule| missing_requirements(rule, &groups()).unwrap_or_default();
        assert_eq!(missing(&pair(100, 0)), "");
        let default = Rule::builder().is_default(true).build();
        assert!(missing(&default).contains("default rule"));
        let one = rule(vec![
            Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn("arn:blue").build(),
        ]);
        assert!(missing(&one).contains("does not forward to arn:green."));
        assert_eq!(rule_weights(&one, &groups()).all_traffic_to(), Some(PairMember::First));
        let none = rule(vec![Action::builder().r#type(ActionTypeEnum::FixedResponse).build()]);
        assert!(missing(&none).contains("arn:blue and arn:green"));
        let third = forward_to(&[("arn:blue", Some(1)), ("arn:green", Some(0)), ("arn:red", Some(0))], None);
        assert!(missing(&rule(vec![third])).contains("arn:red"));
        let sticky = forward_to(&[("arn:blue", Some(1)), ("arn:green", Some(0))], Some(60));
        assert!(missing(&rule(vec![sticky.clone()])).contains("stickiness"));
        let strange = Action::builder().r#type(ActionTypeEnum::from("teleport")).build();
        assert!(missing(&rule(vec![strange, sticky])).contains("`teleport`"));
    }

    #[test]
    fn undisclosed_client_secret_is_kept() {
        let action = |secret| {
            let rule =
                rule(vec![oidc(secret), forward_to(&[("arn:blue", Some(1)), ("arn:green", None)], None)]);
            let actions = with_weights(&rule, &groups(), RuleWeights::with_weight(PairMember::Second, 10));
            let config = actions[0].authenticate_oidc_config().unwrap();
            (config.client_secret().map(ToOwned::to_owned), config.use_existing_client_secret())
        };
        assert_eq!(action(None), (None, Some(true)));
        assert_eq!(action(Some("s")), (Some("s".into()), None));
    }

    #[test]
    fn labels_are_those_of_the_metrics() {
        let arn = "arn:aws:elasticloadbalancing:eu-west-1:1:listener-rule/app/web/50dc/f2f7/9683";
        assert_eq!(load_balancer_label(arn).as_deref(), Some("app/web/50dc"));
        assert_eq!(load_balancer_label("arn:aws:elasticloadbalancing:eu-west-1:1:listener/app"), None);
        assert_eq!(
            target_group_label("arn:aws:elasticloadbalancing:r:1:targetgroup/blue/1"),
            "targetgroup/blue/1"
        );
    }

    prop_compose! {
        fn any_rule()(
            blue in 0..=999, green in 0..=999, other in proptest::option::of(0..=999), order in 1..50_000,
            sticky in proptest::option::of(1..=604_800), oidc_first in any::<bool>(), swapped in any::<bool>(),
        ) -> Rule {
            let mut groups = vec![("arn:blue", Some(blue)), ("arn:green", Some(green))];
            groups.extend(other.map(|weight| ("arn:red", Some(weight))));
            if swapped { groups.reverse(); }
            let mut forward = forward_to(&groups, sticky);
            forward.order = Some(order);
            let mut actions = vec![forward];
            if oidc_first { actions.insert(0, oidc(Some("secret"))); }
            rule(actions)
        }
    }

    proptest! {
        #[test]
        fn only_the_two_weights_change(before in any_rule(), percent in 0u8..=100) {
            let wanted = RuleWeights::with_weight(PairMember::Second, percent);
            let after = rule(with_weights(&before, &groups(), wanted));
            prop_assert_eq!(rule_weights(&after, &groups()), wanted);
            prop_assert_eq!(wanted.0[0] + wanted.0[1], 100);
            let back = rule(with_weights(&after, &groups(), rule_weights(&before, &groups())));
            prop_assert_eq!(back, before);
        }
    }
}
