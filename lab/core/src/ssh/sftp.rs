//! Files over SSH: version 3 of SFTP, as OpenSSH's server does it.

use std::collections::HashMap;
use std::sync::Arc;

use russh_sftp::protocol::{
    Attrs, Data, File as Entry, FileAttributes, Handle, Name, OpenFlags, Status, StatusCode,
};
use russh_sftp::server::Handler;

use crate::files::{File, Files, Problem, absolute};
use crate::shell::{Shell, System};

/// Most bytes of one file.
const LARGEST: u64 = 256 << 20;
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;

/// One client's session.
pub(super) struct Session<M> {
    shell: Shell<M>,
    open: HashMap<String, Open>,
    count: u32,
}

/// What a handle stands for.
enum Open {
    File {
        path: String,
        content: Vec<u8>,
        /// Not written to the machine yet.
        changed: bool,
        append: bool,
        writes: bool,
    },
    /// Names not told yet.
    Directory(Vec<Entry>),
}

impl<M: System> Session<M> {
    pub(super) fn new(host: Arc<M>, user: &str) -> Session<M> {
        Session {
            shell: Shell::new(host, user),
            open: HashMap::new(),
            count: 0,
        }
    }

    fn files<T>(
        &self,
        work: impl FnOnce(&mut Files<'_>) -> Result<T, Problem>,
    ) -> Result<T, StatusCode> {
        self.shell.files(work).map_err(code)
    }

    fn absolute(&self, path: &str) -> String {
        absolute(&self.shell.directory, path)
    }

    fn handle(&mut self, id: u32, open: Open) -> Handle {
        self.count += 1;
        let handle = self.count.to_string();
        self.open.insert(handle.clone(), open);
        Handle { id, handle }
    }

    /// Writes to the machine what open files hold.
    fn flush(&mut self) -> Result<(), StatusCode> {
        let shell = &self.shell;
        for open in self.open.values_mut() {
            if let Open::File {
                path,
                content,
                changed,
                ..
            } = open
                && std::mem::take(changed)
            {
                shell
                    .files(|f| f.write(path, content, false))
                    .map_err(code)?;
            }
        }
        Ok(())
    }

    fn attributes(&mut self, id: u32, path: &str) -> Result<Attrs, StatusCode> {
        self.flush()?;
        let path = self.absolute(path);
        let file = self.files(|f| f.get(&path).cloned().ok_or(Problem::NoEntry))?;
        Ok(Attrs {
            id,
            attrs: attributes(&file),
        })
    }

    fn set(&mut self, id: u32, path: &str, attrs: &FileAttributes) -> Result<Status, StatusCode> {
        self.flush()?;
        let path = self.absolute(path);
        let file = self.files(|f| f.get(&path).cloned().ok_or(Problem::NoEntry))?;
        let own = attributes(&file).uid;
        if let Some(uid) = attrs.uid.filter(|uid| own != Some(*uid)) {
            let owner = self.shell.host.user(&uid.to_string());
            let owner = owner.ok_or(StatusCode::Failure)?;
            self.files(|f| f.set_owner(&path, &owner, false))?;
        }
        if let Some(mode) = attrs.permissions {
            self.files(|f| f.set_mode(&path, mode & 0o7777))?;
        }
        if let Some(size) = attrs.size {
            let size = usize::try_from(size.min(LARGEST)).map_err(|_| StatusCode::Failure)?;
            self.files(|f| {
                let mut content = f.read(&path)?;
                content.resize(size, 0);
                f.write(&path, &content, false)
            })?;
            for open in self.open.values_mut() {
                if let Open::File {
                    path: at, content, ..
                } = open
                    && *at == path
                {
                    content.resize(size, 0);
                }
            }
        }
        Ok(done(id))
    }

    fn path_of(&self, handle: &str) -> Result<String, StatusCode> {
        match self.open.get(handle) {
            Some(Open::File { path, .. }) => Ok(path.clone()),
            _ => Err(StatusCode::Failure),
        }
    }
}

fn code(problem: Problem) -> StatusCode {
    match problem {
        Problem::NoEntry => StatusCode::NoSuchFile,
        Problem::Denied => StatusCode::PermissionDenied,
        _ => StatusCode::Failure,
    }
}

fn done(id: u32) -> Status {
    Status {
        id,
        status_code: StatusCode::Ok,
        error_message: "Success".to_owned(),
        language_tag: String::new(),
    }
}

fn attributes(file: &File) -> FileAttributes {
    let owner = if file.owner == "root" { 0 } else { 1000 };
    let kind = if file.directory { DIRECTORY } else { REGULAR };
    FileAttributes {
        size: Some(if file.directory { 4096 } else { file.size() }),
        uid: Some(owner),
        gid: Some(owner),
        permissions: Some(file.mode | kind),
        atime: Some(0),
        mtime: Some(0),
        ..FileAttributes::empty()
    }
}

impl<M: System> Handler for Session<M> {
    type Error = StatusCode;

