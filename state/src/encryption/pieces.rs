//! What is sealed piece by piece with one key, as the lines of a journal are.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::{Encryption, Error, Key, Method, decoded, read_metadata, written};

/// What must be known to open the pieces again; no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SealedWith {
    /// As in a sealed state.
    meta: BTreeMap<String, String>,
    /// Nothing, sealed: the key that opens it opens the pieces.
    proof: String,
}

/// Where the proof stands, and every piece of one whole: none opens in the place of another.
const PROOF: &[u8] = b"stead proof";

/// Seals and opens pieces.
#[derive(Clone, Debug)]
pub(crate) struct Pieces {
    method: Method,
    key: Key,
    /// What all pieces of one whole have in common.
    whole: Vec<u8>,
}

impl Encryption {
    /// For new pieces; `None` when what is written stays in the clear.
    pub(crate) fn pieces(&self) -> Result<Option<(Pieces, SealedWith)>, Error> {
        if self.is_plain() {
            return Ok(None);
        }
        let method = self.methods.first().ok_or(Error::NotConfigured)?;
        self.with_sealing(|key, metadata| {
            let with = SealedWith {
                meta: written(metadata),
                proof: BASE64.encode(method.seal_at(key, &[], PROOF)?),
            };
            Ok(Some((Pieces::new(method, key), with)))
        })
    }

    /// For pieces that are there.
    pub(crate) fn open_pieces(&self, with: &SealedWith) -> Result<Pieces, Error> {
        if self.methods.is_empty() {
            return Err(Error::NotConfigured);
        }
        let proof = decoded(&with.proof)?;
        let metadata = read_metadata(&with.meta)?;
        let (_, pieces) = self.first_that_opens(&metadata, |method, key| {
            method.open_at(key, &proof, PROOF)?;
            Ok(Pieces::new(method, key))
        })?;
        Ok(pieces)
    }

    /// Whether what is in the clear may be read.
    pub(crate) fn takes_plain(&self) -> bool {
        self.methods.is_empty()
            || self
                .methods
                .iter()
                .any(|m| matches!(m, Method::Unencrypted))
    }
}

impl Pieces {
    fn new(method: &Method, key: &Key) -> Pieces {
        Pieces {
            method: method.clone(),
            key: key.clone(),
            whole: Vec::new(),
        }
    }

    /// Binds the pieces to one whole, such as the journal that begins like this.
    #[must_use]
    pub(crate) fn of(mut self, whole: &[u8]) -> Pieces {
        self.whole = whole.to_vec();
        self
    }

    fn place(&self, number: u64) -> Vec<u8> {
        [&self.whole[..], &number.to_be_bytes()].concat()
    }

    /// Seals the piece of that number, as text on one line.
    pub(crate) fn seal(&self, number: u64, content: &[u8]) -> Result<String, Error> {
        let sealed = self
            .method
            .seal_at(&self.key, content, &self.place(number))?;
        Ok(BASE64.encode(sealed))
    }

    /// Opens the piece of that number.
    pub(crate) fn open(&self, number: u64, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let sealed = BASE64
            .decode(sealed)
            .map_err(|e| Error::Unrecognised(e.to_string()))?;
        self.method.open_at(&self.key, &sealed, &self.place(number))
    }
}
