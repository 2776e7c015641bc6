//! The forms that a double or wrong free takes in Rust (A16, G4): not a call of `free` but an owner too many, dropped.

use crate::stage::{Case, Cases, Expect, Needs, Who, access, guilty, on_thread};
use core::hint::black_box;
use core::mem::ManuallyDrop;
use core::ptr;
use std::rc::Rc;
use std::sync::Arc;

const DOUBLE_FREE: &[&str] = &["double free of "];
const FOREIGN: &[&str] = &["invalid free (foreign pointer) of "];
const WRONG_LAYOUT: &[&str] = &["wrong layout (size "];

pub fn cases() -> Cases {
    let mut cases = Cases::from([
        Case::dies("a16_rc_overdropped", DOUBLE_FREE, || on_thread(rc_overdropped))
            .guarded(Expect::FaultsOrDies(DOUBLE_FREE)),
        Case::dies("a16_manually_drop_twice", DOUBLE_FREE, || on_thread(manually_drop_twice)),
        Case::dies("a16_box_of_dyn_twice", DOUBLE_FREE, || on_thread(box_of_dyn_twice)),
        Case::dies("a16_vec_of_boxes_copied", DOUBLE_FREE, || on_thread(vec_of_boxes_copied)),
        layouts("g4_vec_with_another_capacity/half", || on_thread(|| vec_with_capacity(1000, 500))),
        layouts("g4_vec_with_another_capacity/double", || on_thread(|| vec_with_capacity(1000, 2000))),
        layouts("g4_vec_with_another_capacity/large", || on_thread(|| vec_with_capacity(1 << 20, 1 << 10))),
        layouts("g4_vec_with_another_capacity/huge", || on_thread(|| vec_with_capacity(40 << 20, 20 << 20))),
        layouts("g4_box_as_another/smaller", || on_thread(box_as_another::<[u64; 64], [u64; 8]>)),
        layouts("g4_box_as_another/larger", || on_thread(box_as_another::<[u64; 8], [u64; 64]>)),
        layouts("g4_box_as_another/aligned", || on_thread(box_as_another::<[u8; 48], Aligned>)),
        Case::new("g4_string_from_a_static", Needs::NOTHING, Expect::Dies(FOREIGN), || on_thread(string_from_a_static)),
        Case::new("g4_string_from_the_stack", Needs::NOTHING, Expect::Dies(FOREIGN), || {
            on_thread(string_from_the_stack)
        }),
    ]);
    for who in Who::ALL {
        cases.push(Case::dies(format_args!("a16_box_from_raw_twice/{who}"), DOUBLE_FREE, move || {
            box_from_raw_twice(who)
        }));
        cases.push(Case::dies(format_args!("a16_vec_from_raw_parts_twice/{who}"), DOUBLE_FREE, move || {
            vec_from_raw_parts_twice(who);
        }));
        cases.push(
            Case::dies(format_args!("a16_arc_overdropped/{who}"), DOUBLE_FREE, move || arc_overdropped(who))
                .guarded(Expect::FaultsOrDies(DOUBLE_FREE)),
        );
        cases
            .push(Case::dies(format_args!("a16_string_read_twice/{who}"), DOUBLE_FREE, move || string_read_twice(who)));
    }
    cases
}

fn layouts(name: &str, play: impl FnOnce() + Send + 'static) -> Case {
    Case::dies(name, WRONG_LAYOUT, play).needing(Needs::LAYOUT_CHECKS).own()
}

/// A pointer for another thread.
struct Sent<T>(*mut T);

// SAFETY: an address; who may use it is the play's affair.
unsafe impl<T> Send for Sent<T> {}

