//! Running a GraphQL document: the chosen operation, variables, fragments, aliases, and errors in GitHub's shapes.
//! What types and fields there are is `fields.rs`.

use std::collections::{BTreeMap, BTreeSet};

use graphql_parser::Pos;
use graphql_parser::query::{
    Definition, Directive, Document, Field, FragmentDefinition, OperationDefinition, Selection, SelectionSet,
    Type, TypeCondition, Value as Written, VariableDefinition, parse_query,
};
use serde_json::{Map, Value, json};

use super::answers::{reply, with};
use super::nodes::{Node, Out, Problem};
use super::{fields, mutations};
use crate::rehearsal::call::{Answer, Call, Refusal};
use crate::rehearsal::dispatch;
use crate::rehearsal::world::World;

/// Fragments within fragments deeper than this are refused.
const DEEPEST: usize = 32;

/// Answers a document.
pub fn answer(world: &mut World, call: &Call, now: f64) -> Answer {
    let text = call.input["query"].as_str().unwrap_or_default();
    let document = match parse_query::<String>(text) {
        Ok(document) => document.into_static(),
        Err(error) => return Ok(refused(json!({ "message": format!("Parse error: {error}") }))),
    };
    let Some(operation) = chosen(&document, call.input["operationName"].as_str()) else {
        return Ok(refused(json!({ "message": "No operation with the name that was asked for" })));
    };
    let plan = match Plan::new(&document, operation, &call.input["variables"]) {
        Ok(plan) => plan,
        Err(error) => return Ok(refused(error)),
    };
    match operation {
        OperationDefinition::Mutation(mutation) => mutate(world, call, now, &plan, &mutation.selection_set),
        OperationDefinition::Query(query) => Ok(run(world, call, now, &plan, &query.selection_set)),
        OperationDefinition::SelectionSet(set) => Ok(run(world, call, now, &plan, set)),
        OperationDefinition::Subscription(_) => Err(dispatch::not_modelled(call)),
    }
}

/// Errors without data: the document was not run.
fn refused(error: Value) -> Value {
    reply(200, json!({ "errors": [error] }))
}

fn run(world: &World, call: &Call, now: f64, plan: &Plan<'_>, set: &SelectionSet<'static, String>) -> Value {
    let mut walk = Walk { world, call, now, plan, errors: Vec::new(), path: Vec::new() };
    match walk.select(&Node::Query, set, 0) {
        Err(error) => refused(error),
        Ok(data) if walk.errors.is_empty() => reply(200, json!({ "data": data })),
        Ok(data) => reply(200, json!({ "data": data, "errors": walk.errors })),
    }
}

fn mutate(
    world: &mut World,
    call: &Call,
    now: f64,
    plan: &Plan<'_>,
    set: &SelectionSet<'static, String>,
) -> Answer {
    let [Selection::Field(field)] = set.items.as_slice() else { return Err(dispatch::not_modelled(call)) };
    let name = field.alias.as_ref().unwrap_or(&field.name);
    let input = plan.arguments(&field.arguments).remove("input").unwrap_or_default();
    let located = |refusal: Refusal| {
        with(refusal, [("path", json!([name])), ("locations", json!([place(field.position)]))])
    };
    // GitHub checks the whole document before it does anything: what cannot be answered is done to a copy only.
    let mut after = world.clone();
    let payload = match mutations::perform(&mut after, call, &field.name, &input, now) {
        Ok(payload) => payload,
        Err(refusal) => {
            *world = after;
            return Err(located(refusal));
        }
    };
    let mut walk = Walk { world: &after, call, now, plan, errors: Vec::new(), path: vec![json!(name)] };
    let data = match walk.select(&payload, &field.selection_set, 0) {
        Err(error) => return Ok(refused(error)),
        Ok(data) => data,
    };
    *world = after;
    Ok(reply(200, json!({ "data": { name: data } })))
}

fn chosen<'a>(
    document: &'a Document<'static, String>,
    named: Option<&str>,
) -> Option<&'a OperationDefinition<'static, String>> {
    let mut operations = document.definitions.iter().filter_map(|definition| match definition {
        Definition::Operation(operation) => Some(operation),
        Definition::Fragment(_) => None,
    });
    let name = |operation: &OperationDefinition<'static, String>| match operation {
        OperationDefinition::Query(query) => query.name.clone(),
        OperationDefinition::Mutation(mutation) => mutation.name.clone(),
        _ => None,
    };
    operations.find(|operation| named.is_none() || name(operation).as_deref() == named)
}

fn place(position: Pos) -> Value {
    json!({ "line": position.line, "column": position.column })
}

/// A document's fragments, and the variables with their values.
struct Plan<'a> {
    fragments: BTreeMap<&'a str, &'a FragmentDefinition<'static, String>>,
    variables: Map<String, Value>,
}

