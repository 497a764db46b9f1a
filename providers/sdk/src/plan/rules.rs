//! What a schema alone decides: defaults, what the provider computes, what forces a replacement, what is refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use stead_value::schema::{Attribute, AttributeType, Block, Nesting};
use stead_value::{Diagnostic, Diagnostics, Kind, Path, Type, Value};

use crate::plan::checks::check_values;
use crate::plan::proposed::{Shape, items};
use crate::plan::{Leniency, PlanDraft, align};

/// The plan by the schema alone. `proposed` is the configuration merged with `prior`.
pub(crate) fn draft_of(
    block: &Block,
    ty: Type,
    prior: Value,
    proposed: &Value,
    config: Value,
    legacy: bool,
) -> PlanDraft {
    let mut planned = fill(
        Shape::of_block(block),
        Some(&prior).filter(|p| !p.is_null()),
        proposed,
        &config,
    );
    if legacy && !prior.is_null() {
        planned = align(planned, &prior, Leniency::Zero);
    }
    PlanDraft {
        ty,
        prior,
        config,
        planned,
        requires_replace: Vec::new(),
        notes: Vec::new(),
        warnings: Diagnostics::new(),
    }
}

/// One object: defaults where the configuration is silent, unknown where a new object's values come from the server.
fn fill(shape: Shape<'_>, prior: Option<&Value>, proposed: &Value, config: &Value) -> Value {
    let Some(entries) = proposed.as_entries() else {
        return proposed.clone();
    };
    let filled = entries.iter().map(|(name, value)| {
        let prior = prior.and_then(|p| p.get(name));
        let config = config.get(name);
        let new = if let Some(attribute) = shape.attributes.get(name) {
            fill_attribute(attribute, prior.as_ref(), value, config.as_ref())
        } else if let Some(block) = shape.blocks.and_then(|blocks| blocks.get(name)) {
            fill_nested(
                Shape::of_block(&block.block),
                block.nesting,
                prior.as_ref(),
                value,
                config.as_ref(),
            )
        } else {
            value.clone()
        };
        (Arc::clone(name), new)
    });
    Value::object(filled.collect())
}

fn fill_attribute(
    attribute: &Attribute,
    prior: Option<&Value>,
    proposed: &Value,
    config: Option<&Value>,
) -> Value {
    if attribute.write_only {
        return Value::null(attribute.value_type());
    }
    if config.is_none_or(Value::is_null) {
        if let Some(default) = &attribute.default {
            return default.clone();
        }
        if attribute.computed && proposed.is_null() && prior.is_none() {
            return Value::unknown(attribute.value_type());
        }
    }
    match &attribute.ty {
        AttributeType::Simple(_) => proposed.clone(),
        AttributeType::Nested {
            nesting,
            attributes,
        } => fill_nested(
            Shape::of_attributes(attributes),
            *nesting,
            prior,
            proposed,
            config,
        ),
    }
}

/// Nested objects, each beside its prior self and its configuration.
fn fill_nested(
    shape: Shape<'_>,
    nesting: Nesting,
    prior: Option<&Value>,
    proposed: &Value,
    config: Option<&Value>,
) -> Value {
    let none = Value::null(Type::Dynamic);
    let at = |side: Option<&Value>, i: usize| {
        side.and_then(|s| s.as_sequence())
            .and_then(|s| s.get(i))
            .cloned()
    };
    let under =
        |side: Option<&Value>, k: &str| side.and_then(|s| s.get(k)).filter(|v| !v.is_null());
    let one = |prior: Option<Value>, value: &Value, config: Option<Value>| {
        fill(
            shape,
            prior.as_ref(),
            value,
            config.as_ref().unwrap_or(&none),
        )
    };
    match (nesting, proposed.kind()) {
        (Nesting::Single | Nesting::Group, Kind::Object(_)) => one(
            prior.filter(|p| !p.is_null()).cloned(),
            proposed,
            config.cloned(),
        ),
        (Nesting::List, Kind::List(ty, items)) => Value::list(
            ty.clone(),
            items
                .iter()
                .enumerate()
                .map(|(i, v)| one(at(prior, i), v, at(config, i)))
                .collect(),
        ),
        (Nesting::List, Kind::Tuple(items)) => Value::tuple(
            items
                .iter()
                .enumerate()
                .map(|(i, v)| one(at(prior, i), v, at(config, i)))
                .collect(),
        ),
        (Nesting::Map, Kind::Map(ty, entries)) => Value::map(
            ty.clone(),
            entries
                .iter()
                .map(|(k, v)| (Arc::clone(k), one(under(prior, k), v, under(config, k))))
                .collect(),
        ),
        (Nesting::Map, Kind::Object(entries)) => Value::object(
            entries
                .iter()
                .map(|(k, v)| (Arc::clone(k), one(under(prior, k), v, under(config, k))))
                .collect(),
        ),
        (Nesting::Set, Kind::Set(ty, elements)) => {
            let before = prior.and_then(Value::as_sequence).unwrap_or_default();
            let mut configured = config
                .and_then(Value::as_sequence)
                .unwrap_or_default()
                .to_vec();
            let filled = elements.iter().map(|v| {
                let place = configured.iter().position(|c| shape.could_come_from(v, c));
                let config = place.map(|i| configured.remove(i));
                one(before.iter().find(|p| *p == v).cloned(), v, config)
            });
            Value::set(ty.clone(), filled.collect())
        }
        _ => proposed.clone(),
    }
}

