//! Types as the console shows them.

use std::fmt::Write as _;

use stead_value::Type;

/// A type, as `type(…)` shows it.
pub(crate) fn ty(ty: &Type) -> String {
    let mut out = String::new();
    write_type(ty, 0, &mut out);
    out
}

fn write_type(ty: &Type, indent: usize, out: &mut String) {
    let pad = |level: usize| "    ".repeat(level);
    match ty {
        Type::Object(object) if object.attributes.is_empty() => out.push_str("object({})"),
        Type::Object(object) => {
            out.push_str("object({\n");
            for (name, ty) in &object.attributes {
                let _ = write!(out, "{}{name}: ", pad(indent + 1));
                write_type(ty, indent + 1, out);
                out.push_str(",\n");
            }
            let _ = write!(out, "{}}})", pad(indent));
        }
        Type::Tuple(elements) if elements.is_empty() => out.push_str("tuple([])"),
        Type::Tuple(elements) => {
            out.push_str("tuple([\n");
            for ty in elements.iter() {
                out.push_str(&pad(indent + 1));
                write_type(ty, indent + 1, out);
                out.push_str(",\n");
            }
            let _ = write!(out, "{}])", pad(indent));
        }
        Type::List(element) => collection("list", element, indent, out),
        Type::Set(element) => collection("set", element, indent, out),
        Type::Map(element) => collection("map", element, indent, out),
        Type::Bool | Type::Number | Type::String | Type::Dynamic => {
            out.push_str(&ty.friendly_name());
        }
    }
}

fn collection(kind: &str, element: &Type, indent: usize, out: &mut String) {
    let _ = write!(out, "{kind}(");
    if matches!(element, Type::Object(_) | Type::Tuple(_)) {
        let _ = write!(out, "\n{}", "    ".repeat(indent + 1));
        write_type(element, indent + 1, out);
        let _ = write!(out, ",\n{}", "    ".repeat(indent));
    } else {
        write_type(element, indent, out);
    }
    out.push(')');
}