#[repr(align(64))]
struct Aligned(#[allow(dead_code, reason = "it is the size that matters")] [u8; 64]);

fn box_from_raw_twice(who: Who) {
    who.play(
        || {
            let owner = Sent(black_box(Box::into_raw(Box::new([7_u64; 6]))));
            // SAFETY: the first time.
            drop(unsafe { Box::from_raw(owner.0) });
            owner
        },
        |owner| {
            guilty(owner.0.addr(), || {
                // SAFETY: none: the box has an owner already, and had.
                drop(unsafe { Box::from_raw(black_box(owner.0)) });
            });
        },
    );
}

fn vec_from_raw_parts_twice(who: Who) {
    who.play(
        || {
            let mut first = ManuallyDrop::new(vec![1_u32; 300]);
            let parts = (Sent(black_box(first.as_mut_ptr())), first.len(), first.capacity());
            drop(ManuallyDrop::into_inner(first));
            parts
        },
        |(start, len, capacity)| {
            guilty(start.0.addr(), || {
                // SAFETY: none: the vector was dropped.
                drop(unsafe { Vec::from_raw_parts(black_box(start.0), len, capacity) });
            });
        },
    );
}

/// The counts lie in the block that was freed: whoever drops one owner too many meets a count of what is there now, here the
/// same owner's again.
fn arc_overdropped(who: Who) {
    who.play(
        || {
            let first = Arc::new([3_u64; 8]);
            // SAFETY: copied, never to be dropped as such.
            let copy = unsafe { ptr::read(&raw const first) };
            let start = Sent(Arc::as_ptr(&first).cast_mut());
            drop(black_box(first));
            (ManuallyDrop::new(copy), start)
        },
        |(copy, start)| {
            // Two counts before the value.
            let block = start.0.cast::<usize>().wrapping_sub(2);
            access(block.addr(), || revive(block));
            guilty(block.addr(), || drop(ManuallyDrop::into_inner(copy)));
        },
    );
}

/// The two counts in a freed block are made those of a last owner, as a copy of it would hold.
fn revive(counts: *mut usize) {
    // SAFETY: none: the block was freed.
    unsafe { counts.write_volatile(1) };
    // SAFETY: as above.
    unsafe { counts.wrapping_add(1).write_volatile(1) };
}

fn string_read_twice(who: Who) {
    who.play(
        || {
            let first = String::from("a string that two owners think is theirs");
            // SAFETY: none: now there are two.
            let second = unsafe { ptr::read(&raw const first) };
            drop(black_box(first));
            second
        },
        |second| {
            guilty(second.as_ptr().addr(), || drop(black_box(second)));
        },
    );
}

fn rc_overdropped() {
    let first = Rc::new(5_u64);
    let block = Rc::as_ptr(&first).cast::<usize>().wrapping_sub(2);
    // SAFETY: one owner, and a count of one: the second drop comes from nowhere.
    let copy = ManuallyDrop::new(unsafe { ptr::read(&raw const first) });
    drop(black_box(first));
    access(block.addr(), || revive(block.cast_mut()));
    guilty(block.addr(), || drop(ManuallyDrop::into_inner(copy)));
}

fn manually_drop_twice() {
    let mut held = ManuallyDrop::new(Box::new([1_u8; 100]));
    let start = held.as_ptr().addr();
    // SAFETY: the first time.
    unsafe { ManuallyDrop::drop(&mut held) };
    guilty(start, || {
        // SAFETY: none: the second time.
        unsafe { ManuallyDrop::drop(black_box(&mut held)) };
    });
}

fn box_of_dyn_twice() {
    trait Thing {
        fn name(&self) -> usize;
    }
    impl Thing for [u64; 20] {
        fn name(&self) -> usize {
            self.len()
        }
    }
    let thing: Box<dyn Thing> = Box::new([0; 20]);
    assert_eq!(thing.name(), 20);
    let raw = black_box(Box::into_raw(thing));
    // SAFETY: the first time.
    drop(unsafe { Box::from_raw(raw) });
    guilty(raw.addr(), || {
        // SAFETY: none: the second time.
        drop(unsafe { Box::from_raw(black_box(raw)) });
    });
}

/// A bitwise copy of a vector's elements: the vectors are two, the boxes in them are one.
fn vec_of_boxes_copied() {
    let first: Vec<Box<[u8; 40]>> = vec![Box::new([1; 40])];
    let mut second: Vec<Box<[u8; 40]>> = Vec::with_capacity(1);
    // SAFETY: none: copies an owner.
    unsafe { ptr::copy_nonoverlapping(first.as_ptr(), second.as_mut_ptr(), 1) };
    // SAFETY: the element is initialised.
    unsafe { second.set_len(1) };
    let start = first.as_ptr().cast::<usize>();
    // SAFETY: a box is its pointer.
    let start = unsafe { start.read() };
    drop(black_box(first));
    guilty(start, || drop(black_box(second)));
}

fn vec_with_capacity(real: usize, claimed: usize) {
    let mut vector = ManuallyDrop::new(Vec::<u8>::with_capacity(real));
    let start = black_box(vector.as_mut_ptr());
    guilty(start.addr(), || {
        // SAFETY: none: the capacity is another.
        drop(unsafe { Vec::from_raw_parts(start, 0, claimed) });
    });
}

fn box_as_another<T, U>() {
    // SAFETY: not read as a T.
    let raw = black_box(Box::into_raw(unsafe { Box::<T>::new_uninit().assume_init() }));
    guilty(raw.addr(), || {
        // SAFETY: none: the box is of another type.
        drop(unsafe { Box::from_raw(raw.cast::<U>()) });
    });
}

fn string_from_a_static() {
    static TEXT: [u8; 64] = [b'x'; 64];
    let start = black_box(TEXT.as_ptr().cast_mut());
    guilty(start.addr(), || {
        // SAFETY: none: nobody has allocated that.
        drop(unsafe { String::from_raw_parts(start, 10, 40) });
    });
}

fn string_from_the_stack() {
    let mut text = [b'x'; 64];
    let start = black_box(text.as_mut_ptr());
    guilty(start.addr(), || {
        // SAFETY: none: nobody has allocated that.
        drop(unsafe { String::from_raw_parts(start, 10, 40) });
    });
}
