//! A Cassandra node as a process: its jars from Maven, its configuration, its long command line.
//!
//! All three start at once with all three as seeds and a token each, which takes a quarter of a minute; one after the
//! other takes twice that.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::Commitlog;
use super::launch::Launch;
use super::packages::program;
use super::server::{self, Kind, Server};
use crate::command::{program as command, run};
use crate::images;

/// One a node, a third of the ring apart.
const TOKENS: [i64; 3] = [-9_223_372_036_854_775_807, -3_074_457_345_618_258_603, 3_074_457_345_618_258_602];

/// What Java's modules have to open for Cassandra, as its own start script says: `module/package`.
const EXPORTS: &[&str] = &[
    "java.base/jdk.internal.misc",
    "java.base/jdk.internal.ref",
    "java.base/sun.nio.ch",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "java.base/java.lang.ref",
    "java.base/java.lang.reflect",
    "jdk.unsupported/sun.misc",
];
const OPENS: &[&str] = &[
    "java.base/java.lang.module",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.util.jar",
    "jdk.management/com.sun.management.internal",
    "java.base/sun.nio.ch",
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/java.nio",
    "java.base/java.lang.reflect",
];

/// Half a gigabyte holds what tests write; the first compiler alone makes a JVM that lives for minutes faster.
const JVM: &[&str] = &[
    "-Xms512m",
    "-Xmx512m",
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseG1GC",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:+PerfDisableSharedMem",
    "-Djdk.attach.allowAttachSelf=true",
    "-Djava.net.preferIPv4Stack=true",
];

/// What a node of a test cluster need not wait for.
pub(crate) const HASTE: &[&str] = &[
    "-Dcassandra.superuser_setup_delay_ms=0",
    "-Dcassandra.ring_delay_ms=1000",
    "-Dcassandra.skip_wait_for_gossip_to_settle=0",
    "-Dcassandra.shutdown_announce_in_ms=0",
    "-Dcassandra.consistent.rangemovement=false",
];

const LOGBACK: &str = r#"<configuration>
  <appender name="STDOUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%-5level %date{ISO8601} %logger{20} - %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="STDOUT"/></root>
</configuration>
"#;

/// The node, its configuration written and its jars at hand.
///
/// # Errors
/// When there is no Java, or the jars cannot be fetched.
pub(crate) fn launch(server: &Server, commitlog: Commitlog) -> Result<Launch> {
    let java = java().context("Java 17 is not installed")?;
    let jars = fetch_jars()?;
    let conf = configure(server, commitlog, &server.data())?;
    let mut args: Vec<OsString> = JVM.iter().map(Into::into).collect();
    for (flag, packages) in [("--add-exports", EXPORTS), ("--add-opens", OPENS)] {
        args.extend(
            packages.iter().flat_map(|package| [flag.to_owned(), format!("{package}=ALL-UNNAMED")]).map(Into::into),
        );
    }
    args.push(format!("-Dcassandra.config=file://{}", conf.join("cassandra.yaml").display()).into());
    args.push(format!("-Dlogback.configurationFile=file://{}", conf.join("logback.xml").display()).into());
    args.push(format!("-Dcassandra.storagedir={}", server.data().display()).into());
    args.push(jmx(server).into());
    args.push("-Dcassandra-foreground=yes".into());
    args.extend(HASTE.iter().map(Into::into));
    args.push("-cp".into());
    args.push(format!("{}:{}/*", conf.display(), jars.display()).into());
    args.push("org.apache.cassandra.service.CassandraDaemon".into());
    Ok(Launch::new(java, "CassandraDaemon", args))
}

/// The port of `nodetool`, beside that of a node the machine itself may run.
pub(crate) fn jmx(server: &Server) -> String {
    format!("-Dcassandra.jmx.local.port={}", 17_190 + server.number)
}

/// Java 17: where Debian puts it, else whatever is in the path.
pub(crate) fn java() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/jvm").into_iter().flatten().flatten();
    let is_17 = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("java-17-"));
    let folders = versions.map(|version| version.path()).filter(is_17);
    folders.map(|folder| folder.join("bin/java")).find(|java| java.exists()).or_else(|| program("java"))
}

/// Whether the jars are there already.
pub(crate) fn has_jars() -> bool {
    images::version("CASSANDRA_VERSION").is_ok_and(|version| jars(&version).exists())
}

fn jars(version: &str) -> PathBuf {
    server::home().join("jars").join(format!("cassandra-{version}"))
}

