//! Statistics for serde: a struct with the fields' names. By hand, for a derive stops at arrays of 32.

use crate::stats::{ClassStats, Stats};
use serde::ser::{Serialize, SerializeStruct, Serializer};

macro_rules! serialize {
    ($stats:ident, $serializer:ident, classes, $($field:ident),*) => {{
        // Without `..`: a field that is not in the list below does not compile.
        let Stats { classes, $($field),* } = $stats;
        let count = 1_usize $(.wrapping_add({ let _ = $field; 1 }))*;
        let mut fields = $serializer.serialize_struct("Stats", count)?;
        $(fields.serialize_field(stringify!($field), $field)?;)*
        let classes: &[ClassStats] = classes;
        fields.serialize_field("classes", classes)?;
        fields.end()
    }};
}

impl Serialize for Stats {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize!(
            self,
            serializer,
            classes,
            live_bytes,
            peak_live_bytes,
            live_blocks,
            peak_live_blocks,
            large,
            sampled,
            reserved,
            arenas,
            committed,
            peak_committed,
            purged,
            quarantined,
            metadata,
            segments,
            pages,
            full_pages,
            abandoned_pages,
            cross_thread_frees,
            posted_blocks,
            guards,
            guards_left_out,
            left_open,
            guard_maps,
            system_calls,
            forks,
            threads
        )
    }
}
