//! `serve()`: flags, environment, settings file, log, start-up lines and signals around a [`Service`].

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::exit;

use clap::Parser;

use crate::config::{Config, LogFormat};
use crate::error::{Error, Result};
use crate::model::Durability;
use crate::objects::{Method, TypeDef};
use crate::service::{Service, ServiceBuilder};

/// How the process ends when it was set up wrongly.
const EXIT_CONFIG: i32 = 2;
/// How it ends when its store has failed.
const EXIT_STORE: i32 = 1;

/// The flags. Each is an environment variable and a key of the settings file too; a flag wins over the environment, the
/// environment over the file.
#[derive(Parser, Debug)]
#[command(about = "Serves durable objects over HTTP", version, disable_help_subcommand = true)]
struct Flags {
    /// The address to listen on
    #[arg(long, value_name = "ADDR", env = "REMOTE_OBJECT_LISTEN")]
    listen: Option<String>,
    /// The datastore: sqlite:PATH or memory:
    #[arg(long, value_name = "URL", env = "REMOTE_OBJECT_STORE")]
    store: Option<String>,
    /// How the log is written: text or json
    #[arg(long, value_name = "FORMAT", env = "REMOTE_OBJECT_LOG")]
    log: Option<String>,
    /// What absolute URIs of this cluster begin with, such as <https://shop.example>
    #[arg(long, value_name = "URL", env = "REMOTE_OBJECT_PUBLIC_URL")]
    public_url: Option<String>,
    /// A settings file in TOML; its keys are those that --print-config prints
    #[arg(long, value_name = "FILE", env = "REMOTE_OBJECT_CONFIG")]
    config: Option<PathBuf>,
    /// Print the settings in effect as TOML, and exit
    #[arg(long, env = "REMOTE_OBJECT_PRINT_CONFIG", value_parser = clap::builder::FalseyValueParser::new())]
    print_config: bool,
}

/// Serves every object type of this program until SIGTERM or Ctrl-C: reads the flags, the environment and the settings
/// file (`--help` lists them), opens the store, prints where it listens and what to try.
///
/// What is wrong with the settings is said in one line on stderr, and the process exits with 2; when the store fails for
/// good it exits with 1, so that it is started again.
///
/// # Errors
/// None that it could answer itself.
pub async fn serve() -> Result<()> {
    serve_with(Service::builder()).await
}

/// As [`serve`], with a builder of one's own: explicit types, a datastore of one's own. Flags win over its settings.
///
/// # Errors
/// As [`serve`].
pub async fn serve_with(builder: ServiceBuilder) -> Result<()> {
    let code = match run(builder).await {
        Ok(code) => code,
        Err(error) => {
            // One line, whatever the parts were made of.
            let detail = error.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
            complain(&format!("{}{detail}", error.message()));
            EXIT_CONFIG
        }
    };
    if code == 0 { Ok(()) } else { exit(code) }
}

fn complain(message: &str) {
    let line: String = message.split_whitespace().collect::<Vec<_>>().join(" ");
    eprintln!("error: {line}");
}

async fn run(builder: ServiceBuilder) -> Result<i32> {
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) if !error.use_stderr() => {
            let _ = error.print();
            return Ok(0);
        }
        Err(error) => return Err(Error::config(first_paragraph(&error.to_string()))),
    };
    let print = flags.print_config;
    let config = settings(builder.settings().clone(), flags)?;
    config.check()?;
    if print {
        let text = toml::to_string(&config).map_err(|error| Error::internal(error.to_string()))?;
        print_all(&text);
        return Ok(0);
    }
    start_log(config.log);
    let listen = config.listen;
    let service = builder.config(config).build().await?;
    let listener = tokio::net::TcpListener::bind(listen).await.map_err(|error| cannot_listen(listen, &error))?;
    let address = listener.local_addr().unwrap_or(listen);
    print_all(&first_lines(&service, address));
    let stopping = service.clone();
    let shutdown = async move {
        tokio::select! {
            () = signals() => tracing::info!("told to stop"),
            _ = stopping.host().failed() => {}
        }
    };
    service.run(listener, shutdown).await?;
    Ok(if service.host().has_failed() { EXIT_STORE } else { 0 })
}

/// clap's message without its usage lines.
fn first_paragraph(text: &str) -> String {
    let text = text.trim_start_matches("error: ");
    text.split("\n\nUsage").next().unwrap_or(text).split("\n\nFor more").next().unwrap_or(text).to_owned()
}

