//! Ctrl-C: the first asks for a clean end, the second ends at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::print_error;

/// A token that the first SIGINT or SIGTERM cancels; the second one ends the process.
#[expect(clippy::exit, reason = "a second interrupt means: now")]
pub(crate) fn token() -> CancellationToken {
    let token = CancellationToken::new();
    let cancel = token.clone();
    // Listening begins here, not when the task is first run: on a busy machine that may be late.
    let mut interrupts = Interrupts::listen();
    tokio::spawn(async move {
        interrupts.next().await;
        print_error(
            "\nInterrupt received.\nPlease wait for stead to exit or data loss may occur.\nGracefully shutting down...\n\n",
        );
        cancel.cancel();
        interrupts.next().await;
        print_error(
            "\nTwo interrupts received. Exiting immediately. Note that data loss may have occurred.\n",
        );
        std::process::exit(1);
    });
    token
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interrupt {
    /// Ctrl-C: a terminal sends it to the whole group of processes.
    CtrlC,
    /// SIGTERM: meant for this process alone.
    Terminate,
}

/// SIGINT and SIGTERM since [`Interrupts::listen`].
pub(super) struct Interrupts {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
}

impl Interrupts {
    pub(super) fn listen() -> Interrupts {
        Interrupts {
            interrupt: signal(SignalKind::interrupt()).ok(),
            terminate: signal(SignalKind::terminate()).ok(),
        }
    }

    /// Waits for the next one. A signal without a handler keeps its default effect.
    pub(super) async fn next(&mut self) -> Interrupt {
        tokio::select! {
            () = received(&mut self.interrupt) => Interrupt::CtrlC,
            () = received(&mut self.terminate) => Interrupt::Terminate,
        }
    }

    /// Whether one has come already.
    #[cfg(feature = "homelab")]
    pub(super) fn came(&mut self) -> bool {
        futures::FutureExt::now_or_never(self.next()).is_some()
    }
}

async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}
