//! Functions over files and paths.

use std::io::ErrorKind;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest;
use stead_value::convert::convert;
use stead_value::{Marks, Type, Value};

use super::hashes::{digest, hex};
use super::{Call, FunctionError, Outcome, shown};

/// The path with the user's home in place of a leading `~`.
fn expanded(call: &Call<'_>, path: &str) -> Result<String, FunctionError> {
    let Some(rest) = path.strip_prefix('~') else {
        return Ok(path.to_owned());
    };
    if !rest.is_empty() && !rest.starts_with('/') {
        return Err(FunctionError::new(
            "failed to expand ~: cannot expand user-specific home dir",
        ));
    }
    match call.context.home_directory() {
        Some(home) => Ok(clean(&format!("{home}/{rest}"))),
        None => Err(FunctionError::new(
            "failed to expand ~: the home directory is not known",
        )),
    }
}

/// The shortest path that means the same, by text alone: no `.`, no doubled slashes, `..` resolved where possible.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|p| *p != "..") => _ = parts.pop(),
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".into(),
        (false, false) => joined,
    }
}

fn read(call: &Call<'_>, path: &str, marks: Marks) -> Result<Vec<u8>, FunctionError> {
    let full = clean(&expanded(call, path)?);
    call.context.files().read(Path::new(&full)).map_err(|e| {
        let path = shown(path, marks);
        FunctionError::argument(
            0,
            match e.kind() {
                ErrorKind::NotFound => format!("no file exists at {path}; this function works only with files that are distributed as part of the configuration source code, so if this file will be created by a resource in this configuration you must instead obtain this result from an attribute of that resource"),
                ErrorKind::IsADirectory if !marks.contains(Marks::SENSITIVE) => format!("failed to read file: read {full}: is a directory"),
                _ if marks.contains(Marks::SENSITIVE) => format!("failed to read file {path}"),
                _ => format!("failed to read file {path}: {e}"),
            },
        )
    })
}

fn read_text(call: &Call<'_>, path: &str, marks: Marks) -> Result<String, FunctionError> {
    String::from_utf8(read(call, path, marks)?).map_err(|_| {
        let path = shown(path, marks);
        FunctionError::new(format!("contents of {path} are not valid UTF-8; use the filebase64 function to obtain the Base64 encoded contents or the other file functions (e.g. filemd5, filesha256) to obtain file hashing results instead"))
    })
}

pub(super) fn file(call: &Call<'_>) -> Outcome {
    let marks = call.arg(0).marks();
    let Some(path) = call.arg(0).as_str() else {
        return Ok(Value::unknown(Type::String).with_marks(marks));
    };
    Ok(Value::string(read_text(call, path, marks)?).with_marks(marks))
}

pub(super) fn filebase64(call: &Call<'_>) -> Outcome {
    let marks = call.arg(0).marks();
    let Some(path) = call.arg(0).as_str() else {
        return Ok(Value::unknown(Type::String).with_marks(marks));
    };
    Ok(Value::string(STANDARD.encode(read(call, path, marks)?)).with_marks(marks))
}

fn hashed<D: Digest>(call: &Call<'_>, encode: fn(&[u8]) -> String) -> Outcome {
    Ok(Value::string(encode(&digest::<D>(&read(
        call,
        call.text(0),
        Marks::NONE,
    )?))))
}

fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn filemd5(call: &Call<'_>) -> Outcome {
    hashed::<md5::Md5>(call, hex)
}

pub(super) fn filesha1(call: &Call<'_>) -> Outcome {
    hashed::<sha1::Sha1>(call, hex)
}

pub(super) fn filesha256(call: &Call<'_>) -> Outcome {
    hashed::<sha2::Sha256>(call, hex)
}

pub(super) fn filesha512(call: &Call<'_>) -> Outcome {
    hashed::<sha2::Sha512>(call, hex)
}

pub(super) fn filebase64sha256(call: &Call<'_>) -> Outcome {
    hashed::<sha2::Sha256>(call, base64)
}

pub(super) fn filebase64sha512(call: &Call<'_>) -> Outcome {
    hashed::<sha2::Sha512>(call, base64)
}

pub(super) fn fileexists(call: &Call<'_>) -> Outcome {
    let marks = call.arg(0).marks();
    let Some(path) = call.arg(0).as_str() else {
        return Ok(Value::unknown(Type::Bool).with_marks(marks));
    };
    let full = clean(&expanded(call, path)?);
    let files = call.context.files();
    let exists = files.exists(Path::new(&full));
    if !exists && files.list(Path::new(&full)).is_ok() {
        let message = format!("{} is a directory, not a file", shown(&full, marks));
        return Err(FunctionError::new(message));
    }
    Ok(Value::bool(exists).with_marks(marks))
}

