//! The archive format the kernel unpacks as its first root: "newc", a header of hexadecimal
//! numbers, the name, the content, each padded to four bytes. Several may follow one another.

use std::io::{self, Write};

const DIRECTORY: u32 = 0o040_755;
const SYMLINK: u32 = 0o120_777;
const REGULAR: u32 = 0o100_000;
const TRAILER: &str = "TRAILER!!!";

/// Writes an archive entry by entry. Paths are absolute in the guest; parents come first.
pub(crate) struct Archive<W> {
    to: W,
    entries: u32,
}

impl<W: Write> Archive<W> {
    /// An empty archive.
    pub(crate) fn new(to: W) -> Self {
        Self { to, entries: 0 }
    }

    /// Adds a folder.
    pub(crate) fn directory(&mut self, path: &str) -> io::Result<()> {
        self.entry(path, DIRECTORY, &[])
    }

    /// Adds a symbolic link.
    pub(crate) fn symlink(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.entry(path, SYMLINK, target.as_bytes())
    }

    /// Adds a regular file with these permission bits.
    pub(crate) fn file(&mut self, path: &str, permissions: u32, content: &[u8]) -> io::Result<()> {
        self.entry(path, REGULAR | permissions, content)
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.entry(TRAILER, 0, &[])?;
        Ok(self.to)
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        let size = u32::try_from(content.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let name = path.trim_start_matches('/');
        self.entries += 1;
        // Inode, mode, uid, gid, links, mtime, size, device and rdev (major, minor each), name, checksum.
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name.len() as u32 + 1, 0]
            .map(|n| format!("{n:08x}"));
        let header = format!("070701{}{name}\0", fields.concat());
        self.to.write_all(header.as_bytes())?;
        self.pad(header.len())?;
        self.to.write_all(content)?;
        self.pad(content.len())
    }

    fn pad(&mut self, length: usize) -> io::Result<()> {
        self.to.write_all(&[0; 3][..length.next_multiple_of(4) - length])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn the_headers_are_those_of_newc_and_everything_is_padded() {
        let mut archive = Archive::new(Vec::new());
        archive.file("/a/bc", 0o755, b"hello").unwrap();
        let bytes = archive.finish().unwrap();
        assert!(bytes.starts_with(b"07070100000001000081ed"));
        assert_eq!(&bytes[110..116], b"a/bc\0\0");
        assert_eq!(&bytes[116..124], b"hello\0\0\0");
        assert_eq!(bytes.len() % 4, 0);
    }

    /// The kernel's unpacker is proven by every boot; this is a second reader that names what it dislikes.
    #[test]
    fn cpio_lists_what_was_written() {
        let mut archive = Archive::new(Vec::new());
        archive.directory("/dir").unwrap();
        archive.file("/dir/file", 0o644, b"12345").unwrap();
        archive.symlink("/dir/link", "file").unwrap();
        let bytes = archive.finish().unwrap();
        let cpio =
            Command::new("cpio").args(["-t", "--quiet"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let Ok(mut cpio) = cpio else { return eprintln!("skipped: cpio is not installed") };
        cpio.stdin.take().unwrap().write_all(&bytes).unwrap();
        let listed = cpio.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&listed.stdout), "dir\ndir/file\ndir/link\n");
    }
}
