//! SSH: commands and files on a host. libssh2 blocks, so it works on tokio's blocking pool.

use std::fmt;
use std::io::{Cursor, Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ssh2::{Channel, ErrorCode, Session};
use stead_value::Sensitive;

use crate::dial::{Dialer, Socks5, host_key, route};
use crate::{Context, Error, ErrorKind};

/// libssh2's code for "would block" (`LIBSSH2_ERROR_EAGAIN`).
const WOULD_BLOCK: ErrorCode = ErrorCode::Session(-37);
/// How often a silent connection is asked for a sign of life while a command runs.
const KEEPALIVE_SECONDS: u32 = 30;
/// How often a quiet command is looked at: from here, doubling, up to the second.
const FIRST_LOOK: Duration = Duration::from_millis(1);
const LAST_LOOK: Duration = Duration::from_millis(20);

/// Most bytes of a command's input that are read at once.
pub(super) const PIECE: usize = 64 * 1024;

/// How to log in.
#[derive(Clone, Debug)]
pub struct SshOptions {
    pub user: String,
    pub auth: SshAuth,
    pub host_key: HostKeyPolicy,
}

#[derive(Clone, Debug)]
pub enum SshAuth {
    Password(Sensitive<String>),
    /// A private key in PEM or OpenSSH form.
    Key {
        private: Sensitive<String>,
        passphrase: Option<Sensitive<String>>,
    },
    /// A private key with the certificate that an authority gave for it.
    Certificate {
        private: Sensitive<String>,
        certificate: String,
    },
    /// The agent at `SSH_AUTH_SOCK`.
    Agent,
    /// The agent at this socket.
    AgentAt(PathBuf),
    /// These, one after the other, until one is taken.
    Any(Vec<SshAuth>),
}

/// Which host keys are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostKeyPolicy {
    /// Only those in this file, of OpenSSH's `known_hosts` form.
    KnownHosts(PathBuf),
    /// Only this one: `SHA256:…`, as `ssh-keygen -l` prints it.
    Pinned(String),
    /// Only this public key: `ssh-ed25519 AAAA…`.
    Key(String),
    /// Any: nothing is checked.
    Unchecked,
    /// Those in the file; a host that is not in it yet is added, one whose key changed is refused.
    AcceptNew(PathBuf),
}

/// What a command left.
#[derive(Clone, PartialEq, Eq)]
pub struct SshOutput {
    /// The exit status; 255 when the server told none (killed by a signal).
    pub status: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

/// One of a command's two outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SshStream {
    Output = 0,
    Error = 1,
}

impl SshOutput {
    pub fn success(&self) -> bool {
        self.status == 0
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn error_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim().to_owned()
    }
}

/// Sizes only: a command may print secrets.
impl fmt::Debug for SshOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (out, err) = (self.stdout.len(), self.stderr.len());
        write!(
            f,
            "SshOutput(status {}, {out} bytes of output, {err} bytes of errors)",
            self.status
        )
    }
}

/// A logged-in connection. Commands of one connection run one after the other; clones share it.
#[derive(Clone)]
pub struct Ssh {
    session: Arc<Mutex<Session>>,
    address: Arc<str>,
    dialer: Dialer,
    /// The host that the connection goes through, which must stay connected.
    _through: Option<Arc<Ssh>>,
}

impl fmt::Debug for Ssh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ssh({})", self.address)
    }
}

impl Dialer {
    /// Connects, checks the host's key, and logs in.
    pub async fn ssh(&self, host: &str, port: u16, options: &SshOptions) -> Result<Ssh, Error> {
        let stream = self.tcp(host, port).await?;
        self.ssh_on(stream, host, port, options).await
    }

    async fn ssh_on(
        &self,
        stream: tokio::net::TcpStream,
        host: &str,
        port: u16,
        options: &SshOptions,
    ) -> Result<Ssh, Error> {
        let address: Arc<str> = route::authority(host, port).into();
        let asked = format!("log in to {}@{address} over SSH", options.user);
        let blocking = stream
            .into_std()
            .and_then(|s| s.set_nonblocking(false).map(|()| s));
        let stream = blocking.map_err(|e| Error::transient(&asked, e.to_string()))?;
        self.ssh_over(stream, host, port, options, asked, None)
            .await
    }

    /// Like [`Dialer::ssh`], through a SOCKS5 proxy, which also looks up the host's name.
    pub async fn ssh_by_proxy(
        &self,
        proxy: &Socks5,
        host: &str,
        port: u16,
        options: &SshOptions,
    ) -> Result<Ssh, Error> {
        let stream = proxy.reach(self, host, port).await?;
        self.ssh_on(stream, host, port, options).await
    }