/// When anything changes: these computed attributes are not known any more, unless they are configured.
pub(crate) fn volatile(draft: &mut PlanDraft, names: &[&str]) {
    if draft.is_create() || names.is_empty() || !draft.has_changes() {
        return;
    }
    let Some(entries) = draft.planned.as_entries() else {
        return;
    };
    let mut entries = entries.clone();
    for name in names {
        if draft.config.get(name).is_none_or(|c| c.is_null())
            && draft.prior.get(name) == draft.planned.get(name)
            && let Some(value) = entries.get_mut(*name)
        {
            *value = Value::unknown(value.ty());
        }
    }
    draft.planned = Value::object(entries);
}

/// Paths of changes that force a new object.
pub(crate) fn replacements(block: &Block, prior: &Value, planned: &Value) -> Vec<Path> {
    let mut found = Vec::new();
    if !prior.is_null() && !planned.is_null() {
        Replacements { found: &mut found }.object(
            Shape::of_block(block),
            prior,
            planned,
            &Path::root(),
        );
    }
    found
}

struct Replacements<'a> {
    found: &'a mut Vec<Path>,
}

impl Replacements<'_> {
    fn object(&mut self, shape: Shape<'_>, prior: &Value, planned: &Value, path: &Path) {
        for (name, attribute) in shape.attributes {
            let (old, new) = (prior.get(name), planned.get(name));
            if attribute.write_only || differ(old.as_ref(), new.as_ref()).is_none() {
                continue;
            }
            let path = path.attr(Arc::clone(name));
            match &attribute.ty {
                _ if attribute.force_new => self.found.push(path),
                AttributeType::Nested {
                    nesting,
                    attributes,
                } => {
                    self.nested(
                        Shape::of_attributes(attributes),
                        *nesting,
                        old.as_ref(),
                        new.as_ref(),
                        &path,
                    );
                }
                AttributeType::Simple(_) => {}
            }
        }
        for (name, block) in shape.blocks() {
            let (old, new) = (prior.get(name), planned.get(name));
            if differ(old.as_ref(), new.as_ref()).is_none() {
                continue;
            }
            let path = path.attr(Arc::clone(name));
            if block.force_new {
                self.found.push(path);
            } else {
                self.nested(
                    Shape::of_block(&block.block),
                    block.nesting,
                    old.as_ref(),
                    new.as_ref(),
                    &path,
                );
            }
        }
    }

    /// An object that appears or vanishes counts by its attributes, as it does in the published providers.
    fn nested(
        &mut self,
        shape: Shape<'_>,
        nesting: Nesting,
        old: Option<&Value>,
        new: Option<&Value>,
        path: &Path,
    ) {
        let none = Value::null(Type::Dynamic);
        let (old, new) = (old.unwrap_or(&none), new.unwrap_or(&none));
        if !new.is_known() {
            if forces(shape) {
                self.found.push(path.clone());
            }
            return;
        }
        match nesting {
            Nesting::Single | Nesting::Group => self.object(shape, old, new, path),
            Nesting::List => {
                let (old, new) = (items(nesting, old), items(nesting, new));
                for i in 0..old.len().max(new.len()) {
                    let place = path.index_number(i);
                    self.object(
                        shape,
                        old.get(i).unwrap_or(&none),
                        new.get(i).unwrap_or(&none),
                        &place,
                    );
                }
            }
            Nesting::Map => {
                let empty = BTreeMap::new();
                let (old, new) = (
                    old.as_entries().unwrap_or(&empty),
                    new.as_entries().unwrap_or(&empty),
                );
                let mut keys: Vec<_> = old.keys().chain(new.keys()).collect();
                keys.sort();
                keys.dedup();
                for key in keys {
                    let place = path.index(Value::string(key));
                    self.object(
                        shape,
                        old.get(key).unwrap_or(&none),
                        new.get(key).unwrap_or(&none),
                        &place,
                    );
                }
            }
            // Elements have no place: what counts is whether the forcing parts are still the same collection.
            Nesting::Set if forces(shape) => {
                let forcing = |side: &Value| -> Vec<Value> {
                    items(nesting, side)
                        .iter()
                        .map(|item| forcing_part(shape, item))
                        .collect()
                };
                let (old, new) = (forcing(old), forcing(new));
                if old.iter().any(|v| !new.contains(v)) || new.iter().any(|v| !old.contains(v)) {
                    self.found.push(path.clone());
                }
            }
            Nesting::Set => {}
        }
    }
}

