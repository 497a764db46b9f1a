//! `$patch: delete`: finds the marks in a patch and applies them to documents.

use super::PatchError;
use crate::machinery::schema::{Document, Schema, Type};
use crate::machinery::value::{Fields, Value};
use crate::machinery::yaml::{Node, NodeKind};

/// One thing to delete.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Selector {
    path: Vec<String>,
    kind: String,
    name: String,
    /// For list elements: the key and text that choose the element.
    element: Option<(String, String)>,
}

/// What a selector did to a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Applied {
    Changed,
    DocumentGone,
}

/// Takes the delete marks out of a patch document; `None` when nothing else is left of it.
pub(super) fn extract_deletes(mut node: Node) -> Result<(Vec<Selector>, Option<Node>), String> {
    let mut found = Vec::new();
    let mut path = Vec::new();
    let gone = collect(&mut node, false, &mut path, &mut found)?;
    if found.is_empty() {
        return Ok((Vec::new(), Some(node)));
    }
    let root_kind = node.text_of("kind").to_owned();
    let version = node.text_of("apiVersion").to_owned();
    let name = node.text_of("name").to_owned();
    let mut selectors = Vec::with_capacity(found.len());
    for (path, element) in found {
        if path.is_empty() {
            for (key, value) in [("apiVersion", &version), ("kind", &root_kind)] {
                if value.is_empty() {
                    return Err(format!(
                        "missing {key} in document for which $patch: delete is used"
                    ));
                }
            }
        }
        let kind = match (root_kind.as_str(), version.as_str()) {
            ("", "") => "v1alpha1",
            ("", _) | (_, "") => {
                return Err(format!(
                    "kind and apiVersion must be both set for path {}",
                    path.join(".")
                ));
            }
            (kind, _) => kind,
        };
        selectors.push(Selector {
            path,
            kind: kind.to_owned(),
            name: name.clone(),
            element,
        });
    }
    let left = !gone && !only_identity(&node);
    Ok((selectors, left.then_some(node)))
}

/// A path with the key and text that choose a list element there.
type Found = (Vec<String>, Option<(String, String)>);

/// Walks the tree; returns whether the node itself is to go.
fn collect(
    node: &mut Node,
    in_list: bool,
    path: &mut Vec<String>,
    found: &mut Vec<Found>,
) -> Result<bool, String> {
    match &mut node.kind {
        NodeKind::Scalar(_) => Ok(false),
        NodeKind::Map(pairs) => {
            if pairs.iter().any(is_mark) {
                let element = if in_list {
                    Some(element_key(pairs).ok_or_else(|| {
                        format!(
                            "no key:val found in sequence node for path {}",
                            path.join(".")
                        )
                    })?)
                } else if path.iter().any(|p| p.starts_with('[')) {
                    return Err(format!(
                        "cannot delete an inner key in '{}'",
                        path.join(".")
                    ));
                } else {
                    None
                };
                found.push((path.clone(), element));
                return Ok(true);
            }
            let before = pairs.len();
            let mut error = None;
            pairs.retain_mut(|(key, value)| {
                path.push(key.as_scalar().map_or_else(String::new, |s| s.text.clone()));
                let result = if error.is_none() {
                    collect(value, false, path, found)
                } else {
                    Ok(false)
                };
                path.pop();
                !result.unwrap_or_else(|e| {
                    error = Some(e);
                    false
                })
            });
            error.map_or(Ok(pairs.is_empty() && before > 0), Err)
        }
        NodeKind::Seq(items) => {
            let before = items.len();
            let mut index = 0;
            let mut error = None;
            items.retain_mut(|item| {
                path.push(format!("[{index}]"));
                let result = if error.is_none() {
                    collect(item, true, path, found)
                } else {
                    Ok(false)
                };
                path.pop();
                let gone = result.unwrap_or_else(|e| {
                    error = Some(e);
                    false
                });
                // Talos counts the elements that are left, not those that were written.
                index += usize::from(!gone);
                !gone
            });
            error.map_or(Ok(items.is_empty() && before > 0), Err)
        }
    }
}

fn is_mark(pair: &(Node, Node)) -> bool {
    let text = |n: &Node| n.as_scalar().map(|s| s.text.clone());
    text(&pair.0).as_deref() == Some("$patch") && text(&pair.1).as_deref() == Some("delete")
}

/// The first other key and its text.
fn element_key(pairs: &[(Node, Node)]) -> Option<(String, String)> {
    let (key, value) = pairs.iter().find(|p| !is_mark(p))?;
    Some((
        key.as_scalar()?.text.clone(),
        value
            .as_scalar()
            .map_or_else(String::new, |s| s.text.clone()),
    ))
}

/// Whether nothing but identity is left, by the names Talos looks for: `apiVersion` is not among
/// them, so such a document still goes through the merge there.
fn only_identity(node: &Node) -> bool {
    node.as_map().is_some_and(|pairs| {
        pairs.iter().all(|(k, v)| {
            v.as_scalar().is_some()
                && k.as_scalar()
                    .is_some_and(|s| matches!(s.text.as_str(), "version" | "kind" | "name"))
        })
    })
}

impl Selector {
    pub(super) fn is_legacy(&self) -> bool {
        self.kind == "v1alpha1"
    }

