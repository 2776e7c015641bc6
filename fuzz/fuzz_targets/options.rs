//! The environment: whatever a variable says, what is read of it lies within its option's bounds, or is refused.
//!
//! These are the engine's own sources, which are not public and use nothing else of it but what it has built in.

#![no_main]

mod mitigations {
    pub(crate) use ravelin::MITIGATIONS;
}
#[path = "../../src/options/parse.rs"]
#[allow(dead_code, unreachable_pub)]
mod parse;
#[path = "../../src/options/scan.rs"]
#[allow(dead_code, unreachable_pub)]
mod scan;
#[path = "../../src/options/table.rs"]
#[allow(dead_code, unreachable_pub)]
mod table;

use libfuzzer_sys::fuzz_target;
use parse::Parsed;
use scan::Entry;

fuzz_target!(|environment: &[u8]| {
    for variable in environment.split(|byte| *byte == 0) {
        let name = scan::name(variable);
        assert!(variable.starts_with(name));
        let Entry::Option { setting, dialect, value, .. } = scan::entry(variable) else { continue };
        assert!(variable.ends_with(value));
        let row = setting.row();
        let read = parse::parse(row, dialect, value);
        assert_eq!(read, parse::parse(row, dialect, value), "the same text is the same value");
        if let Parsed::Exact(number) | Parsed::Clamped(number) = read {
            assert!(row.min <= number && number <= row.max, "{number} is out of bounds");
        }
    }
});
