//! The log: text for people, or JSON, one object a line, with the field names of the Elastic Common Schema.

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
pub(crate) use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::clock;
use crate::config::LogFormat;

/// Writes to stderr from here on, panics included: `RUST_LOG` says what, or else what is of `level` and above, of a database's
/// driver no more than warnings. A log that the program has started itself stays as it is.
pub(crate) fn start(format: LogFormat, level: LevelFilter, program: &str) {
    let asked = std::env::var("RUST_LOG").ok().filter(|text| !text.trim().is_empty());
    let parsed = asked.as_ref().map(|text| text.parse::<Targets>());
    let levels = match &parsed {
        Some(Ok(levels)) => levels.clone(),
        // The driver tells of every connection it makes.
        _ => Targets::new().with_default(level).with_target("scylla", level.min(LevelFilter::WARN)),
    };
    let registry = tracing_subscriber::registry().with(levels);
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let started = match format {
        LogFormat::Text => {
            registry.with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(ansi)).try_init()
        }
        LogFormat::Json => registry.with(Ecs { program: program.into() }).try_init(),
    };
    if started.is_ok() {
        std::panic::set_hook(Box::new(log_panic));
    }
    if let Some(Err(error)) = parsed {
        let text = asked.unwrap_or_default();
        tracing::warn!(%error, "RUST_LOG is {text:?}, and would be like info or warn,remote_object=debug; taken as {level}");
    }
}

/// A panic as one event. With `RUST_BACKTRACE=1` it says where it came from.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let trace = std::backtrace::Backtrace::capture();
    let trace = (trace.status() == std::backtrace::BacktraceStatus::Captured).then(|| trace.to_string());
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let message = text.unwrap_or("no message");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(error.message = message, error.stack_trace = trace, place, "panicked");
}

/// Writes events as JSON.
struct Ecs {
    /// `service.name`.
    program: Box<str>,
}

/// The names of ECS for ours. Those that begin like a group of ECS are names of ECS already; others stand under
/// `labels`.
const NAMES: &[(&str, &str)] = &[("error", "error.message")];
const GROUPS: &[&str] = &["error.", "http.", "url."];
/// A W3C `traceparent`; ECS has the trace's id, its second part.
const TRACE_PARENT: &str = "trace.parent";

impl<S: Subscriber> Layer<S> for Ecs {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let mut line = Map::new();
        line.insert("@timestamp".into(), clock::rfc3339(clock::unix_ms()).into());
        line.insert("log.level".into(), metadata.level().as_str().to_ascii_lowercase().into());
        line.insert("message".into(), fields.message.into());
        line.insert("ecs.version".into(), "8.11.0".into());
        line.insert("log.logger".into(), metadata.target().into());
        line.insert("service.name".into(), (*self.program).into());
        line.append(&mut fields.known);
        if !fields.labels.is_empty() {
            line.insert("labels".into(), fields.labels.into());
        }
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    known: Map<String, Value>,
    labels: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        let name = field.name();
        if let Some((_, ecs)) = NAMES.iter().find(|(ours, _)| *ours == name) {
            self.known.insert((*ecs).into(), value);
        } else if GROUPS.iter().any(|group| name.starts_with(group)) {
            self.known.insert(name.into(), value);
        } else if let (TRACE_PARENT, Some(id)) = (name, value.as_str().and_then(|parent| parent.split('-').nth(1))) {
            self.known.insert("trace.id".into(), id.into());
        } else {
            // A dot would be read as nesting, which labels do not have.
            self.labels.insert(name.replace('.', "_"), value);
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        } else {
            self.put(field, format!("{value:?}").into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.push_str(value);
        } else {
            self.put(field, value.into());
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, json!(value));
    }
}