    pub(super) fn identity(&self) -> (String, String) {
        let name = if self.is_legacy() {
            String::new()
        } else {
            self.name.clone()
        };
        (self.kind.clone(), name)
    }

    /// The document's kind, with its name if it has one, for people.
    pub(super) fn label(&self) -> String {
        match self.identity() {
            (kind, name) if name.is_empty() => kind,
            (kind, name) => format!("{kind} {name:?}"),
        }
    }

    pub(super) fn apply(&self, document: &mut Document) -> Result<Applied, PatchError> {
        let path = self.path.join(".");
        let version = if document.is_legacy() { "" } else { "v1alpha1" };
        let fail = |reason: &str| {
            let what = format!("{version}/{}", document.kind());
            let reason = if self.path.is_empty() {
                reason.to_owned()
            } else {
                format!("failed to delete path '{path}': {reason}")
            };
            PatchError::Delete(if self.name.is_empty() {
                format!("patch delete: path '{path}' in document '{what}': {reason}")
            } else {
                format!("named patch delete: document {what}: {reason}")
            })
        };
        if self.path.is_empty() {
            if document.is_legacy() {
                return Err(fail("can't delete the root of the legacy document"));
            }
            return Ok(Applied::DocumentGone);
        }
        let result = delete_in_struct(
            &mut document.fields.clone(),
            document.struct_name(),
            &self.path,
            self.element.as_ref(),
        );
        match result {
            Ok(fields) => {
                document.fields = fields;
                Ok(Applied::Changed)
            }
            Err(reason) => Err(fail(reason)),
        }
    }
}

const LOOKUP_FAILED: &str = "lookup failed";

type Element<'a> = Option<&'a (String, String)>;

fn delete_in_struct(
    fields: &mut Fields,
    struct_name: &str,
    path: &[String],
    element: Element<'_>,
) -> Result<Fields, &'static str> {
    let structure = Schema::get().structure(struct_name).ok_or(LOOKUP_FAILED)?;
    let [key, rest @ ..] = path else {
        return Err("path is empty");
    };
    let field = structure
        .fields
        .iter()
        .find(|f| f.name == key)
        .ok_or(LOOKUP_FAILED)?;
    if rest.is_empty() {
        // Setting a struct field to zero succeeds whether or not it was set.
        fields.shift_remove(key);
        return Ok(std::mem::take(fields));
    }
    let ty = &field.ty;
    let inner = match ty {
        Type::Pointer(inner) => inner,
        other => other,
    };
    let value = match (fields.get(key), inner) {
        (Some(value), _) => value.clone(),
        // A struct by value is there even when nothing in it is set.
        (None, Type::Struct(_)) if !matches!(ty, Type::Pointer(_)) => Value::Map(Fields::new()),
        (None, _) => return Err(LOOKUP_FAILED),
    };
    let changed = delete_in(value, inner, rest, element)?;
    fields.insert(key.clone(), changed);
    Ok(std::mem::take(fields))
}

fn delete_in(
    value: Value,
    ty: &Type,
    path: &[String],
    element: Element<'_>,
) -> Result<Value, &'static str> {
    let [key, rest @ ..] = path else {
        return Err("path is empty");
    };
    match (ty, value) {
        (Type::Pointer(inner), value) => delete_in(value, inner, path, element),
        (Type::Struct(name), Value::Map(mut fields)) => {
            delete_in_struct(&mut fields, name, path, element).map(Value::Map)
        }
        (Type::Map(_) | Type::Args | Type::Any, Value::Map(mut fields)) => {
            if rest.is_empty() {
                fields.shift_remove(key).ok_or(LOOKUP_FAILED)?;
                return Ok(Value::Map(fields));
            }
            let inner = fields.get(key).cloned().ok_or(LOOKUP_FAILED)?;
            let element_type = match ty {
                Type::Map(inner) => inner,
                _ => &Type::Any,
            };
            let changed = delete_in(inner, element_type, rest, element)?;
            fields.insert(key.clone(), changed);
            Ok(Value::Map(fields))
        }
        (Type::List(inner), Value::List(items)) => {
            delete_element(items, inner, key, rest, element).map(Value::List)
        }
        // Elements of free-form lists are maps in Go, which Talos does not search.
        (Type::Any, Value::List(items)) => {
            delete_element(items, &Type::Any, key, rest, element).map(Value::List)
        }
        _ => Err(LOOKUP_FAILED),
    }
}

fn delete_element(
    mut items: Vec<Value>,
    ty: &Type,
    key: &str,
    rest: &[String],
    element: Element<'_>,
) -> Result<Vec<Value>, &'static str> {
    if !rest.is_empty() {
        return Err("searching for complex paths in slices is not supported");
    }
    if !key.starts_with('[') {
        return Err("searching for non-integer keys in slices is not supported");
    }
    let inner = match ty {
        Type::Pointer(inner) => inner,
        other => other,
    };
    let (Type::Struct(_), Some((name, wanted))) = (inner, element) else {
        return Err(LOOKUP_FAILED);
    };
    let at = items
        .iter()
        .position(|item| {
            item.as_map().is_some_and(|fields| {
                fields.get(name).and_then(Value::as_str).unwrap_or("") == wanted
            })
        })
        .ok_or(LOOKUP_FAILED)?;
    items.remove(at);
    Ok(items)
}
