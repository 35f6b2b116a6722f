//! Running a GraphQL document: the chosen operation, its selections and aliases, and errors in GitHub's shapes. Variables and
//! fragments are in `graphql_plan.rs`, types and fields in `graphql_fields.rs`.

use graphql_parser::query::{
    Definition, Document, Field, OperationDefinition, Selection, SelectionSet, TypeCondition, parse_query,
};
use serde_json::{Map, Value, json};

use super::graphql_nodes::{FieldError, FieldValue, GraphqlNode};
use super::graphql_plan::{ExecutionPlan, error_with_code, location_json};
use super::responses::{response, with_members};
use super::{graphql_fields, graphql_mutations};
use crate::request::{ServiceCall, ServiceError, ServiceResult};
use crate::service;
use crate::world::World;

/// Answers a document.
pub fn execute(world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
    let text = call.input["query"].as_str().unwrap_or_default();
    let document = match parse_query::<String>(text) {
        Ok(document) => document.into_static(),
        Err(error) => return Ok(error_response(json!({ "message": format!("Parse error: {error}") }))),
    };
    let Some(operation) = select_operation(&document, call.input["operationName"].as_str()) else {
        return Ok(error_response(json!({ "message": "No operation with the name that was asked for" })));
    };
    let plan = match ExecutionPlan::new(&document, operation, &call.input["variables"]) {
        Ok(plan) => plan,
        Err(error) => return Ok(error_response(error)),
    };
    match operation {
        OperationDefinition::Mutation(mutation) => {
            execute_mutation(world, call, now, &plan, &mutation.selection_set)
        }
        OperationDefinition::Query(query) => Ok(run_query(world, call, now, &plan, &query.selection_set)),
        OperationDefinition::SelectionSet(set) => Ok(run_query(world, call, now, &plan, set)),
        OperationDefinition::Subscription(_) => Err(service::unsupported_operation(call)),
    }
}

/// Errors without data: the document was not run.
fn error_response(error: Value) -> Value {
    response(200, json!({ "errors": [error] }))
}

fn run_query(
    world: &World,
    call: &ServiceCall,
    now: f64,
    plan: &ExecutionPlan<'_>,
    set: &SelectionSet<'static, String>,
) -> Value {
    let mut resolver = SelectionResolver { world, call, now, plan, errors: Vec::new(), path: Vec::new() };
    match resolver.resolve_selection(&GraphqlNode::Query, set, 0) {
        Err(error) => error_response(error),
        Ok(data) if resolver.errors.is_empty() => response(200, json!({ "data": data })),
        Ok(data) => response(200, json!({ "data": data, "errors": resolver.errors })),
    }
}

fn execute_mutation(
    world: &mut World,
    call: &ServiceCall,
    now: f64,
    plan: &ExecutionPlan<'_>,
    set: &SelectionSet<'static, String>,
) -> ServiceResult {
    let [Selection::Field(field)] = set.items.as_slice() else {
        return Err(service::unsupported_operation(call));
    };
    let name = field.alias.as_ref().unwrap_or(&field.name);
    let input = plan.resolve_arguments(&field.arguments).remove("input").unwrap_or_default();
    let located = |refusal: ServiceError| {
        with_members(
            refusal,
            [("path", json!([name])), ("locations", json!([location_json(field.position)]))],
        )
    };
    // GitHub checks the whole document before it does anything: what cannot be answered is done to a copy only.
    let mut after = world.clone();
    let payload = match graphql_mutations::perform_mutation(&mut after, call, &field.name, &input, now) {
        Ok(payload) => payload,
        Err(refusal) => {
            *world = after;
            return Err(located(refusal));
        }
    };
    let mut resolver =
        SelectionResolver { world: &after, call, now, plan, errors: Vec::new(), path: vec![json!(name)] };
    let data = match resolver.resolve_selection(&payload, &field.selection_set, 0) {
        Err(error) => return Ok(error_response(error)),
        Ok(data) => data,
    };
    *world = after;
    Ok(response(200, json!({ "data": { name: data } })))
}

fn select_operation<'a>(
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

/// Resolves selections of one operation, and collects the errors of fields.
struct SelectionResolver<'a> {
    world: &'a World,
    call: &'a ServiceCall,
    now: f64,
    plan: &'a ExecutionPlan<'a>,
    errors: Vec<Value>,
    path: Vec<Value>,
}

