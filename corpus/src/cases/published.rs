//! Group K: bugs that were published in the last years, each reduced to what it does to the heap. The table names the source of each.
//!
//! Most are overflows or stale pointers in one of the forms of the other groups; here are the sizes, the bytes and the order of the real thing.

use super::spatial::{at_free, traffic};
use super::words::{AFTER_FREE_IN_REALLOC, DOUBLE_FREE, FOREIGN, INTERIOR, WRITTEN_AFTER_FREE};
use crate::allocator::{Collect, collect, current, step};
use crate::operators::Form;
use crate::stage::{Block, Case, Cases, Company, Expect, Needs, Who, access, fork, guilty, harm, on_thread, say};
use crate::table::{Column, spared};
use core::hint::black_box;
use core::mem::ManuallyDrop;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering::SeqCst};
use std::sync::Arc;

const CORRUPTED: &[&str] = &["corrupted free list in malloc at "];

pub(super) fn cases() -> Cases {
    let mut cases = Cases::default();
    overflows(&mut cases);
    double_frees(&mut cases);
    stale(&mut cases);
    rust(&mut cases);
    cxx(&mut cases);
    cases
}

/// A block of `size` bytes among others, written to by `write`, then freed.
fn overflow(name: &str, size: usize, write: fn(Block)) -> Case {
    at_free(format_args!("{name}/{size}"), move || {
        on_thread(|| {
            let (_company, block, _more) = (Company::of(size), Block::new(size), Company::of(size));
            access(block.address(), || write(block));
            block.free_guilty();
        });
    })
}

fn overflows(cases: &mut Cases) {
    // sudo copies an argument and, past its end, what follows it: zero bytes among text.
    cases.push(overflow("k1_sudo", 0x40, |block| {
        for offset in 0..0x60 {
            block.write_byte(offset, if offset % 9 == 8 { 0 } else { b'A' });
        }
    }));
    // syslog sizes its buffer 1, since a first attempt to print failed, and prints again.
    cases.push(overflow("k2_syslog", 1, |block| block.write_bytes(0, b'B', 1100)));
    // curl copies a host name of up to 64 KiB into a buffer of 16 KiB.
    cases.push(overflow("k3_curl_socks", 16 << 10, |block| block.write_bytes(0, b'C', (16 << 10) + 200)));
    // libwebp fills a table of codes with a stride, past its end: not every byte is written.
    cases.push(overflow("k4_webp_huffman", 2954 * 4, |block| {
        for entry in (2900..3300).step_by(8) {
            block.write_byte(entry * 4, 0x0f);
            block.write_byte(entry * 4 + 2, entry as u8);
        }
    }));
    // OpenSSL asks how large the plaintext is, is told too little, and writes up to 62 bytes more.
    cases.push(overflow("k5_openssl_sm2", 98, |block| block.write_bytes(98, 0xd5, 62)));
    // iconv writes an escape sequence without a look at what is left: one to three bytes, always these.
    for (count, name) in [(1, "k6_iconv/1"), (2, "k6_iconv/2"), (3, "k6_iconv/3")] {
        let write: fn(Block) = match count {
            1 => |block| block.write_byte(0x100, b'$'),
            2 => |block| [b'$', b'+'].iter().enumerate().for_each(|(at, byte)| block.write_byte(0x100 + at, *byte)),
            _ => {
                |block| [b'$', b'+', b'H'].iter().enumerate().for_each(|(at, byte)| block.write_byte(0x100 + at, *byte))
            }
        };
        cases.push(overflow(name, 0x100, write));
    }
    // Exim decodes base64 of a length that is no multiple of four into a buffer that is a byte too short.
    cases.push(overflow("k7_exim_base64", 0x2008, |block| block.write_byte(0x2008, 0xf1)));
    // zlib copies the rest of a header's extra field as if the room left were all of it.
    cases.push(overflow("k8_zlib_extra", 64, |block| block.write_bytes(60, b'D', 48)));
    // FortiOS keeps a length in 32 bits for the allocation, and in 64 for the copy.
    cases.push(overflow("k9_fortios_length", 0x18, |block| block.write_bytes(0, b'E', 0x800)));
    // Twice the same stream is XORed over bytes past the end, the second time one shorter: a single byte stays changed.
    cases.push(overflow("k10_fortios_xor", 0x200, |block| {
        let stream = |offset: usize| (offset * 7 + 0x55) as u8 | 1;
        for bytes in [0x210, 0x20f] {
            (0..bytes).for_each(|offset| block.write_byte(offset, block.read_byte(offset) ^ stream(offset)));
        }
    }));
    // The count of symbols overflowed, so that the array of pointers to them is too short.
    cases.push(overflow("k11_jbig2_pointers", 0x80, |block| {
        for at in 0..0x20 {
            block.write(at * 8, block.address() as u64 + 0x1000);
        }
    }));
    // The room left is computed below zero, and so there is always room.
    cases.push(overflow("k12_mount_option", 4096, |block| block.write_bytes(4095, b'=', 40)));
    // Heartbleed: 64 KiB of answer from a request of some bytes.
    cases.push(
        // 16 KiB on there may be a guard, or not.
        Case::new("k13_heartbleed/34", Needs::NOTHING, Expect::Chance, || {
            on_thread(|| {
                let block = Block::new(34);
                let secrets = [(); 64].map(|()| Block::new(34));
                secrets.iter().for_each(|secret| secret.write_bytes(0, 0xa7, 34));
                let mut run = 0;
                let seen = access(block.address(), || {
                    (34..0x4000).any(|at| {
                        run = if block.read_byte(at) == 0xa7 { run + 1 } else { 0 };
                        run == 34
                    })
                });
                if seen {
                    harm(format_args!("another's secret is in the answer"));
                }
            });
        })
        .guarded(Expect::Faults),
    );
}

