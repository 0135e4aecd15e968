//! `serve()`: flags, environment, settings file, log, first lines and signals around a [`Service`].

mod first_lines;
mod settings;
mod signals;

use std::io::Write;
use std::net::SocketAddr;
use std::process::exit;

use self::first_lines::first_lines;
use self::settings::Wanted;
use crate::config::Config;
use crate::config::url::redacted;
use crate::error::{Error, Kind, Result};
use crate::log::LevelFilter;
use crate::operate::{self, Target};
use crate::service::{Service, ServiceBuilder};

/// How the process ends when it was set up wrongly.
const EXIT_CONFIG: i32 = 2;
/// How it ends when its store has failed.
const EXIT_STORE: i32 = 1;

/// Serves every object type of this program until SIGTERM or Ctrl-C: reads the flags, the environment and the settings
/// file (`--help` lists them), opens the store, prints where it listens and what to try.
///
/// With a command behind the program's name (`schema`, `doctor`, `explain`, `nodes`, `shards`, `epochs`, `purge`;
/// `--help` lists them too) it does that with the same settings instead, and ends.
///
/// At the first signal it takes no new calls, answers those under way (for `limits.drain-timeout-ms` at most) and
/// returns; at a second one the process ends at once, with 128 and the signal's number.
///
/// What is wrong with the settings is said in one line on stderr, and the process exits with 2; when the store does not
/// answer at the start, or fails for good, it exits with 1, so that it is started again.
///
/// # Errors
/// None that it could answer itself.
pub async fn serve() -> Result<()> {
    serve_with(Service::builder()).await
}

/// As [`serve`], with a builder of one's own: explicit types, a datastore of one's own. Flags win over its settings, but
/// not over its datastore: where one is given, the setting `store` is left out, and another one is refused.
///
/// # Errors
/// As [`serve`].
pub async fn serve_with(builder: ServiceBuilder) -> Result<()> {
    let code = match run(builder).await {
        Ok(code) => code,
        Err(error) => {
            let detail = error.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
            complain(&format!("{}{detail}", error.message()));
            if error.kind() == Kind::Config { EXIT_CONFIG } else { EXIT_STORE }
        }
    };
    if code == 0 { Ok(()) } else { exit(code) }
}

/// One line, whatever the parts were made of, and without the password of a URL that stands in it.
fn complain(message: &str) {
    // One that shows what a URL would be has no password in it.
    let is_url = |word: &str| word.contains("://") && !word.starts_with("scheme://");
    let shown = |word: &str| if is_url(word) { redacted(word) } else { word.to_owned() };
    let line = message.split_whitespace().map(shown).collect::<Vec<_>>().join(" ");
    let _ = writeln!(std::io::stderr(), "error: {line}");
}

async fn run(builder: ServiceBuilder) -> Result<i32> {
    let base = builder.settings().clone();
    let own_store = builder.own_store().cloned();
    let program = settings::program(std::env::args_os().next().as_ref());
    let config = match settings::read(std::env::args_os(), base.clone())? {
        Wanted::Serve(config) => *config,
        Wanted::Operate(task, config) => {
            store_shown(&base, &config, own_store.as_ref().map(|(_, name)| &**name))?;
            crate::log::start(config.log, LevelFilter::WARN, &program);
            let (types, format) = (builder.cache_pools(), builder.format());
            return operate::run(task, Target { config: *config, own_store, types, format }).await;
        }
        Wanted::Print(text) => {
            print_all(&text);
            return Ok(0);
        }
    };
    let store = store_shown(&base, &config, own_store.as_ref().map(|(_, name)| &**name))?;
    crate::log::start(config.log, LevelFilter::INFO, &program);
    let told = signals::listen()?;
    // Before the store, so that a port in use leaves no file behind.
    let listen = config.listen;
    let listener = tokio::net::TcpListener::bind(listen).await.map_err(|error| cannot_listen(listen, &error))?;
    let address = listener.local_addr().unwrap_or(listen);
    let mut config = config;
    let scheme = if config.peer_tls_cert.is_some() { "https" } else { "http" };
    config.advertise.get_or_insert_with(|| advertised(scheme, address));
    let service = builder.config(config).build().await?;
    print_all(&first_lines(&service, address, &store));
    let stopping = service.clone();
    let shutdown = async move {
        tokio::select! {
            () = told => {}
            _ = stopping.host().failed() => {}
        }
    };
    service.run(listener, shutdown).await?;
    let failed = service.host().has_failed();
    tracing::info!("stopped");
    Ok(if failed { EXIT_STORE } else { 0 })
}

/// Where other nodes reach a server that listens there: nobody can connect to "all addresses".
fn advertised(scheme: &str, address: SocketAddr) -> String {
    match address.ip().is_unspecified() {
        true => format!("{scheme}://{}:{}", crate::service::machine_name(), address.port()),
        false => format!("{scheme}://{address}"),
    }
}

/// How the store is called in the first lines.
fn store_shown(base: &Config, config: &Config, own: Option<&str>) -> Result<String> {
    match own {
        Some(own) if base.store != config.store => Err(Error::config(format!(
            "the store is set to {:?}, but this program brings its own ({own}); leave the setting out",
            redacted(&config.store)
        ))),
        Some(own) => Ok(own.to_owned()),
        None => Ok(redacted(&config.store)),
    }
}

fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> Error {
    use std::io::ErrorKind;
    Error::config(match error.kind() {
        ErrorKind::AddrInUse => {
            format!("port {} is in use on {}: stop who has it, or use --listen", address.port(), address.ip())
        }
        ErrorKind::PermissionDenied => {
            format!("this user may not listen on {address}; use --listen with a port above 1023")
        }
        ErrorKind::AddrNotAvailable => {
            format!("{} is no address of this machine; use --listen with one that is, or 0.0.0.0 for all", address.ip())
        }
        _ => format!("cannot listen on {address}: {error}"),
    })
}

fn print_all(text: &str) {
    let mut out = std::io::stdout().lock();
    // A closed pipe is no reason to stop serving.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
