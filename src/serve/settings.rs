//! From flags, environment and settings file to one [`Config`], and what is said of each mistake in them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::{FalseyValueParser, StyledStr};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Args, Command, FromArgMatches, Subcommand};

use crate::config::url::redacted;
use crate::config::{Config, Confirm, LogFormat, listen_address};
use crate::error::{Error, Result};
use crate::operate::Task;

/// The flags. Each is an environment variable and a key of the settings file too; a flag wins over the environment, the
/// environment over the file.
#[derive(Args, Debug)]
struct Flags {
    /// The address to listen on
    #[arg(long, value_name = "ADDR", env = "REMOTE_OBJECT_LISTEN")]
    listen: Option<String>,
    /// The datastore: sqlite:PATH, memory:, or one of those built in, such as cassandra://HOSTS/KEYSPACE
    #[arg(long, value_name = "URL", env = "REMOTE_OBJECT_STORE")]
    store: Option<String>,
    /// The shared cache before the store, such as memcached://m1,m2
    #[arg(long, value_name = "URL", env = "REMOTE_OBJECT_CACHE")]
    cache: Option<String>,
    /// Take a store whose acknowledged writes may be lost when its process dies
    #[arg(long, env = "REMOTE_OBJECT_ACCEPT_WEAK_DURABILITY", value_parser = FalseyValueParser::new())]
    accept_weak_durability: bool,
    /// Take a Cassandra cluster that acknowledges writes before they are synced to a disk
    #[arg(long, env = "REMOTE_OBJECT_ALLOW_PERIODIC", value_parser = FalseyValueParser::new())]
    allow_periodic: bool,
    /// Take a cluster of fewer than three replicas
    #[arg(long, env = "REMOTE_OBJECT_DEV", value_parser = FalseyValueParser::new())]
    dev: bool,
    /// What is read again before an answer leaves: node or shard
    #[arg(long, value_name = "WHAT", env = "REMOTE_OBJECT_CONFIRM")]
    confirm: Option<String>,
    /// How the log is written: text or json
    #[arg(long, value_name = "FORMAT", env = "REMOTE_OBJECT_LOG")]
    log: Option<String>,
    /// Where other nodes on the same store reach this one [default: http:// and the address it listens on]
    #[arg(long, value_name = "URL", env = "REMOTE_OBJECT_ADVERTISE")]
    advertise: Option<String>,
    /// The name of this host among them, the same after each restart [default: the machine's]
    #[arg(long, value_name = "NAME", env = "REMOTE_OBJECT_NODE_NAME")]
    node_name: Option<String>,
    /// What absolute URIs of this cluster begin with, such as `https://shop.example`
    #[arg(long, value_name = "URL", env = "REMOTE_OBJECT_PUBLIC_URL")]
    public_url: Option<String>,
    /// The certificate that this node shows to others, in PEM
    #[arg(long, value_name = "FILE", env = "REMOTE_OBJECT_PEER_TLS_CERT")]
    peer_tls_cert: Option<String>,
    /// The private key of that certificate, in PEM
    #[arg(long, value_name = "FILE", env = "REMOTE_OBJECT_PEER_TLS_KEY")]
    peer_tls_key: Option<String>,
    /// The authority that signs the certificates of nodes, in PEM
    #[arg(long, value_name = "FILE", env = "REMOTE_OBJECT_PEER_TLS_CA")]
    peer_tls_ca: Option<String>,
    /// A settings file in TOML; its keys are those that --print-config prints
    #[arg(long, value_name = "FILE", env = "REMOTE_OBJECT_CONFIG")]
    config: Option<PathBuf>,
    /// Print the settings in effect as TOML, and exit
    #[arg(long, env = "REMOTE_OBJECT_PRINT_CONFIG", value_parser = FalseyValueParser::new())]
    print_config: bool,
}

/// What the command line asks for.
#[derive(Debug)]
pub(super) enum Wanted {
    /// To serve with these settings.
    Serve(Box<Config>),
    /// To do this with these settings, and end.
    Operate(Task, Box<Config>),
    /// To print this, and end.
    Print(String),
}

