//! Ctrl-C: the first asks for a clean end, the second ends at once.

use tokio_util::sync::CancellationToken;

/// A token that the first SIGINT or SIGTERM cancels; the second one ends the process.
#[expect(
    clippy::print_stderr,
    reason = "the user waits for an answer to Ctrl-C"
)]
#[expect(clippy::exit, reason = "a second interrupt means: now")]
pub(crate) fn token() -> CancellationToken {
    let token = CancellationToken::new();
    let cancel = token.clone();
    tokio::spawn(async move {
        wait().await;
        eprintln!(
            "\nInterrupt received. Finishing what is under way; nothing new will be started.\nInterrupt once more to stop at once: then what is under way may be lost from the state.\n"
        );
        cancel.cancel();
        wait().await;
        eprintln!("\nStopped at once. Objects that were being changed may not be recorded.");
        std::process::exit(1);
    });
    token
}

/// Waits for an interrupt.
pub(super) async fn wait() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        // Without a handler for SIGTERM, Ctrl-C alone must do.
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}
