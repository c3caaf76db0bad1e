//! The `headland` command.

mod cli;
mod commands;
mod output;
mod settings;

use std::process::ExitCode;

/// The edges of `headland dev` run with the allocator of the edge agent's own program.
#[cfg(feature = "dev")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Fails only if there is one already, which then is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    cli::main()
}
