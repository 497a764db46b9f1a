//! A server that keeps one state for the backend `http`, with a lock.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) state: Option<Vec<u8>>,
    /// The holder's note.
    pub(crate) lock: Option<Vec<u8>>,
    /// Writes are answered with this status instead.
    pub(crate) refuses_writes: Option<u16>,
}

/// Serves until the test ends.
pub(crate) struct StateServer {
    address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
}

impl StateServer {
    pub(crate) fn start() -> StateServer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let kept = Arc::<Mutex<Kept>>::default();
        std::thread::spawn({
            let kept = Arc::clone(&kept);
            move || {
                for connection in listener.incoming() {
                    let kept = Arc::clone(&kept);
                    // A client that went away has nothing to be told.
                    std::thread::spawn(move || connection.map(|c| answer(c, &kept)));
                }
            }
        });
        StateServer { address, kept }
    }

    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Kept) -> T) -> T {
        act(&mut self.kept.lock().expect("what is kept"))
    }

    /// The backend block.
    pub(crate) fn backend(&self) -> String {
        let url = format!("http://{}/state", self.address);
        format!(
            "terraform {{\n  backend \"http\" {{\n    address        = \"{url}\"\n    lock_address   = \"{url}\"\n    unlock_address = \"{url}\"\n  }}\n}}\n"
        )
    }

    pub(crate) fn state(&self) -> serde_json::Value {
        let state = self.with(|kept| kept.state.clone()).expect("a state");
        serde_json::from_slice(&state).expect("JSON")
    }
}

fn answer(connection: TcpStream, kept: &Mutex<Kept>) -> Option<()> {
    let mut reader = BufReader::new(connection);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
        let mut words = line.split_whitespace();
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let Some((name, value)) = header.split_once(':') else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let mut kept = kept.lock().ok()?;
        let (status, content) = respond(&method, &path, body, &mut kept);
        drop(kept);
        let head = format!(
            "HTTP/1.1 {status} .\r\ncontent-length: {}\r\n\r\n",
            content.len()
        );
        let stream = reader.get_mut();
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(&content).ok()?;
    }
}

fn respond(method: &str, path: &str, body: Vec<u8>, kept: &mut Kept) -> (u16, Vec<u8>) {
    let id = |note: &[u8]| {
        let note: serde_json::Value = serde_json::from_slice(note).expect("a note in JSON");
        note["ID"].as_str().unwrap_or_default().to_owned()
    };
    match method {
        "GET" => match &kept.state {
            Some(state) => (200, state.clone()),
            None => (404, Vec::new()),
        },
        "POST" => {
            let given = path.split_once("?ID=").map(|(_, id)| id);
            match (&kept.lock, kept.refuses_writes) {
                (_, Some(status)) => (status, Vec::new()),
                (Some(note), _) if given != Some(id(note).as_str()) => (423, note.clone()),
                _ => {
                    kept.state = Some(body);
                    (200, Vec::new())
                }
            }
        }
        "LOCK" => match &kept.lock {
            Some(note) => (423, note.clone()),
            None => {
                kept.lock = Some(body);
                (200, Vec::new())
            }
        },
        "UNLOCK" => match &kept.lock {
            Some(note) if !body.is_empty() && id(&body) != id(note) => (409, note.clone()),
            _ => {
                kept.lock = None;
                (200, Vec::new())
            }
        },
        _ => (405, Vec::new()),
    }
}
