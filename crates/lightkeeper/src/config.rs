//! The settings a process needs before it can open its database. Everything else lives in the database and is changed
//! on the Settings pages.
//!
//! Order: built-in default, then the file, then the environment. Unknown keys are errors, so that a typing mistake
//! does not become a default in silence.

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, path::PathBuf};
use types::ProxyNetwork;

/// One setting: where it is, what it does. [`SETTINGS`] is the only list; file, environment and `config show` follow it.
struct Setting {
    key: &'static str,
    environment: &'static str,
    meaning: &'static str,
    get: fn(&Config) -> String,
    set: fn(&mut Config, &str) -> anyhow::Result<()>,
}

/// What a process is told at start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    pub(crate) database_url: String,
    pub(crate) key_file: PathBuf,
    pub(crate) web_listen: SocketAddr,
    pub(crate) web_secure_cookies: bool,
    pub(crate) web_trusted_proxies: Vec<ProxyNetwork>,
    pub(crate) nbi_listen: Option<SocketAddr>,
    pub(crate) acs_listen: SocketAddr,
    pub(crate) acs_tls_listen: Option<SocketAddr>,
    pub(crate) acs_tls_certificate: Option<PathBuf>,
    pub(crate) acs_tls_key: Option<PathBuf>,
    pub(crate) acs_tls_client_ca: Option<PathBuf>,
    pub(crate) acs_trusted_proxies: Vec<ProxyNetwork>,
    pub(crate) sntp_listen: Option<SocketAddr>,
    pub(crate) roles: Vec<String>,
    pub(crate) log_format: String,
    pub(crate) log_level: String,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            data_dir: PathBuf::from("data"),
            database_url: String::new(),
            key_file: PathBuf::new(),
            web_listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            web_secure_cookies: false,
            web_trusted_proxies: Vec::new(),
            nbi_listen: None,
            acs_listen: SocketAddr::from(([0, 0, 0, 0], 7547)),
            acs_tls_listen: None,
            acs_tls_certificate: None,
            acs_tls_key: None,
            acs_tls_client_ca: None,
            acs_trusted_proxies: Vec::new(),
            sntp_listen: None,
            roles: ["web", "acs", "poll", "work"].map(str::to_owned).to_vec(),
            log_format: "text".to_owned(),
            log_level: "info".to_owned(),
        }
    }
}

fn address(text: &str) -> anyhow::Result<SocketAddr> {
    text.parse().with_context(|| format!("{text:?} is not an address and port, e.g. 0.0.0.0:7547"))
}

/// `10.0.0.5, 172.18.0.0/16, 2001:db8::5`: an address alone is that one host.
fn proxies(text: &str) -> anyhow::Result<Vec<ProxyNetwork>> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().map_err(|error: String| anyhow::anyhow!(error)))
        .collect()
}

fn show_proxies(proxies: &[ProxyNetwork]) -> String {
    proxies.iter().map(ProxyNetwork::to_string).collect::<Vec<_>>().join(",")
}

fn maybe<T>(text: &str, parse: impl Fn(&str) -> anyhow::Result<T>) -> anyhow::Result<Option<T>> {
    if text.is_empty() { Ok(None) } else { parse(text).map(Some) }
}

