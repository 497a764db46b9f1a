//! Reading, listing and copying files, and what is mounted.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use flate2::write::GzEncoder;
use tonic::{Response, Status};

use super::{Api, Streamed};
use crate::node::{Content, File};
use crate::proto::common::{Data, Metadata};
use crate::proto::machine::*;

/// Go's type bits of a folder and of a link.
const FOLDER_BIT: u32 = 1 << 31;
const LINK_BIT: u32 = 1 << 27;

pub(super) fn read(api: &Api, path: &str) -> Result<Response<Streamed<Data>>, Status> {
    let files = api.node.files();
    let mut found = files.get(path);
    if let Some(File {
        content: Content::Link(target),
        ..
    }) = found
    {
        found = files.get(target);
    }
    match found.map(|f| &f.content) {
        None => Err(Status::not_found(format!(
            "stat {path}: no such file or directory"
        ))),
        Some(Content::Text(bytes)) => Ok(Response::new(super::once(bytes.clone()))),
        Some(_) => Err(Status::unknown("path must be a regular file")),
    }
}

/// An absolute path without a slash at its end.
fn absolute(path: &str) -> String {
    let trimmed = path.trim_matches('/');
    format!("/{trimmed}")
}

/// What is below a path, the path itself first, and how deep it lies below it.
fn walk<'a>(
    files: &'a BTreeMap<String, File>,
    root: &'a str,
) -> impl Iterator<Item = (&'a String, &'a File, usize)> {
    let below = if root == "/" {
        "/".to_owned()
    } else {
        format!("{root}/")
    };
    files.iter().filter_map(move |(path, file)| {
        if path == root {
            return Some((path, file, 0));
        }
        let rest = path.strip_prefix(&below)?;
        Some((path, file, rest.split('/').count()))
    })
}

fn relative(path: &str, root: &str) -> String {
    let rest = path.strip_prefix(root).unwrap_or(path);
    match rest.trim_start_matches('/') {
        "" => ".".to_owned(),
        rest => rest.to_owned(),
    }
}

pub(super) fn list(
    api: &Api,
    request: &ListRequest,
) -> Result<Response<Streamed<FileInfo>>, Status> {
    let root = absolute(&request.root);
    let depth = match (request.recurse, usize::try_from(request.recursion_depth)) {
        (false, _) => 1,
        (true, Ok(0) | Err(_)) => usize::MAX,
        (true, Ok(depth)) => depth,
    };
    let files = api.node.files();
    if !files.contains_key(&root) {
        return Err(Status::unknown(format!(
            "lstat {root}: no such file or directory"
        )));
    }
    let modified = seconds(api.boot(|b| b.started)?);
    let wanted = |file: &File| {
        let kind = match file.content {
            Content::Text(_) => list_request::Type::Regular,
            Content::Folder => list_request::Type::Directory,
            Content::Link(_) => list_request::Type::Symlink,
        };
        request.types.is_empty() || request.types.contains(&kind.into())
    };
    let items = walk(&files, &root).filter(|(_, file, at)| *at <= depth && wanted(file));
    let items: Vec<_> = items
        .map(|(path, file, _)| {
            let (bits, link) = match &file.content {
                Content::Folder => (FOLDER_BIT, ""),
                Content::Link(target) => (LINK_BIT, target.as_str()),
                Content::Text(_) => (0, ""),
            };
            Ok(FileInfo {
                name: path.clone(),
                size: file.size(),
                mode: file.mode | bits,
                modified,
                is_dir: bits == FOLDER_BIT,
                link: link.to_owned(),
                relative_name: relative(path, &root),
                ..FileInfo::default()
            })
        })
        .collect();
    Ok(Response::new(Box::pin(tokio_stream::iter(items))))
}

pub(super) fn disk_usage(
    api: &Api,
    request: &DiskUsageRequest,
) -> Result<Response<Streamed<DiskUsageInfo>>, Status> {
    let files = api.node.files();
    let mut items = Vec::new();
    for path in &request.paths {
        let root = absolute(path);
        if !files.contains_key(&root) {
            items.push(Ok(DiskUsageInfo {
                name: root.clone(),
                relative_name: root.clone(),
                error: format!("lstat {root}: no such file or directory"),
                ..DiskUsageInfo::default()
            }));
            continue;
        }
        let depth = usize::try_from(request.recursion_depth)
            .ok()
            .filter(|d| *d > 0);
        // Folders come after what is in them.
        let mut found: Vec<_> = walk(&files, &root).collect();
        found.reverse();
        for (path, file, at) in found {
            let folder = matches!(file.content, Content::Folder);
            let size: i64 = match folder {
                true => walk(&files, path).map(|(_, f, _)| f.size()).sum(),
                false => file.size(),
            };
            let small = request.threshold > 0 && size < request.threshold;
            let large = request.threshold < 0 && size > request.threshold.saturating_neg();
            if depth.is_some_and(|d| at >= d) || small || large || !(folder || request.all) {
                continue;
            }
            items.push(Ok(DiskUsageInfo {
                name: path.clone(),
                size,
                relative_name: relative(path, &root),
                ..DiskUsageInfo::default()
            }));
        }
    }
    Ok(Response::new(Box::pin(tokio_stream::iter(items))))
}

/// A gzipped tar of what is below a path.
pub(super) fn copy(api: &Api, path: &str) -> Result<Response<Streamed<Data>>, Status> {
    if !path.starts_with('/') {
        return Err(Status::unknown(format!("path is not absolute {path}")));
    }
    let root = absolute(path);
    let files = api.node.files();
    if !files.contains_key(&root) {
        let data = Data {
            metadata: Some(Metadata {
                error: format!("lstat {root}: no such file or directory"),
                ..Metadata::default()
            }),
            bytes: Vec::new(),
        };
        return Ok(Response::new(Box::pin(tokio_stream::once(Ok(data)))));
    }
    let modified = u64::try_from(seconds(api.boot(|b| b.started)?)).unwrap_or_default();
    let mut tar = Vec::new();
    for (path, file, at) in walk(&files, &root) {
        let name = match (&file.content, at) {
            // The client makes the folder itself, and takes it for a mistake when it is there already.
            (Content::Folder, 0) => continue,
            (Content::Folder, _) => relative(path, &root) + "/",
            (_, 0) => path.rsplit('/').next().unwrap_or_default().to_owned(),
            _ => relative(path, &root),
        };
        crate::tar::entry(&mut tar, &name, file, modified);
    }
    tar.resize(tar.len() + 1024, 0);
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    let packed = encoder.write_all(&tar).and_then(|()| encoder.finish());
    let packed = packed.map_err(|e| Status::unknown(e.to_string()))?;
    Ok(Response::new(super::once(packed)))
}

pub(super) fn mounts(api: &Api) -> Response<MountsResponse> {
    let stats = api.node.mounts().into_iter().map(|m| MountStat {
        filesystem: m.source,
        size: m.size,
        available: m.available,
        mounted_on: m.at.to_owned(),
    });
    Response::new(MountsResponse {
        messages: vec![Mounts {
            metadata: None,
            stats: stats.collect(),
        }],
    })
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
