//! The `stead` binary: arguments in, text and JSON out. It decides nothing itself.

mod args;
mod backend;
mod command_line;
mod commands;
mod encryption;
mod error;
mod logging;
mod modules;
mod problems;
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

use command_line::Refused;

fn main() -> ExitCode {
    stead_sdk::init_crypto();
    logging::init();
    let cli = match command_line::parse(std::env::args_os(), |name| std::env::var(name).ok()) {
        Ok(cli) => cli,
        Err(Refused::Help(help, code)) => {
            commands::print(&help);
            return ExitCode::from(code);
        }
        // Not clap's 2: `plan -detailed-exitcode` means changes by that.
        Err(Refused::Usage(mut error)) => {
            error.no_color = std::env::args_os().any(|a| command_line::refuses_colour(&a));
            return error::report(&error);
        }
        Err(Refused::UsageForMachines(found)) => {
            let stream = stream::Stream::new(Box::new(std::io::stdout()));
            stream.diagnostics(&found, &render::diagnostics::Sources::default());
            return ExitCode::FAILURE;
        }
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
