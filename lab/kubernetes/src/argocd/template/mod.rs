//! Templates of ApplicationSets: Go templates (the documented subset) and the older `{{name}}` form.

pub(crate) mod functions;
mod parse;

use serde_json::{Map, Value};

use parse::{Expression, Node, Term};

/// How strings are rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// `{{path.basename}}`: parameters by their flat names; unknown ones stay as they are.
    Flat,
    /// Go's `text/template`; `strict`: `missingkey=error`.
    Go { strict: bool },
}

/// Renders every string (and, in Go style, every key) of a value.
pub(crate) fn render_value(
    value: &Value,
    parameters: &Value,
    style: Style,
) -> Result<Value, String> {
    match value {
        Value::String(text) => render(text, parameters, style).map(Value::String),
        Value::Array(items) => items
            .iter()
            .map(|i| render_value(i, parameters, style))
            .collect(),
        Value::Object(map) => {
            let mut out = Map::new();
            for (key, inner) in map {
                out.insert(
                    render(key, parameters, style)?,
                    render_value(inner, parameters, style)?,
                );
            }
            Ok(Value::Object(out))
        }
        other => Ok(other.clone()),
    }
}

pub(crate) fn render(text: &str, parameters: &Value, style: Style) -> Result<String, String> {
    if !text.contains("{{") {
        return Ok(text.to_owned());
    }
    match style {
        Style::Flat => Ok(flat(text, parameters)),
        Style::Go { strict } => {
            let nodes = parse::parse(text)?;
            let mut out = String::new();
            let mut scope = Scope {
                root: parameters,
                variables: Vec::new(),
                strict,
            };
            scope.nodes(&nodes, parameters, &mut out)?;
            Ok(out)
        }
    }
}

fn flat(text: &str, parameters: &Value) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((name, tail)) = after.split_once("}}") else {
            out.push_str("{{");
            rest = after;
            continue;
        };
        match parameters.get(name.trim()) {
            Some(Value::String(value)) => out.push_str(value),
            Some(value) => out.push_str(&value.to_string()),
            None => out.push_str(&format!("{{{{{name}}}}}")),
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

struct Scope<'a> {
    root: &'a Value,
    variables: Vec<(String, Value)>,
    strict: bool,
}

