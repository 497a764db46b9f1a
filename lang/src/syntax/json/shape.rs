//! Arguments that turn out to be blocks, once a schema is known.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use stead_value::{Diagnostic, Diagnostics};

use super::super::{Block, Body};
use super::layout::OPEN;
use super::lower::{Lowering, Target, already_set};
use super::node::Member;

/// The JSON of an argument in a body that a schema describes.
#[derive(Clone, Debug)]
pub(crate) struct Property {
    /// More than one when the name repeats, as it may for blocks.
    members: Vec<Member>,
    /// The same as blocks, made when first asked for: a body is decoded once per instance.
    blocks: OnceLock<(Vec<Block>, Diagnostics)>,
}

impl Property {
    pub(super) fn new(member: Member) -> Property {
        Property {
            members: vec![member],
            blocks: OnceLock::new(),
        }
    }

    pub(super) fn push(&mut self, member: Member) {
        self.members.push(member);
        self.blocks = OnceLock::new();
    }
}

impl Body {
    /// This body with those arguments as blocks that are blocks by a schema; `labels` knows them, with what their labels are.
    /// In native syntax nothing changes.
    pub(crate) fn shaped(
        &self,
        labels: impl Fn(&str) -> Option<&'static [&'static str]>,
        diagnostics: &mut Diagnostics,
    ) -> Cow<'_, Body> {
        let mut shaped = Cow::Borrowed(self);
        for (name, attribute) in &self.attributes {
            let Some(property) = &attribute.json else {
                continue;
            };
            let Some(labels) = labels(name) else {
                for member in property.members.iter().skip(1) {
                    let range = attribute.expr.file().range(member.name_span);
                    let detail = already_set(name, attribute);
                    diagnostics.push(Diagnostic::error("Duplicate argument", detail).at(range));
                }
                continue;
            };
            let shaped = shaped.to_mut();
            shaped.attributes.shift_remove(name);
            // Beside blocks of native syntax: one of the two files overrides the other one.
            let overridden = shaped.blocks.iter().any(|b| b.kind == *name);
            if overridden && Arc::ptr_eq(attribute.expr.file(), &self.file) {
                continue;
            }
            shaped.blocks.retain(|b| b.kind != *name);
            let (blocks, problems) = property.blocks.get_or_init(|| {
                let mut lowering = Lowering::new(attribute.expr.file(), Diagnostics::new());
                let mut blocks = Vec::new();
                for member in &property.members {
                    let target = Target {
                        kind: name,
                        kind_span: member.name_span,
                        body: &OPEN,
                    };
                    lowering.blocks(&member.value, &target, labels, &mut Vec::new(), &mut blocks);
                }
                (blocks, lowering.diagnostics)
            });
            shaped.blocks.extend(blocks.iter().cloned());
            diagnostics.extend(problems.iter().cloned());
        }
        shaped
    }
}
