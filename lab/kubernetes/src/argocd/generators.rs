//! Generators of ApplicationSets: what parameters each yields.

use serde_json::{Map, Value, json};

use super::glob;
use super::repository::{Repositories, Tree};
use super::template::{Style, functions::normalize, render_value};
use crate::object::{at, list, text, text_map};
use crate::selector::label_selector_matches;
use crate::yaml;

/// What generating needs beside the generator.
pub(super) struct Context<'a> {
    pub(super) repositories: &'a Repositories,
    pub(super) style: Style,
    /// Whether a repository Secret fits a URL.
    pub(super) has_credentials: &'a (dyn Fn(&str) -> bool + Sync),
}

/// One set of parameters, with the template that the generator itself brings.
#[derive(Clone, Debug)]
pub(super) struct Parameters {
    pub(super) values: Value,
    pub(super) template: Value,
}

/// All parameters of one generator.
pub(super) async fn generate(
    context: &Context<'_>,
    generator: &Value,
    outer: Option<&Value>,
) -> Result<Vec<Parameters>, String> {
    let generator = match outer {
        // In a matrix, the second generator sees the first one's parameters. Its own template is rendered later.
        Some(parameters) => {
            let mut copy = generator.clone();
            let templates = take_templates(&mut copy);
            let mut rendered = render_value(&copy, parameters, context.style)?;
            for (kind, template) in templates {
                crate::object::set(&mut rendered, &[&kind, "template"], template);
            }
            rendered
        }
        None => generator.clone(),
    };
    let map = generator
        .as_object()
        .ok_or("a generator must be an object")?;
    let selector = map.get("selector");
    let kinds: Vec<(&String, &Value)> = map.iter().filter(|(k, _)| *k != "selector").collect();
    let [(kind, body)] = kinds.as_slice() else {
        return Err("found no generator, or several, in one entry of generators".to_owned());
    };
    let values = match kind.as_str() {
        "list" => elements(context, body)?,
        "git" => git(context, body).await?,
        "clusters" => clusters(context, body),
        "matrix" => return select(selector, Box::pin(matrix(context, body)).await?),
        "merge" => return select(selector, Box::pin(merge(context, body)).await?),
        other => return Err(format!("the lab does not simulate the generator {other:?}")),
    };
    let template = at(body, &["template"]).clone();
    let all = values
        .into_iter()
        .map(|values| Parameters {
            values,
            template: template.clone(),
        })
        .collect();
    select(selector, all)
}

fn take_templates(generator: &mut Value) -> Vec<(String, Value)> {
    let mut out = Vec::new();
    for (kind, body) in generator.as_object_mut().into_iter().flatten() {
        if let Some(template) = crate::object::remove(body, &["template"]) {
            out.push((kind.clone(), template));
        }
    }
    out
}

/// A generator's `selector` looks at the (flat) parameters as if they were labels.
fn select(selector: Option<&Value>, all: Vec<Parameters>) -> Result<Vec<Parameters>, String> {
    let Some(selector) = selector.filter(|s| !s.is_null()) else {
        return Ok(all);
    };
    Ok(all
        .into_iter()
        .filter(|p| label_selector_matches(selector, &text_map(&flattened(&p.values))))
        .collect())
}

fn flattened(values: &Value) -> Value {
    fn visit(prefix: &str, value: &Value, out: &mut Map<String, Value>) {
        match value {
            Value::Object(map) => {
                for (key, inner) in map {
                    let path = if prefix.is_empty() {
                        key.clone()
                    } else {
                        format!("{prefix}.{key}")
                    };
                    visit(&path, inner, out);
                }
            }
            Value::Array(items) => items
                .iter()
                .enumerate()
                .for_each(|(i, v)| visit(&format!("{prefix}[{i}]"), v, out)),
            Value::String(text) => drop(out.insert(prefix.to_owned(), text.as_str().into())),
            other => drop(out.insert(prefix.to_owned(), other.to_string().into())),
        }
    }
    let mut out = Map::new();
    visit("", values, &mut out);
    Value::Object(out)
}

fn is_go(context: &Context<'_>) -> bool {
    matches!(context.style, Style::Go { .. })
}

