//! What is mapped, as `/proc/self/maps` tells it: read in small pieces, without an allocation or a lock.
//!
//! ```text
//! 55d0c7a00000-55d0c7a21000 r-xp 00008000 fe:01 1312   /usr/bin/service
//! start        end          perms offset   dev   inode path
//! ```
//!
//! The loader's own lists would be faster, but it guards them by a lock that it may hold while it allocates.

use super::file::File;
use crate::os::Module;
use core::ops::ControlFlow;

/// Bytes read at a time. Small, for it lies on the stack.
const PIECE: usize = 1024;
/// Bytes of a name that are kept.
const NAME: usize = 48;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Start,
    End,
    Permissions,
    Offset,
    Device,
    Inode,
    Path,
}

/// The line that is being read.
struct Line {
    field: Field,
    start: usize,
    end: usize,
    offset: usize,
    inode: usize,
    is_code: bool,
    name: [u8; NAME],
    len: usize,
    /// Of the file that was mapped last: its number, and where its beginning lies.
    file: usize,
    base: usize,
}

impl Line {
    fn begin(&mut self) {
        (self.field, self.start, self.end, self.offset, self.inode) = (Field::Start, 0, 0, 0, 0);
        (self.is_code, self.len) = (false, 0);
    }

    /// Takes a byte that does not end the line.
    fn push(&mut self, byte: u8) {
        match (self.field, byte) {
            (Field::Start, b'-') => self.field = Field::End,
            (Field::End, b' ') => self.field = Field::Permissions,
            (Field::Permissions, b' ') => self.field = Field::Offset,
            (Field::Offset, b' ') => self.field = Field::Device,
            (Field::Device, b' ') => self.field = Field::Inode,
            (Field::Inode, b' ') => self.field = Field::Path,
            (Field::Start, digit) => self.start = hex(self.start, digit),
            (Field::End, digit) => self.end = hex(self.end, digit),
            (Field::Offset, digit) => self.offset = hex(self.offset, digit),
            // Decimal digits, but it is only compared.
            (Field::Inode, digit) => self.inode = hex(self.inode, digit),
            (Field::Permissions, letter) => self.is_code |= letter == b'x',
            (Field::Device, _) => {}
            (Field::Path, b' ') if self.len == 0 => {}
            (Field::Path, b'/') => self.len = 0,
            (Field::Path, letter) => {
                if let Some(place) = self.name.get_mut(self.len) {
                    *place = letter;
                    self.len = self.len.wrapping_add(1);
                }
            }
        }
    }

    fn end(&mut self) -> Module<'_> {
        if self.offset == 0 || self.inode != self.file {
            (self.file, self.base) = (self.inode, self.start.wrapping_sub(self.offset));
        }
        let name = if self.inode == 0 { &[] } else { self.name.get(..self.len).unwrap_or(&[]) };
        Module { start: self.start, end: self.end, is_code: self.is_code, base: self.base, name }
    }
}

fn hex(number: usize, digit: u8) -> usize {
    let value = match digit {
        b'0'..=b'9' => digit.wrapping_sub(b'0'),
        b'a'..=b'f' => digit.wrapping_sub(b'a').wrapping_add(10),
        _ => return number,
    };
    number.wrapping_shl(4) | usize::from(value)
}

/// Shows every mapping of the process, from the lowest up, until told to stop. Nothing if the file cannot be read.
pub(crate) fn visit_modules(visit: &mut dyn FnMut(&Module<'_>) -> ControlFlow<()>) {
    let Ok(file) = File::open(c"/proc/self/maps") else { return };
    let mut piece = [0_u8; PIECE];
    let mut reader = Reader::new();
    loop {
        let got = file.read(&mut piece).unwrap_or(0);
        let Some(bytes) = piece.get(..got).filter(|bytes| !bytes.is_empty()) else { return };
        if reader.read(bytes, visit).is_break() {
            return;
        }
    }
}

struct Reader(Line);

impl Reader {
    const fn new() -> Reader {
        Reader(Line {
            field: Field::Start,
            start: 0,
            end: 0,
            offset: 0,
            inode: 0,
            is_code: false,
            name: [0; NAME],
            len: 0,
            file: 0,
            base: 0,
        })
    }

    fn read(&mut self, bytes: &[u8], visit: &mut dyn FnMut(&Module<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
        for byte in bytes {
            if *byte != b'\n' {
                self.0.push(*byte);
                continue;
            }
            visit(&self.0.end())?;
            self.0.begin();
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::{String, ToString};
    use std::vec::Vec;

    const TEXT: &[u8] = b"55d0c79f8000-55d0c7a00000 r--p 00000000 fe:01 1312   /usr/bin/a service\n\
        55d0c7a00000-55d0c7a21000 r-xp 00008000 fe:01 1312   /usr/bin/a service\n\
        55d0c8000000-55d0c8021000 rw-p 00000000 00:00 0      [heap]\n\
        7f0000000000-7f0000001000 r-xp 00001000 fe:01 77     /lib/b.so\n\
        ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n";

    type Seen = (usize, usize, bool, usize, String);

    fn seen(module: &Module<'_>) -> Seen {
        let name = core::str::from_utf8(module.name).unwrap().to_string();
        (module.start, module.end, module.is_code, module.base, name)
    }

    #[test]
    fn lines_are_understood_however_they_are_cut() {
        for size in [1, 2, 7, 64, TEXT.len()] {
            let (mut reader, mut found) = (Reader::new(), Vec::new());
            for piece in TEXT.chunks(size) {
                let _ = reader.read(piece, &mut |module| {
                    found.push(seen(module));
                    ControlFlow::Continue(())
                });
            }
            let base = 0x55d0_c79f_8000;
            assert_eq!(found.len(), 5);
            assert_eq!(found[0], (base, base + 0x8000, false, base, "a service".to_string()));
            assert_eq!(found[1], (base + 0x8000, base + 0x2_9000, true, base, "a service".to_string()));
            assert_eq!(found[2].4, "");
            assert_eq!(found[3], (0x7f00_0000_0000, 0x7f00_0000_1000, true, 0x7eff_ffff_f000, "b.so".to_string()));
            assert!(found[4].2);
        }
    }

    #[test]
    fn this_very_code_is_found() {
        let here = (this_very_code_is_found as *const ()).addr();
        let mut name = String::new();
        visit_modules(&mut |module| {
            if (module.start..module.end).contains(&here) {
                assert!(module.is_code && module.base < here);
                name = core::str::from_utf8(module.name).unwrap().to_string();
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        let exe = std::env::current_exe().unwrap();
        let exe = exe.file_name().unwrap().to_str().unwrap();
        assert!(!name.is_empty() && exe.starts_with(&name), "{name} {exe}");
    }
}