    fn unimplemented(&self) -> StatusCode {
        StatusCode::OpUnsupported
    }

    async fn open(
        &mut self,
        id: u32,
        filename: String,
        flags: OpenFlags,
        attrs: FileAttributes,
    ) -> Result<Handle, StatusCode> {
        self.flush()?;
        let path = self.absolute(&filename);
        let writes = flags.intersects(OpenFlags::WRITE | OpenFlags::APPEND);
        let content = self.files(|files| {
            let known = files.get(&path).is_some();
            if known && flags.contains(OpenFlags::EXCLUDE) {
                return Err(Problem::Exists);
            }
            if !known && !flags.contains(OpenFlags::CREATE) {
                return Err(Problem::NoEntry);
            }
            if writes {
                files.write(&path, b"", !flags.contains(OpenFlags::TRUNCATE))?;
                if let Some(mode) = attrs.permissions.filter(|_| !known) {
                    files.set_mode(&path, mode & 0o777 & !files.umask)?;
                }
            }
            match files.read(&path) {
                // One who may write only starts with what is there unseen.
                Err(Problem::Denied) if writes => Ok(Vec::new()),
                // It may be looked at; reading it is refused.
                Err(Problem::Unkept) if !writes => Ok(Vec::new()),
                other => other,
            }
        })?;
        let append = flags.contains(OpenFlags::APPEND);
        Ok(self.handle(
            id,
            Open::File {
                path,
                content,
                changed: false,
                append,
                writes,
            },
        ))
    }

    async fn close(&mut self, id: u32, handle: String) -> Result<Status, StatusCode> {
        self.flush()?;
        match self.open.remove(&handle) {
            Some(_) => Ok(done(id)),
            None => Err(StatusCode::Failure),
        }
    }

    async fn read(
        &mut self,
        id: u32,
        handle: String,
        offset: u64,
        len: u32,
    ) -> Result<Data, StatusCode> {
        let Some(Open::File { path, content, .. }) = self.open.get(&handle) else {
            return Err(StatusCode::Failure);
        };
        if content.is_empty() && self.files(|f| f.read(path)) == Err(StatusCode::Failure) {
            return Err(StatusCode::Failure);
        }
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let data: Vec<u8> = content
            .get(start..)
            .unwrap_or_default()
            .iter()
            .take(len.min(1 << 18) as usize)
            .copied()
            .collect();
        if data.is_empty() {
            return Err(StatusCode::Eof);
        }
        Ok(Data { id, data })
    }

    async fn write(
        &mut self,
        id: u32,
        handle: String,
        offset: u64,
        data: Vec<u8>,
    ) -> Result<Status, StatusCode> {
        let Some(Open::File {
            content,
            changed,
            append,
            writes: true,
            ..
        }) = self.open.get_mut(&handle)
        else {
            return Err(StatusCode::Failure);
        };
        let start = if *append {
            content.len() as u64
        } else {
            offset
        };
        let end = start.saturating_add(data.len() as u64);
        if end > LARGEST {
            return Err(StatusCode::Failure);
        }
        let (Ok(start), Ok(end)) = (usize::try_from(start), usize::try_from(end)) else {
            return Err(StatusCode::Failure);
        };
        if content.len() < end {
            content.resize(end, 0);
        }
        if let Some(place) = content.get_mut(start..end) {
            place.copy_from_slice(&data);
        }
        *changed = true;
        Ok(done(id))
    }