/// `Some` when the two differ; a missing value and a null one are the same.
fn differ(old: Option<&Value>, new: Option<&Value>) -> Option<()> {
    let (old, new) = (old.filter(|v| !v.is_null()), new.filter(|v| !v.is_null()));
    (old != new || new.is_some_and(|v| !v.is_wholly_known())).then_some(())
}

/// Whether a change anywhere within may force a replacement.
fn forces(shape: Shape<'_>) -> bool {
    shape.attributes.values().any(|a| {
        a.force_new
            || match &a.ty {
                AttributeType::Nested { attributes, .. } => {
                    forces(Shape::of_attributes(attributes))
                }
                AttributeType::Simple(_) => false,
            }
    }) || shape
        .blocks()
        .any(|(_, b)| b.force_new || forces(Shape::of_block(&b.block)))
}

/// A set element reduced to what forces a replacement. Anything deeper than its own attributes counts whole.
fn forcing_part(shape: Shape<'_>, item: &Value) -> Value {
    let attributes = shape.attributes.iter().filter(|(_, a)| {
        a.force_new
            || match &a.ty {
                AttributeType::Nested { attributes, .. } => {
                    forces(Shape::of_attributes(attributes))
                }
                AttributeType::Simple(_) => false,
            }
    });
    let blocks = shape
        .blocks()
        .filter(|(_, b)| b.force_new || forces(Shape::of_block(&b.block)));
    let names = attributes
        .map(|(name, _)| name)
        .chain(blocks.map(|(name, _)| name));
    Value::object(
        names
            .filter_map(|name| Some((Arc::clone(name), item.get(name)?)))
            .collect(),
    )
}

/// Refuses what the published schema of a provider has and stead does not do yet. Unknown counts as configured.
pub(crate) fn check_config(owner: &str, block: &Block, config: &Value) -> Diagnostics {
    let instead = "Leave it out, or use the published provider as a plugin for this configuration.";
    let mut found = refuse_unsupported_with(owner, instead, block, config);
    found.extend(refuse_id(block, config));
    found.extend(check_values(block, config));
    found
}

/// The published providers that call `id` optional and computed do so for each of their types, and take it from nobody: it is
/// not among the arguments that they know (`terraform-plugin-sdk`, `helper/schema`, whose words these are). An id of another type than text is
/// of the newer kind, and may be chosen.
fn refuse_id(block: &Block, config: &Value) -> Option<Diagnostic> {
    let id = block.attributes.get("id")?;
    let given = config.get("id").is_some_and(|id| !id.is_null());
    let is_theirs = id.optional && id.computed && id.value_type() == Type::String;
    (is_theirs && given).then(|| {
        Diagnostic::error(
            "Invalid or unknown key",
            "The provider decides the id: leave it out.",
        )
        .attribute(Path::root().attr("id"))
    })
}

