//! Files that go to a storage through the API, piece by piece.

use std::time::Duration;

use reqwest::Body;
use reqwest::multipart::{Form, Part};
use stead_sdk::{Context, Error, ErrorKind};
use tokio::io::AsyncReadExt;

use crate::client::{Client, Params, answer};

/// Most bytes that are read at once.
const PIECE: usize = 256 * 1024;
/// How many bytes go between two lines of progress.
const STEP: u64 = 16 << 20;

/// A file to send.
pub(crate) struct Outgoing<'a> {
    pub(crate) name: &'a str,
    pub(crate) file: std::fs::File,
    /// Bytes.
    pub(crate) size: u64,
}

impl Client {
    /// Sends a file, and waits until the node has put it in its place.
    pub(crate) async fn upload(
        &self,
        cx: &Context,
        what: &str,
        path: &str,
        fields: Params,
        file: Outgoing<'_>,
        limit: Duration,
    ) -> Result<(), Error> {
        let asked = format!("{what} (POST {path})");
        let body = Body::wrap_stream(pieces(file.file, file.size, cx.clone()));
        // The server takes no body whose length it is not told.
        let part = Part::stream_with_length(body, file.size).file_name(file.name.to_owned());
        let form = fields
            .into_iter()
            .fold(Form::new(), |form, (name, value)| form.text(name, value));
        let form = form.percent_encode_noop().part("filename", part);
        let request = self.http.post(format!("{}{path}", self.base));
        let request = request.multipart(form).timeout(limit);
        let request = self.session.sign(request, self).await?;
        let sending = async { answer::read(&asked, self.dialer.send(request).await?).await };
        let started = tokio::select! {
            started = sending => started?,
            () = cx.cancelled().cancelled() => {
                let said = "the run was interrupted before the file was sent";
                return Err(Error::of_kind(ErrorKind::Cancelled, asked, said));
            }
        };
        match started.as_str().filter(|text| text.starts_with("UPID:")) {
            Some(upid) => self.await_task(cx, what, upid, limit).await,
            None => Ok(()),
        }
    }
}

/// The file's content in pieces, with a line of progress now and then.
fn pieces(
    file: std::fs::File,
    size: u64,
    cx: Context,
) -> impl futures::Stream<Item = std::io::Result<Vec<u8>>> + Send + 'static {
    let start = (tokio::fs::File::from_std(file), 0_u64);
    futures::stream::unfold(start, move |(mut file, sent)| {
        let cx = cx.clone();
        async move {
            let mut piece = vec![0; PIECE];
            let read = match file.read(&mut piece).await {
                Ok(0) => return None,
                Ok(read) => read,
                Err(error) => return Some((Err(error), (file, sent))),
            };
            piece.truncate(read);
            let now = sent + read as u64;
            if now / STEP != sent / STEP {
                cx.progress(format!("sent {} of {} MiB", now >> 20, size >> 20));
            }
            Some((Ok(piece), (file, now)))
        }
    })
}