    async fn stat(&mut self, id: u32, path: String) -> Result<Attrs, StatusCode> {
        self.attributes(id, &path)
    }

    async fn lstat(&mut self, id: u32, path: String) -> Result<Attrs, StatusCode> {
        self.attributes(id, &path)
    }

    async fn fstat(&mut self, id: u32, handle: String) -> Result<Attrs, StatusCode> {
        let path = self.path_of(&handle)?;
        self.attributes(id, &path)
    }

    async fn setstat(
        &mut self,
        id: u32,
        path: String,
        attrs: FileAttributes,
    ) -> Result<Status, StatusCode> {
        self.set(id, &path, &attrs)
    }

    async fn fsetstat(
        &mut self,
        id: u32,
        handle: String,
        attrs: FileAttributes,
    ) -> Result<Status, StatusCode> {
        let path = self.path_of(&handle)?;
        self.set(id, &path, &attrs)
    }

    async fn opendir(&mut self, id: u32, path: String) -> Result<Handle, StatusCode> {
        self.flush()?;
        let path = self.absolute(&path);
        let entries = self.files(|files| match files.get(&path) {
            Some(found) if found.directory => {
                let names = files.names(&path);
                let entry = |name: String| {
                    let file = files.get(&absolute(&path, &name))?;
                    Some(Entry::new(name, attributes(file)))
                };
                Ok(names.into_iter().filter_map(entry).collect())
            }
            Some(_) => Err(Problem::NotDirectory),
            None => Err(Problem::NoEntry),
        })?;
        Ok(self.handle(id, Open::Directory(entries)))
    }

    async fn readdir(&mut self, id: u32, handle: String) -> Result<Name, StatusCode> {
        match self.open.get_mut(&handle) {
            Some(Open::Directory(entries)) if entries.is_empty() => Err(StatusCode::Eof),
            Some(Open::Directory(entries)) => Ok(Name {
                id,
                files: std::mem::take(entries),
            }),
            _ => Err(StatusCode::Failure),
        }
    }

    async fn remove(&mut self, id: u32, filename: String) -> Result<Status, StatusCode> {
        let path = self.absolute(&filename);
        self.files(|f| f.remove(&path, false))?;
        Ok(done(id))
    }

    async fn mkdir(
        &mut self,
        id: u32,
        path: String,
        attrs: FileAttributes,
    ) -> Result<Status, StatusCode> {
        let (path, mode) = (self.absolute(&path), attrs.permissions.unwrap_or(0o777));
        self.files(|f| f.make_directory(&path, false, mode & 0o7777))?;
        Ok(done(id))
    }

    async fn rmdir(&mut self, id: u32, path: String) -> Result<Status, StatusCode> {
        let path = self.absolute(&path);
        self.files(|f| f.remove_directory(&path))?;
        Ok(done(id))
    }

    async fn realpath(&mut self, id: u32, path: String) -> Result<Name, StatusCode> {
        Ok(Name {
            id,
            files: vec![Entry::dummy(self.absolute(&path))],
        })
    }

    async fn rename(
        &mut self,
        id: u32,
        oldpath: String,
        newpath: String,
    ) -> Result<Status, StatusCode> {
        self.flush()?;
        let (from, to) = (self.absolute(&oldpath), self.absolute(&newpath));
        self.files(|f| {
            // As version 3 has it: never onto what is there.
            if f.get(&to).is_some() {
                return Err(Problem::Exists);
            }
            f.rename(&from, &to)
        })?;
        Ok(done(id))
    }
}