/// The same, for blocks that are no provider's: `instead` says what to do.
pub(crate) fn refuse_unsupported_with(
    owner: &str,
    instead: &str,
    block: &Block,
    config: &Value,
) -> Diagnostics {
    let mut refusals = Refusals {
        owner,
        instead,
        found: Diagnostics::new(),
    };
    refusals.object(Shape::of_block(block), config, &Path::root());
    refusals.found
}

/// Calls with every nested object and its place.
pub(crate) fn each_nested(
    nesting: Nesting,
    value: &Value,
    path: &Path,
    mut visit: impl FnMut(&Value, &Path),
) {
    match (nesting, value.as_entries()) {
        (Nesting::Single | Nesting::Group, _) => visit(value, path),
        (Nesting::Map, Some(entries)) => {
            for (key, item) in entries {
                visit(item, &path.index(Value::string(key)));
            }
        }
        _ => {
            for (i, item) in items(nesting, value).iter().enumerate() {
                let place = if nesting == Nesting::Set {
                    path.index(item.clone())
                } else {
                    path.index_number(i)
                };
                visit(item, &place);
            }
        }
    }
}

struct Refusals<'a> {
    owner: &'a str,
    instead: &'a str,
    found: Diagnostics,
}

impl Refusals<'_> {
    fn object(&mut self, shape: Shape<'_>, config: &Value, path: &Path) {
        for (name, attribute) in shape.attributes {
            let Some(value) = config.get(name).filter(|v| !v.is_null()) else {
                continue;
            };
            let path = path.attr(Arc::clone(name));
            match &attribute.ty {
                _ if attribute.unsupported => self.refuse(&path),
                AttributeType::Nested {
                    nesting,
                    attributes,
                } => {
                    let shape = Shape::of_attributes(attributes);
                    each_nested(*nesting, &value, &path, |item, place| {
                        self.object(shape, item, place);
                    });
                }
                AttributeType::Simple(_) => {}
            }
        }
        for (name, block) in shape.blocks() {
            let Some(value) = config.get(name).filter(|v| !v.is_null()) else {
                continue;
            };
            let path = path.attr(Arc::clone(name));
            if wholly_unsupported(&block.block) {
                if !value.is_known() || !items(block.nesting, &value).is_empty() {
                    self.refuse(&path);
                }
            } else {
                let shape = Shape::of_block(&block.block);
                each_nested(block.nesting, &value, &path, |item, place| {
                    self.object(shape, item, place);
                });
            }
        }
    }

    fn refuse(&mut self, path: &Path) {
        let Refusals { owner, instead, .. } = self;
        let detail = format!("stead does not support `{path}` of {owner} yet. {instead}");
        self.found
            .push(Diagnostic::error("Not supported yet", detail).attribute(path.clone()));
    }
}

/// The schema flags attributes only; a block whose every attribute has the flag is unsupported itself.
fn wholly_unsupported(block: &Block) -> bool {
    let some = !block.attributes.is_empty() || !block.blocks.is_empty();
    some && block.attributes.values().all(|a| a.unsupported)
        && block.blocks.values().all(|b| wholly_unsupported(&b.block))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_published_providers_take_from_nobody_is_refused() {
        let refused = |optional, id: Value| {
            let mut attribute = Attribute::new(Type::String);
            (attribute.optional, attribute.computed) = (optional, true);
            let mut block = Block::default();
            block.attributes.insert("id".into(), attribute);
            let config = Value::object(BTreeMap::from([(Arc::from("id"), id)]));
            let found = check_config("a_thing", &block, &config);
            let found: Vec<Diagnostic> = found.into_iter().collect();
            found.into_iter().map(|d| (d.summary, d.attribute)).next()
        };
        let expected = (
            "Invalid or unknown key".to_owned(),
            Some(Path::root().attr("id")),
        );
        assert_eq!(refused(true, Value::string("x")), Some(expected.clone()));
        assert_eq!(refused(true, Value::unknown(Type::String)), Some(expected));
        assert_eq!(refused(true, Value::null(Type::String)), None);
        assert_eq!(refused(false, Value::string("x")), None);
        // A machine's number may be chosen.
        let mut attribute = Attribute::new(Type::Number);
        (attribute.optional, attribute.computed) = (true, true);
        let mut block = Block::default();
        block.attributes.insert("id".into(), attribute);
        let config = Value::object(BTreeMap::from([(Arc::from("id"), Value::number(120))]));
        assert!(refuse_id(&block, &config).is_none());
    }
}
