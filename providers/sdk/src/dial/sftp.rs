//! Files written over SFTP, for logins that may not run commands.

use std::io::{Read, Write};
use std::path::Path;

use ssh2::{FileStat, OpenFlags, OpenType, RenameFlags, Session, Sftp};

use crate::dial::Ssh;
use crate::dial::ssh::PIECE;
use crate::{Context, Error, ErrorKind};

impl Ssh {
    /// Writes a file with this mode (such as `0o644`) as the user who logged in; the folders above it are made. The content goes to a new
    /// file beside it, which then takes its place. Stops when `cx` is cancelled, and leaves nothing then.
    pub async fn put(
        &self,
        path: &str,
        mode: u32,
        source: impl Read + Send + 'static,
        cx: &Context,
    ) -> Result<(), Error> {
        let asked = format!("write {path} on {} over SFTP", self.address());
        let label = format!("the upload of {path}");
        let (path, cx) = (path.to_owned(), cx.clone());
        let mut source = source;
        let work = {
            let asked = asked.clone();
            move |session: &Session| write(session, &path, mode, &mut source, &cx, &asked)
        };
        self.with_session(&label, asked, work).await
    }
}

fn write(
    session: &Session,
    path: &str,
    mode: u32,
    source: &mut dyn Read,
    cx: &Context,
    asked: &str,
) -> Result<(), Error> {
    let sftp = session.sftp().map_err(|e| {
        Error::new(asked, format!("the server offers no SFTP: {e}"))
            .remedy("Enable it in the node's /etc/ssh/sshd_config: `Subsystem sftp internal-sftp`.")
    })?;
    let path = Path::new(path);
    let draft = format!("{}.stead-{:08x}", path.display(), rand::random::<u32>());
    let draft = Path::new(&draft);
    make_folders(&sftp, path);
    let written = fill(&sftp, draft, mode, source, cx, asked).and_then(|()| {
        // Version 3 of the protocol cannot rename onto what is there.
        let _ = sftp.unlink(path);
        let renamed = sftp.rename(draft, path, Some(RenameFlags::empty()));
        renamed.map_err(|e| refused(asked, &e))
    });
    if written.is_err() {
        // What is left of it is of no use; that it could not be removed either is not what went wrong.
        let _ = sftp.unlink(draft);
    }
    written
}

/// Those that are there already are refused, and those that may not be made show when the file is opened.
fn make_folders(sftp: &Sftp, path: &Path) {
    let mut missing = Vec::new();
    for folder in path.ancestors().skip(1) {
        if sftp.stat(folder).is_ok() {
            break;
        }
        missing.push(folder);
    }
    for folder in missing.into_iter().rev() {
        let _ = sftp.mkdir(folder, 0o755);
    }
}

fn fill(
    sftp: &Sftp,
    draft: &Path,
    mode: u32,
    source: &mut dyn Read,
    cx: &Context,
    asked: &str,
) -> Result<(), Error> {
    let lost = |e: std::io::Error| Error::transient(asked, e.to_string());
    let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE;
    let opened = sftp.open_mode(draft, flags, 0o600, OpenType::File);
    let mut file = opened.map_err(|e| refused(asked, &e))?;
    let mut piece = vec![0; PIECE];
    loop {
        if cx.is_cancelled() {
            let stopped = "the run was interrupted before the file was whole";
            return Err(Error::of_kind(ErrorKind::Cancelled, asked, stopped));
        }
        let read = source.read(&mut piece);
        let n = read.map_err(|e| Error::new(asked, format!("what is sent: {e}")))?;
        if n == 0 {
            break;
        }
        file.write_all(piece.get(..n).unwrap_or_default())
            .map_err(lost)?;
    }
    let stat = FileStat {
        perm: Some(mode),
        size: None,
        uid: None,
        gid: None,
        atime: None,
        mtime: None,
    };
    file.setstat(stat)
        .and_then(|()| file.close())
        .map_err(|e| refused(asked, &e))
}

/// `LIBSSH2_FX_PERMISSION_DENIED`.
const DENIED: ssh2::ErrorCode = ssh2::ErrorCode::SFTP(3);

fn refused(asked: &str, error: &ssh2::Error) -> Error {
    if error.code() == DENIED {
        return Error::of_kind(ErrorKind::Denied, asked, error.to_string())
            .remedy("Log in as a user who may write there.");
    }
    Error::new(asked, error.to_string())
}