impl SelectionResolver<'_> {
    /// What is selected of a node. An error is one of the whole document.
    fn resolve_selection(
        &mut self,
        node: &GraphqlNode,
        set: &SelectionSet<'static, String>,
        depth: usize,
    ) -> Result<Map<String, Value>, Value> {
        let mut members = Map::new();
        for item in &set.items {
            match item {
                Selection::Field(field) if self.plan.is_included(&field.directives) => {
                    let key = field.alias.as_ref().unwrap_or(&field.name);
                    self.path.push(json!(key));
                    let value = self.resolve_field(node, field, depth);
                    self.path.pop();
                    merge_field(&mut members, key, value?);
                }
                Selection::InlineFragment(inline) if self.plan.is_included(&inline.directives) => {
                    let fits = inline.type_condition.as_ref().is_none_or(|on| matches_type(node, on));
                    if fits {
                        self.merge_selection(node, &inline.selection_set, depth, &mut members)?;
                    }
                }
                Selection::FragmentSpread(spread) if self.plan.is_included(&spread.directives) => {
                    let name = spread.fragment_name.as_str();
                    let Some(fragment) = self.plan.fragment(name, depth) else {
                        let message = format!("Fragment {name} was used, but not defined");
                        return Err(error_with_code(
                            message,
                            "useAndDefineFragment",
                            [("fragmentName", json!(name))],
                        ));
                    };
                    if matches_type(node, &fragment.type_condition) {
                        self.merge_selection(node, &fragment.selection_set, depth + 1, &mut members)?;
                    }
                }
                _ => {}
            }
        }
        Ok(members)
    }

    fn merge_selection(
        &mut self,
        node: &GraphqlNode,
        set: &SelectionSet<'static, String>,
        depth: usize,
        members: &mut Map<String, Value>,
    ) -> Result<(), Value> {
        for (key, value) in self.resolve_selection(node, set, depth)? {
            merge_field(members, &key, value);
        }
        Ok(())
    }

    fn resolve_field(
        &mut self,
        node: &GraphqlNode,
        field: &Field<'static, String>,
        depth: usize,
    ) -> Result<Value, Value> {
        if field.name == "__typename" {
            return Ok(node.typename().into());
        }
        let arguments = self.plan.resolve_arguments(&field.arguments);
        let out =
            graphql_fields::resolve_field(self.world, self.call, self.now, node, &field.name, &arguments);
        let selects = !field.selection_set.items.is_empty();
        match out {
            Ok(FieldValue::Value(value)) if !selects => Ok(value),
            Ok(FieldValue::Null) => Ok(Value::Null),
            Ok(FieldValue::Node(node)) if selects => {
                Ok(self.resolve_selection(&node, &field.selection_set, depth)?.into())
            }
            Ok(FieldValue::List(nodes)) if selects => {
                let mut list = Vec::new();
                for (place, node) in nodes.iter().enumerate() {
                    self.path.push(place.into());
                    let value = self.resolve_selection(node, &field.selection_set, depth);
                    self.path.pop();
                    list.push(Value::Object(value?));
                }
                Ok(list.into())
            }
            Ok(_) => {
                let words = if selects { "cannot have selections" } else { "must have selections" };
                let message = format!("Field '{}' of '{}' {words}", field.name, node.typename());
                Err(error_with_code(message, "selectionMismatch", [("typeName", json!(node.typename()))]))
            }
            Err(FieldError::Undefined) => Err(self.undefined_field_error(node, field)),
            Err(FieldError::Rejected(refusal)) => {
                self.errors.push(json!({
                    "type": refusal.code, "path": self.path, "locations": [location_json(field.position)],
                    "message": refusal.message,
                }));
                Ok(Value::Null)
            }
        }
    }

    fn undefined_field_error(&self, node: &GraphqlNode, field: &Field<'static, String>) -> Value {
        let (name, on) = (&field.name, node.typename());
        let members = [("typeName", json!(on)), ("fieldName", json!(name))];
        let mut error = error_with_code(
            format!("Field '{name}' doesn't exist on type '{on}'"),
            "undefinedField",
            members,
        );
        let path: Vec<Value> = std::iter::once(json!("query")).chain(self.path.iter().cloned()).collect();
        error["path"] = path.into();
        error["locations"] = json!([location_json(field.position)]);
        error
    }
}

fn matches_type(node: &GraphqlNode, on: &TypeCondition<'static, String>) -> bool {
    let TypeCondition::On(name) = on;
    node.is_type(name)
}

/// The same field may be selected twice: what is selected of it comes together.
fn merge_field(members: &mut Map<String, Value>, key: &str, value: Value) {
    match (members.get_mut(key), value) {
        (Some(Value::Object(old)), Value::Object(new)) => {
            for (key, value) in new {
                merge_field(old, &key, value);
            }
        }
        (_, value) => drop(members.insert(key.to_owned(), value)),
    }
}
