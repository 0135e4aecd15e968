//! URLs of servers: `scheme://user:password@host:port,host/path?name=value`. A password in one is never shown.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::model::percent_decode;

/// A URL that names one or more servers, taken apart. Everything in it is decoded.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl {
    /// What kind of server, such as `cassandra`.
    pub scheme: String,
    /// Whom to log in as.
    pub user: Option<String>,
    /// The password that goes with it.
    pub password: Option<String>,
    /// The servers, at least one, in the order they were written.
    pub hosts: Vec<HostPort>,
    /// What stands behind the first `/`: a keyspace, a database; may be empty.
    pub path: String,
    /// The parameters nobody has taken yet.
    params: Vec<(String, String)>,
    /// The whole URL as it may be shown.
    shown: String,
}

/// One server.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct HostPort {
    /// A name or an address; an IPv6 address without its brackets.
    pub host: String,
    /// The port, if one was written.
    pub port: Option<u16>,
}

impl ServerUrl {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// `config`: what it would be; a password does not show in it.
    pub fn parse(url: &str) -> Result<Self> {
        let shown = redacted(url);
        let wrong = |why: &str| {
            Error::config(format!(
                "{shown:?}: {why}; it would be like scheme://user:password@host:port,host/path?name=value"
            ))
        };
        let decoded = |text: &str| match percent_decode(text) {
            Ok(text) => Ok(text.into_owned()),
            Err(_) => Err(wrong("a % is not followed by the two hex digits of a byte of UTF-8")),
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("there is no scheme://"))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) =
            authority.rsplit_once('@').map_or((None, authority), |(login, hosts)| (Some(login), hosts));
        let (user, password) =
            match login.map(|login| login.split_once(':').map_or((login, None), |(u, p)| (u, Some(p)))) {
                None => (None, None),
                Some((user, password)) => (Some(decoded(user)?), password.map(decoded).transpose()?),
            };
        let hosts = hosts.split(',').map(|host| host.parse().map_err(wrong)).collect::<Result<Vec<HostPort>>>()?;
        let mut params = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| wrong("a parameter has no ="))?;
            params.push((decoded(name)?, decoded(value)?));
        }
        Ok(Self { scheme: scheme.to_owned(), user, password, hosts, path: decoded(path)?, params, shown })
    }

    /// Takes the parameter `name` out, if it was given. `would_be` says what it may be.
    ///
    /// # Errors
    /// `config` when it is given twice or cannot be read.
    pub fn take<T: FromStr>(&mut self, name: &str, would_be: &str) -> Result<Option<T>> {
        let given: Vec<String> =
            self.params.iter().filter(|(n, _)| n == name).map(|(_, value)| value.clone()).collect();
        self.params.retain(|(n, _)| n != name);
        match given.as_slice() {
            [] => Ok(None),
            [value] => value.parse().map(Some).map_err(|_| {
                Error::config(format!("{:?}: the parameter {name} is {value:?}; it would be {would_be}", self.shown))
            }),
            _ => Err(Error::config(format!("{:?}: the parameter {name} is given twice", self.shown))),
        }
    }

    /// To be called when everything known has been taken.
    ///
    /// # Errors
    /// `config` when a parameter is left; `legal` are those there are.
    pub fn finish(&self, legal: &[&str]) -> Result<()> {
        let Some((name, _)) = self.params.first() else { return Ok(()) };
        let legal = legal.join(", ");
        Err(Error::config(format!("{:?}: there is no parameter {name:?}; there are: {legal}", self.shown)))
    }

    /// The URL as it may be shown: without its password.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl HostPort {
    /// `host:port`, as a socket is opened with; `port` when none was written.
    #[must_use]
    pub fn or_port(&self, port: u16) -> String {
        let port = self.port.unwrap_or(port);
        if self.host.contains(':') { format!("[{}]:{port}", self.host) } else { format!("{}:{port}", self.host) }
    }
}