fn elements(context: &Context<'_>, body: &Value) -> Result<Vec<Value>, String> {
    let mut all: Vec<Value> = list(body, &["elements"]).to_vec();
    let inline = text(body, &["elementsYaml"]);
    if !inline.is_empty() {
        match yaml::document(inline)
            .map_err(|e| format!("error unmarshling decoded ElementsYaml {e}"))?
        {
            Value::Array(items) => all.extend(items),
            _ => return Err("error unmarshling decoded ElementsYaml: expected a list".to_owned()),
        }
    }
    Ok(if is_go(context) {
        all
    } else {
        all.iter().map(flattened).collect()
    })
}

fn clusters(context: &Context<'_>, body: &Value) -> Vec<Value> {
    // Only the cluster itself is there; it has no Secret, so that a selector never selects it.
    let selector = at(body, &["selector"]);
    let selects = selector
        .as_object()
        .is_some_and(|s| s.values().any(|v| !v.is_null()));
    if selects {
        return Vec::new();
    }
    let name = "in-cluster";
    let mut values =
        json!({"name": name, "nameNormalized": name, "server": super::IN_CLUSTER, "project": ""});
    if is_go(context) {
        crate::object::set(
            &mut values,
            &["metadata"],
            json!({"labels": {}, "annotations": {}}),
        );
        crate::object::set(&mut values, &["values"], at(body, &["values"]).clone());
    } else {
        for (key, value) in text_map(at(body, &["values"])) {
            crate::object::set(&mut values, &[&format!("values.{key}")], value.into());
        }
    }
    vec![values]
}

async fn git(context: &Context<'_>, body: &Value) -> Result<Vec<Value>, String> {
    let (url, revision) = (text(body, &["repoURL"]), text(body, &["revision"]));
    let tree = context
        .repositories
        .tree(url, revision, (context.has_credentials)(url))
        .await?;
    let mut out = Vec::new();
    if body.get("directories").is_some() {
        for folder in directories(&tree, list(body, &["directories"])) {
            out.push(path_parameters(context, body, &folder, None));
        }
    } else if body.get("files").is_some() {
        for file in chosen_files(&tree, list(body, &["files"])) {
            let content = tree.files.get(&file).map(Vec::as_slice).unwrap_or_default();
            let content = std::str::from_utf8(content)
                .map_err(|_| format!("unable to process file '{file}': not UTF-8"))?;
            let parsed = yaml::document(content)
                .map_err(|e| format!("unable to process file '{file}': {e}"))?;
            let objects = match parsed {
                Value::Array(items) => items,
                Value::Null => vec![json!({})],
                one => vec![one],
            };
            for object in objects {
                let mut values = if is_go(context) {
                    object
                } else {
                    flattened(&object)
                };
                let folder = file.rsplit_once('/').map_or("", |(f, _)| f);
                let name = file.rsplit('/').next().unwrap_or(&file);
                let path = path_parameters(context, body, folder, Some(name));
                for (key, value) in path.as_object().cloned().unwrap_or_default() {
                    crate::object::set(&mut values, &[&key], value);
                }
                out.push(values);
            }
        }
    } else {
        return Err("the git generator needs directories or files".to_owned());
    }
    Ok(out)
}

/// Every folder that matches one of the patterns, and no excluding one.
fn directories(tree: &Tree, patterns: &[Value]) -> Vec<String> {
    let mut all = std::collections::BTreeSet::new();
    for file in tree.files.keys() {
        let mut folder = file.as_str();
        while let Some((parent, _)) = folder.rsplit_once('/') {
            if !parent.split('/').any(|s| s.starts_with('.')) {
                all.insert(parent.to_owned());
            }
            folder = parent;
        }
    }
    let matches = |folder: &String, excluding: bool| {
        patterns
            .iter()
            .filter(|p| (at(p, &["exclude"]).as_bool() == Some(true)) == excluding)
            .any(|p| {
                glob::matches(text(p, &["path"]).trim_end_matches('/'), folder)
                    || text(p, &["path"]) == "*" && !folder.contains('/')
            })
    };
    all.into_iter()
        .filter(|f| matches(f, false) && !matches(f, true))
        .collect()
}

fn chosen_files(tree: &Tree, patterns: &[Value]) -> Vec<String> {
    let matches = |file: &String, excluding: bool| {
        patterns
            .iter()
            .filter(|p| (at(p, &["exclude"]).as_bool() == Some(true)) == excluding)
            .any(|p| glob::matches(text(p, &["path"]), file))
    };
    tree.files
        .keys()
        .filter(|f| matches(f, false) && !matches(f, true))
        .cloned()
        .collect()
}

