//! References between what is written: an attribute that repeats another object's name refers to that object.

use std::collections::HashMap;
use std::sync::Arc;

use stead_engine::plan::Generated;
use stead_lang::syntax::{Body, Expr, ExprKind, SourceFile, Span, TemplatePart, parse_file};

/// How others refer to objects of a type: an attribute of theirs, and the attribute of the type that it repeats.
type ReferredAs<'a> = &'a dyn Fn(&str) -> &'static [(&'static str, &'static str)];

/// The objects that an attribute may mean, by its name and its text.
type Targets = HashMap<&'static str, HashMap<String, Vec<Target>>>;

struct Target {
    /// The position of its object.
    object: usize,
    reference: String,
}

/// A text, and where it stands.
struct Literal<'a> {
    attribute: &'a str,
    text: String,
    span: Span,
}

/// Makes literals refer to what they name. One that may mean several objects stays as it is.
pub(super) fn refer(objects: &mut [Generated], referred_as: ReferredAs<'_>) {
    let bodies: Vec<Body> = objects.iter().map(|object| parse(&object.text)).collect();
    let targets = targets(objects, &bodies, referred_as);
    for (index, (object, body)) in objects.iter_mut().zip(&bodies).enumerate() {
        let mut found = Vec::new();
        literals(body, &mut found);
        // From the end, so that what comes before keeps its place.
        found.sort_by_key(|literal| std::cmp::Reverse(literal.span.start));
        for literal in found {
            let named = targets.get(literal.attribute);
            let named = named.and_then(|named| named.get(&literal.text));
            let Some([target]) = named.map(Vec::as_slice) else {
                continue;
            };
            let span = literal.span.start as usize..literal.span.end as usize;
            if target.object != index && object.text.get(span.clone()).is_some() {
                object.text.replace_range(span, &target.reference);
            }
        }
    }
}

fn parse(text: &str) -> Body {
    let file = Arc::new(SourceFile::new("discovered.tf", text));
    parse_file(&file).0
}

fn targets(objects: &[Generated], bodies: &[Body], referred_as: ReferredAs<'_>) -> Targets {
    let mut targets = Targets::new();
    for (index, (object, body)) in objects.iter().zip(bodies).enumerate() {
        let Some(block) = body.blocks.first() else {
            continue;
        };
        for (foreign, own) in referred_as(&object.address.resource.type_name) {
            let named = block.body.attribute(own).and_then(|a| text(a.expr.node()));
            if let Some(named) = named {
                let target = Target {
                    object: index,
                    reference: format!("{}.{own}", object.address),
                };
                let of_name = targets.entry(foreign).or_default();
                of_name.entry(named).or_default().push(target);
            }
        }
    }
    targets
}

/// Every literal of a body, blocks and lists included.
fn literals<'a>(body: &'a Body, found: &mut Vec<Literal<'a>>) {
    for attribute in body.attributes.values() {
        let node = attribute.expr.node();
        let items = match &node.kind {
            ExprKind::Tuple(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        for item in items {
            if let Some(text) = text(item) {
                found.push(Literal {
                    attribute: &attribute.name,
                    text,
                    span: item.span,
                });
            }
        }
    }
    for block in &body.blocks {
        literals(&block.body, found);
    }
}

/// The text of a string or a number.
fn text(expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Literal(value) => value.as_number().map(ToString::to_string),
        ExprKind::Template(parts) => match parts.as_slice() {
            [TemplatePart::Literal { text, .. }] => Some(text.to_string()),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use stead_sdk::ImportBy;
    use stead_state::parse_resource_instance;

    use super::*;

    fn object(address: &str, text: &str) -> Generated {
        Generated {
            address: parse_resource_instance(address).expect("an address"),
            by: ImportBy::Id(String::new()),
            text: text.to_owned(),
        }
    }

    fn referred(objects: &mut [Generated]) -> Vec<String> {
        refer(objects, &|type_name| match type_name {
            "x_pool" => &[("pool_id", "pool_id")],
            "x_group" => &[("groups", "name")],
            "x_vm" => &[("vm_id", "vm_id")],
            _ => &[],
        });
        objects.iter().map(|o| o.text.clone()).collect()
    }

    #[test]
    fn what_names_another_object_refers_to_it() {
        let mut objects = [
            object(
                "x_pool.a",
                "resource \"x_pool\" \"a\" {\n  pool_id = \"a\"\n}",
            ),
            object(
                "x_group.g",
                "resource \"x_group\" \"g\" {\n  name = \"g\"\n}",
            ),
            object(
                "x_vm.v",
                "resource \"x_vm\" \"v\" {\n  vm_id   = 100\n  pool_id = \"a\"\n}",
            ),
            object(
                "x_rules.r",
                "resource \"x_rules\" \"r\" {\n  vm_id  = 100\n  groups = [\"other\", \"g\"]\n  inner {\n    pool_id = \"a\"\n  }\n}",
            ),
        ];
        let texts = referred(&mut objects);
        assert_eq!(
            texts[2],
            "resource \"x_vm\" \"v\" {\n  vm_id   = 100\n  pool_id = x_pool.a.pool_id\n}"
        );
        assert_eq!(
            texts[3],
            "resource \"x_rules\" \"r\" {\n  vm_id  = x_vm.v.vm_id\n  groups = [\"other\", x_group.g.name]\n  inner {\n    pool_id = x_pool.a.pool_id\n  }\n}"
        );
        // An object is not made to refer to itself.
        assert!(texts[0].contains("pool_id = \"a\""));
    }

    #[test]
    fn what_may_mean_several_objects_stays() {
        let text = "resource \"x_pool\" \"a\" {\n  pool_id = \"a\"\n}";
        let user = "resource \"x_vm\" \"v\" {\n  pool_id = \"a\"\n}";
        let mut objects = [
            object("x_pool.a", text),
            object("x_pool.b", text),
            object("x_vm.v", user),
        ];
        assert_eq!(referred(&mut objects)[2], user);
    }
}