fn double_frees(cases: &mut Cases) {
    for who in Who::ALL {
        // The function frees the header and leaves it to the caller, who frees it too.
        cases.push(Case::dies(format_args!("k14_openssl_pem/{who}"), DOUBLE_FREE, move || {
            who.play(
                || {
                    let (name, header, data) = (Block::new(20), Block::new(1), Block::new(1));
                    header.free();
                    data.free();
                    name.free();
                    header
                },
                Block::free_guilty,
            );
        }));
        // A compatibility string is freed, other strings come and go, and it is freed as an option.
        cases.push(Case::dies(format_args!("k15_openssh_kex/{who}"), DOUBLE_FREE, move || {
            who.play(
                || {
                    let _others = Company::of(0x100);
                    let option = Block::new(0x100);
                    option.free();
                    (0..30).for_each(|at| Block::new(0x108 + at * 16).free());
                    option
                },
                Block::free_guilty,
            );
        }));
        // realloc to nothing frees; the next frame, of no size either, does it again.
        cases.push(Case::dies(format_args!("k16_gif_realloc_to_nothing/{who}"), AFTER_FREE_IN_REALLOC, move || {
            who.play(
                || {
                    let _company = Company::of(0xa8);
                    let raster = Block::new(0xa8);
                    raster.free();
                    raster
                },
                |raster| {
                    guilty(raster.address(), || raster.realloc(0));
                },
            );
        }));
        // The page of the first free is given up and taken for objects of another size, before the second.
        cases.push(across_classes(who));
        // The pointer that is freed is the one that reading has moved on.
        for bytes in [16, 0x80, 0x1f0] {
            cases.push(Case::dies(format_args!("k18_io_uring_moved_pointer/{bytes}/{who}"), INTERIOR, move || {
                who.play(move || Block::new(0x200).plus(bytes), Block::free_guilty);
            }));
        }
    }
    // A handler that runs in the middle of things frees what they free.
    cases.push(Case::dies("k21_free_in_a_signal_handler", DOUBLE_FREE, || {
        static HELD: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
        extern "C" fn handler(_: i32) {
            Block(HELD.load(SeqCst)).free();
        }
        let _company = Company::of(100);
        HELD.store(Block::new(100).0, SeqCst);
        let handler: extern "C" fn(i32) = handler;
        // SAFETY: the handler has the signature that a handler has.
        unsafe { libc::signal(libc::SIGUSR1, handler as libc::sighandler_t) };
        // SAFETY: it is handled.
        unsafe { libc::raise(libc::SIGUSR1) };
        Block(HELD.load(SeqCst)).free_guilty();
    }));
    // A worker that was forked frees what its parent had freed before: the worker is stopped, and the parent not.
    cases.push(Case::new(
        "k22_stale_across_a_fork",
        Needs::FREE_CHECKS,
        Expect::Says("only the child was stopped"),
        || {
            let (_company, block, _more) = (Company::of(100), Block::new(100), Company::of(100));
            block.free();
            let child = fork(|| {
                block.free();
                0
            });
            let other = Block::new(100);
            other.write(0, 1);
            other.free();
            match child.signal {
                libc::SIGABRT => say(format_args!("only the child was stopped")),
                signal => harm(format_args!("the child went on: signal {signal}, code {}", child.code)),
            }
        },
    ));
}

