//! Ephemeral resources while they are open: kept alive until they are given back.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use stead_sdk::{Context, Lease, Private, Provider};
use stead_value::addr::ResourceInstance;
use stead_value::{Diagnostics, Value};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::event::{EphemeralStep, Event, Observer};

/// Who is opened, and by whom.
#[derive(Clone)]
pub(crate) struct Subject {
    pub(crate) address: ResourceInstance,
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) context: Context,
}

/// Something open. It must be given to [`Held::close`]; dropped, it is only left alone.
pub(crate) struct Held {
    subject: Subject,
    enough: CancellationToken,
    /// Ends with what closing needs, and what renewing met.
    keeping: JoinHandle<(Private, Diagnostics)>,
}

impl Subject {
    fn type_name(&self) -> &str {
        &self.address.resource.type_name
    }

    /// Runs a step and tells about it.
    async fn step<T>(
        &self,
        step: EphemeralStep,
        work: impl Future<Output = Result<T, Diagnostics>>,
    ) -> Result<T, Diagnostics> {
        let address = self.address.clone();
        let started = Instant::now();
        self.observer.event(Event::EphemeralStart {
            address: address.clone(),
            step,
        });
        let result = work.await;
        let elapsed = started.elapsed();
        self.observer.event(match &result {
            Ok(_) => Event::EphemeralDone {
                address,
                step,
                elapsed,
            },
            Err(_) => Event::EphemeralFailed {
                address,
                step,
                elapsed,
            },
        });
        result
    }

    /// Opens; `config` is wholly known and unmarked. What comes back is the object, what holds it, and warnings.
    pub(crate) async fn open(
        self,
        config: Value,
    ) -> Result<(Value, Held, Diagnostics), Diagnostics> {
        let work = self
            .provider
            .open_ephemeral(self.type_name(), config, &self.context);
        let (lease, warnings) = self.step(EphemeralStep::Open, work).await?;
        let Lease {
            object,
            private,
            renew_at,
        } = lease;
        let enough = CancellationToken::new();
        let keeping = tokio::spawn(keep(self.clone(), private, renew_at, enough.clone()));
        let held = Held {
            subject: self,
            enough,
            keeping,
        };
        Ok((object, held, warnings))
    }
}

/// Renews when it is time, until it is enough.
async fn keep(
    subject: Subject,
    mut private: Private,
    mut renew_at: Option<SystemTime>,
    enough: CancellationToken,
) -> (Private, Diagnostics) {
    let mut found = Diagnostics::new();
    while let Some(due) = renew_at {
        let left = due.duration_since(SystemTime::now()).unwrap_or_default();
        tokio::select! {
            () = enough.cancelled() => return (private, found),
            () = tokio::time::sleep(left) => {}
        }
        let work = subject.provider.renew_ephemeral(
            subject.type_name(),
            private.clone(),
            &subject.context,
        );
        match subject.step(EphemeralStep::Renew, work).await {
            Ok((lease, warnings)) => {
                found.extend(warnings);
                private = lease.private;
                renew_at = lease.renew_at;
            }
            // What uses it will say that it has run out, if it has.
            Err(errors) => {
                found.extend(errors);
                renew_at = None;
            }
        }
    }
    enough.cancelled().await;
    (private, found)
}

impl Held {
    /// Gives back what was opened, and says what went wrong meanwhile.
    pub(crate) async fn close(self) -> Diagnostics {
        self.enough.cancel();
        let Subject { address, .. } = &self.subject;
        let (private, mut found) = match self.keeping.await {
            Ok(kept) => kept,
            Err(error) => {
                return stead_value::Diagnostic::error(
                    "Internal error",
                    format!("What keeps {address} open ended abnormally: {error}. It is not closed; please report this."),
                )
                .into();
            }
        };
        let work = self.subject.provider.close_ephemeral(
            self.subject.type_name(),
            private,
            &self.subject.context,
        );
        match self.subject.step(EphemeralStep::Close, work).await {
            Ok(warnings) => found.extend(warnings),
            Err(errors) => found.extend(errors),
        }
        found
            .into_iter()
            .map(|d| match d.address {
                Some(_) => d,
                None => d.address(address.to_string()),
            })
            .collect()
    }
}
