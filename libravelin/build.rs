//! Link arguments of the shared library.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // A `dlclose` must not unmap it: the process holds its fork handlers, every thread its exit handler, and anybody its blocks.
    println!("cargo::rustc-link-arg-cdylib=-Wl,-z,nodelete");
    // Fork handlers run before a fork in the reverse of the order in which they were registered. Ours takes the lock, and must be the
    // last: another's may wait for threads that allocate. So no library's constructor may come before ours.
    println!("cargo::rustc-link-arg-cdylib=-Wl,-z,initfirst");
}
