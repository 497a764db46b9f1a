//! Diagnostics for machines.

use serde_json::{Value as Json, json};
use stead_value::diag::SourcePos;
use stead_value::json::type_to_json;
use stead_value::{CalledFunction, Diagnostic, FunctionParameter, Severity};

use crate::render::diagnostics::Sources;
use crate::render::snippet::{Snippet, visible};

/// A diagnostic as `validate -json` shows it.
pub(crate) fn diagnostic(diagnostic: &Diagnostic, sources: &Sources) -> Json {
    let mut out = json!({
        "severity": match diagnostic.severity { Severity::Error => "error", Severity::Warning => "warning" },
        "summary": diagnostic.summary,
        "detail": diagnostic.detail,
    });
    if let Some(address) = &diagnostic.address {
        out["address"] = json!(address);
    }
    if let Some(origin) = &diagnostic.origin {
        out["deprecation_origin_description"] = json!(origin);
    }
    if let Some(range) = &diagnostic.subject {
        let range = visible(range);
        let pos = |p: &SourcePos| json!({"line": p.line, "column": p.column, "byte": p.byte});
        out["range"] =
            json!({"filename": &*range.file, "start": pos(&range.start), "end": pos(&range.end)});
        if let Some(snippet) = Snippet::of(diagnostic, sources) {
            out["snippet"] = lines(snippet, diagnostic);
        }
    }
    out
}

fn lines(snippet: Snippet, diagnostic: &Diagnostic) -> Json {
    let mut values: Vec<_> = diagnostic.values.iter().collect();
    values.sort();
    let values = values
        .into_iter()
        .map(|(traversal, statement)| json!({"traversal": traversal, "statement": statement}));
    let mut json = json!({
        "context": snippet.context,
        "code": snippet.code,
        "start_line": snippet.start_line,
        "highlight_start_offset": snippet.start,
        "highlight_end_offset": snippet.end,
        "values": values.collect::<Vec<_>>(),
    });
    if let Some(call) = &diagnostic.call {
        json["function_call"] = called(call);
    }
    json
}

fn called(call: &CalledFunction) -> Json {
    let mut json = json!({ "called_as": call.name });
    if let Some(signature) = &call.signature {
        let parameter =
            |p: &FunctionParameter| json!({"name": p.name, "type": type_to_json(&p.ty)});
        let name = call.name.rsplit("::").next().unwrap_or_default();
        let mut shown = json!({
            "name": name,
            "params": signature.parameters.iter().map(parameter).collect::<Vec<_>>(),
        });
        if let Some(variadic) = &signature.variadic {
            shown["variadic_param"] = parameter(variadic);
        }
        shown["return_type"] = type_to_json(&signature.returns);
        json["signature"] = shown;
    }
    json
}
