//! The secret of the process, and the mark that tells a child that it is not its own.

use super::{NoSecret, stop};
use crate::os::{self, Errno, Span};
use core::ptr;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64};
use siphasher::sip::SipHasher24;

use crate::mitigations::MITIGATIONS;

/// The child of a fork finds this.
const CLONED: u32 = 0;
/// Somebody draws a new secret.
const BUSY: u32 = 1;
/// The secret is this process's own.
const READY: u32 = 2;

/// Canary secrets that are kept: those of as many generations.
const KEPT: usize = 64;
/// Places for them.
const PLACES: usize = if MITIGATIONS.canaries { KEPT } else { 0 };

/// Lies at the start of its page, and is never moved or given back.
struct Secret {
    key: [AtomicU64; 2],
    /// Drawn once, and the same in all children: what was sealed before a fork stays so.
    seal: [AtomicU64; 2],
    /// By the generation, modulo [`KEPT`].
    canaries: [[AtomicU64; 2]; PLACES],
    /// Of the process: 1, and one more with every new secret.
    generation: AtomicU32,
    /// In a page of its own, which the kernel zeroes in every child.
    mark: &'static AtomicU32,
}

static SECRET: AtomicPtr<Secret> = AtomicPtr::new(ptr::null_mut());

/// What [`renew_if_cloned`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewed {
    /// The process is the one that drew the secret.
    No,
    /// This was a child that nobody had told so: it has a secret of its own now, and no other thread of its parent.
    Yes,
}

/// Draws the secret, if that has not been done.
///
/// # Errors
/// [`NoSecret`]; a later call tries again.
pub(crate) fn init() -> Result<(), NoSecret> {
    secret().map(|_| ())
}

/// The key of a page: never 0, and another one for every address, generation and process.
#[inline]
pub(crate) fn page_key(page_address: usize, generation: u32) -> u64 {
    let secret = secret().unwrap_or_else(|_| stop());
    key_of(&secret.key, page_address, generation)
}

/// The keys of the canaries that were planted in a page in this generation. None if that is so long past that they are forgotten.
pub(crate) fn canary_keys(page_address: usize, generation: u32) -> Option<[u64; 2]> {
    let secret = secret().unwrap_or_else(|_| stop());
    let age = secret.generation.load(Relaxed).wrapping_sub(generation) as usize;
    let key = secret.canaries.get((generation as usize).checked_rem(PLACES)?).filter(|_| age < KEPT)?;
    Some([0, 1].map(|half| key_of(key, page_address, half)))
}

fn key_of(key: &[AtomicU64; 2], page_address: usize, generation: u32) -> u64 {
    let [first, second] = key;
    let hasher = SipHasher24::new_with_keys(first.load(Relaxed), second.load(Relaxed));
    let message = (page_address as u128) | (u128::from(generation) << 64);
    // 0 is no key; that 1 is then twice as likely, at 2^-63, helps nobody.
    hasher.hash(&message.to_le_bytes()).max(1)
}

/// What proves that these words were put together by this process or a parent of it.
///
/// # Errors
/// [`NoSecret`]: as [`init`].
pub(crate) fn seal(words: [usize; 3]) -> Result<u64, NoSecret> {
    let [first, second] = &secret()?.seal;
    let hasher = SipHasher24::new_with_keys(first.load(Relaxed), second.load(Relaxed));
    Ok(hasher.hash(words.map(usize::to_le_bytes).as_flattened()))
}

/// How many secrets this process and its parents have drawn: 1 from the start on, one more in every child of a fork.
#[inline]
pub(crate) fn generation() -> u32 {
    drawn().map_or(1, |secret| secret.generation.load(Relaxed))
}

/// Whether `generation` is this process's, and the process not a clone that nobody has told so yet. Never true for 0.
#[inline]
pub(super) fn is_current(generation: u32) -> bool {
    drawn().is_some_and(|secret| secret.mark.load(Relaxed) == READY && secret.generation.load(Relaxed) == generation)
}