    /// Like [`Dialer::ssh`], through another host that one is logged in to.
    pub async fn ssh_through(
        &self,
        through: Ssh,
        host: &str,
        port: u16,
        options: &SshOptions,
    ) -> Result<Ssh, Error> {
        let address = route::authority(host, port);
        let asked = format!(
            "log in to {}@{address} over SSH through {}",
            options.user, through.address
        );
        let (session, target) = (Arc::clone(&through.session), host.to_owned());
        let opening = asked.clone();
        let stream = on_blocking_pool(asked.clone(), move || {
            super::tunnel::open(&session, &target, port, &opening)
        })
        .await?;
        self.ssh_over(stream, host, port, options, asked, Some(Arc::new(through)))
            .await
    }

    async fn ssh_over(
        &self,
        stream: impl AsRawFd + Send + 'static,
        host: &str,
        port: u16,
        options: &SshOptions,
        asked: String,
        through: Option<Arc<Ssh>>,
    ) -> Result<Ssh, Error> {
        let address: Arc<str> = route::authority(host, port).into();
        let timeout = u32::try_from(self.connect_timeout().as_millis()).unwrap_or(u32::MAX);
        let (host, options) = (host.to_owned(), options.clone());
        let session = on_blocking_pool(asked.clone(), move || {
            log_in(stream, &host, port, &options, timeout, &asked)
        })
        .await?;
        Ok(Ssh {
            session: Arc::new(Mutex::new(session)),
            address,
            dialer: self.clone(),
            _through: through,
        })
    }
}

async fn on_blocking_pool<T: Send + 'static>(
    asked: String,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| {
        Err(Error::of_kind(
            ErrorKind::Cancelled,
            asked,
            "the program is ending",
        ))
    })
}

fn log_in(
    stream: impl AsRawFd + 'static,
    host: &str,
    port: u16,
    options: &SshOptions,
    timeout_ms: u32,
    asked: &str,
) -> Result<Session, Error> {
    let transient = |e: ssh2::Error| Error::transient(asked, e.to_string());
    let mut session = Session::new().map_err(transient)?;
    session.set_timeout(timeout_ms);
    session.set_tcp_stream(stream);
    host_key::prefer_known(&session, host, port, &options.host_key);
    session.handshake().map_err(transient)?;
    host_key::check(&session, host, port, &options.host_key, asked)?;
    authenticate(&session, &options.user, &options.auth).map_err(|e| {
        Error::of_kind(ErrorKind::Denied, asked, e.to_string()).remedy(
            "Check the user name, and that its key or password is the right one for this host.",
        )
    })?;
    session.set_keepalive(true, KEEPALIVE_SECONDS);
    Ok(session)
}

fn authenticate(session: &Session, user: &str, auth: &SshAuth) -> Result<(), ssh2::Error> {
    match auth {
        SshAuth::Password(password) => {
            let password = password.expose_secret();
            // Many servers ask for the password interactively only.
            session.userauth_password(user, password).or_else(|e| {
                session
                    .userauth_keyboard_interactive(user, &mut Answer(password))
                    .map_err(|_| e)
            })
        }
        SshAuth::Key {
            private,
            passphrase,
        } => session.userauth_pubkey_memory(
            user,
            None,
            private.expose_secret(),
            passphrase.as_ref().map(|p| p.expose_secret().as_str()),
        ),
        SshAuth::Certificate {
            private,
            certificate,
        } => session.userauth_pubkey_memory(user, Some(certificate), private.expose_secret(), None),
        SshAuth::Agent => session.userauth_agent(user),
        SshAuth::AgentAt(socket) => ask_agent(session, user, socket),
        SshAuth::Any(ways) => {
            let none = ssh2::Error::new(
                ErrorCode::Session(-18),
                "there is no password or key to log in with",
            );
            let mut result = Err(none);
            for way in ways {
                result = authenticate(session, user, way);
                if result.is_ok() {
                    break;
                }
            }
            result
        }
    }
}

/// Tries the keys of an agent, one after the other.
fn ask_agent(session: &Session, user: &str, socket: &Path) -> Result<(), ssh2::Error> {
    let mut agent = session.agent()?;
    agent.set_identity_path(socket)?;
    agent.connect()?;
    agent.list_identities()?;
    let none = ssh2::Error::new(ErrorCode::Session(-18), "the SSH agent has no keys");
    let mut result = Err(none);
    for key in agent.identities()? {
        result = agent.userauth(user, &key);
        if result.is_ok() {
            break;
        }
    }
    result
}