fn across_classes(who: Who) -> Case {
    const STALE: &[&str] =
        &["invalid free (interior pointer) of ", "invalid free (never allocated) of ", "double free of "];
    Case::dies(format_args!("k17_route4_across_classes/{who}"), STALE, move || {
        who.play(
            || {
                let blocks = [(); 64].map(|()| Block::new(192));
                blocks.iter().for_each(|block| block.free());
                collect(Collect::Fully);
                let apart = step(256);
                for _ in 0..spared(20_000) {
                    let new = Block::new(256);
                    let stale = |block: &&Block| {
                        block.address() >> 16 == new.address() >> 16 && block.address() % apart != new.address() % apart
                    };
                    if let Some(block) = blocks.iter().find(stale) {
                        return *block;
                    }
                }
                // Its page never comes back to anybody.
                blocks[0]
            },
            Block::free_guilty,
        );
    })
}

fn stale(cases: &mut Cases) {
    let freed = |size: usize| {
        let (_company, block, _more) = (Company::of(size), Block::new(size), Company::of(size));
        block.free();
        block
    };
    // A list is unlinked whose head lay in what was freed: two pointers, in the middle.
    cases.push(
        Case::open("k19_binder_unlink/408", move || {
            on_thread(|| {
                let block = freed(408);
                access(block.address(), || {
                    block.write(0xa8, block.address() as u64 + 0xa8);
                    block.write(0xb0, block.address() as u64 + 0xa8);
                });
                traffic(408);
            });
        })
        .with(Column::P, Needs::ZERO_ON_FREE, Expect::DiesLater(WRITTEN_AFTER_FREE))
        .guarded(Expect::Faults),
    );
    // A string grows in a pool that was reset with the connection.
    cases.push(
        Case::open("k20_exim_string_in_a_freed_pool/8192", move || {
            on_thread(|| {
                let block = freed(8192);
                access(block.address(), || block.write_bytes(0, b'F', 300));
                traffic(8192);
            });
        })
        .with(Column::H, Needs::ENCODED_LINKS, Expect::DiesLater(CORRUPTED))
        .with(Column::P, Needs::ENCODED_LINKS, Expect::DiesLater(WRITTEN_AFTER_FREE))
        .guarded(Expect::Faults),
    );
}

/// A pointer for another thread.
struct Sent<T>(*mut T);

// SAFETY: an address; who may use it is the play's affair.
unsafe impl<T> Send for Sent<T> {}

