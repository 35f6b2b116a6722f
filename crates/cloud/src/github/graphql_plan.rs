//! What a GraphQL document says before it runs: its fragments, its variables and their values, and the errors of documents.

use std::collections::{BTreeMap, BTreeSet};

use graphql_parser::Pos;
use graphql_parser::query::{
    self, Definition, Directive, Document, FragmentDefinition, OperationDefinition, Selection, SelectionSet,
    Type, VariableDefinition,
};
use serde_json::{Map, Value, json};

/// Fragments within fragments deeper than this are refused.
const MAX_FRAGMENT_DEPTH: usize = 32;

/// A document's fragments, and the variables with their values.
pub(super) struct ExecutionPlan<'a> {
    fragments: BTreeMap<&'a str, &'a FragmentDefinition<'static, String>>,
    variables: Map<String, Value>,
}

impl<'a> ExecutionPlan<'a> {
    /// The plan of an operation, with the values given for its variables; else the error of the document.
    pub(super) fn new(
        document: &'a Document<'static, String>,
        operation: &'a OperationDefinition<'static, String>,
        given: &Value,
    ) -> Result<Self, Value> {
        let fragments = document.definitions.iter().filter_map(|definition| match definition {
            Definition::Fragment(fragment) => Some((fragment.name.as_str(), fragment)),
            Definition::Operation(_) => None,
        });
        let (declared, set): (&[VariableDefinition<'static, String>], _) = match operation {
            OperationDefinition::Query(query) => (&query.variable_definitions, &query.selection_set),
            OperationDefinition::Mutation(mutation) => {
                (&mutation.variable_definitions, &mutation.selection_set)
            }
            OperationDefinition::SelectionSet(set) => (&[], set),
            OperationDefinition::Subscription(other) => (&other.variable_definitions, &other.selection_set),
        };
        let mut plan = Self { fragments: fragments.collect(), variables: Map::new() };
        plan.check_variables(declared, set)?;
        for variable in declared {
            let value = given.get(&variable.name).cloned();
            let value =
                value.or_else(|| variable.default_value.as_ref().map(|value| plan.resolve_value(value)));
            if matches!(variable.var_type, Type::NonNullType(_)) && value.as_ref().is_none_or(Value::is_null)
            {
                return Err(missing_variable_error(variable));
            }
            if let Some(value) = value {
                plan.variables.insert(variable.name.clone(), value);
            }
        }
        Ok(plan)
    }

    /// Every variable that is used is declared, and every declared one is used.
    fn check_variables(
        &self,
        declared: &[VariableDefinition<'static, String>],
        set: &SelectionSet<'static, String>,
    ) -> Result<(), Value> {
        let mut used = BTreeSet::new();
        self.collect_used_variables(set, &mut used, 0);
        let known: BTreeSet<&String> = declared.iter().map(|variable| &variable.name).collect();
        if let Some(name) = used.iter().find(|name| !known.contains(name)) {
            let message = format!("Variable ${name} is used by the operation but not declared");
            return Err(error_with_code(message, "variableNotDefined", [("variableName", json!(name))]));
        }
        match known.into_iter().find(|name| !used.contains(*name)) {
            Some(name) => {
                let message = format!("Variable ${name} is declared by the operation but not used");
                Err(error_with_code(message, "variableNotUsed", [("variableName", json!(name))]))
            }
            None => Ok(()),
        }
    }

    fn collect_used_variables(
        &self,
        set: &SelectionSet<'static, String>,
        used: &mut BTreeSet<String>,
        depth: usize,
    ) {
        let below = |directives: &[Directive<'static, String>], used: &mut BTreeSet<String>| {
            directives
                .iter()
                .flat_map(|directive| &directive.arguments)
                .for_each(|(_, value)| collect_variables(value, used));
        };
        for item in &set.items {
            match item {
                Selection::Field(field) => {
                    field.arguments.iter().for_each(|(_, value)| collect_variables(value, used));
                    below(&field.directives, used);
                    self.collect_used_variables(&field.selection_set, used, depth);
                }
                Selection::InlineFragment(inline) => {
                    below(&inline.directives, used);
                    self.collect_used_variables(&inline.selection_set, used, depth);
                }
                Selection::FragmentSpread(spread) => {
                    below(&spread.directives, used);
                    if let Some(fragment) = self.fragment(&spread.fragment_name, depth) {
                        self.collect_used_variables(&fragment.selection_set, used, depth + 1);
                    }
                }
            }
        }
    }

    /// Arguments of a field with their values.
    pub(super) fn resolve_arguments(
        &self,
        written: &[(String, query::Value<'static, String>)],
    ) -> Map<String, Value> {
        written.iter().map(|(name, value)| (name.clone(), self.resolve_value(value))).collect()
    }

    /// The fragment with this name, unless fragments are nested too deeply.
    pub(super) fn fragment(
        &self,
        name: &str,
        depth: usize,
    ) -> Option<&'a FragmentDefinition<'static, String>> {
        self.fragments.get(name).filter(|_| depth < MAX_FRAGMENT_DEPTH).copied()
    }

    fn resolve_value(&self, written: &query::Value<'static, String>) -> Value {
        match written {
            query::Value::Variable(name) => self.variables.get(name).cloned().unwrap_or_default(),
            query::Value::Int(number) => number.as_i64().into(),
            query::Value::Float(number) => (*number).into(),
            query::Value::String(text) | query::Value::Enum(text) => text.clone().into(),
            query::Value::Boolean(yes) => (*yes).into(),
            query::Value::Null => Value::Null,
            query::Value::List(items) => items.iter().map(|item| self.resolve_value(item)).collect(),
            query::Value::Object(members) => {
                members.iter().map(|(name, value)| (name.clone(), self.resolve_value(value))).collect()
            }
        }
    }

    /// Whether `@skip` and `@include` leave a selection in.
    pub(super) fn is_included(&self, directives: &[Directive<'static, String>]) -> bool {
        directives.iter().all(|directive| {
            let condition =
                self.resolve_arguments(&directive.arguments).remove("if").unwrap_or_default() == true;
            match directive.name.as_str() {
                "skip" => !condition,
                "include" => condition,
                _ => true,
            }
        })
    }
}

fn collect_variables(value: &query::Value<'static, String>, used: &mut BTreeSet<String>) {
    match value {
        query::Value::Variable(name) => drop(used.insert(name.clone())),
        query::Value::List(items) => items.iter().for_each(|item| collect_variables(item, used)),
        query::Value::Object(members) => members.values().for_each(|value| collect_variables(value, used)),
        _ => {}
    }
}

fn missing_variable_error(variable: &VariableDefinition<'static, String>) -> Value {
    let message =
        format!("Variable ${} of type {} was provided invalid value", variable.name, variable.var_type);
    json!({
        "message": message, "locations": [location_json(variable.position)],
        "extensions": { "value": null, "problems": [{ "path": [], "explanation": "Expected value to not be null" }] },
    })
}

/// An error of a document, with GitHub's code for it and more members of `extensions`.
pub(super) fn error_with_code<'k>(
    message: String,
    code: &str,
    more: impl IntoIterator<Item = (&'k str, Value)>,
) -> Value {
    let mut error = json!({ "message": message, "extensions": { "code": code } });
    for (name, value) in more {
        error["extensions"][name] = value;
    }
    error
}

/// A position as errors show it.
pub(super) fn location_json(position: Pos) -> Value {
    json!({ "line": position.line, "column": position.column })
}
