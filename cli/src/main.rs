//! The `stead` binary: arguments in, text and JSON out. It decides nothing itself.

mod args;
mod backend;
mod commands;
mod error;
mod modules;
mod progress;
mod prompt;
mod providers;
mod recorder;
mod render;
mod report;
mod session;
mod settled;
mod stream;
mod variables;
mod warnings;
mod workspace;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    stead_sdk::init_crypto();
    init_logging();
    let cli = match args::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(args::Refused::Help(help)) => {
            commands::print(&help);
            return ExitCode::SUCCESS;
        }
        // Not clap's 2: `plan -detailed-exitcode` means changes by that.
        Err(args::Refused::Usage(error)) => return error::report(&error),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return error::report(&error::CommandError::from(error)),
    };
    let result = runtime.block_on(commands::run(cli));
    // Lab servers and idle connections must not hold up the end.
    runtime.shutdown_timeout(std::time::Duration::from_millis(100));
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => error::report(&error),
    }
}

/// `STEAD_LOG` (or `TF_LOG`) turns on the log of requests and decisions, on standard error. Secrets are not in it.
fn init_logging() {
    let level = std::env::var("STEAD_LOG").or_else(|_| std::env::var("TF_LOG"));
    if let Ok(level) = level {
        let filter =
            tracing_subscriber::EnvFilter::try_new(level.to_lowercase()).unwrap_or_default();
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .init();
    }
}
