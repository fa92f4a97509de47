//! The first root of a guest: init, busybox with a link for each of its applets, the modules a
//! stock kernel needs, and the files of this boot. Uncompressed: QEMU copies it in milliseconds.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use faultline_lab_init::LAB_DIR;

use crate::cpio::Archive;
use crate::machine::HostFile;

const BUSYBOX: &str = "/bin/busybox";

/// Small files that libraries and tools look for.
const ETC: [(&str, &str); 5] = [
    ("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
    ("/etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    ("/etc/hosts", "127.0.0.1 localhost lab\n10.0.2.2 host\n"),
    ("/etc/resolv.conf", "nameserver 10.0.2.3\n"),
    ("/etc/hostname", "lab\n"),
];

/// Why the archive could not be made.
#[derive(Debug, thiserror::Error)]
pub enum InitramfsError {
    /// A file to put into the guest.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The archive itself.
    #[error("cannot write the initial root file system")]
    Write(#[from] io::Error),
}

/// What goes into the guest.
pub(crate) struct Contents<'a> {
    pub(crate) init: &'a Path,
    pub(crate) modules: &'a [PathBuf],
    pub(crate) loadable: &'a [PathBuf],
    pub(crate) files: &'a [HostFile],
    /// 9p tag and folder of each share.
    pub(crate) shares: Vec<(String, String)>,
}

/// Writes the archive.
pub(crate) fn write(contents: &Contents<'_>, to: File) -> Result<(), InitramfsError> {
    let mut tree = Tree { archive: Archive::new(BufWriter::new(to)), folders: BTreeSet::new() };
    for folder in
        ["/proc", "/sys", "/dev", "/tmp", "/run", "/root", "/mnt", "/sbin", "/usr/bin", "/usr/sbin", "/var"]
    {
        tree.folder(folder)?;
    }
    tree.host_file("/init", contents.init)?;
    tree.host_file(BUSYBOX, Path::new(BUSYBOX))?;
    for applet in applets()?.iter().filter(|applet| *applet != "busybox") {
        tree.archive.symlink(&format!("/bin/{applet}"), "busybox")?;
    }
    for (path, text) in ETC {
        tree.text(path, text)?;
    }
    for (index, module) in contents.modules.iter().enumerate() {
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        tree.host_file(&format!("{LAB_DIR}/modules/{index:03}-{name}"), module)?;
    }
    for module in contents.loadable {
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        tree.host_file(&format!("/lib/modules/{name}"), module)?;
    }
    let shares: String = contents.shares.iter().map(|(tag, folder)| format!("{tag} {folder}\n")).collect();
    tree.text(&format!("{LAB_DIR}/shares"), &shares)?;
    for file in contents.files {
        tree.host_file(&file.guest, &file.host)?;
    }
    Ok(tree.archive.finish()?.flush()?)
}

/// The host's busybox is the guest's, so it knows its own applets.
fn applets() -> Result<Vec<String>, InitramfsError> {
    let listed = Command::new(BUSYBOX).arg("--list").output();
    let listed = listed.map_err(|source| InitramfsError::Read { path: BUSYBOX.into(), source })?;
    Ok(String::from_utf8_lossy(&listed.stdout).lines().map(String::from).collect())
}

struct Tree<W> {
    archive: Archive<W>,
    folders: BTreeSet<PathBuf>,
}

impl<W: Write> Tree<W> {
    fn folder(&mut self, path: &str) -> io::Result<()> {
        let mut parents: Vec<&Path> = Path::new(path).ancestors().filter(|p| *p != Path::new("/")).collect();
        parents.reverse();
        for parent in parents {
            if self.folders.insert(parent.to_path_buf()) {
                self.archive.directory(&parent.to_string_lossy())?;
            }
        }
        Ok(())
    }

    fn text(&mut self, path: &str, text: &str) -> io::Result<()> {
        self.parent(path)?;
        self.archive.file(path, 0o644, text.as_bytes())
    }

    fn host_file(&mut self, path: &str, host: &Path) -> Result<(), InitramfsError> {
        let fail = |source| InitramfsError::Read { path: host.to_path_buf(), source };
        let permissions = fs::metadata(host).map_err(fail)?.permissions().mode() & 0o777;
        let content = fs::read(host).map_err(fail)?;
        self.parent(path)?;
        Ok(self.archive.file(path, permissions, &content)?)
    }

    fn parent(&mut self, path: &str) -> io::Result<()> {
        let parent = Path::new(path).parent().map(|parent| parent.to_string_lossy().into_owned());
        parent.map_or(Ok(()), |parent| self.folder(&parent))
    }
}
