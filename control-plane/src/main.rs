//! The program `headland-control-plane`: configuration, log, store, signals, and the control plane in between.

use std::{
    fs,
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
};

use clap::Parser;
use headland_control_plane::{
    config::{Config, Flags, LogFormat, StoreConfig},
    server::{ControlPlane, Listeners},
    store::{SharedStore, StoreError, embedded::EmbeddedStore, etcd::EtcdStore},
};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};
use tracing_subscriber::EnvFilter;

use self::exit::Exit;

mod exit;

fn main() -> ExitCode {
    let flags = Flags::parse();
    let print = flags.print_config;
    match Config::load(flags) {
        Err(problems) => {
            // Where standard error is closed there is nobody to tell.
            let _ = writeln!(io::stderr(), "failed to {problems}");
            Exit::Config.into()
        }
        Ok(config) if print => match io::stdout().write_all(config.to_yaml().as_bytes()) {
            Ok(()) => Exit::Done.into(),
            Err(_) => Exit::Failed.into(),
        },
        Ok(config) => {
            start_log(&config);
            // The process has one TLS provider; who comes second finds it installed.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
            run_to_completion(config).into()
        }
    }
}

fn start_log(config: &Config) {
    let log =
        tracing_subscriber::fmt().with_env_filter(EnvFilter::new(&config.log_level)).with_writer(io::stderr);
    match config.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
}

fn run_to_completion(config: Config) -> Exit {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(run(config)),
        Err(error) => {
            error!(%error, "failed to start the runtime");
            Exit::Failed
        }
    }
}

async fn run(config: Config) -> Exit {
    let (mut terminate, mut interrupt) =
        match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
            (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
            (Err(error), _) | (_, Err(error)) => {
                error!(%error, "failed to listen for signals");
                return Exit::Failed;
            }
        };
    let listeners = match Listeners::bind(config.api, config.sync, config.admin).await {
        Ok(listeners) => listeners,
        Err(error) => {
            error!("failed to {error}");
            return Exit::Listen;
        }
    };
    let store = match open(config.store).await {
        Ok(store) => store,
        Err(error) => {
            error!("failed to {error}");
            return Exit::Store;
        }
    };
    let mut control_plane = match ControlPlane::start(config.settings, listeners, store) {
        Ok(control_plane) => control_plane,
        Err(error) => {
            error!("failed to start: {error}");
            return Exit::Listen;
        }
    };
    let exit = tokio::select! {
        _ = terminate.recv() => Exit::Done,
        _ = interrupt.recv() => Exit::Done,
        () = control_plane.failed() => Exit::Failed,
    };
    info!("stopping");
    control_plane.shutdown().await;
    exit
}

async fn open(store: StoreConfig) -> Result<SharedStore, StoreError> {
    match store {
        StoreConfig::Embedded(path) => {
            if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
                fs::create_dir_all(dir).map_err(|error| StoreError::Failed {
                    reason: format!("create the folder {}: {error}", dir.display()),
                })?;
            }
            // Reads and checks the whole file.
            let opened = tokio::task::spawn_blocking(move || EmbeddedStore::open(&path)).await;
            let opened = opened.map_err(|error| StoreError::Failed { reason: error.to_string() })?;
            Ok(Arc::new(opened?))
        }
        StoreConfig::Etcd(options) => Ok(Arc::new(EtcdStore::connect(options).await?)),
    }
}
