//! The value of an expression.

use std::rc::Rc;

use ::cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, StructExpr, operators,
};
use ::flow::filter::Regexes;

use super::check::{is_logical, qualified};
use super::entries::Entries;
use super::steps::{Failure, Steps};
use super::value::{Message, Value};
use super::{VARIABLE, convert, function, message, value};

/// Bytes of a regular expression, compiled while a flow is looked at, that are a step.
const COMPILED_BYTES_PER_STEP: usize = 64;

/// Works out values of expressions about one flow.
pub(super) struct Evaluator<'a> {
    flow: Value,
    patterns: &'a [(String, Option<Regexes>)],
    /// Variables of comprehensions, the innermost last.
    scope: Vec<(&'a str, Value)>,
    steps: Steps,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(patterns: &'a [(String, Option<Regexes>)], flow: Option<&[u8]>, steps: Steps) -> Self {
        let (name, shape) = message::find_message("flow.Flow").expect("the descriptors have it");
        let bytes = flow.unwrap_or_default().into();
        let flow = Value::Message(Message { name, shape, bytes, is_missing: flow.is_none() });
        Self { flow, patterns, scope: Vec::new(), steps }
    }

    pub(super) fn value(&mut self, tree: &'a IdedExpr) -> Result<Value, Failure> {
        self.steps.take(1)?;
        match &tree.expr {
            Expr::Unspecified => Err(Failure),
            Expr::Literal(literal) => {
                let value = of_literal(literal);
                self.steps.take_copy(&value)?;
                Ok(value)
            }
            Expr::Ident(name) => self.name(name).ok_or(Failure),
            Expr::Select(select) => self.select(tree, select),
            Expr::Call(call) => self.call(call),
            Expr::List(list) => {
                let values = list.elements.iter().map(|element| self.value(element)).collect::<Result<Vec<_>, _>>()?;
                Ok(Value::List(Rc::new(values)))
            }
            Expr::Map(map) => {
                let mut entries = Entries::default();
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else { return Err(Failure) };
                    let (key, value) = (self.value(&entry.key)?, self.value(&entry.value)?);
                    entries.put(key, value)?;
                }
                Ok(entries.into_value())
            }
            Expr::Struct(message) => self.message(message),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
        }
    }

    fn name(&self, name: &str) -> Option<Value> {
        if let Some((_, value)) = self.scope.iter().rev().find(|(known, _)| *known == name) {
            return Some(value.clone());
        }
        if name.strip_prefix('.').unwrap_or(name) == VARIABLE {
            return Some(self.flow.clone());
        }
        if let Some(number) = message::find_constant(name) {
            return Some(Value::Int(number));
        }
        let type_name = if function::is_type_name(name) { name } else { message::find_message(name)?.0 };
        Some(Value::Type(type_name.into()))
    }

    fn select(&mut self, tree: &'a IdedExpr, select: &'a SelectExpr) -> Result<Value, Failure> {
        if let Some(name) = qualified(tree)
            && !name.starts_with(VARIABLE)
            && !self.scope.iter().any(|(known, _)| name.split('.').next() == Some(known))
            && let Some(value) = self.name(&name)
        {
            return Ok(value);
        }
        match self.value(&select.operand)? {
            Value::Message(message) => {
                let field = message::field(message.shape, &select.field).ok_or(Failure)?;
                message.take_reading(&mut self.steps)?;
                if select.test { message.has(field).map(Value::Bool) } else { message.get(field) }.ok_or(Failure)
            }
            Value::Map(entries) => {
                let key = Value::Text(select.field.as_str().into());
                let found = value::entry(&entries, &key, &mut self.steps)?.cloned();
                if select.test { Ok(Value::Bool(found.is_some())) } else { found.ok_or(Failure) }
            }
            _ => Err(Failure),
        }
    }

    fn call(&mut self, call: &'a CallExpr) -> Result<Value, Failure> {
        let name = call.func_name.as_str();
        if is_logical(name) {
            return self.logical(call, name == operators::LOGICAL_OR);
        }
        match (name, call.args.as_slice()) {
            (operators::CONDITIONAL, [condition, yes, no]) => match self.value(condition)? {
                Value::Bool(true) => self.value(yes),
                Value::Bool(false) => self.value(no),
                _ => Err(Failure),
            },
            (operators::NOT_STRICTLY_FALSE, [argument]) => {
                Ok(Value::Bool(!matches!(self.value(argument), Ok(Value::Bool(false)))))
            }
            _ => {
                let all = call.target.as_deref().into_iter().chain(&call.args);
                let values = all.map(|argument| self.value(argument)).collect::<Result<Vec<_>, _>>()?;
                if let ("matches", [_, Value::Text(pattern)]) = (name, &*values)
                    && !self.patterns.iter().any(|(known, _)| **known == **pattern)
                {
                    self.steps.take(Regexes::compiled_bytes(pattern) / COMPILED_BYTES_PER_STEP)?;
                }
                let result = function::call(name, &values, self.patterns, &mut self.steps)?;
                if name != operators::INDEX {
                    values.iter().chain([&result]).try_for_each(|value| self.steps.take_copy(value))?;
                }
                Ok(result)
            }
        }
    }

    /// "And" and "or": where one side decides, a failure of the other one does not matter.
    fn logical(&mut self, call: &'a CallExpr, decisive: bool) -> Result<Value, Failure> {
        let mut failed = false;
        for argument in &call.args {
            match self.value(argument) {
                Ok(Value::Bool(value)) if value == decisive => return Ok(Value::Bool(decisive)),
                Ok(Value::Bool(_)) => {}
                _ => failed = true,
            }
        }
        if failed { Err(Failure) } else { Ok(Value::Bool(!decisive)) }
    }

    fn message(&mut self, message: &'a StructExpr) -> Result<Value, Failure> {
        let (name, shape) = message::find_message(&message.type_name).ok_or(Failure)?;
        let mut bytes = Vec::new();
        for entry in &message.entries {
            let EntryExpr::StructField(entry) = &entry.expr else { return Err(Failure) };
            let field = message::field(shape, &entry.field).ok_or(Failure)?;
            let value = self.value(&entry.value)?;
            convert::encode(field, &value, &mut self.steps, &mut bytes)?;
        }
        Ok(Value::Message(Message { name, shape, bytes: bytes.into(), is_missing: false }))
    }

    fn comprehension(&mut self, comprehension: &'a ComprehensionExpr) -> Result<Value, Failure> {
        let range = self.value(&comprehension.iter_range)?;
        let is_map = matches!(range, Value::Map(_));
        let count = match &range {
            Value::List(values) => values.len(),
            Value::Map(entries) => entries.len(),
            _ => return Err(Failure),
        };
        let depth = self.scope.len();
        let mut accumulated = self.value(&comprehension.accu_init);
        for place in 0..count {
            let (key, value) = match &range {
                Value::List(values) => (Value::Int(i64::try_from(place).map_err(|_| Failure)?), values[place].clone()),
                Value::Map(entries) => entries[place].clone(),
                _ => return Err(Failure),
            };
            self.scope.push((&comprehension.accu_var, accumulated.clone().unwrap_or(Value::Null)));
            match &comprehension.iter_var2 {
                Some(name) => {
                    self.scope.push((&comprehension.iter_var, key));
                    self.scope.push((name, value));
                }
                // Of a map the keys are gone through, of a list the elements.
                None => self.scope.push((&comprehension.iter_var, if is_map { key } else { value })),
            }
            let goes_on = accumulated.is_err() || matches!(self.value(&comprehension.loop_cond), Ok(Value::Bool(true)));
            let step = if !goes_on {
                None
            } else if accumulated.is_err() {
                Some(self.step_after_failure(comprehension))
            } else {
                Some(self.value(&comprehension.loop_step))
            };
            self.scope.truncate(depth);
            match step {
                Some(step) => accumulated = step,
                None => break,
            }
            self.steps.take(0)?;
        }
        self.scope.push((&comprehension.accu_var, accumulated?));
        let result = self.value(&comprehension.result);
        self.scope.truncate(depth);
        result
    }

    /// `exists` and `all` go on after an element that fails: a later one may decide.
    fn step_after_failure(&mut self, comprehension: &'a ComprehensionExpr) -> Result<Value, Failure> {
        let Expr::Call(call) = &comprehension.loop_step.expr else { return Err(Failure) };
        if !is_logical(&call.func_name) {
            return Err(Failure);
        }
        let decisive = call.func_name == operators::LOGICAL_OR;
        let is_accumulator =
            |tree: &IdedExpr| matches!(&tree.expr, Expr::Ident(name) if *name == comprehension.accu_var);
        for argument in call.args.iter().filter(|argument| !is_accumulator(argument)) {
            if let Ok(Value::Bool(value)) = self.value(argument)
                && value == decisive
            {
                return Ok(Value::Bool(decisive));
            }
        }
        Err(Failure)
    }
}

fn of_literal(literal: &LiteralValue) -> Value {
    match literal {
        LiteralValue::Boolean(value) => Value::Bool(*value.inner()),
        LiteralValue::Bytes(value) => Value::Bytes(value.inner().into()),
        LiteralValue::Double(value) => Value::Double(*value.inner()),
        LiteralValue::Int(value) => Value::Int(*value.inner()),
        LiteralValue::Null => Value::Null,
        LiteralValue::String(value) => Value::Text(value.inner().into()),
        LiteralValue::UInt(value) => Value::Uint(*value.inner()),
    }
}