impl FromStr for HostPort {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or("an IPv6 address has no ]")?,
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == '@') {
            return Err("a host is empty, or no host");
        }
        let port = match port.strip_prefix(':') {
            Some(port) => Some(port.parse().map_err(|_| "a port is no number from 1 to 65535")?),
            None if port.is_empty() => None,
            None => return Err("behind a host comes a colon and a port, or a comma"),
        };
        if port == Some(0) {
            return Err("a port is no number from 1 to 65535");
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

/// Any URL as it may be shown, also one that is none: what stands between the first `:` behind the scheme and the last
/// `@` is a password, and so is what a parameter with `password` in its name says. Each is shown as `***`. It hides
/// rather too much than too little: a password may hold a `/`, a `?` or a `@` that was not encoded.
#[must_use]
pub fn redacted(url: &str) -> String {
    // A path may have what it likes in it.
    if url.starts_with("sqlite:") && !url.starts_with("sqlite://") {
        return url.to_owned();
    }
    let (scheme, rest) = match url.find("://") {
        Some(at) => url.split_at(at + "://".len()),
        None => ("", url),
    };
    let rest = without_parameters(rest);
    match rest.rsplit_once('@').and_then(|(login, behind)| Some((login.split_once(':')?.0, behind))) {
        Some((user, behind)) => format!("{scheme}{user}:***@{behind}"),
        None => format!("{scheme}{rest}"),
    }
}

/// Without what the parameters say that have `password` in their names.
fn without_parameters(text: &str) -> String {
    let Some((before, query)) = text.split_once('?') else { return text.to_owned() };
    let mut was_secret = false;
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) => {
            was_secret = name.to_ascii_lowercase().contains("password");
            if was_secret { format!("{name}=***") } else { pair.to_owned() }
        }
        // What stands behind an & that was not encoded.
        None if was_secret => "***".to_owned(),
        None => pair.to_owned(),
    });
    format!("{before}?{}", pairs.collect::<Vec<_>>().join("&"))
}

/// Whether a URL has `***` where its password would be, as [`redacted`] shows it.
#[must_use]
pub fn is_redacted(url: &str) -> bool {
    url.contains("://") && (url.contains(":***@") || url.contains("=***"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let mut url =
            ServerUrl::parse("cassandra://al%40x:s%2Fcret@c1,c2:9043,[::1]:9044/shop?scope=global&dc=a%26b").unwrap();
        assert_eq!((url.scheme.as_str(), url.path.as_str()), ("cassandra", "shop"));
        assert_eq!((url.user.as_deref(), url.password.as_deref()), (Some("al@x"), Some("s/cret")));
        let hosts: Vec<String> = url.hosts.iter().map(|host| host.or_port(9042)).collect();
        assert_eq!(hosts, ["c1:9042", "c2:9043", "[::1]:9044"]);
        assert_eq!(url.take::<String>("scope", "").unwrap().as_deref(), Some("global"));
        assert!(url.finish(&["scope", "datacenter"]).unwrap_err().message().contains("there are: scope, datacenter"));
        assert_eq!(url.take::<String>("dc", "").unwrap().as_deref(), Some("a&b"));
        url.finish(&[]).unwrap();
    }

    #[test]
    fn what_is_no_url_is_told_what_it_would_be() {
        for wrong in [
            "",
            "c1",
            "cassandra:c1",
            "x://",
            "x://a,,b",
            "x://a:0",
            "x://a:b",
            "x://a:70000",
            "x://[::1",
            "x://a?b",
            "x://a%2/%zz",
        ] {
            let error = ServerUrl::parse(wrong).unwrap_err();
            assert!(error.message().contains("it would be like"), "{wrong:?}: {error}");
        }
        let mut url = ServerUrl::parse("x://a?n=1&n=2&m=z").unwrap();
        assert!(url.take::<u8>("n", "a number").unwrap_err().message().contains("twice"));
        assert!(url.take::<u8>("m", "a number").unwrap_err().message().contains("it would be a number"));
    }

    #[test]
    fn a_password_never_shows() {
        for url in [
            "x://u:s3cret@h/p?q=1",
            "x://u:s3c/ret@h/p",
            "x://u:s3c?ret@h/p",
            "x://u:s3c#ret@h/p",
            "x://u:s3c@ret@h/p",
            "x://u:s3c:ret@h/p",
            "x://:s3cret@h",
            "x://u:s3cret@",
            "x://u:s3cret@:h:h:",
            "x://h?password=s3cret",
            "x://h?q=1&ssl_password=s3c@ret",
            "x://h?PASSWORD=s3c&ret",
            "x://h:1?password=s3c@ret&q=1",
            "x:u:s3cret@h",
            "x:/u:s3cret@h",
            "x//u:s3cret@h",
            "u:s3cret@h",
            "://u:s3cret@h",
        ] {
            let parsed = ServerUrl::parse(url).map_or_else(|error| format!("{error:?}"), |url| format!("{url:?}"));
            let shown = redacted(url);
            for part in ["s3c", "ret"] {
                assert!(!parsed.contains(part) && !shown.contains(part), "{url}: {parsed} {shown}");
            }
            assert!(!is_redacted(url));
        }
        assert_eq!(redacted("x://u:s3cret@h:1,i/p?q=1"), "x://u:***@h:1,i/p?q=1");
        assert!(is_redacted("x://u:***@h") && is_redacted("x://h?password=***"));
        assert_eq!(redacted("x://u@h:1/p"), "x://u@h:1/p");
        assert_eq!(redacted("sqlite:./a:b@c.db"), "sqlite:./a:b@c.db");
    }
}