/// The jars of the version that the images have, fetched once.
fn fetch_jars() -> Result<PathBuf> {
    let version = images::version("CASSANDRA_VERSION")?;
    let jars = jars(&version);
    if jars.exists() {
        return Ok(jars);
    }
    println!("stack: fetching Cassandra {version}, 67 MB, once");
    let part = server::home().join("jars/part");
    server::remove(&part)?;
    fs::create_dir_all(&part).with_context(|| part.display().to_string())?;
    let pom = part.with_file_name("pom.xml");
    fs::write(&pom, pom_of(&version)).with_context(|| pom.display().to_string())?;
    let mut maven = command("mvn");
    maven.args(["--quiet", "--batch-mode", "-Dstyle.color=never", "--file"]).arg(&pom);
    maven.args(["dependency:copy-dependencies", "-DincludeScope=runtime"]);
    maven.arg(format!("-DoutputDirectory={}", part.display()));
    run(&mut maven)?;
    // Only a whole set has the name that is looked for.
    fs::rename(&part, &jars).with_context(|| jars.display().to_string())?;
    Ok(jars)
}

fn pom_of(version: &str) -> String {
    format!(
        r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>stack</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.cassandra</groupId><artifactId>cassandra-all</artifactId><version>{version}</version>
    </dependency>
  </dependencies>
</project>
"#
    )
}

/// Writes the configuration of a node that keeps its data at `data`; gives its folder.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn configure(server: &Server, commitlog: Commitlog, data: &Path) -> Result<PathBuf> {
    let conf = server.folder().join("conf");
    fs::create_dir_all(&conf).with_context(|| conf.display().to_string())?;
    let files = [("cassandra.yaml", yaml(server, commitlog, data)), ("logback.xml", LOGBACK.to_owned())];
    for (name, text) in files {
        fs::write(conf.join(name), text).with_context(|| conf.join(name).display().to_string())?;
    }
    Ok(conf)
}

fn yaml(server: &Server, commitlog: Commitlog, data: &Path) -> String {
    let seeds: Vec<String> =
        server::all(&[Kind::Cassandra]).iter().map(|node| format!("{}:17000", node.host())).collect();
    format!(
        "cluster_name: stack
num_tokens: 1
initial_token: {token}
auto_bootstrap: false
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
data_file_directories: [{data}/data]
commitlog_directory: {data}/commitlog
saved_caches_directory: {data}/saved
hints_directory: {data}/hints
cdc_raw_directory: {data}/cdc
{sync}
listen_address: {host}
rpc_address: {host}
native_transport_port: {port}
storage_port: 17000
endpoint_snitch: SimpleSnitch
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters: [{{seeds: \"{seeds}\"}}]
memtable: {{configurations: {{skiplist: {{class_name: SkipListMemtable}}, default: {{inherits: skiplist}}}}}}
memtable_heap_space: 64MiB
memtable_offheap_space: 64MiB
key_cache_size: 8MiB
auto_snapshot: false
",
        token = TOKENS[usize::from(server.number - 1)],
        data = data.display(),
        sync = commitlog.yaml(),
        host = server.host(),
        port = server.port(),
        seeds = seeds.join(","),
    )
}

impl Commitlog {
    fn yaml(self) -> &'static str {
        match self {
            Self::Periodic => "commitlog_sync: periodic\ncommitlog_sync_period: 10000ms",
            Self::Batch => "commitlog_sync: batch",
            Self::Group => "commitlog_sync: group\ncommitlog_sync_group_window: 1ms",
        }
    }
}

/// Refuses to leave a node as it is that runs with another commit log than was asked for.
///
/// # Errors
/// When it does.
pub(crate) fn same_commitlog(server: &Server, asked: Commitlog) -> Result<()> {
    let conf = fs::read_to_string(server.folder().join("conf/cassandra.yaml"));
    let Ok(conf) = conf.as_deref().map(|text| text.contains(asked.yaml())) else { return Ok(()) };
    if !conf {
        bail!("{} is up with another commit log than `{}`; `cargo xtask stack down` first", server.name, asked.name());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_differ_in_address_and_token_and_agree_on_the_seeds() {
        let nodes = server::all(&[Kind::Cassandra]);
        let texts: Vec<String> = nodes.iter().map(|node| yaml(node, Commitlog::Batch, Path::new("/data"))).collect();
        for (text, (node, token)) in texts.iter().zip(nodes.iter().zip(TOKENS)) {
            for line in [
                format!("initial_token: {token}"),
                format!("listen_address: {}", node.host()),
                "native_transport_port: 19042".to_owned(),
                "commitlog_sync: batch".to_owned(),
                "    parameters: [{seeds: \"127.0.0.1:17000,127.0.0.2:17000,127.0.0.3:17000\"}]".to_owned(),
            ] {
                assert!(text.lines().any(|other| other == line), "{line:?} is missing in\n{text}");
            }
        }
    }
}
