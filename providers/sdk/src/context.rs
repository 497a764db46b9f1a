//! What an operation is given besides its arguments: cancellation, progress and a deadline.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use stead_value::addr::ResourceInstance;
use stead_value::{Diagnostic, Diagnostics};
use tokio_util::sync::CancellationToken;

use crate::plan::null_write_only;
use crate::{Error, Identify, Private, ResourceSchema};

/// One line of progress: what is being waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// A short clause without secrets, such as "waiting for the guest agent".
    pub message: String,
}

/// Where progress goes; the command line shows it.
pub trait ProgressSink: Send + Sync {
    fn progress(&self, progress: Progress);
}

impl<F: Fn(Progress) + Send + Sync> ProgressSink for F {
    fn progress(&self, progress: Progress) {
        self(progress);
    }
}

/// Handed to every provider operation. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    cancel: CancellationToken,
    deadline: Option<Instant>,
    object: Option<Arc<ResourceInstance>>,
    sink: Option<Arc<dyn ProgressSink>>,
    identify: Option<Arc<dyn Identify>>,
    warnings: Arc<Mutex<Diagnostics>>,
}

impl Context {
    pub fn new(cancel: CancellationToken) -> Context {
        Context {
            cancel,
            deadline: None,
            object: None,
            sink: None,
            identify: None,
            warnings: Arc::default(),
        }
    }

    /// A context that nobody watches, for tests and one-off reads.
    pub fn detached() -> Context {
        Context::new(CancellationToken::new())
    }

    #[must_use]
    pub fn with_progress(mut self, sink: Arc<dyn ProgressSink>) -> Context {
        self.sink = Some(sink);
        self
    }

    /// Where a create may say how its object can be found again.
    #[must_use]
    pub fn with_identify(mut self, identify: Arc<dyn Identify>) -> Context {
        self.identify = Some(identify);
        self
    }

    /// Says how the object that is being made can be found again, should this process end before it is done: at the latest when
    /// the other side has named it, and already before the request when we name it. When this returns, it is on disk.
    ///
    /// `object` is the object as far as it is known; [`Resource::read`](crate::Resource::read) must be able to find it by
    /// that.
    ///
    /// # Errors
    /// When it could not be written down: then nothing that cannot be found again may be made.
    pub async fn identified<R: ResourceSchema>(&self, object: &R) -> Result<(), Error> {
        let Some(identify) = &self.identify else {
            return Ok(());
        };
        let mut private = Private::default();
        object.store_private(&mut private)?;
        let value = null_write_only(&R::block(), &object.encode());
        let identified = identify.identified(value, private.into_bytes(), object.identity());
        Ok(identified.await?)
    }

    /// Says which object of the configuration the operation is about.
    #[must_use]
    pub fn with_object(mut self, object: ResourceInstance) -> Context {
        self.object = Some(Arc::new(object));
        self
    }

    /// The object that the operation is about, for providers that stand in for others. Others need not know.
    pub fn object(&self) -> Option<&ResourceInstance> {
        self.object.as_deref()
    }

    /// The earlier of the present deadline and `deadline`.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Instant) -> Context {
        self.deadline = Some(self.deadline.map_or(deadline, |d| d.min(deadline)));
        self
    }

    /// The same context with no warnings yet: what one operation is given, so that its warnings can be taken from it.
    #[must_use]
    pub(crate) fn for_operation(&self) -> Context {
        Context {
            warnings: Arc::default(),
            ..self.clone()
        }
    }

    /// Tells the user something that does not stop the operation, such as an object that could not be looked at. Never
    /// pass a secret.
    pub fn warn(&self, summary: impl Into<String>, detail: impl Into<String>) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.push(Diagnostic::warning(summary, detail));
    }

    /// The warnings so far, which are then gone from here.
    pub(crate) fn take_warnings(&self) -> Diagnostics {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *warnings)
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Set when the user interrupts: finish the request under way, start no other, return what is known.
    pub fn cancelled(&self) -> &CancellationToken {
        &self.cancel
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Says what is being waited for. Never pass a secret.
    pub fn progress(&self, message: impl Into<String>) {
        if let Some(sink) = &self.sink {
            sink.progress(Progress {
                message: message.into(),
            });
        }
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("cancelled", &self.is_cancelled())
            .field("deadline", &self.deadline)
            .finish()
    }
}
