//! Who fetches: credentials for registries as Docker keeps them in its `config.json`.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use oci_client::secrets::RegistryAuth;
use serde::Deserialize;

use crate::bounded::read_at_most;

/// Bytes of a file of credentials: an entry has about a hundred.
const MAX_FILE: u64 = 1 << 20;

/// Names by which Docker's own registry is known.
const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// Where credentials are. The file is read anew for each fetch: what is mounted from a secret may change.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    file: Option<PathBuf>,
    may_be_missing: bool,
}

/// Why credentials cannot be had. Nothing of what the file says is in it.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file cannot be read.
    #[error("the credentials in {} cannot be read: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not a file of credentials.
    #[error("the credentials in {} cannot be read: {why}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        why: String,
    },
    /// They would have to be asked of a program.
    #[error(
        "{} names a helper for the credentials of {registry}, and no program is run for them: put them into `auths`",
        path.display()
    )]
    Helper {
        /// The file.
        path: PathBuf,
        /// Whose credentials.
        registry: String,
    },
}

/// What there is in the file for us.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    /// `user:password` in base64.
    auth: String,
    username: String,
    password: String,
    registrytoken: String,
}

impl Credentials {
    /// Those in `file`, which has to be there.
    #[must_use]
    pub const fn in_file(file: PathBuf) -> Self {
        Self { file: Some(file), may_be_missing: false }
    }

    /// Those in `file`, where there is one.
    #[must_use]
    pub const fn where_there_is(file: PathBuf) -> Self {
        Self { file: Some(file), may_be_missing: true }
    }

    /// Those for `registry`, as a reference names it; anonymous where there are none.
    ///
    /// # Errors
    /// The file cannot be read, or says that a program has them.
    pub(super) fn of(&self, registry: &str) -> Result<RegistryAuth, CredentialsError> {
        let Some(path) = &self.file else { return Ok(RegistryAuth::Anonymous) };
        let text = match File::open(path).and_then(|file| read_at_most(file, MAX_FILE)) {
            Ok(text) => text,
            Err(error) if self.may_be_missing && error.kind() == io::ErrorKind::NotFound => {
                return Ok(RegistryAuth::Anonymous);
            }
            Err(source) => return Err(CredentialsError::Io { path: path.clone(), source }),
        };
        let failed = |why| CredentialsError::Form { path: path.clone(), why };
        let text = text.ok_or_else(|| failed(format!("it has more than {MAX_FILE} bytes")))?;
        let config: Config = serde_json::from_slice(&text).map_err(|error| failed(place(&error)))?;
        choose(&config, registry, path)
    }
}

fn choose(config: &Config, registry: &str, path: &Path) -> Result<RegistryAuth, CredentialsError> {
    let is_of = |key: &&String| is_same(host(key), registry);
    let entry = config.auths.iter().find(|(key, _)| is_of(key)).map(|(_, entry)| entry);
    let found = entry.map(Entry::read).transpose().map_err(|why| CredentialsError::Form {
        path: path.to_owned(),
        why: format!("those of {registry} {why}"),
    })?;
    match found.flatten() {
        Some(auth) => Ok(auth),
        None if config.cred_helpers.keys().any(|key| is_of(&key)) => {
            Err(CredentialsError::Helper { path: path.to_owned(), registry: registry.to_owned() })
        }
        None => Ok(RegistryAuth::Anonymous),
    }
}

impl Entry {
    /// `None` where it is empty, as Docker leaves it when a helper has the credentials.
    fn read(&self) -> Result<Option<RegistryAuth>, &'static str> {
        let Self { auth, username, password, registrytoken } = self;
        if !registrytoken.is_empty() {
            return Ok(Some(RegistryAuth::Bearer(registrytoken.clone())));
        }
        if !username.is_empty() {
            return Ok(Some(RegistryAuth::Basic(username.clone(), password.clone())));
        }
        if auth.is_empty() {
            return Ok(None);
        }
        let decoded = STANDARD.decode(auth).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let decoded = decoded.ok_or("are not base64 of text")?;
        let (user, password) = decoded.split_once(':').ok_or("are not a user and a password")?;
        Ok(Some(RegistryAuth::Basic(user.to_owned(), password.to_owned())))
    }
}