/// Draws a new secret if this is a clone whose fork handlers did not run. To be asked by slow paths before they take a lock.
///
/// # Errors
/// [`NoSecret`]: as [`init`].
#[inline]
pub(crate) fn renew_if_cloned() -> Result<Renewed, NoSecret> {
    let secret = secret()?;
    if secret.mark.load(Acquire) == READY { Ok(Renewed::No) } else { secret.renew_clone() }
}

/// Draws a new secret: for the child of a fork, where no other thread runs.
///
/// # Errors
/// [`NoSecret`]: as [`init`].
pub(crate) fn renew() -> Result<(), NoSecret> {
    match drawn() {
        Some(secret) => {
            secret.draw()?;
            secret.mark.store(READY, Release);
            Ok(())
        }
        None => Ok(()),
    }
}

/// Where the secret lies, for tests.
#[cfg(test)]
pub(crate) fn place() -> *mut u8 {
    SECRET.load(Acquire).cast()
}

#[inline]
fn drawn() -> Option<&'static Secret> {
    // SAFETY: null, or a secret that `make` has initialised in full before it was published; it is never given back.
    unsafe { SECRET.load(Acquire).as_ref() }
}

#[inline]
fn secret() -> Result<&'static Secret, NoSecret> {
    match drawn() {
        Some(secret) => Ok(secret),
        None => first(),
    }
}

/// Threads that race here each make a secret; the first to publish wins. So no lock is held that a clone could inherit.
#[cold]
fn first() -> Result<&'static Secret, NoSecret> {
    let (span, place) = make()?;
    match SECRET.compare_exchange(ptr::null_mut(), place, Release, Acquire) {
        Ok(_) if MITIGATIONS.sealed => {
            // SAFETY: the secret's pages and their guards stay as they are for ever.
            let _ = unsafe { os::seal(span) }; // counted where it is refused
        }
        Ok(_) => {}
        // SAFETY: lost the race: nobody has seen this one, and this thread drops it here.
        Err(_) => unsafe { os::release(span) },
    }
    drawn().ok_or(NoSecret::NoMemory)
}

/// Maps the pages, draws, and only then lets anybody see.
fn make() -> Result<(Span, *mut Secret), NoSecret> {
    let page = os::page_size();
    let span = os::reserve(page.wrapping_mul(5), page, None).map_err(no_memory)?;
    match fill(span, page) {
        Ok(place) => Ok((span, place)),
        Err(error) => {
            // SAFETY: reserved here, and nobody else has seen it.
            unsafe { os::release(span) };
            Err(error)
        }
    }
}

fn fill(span: Span, page: usize) -> Result<*mut Secret, NoSecret> {
    let (Some(hidden), Some(wiped)) = (span.part(page, page), span.part(page.wrapping_mul(3), page)) else {
        return Err(NoSecret::NoMemory); // cannot be: the span has five pages
    };
    // SAFETY: a page of our new reservation.
    unsafe { os::open(hidden) }.map_err(no_memory)?;
    // SAFETY: a page of our new reservation.
    unsafe { os::open(wiped) }.map_err(no_memory)?;
    // Both only help where the kernel can: fork handlers renew the secret in any case, but for raw clones on old kernels.
    // SAFETY: a page of our new reservation.
    let _ = unsafe { os::hide_from_dumps(hidden) };
    // SAFETY: a page of our new reservation, whose zeros mean a thing: CLONED.
    let _ = unsafe { os::wipe_on_fork(wiped) };
    // SAFETY: the page is open, zero (a valid atomic), aligned, and stays for ever once published.
    let mark: &'static AtomicU32 = unsafe { wiped.start().cast::<AtomicU32>().as_ref() };
    let place = hidden.start().cast::<Secret>();
    let [key, seal] = [const { [const { AtomicU64::new(0) }; 2] }; 2];
    let canaries = [const { [const { AtomicU64::new(0) }; 2] }; PLACES];
    let empty = Secret { key, seal, canaries, generation: AtomicU32::new(0), mark };
    // SAFETY: the page is open, aligned, large enough and known to nobody else.
    unsafe { place.write(empty) };
    // SAFETY: written just now; only shared references are made from here on.
    let secret = unsafe { place.as_ref() };
    secret.draw()?;
    secret.mark.store(READY, Relaxed); // published by the caller
    Ok(place.as_ptr())
}

