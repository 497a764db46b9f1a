//! A byte stream through a host that one is logged in to: how a bastion is passed.

use std::io::{ErrorKind as Io, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ssh2::{Channel, Session};

use crate::Error;

/// How long a quiet tunnel is left alone: from here, doubling, up to the second.
const FIRST_LOOK: Duration = Duration::from_millis(1);
const LAST_LOOK: Duration = Duration::from_millis(20);

/// Opens a connection from the logged-in host to `host:port`. What comes back is one end of a pair of sockets; a thread
/// carries bytes between the other end and the connection until either closes.
pub(super) fn open(
    session: &Arc<Mutex<Session>>,
    host: &str,
    port: u16,
    asked: &str,
) -> Result<UnixStream, Error> {
    let locked = session.lock().unwrap_or_else(PoisonError::into_inner);
    let channel = locked
        .channel_direct_tcpip(host, port, None)
        .map_err(|e| Error::transient(asked, e.to_string()))?;
    locked.set_blocking(false);
    drop(locked);
    let pair = || {
        let (near, far) = UnixStream::pair()?;
        far.set_nonblocking(true)?;
        Ok((near, far))
    };
    let (near, far) = pair().map_err(|e: std::io::Error| Error::new(asked, e.to_string()))?;
    let session = Arc::clone(session);
    std::thread::spawn(move || carry(&session, channel, far));
    Ok(near)
}

/// Ends when either side has closed or is lost; the one who reads the near end sees it as the end of the stream.
fn carry(session: &Mutex<Session>, mut channel: Channel, mut socket: UnixStream) {
    let (mut outward, mut inward) = (Pending::default(), Pending::default());
    let mut pause = FIRST_LOOK;
    loop {
        let locked = session.lock().unwrap_or_else(PoisonError::into_inner);
        let there = outward.step(&mut socket, &mut channel);
        let back = inward.step(&mut channel, &mut socket);
        drop(locked);
        match (there, back) {
            (Step::Ended, _) | (_, Step::Ended) => return,
            (Step::Moved, _) | (_, Step::Moved) => pause = FIRST_LOOK,
            (Step::Idle, Step::Idle) => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(LAST_LOOK);
            }
        }
    }
}

enum Step {
    Moved,
    Idle,
    Ended,
}

/// Bytes read from one side that the other has not taken yet.
#[derive(Default)]
struct Pending(Vec<u8>);

impl Pending {
    fn step(&mut self, from: &mut impl Read, to: &mut impl Write) -> Step {
        if self.0.is_empty() {
            let mut buffer = [0u8; 16 * 1024];
            match from.read(&mut buffer) {
                Ok(0) => return Step::Ended,
                Ok(n) => self
                    .0
                    .extend_from_slice(buffer.get(..n).unwrap_or_default()),
                Err(e) if e.kind() == Io::WouldBlock => return Step::Idle,
                Err(_) => return Step::Ended,
            }
        }
        match to.write(&self.0) {
            Ok(n) => {
                self.0.drain(..n.min(self.0.len()));
                Step::Moved
            }
            Err(e) if e.kind() == Io::WouldBlock => Step::Idle,
            Err(_) => Step::Ended,
        }
    }
}
