//! What stands in `docker/`, checked: by Docker's own client where it is, and by rules of our own everywhere.
//!
//! The client needs no engine to read a file, but not every machine has it. The rules say the same of what is used here,
//! and more: every version comes from `docker/versions.env`.

use std::fs;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use yaml_rust2::yaml::Hash;
use yaml_rust2::{Yaml, YamlLoader};

use crate::command::{Tally, program, root, run};
use crate::images;

const COMPOSE: &str = "docker/compose.yaml";
const DOCKERFILE: &str = "docker/Dockerfile";

/// The keys of a service that are used here. Another one is a slip, or to be added with whatever follows from it.
const KEYS: &[&str] = &[
    "build",
    "command",
    "depends_on",
    "entrypoint",
    "environment",
    "healthcheck",
    "hostname",
    "image",
    "ports",
    "profiles",
    "restart",
    "stop_grace_period",
    "volumes",
];

/// Names and values of `docker/versions.env`.
type Versions = [(String, String)];

/// The step of `test`.
///
/// # Errors
/// When something is wrong; says all of it.
pub(crate) fn check() -> Result<Tally> {
    let read = |path: &str| fs::read_to_string(root().join(path)).context(path.to_owned());
    let (compose, dockerfile, versions) = (read(COMPOSE)?, read(DOCKERFILE)?, images::versions()?);
    let mut wrong = problems(&compose, &dockerfile, &versions);
    if read("docker/.env")? != read(images::VERSIONS)? {
        wrong.push(format!("docker/.env is not {}", images::VERSIONS));
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    let mut tally = Tally::ONE;
    if client() {
        for profile in profiles(&load(&compose)?) {
            let args = ["compose", "--file", COMPOSE, "--profile", &profile, "config", "--quiet"];
            run(program("docker").args(args))?;
            tally.add(Tally::ONE);
        }
    } else {
        println!("there is no `docker compose` here; its file was checked by the rules of {} alone", file!());
    }
    Ok(tally)
}

/// Whether Docker's client can read a compose file.
fn client() -> bool {
    let status = program("docker").args(["compose", "version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn problems(compose: &str, dockerfile: &str, versions: &Versions) -> Vec<String> {
    let file = match load(compose) {
        Ok(file) => file,
        Err(error) => return vec![format!("{error:#}")],
    };
    let mut wrong = Vec::new();
    for section in file.keys().filter_map(Yaml::as_str) {
        if !["name", "services", "volumes"].contains(&section) && !section.starts_with("x-") {
            wrong.push(format!("{COMPOSE}: {section}: there is no such section"));
        }
    }
    let services = sections(&file, "services");
    for (name, service) in &services {
        let problems = service_problems(&file, &services, service);
        wrong.extend(problems.into_iter().map(|why| format!("{COMPOSE}: {name}: {why}")));
    }
    wrong.extend(variable_problems(compose, versions));
    wrong.extend(dockerfile_problems(dockerfile, &services, versions));
    let default = versions.iter().find(|(name, _)| name == "COMPOSE_PROFILES").map(|(_, value)| value);
    if !default.is_some_and(|default| profiles(&file).contains(default)) {
        wrong.push(format!("{}: COMPOSE_PROFILES names no profile of {COMPOSE}", images::VERSIONS));
    }
    wrong
}

fn service_problems(file: &Hash, services: &[(String, Hash)], service: &Hash) -> Vec<String> {
    let mut wrong = Vec::new();
    for (key, _) in service {
        if !key.as_str().is_some_and(|key| KEYS.contains(&key)) {
            wrong.push(format!("{key:?} is no setting of a service"));
        }
    }
    let image = text(service, "image");
    let is_built = service.contains_key(&key("build"));
    if is_built == image.contains(':') {
        wrong.push(format!("the image {image:?} would be built here, or be NAME:${{NAME_VERSION:?}}"));
    } else if !is_built && !image.contains(":${") {
        wrong.push(format!("the version of {image} does not stand in {}", images::VERSIONS));
    }
    for (other, how) in sections(service, "depends_on") {
        let Some((_, dependency)) = services.iter().find(|(name, _)| *name == other) else {
            wrong.push(format!("it waits for {other}, which there is not"));
            continue;
        };
        match text(&how, "condition").as_str() {
            "service_healthy" if !dependency.contains_key(&key("healthcheck")) => {
                wrong.push(format!("it waits for the health of {other}, which has no check"));
            }
            "service_healthy" | "service_completed_successfully" => {}
            condition => wrong.push(format!("it waits for {other}: {condition:?}")),
        }
        let theirs = list(dependency, "profiles");
        if !theirs.is_empty() && !list(service, "profiles").iter().all(|profile| theirs.contains(profile)) {
            wrong.push(format!("it waits for {other}, which is not there in all of its profiles"));
        }
    }
    let volumes = sections(file, "volumes");
    for volume in list(service, "volumes") {
        let source = volume.split(':').next().unwrap_or_default();
        if !volumes.iter().any(|(name, _)| name == source) {
            wrong.push(format!("there is no volume {source:?}"));
        }
    }
    wrong
}

/// Every variable has a value, and says so: `${NAME:?}` fails where the file was not read.
fn variable_problems(compose: &str, versions: &Versions) -> Vec<String> {
    let mut wrong = Vec::new();
    for part in compose.split("${").skip(1) {
        let inner = part.split('}').next().unwrap_or_default();
        let Some(name) = inner.strip_suffix(":?") else {
            wrong.push(format!("{COMPOSE}: ${{{inner}}} would be ${{NAME:?}}"));
            continue;
        };
        if !versions.iter().any(|(other, _)| other == name) {
            wrong.push(format!("{COMPOSE}: {name} does not stand in {}", images::VERSIONS));
        }
    }
    wrong
}

/// The images begin at versions that compose hands on.
fn dockerfile_problems(dockerfile: &str, services: &[(String, Hash)], versions: &Versions) -> Vec<String> {
    let words = |line: &str, first: &str| line.strip_prefix(first).map(|rest| rest.trim().to_owned());
    let args: Vec<String> = dockerfile.lines().filter_map(|line| words(line, "ARG ")).collect();
    let mut wrong = Vec::new();
    for arg in &args {
        if !versions.iter().any(|(name, _)| name == arg) {
            wrong.push(format!("{DOCKERFILE}: ARG {arg} does not stand in {}", images::VERSIONS));
        }
        for (name, service) in services {
            let Yaml::Hash(build) = get(service, "build") else { continue };
            let Yaml::Hash(given) = get(&build, "args") else { continue };
            if text(&given, arg) != format!("${{{arg}:?}}") {
                wrong.push(format!("{COMPOSE}: {name}: the build is not given {arg}"));
            }
        }
    }
    for from in dockerfile.lines().filter_map(|line| words(line, "FROM ")) {
        let image = from.split(' ').next().unwrap_or_default();
        if !image.contains(":${") || args.iter().all(|arg| !image.contains(&format!("${{{arg}}}"))) {
            wrong.push(format!("{DOCKERFILE}: FROM {image}: its version does not come from an ARG"));
        }
    }
    wrong
}

/// Every profile that a service names.
fn profiles(file: &Hash) -> Vec<String> {
    let mut all: Vec<String> =
        sections(file, "services").iter().flat_map(|(_, service)| list(service, "profiles")).collect();
    all.sort();
    all.dedup();
    all
}

// ---- YAML -----------------------------------------------------------------------------------------------------------

/// The file, with its merges (`<<`) done.
fn load(text: &str) -> Result<Hash> {
    let documents = YamlLoader::load_from_str(text).context(COMPOSE)?;
    match documents.as_slice() {
        [Yaml::Hash(file)] => Ok(merged(file)),
        _ => bail!("{COMPOSE}: it would be one document of sections"),
    }
}

fn merged(hash: &Hash) -> Hash {
    let mut all = Hash::new();
    for (name, value) in hash {
        match value {
            Yaml::Hash(base) if name.as_str() == Some("<<") => {
                for (name, value) in merged(base) {
                    if !hash.contains_key(&name) {
                        all.insert(name, value);
                    }
                }
            }
            Yaml::Hash(inner) => _ = all.insert(name.clone(), Yaml::Hash(merged(inner))),
            value => _ = all.insert(name.clone(), value.clone()),
        }
    }
    all
}

/// The entries of a section, each a section itself; an empty one where it is not.
fn sections(hash: &Hash, name: &str) -> Vec<(String, Hash)> {
    let entries = get(hash, name).into_hash().unwrap_or_default();
    let named = entries.into_iter().filter_map(|(name, value)| Some((name.into_string()?, value)));
    named.map(|(name, value)| (name, value.into_hash().unwrap_or_default())).collect()
}

fn key(name: &str) -> Yaml {
    Yaml::String(name.to_owned())
}

fn get(hash: &Hash, name: &str) -> Yaml {
    hash.get(&key(name)).cloned().unwrap_or(Yaml::Null)
}

fn text(hash: &Hash, name: &str) -> String {
    get(hash, name).into_string().unwrap_or_default()
}

fn list(hash: &Hash, name: &str) -> Vec<String> {
    let items = get(hash, name).into_vec().unwrap_or_default();
    items.into_iter().filter_map(Yaml::into_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> (String, String, Vec<(String, String)>) {
        let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
        (read(COMPOSE), read(DOCKERFILE), images::versions().unwrap())
    }

    #[test]
    fn what_stands_in_docker_is_right() {
        let (compose, dockerfile, versions) = repository();
        assert_eq!(problems(&compose, &dockerfile, &versions), Vec::<String>::new());
        assert_eq!(profiles(&load(&compose).unwrap()), ["cassandra", "redis", "scylla"]);
    }

    #[test]
    fn a_slip_in_the_compose_file_is_found() {
        let (compose, dockerfile, versions) = repository();
        for (right, slip, says) in [
            ("image: redis:${REDIS_VERSION:?}", "image: redis:7", "the version of redis:7 does not stand in"),
            ("image: redis:${REDIS_VERSION:?}", "image: redis", "would be built here, or be NAME:"),
            ("${REDIS_VERSION:?}", "${REDIS_VERSION:-7}", "would be ${NAME:?}"),
            ("${REDIS_VERSION:?}", "${RADIS_VERSION:?}", "RADIS_VERSION does not stand in"),
            ("      redis: *healthy", "      radis: *healthy", "it waits for radis, which there is not"),
            ("volumes: [redis:/data]", "volumes: [redis:/data", "docker/compose.yaml"),
            ("volumes: [redis:/data]", "image: redis", "duplicated key"),
            ("volumes: [redis:/data]", "volumes: [radis:/data]", "there is no volume"),
            (
                "    profiles: [redis]\n    image",
                "    profiles: [cassandra]\n    image",
                "not there in all of its profiles",
            ),
            (
                "condition: service_healthy }\n      memcached-2",
                "condition: healthy }\n      memcached-2",
                "\"healthy\"",
            ),
            ("    healthcheck: *cql", "    x: *cql", "waits for the health of cassandra, which has no check"),
            ("    healthcheck: *cql", "    healthchecks: *cql", "is no setting of a service"),
            ("\nvolumes:\n", "\nvolume:\n", "volume: there is no such section"),
            ("      RUST_VERSION: ${RUST_VERSION:?}\n", "", "the build is not given RUST_VERSION"),
        ] {
            assert!(compose.contains(right), "{right:?} does not stand there");
            let wrong = problems(&compose.replace(right, slip), &dockerfile, &versions);
            assert!(wrong.iter().any(|why| why.contains(says)), "{slip:?}: {wrong:?}");
        }
    }

    #[test]
    fn a_version_that_stands_elsewhere_is_found() {
        let (compose, dockerfile, versions) = repository();
        for (right, slip, says) in [
            ("FROM debian:${DEBIAN_VERSION}-slim", "FROM debian:bookworm-slim", "does not come from an ARG"),
            ("FROM debian:${DEBIAN_VERSION}-slim", "FROM debian", "does not come from an ARG"),
            ("ARG DEBIAN_VERSION", "ARG DEBIAN_VERSION=bookworm", "does not stand in"),
        ] {
            assert!(dockerfile.contains(right), "{right:?} does not stand there");
            let wrong = problems(&compose, &dockerfile.replace(right, slip), &versions);
            assert!(wrong.iter().any(|why| why.contains(says)), "{slip:?}: {wrong:?}");
        }
        let other: Vec<(String, String)> =
            versions.into_iter().filter(|(name, _)| name != "COMPOSE_PROFILES" && name != "SCYLLA_VERSION").collect();
        let wrong = problems(&compose, &dockerfile, &other);
        for says in ["COMPOSE_PROFILES names no profile", "SCYLLA_VERSION does not stand in"] {
            assert!(wrong.iter().any(|why| why.contains(says)), "{wrong:?}");
        }
    }
}
