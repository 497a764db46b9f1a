//! What must hold for any text: the fuzz targets (`fuzz/`) ask it of random ones, the test of what was found.
#![allow(unreachable_pub, reason = "also a part of the fuzz targets' crate")]

mod consistency;
mod expression;
mod json;
mod native;
mod scope;
mod tfvars;

pub use expression::expression;
pub use json::json;
pub use native::native;
pub use tfvars::tfvars;

use std::io;
use std::path::Path;

use stead_lang::Files;
use stead_value::{Diagnostics, SourceRange};

/// A folder with one file.
struct OneFile<'a> {
    name: &'a str,
    content: &'a [u8],
}

impl Files for OneFile<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if self.exists(path) {
            return Ok(self.content.to_vec());
        }
        Err(io::ErrorKind::NotFound.into())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        if directory == Path::new(".") {
            return Ok(vec![self.name.to_owned()]);
        }
        Err(io::ErrorKind::NotFound.into())
    }

    fn exists(&self, path: &Path) -> bool {
        path == Path::new(self.name) || path == Path::new(".").join(self.name)
    }

    fn walk(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.list(directory)
    }
}

/// Every problem has a place, and it is in the text.
fn check_places(diagnostics: &Diagnostics, text: &str) {
    for diagnostic in diagnostics.iter() {
        let subject = diagnostic
            .subject
            .as_ref()
            .expect("every error has a place");
        check_place(subject, text);
        if let Some(context) = &diagnostic.context {
            check_place(context, text);
        }
    }
}

fn check_place(range: &SourceRange, text: &str) {
    let (start, end) = (range.start.byte as usize, range.end.byte as usize);
    assert!(start <= end && end <= text.len(), "{range:?}");
    assert!(
        text.is_char_boundary(start) && text.is_char_boundary(end),
        "{range:?}"
    );
    assert!(range.start.line >= 1 && range.start.column >= 1);
    assert!(range.start.line <= range.end.line, "{range:?}");
}