fn show<T: ToString>(value: Option<&T>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

const SETTINGS: &[Setting] = &[
    Setting {
        key: "data_dir",
        environment: "LIGHTKEEPER_DATA_DIR",
        meaning: "Folder for the embedded database, the key file, the simulator's state, and the signs of life that \
                  `lightkeeper check --http` reads. Created when missing.",
        get: |c| c.data_dir.display().to_string(),
        set: |c, v| {
            c.data_dir = PathBuf::from(v);
            Ok(())
        },
    },
    Setting {
        key: "database_url",
        environment: "LIGHTKEEPER_DATABASE_URL",
        meaning: "sqlite://PATH or postgres://USER:PASSWORD@HOST/NAME. Empty: lightkeeper.db in data_dir.",
        get: |c| mask_password(&c.database_url()),
        set: |c, v| {
            c.database_url = v.to_owned();
            Ok(())
        },
    },
    Setting {
        key: "key_file",
        environment: "LIGHTKEEPER_KEY_FILE",
        meaning: "File with the key that seals secrets in the database. Empty: secrets.key in data_dir. \
                  Made at the first start; back it up apart from the database: neither is of use alone.",
        get: |c| c.key_file().display().to_string(),
        set: |c, v| {
            c.key_file = PathBuf::from(v);
            Ok(())
        },
    },
    Setting {
        key: "web_listen",
        environment: "LIGHTKEEPER_WEB_LISTEN",
        meaning: "Address and port of the pages and the REST API. Put a TLS proxy in front when it leaves the machine.",
        get: |c| c.web_listen.to_string(),
        set: |c, v| {
            c.web_listen = address(v)?;
            Ok(())
        },
    },
    Setting {
        key: "web_secure_cookies",
        environment: "LIGHTKEEPER_WEB_SECURE_COOKIES",
        meaning: "true when the pages are reached by https only, so that the login cookie never travels in the clear. \
                  Not needed behind a proxy of web_trusted_proxies that sends X-Forwarded-Proto.",
        get: |c| c.web_secure_cookies.to_string(),
        set: |c, v| {
            c.web_secure_cookies = v.parse().context("wanted: true or false")?;
            Ok(())
        },
    },
    Setting {
        key: "web_trusted_proxies",
        environment: "LIGHTKEEPER_WEB_TRUSTED_PROXIES",
        meaning: "Addresses or networks of the proxies in front of the pages and the API, comma between: IPv4 or IPv6, as \
                  10.0.0.5, 172.18.0.0/16, 2001:db8::5 or fd00:10::/64. Only they are believed who asks and whether by https (X-Forwarded-For, X-Forwarded-Proto or Forwarded): for the audit \
                  log, the limits on signing in, and cookies. They must overwrite X-Forwarded-Proto, never hand on what a \
                  browser wrote. Empty: nobody is. Name the proxies themselves, never a network that people sit in.",
        get: |c| show_proxies(&c.web_trusted_proxies),
        set: |c, v| {
            c.web_trusted_proxies = proxies(v)?;
            Ok(())
        },
    },
    Setting {
        key: "nbi_listen",
        environment: "LIGHTKEEPER_NBI_LISTEN",
        meaning: "Address and port where programs written for GenieACS find its northbound interface at the root, for those that \
                  can be told no path: GenieACS has it at port 7557. Empty: only below /nbi of the pages. An API key is \
                  needed at both.",
        get: |c| show(c.nbi_listen.as_ref()),
        set: |c, v| {
            c.nbi_listen = maybe(v, address)?;
            Ok(())
        },
    },
    Setting {
        key: "acs_listen",
        environment: "LIGHTKEEPER_ACS_LISTEN",
        meaning: "Address and port where CPEs reach us by plain HTTP: on the management network only.",
        get: |c| c.acs_listen.to_string(),
        set: |c, v| {
            c.acs_listen = address(v)?;
            Ok(())
        },
    },
    Setting {
        key: "acs_tls_listen",
        environment: "LIGHTKEEPER_ACS_TLS_LISTEN",
        meaning: "Address and port where CPEs reach us by HTTPS. Empty: no HTTPS. Needs the two files below.",
        get: |c| show(c.acs_tls_listen.as_ref()),
        set: |c, v| {
            c.acs_tls_listen = maybe(v, address)?;
            Ok(())
        },
    },
    Setting {
        key: "acs_tls_certificate",
        environment: "LIGHTKEEPER_ACS_TLS_CERTIFICATE",
        meaning: "PEM file with the certificate chain that CPEs verify.",
        get: |c| c.acs_tls_certificate.as_ref().map(|p| p.display().to_string()).unwrap_or_default(),
        set: |c, v| {
            c.acs_tls_certificate = maybe(v, |v| Ok(PathBuf::from(v)))?;
            Ok(())
        },
    },
    Setting {
        key: "acs_tls_key",
        environment: "LIGHTKEEPER_ACS_TLS_KEY",
        meaning: "PEM file with the private key of that certificate.",
        get: |c| c.acs_tls_key.as_ref().map(|p| p.display().to_string()).unwrap_or_default(),
        set: |c, v| {
            c.acs_tls_key = maybe(v, |v| Ok(PathBuf::from(v)))?;
            Ok(())
        },
    },
    Setting {
        key: "acs_tls_client_ca",
        environment: "LIGHTKEEPER_ACS_TLS_CLIENT_CA",
        meaning: "PEM file with the certificates of those who issue certificates to CPEs. A CPE that shows a certificate of \
                  theirs that names it (OUI-SerialNumber, OUI-ProductClass-SerialNumber or its PON serial number, as common \
                  name or DNS name) has proved who it is, as with its own password; one that names another device is \
                  refused. CPEs without a certificate come in as ever, and so do those with one that somebody else has issued \
                  or that has expired: it proves nothing, and the log says so once an hour. Name only who issues one \
                  certificate per device: a CPE with one of theirs that a whole model shares is refused. A proxy that ends TLS shows none of them. Empty: CPEs are \
                  asked for none.",
        get: |c| c.acs_tls_client_ca.as_ref().map(|p| p.display().to_string()).unwrap_or_default(),
        set: |c, v| {
            c.acs_tls_client_ca = maybe(v, |v| Ok(PathBuf::from(v)))?;
            Ok(())
        },
    },
    Setting {
        key: "acs_trusted_proxies",
        environment: "LIGHTKEEPER_ACS_TRUSTED_PROXIES",
        meaning: "Addresses or networks of the proxies between CPEs and the ACS, comma between, IPv4 or IPv6 as above; empty \
                  for most. Where a \
                  CPE speaks from is a part of who it is: a proxy named here decides that, so it must set \
                  X-Forwarded-For (or Forwarded) itself, and is refused where it does not. It must overwrite \
                  X-Forwarded-Proto too, never hand on what a CPE wrote. Behind it only the management \
                  networks may speak plain HTTP, as without it. Never name a network that CPEs are in.",
        get: |c| show_proxies(&c.acs_trusted_proxies),
        set: |c, v| {
            c.acs_trusted_proxies = proxies(v)?;
            Ok(())
        },
    },
    Setting {
        key: "sntp_listen",
        environment: "LIGHTKEEPER_SNTP_LISTEN",
        meaning: "Address and UDP port where we answer SNTP for CPEs whose network reaches no other clock. Empty: we do not.",
        get: |c| show(c.sntp_listen.as_ref()),
        set: |c, v| {
            c.sntp_listen = maybe(v, address)?;
            Ok(())
        },
    },
    Setting {
        key: "roles",
        environment: "LIGHTKEEPER_ROLES",
        meaning: "What this process does: web (pages, API), acs (CPEs), poll (reads OLTs), work (jobs). Comma between.",
        get: |c| c.roles.join(","),
        set: |c, v| {
            let roles: Vec<String> =
                v.split(',').map(|r| r.trim().to_owned()).filter(|r| !r.is_empty()).collect();
            if let Some(odd) = roles.iter().find(|r| !["web", "acs", "poll", "work"].contains(&r.as_str())) {
                bail!("{odd:?} is no role; web, acs, poll and work are");
            }
            if roles.is_empty() {
                bail!("a process without a role would do nothing");
            }
            c.roles = roles;
            Ok(())
        },
    },
    Setting {
        key: "log_format",
        environment: "LIGHTKEEPER_LOG_FORMAT",
        meaning: "text for people, json for collectors.",
        get: |c| c.log_format.clone(),
        set: |c, v| {
            if !["text", "json"].contains(&v) {
                bail!("{v:?} is no log format; text and json are");
            }
            c.log_format = v.to_owned();
            Ok(())
        },
    },
    Setting {
        key: "log_level",
        environment: "LIGHTKEEPER_LOG_LEVEL",
        meaning: "error, warn, info, debug or trace; or per part, e.g. info,acs=debug. Secrets are in none of them.",
        get: |c| c.log_level.clone(),
        set: |c, v| {
            c.log_level = v.to_owned();
            Ok(())
        },
    },
];

/// What stands in the place of a password.
const MASK: &str = "•••";

/// `postgres://user:•••@host/name`: settings are printed, passwords are not.
pub(crate) fn mask_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let Some((user_info, host)) = rest.rsplit_once('@') else { return url.to_owned() };
    let user = user_info.split(':').next().unwrap_or_default();
    format!("{scheme}://{user}:{MASK}@{host}")
}

