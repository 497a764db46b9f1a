//! Connections through a SOCKS5 proxy (RFC 1928), with a user name and password where it wants them (RFC 1929).

use stead_value::Sensitive;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::dial::{Dialer, route};
use crate::{Error, ErrorKind};

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const PASSWORD: u8 = 2;

/// A SOCKS5 proxy.
#[derive(Clone, Debug)]
pub struct Socks5 {
    pub host: String,
    pub port: u16,
    pub login: Option<(String, Sensitive<String>)>,
}

impl Socks5 {
    /// A connection through the proxy, which looks up the host's name.
    pub(super) async fn reach(
        &self,
        dialer: &Dialer,
        host: &str,
        port: u16,
    ) -> Result<TcpStream, Error> {
        let asked = format!(
            "reach {} through the SOCKS5 proxy {}",
            route::authority(host, port),
            route::authority(&self.host, self.port)
        );
        let mut stream = dialer.tcp(&self.host, self.port).await?;
        let talk = self.talk(&mut stream, host, port, &asked);
        match tokio::time::timeout(dialer.connect_timeout(), talk).await {
            Ok(done) => done.map(|()| stream),
            Err(_) => Err(Error::transient(asked, "no answer in time")),
        }
    }

    async fn talk(
        &self,
        stream: &mut TcpStream,
        host: &str,
        port: u16,
        asked: &str,
    ) -> Result<(), Error> {
        let lost = |e: std::io::Error| Error::transient(asked, e.to_string());
        let denied = |why: &str| Error::of_kind(ErrorKind::Denied, asked, why);
        let greeting: &[u8] = match self.login {
            Some(_) => &[VERSION, 2, NO_LOGIN, PASSWORD],
            None => &[VERSION, 1, NO_LOGIN],
        };
        stream.write_all(greeting).await.map_err(lost)?;
        let mut chosen = [0; 2];
        stream.read_exact(&mut chosen).await.map_err(lost)?;
        match (chosen, &self.login) {
            ([VERSION, NO_LOGIN], _) => {}
            ([VERSION, PASSWORD], Some((user, password))) => {
                let mut login = vec![1];
                put(&mut login, user).ok_or_else(|| denied("the user name is too long"))?;
                put(&mut login, password.expose_secret())
                    .ok_or_else(|| denied("the password is too long"))?;
                stream.write_all(&login).await.map_err(lost)?;
                let mut verdict = [0; 2];
                stream.read_exact(&mut verdict).await.map_err(lost)?;
                if !matches!(verdict, [_, 0]) {
                    return Err(denied("it refuses the user name or the password"));
                }
            }
            ([VERSION, _], _) => return Err(denied("it wants a user name and a password")),
            _ => return Err(Error::new(asked, "it does not speak SOCKS5")),
        }
        // CONNECT, to a name.
        let mut request = vec![VERSION, 1, 0, 3];
        put(&mut request, host).ok_or_else(|| Error::new(asked, "the name is too long"))?;
        request.extend(port.to_be_bytes());
        stream.write_all(&request).await.map_err(lost)?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await.map_err(lost)?;
        let [_, verdict, _, kind] = answer;
        if verdict != 0 {
            return Err(Error::transient(asked, meaning(verdict)));
        }
        // The address that it connects from, which nobody needs.
        let length = match kind {
            1 => 4,
            4 => 16,
            _ => usize::from(stream.read_u8().await.map_err(lost)?),
        };
        let mut rest = vec![0; length + 2];
        stream.read_exact(&mut rest).await.map_err(lost)?;
        Ok(())
    }
}

/// A text with its length before it; `None` when that takes more than a byte.
fn put(out: &mut Vec<u8>, text: &str) -> Option<()> {
    out.push(u8::try_from(text.len()).ok()?);
    out.extend(text.as_bytes());
    Some(())
}

/// What a reply means (RFC 1928, 6).
fn meaning(verdict: u8) -> &'static str {
    match verdict {
        2 => "its rules do not allow the connection",
        3 => "the network is unreachable",
        4 => "the host is unreachable",
        5 => "the connection is refused",
        _ => "it could not connect",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// A proxy that wants a login and then says `verdict`; what it was asked for.
    async fn proxy(verdict: u8) -> (u16, tokio::task::JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut greeting = [0; 4];
            stream.read_exact(&mut greeting).await.unwrap();
            stream.write_all(&[5, 2]).await.unwrap();
            let mut login = [0; 8];
            stream.read_exact(&mut login).await.unwrap();
            assert_eq!(&login, b"\x01\x02me\x03pw!");
            stream.write_all(&[1, 0]).await.unwrap();
            let mut request = [0; 16];
            stream.read_exact(&mut request).await.unwrap();
            let answer = [5, verdict, 0, 1, 0, 0, 0, 0, 0, 0];
            stream.write_all(&answer).await.unwrap();
            request.to_vec()
        });
        (port, served)
    }

    fn through(port: u16) -> Socks5 {
        Socks5 {
            host: "127.0.0.1".into(),
            port,
            login: Some(("me".into(), "pw!".to_owned().into())),
        }
    }

    #[tokio::test]
    async fn a_host_is_asked_for_by_its_name() {
        let (port, served) = proxy(0).await;
        let dialer = Dialer::direct();
        through(port).reach(&dialer, "pve1.home", 22).await.unwrap();
        assert_eq!(
            served.await.unwrap(),
            b"\x05\x01\x00\x03\x09pve1.home\x00\x16"
        );
    }

    #[tokio::test]
    async fn what_the_proxy_cannot_reach_is_told() {
        let (port, _served) = proxy(5).await;
        let dialer = Dialer::direct();
        let refused = through(port).reach(&dialer, "pve1.home", 22).await;
        let said = refused.unwrap_err().to_string();
        assert!(said.contains("the connection is refused"), "{said}");
        assert!(!said.contains("pw!"), "{said}");
    }
}