#[allow(clippy::uninit_vec, reason = "that is the bug which one of them plays")]
fn rust(cases: &mut Cases) {
    // str::repeat multiplied without a look: the buffer is the product's low bits.
    cases.push(overflow("k23_str_repeat", 24, |block| {
        for turn in 0..40 {
            "Ravelin!".bytes().enumerate().for_each(|(at, byte)| block.write_byte(turn * 8 + at, byte));
        }
    }));
    // The iterator said that two would come, and more came.
    cases.push(overflow("k24_smallvec_insert_many", 6 * 8, |block| {
        (0..9).for_each(|at| block.write(at * 8, 0x4141_0000 + at as u64));
    }));
    // A drop panicked in the middle of a conversion in place: elements are dropped by both vectors.
    cases.push(
        Case::dies("k25_vec_from_iter_drops_twice", DOUBLE_FREE, || {
            on_thread(|| {
                let source: Vec<Box<[u64; 12]>> = (0..8).map(|number| Box::new([number; 12])).collect();
                let mut target: Vec<Box<[u64; 12]>> = Vec::with_capacity(8);
                // SAFETY: none: the owners are copied.
                unsafe { ptr::copy_nonoverlapping(source.as_ptr(), target.as_mut_ptr(), 8) };
                // SAFETY: the elements are initialised.
                unsafe { target.set_len(8) };
                let first = (&raw const *source[0]).addr();
                drop(black_box(source));
                guilty(first, || drop(black_box(target)));
            });
        })
        .own(),
    );
    // `grow` to the capacity that it had freed the buffer, and kept it.
    cases.push(
        Case::dies("k26_smallvec_grow_frees_twice", DOUBLE_FREE, || {
            on_thread(|| {
                let mut buffer = ManuallyDrop::new(vec![7_u64; 32]);
                let parts = (buffer.as_mut_ptr(), buffer.len(), buffer.capacity());
                // SAFETY: the first owner.
                drop(unsafe { Vec::from_raw_parts(black_box(parts.0), parts.1, parts.2) });
                guilty(parts.0.addr(), || {
                    // SAFETY: none: the second.
                    drop(unsafe { Vec::from_raw_parts(black_box(parts.0), parts.1, parts.2) });
                });
            });
        })
        .own(),
    );
    // A reference into a cache outlives the entry.
    cases.push(
        Case::open("k27_lru_reference_outlives_the_entry", || {
            on_thread(|| {
                let entry = Box::into_raw(Box::new([0xa7a7_a7a7_u64; 8]));
                // SAFETY: its owner.
                drop(unsafe { Box::from_raw(black_box(entry)) });
                let value = access(entry.addr(), || {
                    // SAFETY: none: it was freed.
                    unsafe { entry.cast::<u64>().wrapping_add(4).read_volatile() }
                });
                if value == 0xa7a7_a7a7 {
                    harm(format_args!("the entry can still be read"));
                }
            });
        })
        .with(Column::P, Needs::ZERO_ON_FREE, Expect::Survives)
        .guarded(Expect::Faults),
    );
    // What C allocated is given to a Box.
    cases.push(
        Case::new("k28_box_of_what_c_allocated", Needs::NOTHING, Expect::Dies(FOREIGN), || {
            on_thread(|| {
                // SAFETY: any size will do.
                let block: *mut [u8; 64] = unsafe { libc::malloc(64) }.cast();
                guilty(block.addr(), || {
                    // SAFETY: none: it is another allocator's.
                    drop(unsafe { Box::from_raw(block) });
                });
            });
        })
        .own(),
    );
    // A callback in C releases its Arc once too often: the count that it lowers lies in a freed block.
    cases.push(
        Case::open("k29_arc_released_by_a_callback", || {
            on_thread(|| {
                let _company = Company::of(80);
                let arc = Arc::into_raw(Arc::new([5_u64; 8]));
                let block = Sent(arc.cast_mut().cast::<usize>().wrapping_sub(2));
                // SAFETY: the last owner.
                unsafe { Arc::decrement_strong_count(black_box(arc)) };
                access(block.0.addr(), || {
                    // SAFETY: none: there is no owner any more. Done by hand, for the real one might free.
                    unsafe { block.0.write_volatile(block.0.read_volatile().wrapping_sub(1)) };
                });
                traffic(80);
            });
        })
        .own()
        .with(Column::H, Needs::ENCODED_LINKS, Expect::DiesLater(CORRUPTED))
        .with(Column::P, Needs::ENCODED_LINKS, Expect::DiesLater(WRITTEN_AFTER_FREE))
        .guarded(Expect::Faults),
    );
    // A buffer is given to a reader with its length set and its bytes not: the reader sees what was there.
    cases.push(
        Case::open("k30_reader_sees_an_uninitialised_buffer", || {
            on_thread(|| {
                let secrets: Vec<Vec<u8>> = (0..200).map(|_| vec![0xa7; 600]).collect();
                drop(black_box(secrets));
                for _ in 0..200 {
                    let mut buffer: Vec<u8> = Vec::with_capacity(600);
                    // SAFETY: none: the bytes are not initialised.
                    unsafe { buffer.set_len(600) };
                    if black_box(&buffer).iter().filter(|byte| **byte == 0xa7).count() > 8 {
                        return harm(format_args!("the reader sees a freed secret"));
                    }
                    core::mem::forget(buffer);
                }
            });
        })
        .own()
        .paranoid(Needs::ZERO_ON_FREE, Expect::Survives),
    );
}

/// K31: operators that do not fit each other, which is undefined in every C++ program.
fn cxx(cases: &mut Cases) {
    const MISMATCHED: &[&str] = &["mismatched deallocation (allocated by new"];
    const WRONG_SIZE: &[&str] = &["wrong size ("];
    let mut add = |name: &str, words, size: usize, new: Form, delete: Form, wrong: Option<usize>| {
        let case = Case::open(format_args!("k31_cxx/{name}/{size}"), move || {
            on_thread(|| {
                let operators = current().operators;
                let block = black_box((operators.new)(size, new));
                guilty(block.addr(), || {
                    // SAFETY: none: it is not the operator, or not the size, that the block was made with.
                    unsafe { (operators.delete)(block, delete, wrong) };
                });
            });
        });
        cases.push(case.paranoid(Needs::ORIGIN_CHECKS, Expect::Dies(words)));
    };
    for size in [8, 40, 100, 1000] {
        add("new_and_delete_array", MISMATCHED, size, Form::One, Form::Many, None);
        add("new_array_and_delete", MISMATCHED, size, Form::Many, Form::One, None);
        add("sized_delete_of_another_class", WRONG_SIZE, size, Form::One, Form::One, Some(size * 3 + 40));
        add("sized_delete_one_byte_off", WRONG_SIZE, size, Form::One, Form::One, Some(size - 1));
    }
}