impl Scope<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Value, out: &mut String) -> Result<(), String> {
        let depth = self.variables.len();
        for node in nodes {
            match node {
                Node::Text(text) => out.push_str(text),
                Node::Print(pipeline) => {
                    out.push_str(&functions::print(&self.evaluate(pipeline, dot)?));
                }
                Node::Assign(name, pipeline) => {
                    let value = self.evaluate(pipeline, dot)?;
                    self.variables.push((name.clone(), value));
                }
                Node::If(branches, otherwise) => {
                    let mut taken = None;
                    for (condition, body) in branches {
                        if functions::truth(&self.evaluate(condition, dot)?) {
                            taken = Some(body);
                            break;
                        }
                    }
                    self.nodes(taken.unwrap_or(otherwise), dot, out)?;
                }
                Node::With(pipeline, body, otherwise) => {
                    let value = self.evaluate(pipeline, dot)?;
                    if functions::truth(&value) {
                        self.nodes(body, &value, out)?;
                    } else {
                        self.nodes(otherwise, dot, out)?;
                    }
                }
                Node::Range(names, pipeline, body, otherwise) => {
                    self.range(names, pipeline, (body, otherwise), dot, out)?;
                }
            }
        }
        self.variables.truncate(depth);
        Ok(())
    }

    fn range(
        &mut self,
        names: &[String],
        pipeline: &Expression,
        (body, otherwise): (&[Node], &[Node]),
        dot: &Value,
        out: &mut String,
    ) -> Result<(), String> {
        let items: Vec<(Value, Value)> = match self.evaluate(pipeline, dot)? {
            Value::Array(items) => items
                .into_iter()
                .enumerate()
                .map(|(i, v)| (i.into(), v))
                .collect(),
            Value::Object(map) => {
                let sorted: std::collections::BTreeMap<String, Value> = map.into_iter().collect();
                sorted.into_iter().map(|(k, v)| (k.into(), v)).collect()
            }
            Value::Null => Vec::new(),
            other => return Err(format!("range can't iterate over {other}")),
        };
        if items.is_empty() {
            return self.nodes(otherwise, dot, out);
        }
        for (key, item) in items {
            let depth = self.variables.len();
            match names {
                [one] => self.variables.push((one.clone(), item.clone())),
                [first, second, ..] => {
                    self.variables.push((first.clone(), key));
                    self.variables.push((second.clone(), item.clone()));
                }
                [] => {}
            }
            self.nodes(body, &item, out)?;
            self.variables.truncate(depth);
        }
        Ok(())
    }

    /// A pipeline: each stage's value is the last argument of the next.
    fn evaluate(&self, expression: &Expression, dot: &Value) -> Result<Value, String> {
        let mut piped: Option<Value> = None;
        for call in &expression.stages {
            let Some((head, arguments)) = call.split_first() else {
                return Err("missing value for command".to_owned());
            };
            let mut values = Vec::new();
            for argument in arguments {
                values.push(self.term(argument, dot)?);
            }
            values.extend(piped.take());
            piped = Some(match head {
                Term::Name(name) => functions::call(name, &values)?,
                other if values.is_empty() => self.term(other, dot)?,
                _ => return Err("can't give argument to non-function".to_owned()),
            });
        }
        Ok(piped.unwrap_or(Value::Null))
    }

    fn term(&self, term: &Term, dot: &Value) -> Result<Value, String> {
        match term {
            Term::Literal(value) => Ok(value.clone()),
            Term::Name(name) => functions::call(name, &[]),
            Term::Dot(path) => self.walk(dot, path),
            Term::Variable(name, path) if name.is_empty() => self.walk(self.root, path),
            Term::Variable(name, path) => {
                let found = self.variables.iter().rev().find(|(n, _)| n == name);
                let (_, value) = found.ok_or_else(|| format!("undefined variable \"${name}\""))?;
                self.walk(value, path)
            }
            Term::Group(inner, path) => {
                let value = self.evaluate(inner, dot)?;
                self.walk(&value, path)
            }
        }
    }

    fn walk(&self, value: &Value, path: &[String]) -> Result<Value, String> {
        let mut current = value;
        for field in path {
            current = match current {
                Value::Object(map) => match map.get(field) {
                    Some(inner) => inner,
                    None if self.strict => {
                        return Err(format!("map has no entry for key {field:?}"));
                    }
                    None => return Ok(Value::Null),
                },
                Value::Null => {
                    return if self.strict {
                        Err(format!("nil pointer evaluating interface {{}}.{field}"))
                    } else {
                        Ok(Value::Null)
                    };
                }
                _ => {
                    return Err(format!(
                        "can't evaluate field {field} in type {}",
                        functions::type_name(current)
                    ));
                }
            };
        }
        Ok(current.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn renders_both_styles() {
        let flat_parameters =
            json!({"path": "apps/web", "path.basename": "web", "path[0]": "apps"});
        assert_eq!(
            render(
                "{{path.basename}}-{{ path[0] }}-{{other}}",
                &flat_parameters,
                Style::Flat
            )
            .unwrap(),
            "web-apps-{{other}}"
        );
        let parameters = json!({"path": {"path": "apps/Web", "basename": "Web", "segments": ["apps", "Web"]}, "env": "", "n": 2, "list": ["a", "b"]});
        let go = |t: &str| render(t, &parameters, Style::Go { strict: true });
        for (template, wanted) in [
            ("{{ .path.basename | lower }}", "web"),
            (
                "{{index .path.segments 0}}-{{ index .path.segments 1 | lower }}",
                "apps-web",
            ),
            ("{{ .env | default \"dev\" }}", "dev"),
            ("{{ replace \"/\" \"-\" .path.path }}", "apps-Web"),
            ("{{- if eq .n 2 }}two{{ else }}other{{ end -}}  ", "two"),
            (
                "{{ range $i, $e := .list }}{{ $i }}{{ $e }};{{ end }}",
                "0a;1b;",
            ),
            (
                "{{ printf \"%s-%d\" .path.basename .n | quote }}",
                "\"Web-2\"",
            ),
            (
                "{{ with .env }}x{{ else }}{{ (index .list 1) | upper }}{{ end }}",
                "B",
            ),
            ("{{ $.path.basename }}{{/* no */}}", "Web"),
        ] {
            assert_eq!(go(template).unwrap(), wanted, "{template}");
        }
        assert_eq!(
            go("{{ .nothing }}").unwrap_err(),
            "map has no entry for key \"nothing\""
        );
        assert!(
            go("{{ sprig1 .n }}")
                .unwrap_err()
                .contains("function \"sprig1\" not defined")
        );
        assert!(go("{{ if .n }}").is_err());
        assert_eq!(
            render("{{ .nothing }}", &parameters, Style::Go { strict: false }).unwrap(),
            "<no value>"
        );
    }
}