/// Reads `args` (the program's name first), the environment and the settings file on top of `base`.
///
/// # Errors
/// `config`: what is wrong and what would be right.
pub(super) fn read(args: impl IntoIterator<Item = OsString>, base: Config) -> Result<Wanted> {
    let args: Vec<OsString> = args.into_iter().collect();
    let command = command(&base);
    check_environment(&command)?;
    let matches = match command.clone().try_get_matches_from(&args) {
        Ok(matches) => matches,
        Err(error) if error.kind() == ErrorKind::DisplayVersion => {
            let version = env!("CARGO_PKG_VERSION");
            return Ok(Wanted::Print(format!("{} (remote-object {version})\n", program(args.first()))));
        }
        Err(error) if !error.use_stderr() => return Ok(Wanted::Print(error.to_string())),
        Err(error) => return Err(bad_flag(&command, &args, &error)),
    };
    let flags = Flags::from_arg_matches(&matches).map_err(|error| bad_flag(&command, &args, &error))?;
    let print = flags.print_config;
    let config = settings(base, flags, |id| matches.value_source(id))?;
    config.check()?;
    if print {
        return toml::to_string(&config.redacted())
            .map(Wanted::Print)
            .map_err(|error| Error::internal(error.to_string()));
    }
    match matches.subcommand_name() {
        None => Ok(Wanted::Serve(Box::new(config))),
        Some(_) => {
            let task = Task::from_arg_matches(&matches).map_err(|error| bad_flag(&command, &args, &error))?;
            Ok(Wanted::Operate(task, Box::new(config)))
        }
    }
}

