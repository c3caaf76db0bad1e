//! The program `headland-edge-agent`: reads the settings, starts the agent, stops it on SIGTERM or SIGINT.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use headland_edge_agent::{
    agent::{self, Handle, Listeners, StartError},
    config::{self, Asked, ConfigError, Log, LogFormat, Settings},
    error_chain::ErrorChain,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Every way this program can end, besides by a signal.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("wait for signals")]
    Signals(#[source] io::Error),
    #[error("print the configuration")]
    Print(#[source] io::Error),
    #[error("end within the drain time-out: a second signal came first")]
    Impatient,
}

impl Failure {
    /// The only place that chooses exit codes. 0 is a stop that was asked for.
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) => ExitCode::from(2),
            Self::Start(_) => ExitCode::from(3),
            Self::Signals(_) | Self::Print(_) | Self::Impatient => ExitCode::FAILURE,
        }
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Config(ConfigError::Usage(usage))) => {
            // Help and version go to stdout and are no failure; clap knows which is which.
            let _ = usage.print();
            if usage.use_stderr() {
                Failure::Config(ConfigError::Usage(usage)).exit_code()
            } else {
                ExitCode::SUCCESS
            }
        }
        Err(failure) => {
            let _ = writeln!(io::stderr(), "headland-edge-agent: failed to {}", ErrorChain(&failure));
            failure.exit_code()
        }
    }
}

fn run() -> Result<(), Failure> {
    let settings = match config::from_command_line(std::env::args_os())? {
        Asked::Run(settings) => *settings,
        Asked::Print(yaml) => {
            return io::stdout().write_all(yaml.as_bytes()).map_err(Failure::Print);
        }
    };
    start_log(&settings.log);
    // Several cryptographic providers may be compiled in; without a choice the first use of TLS would panic. It fails only if
    // one was installed before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    serve(settings)
}

fn serve(settings: Settings) -> Result<(), Failure> {
    let drain = settings.drain_timeout;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Signals)?;
    runtime.block_on(async move {
        // Before anything is served: a signal that comes early must not be lost.
        let mut signals = Signals::new().map_err(Failure::Signals)?;
        let listeners = Listeners::bind(&settings)?;
        let handle: Handle = agent::start(settings, listeners)?;
        signals.wait().await;
        tokio::select! {
            () = handle.shutdown(drain) => Ok(()),
            () = signals.wait() => Err(Failure::Impatient),
        }
    })
}

/// SIGTERM and SIGINT, which mean the same.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn start_log(log: &Log) {
    // Was checked with the settings.
    let filter = EnvFilter::try_new(&log.level).unwrap_or_default();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match log.format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
}
