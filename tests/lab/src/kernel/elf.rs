//! One section out of an ELF file: just enough for vmlinux, which is half a gigabyte with its debug
//! information, of which the BTF is two megabytes.

use std::io::{self, Read, Seek, SeekFrom};

/// Offsets in the ELF64 header: of the section headers' place, size of one, count, index of names.
const SECTIONS_AT: usize = 0x28;
const SECTION_SIZE: usize = 0x3a;
const SECTION_COUNT: usize = 0x3c;
const NAMES_INDEX: usize = 0x3e;

/// The content of the section with this name, from a little-endian ELF64 file.
pub(super) fn section(file: &mut (impl Read + Seek), name: &str) -> io::Result<Vec<u8>> {
    let header = read_at(file, 0, 64)?;
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return Err(bad("not a little-endian ELF64 file"));
    }
    let (size, count) = (number(&header, SECTION_SIZE, 2)?, number(&header, SECTION_COUNT, 2)?);
    let table = read_at(file, number(&header, SECTIONS_AT, 8)?, size * count)?;
    let sections: Vec<&[u8]> =
        table.chunks_exact(usize::try_from(size.max(1)).map_err(io::Error::other)?).collect();
    let index = usize::try_from(number(&header, NAMES_INDEX, 2)?).map_err(io::Error::other)?;
    let names = content(file, sections.get(index).ok_or_else(|| bad("no section names"))?)?;
    for section in sections {
        let at = usize::try_from(number(section, 0, 4)?).map_err(io::Error::other)?;
        let found = names.get(at..).and_then(|rest| rest.split(|byte| *byte == 0).next());
        if found == Some(name.as_bytes()) {
            return content(file, section);
        }
    }
    Err(bad("no such section"))
}

/// In a section's header: 0x18 its place, 0x20 its size.
fn content(file: &mut (impl Read + Seek), section: &[u8]) -> io::Result<Vec<u8>> {
    read_at(file, number(section, 0x18, 8)?, number(section, 0x20, 8)?)
}

fn read_at(file: &mut (impl Read + Seek), at: u64, length: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    file.by_ref().take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn number(bytes: &[u8], at: usize, width: usize) -> io::Result<u64> {
    let digits = bytes.get(at..at + width).ok_or_else(|| bad("a header is cut short"))?;
    Ok(digits.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn a_section_is_found_by_its_name() {
        let mut this = File::open(std::env::current_exe().unwrap()).unwrap();
        let names = section(&mut this, ".shstrtab").unwrap();
        assert!(names.windows(7).any(|window| window == b".rodata"));
        assert!(section(&mut this, ".no-such-section").is_err());
    }

    #[test]
    fn what_is_no_elf_or_is_cut_short_is_refused() {
        for bytes in [&b"#!/bin/sh"[..], &[0; 64], b"\x7fELF\x02\x01"] {
            assert!(section(&mut io::Cursor::new(bytes), ".BTF").is_err());
        }
    }
}