impl Config {
    /// Reads the file if there is one, then the environment.
    pub(crate) fn load(
        file: Option<&std::path::Path>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Config> {
        let mut config = Config::default();
        if let Some(path) = file {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("The settings file {} cannot be read", path.display()))?;
            config.apply_toml(&text).with_context(|| format!("In the settings file {}", path.display()))?;
        }
        for setting in SETTINGS {
            if let Some(value) = environment(setting.environment) {
                (setting.set)(&mut config, value.trim())
                    .with_context(|| format!("In the environment variable {}", setting.environment))?;
            }
        }
        if config.acs_tls_listen.is_some()
            && (config.acs_tls_certificate.is_none() || config.acs_tls_key.is_none())
        {
            bail!(
                "acs_tls_listen is set, but acs_tls_certificate or acs_tls_key is not: HTTPS needs both files"
            );
        }
        if config.acs_tls_client_ca.is_some() && config.acs_tls_listen.is_none() {
            bail!(
                "acs_tls_client_ca is set, but acs_tls_listen is not: CPEs show certificates by HTTPS only"
            );
        }
        Ok(config)
    }

    fn apply_toml(&mut self, text: &str) -> anyhow::Result<()> {
        let table: toml::Table = text.parse()?;
        for (key, value) in table {
            let Some(setting) = SETTINGS.iter().find(|s| s.key == key) else {
                let known: Vec<_> = SETTINGS.iter().map(|s| s.key).collect();
                bail!("{key:?} is no setting. Known settings: {}", known.join(", "));
            };
            let plain = match value {
                toml::Value::String(text) => text,
                toml::Value::Boolean(flag) => flag.to_string(),
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Array(items) => items
                    .iter()
                    .map(|item| item.as_str().map(str::to_owned).context("a list of texts is wanted"))
                    .collect::<Result<Vec<_>, _>>()?
                    .join(","),
                other => bail!("{key}: a {} is not understood here", other.type_str()),
            };
            (setting.set)(self, &plain).with_context(|| format!("{key} = {plain:?}"))?;
        }
        Ok(())
    }