/// Answers every question with the password.
struct Answer<'a>(&'a str);

impl ssh2::KeyboardInteractivePrompt for Answer<'_> {
    fn prompt<'a>(
        &mut self,
        _user: &str,
        _instructions: &str,
        prompts: &[ssh2::Prompt<'a>],
    ) -> Vec<String> {
        prompts.iter().map(|_| self.0.to_owned()).collect()
    }
}

impl Ssh {
    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Runs a command with a shell's rules, feeding it `stdin`. A status other than zero is not an error here. `label`
    /// stands for the command in log and errors, because commands may hold secrets.
    pub async fn exec(
        &self,
        label: &str,
        command: &str,
        stdin: Option<Vec<u8>>,
        cx: &Context,
    ) -> Result<SshOutput, Error> {
        // Its callers let a command finish: half done it may be worse than done.
        let patient = Context::detached();
        let patient = match cx.deadline() {
            Some(deadline) => patient.with_deadline(deadline),
            None => patient,
        };
        let stdin = Cursor::new(stdin.unwrap_or_default());
        self.feed(label, command, stdin, &patient).await
    }

    /// Like [`Ssh::exec`], feeding the command what `source` gives, piece by piece. Stops when `cx` is cancelled.
    pub async fn feed(
        &self,
        label: &str,
        command: &str,
        source: impl Read + Send + 'static,
        cx: &Context,
    ) -> Result<SshOutput, Error> {
        let mut stdout = Vec::new();
        let mut stderr = Vec::new();
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let take = move |from, bytes: &[u8]| {
            // The receiver outlives the command.
            let _ = sender.send((from, bytes.to_vec()));
        };
        let status = self
            .run(label, command, Box::new(source), cx, Box::new(take))
            .await?;
        while let Some((from, bytes)) = receiver.recv().await {
            match from {
                SshStream::Output => stdout.extend(bytes),
                SshStream::Error => stderr.extend(bytes),
            }
        }
        Ok(SshOutput {
            status,
            stdout,
            stderr,
        })
    }

    /// Like [`Ssh::exec`], handing over what the command prints as it comes; gives the exit status. Stops when `cx` is
    /// cancelled.
    pub async fn exec_with(
        &self,
        label: &str,
        command: &str,
        stdin: Option<Vec<u8>>,
        cx: &Context,
        take: impl FnMut(SshStream, &[u8]) + Send + 'static,
    ) -> Result<i32, Error> {
        let stdin = Cursor::new(stdin.unwrap_or_default());
        self.run(label, command, Box::new(stdin), cx, Box::new(take))
            .await
    }

    async fn run(
        &self,
        label: &str,
        command: &str,
        mut stdin: Box<dyn Read + Send>,
        cx: &Context,
        mut take: Box<dyn FnMut(SshStream, &[u8]) + Send>,
    ) -> Result<i32, Error> {
        let asked = format!("run {label} on {}", self.address);
        let started = Instant::now();
        let (session, command, cx) = (Arc::clone(&self.session), command.to_owned(), cx.clone());
        let work = {
            let asked = asked.clone();
            move || {
                let session = session.lock().unwrap_or_else(PoisonError::into_inner);
                let run = run(&session, &command, &mut *stdin, &cx, &mut *take, &asked);
                session.set_blocking(true);
                run
            }
        };
        let result = on_blocking_pool(asked, work).await;
        let outcome = result.as_ref().map(|status| format!("status {status}"));
        self.record(label, outcome, started);
        result
    }

    /// Works with the session while nobody else does; logged and counted as a command is.
    pub(super) async fn with_session<T: Send + 'static>(
        &self,
        label: &str,
        asked: String,
        work: impl FnOnce(&Session) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let started = Instant::now();
        let session = Arc::clone(&self.session);
        let work = move || {
            let session = session.lock().unwrap_or_else(PoisonError::into_inner);
            work(&session)
        };
        let result = on_blocking_pool(asked, work).await;
        self.record(label, result.as_ref().map(|_| "done".to_owned()), started);
        result
    }

    fn record(&self, label: &str, outcome: Result<String, &Error>, started: Instant) {
        let outcome = outcome.unwrap_or_else(|error| error.said().to_owned());
        self.dialer
            .record("ssh", &self.address, label, &outcome, started);
    }

    /// Writes a file on the host as the user who logged in, with exactly this mode (such as `0o600`). The content goes to a
    /// new file beside it, which then takes its place: nobody sees half of it, or sees it before it is protected.
    pub async fn upload(
        &self,
        path: &str,
        mode: u32,
        content: Vec<u8>,
        cx: &Context,
    ) -> Result<(), Error> {
        let target = shell_quote(path);
        let draft = shell_quote(&format!("{path}.stead-{:08x}", rand::random::<u32>()));
        let command = format!(
            "umask 077 && cat > {draft} && chmod {mode:04o} {draft} && mv -f {draft} {target} || {{ rm -f {draft}; exit 1; }}"
        );
        let label = format!("the upload of {path}");
        let output = self.exec(&label, &command, Some(content), cx).await?;
        if output.success() {
            return Ok(());
        }
        Err(Error::new(
            format!("write {path} on {}", self.address),
            output.error_text(),
        ))
    }
}

