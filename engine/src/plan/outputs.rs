//! What becomes of the root module's outputs.

use std::collections::BTreeMap;
use std::sync::Arc;

use stead_value::addr::{Module as ConfigPath, ModuleInstance};
use stead_value::{Kind as ValueKind, Type, Value};

use super::{Kind, Planner};
use crate::eval::{Object, Outcome, ROOT};
use crate::{Action, OutputChange};

/// Planned outputs know one zero: the reference's plan files lose the sign of the other.
fn with_one_zero(value: &Value) -> Value {
    let same = value.transform(&mut |_, inner: Value| {
        let zero = matches!(inner.kind(), ValueKind::Number(n) if n.is_zero());
        let (marks, number) = (inner.marks(), Value::number(0));
        Ok::<_, std::convert::Infallible>(if zero {
            number.with_marks(marks)
        } else {
            inner
        })
    });
    match same {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

impl Planner<'_, '_> {
    /// The outputs of modules that have a value.
    pub(super) fn computed_outputs(&self) -> Vec<(ModuleInstance, Arc<str>)> {
        let mut found = Vec::new();
        if self.kind == Kind::Destroy {
            return found;
        }
        for module in self.evaluator.modules().filter(|m| *m != ROOT) {
            for name in self.evaluator.config(module).outputs.keys() {
                let id = self.evaluator.id(Object::Output(module, Arc::clone(name)));
                if let Some(Outcome::Value(value)) = self.evaluator.known(id)
                    && !value.is_null()
                {
                    found.push((self.evaluator.module_address(module), Arc::clone(name)));
                }
            }
        }
        found
    }

    /// Outputs declared now, and those that only state still has.
    pub(super) fn output_changes(&mut self) -> BTreeMap<Arc<str>, OutputChange> {
        let mut changes = BTreeMap::new();
        let config = self.evaluator.config(ROOT);
        if self.kind == Kind::Plan {
            for (name, output) in &config.outputs {
                if !self.selection.keeps_output(ConfigPath::default(), name) {
                    continue;
                }
                let Outcome::Value(after) = self
                    .evaluator
                    .demand(Object::Output(ROOT, Arc::clone(name)))
                else {
                    continue;
                };
                if output.ephemeral {
                    continue;
                }
                let after = with_one_zero(&after);
                let before = self.recorded_output(name);
                let recorded_sensitive =
                    self.state.outputs.get(&**name).is_some_and(|o| o.sensitive);
                let action = if before.is_null() && !self.state.outputs.contains_key(&**name) {
                    if after.is_null() {
                        Action::NoOp
                    } else {
                        Action::Create
                    }
                } else if before.raw_equals(&after) && recorded_sensitive == output.sensitive {
                    Action::NoOp
                } else {
                    Action::Update
                };
                changes.insert(
                    Arc::clone(name),
                    OutputChange {
                        action,
                        before,
                        after,
                        sensitive: output.sensitive,
                    },
                );
            }
        }
        let removed: Vec<String> = self
            .state
            .outputs
            .keys()
            .filter(|n| self.kind == Kind::Destroy || !config.outputs.contains_key(n.as_str()))
            // An output that nothing declares is no target's dependency.
            .filter(|_| self.selection.is_all())
            .cloned()
            .collect();
        for name in removed {
            let before = self.recorded_output(&name);
            let sensitive = self.state.outputs.get(&name).is_some_and(|o| o.sensitive);
            let after = Value::null(Type::Dynamic);
            changes.insert(
                Arc::from(name),
                OutputChange {
                    action: Action::Delete,
                    before,
                    after,
                    sensitive,
                },
            );
        }
        changes
    }

    fn recorded_output(&mut self, name: &str) -> Value {
        let Some(output) = self.state.outputs.get(name) else {
            return Value::null(Type::Dynamic);
        };
        match crate::outputs::decode(output) {
            Ok(value) => value,
            Err(diagnostic) => {
                self.diagnostics.push(diagnostic);
                Value::null(Type::Dynamic)
            }
        }
    }
}