impl<'a> Plan<'a> {
    fn new(
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
        plan.check(declared, set)?;
        for variable in declared {
            let value = given.get(&variable.name).cloned();
            let value = value.or_else(|| variable.default_value.as_ref().map(|value| plan.value(value)));
            if matches!(variable.var_type, Type::NonNullType(_)) && value.as_ref().is_none_or(Value::is_null)
            {
                return Err(missing(variable));
            }
            if let Some(value) = value {
                plan.variables.insert(variable.name.clone(), value);
            }
        }
        Ok(plan)
    }

    /// Every variable that is used is declared, and every declared one is used.
    fn check(
        &self,
        declared: &[VariableDefinition<'static, String>],
        set: &SelectionSet<'static, String>,
    ) -> Result<(), Value> {
        let mut used = BTreeSet::new();
        self.uses(set, &mut used, 0);
        let known: BTreeSet<&String> = declared.iter().map(|variable| &variable.name).collect();
        if let Some(name) = used.iter().find(|name| !known.contains(name)) {
            let message = format!("Variable ${name} is used by the operation but not declared");
            return Err(coded(message, "variableNotDefined", [("variableName", json!(name))]));
        }
        match known.into_iter().find(|name| !used.contains(*name)) {
            Some(name) => {
                let message = format!("Variable ${name} is declared by the operation but not used");
                Err(coded(message, "variableNotUsed", [("variableName", json!(name))]))
            }
            None => Ok(()),
        }
    }

    fn uses(&self, set: &SelectionSet<'static, String>, used: &mut BTreeSet<String>, depth: usize) {
        let below = |directives: &[Directive<'static, String>], used: &mut BTreeSet<String>| {
            directives
                .iter()
                .flat_map(|directive| &directive.arguments)
                .for_each(|(_, value)| variables(value, used));
        };
        for item in &set.items {
            match item {
                Selection::Field(field) => {
                    field.arguments.iter().for_each(|(_, value)| variables(value, used));
                    below(&field.directives, used);
                    self.uses(&field.selection_set, used, depth);
                }
                Selection::InlineFragment(inline) => {
                    below(&inline.directives, used);
                    self.uses(&inline.selection_set, used, depth);
                }
                Selection::FragmentSpread(spread) => {
                    below(&spread.directives, used);
                    let fragment = self.fragments.get(spread.fragment_name.as_str());
                    if let Some(fragment) = fragment.filter(|_| depth < DEEPEST) {
                        self.uses(&fragment.selection_set, used, depth + 1);
                    }
                }
            }
        }
    }

    fn arguments(&self, written: &[(String, Written<'static, String>)]) -> Map<String, Value> {
        written.iter().map(|(name, value)| (name.clone(), self.value(value))).collect()
    }

    fn value(&self, written: &Written<'static, String>) -> Value {
        match written {
            Written::Variable(name) => self.variables.get(name).cloned().unwrap_or_default(),
            Written::Int(number) => number.as_i64().into(),
            Written::Float(number) => (*number).into(),
            Written::String(text) | Written::Enum(text) => text.clone().into(),
            Written::Boolean(yes) => (*yes).into(),
            Written::Null => Value::Null,
            Written::List(items) => items.iter().map(|item| self.value(item)).collect(),
            Written::Object(members) => {
                members.iter().map(|(name, value)| (name.clone(), self.value(value))).collect()
            }
        }
    }

    /// Whether `@skip` and `@include` leave a selection in.
    fn included(&self, directives: &[Directive<'static, String>]) -> bool {
        directives.iter().all(|directive| {
            let condition = self.arguments(&directive.arguments).remove("if").unwrap_or_default() == true;
            match directive.name.as_str() {
                "skip" => !condition,
                "include" => condition,
                _ => true,
            }
        })
    }
}

fn variables(value: &Written<'static, String>, used: &mut BTreeSet<String>) {
    match value {
        Written::Variable(name) => drop(used.insert(name.clone())),
        Written::List(items) => items.iter().for_each(|item| variables(item, used)),
        Written::Object(members) => members.values().for_each(|value| variables(value, used)),
        _ => {}
    }
}

fn missing(variable: &VariableDefinition<'static, String>) -> Value {
    let message =
        format!("Variable ${} of type {} was provided invalid value", variable.name, variable.var_type);
    json!({
        "message": message, "locations": [place(variable.position)],
        "extensions": { "value": null, "problems": [{ "path": [], "explanation": "Expected value to not be null" }] },
    })
}

fn coded<'k>(message: String, code: &str, more: impl IntoIterator<Item = (&'k str, Value)>) -> Value {
    let mut error = json!({ "message": message, "extensions": { "code": code } });
    for (name, value) in more {
        error["extensions"][name] = value;
    }
    error
}

/// A walk down a selection.
struct Walk<'a> {
    world: &'a World,
    call: &'a Call,
    now: f64,
    plan: &'a Plan<'a>,
    errors: Vec<Value>,
    path: Vec<Value>,
}

impl Walk<'_> {
    /// What is selected of a node. An error is one of the whole document.
    fn select(
        &mut self,
        node: &Node,
        set: &SelectionSet<'static, String>,
        depth: usize,
    ) -> Result<Map<String, Value>, Value> {
        let mut members = Map::new();
        for item in &set.items {
            match item {
                Selection::Field(field) if self.plan.included(&field.directives) => {
                    let key = field.alias.as_ref().unwrap_or(&field.name);
                    self.path.push(json!(key));
                    let value = self.field(node, field, depth);
                    self.path.pop();
                    join(&mut members, key, value?);
                }
                Selection::InlineFragment(inline) if self.plan.included(&inline.directives) => {
                    let fits = inline.type_condition.as_ref().is_none_or(|on| fits(node, on));
                    if fits {
                        self.merge(node, &inline.selection_set, depth, &mut members)?;
                    }
                }
                Selection::FragmentSpread(spread) if self.plan.included(&spread.directives) => {
                    let name = spread.fragment_name.as_str();
                    let known = self.plan.fragments.get(name).filter(|_| depth < DEEPEST).copied();
                    let Some(fragment) = known else {
                        let message = format!("Fragment {name} was used, but not defined");
                        return Err(coded(message, "useAndDefineFragment", [("fragmentName", json!(name))]));
                    };
                    if fits(node, &fragment.type_condition) {
                        self.merge(node, &fragment.selection_set, depth + 1, &mut members)?;
                    }
                }
                _ => {}
            }
        }
        Ok(members)
    }

