//! Finding where the header's sections and each type start.

use super::{Btf, BtfError, Kind, Record};

const MAGIC: u16 = 0xeb9f;
const VERSION: u8 = 1;
/// Bytes of a type before its variable part.
const FIXED: usize = 12;

impl Btf {
    /// Takes in the bytes of `/sys/kernel/btf/vmlinux` or of a BTF file.
    ///
    /// # Errors
    /// Bytes that are no BTF, or whose types cannot be told apart.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, BtfError> {
        let magic = half(&bytes, 0).ok_or(BtfError::Magic)?;
        if magic != MAGIC {
            return Err(BtfError::Magic);
        }
        match bytes.get(2) {
            Some(&VERSION) => {}
            Some(&version) => return Err(BtfError::Version(version)),
            None => return Err(BtfError::Magic),
        }
        let header = index(&bytes, 4).ok_or(BtfError::Section)?;
        let types = section(&bytes, header, 8)?;
        let strings = section(&bytes, header, 16)?;
        let mut btf = Self { bytes, strings, starts: Vec::new() };
        btf.starts = btf.scan(types)?;
        Ok(btf)
    }

    fn scan(&self, types: std::ops::Range<usize>) -> Result<Vec<usize>, BtfError> {
        let mut starts = Vec::with_capacity(types.len() / 24);
        let mut at = types.start;
        while at < types.end {
            let id = u32::try_from(starts.len() + 1).unwrap_or(u32::MAX);
            let truncated = BtfError::Truncated { id };
            let info = word(&self.bytes, at + 4).ok_or(truncated.clone())?;
            let kind = info >> 24 & 0x1f;
            let tail = tail_size(kind, (info & 0xffff) as usize).ok_or(BtfError::UnknownKind { id, kind })?;
            starts.push(at);
            at += FIXED + tail;
            if at > types.end {
                return Err(truncated);
            }
        }
        Ok(starts)
    }

    pub(super) fn record(&self, id: u32) -> Option<Record> {
        let at = *self.starts.get(usize::try_from(id.checked_sub(1)?).ok()?)?;
        let info = word(&self.bytes, at + 4)?;
        Some(Record {
            name: word(&self.bytes, at)?,
            kind: kind(info >> 24 & 0x1f),
            count: (info & 0xffff) as usize,
            flag: info >> 31 == 1,
            size_or_type: word(&self.bytes, at + 8)?,
            tail: at + FIXED,
        })
    }

    /// The `nth` word of a type's variable part.
    pub(super) fn tail(&self, record: Record, nth: usize) -> Option<u32> {
        word(&self.bytes, record.tail + 4 * nth)
    }

    /// A name; empty for anonymous types. Absent where it is no valid string.
    pub(super) fn string(&self, offset: u32) -> Option<&str> {
        let strings = self.bytes.get(self.strings.clone())?;
        let rest = strings.get(usize::try_from(offset).ok()?..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(rest.get(..end)?).ok()
    }

    /// Compares without looking for the end first.
    pub(super) fn is_named(&self, offset: u32, name: &str) -> bool {
        let Some(strings) = self.bytes.get(self.strings.clone()) else { return false };
        let Some(rest) = usize::try_from(offset).ok().and_then(|at| strings.get(at..)) else { return false };
        rest.starts_with(name.as_bytes()) && rest.get(name.len()) == Some(&0)
    }
}

fn kind(number: u32) -> Kind {
    match number {
        1 => Kind::Int,
        2 => Kind::Ptr,
        3 => Kind::Array,
        4 => Kind::Struct,
        5 => Kind::Union,
        6 => Kind::Enum,
        7 => Kind::Forward,
        8 => Kind::Typedef,
        9 | 10 | 11 | 18 => Kind::Qualifier,
        12 => Kind::Func,
        13 => Kind::FuncProto,
        14 => Kind::Var,
        19 => Kind::Enum64,
        _ => Kind::Other,
    }
}

/// Bytes after the fixed part; absent for kinds that are not defined (yet).
fn tail_size(kind: u32, count: usize) -> Option<usize> {
    Some(match kind {
        1 | 14 | 17 => 4,
        2 | 7..=12 | 16 | 18 => 0,
        3 => 12,
        4 | 5 | 15 | 19 => 12 * count,
        6 | 13 => 8 * count,
        _ => return None,
    })
}

fn section(bytes: &[u8], header: usize, field: usize) -> Result<std::ops::Range<usize>, BtfError> {
    let start = index(bytes, field).and_then(|offset| header.checked_add(offset)).ok_or(BtfError::Section)?;
    let length = index(bytes, field + 4).ok_or(BtfError::Section)?;
    let end = start.checked_add(length).ok_or(BtfError::Section)?;
    if end > bytes.len() { Err(BtfError::Section) } else { Ok(start..end) }
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn index(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(word(bytes, at)?).ok()
}