fn settings(base: Config, flags: Flags) -> Result<Config> {
    let mut config = match &flags.config {
        None => base,
        Some(path) => {
            let shown = path.display();
            let text = std::fs::read_to_string(path)
                .map_err(|error| Error::config(format!("the settings file {shown} cannot be read: {error}")))?;
            // Only what the file names differs from the base.
            let mut merged = toml::Table::try_from(&base).map_err(|error| Error::internal(error.to_string()))?;
            let file: toml::Table = text.parse().map_err(|error| bad_file(path, &error))?;
            merge(&mut merged, file);
            merged.try_into::<Config>().map_err(|error| bad_file(path, &error))?
        }
    };
    if let Some(listen) = flags.listen {
        config.listen = address(&listen)?;
    }
    if let Some(store) = flags.store {
        config.store = store;
    }
    if let Some(log) = flags.log {
        config.log = match log.as_str() {
            "text" => LogFormat::Text,
            "json" => LogFormat::Json,
            _ => return Err(Error::config(format!("--log is {log:?}; it is text or json"))),
        };
    }
    if let Some(url) = flags.public_url {
        config.public_url = Some(url);
    }
    Ok(config)
}

fn merge(into: &mut toml::Table, from: toml::Table) {
    for (name, value) in from {
        match (into.get_mut(&name), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(value)) => merge(inner, value),
            (_, value) => {
                into.insert(name, value);
            }
        }
    }
}

fn bad_file(path: &std::path::Path, error: &toml::de::Error) -> Error {
    Error::config(format!("the settings file {}: {}", path.display(), error.message()))
}

fn address(text: &str) -> Result<SocketAddr> {
    let all = text.strip_prefix(':').map(|port| format!("0.0.0.0:{port}"));
    let named = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let text = all.or(named).unwrap_or_else(|| text.to_owned());
    text.parse().map_err(|_| {
        Error::config(format!(
            "--listen is {text:?}; it is an address and a port, such as 127.0.0.1:8080 or [::1]:8080"
        ))
    })
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
        _ => format!("cannot listen on {address}: {error}"),
    })
}

fn start_log(format: LogFormat) {
    use tracing_subscriber::filter::{LevelFilter, Targets};
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::util::SubscriberInitExt;
    let levels: Targets = std::env::var("RUST_LOG")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let registry = tracing_subscriber::registry().with(levels);
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let _ = match format {
        LogFormat::Text => {
            registry.with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(ansi)).try_init()
        }
        LogFormat::Json => registry.with(crate::log::Ecs).try_init(),
    };
}

/// What a person sees first: where it listens, where the data are and what they survive, and three calls to try.
fn first_lines(service: &Service, address: SocketAddr) -> String {
    let base = format!("http://{address}");
    let synced = match service.durability() {
        Durability::PowerSafe => "yes",
        Durability::ProcessSafe => "no, acknowledged writes survive the process but not the loss of power",
        Durability::Weak => "no, acknowledged writes are gone with the process",
    };
    let mut text = format!("listening on {base}\nstore: {}\nsynced: {synced}\ntry:\n", service.host().config().store);
    for line in curl_lines(service, &base) {
        text.push_str("  ");
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// An edit, the state it leaves, and the page that lists the rest.
fn curl_lines(service: &Service, base: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let types: Vec<&TypeDef> = service.host().registry().iter().collect();
    // The simplest first: an edit whose arguments one can make up.
    let edits = types.iter().flat_map(|def| def.methods.iter().map(move |method| (*def, method)));
    let simple = |method: &Method| method.params.iter().all(|param| example(param.schema).is_some());
    let pick = edits
        .filter(|(_, method)| !method.is_view() && simple(method))
        .min_by_key(|(def, method)| (def.name != "counter", method.params.is_empty(), method.params.len()));
    let def = pick.map_or(types[0], |(def, _)| def);
    if let Some((def, method)) = pick {
        let args: Vec<String> = method
            .params
            .iter()
            .filter_map(|param| Some(format!("{:?}:{}", param.name, example(param.schema)?)))
            .collect();
        lines.push(format!(
            "curl -X POST {base}/objects/{}/demo/{} -H 'content-type: application/json' -d '{{{}}}'",
            def.name,
            method.name,
            args.join(",")
        ));
    }
    lines.push(format!("curl -i {base}/objects/{}/demo", def.name));
    lines.push(format!("curl {base}/objects/{}", def.name));
    lines
}

/// An argument that fits a simple schema.
fn example(schema: fn(&mut schemars::SchemaGenerator) -> schemars::Schema) -> Option<&'static str> {
    let schema = schema(&mut schemars::SchemaGenerator::default());
    match schema.get("type")?.as_str()? {
        "integer" | "number" => Some("5"),
        "string" if schema.get("format").is_none() => Some("\"hello\""),
        "boolean" => Some("true"),
        _ => None,
    }
}

fn print_all(text: &str) {
    let mut out = std::io::stdout().lock();
    // A closed pipe is no reason to stop serving.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Resolves at SIGTERM or Ctrl-C.
async fn signals() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