/// The name of a program, as it was called.
pub(super) fn program(path: Option<&OsString>) -> String {
    let name = path.and_then(|path| Path::new(path).file_stem());
    name.map_or_else(|| "remote-object".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// The flags as clap knows them, with the defaults of this program in their help.
fn command(base: &Config) -> Command {
    let store = redacted(&base.store);
    let (listen, log) = (base.listen.to_string(), if base.log == LogFormat::Json { "json" } else { "text" });
    Task::augment_subcommands(Flags::augment_args(Command::new("remote-object")))
        .about("Serves durable objects over HTTP; or does one of the commands, with the same settings")
        .subcommand_required(false)
        .long_about(None::<&str>)
        // It is printed here, with the program's own name.
        .version("")
        .disable_help_subcommand(true)
        .mut_args(|arg| {
            let arg = arg.hide_env_values(true).global(true);
            let default = match arg.get_id().as_str() {
                "listen" => &listen,
                "store" => &store,
                "log" => log,
                _ => return arg,
            };
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            arg.help(StyledStr::from(format!("{help} [default: {default}]")))
        })
}

fn variable(id: &str) -> String {
    format!("REMOTE_OBJECT_{}", id.to_uppercase())
}

/// clap does not say which variable is no text.
fn check_environment(command: &Command) -> Result<()> {
    let names = command.get_arguments().filter_map(|arg| arg.get_env()?.to_str());
    for name in names.filter(|name| *name != variable("config")) {
        if let Err(std::env::VarError::NotUnicode(value)) = std::env::var(name) {
            let value = redacted(&value.to_string_lossy());
            return Err(Error::config(format!("{name} is {value:?}, which is no UTF-8")));
        }
    }
    Ok(())
}

/// clap's message without its usage lines, and with what there is where something is unknown.
fn bad_flag(command: &Command, args: &[OsString], error: &clap::Error) -> Error {
    let text = error.to_string();
    let text = text.trim_start_matches("error: ");
    let text = text.split("\n\n").next().unwrap_or(text);
    let unknown = |kind: ContextKind| match error.get(kind) {
        Some(ContextValue::String(unknown)) => redacted(unknown),
        _ => redacted(text),
    };
    let commands = || command.get_subcommands().map(Command::get_name).collect::<Vec<_>>().join(", ");
    match error.kind() {
        ErrorKind::UnknownArgument => {}
        ErrorKind::InvalidSubcommand => {
            return Error::config(format!(
                "there is no command {}; there are {}, and without one it serves",
                unknown(ContextKind::InvalidSubcommand),
                commands()
            ));
        }
        _ => return Error::config(text.to_owned()),
    }
    let unknown = unknown(ContextKind::InvalidArg);
    // Those of the command that was named, and those of all.
    let named =
        args.iter().skip(1).fold(command, |at, arg| arg.to_str().and_then(|arg| at.find_subcommand(arg)).unwrap_or(at));
    let own = if std::ptr::eq(named, command) { None } else { Some(named) };
    let flags = command.get_arguments().chain(own.into_iter().flat_map(Command::get_arguments));
    let flags = flags.filter_map(|arg| arg.get_long());
    let flags: Vec<String> = flags.chain(["help", "version"]).map(|flag| format!("--{flag}")).collect();
    Error::config(format!("there is no argument {unknown}; there are {}", flags.join(", ")))
}

/// `source` tells where a flag's value was found.
fn settings(base: Config, flags: Flags, source: impl Fn(&str) -> Option<ValueSource>) -> Result<Config> {
    // As its user knows it.
    let from = |id: &str| match source(id) {
        Some(ValueSource::EnvVariable) => variable(id),
        _ => format!("--{}", id.replace('_', "-")),
    };
    let mut config = match &flags.config {
        None => base,
        Some(path) => with_file(&base, path)?,
    };
    if let Some(listen) = flags.listen {
        config.listen = listen_address(&listen)
            .map_err(|right| Error::config(format!("{} is {listen:?}; {right}", from("listen"))))?;
    }
    if let Some(store) = flags.store {
        config.store = store;
    }
    if let Some(cache) = flags.cache {
        config.cache = Some(cache).filter(|cache| !cache.is_empty());
    }
    let switches = [
        ("accept_weak_durability", flags.accept_weak_durability, &mut config.accept_weak_durability),
        ("allow_periodic", flags.allow_periodic, &mut config.allow_periodic),
        ("dev", flags.dev, &mut config.dev),
    ];
    for (id, given, setting) in switches {
        // One that was not given is false too, and then the file's word counts.
        if matches!(source(id), Some(ValueSource::CommandLine | ValueSource::EnvVariable)) {
            *setting = given;
        }
    }
    if let Some(confirm) = flags.confirm {
        config.confirm = match confirm.as_str() {
            "node" => Confirm::Node,
            "shard" => Confirm::Shard,
            _ => return Err(Error::config(format!("{} is {confirm:?}; it is node or shard", from("confirm")))),
        };
    }
    if let Some(log) = flags.log {
        config.log = match log.as_str() {
            "text" => LogFormat::Text,
            "json" => LogFormat::Json,
            _ => return Err(Error::config(format!("{} is {log:?}; it is text or json", from("log")))),
        };
    }
    if let Some(url) = flags.advertise {
        config.advertise = Some(url);
    }
    if let Some(name) = flags.node_name {
        config.node_name = Some(name);
    }
    if let Some(url) = flags.public_url {
        config.public_url = Some(url);
    }
    let files = [
        (flags.peer_tls_cert, &mut config.peer_tls_cert),
        (flags.peer_tls_key, &mut config.peer_tls_key),
        (flags.peer_tls_ca, &mut config.peer_tls_ca),
    ];
    for (given, setting) in files {
        if let Some(path) = given {
            *setting = Some(PathBuf::from(path)).filter(|path| !path.as_os_str().is_empty());
        }
    }
    Ok(config)
}

/// The base, changed where the file names something.
fn with_file(base: &Config, path: &Path) -> Result<Config> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::config(format!("the settings file {shown} cannot be read: {error}")))?;
    // Once by itself, for the sake of errors that know their line; once on top of the base.
    toml::from_str::<Config>(&text).map_err(|error| bad_file(path, &text, &error))?;
    let mut merged = toml::Table::try_from(base).map_err(|error| Error::internal(error.to_string()))?;
    let file: toml::Table = text.parse().map_err(|error| bad_file(path, &text, &error))?;
    merge(&mut merged, file);
    merged.try_into().map_err(|error| bad_file(path, &text, &error))
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

/// What serde calls things, and what people do.
const WORDS: [(&str, &str); 7] = [
    ("expected usize", "expected a whole number, 0 or more"),
    ("expected u64", "expected a whole number, 0 or more"),
    ("expected a sequence", "expected a list"),
    ("expected struct Config", "expected a table"),
    ("expected struct Limits", "expected a table"),
    ("unknown field", "there is no setting"),
    ("`, expected one of ", "`; there are "),
];

fn bad_file(path: &Path, text: &str, error: &toml::de::Error) -> Error {
    // Both may quote a URL.
    let message = redacted(error.message());
    let message = WORDS.iter().fold(message, |text, (from, to)| text.replace(from, to));
    let place = error.span().map(|span| {
        let before = text.get(..span.start).unwrap_or_default();
        let number = before.matches('\n').count();
        let line = redacted(text.lines().nth(number).unwrap_or_default().trim());
        format!(", line {}, `{line}`", number + 1)
    });
    Error::config(format!("the settings file {}{}: {message}", path.display(), place.unwrap_or_default()))
}