pub(super) fn fileset(call: &Call<'_>) -> Outcome {
    let marks = call.arg(0).marks().union(call.arg(1).marks());
    let (Some(path), Some(pattern)) = (call.arg(0).as_str(), call.arg(1).as_str()) else {
        return Ok(Value::unknown(Type::set(Type::String)).with_marks(marks));
    };
    let pattern = clean(pattern);
    if pattern.starts_with("..") {
        return Err(FunctionError::argument(
            1,
            "the pattern must not lead out of the directory",
        ));
    }
    let glob = super::glob::Glob::parse(&pattern).ok_or_else(|| {
        FunctionError::new(format!(
            "failed to glob pattern {}: syntax error in pattern",
            shown(&pattern, marks)
        ))
    })?;
    let base = clean(path);
    let (prefix, deep) = glob.literal_directory();
    let directory = clean(&format!("{base}/{prefix}"));
    let files = call.context.files();
    let listing = if deep {
        files.walk(Path::new(&directory))
    } else {
        files.list(Path::new(&directory))
    };
    let names = match listing {
        Ok(names) => names,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Vec::new(),
        Err(_) => {
            let message = format!("failed to read the directory {}", shown(&directory, marks));
            return Err(FunctionError::new(message));
        }
    };
    let matching = names
        .iter()
        .map(|name| {
            if prefix.is_empty() {
                name.clone()
            } else {
                format!("{prefix}/{name}")
            }
        })
        .filter(|name| glob.matches(name))
        .map(Value::string)
        .collect();
    Ok(Value::set(Type::String, matching).with_marks(marks))
}

pub(super) fn basename(call: &Call<'_>) -> Outcome {
    let path = call.text(0);
    if path.is_empty() {
        return Ok(Value::string("."));
    }
    let trimmed = path.trim_end_matches('/');
    let last = trimmed.rsplit('/').next().filter(|l| !l.is_empty());
    Ok(Value::string(last.unwrap_or("/")))
}

pub(super) fn dirname(call: &Call<'_>) -> Outcome {
    let directory = call
        .text(0)
        .rfind('/')
        .and_then(|at| call.text(0).get(..=at))
        .unwrap_or_default();
    Ok(Value::string(clean(directory)))
}

pub(super) fn abspath(call: &Call<'_>) -> Outcome {
    let path = call.text(0);
    if path.starts_with('/') {
        return Ok(Value::string(clean(path)));
    }
    match call.context.working_directory() {
        Some(directory) => Ok(Value::string(clean(&format!("{directory}/{path}")))),
        None => Err(FunctionError::new("the working directory is not known")),
    }
}

pub(super) fn pathexpand(call: &Call<'_>) -> Outcome {
    expanded(call, call.text(0)).map(Value::string)
}

/// Checks a template's variables and takes off their marks.
fn variables(call: &Call<'_>) -> Result<(Value, Marks), FunctionError> {
    let (vars, marks) = call.arg(1).clone().unmark_deep();
    let wrong = |message: String| FunctionError::argument(1, message);
    if !matches!(vars.ty(), Type::Map(_) | Type::Object(_)) {
        return Err(wrong("invalid vars value: must be a map".into()));
    }
    for name in vars.as_entries().into_iter().flatten().map(|(k, _)| k) {
        if !is_identifier(name) {
            return Err(wrong(format!(
                "invalid template variable name {name:?}: must start with a letter, followed by zero or more letters, digits, and underscores"
            )));
        }
    }
    Ok((vars, marks))
}

fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(unicode_ident::is_xid_start)
        && chars.all(|c| c == '-' || unicode_ident::is_xid_continue(c))
}

pub(super) fn templatefile(call: &Call<'_>) -> Outcome {
    let path_marks = call.arg(0).marks();
    let all_marks = path_marks.union(call.arg(1).marks_deep());
    let Some(path) = call.arg(0).as_str().filter(|_| call.arg(1).is_known()) else {
        return Ok(Value::dynamic().with_marks(all_marks));
    };
    let text = read_text(call, path, path_marks)?;
    let (vars, _) = variables(call)?;
    let result = call
        .context
        .render_template(path, &text, &vars, true)
        .map_err(FunctionError::new)?;
    Ok(result.with_marks(all_marks))
}

pub(super) fn templatestring(call: &Call<'_>) -> Outcome {
    let template_marks = call.arg(0).marks();
    let all_marks = template_marks.union(call.arg(1).marks_deep());
    let Some(text) = call.arg(0).as_str().filter(|_| call.arg(1).is_known()) else {
        return Ok(Value::unknown(Type::String).with_marks(all_marks));
    };
    let (vars, _) = variables(call)?;
    let result = call
        .context
        .render_template("<templatestring argument>", text, &vars, false)
        .map_err(FunctionError::new)?;
    let result = convert(&result, &Type::String)
        .map_err(|e| FunctionError::new(format!("invalid template result: {}", e.message)))?;
    Ok(result.with_marks(all_marks))
}
