//! Reading no more than is wanted.

use std::io::{self, Read};

/// Everything that `from` has; `None` where that is more than `limit` bytes, whatever its size is said to be.
pub(crate) fn read_at_most(from: impl Read, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut content = Vec::new();
    from.take(limit.saturating_add(1)).read_to_end(&mut content)?;
    Ok((content.len() as u64 <= limit).then_some(content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_much_as_the_limit_is_read_and_a_byte_more_is_not() {
        assert_eq!(read_at_most(&b"abc"[..], 3).unwrap().as_deref(), Some(&b"abc"[..]));
        assert_eq!(read_at_most(&b"abcd"[..], 3).unwrap(), None);
        assert_eq!(read_at_most(io::repeat(0), 1 << 10).unwrap(), None, "it has no end");
        assert!(read_at_most(&b""[..], u64::MAX).unwrap().unwrap().is_empty());
    }
}