fn no_memory(_: Errno) -> NoSecret {
    NoSecret::NoMemory
}

impl Secret {
    /// Replaces the secret and starts a generation.
    fn draw(&self) -> Result<(), NoSecret> {
        let mut words = [[0; 8]; 6];
        os::random(words.as_flattened_mut()).map_err(|_| NoSecret::NoRandomness)?;
        let [one, other, drawn @ ..] = words.map(u64::from_le_bytes);
        let is_first = self.generation.load(Relaxed) == 0;
        let places = self.key.iter().chain(if is_first { &self.seal[..] } else { &[] });
        for (place, word) in places.zip(drawn) {
            place.store(word, Relaxed);
        }
        // 0 is left out: it means "never seeded" to a generator.
        let next = self.generation.load(Relaxed).checked_add(1).unwrap_or(1);
        if let Some(key) = (next as usize).checked_rem(PLACES).and_then(|place| self.canaries.get(place)) {
            for (place, word) in key.iter().zip([one, other]) {
                place.store(word, Relaxed);
            }
        }
        self.generation.store(next, Release);
        Ok(())
    }

    /// One thread of the clone draws, the others wait for it. A clone that is cloned in the middle starts over: its mark is
    /// zero again.
    #[cold]
    fn renew_clone(&self) -> Result<Renewed, NoSecret> {
        loop {
            match self.mark.compare_exchange(CLONED, BUSY, Acquire, Acquire) {
                Ok(_) => {
                    let drawn = self.draw();
                    self.mark.store(if drawn.is_ok() { READY } else { CLONED }, Release);
                    return drawn.map(|()| Renewed::Yes);
                }
                Err(READY) => return Ok(Renewed::Yes),
                Err(_) => os::yield_now(),
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::os::testing::{Birth, Ending, has_map_flag, in_child, is_readable};
    use crate::sync::CHECKER;
    use std::collections::HashSet;

    #[test]
    fn page_keys_differ_by_address_and_generation_and_stay() {
        init().expect("the machine has randomness");
        let mut seen = HashSet::new();
        for page in 1..if CHECKER { 8 } else { 64 } {
            for generation in 0..8 {
                let key = page_key(page << 16, generation);
                assert_ne!(key, 0);
                assert!(seen.insert(key), "two pages share a key");
                assert_eq!(key, page_key(page << 16, generation));
            }
        }
    }

    #[test]
    #[cfg_attr(any(miri, ravelin_mock), ignore = "forks")]
    fn a_seal_is_of_its_words_and_holds_in_children() {
        let mine = seal([1, 2, 3]).unwrap();
        assert!([[1, 2, 4], [1, 3, 3], [0, 2, 3], [2, 1, 3]].iter().all(|other| seal(*other).unwrap() != mine));
        let same = in_child(Birth::Fork, || {
            let _ = renew();
            // SAFETY: ends the child.
            unsafe { libc::_exit(i32::from(seal([1, 2, 3]).ok() != Some(mine))) }
        });
        assert_eq!(same, Some(Ending::Exit(0)));
    }

    #[test]
    fn a_page_key_is_the_siphash_of_address_and_generation() {
        // The vector of the SipHash paper: key 00 01 .. 0f, of the bytes 00 .. 0e.
        let key = [AtomicU64::new(0x0706_0504_0302_0100), AtomicU64::new(0x0f0e_0d0c_0b0a_0908)];
        let hasher = SipHasher24::new_with_keys(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        let bytes: std::vec::Vec<u8> = (0..15).collect();
        assert_eq!(hasher.hash(&bytes), 0xa129_ca61_49be_45e5);
        let mut message = [0; 16];
        message[..8].copy_from_slice(&0x7f12_3456_0000_usize.to_le_bytes());
        message[8..12].copy_from_slice(&7_u32.to_le_bytes());
        assert_eq!(key_of(&key, 0x7f12_3456_0000, 7), hasher.hash(&message));
    }

    #[test]
    fn a_new_secret_is_a_new_generation_and_new_keys() {
        // On one of its own: other tests count on the process's.
        let (span, place) = make().expect("the machine has randomness");
        // SAFETY: made just now and not given back before the end of the test.
        let secret = unsafe { &*place };
        assert_eq!(secret.generation.load(Relaxed), 1);
        let before = key_of(&secret.key, 4096, 1);
        secret.draw().expect("the machine has randomness");
        assert_eq!(secret.generation.load(Relaxed), 2);
        assert_ne!(key_of(&secret.key, 4096, 1), before);
        // What the kernel does to a child:
        secret.mark.store(CLONED, Relaxed);
        assert_eq!(secret.renew_clone(), Ok(Renewed::Yes));
        assert_eq!((secret.generation.load(Relaxed), secret.mark.load(Relaxed)), (3, READY));
        // SAFETY: not used again.
        unsafe { os::release(span) };
    }

    /// A kernel before 4.14 and some emulators wipe nothing: then only fork handlers help, and there is nothing to test here.
    pub(in super::super) fn kernel_wipes() -> bool {
        let span = os::reserve(os::page_size(), os::page_size(), None).expect("address space");
        // SAFETY: reserved just now.
        unsafe { os::open(span) }.expect("memory");
        // SAFETY: ours; zeros do no harm.
        let _ = unsafe { os::wipe_on_fork(span) };
        // SAFETY: open.
        unsafe { span.start().write_volatile(1) };
        // SAFETY: open, in the child as well.
        let ending = in_child(Birth::RawClone, || i32::from(unsafe { span.start().read_volatile() }));
        // SAFETY: not used again.
        unsafe { os::release(span) };
        ending == Some(Ending::Exit(0))
    }

    #[test]
    fn a_raw_clone_finds_out_and_draws_its_own_secret() {
        init().expect("the machine has randomness");
        let (born, key) = (generation(), page_key(4096, 1));
        if !kernel_wipes() {
            return;
        }
        for birth in [Birth::RawClone, Birth::Fork] {
            let ending = in_child(birth, || {
                let stale = !is_current(born);
                // The engine's fork handlers, if another test has made it register them, were here before.
                let renewed = renew_if_cloned() == Ok(Renewed::Yes) || birth == Birth::Fork;
                let once = renew_if_cloned() == Ok(Renewed::No);
                let new = generation() == born.wrapping_add(1) && page_key(4096, 1) != key;
                i32::from(!(stale && renewed && once && new))
            });
            assert_eq!(ending, Some(Ending::Exit(0)), "{birth:?}");
        }
        assert_eq!((generation(), page_key(4096, 1)), (born, key), "the parent keeps its own");
    }

    #[test]
    fn the_child_of_a_fork_renews_once_whoever_comes_first() {
        init().expect("the machine has randomness");
        let (born, key) = (generation(), page_key(4096, 1));
        let ending = in_child(Birth::Fork, || {
            let renewed = renew() == Ok(()) && renew_if_cloned() == Ok(Renewed::No);
            // Once more if another test has made the engine register its fork handlers.
            i32::from(!(renewed && generation() > born && page_key(4096, 1) != key))
        });
        assert!(matches!(ending, None | Some(Ending::Exit(0))), "{ending:?}");
    }

    #[test]
    fn the_secret_is_guarded_and_left_out_of_core_dumps() {
        init().expect("the machine has randomness");
        let secret = SECRET.load(Acquire).cast::<u8>();
        for neighbour in [secret.wrapping_sub(1), secret.wrapping_add(os::page_size())] {
            assert!(!is_readable(neighbour));
        }
        assert!(is_readable(secret));
        assert_ne!(has_map_flag(secret, "dd"), Some(false));
    }
}