    fn merge(
        &mut self,
        node: &Node,
        set: &SelectionSet<'static, String>,
        depth: usize,
        members: &mut Map<String, Value>,
    ) -> Result<(), Value> {
        for (key, value) in self.select(node, set, depth)? {
            join(members, &key, value);
        }
        Ok(())
    }

    fn field(&mut self, node: &Node, field: &Field<'static, String>, depth: usize) -> Result<Value, Value> {
        if field.name == "__typename" {
            return Ok(node.typename().into());
        }
        let arguments = self.plan.arguments(&field.arguments);
        let out = fields::resolve(self.world, self.call, self.now, node, &field.name, &arguments);
        let selects = !field.selection_set.items.is_empty();
        match out {
            Ok(Out::Value(value)) if !selects => Ok(value),
            Ok(Out::Null) => Ok(Value::Null),
            Ok(Out::Node(node)) if selects => Ok(self.select(&node, &field.selection_set, depth)?.into()),
            Ok(Out::List(nodes)) if selects => {
                let mut list = Vec::new();
                for (place, node) in nodes.iter().enumerate() {
                    self.path.push(place.into());
                    let value = self.select(node, &field.selection_set, depth);
                    self.path.pop();
                    list.push(Value::Object(value?));
                }
                Ok(list.into())
            }
            Ok(_) => {
                let words = if selects { "cannot have selections" } else { "must have selections" };
                let message = format!("Field '{}' of '{}' {words}", field.name, node.typename());
                Err(coded(message, "selectionMismatch", [("typeName", json!(node.typename()))]))
            }
            Err(Problem::Undefined) => Err(self.undefined(node, field)),
            Err(Problem::Refused(refusal)) => {
                self.errors.push(json!({
                    "type": refusal.code, "path": self.path, "locations": [place(field.position)],
                    "message": refusal.message,
                }));
                Ok(Value::Null)
            }
        }
    }

    fn undefined(&self, node: &Node, field: &Field<'static, String>) -> Value {
        let (name, on) = (&field.name, node.typename());
        let members = [("typeName", json!(on)), ("fieldName", json!(name))];
        let mut error =
            coded(format!("Field '{name}' doesn't exist on type '{on}'"), "undefinedField", members);
        let path: Vec<Value> = std::iter::once(json!("query")).chain(self.path.iter().cloned()).collect();
        error["path"] = path.into();
        error["locations"] = json!([place(field.position)]);
        error
    }
}

fn fits(node: &Node, on: &TypeCondition<'static, String>) -> bool {
    let TypeCondition::On(name) = on;
    node.is(name)
}

/// The same field may be selected twice: what is selected of it comes together.
fn join(members: &mut Map<String, Value>, key: &str, value: Value) {
    match (members.get_mut(key), value) {
        (Some(Value::Object(old)), Value::Object(new)) => {
            for (key, value) in new {
                join(old, &key, value);
            }
        }
        (_, value) => drop(members.insert(key.to_owned(), value)),
    }
}
