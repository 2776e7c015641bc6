//! Link arguments of the shared library.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // A `dlclose` must not unmap it: the process holds its fork handlers, every thread its exit handler, and anybody its blocks.
    println!("cargo::rustc-link-arg-cdylib=-Wl,-z,nodelete");
}
