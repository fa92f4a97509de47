//! A real registry as a process of its own.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use faultline_lab::{Cache, Progress, registry};
use oci_client::{
    Client, Reference,
    client::{ClientConfig, ClientProtocol, Config, ImageLayer},
    secrets::RegistryAuth,
};
use tempfile::TempDir;

/// The media types that Kubewarden pushes with.
pub(crate) const KUBEWARDEN: &str = "application/vnd.wasm.content.layer.v1+wasm";
const KUBEWARDENS_CONFIG: &str = "application/vnd.wasm.config.v1+json";

/// Who may use a registry with a password.
pub(crate) const USER: &str = "guard";
pub(crate) const PASSWORD: &str = "open sesame";
/// That password as bcrypt, which is what the registry takes.
const HASHED: &str = "$2b$05$cCXihtVbSV0udBJHCo0hB.uSGhnNbIicf/fNdA9oBKoRqqDJOUXWm";

/// A registry with a port of its own on loopback, running or not.
pub(crate) struct Registry {
    program: PathBuf,
    root: TempDir,
    pub(crate) address: SocketAddr,
    /// More of its configuration: `http` and `auth` are at its end.
    more: String,
    auth: RegistryAuth,
    process: Option<Child>,
}

/// A registry that is not running yet; `None` where this machine has none and cannot get it.
pub(crate) fn a_registry() -> Option<Registry> {
    let cache = Cache::from_env();
    let program = match registry::obtain(&cache, &Progress::stderr(&cache)) {
        Ok(program) => program,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{error}");
            eprintln!("SKIPPED, nothing was tested: {error}");
            return None;
        }
    };
    let root = tempfile::tempdir().unwrap();
    // Free a moment ago, and nobody else here asks for a port by number.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let auth = RegistryAuth::Anonymous;
    Some(Registry { program, root, address, more: String::new(), auth, process: None })
}

impl Registry {
    /// The same for one user alone.
    pub(crate) fn with_password(mut self) -> Self {
        let file = self.root.path().join("htpasswd");
        fs::write(&file, format!("{USER}:{HASHED}\n")).unwrap();
        self.more += &format!("auth: {{ htpasswd: {{ realm: lab, path: {} }} }}\n", file.display());
        self.auth = RegistryAuth::Basic(USER.to_owned(), PASSWORD.to_owned());
        self
    }

    /// The same over TLS, with a certificate and its key.
    pub(crate) fn with_tls(mut self, certificate: &str, key: &str) -> Self {
        self.more += &format!("  tls: {{ certificate: {certificate}, key: {key} }}\n");
        self
    }

    pub(crate) fn start(&mut self) {
        let config = self.root.path().join("config.yml");
        let (data, address) = (self.root.path().join("data"), self.address);
        let text = format!(
            "version: 0.1\nlog: {{ level: error, accesslog: {{ disabled: true }} }}\nstorage: {{ filesystem: {{ \
             rootdirectory: {} }} }}\nhttp:\n  addr: {address}\n{}",
            data.display(),
            self.more
        );
        fs::write(&config, text).unwrap();
        let log = fs::File::options().create(true).append(true).open(self.root.path().join("log")).unwrap();
        let child = Command::new(&self.program)
            .arg("serve")
            .arg(&config)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.process = Some(child);
        for _ in 0..600 {
            if TcpStream::connect(address).is_ok() {
                return;
            }
            sleep(Duration::from_millis(50));
        }
        panic!("{}", fs::read_to_string(self.root.path().join("log")).unwrap());
    }

    pub(crate) fn stop(&mut self) {
        let mut process = self.process.take().expect("it is running");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Pushes a module and returns the reference to it by the digest of its manifest.
    pub(crate) async fn push(&self, repository: &str, module: &[u8], media_type: &str) -> String {
        let _there_is_one = rustls::crypto::ring::default_provider().install_default();
        let config = ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() };
        let client = Client::try_from(config).unwrap();
        let (registry, auth) = (self.address.to_string(), &self.auth);
        let tagged = Reference::with_tag(registry.clone(), repository.to_owned(), "v1".to_owned());
        let layers = [ImageLayer::new(module.to_vec(), media_type.to_owned(), None)];
        let config = Config::new(&b"{}"[..], KUBEWARDENS_CONFIG.to_owned(), None);
        client.push(&tagged, &layers, config, auth, None).await.unwrap();
        let digest = client.fetch_manifest_digest(&tagged, auth).await.unwrap();
        format!("{registry}/{repository}@{digest}")
    }

    /// The file in which it keeps what has this digest.
    pub(crate) fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").unwrap();
        self.root.path().join("data/docker/registry/v2/blobs/sha256").join(&hex[..2]).join(hex).join("data")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.stop();
        }
    }
}
