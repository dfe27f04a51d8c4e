//! Which type an expression has, and whether it has one at all.

use ::cel::common::ast::{
    ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, StructExpr, operators,
};

use super::types::Type;
use super::{VARIABLE, function, message};

/// Works out the type, and gathers the regular expressions that stand in the text.
///
/// # Errors
/// A name is unknown or types do not go together; the message says which.
pub(super) fn check(tree: &IdedExpr, patterns: &mut Vec<String>) -> Result<Type, String> {
    Checker { scope: Vec::new(), numbers_mix: false, patterns }.kind(tree)
}

/// Types that a type may be made of. Each level of `{a: a}` doubles them.
const PARTS_MAX: usize = 64;

struct Checker<'a> {
    /// Variables of comprehensions, the innermost last.
    scope: Vec<(String, Type)>,
    /// Whether numbers of different types have an order. Hubble's checker forbids it only up to the first comprehension.
    numbers_mix: bool,
    patterns: &'a mut Vec<String>,
}

impl Checker<'_> {
    fn kind(&mut self, tree: &IdedExpr) -> Result<Type, String> {
        match &tree.expr {
            Expr::Unspecified => Err("there is no expression".to_owned()),
            Expr::Literal(literal) => Ok(literal_kind(literal)),
            Expr::Ident(name) => {
                self.name(name).ok_or_else(|| format!("undeclared reference to '{name}' (in container 'flow')"))
            }
            Expr::Select(select) => self.select(tree, select),
            Expr::Call(call) => {
                let target = call.target.as_deref().map(|target| self.kind(target)).transpose()?;
                let arguments = call.args.iter().map(|argument| self.kind(argument)).collect::<Result<Vec<_>, _>>()?;
                let (name, member) = (call.func_name.as_str(), target.is_some());
                if name == "matches"
                    && let Some(Expr::Literal(LiteralValue::String(text))) = call.args.last().map(|a| &a.expr)
                {
                    self.patterns.push(text.inner().to_owned());
                }
                let all: Vec<Type> = target.into_iter().chain(arguments).collect();
                let mixed = || (self.numbers_mix && function::orders_numbers(name, &all)).then_some(Type::Bool);
                function::result(name, member, &all).or_else(mixed).ok_or_else(|| {
                    let types = all.iter().map(Type::to_string).collect::<Vec<_>>().join(", ");
                    if function::exists(name) {
                        format!("found no matching overload for '{name}' applied to '({types})'")
                    } else {
                        format!("undeclared reference to '{name}' (in container 'flow')")
                    }
                })
            }
            Expr::List(list) => {
                let mut inner = Type::Free;
                for element in &list.elements {
                    let kind = self.kind(element)?;
                    inner = inner.join(&kind).unwrap_or(Type::Dyn);
                }
                bounded(Type::List(Box::new(inner)))
            }
            Expr::Map(map) => {
                let (mut keys, mut values) = (Type::Free, Type::Free);
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        let (key, value) = (self.kind(&entry.key)?, self.kind(&entry.value)?);
                        keys = keys.join(&key).unwrap_or(Type::Dyn);
                        values = values.join(&value).unwrap_or(Type::Dyn);
                    }
                }
                bounded(Type::Map(Box::new(keys), Box::new(values)))
            }
            Expr::Struct(message) => self.message(message),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
        }
    }

    /// A variable, or a name of the API.
    fn name(&self, name: &str) -> Option<Type> {
        if let Some((_, kind)) = self.scope.iter().rev().find(|(known, _)| known == name) {
            return Some(kind.clone());
        }
        if name.strip_prefix('.').unwrap_or(name) == VARIABLE {
            return Some(Type::Message("flow.Flow"));
        }
        if message::find_constant(name).is_some() {
            return Some(Type::Int);
        }
        (function::is_type_name(name) || message::find_message(name).is_some()).then_some(Type::Type)
    }

    fn select(&mut self, tree: &IdedExpr, select: &SelectExpr) -> Result<Type, String> {
        // The longest name of the API counts, unless a variable stands at its start.
        if let Some(name) = qualified(tree)
            && !self.scope.iter().any(|(known, _)| name.split('.').next() == Some(known))
            && let Some(kind) = self.name(&name)
        {
            return Ok(kind);
        }
        let operand = self.kind(&select.operand)?;
        let field = &select.field;
        let kind = match operand.unwrapped() {
            Type::Dyn | Type::Free => Type::Dyn,
            Type::Map(key, value) if Type::Text.fits(key) => (**value).clone(),
            Type::Message(name) => {
                let shape = message::find_message(name).map(|(_, shape)| shape);
                let found = shape.and_then(|shape| message::field(shape, field));
                found.map(Type::of_field).ok_or_else(|| format!("undefined field '{field}'"))?
            }
            kind => return Err(format!("type '{kind}' does not support field selection")),
        };
        Ok(if select.test { Type::Bool } else { kind })
    }

    fn message(&mut self, message: &StructExpr) -> Result<Type, String> {
        let (name, shape) = message::find_message(&message.type_name)
            .ok_or_else(|| format!("undeclared reference to '{}' (in container 'flow')", message.type_name))?;
        for entry in &message.entries {
            let EntryExpr::StructField(entry) = &entry.expr else { continue };
            let field =
                message::field(shape, &entry.field).ok_or_else(|| format!("undefined field '{}'", entry.field))?;
            let (wanted, given) = (Type::of_field(field), self.kind(&entry.value)?);
            if !given.fits(&wanted) {
                return Err(format!(
                    "expected type of field '{}' is '{wanted}' but provided type is '{given}'",
                    field.name
                ));
            }
        }
        Ok(Type::Message(name))
    }

    fn comprehension(&mut self, comprehension: &ComprehensionExpr) -> Result<Type, String> {
        let range = self.kind(&comprehension.iter_range)?;
        let (key, element) = match &range {
            Type::List(inner) => (Type::Int, (**inner).clone()),
            Type::Map(key, value) if comprehension.iter_var2.is_some() => ((**key).clone(), (**value).clone()),
            Type::Map(key, _) => (Type::Dyn, (**key).clone()),
            Type::Dyn | Type::Free => (Type::Dyn, Type::Dyn),
            kind => return Err(format!("expression of type '{kind}' cannot be range of a comprehension")),
        };
        let depth = self.scope.len();
        let start = self.kind(&comprehension.accu_init)?;
        self.numbers_mix = true;
        self.scope.push((comprehension.accu_var.clone(), start.clone()));
        match &comprehension.iter_var2 {
            Some(second) => {
                self.scope.push((comprehension.iter_var.clone(), key));
                self.scope.push((second.clone(), element));
            }
            None => self.scope.push((comprehension.iter_var.clone(), element)),
        }
        let condition = self.kind(&comprehension.loop_cond)?;
        let step = self.kind(&comprehension.loop_step)?;
        self.scope.truncate(depth);
        let accumulated = start
            .join(&step)
            .filter(|_| condition.fits(&Type::Bool))
            .ok_or_else(|| format!("expected type '{start}' but found '{step}'"))?;
        self.scope.push((comprehension.accu_var.clone(), accumulated));
        let result = self.kind(&comprehension.result);
        self.scope.truncate(depth);
        result
    }
}

/// The type, unless it is larger than anyone needs.
fn bounded(kind: Type) -> Result<Type, String> {
    if kind.parts() > PARTS_MAX { Err(format!("a type is made of more than {PARTS_MAX} types")) } else { Ok(kind) }
}

fn literal_kind(literal: &LiteralValue) -> Type {
    match literal {
        LiteralValue::Boolean(_) => Type::Bool,
        LiteralValue::Bytes(_) => Type::Bytes,
        LiteralValue::Double(_) => Type::Double,
        LiteralValue::Int(_) => Type::Int,
        LiteralValue::Null => Type::Null,
        LiteralValue::String(_) => Type::Text,
        LiteralValue::UInt(_) => Type::Uint,
    }
}

/// The name that names joined by dots make; `None` for anything else.
pub(super) fn qualified(tree: &IdedExpr) -> Option<String> {
    match &tree.expr {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) if !select.test => Some(format!("{}.{}", qualified(&select.operand)?, select.field)),
        _ => None,
    }
}

/// Whether the operands may be left unknown where the other one decides.
pub(super) fn is_logical(name: &str) -> bool {
    matches!(name, operators::LOGICAL_AND | operators::LOGICAL_OR)
}
