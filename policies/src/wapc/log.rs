//! What a guest writes: the end of it.

/// Bytes that are kept, enough for where a panic came from.
pub(super) const KEPT: usize = 512;

/// The last [`KEPT`] bytes that were written.
#[derive(Debug, Default)]
pub(super) struct Log {
    bytes: Vec<u8>,
}

impl Log {
    /// Adds to the end.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.bytes.extend(&bytes[bytes.len().saturating_sub(KEPT)..]);
        self.bytes.drain(..self.bytes.len().saturating_sub(KEPT));
    }

    /// In one line; `None` where there is nothing to be seen.
    pub(super) fn tail(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.bytes).replace(char::is_control, " ");
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_kept() {
        let mut log = Log::default();
        assert_eq!(log.tail(), None);
        log.write(&[b'x'; 3 * KEPT]);
        log.write(b"\n the\x1b[2J end\xff\n");
        let tail = log.tail().unwrap();
        assert!(tail.starts_with('x') && tail.ends_with("x  the [2J end\u{fffd}"), "{tail}");
        assert_eq!(log.bytes.len(), KEPT);
    }
}