/// The host and port of a key, which may be a URL.
fn host(key: &str) -> &str {
    let key = key.split_once("://").map_or(key, |(_, rest)| rest);
    key.split('/').next().unwrap_or(key)
}

fn is_same(key: &str, registry: &str) -> bool {
    key == registry || (DOCKER_HUB.contains(&key) && DOCKER_HUB.contains(&registry))
}

/// Where it is wrong and how, without a word of what stands there.
fn place(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Data => "a value of another type than Docker writes",
        _ => "it is not JSON",
    };
    format!("{kind}, at line {}, column {}", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, registry: &str) -> Result<RegistryAuth, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        std::fs::write(&file, text).unwrap();
        let found = Credentials::in_file(file.clone()).of(registry);
        found.map_err(|error| error.to_string().replace(&file.display().to_string(), "FILE"))
    }

    fn basic(user: &str, password: &str) -> RegistryAuth {
        RegistryAuth::Basic(user.to_owned(), password.to_owned())
    }

    #[test]
    fn credentials_are_found_by_the_registry_however_docker_wrote_it() {
        let text = r#"{ "auths": {
            "localhost:5000": { "auth": "bWU6c2U6Y3JldA==" },
            "https://ghcr.io/v2/": { "username": "you", "password": "known" },
            "https://index.docker.io/v1/": { "auth": "aHViOnB3" },
            "token.example": { "registrytoken": "abc" },
            "empty.example": {}
        }, "credsStore": "desktop", "HttpHeaders": { "a": "b" } }"#;
        for (registry, expected) in [
            ("localhost:5000", basic("me", "se:cret")),
            ("ghcr.io", basic("you", "known")),
            ("docker.io", basic("hub", "pw")),
            ("token.example", RegistryAuth::Bearer("abc".to_owned())),
            ("empty.example", RegistryAuth::Anonymous),
            ("localhost", RegistryAuth::Anonymous),
            ("localhost:5001", RegistryAuth::Anonymous),
            ("evil-ghcr.io", RegistryAuth::Anonymous),
        ] {
            assert!(of(text, registry) == Ok(expected), "{registry}");
        }
    }

    #[test]
    fn what_is_wrong_with_the_file_is_said_without_what_it_says() {
        for (text, expected) in [
            (
                "{ \"auths\": { \"r.io\": \"c2VjcmV0\" } }",
                "a value of another type than Docker writes, at line 1",
            ),
            ("{ \"auths\": { \"r.io\": { \"auth\": \"c2VjcmV0", "it is not JSON, at line 1"),
            (
                "{ \"auths\": { \"r.io\": { \"auth\": \"c2VjcmV0\" } } }",
                "those of r.io are not a user and a password",
            ),
            (
                "{ \"auths\": { \"r.io\": { \"auth\": \"-secret-\" } } }",
                "those of r.io are not base64 of text",
            ),
            (
                "{ \"credHelpers\": { \"r.io\": \"secret\" } }",
                "FILE names a helper for the credentials of r.io",
            ),
        ] {
            let error = of(text, "r.io").unwrap_err();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("c2VjcmV0") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_file_that_nobody_named_may_be_missing() {
        let nowhere = PathBuf::from("/nowhere/config.json");
        assert!(Credentials::where_there_is(nowhere.clone()).of("r.io").unwrap() == RegistryAuth::Anonymous);
        assert!(matches!(Credentials::in_file(nowhere).of("r.io"), Err(CredentialsError::Io { .. })));
        assert!(Credentials::default().of("r.io").unwrap() == RegistryAuth::Anonymous);
    }
}