fn path_parameters(context: &Context<'_>, body: &Value, folder: &str, file: Option<&str>) -> Value {
    let prefix = text(body, &["pathParamPrefix"]);
    let base = folder.rsplit('/').next().unwrap_or(folder);
    let segments: Vec<&str> = folder.split('/').filter(|s| !s.is_empty()).collect();
    if is_go(context) {
        let mut path = json!({"path": folder, "basename": base, "basenameNormalized": normalize(base), "segments": segments});
        if let Some(file) = file {
            crate::object::set(&mut path, &["filename"], file.into());
            crate::object::set(&mut path, &["filenameNormalized"], normalize(file).into());
        }
        let mut out = if prefix.is_empty() {
            json!({"path": path})
        } else {
            json!({prefix: {"path": path}})
        };
        if body.get("values").is_some_and(Value::is_object) {
            let values = render_value(at(body, &["values"]), &out, context.style)
                .unwrap_or_else(|_| at(body, &["values"]).clone());
            crate::object::set(&mut out, &["values"], values);
        }
        return out;
    }
    let head = if prefix.is_empty() {
        "path".to_owned()
    } else {
        format!("{prefix}.path")
    };
    let mut out = Map::new();
    out.insert(head.clone(), folder.into());
    out.insert(format!("{head}.basename"), base.into());
    out.insert(format!("{head}.basenameNormalized"), normalize(base).into());
    for (index, segment) in segments.iter().enumerate() {
        out.insert(format!("{head}[{index}]"), (*segment).into());
    }
    if let Some(file) = file {
        out.insert(format!("{head}.filename"), file.into());
        out.insert(format!("{head}.filenameNormalized"), normalize(file).into());
    }
    let all = Value::Object(out.clone());
    for (key, value) in text_map(at(body, &["values"])) {
        let rendered = super::template::render(&value, &all, context.style).unwrap_or(value);
        out.insert(format!("values.{key}"), rendered.into());
    }
    Value::Object(out)
}

async fn matrix(context: &Context<'_>, body: &Value) -> Result<Vec<Parameters>, String> {
    let [first, second] = list(body, &["generators"]) else {
        return Err("found more or less than two generators, Matrix support only two".to_owned());
    };
    let mut out = Vec::new();
    for a in generate(context, first, None).await? {
        for b in generate(context, second, Some(&a.values)).await? {
            let values = combine(&a.values, &b.values, is_go(context));
            out.push(Parameters {
                values,
                template: at(body, &["template"]).clone(),
            });
        }
    }
    Ok(out)
}

/// Both sets; in Go style maps are merged deeply. The second set wins.
fn combine(a: &Value, b: &Value, deep: bool) -> Value {
    let mut out = a.clone();
    for (key, value) in b.as_object().into_iter().flatten() {
        let merged = match a.get(key) {
            Some(old @ Value::Object(_)) if deep && value.is_object() => combine(old, value, deep),
            _ => value.clone(),
        };
        crate::object::set(&mut out, &[key], merged);
    }
    out
}

async fn merge(context: &Context<'_>, body: &Value) -> Result<Vec<Parameters>, String> {
    let keys: Vec<&str> = list(body, &["mergeKeys"])
        .iter()
        .filter_map(Value::as_str)
        .collect();
    if keys.is_empty() {
        return Err("no merge keys were specified, Merge requires at least one".to_owned());
    }
    let generators = list(body, &["generators"]);
    let Some((first, rest)) = generators.split_first().filter(|(_, r)| !r.is_empty()) else {
        return Err("found less than two generators, Merge requires two or more".to_owned());
    };
    let identity = |values: &Value| -> Vec<Value> {
        keys.iter()
            .map(|k| {
                values
                    .get(*k)
                    .cloned()
                    .unwrap_or_else(|| at(values, &k.split('.').collect::<Vec<_>>()).clone())
            })
            .collect()
    };
    let mut base = generate(context, first, None).await?;
    for other in rest {
        for extra in generate(context, other, None).await? {
            for found in base
                .iter_mut()
                .filter(|b| identity(&b.values) == identity(&extra.values))
            {
                found.values = combine(&found.values, &extra.values, is_go(context));
            }
        }
    }
    for parameters in &mut base {
        parameters.template = at(body, &["template"]).clone();
    }
    Ok(base)
}