/// A word that a POSIX shell takes as it stands.
pub fn shell_quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Feeds and drains a command without blocking on either of its outputs.
fn run(
    session: &Session,
    command: &str,
    stdin: &mut dyn Read,
    cx: &Context,
    take: &mut dyn FnMut(SshStream, &[u8]),
    asked: &str,
) -> Result<i32, Error> {
    let lost = |e: ssh2::Error| Error::transient(asked, e.to_string());
    let mut channel = session.channel_session().map_err(lost)?;
    channel.exec(command).map_err(lost)?;
    session.set_blocking(false);
    let mut piece = vec![0; PIECE];
    // What of the piece is still to be sent.
    let mut unsent = 0..0;
    let (mut given_all, mut closed_stdin, mut pause) = (false, false, FIRST_LOOK);
    loop {
        let mut moved = false;
        if unsent.is_empty() && !given_all {
            let unread = |e: std::io::Error| Error::new(asked, format!("what is sent: {e}"));
            unsent = 0..stdin.read(&mut piece).map_err(unread)?;
            given_all = unsent.is_empty();
        }
        if let Some(rest) = piece.get(unsent.clone()).filter(|rest| !rest.is_empty()) {
            let n = progress(channel.write(rest), asked)?;
            unsent.start += n;
            moved |= n > 0;
        } else if !closed_stdin {
            closed_stdin = again(channel.send_eof(), asked)?;
        }
        moved |= drain(&mut channel, SshStream::Output, take, asked)?;
        moved |= drain(&mut channel, SshStream::Error, take, asked)?;
        if channel.eof() && !moved {
            break;
        }
        if cx.is_cancelled() {
            let stopped = "the run was interrupted before the command had ended";
            return Err(Error::of_kind(ErrorKind::Cancelled, asked, stopped));
        }
        if cx.deadline().is_some_and(|d| Instant::now() >= d) {
            return Err(Error::of_kind(
                ErrorKind::TimedOut,
                asked,
                "the command had not ended at its deadline",
            ));
        }
        if moved {
            pause = FIRST_LOOK;
        } else {
            match session.keepalive_send() {
                Err(e) if e.code() != WOULD_BLOCK => return Err(lost(e)),
                _ => std::thread::sleep(pause),
            }
            pause = (pause * 2).min(LAST_LOOK);
        }
    }
    session.set_blocking(true);
    channel
        .wait_eof()
        .and_then(|()| channel.close())
        .and_then(|()| channel.wait_close())
        .map_err(lost)?;
    // libssh2 reports 0 when the server sent a signal in place of a status.
    let killed = channel.exit_signal().is_ok_and(|s| s.exit_signal.is_some());
    if killed {
        return Ok(255);
    }
    channel.exit_status().map_err(lost)
}

fn drain(
    channel: &mut Channel,
    from: SshStream,
    take: &mut dyn FnMut(SshStream, &[u8]),
    asked: &str,
) -> Result<bool, Error> {
    let mut buffer = [0u8; 16 * 1024];
    let n = progress(channel.stream(from as i32).read(&mut buffer), asked)?;
    let read = buffer.get(..n).unwrap_or_default();
    if !read.is_empty() {
        take(from, read);
    }
    Ok(n > 0)
}

/// Bytes moved; none when it would block.
fn progress(result: std::io::Result<usize>, asked: &str) -> Result<usize, Error> {
    match result {
        Ok(n) => Ok(n),
        Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => Ok(0),
        Err(e) => Err(Error::transient(asked, e.to_string())),
    }
}

/// Whether the call is done; not yet when it would block.
fn again(result: Result<(), ssh2::Error>, asked: &str) -> Result<bool, Error> {
    match result {
        Ok(()) => Ok(true),
        Err(e) if e.code() == WOULD_BLOCK => Ok(false),
        Err(e) => Err(Error::transient(asked, e.to_string())),
    }
}
