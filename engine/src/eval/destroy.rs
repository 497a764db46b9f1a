//! What destroy-time provisioners can name: the object itself, its key, and paths. Everything else may be gone.

use std::sync::Arc;

use stead_lang::config::{Connection, Module, Provisioner};
use stead_lang::expr::{Environment, PathKind, Reference, Resolved, Scope, Target};
use stead_value::addr::{InstanceKey, ResourceInstance};
use stead_value::{Diagnostic, Value};

use super::{Evaluator, environment};

/// The scope of an object's destroy-time provisioners.
pub struct DestroyScope<'e, 'c> {
    evaluator: &'e Evaluator<'c>,
    module: &'e Module,
    key: &'e InstanceKey,
    object: &'e Value,
}

impl Scope for DestroyScope<'_, '_> {
    fn environment(&self) -> Environment<'_> {
        environment(&self.evaluator.settings)
    }

    fn resolve(&self, reference: &Reference<'_>) -> Resolved {
        let text = |path: &std::path::Path| {
            let text = path.to_string_lossy();
            Value::string(if text.is_empty() { "." } else { &text })
        };
        let settings = &self.evaluator.settings;
        match (&reference.target, self.key) {
            (Target::SelfObject, _) => Resolved::Value(self.object.clone()),
            (Target::CountIndex, InstanceKey::Int(index)) => {
                Resolved::Value(Value::number(*index as i64))
            }
            (Target::EachKey, InstanceKey::String(key)) => Resolved::Value(Value::string(key)),
            (Target::Path(kind), _) => Resolved::Value(match kind {
                PathKind::Module => text(&self.module.directory),
                PathKind::Root => text(&settings.root_directory),
                PathKind::Cwd => text(&settings.working_directory),
            }),
            (Target::Workspace, _) => Resolved::Value(Value::string(&settings.workspace)),
            (Target::Applying, _) => Resolved::Value(Value::bool(true)),
            _ => Diagnostic::error(
                "Invalid reference from destroy provisioner",
                "Destroy-time provisioners and their connection configurations may only reference attributes of the related resource, via 'self', 'count.index', or 'each.key'.\n\nReferences to other resources during the destroy phase can cause dependency cycles and interact poorly with create_before_destroy.",
            )
            .into(),
        }
    }
}

/// The provisioners that belong to an object, wherever they are declared.
pub struct Provisioners<'c> {
    module: &'c Module,
    pub connection: Option<&'c Connection>,
    pub blocks: &'c [Provisioner],
}

impl<'c> Evaluator<'c> {
    /// The provisioners of the resource block, or of the `removed` block that stands for it.
    pub fn provisioners(&self, address: &ResourceInstance) -> Option<Provisioners<'c>> {
        let path = address.module.module();
        if let Some(node) = self.tree.get(&path)
            && let Some(resource) = node.module.resources.get(&address.resource)
        {
            return Some(Provisioners {
                module: &node.module,
                connection: resource.connection.as_ref(),
                blocks: &resource.provisioners,
            });
        }
        // A `removed` block stands in a module around the object, or in the object's own.
        let around = (0..=path.0.len()).rev().filter_map(|depth| {
            let names = path.0.get(..depth)?.to_vec();
            Some((depth, self.tree.get(&stead_value::addr::Module(names))?))
        });
        for (depth, node) in around {
            let within: Vec<&Arc<str>> = path.0.iter().skip(depth).collect();
            let found = node.module.removed.iter().find(|removed| {
                let names = removed.from.module.iter().map(|(name, _)| name);
                names.eq(within.iter().copied())
                    && removed
                        .from
                        .resource
                        .as_ref()
                        .is_some_and(|(r, _)| *r == address.resource)
            });
            if let Some(removed) = found {
                return Some(Provisioners {
                    module: &node.module,
                    connection: removed.connection.as_ref(),
                    blocks: &removed.provisioners,
                });
            }
        }
        None
    }

    /// The scope of an object's destroy-time provisioners.
    pub fn destroy_scope<'e>(
        &'e self,
        provisioners: &Provisioners<'c>,
        key: &'e InstanceKey,
        object: &'e Value,
    ) -> DestroyScope<'e, 'c> {
        DestroyScope {
            evaluator: self,
            module: provisioners.module,
            key,
            object,
        }
    }
}