    /// The database, with the default filled in.
    pub(crate) fn database_url(&self) -> String {
        if self.database_url.is_empty() {
            format!("sqlite://{}", self.data_dir.join("lightkeeper.db").display())
        } else {
            self.database_url.clone()
        }
    }

    /// The key file, with the default filled in.
    pub(crate) fn key_file(&self) -> PathBuf {
        if self.key_file.as_os_str().is_empty() {
            self.data_dir.join("secrets.key")
        } else {
            self.key_file.clone()
        }
    }

    /// True if this process plays the role.
    pub(crate) fn plays(&self, role: &str) -> bool {
        self.roles.iter().any(|r| r == role)
    }

    /// A settings file with every key, its meaning and its value in force: `lightkeeper config show`.
    pub(crate) fn documented(&self) -> String {
        let mut out = String::from(
            "# Every setting of lightkeeper, with the value in force. The file is named by --config or LIGHTKEEPER_CONFIG.\n",
        );
        for setting in SETTINGS {
            out.push('\n');
            for line in wrap(setting.meaning, 100) {
                out.push_str(&format!("# {line}\n"));
            }
            let value = (setting.get)(self);
            // A masked value would be taken for the real one by whoever uses this text as a settings file.
            let apart = if value.contains(MASK) {
                out.push_str("# It is set; its password is not printed, so this line is only a comment.\n");
                "# "
            } else {
                ""
            };
            let value = toml::Value::String(value);
            out.push_str(&format!(
                "# Environment: {}\n{apart}{} = {value}\n",
                setting.environment, setting.key
            ));
        }
        out
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().filter(|line| line.len() + word.len() < width || line.is_empty());
        match line {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_password_is_no_setting_to_copy() {
        let config = Config { database_url: "postgres://lk:hidden@db/lk".to_owned(), ..Config::default() };
        let shown = config.documented();
        assert!(shown.contains("\n# database_url = \"postgres://lk:•••@db/lk\"\n"), "{shown}");
        let mut back = Config::default();
        back.apply_toml(&shown).expect("its own output");
        assert_eq!(back.database_url, "", "from the environment, or from the real file; not the dots");
    }

    #[test]
    fn what_config_show_prints_is_a_settings_file() {
        let config = Config::default();
        let shown = config.documented();
        let mut back = Config::default();
        back.apply_toml(&shown).expect("its own output");
        assert_eq!(back.database_url(), config.database_url());
        assert_eq!(back.documented(), shown);
    }

    #[test]
    fn the_environment_beats_the_file_and_typing_mistakes_are_named() {
        let folder = tempfile::tempdir().expect("temp folder");
        let file = folder.path().join("lightkeeper.toml");
        std::fs::write(&file, "web_listen = \"0.0.0.0:80\"\nroles = [\"web\", \"acs\"]\n").expect("write");
        let none = |_: &str| None;
        assert_eq!(Config::load(Some(&file), none).expect("good").roles, ["web", "acs"]);
        let env = |name: &str| (name == "LIGHTKEEPER_WEB_LISTEN").then(|| "127.0.0.1:9".to_owned());
        assert_eq!(Config::load(Some(&file), env).expect("good").web_listen.port(), 9);

        std::fs::write(&file, "web_lisen = \"0.0.0.0:80\"\n").expect("write");
        let error = format!("{:#}", Config::load(Some(&file), none).expect_err("a typing mistake"));
        assert!(error.contains("\"web_lisen\" is no setting"), "{error}");
    }

    #[test]
    fn proxies_are_named_one_by_one_or_by_network() {
        let env = |text: &'static str| {
            move |name: &str| (name == "LIGHTKEEPER_WEB_TRUSTED_PROXIES").then(|| text.to_owned())
        };
        let config =
            Config::load(None, env("10.0.0.5, 172.18.0.0/16,2001:db8::5 , fd00:10::/64,::ffff:10.9.0.1"))
                .expect("good");
        let shown = "10.0.0.5/32,172.18.0.0/16,2001:db8::5/128,fd00:10::/64,10.9.0.1/32";
        assert_eq!(show_proxies(&config.web_trusted_proxies), shown);
        let documented = config.documented();
        assert!(documented.contains(&format!("web_trusted_proxies = \"{shown}\"")), "{documented}");
        assert!(documented.contains("fd00:10::/64. Only they are"), "{documented}");
        let mut again = Config::default();
        again.apply_toml(&documented).expect("its own output");
        assert_eq!(again.web_trusted_proxies, config.web_trusted_proxies);
        assert!(config.acs_trusted_proxies.is_empty(), "those of the pages say nothing of CPEs");
        let error = format!("{:#}", Config::load(None, env("proxy.example")).expect_err("a name"));
        assert!(
            error.contains("LIGHTKEEPER_WEB_TRUSTED_PROXIES") && error.contains("proxy.example"),
            "{error}"
        );
    }

    #[test]
    fn a_password_in_the_database_url_is_never_shown() {
        let config = Config { database_url: "postgres://lk:s3cr3t@db/lk".into(), ..Config::default() };
        assert!(!config.documented().contains("s3cr3t"));
        assert!(config.documented().contains("postgres://lk:•••@db/lk"));
    }
}
